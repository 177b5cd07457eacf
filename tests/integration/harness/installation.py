"""Which PostgreSQL runs: Debian's, whose client programs serve all, or the server of another major version (tests/fetch_postgres.py)."""

import functools
import glob
import os
import shutil
import subprocess

from .agent import ROOT
from .processes import as_user, user_for_servers


def client_programs():
    """The folder of psql, pgbench, pg_recvlogical, ...: of the newest PostgreSQL that is installed."""
    folders = glob.glob("/usr/lib/postgresql/*/bin/postgres")
    if not folders:
        raise RuntimeError("no PostgreSQL server is installed; run ./dev setup")
    return os.path.dirname(max(folders, key=lambda path: int(path.split("/")[4])))


def server_programs(workspace, version=None):
    """The folder of postgres and initdb. version: a major one; none means PGDUET_POSTGRES, else the one that is installed."""
    version = _wanted(version)
    if version == _installed_version():
        return client_programs()
    return os.path.join(_readable(workspace, _fetched(version), version), "bin")


def has_extensions_of_packages(version=None):
    """Debian's extensions (pglogical) are there for Debian's server only."""
    return _wanted(version) == _installed_version()


def _wanted(version):
    return str(version or os.environ.get("PGDUET_POSTGRES") or _installed_version())


def _installed_version():
    return client_programs().split("/")[4]


@functools.cache
def _fetched(version):
    subprocess.run([os.path.join(ROOT, "tests/fetch_postgres.py"), version], check=True)
    return os.path.join(ROOT, ".cache", "postgres", version)


def _readable(workspace, folder, version):
    """The servers' user may not reach the project's folder (a checkout below /root): then it gets a copy that it can."""
    command = as_user(["test", "-x", os.path.join(folder, "bin", "postgres")], user_for_servers())
    if subprocess.run(command, check=False).returncode == 0:
        return folder
    copy = os.path.join(workspace.path, f"postgres-{version}")
    if not os.path.isdir(copy):
        shutil.copytree(folder, f"{copy}.new", symlinks=True)
        os.rename(f"{copy}.new", copy)
    return copy
