"""Anthropic Messages, towards clients: requests in.

Knows the body of `POST /v1/messages` (version 2023-06-01; source: the types of Anthropic's SDK 2.13) and nothing of
sockets, keys or routes. A provider of the same wire gets the client's own body, so what is not read here is not lost;
what another wire can't say stays visible as `Foreign`, to be refused there by name.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from tierwise.dialects import parts
from tierwise.dialects.anthropic_answers import NAME
from tierwise.dialects.openai_chat import MOST, decode_body
from tierwise.errors import BadRequest
from tierwise.types import Foreign, Image, Message, Part, Request, Text, Tool, ToolCall

_CHOICE = {"auto": "auto", "none": "none", "any": "required"}


class _Inner(msgspec.Struct):
    """A block inside a tool's result, or inside a document."""

    type: str
    text: str = ""
    source: Any = None  # of images and documents; other kinds have sources of their own
    title: str | None = None
    context: str | None = None
    citations: Any = None


class _Source(msgspec.Struct):
    type: str
    media_type: str = ""
    data: str = ""
    url: str = ""
    content: str | list[_Inner] = ""


def _nothing() -> msgspec.Raw:
    return msgspec.Raw(b"{}")


class _Block(_Inner):
    id: str = ""
    name: str = ""
    input: msgspec.Raw = msgspec.field(default_factory=_nothing)
    tool_use_id: str = ""
    content: Any = None  # of a tool's result: text or blocks; other kinds have shapes of their own


class _Message(msgspec.Struct):
    role: Literal["user", "assistant", "system"]
    content: str | list[_Block]


class _Tool(msgspec.Struct):
    name: str = ""
    type: str = "custom"
    description: str = ""
    input_schema: dict[str, Any] | None = None
    strict: bool = False


class _Choice(msgspec.Struct):
    type: str
    name: str = ""
    disable_parallel_tool_use: bool = False


class _Format(msgspec.Struct):
    type: str
    schema: dict[str, Any] | None = None


class _Output(msgspec.Struct):
    format: _Format | None = None


class Body(msgspec.Struct):
    """What is read of a request; other fields travel on to providers of the same wire."""

    model: str
    messages: list[_Message]
    max_tokens: int
    system: str | list[_Block] | None = None
    stream: bool | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop_sequences: list[str] | None = None
    tools: list[_Tool] | None = None
    tool_choice: _Choice | None = None
    output_config: _Output | None = None
    output_format: _Format | None = None  # how betas of 2025 said the same


class Countable(Body):
    """What `count_tokens` takes: the same without a limit to the answer."""

    max_tokens: int = 1


_request = msgspec.json.Decoder(Body)
_countable = msgspec.json.Decoder(Countable)
_inner = list[_Inner]


def decode_request(data: bytes, request_id: str, tags: frozenset[str] = frozenset()) -> Request:
    """One request body. `request_id` is ours, unique. Raises BadRequest that names the field that is wrong."""
    return _decode(_request, data, request_id, tags)


def decode_countable(data: bytes, request_id: str) -> Request:
    """The body of `POST /v1/messages/count_tokens`. Raises BadRequest."""
    return _decode(_countable, data, request_id, frozenset())


def _decode(decoder: msgspec.json.Decoder[Any], data: bytes, request_id: str, tags: frozenset[str]) -> Request:
    wire, body = decode_body(decoder, data)
    return _neutral(wire, body, request_id, tags)


def _neutral(wire: Body, body: dict[str, msgspec.Raw], request_id: str, tags: frozenset[str]) -> Request:
    if not wire.messages:
        raise BadRequest("messages must hold at least one message.", param="messages")
    if not 1 <= wire.max_tokens <= MOST:
        raise BadRequest(f"max_tokens must be between 1 and {MOST}, got {wire.max_tokens}.", param="max_tokens")
    if wire.temperature is not None and not 0 <= wire.temperature <= 1:
        raise BadRequest(f"temperature must be between 0 and 1, got {wire.temperature}.", param="temperature")
    choice = wire.tool_choice
    output = (wire.output_config.format if wire.output_config else None) or wire.output_format
    return Request(
        id=request_id,
        asked=wire.model,
        messages=tuple(_messages(wire)),
        stream=bool(wire.stream),
        usage_asked=True,  # this wire always tells
        max_output=wire.max_tokens,
        temperature=wire.temperature,
        top_p=wire.top_p,
        stop=tuple(wire.stop_sequences or ()),
        tools=tuple([_tool(tool) for tool in wire.tools or () if tool.type == "custom"]),
        tool_choice="auto" if choice is None else _CHOICE.get(choice.type, choice.name),
        parallel_tools=choice is None or not choice.disable_parallel_tool_use,
        json_answer=output is not None,
        schema=output.schema if output is not None else None,
        foreign=tuple([f"a tool of type {tool.type[:64]}" for tool in wire.tools or () if tool.type != "custom"]),
        tags=tags,
        dialect=NAME,
        body=body,
    )


