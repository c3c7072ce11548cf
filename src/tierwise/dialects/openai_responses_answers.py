"""OpenAI Responses, towards providers: answers and stream events in. Errors are those of `openai_upstream.py`.

Source: the types of OpenAI's SDK 3 (2026-08). What is not read here, such as encrypted reasoning and the calls of the
provider's own tools, stays in `Chunk.wire`. A response has ended when it is `completed`, or `incomplete` and says why.
"""

from __future__ import annotations

from typing import Any

import msgspec

from tierwise.dialects.openai_responses import NAME
from tierwise.dialects.openai_usage import read_usage, word
from tierwise.errors import WireError
from tierwise.types import Chunk, Finish, ToolDelta, Usage

BETWEEN = "\n\n"  # pieces of reasoning
_NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)  # the last: nested too deep
_USAGE = {
    "input_tokens": "prompt_tokens",
    "input_tokens_details": "prompt_tokens_details",
    "output_tokens": "completion_tokens",
    "output_tokens_details": "completion_tokens_details",
}
_BUSY = ("overloaded", "rate_limit", "server_error", "server_is", "429", "503", "vector_store_timeout")
Call = tuple[int, int]
"""A call's place among the calls, and how many characters of its arguments have come."""


class _Logprob(msgspec.Struct):
    logprob: float | None = None


class _Piece(msgspec.Struct):
    """A part of a message, or of reasoning."""

    type: str = ""
    text: str = ""
    refusal: str = ""
    logprobs: Any = None


class _Item(msgspec.Struct):
    type: str
    call_id: str | None = None
    name: str | None = None
    arguments: Any = None  # of other calls than those of functions: any shape
    content: Any = None
    summary: Any = None


class _Error(msgspec.Struct):
    code: str | int | None = None
    type: str | None = None


class _Incomplete(msgspec.Struct):
    reason: str | None = None


class _Response(msgspec.Struct):
    status: str | None = None
    output: list[_Item] = []
    error: _Error | str | None = None
    incomplete_details: _Incomplete | None = None
    usage: Any = None  # any shape: a count that makes no sense must not cost the answer
    service_tier: Any = None


class _Event(msgspec.Struct):
    """Where a field is not of the type that it has in the events read here, the event may be another's."""

    type: str = ""
    output_index: int = 0
    summary_index: int = 0
    content_index: int = 0
    delta: Any = None
    text: Any = None
    refusal: Any = None
    arguments: Any = None
    logprobs: Any = None
    item: _Item | None = None
    response: _Response | None = None
    error: _Error | str | None = None
    code: Any = None


_read_response = msgspec.json.Decoder(_Response).decode
_read_event = msgspec.json.Decoder(_Event).decode

# ------------------------------------------------------------------ whole answers


def decode_answer(data: bytes) -> tuple[Chunk, ...]:
    """A whole answer as one chunk. Raises WireError where it is none, has not ended, or tells of an error."""
    try:
        str(data, "utf-8")  # what is not read goes on as it came: it must not break a client's own reader
        response = _read_response(data)
        said = [(item, _pieces(item)) for item in response.output]
        spoken = [piece for item, pieces in said if item.type == "message" for piece in pieces]
        logprobs = tuple([value for piece in spoken for value in _logprobs(piece.logprobs)])
    except _NOT_JSON:
        raise WireError("the answer is not what a response looks like") from None
    finish = _finish(response)
    thoughts = [piece.text for item, pieces in said if item.type == "reasoning" for piece in pieces if piece.text]
    calls = [item for item in response.output if item.type == "function_call"]
    return (
        Chunk(
            text="".join([piece.text for piece in spoken if piece.type == "output_text"]),
            reasoning=BETWEEN.join(thoughts),
            refusal="".join([piece.refusal for piece in spoken]),
            tool_calls=tuple([_begun(place, call, _text(call.arguments)) for place, call in enumerate(calls)]),
            finish="tool_calls" if calls and finish == "stop" else finish,
            logprobs=logprobs,
            usage=_usage(response),
            wire=data,
            dialect=NAME,
        ),
    )


def _pieces(item: _Item) -> list[_Piece]:
    """What a message, or reasoning, consists of. Raises msgspec.ValidationError."""
    found: list[_Piece] = []
    if item.type in ("message", "reasoning"):
        for parts in (item.summary, item.content):
            found += msgspec.convert(parts, list[_Piece]) if parts else ()
    return found


def _begun(place: int, call: _Item, arguments: str) -> ToolDelta:
    if not call.call_id or not call.name:
        raise WireError("a call of a function without its id or its name")
    return ToolDelta(place, call.call_id, call.name, arguments)


