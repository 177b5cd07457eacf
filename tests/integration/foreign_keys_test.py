"""Foreign keys with `on_orphan`: docs/decisions/0007.

A parent is deleted in one region while a child is written in another: neither database refuses anything, and the child would be left
without its parent. It is reported, deleted, or gets its parent back; equal in all regions, whatever the timing.
"""

import threading

import psycopg2
import pytest

from harness.clients import run_clients
from harness.waiting import wait_until, wait_until_equal

SCHEMA = """
CREATE TABLE customer (id int PRIMARY KEY, name text);
CREATE TABLE purchase (id int PRIMARY KEY, customer int REFERENCES customer ON DELETE CASCADE, note text);
CREATE INDEX ON purchase (customer);
CREATE TABLE item (id int PRIMARY KEY, purchase int REFERENCES purchase ON DELETE CASCADE, what text);
CREATE INDEX ON item (purchase);
ALTER TABLE customer REPLICA IDENTITY FULL;
ALTER TABLE purchase REPLICA IDENTITY FULL;
"""
TABLES = ("public.customer", "public.purchase", "public.item")


def tables(rule):
    return {table: {"on_orphan": rule} for table in TABLES}


def orphans(region, child="purchase", column="customer", parent="customer"):
    return [key for key, in region.sql(f"SELECT c.id FROM {child} c WHERE c.{column} IS NOT NULL AND NOT EXISTS "
                                       f"(SELECT FROM {parent} p WHERE p.id = c.{column}) ORDER BY 1")]


def told(region, table=None, decision=None):
    return [c for c in region.conflicts(table) if c["kind"] == "parent_missing" and decision in (None, c["decision"])]


def checked(region):
    """No parent is noted whose children are still to be looked at."""
    return region.sql("SELECT count(*) FROM pgduet.orphan_check") == [(0,)]


def wait_checked(group):
    """Until everything has arrived and no look leads to another write."""
    def quiet():
        group.wait_converged()
        return all(checked(region) for region in group) and equal(group)
    wait_until(quiet, "the looks for orphans to end")


def equal(group):
    rows = [[region.rows(table) for table in ("customer", "purchase", "item")] for region in group]
    return all(one == rows[0] for one in rows)


def wait_rows(group, table, rows):
    for region in group:
        wait_until_equal(lambda: region.sql(f"SELECT * FROM {table} ORDER BY 1"), rows, f"{region.name} to have {table}")


def meet(group, parent_deleted_at, child_written_at, child="INSERT INTO purchase VALUES (10, 1, 'new')"):
    group[parent_deleted_at].sql("INSERT INTO customer VALUES (1, 'ada'), (2, 'bob')")
    group.wait_converged()
    with group.paused():
        group[parent_deleted_at].sql("DELETE FROM customer WHERE id = 1")
        group[child_written_at].sql(child)


