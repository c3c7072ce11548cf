"""The four pictures of the money report: each day beside premium alone, savings by route, how sure it is, the forecast.

Knows sums, not where they come from. Every text in them is escaped.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tierwise.offline import drawing as draw
from tierwise.offline.costs.spending import Ahead
from tierwise.offline.costs.spending_words import digits, named, tenths, usd
from tierwise.offline.costs.sums import Row, Sums
from tierwise.offline.drawing import (
    AMBER,
    BLUE,
    BOTTOM,
    GREEN,
    INK,
    LEFT,
    PALE,
    QUIET,
    RED,
    RIGHT,
    TOP,
    VEIL,
    Scale,
)
from tierwise.offline.markup import Markup, element

ROUTES = 8
NAME = 26  # characters of a route's name that fit
HEADROOM = 1.35  # above bars, for the legend
STRIPE = 22.0  # height of a bar, with the space below it


def daily(days: Sequence[tuple[int, Sums]]) -> Markup:
    """Bars: what was spent, the proof on top; steps: what premium alone would have cost. At least one day."""
    time = Scale(days[0][0], days[-1][0] + 1, LEFT, RIGHT)
    height, ticks = _dollars(max(max(sums.spent_nanos, sums.baseline_nanos) for _, sums in days) * HEADROOM)
    wide = max((RIGHT - LEFT) / len(days) * 0.8, 0.5)
    bars, steps = list[Markup](), list[tuple[float, float]]()
    for day, sums in days:
        left = time.at(day) + ((RIGHT - LEFT) / len(days) - wide) / 2
        answers = height.at((sums.spent_nanos - sums.aside_nanos) / 1e9)
        top = height.at(sums.spent_nanos / 1e9)
        bars.append(_box(left, answers, wide, BOTTOM - answers, PALE))
        bars.append(_box(left, top, wide, max(answers - top, 0.0), AMBER))
        steps += [
            (time.at(day), height.at(sums.baseline_nanos / 1e9)),
            (time.at(day + 1), height.at(sums.baseline_nanos / 1e9)),
        ]
    rows = (("premium alone", INK), ("audits and observation", AMBER), ("answers", PALE))
    parts = [*draw.frame(time, ticks, height.at), *bars, draw.path(steps, INK), *draw.legend(rows)]
    return draw.picture("Dollars spent a day, beside what premium models alone would have cost", parts)


def by_route(rows: Sequence[Row]) -> Markup:
    """Of each route: what was spent, of what premium alone would have cost. Those with the most of it."""
    shown = sorted((row for row in rows if row.sums.baseline_nanos > 0), key=lambda row: -row.sums.baseline_nanos)
    shown = shown[:ROUTES]
    most = max((max(row.sums.baseline_nanos, row.sums.spent_nanos) for row in shown), default=1)
    across = Scale(0, most, LEFT + 90, RIGHT - 110)
    parts = list[Markup]()
    for place, row in enumerate(shown):
        parts += _stripe(row, TOP + STRIPE * place, across)
    return draw.picture(
        "Spend of each route, of what premium models alone would have cost", parts, TOP + STRIPE * max(len(shown), 1)
    )


def _stripe(row: Row, y: float, across: Scale) -> Iterator[Markup]:
    sums = row.sums
    spent, baseline = across.at(max(sums.spent_nanos, 0)), across.at(sums.baseline_nanos)
    name = named(row, "route")
    yield draw.text(across.start - 6, y + 10, name if len(name) <= NAME else f"{name[: NAME - 1]}…", INK, "end")
    yield _box(across.start, y, baseline - across.start, 14, GREEN)
    yield _box(across.start, y, spent - across.start, 14, PALE if sums.net_nanos >= 0 else RED)
    told = f"{usd(sums.net_nanos, digits(sums.net_nanos))}"
    yield draw.text(max(spent, baseline) + 5, y + 10, f"{told} ({tenths(sums.share or 0.0)})", INK)


def certainty(whole: Sums) -> Markup:
    """One bar of all spend: reported, computed from counts, estimated, unknown."""
    parts, left = list[Markup](), LEFT
    states = (
        ("cost reported", whole.reported_nanos, BLUE),
        ("computed from counts", whole.computed_nanos, PALE),
        ("estimated", whole.estimated_nanos, AMBER),
        ("unknown: upper bound", whole.unknown_nanos, RED),
    )
    all_of_it = sum(max(nanos, 0) for _, nanos, _ in states) or 1
    for place, (words, nanos, colour) in enumerate(states):
        wide = (RIGHT - LEFT) * max(nanos, 0) / all_of_it
        parts.append(_box(left, TOP, wide, 18, colour))
        left += wide
        x, y = LEFT + (RIGHT - LEFT) / 2 * (place % 2), TOP + 34 + 14 * (place // 2)
        parts.append(_box(x, y - 7, 9, 7, colour))
        parts.append(
            draw.text(x + 13, y, f"{words}: {tenths(nanos / all_of_it)}, {usd(nanos, digits(whole.spent_nanos))}", INK)
        )
    return draw.picture("Share of the spend that is estimated or unknown", parts, TOP + 56)


def month(ahead: Ahead) -> Markup:
    """What the month has come to, day by day, and where it will end."""
    sums = [0]
    for nanos in ahead.spent:
        sums.append(sums[-1] + nanos)
    time = Scale(ahead.first, ahead.last + 1, LEFT, RIGHT)
    height, ticks = _dollars(max(sums[-1], ahead.high or 0))
    places = [(time.at(ahead.first + day), height.at(nanos / 1e9)) for day, nanos in enumerate(sums)]
    parts = [*draw.frame(time, ticks, height.at)]
    if ahead.value is not None and ahead.low is not None and ahead.high is not None:
        start = places[-2]  # the day that runs is not over
        low, middle, high = ((RIGHT, height.at(nanos / 1e9)) for nanos in (ahead.low, ahead.value, ahead.high))
        parts += [
            draw.area([start, high], [start, low], PALE),
            draw.path([start, middle], QUIET, stroke_dasharray="4 3"),
        ]
        rows = [("spent", BLUE), (f"to come: {usd(ahead.value, digits(ahead.high))}", QUIET), ("95 % interval", PALE)]
    else:
        rows = [("spent", BLUE), ("too few days to forecast", VEIL)]
    parts += [draw.path(places, BLUE), *draw.legend(rows)]
    return draw.picture("Dollars spent since the month began, and the forecast to its end", parts)


def _dollars(most: float) -> tuple[Scale, list[tuple[float, str]]]:
    step, top = draw.round_steps(most / 1e9 if most > 0 else 1.0)
    return Scale(0, top, BOTTOM, TOP), [
        (place * step, draw.usd(place * step, step)) for place in range(round(top / step) + 1)
    ]


def _box(x: float, y: float, width: float, height: float, colour: str) -> Markup:
    return element("rect", x=x, y=y, width=max(width, 0.0), height=max(height, 0.0), fill=colour)
