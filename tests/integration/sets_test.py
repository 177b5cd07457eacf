"""Parallel sets: two sets of tables in the same databases, each with its own slot, log, sidecar and agents, neither waiting for the other."""

import json
import subprocess

import pytest

from harness import configuration
from harness.agent import binary
from harness.policy_load import SCHEMA, PolicyLoad, assert_same_versions, tables
from harness.waiting import wait_until

MAIN = ("public.newest", "public.first_one", "public.strongest", "public.updated_wins")
ROWS = "CREATE TABLE item (id int PRIMARY KEY, note text); CREATE TABLE heavy (id int PRIMARY KEY, note text);"


def loaded(make_group):
    """Tables of every policy, in two sets; the load's transactions write tables of both."""
    every = tables(["a", "b"])
    main = {table: settings for table, settings in every.items() if table in MAIN}
    return make_group(["a", "b"], schema=SCHEMA, tables=main,
                      sets={"big-orders": {table: settings for table, settings in every.items() if table not in MAIN}})


def item_and_heavy(make_group, **kwargs):
    """`item` is in the set main, `heavy` in another one."""
    return make_group(["a", "b"], **{"schema": ROWS, **kwargs}, tables=["public.item"], sets={"orders": {"public.heavy": {}}})


def assert_sound(group, load):
    for one in (group, *group.sets.values()):
        one.assert_converged()
        assert_same_versions(one)
    load.assert_counters_exact()


def assert_conflicts_are_of_its_tables(one):
    """Each region's log has conflicts, of this set's tables alone."""
    for region in one:
        logged = {f"{conflict['table_schema']}.{conflict['table_name']}" for conflict in region.conflicts()}
        assert logged and logged <= set(one.tables), (region.name, region.set_name, logged)


@pytest.mark.short
def test_both_sets_converge_under_concurrent_writes(make_group, seeded_random):
    group = loaded(make_group)
    with PolicyLoad(group, seeded_random, clients=2) as load:
        wait_until(lambda: load.writes > 200, "writes of both regions")
        with group.paused():
            written = load.writes
            wait_until(lambda: load.writes > written + 200, "writes that nobody else sees")
    assert_sound(group, load)
    for one in (group, *group.sets.values()):
        assert_conflicts_are_of_its_tables(one)


def test_a_set_goes_on_while_the_other_ones_agent_is_killed(make_group, seeded_random):
    group = loaded(make_group)
    orders = group.sets["big-orders"]
    with PolicyLoad(group, seeded_random) as load:
        for killed, other in ((orders["a"], group), (group["b"], orders), (orders["b"], group), (group["a"], orders)):
            killed.agent.kill()
            before = load.writes
            wait_until(lambda: load.writes > before + 50, "writes while an agent is down")
            other.wait_for_markers(other.mark())
            killed.agent.start()
    assert_sound(group, load)


def writing_sessions(region):
    """Sessions of the region's main set that write: they hold its lock (apply/sole_writer.h)."""
    return {pid for (pid,) in region.sql("SELECT l.pid FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE l.locktype = 'advisory' "
                                         "AND l.objsubid = 2 AND a.application_name NOT LIKE 'pgduet orders %'")}


def test_an_agent_that_starts_ends_no_session_of_the_other_set(make_group):
    """It ends those of an earlier run of its own set."""
    group = item_and_heavy(make_group)
    before = writing_sessions(group["a"])
    assert before
    group.sets["orders"]["a"].agent.kill()
    group.sets["orders"]["a"].agent.start()
    assert writing_sessions(group["a"]) >= before


def test_a_transaction_that_writes_both_sets_arrives_as_one_of_each(make_group):
    group = item_and_heavy(make_group)
    orders = group.sets["orders"]
    orders["b"].agent.stop()
    group["a"].sql("INSERT INTO item VALUES (1, 'both'); INSERT INTO heavy VALUES (1, 'both'), (2, 'both')")
    group.wait_converged()
    assert group["b"].rows("item") == [(1, "both")]
    assert group["b"].rows("heavy") == []
    orders["b"].agent.start()
    orders.assert_converged()
    assert group["b"].rows("heavy") == [(1, "both"), (2, "both")]


