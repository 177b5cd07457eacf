"""The conflict log for people: list, show, dismiss, undo, replay, retention, and who may read it."""

import json
import subprocess

import pytest
import yaml

from harness import configuration
from harness.agent import binary
from harness.waiting import wait_until, wait_until_equal

FAILURE, USAGE = 1, 2

SCHEMA = """
CREATE TYPE pair AS (x int, y json);
CREATE TABLE item (id int PRIMARY KEY, name text, value int NOT NULL DEFAULT 0);
CREATE TABLE other (id int PRIMARY KEY, name text);
CREATE TABLE rich (
  code numeric(10,2) PRIMARY KEY, number int GENERATED ALWAYS AS IDENTITY, amount numeric(30,10), doubled numeric GENERATED ALWAYS AS (amount * 2) STORED,
  plain json, binary_json jsonb, composite pair, list int[], words text[], at timestamptz, bytes bytea, span int4range, bits bit(3), narrow varchar(5));
CREATE SCHEMA "My Schema";
CREATE TABLE "My Schema"."Tab.le" ("The ""Key" text, part int, "Va lue" text, PRIMARY KEY ("The ""Key", part)) PARTITION BY LIST (part);
CREATE TABLE one PARTITION OF "My Schema"."Tab.le" FOR VALUES IN (1);
CREATE TABLE two PARTITION OF "My Schema"."Tab.le" FOR VALUES IN (2);
CREATE TABLE indexed (id int NOT NULL, name text, value int);
CREATE UNIQUE INDEX indexed_by_id ON indexed (id);
ALTER TABLE indexed REPLICA IDENTITY USING INDEX indexed_by_id;
CREATE TABLE whole (id int PRIMARY KEY, name text);
ALTER TABLE whole REPLICA IDENTITY FULL;
"""
TABLES = ["public.item", "public.other", "public.rich", "public.indexed", "public.whole", '"My Schema"."Tab.le"']


@pytest.fixture(scope="module")
def shared(module_group):
    return module_group("direct", schema=SCHEMA, tables=TABLES)


@pytest.fixture
def group(shared):
    """The module's group with empty tables and empty logs."""
    for region in shared:
        region.sql("; ".join(f"DELETE FROM {table}" for table in TABLES))
        shared.wait_converged()
    for region in shared:
        region.sql("TRUNCATE pgduet.conflict RESTART IDENTITY")
    return shared


def call(region, command, *arguments):
    return json.loads(region.pgduet(f"conflicts {command}", "--json", *arguments).stdout)


def listed(region, *arguments):
    return call(region, "list", *arguments)


def refused(region, command, *arguments):
    """The name of the error."""
    done = region.pgduet(f"conflicts {command}", *arguments, check=False)
    assert done.returncode == FAILURE and done.stdout == "", done.stdout
    return done.stderr.split("[")[-1].split("]")[0]


def meet(group, first, second, before="INSERT INTO item VALUES (1, 'base', 0)"):
    """a writes `first`, b writes `second` without having seen it; b's is the later one and wins. The entry at b, where
    the loser is remote, and the one at a, where it is local."""
    group["a"].sql(before)
    group.wait_converged()
    group.write_late([("a", first), ("b", second)])
    wait_until(lambda: listed(group["a"]) and listed(group["b"]), "both regions to log the conflict")
    (at_a,), (at_b,) = listed(group["a"]), listed(group["b"])
    return {"a": at_a["id"], "b": at_b["id"]}


def meet_updates(group):
    return meet(group, "UPDATE item SET name = 'from a', value = 1 WHERE id = 1",
                "UPDATE item SET name = 'from b', value = 2 WHERE id = 1")


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


