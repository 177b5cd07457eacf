"""Values of every family of types, as SQL: what must arrive at the other end as it was.

A sample's values differ from each other as text or as binary; NULL is added by the test. `portable_binary` is false where
the binary form holds OIDs of the database (types made by users inside arrays and rows). `names_objects`: it is the OID of what users made, which another version numbers otherwise.
"""

from dataclasses import dataclass

TYPES_SCHEMA = """
CREATE EXTENSION hstore;
CREATE TYPE mood AS ENUM ('sad', 'ok', 'it''s "fine", {really} \\ é');
CREATE TYPE pair AS (number int, label text);
CREATE TYPE nest AS (name text, inner_pair pair, pairs pair[], moods mood[], payload json);
CREATE TYPE stretch AS RANGE (subtype = float8);
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE DOMAIN words AS text[] CHECK (array_ndims(VALUE) = 1);
CREATE DOMAIN checked_pair AS pair CHECK ((VALUE).number > 0);
CREATE DOMAIN feeling AS mood;
CREATE DOMAIN positive_twice AS positive CHECK (VALUE < 1000000);
"""

@dataclass(frozen=True)
class TypeSample:
    name: str
    type: str
    values: tuple
    portable_binary: bool = True
    names_objects: bool = False

    @property
    def table(self):
        return f"kind.{self.name}"


def _of(name, type_name, *values, **properties):
    """Values without a cast get the type's."""
    cast = tuple(v if "::" in v or v.startswith(("ARRAY", "ROW", "chr", "(", "repeat")) else f"{v}::{type_name}" for v in values)
    return TypeSample(name, type_name, cast, **properties)


_FAR_TIMES = ("'-infinity'", "'infinity'", "'4714-11-24 00:00:00 BC'", "'0044-03-15 12:00:00.000001 BC'", "'1582-10-10 10:10:10'",
              "'1999-12-31 23:59:59.999999'", "'294276-12-31 23:59:59.999999'")
_TEXTS = ("''", "' '", "'NULL'", "'null'", "'{}'", "'a''b\"c\\d'", r"E'tab\there\nline\r\x01\x02\x1f\x7f'", "'äöü ß € 漢字 🦆'",
          r"E'\\x00'", "'\\N'", "'$1 %s {0}'", "E'e\\u0301 \\u00e9'", "repeat('x', 9000)")

