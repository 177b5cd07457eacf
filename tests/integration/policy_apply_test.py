"""`pgduet policy apply`: the policies of tables change in all regions while everybody writes, and no row is decided by two rules."""

import psycopg2
import pytest

from harness.policy_change import (COUNTER, COUNTERS, KEYS, LAST, SCHEMA, STRONGEST, VERSIONS, Change, Load, assert_clean, gate_times,
                                   going_without_a_gate, hash_of, settled, state)
from harness.waiting import wait_until, wait_until_equal


@pytest.mark.parametrize("regions", ["ab", "abc"])
def test_policies_change_under_load(make_group, seeded_random, regions):
    """Through all kinds of policies, and back; every table ends equal, and nothing of the old rule remains."""
    group = make_group(list(regions), schema=SCHEMA, tables=LAST)
    with Load(group, seeded_random, pause=0.02) as load:
        load.wait_for(40)
        for tables in (STRONGEST, COUNTER, LAST, VERSIONS, COUNTERS, LAST):
            Change(group, tables, "--discard-siblings").begin().succeed()
            load.wait_for(40)
    print(f"gates were closed for: {gate_times(group)}, {load.held} writes were told to try again")
    settled(group)
    assert_clean(group)
    for region in group:
        assert region.sql("SELECT count(*) FROM pgduet.row_state") == [(0,)]
        assert region.agent.metric("pgduet_policy_changes_total", result="applied") == 6


@pytest.mark.parametrize("regions", ["ab", "abc"])
def test_every_increment_counts_from_the_change_on_and_not_twice(make_group, seeded_random, regions):
    """last_write_wins loses increments; from the moment the change is made none is lost, whatever was in flight."""
    group = make_group(list(regions), schema=SCHEMA, tables=LAST)
    group["a"].sql("INSERT INTO item SELECT g FROM generate_series(0, %s) g", (KEYS - 1,))
    group.wait_converged()
    with Load(group, seeded_random, increments_only=True) as load:
        load.wait_for(60)
        Change(group, COUNTER).begin().succeed()
    settled(group)
    before = dict(group["a"].sql("SELECT id, n FROM item"))
    with Load(group, seeded_random, increments_only=True, pause=0.02) as load:
        load.wait_for(100)
        Change(group, COUNTERS).begin().succeed()
        load.wait_for(100)
    settled(group)
    # Both sets have the counter: what was committed counts, also while the gate was closed.
    assert dict(group["b"].sql("SELECT id, n FROM item")) == {key: n + load.added.get(key, 0) for key, n in before.items()}


def test_a_region_that_is_away_takes_the_change_back_everywhere(make_group, seeded_random):
    """It was told, and then it is gone: nobody waits for it longer than the patience, and nobody has switched."""
    group = make_group(["a", "b", "c"], schema=SCHEMA, tables=LAST)
    before = hash_of(group["a"])
    with Load(group, seeded_random) as load:
        load.wait_for(20)
        change = Change(group, COUNTER, "--patience", "10")
        with going_without_a_gate(group["c"], change):
            change.begin("a", "b")
            wait_until(lambda: state(group["a"]) == "going", "a's go", interval=0.01)
            group["c"].agent.kill()
            wait_until(lambda: group["a"].sql("SELECT 1 FROM pgduet.policy_notice WHERE rank = 1 AND kind = 'fenced'"), "b's mark in a")
        ended = change.end()
        assert {code for code, _ in ended.values()} == {1}, ended
        assert all("policy_change_aborted" in said for _, said in ended.values()), ended
        assert "no mark of c" in ended["a"][1], ended
        group["c"].agent.start()
        change.run("c", "--resume").wait(timeout=120)
        load.wait_for(20)
    settled(group)
    assert_clean(group)
    assert hash_of(group["a"]) == before
    Change(group, COUNTER).begin().succeed()  # all are there
    settled(group)


def test_writes_wait_at_the_gate_and_are_told_to_try_again(make_group):
    """b has sent its mark and hears nothing of a: its writes of this table wait, others do not; a's word ends it."""
    group = make_group(["a", "b"], schema=SCHEMA, tables=LAST)
    group["a"].sql("INSERT INTO item VALUES (1)")
    group.wait_converged()
    change = Change(group, COUNTER, "--patience", "60")
    with going_without_a_gate(group["a"], change):
        change.begin("b")
        wait_until(lambda: state(group["b"]) == "voted", "b's mark")
        group["a"].agent.kill()
    with pytest.raises(psycopg2.errors.LockNotAvailable):
        group["b"].sql("UPDATE item SET n = n + 1 WHERE id = 1")
    group["b"].sql("INSERT INTO other VALUES (1, 'open')")
    assert group["b"].agent.metric("pgduet_policy_gate_closed") == 1
    refused = group["b"].pgduet("policy apply", "--abort", check=False)
    assert "policy_change_voted" in refused.stderr
    group["a"].agent.start()
    change.end()
    change.run("a", "--resume").wait(timeout=120)
    assert state(group["a"]) == state(group["b"])
    group["b"].sql("UPDATE item SET n = n + 1 WHERE id = 1")
    settled(group)
    assert_clean(group)


