"""The two pictures of a report: evidence against the certificate over time, and money over time.

Knows points and sums, not where they come from. Every text in them is escaped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from math import ceil, floor, log10

from tierwise.core.window import DAY_NS
from tierwise.offline import drawing as draw
from tierwise.offline.drawing import AMBER, BLUE, BOTTOM, GREEN, INK, LEFT, PALE, RED, RIGHT, TOP, VEIL, Scale
from tierwise.offline.markup import Markup, element
from tierwise.offline.reports.report import Money
from tierwise.offline.reports.report_words import Dollars, number
from tierwise.stats.watched import Point

COLUMNS = 400  # places along the time axis: more points than these can't be told apart
HIGHEST = 1e9  # evidence beyond this is drawn there


def evidence(points: Sequence[Point], since_ns: int, until_ns: int) -> Markup:
    """E-values on a logarithmic scale, each rung's alarm line, and where a rung was left. At least one point."""
    time = Scale(since_ns / DAY_NS, max(until_ns / DAY_NS, since_ns / DAY_NS + 1), LEFT, RIGHT)
    top = max(*(point.wealth for point in points), *(point.level for point in points)) * 2
    most = ceil(log10(min(top, HIGHEST)))
    least = min(floor(log10(max(min(point.wealth for point in points), 1e-3))), -1)
    height = Scale(least, most, BOTTOM, TOP)
    parts = [*draw.frame(time, ((10.0**power, _power(power)) for power in range(least, most + 1)), _log(height))]
    rungs = [list(group) for _, group in groupby(points, key=lambda point: point.rung)]
    starts = [since_ns / DAY_NS, *(rung[-1].at_ns / DAY_NS for rung in rungs)]
    for place, rung in enumerate(rungs):
        end = starts[place + 1] if rung[-1].alarm else time.high
        parts += _rung(rung, (time, height), (starts[place], end))
    if rungs[-1][-1].alarm:
        x = time.at(starts[-1])
        parts.insert(0, element("rect", x=x, y=TOP, width=RIGHT - x, height=BOTTOM - TOP, fill=VEIL))
    return draw.picture("E-value of the audit over time, with the line at which it alarms", parts)


def _rung(points: Sequence[Point], scales: tuple[Scale, Scale], span: tuple[float, float]) -> Iterator[Markup]:
    time, height = scales
    left, right, level = time.at(span[0]), time.at(span[1]), height.at(log10(points[0].level))
    yield draw.line(left, level, right, level, RED, stroke_dasharray="4 3")
    if right - left > 70:
        yield draw.text(left + 3, level - 4, f"alarm at {number(points[0].level)}", RED)
    places = [(left, height.at(0.0))]
    places += [(time.at(point.at_ns / DAY_NS), height.at(log10(max(point.wealth, 1e-9)))) for point in points]
    yield draw.path(_thinned(places), BLUE)
    if not points[-1].alarm:
        return
    x, y = places[-1]
    yield draw.line(x, TOP, x, BOTTOM, RED)
    yield element("circle", cx=x, cy=y, r=2.6, fill=RED)
    yield draw.text(x, TOP - 4, f"{points[0].rung + 1}", RED, "middle")


def _thinned(places: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The highest and the last of each place along the axis: what stands out still does."""
    kept = list[tuple[float, float]]()
    for _, group in groupby(places, key=lambda place: round((place[0] - LEFT) / (RIGHT - LEFT) * COLUMNS)):
        some = list(group)
        highest = min(some, key=lambda place: place[1])
        kept += [highest] if highest == some[-1] else [highest, some[-1]]
    return kept


def spend(money: Money, told: Dollars) -> Markup:
    """What was spent, and aside, under what premium alone would have cost. `told`: the sums. At least one day."""
    first, last = money.series[0][0], money.series[-1][0] + 1
    series = [(first, 0, 0, 0), *((day + 1, *sums) for day, *sums in money.series)]
    time = Scale(first, last, LEFT, RIGHT)
    most = max(max(baseline, spent + aside) for _, baseline, spent, aside in series) / 1e9 or 1.0
    step, top = draw.round_steps(most)
    height = Scale(0, top, BOTTOM, TOP)
    ticks = [(place * step, draw.usd(place * step, step)) for place in range(round(top / step) + 1)]

    def above(day: int, nanos: int) -> tuple[float, float]:
        return time.at(day), height.at(nanos / 1e9)

    floor_line = [above(day, 0) for day, *_ in series]
    spent, paid = [above(day, sums[1]) for day, *sums in series], [above(day, sum(sums[1:])) for day, *sums in series]
    premium = [above(day, sums[0]) for day, *sums in series]
    parts = [
        draw.area(premium, paid, GREEN) if money.net_nanos > 0 else Markup(),
        draw.area(spent, floor_line, PALE),
        draw.area(paid, spent, AMBER),
        *draw.frame(time, ticks, height.at),
        draw.path(premium, INK),
        draw.path(paid, BLUE),
        *draw.legend(
            (
                (f"premium alone {told.baseline}", INK),
                (f"net saving {told.net}", GREEN),
                (f"audits and observation {told.aside}", AMBER),
                (f"answers {told.spent}", PALE),
            )
        ),
    ]
    return draw.picture("Dollars spent so far, beside what the premium model alone would have cost", parts)


def _log(scale: Scale) -> Callable[[float], float]:
    return lambda value: scale.at(log10(value))


def _power(power: int) -> str:
    return f"{10**power:,}" if 0 <= power <= 4 else f"{10.0**power:g}"
