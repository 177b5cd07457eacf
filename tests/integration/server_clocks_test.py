"""Databases whose clocks differ: what somebody writes after having seen another region's row is later, whatever the clocks say."""

import contextlib
import itertools
import threading

from harness.server_clock import ServerClock
from harness.waiting import wait_until

SCHEMA = "CREATE TABLE item (id int PRIMARY KEY, tag text)"
TABLES = ["public.item"]


def with_clocks(make_group, ahead, **kwargs):
    """A started group, and {region: its clock}. ahead: {region: seconds}."""
    group = make_group(tables=TABLES, schema=SCHEMA, start=False, **kwargs)
    clocks = {region: ServerClock(group[region].postgres, seconds) for region, seconds in ahead.items()}
    return group.start(), clocks


def assert_what_a_writes_after_a_look_stays(group, ids):
    for number in ids:
        group["b"].sql("INSERT INTO item VALUES (%s, 'of b')", (number,))
        wait_until(lambda: group["a"].sql("SELECT 1 FROM item WHERE id = %s", (number,)), f"row {number} at a")
        group["a"].sql("UPDATE item SET tag = 'of a, who saw it' WHERE id = %s", (number,))
    group.assert_converged()
    found = group["b"].sql("SELECT id, tag FROM item WHERE id = ANY(%s) ORDER BY id", (list(ids),))
    assert found == [(number, "of a, who saw it") for number in ids]
    assert [region.conflicts() for region in group] == [[], []]


@contextlib.contextmanager
def writing(region, first):
    """Rows, one after another, while the block runs."""
    stop = threading.Event()

    def write():
        for number in itertools.count(first):
            if stop.wait(0.005):
                return
            region.sql("INSERT INTO item VALUES (%s, 'one of many')", (number,))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        stop.set()
        writer.join()


def test_a_write_after_a_look_wins_though_the_other_clock_is_ahead(make_group):
    group, _ = with_clocks(make_group, {"b": 2})
    assert_what_a_writes_after_a_look_stays(group, range(4))


def test_a_clock_that_is_too_far_ahead_is_named_and_waited_for(make_group):
    group, clocks = with_clocks(make_group, {"b": 6}, extra={"defaults": {"max_clock_skew": "1s"}})
    group.expect_errors("clock_ahead")
    group["b"].sql("INSERT INTO item VALUES (1, 'of b')")
    group["a"].sql("INSERT INTO item VALUES (2, 'of a')")
    group["a"].agent.wait_for_stream_error("clock_ahead")
    wait_until(lambda: group["b"].sql("SELECT 1 FROM item WHERE id = 2"), "the other direction to go on")
    clocks["b"].set(0)
    group.assert_converged()


def test_a_clock_that_is_set_back_is_noticed_before_anything_is_shown(make_group):
    group, clocks = with_clocks(make_group, {"a": 0})
    with writing(group["b"], 1000):
        wait_until(lambda: group["a"].sql("SELECT 1 FROM item WHERE id = 1100"), "a stream that flows")
        clocks["a"].set(-1.5)
        [(newest,)] = group["a"].sql("SELECT max(id) FROM item")

        def goes_on():
            early = group["a"].sql("SELECT id FROM item WHERE id > %s AND pg_xact_commit_timestamp(xmin) >= clock_timestamp()", (newest,))
            assert early == [], "shown before the clock has passed their commit times"
            return group["a"].sql("SELECT 1 FROM item WHERE id > %s", (newest + 100,))
        wait_until(goes_on, "the stream to go on", interval=0.002)
    assert group["a"].agent.metric("pgduet_apply_retries_total", reason="clock_behind") >= 1
    assert_what_a_writes_after_a_look_stays(group, range(4))
