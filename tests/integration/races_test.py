"""Two operations on one key in the same moment: docs/decisions/0002, C, F and G, each brought about on purpose.

A local commit that has its time and is not visible yet is one that waits for a synchronous standby which does not exist.
"""

import contextlib
import os
import signal
import threading

import pytest

from harness.raw_record import transactions
from harness.waiting import TimedOut, wait_until

SCHEMA = "CREATE TABLE item (id int PRIMARY KEY, tag text)"
TABLES = ["public.item"]


@contextlib.contextmanager
def invisible_commit(region, statement):
    """Runs the statement; its commit is stamped and in the WAL, and nobody sees it while the block runs."""
    region.postgres.set(synchronous_standby_names="nobody")
    region.postgres.reload()
    wait_until(lambda: region.sql("SHOW synchronous_standby_names") == [("nobody",)], "the setting")
    thread = threading.Thread(target=region.sql, args=(statement,))
    thread.start()
    try:
        wait_until(lambda: region.sql("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'"), "the commit to wait")
        yield
    finally:
        region.postgres.set(synchronous_standby_names="")
        region.postgres.reload()
        thread.join()


@contextlib.contextmanager
def decoder_stopped(region):
    """The region's own capture hears nothing of its database while the block runs."""
    [(pid,)] = region.sql(r"SELECT active_pid FROM pg_replication_slots WHERE slot_name NOT LIKE '%\_to\_%'")
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def housekeeper_stopped(region):
    """Nothing is closed, sampled, swept or removed by the region's housekeeper while the block runs."""
    pids = [pid for (pid,) in region.sql("SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'pgduet%%housekeep%%'")]
    assert pids
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def locked(region, statement):
    """What the statement locks stays locked while the block runs."""
    connection = region.connect(autocommit=False)
    try:
        connection.cursor().execute(statement)
        yield
    finally:
        connection.rollback()
        connection.close()


def wait_applied(group, origin, reader):
    """Until what `origin` has committed is in effect at `reader`."""
    group.wait_for_markers(group.mark([origin]), regions=[reader])


def last_published(group, region):
    """The number of the newest transaction that the region's topic has something of."""
    return max(record.sequence for record in transactions(group.broker.consume(group.topics[region])))


def wait_no_tombstones(group):
    for region in group:
        wait_until(lambda: region.sql("SELECT count(*) FROM pgduet.tombstone") == [(0,)], f"the tombstones of {region.name} to go")


def assert_same_items(group):
    group.wait_converged()
    first, *others = group
    for other in others:
        wait_until(lambda: first.text_rows("item") == other.text_rows("item"), f"{first.name} and {other.name} to be equal")


