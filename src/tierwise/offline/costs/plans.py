"""What the same volume would cost under other terms: batch, off-peak hours, a commitment, GPUs of one's own.

Pure arithmetic over `money.Spend`, in integer nano-dollars; shares and scales are exact fractions. Every plan stands
alone: what is waiting or spills over costs what it costs today, and nothing is combined. An hour's traffic is taken
to be even, and every token of a model's hour to cost the same. Knows no price list, no clock and no store.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from functools import lru_cache
from typing import Literal, NamedTuple

import msgspec

from tierwise.core import tariff
from tierwise.money import Spend
from tierwise.tariffs import ONE, Tariff, Window
from tierwise.types import Usage

Name = Literal[
    "pay as you go", "batch", "flex", "off-peak", "committed", "own GPUs, always on", "own GPUs, when they pay"
]
MONTH = 730  # hours: a year's 8,760 by twelve
DAY, WEEK = 24, 168  # hours
MINUTES = 60
ASIDE = "aside"  # the key of what no client waits for, see `money.Spend`


class Hour(NamedTuple):
    """One hour of one model: tokens in and out together, and what they cost."""

    hour: int
    tokens: int
    nanos: int


class Volume(msgspec.Struct, frozen=True):
    """What one model did in `span` whole hours; hours without traffic have no `Hour`."""

    model: str
    span: int
    hours: tuple[Hour, ...]
    usage: Usage  # the sum
    entries: int
    aside: int  # nano-dollars of what no client waits for
    unknown: int  # nano-dollars that are an upper bound
    corrections: int  # nano-dollars, not in `hours`: they are no volume

    @property
    def tokens(self) -> int:
        return sum(hour.tokens for hour in self.hours)

    @property
    def nanos(self) -> int:
        return sum(hour.nanos for hour in self.hours)

    @property
    def month(self) -> Fraction:
        """Tokens a month."""
        return Fraction(self.tokens * MONTH, self.span)


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """`nanos` is a month's cost. `break_even`: tokens a month, spread over the hours as today's are, from which on it
    is as cheap as paying as you go; 0: from the first one; None: at no volume (or it is paying as you go).

    `share`: of the cost, what waits. `there`, `could`: of the tokens, those that fall into the cheapest hours today,
    and those that have a cheaper hour within a day. `used`: of what was bought. `over`: hours in which more was asked.
    `units`: GPUs, at the most.
    """

    name: Name
    nanos: int
    break_even: int | None = None
    share: float | None = None
    there: float | None = None
    could: float | None = None
    used: float | None = None
    over: int | None = None
    units: int | None = None
    cheapest: bool = False


class Gpus(msgspec.Struct, frozen=True):
    """`nanos` an hour and `tokens` an hour of one of them, in and out together; `units` None: as many as needed."""

    nanos: int
    tokens: int
    units: int | None = None


class Commitment(msgspec.Struct, frozen=True):
    """`nanos` a month for `tokens` an hour."""

    nanos: int
    tokens: int


class Terms(msgspec.Struct, frozen=True):
    """What may be chosen. `waits`: the share of requests that can wait for a day; None: what no client waits for."""

    waits: Fraction | None = None
    gpus: Gpus | None = None
    commitment: Commitment | None = None


def volumes(rows: Iterable[Spend], since: int, until: int) -> list[Volume]:
    """Of each model in the hours [since, until), the dearest first. Entries of no hour in it are left out."""
    models: dict[str, list[Spend]] = {}
    for row in rows:
        if since <= row.hour < until:
            models.setdefault(row.model, []).append(row)
    found = [_volume(model, its, until - since) for model, its in models.items()]
    return sorted((volume for volume in found if volume.hours), key=lambda volume: (-volume.nanos, volume.model))


def plans(volume: Volume, listed: Tariff | None, moment: int, terms: Terms) -> list[Plan]:
    """All that are on offer, paying as you go first. `listed`: the model's price list as of `moment`, if it has one."""
    found = [Plan(name="pay as you go", nanos=_monthly(volume.nanos, volume.span))]
    waits = waiting(volume, terms)
    if listed is not None:
        offered = (
            deferred(volume, listed, moment, "batch", waits),
            deferred(volume, listed, moment, "flex", waits),
            off_peak(volume, listed, waits),
        )
        found += [plan for plan in offered if plan is not None]
    if (bought := terms.commitment) is not None:
        found.append(fixed(volume, "committed", bought.nanos, bought.tokens))
    if (gpus := terms.gpus) is not None:
        found += [always_on(volume, gpus), when_it_pays(volume, gpus)]
    best = min(range(len(found)), key=lambda place: found[place].nanos)
    return [msgspec.structs.replace(plan, cheapest=place == best) for place, plan in enumerate(found)]


