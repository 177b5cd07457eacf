"""The temporary folder of a session. Short path: a Unix socket's path has at most 107 bytes.

A lock file tells ./dev clean-up that the session lives.
"""

import fcntl
import os
import pwd
import shutil
import tempfile

from .processes import user_for_servers


class Workspace:
    def __init__(self):
        self.path = tempfile.mkdtemp(prefix="pd-", dir="/tmp")
        os.chmod(self.path, 0o755)
        self._names = {}
        self._lock = open(os.path.join(self.path, "lock"), "w")  # held until this process ends
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def folder(self, name):
        """A new folder that the servers' user owns."""
        count = self._names[name] = self._names.get(name, 0) + 1
        path = os.path.join(self.path, f"{name}{count}")
        os.mkdir(path, 0o755)
        give_to_servers(path)
        return path

    def remove(self):
        if os.environ.get("PGDUET_KEEP") == "1":
            print(f"\nkept: {self.path}")
        else:
            shutil.rmtree(self.path, ignore_errors=True)


def give_to_servers(path):
    user = user_for_servers()
    if user is not None:
        entry = pwd.getpwnam(user)
        os.chown(path, entry.pw_uid, entry.pw_gid)
