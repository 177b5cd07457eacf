"""A real Kafka broker in KRaft mode, one node, kept in one folder over restarts.

Links: a Kafka client goes where the broker's metadata sends it, so a proxy must be named there. The broker therefore has
a number of spare listeners, each advertised at a port of its own on which a proxy may be opened: `take_link(host)` gives such
a link, `release_link` returns it. `brokers` is the address without proxy.
"""

import base64
import glob
import os
import secrets
import subprocess
import threading

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from . import ports
from .processes import ChildProcess, find_program, run, user_for_servers
from .waiting import PATIENCE, wait_until
from .workspace import give_to_servers

_ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../../.."))
_SPARE_LISTENERS = 16


def _jars():
    subprocess.run([os.path.join(_ROOT, "tests/fetch_kafka.sh")], check=True)
    libs = os.path.join(_ROOT, ".cache/kafka/libs")
    assert glob.glob(f"{libs}/kafka-server-*.jar"), f"no Kafka jars in {libs}"
    return libs


_QUICK = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
# What Kafka's own scripts say (KAFKA_HEAP_OPTS, KAFKA_JVM_PERFORMANCE_OPTS).
_AS_KAFKA_STARTS_IT = ("-Xmx1g", "-Xms1g", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-XX:InitiatingHeapOccupancyPercent=35", "-XX:+ExplicitGCInvokesConcurrent")


class KafkaBroker:
    """Not started by the constructor. `settings` adds to server.properties. quick_start: compiles no further than tests of seconds need;
    a broker that is measured does without, as users' brokers do."""

    def __init__(self, workspace, name="kafka", settings=None, quick_start=True):
        self.name = name
        self.folder = workspace.folder(name)
        self.log_path = os.path.join(self.folder, "kafka.log")
        self.process = None
        self._jvm = _QUICK if quick_start else _AS_KAFKA_STARTS_IT
        self._classpath = f"{_jars()}/*"
        self._port, self._controller_port = ports.take(), ports.take()
        self._listeners = [(f"LINK{i}", ports.take(), ports.take()) for i in range(_SPARE_LISTENERS)]
        self._free_listeners = list(self._listeners)
        self._lock = threading.Lock()
        self._admin = None
        self._write_configuration(settings or {})
        run([*self._java(), "kafka.tools.StorageTool", "format", "-t", _cluster_id(), "-c", self._properties],
            user=user_for_servers())

    @property
    def brokers(self):
        return f"127.0.0.1:{self._port}"

    def start(self, wait=True):
        assert self.process is None or not self.process.running(), f"{self.name} runs already"
        self.process = ChildProcess(self.name, [*self._java(), "kafka.Kafka", self._properties],
                                    self.log_path, user=user_for_servers())
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self):
        def answers():
            assert self.process.running(), f"{self.name} ended; its log is {self.log_path}"
            try:
                return self.admin.list_topics(timeout=1).brokers
            except KafkaException:
                return False
        wait_until(answers, f"{self.name} to answer")

    def stop(self):
        if self.process is not None and self.process.running():
            self.process.stop()

    def kill(self):
        if self.process is not None:
            self.process.kill()

    def restart(self):
        self.stop()
        self.start()

    def close(self):
        if self.process is not None and self.process.running():
            self.process.kill()
        self._admin = None
        for port in [self._port, self._controller_port]:
            ports.release(port)
        for _, port, advertised in self._listeners:
            ports.release(port)
            ports.release(advertised)

    # Links.

    def take_link(self, host):
        """A link of `host` (LinkHost) to this broker; clients bootstrap at 127.0.0.1:link.port."""
        with self._lock:
            assert self._free_listeners, f"all {_SPARE_LISTENERS} listeners for links are taken"
            name, port, advertised = self._free_listeners.pop()
        link = host.open(port, advertised)
        link.listener = (name, port, advertised)
        return link

    def release_link(self, link):
        link.close()
        with self._lock:
            self._free_listeners.append(link.listener)

    # Topics and raw records.

    @property
    def admin(self):
        if self._admin is None:
            self._admin = AdminClient({"bootstrap.servers": self.brokers, "log_level": 0})
        return self._admin

    def topics(self):
        return sorted(name for name in self.admin.list_topics(timeout=PATIENCE).topics if not name.startswith("__"))

    def create_topic(self, name, partitions=1, config=None):
        made = self.admin.create_topics([NewTopic(name, partitions, 1, config=config or {})])
        made[name].result(PATIENCE)

    def delete_topic(self, name):
        self.admin.delete_topics([name])[name].result(PATIENCE)
        wait_until(lambda: name not in self.topics(), f"topic {name} to be gone")

    def produce(self, topic, values, partition=0):
        """Appends raw records (bytes); returns when all are acknowledged."""
        failures = []
        producer = Producer({"bootstrap.servers": self.brokers, "acks": "all", "message.max.bytes": 20_000_000})
        for value in values:
            producer.produce(topic, value, partition=partition,
                             on_delivery=lambda error, _: error and failures.append(error))
        left = producer.flush(PATIENCE)
        assert left == 0 and not failures, f"produce to {topic}: {left} not acknowledged, {failures}"

    def end_offset(self, topic, partition=0):
        consumer = self._consumer()
        try:
            return consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=PATIENCE)[1]
        finally:
            consumer.close()

    def consume(self, topic, partition=0, start=0, end=None):
        """All raw records from offset `start` to the present end (or `end`): list of confluent_kafka.Message."""
        end = self.end_offset(topic, partition) if end is None else end
        consumer = self._consumer()
        messages = []
        try:
            consumer.assign([TopicPartition(topic, partition, start)])
            while start < end:
                message = consumer.poll(PATIENCE)
                assert message is not None, f"no record of {topic} came at offset {start} of {end}"
                if message.error():
                    if message.error().name() == "_PARTITION_EOF":
                        break
                    raise KafkaException(message.error())
                start = message.offset() + 1
                messages.append(message)
        finally:
            consumer.close()
        return messages

    def _consumer(self):
        return Consumer({"bootstrap.servers": self.brokers, "group.id": "test", "enable.auto.commit": False,
                         "auto.offset.reset": "error", "enable.partition.eof": True,
                         "fetch.message.max.bytes": 20_000_000, "isolation.level": "read_uncommitted"})

    # The server's own.

    def _java(self):
        return [find_program("java"), *self._jvm,
                f"-Dlog4j2.configurationFile={self._log_configuration}", "-cp", self._classpath]

    def _write_configuration(self, settings):
        self._properties = os.path.join(self.folder, "server.properties")
        self._log_configuration = os.path.join(self.folder, "log4j2.properties")
        links = self._listeners
        names = ["PLAIN", *(name for name, _, _ in links)]
        listeners = [f"PLAIN://127.0.0.1:{self._port}", f"CONTROLLER://127.0.0.1:{self._controller_port}"]
        advertised = [listeners[0]]
        listeners += [f"{name}://127.0.0.1:{port}" for name, port, _ in links]
        advertised += [f"{name}://127.0.0.1:{port}" for name, _, port in links]
        properties = {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@127.0.0.1:{self._controller_port}",
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAIN",
            "listeners": ",".join(listeners),
            "advertised.listeners": ",".join(advertised),
            "listener.security.protocol.map": ",".join(f"{name}:PLAINTEXT" for name in [*names, "CONTROLLER"]),
            "log.dirs": os.path.join(self.folder, "data"),
            "num.network.threads": 1,
            "num.io.threads": 4,
            "num.partitions": 1,
            "auto.create.topics.enable": "false",
            "offsets.topic.replication.factor": 1,
            "offsets.topic.num.partitions": 1,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            # A killed broker may register again when its old session has ended.
            "broker.session.timeout.ms": 3000,
            "broker.heartbeat.interval.ms": 500,
            "group.initial.rebalance.delay.ms": 0,
            **settings,
        }
        _write(self._properties, "".join(f"{key}={value}\n" for key, value in properties.items()))
        _write(self._log_configuration, _LOG_CONFIGURATION)


# To the standard output, warnings only: for any of Kafka's programs.
CONSOLE_LOG = """\
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d %p %c{1} %m%n
rootLogger.level = WARN
rootLogger.appenderRef.console.ref = console
"""
_LOG_CONFIGURATION = CONSOLE_LOG + """\
logger.server.name = kafka.server.KafkaRaftServer
logger.server.level = INFO
"""


def _cluster_id():
    return base64.urlsafe_b64encode(b"\x01" + secrets.token_bytes(15)).decode().rstrip("=")


def _write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    give_to_servers(path)
