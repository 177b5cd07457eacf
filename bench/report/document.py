"""docs/performance.md from a run's figures: text and {file name: SVG}. Pure."""

import statistics

from peers import SYSTEMS
from results import ratio, rounds_of, summary
from workloads import CATALOGUE

from .svg import bars, lines
from .targets import targets

_OPENING = """# Performance

Made by `bench/make_document.py` from a run's figures; do not edit. Only the ratios within a run mean something: everything, both databases,
the broker and the systems that are compared, shares one machine.

* A backlog is written while replication is paused. The time runs from the moment it is let go until its last row is visible at the other side; starting
  is part of it. Then the rows of both sides are compared: a run with a difference gives no figure.
* `fsync` is on, clusters are fresh, all systems use the Unix socket but for "native, TCP" and Debezium (its driver has TCP only). CPU counts every process: servers,
  agents, broker, Connect.
* Debezium is 3.5.0 with its JDBC sink (upsert, UNNEST, reduction buffer, batches of 3,000; JSON with schemas); its first measurement of a run has the start of its JVM in it. It drains a tenth of the backlog; rates are compared.
* The broker has the heap and the collector of Kafka's own start script, and is warmed up until a message costs no less than before: what a new JVM compiles first is no part of what
  users pay.
* Conflicts: systems that do not know them overwrite; pgduet carries both sides' writes and logs each conflict.
"""


def document(data):
    plots = {}
    parts = [_OPENING, _machine(data), _targets(data), _drains(data, plots), _latency(data), _capture(data), _local(data), _growth(data, plots),
             _failures(data)]
    return "\n".join(part for part in parts if part), plots


def _machine(data):
    of = data["machine"]
    later = "".join(f"`{_command(one)}` was a run of its own, on the same machine at {one['machine']['commit']}: what it measured comes from there."
                    f"{_note(one)}\n"
                    for one in data.get("later", []))
    return (f"## Machine\n\n{of['cores']} cores, {of['cpu']}, {of['memory_bytes'] / 2**30:.0f} GiB; {of['system']}, Linux {of['kernel']}; {of['postgresql']}; "
            f"pgduet {of['commit']}. Load when the run began: {of['load_at_start']}. The run took {data['minutes']:.0f} minutes.{_note(data)}\n\n"
            f"To repeat it: `{_command(data)}`, then `bench/make_document.py build/bench/results.json`. One workload: `./dev bench --workload bulk --rounds 5`.\n" + later)


def _note(run):
    return f" {run['note']}" if "note" in run else ""


def _command(run):
    options = run["options"]
    values = {name: options.get(name) for name in ("rounds", "workload", "curve", "postgres")}
    if options.get("scale", 1) != 1:
        values["scale"] = options["scale"]
    quick = " --quick" if options.get("quick") else ""
    return f"./dev bench{quick}" + "".join(f' --{name} "{value}"' if " " in str(value) else f" --{name} {value}" for name, value in values.items() if value)


def _targets(data):
    rows = [[target.work, target.wanted, target.shown, target.verdict] for target in targets(data)]
    return "## Targets\n\n" + _table(["work", "target", "measured", ""], rows)


def _drains(data, plots):
    parts = []
    for workload in sorted({one["workload"] for one in data["drain"]}, key=list(CATALOGUE).index):
        of = rounds_of(data["drain"], workload=workload)
        rows, rates = [], []
        for system in dict.fromkeys(one["system"] for one in of):
            row = summary(rounds_of(of, system=system))
            label = SYSTEMS[system].label
            rates.append((label, row["per_second"]))
            rows.append([label, f"{row['count']:,}", f"{row['seconds_min']:.2f}", f"{row['seconds']:.2f}", f"{row['per_second']:,.0f}",
                         _times(ratio(of, "per_second", system, "native")), f"{row['cpu_per_unit'] * 1e6:.1f}",
                         _cpu(rounds_of(of, system=system)), _bytes(rounds_of(of, system=system)), _mib(row["peak_rss"].get("agents"))])
        name = f"performance-{workload}.svg"
        plots[name] = bars(f"{of[0]['title']}: {of[0]['unit']} per second", rates)
        parts.append(f"### {workload}: {of[0]['title']}\n\n" + _table(
            ["system", of[0]["unit"], "s min", "s median", "per second", "× native", "CPU µs each", "CPU s of each part", "MB wire / topic", "agent RSS"], rows)
            + f"\n![{workload}]({name})\n")
    return "## Draining a backlog\n\n" + "\n".join(parts) if parts else ""


