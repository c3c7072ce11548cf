"""What providers' answers look like on the wire: a Script and a request in, JSON and events out.

Written from the providers' public API references, not from our dialects: a test that read both from the same place
would agree with its own mistakes. Knows no sockets and no time.
"""

from __future__ import annotations

import base64
import re
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import msgspec

Json = dict[str, Any]
Event = tuple[bytes, int]
"""One server-sent event, and how many tokens of the answer are in it."""


class Script(msgspec.Struct, frozen=True):
    """What to do with a request whose last user message contains `match`, and which asks for `model`, if given."""

    match: str = ""
    model: str = ""
    text: str = "The answer is forty-two, as it has always been."
    tokens: tuple[str, ...] | None = None  # how `text` is streamed; by default word by word
    tool_calls: tuple[tuple[str, str], ...] = ()  # (name, JSON text of the arguments)
    finish: str = "stop"  # OpenAI's word; Anthropic's is derived from it
    input_tokens: int = 20  # cached ones included
    output_tokens: int | None = None  # by default as many as were streamed
    cached_tokens: int = 0
    reasoning: str = ""  # DeepSeek's reasoning_content, Anthropic's thinking, the summary of a response's
    refused: bool = False  # `text` is a refusal, where the wire tells one from an answer (Responses)
    logprob: float = -0.1  # of every token, where the request asks for it
    status: int = 200
    headers: dict[str, str] = {}
    error: str = "scripted refusal"  # the message of an error body
    delay: float = 0.0  # seconds before the head
    first: float = 0.0  # seconds before the first token
    gap: float = 0.0  # seconds between tokens
    cut: int | None = None  # the socket is aborted after so many tokens (a whole answer: after half of its bytes)
    no_end: bool = False  # the stream closes cleanly, with no finish, no usage and no end marker
    garbage: bool = False  # what should be JSON is none
    no_usage: bool = False
    in_band_error: bool = False  # an error event instead of the stream's end
    huge: int = 0  # bytes; the text is as long as this
    drop: bool = False  # the socket is aborted before a byte of an answer
    close: bool = False  # "connection: close"
    raw: bytes = b""  # sent as it is, in place of everything above
    times: int | None = None  # only for the first so many requests that match
    obliging: bool = False  # it calls the tools, and fills in the schema, that the request gives it

    @property
    def pieces(self) -> tuple[str, ...]:
        if self.huge:
            return ("x" * 1000,) * (self.huge // 1000)
        return self.tokens if self.tokens is not None else tuple(re.findall(r"\s*\S+", self.text))

    @property
    def produced(self) -> int:
        """Tokens of the whole answer."""
        if self.output_tokens is not None:
            return self.output_tokens
        return len(self.pieces) + len(self.reasoning.split()) + 5 * len(self.tool_calls)

    @property
    def stop(self) -> str:
        return "tool_calls" if self.tool_calls and self.finish == "stop" else self.finish


def last_text(request: Json) -> str:
    """The text of the last user message, in any dialect; "" where there is none."""
    asked = request.get("messages") or request.get("input") or []
    if isinstance(asked, str):
        return asked
    for message in reversed(asked):
        if not isinstance(message, dict):  # of embeddings
            return ""
        if message.get("role") == "user":
            content = message.get("content")
            if isinstance(content, str):
                return content
            return " ".join(part.get("text") or "" for part in content or [] if isinstance(part, dict))
    return ""


def _event(payload: Json, name: str = "") -> bytes:
    prefix = b"event: %b\n" % name.encode() if name else b""
    return prefix + b"data: " + msgspec.json.encode(payload) + b"\n\n"


# ------------------------------------------------------------------ OpenAI chat completions


class OpenAI:
    """https://platform.openai.com/docs/api-reference/chat; DeepSeek's extra fields for models that begin so."""

    @staticmethod
    def error(script: Script, answer_id: str) -> Json:
        kind = "server_error" if script.status >= 500 else "invalid_request_error"
        return {"error": {"message": script.error, "type": kind, "param": None, "code": None}}

    @staticmethod
    def whole(script: Script, request: Json, answer_id: str) -> Json:
        message: Json = {"role": "assistant", "content": "".join(script.pieces) or None, "refusal": None}
        if script.reasoning:
            message["reasoning_content"] = script.reasoning
        if script.tool_calls:
            message["tool_calls"] = [
                _openai_call(answer_id, index, call) for index, call in enumerate(script.tool_calls)
            ]
        choices = [
            {
                "index": index,
                "message": message,
                "logprobs": _logprobs(script.pieces, script) if request.get("logprobs") else None,
                "finish_reason": script.stop,
            }
            for index in range(request.get("n") or 1)
        ]
        body = _openai_frame("chat.completion", request, answer_id) | {"choices": choices}
        return body if script.no_usage else body | {"usage": _openai_usage(script, request)}

    @staticmethod
    def events(script: Script, request: Json, answer_id: str) -> Iterator[Event]:
        with_usage = bool((request.get("stream_options") or {}).get("include_usage"))
        frame = _openai_frame("chat.completion.chunk", request, answer_id)
        if with_usage:
            frame["usage"] = None

        def chunk(index: int, delta: Json, finish: str | None = None, piece: str | None = None) -> bytes:
            logprobs = _logprobs((piece,), script) if piece is not None and request.get("logprobs") else None
            choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
            return _event(frame | {"choices": [choice]})

        choices = range(request.get("n") or 1)
        for index, delta, tokens in _openai_deltas(script, choices, answer_id):
            yield chunk(index, delta, piece=delta.get("content") if tokens else None), tokens
        if script.in_band_error:
            yield _event(OpenAI.error(script, answer_id)), 0
        if script.no_end or script.in_band_error:
            return
        for index in choices:
            yield chunk(index, {}, script.stop), 0
        if with_usage and not script.no_usage:
            yield _event(frame | {"choices": [], "usage": _openai_usage(script, request)}), 0
        yield b"data: [DONE]\n\n", 0


def _openai_deltas(script: Script, choices: range, answer_id: str) -> Iterator[tuple[int, Json, int]]:
    """(choice, delta, tokens in it): the whole answer, before its finish reason."""
    for index in choices:
        yield index, {"role": "assistant", "content": "", "refusal": None}, 0
    for word in re.findall(r"\s*\S+", script.reasoning):
        yield 0, {"reasoning_content": word}, 1
    for piece in script.pieces:
        for index in choices:
            yield index, {"content": piece}, 1
    for number, call in enumerate(script.tool_calls):
        for delta, tokens in _openai_call_deltas(answer_id, number, call):
            for index in choices:
                yield index, {"tool_calls": [delta]}, tokens


def _openai_frame(kind: str, request: Json, answer_id: str) -> Json:
    model = request.get("model", "")
    return {"id": answer_id, "object": kind, "created": 1_790_000_000, "model": model, "system_fingerprint": "fp_0"}


def _openai_call(answer_id: str, index: int, call: tuple[str, str]) -> Json:
    return {"id": f"call_{answer_id}_{index}", "type": "function", "function": {"name": call[0], "arguments": call[1]}}


def _openai_call_deltas(answer_id: str, index: int, call: tuple[str, str]) -> Iterator[tuple[Json, int]]:
    half = len(call[1]) // 2
    yield {"index": index} | _openai_call(answer_id, index, (call[0], "")), 1
    yield {"index": index, "function": {"arguments": call[1][:half]}}, 2
    yield {"index": index, "function": {"arguments": call[1][half:]}}, 2


def _logprobs(pieces: tuple[str, ...], script: Script) -> Json:
    rows = [{"token": p, "logprob": script.logprob, "bytes": list(p.encode()), "top_logprobs": []} for p in pieces]
    return {"content": rows, "refusal": None}


def _openai_usage(script: Script, request: Json) -> Json:
    thought = len(script.reasoning.split())
    usage: Json = {
        "prompt_tokens": script.input_tokens,
        "completion_tokens": script.produced,
        "total_tokens": script.input_tokens + script.produced,
        "prompt_tokens_details": {"cached_tokens": script.cached_tokens, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": thought, "audio_tokens": 0},
    }
    if str(request.get("model", "")).startswith("deepseek"):
        usage["prompt_cache_hit_tokens"] = script.cached_tokens
        usage["prompt_cache_miss_tokens"] = script.input_tokens - script.cached_tokens
    return usage


# ------------------------------------------------------------------ Anthropic messages

_STOP = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}
_ERRORS = {400: "invalid_request_error", 401: "authentication_error", 403: "permission_error", 404: "not_found_error"}
_ERRORS |= {413: "request_too_large", 429: "rate_limit_error", 529: "overloaded_error"}


class Anthropic:
    """https://docs.anthropic.com/en/api/messages and .../messages-streaming."""

    @staticmethod
    def error(script: Script, answer_id: str) -> Json:
        # inside a stream that began with 200 the error is an overload, which is what Anthropic documents there
        kind = "overloaded_error" if script.status == 200 else _ERRORS.get(script.status, "api_error")
        return {"type": "error", "error": {"type": kind, "message": script.error}, "request_id": answer_id}

    @staticmethod
    def whole(script: Script, request: Json, answer_id: str) -> Json:
        content: list[Json] = []
        if script.reasoning:
            content.append({"type": "thinking", "thinking": script.reasoning, "signature": "c2lnbmVk"})
        if script.pieces:
            content.append({"type": "text", "text": "".join(script.pieces)})
        for index, (name, arguments) in enumerate(script.tool_calls):
            call = {"type": "tool_use", "id": f"toolu_{answer_id}_{index}", "name": name}
            content.append(call | {"input": msgspec.json.decode(arguments)})
        body = _anthropic_frame(request, answer_id)
        body |= {"content": content, "stop_reason": _STOP.get(script.stop, script.stop)}
        return body if script.no_usage else body | {"usage": _anthropic_usage(script, script.produced)}

    @staticmethod
    def events(script: Script, request: Json, answer_id: str) -> Iterator[Event]:
        frame = _anthropic_frame(request, answer_id)
        if not script.no_usage:
            frame["usage"] = _anthropic_usage(script, 1)
        yield _named({"type": "message_start", "message": frame}), 0
        yield _named({"type": "ping"}), 0
        for index, (block, deltas) in enumerate(_anthropic_blocks(script, answer_id)):
            yield _named({"type": "content_block_start", "index": index, "content_block": block}), 0
            for delta, tokens in deltas:
                yield _named({"type": "content_block_delta", "index": index, "delta": delta}), tokens
            yield _named({"type": "content_block_stop", "index": index}), 0
        if script.in_band_error:
            yield _named(Anthropic.error(script, answer_id)), 0
        if script.no_end or script.in_band_error:
            return
        end: Json = {"type": "message_delta"}
        end["delta"] = {"stop_reason": _STOP.get(script.stop, script.stop), "stop_sequence": None}
        yield _named(end if script.no_usage else end | {"usage": _anthropic_usage(script, script.produced)}), 0
        yield _named({"type": "message_stop"}), 0


def _named(payload: Json) -> bytes:
    return _event(payload, str(payload["type"]))


def _anthropic_frame(request: Json, answer_id: str) -> Json:
    frame = {"id": answer_id, "type": "message", "role": "assistant", "model": request.get("model", "")}
    return frame | {"content": [], "stop_reason": None, "stop_sequence": None}


def _anthropic_usage(script: Script, output: int) -> Json:
    # unlike OpenAI's, their input_tokens leaves cached ones out
    usage = {"input_tokens": script.input_tokens - script.cached_tokens, "output_tokens": output}
    return usage | {"cache_read_input_tokens": script.cached_tokens, "cache_creation_input_tokens": 0}


def _anthropic_blocks(script: Script, answer_id: str) -> Iterator[tuple[Json, list[tuple[Json, int]]]]:
    if script.reasoning:
        thoughts: list[tuple[Json, int]] = [
            ({"type": "thinking_delta", "thinking": word}, 1) for word in re.findall(r"\s*\S+", script.reasoning)
        ]
        signed: tuple[Json, int] = ({"type": "signature_delta", "signature": "c2lnbmVk"}, 0)
        yield {"type": "thinking", "thinking": "", "signature": ""}, [*thoughts, signed]
    if script.pieces:
        yield {"type": "text", "text": ""}, [({"type": "text_delta", "text": piece}, 1) for piece in script.pieces]
    for index, (name, arguments) in enumerate(script.tool_calls):
        half = len(arguments) // 2
        parts: list[tuple[Json, int]] = [
            ({"type": "input_json_delta", "partial_json": part}, tokens)
            for part, tokens in (("", 1), (arguments[:half], 2), (arguments[half:], 2))
        ]
        yield {"type": "tool_use", "id": f"toolu_{answer_id}_{index}", "name": name, "input": {}}, parts


# ------------------------------------------------------------------ OpenAI embeddings


class Embeddings(OpenAI):
    """https://platform.openai.com/docs/api-reference/embeddings: a vector a text, the same for the same one."""

    @staticmethod
    def whole(script: Script, request: Json, answer_id: str) -> Json:
        texts = [request["input"]] if isinstance(request["input"], str) else request["input"]
        packed = request.get("encoding_format") == "base64"
        data = [
            {"object": "embedding", "index": at, "embedding": _vector(str(text), packed)}
            for at, text in enumerate(texts)
        ]
        usage = {"prompt_tokens": script.input_tokens, "total_tokens": script.input_tokens}
        return {"object": "list", "data": data, "model": request["model"], "usage": usage}


# ------------------------------------------------------------------ OpenAI moderations


class Moderations(OpenAI):
    """https://platform.openai.com/docs/api-reference/moderations: flagged where a text has the word."""

    @staticmethod
    def whole(script: Script, request: Json, answer_id: str) -> Json:
        many = isinstance(request["input"], list) and all(isinstance(item, str) for item in request["input"])
        texts = request["input"] if many else [str(request["input"])]
        results = []
        for text in texts:
            flagged = "kill" in text
            result: Json = {"flagged": flagged, "categories": {"violence": flagged}}
            result |= {
                "category_scores": {"violence": 0.00001},
                "category_applied_input_types": {"violence": ["image"]},
            }
            results.append(result)
        return {"id": f"modr-{answer_id}", "model": request["model"], "results": results, "extra_field": 1 << 60}


def _vector(text: str, packed: bool) -> list[float] | str:
    values = [((zlib.crc32(text.encode()) >> shift) & 0xFF) / 256 for shift in (0, 8, 16, 24)]
    return base64.b64encode(struct.pack("<4f", *values)).decode() if packed else values


# ------------------------------------------------------------------ OpenAI responses

_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}
_PARTS = {"output_text": "output_text", "refusal": "refusal", "summary_text": "reasoning_summary_text"}


