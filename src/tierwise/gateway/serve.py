"""Processes and sockets: `workers` processes that each run the app on one event loop.

The kernel spreads connections over the workers (SO_REUSEPORT). Knows nothing of what the app does.
"""

from __future__ import annotations

import asyncio
import dataclasses
import errno
import gc
import logging
import multiprocessing
import os
import secrets
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from multiprocessing.process import BaseProcess

import msgspec
import uvloop
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server

from tierwise.errors import ConfigError, TierwiseError
from tierwise.gateway.access.keyring import Keyring
from tierwise.gateway.app import App
from tierwise.gateway.batches.context import Resources
from tierwise.gateway.batches.file_store import FileStore
from tierwise.gateway.batches.runner import BatchRunner
from tierwise.gateway.evidence.draws import draws_secret
from tierwise.gateway.running import Reloader, run_by
from tierwise.gateway.settings import Config, Environment, pepper
from tierwise.gateway.wiring import open_engine

Ready = Callable[[str], None]
HEAD_LIMIT = 64 << 10  # bytes of a request's head; of one that comes at once, up to twice as many
_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_RELOAD = (signal.SIGHUP,)
COLLECT_AFTER = 20_000  # new container objects; the interpreter's own default is 700
HEAD_SECONDS = 10  # a client may take to send it, and a connection may lie idle before the next one
CONNECTIONS = 16_384  # of a worker; the next one waits until one of them is closed
FREE = range(20_000, 32_000)  # where a port of 0 is looked for


def serve(config: Config, environment: Environment, ready: Ready | None = None) -> None:
    """Serve until SIGTERM or SIGINT: what runs may then go on for `drain_seconds`, or until a second signal comes.

    `ready` is told the base URL once connections are taken.

    At each SIGHUP the config's file is read anew; what is wrong with it then goes to the log, and nothing changes.
    Raises ConfigError where the port is taken, and TierwiseError where one of several workers ended by itself.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, _RELOAD)  # for workers too: one that comes early waits until it is heard
    with _with_port(config) as placed:
        if placed.server.workers == 1:
            uvloop.run(work(placed, environment, _settled(ready)))
        else:
            _serve_by_several(placed, environment, ready)


def _serve_by_several(config: Config, environment: Environment, ready: Ready | None) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [
        context.Process(target=_child, args=(config, environment), name=f"tierwise-{number}")
        for number in range(config.server.workers)
    ]
    for worker in workers:
        worker.start()
    try:
        asked = uvloop.run(_supervise(config, workers, ready))
    finally:
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.join()
    if not asked and any(worker.exitcode for worker in workers):
        raise TierwiseError("a worker ended by itself, so the others were stopped; start the gateway again")


def _settled(ready: Ready | None) -> Ready:
    """What has been loaded by now stays for good, and requests leave few cycles: look for them less often.

    Measured with benchmarks/gateway.py: it saves about a tenth of the CPU a request.
    """

    def tell(url: str) -> None:
        gc.collect()
        gc.freeze()
        gc.set_threshold(COLLECT_AFTER, 20, 20)
        if ready is not None:
            ready(url)

    return tell


def _child(config: Config, environment: Environment) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C comes to all of a terminal; the parent says what it means
    try:
        uvloop.run(_attended(config, environment))
    except TierwiseError as error:
        sys.stderr.write(f"error: {error.message}\n")  # at once, or the lines of several workers would mingle
        raise SystemExit(1) from None


async def _attended(config: Config, environment: Environment) -> None:
    """A worker that ends with the process that started it, however that one ended."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        loop = asyncio.get_running_loop()
        loop.add_reader(parent.sentinel, _orphaned, loop, parent.sentinel)
    await work(config, environment, _settled(None))


def _orphaned(loop: asyncio.AbstractEventLoop, sentinel: int) -> None:
    loop.remove_reader(sentinel)
    signal.raise_signal(signal.SIGTERM)


async def _supervise(config: Config, workers: Sequence[BaseProcess], ready: Ready | None) -> bool:
    """Until all workers have ended: by a signal (True), or because one did: half a gateway is stopped as a whole."""
    asked, stop = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def ask() -> None:
        if asked.is_set():
            end()  # at once, now
        asked.set()
        stop.set()

    def end() -> None:
        for worker in workers:
            worker.terminate()

    def reload() -> None:
        for worker in workers:
            if worker.pid is not None and worker.is_alive():
                os.kill(worker.pid, signal.SIGHUP)

    for number in _SIGNALS:
        loop.add_signal_handler(number, ask)
    _reload_on_hangup(reload)
    ended = [asyncio.ensure_future(_ended(worker, stop)) for worker in workers]
    told = asyncio.ensure_future(_tell(config, ready))
    await stop.wait()
    told.cancel()
    end()
    await asyncio.wait(ended)
    return asked.is_set()


async def _ended(worker: BaseProcess, stop: asyncio.Event) -> None:
    """Returns once a worker has ended, and says so."""
    ended, loop = asyncio.Event(), asyncio.get_running_loop()
    loop.add_reader(worker.sentinel, ended.set)
    await ended.wait()
    loop.remove_reader(worker.sentinel)
    stop.set()


