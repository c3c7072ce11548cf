"""Labels that are bought one by one from a route's judge: a draft beside premium's stored answer, places swapped.

Every label is kept as soon as it is there, so nothing is paid for twice, and is paid out of an account of its own with
a cap of its own for the day. Knows nothing of the test that asks for labels, nor in which order that does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

import uvloop

from tierwise.core import price
from tierwise.core.kept import answer_of, request_of
from tierwise.errors import BudgetExceeded, CheckFailed, ConfigError
from tierwise.gateway.aside import ask, daily, size_of
from tierwise.gateway.consult import Question
from tierwise.gateway.engine import Engine
from tierwise.gateway.settings import Config, Environment
from tierwise.gateway.wiring import open_engine
from tierwise.proof import Label, Texts
from tierwise.scorers import judge
from tierwise.scorers.labelling import Compared, by_judge
from tierwise.types import Answer, Model, Request, Route

TRIES = 3  # of a judge that does not answer

Pair = tuple[float, float]
"""How good the draft is, and premium's answer; each in [0, 1]."""


class Wares(NamedTuple):
    """What may be asked about, by request, and what is known already, by request and the draft's model."""

    texts: Mapping[str, Texts]
    known: Mapping[tuple[str, str], Pair]


class Buyer:
    """Buys for one route, `cap` nano-dollars a day (UTC) at the most. Raises ConfigError for a route without a judge.

    `labels` were bought, `ended` says why no more are to be had ("": they still are).
    """

    def __init__(self, engine: Engine, route: Route, wares: Wares, cap: int) -> None:
        if route.judge is None:
            raise ConfigError(
                f'route {route.name}: labels are bought from its judge, and it has none: `judge = "MODEL"` in the '
                "config names one, of another family than the cheap model"
            )
        self.judge: Model = route.judge
        self.purse = daily(f"buy:{route.name}", cap, engine.clock.now_ns())
        self.labels = 0
        self.ended = ""
        self._engine = engine
        self._route = route
        self._texts = wares.texts
        self._known = dict(wares.known)

    def most(self) -> int:
        """Nano-dollars that one label costs at the most; 0 where there is none to buy."""
        ceiling, most = self._engine.snapshot.ceiling, 0
        for request_id, texts in self._texts.items():
            for model in self._route.tiers[:-1]:
                if (request_id, model.name) not in self._known:
                    asked = self._questions(texts, model.name)
                    bound = sum(price.bound(item, size_of(item), (self.judge,), ceiling).nanos for item in asked)
                    most = max(most, bound)
        return most

    async def spent(self) -> int:
        """Nano-dollars, today."""
        return (await self._engine.store.spent(self.purse.account))[0]

    async def label(self, model: str, request_id: str) -> Pair | None:
        """What is known of a model's draft, or else the judge's word; None where that is not to be had (any more).

        A judge that can't be shown the answers, or that gives no verdict, never makes a draft look better.
        Raises StoreError.
        """
        known = self._known.get((request_id, model))
        if known is not None or self.ended:
            return known
        texts = self._texts[request_id]
        asked = self._questions(texts, model)
        found = Compared("missing", 0.0, 1.0)
        if asked:
            said = await self._heard(asked, request_id)
            if said is None:
                return None
            found = by_judge(asked, said)
        await self._keep(texts, model, found)
        return found.draft, found.premium

    async def _heard(self, asked: tuple[Request, ...], about: str) -> list[Answer] | None:
        questions = [Question(self.judge, question, "judge") for question in asked]
        for _ in range(TRIES):
            try:
                heard = await ask(self._engine, self._route, questions, about, self.purse)
            except BudgetExceeded:
                self.ended = "the money is spent"
                return None
            said = [item.answer for item in heard if item is not None]
            if len(said) == len(asked):
                return said
        self.ended = f"the judge {self.judge.name} does not answer"
        return None

    def _questions(self, texts: Texts, model: str) -> tuple[Request, ...]:
        """None where a judge can't be shown the answers."""
        said = {item.model: item for item in texts.said}
        draft, premium = answer_of(said[model]), answer_of(said[self._route.premium.name])
        try:
            return judge.questions(request_of(texts, self._route.name), draft, premium)
        except CheckFailed:
            return ()

    async def _keep(self, texts: Texts, model: str, found: Compared) -> None:
        self._known[texts.request_id, model] = (found.draft, found.premium)
        self.labels += found.source == "judge"
        await self._engine.store.proof.keep(
            Label(
                request_id=texts.request_id,
                route=self._route.name,
                model=model,
                source=found.source,
                by=self.judge.name,
                draft=found.draft,
                premium=found.premium,
                at_ns=self._engine.clock.now_ns(),
            )
        )


class Shop:
    """A Buyer for code that does not run in an event loop."""

    def __init__(self, runner: asyncio.Runner, buyer: Buyer) -> None:
        self.buyer = buyer
        self._runner = runner
        self._before = self.spent()

    def spent(self) -> int:
        """Nano-dollars, today."""
        return self._runner.run(self.buyer.spent())

    @property
    def now(self) -> int:
        """Of these, by this shop."""
        return self.spent() - self._before

    def label(self, model: str, request_id: str) -> Pair | None:
        return self._runner.run(self.buyer.label(model, request_id))


@contextmanager
def shop(config: Config, environment: Environment, route: str, wares: Wares, cap: int) -> Iterator[Shop]:
    """Open until the block ends. Raises ConfigError, StoreError."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        engine = runner.run(open_engine(config, environment))
        try:
            yield Shop(runner, Buyer(engine, engine.snapshot.routes[route], wares, cap))
        finally:
            runner.run(engine.close())
