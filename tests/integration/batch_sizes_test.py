"""However many transactions of a backlog share a transaction here: the same rows, siblings and conflict logs."""

from policy_oracle_test import SCHEMA, SIBLINGS, TABLES

SIZES = [1, 2, 100, 10_000]
KEYS = 6
TRANSACTIONS = 1200  # of region a, half of them before those of b
SPAN = 1000  # keys of one size's history from those of the next one's

# One change in each transaction: inserts, updates and deletes that follow each other in one key again and again. Tables whose policy
# keeps versions, and one without; `log` has one row for each, to count transactions by.
HISTORY = """
CREATE TABLE log (id text PRIMARY KEY);
CREATE PROCEDURE work(region text, seed int, first int, transactions int) LANGUAGE plpgsql AS $$
DECLARE
  names text[] := '{first_one,strongest,kept,kept_unless_deleted,kept_though_deleted,asked,newest,chosen,merged}';
  name text; key int; text_written text; dice int;
BEGIN
  PERFORM setseed(seed / 1000.0);
  FOR i IN 1 .. transactions LOOP
    name := names[1 + floor(random() * 9)]; key := first + floor(random() * %(keys)s); text_written := region || i; dice := floor(random() * 10);
    INSERT INTO log VALUES (text_written || '/' || first);
    IF name = 'merged' THEN
      INSERT INTO merged AS m VALUES (key, text_written, dice) ON CONFLICT (id) DO UPDATE SET word = excluded.word, n = m.n + dice,
        tags = CASE WHEN dice < 5 THEN array_append(array_remove(m.tags, 'e' || dice), 'e' || dice) ELSE array_remove(m.tags, 'e' || (dice - 5)) END,
        options = m.options || jsonb_build_object('o' || dice, text_written);
    ELSIF dice < 2 AND name <> 'chosen' THEN
      EXECUTE format('DELETE FROM %%I WHERE id = $1', name) USING key;
    ELSE
      EXECUTE format('INSERT INTO %%I VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET word = excluded.word', name) USING key, text_written;
    END IF;
    COMMIT;
  END LOOP;
END $$;
""" % {"keys": KEYS}


def test_the_size_of_batches_changes_nothing_that_is_seen(make_group, seeded_random):
    group = make_group(["a", "b"], schema=SCHEMA + HISTORY, tables={**policies(), "public.log": {}})
    seeds = [seeded_random.randrange(1000) for _ in range(3)]
    seen = {size: run(group, size, place * SPAN, seeds) for place, size in enumerate(SIZES)}
    assert len(seen[1]["b"]["conflicts"]) > 100
    for size in SIZES[1:]:
        for region in "ab":
            for what, expected in seen[1][region].items():
                assert seen[size][region][what] == expected, (size, region, what)


def policies():
    """Those of the oracle's test, for two regions."""
    return {**TABLES, "public.strongest": {"policy": "region_priority", "priority": ["b", "a"]}}


def run(group, size, first, seeds):
    """Writes the same history under other keys, lets it arrive in batches of this size, and returns what is there then."""
    group.extra = {"apply": {"batch_transactions": size}}
    group.write_configurations()
    group.stop_agents()
    group.start_agents()
    with group.paused():
        # The middle one is the newest for some of a's writes, and the oldest for the others.
        for part, (region, seed) in enumerate(zip("aba", seeds)):
            group[region].sql(f"CALL work('{region}{part}-', {seed}, {first}, {TRANSACTIONS // 2})")
    group.wait_converged()
    group.wait_converged()
    group.assert_equal()
    applied = group["b"].sql("SELECT count(*), count(DISTINCT xmin::text) FROM log WHERE id LIKE %s", (f"a%/{first}",))[0]
    assert applied[0] == TRANSACTIONS and applied[0] / size <= applied[1] <= 1.5 * applied[0] / min(size, 20), applied
    return {region.name: {"rows": rows(region, first), "siblings": siblings(region, first), "conflicts": conflicts(region, first)} for region in group}


def mine(first, column="id"):
    return f"{column} BETWEEN {first} AND {first + SPAN - 1}"


def rows(region, first):
    return {table: [(key - first, rest) for key, rest in region.sql(
        f"SELECT id, (to_jsonb(t) - 'id')::text FROM {table} t WHERE {mine(first)} ORDER BY id")] for table in policies()}


def siblings(region, first):
    return {(table, key): sorted(map(repr, region.sql(
        f"SELECT region, row_data ->> 'word' FROM pgduet.siblings('{table}', '{{\"id\": {first + key}}}')")))
        for table in SIBLINGS for key in range(KEYS)}


def conflicts(region, first):
    """All that an entry says but when and where in the WAL, in any order."""
    return sorted(region.sql(
        "SELECT table_name, ((key ->> 'id')::int - %s)::text, kind, decision, remote_operation, coalesce(remote_row - 'id', 'null')::text, remote_region, "
        "coalesce(local_operation, ''), coalesce(local_row - 'id', 'null')::text, coalesce(local_region, '') FROM pgduet.conflict "
        f"WHERE table_name NOT IN ('marker', 'log') AND {mine(first, '(key ->> $$id$$)::int')}", (first,)))
