"""Rules of the source tree that a program can check: direction of includes, names of files, mirrored tests."""

import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]

# A folder may include itself and the ones listed.
MAY_INCLUDE = {
    "base": set(),
    "schemas": {"base"},
    "transport": {"base", "schemas"},
    "capture": {"base", "schemas", "transport"},
    "resolve": {"base", "schemas"},
    "apply": {"base", "schemas", "transport", "capture", "resolve"},
    "agent": {"base", "schemas", "transport", "capture", "resolve", "apply"},
}
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)
FORBIDDEN_NAMES = re.compile(r"(^|_)(utils?|helpers?|common|manager|misc)(_|\.|$)", re.IGNORECASE)
GENERATED = re.compile(r"\.(pb\.h|inc)$")


def sources(*folders):
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in (".h", ".cc", ".proto"):
                yield path


def relative(path):
    return path.relative_to(ROOT).as_posix()


def test_includes_point_one_way():
    wrong = []
    for folder, allowed in MAY_INCLUDE.items():
        for path in sources(folder):
            for included in INCLUDE.findall(path.read_text(encoding="utf-8")):
                top = included.split("/")[0]
                if top in MAY_INCLUDE and top != folder and top not in allowed:
                    wrong.append(f"{relative(path)} includes {included}: {folder} may include {sorted(allowed)}")
    assert not wrong, "\n".join(wrong)


def test_includes_are_relative_to_the_root():
    wrong = []
    for path in sources(*MAY_INCLUDE, "tests"):
        for included in INCLUDE.findall(path.read_text(encoding="utf-8")):
            if not (ROOT / included).exists() and not GENERATED.search(included):
                wrong.append(f"{relative(path)} includes {included}, which is not there")
    assert not wrong, "\n".join(wrong)


def test_headers_are_guarded_and_say_what_they_are_for():
    wrong = []
    for path in sources(*MAY_INCLUDE):
        if path.suffix != ".h":
            continue
        text = path.read_text(encoding="utf-8")
        if "#pragma once" not in text:
            wrong.append(f"{relative(path)}: no #pragma once")
        if not text.startswith("//"):
            wrong.append(f"{relative(path)}: no opening comment")
    assert not wrong, "\n".join(wrong)


def test_file_names_say_something():
    wrong = [relative(path) for path in sources(*MAY_INCLUDE, "tests") if FORBIDDEN_NAMES.search(path.name)]
    wrong += [relative(path) for path in (ROOT / "tests").rglob("*.py") if FORBIDDEN_NAMES.search(path.name)]
    assert not wrong, f"names that say nothing: {wrong}"


def test_report_how_tests_mirror_sources(capsys):
    """A report, not a rule: some sources are tested through another, some tests look at a whole folder."""
    untested = [relative(path) for folder in MAY_INCLUDE for path in sources(folder)
                if path.suffix == ".cc" and not any((ROOT / "tests" / folder).rglob(f"{path.stem}_test.cc"))]
    unpaired = [relative(test) for folder in MAY_INCLUDE for test in (ROOT / "tests" / folder).rglob("*_test.cc")
                if not any((ROOT / folder).rglob(f"{test.name.removesuffix('_test.cc')}.*"))]
    with capsys.disabled():
        print(f"\n{len(untested)} sources without a test file of their name: {' '.join(untested)}")
        print(f"{len(unpaired)} test files without a source of their name: {' '.join(unpaired)}")


def test_sessions_work_for_their_set():
    """Statements say `pgduet.`; only a session of SetSession (schemas/sidecar.h) reaches the schema of its set there."""
    opened = re.compile(r"PgConnection::(?:Open\(\s*|Options \w+ = )\{.*?\}\)?[;)]", re.DOTALL)
    wrong = [f"{relative(path)}: {match.group(0).split(chr(10))[0]}" for path in sources("apply", "agent")
             for match in opened.finditer(path.read_text(encoding="utf-8")) if ".replication = true" not in match.group(0)]
    assert not wrong, "\n".join(wrong)


def test_nothing_is_left_to_do():
    words = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XXX)\b")
    wrong = [relative(path) for path in sources(*MAY_INCLUDE, "tests") if words.search(path.read_text(encoding="utf-8"))]
    assert not wrong, f"files with work left: {wrong}"


def test_tests_do_not_sleep():
    wrong = []
    for path in [*sources("tests"), *(ROOT / "tests" / "integration").glob("*_test.py"), *(ROOT / "tests" / "faults").rglob("*_test.py"),
                 *(ROOT / "tests" / "scenarios").rglob("*.py")]:
        text = path.read_text(encoding="utf-8")
        if re.search(r"\b(sleep_for|absl::SleepFor|usleep|time\.sleep)\(", text):
            wrong.append(relative(path))
    assert not wrong, f"tests that sleep instead of waiting for a condition: {wrong}"
