"""Plays the live plan, `core.cascade`, over recorded rows: the steps are answered from the table instead of by models.

So a replay's policy is the gateway's, line for line: what it would have called, served and paid. Knows nothing of
how the scores came about that it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tierwise.core.cascade import Call, Consult, Drop, Outcome, Plan, Reserve, Score, Serve, Verify, Wish, cascade
from tierwise.offline.outcomes import Pairs, Side
from tierwise.scorers.artefact import Typical
from tierwise.types import Answer, Choice, Message, Model, Price, Request, Route, Verdict

Floats = NDArray[np.float64]
ScoreOf = Callable[[int, bool], Verdict]
"""(row, whether opinions have been heard) -> what the verifier says of the row's draft."""


class Fate(NamedTuple):
    """What became of the rows: `kept` by the cheap model, `asked` opinions, `dollars` in all (NaN: unknown)."""

    kept: NDArray[np.bool_]
    asked: NDArray[np.bool_]
    quality: Floats
    dollars: Floats
    rules: list[str]


class Recorded(NamedTuple):
    """The scorers of a policy, row by row."""

    verdict: ScoreOf
    router: Callable[[int], Verdict]


def play(pairs: Pairs, route: Route, scorers: Recorded) -> Fate:
    """Every row through the plan of `route`, whose tiers and opinions are `models_of(pairs)`'s."""
    size = len(pairs)
    sides = {side.model: side for side in (pairs.cheap, pairs.premium, *pairs.opinions)}
    fate = Fate(np.zeros(size, bool), np.zeros(size, bool), np.zeros(size), np.zeros(size), [])
    for row in range(size):
        asked = (Message("user", pairs.prompt[row]),)
        request = Request(id=pairs.query_id[row], asked=route.name, messages=asked, stream=route.hold == "none")
        outcome, called = _run(cascade(request, route), row, route, scorers)
        served = outcome.answer.model
        fate.kept[row] = served == pairs.cheap.model
        fate.asked[row] = any(name == side.model for name in called for side in pairs.opinions)
        fate.quality[row] = sides[served].score[row]
        fate.dollars[row] = sum(sides[name].cost[row] for name in called)
        fate.rules.append(outcome.decision.rule)
    return fate


def _run(plan: Plan, row: int, route: Route, scorers: Recorded) -> tuple[Outcome, list[str]]:
    called: list[str] = []
    try:
        step = next(plan)
        while True:
            step = plan.send(_performed(step, row, called, scorers))
    except StopIteration as stop:
        outcome: Outcome = stop.value
        return outcome, called


def _performed(step: Wish, row: int, called: list[str], scorers: Recorded) -> Any:
    match step:
        case Call(model=model):
            called.append(model.name)
            return _answered(model.name)
        case Verify(opinions=opinions):
            return scorers.verdict(row, opinions is not None)
        case Consult(models=models):
            called.extend(model.name for model in models)
            return tuple(_answered(model.name) for model in models)
        case Score():
            return scorers.router(row)
        case Reserve() | Serve() | Drop():
            return None
    raise TypeError(f"a replay can't perform {type(step).__name__}")


def _answered(model: str) -> Answer:
    return Answer(model, (Choice("-", finish="stop"),))


def models_of(pairs: Pairs) -> tuple[tuple[Model, ...], tuple[Model, ...]]:
    """The tiers and the opinions, with the prices that the recorded costs come to."""
    tiers = tuple(_model(side) for side in (pairs.cheap, pairs.premium))
    return tiers, tuple(_model(side) for side in pairs.opinions)


def _model(side: Side) -> Model:
    return Model(side.model, "scripted", side.model, _price(side))


def _price(side: Side) -> Price | None:
    """Prices a token by least squares over the rows; None where costs or tokens are not known."""
    known = ~(np.isnan(side.cost) | np.isnan(side.prompt_tokens) | np.isnan(side.completion_tokens))
    if known.sum() < 2 or side.unpriced:
        return None
    tokens = np.stack([side.prompt_tokens[known], side.completion_tokens[known]], axis=1)
    found, *_ = np.linalg.lstsq(tokens, side.cost[known], rcond=None)
    if not np.all(found >= 0):
        found = np.full(2, side.cost[known].sum() / max(tokens.sum(), 1.0))
    once, out = (round(float(value) * 1e12) for value in found)
    return Price(once, out, once, once, "recorded")


def typical(side: Side) -> tuple[float, float]:
    """Mean tokens of an answer and mean seconds; 0.0 where nobody knows."""
    return _mean(side.completion_tokens), _mean(side.latency)


def usual(side: Side) -> Typical:
    """What a router is told of a tier."""
    return Typical(*typical(side), float(side.score.mean()))


def _mean(values: Sequence[float] | Floats) -> float:
    known = np.asarray(values, float)
    known = known[~np.isnan(known)]
    return float(known.mean()) if len(known) else 0.0
