"""The checks over token log-probabilities: quantile, minimum, spread and entropy."""

from __future__ import annotations

from math import exp, inf, log, nan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.scorers.build import CHECKS, answer, request
from tierwise.scorers.checks import Check
from tierwise.scorers.confidence import LEAST, logprob_entropy, logprob_low, logprob_min, logprob_spread
from tierwise.types import Answer, Choice

ALL = (logprob_low, logprob_min, logprob_spread, logprob_entropy)


def value(check: Check, *logprobs: tuple[float, ...]) -> float | None:
    return check(request(), Answer("cheap", tuple(Choice("text", logprobs=given) for given in logprobs)), CHECKS).value


@pytest.mark.parametrize("check", ALL)
def test_without_logprobs_there_is_nothing_to_look_at(check: Check) -> None:
    """No log-probabilities: neither a verdict nor a value."""
    found = check(request(), answer("Paris"), CHECKS)
    assert (found.check, found.passed, found.value) == (check.__name__, None, None)


@pytest.mark.parametrize("check", ALL)
def test_a_value_is_no_verdict(check: Check) -> None:
    """However unsure the model was, these checks only measure; they tell their own name."""
    found = check(request(), answer("Paris", logprobs=(-9.0, -0.1)), CHECKS)
    assert (found.check, found.passed) == (check.__name__, None)
    assert found.value is not None
    assert found.detail.endswith("over 2 tokens")


@pytest.mark.parametrize("check", ALL)
@pytest.mark.parametrize("bad", [nan, 0.5, inf])
def test_what_is_no_logprob_never_looks_like_certainty(check: Check, bad: float) -> None:
    """NaN and positive numbers fail, without a value to learn from."""
    found = check(request(), answer("Paris", logprobs=(-0.1, bad, -0.1)), CHECKS)
    assert (found.passed, found.value) == (False, None)


def test_the_measures() -> None:
    """Quantile, minimum, standard deviation and entropy of a list that one can work out by hand."""
    logprobs = tuple(log(p) for p in (0.9, 0.5, 0.9, 0.9))
    assert value(logprob_min, logprobs) == pytest.approx(log(0.5))
    assert value(logprob_low, logprobs) == pytest.approx(log(0.5) + 0.3 * (log(0.9) - log(0.5)))
    assert value(logprob_spread, logprobs) == pytest.approx(3**0.5 / 4 * (log(0.9) - log(0.5)))
    tenth = -0.9 * log(0.9) - 0.1 * log(0.1)
    assert value(logprob_entropy, logprobs) == pytest.approx((3 * tenth + log(2)) / 4)


def test_rounding_and_impossible_tokens_are_bounded() -> None:
    """A little above 0 is 0; "impossible", written as -9999 or -inf, is at the floor."""
    assert value(logprob_min, (0.004, 0.0)) == 0.0
    assert value(logprob_entropy, (0.004, 0.0)) == 0.0
    assert value(logprob_min, (-9999.0, -1.0)) == LEAST
    assert value(logprob_min, (-inf, -1.0)) == LEAST


def test_the_worst_choice_counts() -> None:
    """Of several choices the least sure one is told; those without log-probabilities don't matter."""
    sure, unsure = (-0.01, -0.01), (-3.0, -0.01)
    assert value(logprob_min, sure, unsure, ()) == -3.0
    for check in ALL:
        assert value(check, sure, unsure) == value(check, unsure) != value(check, sure)


@given(st.lists(st.floats(-60, 0), min_size=1, max_size=60))
@settings(max_examples=100, deadline=None)
def test_values_agree_with_numpy_and_keep_their_range(logprobs: list[float]) -> None:
    """The quantile and the deviation are numpy's; every value is in its documented range."""
    given_ = tuple(logprobs)
    assert value(logprob_low, given_) == pytest.approx(float(np.quantile(logprobs, 0.1)), abs=1e-9)
    assert value(logprob_spread, given_) == pytest.approx(float(np.std(logprobs)), abs=1e-9)
    entropy = value(logprob_entropy, given_)
    assert entropy is not None
    assert 0.0 <= entropy <= log(2) + 1e-9
    assert value(logprob_min, given_) == min(logprobs)
    assert exp(min(logprobs)) <= 1.0
