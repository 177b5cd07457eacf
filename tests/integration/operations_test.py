"""What an operator does: check, init, status, lag, conflicts, stop, and what the agent serves and logs."""

import json
import os
import re
import subprocess

import pytest
import yaml

from harness import configuration
from harness.agent import Agent, binary, pgduet
from harness.waiting import wait_until

SCHEMA = "CREATE TABLE item (id int PRIMARY KEY, name text)"
TABLES = ["public.item"]
FAILURE, USAGE, LAGGING = 1, 2, 3


@pytest.fixture
def unprepared(group_on):
    """unprepared(transport): databases and configuration files, no init yet."""
    def make(transport, **kwargs):
        group = group_on(transport, schema=SCHEMA, tables=TABLES, start=False, **kwargs)
        group.start_databases()
        group.write_configurations()
        return group
    return make


def state_of(region):
    """Everything that init could change in the database."""
    return region.sql("""
        SELECT 'schema', nspname::text, coalesce(nspacl::text, '') FROM pg_namespace
        UNION ALL SELECT 'relation', oid::regclass::text, coalesce(relacl::text, '') FROM pg_class WHERE relkind IN ('r', 'v', 'S')
        UNION ALL SELECT 'role', rolname::text, rolreplication::text || rolsuper FROM pg_roles
        UNION ALL SELECT 'publication', pubname::text, '' FROM pg_publication
        UNION ALL SELECT 'published', schemaname || '.' || tablename, pubname::text FROM pg_publication_tables
        UNION ALL SELECT 'slot', slot_name::text, '' FROM pg_replication_slots
        UNION ALL SELECT 'origin', roname, '' FROM pg_replication_origin
        UNION ALL SELECT 'function', oid::regprocedure::text, coalesce(proacl::text, '') FROM pg_proc
        UNION ALL SELECT 'parameter', parname, paracl::text FROM pg_parameter_acl
        ORDER BY 1, 2, 3""")


