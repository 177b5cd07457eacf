"""Which measurements a run makes, in which order."""

import sys
from dataclasses import dataclass
from typing import Callable

from measure.drain import drain
from peers import OURS, PEERS, SYSTEMS
from workloads import CATALOGUE, FULL, QUICK


@dataclass(frozen=True)
class Step:
    kind: str  # of Results
    title: str
    run: Callable  # run(site): the figures


class Plan:
    def __init__(self, options):
        self._options = options
        self._systems = [*_names(options.peer, PEERS, "--peer"), *_names(options.transport, OURS, "--transport")]
        default = QUICK if options.quick else FULL
        self._workloads = _names(options.workload, CATALOGUE, "--workload") if options.workload else default
        self._rounds = options.rounds or (1 if options.quick else 3)

    def steps(self):
        for name in self._workloads:
            yield from self._drains(name)

    def _drains(self, name):
        """All systems in each round, one after another: what the machine does besides hits them alike."""
        entry = CATALOGUE[name]
        workload = entry.make(self._options.quick)
        full_count = (entry.quick if self._options.quick else entry.full) * self._options.scale
        for number in range(1, self._rounds + 1):
            for system in self._systems:
                if SYSTEMS[system].runs(workload):
                    count = max(1000, int(full_count * SYSTEMS[system].share))
                    yield Step("drain", f"{name}, {SYSTEMS[system].label}, round {number}",
                               lambda site, system=system, count=count, number=number: _drain(site, system, workload, count, number))


def _drain(site, name, workload, count, number):
    system = SYSTEMS[name](site, workload)
    try:
        return {"workload": workload.name, "title": workload.title, "unit": workload.unit, "system": name, "round": number, **drain(system, count)}
    finally:
        system.close()


def _names(text, known, option):
    names = [name for name in text.split(",") if name and name != "none"]
    unknown = [name for name in names if name not in known]
    if unknown:
        sys.exit(f"{option}: unknown: {', '.join(unknown)}; known: {', '.join(known)}")
    return names
