"""OpenAI Responses, towards providers: requests out.

Knows the body of `POST /v1/responses` (source: the types of OpenAI's SDK 3, 2026-08) and nothing of sockets, keys or
routes. A client of the same wire has its own body sent on; for others it is written anew, and what this wire can't
say is refused by name. Earlier responses are never named to a provider: whoever keeps them puts their items in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import msgspec

from tierwise.dialects import anthropic_answers, openai_chat
from tierwise.dialects.openai_responses import NAME
from tierwise.dialects.openai_upstream import waits
from tierwise.errors import BadRequest
from tierwise.types import Audio, Document, Image, Message, Model, Part, Request, Text, Tool

Json = dict[str, Any]
T = TypeVar("T")
LOGPROBS = "message.output_text.logprobs"
_ABSENT = (b"null", b"0", b"0.0", b"{}", b"[]", b'""')  # ways to ask for nothing
_UNABLE = ("logit_bias", "presence_penalty", "frequency_penalty", "functions", "audio", "web_search_options")
_SHARED = (  # what OpenAI calls the same on both of its wires
    "metadata", "prompt_cache_key", "prompt_cache_retention", "safety_identifier", "service_tier", "user",
)  # fmt: skip


def encode_request(request: Request, model: Model) -> bytes:
    """The body to POST. Raises BadRequest, `param` naming the field, for what this wire can't express."""
    body = _own(request) if request.dialect == NAME else _written(request, model)
    body["model"] = model.model
    if request.tools and "tools" not in body:  # a client's own body has its own, or they were taken out for ours
        body |= _tools(request)
    if request.stream:
        body["stream"] = True
    if request.max_output is not None and _said(body, "max_output_tokens") is None:
        body["max_output_tokens"] = request.max_output  # ours, where the client set none
    if waits(request, model) and _said(body, "service_tier") is None:
        body["service_tier"] = "flex"
    return msgspec.json.encode(body)


def _said(body: Mapping[str, Any], name: str) -> Any:
    """A field as it is in `body`; None for one that is not there, or null."""
    value = body.get(name)
    return None if isinstance(value, msgspec.Raw) and bytes(value) == b"null" else value


def _own(request: Request) -> Json:
    body: Json = dict(request.body)
    body.pop("previous_response_id", None)  # the gateway's own name for what it has put in
    return body


def _written(request: Request, model: Model) -> Json:
    _refuse(request, model)
    body: Json = {"input": encode_items(request.messages), "store": False}
    if model.logprobs:  # evidence; what is written anew for a client of another wire does not show it
        body["include"] = [LOGPROBS]
    if request.temperature is not None:
        body["temperature"] = request.temperature
    if request.top_p is not None:
        body["top_p"] = request.top_p
    if form := _form(request):
        body["text"] = form
    if effort := _effort(request):
        body["reasoning"] = {"effort": effort}
    if request.dialect == openai_chat.NAME:
        body |= {name: value for name in _SHARED if (value := _said(request.body, name)) is not None}
    return body


def _unable(model: Model, what: str, param: str) -> BadRequest:
    return BadRequest(f"model {model.name!r} is asked over OpenAI's Responses, which {what}.", param=param)


def _refuse(request: Request, model: Model) -> None:
    if request.foreign:
        raise _unable(model, f"does not take {request.foreign[0]} in this form", "tools")
    if request.n > 1:
        raise _unable(model, "gives one answer a request: `n` must be 1", "n")
    if request.stop:
        raise _unable(model, "has no stop sequences", "stop")
    if request.logprobs_asked:
        raise _unable(model, "gives no log-probabilities in this form", "logprobs")
    if request.dialect == openai_chat.NAME:
        given = [name for name in _UNABLE if bytes(request.body.get(name, b"null")) not in _ABSENT]
        if _said(request.body, "seed") is not None:  # 0 is one
            given.append("seed")
        if given:
            raise _unable(model, f"has no `{given[0]}`", given[0])


# ------------------------------------------------------------------ items


