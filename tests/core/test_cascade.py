"""The plan, driven by hand: which steps it wants, and what it makes of their results."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.core.plans import BAD, CHEAP, GOOD, MIDDLE, OTHER, PREMIUM, SMALL, Hand, answer, request, route
from tierwise.core import cascade as plan
from tierwise.core.cascade import Call, Consult, Drop, Judge, Reserve, Resume, Serve, Verify, cascade
from tierwise.errors import BadRequest, Blocked, BudgetExceeded, CheckFailed, Forbidden, Overloaded, Refused
from tierwise.types import Answer, Choice, Decision, Estimate, Evidence, Request, Route, Thresholds, Verdict

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


# ------------------------------------------------------------------ second opinions and the judge

OPINIONS = (answer(OTHER), answer(SMALL))
JUDGED = Evidence("judge", True, "better, swapped tied", 0.75)
AGREEMENT = {"uncertified": "agreement", "opinions": (OTHER, SMALL)}
BAND = {"thresholds": Thresholds(0.8, 0.4, 0.8), "opinions": (OTHER, SMALL), "judge": MIDDLE}
UNSURE = Verdict(0.6)


def test_agreement_serves() -> None:
    """By this rule every draft that passes is shown to others, and what they say is verified with it."""
    hand = Hand(ANSWERS, opinions=OPINIONS)
    outcome = hand.run(cascade(request(), route(**AGREEMENT)))
    assert (outcome.answer.model, outcome.decision.rule) == ("cheap", "agreement")
    assert hand.names == ["Reserve", "Call", "Verify", "Consult", "Verify", "Serve"]
    assert hand.steps[3:5] == [Consult((OTHER, SMALL)), Verify(ANSWERS["cheap"], OPINIONS)]


def test_disagreement_escalates() -> None:
    """The trail names the check that others' answers failed."""
    apart = Verdict(0.0, (Evidence("finish", True), Evidence("agreement", False, "0 of 2 opinions agree", 0.0)))
    outcome = Hand(ANSWERS, verdicts=[GOOD, apart], opinions=OPINIONS).run(cascade(request(), route(**AGREEMENT)))
    assert (outcome.answer.model, outcome.decision.rule) == ("premium", "escalated:check:agreement")


def test_nobody_is_asked_about_a_bad_draft() -> None:
    """What fails a free check costs no opinion."""
    hand = Hand(ANSWERS, verdicts=BAD)
    hand.run(cascade(request(), route(**AGREEMENT)))
    assert hand.names == ["Reserve", "Call", "Verify", "Drop", "Call"]


def test_everybody_who_may_be_asked_is_reserved_for() -> None:
    """Opinions and a judge may be asked about every draft; where they are not, nothing is set aside for them."""
    tiers = (CHEAP, MIDDLE, PREMIUM)
    asked = {"opinions": (OTHER,), "judge": SMALL}
    for changes, expected in (
        ({"uncertified": "agreement"}, Reserve((*tiers, OTHER, OTHER), (SMALL, SMALL))),
        ({"uncertified": "checks"}, Reserve(tiers)),
        ({"mode": "premium"}, Reserve((PREMIUM,))),
    ):
        hand = Hand(ANSWERS)
        hand.run(cascade(request(), route(tiers=tiers, **asked, **changes)))
        assert hand.steps[0] == expected


@pytest.mark.parametrize(
    ("scores", "names", "served"),
    [
        ([0.8], [], True),
        ([0.39], [], False),
        ([0.6, 0.8], ["Consult", "Verify"], True),
        ([0.6, 0.39], ["Consult", "Verify"], False),
        ([0.4, 0.79, 0.8], ["Consult", "Verify", "Judge", "Verify"], True),
        ([0.4, 0.79, 0.79], ["Consult", "Verify", "Judge", "Verify"], False),
    ],
)
def test_the_band(scores: list[float], names: list[str], served: bool) -> None:
    """Between the thresholds others are asked, then the judge, each only as long as the draft is uncertain."""
    hand = Hand(ANSWERS, verdicts=[Verdict(score) for score in scores], opinions=OPINIONS, judged=JUDGED)
    outcome = hand.run(cascade(request(), route(**BAND)))
    assert hand.names == ["Reserve", "Call", "Verify", *names, *(["Serve"] if served else ["Drop", "Call"])]
    assert outcome.decision.rule == ("verifier" if served else "escalated:check:score")


