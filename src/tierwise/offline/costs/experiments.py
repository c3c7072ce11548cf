"""What a route's experiment says: a random share of its requests is answered by premium alone, the rest as usual.

Nothing but the arm differs between the two, so the difference of their costs is what the route saves, and the
difference of their ratings what that costs in quality. Baselines and models of quality are not needed for it.

Knows sums by the hour and ratings; not where they are from.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from tierwise.money import Arm, Spend, Traffic
from tierwise.offline.costs.sums import ASIDE
from tierwise.stats.experiment import Estimate, Hour, cost_difference, worth

Source = Literal["", "people and checks", "feedback", "audits"]


class Quality(msgspec.Struct, frozen=True):
    """Mean of `treated` less `holdout`, on the scale of scores in [0, 1]; None: too few ratings to say.

    `source`: who said how good answers were; "audits": a served draft beside premium's answer to the same request,
    in the treated arm alone. Counts are of rated requests.
    """

    source: Source = ""
    difference: Estimate | None = None
    treated: int = 0
    holdout: int = 0


class Side(msgspec.Struct, frozen=True):
    """One arm. `worth`: how many requests of equal cost would say as much of the mean."""

    requests: int
    nanos: int
    worth: float


class Experiment(msgspec.Struct, frozen=True):
    """`each`: nano-dollars that a treated request cost less than one held out, 95 %; None: too few to say.

    `saved`: for all treated requests, less what audits and observation of the route cost (`aside_nanos`).
    """

    route: str
    treated: Side
    holdout: Side
    aside_nanos: int
    each: Estimate | None
    saved: tuple[int, int, int] | None
    quality: Quality


def experiments(
    spend: Iterable[Spend], traffic: Iterable[Traffic], quality: Mapping[str, Quality]
) -> tuple[Experiment, ...]:
    """Of every route with requests in both arms. `traffic` is by the hour."""
    aside = Counter[str]()
    for item in spend:
        if item.key_id == ASIDE:
            aside[item.route] += item.nanos
    return tuple(
        _experiment(route, arms, aside[route], quality.get(route, Quality())) for route, arms in tried(traffic).items()
    )


def held_out(traffic: Iterable[Traffic]) -> list[str]:
    """The routes that have an experiment."""
    return sorted({item.route for item in traffic if item.arm == "holdout"})


def tried(traffic: Iterable[Traffic]) -> dict[str, dict[Arm, list[Hour]]]:
    """The hours of both arms, of each route that has both. Costs are in dollars."""
    found = defaultdict[tuple[str, Arm], dict[int, Hour]](dict)
    for item in traffic:
        if not item.arm or not item.requests:
            continue
        hours = found[item.route, item.arm]
        _, requests, cost, squares = hours.get(item.hour, (0, 0, 0.0, 0.0))
        hours[item.hour] = Hour(
            item.hour, requests + item.requests, cost + item.nanos / 1e9, squares + item.squares
        )  # fmt: skip
    routes = sorted(route for route, arm in found if arm == "holdout" and (route, "treated") in found)
    return {route: {arm: list(found[route, arm].values()) for arm in ("treated", "holdout")} for route in routes}


def _experiment(route: str, arms: Mapping[Arm, list[Hour]], aside: int, quality: Quality) -> Experiment:
    treated, holdout = (_side(arms[arm]) for arm in ("treated", "holdout"))
    found = cost_difference(arms["holdout"], arms["treated"])
    each = None if found is None else Estimate(*(value * 1e9 for value in found))
    saved = None
    if each is not None:
        value, low, high = (round(nanos * treated.requests) - aside for nanos in each)
        saved = (value, low, high)
    return Experiment(route, treated, holdout, aside, each, saved, quality)


def _side(hours: list[Hour]) -> Side:
    return Side(sum(hour.requests for hour in hours), round(sum(hour.cost for hour in hours) * 1e9), worth(hours))
