"""OpenAI Completions, the wire before chat, towards clients: a prompt in, text out.

Source: OpenAI's API reference (2026-08), where it is marked as legacy. The prompt is asked as one message of the user,
because that is what every provider has; what only models of that time could do is refused by name.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from tierwise.dialects import openai_chat, sse
from tierwise.dialects.openai_chat import MOST, Label, check_ranges, decode_body, encode_usage
from tierwise.errors import BadRequest, TierwiseError
from tierwise.types import Answer, Chunk, Message, Request, Usage

NAME = "openai_completions"
USUAL = 16  # tokens of an answer where the client says nothing, as this wire has always had it
_UNABLE = ("suffix", "echo", "best_of", "logprobs")


class _Options(msgspec.Struct):
    include_usage: bool = False


class Body(msgspec.Struct):
    """What is read of a request."""

    model: str
    prompt: str | list[str]
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    n: int | None = None
    stream: bool | None = None
    stream_options: _Options | None = None
    stop: str | list[str] | None = None


_request = msgspec.json.Decoder(Body)
_RANGES = (("n", 1, 128), ("max_tokens", 1, MOST), ("temperature", 0, 2))


def decode_request(data: bytes, request_id: str, tags: frozenset[str] = frozenset()) -> Request:
    """One request body. Raises BadRequest that names the field that is wrong, or can't be had any more."""
    wire, body = decode_body(_request, data)
    for name in _UNABLE:
        if bytes(body.get(name, b"null")) not in (b"null", b"false", b"1" if name == "best_of" else b""):
            raise BadRequest(f"{name} is not had from chat models; leave it out.", param=name)
    prompts = [wire.prompt] if isinstance(wire.prompt, str) else wire.prompt
    if len(prompts) != 1:
        raise BadRequest("prompt must be one text; send several as requests of their own.", param="prompt")
    check_ranges(wire, _RANGES)
    return Request(
        id=request_id,
        asked=wire.model,
        messages=(Message("user", prompts[0]),),
        stream=bool(wire.stream),
        usage_asked=bool(wire.stream_options and wire.stream_options.include_usage),
        n=wire.n or 1,
        max_output=wire.max_tokens or USUAL,
        temperature=wire.temperature,
        top_p=wire.top_p,
        stop=(wire.stop,) if isinstance(wire.stop, str) else tuple(wire.stop or ()),
        tags=tags,
        dialect=NAME,
        body=body,
    )


def encode_answer(answer: Answer, request: Request, label: Label) -> bytes:
    """The body of a `text_completion`."""
    choices = [_choice(at, choice.text, choice.finish or "stop") for at, choice in enumerate(answer.choices)]
    return msgspec.json.encode(_body(label, choices) | {"usage": encode_usage(answer.usage or Usage())})


def _body(label: Label, choices: list[dict[str, Any]]) -> dict[str, Any]:
    head = {"id": label.id, "object": "text_completion", "created": label.created, "model": label.model}
    return head | {"choices": choices}


def _choice(index: int, text: str, finish: str | None) -> dict[str, Any]:
    return {"index": index, "text": text, "logprobs": None, "finish_reason": finish}


class StreamEncoder:
    """Chunks to the events of one stream."""

    __slots__ = ("_label", "_usage_asked")

    def __init__(self, request: Request, label: Label) -> None:
        self._label = label
        self._usage_asked = request.usage_asked

    def encode(self, batch: Sequence[Chunk]) -> bytes:
        """The events for `batch`; may be none."""
        return b"".join([self._written(chunk) for chunk in batch])

    def _written(self, chunk: Chunk) -> bytes:
        events = b""
        if chunk.text or chunk.finish is not None:
            events = self._event(_body(self._label, [_choice(chunk.index, chunk.text, chunk.finish)]))
        if chunk.usage is not None and self._usage_asked:
            events += self._event(_body(self._label, []) | {"usage": encode_usage(chunk.usage)})
        return events

    @staticmethod
    def _event(body: dict[str, Any]) -> bytes:
        return sse.encode(msgspec.json.encode(body))

    @staticmethod
    def done() -> bytes:
        """The mark of a stream that came to its end. A torn stream never gets it."""
        return openai_chat.StreamEncoder.done()

    @staticmethod
    def error(error: TierwiseError) -> bytes:
        """An honest end for a stream that can't go on: the SDKs raise on it."""
        return openai_chat.StreamEncoder.error(error)
