"""Every type arrives as it was written, to the last bit: inserted, updated, left alone, deleted, and in conflicts."""

import io
from collections import defaultdict

import pytest

from harness.type_samples import SAMPLES, TYPES_SCHEMA

PHASES = ("inserted", "value updated", "other column updated", "deleted", "nulled", "conflicts decided", "many inserted")


def schema():
    tables = "".join(f"CREATE TABLE {s.table} (id int PRIMARY KEY, v {s.type}, other int);\n" for s in SAMPLES)
    return f"{TYPES_SCHEMA}CREATE SCHEMA kind;\n{tables}"


def rows_of(sample):
    """The values, some of them twice, then NULL: at least four rows."""
    values = list(sample.values) * (4 // len(sample.values) + 1) + ["NULL"]
    return list(enumerate(values, start=1))


def shifted(sample, by=1):
    rows = rows_of(sample)
    return [(number, rows[(number - 1 + by) % len(rows)][1]) for number, _ in rows]


def write(region, statements):
    """All in one transaction: many rows of many tables go the set-based way together."""
    with region.transaction() as cursor:
        for statement in statements:
            cursor.execute(statement)


def set_values(sample, rows):
    return "; ".join(f"UPDATE {sample.table} SET v = {value} WHERE id = {number}" for number, value in rows)


class Story:
    """What the tables held at both ends after each phase, and what the conflict logs say."""

    def __init__(self, group):
        self.group = group
        self.one_version = len({region.postgres.programs for region in group}) == 1
        self.held = {phase: {} for phase in PHASES}
        self._write_all()
        self.conflicts = {region.name: self._conflicts(region) for region in group}

    def _write_all(self):
        a, b = self.group["a"], self.group["b"]
        write(a, (f"INSERT INTO {s.table} VALUES " + ", ".join(f"({n}, {v}, {n})" for n, v in rows_of(s)) for s in SAMPLES))
        self._note("inserted")
        write(b, (set_values(s, shifted(s)) for s in SAMPLES))
        self._note("value updated")
        write(a, (f"UPDATE {s.table} SET other = -other" for s in SAMPLES))
        self._note("other column updated")
        write(b, (f"DELETE FROM {s.table} WHERE id > 3" for s in SAMPLES))
        self._note("deleted")
        write(a, (f"UPDATE {s.table} SET v = NULL, other = NULL" for s in SAMPLES))
        self._note("nulled")
        with self.group.paused():
            write(a, (set_values(s, rows_of(s)[:2]) for s in SAMPLES))
            write(b, (set_values(s, shifted(s)[:2]) for s in SAMPLES))
        self._note("conflicts decided")
        write(a, (f"INSERT INTO {s.table} SELECT 1000 * g + n, v, n FROM generate_series(1, 25) g, (VALUES "
                  + ", ".join(f"({n}, ({v})::{s.type})" for n, v in rows_of(s)) + ") r(n, v)" for s in SAMPLES))
        self._note("many inserted")

    def _note(self, phase):
        self.group.wait_converged()
        for region in self.group:
            connection = region.connect()
            with connection.cursor() as cursor:
                for sample in SAMPLES:
                    self.held[phase][region.name, sample.name] = self._read(cursor, sample)
            connection.close()

    def _read(self, cursor, sample):
        cursor.execute(f"SELECT id, v::text, other FROM {sample.table} ORDER BY id")
        rows = cursor.fetchall()
        binary = io.BytesIO()
        if sample.portable_binary and (self.one_version or not sample.names_objects):
            cursor.copy_expert(f"COPY (SELECT id, v FROM {sample.table} ORDER BY id) TO STDOUT (FORMAT binary)", binary)
        return rows, binary.getvalue()

    @staticmethod
    def _conflicts(region):
        rows = region.sql("SELECT table_name, key->>'id', kind, decision, local_row->>'v', remote_row->>'v' "
                          "FROM pgduet.conflict ORDER BY id")
        by_table = defaultdict(list)
        for table, *entry in rows:
            by_table[table].append(tuple(entry))
        return by_table


@pytest.fixture(scope="module", params=[("kafka", None), ("direct", None), ("kafka", "18")], ids=["kafka", "direct", "with PostgreSQL 18"])
def story(request, module_group):
    """b's PostgreSQL may be a later one than a's: what one writes the other reads, text and binary."""
    transport, version = request.param
    return Story(module_group(transport, schema=schema(), tables=[s.table for s in SAMPLES], versions={"b": version}))


def by_type(function):
    return pytest.mark.parametrize("sample", SAMPLES, ids=lambda s: s.name)(function)


@by_type
def test_a_value_arrives_as_it_was_written(story, sample):
    for phase in PHASES:
        here, there = story.held[phase]["a", sample.name], story.held[phase]["b", sample.name]
        assert here[0] == there[0], phase
        assert here[1] == there[1], f"{phase}: equal as text, different as binary"
    texts = [text for _, text, _ in story.held["inserted"]["b", sample.name][0]]
    updated = [text for _, text, _ in story.held["value updated"]["a", sample.name][0]]
    assert texts[-1] is None and None not in texts[:-1]
    assert updated == texts[1:] + texts[:1]
    assert [text for _, text, _ in story.held["other column updated"]["b", sample.name][0]] == updated
    assert [number for number, _, _ in story.held["deleted"]["a", sample.name][0]] == [1, 2, 3]
    assert story.held["nulled"]["b", sample.name][0] == [(number, None, None) for number in (1, 2, 3)]
    assert [text for _, text, _ in story.held["conflicts decided"]["a", sample.name][0]] == updated[:2] + [None]
    assert [text for _, text, _ in story.held["many inserted"]["b", sample.name][0]][3:] == texts * 25


@by_type
def test_a_lost_value_stands_in_the_conflict_log(story, sample):
    written = {"a": rows_of(sample)[:2], "b": shifted(sample)[:2]}
    for region, decision in (("a", "apply_remote"), ("b", "keep_local")):
        other = "b" if region == "a" else "a"
        expected = []
        for place in range(2):
            number, local = written[region][place]
            expected.append((str(number), "update_origin_differs", decision,
                             as_logged(story.group[region], sample, local), as_logged(story.group[region], sample, written[other][place][1])))
        assert sorted(story.conflicts[region][sample.name]) == sorted(expected)


def as_logged(region, sample, value):
    """json can hold what jsonb cannot; the log shows it as text."""
    shown = "v::text" if "json" in sample.name and "jsonb" not in sample.name or sample.type == "nest" else "v"
    return region.sql(f"SELECT to_jsonb(r.*)->>'v' FROM (SELECT {shown} AS v FROM (SELECT ({value})::{sample.type} AS v) s) r")[0][0]
