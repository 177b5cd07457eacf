"""Every policy against an oracle that reads nothing but what the clients did.

Writes come in rounds. While a round goes on nothing arrives anywhere; after it everything does. So a write has seen all of the rounds
before, and of its own round what its own region wrote: that is all that the oracle has to know to say which versions stand side by side,
what is shown, and which meetings have to be in the conflict log of each region, and which must not.
"""

import hashlib
import json
from dataclasses import dataclass, field

from harness.waiting import wait_until_equal

REGIONS = "abc"
ROUNDS, WRITES, KEYS = 5, 60, 2
STRONGEST_FIRST = "cab"

SCHEMA = """
CREATE TABLE first_one (id int PRIMARY KEY, word text);
CREATE TABLE strongest (id int PRIMARY KEY, word text);
CREATE TABLE kept (id int PRIMARY KEY, word text);
CREATE TABLE kept_unless_deleted (id int PRIMARY KEY, word text);
CREATE TABLE kept_though_deleted (id int PRIMARY KEY, word text);
CREATE TABLE asked (id int PRIMARY KEY, word text);
CREATE TABLE newest (id int PRIMARY KEY, word text);
CREATE TABLE chosen (id int PRIMARY KEY, word text);
CREATE TABLE merged (id int PRIMARY KEY, word text, n bigint NOT NULL DEFAULT 0, tags text[] NOT NULL DEFAULT '{}', options jsonb NOT NULL DEFAULT '{}');
""" + "".join(f"ALTER TABLE {table} REPLICA IDENTITY FULL;" for table in
              ("first_one", "strongest", "kept", "kept_unless_deleted", "kept_though_deleted", "asked", "newest", "chosen", "merged")) + """
CREATE FUNCTION greater_word(a jsonb, b jsonb, context jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE
AS $$ SELECT CASE WHEN md5(a ->> 'word') COLLATE "C" > md5(b ->> 'word') COLLATE "C" THEN a ELSE b END $$;
"""
TABLES = {
    "public.first_one": {"policy": "first_write_wins"},
    "public.strongest": {"policy": "region_priority", "priority": list(STRONGEST_FIRST)},
    "public.kept": {"policy": "versions"},
    "public.kept_unless_deleted": {"policy": "versions", "on_delete": "delete_wins"},
    "public.kept_though_deleted": {"policy": "versions", "on_delete": "update_wins"},
    "public.asked": {"policy": "error"},
    "public.newest": {"policy": "last_write_wins"},
    "public.chosen": {"policy": "custom", "function": "public.greater_word"},
    "public.merged": {"policy": "merge", "columns": {"n": "counter", "tags": "add_wins_set", "options": "map"}},
}
SIBLINGS = ("kept", "kept_unless_deleted", "kept_though_deleted", "asked")
NEVER_DELETED = ("chosen", "merged")


@dataclass
class Write:
    """One that was committed. `number` is its place in the order of all of them: the regions share a clock."""
    number: int
    round: int
    region: str
    word: str | None  # None: a delete
    changes: dict = field(default_factory=dict)  # of a merged row: {column: what was done}


