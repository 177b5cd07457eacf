"""Databases and roles configured in other ways at the two ends: values mean the same, and what cannot be held stops by name."""

import pytest

from harness.waiting import wait_until

SETTINGS_A = {"datestyle": "'SQL, DMY'", "intervalstyle": "sql_standard", "timezone": "'Asia/Kolkata'", "extra_float_digits": "-15",
              "bytea_output": "escape", "xmlbinary": "hex", "xmloption": "document", "array_nulls": "off", "quote_all_identifiers": "on",
              "standard_conforming_strings": "off", "default_transaction_isolation": "serializable", "statement_timeout": "'3s'"}
SETTINGS_B = {"datestyle": "'German, MDY'", "intervalstyle": "iso_8601", "timezone": "'America/St_Johns'", "extra_float_digits": "0",
              "bytea_output": "hex", "search_path": "nowhere", "lc_monetary": "'C.UTF-8'", "default_transaction_read_only": "on"}
SCHEMA = r"""
CREATE TABLE public.value (id int PRIMARY KEY, d date, t timestamptz, l timestamp, i interval, f float8, r float4, b bytea, x xml, m money,
  a text[], c regclass, n numeric, j jsonb);
CREATE TABLE public.note (id int PRIMARY KEY, v text);
CREATE TABLE public.moment (at timestamptz, length interval, PRIMARY KEY (at));
"""
TABLES = ["public.value", "public.note", "public.moment"]
VALUES = r"""(1, '2026-02-03', '2026-02-03 04:05:06.789+00', '2026-03-02 01:00:00', '-1 year 2 mons -3 days 04:05:06', 0.1::float8 + 0.2,
  0.1, decode('00ff5c27', 'hex'), XMLPARSE(CONTENT 'a <b/> c'), 1234.56, ARRAY['NULL', NULL, 'x'], 'public.note', 1.10, '{"a": "\\"}')"""
READ = """SELECT id, d::text, t::text, l::text, i::text, f = 0.1::float8 + 0.2, r, encode(b, 'hex'), x::text, m::numeric, a::text, c::text,
  n::text, j::text FROM public.value"""


def use(region, settings, dbname):
    for name, value in settings.items():
        region.postgres.sql(f"ALTER ROLE pgduet SET {name} = {value}")
        region.postgres.sql(f"ALTER DATABASE {dbname} SET {name} = {value}")


def exact(region, query):
    connection = region.connect(autocommit=False)
    with connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION READ WRITE; SET LOCAL datestyle = 'ISO'; SET LOCAL intervalstyle = postgres; SET LOCAL timezone = 'UTC'; "
                       "SET LOCAL extra_float_digits = 1; SET LOCAL search_path = pg_catalog; SET LOCAL quote_all_identifiers = off")
        cursor.execute(query)
        rows = cursor.fetchall()
    connection.close()
    return rows


def write(region, *statements):
    with region.transaction() as cursor:
        cursor.execute("SET TRANSACTION READ WRITE; SET LOCAL datestyle = 'ISO'; SET LOCAL standard_conforming_strings = on; "
                       "SET LOCAL search_path = public")
        for statement in statements:
            cursor.execute(statement)


@pytest.fixture(scope="module", params=("kafka", "direct"))
def configured(request, module_group):
    """Settings of the role and the database, made after init has made the role. The markers' writes set their own."""
    group = module_group(request.param, ["a", "b"], schema=SCHEMA, tables=TABLES)
    group.stop_agents()
    use(group["a"], SETTINGS_A, "shop")
    use(group["b"], {k: v for k, v in SETTINGS_B.items() if k != "default_transaction_read_only"}, "shop")
    group["b"].postgres.sql("ALTER ROLE pgduet SET default_transaction_read_only = on")
    for region in group:
        assert region.pgduet("check").returncode == 0
    group.start_agents()
    return group


