"""Random concurrent writers, and a history that tells afterwards whether a write was lost silently.

Each write gives its row a new tag and keeps the tag that it replaced in `seen`, so the rows themselves tell what a writer knew.
The keys are few, so that regions meet often.
"""

import random
import threading
from dataclasses import dataclass
from typing import Optional

import psycopg2

SCHEMA = """
CREATE TABLE account (
  id int PRIMARY KEY,
  tag text NOT NULL, seen text, value int NOT NULL, note text);
CREATE TABLE "Stock" (
  warehouse text, "SKU" int,
  tag text NOT NULL, seen text, value int NOT NULL, note text,
  PRIMARY KEY (warehouse, "SKU"));
"""
TABLES = ["public.account", 'public."Stock"']


@dataclass(frozen=True)
class Write:
    """One committed change. `tag` is None for a delete; `seen` is the tag of the row that it replaced, if any."""
    region: str
    table: str
    tag: Optional[str]
    seen: Optional[str]


class _Table:
    def __init__(self, name, key_columns, make_key):
        self.name = name
        self.make_key = make_key
        self._columns = ", ".join(key_columns)
        self._match = " AND ".join(f"{column} = %s" for column in key_columns)
        self._assign = ", ".join(f"{column} = %s" for column in key_columns)
        self._places = ", ".join(["%s"] * len(key_columns))

    def insert(self, cursor, key, tag, value, note):
        cursor.execute(f"INSERT INTO {self.name} ({self._columns}, tag, value, note) VALUES ({self._places}, %s, %s, %s) "
                       "ON CONFLICT DO NOTHING RETURNING NULL", (*key, tag, value, note))

    def update(self, cursor, key, tag, value, note):
        cursor.execute(f"UPDATE {self.name} SET seen = tag, tag = %s, value = %s, note = %s WHERE {self._match} "
                       "RETURNING seen", (tag, value, note, *key))

    def change_key(self, cursor, key, new_key, tag):
        cursor.execute(f"UPDATE {self.name} SET {self._assign}, seen = tag, tag = %s WHERE {self._match} RETURNING seen",
                       (*new_key, tag, *key))

    def delete(self, cursor, key):
        cursor.execute(f"DELETE FROM {self.name} WHERE {self._match} RETURNING tag", key)


def _tables(keys):
    return [_Table("account", ["id"], lambda rng: (rng.randrange(keys),)),
            _Table('"Stock"', ["warehouse", '"SKU"'], lambda rng: (rng.choice("NS"), rng.randrange(keys // 2 + 1)))]


class Workload:
    """`transactions` per client, `clients` per region, over about 2 * `keys` keys. The second workload on a group needs
    another name, so that its tags differ."""

    def __init__(self, group, rng, clients=2, transactions=100, keys=20, note_bytes=40, name=""):
        self.group = group
        self.history = []
        self._tables = _tables(keys)
        self._transactions = transactions
        self._note_bytes = note_bytes
        self._failures = []
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._run_client, args=(region, f"{name}{region.name}{client}", random.Random(rng.random())))
            for region in group for client in range(clients)]

    def start(self):
        for thread in self._threads:
            thread.start()
        return self

    def wait(self):
        for thread in self._threads:
            thread.join()
        if self._failures:
            raise self._failures[0]
        return self

    def run(self):
        return self.start().wait()

    def _run_client(self, region, client, rng):
        try:
            connection = region.connect(autocommit=False)
            for number in range(self._transactions):
                writes = self._run_transaction(connection, region.name, f"{client}.{number}", rng)
                with self._lock:
                    self.history += writes
            connection.close()
        except Exception as error:
            self._failures.append(error)

    def _run_transaction(self, connection, region, name, rng):
        writes = []
        try:
            with connection.cursor() as cursor:
                for step in range(rng.choice([1, 1, 1, 2, 4])):
                    writes += self._run_change(cursor, region, f"{name}.{step}", rng)
            if rng.random() < 0.05:
                connection.rollback()
                return []
            connection.commit()
            return writes
        except (psycopg2.errors.UniqueViolation, psycopg2.errors.DeadlockDetected):
            connection.rollback()
            return []

    def _run_change(self, cursor, region, tag, rng):
        table = rng.choice(self._tables)
        key = table.make_key(rng)
        value, note = rng.randrange(1000), "n" * rng.randrange(self._note_bytes)
        kind = rng.choices(["insert", "update", "delete", "change_key"], [3, 5, 2, 1])[0]
        if kind == "insert":
            table.insert(cursor, key, tag, value, note)
        elif kind == "update":
            table.update(cursor, key, tag, value, note)
        elif kind == "delete":
            table.delete(cursor, key)
        else:
            table.change_key(cursor, key, table.make_key(rng), tag)
        returned = cursor.fetchone()
        if returned is None:  # no such row, or the insert met one
            return []
        return [Write(region, table.name, None if kind == "delete" else tag, returned[0])]


def assert_no_silent_loss(group, history):
    """Every committed write is still there, or was overwritten by somebody who had seen it, or stands in a conflict log."""
    first = next(iter(group))
    alive = {tag for table in ("account", '"Stock"') for tag, in first.sql(f"SELECT tag FROM {table}")}
    overwritten = {write.seen for write in history if write.seen}
    logged = {tag for region in group for conflict in region.conflicts() for tag in _tags(conflict) if tag}
    lost = [write for write in history if write.tag and write.tag not in alive | overwritten | logged]
    assert not lost, f"{len(lost)} of {len(history)} writes were lost without a trace: {lost[:10]}"


def assert_conflicts_were_concurrent(group, history):
    """No conflict log has an entry for two writes of which one had seen the other."""
    seen_by = {write.tag: write.seen for write in history if write.tag}

    def ancestors(tag):
        while tag := seen_by.get(tag):
            yield tag

    wrong = []
    for region in group:
        for conflict in region.conflicts():
            local, remote = _tags(conflict)
            if local and remote and (local == remote or local in ancestors(remote) or remote in ancestors(local)):
                wrong.append((region.name, conflict))
    assert not wrong, f"{len(wrong)} entries for writes that were not concurrent: {wrong[:3]}"


def _tags(conflict):
    """(local, remote) writes of an entry. A delete has no tag: the row that stands in its entry is the one that it deleted."""
    local = (conflict["local_row"] or {}).get("tag") if conflict["local_operation"] == "row" else None
    remote = (conflict["remote_row"] or {}).get("tag") if conflict["remote_operation"] != "delete" else None
    return local, remote


def assert_decisions_follow_versions(group):
    """The later commit time won, and with equal times the region of higher rank."""
    ranks = {region.name: region.rank for region in group}
    for region in group:
        for conflict in region.conflicts():
            assert conflict["policy"] == "last_write_wins"
            assert conflict["remote_region"] != region.name
            if conflict["local_time"] is None:
                continue
            local = conflict["local_time"], ranks[conflict["local_region"]]
            remote = conflict["remote_time"], ranks[conflict["remote_region"]]
            assert (conflict["decision"] == "apply_remote") == (remote > local), (region.name, conflict)
