"""The conflict log for people: list, show, dismiss, replay, retention, and who may read it. Undo: conflict_undo_test.py."""

import subprocess

import pytest
import yaml

from harness import configuration
from harness.agent import binary
from harness.conflict_log import FAILURE, SCHEMA, TABLES, USAGE, call, group, listed, meet, meet_updates, refused, shared  # noqa: F401
from harness.waiting import wait_until, wait_until_equal


class TestList:
    @pytest.fixture
    def group(self, group):
        group["a"].sql("INSERT INTO item VALUES (1, 'base'), (2, 'base'), (3, 'base')")
        group["a"].sql("INSERT INTO other VALUES (1, 'base')")
        group.wait_converged()
        group.write_late([("a", "UPDATE item SET name = 'from a'"), ("a", "UPDATE other SET name = 'from a'"),
                          ("b", "DELETE FROM item WHERE id = 3"), ("b", "UPDATE item SET name = 'from b'"),
                          ("b", "UPDATE other SET name = 'from b'")])
        wait_until(lambda: len(listed(group["a"])) == 4, "the conflicts to be logged")
        return group

    def ids(self, region, *arguments):
        return [one["id"] for one in listed(region, *arguments)]

    def test_filters(self, group):
        region = group["a"]
        assert len(self.ids(region, "--table", "public.item")) == 3
        assert len(self.ids(region, "--kind", "update_origin_differs")) == 3
        assert len(self.ids(region, "--side", "b")) == len(self.ids(region, "--side", "a")) == 4
        assert self.ids(region, "--side", "c") == []
        assert len(self.ids(region, "--policy", "last_write_wins")) == 4 and self.ids(region, "--policy", "error") == []
        assert len(self.ids(region, "--since", "1 hour")) == 4 and self.ids(region, "--until", "1 hour") == []
        assert self.ids(region, "--since", "2100-01-01 00:00") == [] and len(self.ids(region, "--until", "2100-01-01")) == 4
        assert refused(region, "list", "--until", "sometime") == "bad_filter"

    def test_pages(self, group):
        region = group["a"]
        every = self.ids(region)
        assert every == sorted(every, reverse=True)
        first = region.pgduet("conflicts list", "--limit", "3").stdout
        assert first.splitlines()[-1] == f"older ones: add --before {every[2]}"
        assert self.ids(region, "--limit", "3", "--before", every[2]) == every[3:]
        assert "older ones" not in region.pgduet("conflicts list", "--limit", "4").stdout

    def test_open_ones(self, group):
        region = group["a"]
        every = self.ids(region, "--open")
        assert len(every) == 4
        region.pgduet("conflicts dismiss", every[0], every[1])
        assert self.ids(region, "--open") == every[2:]
        assert [one["state"] for one in listed(region)] == ["dismissed", "dismissed", "open", "open"]

    def test_wrong_arguments(self, group):
        for arguments in (("--limit", "0"), ("--before", "x"), ("--open", "--nothing")):
            assert group["a"].pgduet("conflicts list", *arguments, check=False).returncode == USAGE


def test_both_sides_that_say_the_same_lost_nothing(group):
    ids = meet(group, "UPDATE item SET name = 'same' WHERE id = 1", "UPDATE item SET name = 'same' WHERE id = 1")
    assert [one["state"] for one in listed(group["a"])] == ["nothing_lost"] and listed(group["a"], "--open") == []
    assert refused(group["a"], "undo", ids["a"]) == "nothing_to_undo"


def test_entries_of_a_row_are_in_the_order_of_its_changes(group):
    """Also in one transaction, where they show different columns: a delete only the key, an update the row."""
    group["a"].sql("INSERT INTO item VALUES (1, 'base'), (2, 'base')")
    group.wait_converged()
    group.write_late([("a", "DELETE FROM item WHERE id = 1; UPDATE item SET name = 'from a' WHERE id = 2; DELETE FROM item WHERE id = 2"),
                      ("b", "UPDATE item SET name = 'from b'")])
    logged = group["b"].sql("SELECT key->>'id', remote_operation FROM pgduet.conflict WHERE decision = 'keep_local' ORDER BY id")
    assert logged == [("1", "delete"), ("2", "update"), ("2", "delete")]


