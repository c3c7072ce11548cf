"""Asks others about a draft: other models the same question, and a judge what it thinks of it.

Knows how they are asked, all at once and each for a limited time; not when, nor what becomes of what they say. Each
call is an attempt like any other, so it is booked whatever happens to it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from tierwise.core import form, price
from tierwise.core.cascade import Judge, Reserve
from tierwise.errors import TierwiseError, TimedOut
from tierwise.gateway.booking import Attempt
from tierwise.money import Amount
from tierwise.ports import Clock
from tierwise.scorers import judge as questionnaire
from tierwise.scorers.agreement import agree, same_prompt_form
from tierwise.screens import judged
from tierwise.types import Answer, Duty, Evidence, Model, Price, Request, Route

Start = Callable[[Model, Request, Duty], Attempt]
"""Begins a call that is booked as this duty's."""

FORM_BYTES = 512  # at the most, that another form of the question adds to a request
_OF_A_STREAM = frozenset({"stream", "stream_options", "n"})  # what a client says that an opinion is not


def bound(step: Reserve, request: Request, route: Route, size: int, ceiling: Price) -> Amount:
    """What a request of `size` bytes costs and takes at the most, with everybody who may be asked about it."""
    if route.opinion_form != "same":
        size += FORM_BYTES
    if request.json_answer:
        parts = [
            price.bound(request, size + more, (model,), ceiling) for model, more in form.calls(request, step.models)
        ]
        amount = sum(parts, Amount())
    else:  # nearly all
        amount = price.bound(request, size, step.models, ceiling)
    if step.judges:
        question = msgspec.structs.replace(request, max_output=questionnaire.MAX_OUTPUT, n=1)
        questions = step.judges * questionnaire.MAX_QUESTIONS
        amount += price.bound(question, questionnaire.bound(), questions, ceiling)
    if step.screener is not None:
        question = msgspec.structs.replace(request, max_output=judged.MAX_OUTPUT, n=1)
        amount += price.bound(question, judged.bound(), (step.screener,), ceiling)
    return amount


class Question(NamedTuple):
    """A call to be made: who is asked what, and as what it is booked."""

    model: Model
    request: Request
    duty: Duty


class Panel(msgspec.Struct, frozen=True):
    """The others. `patience`: seconds that a model may take, by name, for its whole answer."""

    start: Start
    clock: Clock
    patience: Mapping[str, float]

    async def consult(self, request: Request, route: Route, models: Sequence[Model], about: str) -> tuple[Answer, ...]:
        """The answers that came, in the models' order. `about`: the draft's model, for the ledger."""
        asked = same_prompt_form(whole(request), route.opinion_form)
        heard = await self.hear([Question(model, asked, "opinion") for model in models], about)
        return tuple([answer for answer in heard if answer is not None])

    async def judge(self, request: Request, step: Judge) -> Evidence:
        """The judge's finding; beside opinions, the draft is compared with the one that is least like it.

        Raises CheckFailed where the judge can't be asked, can't answer, or gives no verdict.
        """
        asked = questionnaire.questions(request, step.answer, _rival(request, step.answer, step.opinions))
        heard = await self.hear([Question(step.model, question, "judge") for question in asked], step.answer.model)
        return questionnaire.verdict(asked, heard)

    async def hear(self, questions: Sequence[Question], about: str) -> list[Answer | None]:
        """What each call came to, in their order; None where it failed. All have ended when this does."""
        attempts = [self.start(*question) for question in questions]
        try:
            async with asyncio.TaskGroup() as group:
                hearing = [group.create_task(self._hear(attempt, about)) for attempt in attempts]
        except ExceptionGroup as crashed:
            raise crashed.exceptions[0] from None  # a bug of ours, as it would show itself in a draft's call
        return [task.result() for task in hearing]

    async def _hear(self, attempt: Attempt, about: str) -> Answer | None:
        try:
            async with asyncio.timeout(self.patience.get(attempt.model.name)):
                async for batch in attempt.stream:
                    attempt.take(batch, self.clock)
        except TimeoutError:
            attempt.settle("cancelled", TimedOut.code or "")  # by us: what it did until then is paid for
            return None
        except TierwiseError as error:
            attempt.settle("failed", error.code or error.kind)
            return None
        finally:
            await attempt.close(self.clock.monotonic_ms())
        attempt.settle("consulted", f"about:{about}")
        return attempt.answer(complete=True)


def whole(request: Request) -> Request:
    """The same question, for one answer in one piece."""
    body = {name: value for name, value in request.body.items() if name not in _OF_A_STREAM}
    return msgspec.structs.replace(request, stream=False, usage_asked=False, n=1, body=body)


def _rival(request: Request, draft: Answer, opinions: Sequence[Answer]) -> Answer | None:
    """Of the opinions that say something, the one least like the draft."""
    said = [answer for answer in opinions if answer.choices and (answer.text.strip() or answer.choices[0].tool_calls)]
    return min(said, key=lambda answer: agree(request, draft, answer)[0], default=None)
