"""The targets, each beside what a run measured. A target is met, missed, or not measured; a miss is said as plainly as the rest."""

import statistics
from dataclasses import dataclass
from typing import Optional

from results import ratio, rounds_of


@dataclass(frozen=True)
class Target:
    work: str
    wanted: str
    measured: Optional[float]  # None: not in this run
    met: bool
    unit: str

    @property
    def verdict(self):
        return "not measured" if self.measured is None else "met" if self.met else "**missed**"

    @property
    def shown(self):
        return "-" if self.measured is None else f"{self.measured:.2f}{self.unit}"


def targets(data):
    drains = data["drain"]
    found = []
    for workload, base, wanted in (("bulk", "native", 2), ("updates", "native", 2), ("tpcb", "native", 1.5),
                                   *((name, "debezium", 20) for name in ("bulk", "updates", "tpcb")),
                                   *((name, "pglogical", 1.5) for name in ("bulk", "updates", "tpcb")),
                                   ("bulk-3-regions", "native", 1.5), ("updates-3-regions", "native", 1.5)):
        found.append(_least(f"{workload}, Kafka, against {base}", ratio(drains, "per_second", "kafka", base, workload=workload), wanted))
    found.append(_least("20 % conflicts against none, Kafka", _against(drains, "conflicts-20", "conflicts-0"), 0.5))
    for workload in ("bulk", "updates"):
        rates = {reader: [one["per_second"] for one in rounds_of(data["capture"], workload=workload, reader=reader)] for reader in ("pgduet", "bare")}
        measured = statistics.median(rates["pgduet"]) / statistics.median(rates["bare"]) if all(rates.values()) else None
        found.append(_least(f"capture alone against a bare reader, {workload}", measured, 0.8))
    found += _latency_targets(data)
    rss = [one["peak_rss"]["agents"] / 2**20 for kind in ("drain", "growth", "latency") for one in data[kind] if "agents" in one.get("peak_rss", {})]
    found.append(_most("largest memory of an agent, all workloads", max(rss, default=None), 256, " MiB"))
    return found


def _latency_targets(data):
    kafka = _latency(data, "kafka")
    broker = [one["p99"] for one in data["broker"] if one["rate"] == 1000]
    limit = statistics.median(broker) + 5 if broker else None
    found = [_most("1,000 transactions/s each way, Kafka, p50", kafka and kafka["p50"], 4, " ms"),
             _most("1,000 transactions/s each way, Kafka, p99 (bare broker's p99 + 5 ms)", kafka["p99"] if kafka and limit else None, limit or 0, " ms")]
    native, direct = _latency(data, "native"), _latency(data, "direct")
    for key in ("p50", "p99"):
        measured = direct[key] / native[key] if native and direct and native[key] else None
        found.append(_most(f"1,000 transactions/s each way, direct, {key} against native", measured, 1.5, "×"))
    return found


def _latency(data, system):
    rounds = [one for one in rounds_of(data["latency"], system=system, rate=1000, ways=2) if not one.get("highest")]
    return {key: statistics.median(one[key] for one in rounds) for key in ("p50", "p99")} if rounds else None


def _against(drains, workload, base):
    rates = [[one["per_second"] for one in rounds_of(drains, workload=name, system="kafka")] for name in (workload, base)]
    return statistics.median(rates[0]) / statistics.median(rates[1]) if all(rates) else None


def _least(work, measured, wanted):
    return Target(work, f"≥ {wanted}×", measured, measured is not None and measured >= wanted, "×")


def _most(work, measured, wanted, unit):
    return Target(work, f"≤ {wanted:.4g}{unit}", measured, measured is not None and measured <= wanted, unit)
