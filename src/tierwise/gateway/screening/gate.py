"""The screens around one request: what it must pass before a model is asked, and its answer before anybody sees it.

Knows the order of things; what screens find is `guards.py`'s, what flows change is theirs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

import msgspec

from tierwise.core.cascade import Outcome, Verify
from tierwise.core.join import join
from tierwise.dialects.openai_moderations import NAME as MODERATIONS
from tierwise.errors import CheckFailed, Forbidden
from tierwise.gateway.consult import Panel, Question
from tierwise.gateway.screening.guards import NOTHING, Guard, blocked
from tierwise.gateway.screening.inline import Inline
from tierwise.gateway.sessions import Sessions
from tierwise.money import Tenant
from tierwise.ports import Batch
from tierwise.screens.flow import Flow, apart
from tierwise.screens.judged import YES, verdict
from tierwise.types import Answer, Chunk, Decision, Evidence, Model, Request, Route, Usage

LONG = 20_000  # characters of a request from which it is read aside: others go on meanwhile
HUMAN = Model("human", "scripted", "human")
Flows = Callable[[], tuple[Flow, ...]]
"""Makes what one answer passes through, anew for each."""


class Clean(NamedTuple):
    """A request as it may go on, and the route that may have it. `found`: such as "privacy:email".

    `before`: as its client sent it, where it is no longer that: for whoever lets the client go on from it.
    """

    request: Request
    route: Route
    flows: Flows | None = None
    found: tuple[str, ...] = ()
    stopped: bool = False
    before: Request | None = None


class Desk(Protocol):
    """Where a request waits for a person."""

    async def hand(self, request: Request, route: Route, tenant: Tenant, why: str) -> str:
        """The id of its case, once that is durable. Raises StoreError."""
        ...


async def handed(desk: Desk | None, request: Request, route: Route, tenant: Tenant, decision: Decision) -> Answer:
    """What the client is told meanwhile. Raises Forbidden, StoreError."""
    why = decision.rule.removeprefix("human:")
    if desk is None:
        raise Forbidden(
            f"A person has to answer this (class {why}), and this gateway has nowhere to put it.", code="human_needed"
        )
    await desk.hand(request, route, tenant, why)
    chunk = Chunk(route.human_reply, finish="stop", usage=Usage())
    return join(HUMAN.name, (chunk,))


class Gate:
    """`flagged`: the classes that were found, such as "moderation:hate", and may pass. `open`: nothing is looked at."""

    def __init__(self, guard: Guard | None, inline: Inline | None = None, flows: Flows | None = None) -> None:
        self.inline = inline
        self.open = guard is None and inline is None and flows is None
        self._guard = guard
        self._more = flows
        self._looked = NOTHING
        self._judged: tuple[Evidence, ...] = ()  # what a model has said of doubts
        self._noted: dict[str, None] = {}  # of answers, and by others of the request
        self._note: Callable[[str], None] = lambda found: self._noted.update({found: None})
        self._stopped: tuple[str, ...] = ()
        self._cleared = ""  # the model whose whole draft has been screened already
        self._flows: tuple[Flow, ...] | None = None  # of the answer that goes out
        self._model = ""  # ... and whose it is
        self._sent: list[Chunk] = []

    @property
    def flagged(self) -> tuple[str, ...]:
        return (*(one for one in self._looked.classes if not one.startswith("risk:")), *self._noted)

    @property
    def sent(self) -> Batch:
        """What has passed of the answer that goes out."""
        return tuple(self._sent)

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """Everything that was found, for the ledger."""
        found = [Evidence("screen", None, one) for one in (*self._looked.classes, *self._noted)]
        return (*found, *self._judged)

    def tell(self, found: tuple[str, ...], *, stopped: bool) -> None:
        """What others have found in the request, and whether it is to stop there."""
        self._noted.update(dict.fromkeys(found))
        self._stopped = found if stopped else ()
        self.open = self.open and not stopped

    async def admit(self, request: Request, route: Route, conversation: bytes | None, sessions: Sessions) -> Request:
        """With what was found in it, and in its conversation before. Raises Blocked."""
        if self._stopped:
            raise blocked("request", self._stopped)
        if self.inline is not None:
            await asyncio.to_thread(self.inline.read, request)
        guard = self._guard
        if guard is None or request.dialect == MODERATIONS:  # who asks what is wrong with a text is told so
            return request
        size = sum([len(message.text) for message in request.messages])
        looked = guard.look(request) if size < LONG else await asyncio.to_thread(guard.look, request)
        if guard.table.screener and route.screener is None:  # it may not have this request: nobody decides
            self._judged = heard(looked.doubts, None, guard.table.screener)
            looked = guard.judged(looked, None)
        self._looked = looked
        tags = looked.tags
        if conversation is not None:
            tags |= sessions.keep(conversation, tags & (route.floor | route.human))
        if looked.blocked:
            raise blocked("request", looked.blocked)
        if not tags and not looked.doubts:
            return request
        return msgspec.structs.replace(request, tags=request.tags | tags, doubts=looked.doubts)

    async def decide(self, request: Request, model: Model, panel: Panel) -> frozenset[str]:
        """Tags for what `model` finds where a screen was in doubt. Without a verdict doubts stay. Raises Blocked."""
        guard = self._guard
        if guard is None:
            return frozenset()
        said = await _said(guard, request, model, panel)
        self._judged = heard(self._looked.doubts, said, model.name)
        self._looked = guard.judged(self._looked, said)
        if self._looked.blocked:
            raise blocked("request", self._looked.blocked)
        return self._looked.tags

    def check(self, step: Verify) -> None:
        """A whole draft, before it is judged first: so another model may be asked. Raises Blocked."""
        draft = step.answer
        if step.opinions is not None or step.judged is not None:
            return
        window = None if self._guard is None else self._guard.window(self._note)
        if window is not None and draft.complete:
            window.feed(apart(draft.chunks))
            window.end()
            self._cleared = draft.model

    def feed(self, model: str, batch: Batch) -> Batch:
        """What may go out of what comes next of a model's answer. Raises Blocked."""
        if self._flows is None or self._model != model:
            self._flows, self._model, self._sent = self._made(model), model, []
        if self._flows:
            batch = _through(self._flows, apart(batch))
            self._sent += batch
        return batch

    def end(self) -> Batch:
        """The rest of it. Raises Blocked."""
        out: Batch = ()
        for place, flow in enumerate(self._flows or ()):
            out = (*out, *_through((self._flows or ())[place + 1 :], flow.end()))
        self._sent += out
        return out

    def passed(self, outcome: Outcome) -> Outcome:
        """With the answer as it has gone out, where something may have changed it."""
        if not self._flows or _same(self._sent, outcome.answer.chunks):
            return outcome
        answer = join(outcome.answer.model, self._sent, complete=outcome.answer.complete)
        return msgspec.structs.replace(outcome, answer=msgspec.structs.replace(answer, usage=outcome.answer.usage))

    def _made(self, model: str) -> tuple[Flow, ...]:
        if model == HUMAN.name:
            return ()
        windows = [
            None if self._guard is None or model == self._cleared else self._guard.window(self._note),
            None if self.inline is None else self.inline.window(),
        ]
        more = () if self._more is None else self._more()
        return (*(window for window in windows if window is not None), *more)


