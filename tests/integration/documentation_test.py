"""What the documents say about the code is compared with the code."""

import ast
import pathlib
import re
import subprocess

import pytest

from harness import agent

ROOT = pathlib.Path(agent.ROOT)
FOLDERS = ("base", "schemas", "transport", "capture", "resolve", "apply", "agent")
METRIC = re.compile(r'"((?:pgduet|process)_[a-z0-9_]+)"')
METRIC_SOURCES = ("agent/policy_change_metrics.cc", "apply/apply_metrics.cc", "capture/capture_metrics.cc", "agent/commands/agent.cc")

# The ways in which the sources give an error its name.
NAME = r'"([a-z][a-z_]+)"'
ERROR_FORMS = [
    rf"\bNamedError\(\s*absl::StatusCode::\w+,\s*{NAME}",
    rf"\bRenamed\([^;]*?absl::StatusCode::\w+,\s*{NAME}",
    rf"\b(?:Problem|Foreign)\(\s*{NAME}",
    rf"\badd\(\s*{NAME},\s*fmt::format",  # transport/kafka_admin.cc
    rf"\bError\(\s*findings,\s*{NAME}",
    rf"\{{\s*Severity::\w+,\s*{NAME}",
    rf'\{{\s*"[0-9A-Z]{{2,5}}",\s*{NAME}',  # apply/refused_statement.cc: by SQLSTATE
    rf"ErrorRow\{{\s*\w+,\s*absl::StatusCode::\w+,\s*{NAME}",
    rf"StatusCode::\w+:\s*return {NAME}",  # base/pg_connection.cc
    rf"default:\s*return {NAME}",
    rf"\w+\s*\?\s*{NAME}\s*:\s*{NAME},",  # transport/kafka_tail.cc
    rf"name\.empty\(\)\s*\?\s*{NAME}",
]


def sources():
    for folder in FOLDERS:
        yield from sorted(path for path in (ROOT / folder).rglob("*") if path.suffix in (".cc", ".h"))


def read(path):
    return (ROOT / path).read_text(encoding="utf-8")


def named_errors():
    """{name: first file that gives it}"""
    found = {}
    for path in sources():
        text = path.read_text(encoding="utf-8")
        for form in ERROR_FORMS:
            for match in re.finditer(form, text):
                for name in filter(None, match.groups()):
                    found.setdefault(name, str(path.relative_to(ROOT)))
    return found


def documented_errors():
    return re.findall(r"^(?:### |\| )`([a-z_]+)`", read("docs/operations/errors.md"), re.MULTILINE)


def test_every_named_error_is_documented_and_nothing_else():
    documented, given = documented_errors(), named_errors()
    assert sorted(documented) == sorted(set(documented)), "an error is described twice"
    assert {name: path for name, path in given.items() if name not in documented} == {}
    assert sorted(set(documented) - set(given)) == []


def test_no_way_of_naming_an_error_is_overlooked():
    """Names that the sources compare with, and names that tests expect, were given somewhere."""
    compared = {name for path in sources()
                for name in re.findall(rf"ErrorName\([^()]*(?:\([^()]*\))*[^()]*\)\s*[=!]=\s*{NAME}", path.read_text(encoding="utf-8"))}
    expected = {name for path in (ROOT / "tests").rglob("*_test.py") for call in re.findall(
        r"\.(?:expect_errors|wait_for_stream_error)\(([^)]*)\)", path.read_text(encoding="utf-8"))
        for name in re.findall(NAME, call)}
    assert sorted((compared | expected) - set(named_errors())) == []


def test_every_metric_is_documented_and_nothing_else():
    exported = {name for path in METRIC_SOURCES for name in METRIC.findall(read(path))}
    assert exported == set(re.findall(r"^\| `((?:pgduet|process)_[a-z0-9_]+)`", read("docs/metrics.md"), re.MULTILINE))
    elsewhere = {str(path.relative_to(ROOT)) for path in sources() if METRIC.search(path.read_text(encoding="utf-8"))}
    makers = {path for path in elsewhere if "prometheus::Build" in read(path)}
    assert makers <= set(METRIC_SOURCES), "metrics are made in a file that this test does not know"


def test_the_metrics_help_column_names_the_alerts_that_use_them():
    rules = re.findall(r"- alert: (\w+)\n(.*?)(?=\n\s*- alert:|\Z)", read("deploy/prometheus/rules.yml"), re.DOTALL)
    used = {(metric, alert) for alert, body in rules for metric in re.findall(r"(?:pgduet|process)_[a-z0-9_]+", body.split("annotations:")[0])}
    told = {(row[0], alert) for row in re.findall(r"^\| `((?:pgduet|process)_[a-z0-9_]+)` (\|.*)$", read("docs/metrics.md"), re.MULTILINE)
            for alert in re.findall(r"Pgduet\w+", row[1])}
    assert told == used


def test_the_configuration_reference_is_fresh():
    generated = subprocess.run([agent.binary(), "docs", "configuration"], capture_output=True, text=True, check=True).stdout
    assert read("docs/configuration.md") == generated, "run: build/dev/pgduet docs configuration > docs/configuration.md"


def python_tests(path):
    names = set()
    for node in ast.walk(ast.parse(read(path))):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            names.add(node.name)
    return names


def cpp_tests(path):
    return {f"{suite}.{name}" for suite, name in re.findall(r"^TEST(?:_F|_P)?\((\w+),\s*(\w+)\)", read(path), re.MULTILINE)}


@pytest.mark.parametrize("promise", range(1, 9))
def test_every_promise_names_tests_that_exist(promise):
    sections = re.split(r"^## (?=\d\. )", read("docs/guarantees.md"), flags=re.MULTILINE)[1:]
    section = next(text for text in sections if text.startswith(f"{promise}. "))
    section = section.split("\n## ")[0]
    cited = re.findall(r"`(tests/[\w/]+\.(?:py|cc))::([\w.]+)`", section)
    assert cited, f"promise {promise} names no test"
    for path, name in cited:
        known = python_tests(path) if path.endswith(".py") else cpp_tests(path)
        assert name in known, f"promise {promise} names a test that is not there: {path}::{name}"


@pytest.mark.parametrize("path", ["README.md", *sorted(str(p.relative_to(ROOT)) for p in (ROOT / "docs").rglob("*.md"))])
def test_links_and_paths_lead_somewhere(path):
    text = read(path)
    folder = (ROOT / path).parent
    broken = [target for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text) if not (folder / target).exists()]
    broken += [target for target in re.findall(r"`((?:" + "|".join(FOLDERS) + r"|tests|deploy|docs|bench)/[\w./]+\.\w+)`", text)
               if not (ROOT / target).exists()]
    assert broken == []