def test_settings_of_database_and_role_change_no_value(configured):
    a, b = configured["a"], configured["b"]
    write(a, f"INSERT INTO public.value VALUES {VALUES}")
    configured.wait_converged()
    expected = exact(a, READ)
    assert expected[0][1:5] == ("2026-02-03", "2026-02-03 04:05:06.789+00", "2026-03-02 01:00:00", "-10 mons -3 days +04:05:06")
    assert expected[0][10] == '{"NULL",NULL,x}' and expected[0][5] is True
    assert exact(b, READ) == expected
    write(b, "UPDATE public.value SET id = 2")
    configured.wait_converged()
    assert [row[1:] for row in exact(a, READ)] == [row[1:] for row in expected]


def test_settings_change_no_key_and_no_conflict(configured):
    a, b = configured["a"], configured["b"]
    write(a, "INSERT INTO public.moment VALUES ('2026-02-03 04:05:06+00', '1 day'), ('2026-03-02 00:00:00+00', '2 days')")
    configured.wait_converged()
    with configured.paused():
        write(a, "UPDATE public.moment SET length = '1 year 2 mons'")
        write(b, "UPDATE public.moment SET length = '3 hours' WHERE at = '2026-02-03 04:05:06+00'",
              "DELETE FROM public.moment WHERE at = '2026-03-02 00:00:00+00'")
    configured.wait_converged()
    read = "SELECT at::text, length::text FROM public.moment"
    assert exact(a, read) == exact(b, read) == [("2026-02-03 04:05:06+00", "03:00:00")]
    logged = exact(a, "SELECT key->>'at', local_row->>'length', remote_row->>'length' FROM pgduet.conflict "
                      "WHERE table_name = 'moment' AND kind = 'update_origin_differs'")
    assert logged == [("2026-02-03T04:05:06+00:00", "1 year 2 mons", "03:00:00")]


@pytest.fixture(scope="module", params=("kafka", "direct"))
def encoded(request, module_group):
    """a is UTF8, b LATIN1."""
    return module_group(request.param, ["a", "b"], tables=["public.note", 'public."Größe"'],
                        databases={"b": {"encoding": "LATIN1", "locale": "C"}},
                        schema="CREATE TABLE note (id int PRIMARY KEY, v text); "
                               'CREATE TABLE "Größe" ("schlüssel" text PRIMARY KEY, "wert é" jsonb)')


def test_text_travels_between_encodings(encoded):
    a, b = encoded["a"], encoded["b"]
    a.sql("INSERT INTO note VALUES (1, 'Grüße, ¡olé!')")
    b.sql("""INSERT INTO "Größe" VALUES ('ß', '{"ä": "ÿ"}')""")
    encoded.wait_converged()
    assert b.sql("SELECT v, octet_length(v) FROM note") == [("Grüße, ¡olé!", 12)]
    a.sql("""UPDATE "Größe" SET "schlüssel" = 'ü'""")
    encoded.wait_converged()
    encoded.write_late([("a", """UPDATE "Größe" SET "wert é" = '"é"'"""), ("b", """UPDATE "Größe" SET "wert é" = '"è"'""")])
    for region in encoded:
        assert region.sql('SELECT "schlüssel", "wert é" FROM "Größe"') == [("ü", "è")]
        assert [c["key"] for c in region.conflicts("Größe")] == [{"schlüssel": "ü"}]


def test_a_character_that_the_other_end_cannot_hold_stops_its_stream_until_it_is_corrected(encoded):
    a, b = encoded["a"], encoded["b"]
    encoded.expect_errors("value_refused")
    a.sql("INSERT INTO note VALUES (10, 'costs 5 €')")
    b.agent.wait_for_stream_error("value_refused")
    b.sql("INSERT INTO note VALUES (11, 'the other direction goes on')")
    encoded.wait_for_markers(encoded.mark(["b"]), regions=["a"])
    assert a.sql("SELECT count(*) FROM note WHERE id = 11") == [(1,)]
    assert b.sql("SELECT count(*) FROM note WHERE id = 10") == [(0,)]
    sent = a.agent.metric("pgduet_heartbeats_sent_total")
    wait_until(lambda: a.agent.metric("pgduet_heartbeats_sent_total") > sent, "a heartbeat between the two")
    a.sql("UPDATE note SET v = 'costs 5 EUR' WHERE id = 10")
    encoded.wait_converged()
    encoded.assert_equal("public.note")
    assert b.sql("SELECT v FROM note WHERE id = 10") == [("costs 5 EUR",)]
