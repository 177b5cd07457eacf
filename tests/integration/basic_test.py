"""What a user sees first: writes travel both ways, whole, in order, and once."""

import threading

import pytest

from harness.waiting import wait_until, wait_until_equal

SCHEMA = """
CREATE TABLE item (id int PRIMARY KEY, name text, value int NOT NULL DEFAULT 0);
CREATE TABLE line (item int, number int, name text, PRIMARY KEY (item, number));
CREATE TABLE private (id int PRIMARY KEY);
"""
TABLES = ["public.item", "public.line"]


@pytest.fixture
def group(make_group):
    return make_group(["a", "b"], schema=SCHEMA, tables=TABLES)


@pytest.mark.short
@pytest.mark.parametrize("here, there", [("a", "b"), ("b", "a")])
def test_insert_update_delete_and_truncate_travel(group, here, there):
    group[here].sql("INSERT INTO item VALUES (1, 'one', 1), (2, NULL, 2), (3, '', 3)")
    group.wait_converged()
    assert group[there].rows("item") == [(1, "one", 1), (2, None, 2), (3, "", 3)]

    group[here].sql("UPDATE item SET name = 'two', value = value + 10 WHERE id = 2")
    group[there].sql("UPDATE item SET name = NULL WHERE id = 3")
    group.wait_converged()
    assert group[here].rows("item") == group[there].rows("item") == [(1, "one", 1), (2, "two", 12), (3, None, 3)]

    group[here].sql("DELETE FROM item WHERE id = 1")
    group[here].sql("UPDATE item SET id = 30 WHERE id = 3")
    group.wait_converged()
    assert group[there].rows("item") == [(2, "two", 12), (30, None, 3)]

    group[here].sql("TRUNCATE item")
    group.wait_converged()
    assert group[there].rows("item") == []
    assert group["a"].conflicts() == group["b"].conflicts() == []


def test_a_key_can_be_used_again_after_its_row_was_deleted(group):
    for turn, region in enumerate(["a", "b", "b", "a"]):
        group[region].sql("INSERT INTO item VALUES (1, %s, %s)", (region, turn))
        group.wait_converged()
        group["b" if region == "a" else "a"].sql("DELETE FROM item WHERE id = 1")
        group.wait_converged()
        assert group["a"].rows("item") == group["b"].rows("item") == []
    assert group["a"].conflicts() == group["b"].conflicts() == []


def test_changes_of_one_row_within_a_transaction_arrive_as_their_result(group):
    with group["a"].transaction() as cursor:
        cursor.execute("INSERT INTO item VALUES (1, 'first'), (2, 'gone'), (3, 'moves')")
        cursor.execute("UPDATE item SET name = 'second' WHERE id = 1")
        cursor.execute("DELETE FROM item WHERE id = 2")
        cursor.execute("UPDATE item SET id = 4 WHERE id = 3")
        cursor.execute("INSERT INTO item VALUES (3, 'new')")
        cursor.execute("UPDATE item SET name = 'third' WHERE id = 1")
        cursor.execute("DELETE FROM item WHERE id = 3")
        cursor.execute("INSERT INTO item VALUES (3, 'newest')")
    group.wait_converged()
    assert group["b"].rows("item", "id, name") == [(1, "third"), (3, "newest"), (4, "moves")]
    assert group["b"].conflicts() == []


def test_rows_that_swap_their_keys_arrive_swapped(group):
    group["a"].sql("INSERT INTO item VALUES (1, 'one'), (2, 'two')")
    group.wait_converged()
    with group["a"].transaction() as cursor:
        cursor.execute("UPDATE item SET id = 0 WHERE id = 1")
        cursor.execute("UPDATE item SET id = 1 WHERE id = 2")
        cursor.execute("UPDATE item SET id = 2 WHERE id = 0")
    group.wait_converged()
    assert group["b"].rows("item", "id, name") == [(1, "two"), (2, "one")]


def test_what_was_rolled_back_does_not_travel(group):
    with group["a"].transaction() as cursor:
        cursor.execute("INSERT INTO item VALUES (1)")
        cursor.execute("SAVEPOINT s")
        cursor.execute("INSERT INTO item VALUES (2)")
        cursor.execute("ROLLBACK TO s")
        cursor.execute("INSERT INTO item VALUES (3)")
    with group["a"].transaction() as cursor:
        cursor.execute("INSERT INTO item VALUES (4)")
        cursor.execute("ROLLBACK")
    group.wait_converged()
    assert group["b"].rows("item", "id") == [(1,), (3,)]


def test_tables_that_are_not_listed_stay_where_they_are(group):
    with group["a"].transaction() as cursor:
        cursor.execute("INSERT INTO private VALUES (1)")
        cursor.execute("INSERT INTO item VALUES (1)")
    group.wait_converged()
    assert group["b"].rows("private") == []
    assert group["b"].rows("item", "id") == [(1,)]


