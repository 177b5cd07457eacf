"""Conflict policies besides last write wins, on real databases: what each promises, seen through SQL."""

import json

import pytest

from harness.policy_load import SCHEMA, PolicyLoad, assert_same_versions, tables
from harness.waiting import wait_until


def settled(group):
    group.wait_converged()
    # Local writes are noted by capture a moment after their commit; markers of all regions come after that.
    group.wait_converged()


@pytest.mark.short
@pytest.mark.parametrize("regions", ["ab", "abc"])
def test_random_writes_under_every_policy_converge(make_group, seeded_random, regions):
    group = make_group(list(regions), schema=SCHEMA, tables=tables(list(regions)))
    with PolicyLoad(group, seeded_random, window=20) as load:
        group.wait_converged()
        wait_until(lambda: load.writes > 50, "writes")
        for _ in range(15):
            group.wait_converged()
    settled(group)
    group.assert_equal()
    load.assert_counters_exact()
    assert_same_versions(group)


@pytest.mark.parametrize("regions", ["ab", "abc"])
def test_writes_on_all_sides_of_a_cut_converge(make_group, seeded_random, regions):
    group = make_group(list(regions), schema=SCHEMA, tables=tables(list(regions)))
    for _ in range(3):
        with PolicyLoad(group, seeded_random) as load:
            group.wait_converged()
            with group.paused():
                before = load.writes
                wait_until(lambda: load.writes > before + 60, "writes during the cut")
        settled(group)
        group.assert_equal()
        assert_same_versions(group)


@pytest.mark.parametrize("regions", ["ab", "abc"])
def test_agents_are_killed_while_every_policy_works(make_group, seeded_random, regions):
    group = make_group(list(regions), schema=SCHEMA, tables=tables(list(regions)))
    with PolicyLoad(group, seeded_random) as load:
        for _ in range(8):
            agent = group[seeded_random.choice(regions)].agent
            before = load.writes
            wait_until(lambda: load.writes > before + 10, "writes")
            agent.kill()
            agent.start(wait=seeded_random.random() < 0.5)
    for region in group:
        region.agent.wait_ready()
    settled(group)
    group.assert_equal()
    load.assert_counters_exact()
    assert_same_versions(group)


def test_databases_stop_at_once_while_every_policy_works(make_group, seeded_random):
    """What was noted of local writes and not flushed is lost, and noted again with what they had really seen."""
    group = make_group(["a", "b"], schema=SCHEMA, tables=tables(["a", "b"]))
    group.expect_errors()
    with PolicyLoad(group, seeded_random) as load:
        for _ in range(5):
            before = load.writes
            wait_until(lambda: load.writes > before + 20, "writes")
            group[seeded_random.choice("ab")].postgres.restart("immediate")
    for region in group:
        region.agent.wait_ready()
    settled(group)
    group.assert_equal()
    load.assert_counters_exact()
    assert_same_versions(group)


FIRST_ROW = """10, 1.50, '{x,y}'::text[], '{"k": 1, "old": 0}'::jsonb, '[1, 2]'::jsonb, 5, '2020-01-01+00'::timestamptz, 'a0', 'b0', 'c0'"""
TWO_CHANGES = [  # at a, then at b, neither saw the other; what is shown
    ("n = n + 1", "n = n + 5", "n", 16),
    ("n = 3", "n = n + 5", "n", 8),  # an assignment is a delta: 3 - 10
    ("amount = amount - 0.25", "amount = amount + 1", "amount::text", "2.25"),
    ("n = n + 1", "c = 'b'", "n || c", "11b"),
    ("tags = array_append(tags, 'p')", "tags = array_append(tags, 'q')", "tags", ["p", "q", "x", "y"]),
    ("tags = array_remove(tags, 'x')", "tags = array_append(tags, 'q')", "tags", ["q", "y"]),
    ("tags = array_remove(tags, 'x')", "tags = array_remove(tags, 'x')", "tags", ["y"]),
    ("tags = '{}'", "tags = array_append(tags, 'q')", "tags", ["q"]),
    ("tags = NULL", "c = 'b'", "tags", []),
    ("items = items - 0", "items = items || '3'", "items", [2, 3]),
    ("attributes = attributes || '{\"k\": 2}'", "attributes = attributes || '{\"new\": 7}'", "attributes", {"k": 2, "old": 0, "new": 7}),
    ("attributes = attributes - 'k'", "attributes = attributes || '{\"k\": 9}'", "attributes", {"k": 9, "old": 0}),
    ("attributes = attributes - 'k'", "attributes = attributes - 'old'", "attributes", {}),
    ("top = 3", "top = 4", "top", 4),
    ("top = 3", "c = 'b'", "top", 3),
    ("low = '2021-01-01+00'", "low = '2019-01-01+00'", "extract(year FROM low)::int", 2019),
    ("a = 'a1'", "c = 'c1'", "a || b || c", "a1b0c1"),
    ("a = 'a1'", "b = 'b1'", "a || b", "a0b1"),  # a and b win together; b wrote later
]