class TestShow:
    def test_both_rows_the_rule_and_the_row_now(self, group):
        ids = meet_updates(group)
        lines = group["a"].pgduet("conflicts show", ids["a"]).stdout.splitlines()
        rows = [line.split() for line in lines]
        assert ["name", "from", "b", "from", "a", "from", "b", "*"] in rows and ["id", "1", "1", "1"] in rows
        assert ["value", "2", "1", "2", "*"] in rows
        text = "\n".join(lines)
        assert "remote (won)" in text and "local (lost)" in text and "now:      as decided" in text
        assert "rule:     last_write_wins: the later commit wins; b committed " in text
        told = call(group["a"], "show", ids["a"])
        assert told["remote_row"] == {"id": 1, "name": "from b", "value": 2} and told["local_row"]["name"] == "from a"
        assert told["now"] == {"stands": True, "text": "as decided", "row": told["remote_row"]}

    def test_what_came_later_is_told(self, group):
        ids = meet_updates(group)
        group["a"].sql("UPDATE item SET name = 'later' WHERE id = 1")
        group.wait_converged()
        for region in group:
            told = call(region, "show", ids[region.name])
            assert not told["now"]["stands"] and told["now"]["text"].startswith("written since by a at ")
            assert told["now"]["row"]["name"] == "later"
        group["b"].sql("DELETE FROM item")
        group.wait_converged()
        assert call(group["a"], "show", ids["a"])["now"] == {"stands": False, "text": "deleted since", "row": None}

    def test_numbers_keep_their_digits(self, group):
        digits = "12345678901234567890.1234567890"
        group["a"].sql("INSERT INTO rich (code) VALUES (1)")
        group.wait_converged()
        group.write_late([("a", f"UPDATE rich SET amount = {digits}"), ("b", "UPDATE rich SET amount = 1.50")])
        wait_until(lambda: listed(group["a"]), "the conflict to be logged")
        one = listed(group["a"])[0]["id"]
        assert digits in group["a"].pgduet("conflicts show", one).stdout
        for command in (["show", one], ["list"]):
            assert f'"amount": {digits}' in group["a"].pgduet(f"conflicts {command[0]}", "--json", *command[1:]).stdout

    def test_large_values_are_cut_and_still_compared_as_a_whole(self, group):
        long = "repeat('long ', 100000) || E'\\n' || "
        ids = meet(group, f"UPDATE item SET name = {long} 'a' WHERE id = 1", f"UPDATE item SET name = {long} 'b' WHERE id = 1")
        shown = group["a"].pgduet("conflicts show", ids["a"]).stdout
        (line,) = [line for line in shown.splitlines() if line.split()[:1] == ["name"]]
        assert len(shown) < 5000 and line.count("... (500002 bytes)") == 3 and line.endswith("*")
        assert len(call(group["a"], "show", ids["a"])["remote_row"]["name"]) == 500002

    def test_an_entry_outlives_its_table(self, group):
        ids = meet_updates(group)
        group["a"].sql("ALTER TABLE item RENAME TO renamed")
        try:
            shown = group["a"].pgduet("conflicts show", ids["a"]).stdout
            assert "from a" in shown and "now:      not known: table is missing" in shown
            assert refused(group["a"], "undo", ids["a"]) == "table_missing"
        finally:
            group["a"].sql("ALTER TABLE renamed RENAME TO item")


class TestDismiss:
    def test_who_when_and_why_is_kept(self, group):
        ids = meet_updates(group)
        group["a"].pgduet("conflicts dismiss", ids["a"], "--note", "the customer said so")
        (one,) = listed(group["a"])
        assert one["dismissed_at"] and one["dismissed_by"] and one["note"] == "the customer said so"
        assert "dismissed by" in group["a"].pgduet("conflicts show", ids["a"]).stdout
        group["a"].pgduet("conflicts dismiss", ids["a"], "--note", "twice")
        (again,) = listed(group["a"])
        assert again["dismissed_at"] == one["dismissed_at"] and again["note"] == "twice"
        assert listed(group["b"])[0]["state"] == "open"  # each region has a log of its own

    def test_all_or_none(self, group):
        ids = meet_updates(group)
        assert refused(group["a"], "dismiss", ids["a"], 999, 998) == "no_such_conflict"
        assert listed(group["a"])[0]["state"] == "open"
        for arguments in ((), ("one",), (ids["a"], "--all")):
            assert group["a"].pgduet("conflicts dismiss", *arguments, check=False).returncode == USAGE
        assert listed(group["a"])[0]["state"] == "open"

    def test_all_open_ones_that_a_filter_lets_through(self, group):
        ids = meet_updates(group)
        assert call(group["a"], "dismiss", "--all", "--table", "public.other") == {"dismissed": 0}
        assert call(group["a"], "dismiss", "--all", "--until", "1 hour") == {"dismissed": 0}
        assert listed(group["a"])[0]["state"] == "open"
        assert call(group["a"], "dismiss", "--all", "--table", "public.item", "--note", "a load test") == {"dismissed": 1}
        assert listed(group["a"])[0]["note"] == "a load test"
        assert call(group["a"], "dismiss", "--all") == {"dismissed": 0}
        call(group["b"], "undo", ids["b"])
        assert call(group["b"], "dismiss", ids["b"]) == {"dismissed": 0} and listed(group["b"])[0]["state"] == "undone"