class Oracle:
    def __init__(self):
        self.history = {}  # (table, key) -> [Write]

    def note(self, table, key, write):
        self.history.setdefault((table, key), []).append(write)

    def side_by_side(self, table, key):
        """The newest write of each region that wrote in the last round in which anybody did: each has seen all before it."""
        writes = self.history[table, key]
        return self.last_of(writes, writes[-1].round)

    @staticmethod
    def last_of(writes, number):
        return list({write.region: write for write in writes if write.round == number}.values())

    @staticmethod
    def winner(table, members):
        """The member that decides what is shown; a delete: there is no row."""
        candidates = members
        if table == "kept_unless_deleted":
            candidates = [one for one in members if one.word is None] or members
        elif table == "kept_though_deleted":
            candidates = [one for one in members if one.word is not None] or members
        pick = {
            "first_one": lambda one: -one.number,
            "strongest": lambda one: -STRONGEST_FIRST.index(one.region),
            "chosen": lambda one: hashlib.md5(one.word.encode()).hexdigest(),
        }.get(table, lambda one: one.number)
        return max(candidates, key=pick)

    def meetings(self):
        """(table, key, the members) of each round in which several regions wrote a row."""
        for (table, key), writes in self.history.items():
            for number in sorted({write.round for write in writes}):
                members = self.last_of(writes, number)
                if len(members) > 1:
                    yield table, key, number, members

    def written(self, table, key, region, word):
        """The writes that a side of a log entry may stand for."""
        return [write for write in self.history.get((table, key), []) if write.region == region and write.word == word]

    def merged_row(self, key):
        writes = self.history["merged", key]
        return (writes[-1].word, sum(write.changes.get("n", 0) for write in writes), sorted(self._elements(writes)), self._options(writes))

    @staticmethod
    def _options(writes):
        """The newest value stands; of a value and a removal that have not seen each other the value does."""
        options = {}
        for number in sorted({write.round for write in writes}):
            last = {}  # (region, option) -> what it is at the end of the round; the newest stands last
            for write in writes:
                if write.round == number:
                    for name, value in write.changes.get("options", {}).items():
                        last.pop((write.region, name), None)
                        last[write.region, name] = value
            removed = {name for (_, name), value in last.items() if value is None}
            options = {name: value for name, value in options.items() if name not in removed}
            options.update({name: value for (_, name), value in last.items() if value is not None})
        return options

    @staticmethod
    def _elements(writes):
        elements = set()
        for number in sorted({write.round for write in writes}):
            last = {}  # (region, element) -> added or removed, at the end of the round
            for write in writes:
                if write.round == number:
                    for element, added in write.changes.get("tags", {}).items():
                        last[write.region, element] = added
            added = {element for (_, element), was_added in last.items() if was_added}
            removed = {element for (_, element), was_added in last.items() if not was_added}
            elements = (elements - removed) | added
        return elements


class Clients:
    """One write after the other, each in some region."""

    def __init__(self, group, oracle, chance):
        self.group, self.oracle, self.chance = group, oracle, chance
        self.number = 0

    def run_round(self, number):
        with self.group.paused():
            for _ in range(WRITES):
                table = self.chance.choice([name.split(".")[1] for name in TABLES])
                self._write(number, self.group[self.chance.choice(REGIONS)], table, self.chance.randrange(KEYS))

    def _write(self, round_number, region, table, key):
        self.number += 1
        word = f"{region.name}{self.number}"
        changes = {}
        if table not in NEVER_DELETED and self.chance.random() < 0.25:
            done, word = region.sql(f"DELETE FROM {table} WHERE id = %s RETURNING id", (key,)), None
        elif table == "merged":
            done, changes = self._merge(region, key, word)
        else:
            done = region.sql(f"INSERT INTO {table} VALUES (%s, %s) ON CONFLICT (id) DO UPDATE SET word = excluded.word RETURNING id", (key, word))
        if done:
            self.oracle.note(table, key, Write(self.number, round_number, region.name, word, changes))

    def _merge(self, region, key, word):
        by, element, name = self.chance.randint(-4, 9), f"e{self.chance.randrange(4)}", f"o{self.chance.randrange(3)}"
        found = region.sql("SELECT tags, options FROM merged WHERE id = %s", (key,))
        if not found:
            return region.sql("INSERT INTO merged VALUES (%s, %s, %s) RETURNING id", (key, word, by)), {"n": by}
        tags, options = found[0]
        what = self.chance.choice(["n", "tags", "options"])
        statement, value, change = {
            "n": ("n = n + %s", by, by),
            "tags": (f"tags = {'array_remove' if element in tags else 'array_append'}(tags, %s)", element, {element: element not in tags}),
            "options": ("options = options - %s", name, {name: None}) if name in options else
                       ("options = options || %s::jsonb", json.dumps({name: word}), {name: word}),
        }[what]
        done = region.sql(f"UPDATE merged SET word = %s, {statement} WHERE id = %s RETURNING id", (word, value, key))
        return done, {what: change}