def waiting(volume: Volume, terms: Terms) -> Fraction:
    """The share of a model's cost that can wait for a day."""
    if terms.waits is not None:
        return terms.waits
    return Fraction(volume.aside, volume.nanos) if volume.nanos else Fraction(0)


def deferred(
    volume: Volume, listed: Tariff, moment: int, name: Literal["batch", "flex"], waits: Fraction
) -> Plan | None:
    """A cheaper service for what can wait, by the ratio of list prices for this mix of tokens; None: not offered."""
    if name not in listed.services:
        return None
    usual, other = _listed(volume, listed, moment, ""), _listed(volume, listed, moment, name)
    if not usual or other is None:
        return None
    ratio = Fraction(other, usual)
    moved = round(volume.nanos * waits)
    nanos = volume.nanos - moved + _up(moved * ratio)
    return Plan(
        name=name,
        nanos=_monthly(nanos, volume.span),
        break_even=0 if ratio < 1 else None,
        share=float(waits),
    )


def off_peak(volume: Volume, listed: Tariff, waits: Fraction) -> Plan | None:
    """What can wait is asked in the cheapest hour of the 24 that follow; None: every hour costs the same."""
    week = _week(listed.windows)
    cheapest = min(week)
    if cheapest == max(week):
        return None
    saved, there, could = Fraction(0), 0, 0
    for hour in volume.hours:
        now = week[hour.hour % WEEK]
        best = min(week[(hour.hour + later) % WEEK] for later in range(DAY + 1))
        saved += hour.nanos * waits * (now - best) / now if now else 0
        there += hour.tokens if now == cheapest else 0
        could += hour.tokens if best < now else 0
    return Plan(
        name="off-peak",
        nanos=_monthly(volume.nanos - int(saved), volume.span),
        break_even=0,
        share=float(waits),
        there=there / max(volume.tokens, 1),
        could=could / max(volume.tokens, 1),
    )


def fixed(volume: Volume, name: Name, monthly: int, capacity: int, units: int | None = None) -> Plan:
    """`monthly` nano-dollars whatever is used of `capacity` tokens an hour; what is asked above is paid as you go."""
    spilt = sum(hour.nanos - _covered(hour, capacity) for hour in volume.hours)
    served = sum(min(hour.tokens, capacity) for hour in volume.hours)
    return Plan(
        name=name,
        nanos=monthly + _monthly(spilt, volume.span),
        break_even=break_even(volume, monthly, capacity),
        used=served / (capacity * volume.span),
        over=sum(hour.tokens > capacity for hour in volume.hours),
        units=units,
    )


