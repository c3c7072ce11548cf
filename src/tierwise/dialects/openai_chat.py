"""OpenAI Chat Completions, towards clients: requests in; answers, streams and errors out.

Source: OpenAI's API reference and openapi document (2026-08). The provider side of the same wire is
`openai_upstream.py`; what both share is here. A provider's own JSON (`Chunk.wire`) goes out as it came, so that
fields nobody here reads are not lost; everything else is written from the neutral values.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal, TypeVar

import msgspec

from tierwise.dialects import parts, sse
from tierwise.errors import BadRequest, ClientError, TierwiseError
from tierwise.types import (
    Answer,
    Choice,
    Chunk,
    Foreign,
    Image,
    Message,
    Part,
    Request,
    Role,
    Text,
    Tool,
    ToolCall,
    ToolDelta,
    Usage,
)

NAME = "openai_chat"
DONE = b"[DONE]"
T = TypeVar("T")

# ------------------------------------------------------------------ requests in


class _Function(msgspec.Struct):
    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class _Tool(msgspec.Struct):
    type: str
    function: _Function | None = None


class _CalledFunction(msgspec.Struct):
    name: str
    arguments: str


class _ToolCall(msgspec.Struct):
    id: str
    function: _CalledFunction


class _ImageUrl(msgspec.Struct):
    url: str
    detail: str | None = None


class _Part(msgspec.Struct):
    type: str
    text: str | None = None
    image_url: _ImageUrl | None = None
    file: parts.File | None = None
    input_audio: parts.Sound | None = None


class _Message(msgspec.Struct):
    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[_Part] | None = None
    tool_calls: list[_ToolCall] | None = None
    tool_call_id: str | None = None


class _JsonSchema(msgspec.Struct):
    schema: dict[str, Any] | None = None


class _ResponseFormat(msgspec.Struct):
    type: str
    json_schema: _JsonSchema | None = None


class _StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


class _NamedFunction(msgspec.Struct):
    name: str


class _NamedTool(msgspec.Struct):
    function: _NamedFunction


class Body(msgspec.Struct):
    """What is read of a request; other fields travel on to providers of the same wire."""

    model: str
    messages: list[_Message]
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    logprobs: bool | None = None
    n: int | None = None
    max_completion_tokens: int | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop: str | list[str] | None = None
    tools: list[_Tool] | None = None
    tool_choice: str | _NamedTool | None = None
    parallel_tool_calls: bool | None = None
    response_format: _ResponseFormat | None = None


_PARTS = frozenset({"text", "image_url", "file", "input_audio"})
_request = msgspec.json.Decoder(Body)
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
MOST = 1 << 31  # tokens of an answer that may be asked for: what they would cost must be a number that can be booked
_RANGES = (("n", 1, 128), ("max_completion_tokens", 1, MOST), ("max_tokens", 1, MOST), ("temperature", 0, 2))


def decode_request(data: bytes, request_id: str, tags: frozenset[str] = frozenset()) -> Request:
    """One request body. `request_id` is ours, unique. Raises BadRequest that names the field that is wrong."""
    wire, body = decode_body(_request, data)
    if not wire.messages:
        raise BadRequest("messages must hold at least one message.", param="messages")
    check_ranges(wire, _RANGES)
    form = wire.response_format
    schema = form.json_schema.schema if form and form.type == "json_schema" and form.json_schema else None
    return Request(
        id=request_id,
        asked=wire.model,
        messages=tuple([_message(message, index) for index, message in enumerate(wire.messages)]),
        stream=bool(wire.stream),
        usage_asked=bool(wire.stream_options and wire.stream_options.include_usage),
        logprobs_asked=bool(wire.logprobs),
        n=wire.n or 1,
        max_output=wire.max_completion_tokens or wire.max_tokens,
        temperature=wire.temperature,
        top_p=wire.top_p,
        stop=(wire.stop,) if isinstance(wire.stop, str) else tuple(wire.stop or ()),
        tools=tuple([_tool(tool.function) for tool in wire.tools if tool.function]) if wire.tools else (),
        tool_choice="auto" if wire.tool_choice is None else _choice(wire.tool_choice),
        parallel_tools=wire.parallel_tool_calls is not False,
        json_answer=form is not None and form.type in ("json_object", "json_schema"),
        schema=schema,
        foreign=tuple([f"a tool of type {tool.type[:64]}" for tool in wire.tools or () if not tool.function]),
        tags=tags,
        dialect=NAME,
        body=body,
    )


def decode_body(decoder: msgspec.json.Decoder[T], data: bytes) -> tuple[T, dict[str, msgspec.Raw]]:
    """A client's body as what is read of it, and its own fields as they are. Raises BadRequest. For every dialect."""
    try:
        str(data, "utf-8")
        return decoder.decode(data), _fields.decode(data)
    except (UnicodeDecodeError, RecursionError, msgspec.DecodeError) as error:
        raise bad_request(error) from None