class TestMerge:
    @pytest.fixture
    def group(self, make_group):
        group = make_group(["a", "b"], schema=SCHEMA, tables=tables(["a", "b"]))
        group["a"].sql(f"INSERT INTO merged VALUES (1, {FIRST_ROW})")
        group.wait_converged()
        return group

    def merged(self, group, column):
        group.wait_converged()
        group.assert_equal("public.merged")
        return group["a"].sql(f"SELECT {column} FROM merged WHERE id = 1")[0][0]

    def test_two_changes_of_a_row_merge(self, group):
        # Each case has a row of its own: one cut for all.
        group["a"].sql(f"INSERT INTO merged SELECT s, {FIRST_ROW} FROM generate_series(2, {len(TWO_CHANGES)}) s")
        group.wait_converged()
        changes = list(enumerate(TWO_CHANGES, start=1))
        group.write_late([(region, "; ".join(f"UPDATE merged SET {case[place]} WHERE id = {number}" for number, case in changes))
                          for place, region in enumerate("ab")])
        group.assert_equal("public.merged")
        shown = {number: group["a"].sql(f"SELECT {column} FROM merged WHERE id = {number}")[0][0] for number, (_, _, column, _) in changes}
        assert shown == {number: expected for number, (_, _, _, expected) in changes}

    def test_an_element_that_was_added_and_removed_at_once_stays(self, group):
        group.write_late([("a", "UPDATE merged SET tags = array_append(tags, 'n')"), ("b", "UPDATE merged SET tags = array_append(tags, 'n')")])
        with group.paused():
            group["a"].sql("UPDATE merged SET tags = array_remove(tags, 'n')")
            group["b"].sql("UPDATE merged SET tags = array_remove(tags, 'n')")
            group["b"].sql("UPDATE merged SET tags = array_append(tags, 'n')")
        assert self.merged(group, "tags") == ["n", "x", "y"]

    def test_inserts_of_one_key_add_their_counters(self, group):
        group.write_late([("a", "INSERT INTO merged (id, n, c) VALUES (2, 3, 'a')"), ("b", "INSERT INTO merged (id, n, c) VALUES (2, 4, 'b')")])
        assert group["a"].rows("merged", "id, n, c")[-1] == (2, 7, "b")
        group.assert_equal("public.merged")

    def test_increments_that_a_delete_had_not_seen_come_back_with_a_new_row(self, group):
        with group.paused():
            group["a"].sql("DELETE FROM merged")
            group["a"].sql("INSERT INTO merged (id, n) VALUES (1, 100)")
            group["b"].sql("UPDATE merged SET n = n + 1")
        assert self.merged(group, "n") == 101

    def test_a_counter_beyond_its_type_shows_the_bound_and_nobody_stops(self, group):
        group["a"].sql("UPDATE merged SET n = 9223372036854775800")
        group.wait_converged()
        group.write_late([("a", "UPDATE merged SET n = n + 7"), ("b", "UPDATE merged SET n = n + 7")])
        assert self.merged(group, "n") == 9223372036854775807
        wait_until(lambda: any(r.agent.log_lines("counter_out_of_range") and r.agent.metric("pgduet_apply_counters_out_of_range_total") >= 1
                               for r in group), "the region where the two met to tell")
        group.write_late([("a", "UPDATE merged SET c = 'on'"), ("b", "UPDATE merged SET n = n - 100")])
        group.assert_equal("public.merged")

    def test_the_log_shows_both_rows_and_says_merge(self, group):
        group.write_late([("a", "UPDATE merged SET a = 'a1'"), ("b", "UPDATE merged SET c = 'c1'")])
        for region, other in (("a", "b"), ("b", "a")):
            (entry,) = group[region].conflicts("merged")
            assert (entry["kind"], entry["policy"], entry["decision"]) == ("update_origin_differs", "merge", "merge")
            assert (entry["remote_region"], entry["local_region"]) == (other, region)
            assert {entry["remote_row"]["a"], entry["local_row"]["a"]} == {"a1", "a0"}


