"""What the measurements of a run share: the temporary folder, one broker, one Kafka Connect worker. Started when first asked for."""

import contextlib

from harness import processes
from harness.kafka import KafkaBroker
from harness.workspace import Workspace

from connect.worker import ConnectWorker
from measure.warm_up import warm_up


class MeasuringSite:
    def __init__(self, steady=True):
        """steady: the broker is as users' are, and warmed up until it compiles nothing more. For a run of seconds that is too much."""
        self._steady = steady
        self.workspace = Workspace()
        self._stack = contextlib.ExitStack()
        self._stack.callback(self.workspace.remove)
        self._stack.callback(processes.kill_all)
        self._broker = self._connect = None
        self._stack.callback(self.drop_connect)

    def broker(self):
        if self._broker is None:
            self._broker = KafkaBroker(self.workspace, quick_start=not self._steady).start()
            self._stack.callback(self._broker.close)
            warm_up(self._broker, rounds=6 if self._steady else 1)
        return self._broker

    def connect(self):
        if self._connect is None:
            self._connect = ConnectWorker(self.workspace, self.broker())
        return self._connect

    def drop_connect(self):
        """The next one who asks gets a new worker. One that does not answer any more is killed."""
        if self._connect is not None:
            self._connect.close()
            self._connect = None

    def end(self):
        """At once, from any thread, when nobody waits for the measurement any more."""
        processes.kill_all()
        self.workspace.remove()

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        return self._stack.__exit__(*failure)
