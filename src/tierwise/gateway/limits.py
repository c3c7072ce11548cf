"""Requests and tokens a minute, by key: refused before anything is reserved, called or written.

Kept in this process's memory: each of N workers and replicas grants a key its whole limit, all of them together N times
that at the most. A minute is the current second and the sixty before it, so in no sixty seconds is more than the limit
granted. A request counts in the second in which it began, with its prompt (estimated) and the longest answer that it
may get; once it has ended, with what was used to answer it, however many other models were asked about it.
"""

from __future__ import annotations

from collections import deque

from tierwise.core.price import BYTES_PER_TOKEN
from tierwise.errors import RateLimited
from tierwise.gateway.booking import ASIDE
from tierwise.money import Record, Tenant
from tierwise.ports import Clock
from tierwise.types import Request, Route, Text

FRAME = 16  # bytes' worth of tokens around a message
PICTURE = 3_000  # ... and of a picture or a file, whatever its size
SPAN = 61  # seconds that count: any sixty, wherever they begin, lie in 61 whole ones


class Slot:
    """What was taken in one second."""

    __slots__ = ("second", "taken")

    def __init__(self, second: int) -> None:
        self.second = second
        self.taken = 0


class Meter:
    """What was taken of one limit in the last minute, second by second. `now` is in seconds and never falls."""

    def __init__(self) -> None:
        self.taken = 0
        self._slots: deque[Slot] = deque()

    def wait(self, amount: int, limit: int, now: float) -> float:
        """Seconds until `amount`, at the most `limit`, can be taken if nobody else takes any; 0: now."""
        slots = self._slots
        while slots and slots[0].second <= int(now) - SPAN:
            self.taken -= slots.popleft().taken
        over = self.taken + amount - limit
        if over <= 0:
            return 0.0
        for slot in slots:
            over -= slot.taken
            if over <= 0:
                break
        return slot.second + SPAN - now

    def take(self, amount: int, now: float) -> Slot:
        """To be called after `wait`, at the same time."""
        if not self._slots or self._slots[-1].second != int(now):
            self._slots.append(Slot(int(now)))
        self.correct(self._slots[-1], amount)
        return self._slots[-1]

    def correct(self, slot: Slot, more: int) -> None:
        """What was taken then was so much more, or less. Of no effect once the slot does not count any more."""
        slot.taken += more
        if self._slots and slot.second >= self._slots[0].second:
            self.taken += more


class Grant:
    """A request that was let in; `settle` it when it ends."""

    __slots__ = ("_meter", "_slot", "_tokens")

    def __init__(self, meter: Meter, slot: Slot, tokens: int) -> None:
        self._meter = meter
        self._slot = slot
        self._tokens = tokens

    def settle(self, record: Record) -> None:
        self._meter.correct(self._slot, used(record) - self._tokens)


class Limits:
    """Of all keys. Remembers a minute of each that has a limit."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._meters: dict[str, tuple[Meter, Meter]] = {}  # of requests and of tokens, by the key's id

    def admit(self, tenant: Tenant, request: Request, route: Route) -> Grant | None:
        """Count a request; a grant where there is something to correct in the end. Raises RateLimited."""
        rpm, tpm = tenant.rpm, tenant.tpm
        if rpm is None and tpm is None:
            return None
        now = self._clock.monotonic_ms() / 1000
        meters = self._meters.get(tenant.key_id)
        if meters is None:
            meters = self._meters[tenant.key_id] = Meter(), Meter()
        requests, tokens = meters
        if rpm is not None and (wait := requests.wait(1, rpm, now)):
            raise _refusal(f"{rpm:,} requests a minute, and {requests.taken:,} were made", wait)
        grant = None if tpm is None else _grant(tokens, bound(request, route), tpm, now)
        if rpm is not None:
            requests.take(1, now)
        return grant


def bound(request: Request, route: Route) -> int:
    """Tokens of a request and its answer at the most, where the prompt is as long as it is estimated to be."""
    longest = request.max_output or max([model.max_output for model in route.tiers])
    return _prompt(request) + longest * request.n


def _prompt(request: Request) -> int:
    """By the bytes of its messages and tools. Rough, because it is in everybody's way, and corrected in the end."""
    size = 0
    for message in request.messages:
        content = message.content
        size += FRAME
        if isinstance(content, str):
            size += _bytes(content)
        else:
            size += sum([_bytes(part.text) if isinstance(part, Text) else PICTURE for part in content])
        for call in message.tool_calls:
            size += _bytes(call.arguments)
    tools = request.body.get("tools")
    if tools is not None:
        size += len(memoryview(tools))
    return -(-size // BYTES_PER_TOKEN)


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))


def used(record: Record) -> int:
    """Tokens that a request has taken: of all models that were asked to answer it, the one that took the most."""
    most = 0
    for entry in record.entries:
        if entry.role not in ASIDE:
            most = max(most, entry.usage.input_tokens + entry.usage.output_tokens)
    return most


def _grant(meter: Meter, amount: int, tpm: int, now: float) -> Grant:
    if amount > tpm:
        raise RateLimited(
            f"This request may take {amount:,} tokens, prompt and answer; the key's limit is {tpm:,} a minute. "
            "Ask for a shorter answer (`max_completion_tokens`), or shorten the prompt."
        )
    if wait := meter.wait(amount, tpm, now):
        said = f"{tpm:,} tokens a minute, {meter.taken:,} are taken, and this request may take {amount:,}"
        raise _refusal(said, wait)
    return Grant(meter, meter.take(amount, now), amount)


def _refusal(limit: str, wait: float) -> RateLimited:
    return RateLimited(f"The key's limit is {limit}. Try again in {wait:.1f} s.", retry_after=wait)
