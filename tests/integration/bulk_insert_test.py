"""Rows that are inserted many at a time go by COPY; what COPY cannot decide is decided as ever."""

import pytest

SCHEMA = """
CREATE TABLE item (id bigint PRIMARY KEY, name text, amount numeric(12, 2) CHECK (amount >= 0));
CREATE TABLE "Odd one" ("the id" int, "Part" text, v text, g int GENERATED ALWAYS AS ("the id" * 2) STORED,
                        serial int GENERATED ALWAYS AS IDENTITY, PRIMARY KEY ("Part", "the id"));
"""
TABLES = ["public.item", 'public."Odd one"']
# What COPY's text format gives a meaning to.
ODD_TEXTS = ["", "\\", "\\N", "\\.", "a\tb", "a\nb", "a\r\nb", "\\t", "'", '"', "{a,b}", "\x01\x08\x0b\x0c\x7f", "end\\", "\t", "\n", "ünïcødé 💶"]


def insert(rows, first=1, name="md5(i::text)"):
    return f"INSERT INTO item SELECT i, {name}, i FROM generate_series({first}, {first + rows - 1}) i"


def copies_refused(region):
    return int(region.agent.metric("pgduet_apply_retries_total", reason="copy_refused") or 0)


@pytest.fixture(scope="module", params=("kafka", "direct"))
def running_group(request, module_group):
    return module_group(request.param, schema=SCHEMA, tables=TABLES)


@pytest.fixture
def group(running_group):
    """Empty tables for each test."""
    yield running_group
    running_group["a"].sql('DELETE FROM item; DELETE FROM "Odd one"')
    running_group.wait_converged()


def test_texts_with_a_meaning_to_copy_arrive_as_they_are(group):
    with group["a"].transaction() as cursor:
        for number, text in enumerate(ODD_TEXTS * 10):
            cursor.execute('INSERT INTO "Odd one" ("the id", "Part", v) VALUES (%s, %s, %s), (%s, %s, NULL)',
                           (number, text, text, number, "no value" + text))
    group.assert_converged(*TABLES)
    assert len(group["b"].rows('"Odd one"')) == 20 * len(ODD_TEXTS)


def test_rows_that_meet_taken_keys_are_decided_and_the_others_come_in(group):
    before = copies_refused(group["b"])
    with group.paused():
        group["b"].sql(insert(6, first=100, name="'b'"))
        group["a"].sql(insert(500, name="'a'"))
    group.assert_converged(*TABLES)
    assert copies_refused(group["b"]) == before + 1
    for region in group:
        kinds = [row["kind"] for row in region.conflicts("public.item")][-6:]
        assert kinds == ["insert_exists"] * 6
    assert group["b"].sql("SELECT count(*) FROM item WHERE name = 'a'") == [(500,)]  # the later ones


def test_the_table_goes_without_for_a_while_and_then_is_trusted_again(group):
    before = copies_refused(group["b"])
    for number in range(20):  # each a batch of its own
        group["a"].sql(insert(60, first=1000 + 100 * number))
        group.wait_converged()
    assert copies_refused(group["b"]) == before
    with group.paused():
        group["b"].sql(insert(1, first=10_000))
        group["a"].sql(insert(100, first=10_000))
    group.assert_converged(*TABLES)
    assert copies_refused(group["b"]) == before + 1


def test_a_large_transaction_that_meets_a_taken_key_late_comes_in_whole(group):
    with group.paused():
        group["b"].sql(insert(1, first=40_000, name="'b'"))
        group["a"].sql(insert(40_000, name="repeat('a', 200)"))
    group.assert_converged(*TABLES)
    assert group["b"].sql("SELECT count(*), count(DISTINCT name) FROM item") == [(40_000, 1)]


def test_a_constraint_that_only_the_target_has_stops_by_its_name(make_group):
    group = make_group(["a", "b"], schema=SCHEMA, tables=TABLES)
    group.expect_errors("check_violation")
    group["b"].sql("ALTER TABLE item ADD CONSTRAINT small CHECK (id < 100)")
    group["a"].sql(insert(100))
    group["b"].agent.wait_for_stream_error("check_violation")
    assert group["b"].rows("item") == []
    group["b"].sql("ALTER TABLE item DROP CONSTRAINT small")
    group.assert_converged(*TABLES)