def check_ranges(wire: msgspec.Struct, ranges: Iterable[tuple[str, int, int]]) -> None:
    """Of the fields of these names that were given. Raises BadRequest."""
    for name, low, high in ranges:
        value = getattr(wire, name)
        if value is not None and not low <= value <= high:
            raise BadRequest(f"{name} must be between {low} and {high}, got {value}.", param=name)


def bad_request(error: UnicodeDecodeError | RecursionError | msgspec.DecodeError) -> BadRequest:
    """What is wrong with a body that could not be decoded, in any dialect of JSON."""
    if isinstance(error, msgspec.ValidationError):
        reason, _, path = str(error).partition(" - at `$")
        param = path.rstrip("`").removeprefix(".") or None
        where = f" in {param}" if param else ""
        return BadRequest(f"Invalid request body{where}: {reason}.", param=param)
    if isinstance(error, UnicodeDecodeError):
        return BadRequest(f"The request body is not UTF-8 (byte {error.start}).", code="invalid_json")
    if isinstance(error, RecursionError):
        return BadRequest("The request body is nested too deeply.", code="invalid_json")
    return BadRequest(f"The request body is not valid JSON: {error}.", code="invalid_json")


def _message(wire: _Message, index: int) -> Message:
    content: str | tuple[Part, ...]
    if wire.content is None or isinstance(wire.content, str):
        content = wire.content or ""
    else:
        content = tuple([_part(part, f"messages[{index}].content[{at}]") for at, part in enumerate(wire.content)])
    role: Role = "tool" if wire.role == "function" else wire.role
    calls = tuple([ToolCall(c.id, c.function.name, c.function.arguments) for c in wire.tool_calls or ()])
    return Message(role, content, calls, wire.tool_call_id or "")


def _part(wire: _Part, where: str) -> Part:
    if wire.type not in _PARTS:
        return Foreign(wire.type, NAME)
    match getattr(wire, wire.type):
        case str(text):
            return Text(text)
        case _ImageUrl(url=url, detail=detail):
            return Image(url, detail)
        case parts.File() as file:
            return parts.file(file, "file", f"{where}.file", NAME)
        case parts.Sound() as sound:
            return parts.audio(sound, f"{where}.input_audio")
    raise BadRequest(f"{where} is of type {wire.type} but has no {wire.type}.", param=where)


def _tool(wire: _Function) -> Tool:
    return Tool(wire.name, wire.description or "", wire.parameters, bool(wire.strict))


def _choice(wire: str | _NamedTool) -> str:
    return wire if isinstance(wire, str) else wire.function.name


# ------------------------------------------------------------------ answers out


class Label(msgspec.Struct, frozen=True):
    """What an answer written from neutral values says of itself: id, Unix seconds, the model's name."""

    id: str
    created: int
    model: str


def encode_answer(answer: Answer, request: Request, label: Label) -> bytes:
    """The body of a `chat.completion`."""
    wire = answer.chunks[0].wire if answer.chunks else None
    if wire is not None and answer.chunks[0].dialect == NAME:
        return wire if request.logprobs_asked or not answer.choices[0].logprobs else _without_logprobs(wire)
    choices = [
        {"index": index, "message": _said(choice), "logprobs": None, "finish_reason": choice.finish or "stop"}
        for index, choice in enumerate(answer.choices)
    ]
    body = {**_head(label, "chat.completion"), "choices": choices, "usage": encode_usage(answer.usage or Usage())}
    return msgspec.json.encode(body)


def _head(label: Label, kind: str) -> dict[str, Any]:
    return {"id": label.id, "object": kind, "created": label.created, "model": label.model}


def _said(choice: Choice) -> dict[str, Any]:
    message: dict[str, Any] = {
        "role": "assistant",
        "content": choice.text if choice.text or not choice.tool_calls else None,
        "refusal": choice.refusal or None,
    }
    if choice.reasoning:
        message["reasoning_content"] = choice.reasoning
    if choice.tool_calls:
        message["tool_calls"] = [encode_call(call) for call in choice.tool_calls]
    return message


def encode_call(call: ToolCall) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def encode_usage(usage: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {
            "cached_tokens": usage.cache_read_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
        },
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }


_choices = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])


