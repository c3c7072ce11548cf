"""The curve and its figures: by hand, by RouteLLM's definitions, and what no ranking may change."""

from __future__ import annotations

from itertools import permutations
from math import isnan, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierwise.stats.frontier import (
    CostCurve,
    Curve,
    Ranking,
    Vector,
    aiq,
    apgr,
    cost_apgr,
    cost_curve,
    cpt,
    curve,
    oracle,
    pgr,
)

score = st.sampled_from([0.0, 0.25, 0.5, 1.0])
queries = st.lists(st.tuples(score, score, st.integers(-3, 3)), min_size=1, max_size=30)
Rows = list[tuple[float, float, int]]


def columns(rows: Rows) -> tuple[Vector, Vector, Vector]:
    cheap, premium, escalation = np.array(rows, dtype=np.float64).T
    return cheap, premium, escalation


def figures(line: Curve) -> list[float]:
    return [apgr(line), cpt(line, 0.5), cpt(line, 0.8), cpt(line, 0.95)]


def test_curve_by_hand() -> None:
    """Two groups of scores, the higher one first; inside a group the curve is a straight line."""
    line = curve([0, 1, 0, 1], [1, 1, 1, 1], [0.9, 0.2, 0.2, 0.2])
    assert line.share.tolist() == [0, 0.25, 1]
    assert line.quality.tolist() == [0.5, 0.75, 1]
    assert pgr(line.quality).tolist() == [0, 0.5, 1]
    assert apgr(line) == 0.25 * 0.25 + 0.75 * 0.75
    assert cpt(line, 0.0) == 0
    assert cpt(line, 0.5) == 25
    assert cpt(line, 0.8) == pytest.approx(25 + 75 * 0.3 / 0.5)
    assert cpt(line, 1.0) == 100
    assert isnan(cpt(line, 1.01))


def test_a_mixture_may_beat_premium() -> None:
    """Where cheap is right and premium wrong, PGR passes 1, and CPT takes the first crossing."""
    line = curve([0, 0, 1], [1, 1, 0], [3, 2, 1])
    assert pgr(line.quality).tolist() == pytest.approx([0, 1, 2, 1])
    assert apgr(line) == pytest.approx((0.5 + 1.5 + 1.5) / 3)
    assert cpt(line, 1.0) == pytest.approx(100 / 3)
    assert cpt(line, 1.5) == pytest.approx(50)


def test_oracle_by_hand() -> None:
    """The oracle takes the better answer of each query, fractional scores too."""
    assert oracle([0, 1, 0.5], [1, 0, 0.25]) == pytest.approx(2.5 / 3)


@pytest.mark.parametrize(("cheap", "premium"), [([0, 1], [1, 0]), ([0.1, 0.2, 0.3], [0.3, 0.2, 0.1]), ([1], [0])])
def test_without_a_gap_there_is_no_figure(cheap: list[float], premium: list[float]) -> None:
    """Equal models, up to rounding, and a premium that is worse: NaN, not a huge number."""
    line = curve(cheap, premium, range(len(cheap)))
    assert all(isnan(figure) for figure in figures(line))
    assert isnan(cost_apgr(CostCurve(line.share, line.quality)))


def test_all_tied_is_exactly_random() -> None:
    """One score for all: APGR 0.5 and CPT50 of 50 %, whatever the outcomes."""
    line = curve([0, 1, 0.5, 0], [1, 0.5, 1, 0], [7, 7, 7, 7])
    assert figures(line) == pytest.approx([0.5, 50, 80, 95])
    assert apgr(line) == 0.5


def test_random_order_is_near_half() -> None:
    """A score that knows nothing comes out near 0.5."""
    rng = np.random.default_rng(3)
    cheap, premium = rng.random(20_000) < 0.6, rng.random(20_000) < 0.8
    assert apgr(curve(cheap, premium, rng.random(20_000))) == pytest.approx(0.5, abs=0.03)


