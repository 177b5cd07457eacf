"""Large values that a statement did not touch are not in the WAL; they must be right at every region all the same."""

import itertools
import threading

import pytest

from harness.waiting import wait_until

SCHEMA = """
CREATE FUNCTION large(seed text) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT repeat(md5(seed), 300) || seed $$;
""" + "".join(f"""
CREATE TABLE {table} (id int PRIMARY KEY, code text NOT NULL, small int, note text NOT NULL, image bytea);
ALTER TABLE {table} ALTER note SET STORAGE EXTERNAL, ALTER image SET STORAGE EXTERNAL;
CREATE UNIQUE INDEX {table}_code ON {table} (code);
""" for table in ("by_key", "by_index", "whole")) + """
ALTER TABLE by_index REPLICA IDENTITY USING INDEX by_index_code;
ALTER TABLE whole REPLICA IDENTITY FULL;
"""
TABLES = ("by_key", "by_index", "whole")


@pytest.fixture(scope="module", params=[("kafka", "abc"), ("direct", "ab")], ids=lambda p: p[0])
def group(request, module_group):
    transport, regions = request.param
    return module_group(transport, list(regions), schema=SCHEMA, tables=[f"public.{t}" for t in TABLES])


@pytest.fixture(params=TABLES)
def table(request):
    return request.param


_numbers = itertools.count(1)


@pytest.fixture
def row(group, table):
    """A row with two large values, known everywhere."""
    made = Row(group, table, next(_numbers) * 10)
    group["a"].sql(f"INSERT INTO {table} VALUES ({made.id}, 'c{made.id}', 0, large('first'), large('image')::bytea)")
    group.wait_converged()
    return made


class Row:
    def __init__(self, group, table, number):
        self.group, self.table, self.id = group, table, number

    def set(self, assignments, id=None):
        return f"UPDATE {self.table} SET {assignments} WHERE id = {id or self.id}"

    def expect(self, small, note, image="image", id=None):
        self.group.wait_converged()
        expected = [(small, True, True)]
        for region in self.group:
            assert region.sql(f"SELECT small, note = large(%s), image = large(%s)::bytea FROM {self.table} WHERE id = %s",
                              (note, image, id or self.id)) == expected, region.name
        self.group.assert_equal(self.table)


def separately(region, *statements):
    for statement in statements:
        region.sql(statement)


def in_one_transaction(region, *statements):
    with region.transaction() as cursor:
        for statement in statements:
            cursor.execute(statement)


def test_they_stay_when_other_columns_change(group, row):
    group["a"].sql(row.set("small = 1"))
    row.expect(1, "first")
    group["b"].sql(row.set("small = 2"))
    row.expect(2, "first")
    group["b"].sql(row.set("note = large('second'), small = 3"))
    row.expect(3, "second")
    group["a"].sql(row.set("image = large('other')::bytea"))
    row.expect(3, "second", "other")
    assert all(not conflict_of(region, row) for region in group)


@pytest.mark.parametrize("statements, expected", [
    (["small = 1", "small = 2"], (2, "first")),
    (["small = 1", "note = large('second')"], (1, "second")),
    (["note = large('second')", "small = 1", "image = large('other')::bytea", "small = 2"], (2, "second", "other")),
    (["note = large('second')", "note = large('third')", "small = 1"], (1, "third")),
], ids=["small twice", "small then large", "both kinds in turn", "large twice then small"])
@pytest.mark.parametrize("run", [separately, in_one_transaction])
def test_several_updates_before_any_is_captured(group, row, run, statements, expected):
    group["a"].agent.process.freeze()
    run(group["a"], *(row.set(one) for one in statements))
    group["a"].agent.process.thaw()
    row.expect(*expected)
    assert all(not conflict_of(region, row) for region in group)


def test_a_later_update_beside_an_earlier_remote_one_keeps_its_own(group, row):
    group.write_late([("b", row.set("note = large('remote'), small = 1")), ("a", row.set("small = 2"))])
    row.expect(2, "first")
    assert conflict_of(group["a"], row) and conflict_of(group["b"], row)


