"""Keys of every admitted type and shape: rows are found by them, and keys that change take their rows along."""

from collections import defaultdict

import pytest

# name: (columns of the key, three values of the key as SQL)
KEYS = {
    "text": ("k text", "'a'", "'b \"x\", {y} \\'", "'ä 漢'"),
    "varchar": ("k varchar(10)", "''", "' '", "'NULL'"),
    "padded": ("k char(6)", "'a'", "'ab '", "''"),
    "name": ("k name", "'a'", "'B'", "''"),
    "internal_char": ('k "char"', "'a'", "''", "'\\'"),
    "uuid": ("k uuid", "'00000000-0000-0000-0000-000000000001'", "'00000000-0000-0000-0000-000000000002'",
             "'00000000-0000-0000-0000-000000000003'"),
    "timestamptz": ("k timestamptz", "'infinity'", "'0044-03-15 12:00 UTC BC'", "'2026-03-29 02:30:00.000001 Europe/Berlin'"),
    "timestamp": ("k timestamp", "'-infinity'", "'2026-01-01'", "'294276-12-31 23:59:59.999999'"),
    "date": ("k date", "'infinity'", "'0001-01-01 BC'", "'2026-01-01'"),
    "time": ("k time", "'00:00'", "'24:00'", "'12:00:00.000001'"),
    "numeric": ("k numeric", "'NaN'", "1.50", "'Infinity'"),
    "double": ("k float8", "'NaN'", "'-0'", "0.1"),
    "real": ("k float4", "'-Infinity'", "'0.1'", "'1e-45'"),
    "bytea": ("k bytea", r"'\x00ff'", r"'\x'", r"'\x5c22'"),
    "boolean_and_int": ("k bool, k2 int", "true, 1", "false, 1", "true, 2"),
    "enum": ("k shade", "'dark'", "'light'", "'it''s \"grey\"'"),
    "domain": ("k code", "'AB'", "'CD'", "'EF'"),
    "inet": ("k inet", "'10.0.0.1'", "'10.0.0.1/8'", "'2001:db8::1'"),
    "cidr": ("k cidr", "'10.0.0.0/8'", "'10.1.2.3/32'", "'2001:db8::/32'"),
    "macaddr": ("k macaddr", "'08:00:2b:01:02:03'", "'08:00:2b:01:02:04'", "'08:00:2b:01:02:05'"),
    "bits": ("k varbit", "B'1'", "B''", "B'01'"),
    "oid": ("k oid", "0", "'4294967295'", "1"),
    "smallint": ("k int2", "'-32768'", "0", "32767"),
    "bigint": ("k int8", "'-9223372036854775808'", "0", "1"),
    "composite": ("k text, k2 numeric(10,3), k3 date, \"K 4\" uuid", "'a', 1.5, '2026-01-01', '00000000-0000-0000-0000-000000000001'",
                  "'a', 1.5, '2026-01-01', '00000000-0000-0000-0000-000000000002'", "'a', 1.501, '2026-01-01', '00000000-0000-0000-0000-000000000001'"),
    "full": ("k text, k2 int", "'a', 1", "'b', 1", "'b', 2"),
    "by_index": ("k text, k2 timestamptz", "'a', 'infinity'", "'b', '2026-01-01 UTC'", "'b', '2026-01-02 UTC'"),
    "named_like_ours": ("k text, r int, t int", "'a', 1, 1", "'b', 1, 1", "'c', 1, 1"),
}

TYPES = """
CREATE TYPE shade AS ENUM ('dark', 'light', 'it''s "grey"');
CREATE DOMAIN code AS char(4) NOT NULL;
CREATE SCHEMA keyed;
"""


def names_of(columns):
    return ", ".join(column.strip().rsplit(" ", 1)[0] if "(" not in column else column.strip().split(" ")[0]
                     for column in columns.replace("(10,3)", "(10)").split(","))


