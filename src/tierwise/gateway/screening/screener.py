"""A route's screener, asked about many texts by code that does not run in an event loop.

Every call is reserved, booked with the duty "screen", and paid by an account of its own up to a cap. Knows neither the
texts nor what becomes of the answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import uvloop

from tierwise.errors import BudgetExceeded
from tierwise.gateway import aside
from tierwise.gateway.aside import Purse, ask
from tierwise.gateway.consult import Question
from tierwise.gateway.engine import Engine
from tierwise.gateway.settings import Config, Environment
from tierwise.gateway.wiring import open_engine
from tierwise.types import Answer, Model, Request, Route

AT_ONCE = 8  # calls


class Screener:
    """`ended` says why no more are asked; "": they still are."""

    def __init__(self, runner: asyncio.Runner, engine: Engine, route: Route, model: Model, cap: int) -> None:
        """`cap`: nano-dollars of this run."""
        self.ended = ""
        self._runner, self._engine, self._route, self._model = runner, engine, route, model
        name = aside.account(f"screen:{route.name}")
        posted, held = runner.run(engine.store.spent(name))
        self._before = posted
        self._purse = Purse(name, posted + held + cap)

    def ask(self, questions: Sequence[Request]) -> list[Answer | None]:
        """In their order; None for a call that failed, or that the cap leaves no money for. Raises StoreError."""
        return self._runner.run(self._ask(questions))

    def spent(self) -> int:
        """Nano-dollars, by this one."""
        return self._runner.run(self._engine.store.spent(self._purse.account))[0] - self._before

    async def _ask(self, questions: Sequence[Request]) -> list[Answer | None]:
        places = asyncio.Semaphore(AT_ONCE)

        async def one(question: Request) -> Answer | None:
            async with places:
                if self.ended:
                    return None
                try:
                    (heard,) = await ask(
                        self._engine, self._route, [Question(self._model, question, "screen")], "screen", self._purse
                    )
                except BudgetExceeded:
                    self.ended = "the cap is reached"
                    return None
            return None if heard is None else heard.answer

        try:
            async with asyncio.TaskGroup() as group:
                asked = [group.create_task(one(question)) for question in questions]
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None
        return [task.result() for task in asked]


@contextmanager
def screener(config: Config, environment: Environment, route: str, model: str, cap: int) -> Iterator[Screener]:
    """Open until the block ends. Raises ConfigError, StoreError."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        engine = runner.run(open_engine(config, environment))
        try:
            found = engine.snapshot
            yield Screener(runner, engine, found.routes.get(route) or found.direct[route], found.models[model], cap)
        finally:
            runner.run(engine.close())
