"""The real clock."""

from __future__ import annotations

import time


class SystemClock:
    """`ports.Clock` by the operating system."""

    def now_ns(self) -> int:
        return time.time_ns()

    def monotonic_ms(self) -> float:
        return time.monotonic_ns() / 1e6
