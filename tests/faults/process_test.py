"""An agent that stands still, two agents for one region, a transaction larger than the agent's memory, a slow link."""

import itertools
import os
import threading

import pytest

from harness import ports
from harness import configuration
from harness.agent import Agent
from harness.marked_load import SCHEMA, TABLES, MarkedLoad
from harness.streams import stream
from harness.waiting import wait_until

MEBIBYTE = 1024 * 1024
QUICK_TIMEOUT = {"wal_sender_timeout": "1s"}


@pytest.fixture
def second_agent():
    """second_agent(region): another agent for that region, as started by mistake. Not started. database: its way there."""
    made = []

    def make(region, database=None):
        port = ports.take()
        document = region.group.configuration(region.name)
        if database is not None:
            document["regions"][region.name]["postgres"] = region.postgres.conninfo(region.dbname, "pgduet", "127.0.0.1", database.port)
        document["regions"][region.name]["http"] = f"127.0.0.1:{port}"
        path = os.path.join(region.folder, "second.yaml")
        configuration.write(path, document)
        made.append(Agent(region.name, path, os.path.join(region.folder, "second.log"), port))
        return made[-1]

    yield make
    for agent in made:
        agent.kill()
        ports.release(agent.http_port)


def test_an_agent_that_stood_still_longer_than_the_server_waits_goes_on(make_group, seeded_random):
    group = make_group(["a", "b"], schema=SCHEMA, tables=TABLES, settings=QUICK_TIMEOUT)
    idle = "SELECT count(*) FROM pg_replication_slots WHERE NOT active"
    with MarkedLoad(group, seeded_random) as load:
        for _ in range(2):
            load.pause_at_random(seeded_random, 0.5)
            wait_until(lambda: group["a"].sql(idle) == [(0,)], "every slot to be in use")  # ready may be what it was before the freeze
            group["a"].agent.process.freeze()
            wait_until(lambda: group["a"].sql(idle) != [(0,)], "the server to give up the frozen agent")
            load.pause_at_random(seeded_random, 0.2)
            group["a"].agent.process.thaw()
            group["a"].agent.wait_ready()
    group.assert_converged("public.account")
    load.assert_all_took_effect_once()


def test_a_second_agent_of_a_region_waits_and_takes_over_when_the_first_ends(make_group, seeded_random, second_agent):
    group = make_group(["a", "b"], schema=SCHEMA, tables=TABLES)
    second = second_agent(group["a"])
    with MarkedLoad(group, seeded_random) as load:
        second.start(wait=False)
        wait_until(lambda: second.log_lines("slot_active") and second.log_lines("origin_active"), "the second agent to wait")
        load.pause_at_random(seeded_random, 1.0)
        assert second.http("/livez")[0] == 200
        assert second.http("/readyz")[0] == 503
        assert group["a"].agent.http("/readyz")[0] == 200
        assert second.error_lines() == [] and group["a"].agent.error_lines() == []
        group["a"].agent.kill()
        second.wait_ready()
    group.assert_converged("public.account")
    load.assert_all_took_effect_once()
    second.stop()


def test_a_second_agent_that_is_slow_takes_over_behind_all_that_the_first_has_published(make_group, seeded_random, second_agent,
                                                                                        link_host):
    """What it has read of the log is old when the slot answers: the first one has published and confirmed meanwhile."""
    group = make_group(["a", "b"], schema=SCHEMA, tables=TABLES)
    far = link_host.open(group["a"].postgres.port)
    far.delay(0.1)
    second = second_agent(group["a"], database=far)
    with MarkedLoad(group, seeded_random) as load:
        second.start(wait=False)
        for _ in range(3):
            seen = len(second.log_lines("slot_active"))
            wait_until(lambda: len(second.log_lines("slot_active")) > seen, "the second agent to ask again")
        load.pause_at_random(seeded_random, 0.5)
        group["a"].agent.kill()
        wait_until(lambda: stream(second, "capture")["state"] == "streaming", "the second agent to capture")
        far.delay(0)
        second.wait_ready()
    group.assert_converged("public.account")
    load.assert_all_took_effect_once()
    assert second.error_lines() == [] and group["b"].agent.error_lines() == []
    second.stop()
    far.close()


