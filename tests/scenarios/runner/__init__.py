"""Scenarios as folders of data. The format of a folder is described in tests/scenarios/README.md.

    scenario.py  reads a folder: its files, its steps; refuses what it does not understand
    stage.py     plays the steps against a running group
    outcome.py   writes down what came out, in the words of expected.txt
"""