def test_ties_are_the_mean_over_their_orders() -> None:
    """The curve of tied scores is the mean of the curves over every order of the tied queries."""
    cheap, premium = np.array([0, 0, 1, 0.5]), np.array([1, 0, 0.5, 1])
    tied = curve(cheap, premium, [1, 1, 1, 1])
    orders = [curve(cheap, premium, order).quality for order in permutations(range(4))]
    assert np.mean(orders, axis=0) == pytest.approx(np.interp(np.arange(5) / 4, tied.share, tied.quality))


def test_ten_quantiles_come_near_the_integral() -> None:
    """RouteLLM's form, ten shares and interpolation in the accuracies, agrees where scores have no ties."""
    rng = np.random.default_rng(5)
    hard = rng.random(5000)
    cheap, premium = rng.random(5000) > hard, rng.random(5000) > hard / 3
    line = curve(cheap, premium, hard)
    shares = np.linspace(0, 1, 11)
    accuracy = np.interp(shares, line.share, line.quality)
    weak, strong = accuracy[0], accuracy[-1]
    assert apgr(line) == pytest.approx((np.trapezoid(accuracy, shares) - weak) / (strong - weak), abs=0.01)
    for x in (0.5, 0.8):
        theirs = np.interp(x * (strong - weak) + weak, accuracy, shares)
        assert cpt(line, x) == pytest.approx(100 * float(theirs), abs=1.5)


@given(queries)
def test_only_the_order_of_scores_counts(rows: Rows) -> None:
    """A rising transform of the score, and another order of the queries, change nothing."""
    cheap, premium, escalation = columns(rows)
    line = curve(cheap, premium, escalation)
    for rising in (3 * escalation + 1, np.exp(escalation), escalation**3):
        again = curve(cheap, premium, rising)
        assert again.share.tolist() == line.share.tolist()
        assert again.quality.tolist() == line.quality.tolist()
    turned = curve(cheap[::-1], premium[::-1], escalation[::-1])
    assert turned.quality == pytest.approx(line.quality)


@given(queries)
def test_no_order_beats_the_gain_itself(rows: Rows) -> None:
    """Escalating by the true gain is best, by its negative worst, at every figure."""
    cheap, premium, escalation = columns(rows)
    best, line, worst = (curve(cheap, premium, by) for by in (premium - cheap, escalation, cheap - premium))
    if not isnan(apgr(line)):
        assert apgr(worst) - 1e-9 <= apgr(line) <= apgr(best) + 1e-9
        for x in (0.5, 0.8, 0.95):
            assert cpt(best, x) - 1e-6 <= cpt(line, x) <= cpt(worst, x) + 1e-6
    assert best.quality.max() == pytest.approx(oracle(cheap, premium))


@given(queries, st.data())
def test_a_weight_is_so_many_copies(rows: Rows, data: st.DataObject) -> None:
    """Whole weights give the figures of a table in which each query stands that often; 0 takes it out."""
    weights = data.draw(st.lists(st.integers(0, 3), min_size=len(rows), max_size=len(rows)).filter(any))
    cheap, premium, escalation = columns(rows)
    weighted = curve(cheap, premium, escalation, weights)
    copied = curve(*(np.repeat(values, weights) for values in (cheap, premium, escalation)))
    assert figures(weighted) == pytest.approx(figures(copied), nan_ok=True)


@given(queries)
def test_curves_run_from_cheap_to_premium(rows: Rows) -> None:
    """From nothing to everything escalated, at the two models' own means; shares rise with every group."""
    cheap, premium, escalation = columns(rows)
    line = curve(cheap, premium, escalation)
    assert (line.share[0], line.share[-1]) == (0, 1)
    assert (line.quality[0], line.quality[-1]) == pytest.approx((cheap.mean(), premium.mean()))
    assert (np.diff(line.share) > 0).all()
    assert line.share.size == np.unique(escalation).size + 1


def test_infinite_scores_are_scores() -> None:
    """A query that must go to premium may say so by an infinite score; two of them tie."""
    line = curve([0, 0, 1, 1], [1, 1, 1, 1], [np.inf, np.inf, -np.inf, -np.inf])
    assert line.share.tolist() == [0, 0.5, 1]


