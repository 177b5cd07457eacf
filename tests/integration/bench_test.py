"""The bench suite: a tiny real run gives figures of compared rows, and a document that says what was missed."""

import copy
import json
import os
import pathlib
import subprocess
import sys
import xml.etree.ElementTree

import pytest

from harness import agent

ROOT = pathlib.Path(agent.ROOT)
sys.path.append(str(ROOT / "bench"))

from report.document import document  # noqa: E402
from report.targets import targets  # noqa: E402
from results import KINDS, joined  # noqa: E402


@pytest.fixture(scope="module")
def figures(tmp_path_factory):
    path = tmp_path_factory.mktemp("bench") / "results.json"
    subprocess.run([sys.executable, "-B", ROOT / "bench/run.py", "--quick", "--peer", "native,pglogical", "--transport", "direct",
                    "--workload", "bulk,updates", "--scale", "0.02", "--postgres", "17", "--json", path], check=True, env={**os.environ, "PGDUET_BINARY": agent.binary()}, capture_output=True)
    return json.loads(path.read_text(encoding="utf-8"))


def test_a_run_measures_each_system_and_compares_the_rows(figures):
    assert figures["failures"] == []
    measured = {(one["workload"], one["system"]): one for one in figures["drain"]}
    assert sorted(measured) == [("bulk", "direct"), ("bulk", "native"), ("updates", "direct"), ("updates", "native")]
    for (workload, system), one in measured.items():
        assert one["per_second"] > 0 and one["cpu_total"] > 0
        assert ("agents" in one["peak_rss"]) == (system == "direct")
        # Both systems were given the same backlog, and it arrived.
        table = {"bulk": "public.bulk", "updates": "public.hot"}[workload]
        assert one["checksums"][table][0] == {"bulk": "3000", "updates": "100000"}[workload]
    assert measured["updates", "direct"]["checksums"] == measured["updates", "native"]["checksums"]


def test_a_run_with_another_postgresql_says_so_and_leaves_out_what_is_not_there_for_it(figures):
    assert figures["machine"]["postgresql"].startswith("postgres (PostgreSQL) 17.")
    assert "pglogical" not in {one["system"] for one in figures["drain"]}


def test_the_document_has_every_system_and_its_plots(figures):
    text, plots = document(figures)
    assert sorted(plots) == ["performance-bulk.svg", "performance-updates.svg"]
    for name, plot in plots.items():
        assert f"({name})" in text
        assert len(xml.etree.ElementTree.fromstring(plot).findall("{*}rect")) == 3, "the background and one bar for each system"
    assert "| pgduet, direct |" in text and "| native |" in text
    assert figures["machine"]["cpu"] in text


def verdict(figures, work):
    return next(target.verdict for target in targets(figures) if target.work == work)


def test_a_target_that_was_missed_is_said_to_be_missed(figures):
    changed = copy.deepcopy(figures)
    for one in changed["drain"]:
        if one["system"] == "direct":
            one["system"] = "kafka"
        one["per_second"] = {"native": 100.0, "kafka": 199.0}[one["system"]]
    assert verdict(changed, "bulk, Kafka, against native") == "**missed**"
    assert "| bulk, Kafka, against native | ≥ 2× | 1.99× | **missed** |" in document(changed)[0]
    for one in changed["drain"]:
        one["per_second"] = {"native": 100.0, "kafka": 200.0}[one["system"]]
    assert verdict(changed, "bulk, Kafka, against native") == "met"
    assert verdict(changed, "bulk, Kafka, against debezium") == "not measured"


def test_what_failed_stands_in_the_document(figures):
    changed = {**figures, "failures": [{"what": "bulk, pglogical, round 1", "error": "WrongResult: public.bulk differs"}]}
    assert "bulk, pglogical, round 1: WrongResult: public.bulk differs" in document(changed)[0]


def run_of(failures=(), **kinds):
    return {**{kind: [] for kind in KINDS}, **kinds, "failures": [{"what": what, "error": "it failed"} for what in failures]}


def test_what_a_later_run_measured_replaces_whole_workloads_and_curves_and_nothing_else():
    bulk, three = {"workload": "bulk", "per_second": 1}, {"workload": "bulk-3-regions", "per_second": 2}
    curve, other = {"workload": "bulk", "curve": "regions", "x": 2}, {"workload": "bulk", "curve": "tables", "x": 10}
    latency = {"system": "native", "p50": 0.4}
    first = run_of(drain=[bulk, three], growth=[curve, other], latency=[latency],
                   failures=["bulk, native, round 1", "bulk-3-regions, native, round 1", "regions 4, native", "latency, native, round 1"])
    again, point = {"workload": "bulk", "per_second": 3}, {"workload": "bulk-3-regions", "curve": "regions", "x": 4}
    found = joined(first, run_of(drain=[again], growth=[point], failures=["bulk, direct, round 1"]))
    assert found["drain"] == [three, again]
    assert found["growth"] == [other, point]
    assert found["latency"] == [latency]
    assert [one["what"] for one in found["failures"]] == ["bulk-3-regions, native, round 1", "latency, native, round 1", "bulk, direct, round 1"]
