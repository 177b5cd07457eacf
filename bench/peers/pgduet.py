"""pgduet: an agent for each region, everything configured both ways."""

import glob
import os

from harness.group import Group

from .side import Side
from .system import SETTINGS, System


class Pgduet(System):
    transport = None
    takes_sets = True

    @classmethod
    def runs(cls, workload):
        return True

    def start(self):
        regions = "abcde"[:self.workload.regions]
        tables = {**{table: {} for table in self.all_tables}, **self.workload.policies}
        broker = self.site.broker() if self.transport == "kafka" else None
        self._group = Group(self.site.workspace, None, list(regions), tables, transport=self.transport, broker=broker,
                            settings=SETTINGS, links=False,
                            sets={name: {table: {} for table in tables} for name, tables in self.sets.items()})
        self.sides = [Side(name, region.postgres, region.dbname) for name, region in zip(self.side_names(), self._group)]
        self._group.start_databases()
        self.prepare_tables()
        self._group.write_configurations()
        self._group.init()
        self._group.start_agents()

    def comes_back(self):
        return self.workload.back

    def pause(self):
        self._group.stop_agents()

    def resume(self):
        for region in self._group.everywhere():
            region.agent.start(wait=False)

    def pids(self):
        return {"agents": [agent.process.pid for agent in self.agents() if agent.running()]}

    def check(self):
        for agent in self.agents():
            assert agent.running(), f"the agent of {agent.region} ended:\n{agent.log_text()[-2000:]}"

    def agents(self):
        return [region.agent for region in self._group.everywhere()]

    def conflicts(self):
        return sum(region.sql(f"SELECT count(*) FROM {region.sidecar}.conflict")[0][0] for region in self._group.everywhere())

    def close(self):
        self._group.close(check=False)


class PgduetKafka(Pgduet):
    label = "pgduet, Kafka"
    transport = "kafka"

    def pids(self):
        return {**super().pids(), "broker": [self.site.broker().process.pid]}

    def topic_bytes(self):
        return sum(topic_size(self.site.broker(), topic) for topic in self._topics())

    def _topics(self):
        return [f"pgduet.{self._group.name}.{region.name}.{region.set_name}" for region in self._group.everywhere()]

    def close(self):
        super().close()
        present = self.site.broker().topics()
        for topic in self._topics():
            if topic in present:
                self.site.broker().delete_topic(topic)


class PgduetDirect(Pgduet):
    label = "pgduet, direct"
    transport = "direct"


def topic_size(broker, topic):
    """Of the only partition, compressed as it came."""
    return sum(os.path.getsize(path) for path in glob.glob(os.path.join(broker.folder, "data", f"{topic}-0", "*.log")))