def test_costs_by_hand() -> None:
    """Drafts of 10 % and a first call of 25 %: the axis starts at 0.1, ends at 1.1, and dear calls cost their price."""
    line = cost_curve([0, 0], [1, 1], [2, 1], [0.2, 0.2], [1, 3])
    assert line.cost == pytest.approx([0.1, 0.35, 1.1])
    assert line.quality.tolist() == [0, 0.5, 1]
    at_one = 0.5 + 0.5 * 0.65 / 0.75
    assert cost_apgr(line) == pytest.approx(0.25 * 0.25 + 0.65 * (0.5 + at_one) / 2)


@given(queries)
def test_free_drafts_cost_nothing(rows: Rows) -> None:
    """With a free cheap path and calls of one price, cost APGR is APGR."""
    cheap, premium, escalation = columns(rows)
    line = cost_curve(cheap, premium, escalation, np.zeros(len(rows)), np.full(len(rows), 2.0))
    assert cost_apgr(line) == pytest.approx(apgr(curve(cheap, premium, escalation)), nan_ok=True)


def test_overspending_shows() -> None:
    """The dearer the cheap path the lower the figure, down to 0 where it costs as much as premium."""
    rng = np.random.default_rng(1)
    cheap, premium, hard = rng.random(200) < 0.5, np.ones(200), rng.random(200)
    found = [
        cost_apgr(cost_curve(cheap, premium, hard - cheap, np.full(200, draft), np.ones(200)))
        for draft in (0.0, 0.1, 0.5, 0.9, 1.0, 4.0)
    ]
    assert found == sorted(found, reverse=True)
    assert found[0] > 0.7
    assert found[-2:] == [0, 0]


def test_a_free_premium_has_no_cost_axis() -> None:
    """Where premium costs nothing there is nothing to be measured against."""
    assert isnan(cost_apgr(cost_curve([0], [1], [1], [1], [0])))


def test_weights_count_dollars_too() -> None:
    """A weight on a query weighs its costs as well as its scores."""
    ranking = Ranking([0, 1, 0], [1, 1, 0.5], [3, 1, 1])
    weighted = ranking.cost_curve([1, 2, 3], [10, 20, 30], [2, 0, 1])
    copied = cost_curve([0, 0, 0], [1, 1, 0.5], [3, 3, 1], [1, 1, 3], [10, 10, 30])
    assert weighted.cost == pytest.approx(copied.cost)
    assert weighted.quality == pytest.approx(copied.quality)


def test_aiq_by_hand() -> None:
    """The area under the hull, flat up to the highest cost compared, over that cost."""
    points = [(1.0, 0.0), (2.0, 0.2), (3.0, 1.0), (4.0, 0.3)]
    assert aiq(points) == pytest.approx((1 + 1) / 4)
    assert aiq(points, 8.0) == pytest.approx((1 + 5) / 8)
    assert isnan(aiq([(0.0, 1.0)]))


@pytest.mark.parametrize(
    ("cheap", "premium", "escalation"),
    [([], [], []), ([0, 1], [1], [0, 1]), ([0], [1], [nan]), ([nan], [1], [0]), ([[0]], [[1]], [[0]])],
)
def test_what_is_no_table_is_refused(cheap: list[float], premium: list[float], escalation: list[float]) -> None:
    """Empty, uneven or unknown values are an error, never a figure."""
    with pytest.raises(ValueError):
        curve(cheap, premium, escalation)


def test_weights_and_costs_are_checked() -> None:
    """Weights that are negative or all zero, and negative costs, are an error."""
    for weights in ([-1, 2], [0, 0]):
        with pytest.raises(ValueError, match="weights"):
            curve([0, 1], [1, 1], [1, 2], weights)
    with pytest.raises(ValueError, match="premium_costs holds a negative cost"):
        cost_curve([0], [1], [1], [1], [-1])
