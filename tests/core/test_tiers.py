"""The arithmetic of tiers: plans by enumeration, against outcomes played out one by one."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import combinations, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tierwise.core.tiers import MAX_TIERS, Plan, Tier, best, full_cost

CHEAP = Tier(good=0.7, cost=0.001, accept=0.6, latency=1.0, good_if_accepted=0.95)
PREMIUM = Tier(good=0.95, cost=0.01, accept=1.0, latency=2.0)

shares = st.floats(0, 1)
dollars = st.floats(0, 1).map(lambda cost: round(cost, 6))
TIER = st.builds(Tier, good=shares, cost=dollars, accept=shares, latency=dollars, good_if_accepted=st.none() | shares)
TIERS = st.lists(TIER, min_size=1, max_size=4)
WORTH = st.floats(0, 100)
sampled = settings(max_examples=80, deadline=None)


def chains(count: int) -> list[tuple[int, ...]]:
    return [chain for length in range(1, count + 1) for chain in combinations(range(count), length)]


def played(tiers: list[Tier], chain: tuple[int, ...]) -> tuple[float, float, float]:
    """(quality, cost, latency) of a chain, over every way in which its drafts may be accepted or rejected."""
    quality = cost = latency = 0.0
    for accepted in product((True, False), repeat=len(chain) - 1):
        chance = 1.0
        for place, yes in zip(chain, accepted, strict=False):
            chance *= tiers[place].accept if yes else 1 - tiers[place].accept
        end = accepted.index(True) if True in accepted else len(chain) - 1
        tried = [tiers[place] for place in chain[: end + 1]]
        quality += chance * (tried[-1].good if end == len(chain) - 1 else tried[-1].served)
        cost += chance * sum(tier.cost for tier in tried)
        latency += chance * sum(tier.latency for tier in tried)
    return quality, cost, latency


def net(tiers: list[Tier], chain: tuple[int, ...], value: float, second: float) -> float:
    quality, cost, latency = played(tiers, chain)
    return value * quality - cost - second * latency


def near(value: float | tuple[float, ...]) -> object:
    return pytest.approx(value, rel=1e-9, abs=1e-9)


def test_a_cascade_that_pays_is_chosen() -> None:
    """Cheap first, premium for what is rejected: quality, cost and time are those of both paths."""
    plan = best([CHEAP, PREMIUM], value_of_quality=0.1, value_of_second=0.0001)
    assert (plan.order, plan.cascades) == ((0, 1), True)
    assert plan.quality == near(0.6 * 0.95 + 0.4 * 0.95)
    assert plan.cost == near(0.001 + 0.4 * 0.01)
    assert plan.latency == near(1.0 + 0.4 * 2.0)
    assert plan.net == near(0.1 * plan.quality - plan.cost - 0.0001 * plan.latency)
    assert plan.gain == near(plan.net - (0.1 * 0.95 - 0.01 - 0.0002))


@pytest.mark.parametrize(
    ("cheap", "value", "second", "order"),
    [
        (Tier(0.2, 0.001, 0.05, 1.0), 1.0, 0.0, (1,)),  # too weak to be worth its call
        (Tier(0.9, 0.009, 0.8, 1.0, 0.95), 1.0, 0.0, (1,)),  # prices too close
        (Tier(0.7, 0.001, 0.6, 2.0, 0.95), 0.1, 0.01, (1,)),  # time too dear
        (Tier(0.95, 0.001, 0.6, 1.0), 1.0, 0.0, (0,)),  # as good as premium
        (CHEAP, 0.0, 0.0, (0,)),  # quality worth nothing
    ],
)
def test_do_not_cascade_here_is_an_answer(cheap: Tier, value: float, second: float, order: tuple[int]) -> None:
    """Where trying first does not pay, the plan is a single tier, and nothing is gained by a cascade."""
    plan = best([cheap, PREMIUM], value, second)
    assert (plan.order, plan.cascades, plan.gain) == (order, False, 0.0)


def test_a_pair_may_skip_a_tier_and_a_chain_may_be_long() -> None:
    """The middle is left out where it adds nothing, and used where it does."""
    poor = Tier(0.7, 0.005, 0.1, 1.0, 0.95)
    rich = Tier(0.8, 0.002, 0.9, 1.0, 0.95)
    assert best([CHEAP, poor, PREMIUM], 1.0).order == (0, 2)
    assert best([CHEAP, rich, PREMIUM], 1.0).order == (0, 1, 2)


def test_equal_plans_go_to_fewer_tiers_then_to_the_cheaper() -> None:
    """A tie is no reason to call more models, nor a dearer one."""
    free = Tier(0.5, 0.0, 0.0, 0.0)  # is never accepted, and costs nothing to try
    assert best([free, PREMIUM], 1.0).order == (1,)
    slow = Tier(0.8, 1.0, 1.0, 2.0)
    quick = Tier(0.8, 2.0, 1.0, 1.0)  # as good at one dollar a second
    assert best([quick, slow], 10.0, 1.0).order == (1,)


def test_only_a_final_tier_answers_unverified() -> None:
    """A tier that is not final only ever drafts."""
    good = Tier(0.95, 0.001, 0.6, 1.0)
    assert best([good, PREMIUM], 1.0).order == (0,)
    assert best([good, PREMIUM], 1.0, final={1}).order == (0, 1)
    assert best([good], 1.0).order == (0,)  # forced
    with pytest.raises(ValueError, match="no tier left"):
        best([good, PREMIUM], 1.0, final=())


def test_after_a_rejected_draft_the_rest_is_planned_anew() -> None:
    """Only tiers above remain, with the caller's new numbers; what was spent does not count."""
    middle = Tier(0.8, 0.002, 0.9, 1.0, 0.95)
    assert best([CHEAP, middle, PREMIUM], 1.0, after=0).order == (1, 2)
    doubtful = Tier(0.3, 0.002, 0.1, 1.0, 0.5)
    assert best([CHEAP, doubtful, PREMIUM], 1.0, after=0).order == (2,)
    with pytest.raises(ValueError, match="no tier left"):
        best([CHEAP, PREMIUM], 1.0, after=1)


