"""Backlogs of single-row update transactions, and of deletes."""

from .workload import Workload, transactions

_HOT = "CREATE TABLE hot (id int PRIMARY KEY, name text NOT NULL, amount int NOT NULL);"
_PRIME = 7919  # the keys come in an order of their own


def _seed(rows):
    return f"INSERT INTO hot SELECT g, md5(g::text), 0 FROM generate_series(1, {rows}) g"


def _write_updates(rows):
    def write(system, count):
        system.origin.write(transactions(count, f"UPDATE hot SET amount = i + 1 WHERE id = i * {_PRIME}::bigint % {rows} + 1;"))
    return write


def updates(rows=1_000_000, regions=2):
    return Workload(
        name="updates" if regions == 2 else f"updates-{regions}-regions",
        title=f"single-row update transactions over {rows:,} rows" + (f", {regions} regions" if regions > 2 else ""),
        unit="transactions", schema=_HOT, tables=("public.hot",), seed=_seed(rows), regions=regions, write=_write_updates(rows))


def hot_rows(rows=100):
    return Workload(name="hot-rows", title=f"single-row update transactions over {rows} rows", unit="transactions", schema=_HOT,
                    tables=("public.hot",), seed=_seed(rows), write=_write_updates(rows))


def deletes(rows=500_000):
    def write(system, count):
        system.origin.write(transactions(max(1, count // 1000), "DELETE FROM hot WHERE id BETWEEN i * 1000 + 1 AND (i + 1) * 1000;"))

    return Workload(name="deletes", title="deletes in 1,000-row transactions", unit="rows", schema=_HOT, tables=("public.hot",),
                    seed=_seed(rows + 1000), write=write)
