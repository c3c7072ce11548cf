"""From the config to the open store: which database it names, and where this process keeps its journal.

Knows the `[store]` table and the environment; nothing of what a store does.
"""

from __future__ import annotations

import secrets
from pathlib import Path

from tierwise.errors import ConfigError
from tierwise.gateway.settings import Config, Environment
from tierwise.gateway.tables.store_table import is_server
from tierwise.ports import Clock
from tierwise.store.backend import Limits
from tierwise.store.ledger_store import LedgerStore
from tierwise.store.open_store import open_store


async def storage(config: Config, environment: Environment, clock: Clock) -> LedgerStore:
    """Open it, as an instance of its own. Raises ConfigError, StoreError."""
    table = config.store
    return await open_store(
        address(config, environment),
        config.folder,
        spool=spool(config),
        clock=clock,
        instance=secrets.token_hex(8),
        limits=Limits(spool_mb=table.spool_mb, when_down=table.when_down),
    )


def spool(config: Config) -> Path | None:
    """The folder of the journals, where the config names one."""
    return config.folder / Path(config.store.spool).expanduser() if config.store.spool else None


def address(config: Config, environment: Environment) -> str:
    """Of the database, which may hold a password. Raises ConfigError."""
    table = config.store
    if not table.url_env:
        return table.url
    found = environment.secret(table.url_env)
    if found is None or not is_server(found):
        raise ConfigError(
            f"{config.path}: store.url_env: {table.url_env} does not hold an address like "
            "postgresql://USER:PASSWORD@HOST/DATABASE"
        )
    return found
