"""Deadlines that are hardly ever reached: many of them on one timer of the loop, which ticks a few times a second.

A timer of its own costs a request about three microseconds, to be set and to be cancelled, whether it expires or not.
Knows the loop; not what is waited for.
"""

from __future__ import annotations

import asyncio
import math
from typing import Protocol

TICK = 0.1  # seconds between two ticks: so late may one expire; it is never early


class Deadline(Protocol):
    def expired(self) -> None:
        """It is time. Called once, on the loop."""
        ...


class CoarseTimer:
    """Belongs to one event loop. Nothing runs while none is pending."""

    def __init__(self) -> None:
        self._ticks = 0
        self._pending: dict[int, set[Deadline]] = {}  # by the tick at which they expire
        self._timer: asyncio.TimerHandle | None = None

    def after(self, seconds: float, deadline: Deadline) -> set[Deadline]:
        """It expires in so many seconds, unless it is no longer in the set that is given back."""
        at = self._ticks + 1 + math.ceil(seconds / TICK)  # the next tick may come at once
        pending = self._pending.get(at)
        if pending is None:
            pending = self._pending[at] = set()
            if self._timer is None:
                self._timer = asyncio.get_running_loop().call_later(TICK, self._tick)
        pending.add(deadline)
        return pending

    def _tick(self) -> None:
        self._ticks += 1
        due = self._pending.pop(self._ticks, None)
        self._timer = asyncio.get_running_loop().call_later(TICK, self._tick) if self._pending else None
        for deadline in tuple(due or ()):
            deadline.expired()
