"""The figures of a run: a list of measurements for each kind, in a JSON file that is written anew after each of them.

    {"format": 1, "machine": {...}, "options": {...}, "minutes": n, "note": what the document says of the run (by hand), "<kind>": [{"system": ..., "round": ..., ...}, ...], "failures": [...]}

Kinds: drain, latency, broker, capture, local, growth.
"""

import json
import pathlib
import statistics
import time

FORMAT = 1
KINDS = ("drain", "latency", "broker", "capture", "local", "growth")


class Results:
    def __init__(self, path, machine, options):
        self._path = pathlib.Path(path)
        self._started = time.monotonic()
        self.data = {"format": FORMAT, "machine": machine, "options": options, "minutes": 0, **{kind: [] for kind in KINDS}, "failures": []}

    def add(self, kind, figures):
        self.data[kind].append(figures)
        self._write()

    def fail(self, what, error):
        self.data["failures"].append({"what": what, "error": f"{type(error).__name__}: {error}"[:500]})
        self._write()

    def _write(self):
        self.data["minutes"] = round((time.monotonic() - self._started) / 60, 1)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text(json.dumps(self.data, indent=1) + "\n", encoding="utf-8")


def joined(data, later):
    """The first run's figures, but what the second one measured comes from there: whole workloads and curves, so that ratios stay within one run."""
    found = {**data, "later": [*data.get("later", []), later]}
    again = {kind: {_subject(one) for one in later[kind]} for kind in KINDS}
    for kind, subjects in again.items():
        found[kind] = [one for one in data[kind] if _subject(one) not in subjects] + later[kind]
    # A step's title is the workload with what follows a comma, or the curve with its point.
    begins = tuple(f"{subject}{sign}" for subject in set().union(*again.values()) if subject for sign in (", ", " "))
    found["failures"] = [one for one in data["failures"] if not one["what"].startswith(begins)] + later["failures"]
    return found


def _subject(one):
    return one.get("curve") or one.get("workload")


def rounds_of(measurements, **wanted):
    return [one for one in measurements if all(one.get(key) == value for key, value in wanted.items())]


def summary(rounds):
    """Of the same measurement's rounds: fastest, median, and what a unit costs."""
    rates = [one["per_second"] for one in rounds]
    return {
        "rounds": len(rounds),
        "count": rounds[0]["count"],
        "seconds": statistics.median(one["seconds"] for one in rounds),
        "seconds_min": min(one["seconds"] for one in rounds),
        "per_second": statistics.median(rates),
        "per_second_max": max(rates),
        "cpu_per_unit": statistics.median(one["cpu_total"] / one["count"] for one in rounds),
        "peak_rss": {part: max(one["peak_rss"].get(part, 0) for one in rounds) for part in rounds[0]["peak_rss"]},
    }


def ratio(measurements, key, system, base, **wanted):
    """Of two systems' medians of `key`, in the rounds that both have; None when one is missing."""
    rounds = {name: rounds_of(measurements, system=name, **wanted) for name in (system, base)}
    if not rounds[system] or not rounds[base]:
        return None
    values = {name: summary(found)[key] for name, found in rounds.items()}
    return values[system] / values[base] if values[base] else None
