"""PostgreSQL as the ledger's database: one connection, driven by the thread that writes.

asyncpg runs on an event loop of this object's own, one call at a time. A connection that is lost is a StoreError; the
next call outside a transaction makes a new one.

PostgreSQL keeps no NUL in a text, and SQLite does. So texts are sent in a form without: ESCAPE and a digit stand for
NUL, and for ESCAPE itself. Whoever reads the tables by hand sees that form.

Knows the server's errors and what they mean to an operator; no table.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from types import ModuleType
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from tierwise.errors import RowRefused, StoreError
from tierwise.store.database import Row
from tierwise.store.postgres_schema import migrate

BUSY_MS = 5_000  # how long a statement waits for another process's lock, and an opening for the server
REPLY_S = 15.0  # no statement takes so long: the network is gone, or the server hangs
IDLE_S = 10  # after which the server undoes a transaction whose process fell silent, and frees what it had locked
ESCAPE = "\x1a"
_NUL, _ITSELF = ESCAPE + "0", ESCAPE + "1"


class PostgresDatabase:
    """Implements `database.Database`. Connects at its first call, not before.

    `url` is postgresql://USER:PASSWORD@HOST:PORT/DATABASE, with what else libpq knows behind a "?". What it does not
    name is taken from PGHOST, PGUSER, PGPASSWORD and their like, and from the password file.
    """

    lock = " FOR UPDATE"

    def __init__(self, url: str, *, busy_ms: int = BUSY_MS, reply_s: float = REPLY_S) -> None:
        self._url = url
        self._shown = _shown(url)
        self._busy_ms = busy_ms
        self._reply_s = reply_s
        self._asyncpg = _driver()
        self._failures = (
            self._asyncpg.PostgresError,
            self._asyncpg.InterfaceError,
            self._asyncpg.InternalClientError,
            OSError,  # time-outs too
            ValueError,
            OverflowError,
        )
        self._runner = _runner()
        self._connection: Any = None
        self._within = False  # a transaction: a new connection would not be in it

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> list[Row]:
        values = [_sent(value) for value in parameters]
        rows = self._call(lambda connection: connection.fetch(_numbered(sql), *values))
        return [tuple([_received(value) for value in row]) for row in rows]

    def change(self, sql: str, parameters: Sequence[object] = ()) -> int:
        values = [_sent(value) for value in parameters]
        status: str = self._call(lambda connection: connection.execute(_numbered(sql), *values))
        count = status.rpartition(" ")[2]  # of "INSERT 0 5", "UPDATE 5"
        return int(count) if count.isdecimal() else 0

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self._call(lambda connection: connection.execute("BEGIN"))
        self._within = True
        committed = False
        try:
            yield
            committed = self._call(lambda connection: connection.execute("COMMIT")) == "COMMIT"
            if not committed:  # PostgreSQL says so, and no more, where a statement had failed before
                raise StoreError("the ledger's transaction was undone")
        finally:
            self._within = False
            if not committed:
                self._undo()

    def scrub(self) -> None:
        """The server does it by itself, within minutes: see `texts` in `postgres_schema.py`."""

    def migrate(self) -> None:
        migrate(self)

    def close(self) -> None:
        """May be called twice."""
        if self._connection is not None:
            try:
                self._runner.run(self._connection.close(timeout=1.0))
            except self._failures:
                self._drop()
            self._connection = None
        self._runner.close()

    def _call(self, do: Callable[[Any], Awaitable[Any]]) -> Any:
        try:
            return self._runner.run(self._ask(do))
        except self._failures as error:
            if _ends_the_connection(error):
                self._drop()
            raise failure(error, self._shown) from None  # asyncpg's text would hold values of the row

    async def _ask(self, do: Callable[[Any], Awaitable[Any]]) -> Any:
        if self._connection is None:
            if self._within:
                raise StoreError("the connection to PostgreSQL was lost in a transaction")
            self._connection = await self._connect()
        return await do(self._connection)

    async def _connect(self) -> Any:
        """Statements are prepared once a connection, and kept: the ledger's have a few dozen shapes."""
        try:
            connection = await self._asyncpg.connect(
                self._url,
                timeout=self._busy_ms / 1000,
                command_timeout=self._reply_s,
                statement_cache_size=512,
                max_cached_statement_lifetime=0,
                max_cacheable_statement_size=0,
                server_settings={"application_name": "tierwise"},
            )
        except ValueError:
            raise StoreError(_NO_URL) from None
        # Set afterwards: a pooler in between refuses what it does not know where a connection begins.
        await connection.execute(
            f"SET lock_timeout = {self._busy_ms}; SET idle_in_transaction_session_timeout = '{IDLE_S}s'; SET jit = off"
        )
        return connection

    def _undo(self) -> None:
        if self._connection is None:
            return
        try:
            self._runner.run(self._connection.execute("ROLLBACK"))
        except self._failures:
            self._drop()

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None


