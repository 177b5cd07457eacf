"""Bytes that servers sent and received over TCP, as the kernel counts them for each connection (ss).

Unix sockets are not counted by anybody: what native logical replication sends over one is what it sends over TCP.
"""

import re
import subprocess


class Traffic:
    """Of these ports, between construction and stop(): {name: {"sent": bytes, "received": bytes}}. Connections that have ended by then
    are not seen; those of replication last."""

    def __init__(self, ports):
        self._ports = ports
        self._before = {name: _connections(port) for name, port in ports.items()}

    def stop(self):
        return {name: self._difference(name, port) for name, port in self._ports.items()}

    def _difference(self, name, port):
        now, before = _connections(port), self._before[name]
        count = {way: sum(now[peer][way] - before.get(peer, {}).get(way, 0) for peer in now) for way in ("sent", "received")}
        return {way: max(0, size) for way, size in count.items()}


def _connections(port):
    """{address of the client: {"sent": bytes, "received": bytes}}"""
    shown = subprocess.run(["ss", "-tniHO", f"sport = :{port}"], capture_output=True, text=True, check=False).stdout
    found = {}
    for line in shown.splitlines():
        words = line.split()
        if len(words) > 4 and words[0] == "ESTAB":
            found[words[4]] = {"sent": _number(line, "bytes_sent"), "received": _number(line, "bytes_received")}
    return found


def _number(line, name):
    match = re.search(rf"\b{name}:(\d+)", line)
    return int(match.group(1)) if match else 0
