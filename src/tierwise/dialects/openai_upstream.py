"""OpenAI Chat Completions, towards providers: requests out; answers, stream events and errors in.

Any OpenAI-compatible server speaks it (vLLM, Ollama, llama.cpp, DeepSeek, a cloud's endpoint), each with fields
of its own: what is not read here stays in `Chunk.wire`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from tierwise.dialects import parts
from tierwise.dialects.openai_chat import NAME, encode_call
from tierwise.dialects.openai_usage import read_usage, word
from tierwise.errors import BadRequest, Overloaded, ProviderError, Refused, WireError
from tierwise.types import (
    Audio,
    Chunk,
    Document,
    Finish,
    Image,
    Message,
    Model,
    Part,
    Request,
    Role,
    Text,
    Tool,
    ToolDelta,
    Usage,
)

_TRUE = msgspec.Raw(b"true")
_LIMITS = ("max_completion_tokens", "max_tokens")
PATIENT = 600.0  # seconds from which a request can wait: OpenAI's own default for what flex may take
_WITH_USAGE = msgspec.Raw(b'{"include_usage":true}')

# ------------------------------------------------------------------ requests out


def encode_request(request: Request, model: Model) -> bytes:
    """The body to POST. From the client's own fields where it spoke the same dialect, else written anew."""
    body: dict[str, Any] = dict(request.body) if request.dialect == NAME else _written(request)
    body["model"] = model.model
    if model.logprobs:
        body["logprobs"] = _TRUE
    if request.max_output is not None and not any(_given(body, name) for name in _LIMITS):
        body["max_completion_tokens"] = request.max_output  # ours, where the client set none
    if request.tools and "tools" not in body:  # ours too: a schema that is asked for as a tool
        body |= _tools(request)
    if waits(request, model) and not _given(body, "service_tier"):
        body["service_tier"] = "flex"
    if request.stream:
        body["stream"] = _TRUE
        if not request.usage_asked:
            body["stream_options"] = _WITH_USAGE
    return msgspec.json.encode(body)


def waits(request: Request, model: Model) -> bool:
    """Whether a model is asked in OpenAI's slower and cheaper service, unless the client names one itself."""
    return (
        request.deadline_s is not None
        and request.deadline_s >= PATIENT
        and model.provider == "openai"
        and model.pricing is not None
        and model.pricing.offers("flex")
    )


def service_asked(request: Request, model: Model) -> str:
    """The service tier that `encode_request` asks a model of OpenAI's for; "" where it names none."""
    if model.provider != "openai":
        return ""
    own = request.body.get("service_tier") if request.dialect == NAME else None
    if own is not None and bytes(own) != b"null":
        return word(msgspec.json.decode(own))
    return "flex" if waits(request, model) else ""


def _given(body: Mapping[str, Any], name: str) -> bool:
    return name in body and bytes(body[name]) != b"null"


def _written(request: Request) -> dict[str, Any]:
    if request.foreign:
        raise BadRequest(f"{request.foreign[0]} can't be sent to an OpenAI-compatible model.", param="tools")
    body: dict[str, Any] = {"messages": [_message(message, at) for at, message in enumerate(request.messages)]}
    optional = {
        "temperature": request.temperature,
        "top_p": request.top_p,
        "stop": list(request.stop) or None,
        "n": request.n if request.n > 1 else None,
        "logprobs": request.logprobs_asked or None,
        "stream_options": {"include_usage": True} if request.usage_asked else None,
        "response_format": _format(request),
    }
    body.update({name: value for name, value in optional.items() if value is not None})
    if request.tools:
        body |= _tools(request)
    return body


def _message(message: Message, at: int) -> dict[str, Any]:
    wire: dict[str, Any] = {"role": message.role}
    content = message.content
    if isinstance(content, str):
        wire["content"] = content
    else:
        wire["content"] = [
            _part(part, message.role, f"messages[{at}].content[{place}]") for place, part in enumerate(content)
        ]
    if message.tool_calls:
        wire["tool_calls"] = [encode_call(call) for call in message.tool_calls]
    if message.tool_call_id:
        wire["tool_call_id"] = message.tool_call_id
    return wire


