"""pgduet alone: single-row update transactions of a table with each policy, without conflicts. `last_write_wins` is the base."""

from .workload import Workload, transactions

_ROWS = 10_000
_FUNCTION = """CREATE FUNCTION bench_resolve(a jsonb, b jsonb, context jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE
               AS 'SELECT CASE WHEN a->>''amount'' >= b->>''amount'' THEN a ELSE b END';"""
_SCHEMA = """CREATE TABLE item (id int PRIMARY KEY, name text NOT NULL, amount bigint NOT NULL, best int NOT NULL, tags text[] NOT NULL,
               options jsonb NOT NULL);
             ALTER TABLE item REPLICA IDENTITY FULL;"""
_SEED = f"INSERT INTO item SELECT g, md5(g::text), 0, 0, '{{a}}', '{{\"k\": 0}}' FROM generate_series(1, {_ROWS}) g"

# {name: (settings, what an update sets)}
POLICIES = {
    "last_write_wins": ({}, "amount = amount + 1"),
    "first_write_wins": ({"policy": "first_write_wins"}, "amount = amount + 1"),
    "region_priority": ({"policy": "region_priority", "priority": ["a"]}, "amount = amount + 1"),
    "versions": ({"policy": "versions"}, "amount = amount + 1"),
    "error": ({"policy": "error"}, "amount = amount + 1"),
    "custom": ({"policy": "custom", "function": "public.bench_resolve"}, "amount = amount + 1"),
    "latest": ({"policy": "merge"}, "amount = amount + 1"),
    "counter": ({"policy": "merge", "columns": {"amount": "counter"}}, "amount = amount + 1"),
    "max": ({"policy": "merge", "columns": {"best": "max"}}, "best = best + 1"),
    "add_wins_set": ({"policy": "merge", "columns": {"tags": "add_wins_set"}}, "tags = ARRAY['a', i::text]"),
    "map": ({"policy": "merge", "columns": {"options": "map"}}, "options = options || jsonb_build_object('k' || i % 3, i)"),
}


def policy(name):
    settings, assignment = POLICIES[name]

    def write(system, count):
        system.origin.write(transactions(count, f"UPDATE item SET {assignment} WHERE id = i * 7919::bigint % {_ROWS} + 1;"))

    function = _FUNCTION if "function" in settings else ""
    return Workload(name=f"policy-{name}", title=f"single-row update transactions, policy {name}", unit="transactions",
                    schema=_SCHEMA + function, tables=("public.item",), seed=_SEED, write=write, ours_only=True,
                    policies={"public.item": settings})
