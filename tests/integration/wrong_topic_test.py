"""A topic that is gone, was made anew, would lose records, or cannot be reached."""

import pytest
from confluent_kafka.admin import ConfigResource

from harness.raw_record import RawRecord, packed, records
from harness.streams import SCHEMA, TABLES, assert_flows, assert_resumes, assert_stops, findings, stream
from harness.waiting import wait_until


def alter_topic(broker, topic, **settings):
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
    for name, value in settings.items():
        resource.set_config(name.replace("_", "."), value)
    broker.admin.alter_configs([resource])[resource].result(30)


class TestTopic:
    WRONG = [
        (2, {}, "topic_partition_count", "kafka-topics.sh"),
        (1, {"cleanup.policy": "compact"}, "topic_cleanup_policy", "cleanup.policy=delete"),
        (1, {"retention.ms": "60000"}, "topic_retention_too_small", "retention.ms=604800000"),
        (1, {"retention.bytes": "1000000"}, "topic_retention_too_small", "retention.bytes=-1"),
        (1, {"max.message.bytes": "1000"}, "topic_message_size_too_small", "max.message.bytes="),
    ]

    def test_a_topic_that_would_lose_records_or_their_order_is_refused(self, group_on, shared_broker):
        group = group_on("kafka", schema=SCHEMA, tables=TABLES, start=False)
        group.start_databases()
        group.write_configurations()
        group["a"].postgres.sql("CREATE ROLE pgduet LOGIN REPLICATION")
        topic = group.topics["a"]
        for partitions, settings, error, mend in self.WRONG:
            shared_broker.create_topic(topic, partitions, {"retention.ms": "604800000", **settings})
            for command in ("check", "init"):
                said = findings(group["a"], command)
                assert f"[{error}]" in said and topic in said and mend in said, (command, said)
            shared_broker.delete_topic(topic)

    @pytest.mark.parametrize("settings, error", [
        ({"retention_ms": "60000"}, "topic_retention_too_small"), ({"cleanup_policy": "compact"}, "topic_cleanup_policy")])
    def test_an_agent_refuses_such_a_topic_and_goes_on_when_it_is_mended(self, group_on, shared_broker, settings, error):
        group = group_on("kafka", schema=SCHEMA, tables=TABLES)
        group["b"].agent.stop()
        alter_topic(shared_broker, group.topics["a"], **settings)
        group["b"].agent.start(wait=False)
        assert_stops(group, "b", "a", error, group.topics["a"], "kafka-configs.sh")
        assert_flows(group, "b", "a", 2)
        alter_topic(shared_broker, group.topics["a"], cleanup_policy="delete", retention_ms="604800000")
        assert_resumes(group)

    def test_a_missing_topic_stops_its_streams_and_its_recreation_hides_nothing(self, group_on, shared_broker):
        group = group_on("kafka", schema=SCHEMA, tables=TABLES)
        assert_flows(group, "a", "b", 1)
        group.stop_agents()
        shared_broker.delete_topic(group.topics["a"])
        group["a"].sql("INSERT INTO item VALUES (3)")
        for region in group:
            region.agent.start(wait=False)
        assert_stops(group, "a", "capture", "topic_missing", group.topics["a"], "pgduet init")
        assert_stops(group, "b", "a", "topic_missing", group.topics["a"])
        assert_flows(group, "b", "a", 2)
        shared_broker.create_topic(group.topics["a"], 1, {"retention.ms": "604800000"})
        assert_stops(group, "a", "capture", "slot_ahead_of_topic")
        assert_stops(group, "b", "a", "position_lost", group.topics["a"])
        assert_flows(group, "b", "a", 4)

    def test_a_topic_recreated_under_running_agents_hides_nothing(self, group_on, shared_broker):
        group = group_on("kafka", schema=SCHEMA, tables=TABLES)
        assert_flows(group, "a", "b", 1)
        group.expect_errors("topic_missing", "position_lost", "slot_ahead_of_topic", "sequence_gap")
        shared_broker.delete_topic(group.topics["a"])
        shared_broker.create_topic(group.topics["a"], 1, {"retention.ms": "604800000"})
        wait_until(lambda: stream(group["b"].agent, "a")["error"] in ("position_lost", "sequence_gap"), "b to see that a's topic is another")
        assert_flows(group, "b", "a", 2)

    def test_an_unreachable_broker_is_named_and_awaited(self, group_on, own_broker):
        group = group_on("kafka", schema=SCHEMA, tables=TABLES, broker=own_broker)
        own_broker.kill()
        said = findings(group["a"])
        assert "[broker_unreachable]" in said and own_broker.brokers in said
        for region in group:
            wait_until(lambda: any(stream(region.agent, name)["error"] == "broker_unreachable"
                                   for name in ("capture", "a", "b")), "the agent to name it")
        group["a"].sql("INSERT INTO item VALUES (1)")
        own_broker.start()
        assert_resumes(group)

    def test_records_that_were_deleted_before_they_were_read_stop_the_stream(self, group_on, shared_broker):
        group = group_on("kafka", ["a", "b", "c"], schema=SCHEMA, tables=TABLES)
        group.wait_converged()
        group["b"].agent.stop()
        group.link("c", "a").cut()  # what has seen a's rows would wait for them at b
        group.expect_errors("position_lost", "topic_missing")  # of c, in the end
        for number in range(5):
            group["a"].sql("INSERT INTO item VALUES (%s)", (number,))
        group["a"].agent.stop()
        kept = shared_broker.consume(group.topics["a"])
        lost = [record for m in kept for record in records(m.value()) if RawRecord.parse(record).kind == 1][-2]
        shared_broker.delete_topic(group.topics["a"])
        shared_broker.create_topic(group.topics["a"], 1, {"retention.ms": "604800000"})
        # The same offsets, without one transaction: as if it had been lost between two that are there.
        left = [[record for record in records(m.value()) if record != lost] for m in kept]
        shared_broker.produce(group.topics["a"], [packed(one) for one in left if one])
        group["b"].agent.start(wait=False)
        assert_stops(group, "b", "a", "sequence_gap", "expected=", "found=")
        assert_flows(group, "c", "b", 101)
