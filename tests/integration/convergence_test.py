"""Regions that write at the same time to the same rows end with the same rows, and nothing is lost silently."""

import pytest

from harness.workload import (
    SCHEMA, TABLES, Workload, assert_conflicts_were_concurrent, assert_decisions_follow_versions, assert_no_silent_loss)


def assert_sound(group, history):
    group.assert_converged()
    assert_no_silent_loss(group, history)
    assert_conflicts_were_concurrent(group, history)
    assert_decisions_follow_versions(group)


@pytest.mark.short
@pytest.mark.parametrize("regions", ["ab", "abc"])
def test_concurrent_random_writes_converge(make_group, seeded_random, regions):
    group = make_group(list(regions), schema=SCHEMA, tables=TABLES)
    workload = Workload(group, seeded_random, clients=2, transactions=300 if len(regions) == 2 else 150).run()
    assert_sound(group, workload.history)


def test_writes_on_both_sides_of_a_cut_converge(make_group, seeded_random):
    group = make_group(["a", "b"], schema=SCHEMA, tables=TABLES)
    history = Workload(group, seeded_random, clients=1, transactions=50).run().history
    with group.paused():
        history += Workload(group, seeded_random, clients=1, transactions=100, name="late").run().history
    assert_sound(group, history)
    assert group["a"].conflicts() and group["b"].conflicts()


def test_a_backlog_of_three_regions_is_applied_in_batches_and_as_exactly(make_group, seeded_random):
    """What all of them wrote while nothing arrived: which transaction of a batch wrote a row is known, also after a restart."""
    group = make_group(["a", "b", "c"], schema=SCHEMA, tables=TABLES)
    history = Workload(group, seeded_random, clients=1, transactions=50).run().history
    for part in range(3):
        with group.paused():
            history += Workload(group, seeded_random, clients=1, transactions=150, name=f"late{part}").run().history
        if part == 1:
            region = group[seeded_random.choice("abc")]
            region.agent.kill()
            region.agent.start()
    assert_sound(group, history)
    batches = {region.name: region.sql("SELECT count(*) FROM pgduet.progress WHERE members IS NOT NULL")[0][0] for region in group}
    assert sum(batches.values()) > 0, batches
    assert all(region.conflicts() for region in group)


def test_writes_while_one_link_of_three_is_slow_converge(make_group, seeded_random):
    group = make_group(["a", "b", "c"], schema=SCHEMA, tables=TABLES)
    group.link("c", "a").delay(0.3)
    workload = Workload(group, seeded_random, clients=1, transactions=150).run()
    assert_sound(group, workload.history)


def test_a_few_hot_rows_converge(make_group, seeded_random):
    group = make_group(["a", "b"], schema=SCHEMA, tables=TABLES)
    workload = Workload(group, seeded_random, clients=3, transactions=200, keys=2).run()
    assert_sound(group, workload.history)


@pytest.mark.parametrize("identity", ["FULL", "USING INDEX"])
def test_other_replica_identities_converge(make_group, seeded_random, identity):
    suffix = {"FULL": 'ALTER TABLE account REPLICA IDENTITY FULL; ALTER TABLE "Stock" REPLICA IDENTITY FULL;',
              "USING INDEX": "ALTER TABLE account REPLICA IDENTITY USING INDEX account_pkey;"}[identity]
    group = make_group(["a", "b"], schema=SCHEMA + suffix, tables=TABLES)
    workload = Workload(group, seeded_random, clients=2, transactions=150).run()
    assert_sound(group, workload.history)


def test_a_delete_that_loses_to_a_later_one_is_told_at_its_region(make_group):
    """The later delete's tombstone takes the place of the earlier one's, which nobody could tell of any more; and what comes after it
    from the same region has seen it, and meets nothing."""
    group = make_group(["a", "b", "c"], schema="CREATE TABLE item (id int PRIMARY KEY, tag text)", tables=["public.item"])
    group["a"].sql("INSERT INTO item VALUES (1, 'start')")
    group.wait_converged()
    group.write_late([("b", "DELETE FROM item"), ("c", "DELETE FROM item"), ("c", "INSERT INTO item VALUES (1, 'again')")])
    group.assert_converged()
    assert group["b"].rows("item") == [(1, "again")]
    (told,) = group["b"].conflicts("item")
    assert (told["kind"], told["decision"], told["remote_region"], told["local_region"], told["local_operation"]) == \
        ("delete_missing", "apply_remote", "c", "b", "delete")


class TestConflictLog:
    """Both sides updated the same rows while nothing travelled: both logs tell the same story."""

    @pytest.fixture
    def group(self, make_group):
        group = make_group(["a", "b"], schema=SCHEMA, tables=TABLES)
        group["a"].sql("INSERT INTO account SELECT i, 'base' || i, NULL, 0 FROM generate_series(1, 20) i")
        group.wait_converged()
        return group

    def test_both_regions_log_the_same_conflicts(self, group):
        group.write_late([("a", "UPDATE account SET seen = tag, tag = 'a' || id"),
                          ("b", "UPDATE account SET seen = tag, tag = 'b' || id WHERE id <= 10")])
        group.assert_equal()
        assert sorted(group["a"].rows("account", "id, tag")) == sorted(
            (i, f"b{i}" if i <= 10 else f"a{i}") for i in range(1, 21))
        assert self._story(group["a"]) == self._story(group["b"]) == {(i, f"b{i}", f"a{i}") for i in range(1, 11)}
        for region, decision in (("a", "apply_remote"), ("b", "keep_local")):
            conflicts = group[region].conflicts("account")
            assert {c["decision"] for c in conflicts} == {decision}
            assert {c["kind"] for c in conflicts} == {"update_origin_differs"}

    def test_a_write_that_had_seen_the_other_is_no_conflict(self, group):
        for turn in range(5):
            for region in group:
                region.sql("UPDATE account SET seen = tag, tag = %s || id", (f"{region.name}{turn}",))
                group.wait_converged()
        assert group["a"].conflicts() == group["b"].conflicts() == []

    @staticmethod
    def _story(region):
        """{(key, winner, loser)}"""
        story = set()
        for conflict in region.conflicts("account"):
            tags = conflict["remote_row"]["tag"], conflict["local_row"]["tag"]
            winner, loser = tags if conflict["decision"] == "apply_remote" else reversed(tags)
            story.add((conflict["local_row"]["id"], winner, loser))
        return story

