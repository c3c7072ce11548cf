"""Requests and answers as they are kept for proof, and back: the words, without what only a wire needs.

What comes back is enough to ask another model the same, to compare answers and to train; pictures, files and unknown
fields of a client are not kept. What no file can hold, half of a surrogate pair, becomes a question mark.
Knows the nouns of `proof.py`, and nothing of where they are kept.
"""

from __future__ import annotations

import json
from typing import get_args

import msgspec

from tierwise.money import Entry
from tierwise.proof import Called, Offered, Said, Texts, Turn
from tierwise.types import Answer, Choice, Finish, Message, Request, Text, Tool, ToolCall

_UNSHOWN = "[a picture, file or sound, which is not kept]"
_FINISHES = frozenset(get_args(Finish))


def said_of(answer: Answer, entry: Entry) -> Said:
    """The first choice of a whole answer, and what it cost. Never raises, whatever the texts are."""
    choice = answer.choices[0] if answer.choices else Choice()
    calls = [{_sound(call.name): _sound(call.arguments)} for call in choice.tool_calls]
    finish = choice.finish or "stop"
    if calls and finish == "stop":  # as some providers end a call that they were told to make
        finish = "tool_calls"
    return Said(
        model=answer.model,
        response=msgspec.json.encode(calls).decode() if calls else _sound(choice.text or choice.refusal),
        finish=finish,
        input_tokens=entry.usage.input_tokens,
        output_tokens=entry.usage.output_tokens,
        nanos=entry.nanos,
        seconds=entry.total_ms / 1000,
    )


def answer_of(said: Said) -> Answer:
    """A whole answer again. Tool calls have lost their ids."""
    calls = _calls(said) if said.finish == "tool_calls" else ()
    finish: Finish = said.finish if said.finish in _FINISHES else "stop"  # type: ignore[assignment]
    return Answer(said.model, (Choice("" if calls else said.response, tool_calls=calls, finish=finish),))


def texts_of(request: Request, route: str, at_ns: int, said: tuple[Said, ...]) -> Texts | None:
    """None for a request with pictures and the like: without them it is not the same question. Never raises."""
    if not all(_worded(message) for message in request.messages):
        return None
    return Texts(
        request_id=request.id,
        route=route,
        at_ns=at_ns,
        messages=tuple([_turn(message) for message in request.messages]),
        said=said,
        tools=tuple([Offered(_sound(tool.name), _sound(tool.description), _schema(tool)) for tool in request.tools]),
        tags=tuple(sorted(map(_sound, request.tags))),
        json_answer=request.json_answer,
    )


def turns_of(request: Request) -> tuple[Turn, ...]:
    """The conversation in words, for a person; of a picture, file or sound only that there is one. Never raises."""
    return tuple([_turn(_described(message)) for message in request.messages])


def _described(message: Message) -> Message:
    if isinstance(message.content, str):
        return message
    lines = [part.text if isinstance(part, Text) else _UNSHOWN for part in message.content]
    return msgspec.structs.replace(message, content="\n".join(lines))


def request_of(texts: Texts, asked: str) -> Request:
    """The same question, whole, as whoever is asked it now gets it; `asked` names the route."""
    return Request(
        id=texts.request_id,
        asked=asked,
        messages=tuple([_message(turn) for turn in texts.messages]),
        tools=tuple([Tool(tool.name, tool.description, _parameters(tool)) for tool in texts.tools]),
        tags=frozenset(texts.tags),
        json_answer=texts.json_answer,
        dialect="kept",  # nobody's wire: every provider writes it anew, from its neutral fields
    )


def _worded(message: Message) -> bool:
    return isinstance(message.content, str) or all(isinstance(part, Text) for part in message.content)


def _turn(message: Message) -> Turn:
    calls = [Called(_sound(call.id), _sound(call.name), _sound(call.arguments)) for call in message.tool_calls]
    return Turn(message.role, _sound(message.text), tuple(calls), _sound(message.tool_call_id))


def _message(turn: Turn) -> Message:
    calls = tuple([ToolCall(call.id, call.name, call.arguments) for call in turn.calls])
    return Message(turn.role, turn.text, calls, turn.answers)  # type: ignore[arg-type]


def _calls(said: Said) -> tuple[ToolCall, ...]:
    try:
        items = msgspec.json.decode(said.response, type=list[dict[str, str]])
    except ValueError:  # malformed, another shape, lone surrogates
        return ()
    return tuple([ToolCall("", name, arguments) for item in items for name, arguments in item.items()])


def _schema(tool: Tool) -> str:
    return "" if tool.parameters is None else _sound(json.dumps(tool.parameters, ensure_ascii=False))


def _parameters(tool: Offered) -> dict[str, object] | None:
    return msgspec.json.decode(tool.parameters, type=dict[str, object]) if tool.parameters else None


def _sound(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
