"""pgduet beside what else carries rows between two PostgreSQL databases, in one run on one machine.

    ./dev bench                                   everything, three rounds: hours
    ./dev bench --quick                           the core workloads, once, short backlogs: under ten minutes
    ./dev bench --peer native --workload updates --rounds 5
    bench/make_document.py build/bench/results.json   the document of a run, with its plots: docs/performance.md

A workload's backlog is written while replication is paused; the clock runs from the moment it is let go until its last row is visible at
the other side. Then the rows of both sides are compared. All systems are measured one after another in each round, on fresh clusters with
fsync on, and only the ratios within a run mean something. CPU seconds count every process that takes part.
"""

import argparse
import os
import pathlib
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests/integration"), str(ROOT / "bench")]

import console  # noqa: E402
from measure.machine import machine  # noqa: E402
from measuring_site import MeasuringSite  # noqa: E402
from peers import OURS, PEERS  # noqa: E402
from plan import SPECIAL, Plan  # noqa: E402
from results import Results  # noqa: E402
from workloads import CATALOGUE  # noqa: E402
from workloads.growth import CURVES  # noqa: E402

_QUICK_SECONDS = 9 * 60


def main():
    options = parse_options()
    if options.postgres:
        os.environ["PGDUET_POSTGRES"] = options.postgres
    plan = Plan(options)
    started = time.monotonic()
    with MeasuringSite() as site:
        results = Results(options.json, machine(site.workspace), vars(options))
        for step in plan.steps():
            console.begin(step)
            try:
                figures = step.run(site)
            except Exception as error:  # noqa: BLE001  the others are still worth having; the failure stands in the results
                results.fail(step.title, error)
                console.failed(step, error)
                continue
            for one in figures if isinstance(figures, list) else [figures]:
                results.add(step.kind, one)
                console.end(one)
            if options.quick and time.monotonic() - started > _QUICK_SECONDS:
                results.fail("the rest", TimeoutError("--quick ends here: the machine is slow or busy"))
                break
    console.report(results.data)
    print(f"\nall figures: {options.json}")
    return 1 if results.data["failures"] else 0


def parse_options(arguments=None):
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", default=",".join(PEERS), help="what to compare with, with commas, or none (default: %(default)s)")
    parser.add_argument("--transport", default=",".join(OURS), help="pgduet's transports (default: %(default)s)")
    parser.add_argument("--workload", help="with commas (default: all, or with --quick the core): " + ", ".join((*CATALOGUE, *SPECIAL)))
    parser.add_argument("--curve", help="of the workload growth, with commas (default: all): " + ", ".join(CURVES))
    parser.add_argument("--quick", action="store_true", help="short backlogs, one round")
    parser.add_argument("--rounds", type=int, help="default 3; with --quick 1")
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies every backlog")
    parser.add_argument("--postgres", help="a major version that tests/fetch_postgres.py has (default: the one that is installed); without pglogical")
    parser.add_argument("--json", default=str(ROOT / "build/bench/results.json"), help="default: %(default)s")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