class TestReplay:
    def replay(self, group, tmp_path, region="a", **changes):
        """With the region's own configuration, changed."""
        document = configuration.merged(group.configuration(region), changes)
        path = tmp_path / "other.yaml"
        configuration.write(path, document)
        return path, call(group[region], "replay", "--policy", path)

    def test_the_same_configuration_decides_the_same(self, group, tmp_path):
        ids = meet_updates(group)
        path, told = self.replay(group, tmp_path)
        assert (told["same"], told["different"], told["not_decided"]) == (1, 0, 0)
        assert told["conflicts"] == [{"id": ids["a"], "decision": "apply_remote", "replayed": "apply_remote", "reason": None, "differs": False}]
        assert "same: 1   different: 0   not decided: 0" in group["a"].pgduet("conflicts replay", "--policy", path).stdout

    def test_equal_times_go_by_the_order_of_regions(self, group, tmp_path):
        meet_updates(group)
        group["a"].sql("UPDATE pgduet.conflict SET local_time = remote_time")
        assert self.replay(group, tmp_path)[1]["different"] == 0
        document = group.configuration("a")
        document["regions"] = dict(reversed(document["regions"].items()))
        configuration.write(tmp_path / "reversed.yaml", document)
        told = call(group["a"], "replay", "--policy", tmp_path / "reversed.yaml")
        assert told["different"] == 1 and told["conflicts"][0]["replayed"] == "keep_local"
        assert listed(group["a"])[0]["state"] == "open" and group["a"].rows("item") == [(1, "from b", 2)], "a dry run"

    def test_what_the_other_configuration_does_not_know_is_told(self, group, tmp_path):
        meet_updates(group)
        document = group.configuration("a")
        del document["tables"]["public.item"]
        configuration.write(tmp_path / "other.yaml", document)
        (one,) = call(group["a"], "replay", "--policy", tmp_path / "other.yaml")["conflicts"]
        assert one["replayed"] is None and one["reason"] == "the table is not in it"
        document = group.configuration("a")
        document["regions"] = {name.replace("b", "elsewhere"): region for name, region in document["regions"].items()}
        configuration.write(tmp_path / "other.yaml", document)
        (one,) = call(group["a"], "replay", "--policy", tmp_path / "other.yaml")["conflicts"]
        assert one["replayed"] is None and one["reason"] == "it has no region b"

    def test_a_file_that_is_none(self, group, tmp_path):
        assert refused(group["a"], "replay", "--policy", tmp_path / "nowhere.yaml") == "config_unreadable"
        (tmp_path / "wrong.yaml").write_text("group: [", encoding="utf-8")
        assert refused(group["a"], "replay", "--policy", tmp_path / "wrong.yaml") == "invalid_config"


