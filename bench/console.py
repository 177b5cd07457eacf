"""What a run shows on the terminal."""

import sys
import time

from peers import SYSTEMS
from results import ratio, rounds_of, summary

_started = time.monotonic()


def begin(step):
    print(f"{_clock()} {step.title} ... ", end="", file=sys.stderr, flush=True)


def end(figures):
    rate = f"{figures['per_second']:,.0f}/s" if "per_second" in figures else f"p50 {figures['p50']} ms, p99 {figures['p99']} ms"
    print(rate, file=sys.stderr, flush=True)


def failed(step, error):
    print(f"FAILED: {type(error).__name__}: {error}", file=sys.stderr, flush=True)


def report(data):
    workloads = list(dict.fromkeys(one["workload"] for one in data["drain"]))
    for workload in workloads:
        _drain_table(data["drain"], workload)
    if data["latency"]:
        _latency_table(data)
    for failure in data["failures"]:
        print(f"\nFAILED: {failure['what']}: {failure['error']}")


def _drain_table(drains, workload):
    first = rounds_of(drains, workload=workload)[0]
    print(f"\n{workload}: {first['title']}")
    print(f"  {'':16}{first['unit']:>13}{'s min':>9}{'s median':>10}{'per second':>12}{'x native':>10}{'CPU us each':>13}{'x native':>10}{'agent RSS':>11}")
    for system in dict.fromkeys(one["system"] for one in rounds_of(drains, workload=workload)):
        row = summary(rounds_of(drains, workload=workload, system=system))
        speed = ratio(drains, "per_second", system, "native", workload=workload)
        cost = ratio(drains, "cpu_per_unit", system, "native", workload=workload)
        rss = row["peak_rss"].get("agents")
        print(f"  {SYSTEMS[system].label:16}{row['count']:>13,}{row['seconds_min']:>9.2f}{row['seconds']:>10.2f}{row['per_second']:>12,.0f}"
              f"{_times(speed):>10}{row['cpu_per_unit'] * 1e6:>13.1f}{_times(cost):>10}{_mib(rss):>11}")


def _latency_table(data):
    print("\ncommit to visible, milliseconds")
    print(f"  {'':24}{'per second':>12}{'ways':>6}{'p50':>9}{'p99':>9}{'p99.9':>9}{'max':>9}")
    rows = [("bare broker round trip", one) for one in data["broker"]] + [(SYSTEMS[one["system"]].label, one) for one in data["latency"]]
    for label, one in rows:
        print(f"  {label:24}{one['rate']:>12,}{one.get('ways', ''):>6}{one['p50']:>9.2f}{one['p99']:>9.2f}{one['p999']:>9.2f}{one['max']:>9.1f}")


def _times(value):
    return f"{value:.2f}" if value else "-"


def _mib(size):
    return f"{size / 2**20:.0f} MiB" if size else "-"


def _clock():
    seconds = int(time.monotonic() - _started)
    return f"{seconds // 60:3}:{seconds % 60:02}"