class TestInit:
    @pytest.mark.parametrize("role_exists", [False, True])
    def test_dry_run_says_what_it_would_do_and_changes_nothing(self, unprepared, transport, role_exists):
        group = unprepared(transport)
        region = group["a"]
        if role_exists:
            region.postgres.sql("CREATE ROLE pgduet LOGIN REPLICATION")
        before, topics = state_of(region), group.broker.topics() if group.broker else []
        said = region.pgduet("init", "--dry-run").stdout
        assert state_of(region) == before
        assert (group.broker.topics() if group.broker else []) == topics
        if not role_exists:
            assert 'CREATE ROLE "pgduet" LOGIN REPLICATION' in said
        else:
            for text in ("CREATE SCHEMA pgduet", "CREATE TABLE IF NOT EXISTS pgduet.identity", "CREATE PUBLICATION",
                         "CREATE_REPLICATION_SLOT", "pg_replication_origin_create", "GRANT SELECT, INSERT, UPDATE, DELETE"):
                assert text in said, text
            assert transport == "direct" or group.topics["a"] in said

    def test_init_can_be_repeated(self, unprepared, transport):
        group = unprepared(transport)
        for region in group:
            region.pgduet("init")
        region = group["a"]
        before, identity = state_of(region), region.sql("SELECT * FROM pgduet.identity")
        region.pgduet("init")
        assert state_of(region) == before
        assert region.sql("SELECT * FROM pgduet.identity") == identity
        assert "CREATE" not in re.sub(r"CREATE (TABLE|INDEX|UNIQUE INDEX|SEQUENCE) IF NOT EXISTS|CREATE OR REPLACE", "",
                                      region.pgduet("init", "--dry-run").stdout)
        group.start_agents()
        region.sql("INSERT INTO item VALUES (1, 'x')")
        group.wait_converged()
        region.pgduet("init")  # beside a running agent, too
        region.sql("INSERT INTO item VALUES (2, 'y')")
        group.assert_converged()

    def test_the_agent_works_with_the_least_rights(self, make_group):
        """init is the administrator's; the agent's role owns nothing of the user's and is no superuser."""
        group = make_group(["a", "b"], schema=SCHEMA, tables=TABLES)
        for region in group:
            assert region.sql("SELECT rolsuper, rolcreaterole, rolcreatedb, rolbypassrls, rolreplication FROM pg_roles "
                              "WHERE rolname = 'pgduet'") == [(False, False, False, False, True)]
            assert region.sql("SELECT count(*) FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member "
                              "WHERE r.rolname = 'pgduet'") == [(0,)]
            assert region.sql("SELECT count(*) FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner JOIN pg_namespace n "
                              "ON n.oid = c.relnamespace WHERE r.rolname = 'pgduet' AND n.nspname NOT IN ('pgduet', 'pg_toast')") == [(0,)]
            done = region.pgduet("check")
            assert f"{region.name}: ready" in done.stdout
        group["a"].sql("INSERT INTO item VALUES (1, 'x'), (2, 'y')")
        group.wait_converged()
        group["b"].sql("UPDATE item SET name = 'z' WHERE id = 1; DELETE FROM item WHERE id = 2")
        group.assert_converged()
        assert {row[0] for region in group for row in region.sql(
            "SELECT DISTINCT usename::text FROM pg_stat_activity WHERE application_name LIKE 'pgduet%'")} == {"pgduet"}

    def test_nobody_else_reads_what_the_sidecar_keeps(self, group_on):
        group = group_on("direct", schema=SCHEMA, tables=TABLES)
        group["a"].postgres.sql("CREATE ROLE reader LOGIN")
        for name in ("conflict", "tombstone", "identity"):
            assert group["a"].sql(f"SELECT has_schema_privilege('reader', 'pgduet', 'USAGE') OR "
                                  f"has_table_privilege('reader', 'pgduet.{name}', 'SELECT')") == [(False,)]

    def test_init_brings_the_sidecar_schema_of_an_earlier_version_up_to_date(self, group_on):
        group = group_on("direct", schema=SCHEMA, tables=TABLES)
        group.expect_errors("sidecar_version")
        region = group["a"]
        region.agent.stop()
        region.sql("ALTER TABLE pgduet.tombstone DROP COLUMN unswept, DROP COLUMN vector")
        region.sql("ALTER TABLE pgduet.identity DROP COLUMN policy_text")
        region.sql("ALTER TABLE pgduet.conflict DROP COLUMN xid, DROP COLUMN note, DROP COLUMN dismissed_at, DROP COLUMN dismissed_by, "
                   "DROP COLUMN undone_at, DROP COLUMN undone_by")
        region.sql("UPDATE pgduet.identity SET schema_version = 1")
        region.sql(f"SELECT pg_replication_origin_drop('pgduet:{group.name}:main:housekeeper')")
        done = region.pgduet("conflicts list", check=False)
        assert done.returncode == FAILURE and "[sidecar_version]" in done.stderr
        region.agent.start(wait=False)
        wait_until(lambda: any(name == "sidecar_version" for name, _ in region.agent.error_lines()), "the agent to refuse")
        region.pgduet("init")
        region.agent.wait_ready()
        group["b"].sql("INSERT INTO item VALUES (1, 'x')")
        group["b"].sql("DELETE FROM item")
        group.assert_converged()


class TestCheck:
    def test_check_before_and_after_init(self, unprepared, transport):
        group = unprepared(transport)
        group["b"].postgres.sql("CREATE ROLE pgduet LOGIN REPLICATION")
        done = group["b"].pgduet("check", check=False)
        assert done.returncode == FAILURE and "[not_initialized]" in done.stdout and "b: not ready" in done.stdout
        for region in group:
            region.pgduet("init")
        done = group["b"].pgduet("check")
        assert done.stdout.endswith("b: ready\n")
        told = json.loads(group["b"].pgduet("check", "--json").stdout)
        assert told["ok"] is True and told["region"] == "b"
        for finding in told["findings"]:
            assert finding["severity"] in ("info", "warning")
            assert finding["name"] and finding["what"] and finding["remedy"]


