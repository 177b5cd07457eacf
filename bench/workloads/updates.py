"""Backlogs of single-row update transactions, and of deletes."""

from .workload import Workload, transactions, two_tables

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


def updates_of_two_tables(rows=1_000_000, sets=False):
    """The backlog of `updates`, by turns for two tables of half the rows."""
    names, half = ("hot_a", "hot_b"), rows // 2

    def write(system, count):
        system.origin.write(transactions(count // 2, " COMMIT; ".join(
            f"UPDATE {name} SET amount = i + 1 WHERE id = i * {_PRIME}::bigint % {half} + 1;" for name in names)))

    return Workload(
        name=f"updates-2-{'sets' if sets else 'tables'}",
        title=f"single-row update transactions over {rows:,} rows of two tables in {'two sets' if sets else 'one set'}",
        unit="transactions", schema="".join(_HOT.replace("hot", name) for name in names),
        seed="; ".join(_seed(half).replace("hot", name) for name in names), write=write, **two_tables(names, sets))


def hot_rows(rows=100):
    return Workload(name="hot-rows", title=f"single-row update transactions over {rows} rows", unit="transactions", schema=_HOT,
                    tables=("public.hot",), seed=_seed(rows), write=_write_updates(rows))


def deletes(rows=500_000):
    def write(system, count):
        system.origin.write(transactions(max(1, count // 1000), "DELETE FROM hot WHERE id BETWEEN i * 1000 + 1 AND (i + 1) * 1000;"))

    return Workload(name="deletes", title="deletes in 1,000-row transactions", unit="rows", schema=_HOT, tables=("public.hot",),
                    seed=_seed(rows + 1000), write=write)
