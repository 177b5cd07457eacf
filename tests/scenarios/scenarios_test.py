"""Conflicts as other systems' test suites know them, through SQL: each folder beside this file is one. See README.md.

All scenarios of two regions share one group for each transport, those of three another: starting one takes seconds. After a
failure the next scenario gets a fresh group.
"""

import re
from dataclasses import replace

import pytest

from harness.fixtures import TRANSPORTS
from harness.group import Group
from runner.outcome import assert_as_expected, outcome
from runner.scenario import FOLDER, Refused, all_scenarios, read_steps
from runner.stage import Stage

SCENARIOS = all_scenarios()
INDEX = FOLDER.parents[1] / "docs/scenarios.md"
SETTINGS = {"max_prepared_transactions": 10, "wal_writer_delay": "10s"}  # a crash takes asynchronous commits back
# In this order each group is made once, one at a time, and the last is the one that TestRunner uses.
CASES = [(transport, count, scenario) for transport in TRANSPORTS for count in (3, 2)
         for scenario in SCENARIOS if len(scenario.regions) == count]


class Groups:
    """The group that is running now; made anew when a scenario asks for another one."""

    def __init__(self, workspace, link_host, broker):
        self._fixed = workspace, link_host
        self._broker = broker
        self._group = self._key = None
        self.spoiled = False  # by a scenario that failed half way; its servers live until the failure is reported

    def get(self, transport, count):
        if self._key != (transport, count) or self.spoiled:
            self.close()
            self._group = self._start(transport, [s for s in SCENARIOS if len(s.regions) == count])
            self._key = transport, count
        return self._group

    def _start(self, transport, scenarios):
        regions = scenarios[0].regions
        schemas = {region: "".join(f"CREATE SCHEMA {s.name}; SET search_path = {s.name}; {s.schemas[region]}\n" for s in scenarios)
                   for region in regions}
        tables = {f"{s.name}.{table}": s.policies.get(table, {}) | ({"on_unique": "park_loser"} if table in s.parking_tables else {})
                  for s in scenarios for table in s.tables}
        group = Group(*self._fixed, regions, tables, schemas=schemas,
                      transport=transport, broker=self._broker() if transport == "kafka" else None, settings=SETTINGS)
        try:
            return group.start()
        except BaseException:
            group.close(check=False)
            raise

    def close(self):
        group, self._group, self._key = self._group, None, None
        check, self.spoiled = not self.spoiled, False
        if group is not None:
            group.close(check)


@pytest.fixture(scope="module")
def groups(request, workspace, link_host):
    made = Groups(workspace, link_host, lambda: request.getfixturevalue("shared_broker"))
    yield made
    made.close()


@pytest.mark.parametrize("transport, count, scenario", CASES, ids=lambda value: str(value))
def test_scenario(groups, transport, count, scenario):
    group = groups.get(transport, count)
    groups.spoiled = True
    with Stage(group, scenario) as stage:
        stage.play()
        found = outcome(group, scenario)
    group.assert_no_unexpected_errors()
    groups.spoiled = False
    assert_as_expected(scenario, found)


