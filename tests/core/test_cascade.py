"""The plan, driven by hand: which steps it wants, and what it makes of their results."""

from __future__ import annotations

import pytest

from tests.core.plans import BAD, CHEAP, GOOD, MIDDLE, PREMIUM, Hand, answer, request, route
from tierwise.core.cascade import Call, Drop, Reserve, Resume, Serve, cascade
from tierwise.errors import BadRequest, BudgetExceeded, CheckFailed, Overloaded, Refused
from tierwise.types import Route, Verdict

ANSWERS = {"cheap": answer(CHEAP), "middle": answer(MIDDLE), "premium": answer(PREMIUM)}


def test_good_draft_is_served() -> None:
    """A draft that passes is served, and premium is not called."""
    hand = Hand(ANSWERS)
    outcome = hand.run(cascade(request(), route()))
    assert outcome.answer.model == "cheap"
    assert outcome.decision.rule == "checks"
    assert hand.names == ["Reserve", "Call", "Verify", "Serve"]
    assert [step.model for step in outcome.trail] == ["cheap"]


def test_bad_draft_escalates() -> None:
    """A draft that fails a check is dropped, and the trail names the check."""
    hand = Hand(ANSWERS, verdicts=BAD)
    outcome = hand.run(cascade(request(), route()))
    assert outcome.answer.model == "premium"
    assert outcome.decision.rule == "escalated:check:refusal"
    assert hand.names == ["Reserve", "Call", "Verify", "Drop", "Call"]
    assert [step.decision.action for step in outcome.trail] == ["escalate", "serve"]


def test_reserves_for_every_tier_before_any_call() -> None:
    """The first step sets aside the money of all tiers that may be called."""
    hand = Hand(ANSWERS)
    hand.run(cascade(request(), route(tiers=(CHEAP, MIDDLE, PREMIUM))))
    assert hand.steps[0] == Reserve((CHEAP, MIDDLE, PREMIUM))


def test_chain_of_three() -> None:
    """Tiers are tried in order until one draft passes."""
    hand = Hand(ANSWERS, verdicts=[BAD, GOOD])
    outcome = hand.run(cascade(request(), route(tiers=(CHEAP, MIDDLE, PREMIUM))))
    assert outcome.answer.model == "middle"
    assert [(step.model, step.decision.action) for step in outcome.trail] == [
        ("cheap", "escalate"),
        ("middle", "serve"),
    ]


def test_failed_cheap_tier_escalates() -> None:
    """A cheap tier that can't answer is passed over."""
    outcome = Hand({**ANSWERS, "cheap": Overloaded("cheap", "busy")}).run(cascade(request(), route()))
    assert outcome.answer.model == "premium"
    assert outcome.decision.rule == "escalated:failed:provider_overloaded"


def test_tier_that_cannot_express_the_request_is_passed_over() -> None:
    """What one provider's wire can't say another's may; only the last tier's refusal reaches the client."""
    hand = Hand({**ANSWERS, "cheap": BadRequest("n must be 1", param="n")})
    assert hand.run(cascade(request(), route())).decision.rule == "escalated:failed:unsupported"
    with pytest.raises(BadRequest):
        Hand({**ANSWERS, "premium": BadRequest("n must be 1")}, verdicts=BAD).run(cascade(request(), route()))


def test_check_that_errs_escalates() -> None:
    """A verifier that fails never makes a draft look good."""
    outcome = Hand(ANSWERS, verdicts=CheckFailed("the check broke")).run(cascade(request(), route()))
    assert outcome.decision.rule == "escalated:check:erred"


def test_score_without_a_failed_check_escalates() -> None:
    """A low score alone is enough to escalate."""
    outcome = Hand(ANSWERS, verdicts=Verdict(0.4)).run(cascade(request(), route()))
    assert outcome.decision.rule == "escalated:check:score"


def test_premium_down_is_an_error() -> None:
    """Without leave to degrade, a rejected draft is not served because premium is down."""
    plan = cascade(request(), route())
    with pytest.raises(Overloaded):
        Hand({**ANSWERS, "premium": Overloaded("premium", "busy")}, verdicts=BAD).run(plan)