def test_an_agent_that_takes_over_knows_what_was_deleted_while_it_waited(make_group, second_agent):
    group = make_group(["a", "b"], schema=SCHEMA, tables=TABLES)
    a, b = group["a"], group["b"]
    second = second_agent(a)
    second.start(wait=False)
    wait_until(lambda: second.log_lines("slot_active"), "the second agent to wait")
    with group.paused(origin="b", reader="a"):
        b.sql("INSERT INTO account VALUES (1, 'older')")
        for key in 1, 2:  # the second delete says that the first one's tombstone is written
            a.sql(f"INSERT INTO account VALUES ({key}, 'newer')")
            a.sql("DELETE FROM account")
        wait_until(lambda: a.sql("SELECT count(*) FROM pgduet.tombstone WHERE rank = 0") == [(2,)], "the deletes to be noted")
        a.agent.kill()
        wait_until(lambda: stream(second, "capture")["state"] == "streaming", "the second agent to take over")
    group.assert_converged("public.account")
    assert a.rows("account") == []
    second.stop()


def test_an_agent_that_wakes_up_after_it_was_replaced_does_no_harm(group_on, seeded_random, second_agent):
    group = group_on("kafka", ["a", "b"], schema=SCHEMA, tables=TABLES, settings=QUICK_TIMEOUT)
    first, second = group["a"].agent, second_agent(group["a"])
    with MarkedLoad(group, seeded_random) as load:
        first.process.freeze()
        second.start(wait=False)
        wait_until(lambda: stream(second, "capture")["state"] == "streaming",
                   "the second agent to capture")
        load.pause_at_random(seeded_random, 0.5)
        assert second.log_lines("sessions of another run are ended")
        first.process.thaw()
        wait_until(lambda: stream(first, "capture")["error"] == "slot_active", "the first agent to see that it was replaced")
        wait_until(lambda: stream(first, "b")["error"] == "waits_for_capture", "the first agent to apply nothing any more")
        load.pause_at_random(seeded_random, 0.5)
        first.kill()
        second.wait_ready()
    group.assert_converged("public.account")
    load.assert_all_took_effect_once()
    assert second.error_lines() == [] and group["b"].agent.error_lines() == []
    second.stop()


def peak_memory(agent):
    with open(f"/proc/{agent.process.pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))


def test_a_transaction_larger_than_the_agents_memory_travels(make_group):
    """3 million rows with PGDUET_LONG=1, else 300,000."""
    rows = 3_000_000 if os.environ.get("PGDUET_LONG") == "1" else 300_000
    group = make_group(["a", "b"], schema="CREATE TABLE big (id int PRIMARY KEY, note text, value bigint)",
                       tables=["public.big"], links=False)
    group["a"].sql(f"INSERT INTO big SELECT i, repeat(md5(i::text), 3), i FROM generate_series(1, {rows}) i")
    group.wait_converged(timeout=600)
    totals = "SELECT count(*), sum(value), sum(hashtext(note)::bigint) FROM big"
    assert group["a"].sql(totals) == group["b"].sql(totals)
    assert group["b"].sql("SELECT count(*) FROM big") == [(rows,)]
    group["b"].sql("UPDATE big SET value = -value WHERE id % 2 = 0")
    group.wait_converged(timeout=600)
    assert group["a"].sql(totals) == group["b"].sql(totals)
    for region in group:
        peak = peak_memory(region.agent)
        assert peak < 256 * MEBIBYTE, f"the agent of {region.name} used {peak / MEBIBYTE:.0f} MiB"


@pytest.mark.short
def test_causal_order_holds_over_a_slow_link(make_group):
    """b answers what it has read of a. c hears b at once and a late, and never sees an answer without its question."""
    group = make_group(["a", "b", "c"], tables=["public.said"],
                       schema="CREATE TABLE said (number int, region text, PRIMARY KEY (number, region))")
    group.link("c", "a").delay(0.3)
    done, wrong, seen = threading.Event(), [], set()

    def read():
        connection = group["c"].connect()
        with connection.cursor() as cursor:
            while not done.is_set():
                cursor.execute("SELECT number, region FROM said")
                rows = set(cursor.fetchall())
                seen.add(len(rows))
                wrong.extend(number for number, region in rows if region == "b" and (number, "a") not in rows)
        connection.close()

    reader = threading.Thread(target=read)
    reader.start()
    try:
        # What comes in one batch becomes visible at once: until the reader has seen enough.
        for number in itertools.takewhile(lambda number: number < 40 or len(seen) < 10 and number < 2_000, itertools.count()):
            group["a"].sql("INSERT INTO said VALUES (%s, 'a')", (number,))
            wait_until(lambda: group["b"].sql("SELECT 1 FROM said WHERE number = %s", (number,)), "b to hear a")
            group["b"].sql("INSERT INTO said VALUES (%s, 'b')", (number,))
        group.wait_converged()
    finally:
        done.set()
        reader.join()
    assert len(seen) >= 10, "the reader at c saw too few states to prove anything"
    assert wrong == []
    group.assert_equal()
