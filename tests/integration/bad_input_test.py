"""Whatever is wrong has a name, says what, where and how to mend it, stops its own stream only, and goes on when it is mended."""

import pytest
import yaml
from confluent_kafka.admin import ConfigResource

from harness.agent import pgduet
from harness.group import Group
from harness.raw_record import RawRecord, packed, records, transactions
from harness.waiting import wait_until, wait_until_equal

SCHEMA = "CREATE TABLE item (id int PRIMARY KEY, name text, code text UNIQUE)"
TABLES = ["public.item"]


def stream(agent, name):
    code, _ = agent.http("/status")
    found = [one for one in agent.status()["streams"] if one["name"] == name] if code == 200 else []
    return found[0] if found else {"state": "", "error": "", "message": "", "remedy": ""}


def assert_stops(group, region, name, error, *said):
    """The stream stands, and everything that tells about it names the error, what and where it is, and the mend."""
    agent = group[region].agent
    group.expect_errors(error)
    wait_until(lambda: stream(agent, name)["error"] == error and stream(agent, name)["state"] == "stopped",
               lambda: f"stream {name} of {region} to stop with {error}; it is {stream(agent, name)}")
    wait_until(lambda: agent.metric("pgduet_stream_stopped", stream=name, error=error) == 1, "the metric")
    assert agent.metric("pgduet_stream_errors_total", stream=name, error=error) >= 1
    told = stream(agent, name)
    assert told["remedy"], told
    for text in said:
        assert text in told["message"] + told["remedy"], (text, told)
    lines = [line for found, line in agent.error_lines() if found == error]
    assert lines and all('remedy="' in line and 'message="' in line for line in lines), lines
    wait_until(lambda: agent.http("/readyz")[0] == 503, "readiness to go")
    assert agent.http("/livez")[0] == 200
    wait_until(lambda: error in group[region].pgduet("status", check=False).stdout, "the status command to name the error")


def assert_flows(group, writer, reader, number):
    """A row written at one region arrives at the other: that stream goes on."""
    group[writer].sql("INSERT INTO item VALUES (%s, 'flows')", (number,))
    wait_until(lambda: group[reader].sql("SELECT 1 FROM item WHERE id = %s", (number,)), f"a row of {writer} at {reader}")


def assert_resumes(group):
    """After the mend, without a restart: everything arrives, and the metric says so."""
    group.assert_converged()
    for region in group:
        wait_until(lambda: region.agent.metric("pgduet_stream_stopped") == 0, "no stopped stream in the metrics")
        region.agent.wait_ready()


