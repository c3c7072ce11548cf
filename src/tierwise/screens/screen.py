"""The port of this room: what every screen is, and what it finds. Knows no screen in particular."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple, Protocol

WINDOW = 16_000  # characters that are read at once
OVERLAP = 200  # of two windows of a longer text


class Span(NamedTuple):
    """`text[start:end]` is of a type such as "email"."""

    type: str
    start: int
    end: int


class Finding(NamedTuple):
    """`scores` are in [0, 1], one for each of the screen's classes; `flagged` those at their threshold or above."""

    scores: Mapping[str, float]
    flagged: tuple[str, ...]
    spans: tuple[Span, ...] = ()


class Screen(Protocol):
    """Pure, no I/O, linear time; the same text always gives the same finding."""

    def screen(self, text: str) -> Finding: ...


def windows(text: str) -> Iterator[tuple[int, str]]:
    """(where it starts, a part of at most WINDOW characters); neighbours share OVERLAP. One part for a short text."""
    yield 0, text[:WINDOW]
    for start in range(WINDOW - OVERLAP, len(text) - OVERLAP, WINDOW - OVERLAP):
        yield start, text[start : start + WINDOW]
