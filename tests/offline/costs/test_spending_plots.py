"""The pictures of money: in their frame, to scale, and every name is text."""

from __future__ import annotations

import msgspec
import pytest

from tests.offline.reports.test_report_plots import places
from tests.offline.spendings import MONTH, TODAY, Hours, lived, read, spend, traffic
from tests.offline.test_markup import Read
from tierwise.offline.costs import spending_plots as plots
from tierwise.offline.costs.spending import Ahead, Spending, spending
from tierwise.offline.costs.spending_words import days_of
from tierwise.offline.costs.sums import Row, Sums
from tierwise.offline.drawing import AMBER, BLUE, BOTTOM, GREEN, HEIGHT, LEFT, PALE, RED, RIGHT, TOP, WIDTH
from tierwise.offline.markup import Markup

AHEAD = Ahead(MONTH, MONTH + 29, 40, (10**9,) * 28, 32 * 10**9, 29 * 10**9, 35 * 10**9)


@pytest.fixture(scope="module")
def found() -> Spending:
    return spending(read(lived()))


def boxes(svg: Markup, colour: str) -> list[tuple[float, float, float, float]]:
    """(x, y, width, height) of those that are no part of the legend."""
    found = [dict(attributes) for name, attributes in Read(svg).tags if name == "rect"]
    return [
        tuple(float(one[side] or 0) for side in ("x", "y", "width", "height"))  # type: ignore[misc]
        for one in found
        if one["fill"] == colour and one["height"] != "7"
    ]


def row(name: str, spent: int, baseline: int) -> Row:
    return Row(name, name, Sums(computed_nanos=spent, baseline_nanos=baseline))


def test_all_of_it_is_in_the_pictures(found: Spending) -> None:
    """Also where more was spent than premium would have cost, sums are below 0, or nothing was spent at all."""
    less = Sums(computed_nanos=-(10**9), aside_nanos=5)
    pictures = [
        plots.daily(days_of(found)), plots.daily([(TODAY, Sums())]), plots.daily([(TODAY, less), (TODAY + 1, less)]),
        plots.by_route(found.tables["route"]), plots.by_route([]), plots.by_route([row("a", 9 * 10**9, 10**9)]),
        plots.certainty(found.whole), plots.certainty(less), plots.month(AHEAD),
        plots.month(msgspec.structs.replace(AHEAD, spent=(0,), value=None)),
    ]  # fmt: skip
    for svg in pictures:
        sides = dict(Read(svg).tags[0][1])["viewbox"] or ""
        height = float(sides.split()[3])
        assert 0 < height <= HEIGHT + 100
        for tag in ("polyline", "polygon"):
            assert all(
                LEFT - 0.1 <= x <= RIGHT + 0.1 and TOP - 0.1 <= y <= BOTTOM + 0.1
                for line in places(svg, tag)
                for x, y in line
            )
        for x, y, wide, high in (box for colour in (AMBER, BLUE, GREEN, PALE, RED) for box in boxes(svg, colour)):
            assert x >= 0
            assert y >= 0
            assert x + wide <= WIDTH
            assert y + high <= height + 0.1


def test_a_day_is_a_bar_to_scale() -> None:
    """The proof stands on the answers; the line of premium alone is four times as high as both."""
    sums = Sums(computed_nanos=2 * 10**9, aside_nanos=5 * 10**8, baseline_nanos=8 * 10**9)
    svg = plots.daily([(TODAY, sums)])
    ((_, answers_top, _, answers),) = boxes(svg, PALE)
    ((_, top, _, proof),) = boxes(svg, AMBER)
    ((start, end),) = places(svg, "polyline")
    assert answers == pytest.approx(3 * proof, rel=0.02)
    assert top + proof == pytest.approx(answers_top, abs=0.02)
    assert answers_top + answers == pytest.approx(BOTTOM, abs=0.02)
    assert BOTTOM - start[1] == pytest.approx(4 * (BOTTOM - top), rel=0.01)
    assert (start[0], end[0]) == (LEFT, RIGHT)


def test_savings_by_route_are_to_scale() -> None:
    """Green is what premium alone would have cost, before it what was spent; a loss is red; names are cut."""
    svg = plots.by_route([row("a", 10**9, 4 * 10**9), row("b" * 40, 3 * 10**9, 2 * 10**9), row("c", 1, 0)])
    green, pale, red = (boxes(svg, colour) for colour in (GREEN, PALE, RED))
    assert [box[2] / green[0][2] for box in (*green, *pale, *red)] == pytest.approx([1, 0.5, 0.25, 0.75], abs=0.01)
    texts = Read(svg).texts
    assert "$3.0000 (75.0 %)" in texts
    assert "\N{MINUS SIGN}$1.0000 (\N{MINUS SIGN}50.0 %)" in texts
    assert "b" * 25 + "…" in texts
    assert "b" * 26 not in texts
    many = plots.by_route([row(f"r{n}", 1, n) for n in range(1, 20)])
    assert len(boxes(many, GREEN)) == plots.ROUTES
    assert "r12" in many
    assert "r11" not in many


def test_how_sure_it_is_to_scale() -> None:
    """A tenth estimated is a tenth of the bar; all four are told."""
    svg = plots.certainty(
        Sums(reported_nanos=5 * 10**9, computed_nanos=3 * 10**9, estimated_nanos=10**9, unknown_nanos=10**9)
    )
    wide = [boxes(svg, colour)[0][2] / (RIGHT - LEFT) for colour in (BLUE, PALE, AMBER, RED)]
    assert wide == pytest.approx([0.5, 0.3, 0.1, 0.1], abs=0.001)
    for text in (
        "cost reported: 50.0 %, $5.00",
        "computed from counts: 30.0 %",
        "estimated: 10.0 %",
        "upper bound: 10.0 %",
    ):
        assert text in Read(svg).texts


def test_the_forecast_begins_where_the_last_whole_day_ended() -> None:
    """And ends at the month's end, between the ends of its interval; without one there is no wedge."""
    svg = plots.month(AHEAD)
    (wedge,) = places(svg, "polygon")
    ahead, spent = places(svg, "polyline")
    assert ahead[0] == wedge[0] == spent[27]
    assert ahead[1][0] == RIGHT
    assert wedge[1][1] < ahead[1][1] < wedge[2][1]
    assert BOTTOM - ahead[1][1] == pytest.approx((BOTTOM - spent[28][1]) * 32 / 28, rel=0.01)
    early = plots.month(msgspec.structs.replace(AHEAD, value=None))
    assert places(early, "polygon") == []
    assert "too few days to forecast" in Read(early).texts


def test_names_are_text() -> None:
    """A route that looks like markup is shown as it is."""
    evil = '<script>&"'
    hours = Hours([spend(MONTH * 24, route=evil)], [traffic(MONTH * 24, route=evil)])
    svg = plots.by_route(spending(read(hours)).tables["route"])
    assert evil in Read(svg).texts
    assert "<script" not in svg
