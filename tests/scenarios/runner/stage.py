"""Plays a scenario's steps against a running group. One method for each verb of scenario.py."""

import concurrent.futures

from harness.waiting import wait_until

_WAITS_FOR_LOCK = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND "


class Stage:
    """Holds what lasts over several steps: open sessions, counters as they were before. Use as a context."""

    def __init__(self, group, scenario):
        self._group = group
        self._scenario = scenario
        self._sessions = {}  # name: connection
        self._blocked = {}  # name: the statement that runs in the background
        self._background = concurrent.futures.ThreadPoolExecutor()
        self._retries = {}  # (region, reason): count before the first step
        self._told = {}  # (region, error): stops that its agent had logged before, and since

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for connection in self._sessions.values():
            connection.cancel()
        self._background.shutdown()
        for connection in self._sessions.values():
            connection.close()
        self.flow()

    def play(self):
        """All steps, then until everything is in effect everywhere and every agent has seen its own part of it."""
        self._remember()
        for step in self._scenario.steps:
            arguments = {key: value for key, value in step.arguments.items() if value is not None}
            if step.statements:
                arguments["statements"] = step.statements
            try:
                getattr(self, step.verb)(**arguments)
            except AssertionError as failure:
                raise AssertionError(f"{self._scenario.name}/steps.sql:{step.line}: {failure}") from failure
        # Twice: the second round's markers had seen the first's, and are applied only where the own decoder is past those.
        self.wait()
        self.wait()

    def _remember(self):
        for error in self._scenario.stops:
            self._group.expect_errors(error)
        for step in self._scenario.steps:
            if step.verb == "retries":
                self._retries[step.arguments["region"], step.arguments["reason"]] = self._retries_now(**step.arguments)
            if step.verb == "stops":
                self._told[step.arguments["region"], step.arguments["error"]] = self._told_now(**step.arguments)

    # SQL.

    def sql(self, region, statements):
        connection = self._connect(region)
        try:
            self._run(connection, statements)
        finally:
            connection.close()

    def session(self, name, region, statements):
        if name in self._blocked:
            self._blocked.pop(name).result()
        self._run(self._session(name, region), statements)

    def blocked_session(self, name, region, statements):
        connection = self._session(name, region)
        self._blocked[name] = self._background.submit(self._run, connection, statements)
        process = connection.info.backend_pid
        wait_until(lambda: self._group[region].sql(f"{_WAITS_FOR_LOCK} pid = {process}"), f"session {name} to wait for a lock")

    def true(self, region, statements):
        connection = self._connect(region)
        try:
            with connection.cursor() as cursor:
                cursor.execute(statements[0])
                answer = cursor.fetchall()
        finally:
            connection.close()
        assert answer == [(True,)], f"at {region}, {statements[0]} gives {answer}"

    # What travels.

    def pause(self, origin=None, reader=None):
        for link in self._links(origin, reader):
            link.cut()

    def flow(self, origin=None, reader=None):
        for link in self._links(origin, reader):
            link.heal()

    def wait(self, origin=None, reader=None):
        if origin is None:
            self._group.wait_converged()
        else:
            self._group.wait_for_markers(self._group.mark([origin]), regions=[reader])

    def resend(self, region):
        """What the region has written comes to the others once more."""
        if self._group.transport == "kafka":
            topic = self._group.topics[region]
            self._group.broker.produce(topic, [message.value() for message in self._group.broker.consume(topic)])
            return
        for reader in self._group:  # the server sends again what a reader that was killed had not confirmed
            if reader.name != region:
                reader.agent.kill()
                reader.agent.start()

    # What agents do.

    def stops(self, error, region):
        """Each stop is told once more in the log; the metric says that it lasts."""
        self._told[region, error] += 1
        wait_until(lambda: self._told_now(error, region) >= self._told[region, error], f"the agent of {region} to log {error}")
        self._group[region].agent.wait_for_stream_error(error)

    def holds(self, reader, origin):
        def state():
            return {stream["name"]: stream["state"] for stream in self._group[reader].agent.status()["streams"]}
        wait_until(lambda: state()[origin] == "holding", f"{reader} to hold back what comes from {origin}")

    def apply_blocked(self, region):
        wait_until(lambda: self._group[region].sql(f"{_WAITS_FOR_LOCK} usename = 'pgduet'"), f"apply at {region} to wait for a lock")

    def retries(self, region, reason):
        before = self._retries[region, reason]
        wait_until(lambda: self._retries_now(region, reason) > before, f"the agent of {region} to try again because of {reason}")

    def init(self, region):
        self._group[region].pgduet("init")

    # Servers.

    def crash(self, region):
        self.down(region)
        self.up(region)

    def down(self, region):
        self._group[region].postgres.stop("immediate")

    def up(self, region):
        self._group[region].postgres.start()

    def _connect(self, region):
        connection = self._group[region].connect()
        with connection.cursor() as cursor:
            cursor.execute(f"SET search_path = {self._scenario.name}")
        return connection

    def _session(self, name, region):
        if name not in self._sessions:
            self._sessions[name] = self._connect(region)
        return self._sessions[name]

    @staticmethod
    def _run(connection, statements):
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def _links(self, origin, reader):
        return [self._group.link(r, o) for r in self._group.regions for o in self._group.regions
                if r != o and origin in (None, o) and reader in (None, r)]

    def _told_now(self, error, region):
        return sum(name == error for name, _ in self._group[region].agent.error_lines())

    def _retries_now(self, region, reason):
        return self._group[region].agent.metric("pgduet_apply_retries_total", reason=reason)