def _messages(wire: Body) -> list[Message]:
    found: list[Message] = []
    if isinstance(wire.system, str):
        found.append(Message("system", wire.system))
    elif wire.system:
        found.append(Message("system", _parts(wire.system, "system")))
    for place, message in enumerate(wire.messages):
        if isinstance(message.content, str):
            found.append(Message(message.role, message.content))
        else:
            found += _turn(message.role, message.content, f"messages[{place}].content")
    return found


def _turn(role: Literal["user", "assistant", "system"], blocks: list[_Block], where: str) -> list[Message]:
    """A turn's blocks: the results of tools as messages of their own, as they answer the turn before."""
    results = [_result(block, f"{where}[{at}]") for at, block in enumerate(blocks) if block.type == "tool_result"]
    calls = tuple([_call(block) for block in blocks if block.type == "tool_use"])
    said = _parts([block for block in blocks if block.type not in ("tool_result", "tool_use")], where)
    if not said and not calls and results:
        return results
    return [*results, Message(role, _plain(said), calls)]


def _plain(found: tuple[Part, ...]) -> str | tuple[Part, ...]:
    """A single text as text: so every wire writes it as its clients do."""
    if not found:
        return ""
    return found[0].text if len(found) == 1 and isinstance(found[0], Text) else found


def _parts(blocks: Sequence[_Inner], where: str) -> tuple[Part, ...]:
    """Without thoughts: they are of use to the model alone that had them, which gets the client's own body."""
    found: list[Part] = []
    for at, block in enumerate(blocks):
        match block.type:
            case "thinking" | "redacted_thinking":
                pass
            case "text":
                found.append(Text(block.text))
            case "image":
                found.append(_image(block, f"{where}[{at}]"))
            case "document":
                found += _document(block, f"{where}[{at}]")
            case _:
                found.append(Foreign(block.type, NAME))
    return tuple(found)


def _image(block: _Inner, where: str) -> Part:
    source = _source(block, where)
    if source.type == "url":
        return Image(source.url)
    if source.type == "base64":
        return Image(f"data:{source.media_type};base64,{source.data}")
    return Foreign(f"image by {source.type}", NAME)


def _document(block: _Inner, where: str) -> tuple[Part, ...]:
    """With its context before it. One that is to be cited stays foreign: no other wire's answers can cite."""
    source, name = _source(block, where), block.title or ""
    if isinstance(block.citations, dict) and block.citations.get("enabled"):
        return (Foreign("document with citations", NAME),)
    before = (Text(block.context),) if block.context else ()
    match source.type:
        case "base64":
            url = f"data:{source.media_type};base64,{source.data}"
            return (*before, parts.document(url, name, f"{where}.source"))
        case "url":
            return (*before, parts.document(source.url, name, f"{where}.source"))
        case "text":
            return (*before, parts.plain(source.data, name))
        case "content":
            return (*before, *_content(source.content, name, where))
    return (Foreign(f"document by {source.type}", NAME),)


def _content(content: str | list[_Inner], name: str, where: str) -> tuple[Part, ...]:
    """Of a document that its client has written itself: a text, or blocks, which every wire has."""
    if isinstance(content, str):
        return (parts.plain(content, name),)
    titled = (Text(name),) if name else ()
    return (*titled, *_parts(content, f"{where}.source.content"))


def _source(block: _Inner, where: str) -> _Source:
    if block.source is None:
        raise BadRequest(f"{where} is of type {block.type} but has no source.", param=where)
    try:
        return msgspec.convert(block.source, _Source)
    except msgspec.ValidationError as error:
        raise BadRequest(f"{where}.source is none of {block.type}: {error}.", param=f"{where}.source") from None


def _call(block: _Block) -> ToolCall:
    return ToolCall(block.id, block.name, bytes(block.input).decode())


def _result(block: _Block, where: str) -> Message:
    if not block.tool_use_id:
        raise BadRequest(f"{where} is the result of a tool, but of no call.", param=f"{where}.tool_use_id")
    if block.content is None or isinstance(block.content, str):
        return Message("tool", block.content or "", tool_call_id=block.tool_use_id)
    try:
        inner = msgspec.convert(block.content, _inner)
    except msgspec.ValidationError:
        raise BadRequest(
            f"{where}.content must be a text, or a list of content blocks.", param=f"{where}.content"
        ) from None
    return Message("tool", _plain(_parts(inner, f"{where}.content")), tool_call_id=block.tool_use_id)


def _tool(wire: _Tool) -> Tool:
    return Tool(wire.name, wire.description, wire.input_schema, wire.strict)
