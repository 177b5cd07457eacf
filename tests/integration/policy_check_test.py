"""Policies against a real catalog: check, init and the agent's start name what does not fit, with the statement that mends it."""

import json

import pytest

from harness.agent import pgduet
from harness.waiting import wait_until

SCHEMA = """
CREATE SCHEMA shop;
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE TABLE stock (id int PRIMARY KEY, "At" int NOT NULL DEFAULT 0, small smallint NOT NULL, big bigint NOT NULL, price numeric NOT NULL,
  loose int, name text, ratio float8 NOT NULL DEFAULT 0, ratio4 float4 NOT NULL DEFAULT 0, pos positive NOT NULL DEFAULT 1,
  day date, at timestamp, moment timestamptz, hour time, feeling mood, tags text[], grid int[][], vector int2vector, doc jsonb, old json,
  twice int GENERATED ALWAYS AS (small * 2) STORED, number int GENERATED ALWAYS AS IDENTITY);
ALTER TABLE stock REPLICA IDENTITY FULL;
CREATE TABLE plain (id int PRIMARY KEY, n int NOT NULL);
CREATE TABLE keyless (id int NOT NULL, n int NOT NULL);
CREATE UNIQUE INDEX keyless_id ON keyless (id);
ALTER TABLE keyless REPLICA IDENTITY USING INDEX keyless_id;
CREATE TABLE document (id int PRIMARY KEY, title text, body text, short varchar(5));
CREATE TABLE parted (id int, part int, body text, PRIMARY KEY (id, part)) PARTITION BY LIST (part);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1);
CREATE TABLE account (id int PRIMARY KEY, email varchar(60) UNIQUE, n int NOT NULL);
ALTER TABLE account REPLICA IDENTITY FULL;
CREATE TABLE price (id int PRIMARY KEY, n int);
CREATE FUNCTION shop.fine(jsonb, jsonb, jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS 'SELECT $1';
CREATE FUNCTION shop.stable(jsonb, jsonb, jsonb) RETURNS jsonb LANGUAGE sql STABLE AS 'SELECT $1';
CREATE FUNCTION shop.two(jsonb, jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS 'SELECT $1';
CREATE FUNCTION shop.rows(jsonb, jsonb, jsonb) RETURNS SETOF jsonb LANGUAGE sql IMMUTABLE AS 'SELECT $1';
CREATE FUNCTION shop."texts.And more"(jsonb, jsonb, jsonb) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1::text';
CREATE FUNCTION shop."Mine"(jsonb, jsonb, jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS 'SELECT $1';
"""
FINDINGS = {"replica_identity_not_full", "policy_column_missing", "policy_column_type", "policy_column_null", "policy_key_column",
            "policy_column_generated", "policy_unique_key", "large_value_unknown", "policy_function_missing",
            "policy_function_right_missing", "policy_function_volatile"}


@pytest.fixture(scope="module")
def group(module_group):
    """Set up with last write wins everywhere; the tests change the file and the table settings of region a."""
    tables = ["public.stock", "public.plain", "public.keyless", "public.document", "public.parted", "public.account", "public.price"]
    made = module_group("direct", ["a", "b"], schema=SCHEMA, tables=tables)
    made.stop_agents()
    made["a"].sql("GRANT USAGE ON SCHEMA shop TO pgduet")
    return made


def findings(group, tables, command="check"):
    """What is said about policies: [(severity, name, what, remedy)]. The file of region a is written with these tables' settings."""
    group.tables = {**{name: {} for name in group.tables}, **tables}
    group.write_configurations()
    answer = json.loads(group["a"].pgduet(command, "--json", check=False).stdout)
    return [(one["severity"], one["name"], one["what"], one["remedy"]) for one in answer["findings"] if one["name"] in FINDINGS]


def merge(**columns):
    return {"public.stock": {"policy": "merge", "columns": columns}}


def test_columns_that_fit_are_fine(group):
    columns = {"At": "counter", "small": "counter", "big": "max", "price": "counter", "day": "max", "at": "min", "moment": "max",
               "tags": "add_wins_set", "doc": "map", "name": "latest", "id": "latest",
               "ratio": "counter", "ratio4": "counter"}
    assert findings(group, merge(**columns)) == []
    assert findings(group, merge(doc="add_wins_set", small="min", price="max")) == []
    assert findings(group, {"public.stock": {"policy": "merge", "groups": [["name", "loose"], ["id", "feeling"]]}}) == []


