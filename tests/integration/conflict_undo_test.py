"""Undo: the losing side of a conflict written back, as a new ordinary write that replicates and wins."""

import subprocess

import pytest

from harness.agent import binary
from harness.conflict_log import FAILURE, SCHEMA, TABLES, call, group, listed, meet, meet_updates, refused, shared  # noqa: F401
from harness.waiting import wait_until


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
