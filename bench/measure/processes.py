"""CPU seconds and memory of every process that takes part in a measurement, from /proc."""

import os

from harness.processes import descendants

_TICKS = os.sysconf("SC_CLK_TCK")


class Meter:
    """CPU seconds of a system's parts between its construction and stop(). The databases' walsenders count for themselves."""

    def __init__(self, system):
        self._system = system
        self._before = self._read()

    def stop(self):
        after = self._read()
        # What started after the meter did had used nothing before. What a walsender that has ended used is the postmaster's.
        cpu = {part: round(max(0.0, after[part] - self._before.get(part, 0)), 2) for part in after}
        return {"cpu_seconds": cpu, "cpu_total": round(sum(cpu.values()), 2), "peak_rss": self._peak_rss()}

    def _read(self):
        used = {}
        for side in self._system.sides:
            postmaster = side.cluster.process.pid
            senders = [pid for pid in descendants(postmaster) if "walsender" in _title(pid)]
            sending = sum(_own_seconds(pid) for pid in senders)
            used[side.name] = _tree_seconds(postmaster) - sending
            if senders:
                used[f"{side.name} walsender"] = sending
        for part, pids in self._system.pids().items():
            used[part] = sum(map(_tree_seconds, pids))
        return used

    def _peak_rss(self):
        """{part: bytes of its largest process since that started}"""
        return {part: max(map(_peak, pids)) for part, pids in self._system.pids().items() if pids}


def _tree_seconds(pid):
    """Of the process, the children that it has waited for, and those that run."""
    return _seconds(pid, (11, 12, 13, 14)) + sum(map(_own_seconds, descendants(pid)))


def _own_seconds(pid):
    return _seconds(pid, (11, 12))


def _seconds(pid, fields):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            values = stat.read().rsplit(")", 1)[1].split()
        return sum(int(values[field]) for field in fields) / _TICKS
    except OSError:
        return 0


def _title(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as line:
            return line.read().decode("utf-8", "replace")
    except OSError:
        return ""


def _peak(pid):
    try:
        with open(f"/proc/{pid}/status") as status:
            return next((int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM")), 0)
    except OSError:
        return 0
