"""Free loopback ports that stay ours.

Ports are taken below the kernel's range for outgoing connections, so that a server that is stopped finds its port free
when it starts again; a lock file per port keeps other test processes away for as long as this one lives.
"""

import fcntl
import os
import random
import socket

_FIRST, _LAST = 20_000, 32_000
_LOCKS = "/tmp/pgduet-ports"
_held = {}


def take():
    """Returns a port on 127.0.0.1 that nobody listens on. Give it back with release()."""
    os.makedirs(_LOCKS, exist_ok=True)
    for _ in range(1000):
        port = random.SystemRandom().randrange(_FIRST, _LAST)
        if port in _held:
            continue
        lock = _lock(port)
        if lock is None:
            continue
        if _is_free(port):
            _held[port] = lock
            return port
        os.close(lock)
    raise RuntimeError("no free port between 20000 and 32000")


def release(port):
    lock = _held.pop(port, None)
    if lock is not None:
        os.close(lock)


def _lock(port):
    try:
        lock = os.open(f"{_LOCKS}/{port}", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o666)
    except PermissionError:  # another user's
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return lock
    except BlockingIOError:
        os.close(lock)
        return None


def _is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            return True
        except OSError:
            return False
