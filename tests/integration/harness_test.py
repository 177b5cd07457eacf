"""The harness keeps what it promises to the tests built on it."""

import contextlib
import socket
import threading
import time

import psycopg2
import pytest
from confluent_kafka import Producer

from harness import processes
from harness.link import LinkHost
from harness.postgres import PostgresCluster
from harness.waiting import TimedOut, wait_until, wait_until_equal


@pytest.fixture
def cluster(workspace):
    made = PostgresCluster(workspace, "pg")
    made.start()
    yield made
    made.close()


class TestPostgresCluster:
    def test_has_the_settings_that_pgduet_needs(self, cluster):
        assert cluster.sql("SHOW wal_level") == [("logical",)]
        assert cluster.sql("SHOW track_commit_timestamp") == [("on",)]

    def test_commit_times_are_recorded(self, cluster):
        cluster.sql("CREATE TABLE t (id int)")
        cluster.sql("INSERT INTO t VALUES (1)")
        assert cluster.sql("SELECT pg_xact_commit_timestamp(xmin) IS NOT NULL FROM t") == [(True,)]

    @pytest.mark.parametrize("end", ["fast", "immediate", "kill"])
    def test_keeps_committed_rows_over(self, cluster, end):
        cluster.sql("CREATE TABLE t (id int); INSERT INTO t VALUES (1)")
        cluster.kill() if end == "kill" else cluster.stop(end)
        assert processes.descendants(cluster.process.pid) == []
        cluster.start()
        assert cluster.sql("SELECT * FROM t") == [(1,)]

    def test_two_clusters_are_two_systems(self, cluster, workspace):
        other = PostgresCluster(workspace, "other").start()
        try:
            identifier = "SELECT system_identifier FROM pg_control_system()"
            assert cluster.sql(identifier) != other.sql(identifier)
        finally:
            other.close()

    def test_decodes_its_wal(self, cluster):
        cluster.sql("SELECT pg_create_logical_replication_slot('s', 'test_decoding')")
        cluster.sql("CREATE TABLE t (id int); INSERT INTO t VALUES (42)")
        changes = cluster.sql("SELECT data FROM pg_logical_slot_get_changes('s', NULL, NULL)")
        assert any("42" in data for data, in changes)

    def test_databases_have_their_encoding(self, cluster):
        cluster.create_database("latin", encoding="LATIN1", locale="C")
        assert cluster.sql("SHOW server_encoding", dbname="latin") == [("LATIN1",)]

    def test_settings_can_be_changed(self, cluster):
        cluster.set(work_mem="7MB")
        cluster.reload()
        wait_until_equal(lambda: cluster.sql("SHOW work_mem"), [("7MB",)], "the new setting")


class TestKafkaBroker:
    def test_keeps_acknowledged_records_over_stop_and_kill(self, own_broker):
        own_broker.create_topic("t")
        own_broker.produce("t", [b"one"])
        own_broker.restart()
        own_broker.produce("t", [b"two"])
        own_broker.kill()
        own_broker.start()
        assert [message.value() for message in own_broker.consume("t")] == [b"one", b"two"]

    def test_deletes_topics(self, shared_broker):
        shared_broker.create_topic("short-lived")
        assert "short-lived" in shared_broker.topics()
        shared_broker.delete_topic("short-lived")
        assert "short-lived" not in shared_broker.topics()

    def test_a_client_on_a_link_goes_through_the_link_only(self, shared_broker, link_host):
        shared_broker.create_topic("linked")
        link = shared_broker.take_link(link_host)
        outcomes = []
        producer = Producer({"bootstrap.servers": f"127.0.0.1:{link.port}", "message.timeout.ms": 1500, "log_level": 0,
                             "reconnect.backoff.max.ms": 500})
        produce = lambda value: (producer.produce("linked", value, on_delivery=lambda e, _: outcomes.append(e)),
                                 producer.flush(60))
        try:
            produce(b"open")
            link.cut()
            produce(b"cut")
            link.heal()
            wait_until(lambda: produce(b"healed") and outcomes[-1] is None, "the healed link to carry records")
        finally:
            shared_broker.release_link(link)
        assert outcomes[0] is None and outcomes[1] is not None
        values = [message.value() for message in shared_broker.consume("linked")]
        assert (values[0], values[-1]) == (b"open", b"healed") and b"cut" not in values


class _Echo:
    """A server that sends back what it gets."""

    def __init__(self):
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            connection, _ = self.server.accept()
            threading.Thread(target=self._echo, args=(connection,), daemon=True).start()

    def _echo(self, connection):
        with connection, contextlib.suppress(ConnectionResetError):
            while data := connection.recv(65536):
                connection.sendall(data)


@pytest.fixture
def echo_link():
    with LinkHost() as host:
        link = host.open(_Echo().port)
        yield link
        link.close()


def _exchange(connection, data):
    connection.sendall(data)
    received = b""
    while len(received) < len(data):
        received += connection.recv(65536) or pytest.fail("closed")
    return received


class TestLink:
    def test_carries_bytes_both_ways(self, echo_link):
        with socket.create_connection(("127.0.0.1", echo_link.port)) as connection:
            assert _exchange(connection, b"x" * 50_000) == b"x" * 50_000
        assert echo_link.bytes_carried() == 100_000

    def test_cut_resets_connections_and_refuses_new_ones(self, echo_link):
        with socket.create_connection(("127.0.0.1", echo_link.port)) as connection:
            _exchange(connection, b"x")
            echo_link.cut()
            with pytest.raises(ConnectionResetError):
                assert connection.recv(1) != b"", "closed, not reset"
                raise AssertionError
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", echo_link.port))
        echo_link.heal()
        with socket.create_connection(("127.0.0.1", echo_link.port)) as connection:
            assert _exchange(connection, b"y") == b"y"

    def test_stall_holds_bytes_back_until_healed(self, echo_link):
        with socket.create_connection(("127.0.0.1", echo_link.port)) as connection:
            _exchange(connection, b"x")
            echo_link.stall()
            connection.sendall(b"late")
            connection.settimeout(0.3)
            with pytest.raises(TimeoutError):
                connection.recv(4)
            echo_link.heal()
            connection.settimeout(60)
            assert connection.recv(4) == b"late"

    def test_delay_holds_each_direction(self, echo_link):
        with socket.create_connection(("127.0.0.1", echo_link.port)) as connection:
            _exchange(connection, b"x")
            echo_link.delay(0.1)
            started = time.monotonic()
            _exchange(connection, b"y")
            assert time.monotonic() - started >= 0.2

    def test_bandwidth_limits_the_rate(self, echo_link):
        with socket.create_connection(("127.0.0.1", echo_link.port)) as connection:
            echo_link.bandwidth(1_000_000)
            started = time.monotonic()
            _exchange(connection, b"x" * 300_000)
            assert time.monotonic() - started >= 0.3

    def test_carries_postgres(self, cluster, link_host):
        link = link_host.open(cluster.port)
        connection = psycopg2.connect(cluster.conninfo(host="127.0.0.1", port=link.port))
        link.cut()
        with pytest.raises(psycopg2.OperationalError):
            connection.cursor().execute("SELECT 1")
        link.close()


def test_waiting_gives_up_with_the_reason():
    with pytest.raises(TimedOut, match="still waiting for nothing.*expected 1, last seen 2"):
        wait_until_equal(lambda: 2, 1, "nothing", timeout=0.05)
