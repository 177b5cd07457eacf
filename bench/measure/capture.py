"""Capture alone: how fast pgduet gets a backlog from the WAL to the topic, beside pg_recvlogical that throws the same stream away."""

import subprocess
import time

from harness.installation import client_programs
from harness.processes import run, user_for_servers

from .processes import Meter

_PATIENCE = 1800


def capture(system, count, transactions):
    """[bare reader's figures, pgduet's]. The system is pgduet on Kafka, not started. Both read the same WAL, one after the other.
    `transactions`: in the backlog."""
    system.start()
    system.pause()
    origin = system.origin
    publication = origin.sql("SELECT pubname FROM pg_publication WHERE pubname LIKE 'pgduet%'")[0][0]
    origin.sql("SELECT pg_create_logical_replication_slot('bare', 'pgoutput')")
    before = origin.sql("SELECT pg_current_wal_lsn()")[0][0]
    system.workload.write(system, count)
    origin.sql("CHECKPOINT")
    end = origin.sql("SELECT pg_current_wal_lsn()")[0][0]
    wal = int(origin.sql("SELECT pg_wal_lsn_diff(%s, %s)", (end, before))[0][0])
    shared = {"count": count, "wal_bytes": wal}
    return [{**shared, "reader": "bare", **_bare(system, publication, end, count)}, {**shared, "reader": "pgduet", **_agent(system, count, transactions)}]


def _bare(system, publication, end, count):
    meter, started = Meter(system), time.monotonic()
    run([f"{client_programs()}/pg_recvlogical", "-h", system.origin.cluster.socket_dir, "-p", system.origin.cluster.port, "-U", "postgres",
         "-d", system.origin.dbname, "-S", "bare", "--start", "-f", "/dev/null", "--endpos", end, "--no-loop", "-F", "0",
         "-o", "proto_version=1", "-o", f"publication_names={publication}", "-o", "messages=true"], user=user_for_servers())
    seconds = time.monotonic() - started
    return {"seconds": round(seconds, 3), "per_second": round(count / seconds, 1), **meter.stop()}


def _agent(system, count, transactions):
    agent = system.agents()[0]
    meter, started = Meter(system), time.monotonic()
    agent.start(wait=False)
    _wait_until_published(agent, 1)
    first = time.monotonic() - started
    _wait_until_published(agent, transactions)
    seconds = time.monotonic() - started
    return {"seconds": round(seconds, 3), "first_seconds": round(first, 3), "per_second": round(count / seconds, 1),
            **meter.stop(), "topic_bytes": system.topic_bytes()}


def _wait_until_published(agent, transactions):
    """Asks seldom while the end is far: each answer costs the agent and this process what the bare reader does not pay."""
    started = time.monotonic()
    while True:
        published = _published(agent)
        passed = time.monotonic() - started
        if published >= transactions:
            return
        assert agent.running() and passed < _PATIENCE, f"the backlog was not published:\n{agent.log_text()[-2000:]}"
        left = (transactions - published) * passed / published if published else 0
        time.sleep(min(max(left / 4, 0.01), 0.25))


def _published(agent):
    try:
        return agent.metric("pgduet_capture_transactions_total")
    except AssertionError:  # nobody answers yet
        return 0
