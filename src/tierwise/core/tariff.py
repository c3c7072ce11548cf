"""What a dated price list asks at a moment, for a usage with its length, service and place. Integers only.

Knows no catalogue, no clock and no names of models: tariffs come in, moments are Unix seconds. A bill is summed up in
pico-dollars over all kinds of tokens and rounded once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from tierwise.tariffs import DAY, MINUTE, ONE, Pricing, Rates, Service, Step, Tariff
from tierwise.types import Price, Usage

PICO_PER_NANO = 1000
STANDARD = frozenset({"", "default", "auto", "standard"})
CHEAPER = frozenset({"batch", "flex"})  # asked for where it is not offered, the standard price is charged at the most
_STANDARD = Service()
_UNIT = PICO_PER_NANO * ONE * ONE * ONE  # of a nano-dollar, in pico-dollars times three factors


def valid(tariffs: Iterable[Tariff], moment: int) -> Tariff | None:
    """The first that holds at the moment."""
    for tariff in tariffs:
        if tariff.holds(moment):
            return tariff
    return None


def cost(tariff: Tariff, moment: int, usage: Usage) -> int | None:
    """Nano-dollars of the request, its fee included, rounded half up once; None where its service has no price."""
    found = rates(tariff, moment, usage)
    if found is None:
        return None
    rate, factor = found
    fresh = max(usage.input_tokens - usage.cache_read_tokens - usage.cache_write_tokens, 0)
    thought = min(usage.reasoning_tokens, usage.output_tokens)
    pico = (
        fresh * rate.input
        + usage.cache_read_tokens * rate.cache_read
        + usage.cache_write_tokens * rate.cache_write
        + (usage.output_tokens - thought) * rate.output
        + thought * rate.reasoning
    )
    if usage.cache_write_1h_tokens:
        long_lived = min(usage.cache_write_1h_tokens, usage.cache_write_tokens)
        pico += long_lived * (rate.cache_write_1h - rate.cache_write)
    if usage.audio_tokens or usage.image_tokens or usage.speech_tokens:
        heard = min(usage.audio_tokens, fresh)
        seen = min(usage.image_tokens, fresh - heard)
        spoken = min(usage.speech_tokens, usage.output_tokens - thought)
        pico += heard * (rate.audio - rate.input) + seen * (rate.image - rate.input)
        pico += spoken * (rate.speech - rate.output)
    return (pico * factor + _UNIT // 2) // _UNIT + tariff.request_nanos


def rates(tariff: Tariff, moment: int, usage: Usage) -> tuple[Rates, int] | None:
    """(rates, what they are multiplied by in units of ONE ** 3); None where the usage's service has no price."""
    found, steps, factor = tariff.rates, tariff.steps, ONE
    offered = tariff.services.get(usage.service)
    if offered is not None:
        factor = offered.factor
        if offered.rates is not None:
            found, steps = offered.rates, offered.steps
    elif usage.service not in STANDARD and usage.service not in CHEAPER:
        return None
    for step in steps:
        if usage.input_tokens > step.over:
            found = step.rates
    return found, factor * by_hour(tariff, moment) * tariff.regions.get(usage.region, ONE)


def by_hour(tariff: Tariff, moment: int) -> int:
    """What every rate is multiplied by at the moment, in millionths."""
    for window in tariff.windows:
        if window.covers(moment):
            return window.factor
    return ONE


def cheapest(listed: Iterable[Pricing], since: int, until: int) -> int:
    """The first moment from `since` to `until` at which a token in and one out of every model cost least together.

    `since` itself where waiting saves nothing. By the lists that hold at `since`: what comes after one is not foreseen.
    """
    held = [found for pricing in listed if (found := valid(pricing.tariffs, since)) is not None]
    until = min([until, *[tariff.ends - 1 for tariff in held if tariff.ends is not None]])
    edges = {edge for tariff in held for edge in _edges(tariff, since, until)}
    return min([since, *sorted(edges)], key=lambda moment: _together(held, moment))


