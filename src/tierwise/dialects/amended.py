"""A client's request, changed in the little that a gateway has to: in its neutral fields and in its own body alike.

A provider of the same wire is sent the client's own body, so what were changed in the neutral fields alone would not
reach it; and what nobody here reads stays in it as it is. Knows where each wire keeps what is changed, and not why.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from tierwise.dialects import anthropic_answers, openai_chat, openai_responses
from tierwise.types import Message, Request, Tool

Json = dict[str, msgspec.Raw]
FORMS: Mapping[str, str] = {
    openai_chat.NAME: "response_format",
    openai_responses.NAME: "text.format",
    anthropic_answers.NAME: "output_config.format",
}
"""The field that a client asks for a form of the answer by, for errors."""

_FORMED = {openai_chat.NAME: ("response_format",), anthropic_answers.NAME: ("output_format",)}
_BESIDE = {openai_responses.NAME: "text", anthropic_answers.NAME: "output_config"}  # says other things too
_TOOLS = ("tools", "tool_choice", "parallel_tool_calls")
_INSTRUCTIONS = frozenset({"system", "developer"})
_NULL = msgspec.Raw(b"null")
_NOTHING = (b"null", b'""')
_object = msgspec.json.Decoder(Json)
_raws = msgspec.json.Decoder(list[msgspec.Raw])


def formless(request: Request) -> Request:
    """Without the form that the answer was to have."""
    body = dict(request.body)
    for name in _FORMED.get(request.dialect, ()):
        body.pop(name, None)
    beside = _BESIDE.get(request.dialect)
    if beside is not None and bytes(body.get(beside, _NULL)) != b"null":
        said = _object.decode(body[beside])
        said.pop("format", None)
        body[beside] = _raw(said)
    return msgspec.structs.replace(request, json_answer=False, schema=None, body=body)


def offered(request: Request, tool: Tool) -> Request:
    """With `tool` as the only one, which must be called. The wires write the tools of a body that has none."""
    body = {name: raw for name, raw in request.body.items() if name not in _TOOLS}
    return msgspec.structs.replace(request, tools=(tool,), tool_choice=tool.name, parallel_tools=False, body=body)


def instructed(request: Request, line: str) -> Request:
    """With one more instruction, behind those that the conversation begins with: so their cache still holds."""
    messages = list(request.messages)
    messages.insert(_preamble([message.role for message in messages]), Message("system", line))
    return _changed(request, messages, _INSTRUCTED, line)


def continued(request: Request, turns: Sequence[Message]) -> Request:
    """With more turns of words at its end."""
    said = [{"role": turn.role, "content": turn.text} for turn in turns]
    return _changed(request, [*request.messages, *turns], _CONTINUED, said)


def _changed(
    request: Request, messages: list[Message], by_wire: Mapping[str, Callable[[Json, Any], None]], what: Any
) -> Request:
    body = dict(request.body)
    if request.dialect in by_wire:
        by_wire[request.dialect](body, what)
    return msgspec.structs.replace(request, messages=tuple(messages), body=body)


def _raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


def _preamble(roles: Sequence[str]) -> int:
    """How many instructions a conversation begins with."""
    return next((place for place, role in enumerate(roles) if role not in _INSTRUCTIONS), len(roles))


def _instruct_chat(body: Json, line: str) -> None:
    messages = _raws.decode(body["messages"])
    roles = [msgspec.json.decode(_object.decode(message)["role"]) for message in messages]
    messages.insert(_preamble(roles), _raw({"role": "system", "content": line}))
    body["messages"] = _raw(messages)


def _instruct_anthropic(body: Json, line: str) -> None:
    said = body.get("system", _NULL)
    if bytes(said).startswith(b"["):
        before: list[Any] = _raws.decode(said)
    else:
        before = [{"type": "text", "text": said}] if bytes(said) not in _NOTHING else []
    body["system"] = _raw([*before, {"type": "text", "text": line}])


def _instruct_responses(body: Json, line: str) -> None:
    said = bytes(body.get("instructions", _NULL))
    more = msgspec.json.encode(f"\n\n{line}")
    body["instructions"] = _raw(line) if said in _NOTHING else msgspec.Raw(said[:-1] + more[1:])


def _continue_messages(body: Json, turns: list[Any]) -> None:
    body["messages"] = _raw([*_raws.decode(body["messages"]), *turns])


def _continue_input(body: Json, turns: list[Any]) -> None:
    said = body.get("input", b'""')
    text = bytes(said).startswith(b'"')
    before = [{"role": "user", "content": said}] if text else _raws.decode(said)
    body["input"] = _raw([*before, *turns])


_INSTRUCTED: Mapping[str, Callable[[Json, Any], None]] = {
    openai_chat.NAME: _instruct_chat,
    openai_responses.NAME: _instruct_responses,
    anthropic_answers.NAME: _instruct_anthropic,
}
_CONTINUED: Mapping[str, Callable[[Json, Any], None]] = {
    openai_chat.NAME: _continue_messages,
    openai_responses.NAME: _continue_input,
    anthropic_answers.NAME: _continue_messages,
}