@pytest.mark.short
class TestReport:
    @pytest.mark.parametrize("deleted_at, written_at", ["ab", "ba"])
    def test_each_region_logs_the_orphan_once_and_keeps_it(self, group_on, deleted_at, written_at):
        group = group_on("direct", ["a", "b"], schema=SCHEMA, tables=list(TABLES))
        meet(group, deleted_at, written_at)
        wait_checked(group)
        for region in group:
            [entry] = told(region)
            assert (entry["table_name"], entry["key"], entry["decision"], entry["policy"]) == ("purchase", {"id": 10}, "report", "on_orphan")
            assert entry["local_row"] == {"id": 10, "customer": 1, "note": "new"} and entry["local_region"] == written_at
            assert entry["remote_row"] == {"id": 1} and (entry["remote_region"], entry["remote_operation"]) == (deleted_at, "delete")
            assert orphans(region) == [10]
            listed = region.pgduet("conflicts list", "--open").stdout
            assert "parent_missing" in listed and "public.purchase" in listed
            shown = region.pgduet("conflicts show", str(entry["id"])).stdout
            assert f"{deleted_at} deleted the row that this one refers to" in shown
            assert region.pgduet("conflicts undo", str(entry["id"]), check=False).returncode != 0
            region.pgduet("conflicts replay", "--policy", region.config_path)
            region.pgduet("conflicts dismiss", str(entry["id"]))
            assert "parent_missing" not in region.pgduet("conflicts list", "--open").stdout
        assert sum(region.agent.metric("pgduet_apply_conflicts_total", origin=deleted_at, kind="parent_missing", decision="report")
                   for region in group) == 2

    def test_a_row_with_its_parent_is_not_told_of(self, group_on):
        group = group_on("direct", ["a", "b"], schema=SCHEMA, tables=list(TABLES))
        a, b = group["a"], group["b"]
        a.sql("INSERT INTO customer VALUES (1, 'ada'), (2, 'bob')")
        group.wait_converged()
        b.sql("INSERT INTO purchase VALUES (10, 1, 'x'), (11, 2, 'y'), (12, NULL, 'z')")
        group.wait_converged()
        a.sql("DELETE FROM customer WHERE id = 1")
        a.sql("INSERT INTO customer VALUES (1, 'again')")
        group.wait_converged()
        b.sql("INSERT INTO purchase VALUES (13, 1, 'x')")
        wait_checked(group)
        assert [told(region) for region in group] == [[], []]

    def test_an_update_that_outlives_a_cascade(self, group_on):
        group = group_on("direct", ["a", "b"], schema=SCHEMA, tables=list(TABLES))
        group["a"].sql("INSERT INTO customer VALUES (1, 'ada'), (2, 'bob')")
        group["a"].sql("INSERT INTO purchase VALUES (10, 1, 'x'), (11, 2, 'y')")
        group.wait_converged()
        with group.paused():
            group["a"].sql("DELETE FROM customer WHERE id = 1")
            group["b"].sql("UPDATE purchase SET note = 'later' WHERE id = 10")
            group["b"].sql("UPDATE purchase SET customer = 1 WHERE id = 11")
        wait_checked(group)
        for region in group:
            assert sorted(entry["key"]["id"] for entry in told(region)) == [10, 11] == orphans(region)

    def test_a_truncate_of_the_parents(self, group_on):
        group = group_on("direct", ["a", "b"], schema=SCHEMA, tables=list(TABLES))
        group["a"].sql("INSERT INTO customer VALUES (1, 'ada'), (2, 'bob')")
        group.wait_converged()
        with group.paused():
            group["a"].sql("TRUNCATE customer, purchase, item")
            group["b"].sql("INSERT INTO purchase VALUES (10, 1, 'x'), (11, 2, 'y')")
        wait_checked(group)
        for region in group:
            assert sorted(entry["key"]["id"] for entry in told(region)) == [10, 11] == orphans(region)


