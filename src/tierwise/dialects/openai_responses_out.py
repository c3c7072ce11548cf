"""OpenAI Responses, towards clients: answers, streams and errors out.

Source: OpenAI's API reference and the types of its SDK 3 (2026-08). A provider's own JSON (`Chunk.wire`) of the same
wire goes out as it came, encrypted reasoning and all; everything else is written from the neutral values: of a
reasoning model's thoughts goes out what its provider showed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from tierwise.dialects import sse
from tierwise.dialects.openai_chat import Label
from tierwise.dialects.openai_responses import NAME
from tierwise.errors import ClientError, TierwiseError
from tierwise.types import Answer, Choice, Chunk, Finish, Request, ToolDelta, Usage

Json = dict[str, Any]
Kind = Literal["reasoning", "text", "refusal", "call"]

DIGITS = 15  # of an event's number, at the most: others are none that an error of ours could follow
_PARTS: dict[Kind, Json] = {
    "reasoning": {"type": "reasoning_text", "text": ""},
    "text": {"type": "output_text", "text": "", "annotations": [], "logprobs": []},
    "refusal": {"type": "refusal", "refusal": ""},
}
_EVENTS: dict[Kind, str] = {
    "reasoning": "response.reasoning_text",
    "text": "response.output_text",
    "refusal": "response.refusal",
    "call": "response.function_call_arguments",
}
_WORDS: dict[Kind, str] = {"reasoning": "text", "text": "text", "refusal": "refusal", "call": "arguments"}
_ECHOED: Json = {  # what a response says of its request, where the client did not say it
    "instructions": None,
    "max_output_tokens": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "reasoning": {"effort": None, "summary": None},
    "store": True,
    "temperature": None,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_p": None,
    "truncation": "disabled",
    "user": None,
}


class _Item:
    """One item of the output, as far as it has grown."""

    __slots__ = ("call_id", "id", "index", "kind", "name", "pieces")

    def __init__(self, kind: Kind, index: int, request: Request, piece: ToolDelta | None = None) -> None:
        self.kind = kind
        self.index = index
        self.pieces: list[str] = []  # of its text: a string that grew by each would be copied each time
        self.call_id = piece.id if piece else ""
        self.name = piece.name if piece else ""
        prefix = {"reasoning": "rs", "call": "fc"}.get(kind, "msg")
        self.id = f"{prefix}_{request.id.removeprefix('req_')}_{index}"

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    @property
    def part(self) -> Json:
        return _PARTS[self.kind] | {_WORDS[self.kind]: self.text}

    @property
    def place(self) -> Json:
        place: Json = {"item_id": self.id, "output_index": self.index}
        return place if self.kind == "call" else place | {"content_index": 0}

    def json(self, status: str) -> Json:
        if self.kind == "call":
            called = {"call_id": self.call_id, "name": self.name, "arguments": self.text}
            return {"type": "function_call", "id": self.id, "status": status, **called}
        content = [] if status == "in_progress" else [self.part]
        if self.kind == "reasoning":
            return {"type": "reasoning", "id": self.id, "summary": [], "content": content}
        return {"type": "message", "id": self.id, "status": status, "role": "assistant", "content": content}


class _Head(msgspec.Struct):
    """What is read of a provider's own event."""

    type: str = ""
    sequence_number: msgspec.Raw = msgspec.Raw(b"")  # whatever it is, it goes on
    response: msgspec.Raw = msgspec.Raw(b"")


_head = msgspec.json.Decoder(_Head)
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])


def encode_answer(answer: Answer, request: Request, label: Label) -> bytes:
    """The body of a response."""
    last = answer.chunks[-1] if answer.chunks else None
    if last is not None and last.wire is not None and last.dialect == NAME:
        ended = bytes(_head.decode(last.wire).response)  # of a stream, its last event holds it
        return _continued(ended or last.wire, request)
    choice = answer.choices[0] if answer.choices else Choice()
    items: list[_Item] = []
    for kind, text in _spoken(choice):
        if text:
            items.append(_Item(kind, len(items), request))
            items[-1].pieces.append(text)
    for call in choice.tool_calls:
        items.append(_Item("call", len(items), request, ToolDelta(0, call.id, call.name)))
        items[-1].pieces.append(call.arguments)
    return msgspec.json.encode(_response(request, label, items, choice.finish or "stop", answer.usage or Usage()))


def _continued(response: bytes, request: Request) -> bytes:
    """A provider's response, which does not know that it goes on from another."""
    if not request.continues:
        return response
    return msgspec.json.encode(_fields.decode(response) | {"previous_response_id": request.continues})


def _spoken(said: Choice | Chunk) -> tuple[tuple[Kind, str], ...]:
    """In the order in which their items come."""
    return ("reasoning", said.reasoning), ("text", said.text), ("refusal", said.refusal)


def _response(request: Request, label: Label, items: list[_Item], finish: Finish | None, usage: Usage | None) -> Json:
    """With `finish` None: one that has begun."""
    reason = {"length": "max_output_tokens", "content_filter": "content_filter"}.get(finish or "")
    status = "in_progress" if finish is None else "incomplete" if reason else "completed"
    echoed = {name: request.body[name] for name in _ECHOED if name in request.body}
    return {
        **_ECHOED,
        **echoed,
        "id": label.id,
        "object": "response",
        "created_at": label.created,
        "completed_at": label.created if status == "completed" else None,
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": {"reason": reason} if reason else None,
        "model": label.model,
        "output": [item.json("incomplete" if reason else "completed") for item in items],
        "usage": None if usage is None else encode_usage(usage),
    }


