"""Real servers for black-box tests of pgduet: PostgreSQL, Kafka, Prometheus, agents, and links that can be cut.

What a test usually needs is one fixture of fixtures.py:

    def test_a_row_travels(make_group):
        group = make_group(["a", "b"], schema="CREATE TABLE t (id int PRIMARY KEY, v text)", tables=["public.t"])
        group["a"].sql("INSERT INTO t VALUES (1, 'x')")
        group.wait_converged()
        assert group["b"].rows("t") == [(1, "x")]

`make_group` runs once for each transport (kafka, direct); it starts one PostgreSQL cluster per region (slots,
origins and commit timestamps are per cluster), runs the schema everywhere, `pgduet init` everywhere, then the agents.
`group_on("kafka")` is the same for one transport only.

    group["a"]                  Region: .sql(), .connect(), .rows(), .transaction(), .conflicts(), .postgres, .agent, .pgduet()
    group.wait_converged()      writes a marker row in each region and waits until every region sees all of them
    group.assert_equal("t")     the table's rows are the same in every region, else a readable difference
    group.link("b", "a")        the link over which b's agent reads region a: .cut() .heal() .delay(s) .bandwidth(bytes/s)
    group.paused("a", "b")      context: what a writes does not reach b (and group.paused() : nothing reaches anybody)
    group.write_late({...})     runs SQL in each region while all links are cut, so that all local commits come first
    group["a"].agent            Agent: .stop() .kill() .start() .wait_ready() .status() .metrics() .log_lines()
    group["a"].postgres         PostgresCluster: .stop("immediate") .kill() .start() .restart() .connect()
    group.sets["orders"]        a further set of tables (sets={"orders": {...}}): ["a"], wait_converged(), assert_equal() as of a group
    group.broker                KafkaBroker: .kill() .stop() .start() .create_topic() .produce() .consume()

The shared broker (fixture `shared_broker`) lives as long as the session; a group's name is unique, so its topics are
too. A test that stops or kills its broker asks for its own: `make_group(..., broker=own_broker)`.

Rules: no sleeps. Wait for conditions with waiting.wait_until. A line of level ERROR in an agent's log fails the test when
the group is closed; a test that provokes one says `group.expect_errors("slot_missing")` (names of errors), or
`group.expect_errors()` for any. Everything listens on 127.0.0.1 or on Unix sockets. Ports come from ports.py, which
keeps test runs in parallel apart. All processes die with the test process (PR_SET_PDEATHSIG), so nothing is left behind.

Files: processes.py (start, stop, kill, log), ports.py, waiting.py, fixtures.py, postgres.py, installation.py (which version), kafka.py, link.py (fault proxy),
agent.py, group.py (the fixture's object), convergence.py (markers, comparison), clients.py (random writers), configuration.py (the YAML), conflict_log.py, prometheus.py, workspace.py (temporary folders).
Environment: PGDUET_BINARY (default build/dev/pgduet), PGDUET_KEEP=1 keeps the temporary folders,
PGDUET_POSTGRES (a major version, default: the one that is installed; installation.py), PGDUET_SEED (random workloads).
"""
