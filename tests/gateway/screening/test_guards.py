"""What a guard makes of a request: what it reads, how often, and what it leaves to others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.core.plans import request, route
from tests.gateway.test_screens import FIRST, HARM, HATE, LAW, ORDERS, PLAIN
from tests.screens.test_window import PLAIN as CALM
from tierwise.errors import Blocked
from tierwise.gateway.screening.gate import Gate
from tierwise.gateway.screening.guards import MOST, NOTHING, Guard, shared_reader
from tierwise.gateway.sessions import DISTINCT, Sessions, classed
from tierwise.gateway.tables.screen_table import ScreensTable
from tierwise.money import Tenant
from tierwise.ports import Batch
from tierwise.scorers.encoder import load_encoder
from tierwise.screens.reader import Reader
from tierwise.screens.weights import load_weights
from tierwise.types import Chunk, Message, Request, Role

ALL = ScreensTable(moderation="block", injection="flag", risk=("all",))
TENANT = Tenant("key_1", "test")


class Counting(Reader):
    """Counts what it reads."""

    def __init__(self) -> None:
        self.read: list[str] = []
        super().__init__(load_weights(), load_encoder())

    def probabilities(self, text: str) -> Any:
        self.read.append(text)
        return super().probabilities(text)

    def both(self, text: str, apart: Callable[[str], Sequence[str]]) -> Any:
        self.read.append(text)
        return super().both(text, apart)

    def each(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.read += texts
        return super().each(texts)


def asked(*said: tuple[Role, str]) -> Request:
    return request(messages=tuple([Message(role, text) for role, text in said]))


def look(table: ScreensTable, *said: tuple[Role, str]) -> Any:
    return Guard(table, shared_reader()).look(asked(*said))


def test_nothing_found_is_nothing() -> None:
    """One value for all of them."""
    assert look(ScreensTable(moderation="block"), ("user", CALM)) is NOTHING


def test_a_text_is_read_once() -> None:
    """A conversation that goes on pays for its new turn alone."""
    reader = Counting()
    guard = Guard(ALL, reader)
    reader.read.clear()
    guard.look(asked(("user", CALM)))
    first = len(reader.read)
    assert first > 0
    guard.look(asked(("user", CALM), ("assistant", PLAIN), ("user", FIRST)))
    assert CALM not in reader.read[first:]
    assert FIRST in reader.read[first:]
    before = len(reader.read)
    guard.look(asked(("user", CALM), ("assistant", PLAIN), ("user", FIRST)))
    assert len(reader.read) == before


@pytest.mark.parametrize("around", [0, 1, 3, 12])
def test_a_sentence_does_not_hide_among_others(around: int) -> None:
    """In a text that is calm otherwise, moderation, risk and injection find it all the same."""
    for text, found in (
        (HATE + ".", "moderation:hate"),
        (HARM + ".", "risk:self-harm"),
        (ORDERS, "injection:injection"),
    ):
        assert found in look(ALL, ("user", f"{CALM * around}{text} {CALM * around}")).classes


def test_a_person_goes_before_a_block() -> None:
    """Who is in need is not turned away because of how it is said."""
    people = ScreensTable(moderation="block", categories={"self-harm": "human"})
    found = look(people, ("user", HARM))
    assert "flagged:self-harm" in found.tags
    assert found.blocked == ()
    assert look(people, ("user", HATE)).blocked
    assert look(ScreensTable(moderation="block", risk=("self-harm",)), ("user", HARM)).blocked == ()


def test_what_a_model_said_brings_nobody() -> None:
    """It is moderated, and no more: its words are no person's."""
    people = ScreensTable(moderation="human", injection="block", risk=("all",))
    assert look(people, ("user", CALM), ("assistant", HARM), ("user", CALM)) is NOTHING
    assert look(people, ("assistant", f"{LAW} {ORDERS}"), ("user", CALM)) is NOTHING


