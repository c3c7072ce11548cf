"""The process that runs one local model: llama.cpp's own HTTP server (the xllamacpp wheel), on loopback only.

`python -m tierwise.providers.llama WEIGHTS PLACE THREADS CONTEXT NAME` leaves a process behind and ends. It knows
nothing of configs, routes or who calls it; what it shares with its users is three files, whose locks end with the
process that holds them, however that ends:

    PLACE.lock   exclusive, held while somebody starts the process, so that it is started once
    PLACE.users  shared, held by every process that uses the model. Whoever gets it exclusively knows that nobody does
    PLACE.json   where it listens and the token it wants; exclusive, held by the running process

It gets `.users` exclusively when the last user has let go of it, stopped or was killed; then it ends. It writes no
logs: after it has started, its standard streams lead nowhere, so no prompt can reach one.
"""

from __future__ import annotations

import fcntl
import http.client
import os
import secrets
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

import msgspec

CACHE_MIB = 256  # of RAM for prompts that other prompts pushed out of the one slot: llama.cpp's default is 8 GiB
HTTP_THREADS = 64  # each waiting or kept-alive connection holds one
LOG_ERRORS = 1  # llama.cpp's verbosity: what kept it from starting, and nothing else
HEALTH_SECONDS_MAX = 30.0
LOG_SECONDS = 0.3  # llama.cpp writes its reasons from a thread of its own, which an exit would cut off
POLL_SECONDS = 0.5  # between looks whether somebody still uses the model


class Child(msgspec.Struct, frozen=True):
    """A running process, as its state file says it. `token` is the API key it wants: the file is its user's alone."""

    port: int
    token: str
    pid: int
    weights: str  # path of the model's file


class Place(msgspec.Struct, frozen=True):
    """Where the files of one model with one set of options are."""

    stem: Path

    @property
    def lock(self) -> Path:
        return self.stem.with_name(self.stem.name + ".lock")

    @property
    def users(self) -> Path:
        return self.stem.with_name(self.stem.name + ".users")

    @property
    def state(self) -> Path:
        return self.stem.with_name(self.stem.name + ".json")


def take(file: IO[bytes], how: int) -> bool:
    """A lock on an open file, if it is free: `how` is fcntl.LOCK_EX or fcntl.LOCK_SH."""
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def running(state: Path) -> Child | None:
    """The process behind a state file; None where there is none. A killed one has lost its lock on the file."""
    try:
        with state.open("rb") as file:
            return None if take(file, fcntl.LOCK_SH) else msgspec.json.decode(file.read(), type=Child)
    except FileNotFoundError:
        return None


def main(arguments: Sequence[str]) -> None:
    weights, stem, threads, context, name = arguments
    place = Place(Path(stem))
    # uvloop lets a child inherit what it should not, its own pipe a second time too: that end would never be closed
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    if os.fork():  # nobody has to wait for the process, so it may outlive the one that happened to start it
        os._exit(0)
    token = secrets.token_urlsafe(32)
    server, port = _serve(weights, token, (int(threads), int(context), name))
    _await_health(port)
    with place.users.open("ab") as users, _announce(place.state, Child(port, token, os.getpid(), weights)) as state:
        _silence()
        while not take(users, fcntl.LOCK_EX):
            time.sleep(POLL_SECONDS)
        if place.state.exists() and os.path.samestat(place.state.stat(), os.fstat(state.fileno())):
            place.state.unlink()
    del server


def _serve(weights: str, token: str, options: tuple[int, int, str]) -> tuple[Any, int]:
    """The server and its port; it stops when the server object goes."""
    try:
        import xllamacpp  # noqa: PLC0415  heavy, and optional
    except ImportError:
        sys.exit("the package xllamacpp is missing: install Tierwise with its extra `local`")
    threads, context, name = options
    wanted = xllamacpp.CommonParams()
    wanted.model.path = weights
    wanted.model_alias = {name}  # what answers call themselves; else they would tell every client where the file is
    wanted.offline = True
    wanted.hostnames, wanted.port = ["127.0.0.1"], 0
    wanted.api_keys = [token]
    wanted.cors_origins = ""
    wanted.ui = wanted.endpoint_slots = wanted.endpoint_props = wanted.endpoint_metrics = False
    wanted.cpuparams.n_threads = wanted.cpuparams_batch.n_threads = threads
    wanted.n_threads_http = HTTP_THREADS
    wanted.n_parallel = 1
    # weights stay mapped from the file; for a 1.5 B model a repacked copy costs 0.6 GB, and 15 % of the prompt's speed
    # for 18 % of the answer's, while routes read far more than they write (AVX-512, one thread)
    wanted.no_extra_bufts = True
    wanted.n_ctx, wanted.fit_params = context, False
    wanted.cache_prompt, wanted.cache_ram_mib = True, CACHE_MIB
    wanted.verbosity = LOG_ERRORS
    try:
        server = xllamacpp.Server(wanted)
    except RuntimeError as error:
        time.sleep(LOG_SECONDS)
        sys.exit(f"llama.cpp does not start with {weights}: {error}")
    return server, urlsplit(server.listening_address).port or 0


def _await_health(port: int) -> None:
    until = time.monotonic() + HEALTH_SECONDS_MAX
    while time.monotonic() < until:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=HEALTH_SECONDS_MAX)
        try:
            connection.request("GET", "/health")
            if connection.getresponse().status == http.HTTPStatus.OK:
                return
        except (OSError, http.client.HTTPException):
            pass  # not yet
        finally:
            connection.close()
        time.sleep(0.05)
    sys.exit("llama.cpp has started but does not answer")


def _announce(path: Path, child: Child) -> IO[bytes]:
    """The state file, complete and locked from the moment that it can be seen."""
    new = path.with_name(f"{path.name}.{child.pid}")
    new.unlink(missing_ok=True)
    file = os.fdopen(os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb")
    fcntl.flock(file, fcntl.LOCK_EX)
    file.write(msgspec.json.encode(child))
    file.flush()
    new.replace(path)
    return file


def _silence() -> None:
    """Ends whoever waits for our output, and leaves llama.cpp nothing to write a prompt to."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    os.close(nowhere)


if __name__ == "__main__":
    main(sys.argv[1:])
