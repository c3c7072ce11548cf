"""Bounds: against scipy, by hand, and the sample sizes that the methods promise."""

from __future__ import annotations

from math import exp, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from tierwise.stats.bounds import (
    binomial_tail,
    clopper_pearson,
    hoeffding_bentkus,
    samples_needed,
    upper,
    upper_mean,
    wilson,
)

rates = st.one_of(st.floats(0, 1), st.floats(1e-9, 1e-3), st.floats(0.999, 1))


@given(st.integers(0, 3000), rates, st.integers(-2, 3002))
def test_tail_is_scipys(n: int, p: float, k: int) -> None:
    """The exact tail agrees with scipy's wherever scipy's is no underflow."""
    assert binomial_tail(n, p, k) == pytest.approx(float(binom.cdf(k, n, p)), rel=1e-7, abs=1e-200)


def test_tail_of_large_samples() -> None:
    """Up to millions of rows, near the mean and many deviations from it, tails keep their relative precision."""
    rng = np.random.default_rng(0)
    for _ in range(200):
        n, p = int(10 ** rng.uniform(3, 6.3)), 10 ** rng.uniform(-5, -0.01)
        k = int(np.clip(n * p + rng.normal(0, 4) * np.sqrt(n * p * (1 - p)), 0, n))
        assert binomial_tail(n, p, k) == pytest.approx(float(binom.cdf(k, n, p)), rel=1e-7)


def test_tail_by_hand() -> None:
    """Small cases, and the ends."""
    assert binomial_tail(2, 0.5, 0) == pytest.approx(0.25)
    assert binomial_tail(2, 0.5, 1) == pytest.approx(0.75)
    assert binomial_tail(99, 0.03, 0) == pytest.approx(0.97**99)
    assert [binomial_tail(5, p, 2) for p in (0.0, 1.0)] == [1, 0]
    assert [binomial_tail(5, 0.5, k) for k in (-1, 5)] == [0, 1]
    assert binomial_tail(0, 0.5, 0) == 1


@given(st.integers(1, 400), st.data(), st.sampled_from([0.8, 0.95, 0.99]))
def test_exact_interval_is_scipys(n: int, data: st.DataObject, level: float) -> None:
    """Clopper-Pearson agrees with scipy's exact interval; Wilson's with its score interval."""
    k = data.draw(st.integers(0, n))
    test = binomtest(k, n)
    assert clopper_pearson(k, n, level) == pytest.approx(tuple(test.proportion_ci(level, "exact")), abs=1e-7)
    assert wilson(k, n, level) == pytest.approx(tuple(test.proportion_ci(level, "wilson")), abs=1e-7)


@given(st.integers(1, 500), st.data(), st.floats(0.001, 0.5))
def test_upper_bound_is_where_the_tail_is_delta(n: int, data: st.DataObject, delta: float) -> None:
    """At the bound k or fewer have probability delta; with a test at alpha it says the same as the p-value."""
    k = data.draw(st.integers(0, n - 1))
    bound = upper(k, n, delta)
    assert binomial_tail(n, bound, k) == pytest.approx(delta)
    assert k / n < bound or delta > 0.4
    assert upper(n, n, delta) == 1


def test_without_rows_nothing_is_known() -> None:
    """No rows: every rate is possible and nothing is rejected."""
    assert upper(0, 0, 0.05) == upper_mean(0.0, 0, 0.05) == hoeffding_bentkus(0.0, 0, 0.03) == 1
    assert clopper_pearson(0, 0) == wilson(0, 0) == (0, 1)


def test_hoeffding_bentkus_by_hand() -> None:
    """Both halves of the formula: Hoeffding's is the smaller for a mean of 0, Bentkus's for one of few failures."""
    assert hoeffding_bentkus(0.0, 100, 0.03) == pytest.approx(0.97**100)
    hoeffding = exp(-1000 * (0.02 * log(0.02 / 0.03) + 0.98 * log(0.98 / 0.97)))
    bentkus = exp(1) * float(binom.cdf(20, 1000, 0.03))
    assert hoeffding_bentkus(0.02, 1000, 0.03) == pytest.approx(min(hoeffding, bentkus))
    assert bentkus < hoeffding
    assert hoeffding_bentkus(0.5, 10, 1.0) == 0
    assert hoeffding_bentkus(0.03, 1000, 0.03) == hoeffding_bentkus(0.5, 10, 0.03) == 1


