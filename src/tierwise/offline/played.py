"""Plays the live plan, `core.cascade`, over recorded rows: the steps are answered from the table instead of by models.

So a replay's policy is the gateway's, line for line: what it would have called, served and paid. Knows nothing of
how the scores came about that it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tierwise.core.cascade import (
    Call,
    Consult,
    Drop,
    Escalate,
    Outcome,
    Plan,
    Reserve,
    Score,
    Serve,
    Verify,
    Wish,
    cascade,
)
from tierwise.offline.outcomes import Pairs, Side
from tierwise.scorers.artefact import Typical
from tierwise.types import Answer, Choice, Message, Model, Price, Request, Route, Verdict

UNTRIED = "plan:premium"  # the rule of rows that no cheaper tier was asked about

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
    stage = _Stage(route, scorers)
    served: list[str] = []
    called: list[list[str]] = []
    rules: list[str] = []
    for row, prompt in enumerate(pairs.prompt):
        asked = (Message("user", prompt),)
        request = Request(id="", asked=route.name, messages=asked, stream=route.hold == "none")
        calls: list[str] = []
        outcome = stage.run(cascade(request, route), row, calls)
        served.append(outcome.answer.model)
        called.append(calls)
        rules.append(outcome.decision.rule)
    return _fate(pairs, served, called, rules)


class _Stage:
    """What answers the plan's steps, instead of models."""

    def __init__(self, route: Route, scorers: Recorded) -> None:
        self._scorers = scorers
        models = (*route.tiers, *route.opinions)
        self._answers = {model.name: Answer(model.name, (Choice("-", finish="stop"),)) for model in models}

    def run(self, plan: Plan, row: int, calls: list[str]) -> Outcome:
        """To its end; the models that it calls are added to `calls`."""
        try:
            step = next(plan)
            while True:
                step = plan.send(self._performed(step, row, calls))
        except StopIteration as stop:
            outcome: Outcome = stop.value
            return outcome

    def _performed(self, step: Wish, row: int, calls: list[str]) -> Any:
        match step:
            case Reserve() | Escalate() | Serve() | Drop():
                return None
            case Score():
                return self._scorers.router(row)
            case Call(model=model):
                calls.append(model.name)
                return self._answers[model.name]
            case Verify(opinions=opinions):
                return self._scorers.verdict(row, opinions is not None)
            case Consult(models=models):
                calls.extend([model.name for model in models])
                return tuple([self._answers[model.name] for model in models])
        raise TypeError(f"a replay can't perform {type(step).__name__}")


def _fate(pairs: Pairs, served: list[str], called: list[list[str]], rules: list[str]) -> Fate:
    sides = {side.model: side for side in (pairs.cheap, *pairs.opinions, pairs.premium)}  # as they are called
    names = np.array(served, object)
    quality, dollars = np.zeros(len(pairs)), np.zeros(len(pairs))
    asked = np.zeros(len(pairs), bool)
    opinions = {side.model for side in pairs.opinions}
    for name, side in sides.items():
        of_it = names == name
        quality[of_it] = side.score[of_it]
        times = np.array([calls.count(name) for calls in called])
        paid = times > 0
        dollars[paid] += times[paid] * side.cost[paid]
        if name in opinions:
            asked |= paid
    return Fate(names == pairs.cheap.model, asked, quality, dollars, rules)


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
