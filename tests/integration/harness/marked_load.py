"""Writers that go on while servers die, and a proof that each of their transactions took effect once everywhere.

Each transaction changes random rows of `account` and inserts a marker. The database that stores a marker gives it its key (an ALWAYS
trigger, so for applied ones, too): a marker that were applied twice would stand there twice. Nothing else keeps it unique.
"""

import random
import threading
from collections import Counter

import psycopg2

from .postgres import rolled_back

SCHEMA = """
CREATE TABLE account (id int PRIMARY KEY, tag text NOT NULL, value int NOT NULL DEFAULT 0);
CREATE SEQUENCE mark_id;
CREATE TABLE mark (id bigint PRIMARY KEY, region text NOT NULL, number text NOT NULL);
CREATE FUNCTION give_mark_id() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS
  $$BEGIN NEW.id := nextval('public.mark_id'); RETURN NEW; END$$;
CREATE TRIGGER give_id BEFORE INSERT ON mark FOR EACH ROW EXECUTE FUNCTION give_mark_id();
ALTER TABLE mark ENABLE ALWAYS TRIGGER give_id;
"""
TABLES = ["public.account", "public.mark"]


class MarkedLoad:
    """Context: writes at all regions (or at these) while the block runs. Thread-safe."""

    def __init__(self, group, rng, clients=2, keys=50, pause=0.004, regions=None):
        self._group, self._keys, self._pause = group, keys, pause
        self._done = threading.Event()
        self._lock = threading.Lock()
        self._failures = []
        self.acknowledged = Counter()  # (region, number) of commits that the server confirmed
        self._threads = [threading.Thread(target=self._run, args=(group[region], f"{region}{client}", random.Random(rng.random())))
                         for region in regions or group.regions for client in range(clients)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._done.set()
        for thread in self._threads:
            thread.join()
        if self._failures:
            raise self._failures[0]

    def pause_at_random(self, rng, longest):
        """Lets the load run for up to `longest` seconds, and until it has committed something more."""
        before = self.count()
        self._done.wait(rng.uniform(0, longest))
        while self.count() == before and not self._failures:
            self._done.wait(0.01)

    def count(self):
        with self._lock:
            return self.acknowledged.total()

    def _run(self, region, client, rng):
        connection, number = None, 0
        while not self._done.is_set():
            number += 1
            marker = (region.name, f"<{client}:{number}>")
            try:
                if connection is None:
                    connection = region.connect(autocommit=False)
                self._write(connection, marker, rng)
                with self._lock:
                    self.acknowledged[marker] += 1
            except (psycopg2.errors.UniqueViolation, psycopg2.errors.DeadlockDetected):
                connection = rolled_back(connection)
            except psycopg2.Error as error:
                if error.pgcode is not None and connection is not None and not connection.closed:  # the test must see it
                    self._failures.append(error)
                    return
                connection = None  # the server is down (a lost connection has no SQLSTATE); the commit may have counted
            self._done.wait(rng.uniform(0, 2 * self._pause))

    def _write(self, connection, marker, rng):
        with connection.cursor() as cursor:
            for _ in range(rng.choice([1, 1, 2, 4])):
                key = rng.randrange(self._keys)
                kind = rng.choices(["put", "update", "delete", "move"], [4, 4, 2, 1])[0]
                if kind == "put":
                    cursor.execute("INSERT INTO account VALUES (%s, %s) ON CONFLICT (id) DO UPDATE SET tag = excluded.tag, "
                                   "value = account.value + 1", (key, marker[1]))
                elif kind == "update":
                    cursor.execute("UPDATE account SET tag = %s WHERE id = %s", (marker[1], key))
                elif kind == "delete":
                    cursor.execute("DELETE FROM account WHERE id = %s", (key,))
                else:
                    cursor.execute("UPDATE account SET id = %s, tag = %s WHERE id = %s",
                                   (rng.randrange(self._keys), marker[1], key))
            cursor.execute("INSERT INTO mark (region, number) VALUES (%s, %s)", marker)
        connection.commit()

    def assert_all_took_effect_once(self):
        """Call when the group has converged."""
        group = self._group
        written = Counter()
        for region in group:
            own = Counter(region.sql("SELECT region, number FROM mark WHERE region = %s", (region.name,)))
            acknowledged = Counter({marker: 1 for marker in self.acknowledged if marker[0] == region.name})
            assert not acknowledged - own, f"{region.name} lost what it had confirmed: {list(acknowledged - own)[:5]}"
            written += own
        assert written and set(written.values()) == {1}
        for region in group:
            found = Counter(region.sql("SELECT region, number FROM mark"))
            lost, more = written - found, found - written
            assert not lost, f"{region.name} lacks {lost.total()} of {written.total()} transactions: {list(lost)[:5]}"
            assert not more, f"{region.name} has {more.total()} more than were written: {list(more)[:5]}"
            assert region.conflicts("mark") == []
