"""Gathers evidence off every client's path: what the other models say to a request that was drawn, and labels of it.

A draft that was served gets premium's answer beside it (an audit), an answer of premium's gets the drafts
(observation). Each sample in the end has an answer of every model of its route, so it can train and certify as well.
What it costs is capped by the day. Knows neither who is drawn (`draws.py`) nor what follows from a label (`audits.py`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from tierwise.core.kept import answer_of, request_of, said_of, texts_of
from tierwise.errors import BudgetExceeded, CheckFailed
from tierwise.gateway.aside import Heard, ask, purse
from tierwise.gateway.consult import Question, whole
from tierwise.gateway.engine import Engine
from tierwise.gateway.evidence.draws import Draws
from tierwise.gateway.run import Live
from tierwise.money import Record
from tierwise.proof import Label, Sample
from tierwise.scorers import judge
from tierwise.scorers.labelling import Compared, by_judge, compared, unasked
from tierwise.types import Answer, Model, Request, Route

WAITING = 500  # samples; one more is lost
AT_ONCE = 16  # that are worked on
RECHECKED = 0.25  # of the samples that a judge has labelled: it is asked about an anchor too
PATIENCE, PAUSE = 60.0, 0.1  # seconds that money which is held is waited for, and between two looks

_log = logging.getLogger("tierwise.audit")


@dataclass
class Job:
    """A request that was drawn, and what is known of it already."""

    request: Request
    route: Route
    sample: Sample
    known: dict[str, Heard] = field(default_factory=dict)  # by model
    kept: bool = False  # in the store: what fails after that loses nothing


class Gatherer:
    """Belongs to one event loop."""

    def __init__(self, engine: Engine, draws: Draws) -> None:
        self.draws = draws
        self.dropped = 0  # drawn, but there was no room
        self.anchors: dict[
            str, tuple[tuple[str, str], ...]
        ] = {}  # by route: (request, model) that people have labelled
        self._engine = engine
        self._jobs: asyncio.Queue[Job] = asyncio.Queue(WAITING)
        self._tasks = [asyncio.ensure_future(self._work()) for _ in range(AT_ONCE)]

    def consider(self, live: Live, record: Record) -> None:
        """Draw an answered request, or count it. Nobody waits for what follows."""
        sample = self.draws.take(live)
        if sample is None:
            return
        try:
            self._jobs.put_nowait(Job(live.request, live.route, sample, _answers(live, record)))
        except asyncio.QueueFull:
            self.dropped += 1
            self.draws.give_back(sample)

    async def settled(self) -> None:
        """Wait until all that was drawn has been worked on. For tests, and for an orderly end."""
        await self._jobs.join()

    async def close(self) -> None:
        """Stop; what was begun is booked, what still waits is forgotten."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _work(self) -> None:
        while True:
            job = await self._jobs.get()
            try:
                await self._gather(job)
            except BudgetExceeded:
                self.draws.pause(job.route)
            except Exception as error:  # noqa: BLE001  a worker loop: one sample must not end all
                _log.error("a sample of route %s failed: %s", job.route.name, type(error).__name__)
            finally:
                if not job.kept:
                    self.draws.give_back(job.sample)
                self._jobs.task_done()

    async def _gather(self, job: Job) -> None:
        route, engine = job.route, self._engine
        models = (*route.tiers, *route.opinions)
        missing = [model for model in models if model.name not in job.known]
        asked = whole(job.request)
        questions = [Question(model, asked, "audit" if model == route.premium else "observe") for model in missing]
        heard = await _asked(engine, route, questions, job.request.id) if questions else []
        for model, found in zip(missing, heard, strict=True):
            if found is not None:
                job.known[model.name] = found
        labels = [await self._label(job, model) for model in route.tiers[:-1]]
        proof = engine.store.proof
        proof.keep(job.sample)  # before its labels: who reads one of these finds it
        job.kept = True
        for label in labels:
            if label is not None:
                proof.keep(label)
        said = tuple([said_of(item.answer, item.entry) for item in job.known.values()])
        texts = texts_of(job.request, route.name, job.sample.at_ns, said) if route.keep_days else None
        if texts is not None:
            proof.keep(texts)
        if any(label is not None and label.source == "judge" for label in labels):
            await self._recheck(job)

    async def _recheck(self, job: Job) -> None:
        """Now and then ask the judge anew about what people have labelled: so it is audited too."""
        route, draws, anchors = job.route, self.draws, self.anchors.get(job.route.name, ())
        if route.judge is None or not anchors or draws.number(job.request.id, "recheck") >= RECHECKED:
            return
        request_id, model = anchors[int(draws.number(job.request.id, "anchor") * len(anchors))]
        texts = await self._engine.store.proof.text(request_id)
        said = {item.model: item for item in texts.said} if texts is not None else {}
        if texts is None or model not in said or route.premium.name not in said:
            return  # forgotten by now
        pair = answer_of(said[model]), answer_of(said[route.premium.name])
        found = await judged(self._engine, route, Asking(route.judge, request_of(texts, route.name), *pair))
        if found.source == "void":
            return
        label = Label(
            request_id=request_id,
            route=route.name,
            model=model,
            source="recheck",
            by=route.judge.name,
            draft=found.draft,
            premium=found.premium,
            at_ns=self._engine.clock.now_ns(),
        )
        self._engine.store.proof.keep(label)

    async def _label(self, job: Job, model: Model) -> Label | None:
        """None where it takes people."""
        draft, premium = job.known.get(model.name), job.known.get(job.route.premium.name)
        if draft is None or premium is None:
            return self._labelled(job, model, Compared("void", 0.0, 0.0))
        found = compared(job.request, draft.answer, premium.answer, job.route.checks)
        if found is not None:
            return self._labelled(job, model, found)
        if job.route.judge is None:
            found = unasked(job.request, draft.answer, premium.answer)
            return None if found is None else self._labelled(job, model, found)
        asked = Asking(job.route.judge, job.request, draft.answer, premium.answer)
        try:
            return self._labelled(job, model, await judged(self._engine, job.route, asked))
        except BudgetExceeded:  # premium has been paid for: keep that
            self.draws.pause(job.route)
            return self._labelled(job, model, Compared("void", 0.0, 0.0))

    def _labelled(self, job: Job, model: Model, found: Compared) -> Label:
        asked = job.route.judge if found.source == "judge" else None
        return Label(
            request_id=job.request.id,
            route=job.route.name,
            model=model.name,
            source=found.source,
            by="" if asked is None else asked.name,
            draft=found.draft,
            premium=found.premium,
            at_ns=self._engine.clock.now_ns(),
        )