def test_a_merged_row_that_a_check_refuses_is_the_newest_writers_everywhere(make_group):
    group = make_group(["a", "b"], schema="CREATE TABLE span (id int PRIMARY KEY, low int, high int, n int NOT NULL, CHECK (low <= high));"
                       "ALTER TABLE span REPLICA IDENTITY FULL;",
                       tables={"public.span": {"policy": "merge", "columns": {"n": "counter"}}})
    group["a"].sql("INSERT INTO span VALUES (1, 1, 10, 0), (2, 0, 0, 0)")
    group.wait_converged()
    group.write_late([("a", "UPDATE span SET low = 8, n = n + 1 WHERE id = 1"), ("b", "UPDATE span SET high = 5, n = n + 1 WHERE id = 1")])
    group.assert_equal()
    assert group["a"].rows("span")[0] == (1, 1, 5, 1)
    # Nobody else is stopped, and a write that saw this row goes on from it.
    group["a"].sql("UPDATE span SET n = n + 1, high = 20")
    group.assert_converged()
    # What the CHECK had hidden (the other's low, the other's increment) comes back with it.
    assert group["b"].rows("span") == [(1, 8, 20, 3), (2, 0, 20, 1)]


DELETES = [  # table, first, second (later), what stays
    ("updated_wins", "UPDATE", "DELETE", True), ("updated_wins", "DELETE", "UPDATE", True),
    ("deleted_wins", "UPDATE", "DELETE", False), ("deleted_wins", "DELETE", "UPDATE", False),
    ("total", "UPDATE", "DELETE", False), ("total", "DELETE", "UPDATE", True),
]


@pytest.mark.parametrize("regions", ["ab", "abc"])
def test_deletes_meet_updates_as_the_rule_says(make_group, regions):
    group = make_group(list(regions), schema=SCHEMA, tables=tables(list(regions)))
    for number, (table, *_) in enumerate(DELETES):
        group["a"].sql(f"INSERT INTO {table} (id, n) VALUES ({number}, 10)")
    group.wait_converged()
    with group.paused():
        for number, (table, first, second, _) in enumerate(DELETES):
            for region, operation in (("a", first), ("b", second)):
                group[region].sql(f"DELETE FROM {table} WHERE id = {number}" if operation == "DELETE" else
                                  f"UPDATE {table} SET n = n + 1 WHERE id = {number}")
    settled(group)
    group.assert_equal()
    for number, (table, _, _, stays) in enumerate(DELETES):
        # What the delete had seen (10) is gone, what it had not seen stays.
        assert group["a"].sql(f"SELECT n FROM {table} WHERE id = {number}") == ([(1,)] if stays else []), (number, table)


@pytest.mark.parametrize("regions", ["ab", "abc"])
def test_first_writes_and_strong_regions_win(make_group, regions):
    group = make_group(list(regions), schema=SCHEMA, tables=tables(list(regions)))
    strongest = regions[-1]
    group.write_late([(r, f"INSERT INTO first_one VALUES (1, '{r}'); INSERT INTO strongest VALUES (1, '{r}')") for r in regions])
    settled(group)
    group.assert_equal()
    assert group["a"].rows("first_one") == [(1, regions[0])]
    assert group["a"].rows("strongest") == [(1, strongest)]
    # A write that has seen the winner takes its place.
    group["b"].sql("UPDATE first_one SET note = 'later'; UPDATE strongest SET note = 'later'")
    group.assert_converged()
    assert group["a"].rows("first_one") == group["a"].rows("strongest") == [(1, "later")]


