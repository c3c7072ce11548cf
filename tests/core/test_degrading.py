"""The plan where money is short: budgets that can't bear it all, premium that was asked too often, and holdouts."""

from __future__ import annotations

from typing import Any

import pytest

from tests.core.plans import BAD, CHEAP, GOOD, MIDDLE, OTHER, PREMIUM, Hand, answer, request, route
from tierwise.core import policy
from tierwise.core.cascade import Call, Escalate, Outcome, Reserve, Serve, cascade
from tierwise.errors import BudgetExceeded, Overloaded, RateLimited
from tierwise.types import Escalations, Route, Thresholds, Verdict

ANSWERS = {"cheap": answer(CHEAP), "middle": answer(MIDDLE), "premium": answer(PREMIUM)}
OVER, BUSY = BudgetExceeded("spent"), RateLimited("too many")
LIMITS = Escalations(0.5, 2_000_000_000)
TRUSTED = Thresholds(0.8, 0.4, 0.8)


# ------------------------------------------------------------------ budgets


def test_what_fits_below_the_soft_limits_is_served_as_ever() -> None:
    """The whole plan is reserved below them; nothing else changes."""
    hand = Hand(ANSWERS)
    outcome = hand.run(cascade(request(), route(over_budget="cheap")))
    assert hand.steps[0] == Reserve((CHEAP, PREMIUM), soft=True)
    assert (hand.names, outcome.decision.rule) == (["Reserve", "Call", "Verify", "Serve"], "checks")


def test_what_does_not_fit_goes_to_the_cheapest_tier() -> None:
    """Reserved anew for it alone, up to the hard limits; its answer is final, and marked."""
    hand = Hand(ANSWERS, reserve=[OVER, None])
    outcome = hand.run(cascade(request(), route(over_budget="cheap", tiers=(CHEAP, MIDDLE, PREMIUM))))
    assert hand.steps[1] == Reserve((CHEAP,))
    last = hand.steps[2]
    assert isinstance(last, Call)
    assert (last.model, last.decision, len(hand.steps)) == (CHEAP, outcome.decision, 3)
    assert (outcome.answer.model, outcome.decision.rule) == ("cheap", "degraded:over-budget")
    assert [(step.model, step.decision.rule) for step in outcome.trail] == [("cheap", "degraded:over-budget")]


def test_what_the_cheapest_does_not_fit_either_is_refused() -> None:
    """With nothing called."""
    hand = Hand(ANSWERS, reserve=[OVER, OVER])
    with pytest.raises(BudgetExceeded):
        hand.run(cascade(request(), route(over_budget="cheap")))
    assert hand.names == ["Reserve", "Reserve"]


@pytest.mark.parametrize(
    ("changes", "tags"),
    [
        ({"over_budget": "refuse"}, ()),
        ({"floor": frozenset({"legal"})}, ("legal",)),
        ({"mode": "premium"}, ()),
        ({"mode": "observe"}, ()),
        ({"tiers": (CHEAP,)}, ()),
    ],
)
def test_what_must_not_degrade_is_refused(changes: dict[str, Any], tags: tuple[str, ...]) -> None:
    """A risk floor, premium mode, or no leave to: one reservation, up to the hard limits, and no answer."""
    hand = Hand(ANSWERS, reserve=OVER)
    with pytest.raises(BudgetExceeded):
        hand.run(cascade(request(tags=frozenset(tags)), route(**{"over_budget": "cheap"} | changes)))
    assert [step for step in hand.steps if isinstance(step, Reserve) and not step.soft] == hand.steps


def test_another_tag_than_the_floor_s_may_degrade() -> None:
    """Only the route's own floor forbids it."""
    hand = Hand(ANSWERS, reserve=[OVER, None])
    asked = cascade(request(tags=frozenset({"x"})), route(over_budget="cheap", floor=frozenset({"legal"})))
    assert hand.run(asked).decision.rule == "degraded:over-budget"


def test_a_plan_for_the_cheapest_alone_has_nothing_to_degrade_to() -> None:
    """It is reserved once, up to the hard limits."""
    hand = Hand(ANSWERS, score=Verdict(0.0))
    outcome = hand.run(cascade(request(stream=True), route(over_budget="cheap", hold="none")))
    assert hand.steps[1] == Reserve((CHEAP,))
    assert outcome.decision.rule == "router:cheap"


def test_opinions_and_judges_are_dropped_with_the_plan() -> None:
    """The soft reservation is for everybody who may be asked, the other for the one who will be."""
    hand = Hand(ANSWERS, reserve=[OVER, None])
    here = route(over_budget="cheap", thresholds=TRUSTED, opinions=(OTHER,), judge=OTHER)
    hand.run(cascade(request(), here))
    assert hand.steps[:2] == [Reserve((CHEAP, PREMIUM, OTHER), (OTHER,), soft=True), Reserve((CHEAP,))]


# ------------------------------------------------------------------ escalations


def asked(hand: Hand, **changes: Any) -> Outcome:
    return hand.run(cascade(request(), route(escalations=LIMITS, **changes)))


def test_an_escalation_is_counted_before_premium_is_called() -> None:
    """After the draft was rejected, right before the call."""
    hand = Hand(ANSWERS, verdicts=BAD)
    assert asked(hand).decision.rule == "escalated:check:refusal"
    assert hand.names == ["Reserve", "Call", "Verify", "Drop", "Escalate", "Call"]
    assert hand.steps[4] == Escalate(PREMIUM)


def test_a_draft_that_is_served_is_none() -> None:
    """Nothing is counted where premium is not called."""
    hand = Hand(ANSWERS)
    asked(hand)
    assert "Escalate" not in hand.names