class TestRetention:
    @pytest.fixture(scope="class")
    def limited(self, group_of_class):
        return group_of_class("direct", schema=SCHEMA, tables=TABLES, extra={"conflict_log": {"keep": "1h", "max_rows": 50}})

    @pytest.fixture
    def region(self, limited):
        limited["a"].sql("TRUNCATE pgduet.conflict RESTART IDENTITY")
        return limited["a"]

    def add(self, region, count, **columns):
        """Entries as apply writes them, with other columns where they are given."""
        names = "".join(f", {name}" for name in columns)
        values = "".join(f", {value}" for value in columns.values())
        region.sql("INSERT INTO pgduet.conflict (table_schema, table_name, key_digest, key, kind, policy, decision, remote_operation, remote_row, "
                   f"remote_region, remote_time, local_operation, local_row, local_region, local_time{names}) SELECT 'public', 'item', "
                   "gen_random_uuid(), '{\"id\": 1}', 'update_origin_differs', 'last_write_wins', 'keep_local', 'update', '{\"id\": 1, \"name\": \"x\"}', "
                   f"'b', now(), 'row', '{{\"id\": 1, \"name\": \"y\"}}', 'a', now(){values} FROM generate_series(1, {count})")

    def wait_ids(self, region, expected):
        wait_until_equal(lambda: [row[0] for row in region.sql("SELECT id FROM pgduet.conflict ORDER BY id")], expected, "what is left")

    def test_old_entries_go_open_or_not(self, region):
        before = region.agent.metric("pgduet_conflict_log_removed_rows_total", reason="age")
        self.add(region, 2, logged_at="now() - interval '61 minutes'")
        self.add(region, 1, logged_at="now() - interval '61 minutes'", dismissed_at="now()")
        self.add(region, 2, logged_at="now() - interval '50 minutes'")
        self.wait_ids(region, [4, 5])
        wait_until_equal(lambda: region.agent.metric("pgduet_conflict_log_removed_rows_total", reason="age") - before, 3, "the metric")
        wait_until_equal(lambda: region.agent.metric("pgduet_conflict_log_rows"), 2, "the metric")
        assert region.agent.metric("pgduet_conflict_log_bytes") >= 8192

    def test_too_many_go_those_first_that_were_dealt_with(self, region):
        before = region.agent.metric("pgduet_conflict_log_removed_rows_total", reason="count")
        self.add(region, 30)
        self.add(region, 10, dismissed_at="now()")
        self.add(region, 5, undone_at="now()")
        self.add(region, 5)
        self.add(region, 20)
        self.wait_ids(region, [*range(6, 31), *range(46, 71)])
        wait_until_equal(lambda: region.agent.metric("pgduet_conflict_log_removed_rows_total", reason="count") - before, 20, "the metric")

    def test_more_than_one_round_can_take(self, region):
        self.add(region, 5000, logged_at="now() - interval '2 hours'")
        self.add(region, 1)
        self.wait_ids(region, [5001])

    def test_an_entry_that_somebody_works_on_keeps_nobody_waiting(self, region):
        region.agent.stop()
        self.add(region, 3, logged_at="now() - interval '2 hours'")
        with region.transaction() as cursor:
            cursor.execute("SELECT FROM pgduet.conflict WHERE id = 2 FOR UPDATE")
            region.agent.start()
            self.wait_ids(region, [2])
        self.wait_ids(region, [])


def test_nobody_else_reads_or_changes_the_log(group):
    """Row values of all tables stand there."""
    region = group["a"]
    meet_updates(group)
    region.postgres.sql("CREATE ROLE curious LOGIN; GRANT pg_read_all_stats, pg_monitor TO curious")
    try:
        for privilege in ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"):
            assert region.sql("SELECT has_table_privilege('curious', 'pgduet.conflict', %s)", (privilege,)) == [(False,)]
        assert region.sql("SELECT has_schema_privilege('curious', 'pgduet', 'USAGE'), has_schema_privilege('curious', 'pgduet', 'CREATE')") == [
            (False, False)]
        # Not by the table's grants, nor by the schema's.
        assert region.sql("SELECT coalesce(relacl::text, '') FROM pg_class WHERE oid = 'pgduet.conflict'::regclass") == [("",)]
        document = yaml.safe_load(open(region.config_path, encoding="utf-8"))
        document["regions"]["a"]["postgres"] = document["regions"]["a"]["postgres"].replace("user=pgduet", "user=curious")
        path = f"{region.config_path}.curious"
        configuration.write(path, document)
        for command in (["list"], ["show", "1"], ["undo", "1"], ["dismiss", "1"]):
            done = subprocess.run([binary(), "conflicts", *command, "--config", path, "--region", "a"], capture_output=True, text=True)
            assert done.returncode == FAILURE and done.stdout == "" and "[not_initialized]" in done.stderr
    finally:
        region.postgres.sql("DROP ROLE curious")
