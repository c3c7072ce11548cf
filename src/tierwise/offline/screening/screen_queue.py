"""Rows for people to look at: what was flagged or is in doubt, the most doubtful first.

Of a file of any size the most doubtful are kept. Their texts are in it, as people can't judge without. Knows no screen.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from tierwise.errors import ConfigError
from tierwise.offline.outcomes import aside
from tierwise.screens.judged import DOUBT, YES

MOST = 10_000  # rows


class Waiting(msgspec.Struct, frozen=True):
    """`doubt`: 1 is at a threshold, or was not read; 0 is beyond doubt. `doubts`: classes that nobody decided."""

    row: int
    doubt: float
    why: tuple[str, ...]
    doubts: tuple[str, ...]
    text: str | None


class Queue:
    """`left_out`: rows that were less doubtful than the `most` that it holds."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._heap: list[tuple[float, int, Waiting]] = []
        self.left_out = 0

    def add(self, one: Waiting) -> None:
        item = (one.doubt, -one.row, one)
        if len(self._heap) < self._most:
            heapq.heappush(self._heap, item)
        else:
            heapq.heappushpop(self._heap, item)
            self.left_out += 1

    def write(self, out: Path) -> int:
        """JSON lines, whole or not at all; how many. Raises ConfigError."""
        rows = [one for *_, one in sorted(self._heap, reverse=True)]
        try:
            with aside(out) as part:
                part.write_bytes(b"".join(msgspec.json.encode(one) + b"\n" for one in rows))
        except OSError as error:
            raise ConfigError(f"{out}: can't be written: {error.strerror}") from error
        return len(rows)


def doubt(scores: Mapping[str, float], limits: Mapping[str, float], judged: Iterable[str]) -> float:
    """How near the nearest class is to its threshold, in [0, 1]; for those that a model has `judged`, to its own."""
    told = frozenset(judged)
    return max((_near(scores.get(one, 0.0), YES if one in told else limit) for one, limit in limits.items()), default=0)


def _near(score: float, limit: float) -> float:
    if score < limit:
        return max((score / limit - DOUBT) / (1 - DOUBT), 0.0)
    return 1 - (score - limit) / (1 - limit) if limit < 1 else 1.0