def _part(part: Part, role: Role, where: str) -> dict[str, Any]:
    match part:
        case Text(text):
            return {"type": "text", "text": text}
        case Image(url, detail):
            return {"type": "image_url", "image_url": {"url": url} | ({"detail": detail} if detail else {})}
        case Document(name=name) if (said := parts.words(part, where)) is not None:
            return {"type": "text", "text": f"{name}:\n\n{said}" if name else said}
        case Document() | Audio() if role != "user":
            raise BadRequest(f"{where}: an OpenAI-compatible model takes {part.what} from the user only.", param=where)
        case Document(url, name):
            return {"type": "file", "file": {"filename": name or "document.pdf", "file_data": _pdf(url, where)}}
        case Audio(data, form):
            return {"type": "input_audio", "input_audio": {"data": data, "format": form}}
    raise BadRequest(f"{where}: a part of type {part.what} can't be sent to an OpenAI-compatible model.", param=where)


def _pdf(url: str, where: str) -> str:
    found = parts.data(url)
    if found is not None and found.media == parts.PDF:
        return url
    raise BadRequest(
        f"{where}: an OpenAI-compatible model takes files as PDF data only, not {_what(found)}", param=where
    )


def _what(found: parts.Data | None) -> str:
    return "by their address; send the data." if found is None else f"{found.media}."


def _tools(request: Request) -> dict[str, Any]:
    return {
        "tools": [_tool(tool) for tool in request.tools],
        "tool_choice": _choice(request.tool_choice),
        "parallel_tool_calls": request.parallel_tools,
    }


def _tool(tool: Tool) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name, "description": tool.description, "strict": tool.strict}
    if tool.parameters is not None:
        function["parameters"] = tool.parameters
    return {"type": "function", "function": function}


def _choice(choice: str) -> str | dict[str, Any]:
    if choice in ("auto", "none", "required"):
        return choice
    return {"type": "function", "function": {"name": choice}}


def _format(request: Request) -> dict[str, Any] | None:
    if request.schema is not None:
        return {"type": "json_schema", "json_schema": {"name": "answer", "schema": request.schema}}
    return {"type": "json_object"} if request.json_answer else None


# ------------------------------------------------------------------ answers in


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: str | None = None


class _ToolDelta(msgspec.Struct):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None


class _Logprob(msgspec.Struct):
    logprob: float | None = None


class _Logprobs(msgspec.Struct):
    content: list[_Logprob] | None = None


class _Said(msgspec.Struct):
    content: str | None = None
    reasoning_content: str | None = None  # DeepSeek, llama.cpp, vLLM
    reasoning: str | None = None  # OpenRouter
    refusal: str | None = None
    tool_calls: list[_ToolDelta] | None = None


class _Choice(msgspec.Struct):
    index: int = 0
    delta: _Said | None = None
    message: _Said | None = None
    finish_reason: str | None = None
    logprobs: _Logprobs | None = None
    usage: Any = None  # Moonshot


class _Error(msgspec.Struct):
    message: str | None = None
    type: str | None = None
    code: str | int | None = None


class _Body(msgspec.Struct):
    choices: list[_Choice] | None = None
    usage: Any = None  # any shape: a count that makes no sense must not cost the answer
    x_groq: Any = None
    service_tier: Any = None
    error: _Error | str | None = None


_body = msgspec.json.Decoder(_Body)
_FINISH: dict[str, Finish] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
    "function_call": "tool_calls",
    "eos": "stop",
    "eos_token": "stop",
    "stop_sequence": "stop",
}
_SILENT = _Said()


def decode_answer(data: bytes) -> tuple[Chunk, ...]:
    """A whole body: one chunk a choice. Raises WireError where it is none, or tells of an error."""
    batch = decode_event(data)
    if not batch or any(chunk.finish is None for chunk in batch):
        raise WireError("the answer has no choice, or one without an end")
    return batch