class TestRunner:
    """What is expected is really compared."""

    @pytest.mark.parametrize("written, wrong", [
        ("4 | from a", "4 | from b"),  # another winner
        ("  4 | from a\n", "  4 | from a\n  5 | from a\n"),  # a row that is not there
        ("  4 | from a\n", "  none\n"),  # a row that should not be there
        ("keep_local", "apply_remote"),
        ("insert_exists", "update_exists"),
        ('"note": "from b"}', '"note": "from a"}'),  # the losing row
        ("conflicts at b:\n  insert_exists", "conflicts at b:\n  none\n  insert_exists"),
    ])
    def test_a_wrong_expectation_fails(self, written, wrong):
        right = next(s for s in SCENARIOS if s.name == "one_key_inserted_at_both_regions")
        assert_as_expected(right, right.expected)
        assert written in right.expected
        with pytest.raises(AssertionError, match="came out otherwise"):
            assert_as_expected(replace(right, expected=right.expected.replace(written, wrong, 1)), right.expected)

    def test_a_wrong_expectation_fails_when_it_is_played(self, groups):
        group = groups.get("direct", 2)
        quiet = next(s for s in SCENARIOS if s.name == "insert_and_update_in_one_transaction")
        wrong = replace(quiet, expected=quiet.expected.replace("updated", "inserted", 1),
                        steps=(*read_steps("-- at b\nDELETE FROM item;\n-- wait", "steps"), *quiet.steps))
        with Stage(group, wrong) as stage:
            stage.play()
            found = outcome(group, wrong)
        with pytest.raises(AssertionError, match="came out otherwise"):
            assert_as_expected(wrong, found)
        assert_as_expected(quiet, found)

    def test_a_step_that_is_not_true_fails_with_its_line(self, groups):
        group = groups.get("direct", 2)
        untrue = replace(SCENARIOS[0], steps=tuple(read_steps("\n-- true at a\nSELECT 1 = 2;", "steps")))
        with pytest.raises(AssertionError, match="steps.sql:2: at a, SELECT 1 = 2; gives"), Stage(group, untrue) as stage:
            stage.play()

    @pytest.mark.parametrize("text, said", [
        ("INSERT INTO item VALUES (1);", "x:1: SQL without a directive"),
        ("-- at a\nSELECT 1;\n-- wiat", "x:3: unknown directive '-- wiat'"),
        ("-- at d\nSELECT 1;", "x:1: unknown directive"),
        ("-- wait\nSELECT 1;", "x:2: SQL without a directive"),
        ("-- at a\nSELECT 1", "x:1: a statement is missing, or its semicolon"),
        ("-- at a", "x:1: a statement is missing"),
        ("-- true at a\nSELECT 1;\nSELECT 2;", "x:1: exactly one statement"),
    ])
    def test_steps_that_are_not_understood_are_refused(self, text, said):
        with pytest.raises(Refused, match=said):
            read_steps(text, "x")

    def test_statements_and_their_lines_are_kept_together(self):
        first, second = read_steps("-- at a\nUPDATE t\nSET x = 1;\nSELECT 2;\n-- # why\n-- pause a to b", "x")
        assert (first.verb, first.arguments, first.statements) == ("sql", {"region": "a"}, ["UPDATE t\nSET x = 1;", "SELECT 2;"])
        assert (second.verb, second.arguments) == ("pause", {"origin": "a", "reader": "b"})


class TestIndex:
    """docs/scenarios.md names every folder, once, and no other; each folder says where its scenario comes from."""

    ROWS = re.findall(r"^\| (\d+) \|.*\| ([^|]+) \|$", INDEX.read_text(encoding="utf-8"), re.MULTILINE)

    def test_each_folder_is_in_the_index(self):
        named = [folder for _, last in self.ROWS for folder in re.findall(r"tests/scenarios/(\w+)\)", last)]
        assert sorted(set(named)) == [scenario.name for scenario in SCENARIOS]

    def test_each_row_has_a_folder_or_a_test_or_a_reason(self):
        assert len(self.ROWS) == len({number for number, _ in self.ROWS}) == 40
        shown = ("tests/scenarios/", "_test.py::", "Not yet")
        assert [number for number, last in self.ROWS if not any(how in last for how in shown)] == []

    @pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
    def test_the_folder_names_its_source(self, scenario):
        text = (FOLDER / scenario.name / "README.md").read_text(encoding="utf-8")
        numbers = re.findall(r"\d+", re.match(r"Source: ([\d, and]+)\(", text).group(1))
        rows = [number for number, last in self.ROWS if f"tests/scenarios/{scenario.name})" in last]
        assert sorted(numbers) == sorted(rows)
        assert "Expected:" in text and "Why:" in text