SCALARS = (
    _of("boolean", "bool", "true", "false"),
    _of("smallint", "int2", "0", "'-32768'", "'32767'"),
    _of("integer", "int4", "0", "'-2147483648'", "'2147483647'"),
    _of("bigint", "int8", "0", "'-9223372036854775808'", "'9223372036854775807'"),
    _of("numeric", "numeric", "'NaN'", "'Infinity'", "'-Infinity'", "0", "'0.000'", "'-1.50'", "'1e-16383'",
        "('1' || repeat('0', 131000) || '.5')::numeric", "repeat('123456789', 1000)::numeric"),
    _of("numeric_scaled", "numeric(20,4)", "'NaN'", "'1234567890123456.7891'", "'-0.0001'"),
    _of("numeric_rounded", "numeric(5,-2)", "'123400'", "'-100'"),
    _of("real", "float4", "'NaN'", "'Infinity'", "'-Infinity'", "'-0'", "'0'", "'1e-45'", "'3.4028235e38'", "'0.1'", "'16777217'"),
    _of("double", "float8", "'NaN'", "'Infinity'", "'-Infinity'", "'-0'", "'0'", "'5e-324'", "'2.2250738585072011e-308'",
        "'1.7976931348623157e308'", "'0.1'", "(0.1::float8 + 0.2::float8)", "'9007199254740993'"),
    _of("money", "money", "'0'", "'-92233720368547758.08'", "'92233720368547758.07'", "'1234.56'"),
    _of("text", "text", *_TEXTS),
    _of("varchar", "varchar(20)", "''", "'  spaces  '", "'äöü漢字'"),
    _of("character", "char(8)", "''", "'abc'", "'ä 漢'"),
    _of("character_any", "bpchar", "''", "'abc'", "'abc   '"),
    _of("name", "name", "''", "'pg_class'", "'漢字'"),
    _of("internal_char", '"char"', "'a'", "''", "' '", "'\\'", "'{'"),
    _of("bytea", "bytea", r"'\x'", r"'\x00'", r"'\x00ff5c2722'", r"decode(repeat('00ff5c', 3000), 'hex')::bytea"),
    _of("uuid", "uuid", "'00000000-0000-0000-0000-000000000000'", "'FFFFFFFF-FFFF-4FFF-BFFF-FFFFFFFFFFFF'"),
    _of("json", "json", "'null'", "'{\"b\":1,  \"a\" : [1, 2.50, \"x\"] , \"b\":2}'", r"""'"a\u0000b"'""", r"""'"\ud800"'""",
        "'1e999999'", "'{}'"),
    _of("jsonb", "jsonb", "'null'", "'{\"b\":1, \"a\": [1, 2.50, \"é\\u00e9\"]}'", "'\"\"'", "'1e300'", "'[]'"),
    _of("jsonpath", "jsonpath", "'$.a[*] ? (@.b > 1 && @.\"c d\" like_regex \"^x\")'", "'strict $'"),
    _of("xml", "xml", "'<a b=\"1\">t &amp; é<c/></a>'", "'text only'", "'<?xml version=\"1.1\" standalone=\"yes\"?><a/>'", "'<!DOCTYPE a><a/>'"),
    _of("date", "date", "'-infinity'", "'infinity'", "'4714-11-24 BC'", "'5874897-12-31'", "'0001-01-01 BC'", "'2000-02-29'"),
    _of("time", "time", "'00:00'", "'24:00:00'", "'23:59:59.999999'"),
    _of("timetz", "timetz", "'00:00+15:59:59'", "'24:00:00-15:59'", "'12:00:00.000001+05:30'"),
    _of("timestamp", "timestamp", *_FAR_TIMES),
    _of("timestamptz", "timestamptz", *(t[:-1] + ("'" if "infinity" in t else " UTC'") if "BC" not in t else t.replace(" BC", " UTC BC")
                                        for t in _FAR_TIMES), "'2026-03-29 02:30:00 Europe/Berlin'"),
    _of("timestamptz_rounded", "timestamptz(2)", "'2026-03-29 01:30:00.12 UTC'"),
    _of("interval", "interval", "'0'", "'-178000000 years'", "'178000000 years'", "'1 year -2 mons +3 days -04:05:06.789'", "'24 hours'",
        "'1 day'", "'-0.000001 seconds'"),
    _of("interval_field", "interval year to month", "'3 years 2 mons'"),
    _of("bit", "bit(11)", "B'00000000000'", "B'10110011101'"),
    _of("varbit", "varbit", "B''", "B'1'", "repeat('10', 5000)::varbit"),
    _of("tsvector", "tsvector", "''", "'a:1A b:2,3B ''it''''s'':4 ''\\\\back'''"),
    _of("tsquery", "tsquery", "''", "'a & (b:AB* | !c) <-> ''d e'' <3> f'"),
    _of("inet", "inet", "'10.1.2.3'", "'10.1.2.3/8'", "'::ffff:1.2.3.4'", "'2001:db8::1/64'"),
    _of("cidr", "cidr", "'10.0.0.0/8'", "'2001:db8::/32'", "'0.0.0.0/0'"),
    _of("macaddr", "macaddr", "'08:00:2b:01:02:03'"),
    _of("macaddr8", "macaddr8", "'08:00:2b:01:02:03:04:05'"),
    _of("point", "point", "'(0.1,-0)'", "'(Infinity,NaN)'", "'(5e-324,1.7976931348623157e308)'"),
    _of("line", "line", "'{1,-1,0.3}'"),
    _of("lseg", "lseg", "'[(0,0),(0.1,1)]'"),
    _of("box", "box", "'(3,4),(1,2)'", "'(0.1,0.1),(0.1,0.1)'"),
    _of("path", "path", "'[(0,0),(1,1),(2,0)]'", "'((0,0),(1,1),(2,0))'"),
    _of("polygon", "polygon", "'((0,0),(1,1),(2,0.1))'"),
    _of("circle", "circle", "'<(0.1,0),2>'"),
    _of("oid", "oid", "0", "'4294967295'"),
    _of("regclass", "regclass", "'pg_catalog.pg_class'", "'kind.boolean'", "'-'", "'4000000000'", names_objects=True),
    _of("regtype", "regtype", "'integer'", "'kind.boolean'", "'timestamp with time zone'", names_objects=True),
    _of("regprocedure", "regprocedure", "'pg_catalog.abs(integer)'"),
    _of("pg_lsn", "pg_lsn", "'0/0'", "'FFFFFFFF/FFFFFFFF'"),
    _of("xid", "xid", "'0'", "'4294967295'"),
    _of("xid8", "xid8", "'0'", "'18446744073709551615'"),
    _of("cid", "cid", "'7'"),
    _of("tid", "tid", "'(4294967295,65535)'"),
    _of("txid_snapshot", "txid_snapshot", "'10:20:10,14,15'", "'1:1:'"),
    _of("pg_snapshot", "pg_snapshot", "'10:20:10,14,15'"),
)

