#!/usr/bin/python3
"""bench/make_document.py RESULTS.json [LATER.json ...] [FOLDER]: writes performance.md and its plots to the folder (docs).

Workloads and curves of a later run replace those of the one before."""

import functools
import json
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests/integration"), str(ROOT / "bench")]

from report.document import document  # noqa: E402
from results import joined  # noqa: E402


def write_document(runs, folder):
    text, plots = document(functools.reduce(joined, [json.loads(run.read_text(encoding="utf-8")) for run in runs]))
    for name, content in {"performance.md": text, **plots}.items():
        (folder / name).write_text(content, encoding="utf-8")


if __name__ == "__main__":
    paths = [pathlib.Path(argument) for argument in sys.argv[1:]]
    results, folders = [path for path in paths if path.suffix == ".json"], [path for path in paths if path.suffix != ".json"]
    if not results or len(folders) > 1:
        sys.exit(__doc__)
    write_document(results, folders[0] if folders else ROOT / "docs")
