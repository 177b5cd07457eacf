"""CPU seconds per row of a short run beside native's in the same run: printed by ./dev test, never a failure. Seconds of the clock say little on a
shared machine; CPU seconds of all processes say what a change costs."""

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

_SECONDS = 38
_LOADS = ((bulk(), 50_000), (updates(20_000), 10_000))


def main():
    """Gives up quietly when the time is over, or when something fails: tests have said what is wrong."""
    done = threading.Event()
    threading.Thread(target=_report, args=(done,), daemon=True).start()
    if not done.wait(_SECONDS):
        print("guard: no time for the rest on this machine")
    _end()


def _report(done):
    try:
        with MeasuringSite() as site:
            _ends.append(site)
            for workload, count in _LOADS:
                costs = {name: _cost(site, name, workload, count) for name in ("native", "kafka")}
                print(f"guard: {workload.name}: CPU us per {workload.unit[:-1]}: native {costs['native']:.0f}, pgduet {costs['kafka']:.0f}, "
                      f"ratio {costs['kafka'] / max(costs['native'], 0.1):.1f}", flush=True)
    except Exception as error:  # noqa: BLE001  a report never fails the run
        print(f"guard: not measured: {type(error).__name__}: {str(error)[:300]}", flush=True)
    done.set()


_ends = []


def _end():
    """Servers die with this process; their folder does not."""
    for site in _ends:
        site.end()


def _cost(site, name, workload, count):
    system = SYSTEMS[name](site, workload)
    try:
        return drain(system, count)["cpu_total"] / count * 1e6
    finally:
        system.close()


if __name__ == "__main__":
    main()