@pytest.mark.short
def test_a_transaction_becomes_visible_as_a_whole(group):
    """Transfers between rows of two tables: no reader at the other side ever sees another sum."""
    group["a"].sql("INSERT INTO item SELECT i, 'x', 100 FROM generate_series(1, 10) i")
    group["a"].sql("INSERT INTO line SELECT i, 0, '100' FROM generate_series(1, 10) i")
    group.wait_converged()
    done = threading.Event()
    sums = set()

    def read():
        connection = group["b"].connect()
        with connection.cursor() as cursor:
            while not done.is_set():
                cursor.execute("SELECT (SELECT sum(value) FROM item) + (SELECT sum(name::int) FROM line)")
                sums.add(cursor.fetchone()[0])

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for turn in range(200):
            with group["a"].transaction() as cursor:
                cursor.execute("UPDATE item SET value = value - 7 WHERE id = %s", (turn % 10 + 1,))
                cursor.execute("UPDATE line SET name = name::int + 7 WHERE item = %s", ((turn * 3) % 10 + 1,))
        group.wait_converged()
    finally:
        done.set()
        reader.join()
    assert sums == {2000}


def test_transactions_arrive_in_the_order_of_their_commits(group):
    """A counter row: whoever reads it at the other side sees it grow only, and rows of later transactions never first."""
    group["a"].sql("INSERT INTO item VALUES (0, 'counter', 0)")
    group.wait_converged()
    done = threading.Event()
    seen = []

    def read():
        connection = group["b"].connect()
        with connection.cursor() as cursor:
            while not done.is_set():
                cursor.execute("SELECT (SELECT value FROM item WHERE id = 0), (SELECT coalesce(max(number), 0) FROM line)")
                seen.append(cursor.fetchone())

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for number in range(1, 201):
            group["a"].sql("INSERT INTO line VALUES (1, %s)", (number,))
            group["a"].sql("UPDATE item SET value = %s WHERE id = 0", (number,))
        group.wait_converged()
    finally:
        done.set()
        reader.join()
    assert seen == sorted(seen)
    assert all(counter <= newest for counter, newest in seen)


@pytest.mark.parametrize("regions", ["ab", "abc"])
def test_no_transaction_comes_back(make_group, regions):
    """Each region's log has what was written there and nothing else."""
    group = make_group(list(regions), schema=SCHEMA, tables=TABLES)
    for number, region in enumerate(group):
        for row in range(10):
            region.sql("INSERT INTO item VALUES (%s, %s)", (number * 100 + row, f"<{region.name}-{row}>"))
    group.wait_converged()
    group.wait_converged()  # what would have come back has had its chance
    group.assert_equal()
    if group.transport == "kafka":
        for origin in group:
            records = b"".join(message.value() for message in group.broker.consume(group.topics[origin.name]))
            for region in group:
                for row in range(10):
                    expected = 1 if region is origin else 0
                    assert records.count(f"<{region.name}-{row}>".encode()) == expected, (origin.name, region.name, row)
    for region in group:
        for peer in group:
            if peer is not region:  # ten rows and two markers each
                wait_until_equal(lambda: region.agent.metric(
                    "pgduet_apply_changes_total", origin=peer.name, operation="insert"), 12, "the count of applied rows")
        wait_until(lambda: region.agent.metric("pgduet_capture_filtered_transactions_total") >= 1,
                   "what was applied here to be seen and not published")
    assert all(region.conflicts() == [] for region in group)


def test_a_transaction_of_many_rows_travels(group):
    group["a"].sql("INSERT INTO item SELECT i, repeat('x', i % 50), i FROM generate_series(1, 20000) i")
    group["b"].sql("INSERT INTO line SELECT i, i, md5(i::text) FROM generate_series(1, 20000) i")
    group.wait_converged()
    group["b"].sql("UPDATE item SET value = -value WHERE id % 2 = 0")
    group["a"].sql("DELETE FROM line WHERE item % 3 = 0")
    group.assert_converged()


def test_writes_at_the_origin_do_not_wait_for_anything(group):
    """With every agent stopped, local writes go on, and arrive when the agents are back."""
    group.stop_agents()
    for number in range(50):
        group["a"].sql("INSERT INTO item VALUES (%s)", (number,))
        group["b"].sql("INSERT INTO item VALUES (%s)", (1000 + number,))
    group.start_agents()
    group.assert_converged()
    assert len(group["a"].rows("item")) == 100


def test_status_tells_that_everything_has_arrived(group):
    group["a"].sql("INSERT INTO item VALUES (1)")
    group.wait_converged()
    for region in group:
        assert region.agent.http("/livez")[0] == 200
        assert region.agent.http("/readyz")[0] == 200
        assert region.agent.status()["region"] == region.name
        assert region.pgduet("status").returncode == 0
    wait_until(lambda: group["b"].sql("SELECT max(lag_seconds) < 5 FROM pgduet.lag") == [(True,)], "lag to be small")


def test_agents_end_cleanly_when_asked(group):
    group["a"].sql("INSERT INTO item SELECT i FROM generate_series(1, 1000) i")
    group.stop_agents()
    assert all(not region.agent.running() for region in group)
    group.start_agents()
    group.assert_converged()
