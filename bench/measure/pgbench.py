"""pgbench as an open-loop client: transactions begin at their own times (Poisson), however long others take."""

import glob
import os
import shutil
import subprocess
from dataclasses import dataclass

from harness.installation import client_programs


@dataclass(frozen=True)
class Transaction:
    client: int
    number: int  # of the client, from 1
    ended: float  # Unix time at which the commit was acknowledged
    took: float  # milliseconds since it was due


class OpenLoop:
    """Runs `script` at `rate` for some seconds; transactions() waits for its end."""

    def __init__(self, side, script, rate, seconds, folder, clients, variables=None):
        shutil.rmtree(folder, ignore_errors=True)
        os.mkdir(folder)
        self._folder = folder
        path = os.path.join(folder, "script.sql")
        with open(path, "w", encoding="utf-8") as file:
            file.write(script)
        defined = [word for name, value in (variables or {}).items() for word in ("-D", f"{name}={value}")]
        self._process = subprocess.Popen(
            [f"{client_programs()}/pgbench", "-h", side.cluster.socket_dir, "-p", str(side.cluster.port), "-U", "postgres", "-n", "-f", path, *defined,
             "-c", str(clients), "-j", "2", "-T", str(seconds), "-R", str(rate), "-M", "prepared", "-l", "--log-prefix",
             os.path.join(folder, "log"), side.dbname],
            cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def running(self):
        return self._process.poll() is None

    def transactions(self):
        _, errors = self._process.communicate()
        if self._process.returncode != 0:
            raise RuntimeError(f"pgbench ended with {self._process.returncode}: {errors[-500:]}")
        return [transaction for path in glob.glob(os.path.join(self._folder, "log*")) for transaction in _read(path)]


def _read(path):
    with open(path, encoding="utf-8") as log:
        for line in log:
            client, number, took, _, seconds, micros = line.split()[:6]
            yield Transaction(int(client), int(number), int(seconds) + int(micros) / 1e6, int(took) / 1000)