def test_what_the_judge_is_shown() -> None:
    """The draft beside the opinions that came; then its finding goes to the verifier with them."""
    hand = Hand(ANSWERS, verdicts=[UNSURE, UNSURE, GOOD], opinions=OPINIONS[:1], judged=JUDGED)
    hand.run(cascade(request(), route(**BAND)))
    draft = ANSWERS["cheap"]
    assert hand.steps[5:7] == [Judge(MIDDLE, draft, OPINIONS[:1]), Verify(draft, OPINIONS[:1], JUDGED)]


def test_a_judge_without_opinions() -> None:
    """It grades the draft alone; the verifier is told that nobody else was asked."""
    hand = Hand(ANSWERS, verdicts=[UNSURE, GOOD], judged=JUDGED)
    outcome = hand.run(cascade(request(), route(thresholds=Thresholds(0.8, 0.4, 0.8), judge=MIDDLE)))
    draft = ANSWERS["cheap"]
    assert hand.steps[3:5] == [Judge(MIDDLE, draft, ()), Verify(draft, None, JUDGED)]
    assert outcome.decision.rule == "verifier"


def test_opinions_without_a_judge() -> None:
    """What is still uncertain escalates."""
    hand = Hand(ANSWERS, verdicts=UNSURE, opinions=OPINIONS)
    outcome = hand.run(cascade(request(), route(thresholds=Thresholds(0.8, 0.4, 0.8), opinions=(OTHER,))))
    assert hand.names == ["Reserve", "Call", "Verify", "Consult", "Verify", "Drop", "Call"]
    assert outcome.decision.rule == "escalated:check:score"


def test_under_a_certificate_no_judge_lifts_a_draft() -> None:
    """It was tested without one: who is still uncertain then escalates, and nothing is set aside for a judge."""
    hand = Hand(ANSWERS, verdicts=UNSURE, opinions=OPINIONS)
    outcome = hand.run(cascade(request(), route(**BAND, certificate="aa")))
    assert outcome.decision.rule == "escalated:check:score"
    assert not any(isinstance(step, Judge) for step in hand.steps)
    assert next(step for step in hand.steps if isinstance(step, Reserve)).judges == ()


def test_a_judge_that_errs() -> None:
    """It never makes a draft look good."""
    hand = Hand(ANSWERS, verdicts=UNSURE, opinions=OPINIONS, judged=CheckFailed("no verdict"))
    assert hand.run(cascade(request(), route(**BAND))).decision.rule == "escalated:check:erred"


def test_a_band_with_nobody_to_ask() -> None:
    """Uncertain is not good enough."""
    hand = Hand(ANSWERS, verdicts=UNSURE)
    outcome = hand.run(cascade(request(), route(thresholds=Thresholds(0.8, 0.4, 0.8))))
    assert hand.names == ["Reserve", "Call", "Verify", "Drop", "Call"]
    assert outcome.decision.rule == "escalated:check:score"


def test_a_window_in_the_band_is_held_to_its_end() -> None:
    """More of the draft is more evidence."""
    partial = [answer(CHEAP, complete=False, pieces=8), answer(CHEAP, pieces=12)]
    hand = Hand({**ANSWERS, "cheap": partial}, verdicts=[UNSURE, GOOD])
    changes = {"hold": "window", "window": 8, "thresholds": Thresholds(0.8, 0.4, 0.8)}
    hand.run(cascade(request(stream=True), route(**changes)))
    assert hand.names == ["Reserve", "Call", "Verify", "Resume", "Verify", "Serve"]


# ------------------------------------------------------------------ planned

SURE = Estimate(good=0.9, accept=0.9, output_tokens=100)
HOPELESS = Estimate(good=0.1, accept=0.01, output_tokens=100)


