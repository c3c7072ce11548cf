"""The ledger's rows: values to rows and back, and the SQL that writes a group of them in one transaction.

Samples, labels and texts are written with them. Knows tables and the arithmetic of `core.budget`; nothing of threads,
futures, files or who is alive.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache
from typing import Any, Literal

import msgspec

from tierwise.core import budget
from tierwise.core.budget import Account
from tierwise.core.window import account, accounts, window
from tierwise.errors import BudgetExceeded, StoreError, TierwiseError
from tierwise.money import Budget, Entry, Record, Reservation
from tierwise.store import samples
from tierwise.types import Decision, Usage

Item = Reservation | Record | samples.Kept
SettledBy = Literal["gateway", "recovery"]

_json = msgspec.json.Encoder()
_decision = msgspec.json.Decoder(Decision)

_RESERVATIONS = "INSERT INTO reservations(request_id, key_id, route, nanos, started_ns, period, instance) VALUES "
_REQUESTS = "INSERT INTO requests VALUES "
_ENTRIES = "INSERT INTO entries VALUES "
_ACCOUNTS = "INSERT INTO accounts VALUES "
_REPLACE = (
    " ON CONFLICT(key_id) DO UPDATE SET posted_nanos = excluded.posted_nanos, held_nanos = excluded.held_nanos"
    " WHERE posted_nanos <> excluded.posted_nanos OR held_nanos <> excluded.held_nanos"
)
_ACCOUNT_OF = "SELECT posted_nanos, held_nanos FROM accounts WHERE key_id = ?"
_ACCOUNTS_OF = "SELECT key_id, posted_nanos, held_nanos FROM accounts WHERE key_id IN (SELECT value FROM json_each(?))"
_RESERVATION = "SELECT request_id, key_id, route, nanos, started_ns, period FROM reservations WHERE request_id = ?"
_OPEN_SINCE = (
    "SELECT request_id, key_id, route, nanos, started_ns, period FROM reservations AS r"
    " WHERE id >= ? AND instance = ?"
    " AND NOT EXISTS (SELECT 1 FROM requests WHERE request_id = r.request_id) ORDER BY id"
)
_REQUEST = (
    "SELECT request_id, key_id, route, started_ns, total_ms, status, decision, baseline_nanos, baseline_state"
    " FROM requests WHERE request_id = ?"
)
_ENTRIES_OF = (
    "SELECT input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens, reported_nanos,"
    " model, provider_model, role, nanos, cost_state, outcome, rule, first_ms, total_ms"
    " FROM entries WHERE request_id = ? ORDER BY seq"
)


class Ledger:
    """Writes through one connection, on behalf of one instance.

    `open` is this instance's reservations that have no end yet, oldest first. `duplicates` counts second ends of
    the same request, which are ignored.
    """

    def __init__(self, conn: sqlite3.Connection, instance: str) -> None:
        self.open: dict[str, Reservation] = {}
        self.duplicates = 0
        self._conn = conn
        self.instance = instance

    def write(self, items: Sequence[Item], settled_by: SettledBy = "gateway") -> list[TierwiseError | None]:
        """Make the group durable in one transaction; one outcome an item, in order.

        An item that the tables refuse fails alone: the group is halved until it stands by itself. A database that
        can't be written fails the whole group.
        """
        try:
            return list(self._transaction(items, settled_by))
        except (sqlite3.IntegrityError, StoreError, ValueError, OverflowError) as error:  # an item's content
            if len(items) == 1:
                return [self._refused(items[0], error)]
            half = len(items) // 2
            return self.write(items[:half], settled_by) + self.write(items[half:], settled_by)
        except sqlite3.Error as error:
            return [failure(error) for _ in items]

    def record(self, request_id: str) -> Record | None:
        row = self._conn.execute(_REQUEST, (request_id,)).fetchone()
        if row is None:
            return None
        entries = tuple(_entry(line) for line in self._conn.execute(_ENTRIES_OF, (request_id,)))
        _, key_id, route, started_ns, total_ms, status, decision, nanos, state = row
        judged = _decision.decode(decision)
        return Record(request_id, key_id, route, started_ns, total_ms, status, judged, entries, nanos, state)

    def spent(self, name: str) -> tuple[int, int]:
        account = self.account(name)
        return account.posted, account.held

    def open_since(self, mark: int, instance: str) -> list[Reservation]:
        """An instance's reservations from row `mark` on that nobody has settled."""
        return [_reservation(row) for row in self._conn.execute(_OPEN_SINCE, (mark, instance))]

    def _transaction(self, items: Sequence[Item], settled_by: SettledBy) -> list[BudgetExceeded | None]:
        with self._conn:
            self._conn.execute("BEGIN IMMEDIATE")
            group = _Group(self, self._accounts({name for item in items for name in self._booked_on(item)}), settled_by)
            outcomes = [group.add(item) for item in items]
            insert(self._conn, _RESERVATIONS, group.reservations)
            insert(self._conn, _REQUESTS, group.requests)
            insert(self._conn, _ENTRIES, group.entries)
            insert(self._conn, _ACCOUNTS, [(k, a.posted, a.held) for k, a in group.accounts.items()], _REPLACE)
            for into, rows in group.kept.items():
                insert(self._conn, into, rows)
        self.open.update(group.opened)
        for request in group.requests:
            self.open.pop(request[0], None)
        return outcomes

    def account(self, name: str) -> Account:
        return self._accounts((name,)).get(name, Account())

    def _booked_on(self, item: Item) -> tuple[str, ...]:
        """As far as that is known without a look into the tables."""
        if isinstance(item, Reservation):
            return accounts(item.key_id, item.budgets, item.started_ns)
        if isinstance(item, Record):
            ours = self.open.get(item.request_id)
            return (item.key_id,) if ours is None else accounts(ours.key_id, ours.budgets, ours.started_ns)
        return ()

    def _accounts(self, names: Collection[str]) -> dict[str, Account]:
        if len(names) == 1:  # the group of a quiet moment, in which somebody waits for the reservation
            (name,) = names
            row = self._conn.execute(_ACCOUNT_OF, (name,)).fetchone()
            return {name: Account(None, *row)} if row else {}
        rows = self._conn.execute(_ACCOUNTS_OF, (_json.encode(list(names)).decode(),))
        return {name: Account(None, posted, held) for name, posted, held in rows}

    def reservation(self, request_id: str) -> Reservation | None:
        """Ours from memory; another instance's from its row."""
        ours = self.open.get(request_id)
        if ours is not None:
            return ours
        row = self._conn.execute(_RESERVATION, (request_id,)).fetchone()
        return None if row is None else _reservation(row)

    def _refused(self, item: Item, error: Exception) -> StoreError | None:
        if not isinstance(item, Record):
            return failure(error)
        if self._conn.execute(_REQUEST, (item.request_id,)).fetchone() is None:
            return failure(error)
        self.duplicates += 1
        self.open.pop(item.request_id, None)
        return None


