"""A real Prometheus scrapes two running agents: every query of the dashboard and every metric of the rules has data."""

import json
import pathlib
import re

import pytest
import yaml

from harness.prometheus import Prometheus
from harness.waiting import wait_until
from harness.workload import SCHEMA, TABLES, Workload

DEPLOY = pathlib.Path(__file__).resolve().parents[2] / "deploy"
RULES = DEPLOY / "prometheus/rules.yml"

# Series that exist only after their event, so a healthy pair of agents may lack them.
ONLY_AFTER_AN_EVENT = {"pgduet_stream_stopped", "pgduet_apply_retries_total"}


def dashboard_queries():
    dashboard = json.loads((DEPLOY / "grafana/dashboards/pgduet.json").read_text())
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            query = re.sub(r"\$(job|instance|origin)\b", ".*", target["expr"])
            yield panel["title"], query.replace("$__rate_interval", "1m")


def rule_expressions():
    for group in yaml.safe_load(RULES.read_text())["groups"]:
        for rule in group["rules"]:
            yield rule.get("record"), rule["expr"]


def selectors(expression):
    """The series selectors of an expression: name and labels, without ranges and comparisons."""
    return re.findall(r"\b(?:pgduet_\w+|up|process_\w+)\{[^}]*\}", expression)


@pytest.fixture
def scraped(make_group, workspace, seeded_random):
    # A limit, so that the agents can say how far the slots are from it.
    group = make_group(["a", "b"], schema=SCHEMA, tables=TABLES, settings={"max_slot_wal_keep_size": "4GB"})
    server = Prometheus(workspace, {f"127.0.0.1:{region.http_port}": {"region": region.name} for region in group},
                        rule_files=[RULES]).start()
    wait_until(lambda: len(server.query('up{job="pgduet"} == 1')) == 2, "both agents to be scraped")
    with group.paused():  # conflicts
        Workload(group, seeded_random, clients=1, transactions=40).run()
    group.wait_converged()
    yield group, server
    server.close()


def test_dashboard_and_rules_have_data(scraped):
    _, server = scraped
    for title, query in dashboard_queries():
        wait_until(lambda: server.query(query), f"data for '{title}': {query}")
    for record, expression in rule_expressions():
        if record:
            wait_until(lambda: server.query(record), f"data for the rule {record}")
        for selector in selectors(expression):
            if selector.split("{")[0] not in ONLY_AFTER_AN_EVENT:
                wait_until(lambda: server.query(selector), f"data for {selector} of {expression}")
    assert [name for name, rule in server.rules().items() if rule["health"] == "err"] == []


def test_numbers_are_those_of_the_databases(scraped):
    group, server = scraped

    def total(expression):
        result = server.query(f"sum({expression})")
        return float(result[0]["value"][1]) if result else 0

    for region in group:
        where = f'region="{region.name}"'
        conflicts = len(region.conflicts())
        assert conflicts > 0
        wait_until(lambda: total(f"pgduet_apply_conflicts_total{{{where}}}") == conflicts, f"{conflicts} conflicts")
        wait_until(lambda: total(f'pgduet_lag_seconds{{{where}, stage="end_to_end"}}') < 5, "lag to be small")


def test_an_agent_that_is_down_raises_an_alert(scraped):
    group, server = scraped
    group["b"].agent.stop()
    wait_until(lambda: server.rules()["PgduetAgentDown"]["state"] in ("pending", "firing"), "the alert PgduetAgentDown")


def test_lag_grows_while_an_origin_cannot_be_reached(scraped):
    group, server = scraped
    with group.paused("b", "a"):
        group["b"].sql("UPDATE account SET note = 'late'")
        wait_until(lambda: server.query('pgduet_lag_seconds{region="a", stage="end_to_end"} > 3'), "the lag at a to grow")
    wait_until(lambda: server.query('pgduet_lag_seconds{region="a", stage="end_to_end"} < 2'), "the lag at a to fall again")
