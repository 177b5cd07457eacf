"""`pgduet policy apply`: the policies of tables change in all regions while everybody writes, and no row is decided by two rules."""

import contextlib
import datetime
import itertools
import json
import random
import subprocess
import threading

import psycopg2
import pytest

from harness import configuration
from harness.agent import binary
from harness.waiting import wait_until, wait_until_equal

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
        code, body = region.agent.http("/status", timeout=2)
        streams = json.loads(body)["streams"] if code == 200 else []
        running = [stream for stream in streams if stream["name"] in self.group.regions and self.group[stream["name"]].agent.running()]
        return max((stream.get("lag_seconds") or 0 for stream in running), default=0)

    def _write(self, region, chance):
        connection = region.connect()
        try:
            while not self._stop.wait(self.pause):
                key, by = chance.randrange(KEYS), chance.choice([1, 2, 5])
                try:
                    with connection.cursor() as cursor:
                        touched = self._one(cursor, region, chance, key, by)
                except (psycopg2.errors.LockNotAvailable, psycopg2.errors.DeadlockDetected):
                    with self._lock:
                        self.held += 1
                    continue
                with self._lock:
                    self.writes += 1
                    if self.increments_only and touched:
                        self.added[key] = self.added.get(key, 0) + by
        except Exception as failure:  # told by __exit__
            self._failures.append(f"{region.name}: {failure!r}")
        finally:
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


@pytest.mark.parametrize("regions", ["ab", "abc"])
def test_policies_change_under_load(make_group, seeded_random, regions):
    """Through all kinds of policies, and back; every table ends equal, and nothing of the old rule remains."""
    group = make_group(list(regions), schema=SCHEMA, tables=LAST)
    with Load(group, seeded_random, pause=0.02) as load:
        load.wait_for(40)
        for tables in (STRONGEST, COUNTER, LAST, VERSIONS, COUNTERS, LAST):
            Change(group, tables, "--discard-siblings").begin().succeed()
            load.wait_for(40)
    print(f"gates were closed for: {gate_times(group)}, {load.held} writes were told to try again")
    settled(group)
    assert_clean(group)
    for region in group:
        assert region.sql("SELECT count(*) FROM pgduet.row_state") == [(0,)]
        assert region.agent.metric("pgduet_policy_changes_total", result="applied") == 6


@pytest.mark.parametrize("regions", ["ab", "abc"])
def test_every_increment_counts_from_the_change_on_and_not_twice(make_group, seeded_random, regions):
    """last_write_wins loses increments; from the moment the change is made none is lost, whatever was in flight."""
    group = make_group(list(regions), schema=SCHEMA, tables=LAST)
    group["a"].sql("INSERT INTO item SELECT g FROM generate_series(0, %s) g", (KEYS - 1,))
    group.wait_converged()
    with Load(group, seeded_random, increments_only=True) as load:
        load.wait_for(60)
        Change(group, COUNTER).begin().succeed()
    settled(group)
    before = dict(group["a"].sql("SELECT id, n FROM item"))
    with Load(group, seeded_random, increments_only=True, pause=0.02) as load:
        load.wait_for(100)
        Change(group, COUNTERS).begin().succeed()
        load.wait_for(100)
    settled(group)
    # Both sets have the counter: what was committed counts, also while the gate was closed.
    assert dict(group["b"].sql("SELECT id, n FROM item")) == {key: n + load.added.get(key, 0) for key, n in before.items()}