class TestConfiguration:
    """Commands and agent end with exit code 2, and name file, line, key and remedy."""

    DOCUMENT = """\
group: shop
transport: direct
regions:
  a:
    postgres: host=/nowhere dbname=shop
  b:
    postgres: host=/elsewhere dbname=shop
tables:
  public.item: {}
"""

    @pytest.mark.parametrize("command", ["check", "agent", "init", "status"])
    @pytest.mark.parametrize("before, after, said", [
        ("transport:", "transprot:", ["bad.yaml:2", "transprot", "unknown key", "did you mean 'transport'"]),
        ("dbname=shop", "dbnam=shop password=sesame", ["bad.yaml:5", "regions.a.postgres", "bad connection string"]),
        ("  b:", "  a:", ["bad.yaml:6", "regions.a", "duplicate key", "line 4"]),
        ("item: {}", "item: {}\n  public.item: {}", ["bad.yaml:10", "tables.public.item", "duplicate key"]),
        ("item: {}", "item: {policy: versions, columns: {n: counter}}", ["bad.yaml:9", "tables.public.item.columns", "'merge'", "'versions'"]),
        ("item: {}", "item: {policy: latest_wins}", ["bad.yaml:9", "tables.public.item.policy", "'latest_wins'"]),
        ("item: {}", "item: {on_delete: delete_wins}", ["bad.yaml:9", "tables.public.item.on_delete", "newest_wins"]),
        ("public.item: {}", "item: {}", ["bad.yaml:9", "tables.item", "schema.table"]),
        ("transport: direct", "transport: kafka", ["bad.yaml:4", "regions.a.kafka.brokers", "missing"]),
        ("  b:\n    postgres: host=/elsewhere dbname=shop\n", "", ["regions", "at least two"]),
        ("group: shop", "group: ${PGDUET_TEST_UNSET}", ["bad.yaml:1", "PGDUET_TEST_UNSET", "not set"]),
        ("group: shop", "group: [", ["bad.yaml", "YAML"]),
    ])
    def test_a_wrong_file_is_refused(self, tmp_path, command, before, after, said):
        path = tmp_path / "bad.yaml"
        path.write_text(self.DOCUMENT.replace(before, after, 1))
        done = pgduet(command, "--config", path, "--region", "a", check=False)
        assert done.returncode == 2
        assert "[invalid_config]" in done.stderr and done.stdout == ""
        for text in said:
            assert text in done.stderr
        assert "sesame" not in done.stderr

    def test_a_property_that_correctness_depends_on_is_refused(self, tmp_path):
        path = tmp_path / "bad.yaml"
        path.write_text(self.DOCUMENT + "kafka: {properties: {acks: '1'}}\n")
        done = pgduet("check", "--config", path, "--region", "a", check=False)
        assert done.returncode == 2
        assert "bad.yaml:10: kafka.properties.acks" in done.stderr and "[invalid_config]" in done.stderr

    @pytest.mark.parametrize("arguments, error", [(["--region", "elsewhere"], "unknown_region"), ([], "unknown_region")])
    def test_a_missing_or_unknown_region_is_refused(self, tmp_path, arguments, error):
        path = tmp_path / "good.yaml"
        path.write_text(self.DOCUMENT)
        done = pgduet("check", "--config", path, *arguments, check=False)
        assert done.returncode == 2
        assert f"[{error}]" in done.stderr and "a b" in done.stderr and "--region" in done.stderr

    def test_a_file_that_cannot_be_read_is_named(self, tmp_path):
        done = pgduet("check", "--config", tmp_path / "none.yaml", "--region", "a", check=False)
        assert done.returncode == 2
        assert "none.yaml" in done.stderr and "[config_unreadable]" in done.stderr

    def test_no_file_and_no_command_are_usage_errors(self):
        done = pgduet("check", "--region", "a", check=False)
        assert done.returncode == 2 and "PGDUET_CONFIG" in done.stderr
        assert pgduet(check=False).returncode == 2
        assert pgduet("chekc", check=False).returncode == 2

    def test_an_unreachable_database_is_named(self, tmp_path):
        path = tmp_path / "good.yaml"
        path.write_text(self.DOCUMENT)
        for command in ("check", "init", "status", "lag"):
            done = pgduet(command, "--config", path, "--region", "a", check=False)
            assert done.returncode == 1
            assert "[database_unavailable]" in done.stdout + done.stderr, command


