"""TCP links with faults: a userspace proxy in a process of its own, so that it does not share the tests' interpreter.

    with LinkHost() as host:
        link = host.open(target_port)      # connect to link.port instead of target_port
        link.cut()                         # connections are reset, new ones refused
        link.stall()                       # connections stay open and carry nothing
        link.heal()
        link.delay(0.05)                   # each direction
        link.bandwidth(100_000)            # bytes per second, each direction; 0: no limit

All verbs return when they are in force.
"""

import asyncio
import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time

_CHUNK = 256 * 1024


class LinkHost:
    """The proxy process. Thread-safe."""

    def __init__(self):
        self._lock = threading.Lock()
        self._process = subprocess.Popen([sys.executable, os.path.abspath(__file__)], stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, text=True, start_new_session=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def open(self, target_port, port=None):
        """A new link to 127.0.0.1:target_port, listening on `port` (the caller's to release) or on a new one."""
        return Link(self, target_port, port)

    def ask(self, **command):
        with self._lock:
            self._process.stdin.write(json.dumps(command) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        answer = json.loads(line) if line else {"error": "the link process ended"}
        if "error" in answer:
            raise RuntimeError(f"link: {answer['error']}")
        return answer

    def close(self):
        self._process.stdin.close()  # its sign to end
        self._process.wait(20)


class Link:
    def __init__(self, host, target_port, port=None):
        self._host = host
        from . import ports  # not at the top: as the proxy process this file is no part of a package

        self._owns_port = port is None
        self.port = ports.take() if port is None else port
        self._host.ask(do="open", port=self.port, target=target_port)

    def cut(self):
        self._host.ask(do="cut", port=self.port)

    def stall(self):
        self._host.ask(do="stall", port=self.port)

    def heal(self):
        """Ends cut and stall; delay and bandwidth stay."""
        self._host.ask(do="heal", port=self.port)

    def delay(self, seconds):
        self._host.ask(do="delay", port=self.port, seconds=seconds)

    def bandwidth(self, bytes_per_second):
        self._host.ask(do="bandwidth", port=self.port, rate=bytes_per_second)

    def bytes_carried(self):
        return self._host.ask(do="carried", port=self.port)["bytes"]

    def close(self):
        from . import ports

        self._host.ask(do="close", port=self.port)
        if self._owns_port:
            ports.release(self.port)


class _ProxiedPort:
    """The other side, in the proxy process."""

    def __init__(self, port, target):
        self.port, self.target = port, target
        self.delay = 0.0
        self.rate = 0
        self.carried = 0
        self.flowing = asyncio.Event()
        self.flowing.set()
        self._server = None
        self._connections = set()

    async def listen(self):
        if self._server is None:
            self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port, limit=_CHUNK)

    async def refuse(self):
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None
        for writers in list(self._connections):
            for writer in writers:
                _reset(writer)

    async def _accept(self, reader, writer):
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target, limit=_CHUNK)
        except OSError:
            writer.transport.abort()
            return
        if self._server is None:  # cut while we were connecting
            writer.transport.abort()
            far_writer.transport.abort()
            return
        pair = (writer, far_writer)
        self._connections.add(pair)
        try:
            await asyncio.gather(self._carry(reader, far_writer), self._carry(far_reader, writer))
        finally:
            self._connections.discard(pair)
            for one in pair:
                one.transport.abort() if one.transport.is_closing() else one.close()

    async def _carry(self, reader, writer):
        """One direction. Chunks wait in a short queue until they are due, so delay does not limit the rate."""
        waiting = asyncio.Queue(maxsize=64)
        delivery = asyncio.ensure_future(self._deliver(waiting, writer))
        try:
            while chunk := await reader.read(_CHUNK):
                await waiting.put((time.monotonic() + self.delay, chunk))
                if delivery.done():
                    return
            await waiting.put((time.monotonic() + self.delay, b""))
            await delivery
        except OSError:
            writer.transport.abort()
        finally:
            delivery.cancel()

    async def _deliver(self, waiting, writer):
        try:
            while True:
                due, chunk = await waiting.get()
                if (early := due - time.monotonic()) > 0:
                    await asyncio.sleep(early)
                if self.rate:
                    await asyncio.sleep(len(chunk) / self.rate)
                await self.flowing.wait()
                if not chunk:
                    writer.close()
                    return
                writer.write(chunk)
                self.carried += len(chunk)
                await writer.drain()
        except OSError:
            writer.transport.abort()


def _reset(writer):
    """Closes with RST, as a broken path does, not with FIN."""
    connection = writer.get_extra_info("socket")
    if connection is not None and connection.fileno() >= 0:  # else it is closed already
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def _handle(command, links):
    port = command["port"]
    if command["do"] == "open":
        links[port] = _ProxiedPort(port, command["target"])
        await links[port].listen()
        return {}
    link = links[port]
    if command["do"] == "cut":
        await link.refuse()
    elif command["do"] == "stall":
        link.flowing.clear()
    elif command["do"] == "heal":
        link.flowing.set()
        await link.listen()
    elif command["do"] == "delay":
        link.delay = command["seconds"]
    elif command["do"] == "bandwidth":
        link.rate = command["rate"]
    elif command["do"] == "carried":
        return {"bytes": link.carried}
    elif command["do"] == "close":
        await link.refuse()
        del links[port]
    return {}


async def _serve():
    loop = asyncio.get_running_loop()
    commands = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    links = {}
    while line := await commands.readline():
        try:
            answer = await _handle(json.loads(line), links)
        except Exception as error:  # the asking side raises it
            answer = {"error": repr(error)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    asyncio.run(_serve())
