"""Keeps a running gateway's prices in step with a price list at an address of the operator's choice.

A list is taken whole or not at all: it must keep the schema, and must not make a configured model's price vanish or
jump. What was taken is kept in a file for the next start; what was refused leaves everything as it is, and a line in
the log. Knows nothing of what a price is.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from tierwise.errors import ConfigError
from tierwise.gateway.engine import Engine
from tierwise.gateway.evidence.certified import Certified, Standing, certified_by, stand
from tierwise.gateway.prices.price_lists import LARGEST, PriceList, check
from tierwise.gateway.settings import Config, Environment
from tierwise.gateway.snapshot import build, fetched_path
from tierwise.gateway.web.outbound import Unanswered, ask
from tierwise.gateway.whole_file import written_aside
from tierwise.types import Model, Route

TIMEOUT = 30.0  # seconds
HOUR = 3600
JUMP = 10  # times as dear, or as cheap: more is a slip of the decimal point until a person says otherwise

_log = logging.getLogger("tierwise.prices")


class Feed:
    """Of one worker; several keep the same file, whole at any time."""

    def __init__(
        self, engine: Engine, config: Config, environment: Environment, certified: Certified | None = None
    ) -> None:
        self._engine = engine
        self._config = config
        self._environment = environment
        self._certified = certified or certified_by(config, environment)

    async def follow(self) -> None:
        """Refresh for ever; ends at once where the config names no address."""
        while self._config.prices.url:
            await self.refresh()
            await asyncio.sleep(self._config.prices.refresh_hours * HOUR)

    async def refresh(self) -> bool:
        """Fetch, verify, keep, swap. False, and a line in the log, where the list was not taken."""
        try:
            content = await asyncio.to_thread(_fetch, self._config.prices.url)
            models = await asyncio.to_thread(self._take, content)
        except ConfigError as error:
            _log.warning("the price list was not taken, the known prices stay: %s", error.problems[0])
            return False
        known = self._engine.snapshot.models
        changed = {name for name, model in models.items() if _priced(model) != _priced(known[name])}
        if changed:
            _log.warning("new prices by the list that was fetched: %s", ", ".join(sorted(changed)))
            self._swap(models, changed)
        return True

    def _take(self, content: bytes) -> Mapping[str, Model]:
        """The models as this list has them. Raises ConfigError, with nothing changed."""
        fetched = _read(content)
        terms = self._config.prices.terms(self._config.folder, fetched)
        models = build(self._config, self._environment, terms=terms).models
        wrong = list(_jumps(self._engine.snapshot.models, models))
        if wrong:
            raise ConfigError(*wrong)
        _keep(fetched_path(self._config), content)
        return models

    def _swap(self, models: Mapping[str, Model], changed: set[str]) -> None:
        """New requests see the new prices; a certificate that binds the old ones is suspended, or holds again."""
        engine, certificates = self._engine, dict(self._engine.certificates)
        routes = {}
        for name, route in engine.snapshot.routes.items():
            routes[name] = moved = _with(route, models)
            table = self._config.routes[name]
            if table.trained and changed & {model.name for model in _all(route)}:
                certificates[name] = standing = self._standing(moved)
                routes[name] = stand(moved, standing)
                if standing.said != route.certified:
                    _log.warning("route %s: its certificate is %s", name, standing.said)
        engine.certificates = certificates
        direct = {name: _with(route, models) for name, route in engine.snapshot.direct.items()}
        engine.snapshot = msgspec.structs.replace(engine.snapshot, models=models, routes=routes, direct=direct)

    def _standing(self, route: Route) -> Standing:
        try:
            return self._certified(route, self._config.routes[route.name])
        except ConfigError:
            return Standing("suspended: it can't be read")


def _fetch(address: str) -> bytes:
    """Raises ConfigError, without the address: it may hold a secret."""
    try:
        content = ask(address, {"accept": "application/json"}, timeout=TIMEOUT, most=LARGEST + 1)
    except Unanswered as error:
        raise ConfigError(str(error)) from None
    if len(content) > LARGEST:
        raise ConfigError(f"larger than {LARGEST // 1_000_000} MB")
    return content


def _read(content: bytes) -> PriceList:
    """Raises ConfigError with every mistake."""
    try:
        raw = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ConfigError("not JSON") from None
    problems = list(check(raw))
    if problems:
        raise ConfigError(*problems)
    return msgspec.convert(raw, PriceList)


def _jumps(known: Mapping[str, Model], fresh: Mapping[str, Model]) -> Iterator[str]:
    for name, model in fresh.items():
        was, now = known[name].price, model.price
        if was is not None and now is None:
            yield f"{name} would have no price any more"
        elif was is not None and now is not None:
            for what, before, after in (("input", was.input, now.input), ("output", was.output, now.output)):
                if before and not before <= after * JUMP <= before * JUMP**2:
                    yield f"{name}: {what} would cost {after / 1e6:g} instead of {before / 1e6:g} USD a million tokens"


def _keep(path: Path, content: bytes) -> None:
    """Whole or not at all. Raises ConfigError."""
    try:
        with written_aside(path, content, mode=0o666) as aside:  # less what the process masks: it holds no secret
            aside.replace(path)
    except OSError as error:
        raise ConfigError(f"{path}: can't be written: {error.strerror}") from error


def _priced(model: Model) -> object:
    """What a model is charged by, as certificates bind it."""
    return model.price if model.pricing is None else model.pricing.tariffs


def _all(route: Route) -> tuple[Model, ...]:
    return (*route.tiers, *route.opinions, *(() if route.judge is None else (route.judge,)))


def _with(route: Route, models: Mapping[str, Model]) -> Route:
    return msgspec.structs.replace(
        route,
        tiers=tuple([models[model.name] for model in route.tiers]),
        opinions=tuple([models[model.name] for model in route.opinions]),
        judge=None if route.judge is None else models[route.judge.name],
        screener=None if route.screener is None else models[route.screener.name],
    )
