"""OpenAI Responses, towards clients: requests in.

Source: OpenAI's API reference and the types of its SDK 3 (2026-08). A provider of the same wire gets the client's own
body, so what is not read here is not lost; what another wire can't say stays visible as `Foreign`, to be refused there
by name. Knows nothing of where earlier responses are kept: `Request.continues` names one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from tierwise.dialects import parts
from tierwise.dialects.openai_chat import MOST, T, bad_request, decode_body
from tierwise.errors import BadRequest
from tierwise.types import Foreign, Image, Message, Part, Request, Text, Tool, ToolCall

NAME = "openai_responses"


class _Part(parts.File, kw_only=True):
    type: str
    text: str = ""
    refusal: str = ""
    image_url: str | None = None
    detail: str | None = None
    input_audio: parts.Sound | None = None


def _nothing() -> msgspec.Raw:
    return msgspec.Raw(b'""')


class _Item(msgspec.Struct):
    type: str = "message"
    role: Literal["user", "assistant", "system", "developer"] = "user"
    content: str | list[_Part] | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: msgspec.Raw = msgspec.field(
        default_factory=_nothing
    )  # of other kinds of items than those that are read: any shape
    output: msgspec.Raw = msgspec.field(default_factory=_nothing)


class _Tool(msgspec.Struct):
    type: str
    name: str = ""
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class _Named(msgspec.Struct):
    type: str
    name: str = ""


class _Format(msgspec.Struct):
    type: str
    schema: dict[str, Any] | None = None


class _TextOptions(msgspec.Struct):
    format: _Format | None = None


class Body(msgspec.Struct):
    """What is read of a request."""

    model: str
    input: str | list[_Item] = ""
    instructions: str | None = None
    stream: bool | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    tools: list[_Tool] | None = None
    tool_choice: str | _Named | None = None
    parallel_tool_calls: bool | None = None
    text: _TextOptions | None = None
    previous_response_id: str | None = None
    background: bool | None = None
    conversation: Any = None
    prompt: Any = None  # a template that its provider keeps


_request = msgspec.json.Decoder(Body)
_items = msgspec.json.Decoder(list[_Item])
_text = msgspec.json.Decoder(str)
_output = msgspec.json.Decoder(str | list[_Part])
_UNABLE = {
    "background": "Responses are answered at once here: `background` can't be true.",
    "conversation": "Conversations are not kept here; go on with `previous_response_id`, or send the whole input.",
}


def decode_request(data: bytes, request_id: str, tags: frozenset[str] = frozenset()) -> Request:
    """One request body. `request_id` is ours, unique. Raises BadRequest that names the field that is wrong."""
    wire, body = decode_body(_request, data)
    _check(wire)
    form = wire.text.format if wire.text else None
    choice = wire.tool_choice
    return Request(
        id=request_id,
        asked=wire.model,
        messages=tuple(_messages(wire)),
        stream=bool(wire.stream),
        usage_asked=True,  # this wire always tells
        max_output=wire.max_output_tokens,
        temperature=wire.temperature,
        top_p=wire.top_p,
        tools=tuple([_tool(tool) for tool in wire.tools or () if tool.type == "function"]),
        tool_choice="auto" if choice is None else choice if isinstance(choice, str) else choice.name or "auto",
        parallel_tools=wire.parallel_tool_calls is not False,
        json_answer=form is not None and form.type in ("json_object", "json_schema"),
        schema=form.schema if form is not None and form.type == "json_schema" else None,
        foreign=tuple(_foreign(wire)),
        continues=wire.previous_response_id or "",
        tags=tags,
        dialect=NAME,
        body=body,
    )


def decode_items(data: bytes) -> tuple[Message, ...]:
    """Items of an input, a JSON array, as messages. Raises BadRequest."""
    try:
        items = _items.decode(data)
    except (msgspec.DecodeError, RecursionError) as error:
        raise bad_request(error) from None
    found: list[Message] = []
    for place, item in enumerate(items):
        _add(found, item, f"input[{place}]")
    return tuple(found)


def _foreign(wire: Body) -> Iterator[str]:
    for tool in wire.tools or ():
        if tool.type != "function":
            yield f"a tool of type {tool.type[:64]}"
    if isinstance(wire.tool_choice, _Named) and wire.tool_choice.type != "function":
        yield f"a tool choice of type {wire.tool_choice.type[:64]}"
    if wire.prompt is not None:
        yield "a prompt that its provider keeps"


def _check(wire: Body) -> None:
    for name, words in _UNABLE.items():
        if getattr(wire, name):
            raise BadRequest(words, param=name)
    if not wire.input and not wire.previous_response_id and wire.prompt is None:
        raise BadRequest("input must hold a text, or at least one item.", param="input")
    most = wire.max_output_tokens
    if most is not None and not 1 <= most <= MOST:
        raise BadRequest(f"max_output_tokens must be between 1 and {MOST}, got {most}.", param="max_output_tokens")
    if wire.temperature is not None and not 0 <= wire.temperature <= 2:
        raise BadRequest(f"temperature must be between 0 and 2, got {wire.temperature}.", param="temperature")


def _messages(wire: Body) -> list[Message]:
    found = [Message("developer", wire.instructions)] if wire.instructions else []
    if isinstance(wire.input, str):
        return [*found, Message("user", wire.input)] if wire.input else found
    for place, item in enumerate(wire.input):
        _add(found, item, f"input[{place}]")
    return found


def _add(found: list[Message], item: _Item, where: str) -> None:
    """A call of a tool joins the words, and the other calls, of the same turn of the model."""
    match item.type:
        case "message":
            found.append(Message(item.role, _content(item.content, f"{where}.content")))
        case "function_call":
            arguments = _inside(_text, item.arguments, f"{where}.arguments")
            call = ToolCall(item.call_id or "", item.name or "", arguments)
            if found and found[-1].role == "assistant":
                last = found.pop()
                found.append(msgspec.structs.replace(last, tool_calls=(*last.tool_calls, call)))
            else:
                found.append(Message("assistant", "", (call,)))
        case "function_call_output":
            if not item.call_id:
                raise BadRequest(f"{where} is the result of a tool, but of no call.", param=f"{where}.call_id")
            output = _inside(_output, item.output, f"{where}.output")
            found.append(Message("tool", _content(output, f"{where}.output"), tool_call_id=item.call_id))
        case "reasoning":  # of use to the model alone that had it
            pass
        case _:
            found.append(Message("user", (Foreign(f"an item of type {item.type[:64]}", NAME),)))


def _inside(decoder: msgspec.json.Decoder[T], raw: msgspec.Raw, where: str) -> T:
    try:
        return decoder.decode(raw)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadRequest(f"{where} is not what a function has there: {error}.", param=where) from None


def _content(content: str | list[_Part] | None, where: str) -> str | tuple[Part, ...]:
    if content is None or isinstance(content, str):
        return content or ""
    found = tuple([_part(part, f"{where}[{at}]") for at, part in enumerate(content)])
    return found[0].text if len(found) == 1 and isinstance(found[0], Text) else found


def _part(wire: _Part, where: str) -> Part:
    match wire.type:
        case "input_text" | "output_text" | "text":
            return Text(wire.text)
        case "refusal":
            return Text(wire.refusal)
        case "input_image":
            if wire.image_url is None:
                raise BadRequest(f"{where} is an image without image_url; files are not kept here.", param=where)
            return Image(wire.image_url, wire.detail)
        case "input_file":
            return parts.file(wire, wire.type, where, NAME)
        case "input_audio" if wire.input_audio is not None:
            return parts.audio(wire.input_audio, f"{where}.input_audio")
    return Foreign(wire.type, NAME)


def _tool(wire: _Tool) -> Tool:
    return Tool(wire.name, wire.description or "", wire.parameters, wire.strict is not False)