@pytest.mark.short
class TestRepair:
    @pytest.mark.parametrize("deleted_at, written_at", ["ab", "ba"])
    def test_the_child_is_deleted_everywhere(self, group_on, deleted_at, written_at):
        group = group_on("direct", ["a", "b"], schema=SCHEMA, tables=tables("delete_child"))
        meet(group, deleted_at, written_at)
        wait_rows(group, "purchase", [])
        wait_checked(group)
        [entry] = told(group[deleted_at])
        assert entry["decision"] == "delete_child" and entry["local_row"] == {"id": 10, "customer": 1, "note": "new"}
        assert told(group[written_at]) == []
        assert not any(c["kind"] == "delete_missing" for region in group for c in region.conflicts())

    @pytest.mark.parametrize("deleted_at, written_at", ["ab", "ba"])
    def test_the_parent_comes_back_everywhere(self, group_on, deleted_at, written_at):
        group = group_on("direct", ["a", "b"], schema=SCHEMA, tables=tables("revive_parent"))
        meet(group, deleted_at, written_at)
        wait_rows(group, "customer", [(1, "ada"), (2, "bob")])
        wait_checked(group)
        wait_rows(group, "purchase", [(10, 1, "new")])
        [entry] = told(group[deleted_at])
        assert entry["decision"] == "revive_parent"

    def test_a_deleted_child_can_be_written_back_once_its_parent_is_there(self, group_on):
        group = group_on("direct", ["a", "b"], schema=SCHEMA, tables=tables("delete_child"))
        meet(group, "a", "b")
        wait_rows(group, "purchase", [])
        [entry] = told(group["a"])
        group["a"].sql("INSERT INTO customer VALUES (1, 'again')")
        group["a"].pgduet("conflicts undo", str(entry["id"]))
        wait_rows(group, "purchase", [(10, 1, "new")])
        wait_checked(group)

    def test_grandchildren_go_with_their_parents(self, group_on):
        group = group_on("direct", ["a", "b"], schema=SCHEMA, tables=tables("delete_child"))
        meet(group, "a", "b", "BEGIN; INSERT INTO purchase VALUES (10, 1, 'x'); INSERT INTO item VALUES (100, 10, 'y'); COMMIT")
        wait_rows(group, "item", [])
        wait_rows(group, "purchase", [])
        wait_checked(group)

    def test_parents_come_back_all_the_way_up(self, group_on):
        group = group_on("direct", ["a", "b"], schema=SCHEMA, tables=tables("revive_parent"))
        a, b = group["a"], group["b"]
        a.sql("INSERT INTO customer VALUES (1, 'ada')")
        a.sql("INSERT INTO purchase VALUES (10, 1, 'x'), (11, 1, 'y')")
        group.wait_converged()
        with group.paused():
            a.sql("DELETE FROM customer WHERE id = 1")
            b.sql("INSERT INTO item VALUES (100, 10, 'z')")
        wait_rows(group, "customer", [(1, "ada")])
        wait_rows(group, "purchase", [(10, 1, "x")])
        wait_rows(group, "item", [(100, 10, "z")])
        wait_checked(group)

    def test_what_a_truncate_took_cannot_be_written_back_and_is_reported(self, group_on):
        group = group_on("direct", ["a", "b"], schema=SCHEMA, tables=tables("revive_parent"))
        group["a"].sql("INSERT INTO customer VALUES (1, 'ada')")
        group.wait_converged()
        with group.paused():
            group["a"].sql("TRUNCATE customer, purchase, item")
            group["b"].sql("INSERT INTO purchase VALUES (10, 1, 'x')")
        wait_until(lambda: told(group["a"], "purchase", "report"), "the report")
        group.wait_converged()
        assert [orphans(region) for region in group] == [[10], [10]]

    def test_both_regions_delete_the_parent(self, group_on):
        group = group_on("direct", ["a", "b", "c"], schema=SCHEMA, tables=tables("delete_child"))
        group["a"].sql("INSERT INTO customer VALUES (1, 'ada')")
        group.wait_converged()
        with group.paused():
            group["a"].sql("DELETE FROM customer WHERE id = 1")
            group["b"].sql("DELETE FROM customer WHERE id = 1")
            group["c"].sql("INSERT INTO purchase VALUES (10, 1, 'x')")
        wait_rows(group, "purchase", [])
        wait_checked(group)

    def test_a_table_that_refers_to_itself_and_a_key_of_two_columns(self, group_on):
        schema = """
        CREATE TABLE node (shop numeric, id text, up text, PRIMARY KEY (id, shop), FOREIGN KEY (shop, up) REFERENCES node (shop, id)
                           DEFERRABLE INITIALLY DEFERRED);
        CREATE INDEX ON node (shop, up);
        """
        group = group_on("direct", ["a", "b"], schema=schema, tables={"public.node": {"on_orphan": "delete_child"}})
        group["a"].sql("INSERT INTO node VALUES (1, 'root', NULL), (1, 'leaf', 'root')")
        group.wait_converged()
        with group.paused():
            group["a"].sql("DELETE FROM node WHERE id = 'leaf'")
            group["b"].sql("INSERT INTO node VALUES (1.0, 'below', 'leaf'), (1, 'deep', 'below'), (1, 'free', NULL), (2, 'loop', 'loop')")
        for region in group:
            wait_until_equal(lambda: [row[0] for row in region.sql("SELECT id FROM node ORDER BY 1")], ["free", "loop", "root"],
                             f"{region.name} to have the rows with their parents")

    def test_partitioned_tables(self, group_on):
        schema = """
        CREATE TABLE customer (id int PRIMARY KEY, name text) PARTITION BY RANGE (id);
        CREATE TABLE customer_1 PARTITION OF customer FOR VALUES FROM (0) TO (5);
        CREATE TABLE customer_2 PARTITION OF customer FOR VALUES FROM (5) TO (10);
        CREATE TABLE purchase (id int PRIMARY KEY, customer int REFERENCES customer, note text) PARTITION BY HASH (id);
        CREATE TABLE purchase_1 PARTITION OF purchase FOR VALUES WITH (MODULUS 2, REMAINDER 0);
        CREATE TABLE purchase_2 PARTITION OF purchase FOR VALUES WITH (MODULUS 2, REMAINDER 1);
        CREATE INDEX ON purchase (customer);
        """
        names = ("public.customer", "public.purchase")
        group = group_on("direct", ["a", "b"], schema=schema, tables={name: {"on_orphan": "delete_child"} for name in names})
        group["a"].sql("INSERT INTO customer VALUES (1, 'ada'), (6, 'bob')")
        group.wait_converged()
        with group.paused():
            group["a"].sql("DELETE FROM customer")
            group["b"].sql("INSERT INTO purchase SELECT n, 1 + 5 * (n % 2), 'x' FROM generate_series(1, 8) n")
        wait_rows(group, "purchase", [])


