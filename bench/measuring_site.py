"""What the measurements of a run share: the temporary folder, one broker, one Kafka Connect worker. Started when first asked for."""

import contextlib

from harness import processes
from harness.kafka import KafkaBroker
from harness.workspace import Workspace

from connect.worker import ConnectWorker


class MeasuringSite:
    def __init__(self):
        self.workspace = Workspace()
        self._stack = contextlib.ExitStack()
        self._stack.callback(self.workspace.remove)
        self._stack.callback(processes.kill_all)
        self._broker = self._connect = None

    def broker(self):
        if self._broker is None:
            self._broker = KafkaBroker(self.workspace).start()
            self._stack.callback(self._broker.close)
        return self._broker

    def connect(self):
        if self._connect is None:
            self._connect = ConnectWorker(self.workspace, self.broker())
            self._stack.callback(self._connect.close)
        return self._connect

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        return self._stack.__exit__(*failure)
