"""What answers by one config, and how another config takes its place while requests run.

A request keeps what it began with; what it began with is let go of once the last such request has ended. Knows neither
sockets nor signals (`serve.py`), nor what a request is.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import msgspec

from tierwise.errors import ConfigError, TierwiseError
from tierwise.gateway.access.budgets import Watcher
from tierwise.gateway.access.keyring import Keyring
from tierwise.gateway.alerts import Alerts
from tierwise.gateway.engine import Engine
from tierwise.gateway.evidence.audits import Auditor, State
from tierwise.gateway.evidence.draws import Draws
from tierwise.gateway.evidence.drift_monitor import drift_monitor
from tierwise.gateway.evidence.gathering import Gatherer
from tierwise.gateway.prices.price_feed import Feed
from tierwise.gateway.run import Live
from tierwise.gateway.settings import Config, Environment, load, webhook
from tierwise.gateway.wiring import open_engine
from tierwise.money import Record

# of [server]: they take a restart, and the store does
_FIXED = ("host", "port", "admin_port", "workers", "drain_seconds")

_log = logging.getLogger("tierwise.gateway")


@dataclass(eq=False)
class Running:
    """Of one config. `max_body` in bytes. Without a gatherer nothing is drawn, without an auditor followed.

    `open_health`: health may be asked for without a key. `refuses`: nothing is served while the ledger is down.
    """

    engine: Engine
    max_body: int = 10 << 20
    gatherer: Gatherer | None = None
    auditor: Auditor | None = None
    alerts: Alerts | None = None
    open_health: bool = False
    refuses: bool = False
    requests: int = 0  # that began with it and have not ended
    _following: list[asyncio.Future[None]] = field(default_factory=list)
    _ended: asyncio.Event = field(default_factory=asyncio.Event)  # set by a request's end where none is left

    def begin(self) -> None:
        """A request begins with it; `end` when it has ended."""
        self.requests += 1

    def end(self) -> None:
        self.requests -= 1
        if not self.requests:
            self._ended.set()

    def answered(self, live: Live) -> Record:
        """Book a request that has its answer, and see whether it is drawn."""
        record = live.book(200, "")
        if self.gatherer is not None:
            self.gatherer.consider(live, record)
        return record

    def audit_state(self, route: str) -> State | None:
        return None if self.auditor is None else self.auditor.state(route)

    @property
    def samples_lost(self) -> int:
        return 0 if self.gatherer is None else self.gatherer.dropped

    def follow(self, *followers: Awaitable[None]) -> None:
        """Work that goes on beside the requests, for as long as no other config has taken over."""
        self._following += [asyncio.ensure_future(each) for each in followers]

    def halt(self) -> None:
        """Stop that work: two that follow the same thing would do it twice."""
        for each in self._following:
            each.cancel()

    async def idle(self) -> None:
        """Wait until no request needs it, nor a sample that one has left."""
        while self.requests:
            self._ended.clear()
            await self._ended.wait()
        if self.gatherer is not None:
            await self.gatherer.settled()

    async def close(self, successor: Running | None = None) -> None:
        """Let go of all but the store, and of the upstreams that `successor` has taken over."""
        self.halt()
        if self.gatherer is not None:
            await self.gatherer.close()
        if self.alerts is not None:
            await self.alerts.close()
        await self.engine.release(None if successor is None else successor.engine)


async def run_by(engine: Engine, config: Config, environment: Environment, keyring: Keyring) -> Running:
    """An engine of this config with what it needs beside it. Raises ConfigError, StoreError."""
    alerts = Alerts(webhook(config, environment))
    gatherer = Gatherer(engine, Draws(engine, engine.secret, drift_monitor(engine)))
    auditor = Auditor(engine, gatherer, alerts)
    server, refuses = config.server, config.store.when_down == "refuse"
    running = Running(engine, server.max_body_mb << 20, gatherer, auditor, alerts, server.health, refuses)
    async with AsyncExitStack() as undo:
        undo.push_async_callback(gatherer.close)
        await auditor.refresh()
        undo.pop_all()
    watcher = Watcher(engine.budgets, engine.snapshot.budgets, keyring, engine.store, alerts)
    running.follow(auditor.follow(), watcher.follow(), Feed(engine, config, environment).follow())
    return running


class Reloader:
    """Puts the file's config in place of the one that runs. Belongs to one event loop; `follow` for ever.

    `take` is told what new requests begin with from now on.
    """

    def __init__(
        self,
        running: Running,
        config: Config,
        environment: Environment,
        keyring: Keyring,
        take: Callable[[Running], None],
    ) -> None:
        self._running = running
        self._config = config
        self._environment = environment
        self._keyring = keyring
        self._take = take
        self._asked = asyncio.Event()
        self._leaving: list[asyncio.Task[None]] = []

    def ask(self) -> None:
        """Have the file read anew, soon. Asking several times before that is asking once."""
        self._asked.set()

    async def follow(self) -> None:
        while True:
            await self._asked.wait()
            self._asked.clear()
            try:
                await self._reload()
            except TierwiseError as error:
                for problem in error.problems if isinstance(error, ConfigError) else (error.message,):
                    _log.error("the config was not reloaded, the old one stays: %s", problem)
            except Exception as error:  # noqa: BLE001  a worker loop: the gateway serves on, and can be asked again
                _log.error("the config was not reloaded, the old one stays: %s", type(error).__name__)

    async def close(self) -> None:
        """All of it, at once; whoever waited for the end of a request has waited long enough."""
        for leaving in self._leaving:
            leaving.cancel()
        await asyncio.gather(*self._leaving, return_exceptions=True)
        await self._running.close()

    async def _reload(self) -> None:
        """Raises TierwiseError, with nothing changed."""
        read = await asyncio.to_thread(load, self._config.path, self._environment.variables)
        config = _as_started(read, self._config)
        unheard = tuple(_unheard(read, self._config))
        before = self._running
        engine = await open_engine(config, self._environment, before=(self._config, before.engine))
        async with AsyncExitStack() as undo:
            undo.push_async_callback(engine.release, before.engine)
            running = await run_by(engine, config, self._environment, self._keyring)
            undo.pop_all()
        self._config, self._running = config, running
        self._take(running)
        before.halt()
        earlier = tuple(self._leaving)  # an upstream may have come down to `before` from those
        leaving = asyncio.ensure_future(_leave(before, running, earlier))
        self._leaving.append(leaving)
        leaving.add_done_callback(self._leaving.remove)
        for line in unheard:
            _log.warning("%s", line)
        _log.warning("the config was reloaded: %d models, %d routes", len(config.models), len(config.routes))


async def _leave(running: Running, successor: Running, earlier: tuple[asyncio.Task[None], ...]) -> None:
    try:
        if earlier:
            await asyncio.wait(earlier)
        await running.idle()
    finally:
        await running.close(successor)


def _as_started(read: Config, current: Config) -> Config:
    """With what can't change while it runs as it is."""
    fixed = {name: getattr(current.server, name) for name in _FIXED}
    return msgspec.structs.replace(read, server=msgspec.structs.replace(read.server, **fixed), store=current.store)


def _unheard(read: Config, current: Config) -> Iterator[str]:
    """What the file would have otherwise, but for a port of 0, which is any."""
    pairs = {f"server.{name}": (getattr(current.server, name), getattr(read.server, name)) for name in _FIXED}
    pairs["store.url"] = current.store.url, read.store.url
    for name, (now, wanted) in pairs.items():
        if wanted not in (now, 0):
            yield f"{name} stays {now!r} while the gateway runs; {wanted!r} in the file takes a restart"