def _latency(data):
    if not data["latency"]:
        return ""
    rows = [["bare broker round trip", f"{one['rate']:,}", "1", *_spread(one), ""] for one in data["broker"]]
    rows += [[SYSTEMS[one["system"]].label + (" (highest)" if one.get("highest") else ""), f"{one['rate']:,}", one["ways"], *_spread(one), f"{one['cpu_total']:.1f}"]
             for one in data["latency"]]
    return "## Latency: commit acknowledged to visible, milliseconds\n\n" + _table(
        ["system", "transactions/s", "ways", "p50", "p99", "p99.9", "max", "CPU s"], rows) + "\nHistograms are in the run's JSON file.\n"


def _spread(one):
    return [f"{one[key]:.2f}" for key in ("p50", "p99", "p999", "max")]


def _capture(data):
    rows = [[one["workload"], one["reader"], f"{one['count']:,}", f"{one['seconds']:.2f}", f"{one['per_second']:,.0f}", f"{one['cpu_total'] / one['count'] * 1e6:.1f}"]
            for one in data["capture"]]
    return "## Capture alone, beside pg_recvlogical to /dev/null\n\n" + _table(["workload", "reader", "units", "s", "per second", "CPU µs each"], rows) if rows else ""


def _local(data):
    rows = [[SYSTEMS[one["system"]].label, one["rate"], f"{one['alone']['p99']:.2f}", f"{one['during']['p50']:.2f}", f"{one['during']['p99']:.2f}",
             f"{one['seconds']:.1f}"] for one in data["local"]]
    return "## A local application while a backlog drains, milliseconds\n\n" + _table(
        ["system", "its transactions/s", "p99 alone", "p50 during", "p99 during", "drain s"], rows) if rows else ""


def _growth(data, plots):
    parts = []
    for curve in dict.fromkeys(one["curve"] for one in data["growth"]):
        of = rounds_of(data["growth"], curve=curve)
        series = {}
        for one in of:
            series.setdefault(SYSTEMS[one["system"]].label, []).append((max(one["x"], 1), one["per_second"]))
        name = f"performance-growth-{curve.replace(' ', '-')}.svg"
        plots[name] = lines(f"{of[0]['unit']} per second", curve, series, "per second")
        rows = [[f"{one['x']:,}", SYSTEMS[one["system"]].label, f"{one['count']:,}", f"{one['per_second']:,.0f}", f"{one['cpu_total'] / one['count'] * 1e6:.1f}"] for one in of]
        parts.append(f"### {curve}\n\n" + _table([curve, "system", of[0]["unit"], "per second", "CPU µs each"], rows) + f"\n![{curve}]({name})\n")
    return "## Growth\n\n" + "\n".join(parts) if parts else ""


def _failures(data):
    rows = [f"* {one['what']}: {one['error'].splitlines()[0]}" for one in data["failures"]]
    return "## Not measured in this run\n\n" + "\n".join(rows) + "\n" if rows else ""


def _cpu(rounds):
    parts = dict.fromkeys(part for one in rounds for part in one["cpu_seconds"])
    return ", ".join(f"{part} {statistics.median(one['cpu_seconds'].get(part, 0) for one in rounds):.1f}" for part in parts)


def _bytes(rounds):
    """Wire: what the origin's server and the broker sent over TCP; what goes over Unix sockets is not counted by the kernel."""
    wire = statistics.median(one["wire_bytes"]["origin"]["sent"] + one["wire_bytes"].get("broker", {}).get("sent", 0) for one in rounds)
    topic = rounds[-1]["topic_bytes"]
    return f"{wire / 1e6:.1f} / {topic / 1e6:.1f}" if topic is not None else f"{wire / 1e6:.1f} / -"


def _mib(size):
    return f"{size / 2**20:.0f} MiB" if size else "-"


def _times(value):
    return f"{value:.2f}" if value else "-"


def _table(head, rows):
    lines_of = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(str(cell) for cell in line) + " |\n" for line in lines_of)
