"""pgduet beside PostgreSQL's own logical replication, in one run on one machine.

    ./dev bench [--quick] [--only native,direct,kafka] [--json FILE]

Three workloads, for each system on fresh clusters with fsync on and over Unix sockets:
  inserts   drain a backlog of inserted rows in 1,000-row transactions
  updates   drain a backlog of single-row update transactions
  latency   commit to visible at the other side, at 200 transactions per second
The backlog is written while replication is paused; the clock runs from the moment it is let go until the last row is visible.
Only the ratios of one run mean something: the machine and its other work are the same for all.
CPU seconds are those of the drain, per component; RSS is the agents' peak.
"""

import argparse
import contextlib
import json
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests/integration"), str(ROOT / "bench")]

from harness import processes  # noqa: E402
from harness.kafka import KafkaBroker  # noqa: E402
from harness.workspace import Workspace  # noqa: E402

from systems import Native, Pgduet  # noqa: E402
from workloads import Sizes, drain_inserts, drain_updates, latency  # noqa: E402

FULL = Sizes(rows=1_000_000, updates=200_000, seconds=30)
QUICK = Sizes(rows=100_000, updates=20_000, seconds=5)


def main():
    options = _options()
    sizes = QUICK if options.quick else FULL
    results = {}
    workspace = Workspace()
    try:
        for name in options.only.split(","):
            results[name] = measure(name, workspace, sizes)
    finally:
        processes.kill_all()
        workspace.remove()
    report(results, sizes)
    path = pathlib.Path(options.json)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"sizes": sizes.__dict__, "results": results}, indent=2) + "\n")
    print(f"\nall figures: {path}")


def measure(name, workspace, sizes):
    """{workload: figures} of one system."""
    figures = {}
    with contextlib.ExitStack() as stack:
        broker = None
        if name == "kafka":
            broker = KafkaBroker(workspace).start()
            stack.callback(broker.close)
        for workload in (drain_inserts, drain_updates, latency):
            print(f"{name}: {workload.__name__} ...", file=sys.stderr, flush=True)
            system = Native(workspace) if name == "native" else Pgduet(workspace, name, broker)
            try:
                system.start()
                figures[workload.__name__] = workload(system, sizes)
            finally:
                system.close()
    return figures


def report(results, sizes):
    base = results.get("native")
    for workload, unit in (("drain_inserts", f"{sizes.rows:,} rows"), ("drain_updates", f"{sizes.updates:,} transactions")):
        print(f"\n{workload}: {unit}")
        print(f"{'':10}{'seconds':>10}{'per second':>14}{'x native':>10}{'peak RSS':>12}  CPU seconds")
        for name, figures in results.items():
            row = figures[workload]
            ratio = f"{base[workload]['seconds'] / row['seconds']:.2f}" if base else "-"
            print(f"{name:10}{row['seconds']:>10.2f}{row['per_second']:>14,.0f}{ratio:>10}{_mib(row['peak_rss']):>12}  {_cpu(row)}")
    print(f"\nlatency: commit to visible at 200 transactions per second for {sizes.seconds} s, milliseconds")
    print(f"{'':10}{'p50':>10}{'p90':>10}{'p99':>10}{'max':>10}{'p50 x native':>14}  CPU seconds")
    for name, figures in results.items():
        row = figures["latency"]
        ratio = f"{row['p50'] / base['latency']['p50']:.2f}" if base else "-"
        print(f"{name:10}{row['p50']:>10.2f}{row['p90']:>10.2f}{row['p99']:>10.2f}{row['max']:>10.2f}{ratio:>14}  {_cpu(row)}")


def _mib(size):
    return f"{size / 2**20:.0f} MiB" if size else "-"


def _cpu(row):
    return "  ".join(f"{part} {seconds:.1f}" for part, seconds in row["cpu_seconds"].items())


def _options():
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the work")
    parser.add_argument("--only", default="native,direct,kafka", help="systems, with commas")
    parser.add_argument("--json", default=str(ROOT / "build/bench/side_by_side.json"), help="where the figures go")
    return parser.parse_args()


if __name__ == "__main__":
    main()