def test_premium_down_degrades_where_allowed() -> None:
    """Where the route allows it the rejected draft is served, marked as degraded."""
    hand = Hand({**ANSWERS, "premium": Overloaded("premium", "busy")}, verdicts=BAD)
    outcome = hand.run(cascade(request(), route(premium_down="draft")))
    assert outcome.answer.model == "cheap"
    assert outcome.decision.rule == "degraded:premium-down"
    assert isinstance(hand.steps[-1], Serve)


def test_nothing_to_degrade_to() -> None:
    """Both tiers down is an error whatever the route allows."""
    hand = Hand({"cheap": Overloaded("cheap", "busy"), "premium": Refused("premium", "no")})
    with pytest.raises(Refused):
        hand.run(cascade(request(), route(premium_down="draft")))


def test_direct_route() -> None:
    """A route of one model is that model, its answer final."""
    hand = Hand(ANSWERS)
    outcome = hand.run(cascade(request(), Route("cheap", (CHEAP,))))
    assert hand.names == ["Reserve", "Call"]
    assert outcome.decision.rule == "direct"


def test_budget_stops_before_any_call() -> None:
    """A refused reservation ends the plan with nothing called."""
    hand = Hand(ANSWERS, reserve=BudgetExceeded("spent"))
    with pytest.raises(BudgetExceeded):
        hand.run(cascade(request(), route()))
    assert hand.names == ["Reserve"]


def test_window_released() -> None:
    """A window that looks good once it is full is let go, and the rest flows."""
    partial = [
        answer(CHEAP, complete=False, pieces=4),
        answer(CHEAP, complete=False, pieces=8),
        answer(CHEAP, pieces=12),
    ]
    hand = Hand({"cheap": partial})
    outcome = hand.run(cascade(request(stream=True), route(hold="window", window=8)))
    assert outcome.answer.complete
    assert hand.names == ["Reserve", "Call", "Verify", "Resume", "Verify", "Resume"]
    held, released = hand.steps[3], hand.steps[5]
    assert isinstance(held, Resume)
    assert held.decision is None
    assert isinstance(released, Resume)
    assert released.decision is not None


def test_window_aborted() -> None:
    """A bad beginning is dropped at the first look and premium answers."""
    hand = Hand({**ANSWERS, "cheap": answer(CHEAP, complete=False, pieces=4)}, verdicts=BAD)
    outcome = hand.run(cascade(request(stream=True), route(hold="window", window=8)))
    assert hand.names == ["Reserve", "Call", "Verify", "Drop", "Call"]
    assert outcome.answer.model == "premium"


def test_dropped_window_is_no_fallback() -> None:
    """Half a draft is not served when premium is down, even where degrading is allowed."""
    hand = Hand(
        {"cheap": answer(CHEAP, complete=False, pieces=4), "premium": Overloaded("premium", "busy")}, verdicts=BAD
    )
    with pytest.raises(Overloaded):
        hand.run(cascade(request(stream=True), route(hold="window", window=8, premium_down="draft")))


def test_window_that_ends_early_is_a_whole_draft() -> None:
    """An answer shorter than the window is verified whole and served."""
    hand = Hand({"cheap": answer(CHEAP)})
    hand.run(cascade(request(stream=True), route(hold="window")))
    assert hand.names == ["Reserve", "Call", "Verify", "Serve"]


@pytest.mark.parametrize(
    ("score", "model", "rule"),
    [
        (Verdict(0.2), "cheap", "router:cheap"),
        (Verdict(0.5), "premium", "router:premium"),
        (CheckFailed("broken"), "premium", "router:erred"),
    ],
)
def test_router_decides_unheld_streams(score: Verdict | CheckFailed, model: str, rule: str) -> None:
    """With hold = none the router chooses one model before any call, and no draft exists."""
    hand = Hand(ANSWERS, score=score)
    outcome = hand.run(cascade(request(stream=True), route(hold="none")))
    assert (outcome.answer.model, outcome.decision.rule) == (model, rule)
    assert hand.names == ["Score", "Reserve", "Call"]
    call = hand.steps[2]
    assert isinstance(call, Call)
    assert call.decision is not None


def test_drop_carries_the_decision() -> None:
    """Whoever books a dropped draft is told why it was dropped."""
    hand = Hand(ANSWERS, verdicts=BAD)
    hand.run(cascade(request(), route()))
    drop = next(step for step in hand.steps if isinstance(step, Drop))
    assert drop.decision.rule == "check:refusal"
    assert drop.decision.evidence == BAD.evidence
