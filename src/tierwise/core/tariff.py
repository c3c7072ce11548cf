"""A dated price list entry, and what it asks at a moment, for a length of input and a service tier. Integers only.

Knows no catalogue, no clock and no names of models: entries come in, moments are Unix seconds. Where a list says
nothing of a rate, whoever builds the entry has put the dearer one in. `price` gives what `core.price` charges by;
`cost` gives the whole bill with one rounding, which also holds what a `Price` has no room for: a fee a request.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from tierwise.core.price import PICO_PER_NANO
from tierwise.types import Price, Usage, Value

ONE = 1_000_000  # a factor of 1: factors are millionths
STANDARD = frozenset({"", "default", "auto", "standard"})
CHEAPER = frozenset({"batch", "flex"})  # asked for where it is not offered, the standard price is charged at the most
MINUTE, DAY, WEEK = 60, 86_400, 604_800
_THURSDAY = 3  # the weekday of 1970-01-01, where Monday is 0
_SCALE = ONE * ONE  # of a window's factor times a service's


class Rates(Value, frozen=True):
    """Pico-dollars a token. `cache_write` is for the shortest life of a cache (Anthropic: 5 minutes)."""

    input: int
    output: int
    cache_read: int
    cache_write: int
    cache_write_1h: int
    reasoning: int

    def at_least(self, other: Rates) -> Rates:
        """The dearer of both, rate by rate."""
        return Rates(
            *(
                max(mine, its)
                for mine, its in zip(msgspec.structs.astuple(self), msgspec.structs.astuple(other), strict=True)
            )
        )


class Step(Value, frozen=True):
    """The whole request's rates once its input, cached tokens included, is longer than `over` tokens."""

    over: int
    rates: Rates