OPEN = Gate(None)
"""Of every request that nothing is looked at in. Nothing changes it."""


def gated(guard: Guard | None, inline: Inline | None, clean: Clean) -> Gate:
    """What one request has to pass."""
    if guard is None and inline is None and clean.flows is None and not clean.found:
        return OPEN
    gate = Gate(guard, inline, clean.flows)
    if clean.found:
        gate.tell(clean.found, stopped=clean.stopped)
    return gate


async def _said(guard: Guard, request: Request, model: Model, panel: Panel) -> Mapping[str, float] | None:
    """A model's scores; None where it can't be asked, or gives no verdict."""
    try:
        asked, classes = guard.question(request)
        (answer,) = await panel.hear([Question(model, asked, "screen")], "doubts")
        return verdict(answer, classes)
    except CheckFailed:
        return None


def heard(doubts: Sequence[str], said: Mapping[str, float] | None, model: str) -> tuple[Evidence, ...]:
    """What a screener has said of doubts, for the ledger; None: it gave no verdict."""
    if said is None:
        return tuple([Evidence("screener", None, f"{one}: no verdict of {model}") for one in doubts])
    return tuple([Evidence("screener", said[one] < YES, f"{one}: {model}", said[one]) for one in doubts])


def _same(sent: Sequence[Chunk], chunks: Batch) -> bool:
    return len(sent) == len(chunks) and all(one is other for one, other in zip(sent, chunks, strict=True))


def _through(flows: Sequence[Flow], batch: Batch) -> Batch:
    for flow in flows:
        batch = flow.feed(batch) if batch else batch
    return batch
