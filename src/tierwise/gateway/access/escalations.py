"""How often, and for how much, a key's requests go to premium within an hour: so hostile prompts can't send all there.

Kept in this process's memory by key and route, minute by minute: each of N workers and replicas grants a key the whole
of it. An hour is the current minute and the sixty before it. An escalation counts from when premium is called, at what
that may cost; once the request has ended, at what it has cost. A request that premium did not answer counts when it
has its answer, one that was refused never.
"""

from __future__ import annotations

from collections import deque
from math import inf

from tierwise.core.budget import usd
from tierwise.errors import RateLimited
from tierwise.gateway.booking import ASIDE
from tierwise.money import Record
from tierwise.types import Escalations, Route

SPAN = 61  # minutes that count: any sixty, wherever they begin, lie in 61 whole ones
MINUTE = 60_000  # milliseconds
LEAST = 20  # requests of an hour; of fewer no share is taken


class Minute:
    """What began in one minute."""

    __slots__ = ("escalated", "kept", "minute", "nanos")

    def __init__(self, minute: int) -> None:
        self.minute = minute
        self.kept = 0
        self.escalated = 0
        self.nanos = 0


class Hour:
    """Of one key on one route. `now` is in minutes and never falls."""

    def __init__(self) -> None:
        self._minutes: deque[Minute] = deque()

    def at(self, now: float) -> Minute:
        """The current one, to count in."""
        minutes = self._minutes
        while minutes and minutes[0].minute <= int(now) - SPAN:
            minutes.popleft()
        if not minutes or minutes[-1].minute != int(now):
            minutes.append(Minute(int(now)))
        return minutes[-1]

    def told(self) -> tuple[int, int, int]:
        """(requests that were kept from premium, requests that were not, nano-dollars)."""
        return (
            sum([each.kept for each in self._minutes]),
            sum([each.escalated for each in self._minutes]),
            sum([each.nanos for each in self._minutes]),
        )

    def wait(self, limits: Escalations, nanos: int, now: float) -> float:
        """Minutes until premium may be called for `nanos`, if nobody else asks; 0: now; inf: not by waiting."""
        self.at(now)
        kept, escalated, spent = self.told()
        if _fits(limits, kept, escalated, spent + nanos):
            return 0.0
        for each in self._minutes:
            kept, escalated, spent = kept - each.kept, escalated - each.escalated, spent - each.nanos
            if _fits(limits, kept, escalated, spent + nanos):
                return each.minute + SPAN - now
        return inf


class Hours:
    """Of all keys, on routes that have a limit. `now_ms` never falls."""

    def __init__(self) -> None:
        self._hours: dict[tuple[str, str], Hour] = {}
        self._running: dict[str, tuple[Minute, int]] = {}  # by the request's id

    def escalate(self, key_id: str, route: Route, request_id: str, nanos: int, now_ms: float) -> None:
        """Count a request that goes to premium, for `nanos` at the most. Raises RateLimited where it may not."""
        limits = route.escalations
        if limits is None:
            return
        now, hour = now_ms / MINUTE, self._hour(key_id, route.name)
        wait = hour.wait(limits, nanos, now)
        if wait:
            raise _refusal(route.name, limits, hour, nanos, wait * 60)
        minute = hour.at(now)
        minute.escalated += 1
        minute.nanos += nanos
        self._running[request_id] = minute, nanos

    def settle(self, record: Record, route: Route, now_ms: float) -> None:
        """A request has ended. What is corrected in a minute that counts no more is of no effect."""
        if route.escalations is None:
            return
        begun = self._running.pop(record.request_id, None)
        if begun is not None:
            minute, held = begun
            minute.nanos += _spent(record, route.premium.name) - held
        elif record.status < 400:
            self._hour(record.key_id, route.name).at(now_ms / MINUTE).kept += 1

    def _hour(self, key_id: str, route: str) -> Hour:
        found = self._hours.get((key_id, route))
        if found is None:
            found = self._hours[key_id, route] = Hour()
        return found


def _fits(limits: Escalations, kept: int, escalated: int, nanos: int) -> bool:
    return _share_fits(limits, kept, escalated) and (limits.nanos is None or nanos <= limits.nanos)


def _share_fits(limits: Escalations, kept: int, escalated: int) -> bool:
    count = kept + escalated
    return limits.share is None or count < LEAST or escalated + 1 <= limits.share * (count + 1)


def _spent(record: Record, premium: str) -> int:
    return sum([entry.nanos for entry in record.entries if entry.model == premium and entry.role not in ASIDE])


def _refusal(route: str, limits: Escalations, hour: Hour, nanos: int, wait: float) -> RateLimited:
    kept, escalated, spent = hour.told()
    if limits.nanos is not None and spent + nanos > limits.nanos:
        said = (
            f"a key may have answers of its premium model for {usd(limits.nanos)} in an hour: {usd(spent)} is spent or "
            f"held by running requests, and this one may need {usd(nanos)}"
        )
    else:
        said = f"{limits.share or 0:.0%} of a key's requests in an hour may go to its premium model, and {escalated:,} "
        said += f"of {kept + escalated:,} did"
    when = "Ask for a shorter answer, or shorten the prompt" if wait == inf else f"Try again in {wait:.0f} s"
    after = None if wait == inf else wait
    return RateLimited(f"On route {route} {said}. {when}.", code="escalations_exceeded", retry_after=after)