class _Group:
    """What one transaction will write. Dropped with it where the transaction fails."""

    def __init__(self, ledger: Ledger, accounts: dict[str, Account], settled_by: SettledBy) -> None:
        self.accounts = accounts
        self.opened: dict[str, Reservation] = {}
        self.reservations: list[tuple[Any, ...]] = []
        self.requests: list[tuple[Any, ...]] = []
        self.entries: list[tuple[Any, ...]] = []
        self.kept: dict[str, list[tuple[Any, ...]]] = {}
        self._ledger = ledger
        self._settled_by = settled_by

    def add(self, item: Item) -> BudgetExceeded | None:
        if isinstance(item, Reservation):
            return self._reserve(item)
        if isinstance(item, Record):
            self._post(item)
        else:
            into, values = samples.row(item)
            self.kept.setdefault(into, []).append(values)
        return None

    def _reserve(self, item: Reservation) -> BudgetExceeded | None:
        limits = {account(each, item.started_ns): each for each in item.budgets}
        held: dict[str, Account] = {}
        try:
            for name in accounts(item.key_id, item.budgets, item.started_ns):
                before, limit = self._account(name), limits.get(name)
                limited = Account(None if limit is None else limit.nanos, before.posted, before.held)
                current = None if limit is None else window(limit.period, item.started_ns)
                held[name] = budget.reserve(limited, item.nanos, current, item.started_ns)
        except BudgetExceeded as error:
            return error
        self.accounts |= held
        self.opened[item.request_id] = item
        period = item.budgets[0].period if item.budgets else "total"
        row = (item.request_id, item.key_id, item.route, item.nanos, item.started_ns, period)
        self.reservations.append((*row, self._ledger.instance))
        return None

    def _post(self, item: Record) -> None:
        reservation = self.opened.get(item.request_id) or self._ledger.reservation(item.request_id)
        held = 0
        names: tuple[str, ...] = (item.key_id,)
        if reservation is not None:
            if reservation.key_id != item.key_id:
                raise StoreError("a record names another key than its reservation")
            held = reservation.nanos
            names = accounts(item.key_id, reservation.budgets, reservation.started_ns)  # however long it took
        for name in names:
            self.accounts[name] = budget.post(self._account(name), held, item.nanos)
        self.requests.append(
            (
                item.request_id,
                item.key_id,
                item.route,
                item.started_ns,
                item.total_ms,
                item.status,
                _json.encode(item.decision).decode(),
                item.baseline_nanos,
                item.baseline_state,
                self._settled_by,
            )
        )
        self.entries += _entry_rows(item)

    def _account(self, name: str) -> Account:
        """What was not foreseen is looked up: a new account's, and that of another instance's reservation."""
        return self.accounts.get(name) or self._ledger.account(name)


