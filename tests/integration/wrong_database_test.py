"""A database that does not fit: each obstacle has a name, says where it is and the statement that mends it."""

import pytest
import yaml

from harness.streams import SCHEMA, TABLES, assert_resumes, findings
from harness.waiting import wait_until


class TestDatabase:
    @pytest.mark.parametrize("version, origins", [("16", "max_replication_slots"), ("18", "max_active_replication_origins")])
    def test_a_server_with_wrong_settings_is_refused_with_the_statements_that_mend_it(self, group_on, version, origins):
        group = group_on("direct", ["a", "b", "c"], schema=SCHEMA, tables=TABLES, start=False, versions={"a": version}, settings={
            "wal_level": "replica", "track_commit_timestamp": "off", "max_replication_slots": 1, "max_wal_senders": 1})
        group["a"].postgres.set(**{origins: 1})
        group.start_databases()
        group.write_configurations()
        for command in ("check", "init"):
            if command == "check":
                group["a"].postgres.sql("CREATE ROLE pgduet LOGIN REPLICATION")
            said = findings(group["a"], command)
            for name, mend in (("wal_level", "ALTER SYSTEM SET wal_level = logical"),
                               ("track_commit_timestamp", "ALTER SYSTEM SET track_commit_timestamp = on"),
                               ("too_few_slots", "ALTER SYSTEM SET max_replication_slots"),
                               ("too_few_wal_senders", "ALTER SYSTEM SET max_wal_senders"),
                               ("too_few_origins", f"ALTER SYSTEM SET {origins}")):
                assert f"[{name}]" in said and mend in said, (command, name, said)
        assert group["a"].sql("SELECT count(*) FROM pg_namespace WHERE nspname = 'pgduet'") == [(0,)]

    def test_an_agent_refuses_a_server_that_lost_its_commit_timestamps(self, group_on):
        group = group_on("direct", schema=SCHEMA, tables=TABLES)
        group["a"].sql("INSERT INTO item VALUES (1)")
        group.wait_converged()
        group["b"].agent.stop()
        group["b"].postgres.set(track_commit_timestamp="off")
        group["b"].postgres.restart()
        group.expect_errors("track_commit_timestamp")
        group["b"].agent.start(wait=False)
        wait_until(lambda: group["b"].agent.http("/status")[0] == 200
                   and group["b"].agent.status().get("error") == "track_commit_timestamp", "the agent to refuse the server")
        assert "ALTER SYSTEM" in group["b"].agent.status()["remedy"]
        assert group["b"].agent.http("/readyz")[0] == 503
        group["b"].postgres.set(track_commit_timestamp="on")
        group["b"].postgres.restart()
        assert_resumes(group)

    def test_a_role_without_rights_is_told_which(self, group_on):
        group = group_on("direct", schema=SCHEMA, tables=TABLES, start=False)
        group.start_databases()
        group.write_configurations()
        group["a"].postgres.sql("CREATE ROLE pgduet LOGIN")
        said = findings(group["a"])
        for name, mend in (("replication_right_missing", "ALTER ROLE pgduet REPLICATION"),
                           ("replica_role_refused", "GRANT SET ON PARAMETER session_replication_role TO pgduet"),
                           ("origin_right_missing", "GRANT EXECUTE ON FUNCTION pg_catalog.pg_replication_origin"),
                           ("table_right_missing", "GRANT SELECT, INSERT, UPDATE, DELETE"),
                           ("not_initialized", "pgduet init")):
            assert f"[{name}]" in said and mend in said, (name, said)

    def test_init_without_an_administrator_names_the_statement_that_was_refused(self, group_on):
        group = group_on("direct", schema=SCHEMA, tables=TABLES, start=False)
        group.start_databases()
        group["a"].postgres.sql("CREATE ROLE pgduet LOGIN REPLICATION")
        document = group.configuration("a")
        del document["regions"]["a"]["postgres_admin"]
        group["a"].sql("GRANT SELECT, INSERT, UPDATE, DELETE ON item, pgduet_test.marker TO pgduet; GRANT USAGE ON SCHEMA pgduet_test TO pgduet")
        with open(group["a"].config_path, "w", encoding="utf-8") as file:
            yaml.safe_dump(document, file, sort_keys=False)
        said = findings(group["a"], "init")
        assert "[admin_right_missing]" in said and "CREATE SCHEMA pgduet" in said and "postgres_admin" in said

    @pytest.mark.parametrize("schema, error, mend", [
        ("CREATE TABLE item (id int, name text)", "key_missing", "ALTER TABLE public.item ADD PRIMARY KEY"),
        ("SELECT", "table_missing", "Create it"),
        ("CREATE VIEW item AS SELECT 1 AS id", "table_kind", "configuration"),
        ("CREATE UNLOGGED TABLE item (id int PRIMARY KEY)", "table_not_logged", "ALTER TABLE public.item SET LOGGED"),
        ("CREATE TABLE item (id int PRIMARY KEY); ALTER TABLE item REPLICA IDENTITY NOTHING", "replica_identity_nothing",
         "ALTER TABLE public.item REPLICA IDENTITY DEFAULT"),
        ("CREATE TABLE item (id jsonb PRIMARY KEY)", "key_type_unsupported", "another type"),
    ])
    def test_a_table_that_cannot_replicate_is_refused_with_its_mend(self, group_on, schema, error, mend):
        group = group_on("direct", schema=schema, tables=TABLES, start=False)
        group.start_databases()
        group.write_configurations()
        group["a"].postgres.sql("CREATE ROLE pgduet LOGIN REPLICATION")
        for command in ("check", "init"):
            said = findings(group["a"], command)
            assert f"[{error}]" in said and "item" in said, (command, said)
            assert mend.replace("public.item", "") .strip() in said or mend.replace("public.item", '"public"."item"') in said, said
        assert group["a"].sql("SELECT count(*) FROM pg_namespace WHERE nspname = 'pgduet'") == [(0,)]

    def test_an_agent_of_a_region_that_was_not_set_up_says_so_and_starts_after_init(self, group_on):
        group = group_on("direct", schema=SCHEMA, tables=TABLES, start=False)
        group.start_databases()
        group.write_configurations()
        group["a"].pgduet("init")
        group["b"].postgres.sql("CREATE ROLE pgduet LOGIN REPLICATION")
        group.expect_errors("not_initialized", "slot_missing", "database_unavailable")
        group["b"].agent.start(wait=False)
        wait_until(lambda: group["b"].agent.http("/status")[0] == 200
                   and group["b"].agent.status().get("error") == "not_initialized", "the agent to say what is missing")
        assert "pgduet init" in group["b"].agent.status()["remedy"]
        assert group["b"].agent.http("/readyz")[0] == 503
        group["b"].pgduet("init")
        group["a"].agent.start(wait=False)
        group["b"].agent.wait_ready()
        group["a"].agent.wait_ready()
        group.assert_converged()

    def test_two_regions_that_lead_to_one_database_are_refused(self, group_on):
        group = group_on("direct", schema=SCHEMA, tables=TABLES)
        group.stop_agents()
        document = group.configuration("b")
        document["regions"]["b"]["postgres"] = group.configuration("a")["regions"]["a"]["postgres"]
        document["regions"]["b"].pop("postgres_admin")
        with open(group["b"].config_path, "w", encoding="utf-8") as file:
            yaml.safe_dump(document, file, sort_keys=False)
        said = findings(group["b"])
        assert "[identity_mismatch]" in said and "region" in said
