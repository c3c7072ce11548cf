"""Requests and tokens a minute, and requests at once: of a key, or of a model whose provider grants no more.

Tokens are limited by their sum, and what is asked and what is answered each by itself.

What is over a key's limit is refused before anything is reserved, called or written. Kept in this process's memory:
each of N workers and replicas grants the whole limit, all of them together N times that at the most. A minute is the
current second and the sixty before it, so in no sixty seconds is more than the limit granted. A request counts in the
second in which it began, with its prompt (estimated) and the longest answer that it may get; once it has ended, with
what was used to answer it, however many other models were asked about it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

from tierwise.core.price import BYTES_PER_TOKEN
from tierwise.errors import RateLimited
from tierwise.gateway.booking import ASIDE
from tierwise.money import Record, Tenant
from tierwise.ports import Clock
from tierwise.types import Request, Route, Text

FRAME = 16  # bytes' worth of tokens around a message
PICTURE = 3_000  # ... and of a picture or a file, whatever its size
SPAN = 61  # seconds that count: any sixty, wherever they begin, lie in 61 whole ones
SOON = 1.0  # seconds after which it is worth asking again where only running requests stand in the way


class Quota(Protocol):
    """Limits of a key, or of a model; None: without that one."""

    @property
    def rpm(self) -> int | None: ...  # requests a minute
    @property
    def tpm(self) -> int | None: ...  # tokens a minute, in and out
    @property
    def input_tpm(self) -> int | None: ...  # of these, tokens in
    @property
    def output_tpm(self) -> int | None: ...  # ... and out
    @property
    def streams(self) -> int | None: ...  # requests at once


class Tokens(NamedTuple):
    """Of a request and its answer."""

    input: int = 0
    output: int = 0


NONE = Tokens()


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


class Full(NamedTuple):
    """Why there is no room: "60 requests a minute, and 60 were made". `wait`: seconds until there is; None: never.

    `mend`: what the client may do where there never is.
    """

    said: str
    wait: float | None
    mend: str = ""


class _Kind(NamedTuple):
    """Tokens that a limit may count."""

    field: str  # of a quota
    noun: str
    what: str  # they are, where it has to be said
    mend: str  # what a client may do who asks for more than all of them
    of: Callable[[Tokens], int]


_BOTH = "Ask for a shorter answer (`max_completion_tokens`), or shorten the prompt."
_ANSWER = "Ask for a shorter answer (`max_completion_tokens`)."
_KINDS = (
    _Kind("tpm", "tokens", ", prompt and answer", _BOTH, lambda tokens: tokens.input + tokens.output),
    _Kind("input_tpm", "input tokens", "", "Shorten the prompt.", lambda tokens: tokens.input),
    _Kind("output_tpm", "output tokens", "", _ANSWER, lambda tokens: tokens.output),
)


def counts_tokens(quota: Quota) -> bool:
    return not (quota.tpm is quota.input_tpm is quota.output_tpm is None)


def unlimited(quota: Quota) -> bool:
    return quota.rpm is quota.streams is quota.tpm is quota.input_tpm is quota.output_tpm is None


class Grant:
    """A request that was let in; `end` it when it ends, by what it used."""

    __slots__ = ("_taken", "_tally", "_tokens")

    def __init__(self, tally: Tally, taken: list[tuple[_Kind, Slot]], tokens: Tokens) -> None:
        self._tally = tally
        self._taken = taken
        self._tokens = tokens

    def end(self, tokens: Tokens) -> None:
        self._tally.running -= 1
        for kind, slot in self._taken:
            self._tally.tokens[kind.field].correct(slot, kind.of(tokens) - kind.of(self._tokens))


class Tally:
    """What one key, or one model, has taken of its limits."""

    def __init__(self) -> None:
        self.requests = Meter()
        self.tokens = {kind.field: Meter() for kind in _KINDS}
        self.running = 0

    def full(self, quota: Quota, tokens: Tokens, now: float) -> Full | None:
        """Whether a request that may take so many tokens has no room; `now` in seconds."""
        rpm, streams = quota.rpm, quota.streams
        if streams is not None and self.running >= streams:
            return Full(f"{streams:,} requests at once, and {self.running:,} are running", SOON)
        if rpm is not None and (wait := self.requests.wait(1, rpm, now)):
            return Full(f"{rpm:,} requests a minute, and {self.requests.taken:,} were made", wait)
        fulls = [self._full(kind, limit, kind.of(tokens), now) for kind, limit in _limited(quota)]
        found = [full for full in fulls if full is not None]
        return next((full for full in found if full.wait is None), max(found, key=_wait, default=None))

    def _full(self, kind: _Kind, limit: int, need: int, now: float) -> Full | None:
        meter, may = self.tokens[kind.field], f"this request may take {need:,}"
        if need > limit:
            return Full(f"{limit:,} {kind.noun} a minute, and {may}{kind.what}", None, kind.mend)
        wait = meter.wait(need, limit, now)
        return Full(f"{limit:,} {kind.noun} a minute, {meter.taken:,} are taken, and {may}", wait) if wait else None

    def take(self, quota: Quota, tokens: Tokens, now: float) -> Grant:
        """To be called after `full`, at the same time."""
        self.running += 1
        if quota.rpm is not None:
            self.requests.take(1, now)
        taken = [(kind, self.tokens[kind.field].take(kind.of(tokens), now)) for kind, _ in _limited(quota)]
        return Grant(self, taken, tokens)


def _limited(quota: Quota) -> Iterator[tuple[_Kind, int]]:
    """The kinds of tokens that it limits, and by how many."""
    for kind in _KINDS:
        limit = getattr(quota, kind.field)
        if limit is not None:
            yield kind, limit


def _wait(full: Full) -> float:
    return full.wait or 0.0


class Limits:
    """Of all keys. Remembers a minute of each that has a limit."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tallies: dict[str, Tally] = {}  # by the key's id

    def admit(self, tenant: Tenant, request: Request, route: Route) -> Grant | None:
        """Count a request; to be ended when it ends. None for a key without limits. Raises RateLimited."""
        if unlimited(tenant):
            return None
        now = self._clock.monotonic_ms() / 1000
        tally = self._tallies.get(tenant.key_id)
        if tally is None:
            tally = self._tallies[tenant.key_id] = Tally()
        tokens = bound(request, route) if counts_tokens(tenant) else NONE
        full = tally.full(tenant, tokens, now)
        if full is None:
            return tally.take(tenant, tokens, now)
        if full.wait is None:
            raise RateLimited(f"The key's limit is {full.said}. {full.mend}")
        raise RateLimited(f"The key's limit is {full.said}. Try again in {full.wait:.1f} s.", retry_after=full.wait)


def bound(request: Request, route: Route) -> Tokens:
    """Tokens of a request and its answer at the most, where the prompt is as long as it is estimated to be."""
    return needs(request, max([model.max_output for model in route.tiers]))


def needs(request: Request, longest: int) -> Tokens:
    """... and where an answer that the client sets no limit to is so long."""
    return Tokens(_prompt(request), (request.max_output or longest) * request.n)


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


def used(record: Record) -> Tokens:
    """Tokens that a request has taken: of all models that were asked to answer it, the one that took the most."""
    most = NONE
    for entry in record.entries:
        if entry.role not in ASIDE:
            most = max(most, Tokens(entry.usage.input_tokens, entry.usage.output_tokens), key=sum)
    return most