class Asking(NamedTuple):
    """What a judge is asked about: a draft, beside premium's answer."""

    judge: Model
    request: Request
    draft: Answer
    premium: Answer


async def judged(engine: Engine, route: Route, about: Asking) -> Compared:
    """The judge's word, places swapped. A judge that fails never makes a draft look better.

    "void" where it could not be asked, for that has nothing to do with the draft; "missing" where it gave no verdict.
    Raises BudgetExceeded, StoreError.
    """
    try:
        asked = judge.questions(about.request, about.draft, about.premium)
    except CheckFailed:
        return Compared("missing", 0.0, 1.0)
    questions = [Question(about.judge, question, "judge") for question in asked]
    heard = await _asked(engine, route, questions, about.request.id)
    said = [item.answer for item in heard if item is not None]
    if len(said) < len(asked):
        return Compared("void", 0.0, 0.0)
    return by_judge(asked, said)


async def _asked(engine: Engine, route: Route, questions: Sequence[Question], about: str) -> list[Heard | None]:
    """By the day's purse. What is only held, by calls that still run, is waited for: they mostly cost far less."""
    payer = purse(route, engine.clock.now_ns())
    for _ in range(round(PATIENCE / PAUSE)):
        try:
            return await ask(engine, route, questions, about, payer)
        except BudgetExceeded:
            _, held = await engine.store.spent(payer.account)
            if not held:
                raise
        await asyncio.sleep(PAUSE)
    return await ask(engine, route, questions, about, payer)


# ------------------------------------------------------------------ what is known of a request


def _answers(live: Live, record: Record) -> dict[str, Heard]:
    """Whole answers of the route's models to the request itself, by model."""
    route = live.route
    own = {model.name for model in (*route.tiers, *route.opinions)}
    return {name: heard for name, heard in _heard(live, record) if name in own}


def _heard(live: Live, record: Record) -> Iterator[tuple[str, Heard]]:
    for attempt, entry in zip(live.attempts, record.entries, strict=True):
        answer = attempt.answer(complete=True)
        ended = bool(answer.choices) and all(choice.finish is not None for choice in answer.choices)
        if ended and attempt.duty != "judge":
            yield attempt.model.name, Heard(answer, entry)
