"""What stands between a fresh clone and a gateway that answers: a config, the local models' files, a first key.

Each step does nothing where its work is done already. Prints nothing: what there is to tell is returned.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from tierwise.gateway.access.keys import UNLIMITED, Standing, Terms, create_key, revoke_key, standings
from tierwise.gateway.clock import SystemClock
from tierwise.gateway.settings import Config, Environment, load, pepper, read_environment
from tierwise.gateway.setup.doctor import local_weights
from tierwise.gateway.setup.starter import starter, write
from tierwise.gateway.storage import storage
from tierwise.money import Key
from tierwise.providers.weights import fetch, find
from tierwise.store.ledger_store import LedgerStore

FIRST = "first"

Progress = Callable[[str, int, int | None, str], None]
"""(model, bytes done, bytes in all or None where it is not known, what is being fetched)."""


def ensure_config(path: Path, environment: Environment) -> tuple[Config, bool]:
    """The config at `path`, and whether a starter config was written there first. Raises ConfigError."""
    written = not path.exists()
    if written:
        write(path, starter(environment))
    return load(path, environment.variables), written


def fetch_missing(config: Config, environment: Environment, progress: Progress) -> tuple[str, ...]:
    """Fetch the weights that are not on this machine; the names of the models that needed it. Raises WeightsError."""
    fetched: list[str] = []
    for name, weights in local_weights(config).items():
        if find(weights, environment.weights) is None:
            fetch(weights, environment.weights, environment.hub, _named(name, progress))
            fetched.append(name)
    return tuple(fetched)


def _named(name: str, progress: Progress) -> Callable[[int, int | None, str], None]:
    return lambda done, total, what: progress(name, done, total, what)


@asynccontextmanager
async def opened(config: Config, environment: Environment | None = None) -> AsyncIterator[LedgerStore]:
    """The config's store, closed at the end; without an `environment`, by this process's. Raises StoreError."""
    store = await storage(config, environment or read_environment(), SystemClock())
    try:
        yield store
    finally:
        await store.close()


async def first_key(config: Config, environment: Environment) -> str | None:
    """The text of a new key, where the store has no key at all; else None. Raises StoreError, ConfigError."""
    async with opened(config, environment) as store:
        if await store.keys():
            return None
        _, text = await create_key(store, pepper(config, environment), FIRST, None, SystemClock().now_ns())
        return text


async def new_key(
    config: Config, environment: Environment, name: str, budget_nanos: int | None, terms: Terms = UNLIMITED
) -> tuple[Key, str]:
    """A new key and its text. Raises StoreError, ConfigError."""
    secret, now_ns = pepper(config, environment), SystemClock().now_ns()
    async with opened(config, environment) as store:
        return await create_key(store, secret, name, budget_nanos, now_ns, terms)


async def key_standings(config: Config) -> list[Standing]:
    """Of every key. Raises StoreError."""
    async with opened(config) as store:
        return await standings(store, SystemClock().now_ns())


async def end_key(config: Config, key_id: str) -> bool:
    """False where there is no such live key. Raises StoreError."""
    async with opened(config) as store:
        return await revoke_key(store, key_id, SystemClock().now_ns())
