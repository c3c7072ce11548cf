"""When a batch's lines are asked: in the cheaper hours of their models, where the batch's window leaves the time.

Nothing is remembered: the hour, the list and what is left of the window say it anew each time, so it is the same after
a restart. Knows no files, and not how a line is asked.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

import msgspec

from tierwise.core import policy, tariff
from tierwise.errors import NotFound
from tierwise.gateway.batches.context import Resources
from tierwise.gateway.batches.lines import RequestLine
from tierwise.gateway.engine import Engine

MARGIN = 3600  # seconds of a window that are never waited away
LINE_SECONDS = 5  # that a line may take, at the door


class _Named(msgspec.Struct):
    model: str = ""


_named = msgspec.json.Decoder(_Named)


def named_model(line: RequestLine) -> str:
    """The route or model that a line names; "" where it names none: whoever answers it says so."""
    try:
        return _named.decode(line.body).model
    except msgspec.ValidationError:
        return ""


def latest_start(expires_at: int, lines: int, concurrency: int) -> int:
    """When so many lines have to be begun with, to be answered in time. Unix seconds."""
    return expires_at - max(MARGIN, lines * LINE_SECONDS // concurrency)


def cheapest_start(engine: Engine, name: str, now: int, until: int) -> int:
    """When what names this route or model is cheapest, from `now` to `until`; `now` where waiting saves nothing."""
    try:
        route = engine.route(name)
    except NotFound:
        return now
    tiers = route.tiers if policy.enforced(route) else (route.premium,)
    return tariff.cheapest([model.pricing for model in tiers if model.pricing is not None], now, until)


class OffPeak:
    """Of one batch: which lines wait, and until when. `left` is lines without a result."""

    def __init__(self, resources: Resources, expires_at: int) -> None:
        self._resources = resources
        self._expires_at = expires_at
        self._waiting: Counter[str] = Counter()  # lines, by the route or model that they name

    def reset(self) -> None:
        """Nothing waits until it is found to."""
        self._waiting.clear()

    def waits(self, line: RequestLine, left: int) -> bool:
        name = named_model(line)
        if self._due(name, left) <= self._resources.now:
            return False
        self._waiting[name] += 1
        return True

    def __bool__(self) -> bool:
        """Whether anything waits."""
        return bool(self._waiting)

    def any_due(self, left: int) -> bool:
        """Whether it is time for some of what waits."""
        return any(self._due(name, left) <= self._resources.now for name in self._waiting)

    def describe(self, left: int) -> tuple[list[str], int | None]:
        """In words for a client; and when the first of it is due."""
        hours = {name: self._due(name, left) for name in self._waiting}
        said = [
            f"{format_lines(self._waiting[name])} for {name}: until {format_time(moment)}, for off-peak hours"
            for name, moment in hours.items()
        ]
        return said, min(hours.values(), default=None)

    def _due(self, name: str, left: int) -> int:
        resources = self._resources
        until = latest_start(self._expires_at, left, resources.concurrency)
        return cheapest_start(resources.app.engine, name, resources.now, until) if resources.off_peak else resources.now


def format_lines(lines: int) -> str:
    """For people: "1 line", "12,000 lines"."""
    return f"{lines:,} line{'' if lines == 1 else 's'}"


def format_time(moment: int) -> str:
    """For people: "16:30 UTC"."""
    return f"{datetime.fromtimestamp(moment, UTC):%H:%M} UTC"
