"""Waiting for conditions. Timeouts are generous: they end a hanging test, they never decide a result."""

import time

PATIENCE = 90.0  # seconds; a loaded two-core machine is slow


class TimedOut(AssertionError):
    pass


def wait_until(condition, what, timeout=PATIENCE, interval=0.02):
    """Calls condition() until it returns something true, and returns that. Exceptions pass through. `what`: a text, or a function that
    gives it when the time is over."""
    deadline = time.monotonic() + timeout
    pause = interval
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            raise TimedOut(f"after {timeout:.0f} s still waiting for {what() if callable(what) else what}")
        time.sleep(pause)
        pause = min(pause * 1.3, 0.25)


def wait_until_equal(read, expected, what, timeout=PATIENCE):
    """Calls read() until it returns `expected`; the failure shows the last value."""
    seen = []

    def matches():
        seen[:] = [read()]
        return seen[0] == expected

    try:
        wait_until(matches, what, timeout)
    except TimedOut as late:
        raise TimedOut(f"{late}: expected {expected!r}, last seen {seen[0]!r}") from None
