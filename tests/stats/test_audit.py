"""The audit: fair in every state, false alarms as rare as it says, harm found soon; and mutants that are neither."""

from __future__ import annotations

from collections.abc import Callable
from math import isnan, log, nan, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tierwise.stats.audit import BOLD, Audit, Verdict, verdict
from tierwise.stats.bounds import binomial_tail

ALPHA, DELTA, LEAST = 0.03, 0.05, 0.2
NEVER = 10**6
Rows = list[tuple[float, float]]  # loss and propensity of drawn rows


def within(share: float, runs: int, delta: float = DELTA) -> bool:
    return share <= delta + 3 * sqrt(delta * (1 - delta) / runs)


def plain(harm: float, rows: int, rng: np.random.Generator) -> Rows:
    """Every row at the least propensity, 1."""
    return [(float(loss), 1.0) for loss in rng.random(rows) < harm]


def doubtful(harm: float, drawn: int, rng: np.random.Generator) -> Rows:
    """Mean harm of all accepted rows as said; most of it in the third that is drawn five times as often."""
    rows = drawn * 3
    doubt = rng.random(rows) < 1 / 3
    rates = np.where(doubt, 1.0, LEAST)
    losses = rng.random(rows) < np.where(doubt, 2.5 * harm, 0.25 * harm)
    taken = rng.random(rows) < rates
    return [(float(losses[row]), float(rates[row])) for row in np.flatnonzero(taken)[:drawn]]


def found(audit: Audit, rows: Rows) -> int:
    """The number of drawn rows at the alarm."""
    for loss, propensity in rows:
        audit = audit.step(loss, propensity)
        if audit.alarm:
            return audit.drawn
    return NEVER


# ------------------------------------------------------------------ no false alarms


KIND = st.tuples(st.floats(0.01, 1), st.floats(LEAST, 1), st.floats(0, 1))  # share of traffic, propensity, harm


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(LEAST, 1)), max_size=25),
    st.lists(KIND, min_size=1, max_size=4),
    st.floats(0.005, 0.9),
    st.floats(0, 2),
)
@settings(max_examples=150, deadline=None)
def test_wealth_is_not_expected_to_grow_in_any_state(
    history: Rows, kinds: list[tuple[float, ...]], alpha: float, escalated: float
) -> None:
    """Over what may come next: its kind, escalated or drawn or not, its harm. Even if one doubtful kind does it all."""
    audit = Audit.start(alpha, DELTA, LEAST)
    for loss, propensity in history:
        audit = audit.step(loss, propensity)
    whole = escalated + sum(share for share, _, _ in kinds)
    mean = sum(share * harm for share, _, harm in kinds) / whole
    shrunk = min(1.0, alpha / mean) if mean else 1.0  # no more harm than is claimed
    expected = escalated / whole * audit.escalated().wealth.total
    for share, rate, harm in kinds:
        bad, good = (audit.step(loss, rate).wealth.total for loss in (1.0, 0.0))
        drawn = shrunk * harm * bad + (1 - shrunk * harm) * good
        expected += share / whole * (rate * drawn + (1 - rate) * audit.passed().wealth.total)
    assert expected <= audit.wealth.total * (1 + 1e-9)


@pytest.mark.unmeasured
@pytest.mark.parametrize(("stream", "least"), [(plain, 1.0), (doubtful, LEAST)])
def test_false_alarms_over_four_thousand_looks(stream: Callable[..., Rows], least: float) -> None:
    """At a harm of exactly alpha, with a look at each drawn row, at most delta of the streams raise an alarm."""
    rng = np.random.default_rng(1)
    alarms = [found(Audit.start(ALPHA, DELTA, least), stream(ALPHA, 4000, rng)) < NEVER for _ in range(40)]
    assert within(float(np.mean(alarms)), 40)


@pytest.mark.unmeasured
def test_false_alarms_over_many_streams() -> None:
    """The same over more streams, with fewer looks."""
    rng = np.random.default_rng(2)
    alarms = [found(Audit.start(ALPHA, DELTA, LEAST), doubtful(ALPHA, 500, rng)) < NEVER for _ in range(300)]
    assert within(float(np.mean(alarms)), 300)


def test_weights_left_out_are_found_out() -> None:
    """The mutant tests the harm of what was drawn, and takes the doubtful rows for all."""
    rng = np.random.default_rng(3)
    unweighted = [[(loss, 1.0) for loss, _ in doubtful(ALPHA, 1500, rng)] for _ in range(40)]
    assert np.mean([found(Audit.start(ALPHA, DELTA), rows) < NEVER for rows in unweighted]) > 0.5


