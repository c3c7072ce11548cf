"""Asks models what a route's clients have asked before, and labels what they say by premium's stored answers.

Answers are compared as the gateway compares them (`scorers/labelling.py`), and by the route's judge, places swapped,
where that settles nothing. Everything is paid by an account of its own, up to a cap. Knows neither which prompts stand
for the route nor what is made of the labels.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

import uvloop

from tierwise.core.kept import answer_of, request_of
from tierwise.errors import BudgetExceeded, CheckFailed
from tierwise.gateway import aside
from tierwise.gateway.aside import Heard, Purse, ask
from tierwise.gateway.consult import Question, whole
from tierwise.gateway.engine import Engine
from tierwise.gateway.settings import Config, Environment
from tierwise.gateway.wiring import open_engine
from tierwise.proof import Said, Texts
from tierwise.scorers import judge
from tierwise.scorers.labelling import Compared, by_judge, compared
from tierwise.types import Answer, Model, Request, Route

AT_ONCE = 8  # prompts that are worked on
TRIES = 2  # of a call that fails
SILENT = 8  # prompts, none of which the candidate has answered, after which no more are tried
MONEY, STOPPED = "the cap is reached", "it was interrupted"
SILENCE = "{} answers nothing; `tierwise doctor` may tell why"

Tell = Callable[[int, int], None]


class Wanted(NamedTuple):
    """`names`: the candidate's, which is asked about each of `texts`, then those of the models beside it.

    Each text has premium's answer. Of the models beside the candidate stored answers are taken, but for those in
    `anew`; where there is none, only the first of them is asked. `judge`: whether it may be. `cap`: nano-dollars of
    this run. `known`: how good the route's judge has found stored answers already, by request and model.
    """

    route: str
    names: tuple[str, ...]
    texts: Sequence[Texts]
    anew: frozenset[str] = frozenset()
    judge: bool = True
    cap: int = 0
    known: Mapping[tuple[str, str], float] = {}

    @property
    def candidate(self) -> str:
        return self.names[0]


class Trial(NamedTuple):
    """What one model has said to one prompt. `source` "": nobody could tell how good that is.

    `nanos` None: nobody knows what it costs. "failed": each call did, which counts as an answer that is not good.
    """

    source: str
    quality: float
    premium: float  # how good premium's answer is
    nanos: int | None
    seconds: float

    @property
    def failed(self) -> bool:
        return self.source == "failed"


class Run(NamedTuple):
    """`trials`: for each prompt, in order, by model; empty for those that were not come to. `ended`: why, or ""."""

    trials: tuple[Mapping[str, Trial], ...]
    spent: int  # nano-dollars
    ended: str


def account(route: str, candidate: str) -> str:
    """Who pays, in the ledger."""
    return aside.account(f"compare:{route}:{candidate}")


def run(config: Config, environment: Environment, wanted: Wanted, tell: Tell = lambda done, total: None) -> Run:
    """An interrupt ends it early: what was asked by then is booked, and told. Raises ConfigError, StoreError."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_run(config, environment, wanted, tell))


async def _run(config: Config, environment: Environment, wanted: Wanted, tell: Tell) -> Run:
    engine = await open_engine(config, environment)
    try:
        return await Comparison(engine, wanted, tell).run()
    finally:
        await engine.close()