def test_deletes_of_both_sets_in_one_transaction_meet_concurrent_updates(make_group):
    """Tombstones, the delete's replay and the barrier are each set's own."""
    group = item_and_heavy(make_group)
    orders = group.sets["orders"]
    group["a"].sql("INSERT INTO item SELECT g, 'old' FROM generate_series(1, 40) g; INSERT INTO heavy SELECT g, 'old' FROM generate_series(1, 40) g")
    for one in (group, orders):
        one.wait_converged()
    with group.paused():
        group["a"].sql("DELETE FROM item WHERE id <= 20; DELETE FROM heavy WHERE id <= 20")
        group["b"].sql("UPDATE item SET note = 'late' WHERE id BETWEEN 11 AND 30; UPDATE heavy SET note = 'late' WHERE id BETWEEN 11 AND 30")
        group["a"].sql("DELETE FROM item WHERE id = 30; DELETE FROM heavy WHERE id = 30")
    expected = sorted([(n, "late") for n in range(11, 30)] + [(n, "old") for n in range(31, 41)], key=repr)
    for one, table in ((group, "item"), (orders, "heavy")):
        one.assert_converged()
        assert one["a"].rows(table) == one["b"].rows(table) == expected
        assert {conflict["table_name"] for conflict in one["a"].conflicts()} == {table}


def test_what_a_trigger_writes_while_the_other_set_applies_stays_there(make_group):
    """As with one set: the stream of the set whose table it is goes on, and publishes nothing of it."""
    trigger = """
        CREATE FUNCTION note_item() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO public.item VALUES (1000 + NEW.id, NULL); RETURN NEW; END';
        CREATE TRIGGER noted AFTER INSERT ON heavy FOR EACH ROW EXECUTE FUNCTION note_item();
        ALTER TABLE heavy ENABLE REPLICA TRIGGER noted;"""
    group = item_and_heavy(make_group, schemas={"b": ROWS + trigger})
    group["a"].sql("INSERT INTO heavy VALUES (7, 'x')")
    group.sets["orders"].assert_converged()
    assert group["b"].rows("item") == [(1007, None)]
    group.wait_converged()
    assert group["a"].rows("item") == []
    group["b"].sql("UPDATE item SET note = 'written here'")
    group.wait_converged()
    assert group["b"].rows("item") == [(1007, "written here")]


def test_each_set_has_its_names(make_group):
    group = item_and_heavy(make_group)
    slots = sorted(name for (name,) in group["a"].sql("SELECT slot_name FROM pg_replication_slots"))
    stem = f"pgduet_{group.name}"
    own = [f"{stem}_main", f"{stem}_orders"]
    assert slots == (own if group.transport == "kafka" else sorted([*own, f"{stem}_main_to_b", f"{stem}_orders_to_b"]))
    published = group["a"].sql("SELECT pubname, tablename FROM pg_publication_tables ORDER BY 1, 2")
    assert published == [(own[0], "item"), (own[0], "marker"), (own[1], "heavy"), (own[1], "marker_orders")]
    assert group["a"].sql("SELECT set_name FROM pgduet.identity") == [("main",)]
    assert group["a"].sql("SELECT set_name FROM pgduet_orders.identity") == [("orders",)]
    sessions = {name for (name,) in group["a"].sql("SELECT application_name FROM pg_stat_activity")}
    assert {"pgduet housekeeper", "pgduet orders housekeeper", "pgduet capture", "pgduet orders capture"} <= sessions


def test_a_dry_run_prints_the_sets_own_sql(group_on):
    group = group_on("direct", ["a", "b"], schema=ROWS, tables=["public.item"], sets={"orders": {"public.heavy": {"policy": "versions"}}}, start=False)
    group.start_databases()
    group.write_configurations()
    group["a"].pgduet("init")  # makes the role
    printed = group.sets["orders"]["a"].pgduet("init", "--dry-run").stdout
    assert "CREATE SCHEMA pgduet_orders " in printed and "EXECUTE FUNCTION pgduet_orders.refuse_truncate()" in printed
    assert "pgduet." not in printed and "item" not in printed


def test_commands_tell_of_the_set_that_they_are_asked_for(make_group):
    group = item_and_heavy(make_group)
    orders = group.sets["orders"]
    group["a"].sql("INSERT INTO heavy VALUES (1, 'start')")
    orders.wait_converged()
    with group.paused():
        group["a"].sql("UPDATE heavy SET note = 'a'")
        group["b"].sql("UPDATE heavy SET note = 'b'")
    orders.assert_converged()
    status = json.loads(orders["a"].pgduet("status", "--json").stdout)
    assert (status["set"], status["agent"]["set"], status["database"]["conflicts"]) == ("orders", "orders", 1)
    status = json.loads(group["a"].pgduet("status", "--json").stdout)
    assert "set" not in status and "set" not in status["agent"] and status["database"]["conflicts"] == 0
    assert "public.heavy" in orders["a"].pgduet("conflicts list").stdout
    assert "public.heavy" not in group["a"].pgduet("conflicts list").stdout
    orders["a"].pgduet("conflicts undo", "1")
    orders.assert_converged()
    assert group["b"].rows("heavy") == [(1, "a")]
    assert "orders" in group["a"].pgduet("check", "--set", "nope", check=False).stderr


