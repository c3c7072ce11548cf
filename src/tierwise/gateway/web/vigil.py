"""Deadlines that are hardly ever reached: many of them on one timer of the loop, which looks a few times a second.

A timer of its own costs a request about three microseconds, to be set and to be cancelled, whether it rings or not.
Knows the loop; not what is waited for.
"""

from __future__ import annotations

import asyncio
import math
from typing import Protocol

TICK = 0.1  # seconds between two looks: so late may be what rings; it is never early


class Sleeper(Protocol):
    def ring(self) -> None:
        """It is time. Called once, on the loop."""
        ...


class Vigil:
    """Belongs to one event loop. Nothing runs while nobody sleeps."""

    def __init__(self) -> None:
        self._looks = 0
        self._asleep: dict[int, set[Sleeper]] = {}  # by the look that rings them
        self._timer: asyncio.TimerHandle | None = None

    def after(self, seconds: float, sleeper: Sleeper) -> set[Sleeper]:
        """Ring it in so many seconds, unless it is no longer in the set that is given back."""
        at = self._looks + 1 + math.ceil(seconds / TICK)  # the next look may come at once
        asleep = self._asleep.get(at)
        if asleep is None:
            asleep = self._asleep[at] = set()
            if self._timer is None:
                self._timer = asyncio.get_running_loop().call_later(TICK, self._look)
        asleep.add(sleeper)
        return asleep

    def _look(self) -> None:
        self._looks += 1
        due = self._asleep.pop(self._looks, None)
        self._timer = asyncio.get_running_loop().call_later(TICK, self._look) if self._asleep else None
        for sleeper in tuple(due or ()):
            sleeper.ring()
