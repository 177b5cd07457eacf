"""The time that a system takes for a backlog: from the moment it is let go until the last row (of each set) is visible. Then the rows are compared."""

import time

from harness.waiting import wait_until
from peers.side import on_all
from peers.system import DONE, DONE_BACK

from .processes import Meter
from .traffic import Traffic

_PATIENCE = 3600
_LOOK_EVERY, _CHECK_EVERY = 0.01, 5
_SETTLE = 10  # Debezium's sink writes the tables of one batch one after another
_FIRST, _LAST = 0, 1  # rows of DONE: the backlog's first transaction tells how long a system took to start
_PREPARED = 2  # comes after what was prepared


class WrongResult(AssertionError):
    """The target's rows are not the source's: the figure would be worthless."""


def drain(system, count, prepare=None):
    """Starts the system, measures, and leaves it running. `count`: units of the backlog. `prepare(system)`: what happens while it runs,
    before the backlog; what it returns stays alive."""
    system.start()
    kept = None
    if prepare:
        kept = prepare(system)
        _wait_prepared(system)
    figures = _drained(system, count)
    del kept
    return figures


def _wait_prepared(system):
    """What was prepared is carried, and read from every WAL: none of it is part of the backlog. A checkpoint writes what lets a slot
    restart behind it."""
    system.origin.sql(f"INSERT INTO {DONE} VALUES ({_PREPARED})")
    for side in system.targets:
        _wait_for_row(system, side, DONE, _PREPARED)
    for side in system.sides:
        written = side.sql("SELECT pg_current_wal_insert_lsn()::text")[0]
        side.sql("CHECKPOINT")
        for place in ("confirmed_flush_lsn", "restart_lsn"):
            wait_until(lambda: not side.sql(f"SELECT 1 FROM pg_replication_slots WHERE {place} < %s::pg_lsn", written), "the WAL to be read",
                       timeout=_PATIENCE)


def _drained(system, count):
    begin_backlog(system, count)
    return {"count": count, **timed(system, count), "conflicts": system.conflicts(), "topic_bytes": system.topic_bytes(),
            "checksums": verify(system)}


def begin_backlog(system, count):
    """Pauses the system and writes."""
    system.pause()
    system.origin.sql(f"INSERT INTO {DONE} VALUES ({_FIRST})")
    system.workload.write(system, count)
    _write_last(system)
    on_all(system.sides, lambda side: side.sql("CHECKPOINT"))


def timed(system, count):
    traffic, meter = Traffic(_ports(system)), Meter(system)
    began, started = time.time(), time.monotonic()
    system.resume()
    for side in system.targets:
        _wait_for_row(system, side, DONE, _FIRST)
    first = time.monotonic() - started
    wait_for_all(system)
    seconds = time.monotonic() - started
    return {"began": began, "ended": began + seconds, "seconds": round(seconds, 3), "first_seconds": round(first, 3),
            "per_second": round(count / seconds, 1), **meter.stop(), "wire_bytes": traffic.stop()}


def verify(system):
    """{table: [rows, checksum]}, equal at all sides."""
    return {table: _equal_sums(system, table) for table in [*system.workload.tables, *system.workload.tables_back]}


def _equal_sums(system, table):
    deadline = time.monotonic() + _SETTLE
    while True:
        sums = {}
        on_all(system.sides, lambda side: sums.__setitem__(side.name, side.checksum(table)))
        if len(set(sums.values())) == 1:
            return [str(value) for value in sums[system.origin.name]]
        if system.keeps_order_of_tables or time.monotonic() > deadline:
            raise WrongResult(f"{system.label}: {table} differs after {system.workload.name}: {sums}")
        time.sleep(0.1)


def _write_last(system):
    for table in system.done_tables:
        system.origin.sql(f"INSERT INTO {table} VALUES ({_LAST})")
    if system.comes_back():
        system.targets[0].sql(f"INSERT INTO {DONE_BACK} VALUES ({_LAST})")


def wait_for_all(system):
    for side in system.targets:
        for table in system.done_tables:
            _wait_for_row(system, side, table, _LAST)
    if system.comes_back():
        _wait_for_row(system, system.origin, DONE_BACK, _LAST)


def _wait_for_row(system, side, table, number):
    """Looks often; now and then, whether there is still hope."""
    deadline, next_check = time.monotonic() + _PATIENCE, time.monotonic() + _CHECK_EVERY
    connection = side.connect()
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"PREPARE arrived AS SELECT 1 FROM {table} WHERE id = {number}")
            while True:
                cursor.execute("EXECUTE arrived")
                if cursor.fetchone():
                    return
                now = time.monotonic()
                if now > next_check:
                    system.check()
                    next_check = now + _CHECK_EVERY
                if now > deadline:
                    raise TimeoutError(f"the backlog did not drain in {_PATIENCE} s")
                time.sleep(_LOOK_EVERY)
    finally:
        connection.close()


def _ports(system):
    ports = {side.name: side.cluster.port for side in system.sides}
    if "broker" in system.pids():
        ports["broker"] = int(system.site.broker().brokers.split(":")[1])
    return ports
