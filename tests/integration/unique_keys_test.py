"""Secondary unique keys with `on_unique: park_loser`: docs/decisions/0005.

Two rows with different keys and one unique value, from different regions: the later one is shown everywhere, the other one is
parked with its full row, stands in the conflict log, and comes back when its value is free.
"""

import threading

import psycopg2
import pytest

from harness.clients import run_clients
from harness.waiting import wait_until, wait_until_equal

SCHEMA = """
CREATE TABLE city (id int PRIMARY KEY, name text UNIQUE, note text);
CREATE TABLE login (id int PRIMARY KEY, shop int, email text, code int UNIQUE NULLS NOT DISTINCT, gone boolean NOT NULL DEFAULT false);
CREATE UNIQUE INDEX login_email ON login (shop, lower(email)) WHERE NOT gone;
CREATE TABLE seat (id int PRIMARY KEY, place int UNIQUE);
"""
PARK = {"on_unique": "park_loser"}
TABLES = {"public.city": PARK, "public.login": PARK, "public.seat": PARK}


def parked(region, table):
    return region.sql("SELECT p.key, jsonb_object(p.columns, p.row_values), r.name FROM pgduet.parked p JOIN pgduet.region r "
                      "ON r.rank = p.rank WHERE p.relation = %s::regclass ORDER BY 1", (table,))


def parked_keys(region, table):
    return [int(key.strip('{"}')) for key, _, _ in parked(region, table)]


def wait_everywhere(group, table, rows, parked_rows):
    """Until all regions show exactly these rows and have exactly these keys parked."""
    for region in group:
        wait_until_equal(lambda: (region.sql(f"SELECT * FROM {table} ORDER BY 1"), parked_keys(region, table)),
                         (rows, parked_rows), f"{region.name} to show and park")


def parking_entries(region, table):
    return [c for c in region.conflicts(table) if c["decision"].startswith("park")]


def collide(group):
    """a inserts (1, nyc), then b (2, nyc), neither having seen the other."""
    a, b = group["a"], group["b"]
    with group.paused():
        a.sql("INSERT INTO city VALUES (1, 'nyc', 'of a')")
        b.sql("INSERT INTO city VALUES (2, 'nyc', 'of b')")
    wait_everywhere(group, "city", [(2, "nyc", "of b")], [1])
    return a, b


@pytest.fixture
def pair(group_on):
    return group_on("direct", ["a", "b"], schema=SCHEMA, tables=TABLES)


