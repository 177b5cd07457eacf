"""A PostgreSQL server with a clock of its own: libfaketime in each of its processes.

The difference to the machine's clock stands in a file that they look at each time they ask, so that it can change while they run. Only what
tells the time is changed: pauses take as long as ever.
"""

import glob
import os


class ServerClock:
    """Of a PostgresCluster that is not started yet."""

    def __init__(self, cluster, seconds_ahead=0.0):
        libraries = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
        assert libraries, "libfaketime is not installed; run ./dev setup"
        self._path = os.path.join(cluster.folder, "clock")
        self.set(seconds_ahead)
        cluster.environment.update({
            "LD_PRELOAD": libraries[0],
            "FAKETIME_TIMESTAMP_FILE": self._path,
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        })

    def set(self, seconds_ahead):
        """Negative: behind. Whole in one moment: nobody reads half of it."""
        with open(self._path + ".new", "w", encoding="ascii") as file:
            file.write(f"{seconds_ahead:+f}\n")
        os.chmod(self._path + ".new", 0o644)
        os.replace(self._path + ".new", self._path)