def always_on(volume: Volume, gpus: Gpus) -> Plan:
    """As many as were said, or as the peak hour needs, day and night. The break-even is of that many."""
    peak = max(hour.tokens for hour in volume.hours)
    units = max(-(-peak // gpus.tokens), 1) if gpus.units is None else gpus.units
    return fixed(volume, "own GPUs, always on", units * gpus.nanos * MONTH, units * gpus.tokens, units)


def when_it_pays(volume: Volume, gpus: Gpus) -> Plan:
    """Each is on only in the hours in which it costs no more than what it serves would; the rest is paid as you go."""
    nanos = served = hours = most = 0
    for hour in volume.hours:
        units = _worth(hour, gpus)
        nanos += units * gpus.nanos + hour.nanos - _covered(hour, units * gpus.tokens)
        served += min(hour.tokens, units * gpus.tokens)
        hours, most = hours + units, max(most, units)
    # One is worth its hour once the hour's tokens cost as much, if it can serve so many.
    busy = [hour for hour in volume.hours if hour.tokens]
    worth = max((hour.nanos for hour in busy if hour.nanos * gpus.tokens >= gpus.nanos * hour.tokens), default=0)
    scale = Fraction(gpus.nanos, worth) if worth else None
    return Plan(
        name="own GPUs, when they pay",
        nanos=_monthly(nanos, volume.span),
        break_even=None if scale is None else _up(scale * volume.month),
        used=served / (hours * gpus.tokens) if hours else 0.0,
        units=most,
    )


def break_even(volume: Volume, monthly: int, capacity: int) -> int | None:
    """Tokens a month from which on `capacity` tokens an hour are worth `monthly` nano-dollars; None: they never are.

    With every hour scaled alike, what the capacity serves, at today's cost of a token, grows with the scale until the
    hour's tokens reach the capacity, and stays there: a sum of such lines is met by walking from knee to knee.
    """
    target = Fraction(monthly * volume.span, MONTH)
    hours = sorted((hour for hour in volume.hours if hour.tokens), key=lambda hour: -hour.tokens)
    full, rising = 0, sum(hour.nanos for hour in hours)  # nano-dollars of hours that are full; of the others, unscaled
    for hour in hours:
        knee = Fraction(capacity, hour.tokens)
        if full + knee * rising >= target:
            break
        full += hour.nanos * capacity // hour.tokens
        rising -= hour.nanos
    return _up((target - full) / rising * volume.month) if rising else None


def day(volume: Volume) -> tuple[int, ...]:
    """Mean tokens an hour by the hour of the day, UTC."""
    sums = [0] * DAY
    for hour in volume.hours:
        sums[hour.hour % DAY] += hour.tokens
    return tuple(round(Fraction(tokens * DAY, volume.span)) for tokens in sums)


def _volume(model: str, rows: Sequence[Spend], span: int) -> Volume:
    spent = [row for row in rows if row.role != "correction"]
    hours: dict[int, tuple[int, int]] = {}
    for row in spent:
        tokens, nanos = hours.get(row.hour, (0, 0))
        hours[row.hour] = (tokens + row.input_tokens + row.output_tokens, nanos + row.nanos)
    return Volume(
        model=model,
        span=span,
        hours=tuple(Hour(hour, *sums) for hour, sums in sorted(hours.items()) if any(sums)),
        usage=Usage(
            sum(row.input_tokens for row in spent),
            sum(row.output_tokens for row in spent),
            sum(row.cache_read_tokens for row in spent),
            sum(row.cache_write_tokens for row in spent),
            sum(row.reasoning_tokens for row in spent),
        ),
        entries=sum(row.entries for row in spent),
        aside=sum(row.nanos for row in spent if row.key_id == ASIDE),
        unknown=sum(row.nanos for row in spent if row.state == "unknown"),
        corrections=sum(row.nanos for row in rows) - sum(row.nanos for row in spent),
    )


def _listed(volume: Volume, listed: Tariff, moment: int, service: str) -> int | None:
    """What the list asks for this mix of tokens, in some unit; None where that service has no price."""
    found = tariff.rates(listed, moment, msgspec.structs.replace(_mean(volume), service=service))
    if found is None:
        return None
    rates, factor = found
    return factor * (tariff.cost(Tariff(rates), moment, volume.usage) or 0)


def _mean(volume: Volume) -> Usage:
    """The mean request: a list price may depend on its length."""
    count, usage = max(volume.entries, 1), volume.usage

    def mean(tokens: int) -> int:
        return round(Fraction(tokens, count))

    return Usage(
        mean(usage.input_tokens),
        mean(usage.output_tokens),
        mean(usage.cache_read_tokens),
        mean(usage.cache_write_tokens),
        mean(usage.reasoning_tokens),
    )


@lru_cache(maxsize=16)
def _week(windows: tuple[Window, ...]) -> tuple[int, ...]:
    """What every hour of a week is multiplied by, from the Thursday 00:00 that 1970 began with; millionths a minute."""
    minutes = [
        next((window.factor for window in windows if window.covers(minute * 60)), ONE)
        for minute in range(WEEK * MINUTES)
    ]
    return tuple(sum(minutes[first : first + MINUTES]) for first in range(0, len(minutes), MINUTES))


def _covered(hour: Hour, capacity: int) -> int:
    """What the tokens would have cost that `capacity` serves of an hour's."""
    return hour.nanos * min(hour.tokens, capacity) // hour.tokens if hour.tokens else 0


def _worth(hour: Hour, gpus: Gpus) -> int:
    """How many of them cost no more in this hour than what they serve: full ones, and one for the rest."""
    full, rest = divmod(hour.tokens, gpus.tokens)
    if not hour.tokens or hour.nanos * min(hour.tokens, gpus.tokens) < gpus.nanos * hour.tokens:
        return 0
    units = full + (1 if rest and hour.nanos * rest >= gpus.nanos * hour.tokens else 0)
    return units if gpus.units is None else min(units, gpus.units)


def _monthly(nanos: int, span: int) -> int:
    """Rounded half up."""
    return (2 * nanos * MONTH + span) // (2 * span)


def _up(value: Fraction) -> int:
    return -(-value.numerator // value.denominator)
