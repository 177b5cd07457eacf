"""The measurements that are no plain drain of a workload: each makes its system, measures, and closes it."""

from dataclasses import replace

from measure.broker_round_trip import round_trip
from measure.capture import capture
from measure.latency import LatencyRuns, workload
from measure.local_application import SCHEMA, local_application
from peers import SYSTEMS
from workloads import CATALOGUE


def broker(site, rate, seconds):
    return round_trip(site.broker(), rate, seconds)


def latency(site, name, rates, seconds, number, highest):
    """One way and both ways at each rate, and (`highest`) the largest rate that holds, one way. A list."""
    found = []
    for both in (False, True):
        system = SYSTEMS[name](site, workload(both))
        try:
            system.start()
            runs = LatencyRuns(system, site.workspace.folder("latency"))
            runs.measure(rates[0], 2)  # warms caches and plans
            found += [{"system": name, "round": number, **runs.measure(rate, seconds)} for rate in rates]
            if highest and not both and (best := runs.highest_sustainable(10)):
                found.append({"system": name, "round": number, "highest": True, **best})
        finally:
            system.close()
    return found


def capture_alone(site, name, count, number):
    load = CATALOGUE[name].make(False)
    system = SYSTEMS["kafka"](site, load)
    try:
        transactions = count if load.unit == "transactions" else count // 1000
        return [{"workload": name, "round": number, **figures} for figures in capture(system, count, transactions)]
    finally:
        system.close()


def local(site, name, count, seconds, number):
    load = CATALOGUE["updates"].make(False)
    system = SYSTEMS[name](site, replace(load, schema=load.schema + SCHEMA, tables=(*load.tables, "public.app")))
    try:
        return {"system": name, "round": number, **local_application(system, count, 200, seconds, site.workspace.folder("local"))}
    finally:
        system.close()
