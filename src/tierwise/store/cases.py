"""Cases as rows and back, and their table in both databases.

The conversation is JSON; once a case has been forgotten nothing of it is left but its request in the ledger.
Knows tables; nothing of transactions, threads, or who answers.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import msgspec

from tierwise.proof import Case, Turn
from tierwise.store.database import Database

_NAMES = ("id", "route", "key_id", "at_ns", "why", "answer", "by", "answered_ns")
_COLUMNS = ", ".join(f'"{name}"' for name in _NAMES)
_HAND = (
    f"INSERT INTO cases({_COLUMNS}, turns) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 - names of our own
    " ON CONFLICT(id) DO NOTHING"
)
_CASES = (
    f"SELECT {_COLUMNS}, turns FROM cases"  # noqa: S608
    " WHERE (answered_ns > 0) = ? AND (route = ? OR ? = '') AND (at_ns, id) > (?, ?) ORDER BY at_ns, id LIMIT ?"
)
_CASE = f"SELECT {_COLUMNS}, turns FROM cases WHERE id = ?"  # noqa: S608
_ANSWER = 'UPDATE cases SET answer = ?, "by" = ?, answered_ns = ? WHERE id = ? AND answered_ns = 0'
_FORGET = "DELETE FROM cases WHERE id IN (SELECT id FROM cases WHERE route = ? AND answered_ns BETWEEN 1 AND ? LIMIT ?)"

Place = tuple[int, str]
"""Of cases in their order: (at_ns, id)."""

FIRST: Place = (-(2**63), "")

_json = msgspec.json.Encoder()
_turns = msgspec.json.Decoder(tuple[Turn, ...])


def hand(db: Database, case: Case) -> None:
    fields = tuple(getattr(case, name) for name in _NAMES)
    db.change(_HAND, (*fields, _json.encode(case.turns)))


def case(db: Database, case_id: str) -> Case | None:
    found = db.execute(_CASE, (case_id,))
    return _case(*found[0]) if found else None


def cases(db: Database, answered: bool, route: str, after: Place, most: int) -> list[Case]:
    return [_case(*row) for row in db.execute(_CASES, (answered, route, route, *after, most))]


def answer(db: Database, case_id: str, text: str, by: str, at_ns: int) -> bool:
    return db.change(_ANSWER, (text, by, at_ns, case_id)) == 1


def forget(db: Database, route: str, before_ns: int, most: int) -> int:
    """Delete at most as many; how many there were."""
    return db.change(_FORGET, (route, before_ns - 1, most))


def _case(*row: object) -> Case:
    *fields, turns = row
    return Case(**dict(zip(_NAMES, fields, strict=True)), turns=_turns.decode(turns))  # type: ignore[arg-type]


# ------------------------------------------------------------------ the table

_TABLE = """CREATE TABLE cases(
    id TEXT PRIMARY KEY,
    route TEXT NOT NULL,
    key_id TEXT NOT NULL,
    at_ns {integer} NOT NULL,
    why TEXT NOT NULL,
    answer TEXT NOT NULL,
    "by" TEXT NOT NULL,
    answered_ns {integer} NOT NULL CHECK(answered_ns >= 0),
    turns {bytes} NOT NULL)"""
_INDEX = "CREATE INDEX cases_route ON cases(route, at_ns)"


def in_sqlite(conn: sqlite3.Connection) -> None:
    """A step of the schema."""
    conn.execute(_TABLE.format(integer="INTEGER", bytes="BLOB") + " STRICT")
    conn.execute(_INDEX)


def in_postgres() -> Iterator[str]:
    """A step of the schema."""
    yield _TABLE.format(integer="BIGINT", bytes="BYTEA").replace(" TEXT", ' TEXT COLLATE "C"')
    yield _INDEX