@given(TIERS, WORTH, WORTH)
@sampled
def test_a_plan_is_worth_what_playing_it_gives(tiers: list[Tier], value: float, second: float) -> None:
    """The plan's numbers are the expectation over all outcomes."""
    plan = best(tiers, value, second)
    assert (plan.quality, plan.cost, plan.latency) == near(played(tiers, plan.order))
    assert plan.net == near(net(tiers, plan.order, value, second))


@given(TIERS, WORTH, WORTH)
@sampled
def test_no_fixed_chain_is_better(tiers: list[Tier], value: float, second: float) -> None:
    """The best plan's net worth is never below that of a chain fixed beforehand."""
    plan = best(tiers, value, second)
    for chain in chains(len(tiers)):
        assert net(tiers, chain, value, second) <= plan.net + 1e-9 * (1 + value + second)


@given(st.lists(TIER, min_size=2, max_size=4), WORTH, WORTH)
@sampled
def test_planning_anew_is_the_best_way_on(tiers: list[Tier], value: float, second: float) -> None:
    """If a rejection changes no number, no chain that began with that tier goes on better than the new plan."""
    for first in range(len(tiers) - 1):
        on = net(tiers, (first, *best(tiers, value, second, after=first).order), value, second)
        tails = [chain for chain in chains(len(tiers)) if chain[0] > first]
        assert max(net(tiers, (first, *tail), value, second) for tail in tails) <= on + 1e-9 * (1 + value + second)


@given(
    st.integers(0, 1000),
    st.integers(0, 1000),
    st.integers(1, 1000),
    st.tuples(st.integers(0, 9), st.integers(0, 9)),
    st.integers(0, 50),
)
@settings(max_examples=300, deadline=None)
def test_two_tiers_reduce_exactly(accept: int, cheap: int, dear: int, seconds: tuple[int, int], second: int) -> None:
    """Where what is served is equally good, cheap goes first iff P(accept) > its path's price over premium's."""
    drafts = Tier(0.5, cheap / 1000, accept / 1000, seconds[0], good_if_accepted=0.9)
    premium = Tier(0.9, dear / 1000, 1.0, seconds[1])
    first = Fraction(cheap + second * seconds[0]) / (dear + second * seconds[1])
    plan = best([drafts, premium], 1e4, second / 1000, final={1})
    margin = Fraction(accept, 1000) - first
    if abs(margin) > 1e-6:
        assert (plan.order == (0, 1)) == (margin > 0)
        assert plan.gain == pytest.approx(max(float(margin), 0.0) * (dear + second * seconds[1]) / 1000, abs=1e-6)


def test_two_tiers_tie_at_the_very_ratio() -> None:
    """At the ratio itself the cascade is no better, so it is not played."""
    assert best([Tier(0.5, 0.25, 0.25, 0.0, 0.75), Tier(0.75, 1.0, 1.0, 0.0)], 8.0).order == (1,)


def test_full_cost_counts_all() -> None:
    """The call, the band's share of opinions and judges, and the prompt cache that is lost."""
    assert full_cost(0.01) == 0.01
    assert full_cost(0.01, [(0.3, 0.002), (0.1, 0.004)], lost_cache=0.001) == near(0.01 + 0.0006 + 0.0004 + 0.001)


@pytest.mark.parametrize("field", ["good", "accept", "good_if_accepted"])
@pytest.mark.parametrize("odd", [-0.01, 1.01, math.nan, math.inf])
def test_a_tier_of_no_probabilities_is_refused(field: str, odd: float) -> None:
    """What is no probability must not steer a plan."""
    with pytest.raises(ValueError, match="from 0 to 1"):
        Tier(**({"good": 0.5, "cost": 0.1, "accept": 0.5, "latency": 1.0} | {field: odd}))


@pytest.mark.parametrize("field", ["cost", "latency"])
@pytest.mark.parametrize("odd", [-0.01, math.nan, math.inf])
def test_a_tier_of_no_cost_is_refused(field: str, odd: float) -> None:
    """Nor must a cost or a time that is negative or not finite."""
    with pytest.raises(ValueError, match="finite"):
        Tier(**({"good": 0.5, "cost": 0.1, "accept": 0.5, "latency": 1.0} | {field: odd}))


@pytest.mark.parametrize("worth", [(-1.0, 0.0), (math.inf, 0.0), (1.0, math.nan)])
def test_a_worth_that_is_none_is_refused(worth: tuple[float, float]) -> None:
    """Quality and time are worth something finite, or nothing."""
    with pytest.raises(ValueError, match="worth"):
        best([CHEAP, PREMIUM], *worth)


def test_tiers_are_limited() -> None:
    """Six tiers are planned for, more or none are not."""
    assert isinstance(best([PREMIUM] * MAX_TIERS, 1.0), Plan)
    with pytest.raises(ValueError, match="at most 6"):
        best([PREMIUM] * (MAX_TIERS + 1), 1.0)
    with pytest.raises(ValueError, match="no tier left"):
        best([], 1.0)