def any_write(random):
    parent, child, leaf = random.randrange(5), random.randrange(8), random.randrange(8)
    return random.choice([
        ("INSERT INTO customer VALUES (%s, %s) ON CONFLICT (id) DO UPDATE SET name = excluded.name", (parent, f"n{random.random()}")),
        ("INSERT INTO customer VALUES (%s, %s) ON CONFLICT (id) DO UPDATE SET name = excluded.name", (parent, f"n{random.random()}")),
        ("DELETE FROM customer WHERE id = %s", (parent,)),
        ("INSERT INTO purchase VALUES (%s, %s, 'new') ON CONFLICT (id) DO UPDATE SET customer = excluded.customer", (child, parent)),
        ("INSERT INTO purchase VALUES (%s, %s, 'new')", (child, parent)),
        ("UPDATE purchase SET note = note || '+' WHERE id = %s", (child,)),
        ("DELETE FROM purchase WHERE id = %s", (child,)),
        ("INSERT INTO item VALUES (%s, %s, 'new') ON CONFLICT (id) DO UPDATE SET purchase = excluded.purchase", (leaf, child)),
        ("DELETE FROM item WHERE id = %s", (leaf,)),
    ])


def run_load(group, rng, transactions):
    """What a foreign key refuses is what clients meet in life, too."""
    run_clients(group, rng, transactions, any_write,
                (psycopg2.errors.ForeignKeyViolation, psycopg2.errors.UniqueViolation, psycopg2.errors.DeadlockDetected))


def run_load_apart(group, rng, transactions):
    """Nobody sees the others; at least one orphan comes of it."""
    group["a"].sql("INSERT INTO customer VALUES (99, 'gone')")
    group.wait_converged()
    with group.paused():
        run_load(group, rng, transactions)
        group["a"].sql("DELETE FROM customer WHERE id = 99")
        group["b"].sql("INSERT INTO purchase VALUES (99, 99, 'late')")


def assert_outcome(group, rule):
    wait_checked(group)
    group.assert_equal()
    for region in group:
        left = {("purchase", key) for key in orphans(region)} | {("item", key) for key in orphans(region, "item", "purchase", "purchase")}
        if rule != "report":
            assert left == set()
        assert left <= {(entry["table_name"], entry["key"]["id"]) for entry in told(region, decision="report")}
    assert any(told(region, decision=rule) for region in group), "the load left nothing to do"


@pytest.mark.parametrize("transport, regions", [("direct", "ab"), ("direct", "abc"), ("kafka", "abc")])
@pytest.mark.parametrize("rule", ["report", "delete_child", "revive_parent"])
def test_random_load_leaves_no_orphan_untold(group_on, seeded_random, transport, regions, rule):
    group = group_on(transport, list(regions), schema=SCHEMA, tables=tables(rule))
    run_load(group, seeded_random, 150)
    run_load_apart(group, seeded_random, 60)
    run_load(group, seeded_random, 60)
    assert_outcome(group, rule)


@pytest.mark.parametrize("regions, rule", [("ab", "report"), ("abc", "delete_child"), ("abc", "revive_parent")])
def test_kills_and_a_crash_of_a_database_leave_no_orphan_untold(group_on, seeded_random, regions, rule):
    group = group_on("direct", list(regions), schema=SCHEMA, tables=tables(rule))
    for victim in group:
        load = threading.Thread(target=run_load, args=(group, seeded_random, 80))
        load.start()
        wait_until(lambda: not checked(victim) or not load.is_alive(), "something to be noted")
        victim.agent.kill()
        victim.agent.start()
        load.join()
    run_load_apart(group, seeded_random, 40)
    group["a"].postgres.kill()
    group["a"].postgres.start()
    run_load(group, seeded_random, 40)
    assert_outcome(group, rule)


def test_another_region_acts_when_the_one_that_deleted_the_parent_is_away(group_on):
    """It has half a minute for itself."""
    group = group_on("direct", ["a", "b", "c"], schema=SCHEMA, tables=tables("delete_child"))
    group["a"].sql("INSERT INTO customer VALUES (1, 'ada')")
    group.wait_converged()
    group["a"].agent.kill()
    with group.paused():
        group["a"].sql("DELETE FROM customer WHERE id = 1")
        group["b"].sql("INSERT INTO purchase VALUES (10, 1, 'x')")
    for region in (group["b"], group["c"]):
        wait_until_equal(lambda: (region.rows("customer"), region.rows("purchase")), ([], []), f"{region.name} to be without both")
    assert told(group["b"], decision="delete_child") or told(group["c"], decision="delete_child")
    group["a"].agent.start()
    wait_checked(group)


