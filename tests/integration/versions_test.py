"""The PostgreSQL versions that pgduet promises (15 to 18), in one group: each region runs another one.

All other tests run with one version everywhere: `./dev test --postgres 18` takes another one than the installed.
"""

import pytest

from harness import policy_load, workload
from harness.marked_load import SCHEMA as MARKED_SCHEMA, TABLES as MARKED_TABLES, MarkedLoad
from harness.policy_load import PolicyLoad, assert_same_versions
from harness.waiting import wait_until
from harness.workload import Workload, assert_conflicts_were_concurrent, assert_decisions_follow_versions, assert_no_silent_loss

VERSIONS = {"a": "15", "b": "16", "c": "17", "d": "18"}


def make(make_group, schema, tables):
    group = make_group(list(VERSIONS), schema=schema, tables=tables, versions=VERSIONS)
    assert {region.name: region.sql("SHOW server_version")[0][0].split(".")[0] for region in group} == VERSIONS
    return group


def test_check_finds_nothing_to_say_about_any_version(make_group):
    group = make(make_group, workload.SCHEMA, workload.TABLES)
    for region in group:
        assert "server_version" not in region.pgduet("check").stdout


def test_random_writes_converge_and_nothing_is_lost_silently(make_group, seeded_random):
    group = make(make_group, workload.SCHEMA, workload.TABLES)
    history = Workload(group, seeded_random, clients=1, transactions=60).run().history
    with group.paused():
        history += Workload(group, seeded_random, clients=1, transactions=60, name="late").run().history
    group.assert_converged()
    assert_no_silent_loss(group, history)
    assert_conflicts_were_concurrent(group, history)
    assert_decisions_follow_versions(group)


def test_every_policy_converges(make_group, seeded_random):
    group = make(make_group, policy_load.SCHEMA, policy_load.tables(list(VERSIONS)))
    with PolicyLoad(group, seeded_random, window=20) as load:
        wait_until(lambda: load.writes > 200, "writes")
    group.wait_converged()
    group.wait_converged()  # what capture notes of local writes comes a moment after their commit
    group.assert_equal()
    load.assert_counters_exact()
    assert_same_versions(group)


def test_killed_agents_apply_each_transaction_once(make_group, seeded_random):
    group = make(make_group, MARKED_SCHEMA, MARKED_TABLES)
    with MarkedLoad(group, seeded_random) as load:
        for region in group:
            load.pause_at_random(seeded_random, 0.5)
            region.agent.kill()
            region.agent.start(wait=False)
    for region in group:
        region.agent.wait_ready()
    group.assert_converged("public.account", "pgduet_test.marker")
    load.assert_all_took_effect_once()


def test_columns_that_are_computed_when_read_arrive_with_what_they_are_made_of(make_group):
    """PostgreSQL 18: virtual generated columns. They are nowhere stored, and in no WAL."""
    schema = "CREATE TABLE item (id int PRIMARY KEY, net numeric, gross numeric GENERATED ALWAYS AS (net * 1.19) VIRTUAL, tag text)"
    group = make_group(["a", "b"], schema=schema, tables=["public.item"], versions={"a": "18", "b": "18"})
    group["a"].sql("INSERT INTO item (id, net, tag) SELECT g, g, 'many' FROM generate_series(1, 50) g")
    group.wait_converged()
    group["b"].sql("UPDATE item SET net = 100 WHERE id = 1")
    group.wait_converged()
    group.write_late({"a": "UPDATE item SET tag = 'early' WHERE id = 2", "b": "UPDATE item SET net = 7 WHERE id = 2"})
    group.assert_converged()
    assert group["a"].sql("SELECT gross FROM item WHERE id IN (1, 2) ORDER BY id") == group["b"].sql(
        "SELECT gross FROM item WHERE id IN (1, 2) ORDER BY id")
    assert group["a"].sql("SELECT net, gross FROM item WHERE id = 1") == [(100, 119)]
    assert [entry["kind"] for entry in group["a"].conflicts()] == ["update_origin_differs"]


def test_a_primary_key_without_overlaps_is_refused_by_name(make_group):
    """PostgreSQL 18: rows that are no duplicates keep each other out, which no version decides."""
    schema = """CREATE EXTENSION btree_gist;
        CREATE TABLE booking (room int, during daterange, guest text, PRIMARY KEY (room, during WITHOUT OVERLAPS))"""
    group = make_group(["a", "b"], schema=schema, tables=["public.booking"], versions={"a": "18", "b": "18"}, start=False)
    group.start_databases()
    group.write_configurations()
    refused = group["a"].pgduet("init", check=False)
    assert refused.returncode == 1
    assert 'table="public"."booking" column=during type=daterange [key_type_unsupported]' in refused.stderr + refused.stdout
