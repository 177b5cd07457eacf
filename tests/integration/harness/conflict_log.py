"""What the tests of the conflict log share: two regions, conflicts between them, and the commands' answers."""

import json

import pytest

from .waiting import wait_until

FAILURE, USAGE = 1, 2

SCHEMA = """
CREATE TYPE pair AS (x int, y json);
CREATE TABLE item (id int PRIMARY KEY, name text, value int NOT NULL DEFAULT 0);
CREATE TABLE other (id int PRIMARY KEY, name text);
CREATE TABLE rich (
  code numeric(10,2) PRIMARY KEY, number int GENERATED ALWAYS AS IDENTITY, amount numeric(30,10), doubled numeric GENERATED ALWAYS AS (amount * 2) STORED,
  plain json, binary_json jsonb, composite pair, list int[], words text[], at timestamptz, bytes bytea, span int4range, bits bit(3), narrow varchar(5));
CREATE SCHEMA "My Schema";
CREATE TABLE "My Schema"."Tab.le" ("The ""Key" text, part int, "Va lue" text, PRIMARY KEY ("The ""Key", part)) PARTITION BY LIST (part);
CREATE TABLE one PARTITION OF "My Schema"."Tab.le" FOR VALUES IN (1);
CREATE TABLE two PARTITION OF "My Schema"."Tab.le" FOR VALUES IN (2);
CREATE TABLE indexed (id int NOT NULL, name text, value int);
CREATE UNIQUE INDEX indexed_by_id ON indexed (id);
ALTER TABLE indexed REPLICA IDENTITY USING INDEX indexed_by_id;
CREATE TABLE whole (id int PRIMARY KEY, name text);
ALTER TABLE whole REPLICA IDENTITY FULL;
"""
TABLES = ["public.item", "public.other", "public.rich", "public.indexed", "public.whole", '"My Schema"."Tab.le"']


@pytest.fixture(scope="module")
def shared(module_group):
    return module_group("direct", schema=SCHEMA, tables=TABLES)


@pytest.fixture
def group(shared):
    """The module's group with empty tables and empty logs."""
    for region in shared:
        region.sql("; ".join(f"DELETE FROM {table}" for table in TABLES))
        shared.wait_converged()
    for region in shared:
        region.sql("TRUNCATE pgduet.conflict RESTART IDENTITY")
    return shared


def call(region, command, *arguments):
    return json.loads(region.pgduet(f"conflicts {command}", "--json", *arguments).stdout)


def listed(region, *arguments):
    return call(region, "list", *arguments)


def refused(region, command, *arguments):
    """The name of the error."""
    done = region.pgduet(f"conflicts {command}", *arguments, check=False)
    assert done.returncode == FAILURE and done.stdout == "", done.stdout
    return done.stderr.split("[")[-1].split("]")[0]


def meet(group, first, second, before="INSERT INTO item VALUES (1, 'base', 0)"):
    """a writes `first`, b writes `second` without having seen it; b's is the later one and wins. The entry at b, where
    the loser is remote, and the one at a, where it is local."""
    group["a"].sql(before)
    group.wait_converged()
    group.write_late([("a", first), ("b", second)])
    wait_until(lambda: listed(group["a"]) and listed(group["b"]), "both regions to log the conflict")
    (at_a,), (at_b,) = listed(group["a"]), listed(group["b"])
    return {"a": at_a["id"], "b": at_b["id"]}


def meet_updates(group):
    return meet(group, "UPDATE item SET name = 'from a', value = 1 WHERE id = 1",
                "UPDATE item SET name = 'from b', value = 2 WHERE id = 1")