def test_a_key_that_is_changed_keeps_its_lost_parent(group_on):
    group = group_on("direct", ["a", "b"], schema=SCHEMA, tables=tables("delete_child"))
    group["a"].sql("INSERT INTO customer VALUES (1, 'ada')")
    group["a"].sql("INSERT INTO purchase VALUES (10, 1, 'x')")
    group.wait_converged()
    with group.paused():
        group["a"].sql("DELETE FROM customer WHERE id = 1")
        group["b"].sql("UPDATE purchase SET id = 11 WHERE id = 10")
    wait_rows(group, "purchase", [])
    wait_checked(group)


class TestCheck:
    def check(self, group_on, schema, settings):
        group = group_on("direct", ["a", "b"], schema="CREATE TABLE other (id int PRIMARY KEY, code int UNIQUE);", tables=["public.other"])
        region = group["a"]
        region.sql(schema)
        group.tables = {**group.tables, **settings}
        group.write_configurations()
        return region.pgduet("check", check=False)

    def test_keys_that_cannot_be_watched_are_named(self, group_on):
        found = self.check(group_on, """
            CREATE TABLE away (id int PRIMARY KEY);
            CREATE TABLE child (id int PRIMARY KEY, code int REFERENCES other (code), away int REFERENCES away, fine int REFERENCES other);
            """, {"public.child": {}})
        assert "constraint=\"child_code_fkey\"" in found.stdout and "another key than the one" in found.stdout
        assert "constraint=\"child_away_fkey\"" in found.stdout and "not replicated" in found.stdout
        assert "foreign_key_not_indexed" in found.stdout and found.stdout.count("foreign_key_not_watched") == 2

    def test_a_rule_that_cannot_be_kept_is_refused(self, group_on):
        found = self.check(group_on, "CREATE TABLE child (id int PRIMARY KEY, code int REFERENCES other (code), up int REFERENCES other);",
                           {"public.child": {"on_orphan": "delete_child"}})
        assert found.returncode == 1 and "on_orphan_unsupported" in found.stdout

    def test_revive_parent_needs_whole_rows_all_the_way_up(self, group_on):
        found = self.check(group_on, "CREATE TABLE child (id int PRIMARY KEY, up int REFERENCES other); "
                           "CREATE TABLE leaf (id int PRIMARY KEY, up int REFERENCES child);",
                           {"public.child": {}, "public.leaf": {"on_orphan": "revive_parent"}})
        assert found.returncode == 1
        assert "revive_needs_full_identity" in found.stdout and "revive_parent_halfway" in found.stdout


def test_a_truncate_cascade_does_not_deadlock_with_the_look_for_orphans(group_on):
    """Both take the parent first: the look that waits for it holds no lock that TRUNCATE wants next."""
    group = group_on("direct", ["a", "b"], schema=SCHEMA, tables=list(TABLES))
    a = group["a"]
    a.sql("INSERT INTO customer VALUES (1, 'ada')")
    group.wait_converged()
    with group.paused():
        a.sql("DELETE FROM customer WHERE id = 1")
        group["b"].sql("INSERT INTO purchase VALUES (10, 1, 'new')")
        wait_until(lambda: a.sql("SELECT count(*) FROM pgduet.tombstone") == [(1,)] and checked(a), "the look after the local delete")
        ours = a.connect(autocommit=False)
        cursor = ours.cursor()
        cursor.execute("LOCK TABLE customer IN ACCESS EXCLUSIVE MODE")  # as far as TRUNCATE has come
    looks = "SELECT l.relation::regclass::text, l.granted FROM pg_locks l JOIN pg_stat_activity s USING (pid) " \
            "WHERE s.application_name = 'pgduet orphans' AND l.relation IN ('customer'::regclass, 'purchase'::regclass)"
    wait_until(lambda: ("customer", False) in a.sql(looks), "the look to wait for the parent")
    assert a.sql(looks) == [("customer", False)]
    cursor.execute("TRUNCATE customer CASCADE")
    ours.commit()
    ours.close()
    wait_checked(group)
