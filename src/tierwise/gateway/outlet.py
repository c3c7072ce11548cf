"""The way out of one answer: through what it must pass, to a client that takes it as it comes, or all at once.

Knows no wire: text flows into a `Sink`.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol

from tierwise.core.cascade import Outcome, Step
from tierwise.core.join import join
from tierwise.errors import Blocked
from tierwise.gateway.screening.gate import Gate
from tierwise.ports import Batch
from tierwise.types import Chunk, Decision, Model, Usage


class Sink(Protocol):
    """Where text goes that nothing can replace any more."""

    async def open(self, model: Model, decision: Decision) -> None:
        """Called once, before the first `send`."""
        ...

    def send(self, batch: Batch) -> Awaitable[None]: ...


class Withheld(Exception):
    """A screen has stopped a model's answer on its way out."""

    def __init__(self, model: str, classes: tuple[str, ...]) -> None:
        super().__init__()
        self.model = model
        self.rule = f"blocked:{classes[0]}"


class Outlet:
    """Without a sink nothing flows: the answer waits in the outcome."""

    def __init__(self, gate: Gate, sink: Sink | None) -> None:
        self.flowed = False  # text is out: no error can be hidden from the client now
        self._gate = gate
        self._sink = sink
        self._model: Model  # whose answer came last, and why it may be seen
        self._decision: Decision

    async def put(self, model: Model, decision: Decision, batch: Batch) -> None:
        """What comes next of an answer. Raises Withheld."""
        if self._sink is None:
            return
        self._model, self._decision = model, decision
        if not self._gate.open:
            try:
                batch = self._gate.feed(model.name, batch)
            except Blocked as error:
                raise Withheld(model.name, error.classes) from None
        if batch and self.flowed:
            await self._sink.send(batch)
        else:
            await self._send(batch)

    async def finish(self, outcome: Outcome) -> Outcome:
        """With the answer as the client has it. Raises Withheld."""
        answer = outcome.answer
        try:
            if self._sink is None:
                self._gate.feed(answer.model, answer.chunks)
            rest = self._gate.end()
        except Blocked as error:
            raise Withheld(answer.model, error.classes) from None
        await self._send(rest)
        return self._gate.passed(outcome)

    async def stop(self, held: Withheld, choices: int, usage: Usage | None) -> Outcome:
        """End an answer that a screen has stopped, as each wire ends one that a filter has."""
        decision = Decision("refuse", held.rule)
        sent = self._gate.sent if self._sink is not None else ()
        ended = {chunk.index for chunk in sent if chunk.finish is not None}
        open_ones = [index for index in range(choices) if index not in ended]
        rest = (*(Chunk(index=index, finish="content_filter") for index in open_ones), Chunk(usage=usage))
        self._decision = decision
        await self._send(rest)
        return Outcome(join(held.model, (*sent, *rest)), decision, (Step(held.model, decision),))

    async def _send(self, batch: Batch) -> None:
        if not batch or self._sink is None:
            return
        if not self.flowed:
            self.flowed = True
            await self._sink.open(self._model, self._decision)
        await self._sink.send(batch)