def findings(region, command="check"):
    """What check or init says: its whole output. Neither may succeed."""
    done = region.pgduet(command, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout + done.stderr


class TestDatabase:
    def test_a_server_with_wrong_settings_is_refused_with_the_statements_that_mend_it(self, group_on):
        group = group_on("direct", ["a", "b", "c"], schema=SCHEMA, tables=TABLES, start=False, settings={
            "wal_level": "replica", "track_commit_timestamp": "off", "max_replication_slots": 1, "max_wal_senders": 1})
        group.start_databases()
        group.write_configurations()
        for command in ("check", "init"):
            if command == "check":
                group["a"].postgres.sql("CREATE ROLE pgduet LOGIN REPLICATION")
            said = findings(group["a"], command)
            for name, mend in (("wal_level", "ALTER SYSTEM SET wal_level = logical"),
                               ("track_commit_timestamp", "ALTER SYSTEM SET track_commit_timestamp = on"),
                               ("too_few_slots", "ALTER SYSTEM SET max_replication_slots"),
                               ("too_few_wal_senders", "ALTER SYSTEM SET max_wal_senders"),
                               ("too_few_origins", "ALTER SYSTEM SET max_replication_slots")):
                assert f"[{name}]" in said and mend in said, (command, name, said)
        assert group["a"].sql("SELECT count(*) FROM pg_namespace WHERE nspname = 'pgduet'") == [(0,)]

    def test_an_agent_refuses_a_server_that_lost_its_commit_timestamps(self, group_on):
        group = group_on("direct", schema=SCHEMA, tables=TABLES)
        group["a"].sql("INSERT INTO item VALUES (1)")
        group.wait_converged()
        group["b"].agent.stop()
        group["b"].postgres.set(track_commit_timestamp="off")
        group["b"].postgres.restart()
        group.expect_errors("track_commit_timestamp")
        group["b"].agent.start(wait=False)
        wait_until(lambda: group["b"].agent.http("/status")[0] == 200
                   and group["b"].agent.status().get("error") == "track_commit_timestamp", "the agent to refuse the server")
        assert "ALTER SYSTEM" in group["b"].agent.status()["remedy"]
        assert group["b"].agent.http("/readyz")[0] == 503
        group["b"].postgres.set(track_commit_timestamp="on")
        group["b"].postgres.restart()
        assert_resumes(group)

    def test_a_role_without_rights_is_told_which(self, group_on):
        group = group_on("direct", schema=SCHEMA, tables=TABLES, start=False)
        group.start_databases()
        group.write_configurations()
        group["a"].postgres.sql("CREATE ROLE pgduet LOGIN")
        said = findings(group["a"])
        for name, mend in (("replication_right_missing", "ALTER ROLE pgduet REPLICATION"),
                           ("replica_role_refused", "GRANT SET ON PARAMETER session_replication_role TO pgduet"),
                           ("origin_right_missing", "GRANT EXECUTE ON FUNCTION pg_catalog.pg_replication_origin"),
                           ("table_right_missing", "GRANT SELECT, INSERT, UPDATE, DELETE"),
                           ("not_initialized", "pgduet init")):
            assert f"[{name}]" in said and mend in said, (name, said)

    def test_init_without_an_administrator_names_the_statement_that_was_refused(self, group_on):
        group = group_on("direct", schema=SCHEMA, tables=TABLES, start=False)
        group.start_databases()
        group["a"].postgres.sql("CREATE ROLE pgduet LOGIN REPLICATION")
        document = group.configuration("a")
        del document["regions"]["a"]["postgres_admin"]
        group["a"].sql("GRANT SELECT, INSERT, UPDATE, DELETE ON item, pgduet_test.marker TO pgduet; GRANT USAGE ON SCHEMA pgduet_test TO pgduet")
        with open(group["a"].config_path, "w", encoding="utf-8") as file:
            yaml.safe_dump(document, file, sort_keys=False)
        said = findings(group["a"], "init")
        assert "[admin_right_missing]" in said and "CREATE SCHEMA pgduet" in said and "postgres_admin" in said

    @pytest.mark.parametrize("schema, error, mend", [
        ("CREATE TABLE item (id int, name text)", "key_missing", "ALTER TABLE public.item ADD PRIMARY KEY"),
        ("SELECT", "table_missing", "Create it"),
        ("CREATE VIEW item AS SELECT 1 AS id", "table_kind", "configuration"),
        ("CREATE UNLOGGED TABLE item (id int PRIMARY KEY)", "table_not_logged", "ALTER TABLE public.item SET LOGGED"),
        ("CREATE TABLE item (id int PRIMARY KEY); ALTER TABLE item REPLICA IDENTITY NOTHING", "replica_identity_nothing",
         "ALTER TABLE public.item REPLICA IDENTITY DEFAULT"),
        ("CREATE TABLE item (id jsonb PRIMARY KEY)", "key_type_unsupported", "another type"),
    ])
    def test_a_table_that_cannot_replicate_is_refused_with_its_mend(self, group_on, schema, error, mend):
        group = group_on("direct", schema=schema, tables=TABLES, start=False)
        group.start_databases()
        group.write_configurations()
        group["a"].postgres.sql("CREATE ROLE pgduet LOGIN REPLICATION")
        for command in ("check", "init"):
            said = findings(group["a"], command)
            assert f"[{error}]" in said and "item" in said, (command, said)
            assert mend.replace("public.item", "") .strip() in said or mend.replace("public.item", '"public"."item"') in said, said
        assert group["a"].sql("SELECT count(*) FROM pg_namespace WHERE nspname = 'pgduet'") == [(0,)]

    def test_an_agent_of_a_region_that_was_not_set_up_says_so_and_starts_after_init(self, group_on):
        group = group_on("direct", schema=SCHEMA, tables=TABLES, start=False)
        group.start_databases()
        group.write_configurations()
        group["a"].pgduet("init")
        group["b"].postgres.sql("CREATE ROLE pgduet LOGIN REPLICATION")
        group.expect_errors("not_initialized", "slot_missing", "database_unavailable")
        group["b"].agent.start(wait=False)
        wait_until(lambda: group["b"].agent.http("/status")[0] == 200
                   and group["b"].agent.status().get("error") == "not_initialized", "the agent to say what is missing")
        assert "pgduet init" in group["b"].agent.status()["remedy"]
        assert group["b"].agent.http("/readyz")[0] == 503
        group["b"].pgduet("init")
        group["a"].agent.start(wait=False)
        group["b"].agent.wait_ready()
        group["a"].agent.wait_ready()
        group.assert_converged()

    def test_two_regions_that_lead_to_one_database_are_refused(self, group_on):
        group = group_on("direct", schema=SCHEMA, tables=TABLES)
        group.stop_agents()
        document = group.configuration("b")
        document["regions"]["b"]["postgres"] = group.configuration("a")["regions"]["a"]["postgres"]
        document["regions"]["b"].pop("postgres_admin")
        with open(group["b"].config_path, "w", encoding="utf-8") as file:
            yaml.safe_dump(document, file, sort_keys=False)
        said = findings(group["b"])
        assert "[identity_mismatch]" in said and "region" in said


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


@pytest.fixture(scope="module")
def topic_of_a(workspace, link_host, shared_broker):
    """A group of which only b runs; `a` has published a few transactions and does not run any more."""
    group = Group(workspace, link_host, ["a", "b"], TABLES, schema=SCHEMA, transport="kafka", broker=shared_broker).start()
    for number in range(3):
        group["a"].sql("INSERT INTO item VALUES (%s, 'sound')", (number,))
    group.wait_converged()
    group.stop_agents()
    group.sound_records = [message.value() for message in shared_broker.consume(group.topics["a"])]
    yield group
    group.close(check=False)


class TestRecords:
    """Bytes that somebody else wrote to the topic: the stream stops before them, and nothing of them takes effect."""

    @staticmethod
    def next_record(group):
        last = transactions(_Bytes(value) for value in group.sound_records)[-1]
        return last.changed(sequence=last.sequence + 1, commit_lsn=last.commit_lsn + 80,
                            through_lsn=last.through_lsn + 80, commit_time=last.commit_time + 1000,
                            body=last.body.replace(b"sound", b"wrong"))

    CHANGES = {
        "of another group": (lambda r: r.changed(group=b"other").encode(), "foreign_group", "other"),
        "of another region": (lambda r: r.changed(origin=b"b").encode(), "foreign_origin", "found=b"),
        "of a region that is not in the group": (lambda r: r.changed(origin=b"mallory").encode(), "foreign_origin", "mallory"),
        "of another set": (lambda r: r.changed(set=b"side").encode(), "foreign_origin", "side"),
        "of another rank": (lambda r: r.changed(rank=1).encode(), "foreign_origin", "order of the regions"),
        "of another incarnation": (lambda r: r.changed(incarnation=r.incarnation ^ 1).encode(), "incarnation_changed", "found="),
        "of a later version": (lambda r: r.changed(protocol=4).encode(), "unsupported_protocol", "Upgrade"),
        "with a flipped bit": (lambda r: _flipped(r.encode()), "corrupt_record", "checksum"),
        "that is a truncated pack": (lambda r: packed([r.encode(), r.encode()])[:-7], "corrupt_record", "pack"),
        "that is truncated": (lambda r: r.encode()[:-7], "corrupt_record", "truncated"),
        "that is empty": (lambda r: b"", "corrupt_record", "offset="),
        "that is no record": (lambda r: b'{"payload": "hello"}', "corrupt_record", "offset="),
        "that is too large": (lambda r: r.changed(body=b"x" * 1_000_000).encode(), "oversized_record", "max="),
        "with a body that is none": (lambda r: r.changed(body=b"\xff" * 40).encode(), "invalid_record", "offset="),
        "with other policies": (lambda r: r.changed(policy_hash=r.policy_hash ^ 1).encode(), "policy_mismatch", "policies"),
        "that leaves a number out": (lambda r: r.changed(sequence=r.sequence + 1).encode(), "sequence_gap", "expected="),
        "with a number that was used": (lambda r: r.changed(sequence=r.sequence - 1).encode(), "invalid_record", "sequence="),
        "that goes back in the log": (lambda r: r.changed(commit_lsn=1000).encode(), "invalid_record", "lsn=")}

    @pytest.mark.parametrize("what", CHANGES)
    def test_a_record_stops_the_stream(self, topic_of_a, shared_broker, what):
        change, error, said = self.CHANGES[what]
        group, reader = topic_of_a, topic_of_a["b"]
        self.begin_anew(group, shared_broker)
        shared_broker.produce(group.topics["a"], [change(self.next_record(group)), self.next_record(group).encode()])
        reader.agent.start(wait=False)
        try:
            assert_stops(group, "b", "a", error, said, "offset=")
            assert reader.rows("item", "id, name") == [(number, "sound") for number in range(3)]
            self.assert_capture_goes_on(group, shared_broker)
        finally:
            reader.agent.stop()

    def test_a_sound_forgery_shows_that_these_tests_can_see(self, topic_of_a, shared_broker):
        """The record that all the others were made from is taken: what stopped them was the change."""
        group, reader = topic_of_a, topic_of_a["b"]
        self.begin_anew(group, shared_broker)
        shared_broker.produce(group.topics["a"], [self.next_record(group).encode()])
        reader.agent.start()
        wait_until_equal(lambda: reader.sql("SELECT sequence FROM pgduet.applied"),
                         [(self.next_record(group).sequence,)], "the next record to be applied")
        reader.agent.stop()

    def test_a_corrupt_end_of_its_own_topic_stops_capture(self, topic_of_a, shared_broker):
        group = topic_of_a
        self.begin_anew(group, shared_broker)
        shared_broker.produce(group.topics["a"], [_flipped(self.next_record(group).encode())])
        group["a"].agent.start(wait=False)
        try:
            assert_stops(group, "a", "capture", "corrupt_record", group.topics["a"])
        finally:
            group["a"].agent.stop()

    def test_a_topic_of_another_group_stops_capture(self, topic_of_a, shared_broker):
        group = topic_of_a
        self.begin_anew(group, shared_broker)
        shared_broker.produce(group.topics["a"], [self.next_record(group).changed(group=b"other").encode()])
        group["a"].agent.start(wait=False)
        try:
            assert_stops(group, "a", "capture", "foreign_group", "other")
        finally:
            group["a"].agent.stop()

    @staticmethod
    def begin_anew(group, broker):
        """b does not know that it has applied anything (a delete of the rows would be a local write, newer than a's), and a's topic
        holds what a has written."""
        topic = group.topics["a"]
        group["b"].sql("TRUNCATE pgduet.progress, pgduet.heartbeat, pgduet.conflict")
        group["b"].agent.log_path += "+"  # a log of its own for each
        broker.delete_topic(topic)
        broker.create_topic(topic, 1, {"retention.ms": "604800000", "max.message.bytes": "2097152"})
        broker.produce(topic, group.sound_records)

    @staticmethod
    def assert_capture_goes_on(group, broker):
        before = broker.end_offset(group.topics["b"])
        group["b"].sql("UPDATE pgduet_test.marker SET number = number WHERE region = 'b'")
        wait_until(lambda: transactions(broker.consume(group.topics["b"], start=before)), "b to go on publishing")


class _Bytes:
    """A message as far as transactions() looks at it."""

    def __init__(self, data):
        self._data = data

    def value(self):
        return self._data


def _flipped(data):
    middle = len(data) - 20  # in the body
    return data[:middle] + bytes([data[middle] ^ 0x10]) + data[middle + 1:]


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
