"""Backlogs of inserted rows."""

from .workload import Workload, transactions, two_tables

_BULK = "CREATE TABLE bulk (id bigint PRIMARY KEY, name text NOT NULL, amount int NOT NULL, created timestamptz NOT NULL);"
_BULK_ROW = "md5(g::text), g, clock_timestamp()"
_BATCH = 1000


def bulk(regions=2):
    return Workload(
        name="bulk" if regions == 2 else f"bulk-{regions}-regions",
        title="bulk insert in 1,000-row transactions" + (f", {regions} regions" if regions > 2 else ""),
        unit="rows", schema=_BULK, tables=("public.bulk",), regions=regions, write=_write_bulk)


def _write_bulk(system, count):
    system.origin.write(transactions(max(1, count // _BATCH), _rows("bulk", _BULK_ROW)))


def _rows(table, values, rows=_BATCH):
    """An INSERT of `rows` rows in transaction i; `values` see the key g."""
    return f"INSERT INTO {table} SELECT g, {values} FROM generate_series(i::bigint * {rows} + 1, (i::bigint + 1) * {rows}) g;"


def bulk_of_two_tables(sets=False):
    """The backlog of `bulk`, its transactions by turns for two tables."""
    names = ("bulk_a", "bulk_b")

    def write(system, count):
        system.origin.write(transactions(max(1, count // 2 // _BATCH), " COMMIT; ".join(_rows(name, _BULK_ROW) for name in names)))

    return Workload(
        name=f"bulk-2-{'sets' if sets else 'tables'}", title=f"bulk insert in 1,000-row transactions, two tables in {'two sets' if sets else 'one set'}",
        unit="rows", schema="".join(_BULK.replace("bulk", name) for name in names), write=write, **two_tables(names, sets))


def one_transaction():
    def write(system, count):
        system.origin.write(f"INSERT INTO bulk SELECT g, {_BULK_ROW} FROM generate_series(1, {count}) g")

    return Workload(name="one-transaction", title="one large transaction", unit="rows", schema=_BULK, tables=("public.bulk",), write=write)


def wide():
    """Rows just small enough to stay in the table (the large-object table begins at 2,032 bytes), of text that does not compress much."""
    body = "(SELECT string_agg(md5(g::text || x), '') FROM generate_series(1, 60) x)"

    def write(system, count):
        system.origin.write(transactions(max(1, count // 100), _rows("wide", body, rows=100)))

    return Workload(name="wide", title="inserts of 2 kB rows, 100-row transactions", unit="rows",
                    schema="CREATE TABLE wide (id bigint PRIMARY KEY, body text NOT NULL);", tables=("public.wide",), write=write)


_KINDS = (("bigint", "g * {n}"), ("text", "'value ' || g + {n}"), ("numeric(12,2)", "g / 100.0 + {n}"),
          ("timestamptz", "timestamptz '2026-01-01' + g * interval '{n} s'"), ("boolean", "g % {n} = 0"))


def many_columns(columns=20):
    kinds = [_KINDS[n % len(_KINDS)] for n in range(columns - 1)]
    schema = ", ".join(f"c{n} {kind}" for n, (kind, _) in enumerate(kinds, 1))
    values = ", ".join(value.format(n=n) for n, (_, value) in enumerate(kinds, 1))

    def write(system, count):
        system.origin.write(transactions(max(1, count // _BATCH), _rows("broad", values)))

    return Workload(name=f"columns-{columns}", title=f"inserts of rows with {columns} columns, 1,000-row transactions", unit="rows",
                    schema=f"CREATE TABLE broad (id bigint PRIMARY KEY, {schema});", tables=("public.broad",), write=write)


def many_tables(tables=100):
    """Each transaction writes 100 rows to one table, the tables take turns."""
    names = [f"t{n:04}" for n in range(tables)]

    def write(system, count):
        rounds = max(1, count // (100 * tables))
        statements = " ".join(_rows(name, _BULK_ROW, rows=100) + " COMMIT;" for name in names)
        system.origin.write(transactions(rounds, statements))

    return Workload(name=f"tables-{tables}", title=f"inserts into {tables} tables, 100-row transactions", unit="rows",
                    schema="".join(_BULK.replace("bulk", name) for name in names), tables=tuple(f"public.{name}" for name in names), write=write)


_KEYS = {8: ("bigint", "g"), 32: ("text", "md5(g::text)"), 256: ("text", "repeat(md5(g::text), 8)"), 1024: ("text", "repeat(md5(g::text), 32)")}


def key_width(width):
    kind, key = _KEYS[width]

    def write(system, count):
        system.origin.write(transactions(max(1, count // _BATCH), _rows("keyed", f"{key}, {_BULK_ROW}").replace("SELECT g,", "SELECT")))

    return Workload(name=f"key-{width}", title=f"inserts with keys of {width} bytes, 1,000-row transactions", unit="rows",
                    schema=f"CREATE TABLE keyed (id {kind} PRIMARY KEY, name text NOT NULL, amount int NOT NULL, created timestamptz NOT NULL);",
                    tables=("public.keyed",), write=write)


def both_ways():
    """Each side inserts into a table of its own: native replication of PostgreSQL 15 cannot carry one table both ways without loops."""
    def write(system, count):
        for side, table in ((system.origin, "forth"), (system.targets[0], "back")):
            side.write(transactions(max(1, count // 2 // _BATCH), _rows(table, _BULK_ROW)))

    return Workload(name="both-ways", title="bulk insert in both directions at once (half of the rows each)", unit="rows",
                    schema=_BULK.replace("bulk", "forth") + _BULK.replace("bulk", "back"), tables=("public.forth",),
                    tables_back=("public.back",), back=True, write=write)
