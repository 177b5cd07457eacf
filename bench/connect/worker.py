"""One Kafka Connect standalone worker: a JVM that runs connectors, told over its REST interface."""

import json
import os
import subprocess
import urllib.error
import urllib.request

from harness import ports
from harness.agent import ROOT
from harness.kafka import CONSOLE_LOG
from harness.processes import ChildProcess, find_program, user_for_servers
from harness.waiting import wait_until
from harness.workspace import give_to_servers

_CACHE = ".cache/connect"
_PATIENCE = 30


class ConnectWorker:
    def __init__(self, workspace, broker, heap="2g"):
        subprocess.run([f"{ROOT}/tests/fetch_jars.sh", "bench/connect/pom.xml", _CACHE], check=True)
        self._folder = workspace.folder("connect")
        self._port = ports.take()
        self.log_path = os.path.join(self._folder, "connect.log")
        properties = self._write("worker.properties", self._settings(broker.brokers))
        logging = self._write("log4j2.properties", CONSOLE_LOG)
        self.process = ChildProcess("connect", [
            find_program("java"), f"-Xmx{heap}", "-XX:+UseG1GC", f"-Dlog4j2.configurationFile={logging}", f"-Dlog4j.configurationFile={logging}",
            "-cp", f"{ROOT}/{_CACHE}/libs/*", "org.apache.kafka.connect.cli.ConnectStandalone", properties], self.log_path, user=user_for_servers())
        wait_until(self._answers, "Kafka Connect to answer", timeout=180)

    def _answers(self):
        assert self.process.running(), f"Kafka Connect ended; its log is {self.log_path}"
        try:
            return self._call("GET", "/connectors") is not None
        except OSError:
            return False

    def create(self, name, settings):
        self._call("POST", "/connectors", {"name": name, "config": {key: str(value) for key, value in settings.items()}})

    def wait_running(self, name):
        wait_until(lambda: self._states(name) == ["RUNNING", "RUNNING"], lambda: f"{name} to run: {self._states(name)}", timeout=180)

    def stop(self, name):
        self._call("PUT", f"/connectors/{name}/stop")
        wait_until(lambda: self._states(name) == ["STOPPED"], f"{name} to stop", timeout=180)

    def resume(self, name):
        self._call("PUT", f"/connectors/{name}/resume")

    def check(self, name):
        """Raises when the connector has failed."""
        self._states(name)

    def delete(self, name):
        self._call("DELETE", f"/connectors/{name}")

    def close(self):
        self.process.kill()
        ports.release(self._port)

    def _states(self, name):
        """Of the connector and its only task; an error's trace when one failed."""
        status = self._call("GET", f"/connectors/{name}/status") or {"connector": {"state": "UNKNOWN"}, "tasks": []}
        failed = next((task["trace"][:2000] for task in status["tasks"] if task["state"] == "FAILED"), None)
        assert failed is None, f"{name} failed: {failed}"
        return [status["connector"]["state"], *(task["state"] for task in status["tasks"])]

    def _call(self, method, path, body=None):
        request = urllib.request.Request(f"http://127.0.0.1:{self._port}{path}", method=method, headers={"Content-Type": "application/json"},
                                         data=json.dumps(body).encode() if body is not None else None)
        try:
            with urllib.request.urlopen(request, timeout=_PATIENCE) as answer:
                return json.loads(answer.read() or "{}")
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise RuntimeError(f"Kafka Connect answers {error.code} to {method} {path}: {error.read().decode()[:1000]}") from None

    def _settings(self, brokers):
        settings = {
            "bootstrap.servers": brokers,
            "listeners": f"http://127.0.0.1:{self._port}",
            "key.converter": "org.apache.kafka.connect.json.JsonConverter",
            "value.converter": "org.apache.kafka.connect.json.JsonConverter",
            "offset.storage.file.filename": os.path.join(self._folder, "offsets"),
            "plugin.discovery": "service_load",
            # A batch of the sink is what one poll of its consumer gives.
            "consumer.max.poll.records": 3000,
            "consumer.metadata.max.age.ms": 5000,
        }
        return "".join(f"{key}={value}\n" for key, value in settings.items())

    def _write(self, name, text):
        path = os.path.join(self._folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        give_to_servers(path)
        return path
