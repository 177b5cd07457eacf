"""Commit acknowledged to visible at the other side, at a fixed rate of transactions.

A row that is seen before its writer has been told counts as 0. Looking takes time, too: that is the same for all systems (`look_ms`).
"""

import os
import time

from harness.waiting import wait_until

from workloads.workload import Workload

from .pgbench import OpenLoop
from .processes import Meter
from .quantiles import spread
from .watcher import Watcher

_TABLES = ("public.tick", "public.tock")
_CLIENTS = 8
_STEP, _RUN = 100_000_000, 1_000_000  # ids: client, run, number
_PATIENCE = 120
_RATES = (2000, 3000, 4000, 6000, 8000, 12000)


def workload(both):
    """One table for each direction, so that every system can carry it."""
    schema = "".join(f"CREATE TABLE {table} (id bigint PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp());" for table in _TABLES)
    tables = {"tables": _TABLES[:1], "tables_back": _TABLES[1:]} if both else {"tables": _TABLES}
    return Workload(name="latency", title="commit to visible", unit="transactions", schema=schema, back=both, write=None, **tables)


class LatencyRuns:
    """Several runs on one system, which is started and running."""

    def __init__(self, system, folder):
        self._system = system
        self._folder = folder
        self._run = 0
        self._ways = [(system.origin, system.targets[0], _TABLES[0])]
        if system.workload.back:
            self._ways.append((system.targets[0], system.origin, _TABLES[1]))

    def measure(self, rate, seconds):
        """`rate` transactions a second, each way."""
        self._run += 1
        base = self._run * _RUN
        meter = Meter(self._system)
        watchers = [Watcher(reader, table, _CLIENTS, _STEP, base) for _, reader, table in self._ways]
        writers = [OpenLoop(writer, f"\\set n :n + 1\nINSERT INTO {table} VALUES (:client_id * {_STEP} + :n);\n", rate, seconds,
                            os.path.join(self._folder, table), _CLIENTS, {"n": base}) for writer, _, table in self._ways]
        written = [{one.client * _STEP + base + one.number: one.ended for one in writer.transactions()} for writer in writers]
        tail = self._wait_for(written, base)
        used = meter.stop()
        took, looks = [], []
        for rows, watcher in zip(written, watchers):
            seen, look = watcher.seen()
            looks.append(look)
            took += [max(0.0, seen[number] - when) * 1000 for number, when in rows.items()]
        return {"rate": rate, "seconds": seconds, "ways": len(written), "count": len(took), "achieved": round(len(took) / len(written) / seconds, 1),
                "tail_seconds": round(tail, 3), "look_ms": max(looks), **spread(took), **used}

    def highest_sustainable(self, seconds):
        """The last rate at which the writers kept up and the rows were all there within half a second of the last commit."""
        best = None
        for rate in _RATES:
            figures = self.measure(rate, seconds)
            if figures["achieved"] < 0.95 * rate or figures["tail_seconds"] > 0.5:
                break
            best = figures
        return best

    def _wait_for(self, written, base):
        ended = time.monotonic()
        for (_, reader, table), rows in zip(self._ways, written):
            present = f"SELECT count(*) FROM {table} WHERE id % {_STEP} > {base} AND id % {_STEP} <= {base + _RUN}"
            wait_until(lambda: reader.sql(present)[0][0] >= len(rows), "the last rows to arrive", _PATIENCE)
        return time.monotonic() - ended