class TestUndo:
    """At a the loser is the local side, at b the remote one."""

    @pytest.mark.parametrize("where", ["a", "b"])
    def test_a_lost_update_is_written_again_and_replicates(self, group, where):
        ids = meet_updates(group)
        told = call(group[where], "undo", ids[where])
        assert told["action"] == "update" and told["before"]["name"] == "from b" and told["after"]["name"] == "from a"
        assert told["left"] == told["differs"] == []
        group.assert_converged("item")
        assert group["a"].rows("item") == [(1, "from a", 1)]
        assert [len(listed(region)) for region in group] == [1, 1], "an undo is no conflict"
        (one,) = listed(group[where])
        assert one["state"] == "undone" and one["undone_at"] and one["undone_by"]
        assert refused(group[where], "undo", ids[where]) == "undone_already"

    @pytest.mark.parametrize("where", ["a", "b"])
    def test_a_row_that_lost_to_a_delete_is_inserted_again(self, group, where):
        ids = meet(group, "UPDATE item SET name = 'from a' WHERE id = 1", "DELETE FROM item WHERE id = 1")
        assert call(group[where], "undo", ids[where])["action"] == "insert"
        group.assert_converged("item")
        assert group["a"].rows("item") == [(1, "from a", 0)]

    @pytest.mark.parametrize("where", ["a", "b"])
    def test_a_delete_that_lost_deletes_the_row(self, group, where):
        ids = meet(group, "DELETE FROM item WHERE id = 1", "UPDATE item SET name = 'from b' WHERE id = 1")
        assert listed(group[where])[0]["lost"] == "delete"
        assert call(group[where], "undo", ids[where])["action"] == "delete"
        group.assert_converged("item")
        assert group["a"].rows("item") == []

    @pytest.mark.parametrize("where", ["a", "b"])
    def test_a_lost_insert_replaces_the_other_one(self, group, where):
        ids = meet(group, "INSERT INTO item VALUES (7, 'from a', 1)", "INSERT INTO item VALUES (7, 'from b', 2)", before="SELECT 1")
        assert call(group[where], "undo", ids[where])["action"] == "update"
        group.assert_converged("item")
        assert group["a"].rows("item") == [(7, "from a", 1)]

    @pytest.mark.parametrize("where", ["a", "b"])
    @pytest.mark.parametrize("later", ["UPDATE item SET name = 'from b' WHERE id = 1", "UPDATE item SET value = 9 WHERE id = 1",
                                       "DELETE FROM item WHERE id = 1"])
    def test_a_row_that_was_changed_since_is_left_alone(self, group, where, later):
        """Also when it was set to the very values that it had."""
        ids = meet_updates(group)
        group["b"].sql(later)
        group.wait_converged()
        rows = group[where].rows("item")
        assert refused(group[where], "undo", ids[where]) == "row_changed_since"
        assert group[where].rows("item") == rows and listed(group[where])[0]["state"] == "open"
        call(group[where], "undo", ids[where], "--force")
        group.assert_converged("item")
        assert group["a"].rows("item") == [(1, "from a", 1)]

    def test_a_dry_run_shows_the_effect_and_changes_nothing(self, group):
        ids = meet_updates(group)
        shown = group["a"].pgduet("conflicts undo", ids["a"], "--dry-run").stdout
        assert shown.startswith("dry run, nothing is changed; ")
        assert ["name", "from", "b", "from", "a", "*"] in [line.split() for line in shown.splitlines()]
        assert group["a"].rows("item") == [(1, "from b", 2)] and listed(group["a"])[0]["state"] == "open"
        call(group["a"], "undo", ids["a"])  # and it can be done after

    def test_an_undo_can_be_undone_by_its_own_conflict_only_with_force(self, group):
        ids = meet_updates(group)
        call(group["a"], "undo", ids["a"])
        group.wait_converged()
        assert refused(group["b"], "undo", ids["b"]) == "row_changed_since"

    def test_every_kind_of_value_comes_back(self, group):
        values = ("42.00, 5, 12345678901234567890.0123456789, '{\"b\":  1, \"b\": 2}', '{\"x\": [1, {\"y\": null}]}', "
                  "ROW(1, '{\"a\":  1}')::pair, '{{1,NULL},{3,4}}', '{\"a,b\",\"q\\\"uote\",\"\"}', '2026-01-02 03:04:05.678901+00', '\\x00ff', '[1,5)', "
                  "B'101', 'abc'")
        columns = "code, number, amount, plain, binary_json, composite, list, words, at, bytes, span, bits, narrow"
        group["a"].sql(f"INSERT INTO rich ({columns}) OVERRIDING SYSTEM VALUE VALUES ({values})")
        group.wait_converged()
        before = group["a"].text_rows("rich")
        for loser, winner, action in (
                ("UPDATE rich SET narrow = 'abc'", "UPDATE rich SET amount = 1, plain = NULL, binary_json = '[]', composite = NULL, list = NULL, "
                 "words = '{}', at = NULL, bytes = '', span = 'empty', bits = B'000', narrow = NULL", "update"),
                ("UPDATE rich SET narrow = 'abc'", "DELETE FROM rich", "insert")):
            for where in "ab":
                for region in group:
                    region.sql("TRUNCATE pgduet.conflict")
                group.write_late([("a", loser), ("b", winner)])
                wait_until(lambda: listed(group["a"]) and listed(group["b"]), "the conflict to be logged")
                (one,) = listed(group[where], "--table", "public.rich")
                told = call(group[where], "undo", one["id"])
                assert told["action"] == action and told["differs"] == []
                assert [left["column"] for left in told["left"]] == (["number"] if action == "update" else [])
                group.assert_converged("rich")
                assert group["a"].text_rows("rich") == before

    @pytest.mark.parametrize("table, insert, update, where", [
        ('"My Schema"."Tab.le"', """('a "quoted" \\\\ key', 2, 'base')""", """SET "Va lue" = '{}'""", "part = 2"),
        ("indexed", "(1, 'base', 1)", "SET name = '{}'", "id = 1"),
        ("whole", "(1, 'base')", "SET name = '{}'", "id = 1")])
    @pytest.mark.parametrize("where_undone", ["a", "b"])
    def test_names_keys_and_partitions_of_every_kind(self, group, table, insert, update, where, where_undone):
        group["a"].sql(f"INSERT INTO {table} VALUES {insert}")
        group.wait_converged()
        updated = f"UPDATE {table} {update.format('from a')} WHERE {where}"
        for winner in (f"UPDATE {table} {update.format('from b')} WHERE {where}", f"DELETE FROM {table} WHERE {where}"):
            for region in group:
                region.sql("TRUNCATE pgduet.conflict")
            group.write_late([("a", updated), ("b", winner)])
            wait_until(lambda: listed(group["a"]) and listed(group["b"]), "both regions to log the conflict")
            (one,) = listed(group[where_undone])
            assert call(group[where_undone], "show", one["id"])["now"]["stands"]
            call(group[where_undone], "undo", one["id"])
            group.assert_converged(table)
            assert "from a" in group["b"].text_rows(table)[0]

    def test_a_key_that_was_changed_since_finds_no_row(self, group):
        ids = meet_updates(group)
        group["a"].sql("UPDATE pgduet.conflict SET key = '{\"former\": 1}'")
        assert "now:      not known: the table has another key" in group["a"].pgduet("conflicts show", ids["a"]).stdout
        assert refused(group["a"], "undo", ids["a"], "--force") == "key_differs"

    def test_large_values_that_the_log_lacks_are_kept(self, group):
        large = "SELECT string_agg(md5(i::text), '') FROM generate_series(1, 4000) i"
        ids = meet(group, "UPDATE item SET value = 1 WHERE id = 1", "UPDATE item SET value = 2 WHERE id = 1",
                   before=f"INSERT INTO item VALUES (1, ({large}))")
        text = group["a"].sql(large)[0][0]
        call(group["b"], "undo", ids["b"])
        group.assert_converged("item")
        assert group["a"].rows("item") == [(1, text, 1)]

    def test_a_row_to_insert_must_be_complete(self, group):
        ids = meet(group, "UPDATE item SET name = 'from a' WHERE id = 1", "DELETE FROM item WHERE id = 1")
        group["b"].sql("UPDATE pgduet.conflict SET remote_row = remote_row - 'value'")  # as with an unchanged large value
        assert refused(group["b"], "undo", ids["b"]) == "row_incomplete"
        assert refused(group["b"], "undo", ids["b"], "--force") == "row_incomplete"
        assert group["b"].rows("item") == [] and listed(group["b"])[0]["state"] == "open"

    def test_a_column_that_is_gone_is_left_out(self, group):
        ids = meet_updates(group)
        group["a"].sql("UPDATE pgduet.conflict SET local_row = local_row || '{\"former\": 1}'")
        told = call(group["a"], "undo", ids["a"])
        assert told["left"] == [{"column": "former", "reason": "the table has no such column"}]
        assert group["a"].rows("item") == [(1, "from a", 1)]

    def test_triggers_fire_as_for_an_application(self, group):
        for region in group:
            region.sql("CREATE TABLE public.seen (name text); GRANT ALL ON seen TO pgduet;"
                       "CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO seen VALUES (NEW.name); "
                       "NEW.value = 99; RETURN NEW; END'; CREATE TRIGGER see BEFORE UPDATE ON item FOR EACH ROW EXECUTE FUNCTION see()")
        try:
            ids = meet_updates(group)
            group["a"].sql("TRUNCATE seen")
            group["a"].sql("ALTER ROLE pgduet SET session_replication_role = replica")  # an undo does not take part in that
            group["a"].sql("UPDATE pgduet.conflict SET local_row = local_row || '{\"value\": 1}'")
            told = call(group["a"], "undo", ids["a"])
            assert told["differs"] == ["value"] and group["a"].rows("seen") == [("from a",)]
            group.assert_converged("item")
            assert group["b"].rows("item") == [(1, "from a", 99)]
        finally:
            group["a"].sql("ALTER ROLE pgduet RESET session_replication_role")
            for region in group:
                region.sql("DROP TRIGGER IF EXISTS see ON item; DROP FUNCTION see; DROP TABLE seen")

    @pytest.mark.parametrize("constraint", ["CHECK (name <> 'from a')", "CHECK (value > 1)"])
    def test_what_a_constraint_refuses_changes_nothing_and_tells_no_value(self, group, constraint):
        ids = meet_updates(group)
        group["a"].sql(f"ALTER TABLE item ADD CONSTRAINT guard {constraint}")
        try:
            done = group["a"].pgduet("conflicts undo", ids["a"], check=False)
            assert done.returncode == FAILURE and "[undo_refused]" in done.stderr and "constraint=guard" in done.stderr
            assert "from a" not in done.stderr
            assert group["a"].rows("item") == [(1, "from b", 2)] and listed(group["a"])[0]["state"] == "open"
        finally:
            group["a"].sql("ALTER TABLE item DROP CONSTRAINT guard")

    def test_a_deferred_constraint_speaks_in_a_dry_run(self, group):
        group["a"].sql("CREATE TABLE child (item int REFERENCES item DEFERRABLE INITIALLY DEFERRED)")
        try:
            ids = meet(group, "DELETE FROM item WHERE id = 1", "UPDATE item SET name = 'from b' WHERE id = 1")
            group["a"].sql("INSERT INTO child VALUES (1)")
            assert refused(group["a"], "undo", ids["a"], "--dry-run") == "undo_refused"
            assert group["a"].rows("item") == [(1, "from b", 0)]
        finally:
            group["a"].sql("DROP TABLE child")

    def test_it_waits_for_who_holds_the_row_and_then_sees_the_change(self, group):
        ids = meet_updates(group)
        with group["a"].transaction() as cursor:
            cursor.execute("UPDATE item SET name = 'in between' WHERE id = 1")
            waiting = subprocess.Popen([binary(), "conflicts", "undo", str(ids["a"]), "--config", group["a"].config_path,
                                        "--region", "a"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            wait_until(lambda: group["a"].sql("SELECT 1 FROM pg_stat_activity WHERE application_name = 'pgduet conflicts' "
                                              "AND wait_event_type = 'Lock'"), "the undo to wait")
        _, said = waiting.communicate(timeout=60)
        assert waiting.returncode == FAILURE and "[row_changed_since]" in said
        assert group["a"].rows("item", "name") == [("in between",)]


def test_a_batch_of_transactions_is_undone_row_by_row(group):
    """A backlog shares apply transactions: its rows carry one time, which is not that of the entry."""
    group["a"].sql("INSERT INTO item SELECT i, 'base' FROM generate_series(1, 20) i")
    group.wait_converged()
    one_by_one = "DO $$ BEGIN FOR i IN 1..{} LOOP {}; COMMIT; END LOOP; END $$"
    with group.paused():
        group["a"].sql(one_by_one.format(20, "UPDATE item SET name = 'from a', value = i WHERE id = i"))
        group["b"].sql(one_by_one.format(1500, "INSERT INTO other VALUES (i)"))  # meanwhile batches begin
        group["b"].sql(one_by_one.format(20, "UPDATE item SET name = 'from b', value = i WHERE id = i"))
        group["b"].sql(one_by_one.format(100, "UPDATE other SET name = 'x' WHERE id = i"))
    group.wait_converged()
    wait_until(lambda: len(listed(group["a"])) == 20, "the conflicts to be logged")
    assert group["a"].sql("SELECT count(DISTINCT t.xmin::text) < 20 FROM item t") == [(True,)], "no batch"
    for one in listed(group["a"]):
        assert call(group["a"], "show", one["id"])["now"]["stands"], one
        call(group["a"], "undo", one["id"])
    group.assert_converged("item")
    assert group["b"].rows("item") == [(number, "from a", number) for number in sorted(range(1, 21), key=lambda n: repr((n, "from a", n)))]


def test_undo_with_kafka(group_on):
    group = group_on("kafka", schema=SCHEMA, tables=TABLES)
    ids = meet_updates(group)
    call(group["b"], "undo", ids["b"])
    group.assert_converged("item")
    assert group["a"].rows("item") == [(1, "from a", 1)]
    assert [len(listed(region)) for region in group] == [1, 1]


def test_three_regions_agree_after_an_undo(group_on):
    group = group_on("direct", ["a", "b", "c"], schema=SCHEMA, tables=TABLES)
    group["c"].sql("INSERT INTO item VALUES (1, 'base', 0), (2, 'base', 0)")
    group.wait_converged()
    group.write_late([("a", "UPDATE item SET name = 'from a'"), ("b", "UPDATE item SET name = 'from b'"),
                      ("c", "DELETE FROM item WHERE id = 2"), ("c", "UPDATE item SET name = 'from c' WHERE id = 1")])
    group.assert_converged("item")
    wait_until(lambda: len(listed(group["a"], "--open")) >= 2, "the conflicts to be logged")
    lost_here = [one for one in listed(group["a"], "--open") if one["winner_region"] == "c"]
    for one in lost_here:
        entry = call(group["a"], "show", one["id"])
        if entry["now"]["stands"]:
            call(group["a"], "undo", one["id"])
    group.assert_converged("item")
    names = {name for _, name, _ in group["a"].rows("item")}
    assert len(group["a"].rows("item")) == 2 and names <= {"from a", "from b"}


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