def table_sql(name, columns):
    names = names_of(columns)
    if name == "by_index":
        not_null = columns.replace(",", " NOT NULL,") + " NOT NULL"
        return (f"CREATE TABLE keyed.{name} (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), {not_null}, v text, note text); "
                f"CREATE UNIQUE INDEX by_index_key ON keyed.{name} ({names}); "
                f"ALTER TABLE keyed.{name} REPLICA IDENTITY USING INDEX by_index_key;")
    identity = f"ALTER TABLE keyed.{name} REPLICA IDENTITY FULL;" if name == "full" else ""
    return f"CREATE TABLE keyed.{name} ({columns}, v text, note text, PRIMARY KEY ({names})); {identity}"


class KeyedTable:
    def __init__(self, name):
        self.name, self.table = name, f"keyed.{name}"
        columns, *self.values = KEYS[name]
        self.names = names_of(columns)

    def insert(self, place, v):
        return f"INSERT INTO {self.table} ({self.names}, v) VALUES ({self.values[place]}, '{v}')"

    def where(self, place):
        return f"({self.names}) = ({self.values[place]})" if "," in self.names else f"{self.names} = {self.values[place]}"

    def move(self, place, to):
        assignment = f"({self.names}) = ROW ({self.values[to]})" if "," in self.names else f"{self.names} = {self.values[to]}"
        return f"UPDATE {self.table} SET {assignment} WHERE {self.where(place)}"

    def update(self, place, v):
        return f"UPDATE {self.table} SET v = '{v}' WHERE {self.where(place)}"

    def delete(self, place):
        return f"DELETE FROM {self.table} WHERE {self.where(place)}"


TABLED = [KeyedTable(name) for name in KEYS]


def write(region, *makers):
    """One transaction: each maker gives a statement for each table."""
    with region.transaction() as cursor:
        for table in TABLED:
            for make in makers:
                cursor.execute(make(table))


class Story:
    """What v each table held under its keys after each phase."""

    def __init__(self, group):
        self.group, self.held = group, defaultdict(dict)
        a, b = group["a"], group["b"]
        write(a, lambda t: t.insert(0, "one"), lambda t: t.insert(1, "two"))
        self._note("inserted")
        write(b, lambda t: t.update(0, "ONE"))
        self._note("updated")
        write(a, lambda t: t.move(0, 2), lambda t: t.move(1, 0), lambda t: t.move(2, 1))
        self._note("swapped")
        write(b, lambda t: t.move(0, 2), lambda t: t.update(2, "moved"))
        self._note("moved")
        write(a, lambda t: t.delete(1))
        self._note("deleted")
        with group.paused():
            write(a, lambda t: t.update(2, "early"), lambda t: t.insert(0, "early"))
            write(b, lambda t: t.update(2, "late"), lambda t: t.insert(0, "late"))
        self._note("updates and inserts met")
        with group.paused():
            write(b, lambda t: t.update(2, "kept?"), lambda t: t.delete(0))
            write(a, lambda t: t.delete(2), lambda t: t.update(0, "revived"))
        self._note("deletes met")
        with group.paused():
            write(b, lambda t: t.insert(1, "older than the truncate"))
            write(a, lambda t: f"TRUNCATE {t.table}")
            write(b, lambda t: t.insert(2, "newer than the truncate"))
        self._note("truncated")
        self.conflicts = {region.name: region.conflicts() for region in group}

    def _note(self, phase):
        self.group.wait_converged()
        for region in self.group:
            connection = region.connect()
            with connection.cursor() as cursor:
                for t in TABLED:
                    cursor.execute(f"SELECT v FROM {t.table} ORDER BY v")
                    values = [v for v, in cursor.fetchall()]
                    cursor.execute(f"SELECT md5(string_agg(x.*::text, '|' ORDER BY x.*::text)) FROM {t.table} x")
                    self.held[phase][region.name, t.name] = values, cursor.fetchone()
            connection.close()


@pytest.fixture(scope="module", params=("kafka", "direct"))
def story(request, module_group):
    schema = TYPES + "\n".join(table_sql(name, KEYS[name][0]) for name in KEYS)
    return Story(module_group(request.param, schema=schema, tables=[t.table for t in TABLED]))