def decode_event(data: bytes) -> tuple[Chunk, ...]:
    """One event of a stream, or a whole body: a chunk a choice, or one that holds usage alone."""
    try:
        str(data, "utf-8")  # what is not read goes on as it came: it must not break a client's own reader
        body = _body.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise WireError("the answer is not what a chat completion looks like") from None
    if body.error is not None:
        raise _in_band(body.error)
    if body.choices and len(body.choices) == 1:
        choice = body.choices[0]
        counts = body.usage is not None or choice.usage is not None or body.x_groq is not None  # few events do
        return (_chunk(choice, _usage(body) if counts else None, data),)
    usage = _usage(body)
    if not body.choices:
        return () if usage is None else (Chunk(usage=usage, wire=data, dialect=NAME),)
    first, *others, last = body.choices  # usage comes with the last: it counts what all of them say
    between = [_chunk(choice, None, None) for choice in others]
    return (_chunk(first, None, data), *between, _chunk(last, usage, None))


def _chunk(choice: _Choice, usage: Usage | None, wire: bytes | None) -> Chunk:
    said = choice.delta or choice.message or _SILENT
    reason = choice.finish_reason
    if reason == "insufficient_system_resource":  # DeepSeek's word for having broken off
        raise WireError("the provider broke off for lack of resources", overloaded=True)
    return Chunk(
        said.content or "",
        choice.index,
        said.reasoning_content or said.reasoning or "",
        said.refusal or "",
        tuple([_tool_delta(call, at) for at, call in enumerate(said.tool_calls)]) if said.tool_calls else (),
        _FINISH.get(reason) if reason else None,
        tuple([item.logprob for item in choice.logprobs.content if item.logprob is not None])
        if choice.logprobs and choice.logprobs.content
        else (),
        usage,
        wire,
        NAME,
    )


def _tool_delta(wire: _ToolDelta, at: int) -> ToolDelta:
    function = wire.function or _Function()
    index = at if wire.index is None else wire.index
    return ToolDelta(index, wire.id or "", function.name or "", function.arguments or "")


def _usage(body: _Body) -> Usage | None:
    """What an event counts, wherever it stands: at the top, in a choice (Moonshot), or in an extension (Groq)."""
    wire = body.usage
    if wire is None and body.choices:
        wire = body.choices[-1].usage
    if wire is None and body.x_groq is not None:
        wire = body.x_groq.get("usage") if isinstance(body.x_groq, dict) else None
    return read_usage(wire, word(body.service_tier)) if isinstance(wire, dict) else None


# ------------------------------------------------------------------ errors in


class _ErrorBody(msgspec.Struct):
    error: _Error | str | None = None


_error_body = msgspec.json.Decoder(_ErrorBody)
_KEYLIKE = re.compile(r"\b(?:sk|key|tw)-[\w*.-]+|Bearer\s+\S+", re.IGNORECASE)


def _in_band(error: _Error | str) -> WireError:
    kind = "" if isinstance(error, str) else f"{error.type or ''} {error.code or ''}"
    overloaded = any(word in kind for word in ("overloaded", "rate_limit", "429", "503", "server_error"))
    return WireError("the provider reported an error inside its answer", overloaded=overloaded)


def decode_error(model: str, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
    """A non-2xx reply as an error. The provider's own words are kept only where they tell the client what it may mend.

    `model` is the configured name, `headers` have lower-case names.
    """
    after = retry_after(headers)
    if status in (408, 409, 425, 429) or status >= 500:
        return Overloaded(model, f"the provider answered {status}", retry_after=after, upstream=status)
    if status in (401, 403):
        return Refused(model, f"the provider refused our key ({status}); see `tierwise doctor`", upstream=status)
    return Refused(model, f"the provider refused the request ({status}){_words(body)}", upstream=status)


def _words(body: bytes) -> str:
    try:
        error = _error_body.decode(body).error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    message = error if isinstance(error, str) else (error or _Error()).message
    return f": {_KEYLIKE.sub('[redacted]', message)[:300]}" if message else ""


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, from `retry-after-ms` or a `retry-after` in seconds (RFC 9110, 10.2.3); dates are not read."""
    for name, scale in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        value = headers.get(name, "")
        if value.replace(".", "", 1).isdigit():
            return float(value) / scale
    return None