@pytest.mark.parametrize(
    ("first", "called", "rule"),
    [(SURE, ["cheap"], "verifier"), (HOPELESS, ["premium"], "plan:premium")],
)
def test_a_trained_router_plans(first: Estimate, called: list[str], rule: str) -> None:
    """A draft that will hardly be served is not paid for."""
    hand = Hand(ANSWERS, score=Verdict(0.5, (), (first, SURE)))
    outcome = hand.run(cascade(request(), route(planned=True, thresholds=Thresholds(0.8, 0.4, 0.8))))
    assert [step.model.name for step in hand.steps if isinstance(step, Call)] == called
    assert outcome.decision.rule == rule
    assert hand.names[:2] == ["Score", "Reserve"]
    assert hand.steps[1] == Reserve((PREMIUM,) if first is HOPELESS else (CHEAP, PREMIUM))


def test_a_trained_router_that_errs() -> None:
    """Premium answers."""
    hand = Hand(ANSWERS, score=CheckFailed("broken"))
    outcome = hand.run(cascade(request(), route(planned=True, thresholds=Thresholds(0.8, 0.4, 0.8))))
    assert outcome.decision.rule == "router:erred"


def test_without_thresholds_nothing_is_planned() -> None:
    """Where nothing could be certified a trained router's hopes count for nothing."""
    hand = Hand(ANSWERS)
    hand.run(cascade(request(), route(planned=True)))
    assert hand.names == ["Reserve", "Call", "Verify", "Serve"]


@pytest.mark.parametrize(("last", "served"), [("", "premium"), ("cheap", "cheap"), ("premium", "premium")])
def test_a_conversation_stays_where_it_is(last: str, served: str) -> None:
    """A score near the limit changes no model in the middle of a conversation."""
    hand = Hand(ANSWERS, score=Verdict(0.52))
    outcome = hand.run(cascade(request(stream=True, last_model=last), route(hold="none")))
    assert outcome.answer.model == served


@pytest.mark.parametrize("changes", [{}, {"mode": "premium"}, {"mode": "observe"}, {"tiers": (CHEAP,)}])
@pytest.mark.parametrize("tag", ["self-harm", "flagged:self-harm"])
def test_what_a_person_answers_no_model_is_asked(tag: str, changes: dict[str, object]) -> None:
    """Before anything is reserved, whatever else the route says; the decision names the class."""
    told = Answer("human", (Choice("Anna will write to you.", finish="stop"),))
    hand = Hand({}, judged=told)
    asked = route(human=frozenset([tag, "minors"]), floor=frozenset(["legal"]), **changes)
    outcome = hand.run(cascade(request(tags=frozenset([tag, "legal"])), asked))
    decision = Decision("serve", "human:self-harm")
    assert hand.steps == [plan.Hand(decision)]
    assert (outcome.answer, outcome.decision, [step.model for step in outcome.trail]) == (told, decision, ["human"])


def test_nobody_there_is_no_answer() -> None:
    """What a person must answer does not come down to a model."""
    hand = Hand(ANSWERS, judged=Forbidden("nobody is there"))
    with pytest.raises(Forbidden):
        hand.run(cascade(request(tags=frozenset(["minors"])), route(human=frozenset(["minors"]))))
    assert hand.names == ["Hand"]


def test_a_blocked_draft_escalates() -> None:
    """Like one that fails a check; with nobody left above it the last tier's word is final."""
    hand = Hand(ANSWERS, verdicts=[Blocked("no", ("moderation:hate",))])
    outcome = hand.run(cascade(request(), route()))
    assert (outcome.answer.model, outcome.decision.rule) == ("premium", "escalated:screen:hate")
    assert hand.names == ["Reserve", "Call", "Verify", "Drop", "Call"]
    assert [step.decision.rule for step in outcome.trail] == ["screen:hate", "escalated:screen:hate"]


DOUBTFUL = ("moderation:hate", "risk:legal")


