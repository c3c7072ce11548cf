"""Values to rows and back, and statements of many rows. Knows tables and their columns; no transaction and no sums."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import chain
from math import isfinite
from typing import Any

import msgspec

from tierwise.core.budget import held_on
from tierwise.errors import RowRefused
from tierwise.money import Amount, Correction, Entry, Record, Reservation
from tierwise.store.database import Database, Row
from tierwise.types import Decision, Usage, Value

ROWS = 64  # of the longest statement
_SIZES = (ROWS, 32, 16, 8)  # of those before the last

_json = msgspec.json.Encoder()
_decision = msgspec.json.Decoder(Decision)
_names = msgspec.json.Decoder(tuple[str, ...])

RESERVATION = "request_id, key_id, route, team, nanos, tokens, started_ns, accounts, instance"
REQUEST = (
    "request_id, key_id, route, started_ns, total_ms, status, decision, baseline_nanos, baseline_state, settled_by,"
    " team, arm"
)
ENTRY = (
    "request_id, seq, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens,"
    " reported_nanos, model, provider_model, role, nanos, cost_state, outcome, rule, first_ms, total_ms"
)
CORRECTION = "request_id, reason, at_ns, key_id, route, team, model, nanos, tokens"


class Open(Value, frozen=True):
    """A reservation as the accounts need it: whose it is, how much, and on which accounts it is held."""

    request_id: str
    key_id: str
    route: str
    team: str
    nanos: int
    tokens: int
    started_ns: int
    accounts: tuple[str, ...]
    instance: str

    @property
    def amount(self) -> Amount:
        return Amount(self.nanos, self.tokens)


def opened(item: Reservation, instance: str) -> Open:
    names = tuple(held_on(item)) if item.budgets else ()
    amount = (item.nanos, item.tokens)
    return Open(item.request_id, item.key_id, item.route, item.team, *amount, item.started_ns, names, instance)


def open_row(item: Open) -> Row:
    names = _json.encode(item.accounts).decode() if item.accounts else "[]"
    amount = (item.nanos, item.tokens)
    return (item.request_id, item.key_id, item.route, item.team, *amount, item.started_ns, names, item.instance)


def open_from(row: Row) -> Open:
    request_id, key_id, route, team, nanos, tokens, started_ns, names, instance = row
    return Open(request_id, key_id, route, team, nanos, tokens, started_ns, _names.decode(names), instance)


def reservation_from(row: Row) -> Reservation:
    """Without its budgets: the tables only know the accounts that it is held on."""
    made = open_from(row)
    owner = (made.request_id, made.key_id, made.route)
    return Reservation(*owner, made.nanos, made.started_ns, tokens=made.tokens, team=made.team)


def request_row(item: Record, settled_by: str) -> Row:
    if not isfinite(item.total_ms):
        raise _no_number()
    return (
        item.request_id,
        item.key_id,
        item.route,
        item.started_ns,
        item.total_ms,
        item.status,
        _json.encode(item.decision).decode(),
        item.baseline_nanos,
        item.baseline_state,
        settled_by,
        item.team,
        item.arm,
    )


def entry_rows(record: Record) -> list[Row]:
    found = []
    for seq, entry in enumerate(record.entries):
        usage, first_ms, total_ms = entry.usage, entry.first_ms, entry.total_ms
        if not isfinite(total_ms if first_ms is None else total_ms + first_ms):
            raise _no_number()
        row = (
            record.request_id,
            seq,
            usage.input_tokens,
            usage.output_tokens,
            usage.cache_read_tokens,
            usage.cache_write_tokens,
            usage.reasoning_tokens,
            usage.cost_nanos,
            entry.model,
            entry.provider_model,
            entry.role,
            entry.nanos,
            entry.cost_state,
            entry.outcome,
            entry.rule,
            first_ms,
            total_ms,
        )
        found.append(row)
    return found


def record_from(row: Row, entries: Iterable[Row]) -> Record:
    request_id, key_id, route, started_ns, total_ms, status, decision, nanos, state, _, team, arm = row
    judged = _decision.decode(decision)
    lines = tuple(_entry(line) for line in entries)
    return Record(
        request_id, key_id, route, started_ns, total_ms, status, judged, lines, nanos, state, team=team, arm=arm
    )


def correction_row(item: Correction) -> Row:
    owner = (item.key_id, item.route, item.team, item.model)
    return (item.request_id, item.reason, item.at_ns, *owner, item.nanos, item.tokens)


def insert(db: Database, into: str, rows: Sequence[tuple[Any, ...]], tail: str = "") -> list[Row]:
    """Rows as statements of a few fixed sizes, each prepared once; what `tail` has them return.

    A third cheaper than one by one, and the interpreter's lock changes hands once a statement, not twice a row.
    """
    returned: list[Row] = []
    for sql, values in _statements(into, rows, tail):
        returned += db.execute(sql, values)
    return returned


def added(db: Database, into: str, rows: Sequence[tuple[Any, ...]], tail: str = "") -> int:
    """So too, and only how many were new: cheaper than what they return."""
    return sum([db.change(sql, values) for sql, values in _statements(into, rows, tail)])


def _statements(into: str, rows: Sequence[tuple[Any, ...]], tail: str) -> Iterator[tuple[str, list[Any]]]:
    start = 0
    while start < len(rows):
        left = len(rows) - start
        size = next((size for size in _SIZES if size <= left), left)
        group = rows[start : start + size]
        yield _insert(into, len(group[0]), size, tail), list(chain.from_iterable(group))
        start += size


def among(db: Database, sql: str, names: Iterable[str], before: Sequence[object] = (), tail: str = "") -> list[Row]:
    """The rows of a SELECT up to its "IN", for any number of names, in their order statement by statement.

    `before`: the parameters ahead of them. Each statement is filled up with its last name, to one of a few sizes.
    """
    found: list[Row] = []
    left = list(names)
    for start in range(0, len(left), ROWS):
        group = left[start : start + ROWS]
        size = next(size for size in (1, 8, ROWS) if len(group) <= size)
        group += [group[-1]] * (size - len(group))
        found += db.execute(_among(sql, size, tail), [*before, *group])
    return found


@lru_cache(maxsize=256)
def _insert(into: str, columns: int, rows: int, tail: str) -> str:
    """One string object a shape: SQLite's cache of statements then need not hash a kilobyte each time."""
    places = f"({','.join('?' * columns)})"
    return into + ",".join([places] * rows) + tail


@lru_cache(maxsize=64)
def _among(sql: str, size: int, tail: str) -> str:
    return f"{sql} IN ({','.join('?' * size)}){tail}"


def _entry(row: Row) -> Entry:
    model, provider_model, role, *rest = row[8:]
    return Entry(model, provider_model, role, Usage(*row[2:8]), *rest)


def _no_number() -> RowRefused:
    """SQLite would keep what is not a number as NULL, and one of them spoils every sum that it goes into."""
    return RowRefused("the ledger refused a row: a number in it is none, or is infinite")