CONTAINERS = (
    _of("int_array", "int[]", "'{}'", "'{1,NULL,3}'", "'{{1,2},{3,NULL}}'", "'[-2:0]={1,2,3}'", "'[0:1][5:6]={{1,2},{3,4}}'", "'{{{1}}}'"),
    _of("text_array", "text[]", "'{}'", "ARRAY['NULL', NULL, 'null', '', '\"', '\\', ',', '{}', ' x ', E'\\n', '漢字']"),
    _of("bool_array", "bool[]", "'{t,f,NULL}'"),
    _of("numeric_array", "numeric[]", "'{NaN,Infinity,1.500,NULL}'"),
    _of("double_array", "float8[]", "'{NaN,-0,5e-324,0.1}'"),
    _of("bytea_array", "bytea[]", r"ARRAY['\x00ff'::bytea, '\x', NULL]"),
    _of("timestamptz_array", "timestamptz[]", "'{infinity,\"2026-01-01 00:00:00.000001+00\",NULL}'"),
    _of("box_array", "box[]", "'{(3,4),(1,2);(0.1,1),(0,0);NULL}'"),
    _of("jsonb_array", "jsonb[]", "ARRAY['{\"a\": \"x,y\"}'::jsonb, 'null', NULL]"),
    _of("json_array", "json[]", r"""ARRAY['{"a":  "x"}'::json, '"\u0000"', NULL]"""),
    _of("uuid_array", "uuid[]", "'{00000000-0000-0000-0000-000000000000}'"),
    _of("char_array", '"char"[]', "'{a,\"\\\\\",\" \"}'"),
    _of("character_array", "char(3)[]", "'{a,bcd,NULL}'"),
    _of("bit_array", "bit(3)[]", "'{101,000}'"),
    _of("date_array", "date[]", "'{infinity,0044-03-15 BC}'"),
    _of("interval_array", "interval[]", "'{1 mon,-1 day}'"),
    _of("int2vector", "int2vector", "'1 2 3'", "''"),
    _of("oidvector", "oidvector", "'1 2 4294967295'", "''"),
    _of("enum", "mood", "'sad'", "'it''s \"fine\", {really} \\ é'"),
    _of("enum_array", "mood[]", "'{sad,NULL,ok}'", "ARRAY['it''s \"fine\", {really} \\ é'::mood]", portable_binary=False),
    _of("domain", "positive", "1", "'2147483647'"),
    _of("domain_of_domain", "positive_twice", "1", "999999"),
    _of("domain_array", "positive[]", "'{1,2,NULL}'", "'[3:4]={1,2}'", portable_binary=False),
    _of("array_domain", "words", "'{a,\"b,c\",NULL}'", "'[0:0]={x}'"),
    _of("array_domain_array", "words[]", "ARRAY['{a,b}'::words, '{\"c,d\"}'::words]", portable_binary=False),
    _of("enum_domain", "feeling", "'sad'", "'ok'"),
    _of("composite", "pair", "ROW(1, 'a')", "ROW(NULL, NULL)", "ROW(2, '')", "ROW(3, E'quote\" comma, paren) back\\\\ \\n漢')"),
    _of("composite_array", "pair[]", "ARRAY[ROW(1, 'a')::pair, NULL, ROW(NULL, 'x,\"y\"')::pair]", "'{}'", portable_binary=False),
    _of("composite_nested", "nest", "ROW('n', ROW(1, 'a'), ARRAY[ROW(2, 'b')::pair, NULL], '{sad,NULL}', '{\"a\":  1}')",
        r"""ROW(NULL, NULL, '{}', NULL, '"\u0000"')""", portable_binary=False),
    _of("composite_domain", "checked_pair", "ROW(1, 'a')", "ROW(2, NULL)"),
    _of("composite_domain_array", "checked_pair[]", "ARRAY[ROW(1, 'a')::checked_pair]", portable_binary=False),
    _of("int4range", "int4range", "'empty'", "'[1,5)'", "'(,)'", "'[3,)'"),
    _of("numrange", "numrange", "'(1.50,2.500]'", "'[NaN,NaN]'", "'empty'"),
    _of("tstzrange", "tstzrange", "'[\"2026-01-01 00:00:00+00\",infinity)'", "'(-infinity,infinity)'", "'[,\"0044-01-01 00:00:00+00 BC\"]'"),
    _of("daterange", "daterange", "'[2026-01-01,2026-02-01)'"),
    _of("own_range", "stretch", "'[0.1,0.30000000000000004)'", "'(,NaN]'"),
    _of("range_array", "int4range[]", "'{\"[1,3)\",empty,NULL}'"),
    _of("int4multirange", "int4multirange", "'{}'", "'{[1,3),[7,9)}'", "'{(,5)}'"),
    _of("tsmultirange", "tsmultirange", "'{[\"2026-01-01 00:00:00\",\"2026-01-02 00:00:00\"]}'"),
    _of("multirange_array", "int4multirange[]", "'{\"{[1,3),[7,9)}\",\"{}\"}'"),
    _of("hstore", "hstore", "''", "'a=>1, \"b \\\"q\"=>NULL, c=>\"\", \"漢\"=>\"\\\\\"'"),
    _of("hstore_array", "hstore[]", "ARRAY['a=>\"x,y\"'::hstore, NULL]", portable_binary=False),
)

SAMPLES = SCALARS + CONTAINERS
