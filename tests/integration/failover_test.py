"""A region's database goes on with another timeline, as after a failover to a standby: with all that was published, or without the last of it."""

import contextlib
import os
import shutil

from harness.processes import run, user_for_servers
from harness.streams import SCHEMA, TABLES, assert_flows, assert_stops
from harness.workspace import give_to_servers


@contextlib.contextmanager
def database_at_rest(region):
    region.agent.stop()
    region.postgres.stop()
    yield region.postgres.data
    region.postgres.start()


def promote(region):
    """The cluster comes back as a standby of nobody, and is promoted."""
    with database_at_rest(region) as data:
        signal = os.path.join(data, "standby.signal")
        with open(signal, "w", encoding="ascii"):
            give_to_servers(signal)
    assert region.sql("SELECT pg_is_in_recovery(), pg_promote()") == [(True, True)]


def test_a_promoted_server_that_has_all_goes_on(group_on):
    group = group_on("kafka", schema=SCHEMA, tables=TABLES)
    assert_flows(group, "a", "b", 1)
    promote(group["a"])
    group["a"].agent.start()
    assert_flows(group, "a", "b", 2)
    assert_flows(group, "b", "a", 3)
    group.assert_converged()
    assert group["a"].agent.log_lines("timeline changed")


def test_a_promoted_server_that_lost_what_peers_have_stops_capture(group_on):
    group = group_on("kafka", schema=SCHEMA, tables=TABLES)
    assert_flows(group, "a", "b", 1)
    with database_at_rest(group["a"]) as data:
        run(["cp", "-a", "--reflink=auto", data, f"{data}.behind"], user=user_for_servers())
    group["a"].agent.start()
    assert_flows(group, "a", "b", 2)
    with database_at_rest(group["a"]) as data:
        shutil.rmtree(data)
        os.rename(f"{data}.behind", data)
    promote(group["a"])
    assert group["a"].rows("item", "id") == [(1,)]
    group["a"].agent.start(wait=False)
    assert_stops(group, "a", "capture", "timeline_diverged", "switch=", "published=", "docs/operations/errors.md")
    assert not group["a"].agent.log_lines("timeline changed")
    assert_flows(group, "b", "a", 3)
    assert group["b"].rows("item", "id") == [(1,), (2,), (3,)]