class TestStatusAndLag:
    def test_status_tells_of_agent_and_database(self, make_group):
        group = make_group(["a", "b"], schema=SCHEMA, tables=TABLES)
        group["a"].sql("INSERT INTO item VALUES (1, 'x')")
        group.wait_converged()
        done = group["b"].pgduet("status")
        assert "running" in done.stdout and "capture" in done.stdout
        told = json.loads(group["b"].pgduet("status", "--json").stdout)
        assert told["region"] == "b" and told["agent"]["state"] == "running"
        assert {one["name"]: one["state"] for one in told["agent"]["streams"]}.keys() == {"capture", "a"}
        assert told["database"]["applied"][0]["origin"] == "a" and told["database"]["applied"][0]["sequence"] >= 2
        group["b"].agent.stop()
        done = group["b"].pgduet("status", check=False)
        assert done.returncode == FAILURE and "does not answer" in done.stdout
        done = group["b"].pgduet("status", "--json", check=False)
        assert done.returncode == FAILURE and json.loads(done.stdout)["agent"] is None

    def test_lag_has_an_exit_code(self, make_group):
        group = make_group(["a", "b"], schema=SCHEMA, tables=TABLES)
        group.wait_converged()
        wait_until(lambda: group["b"].pgduet("lag", "--max", "5", check=False).returncode == 0, "b to be near")
        told = json.loads(group["b"].pgduet("lag", "--json").stdout)
        assert told["lagging"] is False and told["origins"][0]["origin"] == "a"
        with group.paused("a", "b"):
            wait_until(lambda: group["b"].pgduet("lag", "--max", "1", check=False).returncode == LAGGING, "b to lag")
            told = json.loads(group["b"].pgduet("lag", "--max", "1", "--json", check=False).stdout)
            assert told["lagging"] is True and told["origins"][0]["lag_seconds"] > 1
        wait_until(lambda: group["b"].pgduet("lag", "--max", "5", check=False).returncode == 0, "b to be near again")


class TestConflicts:
    @pytest.fixture
    def group(self, group_on):
        group = group_on("direct", schema=SCHEMA, tables=TABLES)
        for region in group:
            assert region.pgduet("conflicts list").stdout == "no conflicts\n"
        group["a"].sql("INSERT INTO item VALUES (1, 'base'), (2, 'base')")
        group.wait_converged()
        group.write_late([("a", "UPDATE item SET name = 'from a'"), ("b", "UPDATE item SET name = 'from b'")])
        wait_until(lambda: len(group["a"].conflicts()) == 2, "the conflicts to be logged")
        return group

    def test_list_and_show(self, group):
        listed = group["a"].pgduet("conflicts list").stdout
        assert listed.count("update_origin_differs") == 2 and "public.item" in listed and "apply_remote" in listed
        told = json.loads(group["a"].pgduet("conflicts list", "--json").stdout)
        assert [one["key"] for one in told] and len(told) == 2 and told[0]["id"] > told[1]["id"]
        shown = group["a"].pgduet("conflicts show", told[0]["id"]).stdout
        assert "from a" in shown and "from b" in shown and "b wins" in shown
        one = json.loads(group["a"].pgduet("conflicts show", told[0]["id"], "--json").stdout)
        assert one["remote_row"]["name"] == "from b" and one["local_row"]["name"] == "from a"

    def test_filters(self, group):
        def listed(*arguments):
            return json.loads(group["a"].pgduet("conflicts list", "--json", *arguments).stdout)
        assert len(listed("--limit", "1")) == 1
        assert len(listed("--table", "public.item")) == 2 and listed("--table", "public.other") == []
        assert len(listed("--kind", "update_origin_differs")) == 2 and listed("--kind", "insert_exists") == []
        assert len(listed("--since", "1 hour")) == 2 and listed("--since", "2100-01-01 00:00") == []

    def test_wrong_arguments(self, group):
        done = group["a"].pgduet("conflicts show", "999999", check=False)
        assert done.returncode == FAILURE and "[no_such_conflict]" in done.stderr
        done = group["a"].pgduet("conflicts list", "--since", "sometime", check=False)
        assert done.returncode == FAILURE and "[bad_filter]" in done.stderr
        assert group["a"].pgduet("conflicts show", "one", check=False).returncode == USAGE
        assert group["a"].pgduet("conflicts list", "--limit", "0", check=False).returncode == USAGE


