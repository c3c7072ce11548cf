"""The request parameter `moderation`: what was said and what was answered, scored by the gateway's own classifiers.

Its form is that of OpenAI's API (source: the types of its SDK 3, 2026-08): `{"model": ..., "policy": {"input": {"mode":
"score" | "block"}, "output": ...}}`, or `true`; the reply has a member `moderation` with `input` and `output`. It is
had on every wire and for every provider, none of which gets to see it. Knows no route's own screens.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Literal

import msgspec

from tierwise.dialects import anthropic_answers, openai_chat, openai_completions, sse
from tierwise.dialects.openai_chat import DONE, Label, named
from tierwise.errors import BadRequest
from tierwise.gateway.screening.guards import Guard, blocked, shared_moderation, shared_reader, told
from tierwise.gateway.tables.screen_table import ScreensTable
from tierwise.ports import Batch
from tierwise.screens.moderation import CATEGORIES
from tierwise.screens.window import Window
from tierwise.types import Answer, Chunk, Request

NAME = "tierwise-moderation"
FIELD = "moderation"
_RESPONSES = "openai_responses"
_LAST = {openai_chat.NAME: "chat.completion.chunk", openai_completions.NAME: "text_completion"}
_TEXT = ("text",)


class _Mode(msgspec.Struct, frozen=True):
    mode: Literal["score", "block"]


class _Policy(msgspec.Struct, frozen=True):
    input: _Mode | None = None
    output: _Mode | None = None


class _Asked(msgspec.Struct, frozen=True):
    model: str = NAME
    policy: _Policy | None = None


_asked = msgspec.json.Decoder(_Asked | bool | None)


class Inline:
    """One request's. `read` comes first, then what was answered is heard, whole or as it flows."""

    def __init__(self, asked: _Asked, dialect: str) -> None:
        policy = asked.policy or _Policy()
        self._stops_input = policy.input is not None and policy.input.mode == "block"
        self._stops_output = policy.output is not None and policy.output.mode == "block"
        self._dialect = dialect
        self._input: dict[str, Any] = {}
        self._said: dict[int, list[str]] = {}
        self._wire: bytes | None = None

    def read(self, request: Request) -> None:
        """Loads the weights where nobody has. Raises Blocked where the client wants flagged input stopped."""
        self._input = _result(told(request))
        if self._stops_input and self._input["flagged"]:
            raise blocked(
                "request", tuple([f"moderation:{name}" for name, on in self._input["categories"].items() if on])
            )

    def window(self) -> Window | None:
        """Where the client wants a flagged answer stopped."""
        return _blocking().window(lambda found: None) if self._stops_output else None

    def hear(self, batch: Batch) -> Batch:
        """What goes out of a stream; a message's own last event is given the member on its way."""
        return tuple([self._heard(chunk) for chunk in batch])

    def _heard(self, chunk: Chunk) -> Chunk:
        if chunk.text or chunk.refusal:
            self._said.setdefault(chunk.index, []).append(chunk.text + chunk.refusal)
        if chunk.dialect == openai_chat.NAME:
            self._wire = chunk.wire or self._wire
        if chunk.dialect == anthropic_answers.NAME and chunk.wire and b'"message_stop"' in chunk.wire:
            return msgspec.structs.replace(chunk, wire=self._added(chunk.wire, 1))
        return chunk

    def whole(self, body: bytes, answer: Answer) -> bytes:
        """The body of an answer, with the member."""
        for index, choice in enumerate(answer.choices):
            self._said[index] = [choice.text + choice.refusal]
        return self._added(body, 1)

    def ended(self, done: bytes, label: Label) -> bytes:
        """The end of a stream, with the member in its last event, or in one of its own before the mark of the end."""
        if kind := _LAST.get(self._dialect):
            head = {"id": label.id, "object": kind, "created": label.created, "model": label.model} | named(self._wire)
            return sse.encode(msgspec.json.encode({**head, "choices": [], FIELD: self._member()})) + sse.encode(DONE)
        return self._added(done, 2 if self._dialect == _RESPONSES else 1) + b"\n\n" if done else done

    def _added(self, body: bytes, depth: int) -> bytes:
        """With the member as the last of the JSON object that ends `depth` braces before the end."""
        body = body.rstrip()
        return b'%b,"%b":%b%b' % (body[:-depth], FIELD.encode(), msgspec.json.encode(self._member()), body[-depth:])

    def _member(self) -> dict[str, Any]:
        said = [_result(["".join(pieces)]) for _, pieces in sorted(self._said.items())] or [_result([])]
        if self._dialect == _RESPONSES:
            return {"input": self._input, "output": said[0]}
        return {"input": _results([self._input]), "output": _results(said)}


def taken(request: Request) -> tuple[Request, Inline | None]:
    """The request without the parameter, and what is to become of it. Raises BadRequest."""
    raw = request.body.get(FIELD)
    if raw is None:
        return request, None
    try:
        asked = _asked.decode(raw)
    except msgspec.DecodeError as error:
        raise BadRequest(f"moderation is true, or {{model, policy}}: {error}", param=FIELD) from None
    body = {name: value for name, value in request.body.items() if name != FIELD}
    request = msgspec.structs.replace(request, body=body)
    if not asked:
        return request, None
    return request, Inline(_Asked() if asked is True else asked, request.dialect)


def _result(texts: list[str]) -> dict[str, Any]:
    """Of several texts the highest scores."""
    found = shared_moderation().screen_each([text for text in texts if text])
    scores = {name: max([one.scores[name] for one in found], default=0.0) for name in CATEGORIES}
    flagged = {name for one in found for name in one.flagged}
    return {
        "type": "moderation_result",
        "model": NAME,
        "flagged": bool(flagged),
        "categories": {name: name in flagged for name in CATEGORIES},
        "category_scores": scores,
        "category_applied_input_types": dict.fromkeys(CATEGORIES, _TEXT),
    }


def _results(found: list[dict[str, Any]]) -> dict[str, Any]:
    return {"type": "moderation_results", "model": NAME, "results": found}


@cache
def _blocking() -> Guard:
    return Guard(ScreensTable(moderation="block"), shared_reader())
