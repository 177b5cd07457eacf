"""A real Prometheus server that scrapes agents."""

import json
import os
import urllib.parse
import urllib.request

import yaml

from . import ports
from .processes import ChildProcess, find_program, user_for_servers
from .waiting import wait_until
from .workspace import give_to_servers


class Prometheus:
    """targets: {"host:port": labels}. rule_files: paths of rule files to load."""

    def __init__(self, workspace, targets, rule_files=(), job="pgduet", scrape_interval="1s"):
        self.folder = workspace.folder("prometheus")
        self.log_path = os.path.join(self.folder, "prometheus.log")
        self.port = ports.take()
        self.process = None
        self._path = os.path.join(self.folder, "prometheus.yml")
        document = {
            "global": {"scrape_interval": scrape_interval, "evaluation_interval": scrape_interval},
            "rule_files": [os.path.abspath(path) for path in rule_files],
            "scrape_configs": [{"job_name": job, "static_configs": [
                {"targets": [target], "labels": labels} for target, labels in targets.items()]}],
        }
        with open(self._path, "w", encoding="utf-8") as file:
            yaml.safe_dump(document, file, sort_keys=False)
        give_to_servers(self._path)

    def start(self):
        self.process = ChildProcess("prometheus", [
            find_program("prometheus"), f"--config.file={self._path}", f"--storage.tsdb.path={self.folder}/data",
            f"--web.listen-address=127.0.0.1:{self.port}"], self.log_path, user=user_for_servers())

        def ready():
            assert self.process.running(), f"prometheus ended; its log is {self.log_path}"
            try:
                return self._get("/-/ready")
            except OSError:
                return False
        wait_until(ready, "prometheus to be ready")
        return self

    def query(self, expression):
        """The result of an instant query: list of {"metric": ..., "value": [time, text]}."""
        answer = json.loads(self._get("/api/v1/query?" + urllib.parse.urlencode({"query": expression})))
        assert answer["status"] == "success", answer
        return answer["data"]["result"]

    def rules(self):
        """{name: rule} of all loaded rules, alerts and records."""
        groups = json.loads(self._get("/api/v1/rules"))["data"]["groups"]
        return {rule["name"]: rule for group in groups for rule in group["rules"]}

    def close(self):
        if self.process is not None and self.process.running():
            self.process.kill()
        ports.release(self.port)

    def _get(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=20) as answer:
            return answer.read().decode()
