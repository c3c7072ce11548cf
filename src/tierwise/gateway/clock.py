"""The real clock."""

from __future__ import annotations

import time


class SystemClock:
    """`ports.Clock` by the operating system."""

    now_ns = staticmethod(time.time_ns)  # asked several times a request

    def monotonic_ms(self) -> float:
        return time.monotonic_ns() / 1e6
