"""The two pictures: in their frame, with the line of the alarm, the alarms, and areas that are what was paid."""

from __future__ import annotations

import re
from itertools import pairwise

import msgspec
import pytest

from tests.offline.reports.lives import FIRST, Life, certificate, read
from tests.offline.test_markup import Read
from tierwise.core.window import DAY_NS
from tierwise.offline.drawing import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH
from tierwise.offline.reports.report import Money, reported
from tierwise.offline.reports.report_plots import COLUMNS, evidence, spend
from tierwise.offline.reports.report_words import Dollars
from tierwise.stats.watched import Point

START = FIRST * DAY_NS
TOLD = Dollars("$1", "$2", "$3", "$4")


def point(day: float, wealth: float, rung: int = 0, alarm: bool = False) -> Point:
    level = 40.0 * 2**rung
    return Point(round(START + day * DAY_NS), 1, rung, 10, 5, wealth, level, 1 / max(wealth, 1.0), 0.01, alarm)


def places(svg: str, tag: str) -> list[list[tuple[float, float]]]:
    """Of every polyline or polygon."""
    found = [dict(attributes)["points"] or "" for name, attributes in Read(svg).tags if name == tag]
    return [[(float(x), float(y)) for x, y in re.findall(r"([\d.]+),([\d.]+)", text)] for text in found]


def drawn(*points: Point, days: int = 20) -> str:
    return evidence(points, START, START + days * DAY_NS)


def test_all_of_it_is_in_the_picture() -> None:
    """Also for a life with alarms, and evidence beyond all bounds."""
    report = reported(read(Life(days=40, bad=10), certificate()))
    assert report.audit is not None
    for svg in (evidence(report.audit.points, START, report.made_ns), spend(report.money, TOLD),
                drawn(point(1, 1e80), point(2, 1e-12))):  # fmt: skip
        spots = [spot for tag in ("polyline", "polygon") for line in places(svg, tag) for spot in line]
        assert spots
        assert all(LEFT - 0.1 <= x <= RIGHT + 0.1 and TOP - 0.1 <= y <= BOTTOM + 0.1 for x, y in spots)
        for _, attributes in Read(svg).tags:
            numbers = {key: float(value or 0) for key, value in attributes if key in {"x", "x1", "x2", "y", "y1", "y2"}}
            assert all(0 <= value <= (WIDTH if key.startswith("x") else HEIGHT) for key, value in numbers.items())


def test_evidence_is_on_a_logarithmic_scale() -> None:
    """Ten times as much is one step up, from 1 at the start; the line of the alarm is where 40 is."""
    (line,) = places(drawn(point(5, 10.0), point(10, 100.0)), "polyline")
    (_, one), (x, ten), (_, hundred) = line
    assert one - ten == pytest.approx(ten - hundred, abs=0.2)
    assert x == pytest.approx(LEFT + (RIGHT - LEFT) / 4, abs=0.1)
    svg = drawn(point(5, 10.0), point(10, 100.0))
    level = [dict(attributes) for name, attributes in Read(svg).tags if "stroke-dasharray" in dict(attributes)]
    (height,) = [float(one["y1"] or 0) for one in level]
    assert ten > height > hundred
    assert "alarm at 40" in svg


def test_alarms_are_numbered_and_start_anew() -> None:
    """Each rung has its own line, from 1 on, and its own alarm line; after the last, premium answers."""
    svg = drawn(point(5, 50.0, alarm=True), point(12, 90.0, 1, alarm=True), point(15, 0.5, 2))
    lines = places(svg, "polyline")
    assert len(lines) == 3
    assert len({round(line[0][1], 1) for line in lines}) == 1
    assert [one[0][0] for one in lines[1:]] == [one[-1][0] for one in lines[:-1]]
    assert svg.count("<circle") == 2
    assert ">1</text>" in svg
    assert ">2</text>" in svg
    assert "<rect" not in svg
    levels = [dict(attributes) for _, attributes in Read(svg).tags if "stroke-dasharray" in dict(attributes)]
    assert [one["x1"] for one in levels[1:]] == [one["x2"] for one in levels[:-1]]
    assert (len(levels), float(levels[2]["x2"] or 0)) == (3, RIGHT)
    ended = drawn(point(5, 50.0, alarm=True))
    assert ended.count("<rect") == 1