EXPECTED = {
    "inserted": ["one", "two"],
    "updated": ["ONE", "two"],
    "swapped": ["ONE", "two"],
    "moved": ["moved", "ONE"],
    "deleted": ["moved"],
    "updates and inserts met": ["late", "late"],
    "deletes met": ["revived"],
    "truncated": ["newer than the truncate"],
}


@pytest.mark.parametrize("name", KEYS)
def test_rows_are_found_by_their_key(story, name):
    for phase, expected in EXPECTED.items():
        held = {region: story.held[phase][region, name] for region in "ab"}
        assert sorted(held["a"][0]) == sorted(held["b"][0]) == sorted(expected), phase
        assert held["a"][1] == held["b"][1], phase


@pytest.mark.parametrize("name", KEYS)
def test_what_lost_under_a_key_is_logged_with_that_key(story, name):
    for region in "ab":
        logged = [c for c in story.conflicts[region] if c["table_name"] == name]
        met = [c for c in logged if {(c["local_row"] or {}).get("v"), (c["remote_row"] or {}).get("v")} == {"early", "late"}]
        assert sorted(c["kind"] for c in met) == ["insert_exists", "update_origin_differs"]
        assert len({c["key_digest"] for c in met}) == 2
        for entry in met:
            assert canonical(entry["key"]).items() <= canonical(entry["local_row"]).items()
            assert canonical(entry["key"]).items() <= canonical(entry["remote_row"]).items()
    losers = [c for c in story.conflicts["b"] if c["table_name"] == name and "older than the truncate" in
              ((c["local_row"] or {}).get("v"), (c["remote_row"] or {}).get("v"))]
    assert losers, "the row that a truncate removed is in no log"


def canonical(row):
    """Blanks at the end of a char(n) mean nothing."""
    return {name: value.rstrip(" ") if isinstance(value, str) else value for name, value in row.items()}


class TestRefused:
    """Tables whose keys cannot work are refused before anything is changed."""

    @pytest.mark.parametrize("table, error", [
        ("(id int PRIMARY KEY DEFERRABLE)", "key_missing"),
        ("(a int, id int GENERATED ALWAYS AS (a + 1) STORED PRIMARY KEY)", "key_type_unsupported"),
        ("(id interval PRIMARY KEY)", "key_type_unsupported"),
        ("(id jsonb PRIMARY KEY)", "key_type_unsupported"),
        ("(id int[] PRIMARY KEY)", "key_type_unsupported"),
        ("(id text COLLATE loose PRIMARY KEY)", "key_type_unsupported"),
        ("(id tint PRIMARY KEY)", "key_type_unsupported"),
    ])
    def test_a_key_that_cannot_identify_rows(self, refused, table, error):
        refused["a"].sql(f"DROP TABLE IF EXISTS t; CREATE TABLE t {table}")
        done = refused["a"].pgduet("init", check=False)
        assert done.returncode == 1 and f"[{error}]" in done.stderr + done.stdout
        assert refused["a"].sql("SELECT count(*) FROM pg_publication") == [(0,)]

    def test_partitions_whose_replica_identity_is_not_their_roots(self, refused):
        refused["a"].sql("""DROP TABLE IF EXISTS t; CREATE TABLE t (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
                            CREATE TABLE t1 PARTITION OF t DEFAULT; ALTER TABLE t REPLICA IDENTITY FULL""")
        done = refused["a"].pgduet("init", check=False)
        assert done.returncode == 1 and "[partition_identity_differs]" in done.stderr + done.stdout
        refused["a"].sql("ALTER TABLE t1 REPLICA IDENTITY FULL")
        refused["a"].pgduet("init", "--dry-run")

    @pytest.fixture(scope="class")
    def refused(self, module_group):
        group = module_group("direct", tables=["public.t"], start=False, links=False,
                             schema="CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false); "
                                    "CREATE TYPE shade AS ENUM ('dark'); CREATE DOMAIN tint AS shade")
        group.start_databases()
        group.write_configurations()
        return group
