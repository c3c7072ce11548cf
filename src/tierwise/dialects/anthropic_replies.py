"""Anthropic Messages, towards clients: answers, streams and errors out.

Knows the replies of `POST /v1/messages` (version 2023-06-01; source: the types of Anthropic's SDK 2.13). A provider's
own JSON (`Chunk.wire`) of the same wire goes out as it came, signatures of thinking and all; everything else is written
from the neutral values.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from tierwise.dialects import sse
from tierwise.dialects.anthropic_answers import NAME
from tierwise.dialects.openai_chat import Label
from tierwise.errors import TierwiseError, Torn
from tierwise.types import Answer, Choice, Chunk, Finish, Request, ToolDelta, Usage

Json = dict[str, Any]

_REASON: dict[Finish | None, str] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
    None: "end_turn",
}
_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    409: "invalid_request_error",
    413: "request_too_large",
    422: "invalid_request_error",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}


class _Block(msgspec.Struct):
    type: str = ""


class _Kind(msgspec.Struct):
    type: str = "ping"
    index: int = 0
    content_block: _Block | None = None


_kind = msgspec.json.Decoder(_Kind)

# ------------------------------------------------------------------ whole answers


def encode_answer(answer: Answer, request: Request, label: Label) -> bytes:
    """The body of a message. Raises Torn where a call's arguments are no JSON object: this wire can't say them."""
    wire = answer.chunks[0].wire if answer.chunks else None
    if wire is not None and answer.chunks[0].dialect == NAME:
        return wire
    choice = answer.choices[0] if answer.choices else Choice()
    body = _message(label, _content(choice, request, answer.model), answer.usage or Usage(), _REASON[choice.finish])
    return msgspec.json.encode(body)


def _message(label: Label, content: list[Json], usage: Usage, reason: str | None) -> Json:
    return {
        "id": label.id,
        "type": "message",
        "role": "assistant",
        "model": label.model,
        "content": content,
        "stop_reason": reason,
        "stop_sequence": None,
        "usage": encode_usage(usage),
    }


def _content(choice: Choice, request: Request, model: str) -> list[Json]:
    blocks: list[Json] = []
    if choice.reasoning and thinks(request):
        blocks.append({"type": "thinking", "thinking": choice.reasoning, "signature": ""})
    text = choice.text or choice.refusal
    if text or not choice.tool_calls:
        blocks.append({"type": "text", "text": text})
    for call in choice.tool_calls:
        arguments = _input(call.arguments, model)
        blocks.append({"type": "tool_use", "id": call.id, "name": call.name, "input": arguments})
    return blocks


def thinks(request: Request) -> bool:
    """Whether the client asked for thoughts: others would not know what to do with them."""
    asked = request.body.get("thinking")
    return asked is not None and b'"disabled"' not in bytes(asked) and bytes(asked) != b"null"


def _input(arguments: str, model: str) -> msgspec.Raw:
    text = arguments.strip() or "{}"
    try:
        msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, RecursionError):
        raise Torn(model, "the arguments of a tool call are no JSON object") from None
    return msgspec.Raw(text.encode())


def encode_usage(usage: Usage) -> Json:
    """On this wire the tokens that were cached do not count as input."""
    fresh = usage.input_tokens - usage.cache_read_tokens - usage.cache_write_tokens
    return {
        "input_tokens": max(fresh, 0),
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "cache_read_input_tokens": usage.cache_read_tokens,
        "output_tokens": usage.output_tokens,
    }


# ------------------------------------------------------------------ streams


class StreamEncoder:
    """Chunks to the events of one stream: blocks in order, each begun and ended once.

    A provider's own events go out as they came; what is written among them goes on with the block that they opened,
    and where they stop before their end the stream is ended for them. Once an end has been written nothing of theirs
    goes out.
    """

    __slots__ = ("_calls", "_ended", "_finish", "_label", "_next", "_open", "_started", "_stopped", "_thinks", "_usage")

    def __init__(self, request: Request, label: Label) -> None:
        self._label = label
        self._thinks = thinks(request)
        self._started = False
        self._ended: set[str] = set()  # of the events that end a message, those that a provider sent itself
        self._open: tuple[str, int] | None = None  # the text or thinking block that grows: its kind and index
        self._calls: dict[int, int] = {}  # a tool call's place -> its block, which stays open to the end
        self._stopped: set[int] = set()  # blocks that a provider has ended itself
        self._next = 0
        self._finish: Finish | None = None
        self._usage = Usage()

    def encode(self, batch: Sequence[Chunk]) -> bytes:
        """The events for `batch`; may be none."""
        return b"".join([self._passed(chunk) if chunk.dialect == NAME else self._written(chunk) for chunk in batch])

    def done(self) -> bytes:
        """The end of a stream that came to its end. A torn stream never gets it."""
        if "message_stop" in self._ended:
            return b""
        events = self._start() + self._close()
        for index in self._calls.values():
            if index not in self._stopped:
                events += _event("content_block_stop", {"index": index})
        if "message_delta" not in self._ended:
            delta = {"stop_reason": _REASON[self._finish], "stop_sequence": None}
            events += _event("message_delta", {"delta": delta, "usage": encode_usage(self._usage)})
        return events + _event("message_stop", {})

    @staticmethod
    def error(error: TierwiseError) -> bytes:
        """An honest end for a stream that can't go on: the SDKs raise on it."""
        return sse.encode(encode_error(error), "error")

    def _passed(self, chunk: Chunk) -> bytes:
        if chunk.wire is None or self._finish is not None:
            return b""
        event = _kind.decode(chunk.wire)
        self._follow(event)
        if chunk.usage is not None:
            self._usage = chunk.usage
        return sse.encode(chunk.wire, event.type)

    def _follow(self, event: _Kind) -> None:
        """What is open, once a provider's own event has gone out."""
        match event.type:
            case "message_start":
                self._started = True
            case "content_block_start" if event.content_block is not None:
                self._next = event.index + 1
                if event.content_block.type == "tool_use":
                    self._calls[len(self._calls)] = event.index
                else:
                    self._open = event.content_block.type, event.index
            case "content_block_stop":
                self._stopped.add(event.index)
                if self._open is not None and self._open[1] == event.index:
                    self._open = None
            case "message_delta" | "message_stop":
                self._ended.add(event.type)

    def _written(self, chunk: Chunk) -> bytes:
        events = self._start()
        if chunk.reasoning and self._thinks:
            events += self._grow("thinking", "thinking_delta", chunk.reasoning)
        if chunk.text or chunk.refusal:
            events += self._grow("text", "text_delta", chunk.text + chunk.refusal)
        for piece in chunk.tool_calls:
            events += self._call(piece)
        if chunk.finish is not None:
            self._finish = chunk.finish
        if chunk.usage is not None:
            self._usage = chunk.usage
        return events

    def _start(self) -> bytes:
        if self._started:
            return b""
        self._started = True
        return _event("message_start", {"message": _message(self._label, [], Usage(), None)})

    def _grow(self, kind: str, delta: str, text: str) -> bytes:
        events = b""
        if self._open is None or self._open[0] != kind:
            events = self._close()
            self._open = kind, self._next
            empty = {"type": kind, kind: ""} | ({"signature": ""} if kind == "thinking" else {})
            events += self._begin(empty)
        return events + _event("content_block_delta", {"index": self._open[1], "delta": {"type": delta, kind: text}})

    def _call(self, piece: ToolDelta) -> bytes:
        events = b""
        if piece.index not in self._calls:
            events = self._close()
            self._calls[piece.index] = self._next
            events += self._begin({"type": "tool_use", "id": piece.id, "name": piece.name, "input": {}})
        if piece.arguments:
            delta = {"type": "input_json_delta", "partial_json": piece.arguments}
            events += _event("content_block_delta", {"index": self._calls[piece.index], "delta": delta})
        return events

    def _begin(self, block: Json) -> bytes:
        index, self._next = self._next, self._next + 1
        return _event("content_block_start", {"index": index, "content_block": block})

    def _close(self) -> bytes:
        if self._open is None:
            return b""
        index, self._open = self._open[1], None
        return _event("content_block_stop", {"index": index})


def _event(kind: str, fields: Json) -> bytes:
    return sse.encode(msgspec.json.encode({"type": kind, **fields}), kind)


# ------------------------------------------------------------------ errors and counts


def encode_error(error: TierwiseError, request_id: str = "") -> bytes:
    """The error object of this API; `request_id` where it is not in a header already."""
    body: Json = {"type": "error", "error": {"type": _KINDS.get(error.status, "api_error"), "message": error.message}}
    if request_id:
        body["request_id"] = request_id
    return msgspec.json.encode(body)


def encode_count(tokens: int) -> bytes:
    """What `count_tokens` answers."""
    return msgspec.json.encode({"input_tokens": tokens})
