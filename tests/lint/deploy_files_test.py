"""The files of deploy/ are consistent: rules pass promtool, queries parse, the compose file refers to what exists."""

import json
import pathlib
import re
import subprocess

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES = COMPOSE["services"]
DASHBOARD = json.loads((ROOT / "deploy/grafana/dashboards/pgduet.json").read_text())


def promtool(*arguments):
    done = subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def dashboard_panels():
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def dashboard_queries():
    return [target["expr"] for panel in dashboard_panels() for target in panel["targets"]]


class TestRules:
    def test_promtool_accepts_them(self):
        promtool("check", "rules", ROOT / "deploy/prometheus/rules.yml")

    def test_promtool_accepts_the_configuration(self):
        promtool("check", "config", ROOT / "deploy/prometheus/prometheus.yml")

    def test_they_fire_when_they_should(self):
        promtool("test", "rules", ROOT / "deploy/prometheus/rules_test.yml")

    def test_each_alert_says_what_is_wrong_and_what_to_do(self):
        rules = yaml.safe_load((ROOT / "deploy/prometheus/rules.yml").read_text())
        alerts = [rule for group in rules["groups"] for rule in group["rules"] if "alert" in rule]
        assert all({"summary", "description"} <= set(rule["annotations"]) for rule in alerts)
        assert all(rule["labels"]["severity"] in ("info", "warning", "critical") for rule in alerts)


class TestDashboard:
    def test_its_queries_parse(self, tmp_path):
        rules = [{"record": f"query:{i}", "expr": re.sub(r"\$__\w+", "1m", query)}
                 for i, query in enumerate(dashboard_queries())]
        path = tmp_path / "queries.yml"
        path.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
        promtool("check", "rules", path)

    def test_its_rows_are_the_promised_ones(self):
        rows = [panel["title"] for panel in DASHBOARD["panels"] if panel["type"] == "row"]
        assert rows == ["Health", "Lag per origin and stage", "Throughput", "Conflicts", "Slot and WAL", "Resources"]

    def test_every_panel_uses_the_templated_data_source_and_says_what_it_shows(self):
        for panel in dashboard_panels():
            assert panel["datasource"]["uid"] == "${datasource}", panel["title"]
            assert panel["description"], panel["title"]

    def test_every_query_is_filtered_by_the_variables(self):
        assert [variable["name"] for variable in DASHBOARD["templating"]["list"]] == ["datasource", "job", "instance", "origin"]
        assert all('job=~"$job"' in query for query in dashboard_queries())

    def test_panels_do_not_overlap(self):
        taken = set()
        for panel in DASHBOARD["panels"]:
            position = panel["gridPos"]
            cells = {(x, y) for x in range(position["x"], position["x"] + position["w"])
                     for y in range(position["y"], position["y"] + position["h"])}
            assert not cells & taken, panel["title"]
            taken |= cells


class TestCompose:
    def test_has_the_services(self):
        images = [service.get("image", "").split(":")[0] for service in SERVICES.values()]
        assert images.count("postgres") == 2
        assert {"apache/kafka", "prom/prometheus", "grafana/grafana"} <= set(images)
        assert sum(service.get("command") == ["agent"] for service in SERVICES.values()) == 2

    @pytest.mark.parametrize("name", SERVICES)
    def test_images_have_exact_versions(self, name):
        assert re.fullmatch(r"[a-z/-]+:v?\d+\.\d+(\.\d+)?(-[a-z]+)?", SERVICES[name]["image"])

    @pytest.mark.parametrize("name", SERVICES)
    def test_ports_are_on_loopback(self, name):
        assert all(str(port).startswith("127.0.0.1:") for port in SERVICES[name].get("ports", []))

    @pytest.mark.parametrize("name", SERVICES)
    def test_mounted_files_and_volumes_exist(self, name):
        for volume in SERVICES[name].get("volumes", []):
            source = volume.split(":")[0]
            assert (ROOT / source).exists() if source.startswith(".") else source in COMPOSE["volumes"], volume

    @pytest.mark.parametrize("name", SERVICES)
    def test_dependencies_exist_and_can_be_met(self, name):
        needed = SERVICES[name].get("depends_on", {})
        for other in needed:
            assert other in SERVICES
            if isinstance(needed, dict) and needed[other]["condition"] == "service_healthy":
                assert "healthcheck" in SERVICES[other]

    def test_builds_from_files_that_exist(self):
        for service in SERVICES.values():
            if "build" in service:
                assert (ROOT / service["build"]["context"] / service["build"]["dockerfile"]).exists()

    def test_regions_are_those_of_the_configuration(self):
        config = yaml.safe_load((ROOT / "deploy/compose/pgduet.yaml").read_text())
        used = {service["environment"]["PGDUET_REGION"] for service in SERVICES.values()
                if "PGDUET_REGION" in service.get("environment", {})}
        assert used == set(config["regions"])
        for region in config["regions"].values():
            assert re.search(r"host=(\S+)", region["postgres"]).group(1) in SERVICES

    def test_prometheus_scrapes_the_agents(self):
        scraped = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())["scrape_configs"]
        targets = {target for job in scraped for static in job["static_configs"] for target in static["targets"]}
        agents = {f"{name}:9187" for name, service in SERVICES.items() if service.get("command") == ["agent"]}
        assert targets == agents


def test_the_image_copies_files_that_exist():
    text = (ROOT / "deploy/Dockerfile").read_text()
    for copied in re.findall(r"^COPY (?!--from)(\S+) ", text, re.MULTILINE):
        assert (ROOT / copied).exists(), copied
    assert re.search(r"^USER pgduet$", text, re.MULTILINE)
    assert all(re.fullmatch(r"debian:\d+\.\d+-slim", image) for image in re.findall(r"^FROM (\S+)", text, re.MULTILINE))


def test_the_service_unit_is_valid():
    unit = (ROOT / "deploy/systemd/pgduet@.service").read_text()
    assert "Type=notify" in unit and "User=pgduet" in unit
    known = {"Unit", "Service", "Install"}
    assert set(re.findall(r"^\[(\w+)\]$", unit, re.MULTILINE)) == known