def test_policies_of_a_set_change_without_the_other_one(make_group):
    group = item_and_heavy(make_group)
    orders = group.sets["orders"]
    commands = []
    for region in orders:
        document = configuration.merged(group.configuration(region.name), {"tables": {"public.heavy": {"policy": "versions"}}})
        configuration.write(f"{region.config_path}.new", document)
        commands.append(subprocess.Popen([binary(), "policy", "apply", f"{region.config_path}.new", "--config", region.config_path, "--region",
                                          region.name, "--set", "orders"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))
    for command in commands:
        said, _ = command.communicate(timeout=120)
        assert command.returncode == 0, said
    with group.paused():
        for region in group:
            region.sql(f"INSERT INTO item VALUES (1, '{region.name}'); INSERT INTO heavy VALUES (1, '{region.name}')")
    for one in (group, orders):
        wait_until(lambda one=one: all(region.agent.http("/readyz")[0] == 200 for region in one), "the agents to be ready")
        one.assert_converged()
    for region in group:
        assert region.sql("SELECT region FROM pgduet_orders.siblings('public.heavy', '{\"id\": 1}') ORDER BY 1") == [("a",), ("b",)]
        assert region.sql("SELECT count(*) FROM pgduet.policy_change") == [(0,)]
        assert region.agent.log_lines("stage=policy") == []
        assert region.sql("SELECT 1 FROM pg_trigger WHERE tgname LIKE 'pgduet_policy_gate%'") == []


def test_gates_of_the_other_set_are_left_standing(group_on):
    """A change of the set main is over; one of the other set goes on, and its triggers hold its writes."""
    group = item_and_heavy(lambda *args, **kwargs: group_on("direct", *args, **kwargs))
    gate = "CREATE TRIGGER pgduet_policy_gate BEFORE INSERT ON {} FOR EACH STATEMENT EXECUTE FUNCTION {}.hold_write()"
    group["a"].sql(gate.format("heavy", "pgduet_orders"))
    group["a"].sql(gate.format("item", "pgduet"))
    group["a"].pgduet("policy apply", group["a"].config_path)  # in force: it only cleans up
    assert group["a"].sql("SELECT tgrelid::regclass::text FROM pg_trigger WHERE tgname LIKE 'pgduet_policy_gate%'") == [("heavy",)]


def test_a_foreign_key_across_sets_is_refused(group_on):
    group = item_and_heavy(lambda *args, **kwargs: group_on("direct", *args, **kwargs), start=False)
    group.expect_errors("foreign_key_across_sets")
    key = "ALTER TABLE heavy ADD CONSTRAINT of_item FOREIGN KEY (id) REFERENCES item"
    group.start_databases()
    group.write_configurations()
    group["a"].sql(key)
    for region in (group["a"], group.sets["orders"]["a"]):
        refused = region.pgduet("init", check=False)
        assert refused.returncode == 1 and "foreign_key_across_sets" in refused.stderr and "of_item" in refused.stderr
    group["a"].sql("ALTER TABLE heavy DROP CONSTRAINT of_item")
    group.init()
    group["a"].sql(key)
    for region in (group["a"], group.sets["orders"]["a"]):
        findings = json.loads(region.pgduet("check", "--json", check=False).stdout)["findings"]
        assert [one["severity"] for one in findings if one["name"] == "foreign_key_across_sets"] == ["error"]
        assert not [one for one in findings if one["name"] == "foreign_key_not_watched"]
        region.agent.start(wait=False)
        wait_until(lambda region=region: "foreign_key_across_sets" in [name for name, _ in region.agent.error_lines()], "the agent to say why")
    group["a"].sql("ALTER TABLE heavy DROP CONSTRAINT of_item")
    for region in (group["a"], group.sets["orders"]["a"]):
        region.agent.wait_ready()


def test_a_table_moves_to_another_set_with_writes_stopped(make_group):
    """As docs/operations/sets.md says. Rows from before keep their versions; what is written after has seen them."""
    group = make_group(["a", "b"], schema=ROWS, tables=["public.item", "public.heavy"], sets={"orders": {}})
    orders = group.sets["orders"]
    for region in group:
        region.sql(f"INSERT INTO heavy SELECT 2 * g + {region.rank}, '{region.name}' FROM generate_series(1, 10) g")
    group.assert_converged()
    group.stop_agents()
    orders.tables["public.heavy"] = group.tables.pop("public.heavy")
    group.write_configurations()
    group.init()
    group.start_agents()
    orders.wait_converged()
    group["a"].sql("UPDATE heavy SET note = 'after' WHERE id < 10; DELETE FROM heavy WHERE id > 18")
    orders.wait_converged()
    group["b"].sql("UPDATE heavy SET note = note || ' and again', id = -id")
    for one in (group, orders):
        one.assert_converged()
    assert orders["a"].rows("heavy") and all(id < 0 for id, _ in orders["a"].rows("heavy"))
    assert [region.conflicts() for region in group.everywhere()] == [[]] * 4
