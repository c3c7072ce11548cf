"""The breaker, the retry budget and the waits: with time as a value."""

from __future__ import annotations

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierwise.providers.resilience import BACKOFF_CAP, Breaker, RetryBudget, backoff, retry_after


def test_breaker_opens_after_failures_in_a_row() -> None:
    """The limit's failure opens it; a success in between starts the count again."""
    breaker = Breaker(limit=3, pause=10.0)
    for now in (0.0, 1.0):
        breaker.failed(now)
    breaker.succeeded()
    for now in (2.0, 3.0):
        breaker.failed(now)
    assert not breaker.open
    assert breaker.admit(3.0) == 0.0
    breaker.failed(4.0)
    assert breaker.open
    assert breaker.admit(5.0) == pytest.approx(9.0)


def test_breaker_lets_one_probe_through_and_closes_on_its_success() -> None:
    """After the pause exactly one call goes ahead; its success lets everyone in."""
    breaker = Breaker(limit=1, pause=10.0)
    breaker.failed(0.0)
    assert breaker.admit(9.9) == pytest.approx(0.1)
    assert breaker.admit(10.0) == 0.0
    assert breaker.admit(10.0) == pytest.approx(10.0)
    breaker.succeeded()
    assert breaker.admit(10.1) == 0.0
    assert breaker.admit(10.1) == 0.0


def test_breaker_stays_open_when_the_probe_fails() -> None:
    """A failed probe starts a whole new pause."""
    breaker = Breaker(limit=1, pause=10.0)
    breaker.failed(0.0)
    assert breaker.admit(10.0) == 0.0
    breaker.failed(12.0)
    assert breaker.admit(21.0) == pytest.approx(1.0)
    assert breaker.admit(22.0) == 0.0


def test_breaker_is_not_stuck_when_a_probe_never_reports() -> None:
    """A probe whose client left delays the next one by a pause, no more."""
    breaker = Breaker(limit=1, pause=10.0)
    breaker.failed(0.0)
    assert breaker.admit(10.0) == 0.0
    assert breaker.admit(20.0) == 0.0


@given(st.lists(st.booleans(), max_size=300))
def test_retries_never_pass_their_share_of_any_stretch_of_calls(history: list[bool]) -> None:
    """Over every stretch of a history of calls (True) and wishes to retry: retries <= 20 % of calls + floor."""
    budget = RetryBudget(share=0.2, floor=5)
    lead: list[float] = [0.0]  # retries - 0.2 * calls so far
    for call in history:
        if call:
            budget.called()
            lead.append(lead[-1] - 0.2)
        else:
            lead.append(lead[-1] + (1.0 if budget.take() else 0.0))
    lowest = 0.0
    for value in lead:
        lowest = min(lowest, value)
        assert value - lowest <= 5 + 1e-6


def test_retry_budget_earns_a_retry_by_five_calls() -> None:
    """An empty budget has one retry again after five calls, not after four."""
    budget = RetryBudget(share=0.2, floor=1)
    assert budget.take()
    for _ in range(4):
        budget.called()
    assert not budget.take()
    budget.called()
    assert budget.take()
    assert not budget.take()


@given(st.integers(0, 50), st.floats(0, 1, exclude_max=True))
def test_backoff_is_within_its_cap(retries: int, chance: float) -> None:
    """Full jitter: from 0 to the exponential step, at most the cap."""
    assert 0.0 <= backoff(retries, chance) <= min(BACKOFF_CAP, 0.1 * 2.0**retries)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
        ({"retry-after-ms": "?", "retry-after": "1"}, 1.0),
        ({"retry-after": formatdate(1_000_007.0, usegmt=True)}, 7.0),
        ({"retry-after": formatdate(999_000.0, usegmt=True)}, 0.0),
    ],
)
def test_retry_after_is_read_in_each_of_its_forms(headers: dict[str, str], seconds: float | None) -> None:
    """Seconds, milliseconds and HTTP dates; what is none of them is as if it were not there."""
    assert retry_after(headers, 1_000_000.0) == seconds
