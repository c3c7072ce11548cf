"""When to ask again and when to leave a model alone: a breaker, a retry budget, and how long to wait.

Pure state machines: seconds come in as arguments, so a test needs no clock. Knows no sockets, no HTTP statuses
and no error classes: the caller says what was a failure.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

BACKOFF_BASE = 0.1  # seconds, before the first retry
BACKOFF_CAP = 2.0  # seconds


class Breaker:
    """Opens after `limit` failures in a row; then one probe every `pause` seconds until one succeeds.

    There is no half-open state to get stuck in: letting a probe through starts the next pause, so a probe that
    never reports back (its client left) only delays the next one.
    """

    __slots__ = ("_failures", "_limit", "_open_until", "_pause")

    def __init__(self, limit: int = 5, pause: float = 10.0) -> None:
        self._limit = limit
        self._pause = pause
        self._failures = 0
        self._open_until = 0.0

    @property
    def open(self) -> bool:
        return self._failures >= self._limit

    def admit(self, now: float) -> float:
        """0.0 where a call may go ahead, else the seconds until one may."""
        if self._failures < self._limit:
            return 0.0
        if now >= self._open_until:
            self._open_until = now + self._pause
            return 0.0
        return self._open_until - now

    def succeeded(self) -> None:
        self._failures = 0

    def failed(self, now: float) -> None:
        self._failures += 1
        if self._failures >= self._limit:
            self._open_until = now + self._pause


class RetryBudget:
    """A token bucket: in any stretch of time, retries <= `share` of the calls in it + `floor`.

    Without it, retries multiply the load on an upstream at the moment it can least bear it.
    """

    __slots__ = ("_floor", "_share", "_tokens")

    def __init__(self, share: float = 0.2, floor: int = 5) -> None:
        self._share = share
        self._floor = float(floor)
        self._tokens = float(floor)

    def called(self) -> None:
        self._tokens = min(self._floor, self._tokens + self._share)

    def take(self) -> bool:
        """Whether one more retry may be made; counts it."""
        # a fifth is no binary fraction: five of them must still make a whole one
        if self._tokens < 1.0 - 1e-9:
            return False
        self._tokens -= 1.0
        return True


def backoff(retries: int, chance: float) -> float:
    """Seconds to wait before retry number `retries` (from 0): exponential, full jitter. `chance` is in [0, 1)."""
    return chance * min(BACKOFF_CAP, BACKOFF_BASE * 2.0**retries)


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds >= 0 that an answer asks to wait, or None. `now` is Unix time in seconds, for HTTP dates.

    RFC 9110, section 10.2.3; `retry-after-ms` is what several providers send besides it, and is finer.
    """
    seconds = _number(headers.get("retry-after-ms"), 1e-3)
    text = headers.get("retry-after")
    if seconds is None:
        seconds = _number(text, 1.0)
    if seconds is None and text is not None:
        try:
            seconds = parsedate_to_datetime(text).timestamp() - now
        except (ValueError, OverflowError):
            return None
    return None if seconds is None else max(0.0, seconds)


def _number(text: str | None, unit: float) -> float | None:
    try:
        value = float(text) if text is not None else math.nan
    except ValueError:
        return None
    return value * unit if math.isfinite(value) else None