def encode_usage(usage: Usage) -> Json:
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cache_read_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }


class _Numbered:
    """Writes a stream's events, each with its number."""

    __slots__ = ("number", "wired")

    def __init__(self) -> None:
        self.number = 0
        self.wired = False  # the events are the provider's own: it begins and ends everything itself

    def passed(self, wire: bytes, request: Request) -> bytes:
        """An event of the provider's own."""
        self.wired = True
        head = _head.decode(wire)
        number = bytes(head.sequence_number)
        if number.isdigit() and len(number) <= DIGITS:
            self.number = int(number) + 1
        if bytes(head.response) and request.continues:
            response = msgspec.Raw(_continued(bytes(head.response), request))
            wire = msgspec.json.encode(_fields.decode(wire) | {"response": response})
        return sse.encode(wire, head.type)

    def __call__(self, kind: str, fields: Json) -> bytes:
        number, self.number = self.number, self.number + 1
        return sse.encode(msgspec.json.encode({"type": kind, "sequence_number": number, **fields}), kind)


class StreamEncoder:
    """Chunks to the numbered events of one stream: items in order, each begun and ended once."""

    __slots__ = ("_calls", "_event", "_finish", "_items", "_label", "_open", "_request", "_usage")

    def __init__(self, request: Request, label: Label) -> None:
        self._request = request
        self._label = label
        self._items: list[_Item] = []
        self._open: _Item | None = None  # what grows and is no call
        self._calls: dict[int, _Item] = {}  # by a call's place; each grows until the end
        self._event = _Numbered()
        self._finish: Finish | None = None
        self._usage = Usage()

    def encode(self, batch: Sequence[Chunk]) -> bytes:
        """The events for `batch`; may be none."""
        return b"".join(
            [
                self._written(chunk)
                if chunk.wire is None or chunk.dialect != NAME
                else self._event.passed(chunk.wire, self._request)
                for chunk in batch
            ]
        )

    def done(self) -> bytes:
        """The end of a stream that came to its end. A torn stream never gets it."""
        if self._event.wired:
            return b""
        events = (b"" if self._event.number else self._start()) + self._close()
        for item in self._calls.values():
            events += self._end(item)
        response = _response(self._request, self._label, self._items, self._finish or "stop", self._usage)
        return events + self._event(f"response.{response['status']}", {"response": response})

    def error(self, error: TierwiseError) -> bytes:
        """An honest end for a stream that can't go on: the SDKs raise on it."""
        told = _told(error)
        return self._event("error", {name: told[name] for name in ("code", "message", "param")} | {"error": told})

    def _written(self, chunk: Chunk) -> bytes:
        events = b"" if self._event.number else self._start()
        for kind, text in _spoken(chunk):
            if text:
                events += self._grow(kind, text)
        for piece in chunk.tool_calls:
            events += self._call(piece)
        if chunk.finish is not None:
            self._finish = chunk.finish
        if chunk.usage is not None:
            self._usage = chunk.usage
        return events

    def _start(self) -> bytes:
        response = _response(self._request, self._label, [], None, None)
        return self._event("response.created", {"response": response}) + self._event(
            "response.in_progress", {"response": response}
        )

    def _grow(self, kind: Kind, text: str) -> bytes:
        events = b""
        if self._open is None or self._open.kind != kind:
            events = self._close() + self._begin(_Item(kind, len(self._items), self._request))
            self._open = self._items[-1]
            events += self._event("response.content_part.added", self._open.place | {"part": self._open.part})
        return events + self._delta(self._open, text)

    def _call(self, piece: ToolDelta) -> bytes:
        events = b""
        if piece.index not in self._calls:
            events = self._close() + self._begin(_Item("call", len(self._items), self._request, piece))
            self._calls[piece.index] = self._items[-1]
        return events + self._delta(self._calls[piece.index], piece.arguments) if piece.arguments else events

    def _begin(self, item: _Item) -> bytes:
        self._items.append(item)
        return self._event("response.output_item.added", {"output_index": item.index, "item": item.json("in_progress")})

    def _delta(self, item: _Item, text: str) -> bytes:
        item.pieces.append(text)
        logprobs: Json = {"logprobs": []} if item.kind == "text" else {}
        return self._event(f"{_EVENTS[item.kind]}.delta", item.place | {"delta": text} | logprobs)

    def _close(self) -> bytes:
        item, self._open = self._open, None
        return b"" if item is None else self._end(item)

    def _end(self, item: _Item) -> bytes:
        place = item.place
        said: Json = {_WORDS[item.kind]: item.text} | ({"logprobs": []} if item.kind == "text" else {})
        events = self._event(f"{_EVENTS[item.kind]}.done", place | said)
        if item.kind != "call":
            events += self._event("response.content_part.done", place | {"part": item.part})
        whole = {"output_index": item.index, "item": item.json("completed")}
        return events + self._event("response.output_item.done", whole)


def _told(error: TierwiseError) -> Json:
    param = error.param if isinstance(error, ClientError) else None
    return {"type": error.kind, "code": error.code or error.kind, "message": error.message, "param": param}
