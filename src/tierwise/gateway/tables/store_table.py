"""The config's `[store]` table: where the ledger is kept, and what happens while it can't be reached.

Knows what can be wrong with it; nothing of the databases.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec

from tierwise.gateway.tables.route_table import Table
from tierwise.gateway.tables.toml_check import Problems

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SQLITE = "sqlite:///"
_DEFAULT = f"{_SQLITE}tierwise.db"
_SCHEMES = ("postgresql", "postgres")


class StoreTable(Table, frozen=True):
    # three slashes: from the config's folder; four: an absolute path. Or postgresql://HOST/DATABASE
    url: str = _DEFAULT
    url_env: str = ""  # the name of a variable that holds a postgresql:// address, with its password; then no `url`
    spool: str = ""  # the folder of the journals, on a local disk; "": beside the SQLite file, or the config
    spool_mb: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 64  # that may wait there while the database is down
    when_down: Literal["spool", "refuse"] = "spool"

    def file(self, folder: Path) -> Path:
        """The SQLite file. With PostgreSQL there is none: then a name beside the config, for what is kept beside it."""
        if self.url_env or not self.url.startswith(_SQLITE):
            return folder / "tierwise.postgresql"
        return folder / self.url.removeprefix(_SQLITE)

    @property
    def embedded(self) -> bool:
        """In a file, not in a server."""
        return not self.url_env and self.url.startswith(_SQLITE)


def is_server(address: str) -> bool:
    """Whether it is a whole postgresql:// address."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    return parts.scheme in _SCHEMES and bool(parts.hostname) and bool(parts.path.strip("/"))


def check_store(store: StoreTable, problems: Problems) -> None:
    if store.url_env:
        if not _VARIABLE.fullmatch(store.url_env):
            problems.add(("store", "url_env"), "is the name of an environment variable, not the address itself")
        if store.url != _DEFAULT:
            problems.add(("store", "url"), "is said in `url_env` already")
        return
    scheme, colon, rest = store.url.partition(":")
    if scheme in _SCHEMES:
        _check_server(store.url, problems)
    elif scheme != "sqlite" or not colon:
        problems.add(
            ("store", "url"), 'expected an address like "sqlite:///tierwise.db" or "postgresql://HOST/DATABASE"'
        )
    elif not rest.startswith("///") or not rest.strip("/") or rest == "///:memory:":
        problems.add(
            ("store", "url"), 'expected a file, like "sqlite:///tierwise.db"; a ledger must outlive the process'
        )


def _check_server(url: str, problems: Problems) -> None:
    if not is_server(url):
        problems.add(("store", "url"), 'expected an address like "postgresql://HOST/DATABASE"')
    elif urlsplit(url).password:
        problems.add(
            ("store", "url"), "holds a password: set a variable to the whole address, and `url_env` to its name"
        )
