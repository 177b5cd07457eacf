"""What the figures were measured on."""

import os
import platform
import subprocess

from harness.agent import ROOT
from harness.installation import server_programs


def machine(workspace):
    return {
        "cpu": _value("/proc/cpuinfo", "model name"),
        "cores": os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        "kernel": platform.release(),
        "system": _value("/etc/os-release", "PRETTY_NAME", separator="=").strip('"'),
        "postgresql": _output(f"{server_programs(workspace)}/postgres", "--version"),
        "commit": _output("git", "-C", ROOT, "rev-parse", "--short", "HEAD"),
        "load_at_start": round(os.getloadavg()[0], 1),
    }


def _value(path, key, separator=":"):
    try:
        with open(path, encoding="utf-8") as file:
            return next((line.split(separator, 1)[1].strip() for line in file if line.startswith(key)), "unknown")
    except OSError:
        return "unknown"


def _output(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else "unknown"
