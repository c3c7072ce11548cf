"""Anthropic Messages, towards providers: requests out.

Knows the body of `POST /v1/messages` (version 2023-06-01; source: the types of Anthropic's SDK 2.13) and nothing of
sockets, keys or routes. What this wire can't say is refused by name: a request is never changed silently.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from tierwise.dialects import parts
from tierwise.dialects.anthropic_answers import NAME
from tierwise.errors import BadRequest
from tierwise.types import Document, Image, Message, Model, Part, Request, Text, Tool, ToolCall

JSON_LINE = "Answer with one JSON document and nothing else."

_CHOICE = {"auto": "auto", "none": "none", "required": "any"}
_DATA_URL = re.compile(r"data:(image/(?:jpeg|png|gif|webp));base64,(.+)", re.DOTALL)
Json = dict[str, Any]


def encode_request(request: Request, model: Model) -> bytes:
    """The body to send. Raises BadRequest, `param` naming the field, for what this wire can't express."""
    return msgspec.json.encode(_own(request, model) if request.dialect == NAME else _written(request, model))


def _own(request: Request, model: Model) -> Json:
    """The client's own fields, as it spoke this dialect itself."""
    body: Json = dict(request.body)
    body["model"] = model.model
    if request.stream:
        body["stream"] = True
    if "max_tokens" not in body:
        body["max_tokens"] = model.max_output if request.max_output is None else request.max_output
    if request.tools and "tools" not in body:  # ours: a schema that is asked for as a tool
        body |= _tools(request)
    return body


def _written(request: Request, model: Model) -> Json:
    _refuse(request, model)
    system, turns = _turns(request.messages, model)
    if request.json_answer and request.schema is None:  # this wire has no JSON mode without a schema
        system.append({"type": "text", "text": JSON_LINE})
    if not turns:
        raise _unable(model, "needs at least one message of the user that is not empty", "messages")
    output = model.max_output if request.max_output is None else request.max_output
    body: Json = {"model": model.model, "max_tokens": output, "messages": turns}
    if system:
        body["system"] = system
    if request.stream:
        body["stream"] = True
    if request.temperature is not None:
        body["temperature"] = request.temperature
    if request.top_p is not None:
        body["top_p"] = request.top_p
    if request.stop:
        body["stop_sequences"] = request.stop
    if request.tools:
        body |= _tools(request)
    if request.schema is not None:
        body["output_config"] = {"format": {"type": "json_schema", "schema": request.schema}}
    return body


def _unable(model: Model, what: str, param: str) -> BadRequest:
    return BadRequest(f"model {model.name!r} is served by Anthropic, which {what}", param=param)


def _refuse(request: Request, model: Model) -> None:
    if request.foreign:
        raise _unable(model, f"does not take {request.foreign[0]} in this form", "tools")
    if request.n > 1:
        raise _unable(model, "gives one answer a request: `n` must be 1", "n")
    if request.logprobs_asked:
        raise _unable(model, "gives no log-probabilities", "logprobs")
    if request.temperature is not None and not 0 <= request.temperature <= 1:
        raise _unable(model, "takes a `temperature` from 0 to 1", "temperature")


def _turns(messages: Iterable[Message], model: Model) -> tuple[list[Json], list[Json]]:
    """(system blocks, turns that alternate). Neighbours of one side become one turn."""
    system: list[Json] = []
    turns: list[Json] = []
    for place, message in enumerate(messages):
        where = f"messages[{place}]"
        if message.role in {"system", "developer"}:
            system += _content(message, model, where)
            continue
        role = "assistant" if message.role == "assistant" else "user"
        blocks = _blocks(message, model, where)
        if not blocks:
            continue
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += blocks
        else:
            turns.append({"role": role, "content": blocks})
    return system, turns


def _blocks(message: Message, model: Model, where: str) -> list[Json]:
    content = _content(message, model, where)
    if message.role != "tool":
        return content + [_tool_use(call, f"{where}.tool_calls[{n}]") for n, call in enumerate(message.tool_calls)]
    if not message.tool_call_id:
        raise BadRequest(f"{where} is the result of a tool, but of no call", param=f"{where}.tool_call_id")
    result: Json = {"type": "tool_result", "tool_use_id": message.tool_call_id}
    if content:
        result["content"] = content
    return [result]


def _content(message: Message, model: Model, where: str) -> list[Json]:
    said: tuple[Part, ...] = (Text(message.content),) if isinstance(message.content, str) else message.content
    blocks: list[Json] = []
    for place, part in enumerate(said):
        if isinstance(part, Text):
            if part.text.strip():  # an empty block is an error there, and says nothing
                blocks.append({"type": "text", "text": part.text})
            continue
        param = f"{where}.content[{place}]"
        if not isinstance(part, Image | Document):
            raise _unable(model, f"does not take {part.what} in this form", param)
        if message.role not in {"user", "tool"}:
            raise _unable(model, "takes images and files from the user and from tools only", param)
        if isinstance(part, Image):
            blocks.append({"type": "image", "source": _source(part, model, param)})
        else:
            titled = {"title": part.name} if part.name else {}
            blocks.append({"type": "document", "source": _pages(part, model, param), **titled})
    return blocks


def _source(image: Image, model: Model, param: str) -> Json:
    if image.url.startswith("https://"):
        return {"type": "url", "url": image.url}
    if match := _DATA_URL.fullmatch(image.url):
        return {"type": "base64", "media_type": match[1], "data": match[2]}
    raise _unable(model, "takes images as https addresses, or JPEG, PNG, GIF and WebP as base64 data URLs", param)


def _pages(part: Document, model: Model, param: str) -> Json:
    said = parts.words(part, param)
    if said is not None:
        return {"type": "text", "media_type": "text/plain", "data": said}
    found = parts.data(part.url)
    if found is None:
        return {"type": "url", "url": part.url}
    if found.media != parts.PDF:
        raise _unable(model, f"takes files of text and PDF, not {found.media}", param)
    return {"type": "base64", "media_type": parts.PDF, "data": found.base64}


def _tool_use(call: ToolCall, where: str) -> Json:
    text = call.arguments.strip() or "{}"  # a call without arguments is often written as nothing
    try:
        msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, RecursionError):  # the second: nested too deep
        raise BadRequest(f"{where}: the arguments are no JSON object", param=f"{where}.function.arguments") from None
    return {"type": "tool_use", "id": call.id, "name": call.name, "input": msgspec.Raw(text.encode())}


def _tools(request: Request) -> Json:
    return {"tools": [_tool(tool) for tool in request.tools], "tool_choice": _choice(request)}


def _tool(tool: Tool) -> Json:
    schema: Json = {"type": "object"} if tool.parameters is None else tool.parameters
    encoded: Json = {"name": tool.name, "input_schema": schema}
    if tool.description:
        encoded["description"] = tool.description
    if tool.strict:
        encoded["strict"] = True
    return encoded


def _choice(request: Request) -> Json:
    kind = _CHOICE.get(request.tool_choice, "tool")
    choice: Json = {"type": kind}
    if kind == "tool":
        choice["name"] = request.tool_choice
    if not request.parallel_tools and kind != "none":
        choice["disable_parallel_tool_use"] = True
    return choice
