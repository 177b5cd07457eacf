"""conflict_log.topic: each entry of the conflict log is sent to a topic for others, at least once, whatever ends on the way."""

import json

import pytest

from harness.waiting import wait_until, wait_until_equal

SCHEMA = "CREATE TABLE item (id int PRIMARY KEY, name text)"
ROWS = 30


@pytest.fixture
def group(group_on):
    group = group_on("kafka", ["a", "b"], schema=SCHEMA, tables=["public.item"], extra={"conflict_log": {"topic": "true"}})
    group["a"].sql(f"INSERT INTO item SELECT i, 'start' FROM generate_series(1, {ROWS}) i")
    group.wait_converged()
    return group


def topic(group, region):
    return f"pgduet.{group.name}.{region}.conflicts"


def sent(group, region):
    return [json.loads(message.value()) for message in group.broker.consume(topic(group, region))]


def sent_ids(group, region):
    return {entry["id"] for entry in sent(group, region)}


def ids(group, region):
    return {row[0] for row in group[region].sql("SELECT id FROM pgduet.conflict")}


def meet(group, word):
    group.write_late([(region, f"UPDATE item SET name = '{word} {region}'") for region in "ab"])


def wait_all_sent(group):
    for region in "ab":
        wait_until_equal(lambda r=region: sent_ids(group, r), ids(group, region), f"the log of {region} in its topic")
        wait_until_equal(lambda r=region: group[r].agent.metric("pgduet_conflict_topic_behind_entries"), 0, "the metric")


def test_an_entry_is_sent_with_both_rows(group):
    meet(group, "by")
    wait_all_sent(group)
    entry = next(one for one in sent(group, "a") if one["key"] == {"id": 7})
    assert {name: entry[name] for name in ("region", "table_schema", "table_name", "kind", "policy", "decision", "remote_region", "local_region")} == {
        "region": "a", "table_schema": "public", "table_name": "item", "kind": "update_origin_differs", "policy": "last_write_wins",
        "decision": "apply_remote", "remote_region": "b", "local_region": "a"}
    assert entry["remote_row"] == {"id": 7, "name": "by b"} and entry["local_row"] == {"id": 7, "name": "by a"}
    assert "dismissed_at" not in entry and "key_digest" not in entry


def test_a_restart_sends_what_was_not_sent_and_the_rest_not_again(group):
    meet(group, "first")
    wait_all_sent(group)
    before = len(sent(group, "a"))
    for region in group:
        region.agent.restart()
    meet(group, "second")
    wait_all_sent(group)
    assert len(sent(group, "a")) == before + ROWS


def test_nothing_is_missed_while_agents_are_killed_and_an_id_is_held_back(group, seeded_random):
    """Ids are given out before their transactions commit: what commits late is sent, too."""
    meet(group, "first")
    wait_all_sent(group)
    [(columns,)] = group["a"].sql("SELECT string_agg(attname, ', ') FROM pg_attribute WHERE attrelid = 'pgduet.conflict'::regclass "
                                  "AND attnum > 0 AND NOT attisdropped AND attname NOT IN ('id', 'xid')")
    with group["a"].transaction() as cursor:
        # As apply does it: a transaction id first.
        cursor.execute("SELECT pg_current_xact_id()")
        cursor.execute(f"INSERT INTO pgduet.conflict ({columns}) SELECT {columns} FROM pgduet.conflict LIMIT 1 RETURNING id")
        [(late,)] = cursor.fetchall()
        for number in range(4):
            meet(group, f"round {number}")
            agent = group[seeded_random.choice("ab")].agent
            agent.kill()
            agent.start()
        assert max(ids(group, "a")) > late
        wait_until(lambda: group["a"].agent.metric("pgduet_conflict_topic_behind_entries") > 0, "the metric")
        assert late not in sent_ids(group, "a")
    wait_all_sent(group)
    assert late in sent_ids(group, "a")


def test_a_topic_that_is_away_loses_nothing_and_stops_nobody(group):
    group.broker.delete_topic(topic(group, "a"))
    meet(group, "by")
    group.assert_equal("public.item")
    wait_until(lambda: group["a"].agent.log_lines("the conflict log's topic is behind"), "the warning")
    group["a"].pgduet("init")
    wait_all_sent(group)
