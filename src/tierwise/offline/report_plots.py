"""The two pictures of a report, as SVG: evidence against the certificate over time, and money over time.

Knows points and sums, not where they come from. Every text in them is escaped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from math import ceil, floor, log10
from typing import Literal, NamedTuple

from tierwise.core.window import DAY_NS
from tierwise.offline.markup import Markup, element
from tierwise.offline.report import Money
from tierwise.offline.report_words import Dollars, moment, number
from tierwise.stats.watched import Point

WIDTH, HEIGHT = 460.0, 168.0
LEFT, RIGHT, TOP, BOTTOM = 52.0, 448.0, 14.0, 147.0  # of the frame
COLUMNS = 400  # places along the time axis: more points than these can't be told apart
INK, QUIET, LINE = "#1d2530", "#5b6675", "#d5dae1"
BLUE, PALE, AMBER, RED, GREEN, VEIL = "#1f5b99", "#a9c4e0", "#d98200", "#b3261e", "#dfeee3", "#f0f2f5"
HIGHEST = 1e9  # evidence beyond this is drawn there
STEPS_OF_DAYS = (1, 2, 7, 14, 28, 56, 91, 182, 364)

Anchor = Literal["start", "middle", "end"]


class _Scale(NamedTuple):
    """From values to places."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return self.start + (self.end - self.start) * min(max(share, 0.0), 1.0)


def evidence(points: Sequence[Point], since_ns: int, until_ns: int) -> Markup:
    """E-values on a logarithmic scale, each rung's alarm line, and where a rung was left. At least one point."""
    time = _Scale(since_ns / DAY_NS, max(until_ns / DAY_NS, since_ns / DAY_NS + 1), LEFT, RIGHT)
    top = max(*(point.wealth for point in points), *(point.level for point in points)) * 2
    most = ceil(log10(min(top, HIGHEST)))
    least = min(floor(log10(max(min(point.wealth for point in points), 1e-3))), -1)
    height = _Scale(least, most, BOTTOM, TOP)
    parts = [*_frame(time, ((10.0**power, _power(power)) for power in range(least, most + 1)), _log(height))]
    rungs = [list(group) for _, group in groupby(points, key=lambda point: point.rung)]
    starts = [since_ns / DAY_NS, *(rung[-1].at_ns / DAY_NS for rung in rungs)]
    for place, rung in enumerate(rungs):
        end = starts[place + 1] if rung[-1].alarm else time.high
        parts += _rung(rung, (time, height), (starts[place], end))
    if rungs[-1][-1].alarm:
        x = time.at(starts[-1])
        parts.insert(0, element("rect", x=x, y=TOP, width=RIGHT - x, height=BOTTOM - TOP, fill=VEIL))
    return _picture("E-value of the audit over time, with the line at which it alarms", parts)


def _rung(points: Sequence[Point], scales: tuple[_Scale, _Scale], span: tuple[float, float]) -> Iterator[Markup]:
    time, height = scales
    left, right, level = time.at(span[0]), time.at(span[1]), height.at(log10(points[0].level))
    yield _line(left, level, right, level, RED, stroke_dasharray="4 3")
    if right - left > 70:
        yield _text(left + 3, level - 4, f"alarm at {number(points[0].level)}", RED)
    places = [(left, height.at(0.0))]
    places += [(time.at(point.at_ns / DAY_NS), height.at(log10(max(point.wealth, 1e-9)))) for point in points]
    yield _path(_thinned(places), BLUE)
    if not points[-1].alarm:
        return
    x, y = places[-1]
    yield _line(x, TOP, x, BOTTOM, RED)
    yield element("circle", cx=x, cy=y, r=2.6, fill=RED)
    yield _text(x, TOP - 4, f"{points[0].rung + 1}", RED, "middle")


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
    time = _Scale(first, last, LEFT, RIGHT)
    most = max(max(baseline, spent + aside) for _, baseline, spent, aside in series) / 1e9 or 1.0
    step, top = _round_steps(most)
    height = _Scale(0, top, BOTTOM, TOP)
    ticks = [(place * step, _usd(place * step, step)) for place in range(round(top / step) + 1)]

    def above(day: int, nanos: int) -> tuple[float, float]:
        return time.at(day), height.at(nanos / 1e9)

    floor_line = [above(day, 0) for day, *_ in series]
    spent, paid = [above(day, sums[1]) for day, *sums in series], [above(day, sum(sums[1:])) for day, *sums in series]
    premium = [above(day, sums[0]) for day, *sums in series]
    parts = [
        _area(premium, paid, GREEN) if money.net_nanos > 0 else Markup(),
        _area(spent, floor_line, PALE),
        _area(paid, spent, AMBER),
        *_frame(time, ticks, height.at),
        _path(premium, INK),
        _path(paid, BLUE),
        *_legend(
            (
                (f"premium alone {told.baseline}", INK),
                (f"net saving {told.net}", GREEN),
                (f"audits and observation {told.aside}", AMBER),
                (f"answers {told.spent}", PALE),
            )
        ),
    ]
    return _picture("Dollars spent so far, beside what the premium model alone would have cost", parts)


