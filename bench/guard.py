"""CPU seconds per row of a short run beside native's in the same run: printed by ./dev test, never a failure. Seconds of the clock say little on a
shared machine; CPU seconds of all processes say what a change costs."""

import os
import pathlib
import sys
import threading

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests/integration"), str(ROOT / "bench")]

from measure.drain import drain  # noqa: E402
from measuring_site import MeasuringSite  # noqa: E402
from peers import SYSTEMS  # noqa: E402
from workloads.inserts import bulk  # noqa: E402
from workloads.updates import updates  # noqa: E402
from workloads.workload import Workload  # noqa: E402

_SECONDS = 37
_ROWS, _UPDATES = 50_000, 10_000


def main():
    """Gives up when the time is over, or when something fails: tests have said what is wrong."""
    site, done = MeasuringSite(steady=False), threading.Event()
    threading.Thread(target=_report, args=(site, done), daemon=True).start()
    if not done.wait(_SECONDS):
        print("guard: no time for it on this machine", flush=True)
    site.end()
    os._exit(0)  # whatever the other thread is at


def _report(site, done):
    try:
        native, ours = (_cost(site, name) for name in ("native", "kafka"))
        print(f"guard: CPU us per change, all processes: native {native:.1f}, pgduet through Kafka {ours:.1f}, ratio {ours / native:.2f}", flush=True)
    except Exception as error:  # noqa: BLE001  a report never fails the run
        print(f"guard: not measured: {type(error).__name__}: {str(error)[:300]}", flush=True)
    done.set()


def _load():
    """Inserts in 1,000-row transactions, then single-row updates: one system start for both."""
    rows, changes = bulk(), updates(20_000)

    def write(system, _):
        rows.write(system, _ROWS)
        changes.write(system, _UPDATES)

    return Workload(name="guard", title="inserts and updates", unit="changes", schema=rows.schema + changes.schema,
                    tables=rows.tables + changes.tables, seed=changes.seed, write=write)


def _cost(site, name):
    system = SYSTEMS[name](site, _load())
    try:
        count = _ROWS + _UPDATES
        return drain(system, count)["cpu_total"] / count * 1e6
    finally:
        system.close()


if __name__ == "__main__":
    main()
