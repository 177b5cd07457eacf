"""Curves: the same work while one size grows. No curve may bend: the rate of a unit should not depend on it (wide rows and keys cost their bytes)."""

from dataclasses import dataclass
from typing import Callable, Optional

from .inserts import bulk, key_width, many_columns, many_tables
from .updates import updates
from .workload import Workload, transactions


@dataclass(frozen=True)
class Point:
    x: int
    workload: Workload
    count: int
    prepare: Optional[Callable] = None  # prepare(system): before the pause; may return what must stay alive


def _tombstones(number):
    """Rows that the origin deletes while replication runs: what remembers deletes has that many."""
    def prepare(system):
        system.origin.write(f"INSERT INTO hot SELECT g, '', 0 FROM generate_series(2000001, {2_000_000 + number}) g")
        system.origin.write(transactions(number // 1000, "DELETE FROM hot WHERE id BETWEEN 2000001 + i * 1000 AND 2001000 + i * 1000;"))
    return prepare if number else None


def _held_snapshot(system):
    """A transaction of the target that stays open: nothing that is dead there can be removed."""
    connection = system.targets[0].connect(autocommit=False)
    connection.set_session(isolation_level="REPEATABLE READ")
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM hot")
    return connection


CURVES = {
    "rows in the backlog": [Point(count, bulk(), count) for count in (100_000, 300_000, 1_000_000, 3_000_000)],
    "tables": [Point(tables, many_tables(tables), 200_000) for tables in (1, 10, 100, 1000)],
    "columns": [Point(columns, many_columns(columns), 100_000) for columns in (5, 20, 50, 100)],
    "bytes of the key": [Point(width, key_width(width), 100_000) for width in (8, 32, 256, 1024)],
    "tombstones": [Point(number, updates(100_000), 100_000, _tombstones(number)) for number in (0, 100_000, 1_000_000)],
    "updates under a held snapshot": [Point(count, updates(100_000), count, _held_snapshot) for count in (50_000, 200_000, 600_000)],
}