@pytest.mark.short
class TestTwoRegions:
    def test_the_later_row_is_shown_and_the_other_one_parked_with_its_row(self, pair):
        a, b = collide(pair)
        for region in pair:
            assert parked(region, "city") == [('{"1"}', {"id": "1", "name": "nyc", "note": "of a"}, "a")]
        [at_a] = parking_entries(a, "city")
        [at_b] = parking_entries(b, "city")
        assert (at_a["decision"], at_b["decision"]) == ("park_local", "park_remote")
        assert at_a["kind"] == at_b["kind"] == "insert_exists"
        assert at_a["local_row"] == at_b["remote_row"] == {"id": 1, "name": "nyc", "note": "of a"}
        assert at_a["remote_row"] == at_b["local_row"] == {"id": 2, "name": "nyc", "note": "of b"}

    @pytest.mark.parametrize("freed", ["DELETE FROM city WHERE id = 2", "UPDATE city SET name = 'rome' WHERE id = 2", "TRUNCATE city"])
    @pytest.mark.parametrize("where", ["a", "b"])
    def test_the_loser_comes_back_when_the_winner_goes(self, pair, freed, where):
        collide(pair)
        pair[where].sql(freed)
        if freed == "TRUNCATE city":  # a delete of every row with a lower version
            return wait_everywhere(pair, "city", [], [])
        winner = [(2, "rome", "of b")] if "UPDATE" in freed else []
        wait_everywhere(pair, "city", [(1, "nyc", "of a"), *winner], [])
        # It has its own old version: another row with a later version takes the value again.
        versions = [region.sql("SELECT (pg_xact_commit_timestamp_origin(xmin)).timestamp FROM city WHERE id = 1") for region in pair]
        assert versions[0] == versions[1]

    def test_a_winner_that_loses_its_own_key_gives_the_value_back(self, pair):
        a, b = collide(pair)
        with pair.paused():
            b.sql("UPDATE city SET note = 'still nyc' WHERE id = 2")
            a.sql("UPDATE city SET name = 'oslo' WHERE id = 2")
        wait_everywhere(pair, "city", [(1, "nyc", "of a"), (2, "oslo", "of b")], [])

    def test_changes_and_deletes_reach_a_parked_row(self, pair):
        a, b = pair["a"], pair["b"]
        with pair.paused():
            a.sql("INSERT INTO city VALUES (1, 'nyc', 'of a')")
            b.sql("INSERT INTO city VALUES (2, 'nyc', 'of b')")
            a.sql("UPDATE city SET note = 'second' WHERE id = 1")
        wait_everywhere(pair, "city", [(1, "nyc", "second")], [2])
        with pair.paused("b", "a"):
            a.sql("DELETE FROM city WHERE id = 1")
        wait_everywhere(pair, "city", [(2, "nyc", "of b")], [])

    def test_a_local_insert_under_the_key_of_a_parked_row_replaces_it(self, pair):
        a, b = collide(pair)
        a.sql("INSERT INTO city VALUES (1, 'lima', 'anew')")
        wait_everywhere(pair, "city", [(1, "lima", "anew"), (2, "nyc", "of b")], [])

    def test_a_delete_of_the_new_row_under_the_key_of_a_parked_one_takes_both(self, pair):
        a, b = collide(pair)
        a.sql("INSERT INTO city VALUES (1, 'lima', 'anew')")
        a.sql("DELETE FROM city WHERE id = 1")
        b.sql("DELETE FROM city WHERE id = 2")
        wait_everywhere(pair, "city", [], [])

    def test_a_chain(self, pair):
        a, b = pair["a"], pair["b"]
        with pair.paused():
            a.sql("INSERT INTO login VALUES (1, 1, 'x@', 10)")
            b.sql("INSERT INTO login VALUES (2, 1, 'X@', 20)")
            a.sql("INSERT INTO login VALUES (3, 2, 'y@', 20)")
        wait_everywhere(pair, "login", [(1, 1, "x@", 10, False), (3, 2, "y@", 20, False)], [2])
        a.sql("DELETE FROM login WHERE id = 3")
        wait_everywhere(pair, "login", [(2, 1, "X@", 20, False)], [1])
        b.sql("UPDATE login SET gone = true WHERE id = 2")  # leaves the partial index
        wait_everywhere(pair, "login", [(1, 1, "x@", 10, False), (2, 1, "X@", 20, True)], [])

    def test_nulls_that_are_not_distinct_collide(self, pair):
        a, b = pair["a"], pair["b"]
        with pair.paused():
            a.sql("INSERT INTO login VALUES (1, 1, 'x', NULL)")
            b.sql("INSERT INTO login VALUES (2, 2, 'y', NULL)")
        wait_everywhere(pair, "login", [(2, 2, "y", None, False)], [1])

    def test_a_null_among_many_reads_none_of_them(self, pair):
        """Also where rows are parked, and unique keys are searched: a NULL is equal to nothing."""
        a, b = collide(pair)
        rows = 20_000
        a.sql(f"INSERT INTO city SELECT i FROM generate_series(10, {9 + rows}) i")
        pair.wait_converged()

        def statistics():
            return b.sql("SELECT n_tup_ins, seq_tup_read, (SELECT idx_tup_read FROM pg_stat_user_indexes WHERE indexrelname = 'city_name_key') "
                         "FROM pg_stat_user_tables WHERE relname = 'city'")[0]
        wait_until(lambda: statistics()[0] >= rows, "the statistics of what has arrived")
        inserted, scanned, searched = statistics()
        a.sql("INSERT INTO city SELECT i FROM generate_series(1000000, 1000009) i")
        pair.wait_converged()
        wait_until(lambda: statistics()[0] >= inserted + 10, "the statistics of ten more")
        assert parked_keys(b, "city") == [1]
        assert statistics()[1] - scanned < rows and statistics()[2] - searched < rows

    def test_a_row_that_meets_rows_on_several_keys(self, pair):
        a, b = pair["a"], pair["b"]
        with pair.paused():
            a.sql("INSERT INTO login VALUES (1, 1, 'x', 10), (2, 2, 'y', 20)")
            b.sql("INSERT INTO login VALUES (3, 1, 'X', 20)")
        wait_everywhere(pair, "login", [(3, 1, "X", 20, False)], [1, 2])
        assert {c["kind"] for c in parking_entries(a, "login")} == {"multiple_unique_conflicts"}

    def test_a_swap_of_two_values_parks_nothing(self, pair):
        a, b = collide(pair)  # city is crowded; seat becomes so:
        with pair.paused():
            a.sql("INSERT INTO seat VALUES (1, 1), (2, 2), (3, 3)")
            b.sql("INSERT INTO seat VALUES (9, 3)")
        wait_everywhere(pair, "seat", [(1, 1), (2, 2), (9, 3)], [3])
        logged = [len(parking_entries(region, "seat")) for region in pair]
        with a.transaction() as cursor:
            cursor.execute("UPDATE seat SET place = NULL WHERE id = 1")
            cursor.execute("UPDATE seat SET place = 1 WHERE id = 2")
            cursor.execute("UPDATE seat SET place = 2 WHERE id = 1")
        wait_everywhere(pair, "seat", [(1, 2), (2, 1), (9, 3)], [3])
        assert [len(parking_entries(region, "seat")) for region in pair] == logged

    def test_a_swap_parks_nothing_where_nothing_is_parked(self, pair):
        a, b = pair["a"], pair["b"]
        a.sql("INSERT INTO seat VALUES (1, 1), (2, 2)")
        pair.wait_converged()
        with a.transaction() as cursor:
            cursor.execute("UPDATE seat SET place = NULL WHERE id = 1")
            cursor.execute("UPDATE seat SET place = 1 WHERE id = 2")
            cursor.execute("UPDATE seat SET place = 2 WHERE id = 1")
        wait_everywhere(pair, "seat", [(1, 2), (2, 1)], [])
        assert not any(region.conflicts("seat") for region in pair)

    def test_check_says_what_each_unique_key_is_set_to(self, pair):
        found = pair["a"].pgduet("check").stdout
        assert "city_name_key on_unique=park_loser" in found
        pair["a"].sql("CREATE UNIQUE INDEX later ON city (note); ALTER TABLE city ADD CONSTRAINT late UNIQUE (note) DEFERRABLE")
        refused = pair["a"].pgduet("check", check=False)
        assert refused.returncode == 1 and "late" in refused.stdout and "unique_key_unsupported" in refused.stdout

    def test_a_restart_finds_the_parked_rows_again(self, pair):
        collide(pair)
        pair["a"].agent.kill()
        pair["b"].agent.kill()
        pair["b"].sql("DELETE FROM city WHERE id = 2")
        pair["a"].agent.start()
        pair["b"].agent.start()
        wait_everywhere(pair, "city", [(1, "nyc", "of a")], [])

    def test_the_command_lists_them(self, pair):
        collide(pair)
        listed = pair["a"].pgduet("parked list").stdout
        assert "public.city" in listed and "city_name_key" in listed
        wait_until(lambda: pair["a"].agent.metric("pgduet_parked_rows") == 1, "the metric")


