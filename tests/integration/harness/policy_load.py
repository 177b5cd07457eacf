"""Random writers on tables with every policy at once, several tables in one transaction.

Each increment of a counter of table `total` stands in `counted`, too, in the same transaction: so the counters can be held against
what was committed, whatever was killed on the way. That all regions show the same is checked by the caller.
"""

import itertools
import random
import threading

import psycopg2
from psycopg2 import errors

from .postgres import rolled_back

SCHEMA = """
CREATE TABLE merged (
  id int PRIMARY KEY, n bigint NOT NULL DEFAULT 0, amount numeric(12,2) NOT NULL DEFAULT 0,
  tags text[], attributes jsonb, items jsonb, top int, low timestamptz, a text, b text, c text,
  share real NOT NULL DEFAULT 0);
ALTER TABLE merged REPLICA IDENTITY FULL;
CREATE TABLE updated_wins (id int PRIMARY KEY, n bigint NOT NULL DEFAULT 0, tags int[], note text);
ALTER TABLE updated_wins REPLICA IDENTITY FULL;
CREATE TABLE deleted_wins (id int PRIMARY KEY, n bigint NOT NULL DEFAULT 0, note text);
ALTER TABLE deleted_wins REPLICA IDENTITY FULL;
CREATE TABLE first_one (id int PRIMARY KEY, note text);
CREATE TABLE strongest (id int PRIMARY KEY, note text);
CREATE TABLE document (id int PRIMARY KEY, body text);
CREATE TABLE newest (id int PRIMARY KEY, note text);
CREATE TABLE total (id int PRIMARY KEY, n bigint NOT NULL DEFAULT 0, amount numeric NOT NULL DEFAULT 0,
  weight float8 NOT NULL DEFAULT 0, label text);
ALTER TABLE total REPLICA IDENTITY FULL;
CREATE TABLE counted (region text, number bigint, id int NOT NULL, n int NOT NULL, amount numeric NOT NULL, weight float8 NOT NULL,
  PRIMARY KEY (region, number));
"""


def tables(regions):
    return {
        "public.merged": {"policy": "merge", "columns": {
            "n": "counter", "amount": "counter", "share": "counter", "tags": "add_wins_set", "items": "add_wins_set",
            "attributes": "map", "top": "max", "low": "min"}, "groups": [["a", "b"]]},
        "public.updated_wins": {"policy": "merge", "on_delete": "update_wins",
                                "columns": {"n": "counter", "tags": "add_wins_set"}},
        "public.deleted_wins": {"policy": "merge", "on_delete": "delete_wins", "columns": {"n": "counter"}},
        "public.first_one": {"policy": "first_write_wins"},
        "public.strongest": {"policy": "region_priority", "priority": list(reversed(regions))},
        "public.document": {"policy": "versions"},
        "public.newest": {"policy": "last_write_wins"},
        "public.counted": {},
        "public.total": {"policy": "merge", "columns": {"n": "counter", "amount": "counter", "weight": "counter"}},
    }