class Window(msgspec.Struct, frozen=True):
    """Minutes of the day in UTC, [start, end) with end <= 1440, on which every rate is multiplied by `factor`."""

    start: int
    end: int
    days: frozenset[int]  # 0 is Monday
    factor: int  # millionths

    def covers(self, moment: int) -> bool:
        weekday = (moment // DAY + _THURSDAY) % 7
        return weekday in self.days and self.start <= moment % DAY // MINUTE < self.end


class Service(msgspec.Struct, frozen=True):
    """A service tier: rates of its own, or the standard ones times `factor`."""

    rates: Rates | None = None
    steps: tuple[Step, ...] = ()
    factor: int = ONE  # millionths


class Tariff(msgspec.Struct, frozen=True):
    """What one model costs in [starts, ends); None is open. `steps` ascend; of windows the first that covers counts."""

    rates: Rates
    steps: tuple[Step, ...] = ()
    windows: tuple[Window, ...] = ()
    services: Mapping[str, Service] = {}
    request_nanos: int = 0
    starts: int | None = None
    ends: int | None = None
    source: str = ""

    def holds(self, moment: int) -> bool:
        return (self.starts is None or self.starts <= moment) and (self.ends is None or moment < self.ends)


def valid(tariffs: Iterable[Tariff], moment: int) -> Tariff | None:
    """The first that holds at the moment."""
    return next((tariff for tariff in tariffs if tariff.holds(moment)), None)


def price(tariff: Tariff, moment: int, usage: Usage, service: str = "", written_1h: int = 0) -> Price | None:
    """The rates of this request, each rounded up to a pico-dollar; None where the service's price is not known.

    Reasoning that costs otherwise than output, and `written_1h` of the written tokens, are in the rates as a mean.
    """
    found = _rates(tariff, moment, usage.input_tokens, service)
    if found is None:
        return None
    rates, factor = found
    thought, long_lived = _parts(usage, written_1h)
    return Price(
        input=_mean(rates.input, 1, 0, 0, factor),
        output=_mean(rates.output, usage.output_tokens - thought, rates.reasoning, thought, factor),
        cache_read=_mean(rates.cache_read, 1, 0, 0, factor),
        cache_write=_mean(
            rates.cache_write, usage.cache_write_tokens - long_lived, rates.cache_write_1h, long_lived, factor
        ),
        source=tariff.source,
    )


def cost(tariff: Tariff, moment: int, usage: Usage, service: str = "", written_1h: int = 0) -> int | None:
    """Nano-dollars of the request, its fee included, rounded half up once; None where the price is not known."""
    found = _rates(tariff, moment, usage.input_tokens, service)
    if found is None:
        return None
    rates, factor = found
    thought, long_lived = _parts(usage, written_1h)
    fresh = max(usage.input_tokens - usage.cache_read_tokens - usage.cache_write_tokens, 0)
    pico = (
        fresh * rates.input
        + usage.cache_read_tokens * rates.cache_read
        + (usage.cache_write_tokens - long_lived) * rates.cache_write
        + long_lived * rates.cache_write_1h
        + (usage.output_tokens - thought) * rates.output
        + thought * rates.reasoning
    )
    unit = PICO_PER_NANO * _SCALE
    return (pico * factor + unit // 2) // unit + tariff.request_nanos


def dearest(tariff: Tariff) -> Price:
    """The standard price of a short request at the dearest hour: what holds whenever it is asked."""
    rates = _times(tariff.rates, _peak(tariff) * ONE)
    return Price(rates.input, rates.output, rates.cache_read, rates.cache_write, tariff.source)


def times(listed: Price, factor: int) -> Price:
    """A list price at an agreed discount, or a region's surcharge: `factor` in millionths, each rate rounded up."""
    if factor == ONE:
        return listed
    rates = [-(-rate * factor // ONE) for rate in (listed.input, listed.output, listed.cache_read, listed.cache_write)]
    return Price(rates[0], rates[1], rates[2], rates[3], f"{listed.source}{share(factor)}")


def share(factor: int) -> str:
    """ ", x 0.9" behind a source; nothing for a factor of 1."""
    return "" if factor == ONE else f", x {factor // ONE}.{factor % ONE:06}".rstrip("0").rstrip(".")


def most(tariff: Tariff) -> Rates:
    """No request can ask more a token, whatever its hour, length and service."""
    factor = _peak(tariff)
    found = _times(_highest(tariff.rates, tariff.steps), factor * ONE)
    for service in tariff.services.values():
        rates = _highest(service.rates or tariff.rates, service.steps if service.rates else tariff.steps)
        found = found.at_least(_times(rates, factor * service.factor))
    return found


def next_change(tariffs: Iterable[Tariff], moment: int) -> int | None:
    """The first later moment at which what is asked may be another; None where it never is. Unix seconds."""
    found: list[int] = []
    for tariff in tariffs:
        found += [edge for edge in (tariff.starts, tariff.ends) if edge is not None and edge > moment]
        if tariff.holds(moment):
            monday = moment - (moment + _THURSDAY * DAY) % WEEK
            edges = [
                monday + day * DAY + minute * MINUTE
                for window in tariff.windows
                for day in window.days
                for minute in (window.start, window.end)
            ]
            found += [edge if edge > moment else edge + WEEK for edge in edges]
    return min(found, default=None)


def _rates(tariff: Tariff, moment: int, size: int, service: str) -> tuple[Rates, int] | None:
    """(rates, factor in millionths of millionths)."""
    offered = tariff.services.get(service)
    if offered is None and service not in STANDARD | CHEAPER:
        return None
    rates, steps, factor = tariff.rates, tariff.steps, ONE
    if offered is not None:
        factor = offered.factor
        if offered.rates is not None:
            rates, steps = offered.rates, offered.steps
    for step in steps:
        if size > step.over:
            rates = step.rates
    window = next((window.factor for window in tariff.windows if window.covers(moment)), ONE)
    return rates, factor * window


def _peak(tariff: Tariff) -> int:
    """The factor of the dearest hour, in millionths."""
    return max([ONE, *[window.factor for window in tariff.windows]])


def _parts(usage: Usage, written_1h: int) -> tuple[int, int]:
    """(reasoning tokens, tokens written for an hour), neither more than what they are part of."""
    return min(usage.reasoning_tokens, usage.output_tokens), min(written_1h, usage.cache_write_tokens)


def _mean(rate: int, tokens: int, other: int, others: int, factor: int) -> int:
    """The mean rate of both kinds of token times the factor, rounded up once; `rate` where there are no tokens."""
    if not tokens + others:
        tokens = 1
    return -(-(rate * tokens + other * others) * factor // ((tokens + others) * _SCALE))


def _times(rates: Rates, factor: int) -> Rates:
    return Rates(*(_mean(rate, 1, 0, 0, factor) for rate in msgspec.structs.astuple(rates)))


def _highest(rates: Rates, steps: tuple[Step, ...]) -> Rates:
    for step in steps:
        rates = rates.at_least(step.rates)
    return rates