async def work(config: Config, environment: Environment, ready: Ready | None = None) -> None:
    """One worker: serve on the running loop until a signal comes or the task is cancelled."""
    logging.getLogger("_granian").setLevel(logging.ERROR)  # its start-up lines would hide our own
    engine = await open_engine(config, environment)
    try:
        secret = pepper(config, environment)
        engine = dataclasses.replace(engine, secret=draws_secret(secret))
        keyring = Keyring(engine.store, secret, engine.clock)
        await keyring.refresh()
        running = await run_by(engine, config, environment, keyring)
        app = App(running, keyring)
        app.batches = _batches(config, app)
        reloader = Reloader(running, config, environment, keyring, app.take)
        server = _server(app, config)
        following = (keyring.follow(), reloader.follow(), app.batches.follow(), _tell(config, ready))
        beside = [asyncio.ensure_future(each) for each in following]
        loop = asyncio.get_running_loop()
        heard = _SIGNALS if config.server.workers == 1 else _SIGNALS[:1]
        stop = _Stop(server, app, config.server.drain_seconds)
        for number in heard:
            loop.add_signal_handler(number, stop)
        _reload_on_hangup(reloader.ask)
        try:
            await _until_stopped(server)
        finally:
            for number in heard:
                loop.remove_signal_handler(number)
            await app.batches.close()
            for task in beside:
                task.cancel()
            await asyncio.wait(beside)
            await reloader.close()
            loop.remove_signal_handler(signal.SIGHUP)  # last: what it does to a process by itself is end it
    finally:
        await engine.close()


def _reload_on_hangup(reload: Callable[[], None]) -> None:
    """From now on, SIGHUP means this; one that has come already too."""
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reload)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _RELOAD)


def _server(app: App, config: Config) -> Server:
    """HTTP/1 alone: nobody asks an API for the other one without TLS, and its limits would be others."""
    return Server(
        app,
        address=config.server.host,
        port=config.server.port,
        interface=Interfaces.RSGI,
        http=HTTPModes.http1,
        websockets=False,
        backlog=1024,
        backpressure=CONNECTIONS,
        http1_settings=HTTP1Settings(header_read_timeout=HEAD_SECONDS * 1000, max_buffer_size=HEAD_LIMIT),
        log_enabled=False,
    )


@asynccontextmanager
async def serving(config: Config, environment: Environment) -> AsyncIterator[str]:
    """A gateway on the running loop until the block ends; gives its base URL. For tests, and to embed one."""
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    with _with_port(config) as placed:
        working = asyncio.ensure_future(work(placed, environment, ready.set_result))
        try:
            await asyncio.wait((working, ready), return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                working.result()
            yield ready.result()
        finally:
            working.cancel()
            await asyncio.wait((working,))


def _batches(config: Config, app: App) -> BatchRunner:
    table = config.batches
    file_store = FileStore(table.path(config.folder, config.store_path), table.max_file_mb << 20, table.keep_days)
    slots = asyncio.Semaphore(table.concurrency)
    return BatchRunner(Resources(app, file_store, table.concurrency, slots, table.off_peak))


class _Stop:
    """What a signal does: no more connections, and what runs may come to its end; the second one ends that too.

    Granian waits for the requests that run, but a provider may hang for minutes.
    """

    def __init__(self, server: Server, app: App, drain: float) -> None:
        self._server = server
        self._app = app
        self._drain = drain
        self._heard = False

    def __call__(self) -> None:
        if self._heard:
            self._app.abandon()
            return
        self._heard = True
        self._server.stop()  # type: ignore[no-untyped-call]  # granian's own types leave it open
        asyncio.get_running_loop().call_later(self._drain, self._app.abandon)


async def _until_stopped(server: Server) -> None:
    """Until `server.stop`, or until this is cancelled; either way its sockets are closed when it ends."""
    serving = asyncio.ensure_future(server.serve())
    try:
        await asyncio.shield(serving)
    finally:
        server.stop()  # type: ignore[no-untyped-call]  # granian's own types leave it open
        await serving


async def _tell(config: Config, ready: Ready | None) -> None:
    """Wait until the port answers, then say so."""
    host, port = config.server.host, config.server.port
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  a name for "all", not a bind
    while True:
        try:
            _, writer = await asyncio.open_connection(reachable, port)
        except OSError:
            await asyncio.sleep(0.02)
            continue
        writer.close()
        break
    if ready is not None:
        shown = f"[{reachable}]" if ":" in reachable else reachable
        ready(f"http://{shown}:{port}/v1")


@contextmanager
def _with_port(config: Config) -> Iterator[Config]:
    """The config with a port that is free now, claimed until the block ends. Raises ConfigError.

    SO_REUSEPORT would let two gateways share one without a word. "Any free one" is not one of those that the system
    gives to outgoing connections: until the server listens, some other program's might take it.
    """
    host, wanted = config.server.host, config.server.port
    ports = [wanted] if wanted else [FREE[secrets.randbelow(len(FREE))] for _ in range(100)]
    for left, port in enumerate(ports, 1 - len(ports)):
        try:
            claim = _claim(host, port)
        except OSError as error:
            if left < 0:
                continue
            if error.errno == errno.EADDRINUSE:
                raise ConfigError(f"port {port} on {host} is in use; stop what uses it, or choose --port") from error
            raise ConfigError(f"can't listen on {host}:{port}: {error.strerror}") from error
        with claim:
            yield msgspec.structs.replace(config, server=msgspec.structs.replace(config.server, port=port))
        return


def _claim(host: str, port: int) -> socket.socket:
    """Until it is closed no other gateway of this machine claims the port. Raises OSError where somebody has it now.

    Where the system has no abstract names (they are Linux's), it only looks.
    """
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if sys.platform == "linux":
            claim.bind(f"\0tierwise:{host}:{port}")
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError:
        claim.close()
        raise
    return claim
