"""A change of policies under way: clients that write meanwhile, the commands of all regions, and what is to be seen of it."""

import contextlib
import datetime
import random
import subprocess
import threading

import psycopg2

from . import configuration
from .agent import binary
from .waiting import wait_until

SCHEMA = """
CREATE TABLE item (id int PRIMARY KEY, n bigint NOT NULL DEFAULT 0, extra bigint NOT NULL DEFAULT 0, note text);
ALTER TABLE item REPLICA IDENTITY FULL;
CREATE TABLE other (id int PRIMARY KEY, note text);
"""
LAST = {"public.item": {}, "public.other": {}}
COUNTER = {"public.item": {"policy": "merge", "columns": {"n": "counter"}}, "public.other": {}}
COUNTERS = {"public.item": {"policy": "merge", "columns": {"n": "counter", "extra": "counter"}}, "public.other": {}}
STRONGEST = {"public.item": {"policy": "region_priority", "priority": ["b", "a"]}, "public.other": {}}
VERSIONS = {"public.item": {"policy": "versions"}, "public.other": {}}
KEYS = 8


class Load:
    """Clients in every region: inserts, updates, deletes of few rows of the table that changes, and of another one.

    They write slower while an agent lags: a region that falls behind is rightly waited for, and how much a machine applies is not
    what these tests ask."""

    def __init__(self, group, chance, increments_only=False, pause=0.005):
        self.group, self.increments_only, self.pause = group, increments_only, pause
        self.writes = 0
        self.held = 0  # told to try again
        self.added = {}  # id -> increments of n that were committed
        self._failures = []
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._write, args=(region, random.Random(chance.random())))
                         for region in group for _ in range(2)]
        self._threads.append(threading.Thread(target=self._keep_pace, args=(pause,)))

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join()
        assert not self._failures, self._failures[:3]

    def wait_for(self, writes):
        target = self.writes + writes
        wait_until(lambda: self.writes >= target or self._failures, f"{writes} writes")

    def _keep_pace(self, fastest):
        while not self._stop.wait(0.3):
            behind = max((self._lag(region) for region in self.group), default=0) > 2
            self.pause = min(self.pause * 2, 0.5) if behind else max(self.pause * 0.8, fastest)

    def _lag(self, region):
        """Seconds that this region is behind another one whose agent runs."""
        running = [stream for stream in region.agent.streams(timeout=2) if stream["name"] in self.group.regions and self.group[stream["name"]].agent.running()]
        return max((stream.get("lag_seconds") or 0 for stream in running), default=0)

    def _write(self, region, chance):
        connection = None
        try:
            while not self._stop.wait(self.pause):
                key, by = chance.randrange(KEYS), chance.choice([1, 2, 5])
                try:
                    connection = connection or region.connect()
                    with connection.cursor() as cursor:
                        touched = self._one(cursor, region, chance, key, by)
                except (psycopg2.errors.LockNotAvailable, psycopg2.errors.DeadlockDetected):
                    with self._lock:
                        self.held += 1
                    continue
                except (psycopg2.DatabaseError, psycopg2.InterfaceError) as error:
                    # No refusal: the server is away. Whether the write counts nobody knows.
                    if self.increments_only or not (error.pgcode or "57P").startswith("57P"):
                        raise
                    connection = None
                    continue
                with self._lock:
                    self.writes += 1
                    if self.increments_only and touched:
                        self.added[key] = self.added.get(key, 0) + by
        except Exception as failure:  # told by __exit__
            self._failures.append(f"{region.name}: {failure!r}")
        finally:
            if connection:
                connection.close()

    def _one(self, cursor, region, chance, key, by):
        if self.increments_only:
            cursor.execute("UPDATE item SET n = n + %s WHERE id = %s", (by, key))
            return cursor.rowcount == 1
        note = f"{region.name}{chance.random()}"
        statements = [
            ("INSERT INTO item VALUES (%s, %s, 0, %s) ON CONFLICT (id) DO UPDATE SET n = item.n + 1", (key, by, note)),
            ("UPDATE item SET n = n + %s, extra = extra + 1 WHERE id = %s", (by, key)),
            ("UPDATE item SET note = %s WHERE id = %s", (note, key)),
            ("DELETE FROM item WHERE id = %s", (key,)),
            ("INSERT INTO other VALUES (%s, %s) ON CONFLICT (id) DO UPDATE SET note = excluded.note", (key, note)),
        ]
        if chance.random() < 0.2:
            # Both tables in one transaction: the first lock is held while the gate holds the second write.
            cursor.execute("BEGIN")
            try:
                for statement in (statements[4], statements[2]):
                    cursor.execute(*statement)
                cursor.execute("COMMIT")
            except psycopg2.Error:
                cursor.execute("ROLLBACK")
                raise
        else:
            cursor.execute(*chance.choice(statements))
        return True