def _entry_rows(record: Record) -> Iterator[tuple[Any, ...]]:
    for seq, entry in enumerate(record.entries):
        usage = entry.usage
        yield (
            record.request_id,
            seq,
            entry.model,
            entry.provider_model,
            entry.role,
            usage.input_tokens,
            usage.output_tokens,
            usage.cache_read_tokens,
            usage.cache_write_tokens,
            usage.reasoning_tokens,
            usage.cost_nanos,
            entry.nanos,
            entry.cost_state,
            entry.outcome,
            entry.rule,
            entry.first_ms,
            entry.total_ms,
        )


def _entry(row: tuple[Any, ...]) -> Entry:
    model, provider_model, role, *rest = row[6:]
    return Entry(model, provider_model, role, Usage(*row[:6]), *rest)


def _reservation(row: tuple[Any, ...]) -> Reservation:
    request_id, key_id, route, nanos, started_ns, period = row
    return Reservation(request_id, key_id, route, nanos, started_ns, (Budget("key", key_id, period),))


def insert(conn: sqlite3.Connection, into: str, rows: Sequence[tuple[Any, ...]], tail: str = "") -> None:
    """Rows as multi-row statements of a few fixed sizes, each prepared once.

    A third cheaper than `executemany`, and the interpreter's lock changes hands once a statement, not twice a row:
    next to a busy event loop that is what a commit waits for.
    """
    start = 0
    while start < len(rows):
        left = len(rows) - start
        size = 64 if left >= 64 else min(8, left)
        group = rows[start : start + size]
        conn.execute(_statement(into, len(group[0]), size, tail), [value for row in group for value in row])
        start += size


@lru_cache(maxsize=256)
def _statement(into: str, columns: int, rows: int, tail: str) -> str:
    """One string object a shape: SQLite's cache of statements then need not hash a kilobyte each time."""
    places = f"({','.join('?' * columns)})"
    return into + ",".join([places] * rows) + tail


def failure(error: Exception) -> StoreError:
    """The one door for what a write raises. Never holds a value of a row."""
    if isinstance(error, StoreError):
        return error
    if isinstance(error, sqlite3.IntegrityError):
        return StoreError(f"the ledger refused a row: {error}")  # SQLite names the constraint, not the value
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the primary code of an extended one
        name = getattr(error, "sqlite_errorname", type(error).__name__)
        return StoreError(_WORDS.get(code, "the ledger can't be written") + f" ({name})")
    return StoreError(f"the ledger can't hold a value ({type(error).__name__})")


_WORDS = {
    sqlite3.SQLITE_BUSY: "another process keeps the ledger locked",
    sqlite3.SQLITE_LOCKED: "another process keeps the ledger locked",
    sqlite3.SQLITE_FULL: "the disk that holds the ledger is full",
    sqlite3.SQLITE_READONLY: "the ledger's file may not be written",
    sqlite3.SQLITE_CANTOPEN: "the ledger's file can't be opened",
    sqlite3.SQLITE_CORRUPT: "the ledger's file is damaged",
    sqlite3.SQLITE_NOTADB: "the ledger's file is not a SQLite database",
}
