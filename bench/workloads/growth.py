"""Curves: the same work while one size grows. No curve may bend: the rate of a unit should not depend on it (wide rows and keys cost their bytes)."""

from dataclasses import dataclass
from typing import Callable, Optional

from measure.pgbench import OpenLoop

from .conflicts import conflicts
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


def _conflict_log(number):
    """Entries of the target's log from before. Only pgduet has one."""
    def prepare(system):
        if system.conflicts() is not None:
            system.targets[0].write(f"""
                INSERT INTO pgduet.conflict (table_schema, table_name, key_digest, key, kind, policy, decision, remote_operation, remote_row,
                  remote_region, remote_time, local_operation, local_row, local_region, local_time)
                SELECT 'public', 'mixed', md5(g::text)::uuid, jsonb_build_object('id', -g), 'update_origin_differs', 'last_write_wins', 'keep_local',
                  'update', jsonb_build_object('id', -g, 'name', md5(g::text)), 'a', now(), 'row', jsonb_build_object('id', -g, 'name', ''), 'b', now()
                FROM generate_series(1, {number}) g""")
    return prepare if number else None


def _held_snapshot(system):
    """A transaction of the target that stays open: nothing that is dead there can be removed."""
    connection = system.targets[0].connect(autocommit=False)
    connection.set_session(isolation_level="REPEATABLE READ")
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM hot")
    return connection


def _held_snapshot_for(minutes):
    """The same for that long, while the origin writes and all of it arrives: dead rows, of the sidecar's tables too, gather at the target."""
    def prepare(system):
        connection = _held_snapshot(system)
        script = "\\set id random(1, 100000)\nUPDATE hot SET amount = amount + 1 WHERE id = :id;\n"
        OpenLoop(system.origin, script, 300, minutes * 60, system.site.workspace.folder("held"), 4).transactions()
        return connection
    return prepare if minutes else None


CURVES = {
    "rows in the backlog": [Point(count, bulk(), count) for count in (100_000, 300_000, 1_000_000, 3_000_000)],
    "tables": [Point(tables, many_tables(tables), 200_000) for tables in (1, 10, 100, 1000)],
    "columns": [Point(columns, many_columns(columns), 100_000) for columns in (5, 20, 50, 100)],
    "bytes of the key": [Point(width, key_width(width), 100_000) for width in (8, 32, 256, 1024)],
    "tombstones": [Point(number, updates(100_000), 100_000, _tombstones(number)) for number in (0, 100_000, 1_000_000)],
    "regions": [Point(regions, updates(100_000, regions=regions), 50_000) for regions in (2, 3, 4, 5)],
    "entries of the conflict log": [Point(number, conflicts(20, 60_000), 60_000, _conflict_log(number)) for number in (0, 100_000, 900_000)],
    "minutes of a held snapshot": [Point(minutes, updates(100_000), 50_000, _held_snapshot_for(minutes)) for minutes in (0, 2, 10)],
    "updates under a held snapshot": [Point(count, updates(100_000), count, _held_snapshot) for count in (50_000, 200_000, 600_000)],
}
