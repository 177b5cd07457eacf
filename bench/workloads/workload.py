"""What a workload is: tables, rows that are there before anything replicates, and a backlog."""

from dataclasses import dataclass, field
from typing import Callable


@dataclass(frozen=True)
class Workload:
    name: str
    title: str
    unit: str  # what `count` counts: rows or transactions
    schema: str  # run in each database
    tables: tuple  # the origin writes them
    write: Callable  # write(system, count): the backlog; what it writes at several sides may run one after another
    seed: str = ""  # SQL, run in each database
    tables_back: tuple = ()  # the target writes them
    back: bool = False  # pgduet has something to carry to the origin, too
    regions: int = 2
    policies: dict = field(default_factory=dict)  # {table: settings} of pgduet
    sets: dict = field(default_factory=dict)  # {set: tables}: sets of pgduet besides main, publications and subscriptions of native replication
    ours_only: bool = False


def two_tables(names, sets):
    """What a workload over two tables says of them: both in one set, or each in its own."""
    return {"tables": tuple(f"public.{name}" for name in names), "sets": {"other": (f"public.{names[1]}",)} if sets else {}}


def transactions(count, statements):
    """A statement that runs `statements` (they see `i`, from 0) in `count` transactions."""
    return f"""DO $$ BEGIN
      FOR i IN 0 .. {count - 1} LOOP
        {statements}
        COMMIT;
      END LOOP;
    END $$"""