@pytest.mark.parametrize("column, kind, said", [
    ("name", "counter", "smallint, integer, bigint, numeric, real or double precision"),
    ("pos", "counter", "domains"), ("day", "counter", "smallint"), ("name", "max", "timestamptz"), ("ratio", "max", "numeric"),
    ("hour", "min", "timestamptz"), ("feeling", "max", "timestamptz"), ("old", "map", "jsonb"), ("tags", "map", "jsonb"),
    ("name", "add_wins_set", "array"), ("grid", "add_wins_set", "one-dimensional"), ("vector", "add_wins_set", "array"),
    ("old", "add_wins_set", "array")])
def test_a_type_that_does_not_fit_is_refused(group, column, kind, said):
    (severity, name, what, remedy), = findings(group, merge(**{column: kind}))
    assert (severity, name) == ("error", "policy_column_type")
    assert f'table="public"."stock" column={column} kind={kind} type=' in what and said in remedy


@pytest.mark.parametrize("settings, name, said", [
    ({"columns": {"loose": "counter"}}, "policy_column_null", 'ALTER COLUMN "loose" SET NOT NULL'),
    ({"columns": {"at_all": "max"}}, "policy_column_missing", "Correct the name"),
    ({"columns": {"AT": "max"}}, "policy_column_missing", "as PostgreSQL has it"),
    ({"groups": [["name", "nowhere"]]}, "policy_column_missing", "Correct the name"),
    ({"columns": {"id": "max"}}, "policy_key_column", "Take it out"),
    ({"columns": {"twice": "max"}}, "policy_column_generated", "computes it"),
    ({"groups": [["name", "twice"]]}, "policy_column_generated", "computes it"),
    ({"columns": {"number": "counter"}}, "policy_column_generated", "SET GENERATED BY DEFAULT"),
])
def test_a_column_that_cannot_be_merged_is_refused(group, settings, name, said):
    (severity, found, _, remedy), = findings(group, {"public.stock": {"policy": "merge", **settings}})
    assert (severity, found) == ("error", name) and said in remedy


def test_merge_needs_whole_old_rows_and_the_remedy_gives_them(group):
    tables = {"public.plain": {"policy": "merge", "columns": {"n": "counter"}}}
    (severity, name, _, remedy), = findings(group, tables)
    assert (severity, name) == ("error", "replica_identity_not_full")
    statement = remedy.removesuffix(" in all regions.")
    group["a"].sql(statement)
    assert findings(group, tables) == []
    group["a"].sql("ALTER TABLE plain REPLICA IDENTITY DEFAULT")
    (_, name, _, remedy), = findings(group, {"public.keyless": {"policy": "merge"}})
    assert name == "replica_identity_not_full" and remedy.startswith("First give the table a PRIMARY KEY")


@pytest.mark.parametrize("policy", ["versions", "error", "first_write_wins"])
def test_large_values_without_whole_old_rows_are_a_warning(group, policy):
    (severity, name, what, remedy), = findings(group, {"public.document": {"policy": policy}})
    assert (severity, name) == ("warning", "large_value_unknown")
    assert what.endswith("columns=title, body, short") and 'ALTER TABLE "public"."document" REPLICA IDENTITY FULL;' in remedy
    assert findings(group, {"public.document": {}, "public.plain": {"policy": policy}}) == []
    (_, name, what, _), = findings(group, {"public.plain": {}, "public.parted": {"policy": policy}})
    assert name == "large_value_unknown" and what.endswith("columns=body")
    group.tables["public.parted"] = {}


def test_a_second_unique_key_is_a_warning_of_its_own(group):
    (severity, name, what, remedy), = findings(group, {"public.account": {"policy": "merge", "columns": {"n": "counter"}}})
    assert (severity, name) == ("warning", "policy_unique_key")
    assert "policy=merge index=public.account_email_key" in what and "stops the stream" in remedy
    plain = json.loads(group["a"].pgduet("check", "--json", check=False).stdout)["findings"]
    assert [one for one in plain if one["name"] == "secondary_unique_key" and "account" in one["what"]] == []
    assert findings(group, {"public.account": {}}) == []