class Responses(OpenAI):
    """https://platform.openai.com/docs/api-reference/responses and .../responses-streaming."""

    @staticmethod
    def whole(script: Script, request: Json, answer_id: str) -> Json:
        output = [item for item, _, _ in _responses_items(script, request, answer_id)]
        reason = _INCOMPLETE.get(script.finish)
        body = _responses_frame(request, answer_id) | {"output": output}
        body |= (
            {"status": "incomplete", "incomplete_details": {"reason": reason}} if reason else {"status": "completed"}
        )
        return body if script.no_usage else body | {"usage": _responses_usage(script)}

    @staticmethod
    def events(script: Script, request: Json, answer_id: str) -> Iterator[Event]:
        for number, (event, tokens) in enumerate(_responses_events(script, request, answer_id)):
            yield _named({**event, "sequence_number": number}), tokens


def _responses_frame(request: Json, answer_id: str) -> Json:
    echoed = {name: request.get(name) for name in ("instructions", "temperature", "top_p", "metadata")}
    echoed["text"] = request.get("text") or {"format": {"type": "text"}}
    frame = {"id": f"resp_{answer_id}", "object": "response", "created_at": 1_790_000_000, "status": "in_progress"}
    frame |= {"model": request.get("model", ""), "error": None, "incomplete_details": None, "output": [], **echoed}
    frame |= {"parallel_tool_calls": True, "tool_choice": "auto", "tools": []}
    return frame | {
        "store": request.get("store", True),
        "previous_response_id": None,
        "billing": {"payer": "developer"},
    }


