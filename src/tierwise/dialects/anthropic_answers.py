"""Anthropic Messages, towards providers: answers, stream events and errors in.

Knows the replies of `POST /v1/messages` (version 2023-06-01; source: the types of Anthropic's SDK 2.13) and nothing
of sockets or retries. What is not read here, such as the signatures of thinking, stays in `Chunk.wire`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from tierwise.dialects.openai_upstream import retry_after
from tierwise.dialects.openai_usage import count, word
from tierwise.errors import Overloaded, ProviderError, Refused, WireError
from tierwise.types import Chunk, Finish, ToolDelta, Usage

NAME = "anthropic"
Told = dict[str, Any]  # what a `usage` object says that makes sense: counts, and two words
_NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)  # the last: nested too deep

# pause_turn only ends turns of the provider's own server tools, which are never asked for here
_FINISH: dict[str, Finish] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}


class _Block(msgspec.Struct, frozen=True):
    type: str
    text: str = ""
    thinking: str = ""
    id: str = ""
    name: str = ""
    input: msgspec.Raw = msgspec.Raw(b"{}")


class _StopDetails(msgspec.Struct, frozen=True):
    explanation: str | None = None


class _Error(msgspec.Struct, frozen=True):
    type: str = ""
    message: str = ""


class _Message(msgspec.Struct, frozen=True):
    type: str
    content: list[_Block] = []
    stop_reason: str | None = None
    stop_details: _StopDetails | None = None
    usage: Any = None  # any shape: a count that makes no sense must not cost the answer
    error: _Error | None = None


class _Delta(msgspec.Struct, frozen=True):
    type: str = ""
    text: str = ""
    thinking: str = ""
    partial_json: str = ""
    stop_reason: str | None = None
    stop_details: _StopDetails | None = None


class _Event(msgspec.Struct, frozen=True):
    type: str = ""
    index: int = 0
    message: _Message | None = None
    content_block: _Block | None = None
    delta: _Delta = _Delta()
    usage: Any = None
    error: _Error | None = None


_read_message = msgspec.json.Decoder(_Message).decode
_read_event = msgspec.json.Decoder(_Event).decode


def decode_answer(data: bytes) -> tuple[Chunk, ...]:
    """A whole answer as one chunk. Raises WireError where it is not one, or has not ended."""
    try:
        str(data, "utf-8")  # what is not read goes on as it came: it must not break a client's own reader
        message = _read_message(data)
    except _NOT_JSON:
        raise WireError("the answer is not a message of this dialect") from None
    if message.type == "error":
        raise _in_band(message.error)
    if message.type != "message" or message.stop_reason is None:
        raise WireError("the answer is no message, or has no stop reason")
    blocks = message.content
    calls = [block for block in blocks if block.type == "tool_use"]
    return (
        Chunk(
            text="".join(block.text for block in blocks if block.type == "text"),
            reasoning="".join(block.thinking for block in blocks if block.type == "thinking"),
            refusal=_explanation(message.stop_details),
            tool_calls=tuple(ToolDelta(n, call.id, call.name, _arguments(call)) for n, call in enumerate(calls)),
            finish=_finish(message.stop_reason),
            usage=_usage(_known(message.usage)),
            wire=data,
            dialect=NAME,
        ),
    )


class StreamDecoder:
    """The events of one stream to chunks. `finished` once the message has ended as it should.

    Usage comes with the message's end only: at its start just the input is counted, and whoever took that for the
    whole would bill a torn stream too low. It stays in the first chunk's `wire`, where `begun` finds it.
    """

    __slots__ = ("_calls", "_finish", "_open", "_silent", "_started", "_usage", "finished")

    def __init__(self) -> None:
        self.finished = False
        self._started = False
        self._finish: Finish | None = None
        self._usage: Told = {}
        self._calls = 0
        self._open: dict[int, int | None] = {}  # a block -> its place among the tool calls, where it is one
        self._silent: set[int] = set()  # open tool calls that have had no arguments yet

    def feed(self, event: str, data: bytes) -> Chunk | None:
        """The chunk of one event, None where it adds nothing. Raises WireError: errors in-band, broken order."""
        if self.finished:
            return None
        try:
            str(data, "utf-8")
            wire = _read_event(data)
        except _NOT_JSON:
            raise WireError("an event of the stream is not of this dialect") from None
        kind = wire.type or event
        if kind == "error":
            raise _in_band(wire.error)
        step = _STEPS.get(kind)
        if step is None:  # pings, and what later versions add: to be ignored, by the dialect's own rules
            return None
        if self._started is (kind == "message_start"):
            raise WireError(f"{kind} out of order")
        return step(self, wire, data)

    def _start(self, event: _Event, data: bytes) -> Chunk:
        self._started = True
        if event.message is not None:
            self._usage = _known(event.message.usage)
        return Chunk(wire=data, dialect=NAME)

    def _block_start(self, event: _Event, data: bytes) -> Chunk:
        block = event.content_block
        if block is None or event.index in self._open:
            raise WireError("a content block without content, or one that is open already")
        if block.type != "tool_use":
            self._open[event.index] = None
            reasoning = block.thinking if block.type == "thinking" else ""
            return Chunk(block.text if block.type == "text" else "", 0, reasoning, wire=data, dialect=NAME)
        call, self._calls = self._calls, self._calls + 1
        self._open[event.index] = call
        arguments = _arguments(block)
        if arguments == "{}":  # how every call begins; its arguments follow, or it has none
            arguments = ""
            self._silent.add(event.index)
        return Chunk(tool_calls=(ToolDelta(call, block.id, block.name, arguments),), wire=data, dialect=NAME)

    def _block_delta(self, event: _Event, data: bytes) -> Chunk:
        if event.index not in self._open:
            raise WireError("a piece of a content block that is not open")
        delta = event.delta
        match delta.type:
            case "text_delta":
                return Chunk(delta.text, wire=data, dialect=NAME)
            case "thinking_delta":
                return Chunk(reasoning=delta.thinking, wire=data, dialect=NAME)
        call = self._open[event.index]
        if call is None or not delta.partial_json:  # signatures, citations, server tools: for this dialect's clients
            return Chunk(wire=data, dialect=NAME)
        self._silent.discard(event.index)
        return Chunk(tool_calls=(ToolDelta(call, arguments=delta.partial_json),), wire=data, dialect=NAME)

    def _block_stop(self, event: _Event, data: bytes) -> Chunk:
        call = self._open.pop(event.index, None)
        if call is None or event.index not in self._silent:
            return Chunk(wire=data, dialect=NAME)
        self._silent.discard(event.index)
        return Chunk(tool_calls=(ToolDelta(call, arguments="{}"),), wire=data, dialect=NAME)

    def _message_delta(self, event: _Event, data: bytes) -> Chunk:
        finish = None
        if event.delta.stop_reason is not None:
            finish = self._finish = _finish(event.delta.stop_reason)
        usage = None
        if event.usage is not None:
            told = _known(event.usage)
            self._usage = self._usage | told  # running totals: a later one replaces an earlier one, and adds nothing
            usage = _usage(self._usage) if "output_tokens" in told else None  # the start's output is not the answer's
        refusal = _explanation(event.delta.stop_details)
        return Chunk(refusal=refusal, finish=finish, usage=usage, wire=data, dialect=NAME)

    def _stop(self, event: _Event, data: bytes) -> Chunk:
        if self._finish is None:
            raise WireError("the message ended without a stop reason")
        self.finished = True
        return Chunk(wire=data, dialect=NAME)


_STEPS = {
    "message_start": StreamDecoder._start,
    "content_block_start": StreamDecoder._block_start,
    "content_block_delta": StreamDecoder._block_delta,
    "content_block_stop": StreamDecoder._block_stop,
    "message_delta": StreamDecoder._message_delta,
    "message_stop": StreamDecoder._stop,
}


def _arguments(block: _Block) -> str:
    return bytes(block.input).decode()


def _explanation(details: _StopDetails | None) -> str:
    return (details.explanation or "") if details is not None else ""


def _finish(reason: str) -> Finish:
    # a reason that is not known yet is no proof that the answer is whole
    return _FINISH.get(reason, "length")


# ------------------------------------------------------------------ usage in


def begun(chunk: Chunk) -> Usage | None:
    """What was counted when a stream began: its input, and the first tokens of its output at the most.

    For streams that were cut before they told more. None where `chunk` does not begin a stream of this dialect.
    """
    if chunk.dialect != NAME or chunk.wire is None or b"message_start" not in chunk.wire:
        return None
    try:
        message = _read_event(chunk.wire).message
    except _NOT_JSON:
        return None
    return None if message is None else _usage({"output_tokens": 0} | _known(message.usage))


_COUNTS = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")


def _known(wire: object) -> Told:
    """Of a `usage` object what makes sense. Without a total of what was written to the cache, its parts make one up."""
    if not isinstance(wire, dict):
        return {}
    known: Told = {name: found for name in _COUNTS if (found := count(wire.get(name))) is not None}
    details = wire.get("output_tokens_details")
    if isinstance(details, dict) and (thought := count(details.get("thinking_tokens"))) is not None:
        known["thinking_tokens"] = thought
    parts = wire.get("cache_creation")
    if isinstance(parts, dict):
        long_lived = count(parts.get("ephemeral_1h_input_tokens")) or 0
        written = (count(parts.get("ephemeral_5m_input_tokens")) or 0) + long_lived
        known["long_lived"] = long_lived
        if written > known.get("cache_creation_input_tokens", 0):
            known["cache_creation_input_tokens"] = written
    for name in ("service_tier", "inference_geo"):
        if said := word(wire.get(name)):
            known[name] = said
    if wire.get("speed") == "fast":  # has a price of its own, as a service tier has
        known["service_tier"] = "fast"
    return known


def _usage(known: Told) -> Usage | None:
    """None where input or output was not counted; an empty prompt is no prompt, and was not counted either."""
    read, written = known.get("cache_read_input_tokens", 0), known.get("cache_creation_input_tokens", 0)
    asked = known.get("input_tokens", 0) + read + written  # on this wire the three do not overlap
    if not asked or "input_tokens" not in known or "output_tokens" not in known:
        return None
    said, thought = known["output_tokens"], known.get("thinking_tokens", 0)
    return Usage(
        asked,
        said,
        read,
        written,
        thought if thought <= said else 0,
        cache_write_1h_tokens=min(known.get("long_lived", 0), written),
        service=known.get("service_tier", ""),
        region=known.get("inference_geo", ""),
    )


# ------------------------------------------------------------------ errors in

_KIND = re.compile(r"[a-z][a-z_]{0,63}")
_KEY = re.compile(r"\bsk-[\w-]+")
_BUSY = frozenset({"overloaded_error", "rate_limit_error"})
_TELLING = frozenset({400, 404, 422})  # statuses whose text helps whoever wrote the request


def _kind(error: _Error | None) -> str:
    return error.type if error is not None and _KIND.fullmatch(error.type) else ""


def _in_band(error: _Error | None) -> WireError:
    kind = _kind(error)
    return WireError(f"the provider reported {kind or 'an error'} inside its answer", overloaded=kind in _BUSY)


def decode_error(model: str, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
    """A non-2xx reply as an error. `model` is the configured name, `headers` have lower-case names.

    The provider's own words are kept, shortened, of a 400, 404 or 422; of all others only the error's type.
    """
    try:
        error = _read_message(body).error
    except _NOT_JSON:  # a proxy's page, or nothing
        error = None
    kind = _kind(error)
    told = f"{status} {kind}" if kind else str(status)
    if status in {408, 409, 425, 429} or status >= 500:
        return Overloaded(model, f"the provider answered {told}", retry_after=retry_after(headers), upstream=status)
    if status in {401, 403}:
        return Refused(model, f"the provider refused our key ({told}); see `tierwise doctor`", upstream=status)
    words = ""
    if status in _TELLING and error is not None and error.message:
        words = ": " + _KEY.sub("[redacted]", error.message)[:300]
    return Refused(model, f"the provider refused the request ({told}){words}", upstream=status)