def test_a_change_that_nobody_else_was_told_of_is_taken_back_by_command(make_group):
    group = make_group(["a", "b"], schema=SCHEMA, tables=LAST)
    change = Change(group, COUNTER).begin("a")
    wait_until(lambda: group["b"].sql("SELECT 1 FROM pgduet.policy_notice WHERE rank = 0 AND kind = 'propose'"), "a's word")
    wait_until(lambda: "not told of this set yet: b" in group["a"].pgduet("policy status").stdout, "what it waits for")
    group["a"].sql("INSERT INTO item VALUES (1)")  # no gate is closed
    assert group["a"].pgduet("policy apply", "--abort").stdout.strip().endswith("taken back")
    code, said = change.end()["a"]
    assert code == 1 and "by command" in said
    settled(group)
    assert_clean(group)


def test_siblings_are_not_lost_without_a_word(make_group):
    group = make_group(["a", "b"], schema=SCHEMA, tables=VERSIONS)
    group["a"].sql("INSERT INTO item VALUES (1, 0, 0, 'first')")
    group.wait_converged()
    group.write_late([("a", "UPDATE item SET note = 'a' WHERE id = 1"), ("b", "UPDATE item SET note = 'b' WHERE id = 1")])
    ended = Change(group, LAST).begin().end()
    assert all(code == 1 and "siblings_would_go" in said for code, said in ended.values()), ended
    group["a"].sql("SELECT pgduet.resolve('public.item', '{\"id\": 1}', '{\"note\": \"both\"}')")
    group.wait_converged()
    group.wait_converged()
    Change(group, LAST).begin().succeed()
    settled(group)
    assert group["b"].rows("item", "note") == [("both",)]


def test_parked_rows_come_back_before_nobody_looks_after_them(make_group):
    parks = {**LAST, "public.city": {"on_unique": "park_loser"}}
    group = make_group(["a", "b"], schema=SCHEMA + "CREATE TABLE city (id int PRIMARY KEY, name text UNIQUE);", tables=parks)
    group.write_late([("a", "INSERT INTO city VALUES (1, 'nyc')"), ("b", "INSERT INTO city VALUES (2, 'nyc')")])
    for region in group:
        wait_until_equal(lambda r=region: r.sql("SELECT count(*) FROM pgduet.parked"), [(1,)], "the parked row")
    change = Change(group, {**LAST, "public.city": {}}).begin()
    wait_until(lambda: "rows of a changed table are parked" in group["a"].pgduet("policy status").stdout, "what it waits for")
    group["b"].sql("UPDATE city SET name = 'rome' WHERE id = 2")  # no gate is closed
    change.succeed()
    settled(group)
    assert_clean(group)
    for region in group:
        assert region.rows("city") == [(1, "nyc"), (2, "rome")] and region.sql("SELECT count(*) FROM pgduet.parked") == [(0,)]


class TestFile:
    """What the agent does with a file that has another set than the one in force."""

    @pytest.fixture
    def group(self, group_on):
        group = group_on("direct", ["a", "b"], schema=SCHEMA, tables=LAST)
        Change(group, COUNTER).begin().end()
        return group

    def test_the_file_that_was_left_is_an_old_one(self, group):
        in_force = hash_of(group["a"])
        group["a"].agent.restart()
        assert hash_of(group["a"]) == in_force
        assert group["a"].agent.metric("pgduet_policy_file_differs") == 1
        assert group["a"].agent.log_lines("the file has not the policies that are in force")
        settled(group)

    def test_any_other_file_is_refused_by_name(self, group):
        group.expect_errors("policy_file_differs")
        group["a"].agent.stop()
        Change(group, STRONGEST).put_in_place()
        group["a"].agent.start(wait=False)
        wait_until(lambda: group["a"].agent.log_lines("policy_file_differs"), "the error")
        assert "region_priority" in group["a"].agent.log_lines("policy_file_differs")[0]
        Change(group, COUNTER).put_in_place()
        group["a"].agent.stop()
        group["a"].agent.start()
        assert group["a"].agent.metric("pgduet_policy_file_differs") == 0
        settled(group)

    def test_other_tables_do_not_change_online(self, group):
        more = {**COUNTER, "public.third": {}}
        group["a"].sql("CREATE TABLE third (id int PRIMARY KEY)")
        code, said = Change(group, more).begin("a").end()["a"]
        assert code == 1 and "policy_change_too_large" in said and "third" in said


def test_a_region_with_another_set_still_stops_by_name(make_group):
    """After a change online, too: its agent was given yet another file, by init, which nobody else has."""
    group = make_group(["a", "b"], schema=SCHEMA, tables=LAST)
    Change(group, COUNTER).begin().succeed()
    settled(group)
    group.expect_errors("policy_mismatch")
    group["a"].agent.stop()
    good = group["a"].config_path
    group["a"].config_path = group["a"].agent.config_path = Change(group, STRONGEST).paths["a"]
    group["a"].pgduet("init")
    group["a"].agent.start(wait=False)
    group["b"].agent.wait_for_stream_error("policy_mismatch")
    assert any("region_priority" in line for line in group["b"].agent.log_lines("policy_mismatch"))
    group["a"].agent.kill()
    group["a"].config_path = group["a"].agent.config_path = good
    group["a"].pgduet("init")
    group["a"].agent.start(wait=False)
    settled(group)
