#!/usr/bin/python3
"""bench/make_document.py RESULTS [FOLDER]: writes performance.md and its plots to the folder (docs)."""

import json
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests/integration"), str(ROOT / "bench")]

from report.document import document  # noqa: E402


def write_document(results, folder):
    text, plots = document(json.loads(pathlib.Path(results).read_text(encoding="utf-8")))
    folder = pathlib.Path(folder)
    for name, content in {"performance.md": text, **plots}.items():
        (folder / name).write_text(content, encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    write_document(sys.argv[1], sys.argv[2] if len(sys.argv) == 3 else ROOT / "docs")
