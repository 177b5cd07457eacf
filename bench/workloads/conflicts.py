"""Transactions of ten changes (five updates, four inserts, one delete). The target has updated a part of the same rows in the meantime.

Half of the target's updates are older than the origin's, half are newer: so each side wins half of the conflicts. Systems that do not know
conflicts carry only what the origin wrote, and overwrite.
"""

from .workload import Workload, transactions

_PER_TRANSACTION = 10
_KEYS_PER_WRITE = 1000  # of the target's transactions


def conflicts(percent, rows=500_000):
    """`percent` of all changes meet a row that the target has updated. `rows`: the largest backlog."""
    transactions_at_most = rows // _PER_TRANSACTION
    updated = transactions_at_most * 5

    def write(system, count):
        number = count // _PER_TRANSACTION
        _write_at_target(system.targets[0], number * 5, percent, half=0)
        system.origin.write(transactions(number, f"""
            UPDATE mixed SET amount = amount + 1, name = 'origin' WHERE id BETWEEN i * 5 + 1 AND i * 5 + 5;
            INSERT INTO mixed SELECT {10 * rows} + i * 4 + g, md5(g::text), 0 FROM generate_series(1, 4) g;
            DELETE FROM mixed WHERE id = {updated} + i + 1;"""))
        _write_at_target(system.targets[0], number * 5, percent, half=1)

    return Workload(
        name=f"conflicts-{percent}", title=f"mixed changes in 10-row transactions, {percent} % conflicts", unit="rows",
        schema="CREATE TABLE mixed (id int PRIMARY KEY, name text NOT NULL, amount int NOT NULL);", tables=("public.mixed",),
        seed=f"INSERT INTO mixed SELECT g, md5(g::text), 0 FROM generate_series(1, {updated + transactions_at_most + 1}) g",
        back=True, write=write)


def _write_at_target(side, updated, percent, half):
    if percent == 0:
        return
    # Half of all changes are updates: to meet p % of all, 2 p % of the updated rows.
    side.write(transactions(updated // _KEYS_PER_WRITE + 1, f"""
        UPDATE mixed SET name = 'target' WHERE id > i * {_KEYS_PER_WRITE} AND id <= (i + 1) * {_KEYS_PER_WRITE} AND id <= {updated}
          AND id % 100 < {2 * percent} AND id / 100 % 2 = {half};"""))
