"""The nouns of price lists: what a model costs at which time, for which length of input, service and place.

Frozen values without arithmetic (`core/tariff.py`). Rates are integer pico-dollars a token, factors millionths,
moments Unix seconds. Where a list says nothing of a rate, whoever builds the value has put the nearest one in.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

ONE = 1_000_000  # a factor of 1
MINUTE, DAY = 60, 86_400
_THURSDAY = 3  # the weekday of 1970-01-01, where Monday is 0


class Rates(msgspec.Struct, frozen=True, gc=False):
    """Pico-dollars a token. `cache_write` is for the shortest life of a cache (Anthropic: 5 minutes).

    `input` and `output` are for text; `audio` and `image` tokens are part of the input, `speech` of the output.
    """

    input: int
    output: int
    cache_read: int
    cache_write: int
    cache_write_1h: int
    reasoning: int
    audio: int
    image: int
    speech: int

    def at_least(self, other: Rates) -> Rates:
        """The dearer of both, rate by rate."""
        mine, its = msgspec.structs.astuple(self), msgspec.structs.astuple(other)
        return Rates(*(max(pair) for pair in zip(mine, its, strict=True)))

    def times(self, factor: int) -> Rates:
        """Each rounded up to a pico-dollar."""
        return Rates(*(-(-rate * factor // ONE) for rate in msgspec.structs.astuple(self)))


class Step(msgspec.Struct, frozen=True, gc=False):
    """The whole request's rates once its input, cached tokens included, is longer than `over` tokens."""

    over: int
    rates: Rates


class Window(msgspec.Struct, frozen=True):
    """Minutes of the day in UTC, [start, end) with end <= 1440, on which every rate is multiplied by `factor`."""

    start: int
    end: int
    days: frozenset[int]  # 0 is Monday
    factor: int

    def covers(self, moment: int) -> bool:
        weekday = (moment // DAY + _THURSDAY) % 7
        return weekday in self.days and self.start <= moment % DAY // MINUTE < self.end


class Service(msgspec.Struct, frozen=True):
    """A service tier: rates of its own, or the standard ones times `factor`."""

    rates: Rates | None = None
    steps: tuple[Step, ...] = ()
    factor: int = ONE


class Tariff(msgspec.Struct, frozen=True):
    """What one model costs in [starts, ends); None is open. `steps` ascend; of windows the first that covers counts.

    `services` and `regions` go by the names that the provider's answers give them; every rate is multiplied by a
    region's factor.
    """

    rates: Rates
    steps: tuple[Step, ...] = ()
    windows: tuple[Window, ...] = ()
    services: Mapping[str, Service] = {}
    regions: Mapping[str, int] = {}
    request_nanos: int = 0
    starts: int | None = None
    ends: int | None = None
    source: str = ""

    def holds(self, moment: int) -> bool:
        return (self.starts is None or self.starts <= moment) and (self.ends is None or moment < self.ends)


class Pricing(msgspec.Struct, frozen=True):
    """All that lists say of one model, of tariffs the first that holds, and what no request can ask more than.

    `most_in` and `most_out` are pico-dollars a token of any kind, `most_fee` nano-dollars a request: of every hour,
    length, service and place of the tariffs that have not ended.
    """

    tariffs: tuple[Tariff, ...]
    most_in: int
    most_out: int
    most_fee: int

    def offers(self, service: str) -> bool:
        """Whether any of the tariffs knows the service."""
        return any(service in tariff.services for tariff in self.tariffs)