def test_an_earlier_update_beside_a_later_remote_one_loses_whole(group, row):
    group.write_late([("a", row.set("small = 2")), ("b", row.set("note = large('remote')"))])
    row.expect(0, "remote")


def test_both_leave_them_alone(group, row):
    group.write_late([("a", row.set("small = 2")), ("b", row.set("small = 3"))])
    row.expect(3, "first")


def test_updates_that_were_overwritten_before_they_were_captured(group, row):
    """a's first update cannot be completed any more when it is captured; b has changed the large value in between."""
    group["a"].agent.process.freeze()
    group["a"].sql(row.set("small = 1"))
    group["b"].sql(row.set("note = large('remote'), small = 2"))
    group["a"].sql(row.set("small = 3"))
    group["a"].agent.process.thaw()
    row.expect(3, "first")


def test_an_update_that_a_remote_one_overwrites_before_it_is_captured(group, row):
    group["a"].agent.process.freeze()
    group["a"].sql(row.set("small = 1"))
    group["b"].sql(row.set("note = large('remote'), small = 2"))
    group["a"].agent.process.thaw()
    row.expect(2, "remote")


def test_a_key_that_changes_takes_them_along(group, row):
    group["a"].sql(row.set(f"id = {row.id + 1}, code = 'x{row.id}'"))
    row.expect(0, "first", id=row.id + 1)


def test_a_key_that_changes_twice_before_it_is_captured_takes_them_along(group, row):
    group["a"].agent.process.freeze()
    separately(group["a"], row.set(f"id = {row.id + 1}, code = 'x{row.id}'"),
               row.set(f"id = {row.id + 2}, code = 'y{row.id}', small = 7", id=row.id + 1))
    group["a"].agent.process.thaw()
    row.expect(7, "first", id=row.id + 2)


def test_a_commit_that_others_cannot_see_yet_is_waited_for(group, row):
    """A commit that waits for a synchronous standby is decoded before it is visible: its row must not be taken for gone."""
    a = group["a"]
    with group.paused():
        group["b"].sql(row.set("note = large('remote')"))
        a.postgres.set(synchronous_standby_names="nobody")
        a.postgres.reload()
        wait_until(lambda: a.sql("SHOW synchronous_standby_names") == [("nobody",)], "the setting to count")
        met = len(a.agent.log_lines("not visible yet"))
        connection = a.connect(autocommit=False)
        done = begin_in_background(connection, row.set("small = 2"))
        waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND application_name = 'test'"
        wait_until(lambda: a.sql(waits) == [(1,)], "the commit to wait for the standby")
        if row.table != "whole":
            wait_until(lambda: len(a.agent.log_lines("not visible yet")) > met, "capture to meet it")
        a.postgres.set(synchronous_standby_names="")
        a.postgres.reload()
        done.join()
        connection.close()
    row.expect(2, "first")


def begin_in_background(connection, statement):
    def run():
        with connection.cursor() as cursor:
            cursor.execute(statement)
        connection.commit()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def conflict_of(region, row):
    return [c for c in region.conflicts(row.table) if c["local_row"] and c["local_row"]["id"] == row.id]


def test_a_row_of_forty_megabytes(group):
    table, number = "by_key", next(_numbers) * 10
    group["a"].sql(f"INSERT INTO {table} SELECT {number}, 'c{number}', 0, 'x', decode(repeat(md5('{number}'), 2500000), 'hex')")
    summary = f"SELECT small, length(image), md5(image) FROM {table} WHERE id = {number}"
    group.wait_converged()
    assert {tuple(region.sql(summary)) for region in group} == {tuple(group["a"].sql(summary))}
    assert group["a"].sql(summary)[0][1] == 40_000_000
    update = f"UPDATE {table} SET small = %s WHERE id = {number}"
    if group.transport == "direct":
        group.write_late([("b", update % 2), ("a", update % 3)])
    else:
        group["b"].sql(update % 3)
        group.wait_converged()
    assert {tuple(region.sql(summary)) for region in group} == {tuple(group["a"].sql(summary))}
    assert group["b"].sql(summary)[0][:2] == (3, 40_000_000)
    group["a"].sql(f"DELETE FROM {table} WHERE id = {number}")
    group.wait_converged()
    assert group["b"].sql(summary) == []