def shielded(harm: float, drawn: int, rng: np.random.Generator) -> Callable[[bool], int]:
    """Three of four rows are escalated; mean harm of *all* as said. Drawn rows until the alarm, if told of these."""
    losses = (rng.random(drawn) < 4 * harm).tolist()
    others = rng.poisson(3 / LEAST, drawn).tolist()

    def run(told: bool) -> int:
        audit = Audit.start(ALPHA, DELTA, LEAST)
        for loss, rows in zip(losses, others, strict=True):
            audit = audit.escalated(rows if told else 0).step(float(loss), LEAST)
            if audit.alarm:
                return audit.drawn
        return NEVER

    return run


@pytest.mark.unmeasured
def test_the_claim_is_about_all_traffic() -> None:
    """Told of escalated rows the audit keeps its promise and finds harm; the mutant isn't told, and claims too much."""
    rng = np.random.default_rng(13)
    streams = [shielded(ALPHA, 600, rng) for _ in range(100)]
    assert within(float(np.mean([stream(True) < NEVER for stream in streams])), 100)
    assert np.mean([stream(False) < NEVER for stream in streams[:20]]) > 0.9
    assert np.median([shielded(2 * ALPHA, 600, rng)(True) for _ in range(30)]) <= 120


def test_escalated_rows_may_be_told_together() -> None:
    """A batch is one row of known harm 0 after another, but for the bits that would have been laid out between."""
    audit = Audit.start(ALPHA, DELTA, LEAST).step(1.0, 1.0)
    one_by_one = audit.escalated().escalated().escalated()
    assert audit.escalated(3).wealth.total == pytest.approx(one_by_one.wealth.total, rel=1e-3)
    assert audit.escalated().wealth == audit.step(0.0, 1.0).wealth
    assert audit.escalated(3).harm == pytest.approx(LEAST / (LEAST + 3 * LEAST))
    assert audit.escalated(0) == audit


def test_a_test_for_one_look_is_found_out() -> None:
    """The mutant looks at the exact binomial tail after every row."""
    rng = np.random.default_rng(4)
    alarms = []
    for _ in range(60):
        losses = rng.random(1500) < ALPHA
        hits = zip(np.flatnonzero(losses).tolist(), range(1, 1500), strict=False)
        alarms.append(any(1 - binomial_tail(row + 1, ALPHA, count - 1) <= DELTA for row, count in hits))
    assert not within(float(np.mean(alarms)), 60)


def test_bets_that_know_their_row_are_found_out() -> None:
    """The mutant bets on rows that do harm, and only on those."""
    rng = np.random.default_rng(5)
    alarms = []
    for _ in range(20):
        losses = rng.random(1000) < ALPHA
        wealth = np.cumsum(np.where(losses, np.log1p(BOLD / ALPHA * (losses - ALPHA)), 0.0))
        alarms.append(wealth.max() >= -log(DELTA))
    assert np.mean(alarms) == 1


def test_labels_that_come_sooner_when_they_are_bad_are_found_out() -> None:
    """The order of labels must not go with harm."""
    rng = np.random.default_rng(6)
    late = [sorted(plain(ALPHA, 300, rng), reverse=True) for _ in range(20)]
    assert np.mean([found(Audit.start(ALPHA, DELTA), rows) < NEVER for rows in late]) > 0.9


# ------------------------------------------------------------------ harm is found


def median(harm: float, runs: int = 100, before: Rows | None = None, **of: float) -> float:
    rng = np.random.default_rng(7)
    lead = before or []
    rows = [lead + plain(harm, 4000, rng) for _ in range(runs)]
    return float(np.median([found(Audit.start(ALPHA, DELTA, **of), row) for row in rows])) - len(lead)


@pytest.mark.unmeasured
def test_doubled_and_tripled_harm_is_found() -> None:
    """Within a median of 400 and of 150 drawn rows; when nearly every second answer is bad within a dozen or two."""
    assert median(2 * ALPHA) <= 300
    assert median(3 * ALPHA) <= 120
    assert median(1.5 * ALPHA, 30) <= 1500
    assert median(0.4) <= 15


@pytest.mark.unmeasured
def test_harm_that_begins_late_is_found() -> None:
    """After 2,000 rows with a third of alpha; who had bet everything from the first row on would need thousands."""
    before = plain(ALPHA / 3, 2000, np.random.default_rng(8))
    assert median(2 * ALPHA, 20, before) <= 1100
    assert median(3 * ALPHA, 20, before) <= 400


def test_bets_allow_for_rows_that_are_drawn_too_often() -> None:
    """Where the least propensity is far below all that occur, the alarm comes after the same number of drawn rows."""
    rng = np.random.default_rng(9)
    streams = [[(loss, 0.2) for loss, _ in plain(3 * ALPHA, 3000, rng)] for _ in range(40)]
    low, exact = (
        np.median([found(Audit.start(ALPHA, DELTA, least), rows) for rows in streams]) for least in (0.02, 0.2)
    )
    assert exact <= 120
    assert low <= 1.3 * exact


