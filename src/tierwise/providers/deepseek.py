"""DeepSeek: OpenAI's Chat Completions with habits of its own.

Holds only what differs, as a rewriting of requests for `OpenAIProvider(upstream, adapt=adapt)`. How it answers
(`reasoning_content`, its cache-hit counts) the dialect reads already. Source: api-docs.deepseek.com, "Create Chat
Completion", "JSON Output" and "Thinking Mode"; for what it refuses, its error texts.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from tierwise.dialects.openai_chat import NAME
from tierwise.dialects.parts import only_words
from tierwise.errors import BadRequest
from tierwise.types import Message, Request

Json = dict[str, msgspec.Raw]
_SYSTEM = msgspec.Raw(b'"system"')
_NULL = msgspec.Raw(b"null")
_JSON_OBJECT = msgspec.Raw(b'{"type":"json_object"}')
_messages = msgspec.json.Decoder(list[Json])


def adapt(request: Request) -> Request:
    """The request as DeepSeek takes it. Raises BadRequest for several answers at once, and for what is no text."""
    if request.n > 1:
        raise BadRequest("DeepSeek gives one answer a request: `n` must be 1", param="n")
    only_words(request, "DeepSeek", NAME)
    line = None if request.schema is None else _schema_line(request.schema)
    changes: dict[str, Any] = {"messages": _instructed(request.messages, line)}
    if line is not None:
        changes |= {"schema": None, "json_answer": True}
    if request.dialect == NAME:
        changes["body"] = _body(request, line)
    return msgspec.structs.replace(request, **changes)


def _schema_line(schema: dict[str, Any]) -> str:
    # its JSON mode knows no schemas, and asks that the word "JSON" stand in the prompt
    return f"Answer with one JSON document that satisfies this JSON Schema: {msgspec.json.encode(schema).decode()}"


def _instructed(messages: Iterable[Message], line: str | None) -> tuple[Message, ...]:
    known = [
        msgspec.structs.replace(message, role="system") if message.role == "developer" else message
        for message in messages
    ]
    if line is not None:
        known.insert(_preamble([message.role for message in known]), Message("system", line))
    return tuple(known)


def _preamble(roles: list[Any]) -> int:
    """How many instructions a conversation begins with: the schema stands behind them, so their cache still holds."""
    return next((place for place, role in enumerate(roles) if role != "system"), len(roles))


# ------------------------------------------------------------------ the client's own body


def _body(request: Request, line: str | None) -> Json:
    body = dict(request.body)
    output = body.pop("max_completion_tokens", _NULL)
    if output != _NULL:
        body["max_tokens"] = output  # the only name that DeepSeek limits an answer by
    elif request.max_output is not None and body.get("max_tokens", _NULL) == _NULL:
        body["max_tokens"] = msgspec.Raw(b"%d" % request.max_output)
    if request.json_answer:
        body["response_format"] = _JSON_OBJECT
    said = bytes(body.get("messages", b"[]"))
    if line is None and b"developer" not in said and b"reasoning_content" not in said:
        return body  # nearly every request: nothing in its messages to change
    messages = _messages.decode(said)
    for message in messages:
        if _value(message, "role") == "developer":
            message["role"] = _SYSTEM
    _forget(messages)
    if line is not None:
        place = _preamble([_value(message, "role") for message in messages])
        messages.insert(place, {"role": _SYSTEM, "content": msgspec.Raw(msgspec.json.encode(line))})
    body["messages"] = msgspec.Raw(msgspec.json.encode(messages))
    return body


def _value(message: Json, field: str) -> Any:
    return msgspec.json.decode(message.get(field, b"null"))


def _forget(messages: list[Json]) -> None:
    """Takes the reasoning out of past turns that called no tool.

    A turn is what stands between two messages of the user. Where it called tools, all of its reasoning must come
    back, or the request is refused; elsewhere it is ignored, or refused by the models before V3.2.
    """
    turn: list[Json] = []
    for message in [*messages, {"role": msgspec.Raw(b'"user"')}]:
        if _value(message, "role") != "user":
            turn.append(message)
            continue
        if not any(_value(said, "tool_calls") for said in turn):
            for said in turn:
                said.pop("reasoning_content", None)
        turn = []