class Change:
    """`pgduet policy apply` in every region at once, each with its own file."""

    def __init__(self, group, tables, *arguments):
        self.group = group
        self.tables = {**tables, "pgduet_test.marker": {}}
        self.paths = {}
        self.arguments = arguments
        self.commands = {}
        for region in group:
            path = f"{region.config_path}.new"
            old, group.tables = group.tables, self.tables
            configuration.write(path, group.configuration(region.name))
            group.tables = old
            self.paths[region.name] = path

    def begin(self, *regions):
        for name in regions or self.group.regions:
            self.commands[name] = self.run(name, self.paths[name], *self.arguments)
        return self

    def run(self, name, *arguments):
        region = self.group[name]
        return subprocess.Popen([binary(), "policy", "apply", "--config", region.config_path, "--region", name, *arguments],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def end(self):
        """[(exit code, what it said)] by region."""
        ended = {}
        for name, command in self.commands.items():
            out, errors = command.communicate(timeout=120)
            ended[name] = (command.returncode, out + errors)
        return ended

    def succeed(self):
        for name, (code, said) in self.end().items():
            assert code == 0, f"{name}: {said}"
        self.put_in_place()

    def wait_until_it_is(self, at, region):
        """The change is in this state in the region (`proposed`: open in any), or over for all commands."""
        with contextlib.closing(self.group[region].connect()) as watcher, watcher.cursor() as cursor:
            def reached():
                cursor.execute("SELECT count(*) FROM pgduet.policy_change WHERE state = %s OR "
                               "(state NOT IN ('applied', 'aborted') AND %s = 'proposed')", (at, at))
                found = cursor.fetchone()[0]
                return found or all(one.poll() is not None for one in self.commands.values())
            wait_until(reached, f"{region} to be {at}", interval=0.001)

    def put_in_place(self):
        self.group.tables = self.tables
        self.group.write_configurations()


def state(region):
    rows = region.sql("SELECT state FROM pgduet.policy_change ORDER BY id DESC LIMIT 1")
    return rows[0][0] if rows else None


@contextlib.contextmanager
def going_without_a_gate(region, change):
    """The region is told of the change, but a long transaction keeps its gate from closing."""
    region.pgduet("policy apply", change.paths[region.name], "--no-wait", *change.arguments)
    with region.transaction() as cursor:
        cursor.execute("LOCK TABLE item IN ROW EXCLUSIVE MODE")
        yield


def hash_of(region):
    text = region.pgduet("policy status", "--json").stdout
    return text.split('"hash": "')[1].split('"')[0]


def settled(group):
    for region in group:
        wait_until(lambda region=region: region.agent.http("/readyz")[0] == 200, f"{region.name} to be ready")
    group.wait_converged()
    group.wait_converged()
    group.assert_equal()


def gate_times(group):
    """Seconds that each region's gate was closed, by its agent's log: for people."""
    times = {}
    for region in group:
        closed = None
        for line in region.agent.log_lines("stage=policy"):
            at = datetime.datetime.fromisoformat(line.split()[0].removeprefix("time=").removesuffix("Z"))
            if "gate closed" in line:
                closed = at
            elif closed and "new set in force" in line:
                times.setdefault(region.name, []).append(round((at - closed).total_seconds(), 2))
                closed = None
    return times


def changes_known(region):
    return region.sql("SELECT count(*) FROM pgduet.policy_change")[0][0]


def assert_clean(group):
    """Nothing of a change is left behind."""
    for region in group:
        assert region.sql("SELECT last_value FROM pgduet.policy_gate") == [(1,)]
        assert region.sql("SELECT tgname FROM pg_trigger WHERE tgname LIKE 'pgduet_policy_gate%'") == []
    assert len({hash_of(region) for region in group}) == 1
