"""Whether an answer has the form that was asked for in words, and how a model that missed it is asked again.

Knows no plans and no clients: `run.py` makes the calls, each of which is an attempt of its own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import msgspec

from tierwise.core.form import OBJECT, TRIES
from tierwise.dialects import amended
from tierwise.errors import BadRequest, CheckFailed, Torn
from tierwise.gateway.booking import Attempt
from tierwise.scorers import structure
from tierwise.scorers.schema import broken_rule
from tierwise.types import Answer, Checks, Message, Model, Request

MISSED = "form"  # the rule of an attempt that missed it
SHOWN = 16_384  # characters of an answer that its model is shown again
_CHECKS = Checks()
_CUT = frozenset({"length", "content_filter"})  # ends that say for themselves that the document is not whole


Try = Callable[[Request], Awaitable[tuple[Attempt, Answer]]]
"""A call that is made, to its end, and its answer."""


class Miss(NamedTuple):
    """What was said in place of it, and what is wrong with that."""

    text: str
    reason: str


async def ask_until_valid(model: Model, request: Request, ask: Try) -> Answer:
    """The first answer that has its form. Raises Torn where none had, and BadRequest where that can't be known."""
    checkable(request)
    asked = request
    for _ in range(TRIES):
        attempt, answer = await ask(asked)
        miss = missed(request, answer)
        if miss is None:
            return answer
        attempt.settle("rejected", MISSED)
        asked = again(asked, miss)
    raise Torn(model.name, f"no answer of the form that was asked for in {TRIES} tries")


def checkable(request: Request) -> None:
    """Raises BadRequest for a schema that no answer can be checked by: none could be trusted."""
    try:
        broken_rule(_schema(request), None, 0)
    except CheckFailed as error:
        words = f"The schema of the answer can't be checked: {error.message}."
        raise BadRequest(words, param=amended.FORMS.get(request.dialect)) from None


def missed(request: Request, answer: Answer) -> Miss | None:
    """The first choice that is not of the form; those that were cut, refused, or call a tool instead are none."""
    asked = msgspec.structs.replace(request, schema=_schema(request))
    for choice in answer.choices:
        if choice.finish in _CUT:
            continue
        try:
            found = structure.json(asked, Answer(answer.model, (choice,)), _CHECKS)
        except CheckFailed as error:
            return Miss(choice.text, error.message)
        if found.passed is False:
            return Miss(choice.text, found.detail)
    return None


def _schema(request: Request) -> dict[str, Any]:
    return OBJECT if request.schema is None else request.schema


def again(request: Request, miss: Miss) -> Request:
    """The request that led to it, with it and what is wrong with it."""
    words = f"That is not what was asked for: {miss.reason}. Answer again, with the JSON document alone."
    said = (Message("assistant", miss.text[:SHOWN]),) if miss.text.strip() else ()
    return amended.continued(request, (*said, Message("user", words)))