def test_doubts_are_the_last_turns() -> None:
    """Earlier ones had theirs; what is found is no doubt."""
    table = ScreensTable(moderation="flag", thresholds={"hate": 1.0, "harassment": 1.0, "violence": 1.0})
    doubtful = look(table, ("user", HATE))
    assert "moderation:hate" in doubtful.doubts
    assert look(table, ("user", HATE), ("assistant", "No."), ("user", CALM)).doubts == ()
    assert not set(doubtful.doubts) & set(doubtful.classes)


def test_so_much_is_read() -> None:
    """The latest first; what is beyond is not."""
    reader = Counting()
    guard = Guard(ScreensTable(injection="flag"), reader)
    reader.read.clear()
    guard.look(asked(("user", "early"), ("user", "x " * (MOST // 2)), ("user", "late")))
    assert reader.read[0] == "late"
    assert "early" not in reader.read
    assert max(map(len, reader.read)) == MOST - len("late")


# ------------------------------------------------------------------ conversations


def test_what_stands_for_a_conversation() -> None:
    """A name, or a first message that is long enough to be its own."""
    to = route(human=frozenset(["self-harm"]))
    long = "x" * DISTINCT
    assert classed(asked(("user", long[1:])), to, TENANT, "") is None
    assert classed(asked(), to, TENANT, "") is None
    assert classed(asked(("user", long)), to, TENANT, "") == classed(
        asked(("user", long), ("user", "b")), to, TENANT, ""
    )
    assert classed(asked(("user", "a")), to, TENANT, "n") == classed(asked(("user", "b")), to, TENANT, "n") is not None


def test_classes_are_kept_and_bounded() -> None:
    """They add up; the conversation that was heard of least recently is forgotten."""
    sessions = Sessions(limit=2)
    assert sessions.keep(b"a", frozenset(["legal"])) == {"legal"}
    assert sessions.keep(b"a", frozenset(["medical"])) == {"legal", "medical"}
    assert sessions.keep(b"b", frozenset()) == frozenset()
    sessions.keep(b"b", frozenset(["legal"]))
    assert sessions.keep(b"a", frozenset()) == {"legal", "medical"}
    sessions.keep(b"c", frozenset(["legal"]))
    assert sessions.keep(b"b", frozenset()) == frozenset()


async def test_only_what_decides_who_answers_is_kept() -> None:
    """A flag is a turn's; a class is the conversation's, also where the turn was blocked."""
    sessions, to = Sessions(), route(floor=frozenset(["legal"]))
    guard = Guard(ScreensTable(moderation="block", risk=("legal",)), shared_reader())
    with pytest.raises(Blocked, match="moderation:hate"):
        await Gate(guard).admit(asked(("user", f"{LAW} {HATE}.")), to, b"a", sessions)
    later = await Gate(guard).admit(asked(("user", CALM)), to, b"a", sessions)
    assert later.tags == {"legal"}


# ------------------------------------------------------------------ what an answer passes through


class Loud:
    """Says everything louder, one piece late."""

    def __init__(self) -> None:
        self.held: Batch = ()

    def feed(self, batch: Batch) -> Batch:
        out = self.held
        self.held = tuple([Chunk(chunk.text.upper(), chunk.index, finish=chunk.finish) for chunk in batch])
        return out

    def end(self) -> Batch:
        return self.held


def test_flows_stand_in_a_row() -> None:
    """What one holds back to the end the next ones get too; another model's answer begins anew."""
    gate = Gate(None, None, lambda: (Loud(), Loud()))
    assert gate.feed("cheap", (Chunk("lost"),)) == ()
    pieces = [gate.feed("premium", (Chunk(text),)) for text in ("a", "b", "c")]
    assert [chunk.text for piece in (*pieces, gate.end()) for chunk in piece] == ["A", "B", "C"]
    assert [chunk.text for chunk in gate.sent] == ["A", "B", "C"]


def test_without_flows_nothing_is_touched() -> None:
    """Not even looked at."""
    gate, batch = Gate(None), (Chunk("a"),)
    assert gate.feed("cheap", batch) is batch
    assert gate.end() == ()