@given(st.floats(0, 1), st.integers(1, 2000), st.floats(0.01, 0.99))
def test_graded_is_never_bolder_than_exact(mean: float, n: int, alpha: float) -> None:
    """The graded p-value is a probability, and for whole failures no smaller than the exact one."""
    k = round(mean * n)
    assert binomial_tail(n, alpha, k) * (1 - 1e-9) <= hoeffding_bentkus(k / n, n, alpha) <= 1
    assert upper(k, n, 0.05) <= upper_mean(k / n, n, 0.05) + 1e-9


@pytest.mark.unmeasured
def test_graded_bound_holds() -> None:
    """The bound of a graded mean is below the truth in at most delta of the samples."""
    rng = np.random.default_rng(0)
    means = rng.beta(0.05, 0.95, (600, 200)).mean(axis=1)
    assert np.mean([upper_mean(float(mean), 200, 0.1) < 0.05 for mean in means]) <= 0.1


SIZES = [
    # alpha, at no failures, at a quarter, at half of alpha: the methods' table, which counts in fives
    (0.01, 299, 775, 1945),
    (0.02, 149, 390, 970),
    (0.03, 99, 260, 645),
    (0.05, 59, 155, 390),
    (0.10, 29, 80, 180),
]


def certifies(n: int, alpha: float, rate: float) -> float:
    """The probability that n rows certify alpha at 95 %, from the definition."""
    allowed = [k for k in range(n) if binomial_tail(n, alpha, k) <= 0.05]
    return binomial_tail(n, rate, allowed[-1]) if allowed else 0.0


@pytest.mark.parametrize(("alpha", "none", "quarter", "half"), SIZES)
def test_sample_sizes_of_the_methods(alpha: float, none: int, quarter: int, half: int) -> None:
    """Zero failures exactly; else the exact size is the table's or, as the table counts in fives, a little less."""
    assert samples_needed(alpha, 0.05) == none
    for rate, listed in ((alpha / 4, quarter), (alpha / 2, half)):
        exact = samples_needed(alpha, 0.05, rate)
        assert exact <= listed
        assert certifies(exact, alpha, rate) >= 0.8 > certifies(exact - 1, alpha, rate)
        assert certifies(listed, alpha, rate) >= 0.8


def test_the_house_sizes() -> None:
    """At 3 % and 95 %: 99 rows without a failure, 257 (260 in fives) at a quarter of alpha, 645 at half."""
    sizes = [samples_needed(0.03, 0.05, rate) for rate in (0.0, 0.0075, 0.015)]
    assert sizes == [99, 257, 645]
    assert [next(n for n in range(5, 1000, 5) if certifies(n, 0.03, rate) >= 0.8) for rate in (0.0075, 0.015)] == [
        260,
        645,
    ]


@pytest.mark.parametrize(
    ("alpha", "delta", "rate", "power"),
    [(0.03, 0.05, 0.03, 0.8), (0.03, 0.05, -0.1, 0.8), (1.0, 0.05, 0.0, 0.8), (0.03, 0.0, 0.0, 0.8), (0.03, 0.5, 0, 1)],
)
def test_impossible_sizes_are_refused(alpha: float, delta: float, rate: float, power: float) -> None:
    """A rate at alpha or above can't be certified by any number of rows."""
    with pytest.raises(ValueError, match="samples need"):
        samples_needed(alpha, delta, rate, power)


def test_endless_sizes_are_refused() -> None:
    """A rate too close to alpha ends in an error, not in a long wait."""
    with pytest.raises(ValueError, match="too close"):
        samples_needed(0.001, 0.05, 0.00099)
