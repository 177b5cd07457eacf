"""Starting and ending processes.

Each child is started through setpriv, which asks the kernel to kill it when its parent dies. "Parent" means the
thread that started it: so all children are started by one thread that lives as long as this process does.
"""

import os
import pwd
import queue
import shutil
import signal
import subprocess
import threading

from .waiting import PATIENCE, TimedOut, wait_until

_live = {}  # pid -> ChildProcess, for the log tails of a failing test and for the end of the session


class ChildProcess:
    """One running server. `name` appears in reports; `log_path` collects its output over restarts."""

    def __init__(self, name, argv, log_path, user=None, env=None):
        self.name = name
        self.log_path = log_path
        prefix = ["setpriv", "--pdeathsig", "KILL"]
        if user is not None and os.geteuid() == 0:
            entry = pwd.getpwnam(user)
            prefix += ["--reuid", str(entry.pw_uid), "--regid", str(entry.pw_gid), "--clear-groups"]
        with open(log_path, "ab") as log:
            self.popen = _starter.start(
                prefix + ["--"] + [str(a) for a in argv],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env={**os.environ, **(env or {})}, cwd="/")
        self.pid = self.popen.pid
        _live[self.pid] = self

    def running(self):
        return self.popen.poll() is None

    def send(self, number):
        if self.running():
            self.popen.send_signal(number)

    def wait(self, timeout=PATIENCE):
        """Returns the exit code."""
        try:
            code = self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            raise TimedOut(f"{self.name} (pid {self.pid}) did not end in {timeout:.0f} s") from None
        _live.pop(self.pid, None)
        return code

    def stop(self, number=signal.SIGTERM, timeout=PATIENCE):
        self.send(number)
        return self.wait(timeout)

    def kill(self):
        """kill -9 for the process and everything that it started."""
        children = descendants(self.pid) if self.running() else []
        self.send(signal.SIGKILL)
        for child in children:
            _kill_pid(child)
        code = self.wait()
        wait_until(lambda: not any(_exists(child) for child in children), f"children of {self.name} to end")
        return code

    def freeze(self):
        self.send(signal.SIGSTOP)

    def thaw(self):
        self.send(signal.SIGCONT)


def kill_all():
    for child in list(_live.values()):
        child.kill()


def live():
    return list(_live.values())


def descendants(pid):
    """Pids of all children, theirs too."""
    found = []
    for child in _children(pid):
        found += [child, *descendants(child)]
    return found


def user_for_servers():
    """PostgreSQL refuses to run as root: then it runs as the package's user."""
    return "postgres" if os.geteuid() == 0 else None


def as_user(argv, user):
    """The command line that runs `argv` as `user`: itself where that is nobody else, or cannot be changed."""
    argv = [str(a) for a in argv]
    if user is None or os.geteuid() != 0:
        return argv
    return ["setpriv", "--reuid", user, "--regid", user, "--clear-groups", "--", *argv]


def run(argv, user=None, **kwargs):
    """Runs a command to its end as `user`; raises with its output when it fails."""
    done = subprocess.run(as_user(argv, user), capture_output=True, text=True, cwd="/", **kwargs)
    if done.returncode != 0:
        raise RuntimeError(f"{argv[0]} failed with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def tail(path, lines=40):
    try:
        with open(path, "rb") as log:
            log.seek(0, os.SEEK_END)
            log.seek(max(0, log.tell() - 64 * 1024))
            return "\n".join(log.read().decode("utf-8", "replace").splitlines()[-lines:])
    except OSError as error:
        return str(error)


def find_program(name):
    path = shutil.which(name)
    if path is None:
        raise RuntimeError(f"{name} is not installed; run ./dev setup")
    return path


class _Starter:
    """The thread that starts all children; it never ends before the process."""

    def __init__(self):
        self._requests = queue.Queue()
        self._thread = None
        self._lock = threading.Lock()

    def start(self, argv, **kwargs):
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name="starter", daemon=True)
                self._thread.start()
        answer = queue.Queue()
        self._requests.put((argv, kwargs, answer))
        result = answer.get()
        if isinstance(result, Exception):
            raise result
        return result

    def _serve(self):
        while True:
            argv, kwargs, answer = self._requests.get()
            try:
                answer.put(subprocess.Popen(argv, **kwargs))
            except OSError as error:
                answer.put(error)


_starter = _Starter()


def _children(pid):
    found = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children") as children:
                found += [int(child) for child in children.read().split()]
    except OSError:
        pass
    return found


def _exists(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def _kill_pid(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
