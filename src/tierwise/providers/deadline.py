"""One deadline that moves with nearly every packet, on a timer that hardly ever does.

The timer is set anew only when it fires or would fire too late: firing early is cheap and harmless, a timer a packet
is not. Knows the loop's clock; not what is waited for.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable


class Deadline:
    """Calls `passed` once the loop's time has reached what `move` said last; never before the first `move`."""

    __slots__ = ("_armed", "_at", "_loop", "_passed", "_timer")

    def __init__(self, loop: asyncio.AbstractEventLoop, passed: Callable[[], None]) -> None:
        self._loop = loop
        self._passed = passed
        self._at = self._armed = math.inf  # loop times: of the deadline; of the timer
        self._timer: asyncio.TimerHandle | None = None

    def move(self, at: float) -> None:
        """It is at this loop time now, earlier or later than before."""
        self._at = at
        if at < self._armed:
            if self._timer is not None:
                self._timer.cancel()
            self._armed = at
            self._timer = self._loop.call_at(at, self._tick)

    def stop(self) -> None:
        """Nothing is called any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        self._timer, self._armed = None, math.inf
        if self._loop.time() < self._at:
            self.move(self._at)
        else:
            self._passed()
