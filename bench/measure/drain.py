"""The time that a system takes for a backlog: from the moment it is let go until the last row is visible. Then the rows are compared."""

import time

from peers.side import on_all
from peers.system import DONE, DONE_BACK

from .processes import Meter
from .traffic import Traffic

_PATIENCE = 3600
_LOOK_EVERY = 0.01


class WrongResult(AssertionError):
    """The target's rows are not the source's: the figure would be worthless."""


def drain(system, count):
    """Starts the system, measures, and leaves it running. `count`: units of the backlog."""
    workload = system.workload
    system.start()
    system.pause()
    workload.write(system, count)
    _write_last(system)
    on_all(system.sides, lambda side: side.sql("CHECKPOINT"))
    return {"count": count, **timed(system, count), "conflicts": system.conflicts(), "topic_bytes": system.topic_bytes(),
            "checksums": verify(system)}


def timed(system, count):
    traffic, meter = Traffic(_ports(system)), Meter(system)
    started = time.monotonic()
    system.resume()
    wait_for_all(system)
    seconds = time.monotonic() - started
    return {"seconds": round(seconds, 3), "per_second": round(count / seconds, 1), **meter.stop(), "wire_bytes": traffic.stop()}


def verify(system):
    """{table: [rows, checksum]}, equal at all sides."""
    found = {}
    for table in [*system.workload.tables, *system.workload.tables_back]:
        sums = {}
        on_all(system.sides, lambda side: sums.__setitem__(side.name, side.checksum(table)))
        if len(set(sums.values())) != 1:
            raise WrongResult(f"{system.label}: {table} differs after {system.workload.name}: {sums}")
        found[table] = [str(value) for value in sums[system.origin.name]]
    return found


def _write_last(system):
    system.origin.sql(f"INSERT INTO {DONE} VALUES (1)")
    if system.comes_back():
        system.targets[0].sql(f"INSERT INTO {DONE_BACK} VALUES (1)")


def wait_for_all(system):
    for side in system.targets:
        _wait_for_row(side, DONE)
    if system.comes_back():
        _wait_for_row(system.origin, DONE_BACK)


def _wait_for_row(side, table):
    deadline = time.monotonic() + _PATIENCE
    connection = side.connect()
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"PREPARE arrived AS SELECT 1 FROM {table}")
            while True:
                cursor.execute("EXECUTE arrived")
                if cursor.fetchone():
                    return
                if time.monotonic() > deadline:
                    raise TimeoutError(f"the backlog did not drain in {_PATIENCE} s")
                time.sleep(_LOOK_EVERY)
    finally:
        connection.close()


def _ports(system):
    ports = {side.name: side.cluster.port for side in system.sides}
    if "broker" in system.pids():
        ports["broker"] = int(system.site.broker().brokers.split(":")[1])
    return ports