def _legend(rows: Sequence[tuple[str, str]]) -> Iterator[Markup]:
    for place, (words, colour) in enumerate(rows):
        y = TOP + 8 + 12 * place
        yield element("rect", x=LEFT + 8, y=y - 7, width=9.0, height=7.0, fill=colour, stroke=QUIET, stroke_width=0.4)
        yield _text(LEFT + 21, y, words, INK)


# ------------------------------------------------------------------ parts


def _frame(time: _Scale, ticks: Iterable[tuple[float, str]], place: Callable[[float], float]) -> Iterator[Markup]:
    for value, words in ticks:
        y = place(value)
        yield _line(LEFT, y, RIGHT, y, LINE)
        yield _text(LEFT - 5, y + 3, words, QUIET, "end")
    for day in _dates(time.low, time.high):
        x = time.at(day)
        yield _line(x, BOTTOM, x, BOTTOM + 3, QUIET)
        yield _text(x, BOTTOM + 14, " ".join(moment(day * DAY_NS // 10**9).split()[:2]), QUIET, "middle")
    yield _line(LEFT, BOTTOM, RIGHT, BOTTOM, QUIET)


def _dates(low: float, high: float) -> list[int]:
    """At most six days, not so near to the end that a date would be cut off."""
    step = next((step for step in STEPS_OF_DAYS if (high - low) / step <= 6), STEPS_OF_DAYS[-1])
    return [day for day in range(ceil(low), floor(high) + 1, step) if day <= high - (high - low) * 0.03]


def _log(scale: _Scale) -> Callable[[float], float]:
    return lambda value: scale.at(log10(value))


def _power(power: int) -> str:
    return f"{10**power:,}" if 0 <= power <= 4 else f"{10.0**power:g}"


def _round_steps(most: float) -> tuple[float, float]:
    """A step of 1, 2 or 5 times a power of ten, and the first multiple of it that is no less than `most`."""
    size = 10.0 ** floor(log10(most))
    step = next(part * size for part in (0.2, 0.5, 1.0, 2.0) if most / (part * size) <= 6)
    return step, ceil(most / step) * step


def _usd(dollars: float, step: float) -> str:
    return f"${dollars:,.{max(0, -floor(log10(step)))}f}"


def _picture(title: str, parts: Iterable[Markup]) -> Markup:
    return element("svg", element("title", title), *parts, viewBox=f"0 0 {WIDTH:g} {HEIGHT:g}", role="img",
                   aria_label=title)  # fmt: skip


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, **more: str) -> Markup:
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, stroke=colour, stroke_width=0.8, **more)


def _text(x: float, y: float, words: str, colour: str, anchor: Anchor = "start") -> Markup:
    return element("text", words, x=x, y=y, fill=colour, text_anchor=anchor)


def _path(places: Sequence[tuple[float, float]], colour: str) -> Markup:
    return element("polyline", points=_points(places), fill="none", stroke=colour, stroke_width=1.4)


def _area(upper: Sequence[tuple[float, float]], lower: Sequence[tuple[float, float]], colour: str) -> Markup:
    return element("polygon", points=_points([*upper, *reversed(lower)]), fill=colour)


def _points(places: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
