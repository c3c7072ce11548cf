"""Draws: as often as their rates say, repeatable, and independent; and estimates that undo unequal rates."""

from __future__ import annotations

from itertools import product
from math import inf, isnan, nan
from time import process_time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierwise.stats.propensity import Estimate, doubly_robust, drawn, ips, propensity, uniform

SECRET = bytes(range(32))
IDS = [f"req_{number:06d}" for number in range(40_000)]
UNIT = st.floats(0, 1)


def test_draws_are_uniform() -> None:
    """Chi-square over 20 cells, 19 degrees of freedom: above 43.8 once in a thousand. Ids count up, draws don't."""
    numbers = np.array([uniform(SECRET, name, "audit") for name in IDS])
    cells = np.bincount((numbers * 20).astype(np.int64), minlength=20)
    assert ((cells - len(IDS) / 20) ** 2).sum() / (len(IDS) / 20) < 43.8
    assert abs(np.corrcoef(numbers[1:], numbers[:-1])[0, 1]) < 4 / np.sqrt(len(IDS))


def test_draws_are_as_often_as_their_rates() -> None:
    """Chi-square of the number drawn, over six rates on separate ids; above 22.5 once in a thousand."""
    rates = (0.002, 0.02, 0.1, 0.3, 0.5, 0.9)
    chi_square, size = 0.0, len(IDS) // len(rates)
    for part, rate in enumerate(rates):
        count = sum(drawn(SECRET, name, rate) for name in IDS[part * size : (part + 1) * size])
        chi_square += (count - size * rate) ** 2 / (size * rate * (1 - rate))
    assert chi_square < 22.5


@pytest.mark.unmeasured
def test_purposes_and_secrets_are_independent() -> None:
    """Of what one purpose, or one secret, draws, another draws its own rate; the same purpose would draw all."""
    audited = [name for name in IDS if drawn(SECRET, name, 0.3)]
    for secret, purpose in ((SECRET, "explore"), (SECRET[::-1], "audit"), (SECRET, "audi")):
        both = sum(drawn(secret, name, 0.3, purpose) for name in audited)
        n = len(audited)
        assert abs(both - 0.3 * n) < 4 * np.sqrt(n * 0.3 * 0.7)
    assert all(drawn(SECRET, name, 0.3) for name in audited)


def test_a_draw_is_pinned() -> None:
    """A logged propensity can be checked years later only if the same secret still gives the same number."""
    assert uniform(SECRET, "req_1", "audit") == 0.8771724755162814
    assert uniform(SECRET, "c", "ab") != uniform(SECRET, "bc", "a")


@given(st.text(), UNIT, UNIT)
def test_higher_rates_draw_more_and_all_rates_are_kept(name: str, rate: float, other: float) -> None:
    """Draws are nested in their rates; 0 draws nothing and 1 everything, any id."""
    low, high = sorted((rate, other))
    assert drawn(SECRET, name, high) or not drawn(SECRET, name, low)
    assert drawn(SECRET, name, 1)
    assert not drawn(SECRET, name, 0)
    assert 0 <= uniform(SECRET, name, "audit") < 1


def test_ids_that_are_no_text_are_drawn_too() -> None:
    """A lone surrogate, as broken JSON may hold, is an id like any other."""
    assert isinstance(drawn(SECRET, "\ud800", 0.5), bool)


@pytest.mark.unmeasured
def test_a_draw_is_fast() -> None:
    """Below 20 microseconds each, the best of three."""
    spent = []
    for _ in range(3):
        began = process_time()
        for name in IDS[:5000]:
            drawn(SECRET, name, 0.02)
        spent.append(process_time() - began)
    assert min(spent) / 5000 < 20e-6


@given(UNIT, st.floats(0, 0.25), st.floats(0.001, 1), st.floats(0, 10))
def test_propensities_rise_with_doubt_within_their_limits(
    base: float, doubt: float, least: float, slope: float
) -> None:
    """Between the least and 1; a request without a score is as doubtful as can be."""
    found = propensity(base, doubt, least, slope)
    assert least <= found <= 1
    assert propensity(base, 0, least, slope) <= found <= propensity(base, nan, least, slope)


def test_propensity_by_hand() -> None:
    """pi0 + kappa * p (1 - p)."""
    assert propensity(0.02, 0.9 * 0.1, 0.01, 0.5) == pytest.approx(0.065)
    assert propensity(0.02, 0.25, 0.01, 9) == 1
    assert propensity(0.0, 0.0, 0.01, 1) == 0.01


def test_estimates_are_unbiased() -> None:
    """Over all outcomes of the draws of four rows, weighted by their chances, both estimates average to the mean."""
    losses, rates, model = np.array([1.0, 0, 0.5, 1]), np.array([0.2, 0.5, 1, 0.7]), np.array([0.9, 0.3, 0, 0.4])
    plain = robust = 0.0
    for outcome in product((False, True), repeat=4):
        chance = float(np.prod(np.where(outcome, rates, 1 - rates)))
        seen = np.where(outcome, losses, nan)
        plain += chance * ips(seen, rates, outcome).mean if chance else 0
        robust += chance * doubly_robust(seen, rates, outcome, model).mean if chance else 0
    assert plain == pytest.approx(losses.mean())
    assert robust == pytest.approx(losses.mean())


def test_weights_are_needed_and_models_help() -> None:
    """Where doubtful rows are audited more, the plain mean of audited ones is too high; a model narrows the error."""
    rng = np.random.default_rng(3)
    harm = rng.random(50_000) * 0.2
    losses = (rng.random(harm.size) < harm).astype(np.float64)
    rates = np.clip(harm * 2, 0.02, 1)
    audited = rng.random(harm.size) < rates
    plain, robust = ips(losses, rates, audited), doubly_robust(losses, rates, audited, harm)
    for found in (plain, robust):
        assert abs(found.mean - losses.mean()) < 4 * found.error
    assert robust.error < plain.error
    assert losses[audited].mean() > losses.mean() + 0.02


def test_estimates_of_next_to_nothing() -> None:
    """No rows have no mean, one has no error."""
    none = ips([], [], [])
    assert isnan(none.mean)
    assert none.error == inf
    assert ips([0.5], [0.5], [True]) == Estimate(1.0, inf)
    assert ips([nan, nan], [0.5, 0.5], [False, False]) == Estimate(0.0, 0.0)


def test_what_cannot_be_used_is_refused() -> None:
    """Rates that are none, short secrets, propensities of 0, missing losses."""
    for rate in (-0.1, 1.1, nan):
        with pytest.raises(ValueError, match="rate"):
            drawn(SECRET, "a", rate)
    with pytest.raises(ValueError, match="secret"):
        drawn(b"short", "a", 0.5)
    for values in ((1.1, 0.1, 0.1, 1), (0.1, 0.3, 0.1, 1), (0.1, 0.1, 0.0, 1), (0.1, 0.1, 0.1, inf), (nan, 0, 0.1, 1)):
        with pytest.raises(ValueError, match="range"):
            propensity(*values)
    with pytest.raises(ValueError, match="length"):
        ips([1], [0.5, 0.5], [True, True])
    for rates in ([0.0], [1.1], [nan]):
        with pytest.raises(ValueError, match="propensities"):
            ips([1], rates, [True])
    with pytest.raises(ValueError, match="loss"):
        ips([nan], [0.5], [True])
    with pytest.raises(ValueError, match="prediction"):
        doubly_robust([1], [0.5], [True], [nan])
