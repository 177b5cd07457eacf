"""What is measured, on any system that can pause and resume."""

import statistics
import threading
import time
from dataclasses import dataclass

from harness.waiting import wait_until

from systems import Meter

_HOT_ROWS = 100_000
_RATE = 200
_PATIENCE = 1800


@dataclass(frozen=True)
class Sizes:
    rows: int
    updates: int
    seconds: int


def drain_inserts(system, sizes):
    system.pause()
    _run(system.origin, system.dbname, f"""
        DO $$ BEGIN
          FOR batch IN 0 .. {sizes.rows // 1000 - 1} LOOP
            INSERT INTO bulk SELECT batch * 1000 + i, md5(i::text), i, clock_timestamp() FROM generate_series(1, 1000) i;
            COMMIT;
          END LOOP;
        END $$""")
    figures = _drain(system, sizes.rows)
    assert _count(system.target, system.dbname, "bulk") == sizes.rows
    return figures


def drain_updates(system, sizes):
    _run(system.origin, system.dbname,
         f"INSERT INTO hot SELECT i, md5(i::text), 0 FROM generate_series(1, {_HOT_ROWS}) i")
    wait_until(lambda: _count(system.target, system.dbname, "hot") == _HOT_ROWS, "the rows to arrive", _PATIENCE)
    system.pause()
    _run(system.origin, system.dbname, f"""
        DO $$ BEGIN
          FOR i IN 1 .. {sizes.updates} LOOP
            UPDATE hot SET amount = i WHERE id = (i * 7919::bigint % {_HOT_ROWS}) + 1;
            COMMIT;
          END LOOP;
        END $$""")
    figures = _drain(system, sizes.updates)
    total = "SELECT sum(amount::bigint) FROM hot"
    assert system.target.sql(total, dbname=system.dbname) == system.origin.sql(total, dbname=system.dbname)
    return figures


def latency(system, sizes):
    """Rows are inserted at a fixed rate; a reader asks the target for the newest one, again and again."""
    count = sizes.seconds * _RATE
    committed, visible = {}, {}
    _run(system.origin, system.dbname, "INSERT INTO tick VALUES (0)")
    wait_until(lambda: _count(system.target, system.dbname, "tick") == 1, "the first row to arrive")
    reader = threading.Thread(target=_watch, args=(system, count, visible))
    reader.start()
    meter = Meter(system)
    connection = system.origin.connect(system.dbname)
    with connection.cursor() as cursor:
        started = time.monotonic()
        for number in range(1, count + 1):
            time.sleep(max(0, started + number / _RATE - time.monotonic()))
            cursor.execute("INSERT INTO tick VALUES (%s)", (number,))
            committed[number] = time.monotonic()
    reader.join()
    used = meter.stop()
    # A row can be seen before its writer has been told that it is committed.
    took = sorted(max(0.0, visible[number] - committed[number]) * 1000 for number in committed)
    cuts = statistics.quantiles(took, n=100)
    return {"p50": cuts[49], "p90": cuts[89], "p99": cuts[98], "max": took[-1], **used}


def _watch(system, count, visible):
    connection = system.target.connect(system.dbname)
    newest = 0
    with connection.cursor() as cursor:
        cursor.execute("PREPARE newest AS SELECT max(id) FROM tick")
        while newest < count:
            cursor.execute("EXECUTE newest")
            now, seen = time.monotonic(), cursor.fetchone()[0]
            for number in range(newest + 1, seen + 1):
                visible[number] = now
            newest = max(newest, seen)
            time.sleep(0.0002)


def _drain(system, units):
    """Lets the system go and waits for the last row of the backlog."""
    system.origin.sql("INSERT INTO done VALUES (1)", dbname=system.dbname)
    for cluster in (system.origin, system.target):
        cluster.sql("CHECKPOINT")
    meter = Meter(system)
    started = time.monotonic()
    system.resume()
    connection = system.target.connect(system.dbname)
    with connection.cursor() as cursor:
        def arrived():
            cursor.execute("SELECT 1 FROM done")
            return cursor.fetchone()
        wait_until(arrived, "the backlog to drain", _PATIENCE, interval=0.02)
    seconds = time.monotonic() - started
    connection.close()
    return {"seconds": seconds, "per_second": units / seconds, **meter.stop()}


def _run(cluster, dbname, statement):
    connection = cluster.connect(dbname)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SET synchronous_commit = off")
            cursor.execute(statement)
    finally:
        connection.close()


def _count(cluster, dbname, table):
    return cluster.sql(f"SELECT count(*) FROM {table}", dbname=dbname)[0][0]