def test_without_the_setting_the_stream_stops(group_on):
    group = group_on("direct", ["a", "b"], schema=SCHEMA, tables=["public.city"])
    with group.paused():
        group["a"].sql("INSERT INTO city VALUES (1, 'nyc', 'of a')")
        group["b"].sql("INSERT INTO city VALUES (2, 'nyc', 'of b')")
    for region in group:
        region.agent.wait_for_stream_error("unique_violation")
    group.expect_errors("unique_violation")


def logical_rows(region, table):
    """Key -> (version, row as text, visible), of what is shown and what is parked."""
    ranks = dict(region.sql("SELECT name, rank FROM pgduet.region"))
    names = {f"pgduet:{region.group.name}:main:{name}": rank for name, rank in ranks.items()}
    rows = {}
    for key, time, origin, row in region.sql(
            f"SELECT t.id, (s).timestamp, (SELECT roname FROM pg_replication_origin WHERE roident = (s).roident), to_jsonb(t) "
            f"FROM (SELECT *, pg_xact_commit_timestamp_origin(xmin) AS s FROM {table}) t"):
        row.pop("s")
        rows[key] = (time, names.get(origin, region.rank)), row, True
    for key, row, time, rank in region.sql(
            "SELECT key, to_jsonb(t), commit_time, rank FROM pgduet.parked p, jsonb_populate_record(NULL::" + table + ", "
            "jsonb_object(p.columns, p.row_values)) t WHERE relation = %s::regclass", (table,)):
        assert int(key.strip('{"}')) not in rows
        rows[int(key.strip('{"}'))] = (time, rank), row, False
    return rows