def custom(function):
    return {"public.price": {"policy": "custom", "function": function}}


def test_a_function_must_exist_with_its_signature(group):
    assert findings(group, custom("shop.fine")) == []
    for missing in ("shop.nowhere", "nowhere.fine", "shop.two", "shop.rows", 'shop."texts.And more"', "shop.mine"):
        (severity, name, what, remedy), = findings(group, custom(missing))
        assert (severity, name) == ("error", "policy_function_missing"), missing
        assert "(jsonb, jsonb, jsonb) RETURNS jsonb" in what and "CREATE FUNCTION" in remedy
    assert findings(group, custom('shop."Mine"')) == []
    (severity, name, _, remedy), = findings(group, custom("shop.stable"))
    assert (severity, name) == ("warning", "policy_function_volatile") and "IMMUTABLE" in remedy


def test_the_right_to_call_the_function_is_granted_by_init(group):
    a = group["a"]
    a.sql("REVOKE ALL ON FUNCTION shop.fine FROM PUBLIC; REVOKE ALL ON SCHEMA shop FROM PUBLIC, pgduet")
    (severity, name, _, remedy), = findings(group, custom("shop.fine"))
    assert (severity, name) == ("error", "policy_function_right_missing")
    assert "GRANT USAGE ON SCHEMA shop TO pgduet; GRANT EXECUTE ON FUNCTION" in remedy
    said = a.pgduet("init").stdout
    assert 'role may call "shop"."fine"(jsonb, jsonb, jsonb)' in said
    assert findings(group, custom("shop.fine")) == []
    assert "role may call \"shop\"" not in a.pgduet("init").stdout


def test_init_refuses_and_changes_nothing(group):
    findings(group, {"public.price": {}, **merge(name="counter")})
    done = group["a"].pgduet("init", check=False)
    assert done.returncode == 1 and "[not_ready]" in done.stderr and "[policy_column_type]" in done.stderr


def test_an_agent_does_not_run_until_the_policy_fits(group):
    """The start waits with the finding's name and remedy, and goes on by itself when the column fits."""
    a = group["a"]
    group.expect_errors("policy_column_type")
    for region in group:
        region.sql("ALTER TABLE plain ALTER COLUMN n TYPE text; ALTER TABLE plain REPLICA IDENTITY FULL")
    group.tables = {**{name: {} for name in group.tables}, "public.plain": {"policy": "merge", "columns": {"n": "counter"}}}
    group.write_configurations()
    a.agent.start(wait=False)

    def waits():
        code, body = a.agent.http("/status")
        status = json.loads(body) if code == 200 else {}
        return status if status.get("error") == "policy_column_type" else None
    status = wait_until(waits, "the agent to say what is wrong")
    assert status["state"] == "starting" and "column=n kind=counter type=text" in status["message"] and status["streams"] == []
    assert a.agent.http("/readyz")[0] != 200
    for region in group:
        region.sql("ALTER TABLE plain ALTER COLUMN n TYPE int USING n::int")
    group["b"].agent.start(wait=False)
    for region in group:
        region.agent.wait_ready()


def test_policy_show_needs_no_region_and_is_equal_at_all(group):
    a, b = group["a"], group["b"]
    findings(group, {"public.plain": {}, **merge(small="counter", tags="add_wins_set")})
    shown = pgduet("policy", "show", "--config", a.config_path).stdout
    assert 'table."public"."stock".policy=merge\n' in shown
    assert 'table."public"."stock".column."small"=counter\n' in shown and "region.1=b\n" in shown
    answers = [json.loads(pgduet("policy", "show", "--json", "--config", region.config_path).stdout) for region in (a, b)]
    assert answers[0] == answers[1]
    assert shown == "\n".join([*answers[0]["settings"], f"hash: {answers[0]['hash']}", ""])
    findings(group, merge(small="max"))
    assert json.loads(pgduet("policy", "show", "--json", "--config", a.config_path).stdout)["hash"] != answers[0]["hash"]
