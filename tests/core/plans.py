"""Values and a hand driver for plans: what the live driver does, without any I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tierwise.core import cascade
from tierwise.core.cascade import (
    Call,
    Consult,
    Drop,
    Escalate,
    Judge,
    Outcome,
    Plan,
    Reserve,
    Resume,
    Score,
    Serve,
    Verify,
    Wish,
)
from tierwise.types import Answer, Choice, Chunk, Evidence, Message, Model, Price, Request, Route, Usage, Verdict

CHEAP = Model("cheap", "scripted", "c-1", Price(150_000, 600_000, 15_000, 150_000))
MIDDLE = Model("middle", "scripted", "m-1", Price(500_000, 2_000_000, 50_000, 500_000))
OTHER = Model("other", "scripted", "o-1", Price(200_000, 800_000, 20_000, 200_000))
SMALL = Model("small", "scripted", "s-1", Price(100_000, 400_000, 10_000, 100_000))
PREMIUM = Model("premium", "scripted", "p-1", Price(2_500_000, 10_000_000, 250_000, 2_500_000))

GOOD = Verdict(1.0, (Evidence("finish", True),))
BAD = Verdict(0.0, (Evidence("finish", True), Evidence("refusal", False, "opens like a refusal")))


def request(**changes: Any) -> Request:
    values: dict[str, Any] = {"id": "req_1", "asked": "r", "messages": (Message("user", "What is 2 + 2?"),)}
    return Request(**(values | changes))


def route(**changes: Any) -> Route:
    values: dict[str, Any] = {"name": "r", "tiers": (CHEAP, PREMIUM), "uncertified": "checks"}
    return Route(**(values | changes))


def answer(model: Model, text: str = "four", *, complete: bool = True, pieces: int = 1) -> Answer:
    chunks = tuple(Chunk(text) for _ in range(pieces))
    return Answer(
        model.name, (Choice(text * pieces, finish="stop" if complete else None),), Usage(9, 3), complete, chunks
    )


@dataclass
class Hand:
    """Drives a plan; results by step. A value that is an exception is thrown in, a list is used up in order."""

    answers: Mapping[str, Any]
    verdicts: Any = GOOD
    score: Any = BAD
    reserve: Any = None
    escalate: Any = None
    opinions: Any = ()
    judged: Any = None
    screened: Any = frozenset()
    steps: list[Wish] = field(default_factory=list)

    def run(self, plan: Plan) -> Outcome:
        advance: Callable[[], Wish] = lambda: next(plan)  # noqa: E731
        try:
            while True:
                step = advance()
                self.steps.append(step)
                advance = self._next(plan, self._result(step))
        except StopIteration as stop:
            outcome: Outcome = stop.value
            return outcome

    @property
    def names(self) -> list[str]:
        return [type(step).__name__ for step in self.steps]

    def _next(self, plan: Plan, result: Any) -> Callable[[], Wish]:
        if isinstance(result, Exception):
            return lambda: plan.throw(result)
        return lambda: plan.send(result)

    def _result(self, step: Wish) -> Any:
        match step:
            case Call(model=model):
                self._current = model.name
                return self._one(self.answers[model.name])
            case Resume():
                return self._one(self.answers[self._current])
            case Verify():
                return self._one(self.verdicts)
            case Score():
                return self.score
            case Reserve():
                return self._one(self.reserve)
            case Escalate():
                return self.escalate
            case Consult():
                return self.opinions
            case Judge() | cascade.Hand() | cascade.Screen():
                return self._one(self.screened if isinstance(step, cascade.Screen) else self.judged)
            case Serve() | Drop():
                return None

    @staticmethod
    def _one(value: Any) -> Any:
        return value.pop(0) if isinstance(value, list) else value