class TestAgentProcess:
    def test_it_stops_within_seconds_in_the_middle_of_work(self, make_group):
        group = make_group(["a", "b"], schema=SCHEMA, tables=TABLES)
        group["a"].sql("INSERT INTO item SELECT i, 'x' FROM generate_series(1, 100000) i")
        for region in group:
            assert region.agent.process.stop(timeout=20) == 0
        group.start_agents()
        group.assert_converged()

    @pytest.mark.parametrize("away", ["database", "broker", "peer"])
    def test_it_stops_within_seconds_while_something_is_away(self, group_on, request, away):
        kwargs = {"broker": request.getfixturevalue("own_broker")} if away == "broker" else {}
        group = group_on("direct" if away == "peer" else "kafka", schema=SCHEMA, tables=TABLES, **kwargs)
        group.wait_converged()
        if away == "broker":
            group.broker.kill()
        else:
            group["a" if away == "database" else "b"].postgres.stop("immediate")
        wait_until(lambda: group["a"].agent.http("/readyz")[0] == 503, "the agent to notice")
        assert group["a"].agent.http("/livez")[0] == 200
        assert group["a"].agent.process.stop(timeout=20) == 0

    def test_it_serves_health_status_and_metrics(self, make_group):
        group = make_group(["a", "b"], schema=SCHEMA, tables=TABLES)
        agent = group["a"].agent
        assert agent.http("/livez") == (200, "alive\n")
        assert agent.http("/readyz") == (200, "ready\n")
        assert agent.http("/nothing")[0] == 404
        told = agent.status()
        assert told["group"] == group.name and told["region"] == "a" and told["transport"] == group.transport
        assert agent.metric("pgduet_build_info") == 1
        assert agent.metric("pgduet_capture_connected") == 1
        assert agent.metric("process_resident_memory_bytes") > 1e6
        with group.paused():
            wait_until(lambda: group.transport == "kafka" or agent.http("/readyz")[0] == 503, "readiness to go")
            assert agent.http("/livez")[0] == 200

    def test_environment_variables_stand_for_options(self, group_on):
        group = group_on("direct", schema=SCHEMA, tables=TABLES)
        environment = {"PGDUET_CONFIG": group["a"].config_path, "PGDUET_REGION": "a"}
        assert "running" in pgduet("status", env=environment).stdout
        assert pgduet("status", "--region", "b", env=environment).stdout.splitlines()[0].count("b") >= 1
        assert json.loads(pgduet("lag", "--json", env=environment).stdout)["region"] == "a"

    def test_a_taken_http_port_is_named(self, group_on):
        group = group_on("direct", schema=SCHEMA, tables=TABLES)
        document = group.configuration("b")
        document["regions"]["b"]["http"] = f"127.0.0.1:{group['a'].http_port}"
        configuration.write(group["b"].config_path, document)
        group["b"].agent.stop()
        done = group["b"].pgduet("agent", check=False)
        assert done.returncode == FAILURE
        assert "[http_address_refused]" in done.stderr and f"127.0.0.1:{group['a'].http_port}" in done.stderr

    def test_logs_can_be_json(self, group_on, tmp_path):
        group = group_on("direct", schema=SCHEMA, tables=TABLES)
        group["a"].agent.stop()
        log = tmp_path / "agent.json"
        with open(log, "wb") as out:
            process = subprocess.Popen([binary(), "agent", "--config", group["a"].config_path, "--region", "a",
                                        "--log-format", "json", "--log-level", "debug"], stdout=out, stderr=out)
        try:
            wait_until(lambda: group["a"].agent.http("/readyz")[0] == 200, "the agent to be ready")
            group["b"].postgres.stop("immediate")
            wait_until(lambda: b"database_unavailable" in log.read_bytes(), "a line with an error")
            group["b"].postgres.start()
        finally:
            process.terminate()
            assert process.wait(30) == 0
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        assert {"time", "level", "stage", "event", "region"} <= lines[0].keys()
        assert any(line.get("error") == "database_unavailable" and line.get("message") and line.get("remedy") for line in lines)

    def test_version(self):
        assert re.fullmatch(r"pgduet \d+\.\d+\.\d+\S* \(protocol \d+\)\n", pgduet("version").stdout)
        assert json.loads(pgduet("version", "--json").stdout).keys() == {"version", "protocol"}