class Comparison:
    """One run, in one event loop."""

    def __init__(self, engine: Engine, wanted: Wanted, tell: Tell) -> None:
        self._engine = engine
        self._wanted = wanted
        self._tell = tell
        self._route: Route = engine.snapshot.routes[wanted.route]
        self._trials: list[Mapping[str, Trial]] = [{} for _ in wanted.texts]
        self._purse = Purse(account(wanted.route, wanted.candidate), 0)
        self._flying = 0  # calls for which money is held, or asked
        self._landed = asyncio.Event()  # when the next of them ends
        self._freed = 0  # how often one has ended for which money was held
        self._ended = ""

    async def run(self) -> Run:
        """Raises StoreError."""
        posted, held = await self._engine.store.spent(self._purse.account)
        self._purse = self._purse._replace(cap=posted + held + self._wanted.cap)
        places = asyncio.Semaphore(AT_ONCE)
        try:
            async with asyncio.TaskGroup() as group:
                for row, texts in enumerate(self._wanted.texts):
                    await places.acquire()
                    if self._ended:
                        break
                    group.create_task(self._prompt(row, texts)).add_done_callback(lambda _: places.release())
        except asyncio.CancelledError:
            self._ended = STOPPED
            task = asyncio.current_task()
            if task is not None:
                task.uncancel()
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None
        spent, _ = await self._engine.store.spent(self._purse.account)
        return Run(tuple(self._trials), spent - posted, self._ended)

    async def _prompt(self, row: int, texts: Texts) -> None:
        """All of it or nothing: a prompt for which the money did not last is none."""
        request = whole(request_of(texts, self._route.name))
        stored = {said.model: said for said in texts.said}
        asked = [self._engine.snapshot.models[name] for name in self._asked(stored)]
        heard = await self._answers(request, asked)
        if heard is None:
            return
        taken = {name: stored[name] for name in self._wanted.names[1:] if name in stored and name not in heard}
        answers = {name: found.answer for name, found in heard.items() if found is not None}
        answers |= {name: answer_of(said) for name, said in taken.items()}
        premium = answer_of(stored[self._route.premium.name])
        labels = {name: compared(request, answer, premium, self._route.checks) for name, answer in answers.items()}
        for name in taken:
            if labels[name] is None and (texts.request_id, name) in self._wanted.known:
                labels[name] = Compared("judge", self._wanted.known[texts.request_id, name], 1.0)
        drafts = {name: answer for name, answer in answers.items() if labels[name] is None}
        judged = await self._judged(request, drafts, premium)
        if judged is None:
            return
        labels |= judged
        trials = {name: _live(found, labels.get(name)) for name, found in heard.items()}
        self._trials[row] = trials | {name: self._old(said, labels[name]) for name, said in taken.items()}
        self._told(silent=heard[self._wanted.candidate] is None)

    def _asked(self, stored: Mapping[str, Said]) -> Iterator[str]:
        yield self._wanted.candidate
        for place, name in enumerate(self._wanted.names[1:]):
            if name in self._wanted.anew or (place == 0 and name not in stored):
                yield name

    def _told(self, *, silent: bool) -> None:
        done = [trials for trials in self._trials if trials]
        self._tell(len(done), len(self._trials))
        if silent and len(done) >= SILENT and all(trials[self._wanted.candidate].failed for trials in done):
            self._ended = SILENCE.format(self._wanted.candidate)

    def _old(self, said: Said, label: Compared | None) -> Trial:
        priced = self._engine.snapshot.models[said.model].price is not None
        return _trial(label, said.nanos if priced else None, said.seconds)

    # -------------------------------------------------------------- calls

    async def _answers(self, request: Request, models: Sequence[Model]) -> dict[str, Heard | None] | None:
        """By model, None of one that failed; None where there is no money."""
        found: dict[str, Heard | None] = {}
        for _ in range(TRIES):
            lacking = [model for model in models if found.get(model.name) is None]
            if lacking:
                heard = await self._calls([Question(model, request, "observe") for model in lacking], request.id)
                if heard is None:
                    return None
                found |= {model.name: item for model, item in zip(lacking, heard, strict=True)}
        return found

    async def _judged(
        self, request: Request, drafts: Mapping[str, Answer], premium: Answer
    ) -> dict[str, Compared | None] | None:
        """By the drafts' models, None of one that the judge has no word for; None where there is no money."""
        asked: dict[str, tuple[Request, ...]] = {}
        for name, draft in drafts.items():
            with suppress(CheckFailed):  # what a judge can't be shown, nobody can tell of
                asked[name] = judge.questions(request, draft, premium)
        if self._route.judge is None or not self._wanted.judge or not asked:
            return {}
        model = self._route.judge
        questions = [Question(model, question, "judge") for pair in asked.values() for question in pair]
        heard = await self._calls(questions, request.id)
        if heard is None:
            return None
        said = iter(heard)
        return {name: _word(pair, [next(said) for _ in pair]) for name, pair in asked.items()}

    async def _calls(self, questions: Sequence[Question], about: str) -> list[Heard | None] | None:
        """None where the purse can't bear them, not even when nothing is held for other calls any more."""
        while not self._ended:
            freed = self._freed
            try:
                return await self._paid(questions, about)
            except BudgetExceeded:
                if self._freed == freed and not self._flying:
                    self._ended = MONEY
                    self._landed.set()
            while self._freed == freed and not self._ended:  # whoever was refused too has freed nothing
                await self._landed.wait()
        return None

    async def _paid(self, questions: Sequence[Question], about: str) -> list[Heard | None]:
        self._flying += 1
        held = True
        try:
            return await ask(self._engine, self._route, questions, about, self._purse)
        except BudgetExceeded:
            held = False
            raise
        finally:
            self._flying -= 1
            if held:
                self._freed += 1
                self._landed.set()
                self._landed = asyncio.Event()


def _live(found: Heard | None, label: Compared | None) -> Trial:
    if found is None:
        return Trial("failed", 0.0, 1.0, None, 0.0)
    unknown = found.entry.cost_state == "unknown"
    return _trial(label, None if unknown else found.entry.nanos, found.entry.total_ms / 1000)


def _trial(label: Compared | None, nanos: int | None, seconds: float) -> Trial:
    source, quality, premium = ("", 0.0, 0.0) if label is None else label
    return Trial(source, quality, premium, nanos, seconds)


def _word(asked: tuple[Request, ...], heard: Sequence[Heard | None]) -> Compared | None:
    """None of a judge that gives none."""
    found = by_judge(asked, [None if item is None else item.answer for item in heard])
    return None if found.source == "missing" else found