def test_rows_siblings_and_the_log_are_what_the_clients_histories_say(make_group, seeded_random):
    group = make_group(list(REGIONS), schema=SCHEMA, tables=TABLES)
    oracle = Oracle()
    clients = Clients(group, oracle, seeded_random)
    for number in range(ROUNDS):
        clients.run_round(number)
        group.wait_converged()
        group.wait_converged()  # what a region decided upon the first round of markers has arrived, too
    assert sum(1 for _ in oracle.meetings()) > 15
    check_rows(group, oracle)
    check_siblings(group, oracle)
    for region in group:
        entries = [entry for entry in region.conflicts() if entry["table_name"] != "marker"]
        assert lost_untold(oracle, entries) == [], region.name
        assert told_wrongly(oracle, entries) == [], region.name


def test_the_oracle_notices_a_loser_that_is_not_told_and_a_write_that_was_seen():
    oracle = Oracle()
    for write in (Write(1, 0, "a", "a1"), Write(2, 1, "b", "b2"), Write(3, 1, "c", "c3")):
        oracle.note("newest", 0, write)

    def entry(remote, local):
        return {"table_name": "newest", "key": {"id": 0}, "remote_operation": "update", "local_operation": "row",
                "remote_region": remote[0], "remote_row": {"word": remote}, "local_region": local[0], "local_row": {"word": local}}
    met, had_seen = entry("c3", "b2"), entry("b2", "a1")
    assert lost_untold(oracle, [met]) == told_wrongly(oracle, [met]) == []
    assert [lost[3].word for lost in lost_untold(oracle, [])] == ["b2"]
    assert told_wrongly(oracle, [met, had_seen]) == [had_seen]


def check_rows(group, oracle):
    for (table, key) in oracle.history:
        if table == "merged":
            expected = [oracle.merged_row(key)]
            columns = "word, n, (SELECT coalesce(array_agg(e ORDER BY e), '{}') FROM unnest(tags) e), options"
        else:
            winner = oracle.winner(table, oracle.side_by_side(table, key))
            expected, columns = [(winner.word,)] if winner.word else [], "word"
        for region in group:
            wait_until_equal(lambda r=region: r.sql(f"SELECT {columns} FROM {table} WHERE id = %s", (key,)), expected,
                             f"{table} {key} in {region.name}")


def check_siblings(group, oracle):
    for (table, key) in oracle.history:
        if table not in SIBLINGS:
            continue
        expected = sorted((one.region, str(one.word)) for one in oracle.side_by_side(table, key))
        for region in group:
            found = region.sql(f"SELECT region, row_data ->> 'word' FROM pgduet.siblings('{table}', '{{\"id\": {key}}}')")
            if len(expected) > 1 or found:  # nothing is kept of a single delete
                assert sorted((name, str(word)) for name, word in found) == expected, (table, key, region.name)


def sides(entry):
    """((region, word), (region, word)) of an entry: remote and local. The word of a delete is None."""
    def word_of(row, operation):
        return None if operation == "delete" or row is None else row["word"]
    return ((entry["remote_region"], word_of(entry["remote_row"], entry["remote_operation"])),
            (entry["local_region"], word_of(entry["local_row"], entry["local_operation"])))


def lost_untold(oracle, entries):
    """Losers of a meeting that no entry shows."""
    told = {(entry["table_name"], entry["key"]["id"], *side) for entry in entries for side in sides(entry)}
    untold = []
    for table, key, number, members in oracle.meetings():
        winner = None if table == "merged" else oracle.winner(table, members)
        for one in members:
            # A merged row as it stood may show the word of another write: there it is the meeting that has to be told.
            if one is not winner and (table, key, one.region, one.word) not in told and table != "merged":
                untold.append((table, key, number, one))
        if table == "merged" and not any((table, key, one.region, one.word) in told for one in members):
            untold.append((table, key, number, members))
    return untold


def told_wrongly(oracle, entries):
    """Entries whose two sides are not writes of one round, in two regions."""
    wrong = []
    for entry in entries:
        table, key = entry["table_name"], entry["key"]["id"]
        (remote_region, remote_word), (local_region, local_word) = sides(entry)
        remote = oracle.written(table, key, remote_region, remote_word)
        local = oracle.written(table, key, local_region, local_word)
        if table == "merged":  # what stood there may be a merge
            local = [write for write in oracle.history[table, key] if write.region == local_region]
        if remote_region == local_region or {write.round for write in remote}.isdisjoint(write.round for write in local):
            wrong.append(entry)
    return wrong
