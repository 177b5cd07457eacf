"""The workloads by name, each with the size of its backlog: in the full run, and in the quick one."""

from dataclasses import dataclass
from typing import Callable

from .conflicts import conflicts
from .inserts import both_ways, bulk, bulk_of_two_tables, many_columns, many_tables, one_transaction, wide
from .policies import POLICIES, policy
from .tpcb import tpcb
from .updates import deletes, hot_rows, updates, updates_of_two_tables


@dataclass(frozen=True)
class Entry:
    make: Callable  # make(quick)
    full: int
    quick: int


CATALOGUE = {
    "bulk": Entry(lambda quick: bulk(), 1_000_000, 150_000),
    "updates": Entry(lambda quick: updates(100_000 if quick else 1_000_000), 200_000, 30_000),
    "tpcb": Entry(lambda quick: tpcb(1 if quick else 10), 60_000, 8_000),
    "wide": Entry(lambda quick: wide(), 200_000, 20_000),
    "deletes": Entry(lambda quick: deletes(100_000 if quick else 500_000), 500_000, 100_000),
    "conflicts-0": Entry(lambda quick: conflicts(0, 60_000 if quick else 500_000), 500_000, 60_000),
    "conflicts-1": Entry(lambda quick: conflicts(1, 60_000 if quick else 500_000), 500_000, 60_000),
    "conflicts-20": Entry(lambda quick: conflicts(20, 60_000 if quick else 500_000), 500_000, 60_000),
    "columns-20": Entry(lambda quick: many_columns(), 500_000, 60_000),
    "hot-rows": Entry(lambda quick: hot_rows(), 200_000, 30_000),
    "one-transaction": Entry(lambda quick: one_transaction(), 10_000_000, 300_000),
    "both-ways": Entry(lambda quick: both_ways(), 1_000_000, 150_000),
    "bulk-3-regions": Entry(lambda quick: bulk(regions=3), 1_000_000, 150_000),
    "updates-3-regions": Entry(lambda quick: updates(100_000 if quick else 1_000_000, regions=3), 200_000, 30_000),
    "bulk-2-tables": Entry(lambda quick: bulk_of_two_tables(), 1_000_000, 150_000),
    "bulk-2-sets": Entry(lambda quick: bulk_of_two_tables(sets=True), 1_000_000, 150_000),
    "updates-2-tables": Entry(lambda quick: updates_of_two_tables(100_000 if quick else 1_000_000), 200_000, 30_000),
    "updates-2-sets": Entry(lambda quick: updates_of_two_tables(100_000 if quick else 1_000_000, sets=True), 200_000, 30_000),
    "tables-100": Entry(lambda quick: many_tables(), 500_000, 60_000),
    **{f"policy-{name}": Entry(lambda quick, name=name: policy(name), 50_000, 5_000) for name in POLICIES},
}

# In the order in which a run measures them, so that what matters most is there when it is interrupted.
QUICK = ("bulk", "updates", "tpcb", "wide", "deletes", "conflicts-0", "conflicts-20")
FULL = tuple(CATALOGUE)