@pytest.mark.parametrize("rule", ["checks", "agreement"])
def test_doubts_are_decided_before_anything_else(rule: Any) -> None:
    """Once everything that may follow is reserved, with the screener; what it finds takes the request up."""
    asked = route(uncertified=rule, screener=OTHER, floor=frozenset(["legal"]), opinions=(OTHER,))
    hand = Hand(ANSWERS, verdicts=[GOOD, GOOD], screened=frozenset(["legal", "flagged:hate"]))
    outcome = hand.run(cascade(request(doubts=DOUBTFUL), asked))
    assert hand.names == ["Reserve", "Screen", "Call"]
    (reserve, screen, _) = hand.steps
    assert reserve == msgspec.structs.replace(_reserved_for(request(), asked), screener=OTHER)
    assert screen == plan.Screen(OTHER)
    assert (outcome.answer.model, outcome.decision.rule) == ("premium", "floor:legal")
    hand = Hand(ANSWERS, verdicts=[GOOD, GOOD])
    outcome = hand.run(cascade(request(doubts=DOUBTFUL), asked))
    assert (hand.names[:3], outcome.answer.model) == (["Reserve", "Screen", "Call"], "cheap")
    assert hand.names.count("Reserve") == 1


def _reserved_for(asked: Request, on: Route) -> plan.Wish:
    return next(cascade(asked, msgspec.structs.replace(on, screener=None)))


def test_what_a_screener_finds_may_need_a_person() -> None:
    """No model answers then."""
    told = Answer("human", (Choice("Anna will write.", finish="stop"),))
    hand = Hand({}, judged=told, screened=frozenset(["flagged:self-harm"]))
    asked = route(screener=OTHER, human=frozenset(["flagged:self-harm"]))
    outcome = hand.run(cascade(request(doubts=("moderation:self-harm",)), asked))
    assert (hand.names, outcome.answer) == (["Reserve", "Screen", "Hand"], told)


def test_what_a_screener_stops_is_refused() -> None:
    """Nobody else is asked."""
    hand = Hand(ANSWERS, screened=Blocked("no", ("moderation:hate",)))
    with pytest.raises(Blocked):
        hand.run(cascade(request(doubts=DOUBTFUL), route(screener=OTHER)))
    assert hand.names == ["Reserve", "Screen"]


def test_what_is_in_doubt_does_not_go_to_the_cheapest_for_want_of_money() -> None:
    """A budget bears all of it, or refuses."""
    hand = Hand(ANSWERS, reserve=BudgetExceeded("no"))
    with pytest.raises(BudgetExceeded):
        hand.run(cascade(request(doubts=DOUBTFUL), route(screener=OTHER, over_budget="cheap")))
    assert hand.names == ["Reserve"]


@pytest.mark.parametrize(
    ("asked", "on"),
    [
        (request(), route(screener=OTHER)),
        (request(doubts=DOUBTFUL), route()),
        (
            request(doubts=DOUBTFUL, tags=frozenset(["minors"])),
            route(screener=OTHER, human=frozenset(["minors"])),
        ),
    ],
)
def test_nobody_is_asked_without_need(asked: Request, on: Route) -> None:
    """Without a doubt, without a screener, or where a person has it already."""
    hand = Hand(ANSWERS, verdicts=[GOOD], judged=Answer("human", ()))
    hand.run(cascade(asked, on))
    assert "Screen" not in hand.names


def test_a_router_comes_after_the_screener() -> None:
    """What was reserved is enough for whatever it says."""
    hand = Hand(ANSWERS, score=Verdict(0.9))
    outcome = hand.run(cascade(request(doubts=DOUBTFUL, stream=True), route(hold="none", screener=OTHER)))
    assert hand.names[:3] == ["Reserve", "Screen", "Score"]
    assert outcome.answer.model == "premium"


def test_what_was_known_of_it_before_stays() -> None:
    """Beside what a screener finds."""
    hand = Hand(ANSWERS, screened=frozenset(["flagged:hate"]))
    asked = route(screener=OTHER, floor=frozenset(["legal"]))
    outcome = hand.run(cascade(request(doubts=DOUBTFUL, tags=frozenset(["legal"])), asked))
    assert outcome.decision.rule == "floor:legal"
