"""The agent's process and the pgduet command line."""

import json
import os
import re
import signal
import subprocess
import urllib.error
import urllib.request

from .processes import ChildProcess
from .waiting import wait_until

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../../.."))
_ERROR_LINE = re.compile(r"""(^E |\blevel=error\b|"level": ?"error")""")
_ERROR_NAME = re.compile(r"""\berror="?([a-z0-9_]+)|"error": ?"([a-z0-9_]+)""")


def binary():
    path = os.environ.get("PGDUET_BINARY", os.path.join(ROOT, "build/dev/pgduet"))
    assert os.access(path, os.X_OK), f"{path} is not there; run ./dev build"
    return path


def pgduet(*arguments, check=True, env=None, timeout=120):
    """Runs a command to its end: subprocess.CompletedProcess with text output."""
    done = subprocess.run([binary(), *map(str, arguments)], capture_output=True, text=True, timeout=timeout,
                          env={**os.environ, **(env or {})})
    assert not check or done.returncode == 0, (
        f"pgduet {' '.join(map(str, arguments))} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done


class Agent:
    """One `pgduet agent`. Not started by the constructor."""

    def __init__(self, region, config_path, log_path, http_port, env=None):
        self.region = region
        self.config_path = config_path
        self.log_path = log_path
        self.http_port = http_port
        self.process = None
        self._env = env

    def start(self, wait=True):
        assert not self.running(), f"the agent of {self.region} runs already"
        argv = [binary(), "agent", "--config", self.config_path, "--region", self.region]
        self.process = ChildProcess(f"agent {self.region}", argv, self.log_path, env=self._env)
        if wait:
            self.wait_ready()
        return self

    def running(self):
        return self.process is not None and self.process.running()

    def wait_ready(self):
        def ready():
            assert self.running(), f"the agent of {self.region} ended:\n{self.log_text()[-4000:]}"
            return self.http("/readyz")[0] == 200
        wait_until(ready, f"the agent of {self.region} to be ready")

    def wait_ended(self):
        return self.process.wait()

    def stop(self):
        """SIGTERM; the agent must end by itself with exit code 0."""
        if self.running():
            code = self.process.stop(signal.SIGTERM)
            assert code == 0, f"the agent of {self.region} ended with {code} after SIGTERM:\n{self.log_text()[-4000:]}"

    def kill(self):
        if self.running():
            self.process.kill()

    def restart(self):
        self.stop()
        self.start()

    # What it says.

    def http(self, path, timeout=10):
        """(status code, body); (0, reason) when nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}{path}", timeout=timeout) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError as error:
            return 0, str(error)

    def status(self):
        code, body = self.http("/status")
        assert code == 200, f"/status of {self.region}: {code} {body}"
        return json.loads(body)

    def streams(self, timeout=10):
        """What /status says of each stream; nothing while it does not answer."""
        code, body = self.http("/status", timeout)
        return json.loads(body)["streams"] if code == 200 else []

    def metrics(self):
        """{name{labels}: value}, labels as they stand in the exposition."""
        code, body = self.http("/metrics")
        assert code == 200, f"/metrics of {self.region}: {code} {body}"
        lines = [line for line in body.splitlines() if line and not line.startswith("#")]
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}

    def metric(self, name, **labels):
        """Sum of the metric's series that carry these labels."""
        return sum(value for series, value in self.metrics().items()
                   if series.split("{")[0] == name
                   and all(f'{key}="{text}"' in series for key, text in labels.items()))

    def log_text(self):
        try:
            with open(self.log_path, encoding="utf-8", errors="replace") as log:
                return log.read()
        except FileNotFoundError:
            return ""

    def log_lines(self, containing=""):
        return [line for line in self.log_text().splitlines() if containing in line]

    def error_lines(self):
        """[(name of the error, line)] of all lines of level ERROR."""
        found = []
        for line in self.log_text().splitlines():
            if _ERROR_LINE.search(line):
                name = _ERROR_NAME.search(line)
                found.append(((name.group(1) or name.group(2)) if name else "", line))
        return found

    def wait_for_stream_error(self, name):
        """Until the metric says that a stream is stopped with this named error."""
        wait_until(lambda: self.metric("pgduet_stream_stopped", error=name) >= 1,
                   f"the agent of {self.region} to report {name}")