def test_one_too_many_is_refused() -> None:
    """The client is told; premium is not called, and the draft was rejected."""
    hand = Hand(ANSWERS, verdicts=BAD, escalate=BUSY)
    with pytest.raises(RateLimited):
        asked(hand)
    assert hand.names[-1] == "Escalate"


def test_one_too_many_gets_its_draft_where_the_route_says_so() -> None:
    """Served, and marked."""
    hand = Hand(ANSWERS, verdicts=BAD, escalate=BUSY)
    limits = Escalations(0.5, over="draft")
    outcome = hand.run(cascade(request(), route(escalations=limits)))
    assert (outcome.answer.model, outcome.decision.rule) == ("cheap", "degraded:escalations")
    assert hand.steps[-1] == Serve(answer(CHEAP), outcome.decision)
    assert [step.decision.rule for step in outcome.trail] == ["check:refusal", "degraded:escalations"]


def test_half_a_draft_stands_in_for_nobody() -> None:
    """Nor does a cheap tier that failed: there is nothing whole to serve."""
    limits = Escalations(0.5, over="draft")
    partial = answer(CHEAP, complete=False, pieces=60)
    hand = Hand({**ANSWERS, "cheap": partial}, verdicts=BAD, escalate=BUSY)
    with pytest.raises(RateLimited):
        hand.run(cascade(request(stream=True), route(escalations=limits, hold="window")))
    with pytest.raises(RateLimited):
        Hand({**ANSWERS, "cheap": Overloaded("cheap", "busy")}, escalate=BUSY).run(
            cascade(request(), route(escalations=limits))
        )


def test_premium_down_is_another_matter() -> None:
    """Each has a rule of its own, by its own setting."""
    hand = Hand({**ANSWERS, "premium": Overloaded("premium", "busy")}, verdicts=BAD)
    assert asked(hand, premium_down="draft").decision.rule == "degraded:premium-down"
    limits = Escalations(0.5, over="draft")
    with pytest.raises(Overloaded):
        Hand({**ANSWERS, "premium": Overloaded("premium", "busy")}, verdicts=BAD).run(
            cascade(request(), route(escalations=limits))
        )
    with pytest.raises(RateLimited):
        asked(Hand(ANSWERS, verdicts=BAD, escalate=BUSY), premium_down="draft")


@pytest.mark.parametrize(
    ("rule", "changes", "counts"),
    [
        ("escalated:check:score", {}, True),
        ("escalated:failed:provider_overloaded", {}, True),
        ("router:premium", {}, True),
        ("router:erred", {}, True),
        ("plan:premium", {}, True),
        ("floor:legal", {}, True),
        ("mode:premium", {"mode": "premium", "insisted": True}, True),
        ("mode:premium", {"mode": "premium"}, False),
        ("mode:observe", {"mode": "observe"}, False),
        ("uncertified", {}, False),
        ("holdout", {}, False),
        ("direct", {"tiers": (PREMIUM,)}, False),
        ("floor:legal", {"escalations": None}, False),
    ],
)
def test_what_is_an_escalation(rule: str, changes: dict[str, Any], counts: bool) -> None:
    """What a request is or its client wants; not what the operator has sent up."""
    here = route(**{"escalations": LIMITS} | changes)
    assert policy.escalates(here, here.premium, rule) is counts


def test_only_premium_is_an_escalation() -> None:
    """A cheap tier that answers last, by the router or for want of money, is none."""
    assert not policy.escalates(route(escalations=LIMITS), CHEAP, "router:cheap")


@pytest.mark.parametrize("changes", [{"floor": frozenset({"x"})}, {"mode": "premium", "insisted": True}])
def test_straight_to_premium_counts_too(changes: dict[str, Any]) -> None:
    """With nothing to serve instead it is refused."""
    here = route(escalations=Escalations(0.5, over="draft"), **changes)
    hand = Hand(ANSWERS, escalate=BUSY)
    with pytest.raises(RateLimited):
        hand.run(cascade(request(tags=frozenset({"x"})), here))
    assert hand.names == ["Reserve", "Escalate"]


# ------------------------------------------------------------------ holdouts


def test_a_holdout_is_premium_s() -> None:
    """Nothing else is asked."""
    hand = Hand(ANSWERS)
    outcome = hand.run(cascade(request(), route(), "holdout"))
    assert (outcome.decision.rule, hand.names) == ("holdout", ["Reserve", "Call"])
    assert outcome.answer.model == "premium"


@pytest.mark.parametrize(
    ("changes", "tags", "rule"),
    [
        ({"floor": frozenset({"legal"})}, ("legal",), "floor:legal"),
        ({"mode": "premium"}, (), "mode:premium"),
        ({"tiers": (CHEAP,)}, (), "direct"),
    ],
)
def test_other_rules_come_first(changes: dict[str, Any], tags: tuple[str, ...], rule: str) -> None:
    """What goes to premium, or to the only tier, anyway does so by its own rule."""
    assert policy.path(request(tags=frozenset(tags)), route(**changes), "holdout")[1] == rule


def test_the_others_are_treated_as_without_the_experiment() -> None:
    """Their arm is only noted."""
    hand = Hand(ANSWERS, verdicts=GOOD)
    assert hand.run(cascade(request(), route(), "treated")).decision.rule == "checks"


@pytest.mark.parametrize(
    ("here", "so"),
    [
        (route(), True),
        (route(uncertified="observe"), False),
        (route(uncertified="observe", thresholds=TRUSTED), True),
        (route(mode="observe"), False),
        (route(mode="premium"), False),
        (route(tiers=(CHEAP,)), False),
    ],
)
def test_enforced(here: Route, so: bool) -> None:
    """Where drafts may be served, there is something to compare."""
    assert policy.enforced(here) is so