def test_no_password_and_no_row_value_is_shown(group_on):
    """Row values stand in the conflict log, which is asked for by name; nowhere else. Passwords nowhere."""
    group = group_on("kafka", schema=SCHEMA, tables=TABLES, start=False,
                     extra={"kafka": {"properties": {"ssl.key.password": "SESAME-KEY"}}})
    group.start_databases()
    for region in group:
        document = group.configuration(region.name)
        for one in document["regions"].values():
            one["postgres"] += " password=SESAME-ROLE"
        configuration.write(region.config_path, document)
    said = []
    for region in group:
        for arguments in (["check"], ["init", "--dry-run"], ["init"], ["check"], ["check", "--json"]):
            done = region.pgduet(arguments[0], *arguments[1:], check=False)
            said.append(done.stdout + done.stderr)
    for region in group:
        region.agent = Agent(region.name, region.config_path, region.agent.log_path, region.http_port)
        process_arguments = ["--log-level", "debug"]
        region.agent.start = _with_arguments(region.agent, process_arguments)
        region.agent.start()
    group["a"].sql("INSERT INTO item SELECT i, 'ROW-VALUE-' || i FROM generate_series(1000001, 1000010) i")
    group.wait_converged()
    group.write_late([("a", "UPDATE item SET name = 'ROW-VALUE-A'"), ("b", "UPDATE item SET name = 'ROW-VALUE-B'")])
    group.expect_errors("check_violation", "value_refused", "unique_violation")
    group["b"].sql("ALTER TABLE item ADD CONSTRAINT short CHECK (length(name) < 12)")
    group["a"].sql("INSERT INTO item VALUES (1000020, 'ROW-VALUE-TOO-LONG')")
    wait_until(lambda: group["b"].agent.metric("pgduet_stream_stopped", error="check_violation") == 1, "the stream to stop")
    for region in group:
        said += [region.agent.log_text(), region.agent.http("/status")[1], region.agent.http("/metrics")[1]]
        for arguments in (["status"], ["status", "--json"], ["lag"], ["check"]):
            done = region.pgduet(arguments[0], *arguments[1:], check=False)
            said.append(done.stdout + done.stderr)
        with open(f"/proc/{region.agent.process.pid}/cmdline", encoding="utf-8") as line:
            said.append(line.read())
    group["b"].sql("ALTER TABLE item DROP CONSTRAINT short")
    group.assert_converged()
    for text in said:
        for secret in ("SESAME", "ROW-VALUE", r"(?<![\d.])10000[012]\d(?!\d)"):  # the keys, not a figure that contains their digits
            shown = [line for line in text.splitlines() if re.search(secret, line)]
            assert not shown, f"{secret}: {shown[:3]}"
    assert "ROW-VALUE-A" in group["a"].pgduet("conflicts list", "--json").stdout


def _with_arguments(agent, arguments):
    from harness.processes import ChildProcess

    def start(wait=True):
        agent.process = ChildProcess(f"agent {agent.region}", [binary(), "agent", "--config", agent.config_path, "--region",
                                                               agent.region, *arguments], agent.log_path)
        if wait:
            agent.wait_ready()
        return agent
    return start