class _Shown(NamedTuple):
    """What errors may say of the url."""

    place: str
    name: str


def failure(error: Exception, where: _Shown) -> StoreError:
    """The one door for what asyncpg raises. Never holds a value of a row, a user or a password."""
    state = getattr(error, "sqlstate", None)
    if state is None:
        return _without_state(error, where)
    if state[:2] in _CONTENT:
        what = getattr(error, "constraint_name", None) or getattr(error, "column_name", None)
        said = str(getattr(error, "message", "")) if state == _OURS else ""
        return RowRefused(f"the ledger refused a row: {said or what or type(error).__name__}")
    words = _WORDS.get(state) or _WORDS.get(state[:2]) or "the ledger can't be written"
    return StoreError(f"{words.format(*where)} (PostgreSQL says {state})")


def _without_state(error: Exception, where: _Shown) -> StoreError:
    if isinstance(error, OSError):
        why = "it gave no answer in time" if isinstance(error, TimeoutError) else type(error).__name__
        return StoreError(f"PostgreSQL at {where.place} can't be reached ({why}): is it running, is that the place?")
    if isinstance(error, ValueError | OverflowError):
        return RowRefused(f"the ledger can't hold a value ({type(error).__name__})")
    return StoreError(f"the connection to PostgreSQL at {where.place} was lost")


_NO_URL = (
    "the store's url is not one of PostgreSQL: write postgresql://USER:PASSWORD@HOST:5432/DATABASE, "
    "and what is neither letter nor digit in USER and PASSWORD as %XX"
)
_CONTENT = ("22", "23", "54")  # classes of states: a value's, a constraint's, a limit's
_OURS = "23000"  # of our own triggers, which name no value
_WORDS = {
    "08": "the connection to PostgreSQL at {0} was lost",
    "28": "PostgreSQL at {0} refuses the user or the password: see the store's url, or PGUSER and PGPASSWORD",
    "3D": "PostgreSQL at {0} has no database {1}: make it with `createdb {1}`",
    "40": "another process wrote to the ledger at the same time",
    "42501": "the user may not do that in the database {1}: it needs to own the ledger's tables, and to make them",
    "25006": "PostgreSQL at {0} takes no writes: it is a replica, the ledger needs the primary",
    "53100": "the disk that holds the ledger is full",
    "53300": "PostgreSQL at {0} has no connection left: raise its max_connections",
    "55P03": "another process keeps the ledger locked",
    "57P01": "PostgreSQL at {0} is being stopped",
    "57P02": "PostgreSQL at {0} has crashed, and will be back soon",
    "57P03": "PostgreSQL at {0} is starting or stopping",
}


def _ends_the_connection(error: Exception) -> bool:
    """Not where the server took the statement, and refused it, nor where a value could not be sent."""
    state = getattr(error, "sqlstate", None)
    if state is None:
        return not isinstance(error, ValueError | OverflowError)
    return str(state).startswith(("08", "57P"))


def _shown(url: str) -> _Shown:
    try:
        found = urlsplit(url)
    except ValueError:
        raise StoreError(_NO_URL) from None
    if "@" in found.path + found.query + found.fragment:  # then the first part ends within a password
        raise StoreError(_NO_URL)
    return _Shown(found.netloc.rpartition("@")[2] or "its usual place", found.path.lstrip("/") or "of the user's name")


def _driver() -> ModuleType:
    try:
        import asyncpg  # noqa: PLC0415  heavy, and optional
    except ImportError:
        raise StoreError('PostgreSQL needs the package asyncpg: pip install "tierwise[postgres]"') from None
    module: ModuleType = asyncpg
    return module


def _runner() -> asyncio.Runner:
    """uvloop holds the interpreter's lock while it sends and reads, asyncio gives it away each time.

    Next to a busy event loop it comes back only after the interpreter's switch interval, 5 ms: three times a statement.
    """
    import uvloop  # noqa: PLC0415  heavy

    return asyncio.Runner(loop_factory=uvloop.new_event_loop)


@lru_cache(maxsize=1024)
def _numbered(sql: str) -> str:
    """`?` as $1, $2, ...; none of ours stands in a literal."""
    first, *rest = sql.split("?")
    return first + "".join(f"${number}{part}" for number, part in enumerate(rest, 1))


def _sent(value: object) -> object:
    if type(value) is str and (ESCAPE in value or "\0" in value):
        return value.replace(ESCAPE, _ITSELF).replace("\0", _NUL)
    if type(value) is float and not math.isfinite(value):
        raise RowRefused("the ledger refused a row: a number in it is none, or is infinite")
    return value


def _received(value: Any) -> Any:
    if type(value) is str and ESCAPE in value:
        return value.replace(_NUL, "\0").replace(_ITSELF, ESCAPE)
    return value