def test_agents_and_commands_are_killed_at_every_step(make_group, seeded_random):
    """Any agent ends in any state of any region; the change is made, or taken back, everywhere."""
    group = make_group(["a", "b", "c"], schema=SCHEMA, tables=LAST)
    sets = itertools.cycle([COUNTER, LAST, STRONGEST, COUNTERS, LAST])
    applied = 0
    with Load(group, seeded_random, pause=0.02) as load:
        for victim, at in itertools.product("abc", ["proposed", "going", "fenced", "voted"]):
            if at == "going" and victim != "a":
                continue
            known = {region.name: changes_known(region) for region in group}
            change = Change(group, next(sets), "--patience", "8", "--discard-siblings").begin()
            watcher = group[victim].connect()
            with watcher.cursor() as cursor:
                def reached():
                    cursor.execute("SELECT count(*) FROM pgduet.policy_change WHERE state = %s OR "
                                   "(state NOT IN ('applied', 'aborted') AND %s = 'proposed')", (at, at))
                    found = cursor.fetchone()[0]
                    return found or all(one.poll() is not None for one in change.commands.values())
                wait_until(reached, f"{victim} to be {at}", interval=0.001)
            watcher.close()
            group[victim].agent.kill()
            # Not before it has told its region: one that has not is run again with its file.
            lost = seeded_random.choice("abc")
            wait_until(lambda: changes_known(group[lost]) > known[lost] or change.commands[lost].poll() is not None, f"{lost} to know")
            change.commands[lost].kill()
            group[victim].agent.start(wait=False)
            # Who lost the command runs it again: it waits for what goes on, or finds it done.
            for name in "abc":
                change.run(name, "--resume").wait(timeout=120)
            change.end()
            states = {region.name: state(region) for region in group}
            assert set(states.values()) in ({"applied"}, {"aborted"}), (victim, at, states)
            if "applied" in states.values():
                change.put_in_place()
                applied += 1
            assert_clean(group)
            load.wait_for(20)
    assert applied > 0
    settled(group)


def test_a_region_that_is_away_takes_the_change_back_everywhere(make_group, seeded_random):
    """It was told, and then it is gone: nobody waits for it longer than the patience, and nobody has switched."""
    group = make_group(["a", "b", "c"], schema=SCHEMA, tables=LAST)
    before = hash_of(group["a"])
    with Load(group, seeded_random) as load:
        load.wait_for(20)
        change = Change(group, COUNTER, "--patience", "10")
        with going_without_a_gate(group["c"], change):
            change.begin("a", "b")
            wait_until(lambda: state(group["a"]) == "going", "a's go", interval=0.01)
            group["c"].agent.kill()
        ended = change.end()
        assert {code for code, _ in ended.values()} == {1}, ended
        assert all("policy_change_aborted" in said for _, said in ended.values()), ended
        assert "time was over: no mark of" in ended["a"][1], ended
        group["c"].agent.start()
        change.run("c", "--resume").wait(timeout=120)
        load.wait_for(20)
    settled(group)
    assert_clean(group)
    assert hash_of(group["a"]) == before
    Change(group, COUNTER).begin().succeed()  # all are there
    settled(group)


def test_writes_wait_at_the_gate_and_are_told_to_try_again(make_group):
    """b has sent its mark and hears nothing of a: its writes of this table wait, others do not; a's word ends it."""
    group = make_group(["a", "b"], schema=SCHEMA, tables=LAST)
    group["a"].sql("INSERT INTO item VALUES (1)")
    group.wait_converged()
    change = Change(group, COUNTER, "--patience", "60")
    with going_without_a_gate(group["a"], change):
        change.begin("b")
        wait_until(lambda: state(group["b"]) == "voted", "b's mark")
        group["a"].agent.kill()
    with pytest.raises(psycopg2.errors.LockNotAvailable):
        group["b"].sql("UPDATE item SET n = n + 1 WHERE id = 1")
    group["b"].sql("INSERT INTO other VALUES (1, 'open')")
    assert group["b"].agent.metric("pgduet_policy_gate_closed") == 1
    refused = group["b"].pgduet("policy apply", "--abort", check=False)
    assert "policy_change_voted" in refused.stderr
    group["a"].agent.start()
    change.end()
    change.run("a", "--resume").wait(timeout=120)
    assert state(group["a"]) == state(group["b"])
    group["b"].sql("UPDATE item SET n = n + 1 WHERE id = 1")
    settled(group)
    assert_clean(group)


def test_a_change_that_nobody_else_was_told_of_is_taken_back_by_command(make_group):
    group = make_group(["a", "b"], schema=SCHEMA, tables=LAST)
    change = Change(group, COUNTER).begin("a")
    wait_until(lambda: group["b"].sql("SELECT 1 FROM pgduet.policy_notice WHERE rank = 0 AND kind = 'propose'"), "a's word")
    wait_until(lambda: "not told of this set yet: b" in group["a"].pgduet("policy status").stdout, "what it waits for")
    group["a"].sql("INSERT INTO item VALUES (1)")  # no gate is closed
    assert group["a"].pgduet("policy apply", "--abort").stdout.strip().endswith("taken back")
    code, said = change.end()["a"]
    assert code == 1 and "by command" in said
    settled(group)
    assert_clean(group)


