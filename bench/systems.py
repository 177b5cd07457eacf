"""The systems that are compared: two clusters, and something that carries rows from `origin` to `target`."""

import os

from harness.group import Group
from harness.postgres import PostgresCluster
from harness.processes import descendants
from harness.waiting import wait_until

SCHEMA = """
CREATE TABLE bulk (id bigint PRIMARY KEY, name text NOT NULL, amount int NOT NULL, created timestamptz NOT NULL);
CREATE TABLE hot (id int PRIMARY KEY, name text NOT NULL, amount int NOT NULL);
CREATE TABLE tick (id int PRIMARY KEY);
CREATE TABLE done (id int PRIMARY KEY);
"""
TABLES = ["public.bulk", "public.hot", "public.tick", "public.done"]
# wal_retrieve_retry_interval: how soon the native apply worker starts after ENABLE; its default of 5 s would be counted.
SETTINGS = {"fsync": "on", "shared_buffers": "256MB", "max_wal_size": "8GB", "checkpoint_timeout": "30min",
            "wal_retrieve_retry_interval": "10ms"}
_TICKS = os.sysconf("SC_CLK_TCK")


class Native:
    """PostgreSQL's publication and subscription."""

    def __init__(self, workspace):
        self.origin = PostgresCluster(workspace, "origin", SETTINGS)
        self.target = PostgresCluster(workspace, "target", SETTINGS)
        self.dbname = "postgres"

    def start(self):
        for cluster in (self.origin, self.target):
            cluster.start()
            cluster.sql(SCHEMA)
        self.origin.sql("CREATE PUBLICATION bench FOR TABLE " + ", ".join(TABLES))
        self.target.sql(f"CREATE SUBSCRIPTION bench CONNECTION '{self.origin.conninfo()}' PUBLICATION bench "
                        "WITH (copy_data = false)")

    def pause(self):
        self.target.sql("ALTER SUBSCRIPTION bench DISABLE")
        wait_until(lambda: self.origin.sql("SELECT NOT active FROM pg_replication_slots") == [(True,)], "the slot to be free")

    def resume(self):
        self.target.sql("ALTER SUBSCRIPTION bench ENABLE")

    def agent_pids(self):
        return []

    def other_pids(self):
        return {}

    def close(self):
        self.origin.close()
        self.target.close()


class Pgduet:
    """Two agents, both ways configured, one way written."""

    def __init__(self, workspace, transport, broker):
        self._broker = broker
        self._group = Group(workspace, None, ["a", "b"], TABLES, schema=SCHEMA, transport=transport, broker=broker,
                            settings=SETTINGS, links=False)
        self.origin, self.target = self._group["a"].postgres, self._group["b"].postgres
        self.dbname = self._group["a"].dbname

    def start(self):
        self._group.start()

    def pause(self):
        self._group.stop_agents()

    def resume(self):
        for region in self._group:
            region.agent.start(wait=False)

    def agent_pids(self):
        return [region.agent.process.pid for region in self._group if region.agent.running()]

    def other_pids(self):
        return {"broker": [self._broker.process.pid]} if self._broker else {}

    def close(self):
        self._group.close(check=False)


class Meter:
    """CPU seconds of a system's components between start and stop, and the agents' peak RSS."""

    def __init__(self, system):
        self._system = system
        self._before = self._read()

    def stop(self):
        after = self._read()
        # Agents that started after the meter did have used nothing before.
        seconds = {part: round(after[part] - self._before.get(part, 0), 2) for part in after}
        return {"cpu_seconds": seconds, "peak_rss": max(map(_peak_rss, self._system.agent_pids()), default=0)}

    def _read(self):
        system = self._system
        parts = {"origin": [system.origin.process.pid], "target": [system.target.process.pid], **system.other_pids()}
        used = {part: sum(map(_cpu_seconds, pids)) for part, pids in parts.items()}
        if agents := system.agent_pids():
            used["agents"] = sum(map(_cpu_seconds, agents))
        return used


def _cpu_seconds(pid):
    """Of the process, the children that it has waited for, and those that run."""
    def read(one, fields):
        try:
            with open(f"/proc/{one}/stat") as stat:
                values = stat.read().rsplit(")", 1)[1].split()
            return sum(int(values[field]) for field in fields) / _TICKS
        except OSError:
            return 0
    return read(pid, (11, 12, 13, 14)) + sum(read(child, (11, 12)) for child in descendants(pid))


def _peak_rss(pid):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))