def _without_logprobs(wire: bytes) -> bytes:
    """Evidence that the verifier asked for and the client did not: taken out again."""
    body = _fields.decode(wire)
    choices = _choices.decode(body["choices"])
    for choice in choices:
        choice.pop("logprobs", None)
    body["choices"] = msgspec.Raw(msgspec.json.encode(choices))
    return msgspec.json.encode(body)


class StreamEncoder:
    """Chunks to the events of one stream. Holds what a stream must say only once."""

    __slots__ = ("_begun", "_label", "_logprobs", "_usage_asked", "_wire")

    def __init__(self, request: Request, label: Label) -> None:
        self._label = label
        self._logprobs = request.logprobs_asked
        self._usage_asked = request.usage_asked
        self._begun: set[int] = set()
        self._wire: bytes | None = None  # the provider's own event that went out last

    def encode(self, batch: Sequence[Chunk]) -> bytes:
        """The events for `batch`; may be none."""
        events: list[bytes] = []
        plain: list[bytes] = []  # nearly all that a provider of the same wire sends: as they came, all at once
        for chunk in batch:
            if chunk.wire is not None and chunk.dialect == NAME and chunk.usage is None and not chunk.logprobs:
                self._wire = chunk.wire
                self._begun.add(chunk.index)
                plain.append(chunk.wire)
            else:
                events += sse.encode_many(plain), self._event(chunk)
                plain.clear()
        return b"".join([*events, sse.encode_many(plain)])

    def _event(self, chunk: Chunk) -> bytes:
        if chunk.dialect != NAME:
            return self._written(chunk)
        if chunk.wire is None:  # another choice of an event that has gone out already
            return b""
        if chunk.usage is not None and not self._usage_asked and _only_usage(chunk):
            return b""
        self._wire = chunk.wire
        self._begun.add(chunk.index)
        if chunk.logprobs and not self._logprobs:
            return sse.encode(_without_logprobs(chunk.wire))
        return sse.encode(chunk.wire)

    def _written(self, chunk: Chunk) -> bytes:
        head = _head(self._label, "chat.completion.chunk") | named(self._wire)
        events = b""
        delta = _delta(chunk)
        if delta or chunk.finish is not None:
            if chunk.index not in self._begun:
                self._begun.add(chunk.index)
                delta = {"role": "assistant", "content": "", **delta}
            choice = {"index": chunk.index, "delta": delta, "logprobs": None, "finish_reason": chunk.finish}
            events = sse.encode(msgspec.json.encode({**head, "choices": [choice]}))
        if chunk.usage is not None and self._usage_asked:
            usage = {**head, "choices": [], "usage": encode_usage(chunk.usage)}
            events += sse.encode(msgspec.json.encode(usage))
        return events

    @staticmethod
    def done() -> bytes:
        """The mark of a stream that came to its end. A torn stream never gets it."""
        return sse.encode(DONE)

    @staticmethod
    def error(error: TierwiseError) -> bytes:
        """An honest end for a stream that can't go on: the SDKs raise on it."""
        return sse.encode(encode_error(error), "error")


def named(wire: bytes | None) -> dict[str, Any]:
    """What a stream says of itself whose other events are its provider's own."""
    fields = {} if wire is None else _fields.decode(wire)
    return {name: fields[name] for name in ("id", "created", "model") if name in fields}


def _only_usage(chunk: Chunk) -> bool:
    return not (chunk.text or chunk.reasoning or chunk.refusal or chunk.tool_calls or chunk.finish)


def _delta(chunk: Chunk) -> dict[str, Any]:
    delta: dict[str, Any] = {}
    if chunk.text:
        delta["content"] = chunk.text
    if chunk.reasoning:
        delta["reasoning_content"] = chunk.reasoning
    if chunk.refusal:
        delta["refusal"] = chunk.refusal
    if chunk.tool_calls:
        delta["tool_calls"] = [_tool_delta(piece) for piece in chunk.tool_calls]
    return delta


def _tool_delta(piece: ToolDelta) -> dict[str, Any]:
    function: dict[str, Any] = {"arguments": piece.arguments}
    if not piece.id:
        return {"index": piece.index, "function": function}
    return {"index": piece.index, "id": piece.id, "type": "function", "function": {"name": piece.name, **function}}


def encode_error(error: TierwiseError) -> bytes:
    """The error object of OpenAI's API: all four keys, always."""
    param = error.param if isinstance(error, ClientError) else None
    body = {"message": error.message, "type": error.kind, "param": param, "code": error.code}
    return msgspec.json.encode({"error": body})
