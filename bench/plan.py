"""Which measurements a run makes, in which order."""

import sys
from dataclasses import dataclass
from typing import Callable

import special_steps
from measure.drain import drain
from peers import OURS, PEERS, SYSTEMS
from workloads import CATALOGUE, FULL, QUICK
from workloads.growth import CURVES


@dataclass(frozen=True)
class Step:
    kind: str  # of Results
    title: str
    run: Callable  # run(site): the figures, or a list of them


SPECIAL = ("latency", "capture", "local", "growth")


class Plan:
    def __init__(self, options):
        self._quick, self._scale = options.quick, options.scale
        self._systems = [*_names(options.peer, PEERS, "--peer"), *_names(options.transport, OURS, "--transport")]
        default = (*QUICK[:3], "latency", *QUICK[3:]) if options.quick else (*FULL, *SPECIAL)
        self._workloads = _names(options.workload, (*CATALOGUE, *SPECIAL), "--workload") if options.workload else default
        self._chosen = bool(options.workload)
        self._curves = _names(options.curve, CURVES, "--curve") if options.curve else list(CURVES)
        self._rounds = options.rounds or (1 if options.quick else 3)

    def steps(self):
        special = {"latency": self._latency, "capture": self._capture, "local": self._local, "growth": self._growth}
        for name in self._workloads:
            yield from special[name]() if name in special else self._drains(name)

    def _drains(self, name):
        """All systems in each round, one after another: what the machine does besides hits them alike."""
        entry = CATALOGUE[name]
        workload = entry.make(self._quick)
        full_count = (entry.quick if self._quick else entry.full) * self._scale
        for number in range(1, self._rounds + 1):
            for system in self._systems:
                if self._takes_part(system, workload, name):
                    count = max(1000, int(full_count * SYSTEMS[system].share))
                    yield Step("drain", f"{name}, {SYSTEMS[system].label}, round {number}",
                               lambda site, system=system, count=count, number=number: _drain(site, system, workload, count, round=number))

    def _takes_part(self, system, workload, name):
        only = SYSTEMS[system].quick_workloads
        left_out = self._quick and not self._chosen and only is not None and name not in only
        return SYSTEMS[system].runs(workload) and not left_out

    def _latency(self):
        seconds = 5 if self._quick else 30
        rates = (1000,) if self._quick else (100, 1000)
        for number in range(1, self._rounds + 1):
            for rate in rates:
                yield Step("broker", f"bare broker round trip at {rate}/s", lambda site, rate=rate: special_steps.broker(site, rate, seconds))
            for system in self._among("native", "kafka", "direct"):
                yield Step("latency", f"latency, {SYSTEMS[system].label}, round {number}",
                           lambda site, system=system, number=number: special_steps.latency(site, system, rates, seconds, number, not self._quick))

    def _capture(self):
        for number in range(1, self._rounds + 1):
            for name in ("bulk", "updates"):
                if "kafka" in self._systems:
                    yield Step("capture", f"capture alone, {name}, round {number}",
                               lambda site, name=name, number=number: special_steps.capture_alone(site, name, self._count(name), number))

    def _local(self):
        for number in range(1, self._rounds + 1):
            for system in self._among("native", "kafka", "direct"):
                yield Step("local", f"a local application while a backlog drains, {SYSTEMS[system].label}, round {number}",
                           lambda site, system=system, number=number: special_steps.local(
                               site, system, self._count("updates"), 15 if self._quick else 60, number))

    def _growth(self):
        for curve in self._curves:
            for point in CURVES[curve]:
                for system in self._among("native", "kafka"):
                    count = max(1000, int(point.count * self._scale * (0.1 if self._quick else 1)))
                    yield Step("growth", f"{curve} {point.x:,}, {SYSTEMS[system].label}",
                               lambda site, system=system, count=count, curve=curve, point=point:
                               _drain(site, system, point.workload, count, curve=curve,
                                      x=count if point.x == point.count else point.x, prepare=point.prepare))

    def _count(self, name):
        entry = CATALOGUE[name]
        return max(1000, int((entry.quick if self._quick else entry.full) * self._scale))

    def _among(self, *names):
        return [name for name in names if name in self._systems]


def _drain(site, name, workload, count, prepare=None, **labels):
    system = SYSTEMS[name](site, workload)
    try:
        figures = drain(system, count, prepare)
        return {"workload": workload.name, "title": workload.title, "unit": workload.unit, "system": name, **labels, **figures}
    finally:
        system.close()


def _names(text, known, option):
    names = [name for name in text.split(",") if name and name != "none"]
    unknown = [name for name in names if name not in known]
    if unknown:
        sys.exit(f"{option}: unknown: {', '.join(unknown)}; known: {', '.join(known)}")
    return names
