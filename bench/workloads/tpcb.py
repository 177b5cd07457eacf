"""pgbench's TPC-B-like transactions: three updates, one insert and a read each. pgbench itself writes the backlog, with four clients.

Its history gets a key, and a time with zone: Debezium's sink fails with the other kind.
"""

from .workload import Workload

_CLIENTS = 4
_SCHEMA = """
CREATE TABLE pgbench_branches (bid int PRIMARY KEY, bbalance int, filler char(88)) WITH (fillfactor = 100);
CREATE TABLE pgbench_tellers (tid int PRIMARY KEY, bid int, tbalance int, filler char(84)) WITH (fillfactor = 100);
CREATE TABLE pgbench_accounts (aid int PRIMARY KEY, bid int, abalance int, filler char(84)) WITH (fillfactor = 100);
CREATE TABLE pgbench_history (id bigserial PRIMARY KEY, tid int, bid int, aid int, delta int, mtime timestamptz, filler char(22));
"""


def tpcb(scale=10):
    seed = f"""
      INSERT INTO pgbench_branches SELECT g, 0 FROM generate_series(1, {scale}) g;
      INSERT INTO pgbench_tellers SELECT g, (g - 1) / 10 + 1, 0 FROM generate_series(1, {scale * 10}) g;
      INSERT INTO pgbench_accounts SELECT g, (g - 1) / 100000 + 1, 0, '' FROM generate_series(1, {scale * 100_000}) g;"""

    def write(system, count):
        system.origin.sql(f'ALTER DATABASE "{system.origin.dbname}" SET synchronous_commit = off')
        system.origin.cluster.program("pgbench", "-n", "-b", "tpcb-like", "-c", _CLIENTS, "-t", max(1, count // _CLIENTS),
                                      dbname=system.origin.dbname)
        system.origin.sql(f'ALTER DATABASE "{system.origin.dbname}" RESET synchronous_commit')

    return Workload(name="tpcb", title=f"TPC-B transactions (pgbench, scale {scale}; the history has a key)", unit="transactions",
                    schema=_SCHEMA, tables=tuple(f"public.pgbench_{name}" for name in ("branches", "tellers", "accounts", "history")),
                    seed=seed, write=write)