def test_siblings_are_not_lost_without_a_word(make_group):
    group = make_group(["a", "b"], schema=SCHEMA, tables=VERSIONS)
    group["a"].sql("INSERT INTO item VALUES (1, 0, 0, 'first')")
    group.wait_converged()
    group.write_late([("a", "UPDATE item SET note = 'a' WHERE id = 1"), ("b", "UPDATE item SET note = 'b' WHERE id = 1")])
    ended = Change(group, LAST).begin().end()
    assert all(code == 1 and "siblings_would_go" in said for code, said in ended.values()), ended
    group["a"].sql("SELECT pgduet.resolve('public.item', '{\"id\": 1}', '{\"note\": \"both\"}')")
    group.wait_converged()
    group.wait_converged()
    Change(group, LAST).begin().succeed()
    settled(group)
    assert group["b"].rows("item", "note") == [("both",)]


def test_parked_rows_come_back_before_nobody_looks_after_them(make_group):
    parks = {**LAST, "public.city": {"on_unique": "park_loser"}}
    group = make_group(["a", "b"], schema=SCHEMA + "CREATE TABLE city (id int PRIMARY KEY, name text UNIQUE);", tables=parks)
    group.write_late([("a", "INSERT INTO city VALUES (1, 'nyc')"), ("b", "INSERT INTO city VALUES (2, 'nyc')")])
    for region in group:
        wait_until_equal(lambda r=region: r.sql("SELECT count(*) FROM pgduet.parked"), [(1,)], "the parked row")
    change = Change(group, {**LAST, "public.city": {}}).begin()
    wait_until(lambda: "rows of a changed table are parked" in group["a"].pgduet("policy status").stdout, "what it waits for")
    group["b"].sql("UPDATE city SET name = 'rome' WHERE id = 2")  # no gate is closed
    change.succeed()
    settled(group)
    assert_clean(group)
    for region in group:
        assert region.rows("city") == [(1, "nyc"), (2, "rome")] and region.sql("SELECT count(*) FROM pgduet.parked") == [(0,)]


class TestFile:
    """What the agent does with a file that has another set than the one in force."""

    @pytest.fixture
    def group(self, group_on):
        group = group_on("direct", ["a", "b"], schema=SCHEMA, tables=LAST)
        Change(group, COUNTER).begin().end()
        return group

    def test_the_file_that_was_left_is_an_old_one(self, group):
        in_force = hash_of(group["a"])
        group["a"].agent.restart()
        assert hash_of(group["a"]) == in_force
        assert group["a"].agent.metric("pgduet_policy_file_differs") == 1
        assert group["a"].agent.log_lines("the file has not the policies that are in force")
        settled(group)

    def test_any_other_file_is_refused_by_name(self, group):
        group.expect_errors("policy_file_differs")
        group["a"].agent.stop()
        Change(group, STRONGEST).put_in_place()
        group["a"].agent.start(wait=False)
        wait_until(lambda: group["a"].agent.log_lines("policy_file_differs"), "the error")
        assert "region_priority" in group["a"].agent.log_lines("policy_file_differs")[0]
        Change(group, COUNTER).put_in_place()
        group["a"].agent.stop()
        group["a"].agent.start()
        assert group["a"].agent.metric("pgduet_policy_file_differs") == 0
        settled(group)

    def test_other_tables_do_not_change_online(self, group):
        more = {**COUNTER, "public.third": {}}
        group["a"].sql("CREATE TABLE third (id int PRIMARY KEY)")
        code, said = Change(group, more).begin("a").end()["a"]
        assert code == 1 and "policy_change_too_large" in said and "third" in said


def test_a_region_with_another_set_still_stops_by_name(make_group):
    """After a change online, too: its agent was given yet another file, by init, which nobody else has."""
    group = make_group(["a", "b"], schema=SCHEMA, tables=LAST)
    Change(group, COUNTER).begin().succeed()
    settled(group)
    group.expect_errors("policy_mismatch")
    group["a"].agent.stop()
    good = group["a"].config_path
    group["a"].config_path = group["a"].agent.config_path = Change(group, STRONGEST).paths["a"]
    group["a"].pgduet("init")
    group["a"].agent.start(wait=False)
    group["b"].agent.wait_for_stream_error("policy_mismatch")
    assert any("region_priority" in line for line in group["b"].agent.log_lines("policy_mismatch"))
    group["a"].agent.kill()
    group["a"].config_path = group["a"].agent.config_path = good
    group["a"].pgduet("init")
    group["a"].agent.start(wait=False)
    settled(group)
