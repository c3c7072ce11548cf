"""Rules that need no score: which tiers a request may be answered by, and why.

Knows the request's tags and the route's settings, nothing of money or answers.
"""

from __future__ import annotations

from tierwise.core import decide, price
from tierwise.core.budget import NANOS
from tierwise.core.tiers import Tier, best, full_cost
from tierwise.errors import Forbidden
from tierwise.money import Arm
from tierwise.types import Estimate, Hold, Model, Request, Route

VERDICT = 15  # tokens of a judge's answer


def path(request: Request, route: Route, arm: Arm = "") -> tuple[tuple[Model, ...], str]:
    """The tiers to try, cheapest first, and the rule that says so. The last one's answer is final.

    `arm` is what the route's experiment has drawn. No text of a prompt can take a request below the floor of its class:
    tags only ever lead upwards. Raises Forbidden where premium, which has to answer it, may not have it, or is not in
    the route.
    """
    floor = sorted(request.tags & route.floor)
    if floor and route.below:
        raise Forbidden(
            f"Requests of the class {floor[0]} are not for {route.premium.name}: name a route, which leads them to its"
            " premium.",
            code="floor",
            param="model",
        )
    if len(route.tiers) == 1 and route.reference is None:
        return route.tiers, "direct"
    if floor and route.premium != route.yardstick:
        raise Forbidden(
            f"Requests of the class {floor[0]} are answered by {route.yardstick.name} on {route.name}, which may not"
            " have the personal data in this one.",
            code="personal_data",
        )
    if floor:
        return (route.premium,), f"floor:{floor[0]}"
    if len(route.tiers) == 1:
        return route.tiers, "residence"
    if route.mode != "enforce":
        return (route.premium,), f"mode:{route.mode}"
    if arm == "holdout":
        return (route.premium,), "holdout"
    if route.thresholds is not None:
        return route.tiers, "verifier"
    if route.uncertified == "observe":
        return (route.premium,), "uncertified"
    return route.tiers, route.uncertified


def human(request: Request, route: Route) -> str | None:
    """The class that a person answers, and no model whatever the route says otherwise; None where there is none."""
    if not request.tags:
        return None
    people = sorted(request.tags & route.human)
    return people[0].removeprefix("flagged:") if people else None


def screener(request: Request, route: Route) -> Model | None:
    """Who is asked what screens are in doubt about; None where they are not, or there is nobody."""
    return route.screener if request.doubts else None


def enforced(route: Route) -> bool:
    """Whether drafts may be served on it: what premium answers all by itself can't be compared with anything."""
    trusted = route.thresholds is not None or route.uncertified != "observe"
    return len(route.tiers) > 1 and route.mode == "enforce" and trusted


def degrades(request: Request, route: Route) -> bool:
    """Whether the cheapest tier may answer what a budget can't bear in full: never what must go to premium."""
    allowed = route.over_budget == "cheap" and len(route.tiers) > 1
    return allowed and route.mode == "enforce" and not request.tags & route.floor


def escalates(route: Route, model: Model, rule: str) -> bool:
    """Whether calling `model` counts as an escalation: premium, for what the request is, or its client wants.

    What goes there because the operator wants it is none: all of a route without a certificate, or a holdout.
    """
    if route.escalations is None or len(route.tiers) == 1 or model.name != route.yardstick.name:
        return False
    return route.insisted or not rule.startswith(("mode:", "uncertified", "holdout"))


def plan(
    request: Request, route: Route, models: tuple[Model, ...], estimates: tuple[Estimate, ...], rule: str
) -> tuple[tuple[Model, ...], str]:
    """Of `models`, a route's tiers, those worth trying before premium, which answers last; and the rule that says so.

    The thresholds hold the quality, so the chain of least expected cost wins: cheap first if and only if its draft is
    likelier to be served than its price is a share of premium's. Without an estimate for every tier, or a price for
    every model, nothing is known to be worth leaving out.
    """
    judge = decide.judge(route)
    judges = () if judge is None else (judge,)
    if len(estimates) != len(models) or any(model.price is None for model in (*models, *route.opinions, *judges)):
        return models, rule
    tiers = [_tier(request, route, model, estimate) for model, estimate in zip(models, estimates, strict=True)]
    last = len(tiers) - 1
    chosen = best(tiers, 0.0, route.nanos_per_second / NANOS, final=(last,))
    if not chosen.cascades:
        return models[-1:], "plan:premium"
    return tuple(models[place] for place in chosen.order), rule


def _tier(request: Request, route: Route, model: Model, estimate: Estimate) -> Tier:
    asked = [price.expected(request, opinion, estimate.output_tokens) / NANOS for opinion in route.opinions]
    judge = decide.judge(route)
    if judge is not None:  # in both orders; that opinions may settle a draft first is left out
        asked += [price.expected(request, judge, VERDICT) / NANOS] * 2
    call = price.expected(request, model, estimate.output_tokens) / NANOS
    return Tier(
        good=estimate.good,
        cost=full_cost(call, [(estimate.consult, dollars) for dollars in asked]),
        accept=estimate.accept,
        latency=estimate.seconds,
    )


def hold(request: Request, route: Route) -> Hold:
    """How a draft is kept back. A window can't judge what is only right as a whole: JSON, tool calls, or what others
    are asked to compare."""
    if not request.stream:
        return "draft"
    whole = request.json_answer or request.tools or request.n > 1 or decide.asks(route)
    if route.hold == "window" and whole:
        return "draft"
    return route.hold