class TestTwoRegions:
    @pytest.fixture(scope="class")
    def group(self, group_of_class):
        return group_of_class("direct", ["a", "b"], schema=SCHEMA, tables=TABLES)

    @pytest.mark.parametrize("statement", ["DELETE FROM item WHERE id = 1", "TRUNCATE item"])
    def test_a_remote_delete_removes_a_local_insert_that_becomes_visible_after_it(self, group, statement):
        a, b = group["a"], group["b"]
        a.sql("INSERT INTO item VALUES (1, 'old')")
        group.wait_converged()
        logged = len(b.conflicts("item"))
        with group.paused("b", "a"):
            b.sql("DELETE FROM item WHERE id = 1")
            with invisible_commit(b, "INSERT INTO item VALUES (1, 'missed')"):
                a.sql(statement)
                wait_applied(group, "a", "b")
                assert b.rows("item") == []
            wait_until(lambda: b.rows("item") == [], "the missed row to go")
        assert_same_items(group)
        assert a.rows("item") == []
        missed = [c for c in b.conflicts("item")[logged:] if c["kind"] == "delete_origin_differs"]
        assert [(c["decision"], c["local_row"], c["local_region"], c["remote_region"], c["remote_operation"]) for c in missed] == [
            ("apply_remote", {"id": 1, "tag": "missed"}, "b", "a", statement.split()[0].lower())]
        wait_no_tombstones(group)

    def test_a_newer_local_insert_that_becomes_visible_late_stays(self, group):
        a, b = group["a"], group["b"]
        a.sql("INSERT INTO item VALUES (2, 'old')")
        group.wait_converged()
        with group.paused():
            b.sql("DELETE FROM item WHERE id = 2")
            a.sql("DELETE FROM item WHERE id = 2")
            with invisible_commit(b, "INSERT INTO item VALUES (2, 'newer')"):
                group.link("b", "a").heal()
                wait_applied(group, "a", "b")
        assert_same_items(group)
        assert a.rows("item") == [(2, "newer")]
        wait_no_tombstones(group)

    def test_a_tombstone_stays_while_the_peer_may_still_publish_something_older(self, group):
        a, b = group["a"], group["b"]
        a.sql("INSERT INTO item VALUES (3, 'x')")
        group.wait_converged()
        with locked(a, "INSERT INTO item VALUES (4, 'open')"):
            closed = a.agent.metrics()["pgduet_closed_time_age_seconds"]
            b.sql("DELETE FROM item WHERE id = 3")
            group.wait_converged()
            wait_until(lambda: a.agent.metrics()["pgduet_closed_time_age_seconds"] > closed + 3, "some rounds of housekeeping")
            assert b.sql("SELECT count(*) FROM pgduet.tombstone") == [(1,)]
        wait_no_tombstones(group)

    def test_a_delete_of_a_key_whose_tombstone_the_agent_does_not_know_is_journaled(self, group):
        """As when another region's delete writes one in the same moment: the short way is refused, the long one raises it."""
        a = group["a"]
        columns = "relation, key_digest, key, commit_time, rank, incarnation, commit_lsn"
        known = f"SELECT {columns} FROM pgduet.tombstone WHERE relation = 'item'::regclass"
        a.sql("INSERT INTO item VALUES (14, 'x')")
        group.wait_converged()
        with locked(a, "INSERT INTO item VALUES (4, 'open')"):
            a.sql("DELETE FROM item WHERE id = 14")
            [older] = wait_until(lambda: a.sql(known), "the tombstone")
        wait_no_tombstones(group)
        with locked(a, "INSERT INTO item VALUES (4, 'open')"):
            a.sql("INSERT INTO item VALUES (14, 'again')")
            group.wait_converged()
            a.sql(f"INSERT INTO pgduet.tombstone ({columns}) VALUES (%s, %s, %s, %s, %s, %s, %s)", older)
            a.sql("DELETE FROM item WHERE id = 14")
            group.wait_converged()
            assert a.sql(f"SELECT commit_lsn > %s FROM ({known}) t", (older[-1],)) == [(True,)]
        assert_same_items(group)
        wait_no_tombstones(group)

    def test_deletes_of_a_backlog_are_journaled_together(self, group):
        a, deletes = group["a"], 1000
        told = "SELECT n_tup_ins + n_tup_upd FROM pg_stat_user_tables WHERE relid = 'pgduet.local_progress'::regclass"
        a.sql(f"INSERT INTO item SELECT 2000000 + i, 'x' FROM generate_series(1, {deletes}) i")
        group.wait_converged()
        with decoder_stopped(a):
            [(before,)] = a.sql(told)
            a.sql(f"DO $$ BEGIN FOR i IN 1..{deletes} LOOP DELETE FROM item WHERE id = 2000000 + i; COMMIT; END LOOP; END $$")
        assert_same_items(group)
        a.sql("SELECT pg_stat_force_next_flush()")
        wait_until(lambda: a.sql(told)[0][0] > before, "the server's statistics")
        wait_no_tombstones(group)
        assert a.sql(told)[0][0] < before + deletes / 2

    def test_tombstones_go_and_nobody_reads_their_whole_table_for_it(self, group):
        """By its index, analysed or not: what goes must not cost more when more is there."""
        a, rows = group["a"], 60_000
        told = "SELECT n_tup_del, seq_tup_read FROM pg_stat_user_tables WHERE relid = 'pgduet.tombstone'::regclass"
        a.sql("ALTER TABLE pgduet.tombstone SET (autovacuum_enabled = off)")
        [(removed, read)] = a.sql(told)
        a.sql(f"INSERT INTO item SELECT i, 'x' FROM generate_series(100001, {100_000 + rows}) i")
        a.sql("DELETE FROM item WHERE id > 100000")
        wait_until(lambda: a.sql(told)[0][0] >= removed + rows, "the tombstones to go")
        assert a.sql(told)[0][1] < read + rows
        assert_same_items(group)

    def test_a_local_delete_between_two_transactions_of_a_backlog_is_decided_alike(self, group):
        a, b = group["a"], group["b"]
        a.sql("INSERT INTO item VALUES (10, 'lock')")
        group.wait_converged()
        with group.paused("b", "a"), decoder_stopped(b):
            with locked(b, "SELECT FROM item WHERE id = 10 FOR UPDATE"):
                a.sql("UPDATE item SET tag = 'waits' WHERE id = 10")
                wait_until(lambda: b.sql("SELECT 1 FROM pg_stat_activity WHERE application_name = 'pgduet apply a' "
                                         "AND wait_event_type = 'Lock'"), "b to wait for the lock")
                b.sql("INSERT INTO item VALUES (11, 'b')")
                a.sql("INSERT INTO item VALUES (11, 'a')")
                b.sql("DELETE FROM item WHERE id = 11")
                a.sql("INSERT INTO item VALUES (12, 'a')")
                wait_until(lambda: a.sql(r"SELECT 1 FROM pg_stat_replication r JOIN pg_replication_slots s ON s.active_pid = r.pid "
                                         r"WHERE s.slot_name LIKE '%\_to\_b' AND r.sent_lsn >= pg_current_wal_flush_lsn()"),
                           "the backlog to be read")
            wait_applied(group, "a", "b")
        assert_same_items(group)
        assert 11 not in [id for id, _ in a.rows("item")]

    def test_a_row_that_came_back_over_a_local_delete_goes_once_capture_has_read_the_delete(self, group):
        """The peer has the delete by a stream of its own, which is ahead: the regions differ although each other's markers are there."""
        a, b = group["a"], group["b"]
        group.wait_converged()
        logged = len(b.conflicts("item"))
        with decoder_stopped(b):
            with group.paused():
                a.sql("INSERT INTO item VALUES (13, 'older')")
                b.sql("INSERT INTO item VALUES (13, 'b')")
                b.sql("DELETE FROM item WHERE id = 13")
            group.wait_for_markers(group.mark())
            assert (a.rows("item WHERE id = 13"), b.rows("item WHERE id = 13")) == ([], [(13, "older")])
            with pytest.raises(AssertionError, match=r"only in b: \(13,older\) written 20"):
                group.assert_equal("public.item")
            with pytest.raises(TimedOut):
                group.wait_decoded(timeout=0.5)
        group.assert_converged("public.item")
        assert b.rows("item WHERE id = 13") == []
        [replayed] = b.conflicts("item")[logged:]
        assert (replayed["decision"], replayed["remote_region"]) == ("keep_local", "a"), replayed

    def test_a_backlog_is_applied_in_batches(self, group):
        a, b = group["a"], group["b"]
        backlog = 2000
        [(before,)] = b.sql("SELECT count(*) FROM pgduet.progress")
        with group.paused("a", "b"):
            a.sql(f"DO $$ BEGIN FOR i IN 1..{backlog} LOOP INSERT INTO item VALUES (1000 + i, 'x'); COMMIT; END LOOP; END $$")
            # Until b has closed the time of the last one: what has just been written is applied alone.
            [(written,)] = a.sql("SELECT clock_timestamp()")
            wait_until(lambda: b.sql("SELECT clock_timestamp() > %s + interval '2 s'", (written,)) == [(True,)], "the backlog to be old")
        assert_same_items(group)
        [(after,)] = b.sql("SELECT count(*) FROM pgduet.progress")
        assert after - before < backlog / 4

    def test_the_transactions_of_a_backlog_close_the_time_that_it_waits_for(self, group):
        a, b = group["a"], group["b"]
        backlog = 4000
        [(before,)] = b.sql("SELECT count(*) FROM pgduet.progress")
        with housekeeper_stopped(b):
            with group.paused("a", "b"):
                a.sql(f"DO $$ BEGIN FOR i IN 1..{backlog} LOOP INSERT INTO item VALUES (10000 + i, 'x'); COMMIT; END LOOP; END $$")
            wait_until(lambda: b.sql("SELECT 1 FROM item WHERE id = %s", (10000 + backlog,)), "the backlog to be applied")
            [(after,)] = b.sql("SELECT count(*) FROM pgduet.progress")
        assert after - before < backlog * 3 / 4
        assert_same_items(group)