def encode_items(messages: Iterable[Message]) -> list[Json]:
    """Messages as items of `input`. Raises BadRequest for a part that has no place in one."""
    items: list[Json] = []
    for place, message in enumerate(messages):
        where = f"messages[{place}]"
        if message.role == "tool":
            if not message.tool_call_id:
                raise BadRequest(f"{where} is the result of a tool, but of no call.", param=f"{where}.tool_call_id")
            output = _content(message, where)
            items.append({"type": "function_call_output", "call_id": message.tool_call_id, "output": output})
            continue
        if message.content or not message.tool_calls:
            items += [{"type": "message", "role": message.role, "content": said} for said in _contents(message, where)]
        for call in message.tool_calls:
            called = {"call_id": call.id, "name": call.name, "arguments": call.arguments}
            items.append({"type": "function_call", **called})
    return items


def _contents(message: Message, where: str) -> list[str | list[Json]]:
    """A message's; of an assistant, whose parts have ids on this wire, each text as a message of its own."""
    if message.role != "assistant" or isinstance(message.content, str):
        return [_content(message, where)]
    return [part["text"] for part in _content(message, where) if isinstance(part, dict)]


def _content(message: Message, where: str) -> str | list[Json]:
    if isinstance(message.content, str):
        return message.content
    return [_part(part, message.role, f"{where}.content[{at}]") for at, part in enumerate(message.content)]


def _part(part: Part, role: str, where: str) -> Json:
    match part:
        case Text(text):
            return {"type": "input_text", "text": text}
        case Image(url, detail) if role != "assistant":
            return {"type": "input_image", "image_url": url, "detail": detail or "auto"}
        case Document(url, name) if role != "assistant":
            return {"type": "input_file", **_file(url, name)}
        case Audio(data, form) if role == "user":
            return {"type": "input_audio", "input_audio": {"data": data, "format": form}}
    what = "image" if isinstance(part, Image) else part.what
    raise BadRequest(f"A part of type {what} in a message of role {role} can't be sent as a response's.", param=where)


def _file(url: str, name: str) -> Json:
    if not url.startswith("data:"):
        return {"file_url": url}
    kind = url.removeprefix("data:").partition(";")[0].rpartition("/")[2]
    return {"filename": name or f"file.{'txt' if kind == 'plain' else kind}", "file_data": url}


# ------------------------------------------------------------------ tools, and the form of the answer


def _tools(request: Request) -> Json:
    return {
        "tools": [_tool(tool) for tool in request.tools],
        "tool_choice": _choice(request.tool_choice),
        "parallel_tool_calls": request.parallel_tools,
    }


def _tool(tool: Tool) -> Json:
    function = {"type": "function", "name": tool.name, "parameters": tool.parameters, "strict": tool.strict}
    return function | ({"description": tool.description} if tool.description else {})


def _choice(choice: str) -> str | Json:
    return choice if choice in ("auto", "none", "required") else {"type": "function", "name": choice}


class _Schema(msgspec.Struct):
    name: str = "answer"
    description: str | None = None
    strict: bool | None = None


class _Format(msgspec.Struct):
    json_schema: _Schema | None = None


class _Output(msgspec.Struct):
    effort: str | None = None


def _form(request: Request) -> Json:
    """The options `text`, empty where there are none. A client of chat has named its schema."""
    options: Json = {}
    if request.schema is not None:
        told = _read(request, openai_chat.NAME, "response_format", _Format)
        named = (told.json_schema if told else None) or _Schema()
        options["format"] = {"type": "json_schema", "name": named.name, "schema": request.schema}
        options["format"] |= {} if named.description is None else {"description": named.description}
        options["format"]["strict"] = bool(named.strict)
    elif request.json_answer:
        options["format"] = {"type": "json_object"}
    if (verbosity := _read(request, openai_chat.NAME, "verbosity", str)) is not None:
        options["verbosity"] = verbosity
    return options


def _effort(request: Request) -> str | None:
    """How much is to be thought, in the word of a client whose wire has one: they are the same words."""
    if (effort := _read(request, openai_chat.NAME, "reasoning_effort", str)) is not None:
        return effort
    output = _read(request, anthropic_answers.NAME, "output_config", _Output)
    return output.effort if output else None


def _read(request: Request, dialect: str, name: str, kind: type[T]) -> T | None:
    """A field that only clients of one dialect have, None where there is none. Raises BadRequest."""
    raw = _said(request.body, name) if request.dialect == dialect else None
    if raw is None:
        return None
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.ValidationError as error:
        raise BadRequest(f"Invalid request body in {name}: {error}.", param=name) from None
