"""Agents, databases and the broker die during load: nothing is lost, nothing happens twice, all regions end equal."""

from collections import defaultdict

import pytest

from harness.marked_load import SCHEMA, TABLES, MarkedLoad
from harness.raw_record import transactions
from harness.waiting import wait_until


def assert_intact(group, load):
    for region in group:
        region.agent.wait_ready()
    group.assert_converged("public.account", "pgduet_test.marker")
    load.assert_all_took_effect_once()
    if group.transport == "kafka":
        assert_topics_hold_each_transaction_once(group)


def assert_topics_hold_each_transaction_once(group):
    """One number for each transaction, no number twice, and nothing that was written elsewhere."""
    for region in group:
        numbers, positions = defaultdict(set), defaultdict(set)
        for record in transactions(group.broker.consume(group.topics[region.name])):
            assert record.origin == region.name.encode()
            numbers[record.commit_lsn].add(record.sequence)
            positions[record.sequence].add(record.commit_lsn)
            for other in group:
                assert other is region or f"<{other.name}".encode() not in record.body
        assert all(len(found) == 1 for found in numbers.values()), f"{region.name} published a transaction under two numbers"
        assert all(len(found) == 1 for found in positions.values()), f"{region.name} gave a number twice"
        assert sorted(positions) == list(range(1, len(positions) + 1)), f"{region.name} left a number out"
        assert len(positions) == own_transactions(region), region.name


def own_transactions(region):
    """Each of the load's transactions inserts one marker, each of the harness's one row."""
    return region.sql("SELECT (SELECT count(*) FROM mark WHERE region = %s) + "
                      "(SELECT count(*) FROM pgduet_test.marker WHERE region = %s)", (region.name, region.name))[0][0]


def make(group_on, transport, regions, **kwargs):
    return group_on(transport, list(regions), schema=SCHEMA, tables=TABLES, **kwargs)


@pytest.mark.short
@pytest.mark.parametrize("transport, regions, cycles", [("kafka", "ab", 12), ("direct", "ab", 10), ("kafka", "abc", 10)])
def test_agents_are_killed_during_load(group_on, seeded_random, transport, regions, cycles):
    group = make(group_on, transport, regions)
    with MarkedLoad(group, seeded_random) as load:
        for _ in range(cycles):
            load.pause_at_random(seeded_random, 0.8)
            agent = group[seeded_random.choice(regions)].agent
            agent.kill()
            agent.start(wait=seeded_random.random() < 0.3)
    assert_intact(group, load)


def test_all_agents_are_killed_at_once(make_group, seeded_random):
    group = make_group(["a", "b"], schema=SCHEMA, tables=TABLES)
    with MarkedLoad(group, seeded_random) as load:
        for _ in range(3):
            load.pause_at_random(seeded_random, 0.8)
            for region in group:
                region.agent.kill()
            load.pause_at_random(seeded_random, 0.3)
            group.start_agents()
    assert_intact(group, load)


@pytest.mark.parametrize("transport, regions, cycles", [("kafka", "ab", 5), ("direct", "ab", 4), ("kafka", "abc", 4)])
def test_databases_stop_at_once_during_load(group_on, seeded_random, transport, regions, cycles):
    """`pg_ctl stop -m immediate` with fsync on: the database comes back by recovery, without its last asynchronous commits."""
    group = make(group_on, transport, regions, settings={"fsync": "on", "wal_writer_delay": "10s"})
    with MarkedLoad(group, seeded_random) as load:
        for _ in range(cycles):
            load.pause_at_random(seeded_random, 1.0)
            postgres = group[seeded_random.choice(regions)].postgres
            postgres.stop("immediate")
            load.pause_at_random(seeded_random, 0.3)
            postgres.start()
    assert_intact(group, load)


def test_a_database_and_its_agent_die_together(make_group, seeded_random):
    group = make_group(["a", "b"], schema=SCHEMA, tables=TABLES, settings={"fsync": "on", "wal_writer_delay": "10s"})
    with MarkedLoad(group, seeded_random) as load:
        for name in ("a", "b", "a"):
            load.pause_at_random(seeded_random, 0.8)
            group[name].agent.kill()
            group[name].postgres.kill()
            group[name].postgres.start()
            group[name].agent.start(wait=False)
    assert_intact(group, load)


@pytest.mark.parametrize("regions, cycles", [("ab", 5), ("abc", 2)])
def test_the_broker_is_killed_during_load(group_on, own_broker, seeded_random, regions, cycles):
    group = make(group_on, "kafka", regions, broker=own_broker)
    with MarkedLoad(group, seeded_random) as load:
        for _ in range(cycles):
            load.pause_at_random(seeded_random, 1.0)
            own_broker.kill()
            load.pause_at_random(seeded_random, 0.5)
            own_broker.start()
            load.pause_at_random(seeded_random, 0.5)
    assert_intact(group, load)


def test_links_break_during_load(make_group, seeded_random):
    group = make_group(["a", "b"], schema=SCHEMA, tables=TABLES)
    with MarkedLoad(group, seeded_random) as load:
        for _ in range(6):
            reader, origin = seeded_random.choice([("a", "b"), ("b", "a")])
            link = group.link(reader, origin)
            seeded_random.choice([link.cut, link.stall])()
            load.pause_at_random(seeded_random, 0.5)
            link.heal()
            load.pause_at_random(seeded_random, 0.5)
    assert_intact(group, load)


def test_what_was_written_while_the_broker_was_away_arrives(group_on, own_broker):
    group = make(group_on, "kafka", "ab", broker=own_broker)
    group.wait_converged()
    own_broker.kill()
    for number in range(200):
        group["a"].sql("INSERT INTO account VALUES (%s, 'away')", (number,))
    own_broker.start()
    group.assert_converged("public.account")
    wait_until(lambda: group["b"].sql("SELECT count(*) FROM account") == [(200,)], "what was written while the broker was away")
