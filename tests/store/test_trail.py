"""The chain of the trail: what is done to a line, its reader notices."""

import hashlib
import json
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.conformance.proof import EVENT, STRANGE
from tierwise.proof import Event
from tierwise.store.database import Row
from tierwise.store.ledger_store import LedgerStore
from tierwise.store.sqlite_database import SqliteDatabase
from tierwise.store.trail import broken, digest, note


def chained(count: int) -> list[Event]:
    events: list[Event] = []
    for number in range(1, count + 1):
        event = replace(EVENT, id=number, at_ns=number, key=f"k{number}", body=json.dumps({"n": number}))
        events.append(replace(event, digest=digest(event, events[-1].digest if events else "")))
    return events


def test_a_digest_is_made_as_the_header_says() -> None:
    """So that anybody can make it with another program: here with another JSON, and once by hand."""
    event = replace(EVENT, id=3, body=json.dumps({"text": STRANGE}, ensure_ascii=False), key=STRANGE)
    fields = ["ab", 3, event.at_ns, "support", "alarm", event.body, STRANGE]
    plain = json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()
    assert digest(event, "ab") == hashlib.sha256(plain).hexdigest()
    first = Event(at_ns=5, route="r", what="w", body="{}", id=1)
    assert digest(first, "") == hashlib.sha256(b'["",1,5,"r","w","{}",""]').hexdigest()


def test_a_trail_as_it_was_written_is_sound() -> None:
    """An empty one too. What was cut off at the end only an earlier digest can tell: the header says so."""
    assert broken([]) is None
    assert broken(chained(5)) is None
    assert broken(chained(5)[:3]) is None


changes = st.sampled_from(
    [{"at_ns": 99}, {"route": "x"}, {"what": "x"}, {"body": "{}"}, {"key": "x"}, {"id": 99}, {"digest": "0" * 64}]
)


@given(at=st.integers(0, 5), change=changes)
def test_a_changed_line_is_found(at: int, change: dict[str, Any]) -> None:
    """Whichever field of whichever line it is."""
    events = chained(6)
    events[at] = replace(events[at], **change)
    assert broken(events) == events[at].id


@given(at=st.integers(0, 4), other=st.integers(0, 5))
def test_a_line_that_is_missing_doubled_or_moved_is_found(at: int, other: int) -> None:
    """At the line that comes where it does not belong."""
    events = chained(6)
    assert broken(events[:at] + events[at + 1 :]) == at + 2
    assert broken([*events[: at + 1], *events[at:]]) == at + 1
    if at < other:
        events[at], events[other] = events[other], events[at]
        assert broken(events) == other + 1


def test_a_line_made_anew_breaks_the_next() -> None:
    """Whoever gives a changed line its right digest must make all later ones anew."""
    events = chained(4)
    forged = replace(events[1], body="[]")
    events[1] = replace(forged, digest=digest(forged, events[0].digest))
    assert broken(events) == 3


TAMPERING = {
    "UPDATE trail SET body = '{}' WHERE id = 3": 3,
    "UPDATE trail SET at_ns = at_ns - 1 WHERE id = 1": 1,
    "UPDATE trail SET key = '' WHERE id = 5": 5,
    "DELETE FROM trail WHERE id = 2": 3,
    "DELETE FROM trail WHERE id < 3": 3,
    "UPDATE trail SET id = 9 WHERE id = 4": 5,
    "INSERT INTO trail SELECT 6, at_ns, route, what, body, '', digest FROM trail WHERE id = 5": 6,
}


@pytest.mark.parametrize("statement", TAMPERING)
async def test_tampering_with_the_file_is_found(store: LedgerStore, path: Path, statement: str) -> None:
    """By whoever can write to it, past the triggers."""
    for number in range(1, 6):
        await store.proof.note(replace(EVENT, key=f"k{number}", route="support" if number % 2 else "other"))
    assert broken(await store.proof.trail()) is None
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        conn.execute("DROP TRIGGER trail_no_update")
        conn.execute("DROP TRIGGER trail_no_delete")
        conn.execute(statement)
    assert broken(await store.proof.trail()) == TAMPERING[statement]


async def test_the_chain_goes_on_after_a_key_that_was_there(store: LedgerStore) -> None:
    """What is not noted leaves no gap."""
    for key in ("a", "a", "", "b", "a", ""):
        await store.proof.note(replace(EVENT, key=key))
    trail = await store.proof.trail()
    assert [event.key for event in trail] == ["a", "", "b", ""]
    assert broken(trail) is None


class Watched(SqliteDatabase):
    """Does something before each look."""

    def __init__(self, path: Path, meddle: Callable[[], None]) -> None:
        super().__init__(path)
        self._meddle = meddle

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> list[Row]:
        if sql.startswith("SELECT"):
            self._meddle()
        return super().execute(sql, parameters)


async def test_nobody_comes_between_a_line_and_the_one_before(store: LedgerStore, path: Path) -> None:
    """From the first look on, nobody else can write."""
    tried: list[str] = []
    with closing(sqlite3.connect(path, isolation_level=None, timeout=0)) as meddler:

        def meddle() -> None:
            try:
                meddler.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                tried.append(str(error))

        with closing(Watched(path, meddle)) as db:
            assert note(db, EVENT)
    assert tried == ["database is locked"] * 2
    assert await store.proof.note(EVENT) is False
