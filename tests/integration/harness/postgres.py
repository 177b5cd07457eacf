"""A scratch PostgreSQL cluster: one per region.

initdb runs once per session and locale; a cluster is a copy of its result with a system identifier of its own. (Versions that come without
pg_resetwal, see installation.py, run initdb for each cluster.) The server runs under the harness directly (no pg_ctl), so its pid is the
postmaster's. Trust authentication; superuser `postgres`.
"""

import glob
import os
import secrets
import shutil
import signal
import subprocess
import threading

import psycopg2

from . import ports
from .installation import client_programs, server_programs
from .processes import ChildProcess, run, user_for_servers
from .waiting import wait_until

_STOP_SIGNALS = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}
_SETTINGS = {
    "wal_level": "logical",
    "track_commit_timestamp": "on",
    "max_wal_senders": 20,
    "max_replication_slots": 30,
    "max_connections": 120,
    "shared_buffers": "64MB",
    "timezone": "UTC",
    "log_line_prefix": "'%m [%p] %q%u@%d %a '",
    "log_statement": "none",
    "lc_messages": "C",
    "fsync": "off",
    "dynamic_shared_memory_type": "mmap",  # files in the data folder: a server that is killed leaves none in /dev/shm
}


class PostgresCluster:
    """`settings` adds to or overrides _SETTINGS. version: see installation.server_programs. Not started by the constructor."""

    def __init__(self, workspace, name="pg", settings=None, encoding="UTF8", locale="C.UTF-8", version=None):
        self.name = name
        self.programs = server_programs(workspace, version)
        self.folder = workspace.folder(name)
        self.data = os.path.join(self.folder, "data")
        self.log_path = os.path.join(self.folder, "postgres.log")
        self.port = ports.take()
        self.socket_dir = self.folder
        self.process = None
        self.environment = {}  # of the server alone, not of what starts it
        if os.path.exists(f"{self.programs}/pg_resetwal"):
            self._copy_template(workspace, encoding, locale)
        else:
            _initdb(self.programs, self.data, encoding, locale)
        self.set(**{**_SETTINGS, **(settings or {})})

    def set(self, **settings):
        """Writes settings; they count at the next start or reload()."""
        with open(os.path.join(self.data, "postgresql.auto.conf"), "a", encoding="utf-8") as conf:
            for key, value in settings.items():
                text = str(value)
                quoted = text if text.startswith("'") else "'" + text.replace("'", "''") + "'"
                conf.write(f"{key} = {quoted}\n")

    def start(self, wait=True):
        assert self.process is None or not self.process.running(), f"{self.name} runs already"
        options = ["-c", "listen_addresses=127.0.0.1", "-c", f"port={self.port}",
                   "-c", f"unix_socket_directories={self.socket_dir}"]
        variables = [f"{name}={value}" for name, value in self.environment.items()]
        self.process = ChildProcess(self.name, ["env", *variables, f"{self.programs}/postgres", "-D", self.data, *options],
                                    self.log_path, user=user_for_servers())
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self):
        def accepts():
            assert self.process.running(), f"{self.name} ended; its log is {self.log_path}"
            try:
                psycopg2.connect(self.conninfo(dbname="postgres")).close()
                return True
            except psycopg2.OperationalError:
                return False
        wait_until(accepts, f"{self.name} to accept connections")

    def stop(self, mode="fast"):
        if self.process is not None and self.process.running():
            self.process.stop(_STOP_SIGNALS[mode])

    def kill(self):
        """kill -9 for all its processes."""
        if self.process is not None:
            self.process.kill()

    def restart(self, mode="fast"):
        self.stop(mode)
        self.start()

    def reload(self):
        self.process.send(signal.SIGHUP)

    def close(self):
        if self.process is not None and self.process.running():
            self.process.kill()
        self._remove_shared_memory()
        ports.release(self.port)
        if os.environ.get("PGDUET_KEEP") != "1":
            shutil.rmtree(self.data, ignore_errors=True)  # the logs stay until the session ends

    def _remove_shared_memory(self):
        """A server that was killed leaves its System V segment, and a machine has 4096 of them. The pid file names it. One with a clock of its
        own (server_clock.py) leaves that clock's files, named by its pid."""
        if self.process is not None:
            for path in glob.glob(f"/dev/shm/*faketime_*_{self.process.pid}"):
                os.remove(path)
        try:
            with open(os.path.join(self.data, "postmaster.pid"), encoding="utf-8") as file:
                segment = file.read().splitlines()[6].split()[1]
        except (OSError, IndexError):
            return  # it ended by itself, or was never started
        subprocess.run(["ipcrm", "-m", segment], check=False, stderr=subprocess.DEVNULL)

    def conninfo(self, dbname="postgres", user="postgres", host=None, port=None):
        """Over the Unix socket unless a host is given."""
        return f"host={host or self.socket_dir} port={port or self.port} dbname={dbname} user={user}"

    def connect(self, dbname="postgres", user="postgres", autocommit=True):
        # Tests provoke errors of their own; the server's log is for everybody else's.
        quiet = "-c log_min_messages=fatal" if user == "postgres" else ""
        connection = psycopg2.connect(self.conninfo(dbname, user), application_name="test", options=quiet)
        connection.autocommit = autocommit
        return connection

    def sql(self, statement, parameters=None, dbname="postgres", user="postgres"):
        """Runs SQL in autocommit mode; returns the rows, if any."""
        connection = self.connect(dbname, user)
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement, parameters)
                return cursor.fetchall() if cursor.description else None
        finally:
            connection.close()

    def create_database(self, name, encoding="UTF8", locale="C.UTF-8"):
        self.sql(f"""CREATE DATABASE "{name}" TEMPLATE template0 ENCODING '{encoding}' LOCALE '{locale}'""")

    def program(self, name, *arguments, dbname="postgres"):
        """Runs a client program (psql, pg_dump, pgbench, ...) against this cluster; returns its output."""
        argv = [f"{client_programs()}/{name}", "-h", self.socket_dir, "-p", self.port, "-U", "postgres", *arguments]
        return run(argv + ([dbname] if dbname else []))

    def _copy_template(self, workspace, encoding, locale):
        template = _template(workspace, self.programs, encoding, locale)
        run(["cp", "-a", "--reflink=auto", template, self.data], user=user_for_servers())
        # A copy is another database system: give it another identifier, and WAL that carries it.
        with open(os.path.join(self.data, "global", "pg_control"), "r+b") as control:
            control.write(secrets.token_bytes(7) + b"\x01")
        run([f"{self.programs}/pg_resetwal", "-f", self.data], user=user_for_servers())


_template_lock = threading.Lock()


def rolled_back(connection):
    """For writers that go on while servers die: the connection, or None when its server has gone in between."""
    try:
        connection.rollback()
    except psycopg2.Error:
        return None
    return connection


def _template(workspace, programs, encoding, locale):
    path = os.path.join(workspace.path, f"template-{encoding}-{locale}", "data")
    with _template_lock:
        if not os.path.isdir(path):
            made = workspace.folder("initdb")
            _initdb(programs, os.path.join(made, "data"), encoding, locale)
            shutil.move(made, os.path.dirname(path))
            assert os.path.isdir(path)
    return path


def _initdb(programs, path, encoding, locale):
    run([f"{programs}/initdb", "--no-sync", "-D", path, "-U", "postgres", "-A", "trust", f"--locale={locale}", f"--encoding={encoding}"],
        user=user_for_servers())
