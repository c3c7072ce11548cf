"""Rules that need no score: which tiers a request may be answered by, and why.

Knows the request's tags and the route's settings, nothing of money or answers.
"""

from __future__ import annotations

from tierwise.types import Hold, Model, Request, Route


def path(request: Request, route: Route) -> tuple[tuple[Model, ...], str]:
    """The tiers to try, cheapest first, and the rule that says so. The last one's answer is final.

    No text of a prompt can take a request below the floor of its class: tags only ever lead upwards.
    """
    if len(route.tiers) == 1:
        return route.tiers, "direct"
    floor = sorted(request.tags & route.floor)
    if floor:
        return (route.premium,), f"floor:{floor[0]}"
    if route.mode != "enforce":
        return (route.premium,), f"mode:{route.mode}"
    if route.uncertified == "observe":
        return (route.premium,), "uncertified"
    return route.tiers, route.uncertified


def hold(request: Request, route: Route) -> Hold:
    """How a draft is kept back. A window can't judge what is only right as a whole: JSON and tool calls."""
    if not request.stream:
        return "draft"
    if route.hold == "window" and (request.json_answer or request.tools or request.n > 1):
        return "draft"
    return route.hold