def assert_shown_by_the_definition(region, table, unique):
    rows = logical_rows(region, table)
    taken, shown = [set() for _ in unique], set()
    for key, (_, row, _) in sorted(rows.items(), key=lambda item: (item[1][0], '{"%d"}' % item[0]), reverse=True):
        values = [of(row) for of in unique]
        if any(value is not None and value in used for value, used in zip(values, taken)):
            continue
        shown.add(key)
        for value, used in zip(values, taken):
            used.add(value)
    assert shown == {key for key, (_, _, visible) in rows.items() if visible}


def any_write(random):
    key, name = random.randrange(12), f"n{random.randrange(6)}"
    return random.choice([
        ("INSERT INTO city VALUES (%s, %s, 'new') ON CONFLICT (id) DO UPDATE SET name = excluded.name", (key, name)),
        ("INSERT INTO city VALUES (%s, %s, 'new')", (key, name)),
        ("UPDATE city SET name = %s, note = note || '+' WHERE id = %s", (name, key)),
        ("DELETE FROM city WHERE id = %s", (key,)),
        ("INSERT INTO login VALUES (%s, 1, %s, %s) ON CONFLICT (id) DO UPDATE SET email = excluded.email, code = excluded.code",
         (key, random.choice(["x", "X", "y", "z"]), random.randrange(5))),
        ("DELETE FROM login WHERE id = %s", (key,)),
    ])


def run_load(group, rng, transactions):
    """What the database refuses (a value that is taken here) is what clients meet in life, too."""
    run_clients(group, rng, transactions, any_write, (psycopg2.errors.UniqueViolation, psycopg2.errors.DeadlockDetected))


def settled(group):
    views = [{table: {key: (version[0], row, visible) for key, (version, row, visible) in logical_rows(region, table).items()}
              for table in ("city", "login")} for region in group]
    return all(view == views[0] for view in views)


@pytest.mark.parametrize("transport, regions", [("direct", "ab"), ("direct", "abc"), ("kafka", "abc")])
def test_random_load_ends_equal_and_as_the_definition_says(group_on, seeded_random, transport, regions):
    group = group_on(transport, list(regions), schema=SCHEMA, tables=TABLES)
    run_load(group, seeded_random, 150)
    with group.paused():
        run_load(group, seeded_random, 60)
    run_load(group, seeded_random, 60)
    group.wait_converged()
    wait_until(lambda: settled(group), "the parked rows to settle")
    assert group["a"].conflicts("city")
    for region in group:
        assert_shown_by_the_definition(region, "city", [lambda row: row["name"]])
        assert_shown_by_the_definition(region, "login", [lambda row: row["email"].lower(), lambda row: row["code"]])


@pytest.mark.parametrize("regions", ["ab", "abc"])
def test_kills_and_a_crash_of_a_database_leave_no_trace(group_on, seeded_random, regions):
    group = group_on("direct", list(regions), schema=SCHEMA, tables=TABLES)
    for victim in group:
        load = threading.Thread(target=run_load, args=(group, seeded_random, 80))
        load.start()
        wait_until(lambda: parked(victim, "city") or parked(victim, "login") or not load.is_alive(), "something to be parked")
        victim.agent.kill()
        victim.agent.start()
        load.join()
    group["a"].postgres.kill()
    group["a"].postgres.start()
    run_load(group, seeded_random, 40)
    group.wait_converged()
    wait_until(lambda: settled(group), "the parked rows to settle")
    for region in group:
        assert_shown_by_the_definition(region, "city", [lambda row: row["name"]])
        assert_shown_by_the_definition(region, "login", [lambda row: row["email"].lower(), lambda row: row["code"]])


def test_three_regions_take_one_value(group_on):
    group = group_on("direct", ["a", "b", "c"], schema=SCHEMA, tables=TABLES)
    with group.paused():
        for key, region in enumerate(group, 1):
            region.sql("INSERT INTO city VALUES (%s, 'nyc', %s)", (key, region.name))
    wait_everywhere(group, "city", [(3, "nyc", "c")], [1, 2])
    group["a"].sql("DELETE FROM city WHERE id = 3")
    wait_everywhere(group, "city", [(2, "nyc", "b")], [1])
    group["c"].sql("UPDATE city SET name = 'bonn' WHERE id = 2")
    wait_everywhere(group, "city", [(1, "nyc", "a"), (2, "bonn", "b")], [])