class TestVersions:
    REGIONS = ["a", "b", "c"]

    @pytest.fixture
    def group(self, make_group):
        group = make_group(self.REGIONS, schema=SCHEMA, tables=tables(self.REGIONS))
        group["a"].sql("INSERT INTO document VALUES (1, 'start')")
        group.wait_converged()
        return group

    def siblings(self, region, key=1):
        return [(name, row and row["body"]) for name, _, _, row in
                region.sql(f"SELECT * FROM pgduet.siblings('document', '{{\"id\": {key}}}')")]

    def test_versions_that_have_not_seen_each_other_are_kept(self, group):
        group.write_late([(r, f"UPDATE document SET body = 'by {r}'") for r in self.REGIONS])
        settled(group)
        group.assert_equal()
        for region in group:
            assert self.siblings(region) == [("c", "by c"), ("b", "by b"), ("a", "by a")]
            assert region.rows("document") == [(1, "by c")]

    def test_a_single_version_is_the_row(self, group):
        assert self.siblings(group["b"]) == [("a", "start")]

    @pytest.mark.parametrize("how", ["resolve", "write", "resolve to nothing"])
    def test_a_write_that_saw_them_ends_it_everywhere(self, group, how):
        group.write_late([(r, f"UPDATE document SET body = 'by {r}'") for r in "ab"])
        settled(group)
        group["c"].sql({"resolve": """SELECT pgduet.resolve('document', '{"id": 1}', '{"body": "both"}')""",
                        "write": "UPDATE document SET body = 'both' WHERE id = 1",
                        "resolve to nothing": """SELECT pgduet.resolve('document', '{"id": 1}', NULL)"""}[how])
        settled(group)
        group.assert_equal()
        gone = how == "resolve to nothing"
        for region in group:
            assert region.rows("document") == ([] if gone else [(1, "both")])
            assert self.siblings(region) == ([] if gone else [("c", "both")])
            wait_until(lambda r=region: r.sql("SELECT count(*) FROM pgduet.row_state WHERE siblings")[0][0] == 0, "no siblings")

    def test_a_write_that_saw_one_of_them_takes_the_place_of_that_one(self, group):
        with group.paused():
            group["a"].sql("UPDATE document SET body = 'by a'")
            group["b"].sql("UPDATE document SET body = 'by b'")
            group["b"].sql("UPDATE document SET body = 'by b again'")
        settled(group)
        for region in group:
            assert sorted(self.siblings(region)) == [("a", "by a"), ("b", "by b again")]

    def test_a_delete_is_a_sibling(self, group):
        group.write_late([("a", "DELETE FROM document"), ("b", "UPDATE document SET body = 'kept'")])
        settled(group)
        group.assert_equal()
        for region in group:
            assert self.siblings(region) == [("b", "kept"), ("a", None)]

    def test_the_command_line_shows_and_ends_them(self, group):
        group.write_late([(r, f"UPDATE document SET body = 'by {r}'") for r in "ab"])
        settled(group)
        region = group["c"]
        listed = json.loads(region.pgduet("siblings list", "--json").stdout)
        assert listed == [{"table": "public.document", "key": '{"1"}', "versions": 2}]
        shown = json.loads(region.pgduet("siblings show", "public.document", '{"id": 1}', "--json").stdout)
        assert [(one["region"], one["row"]["body"]) for one in shown] == [("b", "by b"), ("a", "by a")]
        wait_until(lambda: region.agent.metric("pgduet_rows_with_siblings", policy="versions") == 1, "the metric")
        for words, name in ((("public.nothing", '{"id": 1}'), "no_such_table"), (("public.document", "{}"), "bad_key"),
                            (("public.document", "one"), "bad_key")):
            assert name in region.pgduet("siblings show", *words, check=False).stderr
        assert "no_such_version" in region.pgduet("resolve", "public.document", '{"id": 1}', "--take", "c", check=False).stderr
        region.pgduet("resolve", "public.document", '{"id": 1}', "--take", "a")
        settled(group)
        group.assert_equal()
        assert region.rows("document") == [(1, "by a")]
        assert json.loads(region.pgduet("siblings list", "--json").stdout) == []

    def test_siblings_survive_a_restart_and_time(self, group):
        group.write_late([(r, f"UPDATE document SET body = 'by {r}'") for r in "ab"])
        settled(group)
        for region in group:
            region.agent.kill()
            region.postgres.restart()
            region.agent.start()
        settled(group)
        for region in group:
            assert self.siblings(region) == [("b", "by b"), ("a", "by a")]

    def test_strangers_do_not_see_them(self, group):
        group.write_late([(r, f"UPDATE document SET body = 'by {r}'") for r in "ab"])
        settled(group)
        region = group["a"]
        region.sql("CREATE ROLE stranger LOGIN; GRANT USAGE ON SCHEMA pgduet TO stranger")
        with pytest.raises(Exception, match="permission denied"):
            region.postgres.sql("SELECT * FROM pgduet.siblings('document', '{\"id\": 1}')", dbname=region.dbname, user="stranger")
        region.sql("GRANT SELECT ON document TO stranger")
        assert len(region.postgres.sql("SELECT * FROM pgduet.siblings('document', '{\"id\": 1}')", dbname=region.dbname, user="stranger")) == 2


def test_states_go_when_everybody_has_seen_them(make_group, seeded_random):
    group = make_group(["a", "b", "c"], schema=SCHEMA, tables=tables(["a", "b", "c"]))
    with PolicyLoad(group, seeded_random) as load:
        wait_until(lambda: load.writes > 30, "writes")
    settled(group)
    for region in group:
        wait_until(lambda r=region: r.sql("SELECT count(*) FROM pgduet.row_state WHERE NOT needed")[0][0] == 0, "states to go")