class TestThreeRegions:
    @pytest.fixture(scope="class")
    def group(self, group_of_class):
        return group_of_class("kafka", ["a", "b", "c"], schema=SCHEMA, tables=TABLES)

    def test_a_delete_is_not_published_before_it_is_journaled(self, group):
        a = group["a"]
        a.sql("INSERT INTO item VALUES (50, 'goes')")
        group.wait_converged()
        before = last_published(group, "a")
        with locked(a, "LOCK TABLE pgduet.local_progress IN EXCLUSIVE MODE"):
            with a.transaction() as cursor:  # of several chunks, each more than a message
                cursor.execute("DELETE FROM item WHERE id = 50")
                cursor.execute("INSERT INTO item SELECT i, repeat('x', 2000) FROM generate_series(2001, 3000) i")
            wait_until(lambda: a.sql("SELECT 1 FROM pg_stat_activity WHERE application_name = 'pgduet journal' "
                                     "AND wait_event_type = 'Lock'"), "the journal to wait")
            assert last_published(group, "a") == before
        assert_same_items(group)
        assert last_published(group, "a") > before

    def test_rows_inserted_after_a_truncate_in_one_transaction_arrive(self, group):
        group["a"].sql("INSERT INTO item SELECT i, 'old' FROM generate_series(1, 10) i")
        group.wait_converged()
        group["b"].sql("DELETE FROM item WHERE id <= 5")  # its tombstones send these keys the slow way
        group.wait_converged()
        with group["a"].transaction() as cursor:
            cursor.execute("TRUNCATE item")
            cursor.execute("INSERT INTO item SELECT i, 'new' FROM generate_series(1, 20) i")
        assert_same_items(group)
        assert group["c"].rows("item") == sorted(((i, "new") for i in range(1, 21)), key=repr)
        assert not any(region.conflicts("item") for region in group)

    def test_a_key_deleted_and_inserted_in_different_chunks_of_a_transaction_arrives(self, group):
        group["a"].sql("INSERT INTO item VALUES (100, 'old') ON CONFLICT DO NOTHING")
        group.wait_converged()
        with group["a"].transaction() as cursor:
            cursor.execute("DELETE FROM item WHERE id = 100")
            cursor.execute("INSERT INTO item SELECT i, repeat('x', 2000) FROM generate_series(101, 1100) i")
            cursor.execute("INSERT INTO item VALUES (100, 'new')")
        assert_same_items(group)
        assert (100, "new") in group["b"].rows("item")
        assert not any(region.conflicts("item") for region in group)

    def test_tombstones_of_remote_deletes_are_swept_and_go(self, group):
        group["a"].sql("INSERT INTO item SELECT i, 'x' FROM generate_series(2001, 7000) i")
        group.wait_converged()
        group["b"].sql("DELETE FROM item WHERE id > 2000")
        assert_same_items(group)
        wait_no_tombstones(group)