def test_many_points_are_thinned_and_peaks_stay() -> None:
    """A line of at most two places for each that can be told apart; the highest is among them."""
    points = [point(number / 1000, 0.5) for number in range(1, 20_000)]
    points[7_000] = point(7.0, 30.0)
    svg = drawn(*points)
    (line,) = places(svg, "polyline")
    assert len(line) <= 2 * COLUMNS + 2
    assert min(y for _, y in line) < sorted(y for _, y in line)[1] - 30
    assert all(left <= right for (left, _), (right, _) in pairwise(line))
    assert len(svg) < 20_000


def money(*sums: tuple[int, int, int]) -> Money:
    series = tuple((FIRST + place, *row) for place, row in enumerate(sums))
    baseline, spent, aside = sums[-1]
    return Money(9, 9, baseline, spent, aside, baseline - spent - aside, 0.5, None, series)


def test_areas_are_what_was_paid() -> None:
    """Answers from the ground, audits on them, and the saving up to what premium alone would have cost."""
    svg = spend(money((10**9, 4 * 10**8, 10**8), (2 * 10**9, 8 * 10**8, 2 * 10**8)), TOLD)
    saving, answers, audits = places(svg, "polygon")
    scale = (BOTTOM - TOP) / 2  # a dollar
    assert saving[2][1] == pytest.approx(TOP, abs=0.1)
    assert saving[3][1] == pytest.approx(BOTTOM - 1.0 * scale, abs=0.1)
    assert answers[2][1] == pytest.approx(BOTTOM - 0.8 * scale, abs=0.1)
    assert audits[2][1] == pytest.approx(BOTTOM - 1.0 * scale, abs=0.1)
    assert audits[3][1] == answers[2][1]
    assert [answers[0][0], answers[2][0]] == [LEFT, RIGHT]
    for words in ("premium alone $1", "answers $2", "audits and observation $3", "net saving $4"):
        assert words in svg


def test_without_a_saving_there_is_no_area_for_it() -> None:
    """What was paid is above premium's line then; sums of nothing draw no error."""
    assert len(places(spend(money((10**9, 2 * 10**9, 0)), TOLD), "polygon")) == 2
    assert places(spend(money((0, 0, 0)), TOLD), "polygon")


@pytest.mark.parametrize("dollars", [0.000004, 0.02, 0.9, 7.3, 1234.0, 9_999_999.0])
def test_ticks_are_round(dollars: float) -> None:
    """At most seven, from 0 to at least what there is, all different."""
    svg = spend(money((round(dollars * 1e9), 0, 0)), TOLD)
    ticks = re.findall(r"\$[\d,.]+(?=</text>)", svg)[: -len(TOLD)]
    assert 3 <= len(ticks) <= 7
    assert len(set(ticks)) == len(ticks)
    assert float(ticks[0][1:]) == 0
    assert float(ticks[-1][1:].replace(",", "")) >= dollars


@pytest.mark.parametrize("days", [1, 2, 10, 90, 365, 3650])
def test_dates_are_few_and_in_the_frame(days: int) -> None:
    """From a day to ten years."""
    svg = evidence([point(days / 2, 2.0)], START, START + days * DAY_NS)
    dates = re.findall(r">(\d+ [A-Z][a-z]+)</text>", svg)
    assert 1 <= len(dates) <= 12
    assert dates[0] == "1 September"


def test_titles_are_for_who_does_not_see_it() -> None:
    """And nothing in them but text."""
    svg = spend(msgspec.structs.replace(money((10**9, 1, 1))), Dollars("<b>", "&", "'", '"'))
    assert "<title>Dollars spent" in svg
    assert "<b>" not in svg