class TestCustom:
    FUNCTION = """
        CREATE FUNCTION longer(l jsonb, r jsonb, context jsonb) RETURNS jsonb IMMUTABLE LANGUAGE plpgsql AS $$
        BEGIN
          IF l ->> 'body' = 'bad' OR r ->> 'body' = 'bad' THEN RAISE EXCEPTION 'no'; END IF;
          IF l ->> 'body' = 'none' OR r ->> 'body' = 'none' THEN RETURN NULL; END IF;
          IF l IS NULL OR r IS NULL THEN RETURN coalesce(l, r); END IF;
          RETURN CASE WHEN length(l ->> 'body') >= length(r ->> 'body') THEN l ELSE r END || jsonb_build_object('touched', true);
        END $$;"""
    TABLE = "CREATE TABLE text_of (id int PRIMARY KEY, body text, touched boolean, at timestamptz DEFAULT '2020-01-01 12:00+00', many int[]);"

    @pytest.fixture
    def group(self, make_group):
        return make_group(["a", "b", "c"], schema=self.FUNCTION + self.TABLE, tables={
            "public.text_of": {"policy": "custom", "function": "public.longer", "function_timeout": "500ms"}})

    @pytest.mark.parametrize("bodies, shown", [
        (("a long one", "short", "mid"), [("a long one", True)]),
        (("x", "y", "none"), []),
        (("x", "none", "y"), [("y", None)]),
        (("older", "bad", "newest"), [("newest", None)]),
    ])
    def test_the_function_decides_in_every_region(self, group, bodies, shown):
        group.write_late([(r, f"INSERT INTO text_of (id, body, many) VALUES (1, '{body}', '{{1,2}}')") for r, body in zip("abc", bodies)])
        settled(group)
        group.assert_equal()
        assert group["a"].sql("SELECT body, touched FROM text_of") == shown


    def test_the_function_is_asked_about_past_conflicts(self, group):
        group.write_late([(r, f"INSERT INTO text_of (id, body) VALUES (1, '{body}'), (2, 'same'), (3, 'bad')")
                          for r, body in zip("abc", ("a long one", "short", "mid"))])
        settled(group)
        answer = json.loads(group["a"].pgduet("policy test", "public.text_of", "--json").stdout)
        assert answer["asked"] == len(group["a"].conflicts("text_of")) > 0
        assert answer["not_deterministic"] == 0 and answer["errors"] > 0
        group["a"].sql("CREATE OR REPLACE FUNCTION longer(l jsonb, r jsonb, context jsonb) RETURNS jsonb IMMUTABLE LANGUAGE plpgsql "
                       "AS $$ BEGIN RETURN l || jsonb_build_object('body', random()::text); END $$")
        unsteady = group["a"].pgduet("policy test", "public.text_of", "--json", check=False)
        assert unsteady.returncode == 1 and json.loads(unsteady.stdout)["not_deterministic"] > 0


def test_error_keeps_both_and_raises_an_alert_until_a_person_has_decided(make_group):
    group = make_group(["a", "b"], schema="CREATE TABLE contract (id int PRIMARY KEY, body text)",
                       tables={"public.contract": {"policy": "error"}})
    group.write_late([(r, f"INSERT INTO contract VALUES (1, '{r}')") for r in "ab"])
    settled(group)
    for region in group:
        assert region.rows("contract") == [(1, "b")]
        wait_until(lambda r=region: r.agent.metric("pgduet_rows_with_siblings", policy="error") == 1, "the metric")
    group["a"].pgduet("resolve", "public.contract", '{"id": 1}', "--row", '{"body": "decided"}')
    settled(group)
    for region in group:
        assert region.rows("contract") == [(1, "decided")]
        wait_until(lambda r=region: r.agent.metric("pgduet_rows_with_siblings", policy="error") == 0, "the metric")


def test_truncate_of_such_a_table_is_refused_and_one_that_slips_by_stops_the_stream_by_name(make_group):
    group = make_group(["a", "b"], schema=SCHEMA, tables=tables(["a", "b"]))
    group.expect_errors("truncate_refused")
    group["a"].sql("INSERT INTO document VALUES (1, 'x'); INSERT INTO newest VALUES (1, 'x')")
    group.wait_converged()
    with pytest.raises(Exception, match="keeps versions of rows"):
        group["a"].sql("TRUNCATE document")
    group["a"].sql("TRUNCATE newest")
    group.assert_converged()
    group["a"].sql("SET session_replication_role = replica; TRUNCATE document")
    group["b"].agent.wait_for_stream_error("truncate_refused")
