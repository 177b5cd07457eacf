"""Tables that differ between the regions: the stream stands before the change that cannot be taken, and goes on when it is mended."""

import pytest

from harness.streams import SCHEMA, TABLES, assert_flows, assert_resumes, assert_stops
from harness.waiting import wait_until


def test_different_tables_in_two_agents_files_are_named_and_the_stream_resumes(make_group):
    both = SCHEMA + "; CREATE TABLE extra (id int PRIMARY KEY)"
    group = make_group(["a", "b"], schema=both, tables=TABLES)
    group["a"].agent.stop()
    group.tables["public.extra"] = {}
    group.write_configurations()  # b's agent still runs with the old file
    group["a"].pgduet("init")
    group["a"].agent.start(wait=False)
    assert_stops(group, "b", "a", "policy_mismatch", "extra")
    group.expect_errors("policy_mismatch")
    group["a"].sql("INSERT INTO item VALUES (1)")
    group["b"].agent.stop()
    group["b"].pgduet("init")
    group["b"].agent.start()
    group["a"].agent.wait_ready()
    assert_resumes(group)
    assert group["b"].rows("item", "id") == [(1,)]


class TestTables:
    """A peer that cannot take a change: its stream stands before that transaction, and goes on when it can."""

    @pytest.mark.parametrize("harm, mend, error, said", [
        ("ALTER TABLE item RENAME TO hidden", "ALTER TABLE hidden RENAME TO item", "table_missing", "item"),
        ("ALTER TABLE item DROP COLUMN code", "ALTER TABLE item ADD COLUMN code text", "column_missing", "code"),
        ("ALTER TABLE item ALTER COLUMN name TYPE int USING 0", "ALTER TABLE item ALTER COLUMN name TYPE text", "value_refused", "item"),
        ("ALTER TABLE item ADD CONSTRAINT short CHECK (length(name) < 3)", "ALTER TABLE item DROP CONSTRAINT short", "check_violation", "short"),
        ("ALTER TABLE item ALTER COLUMN code SET NOT NULL", "ALTER TABLE item ALTER COLUMN code DROP NOT NULL", "not_null_violation", "code"),
        ("REVOKE INSERT ON item FROM pgduet", "GRANT INSERT ON item TO pgduet", "permission_denied", "item"),
        ("INSERT INTO item VALUES (99, 'taken', 'TAKEN-CODE')", "UPDATE item SET code = 'free' WHERE id = 99", "unique_violation", "item_code_key"),
    ], ids=lambda value: value if isinstance(value, str) and "_" in value and " " not in value else "")
    def test_a_change_that_a_peer_cannot_take_waits_for_the_mend(self, group_on, harm, mend, error, said):
        group = group_on("direct", schema=SCHEMA, tables=TABLES)
        group.wait_converged()
        with group.paused("b"):
            group["b"].sql(harm)
            group["a"].sql("INSERT INTO item VALUES (1, 'SECRET-NAME', %s)",
                           (None if error == "not_null_violation" else "TAKEN-CODE",))
            group["a"].sql("INSERT INTO item VALUES (2, 'later', 'later')")
            assert_stops(group, "b", "a", error, said)
            assert "SECRET-NAME" not in group["b"].agent.log_text()
            assert "TAKEN-CODE" not in group["b"].agent.log_text()
            assert "SECRET-NAME" not in group["b"].agent.http("/status")[1]
            group["b"].sql(mend)
            wait_until(lambda: group["b"].sql("SELECT count(*) FROM item WHERE id IN (1, 2)") == [(2,)], "the stream to go on")
        assert_resumes(group)
        assert group["b"].sql("SELECT name FROM item WHERE id = 1") == [("SECRET-NAME",)]

    def test_the_other_streams_go_on_while_one_stands(self, make_group):
        group = make_group(["a", "b", "c"], schema=SCHEMA, tables=TABLES)
        group.wait_converged()
        # c does not hear of the row that b cannot take: what has seen it waits for it, wherever it was written.
        with group.paused("a", "c"):
            group["b"].sql("ALTER TABLE item ADD CONSTRAINT short CHECK (length(name) < 6)")
            group["a"].sql("INSERT INTO item VALUES (1, 'too long')")
            assert_stops(group, "b", "a", "check_violation")
            assert_flows(group, "c", "b", 50)
            assert_flows(group, "c", "a", 51)
            group["b"].sql("ALTER TABLE item DROP CONSTRAINT short")
        assert_flows(group, "a", "c", 52)
        assert_flows(group, "b", "c", 53)
        assert_resumes(group)