def _edges(tariff: Tariff, since: int, until: int) -> Iterator[int]:
    """The moments after `since`, up to `until`, at which its hours may change."""
    for day in range(since // DAY * DAY, until + 1, DAY):
        for window in tariff.windows:
            for minute in (window.start, window.end):
                if since < day + minute * MINUTE <= until:
                    yield day + minute * MINUTE


def _together(tariffs: Iterable[Tariff], moment: int) -> int:
    return sum([(tariff.rates.input + tariff.rates.output) * by_hour(tariff, moment) for tariff in tariffs])


def dearest(tariff: Tariff) -> Price:
    """The standard price of a short text at the dearest hour: what holds whenever it is asked."""
    rate = tariff.rates.times(_peak(tariff))
    return Price(rate.input, rate.output, rate.cache_read, rate.cache_write, tariff.source)


def times(tariff: Tariff, factor: int) -> Tariff:
    """A list price at an agreed discount, or at a surcharge: `factor` in millionths, each rate rounded up."""
    if factor == ONE:
        return tariff
    return msgspec.structs.replace(
        tariff,
        rates=tariff.rates.times(factor),
        steps=_stepped(tariff.steps, factor),
        services={name: _serviced(service, factor) for name, service in tariff.services.items()},
        request_nanos=-(-tariff.request_nanos * factor // ONE),
        source=f"{tariff.source}{share(factor)}",
    )


def share(factor: int) -> str:
    """ ", x 0.9" behind a source; nothing for a factor of 1."""
    return "" if factor == ONE else f", x {factor // ONE}.{factor % ONE:06}".rstrip("0").rstrip(".")


def most(tariff: Tariff) -> Rates:
    """No request can ask more a token, whatever its hour, length, service and place."""
    found = most_of(tariff, "")
    for service in tariff.services:
        found = found.at_least(most_of(tariff, service))
    return found


def most_of(tariff: Tariff, service: str) -> Rates:
    """... that is served by this service; one that is not offered asks the standard price."""
    offered = tariff.services.get(service, _STANDARD)
    own, steps = (tariff.rates, tariff.steps) if offered.rates is None else (offered.rates, offered.steps)
    found = _highest(own, steps).times(offered.factor)
    return found.times(_peak(tariff)).times(max([ONE, *tariff.regions.values()]))


def bound(tariff: Tariff, service: str, asked: int, said: int) -> int:
    """Nano-dollars that a request of so many tokens in and out costs by this service at the most; rounded up."""
    top = most_of(tariff, service)
    return -(-(asked * dearest_in(top) + said * dearest_out(top)) // PICO_PER_NANO) + tariff.request_nanos


def pricing(tariffs: Iterable[Tariff], moment: int) -> Pricing | None:
    """What a model costs from `moment` on; None where no price is known for any time from then on."""
    kept = tuple(tariffs)
    ahead = [tariff for tariff in kept if tariff.ends is None or tariff.ends > moment]
    if not ahead:
        return None
    tops = [most(tariff) for tariff in ahead]
    return Pricing(
        tariffs=kept,
        most_in=max(dearest_in(top) for top in tops),
        most_out=max(dearest_out(top) for top in tops),
        most_fee=max(tariff.request_nanos for tariff in ahead),
    )


def dearest_in(top: Rates) -> int:
    """Of the rates that a token of the input can be charged."""
    return max(top.input, top.cache_read, top.cache_write, top.cache_write_1h, top.audio, top.image)


def dearest_out(top: Rates) -> int:
    return max(top.output, top.reasoning, top.speech)


def _peak(tariff: Tariff) -> int:
    """The factor of the dearest hour, in millionths."""
    return max([ONE, *[window.factor for window in tariff.windows]])


def _highest(found: Rates, steps: tuple[Step, ...]) -> Rates:
    for step in steps:
        found = found.at_least(step.rates)
    return found


def _stepped(steps: tuple[Step, ...], factor: int) -> tuple[Step, ...]:
    return tuple([Step(step.over, step.rates.times(factor)) for step in steps])


def _serviced(service: Service, factor: int) -> Service:
    if service.rates is None:
        return service
    return Service(service.rates.times(factor), _stepped(service.steps, factor), service.factor)