class PolicyLoad:
    """`with PolicyLoad(group, random) as load:` writes in all regions until the block ends.

    window: so many writes of a client may be on their way; then it waits until they have arrived everywhere. Without it the load is more than
    three sanitised agents on two cores can ever apply."""

    def __init__(self, group, chance, keys=6, clients=1, window=None):
        self.group = group
        self.keys = keys
        self.window = window
        self.writes = 0  # committed, as far as the writers know
        self._numbers = itertools.count(1)
        self._stop = threading.Event()
        self._failures = []
        self._threads = [
            threading.Thread(target=self._guarded, args=(region, random.Random(chance.random())), daemon=True)
            for region in group for _ in range(clients)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind, value, trace):
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=60)
        if kind is None:
            assert not self._failures, self._failures[0]

    def _guarded(self, region, chance):
        try:
            self._write(region, chance)
        except Exception as failure:  # noqa: BLE001  # shown by the test, not by the thread
            self._failures.append(failure)

    def _write(self, region, chance):
        connection = None
        for number in itertools.count(1):
            if self._stop.wait(chance.random() * 0.02):
                return
            if self.window and number % self.window == 0:
                self.group.wait_for_markers(self.group.mark([region.name]))
            try:
                connection = connection or region.connect(autocommit=False)
                with connection.cursor() as cursor:
                    for _ in range(chance.randint(1, 3)):
                        self._one_change(cursor, region.name, chance)
                connection.commit()
                self.writes += 1
            except (errors.DeadlockDetected, errors.UniqueViolation, errors.SerializationFailure):
                connection = rolled_back(connection)
            except psycopg2.Error as error:
                # Without a code it is no refusal: the server is away.
                if error.pgcode is not None and not isinstance(error, psycopg2.OperationalError):
                    raise
                connection = None

    def _one_change(self, cursor, region, chance):
        key = chance.randrange(self.keys)
        word = f"{region}{chance.randrange(1000)}"
        choice = chance.randrange(10)
        if choice < 2:
            n, cents = chance.randint(-5, 9), chance.randint(-500, 900)
            weight = chance.choice([0.25, -1.5, 3.0, 1048576.125])  # sums that a float can say
            cursor.execute("INSERT INTO total AS t (id, n, amount, weight, label) VALUES (%s, %s, %s, %s, %s) ON CONFLICT (id) DO UPDATE "
                           "SET n = t.n + excluded.n, amount = t.amount + excluded.amount, weight = t.weight + excluded.weight, "
                           "label = excluded.label", (key, n, cents / 100, weight, word))
            cursor.execute("INSERT INTO counted VALUES (%s, %s, %s, %s, %s, %s)", (region, next(self._numbers), key, n, cents / 100, weight))
        elif choice < 5:
            self._change_merged(cursor, key, word, chance)
        elif choice == 5:
            table = chance.choice(["updated_wins", "deleted_wins"])
            if chance.random() < 0.3:
                cursor.execute(f"DELETE FROM {table} WHERE id = %s", (key,))
            else:
                cursor.execute(f"INSERT INTO {table} AS t (id, n, note) VALUES (%s, 1, %s) ON CONFLICT (id) DO UPDATE "
                               "SET n = t.n + 1, note = excluded.note", (key, word))
            if table == "updated_wins":
                cursor.execute("UPDATE updated_wins SET tags = coalesce(tags, '{}') || %s WHERE id = %s AND random() < 0.5",
                               (chance.randrange(9), key))
        else:
            table, column = chance.choice([("first_one", "note"), ("strongest", "note"), ("document", "body"), ("newest", "note")])
            if chance.random() < 0.25:
                cursor.execute(f"DELETE FROM {table} WHERE id = %s", (key,))
            else:
                cursor.execute(f"INSERT INTO {table} (id, {column}) VALUES (%s, %s) ON CONFLICT (id) DO UPDATE "
                               f"SET {column} = excluded.{column}", (key, word))

    def _change_merged(self, cursor, key, word, chance):
        name, element = f"k{chance.randrange(4)}", f"e {chance.randrange(5)}"
        changes = [
            ("n = n + %s", (chance.randint(-3, 5),)),
            ("n = %s", (chance.randint(0, 5),)),
            ("amount = amount + %s", (chance.randint(-300, 300) / 100,)),
            ("share = share + %s", (chance.choice([0.1, -0.7, 1e6, -1e6, 1e-9]),)),  # sums that it cannot
            ("tags = array_append(coalesce(tags, '{}'), %s)", (element,)),
            ("tags = array_remove(tags, %s)", (element,)),
            ("items = coalesce(items, '[]') || to_jsonb(%s::text)", (element,)),
            ("items = coalesce(items, '[]') - %s", (element,)),
            ("attributes = coalesce(attributes, '{}') || jsonb_build_object(%s::text, %s::text)", (name, word)),
            ("attributes = coalesce(attributes, '{}') - %s", (name,)),
            ("top = %s", (chance.randrange(100),)),
            ("low = now() - %s * interval '1 hour'", (chance.randrange(100),)),
            ("a = %s", (word,)), ("b = %s", (word,)), ("c = %s", (word,)),
        ]
        if chance.random() < 0.15:
            cursor.execute("DELETE FROM merged WHERE id = %s", (key,))
            return
        if chance.random() < 0.3:
            cursor.execute("INSERT INTO merged (id, n, a, c) VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
                           (key, chance.randrange(5), word, word))
        picked = chance.sample(changes, chance.randint(1, 3))
        targets = {}
        for text, values in picked:
            targets.setdefault(text.split(" = ")[0], (text, values))
        texts = [text for text, _ in targets.values()]
        values = [value for _, some in targets.values() for value in some]
        cursor.execute(f"UPDATE merged SET {', '.join(texts)} WHERE id = %s", (*values, key))

    def assert_counters_exact(self):
        for region in self.group:
            wrong = region.sql("SELECT id, t.n, c.n, t.amount, c.amount, t.weight, c.weight FROM total t FULL JOIN (SELECT id, sum(n) AS n, "
                               "sum(amount) AS amount, sum(weight) AS weight FROM counted GROUP BY id) c USING (id) "
                               "WHERE (t.n, t.amount, t.weight) IS DISTINCT FROM (c.n, c.amount, c.weight)")
            assert not wrong and region.sql("SELECT count(*) FROM total") != [(0,)], region.name


def assert_same_versions(group):
    """The same versions stand side by side in every region, wherever several do."""
    seen = []
    for region in group:
        seen.append(sorted(region.sql(
            "SELECT s.relation::regclass::text, s.key, (SELECT jsonb_agg(m -> 'dot' ORDER BY m -> 'dot') "
            f"FROM jsonb_array_elements(s.state::jsonb -> 'members') m)::text FROM {region.sidecar}.row_state s WHERE s.siblings")))
    for other in seen[1:]:
        assert other == seen[0]