def _text(value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise WireError("a piece of the answer that is no text")
    return value


def _logprobs(rows: Any) -> tuple[float, ...]:
    """Raises msgspec.ValidationError."""
    if not rows:
        return ()
    return tuple([row.logprob for row in msgspec.convert(rows, list[_Logprob]) if row.logprob is not None])


def _finish(response: _Response) -> Finish:
    """Raises WireError for a response that failed, or has not ended."""
    if response.error is not None or response.status == "failed":
        raise _in_band(response.error)
    if response.status == "completed":
        return "stop"
    if response.status != "incomplete":
        raise WireError("the response has not ended")
    reason = response.incomplete_details.reason if response.incomplete_details else None
    # a reason that is not known yet is no proof that the answer is whole
    return "content_filter" if reason == "content_filter" else "length"


def _usage(response: _Response) -> Usage | None:
    wire = response.usage
    if not isinstance(wire, dict):
        return None
    told: dict[str, Any] = {_USAGE.get(str(name), str(name)): value for name, value in wire.items()}
    return read_usage(told, word(response.service_tier))


def _in_band(error: _Error | str | None, code: object = None) -> WireError:
    kind = f"{error.code or ''} {error.type or ''}" if isinstance(error, _Error) else f"{code or ''}"
    overloaded = any(busy in kind for busy in _BUSY)
    return WireError("the provider reported an error inside its answer", overloaded=overloaded)


# ------------------------------------------------------------------ streams


class StreamDecoder:
    """The events of one stream to chunks. `finished` once the response has ended as it should.

    Every event becomes a chunk, as clients of this wire are to see them all. A server that leaves out the pieces of a
    text or of arguments tells them whole when they are done: what has not come by then comes there.
    """

    __slots__ = ("_calls", "_texts", "_thought", "finished")

    def __init__(self) -> None:
        self.finished = False
        self._calls: dict[int, Call] = {}  # by the place of the item among all items
        self._texts: dict[tuple[int, int], int] = {}  # by the places of item and part: characters that have come
        self._thought: tuple[int, bool, int] | None = None  # where the last piece of reasoning stands

    def feed(self, event: str, data: bytes) -> Chunk | None:
        """The chunk of one event, None where the response has ended. Raises WireError: errors in-band, broken order.

        The event says itself what it is: `event`, its name outside the JSON, is not needed.
        """
        if self.finished:
            return None
        try:
            str(data, "utf-8")
            wire = _read_event(data)
            step = _STEPS.get(wire.type)
            if step is not None:
                return step(self, wire, data)
        except _NOT_JSON:
            raise WireError("an event of the stream is not of this dialect") from None
        if not wire.type or not wire.type.isprintable():  # it goes on as the name of an event
            raise WireError("an event of the stream does not say what it is")
        return Chunk(wire=data, dialect=NAME)

    def _item(self, event: _Event, data: bytes) -> Chunk:
        item, index = event.item, event.output_index
        if item is None or item.type != "function_call":
            return Chunk(wire=data, dialect=NAME)
        arguments = _text(item.arguments)
        if index in self._calls:
            return self._called(index, arguments[self._calls[index][1] :], data)
        place = len(self._calls)
        self._calls[index] = place, len(arguments)
        return Chunk(tool_calls=(_begun(place, item, arguments),), wire=data, dialect=NAME)

    def _arguments(self, event: _Event, data: bytes) -> Chunk:
        index = event.output_index
        if index not in self._calls:
            raise WireError("a piece of a call that has not begun")
        if event.type.endswith(".delta"):
            return self._called(index, _text(event.delta), data)
        return self._called(index, _text(event.arguments)[self._calls[index][1] :], data)

    def _called(self, index: int, more: str, data: bytes) -> Chunk:
        if not more:
            return Chunk(wire=data, dialect=NAME)
        place, come = self._calls[index]
        self._calls[index] = place, come + len(more)
        return Chunk(tool_calls=(ToolDelta(place, arguments=more),), wire=data, dialect=NAME)

    def _words(self, event: _Event, data: bytes) -> Chunk:
        place = event.output_index, event.content_index
        come = self._texts.get(place, 0)
        fresh = event.type.endswith(".delta")
        refused = event.type.startswith("response.refusal")
        said = _text(event.delta) if fresh else _text(event.refusal if refused else event.text)[come:]
        self._texts[place] = come + len(said)
        if refused:
            return Chunk(refusal=said, wire=data, dialect=NAME)
        return Chunk(said, logprobs=_logprobs(event.logprobs) if fresh else (), wire=data, dialect=NAME)

    def _thinks(self, event: _Event, data: bytes) -> Chunk:
        delta = _text(event.delta)
        if delta:
            summary = event.type.startswith("response.reasoning_summary")
            place = event.output_index, summary, event.summary_index if summary else event.content_index
            before, self._thought = self._thought, place
            delta = delta if before in (None, place) else BETWEEN + delta
        return Chunk(reasoning=delta, wire=data, dialect=NAME)

    def _end(self, event: _Event, data: bytes) -> Chunk:
        response, status = event.response, event.type.removeprefix("response.")
        if response is None or response.status not in (None, status):
            raise WireError("a response that ended as something else than it says")
        response.status = status
        finish = _finish(response)
        if finish == "stop" and self._calls:
            finish = "tool_calls"
        self.finished = True
        return Chunk(finish=finish, usage=_usage(response), wire=data, dialect=NAME)

    def _failed(self, event: _Event, data: bytes) -> Chunk:
        response = event.response
        raise _in_band(event.error if response is None else response.error, event.code)


_STEPS = {
    "response.output_item.added": StreamDecoder._item,
    "response.output_item.done": StreamDecoder._item,
    "response.function_call_arguments.delta": StreamDecoder._arguments,
    "response.function_call_arguments.done": StreamDecoder._arguments,
    "response.output_text.delta": StreamDecoder._words,
    "response.output_text.done": StreamDecoder._words,
    "response.refusal.delta": StreamDecoder._words,
    "response.refusal.done": StreamDecoder._words,
    "response.reasoning_summary_text.delta": StreamDecoder._thinks,
    "response.reasoning_text.delta": StreamDecoder._thinks,
    "response.completed": StreamDecoder._end,
    "response.incomplete": StreamDecoder._end,
    "response.failed": StreamDecoder._failed,
    "response.cancelled": StreamDecoder._failed,
    "error": StreamDecoder._failed,
}