def _responses_usage(script: Script) -> Json:
    return {
        "input_tokens": script.input_tokens,
        "input_tokens_details": {"cached_tokens": script.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": script.produced,
        "output_tokens_details": {"reasoning_tokens": len(script.reasoning.split())},
        "total_tokens": script.input_tokens + script.produced,
    }


def _responses_items(script: Script, request: Json, answer_id: str) -> Iterator[tuple[Json, str, tuple[str, ...]]]:
    """(item, what its pieces are, pieces)."""
    asked = request.get("include") or ()
    if script.reasoning:
        item: Json = {"type": "reasoning", "id": f"rs_{answer_id}"}
        item["summary"] = [{"type": "summary_text", "text": script.reasoning}]
        if "reasoning.encrypted_content" in asked:
            item["encrypted_content"] = "c2VjcmV0"
        yield item, "summary_text", tuple(re.findall(r"\s*\S+", script.reasoning))
    if script.pieces:
        logprobs = _logprobs(script.pieces, script)["content"] if "message.output_text.logprobs" in asked else []
        part: Json = {"type": "output_text", "text": "".join(script.pieces), "annotations": [], "logprobs": logprobs}
        if script.refused:
            part = {"type": "refusal", "refusal": part["text"]}
        item = {"type": "message", "id": f"msg_{answer_id}", "status": "completed", "role": "assistant"}
        yield item | {"content": [part]}, part["type"], script.pieces
    for index, (name, arguments) in enumerate(script.tool_calls):
        item = {"type": "function_call", "id": f"fc_{answer_id}_{index}", "status": "completed", "name": name}
        item |= {"call_id": f"call_{answer_id}_{index}", "arguments": arguments}
        half = len(arguments) // 2
        yield item, "function_call", (arguments[:half], arguments[half:])


def _responses_events(script: Script, request: Json, answer_id: str) -> Iterator[tuple[Json, int]]:
    frame = _responses_frame(request, answer_id)
    yield {"type": "response.created", "response": frame}, 0
    yield {"type": "response.in_progress", "response": frame}, 0
    for index, (item, kind, pieces) in enumerate(_responses_items(script, request, answer_id)):
        yield from _responses_item(script, {"output_index": index}, item, kind, pieces)
    if script.in_band_error:
        yield {"type": "error", "code": "server_error", "message": script.error, "param": None}, 0
    if script.no_end or script.in_band_error:
        return
    whole = Responses.whole(script, request, answer_id)
    yield {"type": f"response.{whole['status']}", "response": whole}, 0


def _responses_item(
    script: Script, place: Json, item: Json, kind: str, pieces: tuple[str, ...]
) -> Iterator[tuple[Json, int]]:
    empty: Json = {"status": "in_progress"}
    empty["arguments" if kind == "function_call" else "content"] = "" if kind == "function_call" else []
    yield {"type": "response.output_item.added", **place, "item": item | empty}, int(kind == "function_call")
    within = place | {"item_id": item["id"]}
    if kind == "function_call":
        for piece in pieces:
            yield {"type": "response.function_call_arguments.delta", **within, "delta": piece}, 2
        yield {"type": "response.function_call_arguments.done", **within, "arguments": item["arguments"]}, 0
    else:
        part = item["summary" if kind == "summary_text" else "content"][0]
        name, at = _PARTS[kind], "summary_index" if kind == "summary_text" else "content_index"
        group = "response.reasoning_summary_part" if kind == "summary_text" else "response.content_part"
        field = "refusal" if kind == "refusal" else "text"
        within[at] = 0
        yield {"type": f"{group}.added", **within, "part": part | {field: ""}}, 0
        for number, piece in enumerate(pieces):
            rows = {"logprobs": part["logprobs"][number : number + 1]} if kind == "output_text" else {}
            yield {"type": f"response.{name}.delta", **within, "delta": piece, "obfuscation": "x", **rows}, 1
        rows = {"logprobs": part["logprobs"]} if kind == "output_text" else {}
        yield {"type": f"response.{name}.done", **within, field: part[field], **rows}, 0
        yield {"type": f"{group}.done", **within, "part": part}, 0
    yield {"type": "response.output_item.done", **place, "item": item}, 0


Dialect = type[OpenAI] | type[Anthropic]


def dialect_of(path: str) -> Dialect | None:
    if path.endswith("/chat/completions"):
        return OpenAI
    if path.endswith("/responses"):
        return Responses
    if path.endswith("/embeddings"):
        return Embeddings
    if path.endswith("/moderations"):
        return Moderations
    return Anthropic if path.endswith("/messages") else None
