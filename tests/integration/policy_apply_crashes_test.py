"""Agents, commands and databases end in the middle of `pgduet policy apply`: the change is made, or taken back, everywhere."""

import itertools

import pytest

from harness.policy_change import (COUNTER, COUNTERS, LAST, SCHEMA, STRONGEST, Change, Load, assert_clean, changes_known, going_without_a_gate,
                                   hash_of, settled, state)
from harness.waiting import wait_until


def test_agents_and_commands_are_killed_at_every_step(make_group, seeded_random):
    """Any agent ends in any state of any region; the change is made, or taken back, everywhere."""
    group = make_group(["a", "b", "c"], schema=SCHEMA, tables=LAST)
    sets = itertools.cycle([COUNTER, LAST, STRONGEST, COUNTERS, LAST])
    applied = 0
    with Load(group, seeded_random, pause=0.02) as load:
        for victim, at in itertools.product("abc", ["proposed", "going", "fenced", "voted"]):
            if at == "going" and victim != "a":
                continue
            known = {region.name: changes_known(region) for region in group}
            change = Change(group, next(sets), "--patience", "8", "--discard-siblings").begin()
            change.wait_until_it_is(at, victim)
            group[victim].agent.kill()
            # Not before it has told its region: one that has not is run again with its file.
            lost = seeded_random.choice("abc")
            wait_until(lambda: changes_known(group[lost]) > known[lost] or change.commands[lost].poll() is not None, f"{lost} to know")
            change.commands[lost].kill()
            group[victim].agent.start(wait=False)
            # Who lost the command runs it again: it waits for what goes on, or finds it done.
            for name in "abc":
                change.run(name, "--resume").wait(timeout=120)
            change.end()
            states = {region.name: state(region) for region in group}
            assert set(states.values()) in ({"applied"}, {"aborted"}), (victim, at, states)
            if "applied" in states.values():
                change.put_in_place()
                applied += 1
            assert_clean(group)
            load.wait_for(20)
    assert applied > 0
    settled(group)


@pytest.mark.parametrize("victim", ["a", "b"])
def test_databases_stop_at_once_at_every_step(make_group, seeded_random, victim):
    """What a region has said of the change was durable before anybody heard it."""
    group = make_group(["a", "b"], schema=SCHEMA, tables=LAST)
    group.expect_errors()
    sets = itertools.cycle([COUNTER, LAST, STRONGEST, LAST])
    with Load(group, seeded_random, pause=0.02) as load:
        for at in ["proposed", "fenced", "voted"]:
            change = Change(group, next(sets), "--patience", "8", "--discard-siblings").begin()
            change.wait_until_it_is(at, victim)
            group[victim].postgres.restart("immediate")
            # The region's command has lost its session, and its agent comes back by itself.
            change.end()
            for name in "ab":
                if changes_known(group[name]) > 0:
                    change.run(name, "--resume").wait(timeout=120)
            states = {region.name: state(region) for region in group}
            assert set(states.values()) in ({"applied"}, {"aborted"}), (at, states)
            if "applied" in states.values():
                change.put_in_place()
            for region in group:
                wait_until(lambda region=region: region.agent.http("/readyz")[0] == 200, f"{region.name} to be ready")
            assert_clean(group)
            load.wait_for(20)
    settled(group)


def test_a_region_that_waits_for_one_that_is_lost_is_freed_by_force(make_group):
    """b has sent its mark and a has not decided: taken back in a's database, for when its agent comes back, b need not wait for that."""
    group = make_group(["a", "b"], schema=SCHEMA, tables=LAST)
    group["a"].sql("INSERT INTO item VALUES (1)")
    group.wait_converged()
    before = hash_of(group["b"])
    change = Change(group, COUNTER, "--patience", "60")
    with going_without_a_gate(group["a"], change):
        change.begin("b")
        wait_until(lambda: state(group["b"]) == "voted", "b's mark")
        group["a"].agent.kill()
    refused = group["b"].pgduet("policy apply", "--abort", check=False)
    assert refused.returncode == 1 and "policy_change_voted" in refused.stderr
    group["a"].pgduet("policy apply", "--abort", "--no-wait")
    freed = group["b"].pgduet("policy apply", "--abort", "--force")
    assert freed.stdout.strip().endswith("taken back")
    (code, said), = change.end().values()
    assert code == 1 and "by force" in said
    group["b"].sql("UPDATE item SET n = n + 1 WHERE id = 1")
    group["a"].agent.start()
    change.run("a", "--resume").wait(timeout=120)
    assert {region.name: state(region) for region in group} == {"a": "aborted", "b": "aborted"}
    settled(group)
    assert_clean(group)
    assert hash_of(group["a"]) == hash_of(group["b"]) == before
    Change(group, COUNTER).begin().succeed()  # and the next one works
    settled(group)


def test_force_after_the_first_region_has_decided_stops_the_streams_by_name(make_group):
    """What docs/operations/policies.md warns of: the two regions have different policies, say so, and apply nothing of each other."""
    group = make_group(["a", "b"], schema=SCHEMA, tables=LAST)
    group.expect_errors("policy_mismatch")
    group["a"].sql("INSERT INTO item VALUES (1)")
    group.wait_converged()
    change = Change(group, COUNTER, "--patience", "60")
    with going_without_a_gate(group["a"], change):
        change.begin("b")
        wait_until(lambda: group["a"].sql("SELECT 1 FROM pgduet.policy_notice WHERE rank = 1 AND kind = 'fenced'"), "b's mark in a")
        group["b"].agent.kill()
    wait_until(lambda: state(group["a"]) == "applied", "a's decision")
    assert state(group["b"]) == "voted"
    group["b"].pgduet("policy apply", "--abort", "--force")
    change.end()
    group["b"].agent.start(wait=False)
    wait_until(lambda: group["b"].agent.log_lines("policy_mismatch"), "b's error")
    group["a"].sql("UPDATE item SET note = 'new set' WHERE id = 1")
    assert group["b"].rows("item", "note") == [(None,)]
