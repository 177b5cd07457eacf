"""A slot that is gone or was moved: the stream stands, and nothing is hidden."""

from harness.streams import SCHEMA, TABLES, assert_flows, assert_stops, findings


class TestSlot:
    def slot(self, group, to=None):
        return f"pgduet_{group.name}_main" + (f"_to_{to}" if to else "")

    def test_a_missing_slot_stops_capture_and_is_not_made_anew(self, group_on):
        group = group_on("kafka", schema=SCHEMA, tables=TABLES)
        group["a"].agent.stop()
        group["a"].sql("INSERT INTO item VALUES (1)")
        group["a"].sql("SELECT pg_drop_replication_slot(%s)", (self.slot(group),))
        group["a"].agent.start(wait=False)
        assert_stops(group, "a", "capture", "slot_missing", self.slot(group), "docs/operations/errors.md")
        assert_flows(group, "b", "a", 2)
        assert "[slot_missing]" in findings(group["a"]) and "[slot_missing]" in findings(group["a"], "init")
        assert group["a"].sql("SELECT count(*) FROM pg_replication_slots") == [(0,)]
        assert group["b"].rows("item", "id") == [(2,)]

    def test_a_missing_slot_for_a_peer_stops_that_peers_stream(self, group_on):
        group = group_on("direct", schema=SCHEMA, tables=TABLES)
        group["b"].agent.stop()
        group["a"].sql("SELECT pg_drop_replication_slot(%s)", (self.slot(group, "b"),))
        group["b"].agent.start(wait=False)
        assert_stops(group, "b", "a", "slot_missing", self.slot(group, "b"))
        assert_flows(group, "b", "a", 2)

    def test_a_slot_ahead_of_the_topic_stops_capture(self, group_on):
        group = group_on("kafka", schema=SCHEMA, tables=TABLES)
        group["a"].agent.stop()
        group["a"].sql("INSERT INTO item VALUES (1)")
        group["a"].sql("SELECT pg_replication_slot_advance(%s, pg_current_wal_lsn())", (self.slot(group),))
        group["a"].agent.start(wait=False)
        assert_stops(group, "a", "capture", "slot_ahead_of_topic", self.slot(group), "confirmed=", "topic=")
        assert_flows(group, "b", "a", 2)
        assert group["b"].rows("item", "id") == [(2,)]
