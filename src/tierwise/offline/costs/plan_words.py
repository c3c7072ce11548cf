"""Plans in cells of a table and in sentences, for somebody who pays the bill. Knows no terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from fractions import Fraction

from tierwise.offline.costs.plans import MONTH, Gpus, Plan, Terms, Volume, day

TITLES = ("plan", "a month", "change", "as cheap from", "")
BARS = "▁▂▃▄▅▆▇█"
CENT = 10_000_000  # nano-dollars
BILLION = 1_000_000_000


def window(since: int, until: int) -> str:
    """Of hours since 1970 (UTC), `until` not included."""
    first, last = (datetime.fromtimestamp(hour * 3600, UTC) for hour in (since, until))
    return f"{first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC, {(until - since) / 24:.1f} days"


def headline(volume: Volume) -> str:
    peak = max(hour.tokens for hour in volume.hours)
    return (
        f"{volume.model}: {tokens(round(volume.month))} tokens a month, at the most {tokens(peak)} an hour; "
        f"{usd(volume.nanos)} booked"
    )


def profile(volume: Volume) -> str:
    """A bar an hour of the day."""
    means = day(volume)
    top = max(*means, 1)
    bars = "".join(BARS[mean * (len(BARS) - 1) // top] for mean in means)
    return f"0 h {bars} 23 h UTC, up to {tokens(top)} an hour on the mean day"


def rows(plans: Sequence[Plan]) -> Iterator[tuple[str, ...]]:
    """Cells under `TITLES`; the first plan is paying as you go."""
    now = plans[0].nanos
    for place, plan in enumerate(plans):
        against = signed(Fraction(plan.nanos - now, now)) if place and now else ""
        yield plan.name, usd(plan.nanos), against, _from(plan) if place else "", _how(plan)


def verdict(plans: Sequence[Plan]) -> str:
    best = next(plan for plan in plans if plan.cheapest)
    if best is plans[0]:
        return "At today's volume nothing of this is cheaper than paying as you go."
    return f"Cheapest at today's volume: {best.name}, {usd(plans[0].nanos - best.nanos)} less a month."


def notes(volume: Volume) -> Iterator[str]:
    """What makes a model's figures less sure."""
    if volume.unknown:
        share = percent(Fraction(volume.unknown, max(volume.nanos, 1)))
        yield f"{volume.model}: {share} of its cost is an upper bound: no price is known (`tierwise prices check`)."
    if volume.corrections:
        yield f"{volume.model}: corrections of {usd(volume.corrections)} are left out: they are no volume."


def assumptions(volumes: Sequence[Volume], plans: Sequence[Sequence[Plan]], terms: Terms) -> Iterator[str]:
    """What was taken for granted, said once for all models."""
    names = {plan.name for found in plans for plan in found}
    span = volumes[0].span
    yield f"A month is {MONTH} hours, and goes on as these {span} did; tokens are input, cached or not, and output."
    if span < 7 * 24:
        yield "This is less than a week: working days and weekends may differ from it."
    yield "Each plan stands alone. As cheap from: tokens a month, spread over the hours as today's are."
    if names & {"batch", "flex", "off-peak"}:
        yield (
            "What can wait for a day: audits and observation, which no client waits for; --batch-share says what else."
            if terms.waits is None
            else f"What can wait for a day: {percent(terms.waits)} of every hour's requests (--batch-share)."
        )
        yield "Batch, flex and off-peak: by the list prices of today, as a share of the standard price."
    if names & {"committed", "own GPUs, always on"}:
        yield "An hour's traffic is taken to be even: shorter peaks spill over more than this shows."
    if terms.gpus is not None:
        yield from _gpus(terms.gpus)


def usd(nanos: int) -> str:
    """To the cent; what is less than a dollar to four digits behind the point."""
    sign, size = ("-" if nanos < 0 else ""), abs(nanos)
    if size >= BILLION or not size:
        cents = (size + CENT // 2) // CENT
        return f"{sign}${cents // 100:,}.{cents % 100:02}"
    parts = (size + CENT // 200) // (CENT // 100)
    return f"{sign}$0.{parts:04}" if 0 < parts < 10_000 else f"{sign}${'1.00' if parts else '0.0001'}"


def tokens(count: int) -> str:
    """Three digits: 41.2 M."""
    for size, unit in ((1_000_000_000_000, " T"), (1_000_000_000, " G"), (1_000_000, " M"), (1_000, " k")):
        value = count / size
        if value >= 0.9995:
            return f"{value:,.{0 if value >= 99.95 else 1 if value >= 9.995 else 2}f}{unit}"
    return str(count)


def percent(share: Fraction) -> str:
    value = float(share * 100)
    return f"{value:.0f} %" if value == round(value) or abs(value) >= 10 else f"{value:.1f} %"


def signed(share: Fraction) -> str:
    return f"x {float(share + 1):,.0f}" if share >= 9 else f"{'+' if share > 0 else ''}{percent(share)}"


def _from(plan: Plan) -> str:
    if plan.break_even is None:
        return "never"
    return tokens(plan.break_even) if plan.break_even else "any volume"


def _how(plan: Plan) -> str:
    said = []
    if plan.units is not None:
        said.append(f"{plan.units:,} GPU{'' if plan.units == 1 else 's'}")
    if plan.share is not None:
        said.append(f"{percent(Fraction(plan.share))} waits")
    if plan.there is not None and plan.could is not None:
        said.append(f"{percent(Fraction(plan.there))} off-peak now, {percent(Fraction(plan.could))} could move")
    if plan.used is not None:
        said.append(f"{percent(Fraction(plan.used))} used")
    if plan.over:
        said.append(f"too small in {plan.over:,} h")
    return ", ".join(said)


def _gpus(gpus: Gpus) -> Iterator[str]:
    yield (
        f"GPUs: {usd(gpus.nanos)} and {tokens(gpus.tokens)} tokens an hour each, as you said. No staff, storage or "
        "start-up is in it, and nothing of how good the answers are (`tierwise compare`)."
    )