def test_harm_among_the_doubtful_is_found() -> None:
    """With unequal propensities too."""
    rng = np.random.default_rng(10)
    rows = [found(Audit.start(ALPHA, DELTA, LEAST), doubtful(3 * ALPHA, 2000, rng)) for _ in range(40)]
    assert np.median(rows) <= 400


def test_alarms_stay() -> None:
    """What was refuted once stays refuted, however good the rows that follow."""
    audit = Audit.start(ALPHA, DELTA)
    for _ in range(10):
        audit = audit.step(1.0, 1.0)
    assert audit.alarm
    for _ in range(1000):
        audit = audit.step(0.0, 1.0)
    assert audit.alarm
    assert audit.wealth.total < 1 / DELTA


def test_rows_that_pass_are_counted_and_no_evidence() -> None:
    """A million at once; harm is estimated with the weights."""
    fresh = Audit.start(ALPHA, DELTA, LEAST)
    assert isnan(fresh.harm)
    assert fresh.passed(10**6) == fresh._replace(rows=10**6)
    audit = fresh.step(1.0, 1.0).passed(3).step(0.0, LEAST)
    assert (audit.rows, audit.drawn, audit.weight, audit.lost) == (5, 2, 1.2, 0.2)
    assert audit.harm == pytest.approx(0.2 / 1.2)
    assert fresh == Audit.start(ALPHA, DELTA, LEAST)


def test_the_smallest_and_largest_alpha() -> None:
    """One harmful row in a hundred thousand is promised, or nearly all: wealth stays positive and finite."""
    for alpha in (1e-5, 0.999):
        audit = Audit.start(alpha, DELTA)
        for loss in (1.0, 0.0, 1.0, 0.5) * 50:
            audit = audit.step(loss, 1.0)
        assert 0 < audit.wealth.total < 1e101
        assert audit.alarm == (alpha < 0.5)


def test_what_cannot_be_used_is_refused() -> None:
    """Levels that are none, losses and propensities out of range."""
    for values in ((0.0, DELTA, 1.0), (ALPHA, 1.0, 1.0), (ALPHA, DELTA, 0.0), (nan, DELTA, 1.0), (ALPHA, DELTA, 1.1)):
        with pytest.raises(ValueError, match="between"):
            Audit.start(*values)
    audit = Audit.start(ALPHA, DELTA, LEAST)
    for loss, propensity in ((1.1, 1.0), (-0.1, 1.0), (nan, 1.0), (0.0, 0.1), (0.0, 1.1), (0.0, nan)):
        with pytest.raises(ValueError, match="loss"):
            audit.step(loss, propensity)
    for count in (audit.passed, audit.escalated):
        with pytest.raises(ValueError, match="negative"):
            count(-1)


# ------------------------------------------------------------------ system or judge


DISAGREE, MISTAKES = 0.04, 0.02  # certified; of the judge as it was


def told(harm: float, mistakes: float, rng: np.random.Generator) -> Verdict:
    """What is said at the first alarm, or after 1,500 rows. Anchors: 200 rows, 10 % of them harmful."""
    system, judge = Audit.start(0.05, DELTA), Audit.start(DISAGREE, DELTA)
    anchors = np.zeros(200)  # whether the judge, as it is now, disagrees; the share of it is exact
    anchors[: round(200 * mistakes)] = 1
    for _ in range(1500):
        loss = (rng.random() < harm) != (rng.random() < mistakes)
        system = system.step(float(loss), 1.0)
        judge = judge.step(rng.choice(anchors), 1.0)
        if system.alarm or judge.alarm:
            break
    for _ in range(200 if system.alarm and not judge.alarm else 0):
        judge = judge.step(rng.choice(anchors), 1.0)
    return verdict(system, judge)


@pytest.mark.unmeasured
@pytest.mark.parametrize(
    ("harm", "mistakes", "right"), [(0.01, MISTAKES, "none"), (0.15, MISTAKES, "system"), (0.01, 0.2, "judge")]
)
def test_verdicts(harm: float, mistakes: float, right: Verdict) -> None:
    """Nothing wrong, more harm, another judge: each is told from the others in nearly all streams."""
    rng = np.random.default_rng(11)
    said = [told(harm, mistakes, rng) for _ in range(30)]
    assert said.count(right) >= 28


def test_without_the_anchors_the_judge_is_not_told_apart() -> None:
    """The mutant: a change of the judge alarms the system's audit, and alone it would be blamed."""
    system = Audit.start(0.05, DELTA)
    rng = np.random.default_rng(12)
    assert found(system, plain(0.01 + 0.2, 500, rng)) < NEVER
    for _ in range(20):
        system = system.step(1.0, 1.0)
    assert verdict(system, Audit.start(DISAGREE, DELTA)) == "system"
    assert verdict(Audit.start(0.05, DELTA), system) == "judge"
    assert verdict(system, system) == "judge"
