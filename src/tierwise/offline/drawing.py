"""What pictures are made of, as SVG: a frame with dates below it, lines, areas, bars, words, a legend.

Knows places, colours and days; not what is drawn. Every text is escaped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from math import ceil, floor, log10
from typing import Literal, NamedTuple

from tierwise.core.window import DAY_NS
from tierwise.offline.markup import Markup, element
from tierwise.offline.reports.report_words import moment

WIDTH, HEIGHT = 460.0, 168.0
LEFT, RIGHT, TOP, BOTTOM = 52.0, 448.0, 14.0, 147.0  # of the frame
INK, QUIET, LINE = "#1d2530", "#5b6675", "#d5dae1"
BLUE, PALE, AMBER, RED, GREEN, VEIL = "#1f5b99", "#a9c4e0", "#d98200", "#b3261e", "#dfeee3", "#f0f2f5"
STEPS_OF_DAYS = (1, 2, 7, 14, 28, 56, 91, 182, 364)

Anchor = Literal["start", "middle", "end"]


class Scale(NamedTuple):
    """From values to places."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return self.start + (self.end - self.start) * min(max(share, 0.0), 1.0)


def frame(time: Scale, ticks: Iterable[tuple[float, str]], place: Callable[[float], float]) -> Iterator[Markup]:
    for value, words in ticks:
        y = place(value)
        yield line(LEFT, y, RIGHT, y, LINE)
        yield text(LEFT - 5, y + 3, words, QUIET, "end")
    for day in dates(time.low, time.high):
        x = time.at(day)
        yield line(x, BOTTOM, x, BOTTOM + 3, QUIET)
        yield text(x, BOTTOM + 14, " ".join(moment(day * DAY_NS // 10**9).split()[:2]), QUIET, "middle")
    yield line(LEFT, BOTTOM, RIGHT, BOTTOM, QUIET)


def dates(low: float, high: float) -> list[int]:
    """At most six days, not so near to the end that a date would be cut off."""
    step = next((step for step in STEPS_OF_DAYS if (high - low) / step <= 6), STEPS_OF_DAYS[-1])
    return [day for day in range(ceil(low), floor(high) + 1, step) if day <= high - (high - low) * 0.03]


def round_steps(most: float) -> tuple[float, float]:
    """A step of 1, 2 or 5 times a power of ten, and the first multiple of it that is no less than `most`."""
    size = 10.0 ** floor(log10(most))
    step = next(part * size for part in (0.2, 0.5, 1.0, 2.0) if most / (part * size) <= 6)
    return step, ceil(most / step) * step


def usd(dollars: float, step: float) -> str:
    return f"${dollars:,.{max(0, -floor(log10(step)))}f}"


def picture(title: str, parts: Iterable[Markup], height: float = HEIGHT) -> Markup:
    return element("svg", element("title", title), *parts, viewBox=f"0 0 {WIDTH:g} {height:g}", role="img",
                   aria_label=title)  # fmt: skip


def line(x1: float, y1: float, x2: float, y2: float, colour: str, **more: str) -> Markup:
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, stroke=colour, stroke_width=0.8, **more)


def text(x: float, y: float, words: str, colour: str, anchor: Anchor = "start") -> Markup:
    return element("text", words, x=x, y=y, fill=colour, text_anchor=anchor)


def path(places: Sequence[tuple[float, float]], colour: str, **more: str) -> Markup:
    return element("polyline", points=_points(places), fill="none", stroke=colour, stroke_width=1.4, **more)


def area(upper: Sequence[tuple[float, float]], lower: Sequence[tuple[float, float]], colour: str) -> Markup:
    return element("polygon", points=_points([*upper, *reversed(lower)]), fill=colour)


def _points(places: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in places)


def legend(rows: Sequence[tuple[str, str]]) -> Iterator[Markup]:
    for place, (words, colour) in enumerate(rows):
        y = TOP + 8 + 12 * place
        yield element("rect", x=LEFT + 8, y=y - 7, width=9.0, height=7.0, fill=colour, stroke=QUIET, stroke_width=0.4)
        yield text(LEFT + 21, y, words, INK)
