"""Debezium's PostgreSQL connector to Kafka, and its JDBC sink from there: both in one Kafka Connect worker.

JSON with schemas, as it comes without a schema registry. One task each: a slot has one reader, and the order of a table's rows has to stay.
All tables go to one topic, so that the row which is written last arrives last.
"""

from harness.waiting import wait_until

from .native import active_slots
from .pgduet import topic_size
from .system import DONE, System


class Debezium(System):
    label = "Debezium, JDBC sink"
    share = 0.1
    quick_workloads = ("bulk", "updates", "tpcb")
    most_regions = 2
    both_ways = False
    keeps_order_of_tables = False

    def start(self):
        self.make_clusters()
        self.start_clusters()
        self._prefix = f"d{self.origin.cluster.port}"
        self._tables = [*self.workload.tables, DONE]
        self._topic = f"{self._prefix}.all"
        self.origin.sql("CREATE PUBLICATION bench FOR TABLE " + ", ".join(self._tables))
        self.site.broker().create_topic(self._topic)
        self._connectors = {f"{self._prefix}-source": self._source(), f"{self._prefix}-sink": self._sink()}
        for name, settings in self._connectors.items():
            self.site.connect().create(name, settings)
            self.site.connect().wait_running(name)
        wait_until(lambda: active_slots(self.origin) == 1, "the source to stream")

    def _source(self):
        return {
            "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
            "database.hostname": "127.0.0.1", "database.port": self.origin.cluster.port, "database.user": "postgres",
            "database.password": "none", "database.dbname": self.origin.dbname,
            "topic.prefix": self._prefix, "plugin.name": "pgoutput", "slot.name": "debezium", "publication.name": "bench",
            "publication.autocreate.mode": "disabled", "snapshot.mode": "no_data", "table.include.list": ",".join(self._tables),
            "max.batch.size": 3000, "max.queue.size": 12000, "tombstones.on.delete": "false", "transforms": "one",
            "transforms.one.type": "org.apache.kafka.connect.transforms.RegexRouter", "transforms.one.regex": f"{self._prefix}\\..*",
            "transforms.one.replacement": self._topic,
        }

    def _sink(self):
        return {
            "connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector", "tasks.max": 1, "topics": self._topic,
            "connection.url": f"jdbc:postgresql://127.0.0.1:{self.targets[0].cluster.port}/{self.targets[0].dbname}",
            "connection.username": "postgres", "connection.password": "none",
            "insert.mode": "upsert", "delete.enabled": "true", "primary.key.mode": "record_key", "schema.evolution": "none",
            "collection.name.format": "${source.schema}.${source.table}",
            # An UNNEST upsert may name a key once only: the buffer keeps the newest state of each.
            "batch.size": 3000, "use.reduction.buffer": "true", "dialect.postgres.unnest.insert.enabled": "true",
        }

    def pause(self):
        for name in self._connectors:
            self.site.connect().stop(name)
        wait_until(lambda: active_slots(self.origin) == 0, "the slot to be free")

    def resume(self):
        """The sink first, and each runs before the next is told: two changes of state at once bring the standalone worker to a deadlock
        (Kafka 4.1.1: StandaloneHerder against MemoryConfigBackingStore, seen in a thread dump)."""
        for name in reversed(self._connectors):
            self.site.connect().resume(name)
            self.site.connect().wait_running(name)

    def check(self):
        for name in self._connectors:
            self.site.connect().check(name)

    def pids(self):
        return {"connect": [self.site.connect().process.pid], "broker": [self.site.broker().process.pid]}

    def topic_bytes(self):
        return topic_size(self.site.broker(), self._topic)

    def close(self):
        try:
            for name in getattr(self, "_connectors", []):
                self.site.connect().delete(name)
        except (OSError, RuntimeError):
            self.site.drop_connect()
        self.close_clusters()
        if hasattr(self, "_topic"):
            self.site.broker().delete_topic(self._topic)
