"""OpenAI Embeddings, both sides of the wire: vectors of texts.

Source: OpenAI's API reference (2026-08). The client's own body goes to the provider and the provider's to the client;
read is only what counting and limits need. Vectors of two models can't be compared, so nothing is ever routed here.
"""

from __future__ import annotations

import msgspec

from tierwise.dialects.openai_chat import Label, decode_body
from tierwise.errors import BadRequest, WireError
from tierwise.types import Answer, Chunk, Message, Model, Request, Usage

NAME = "openai_embeddings"
MOST = 2048  # texts of one request, as OpenAI has it


class Body(msgspec.Struct):
    """What is read of a request; other fields travel on to providers of the same wire."""

    model: str
    input: str | list[str | int | list[int]]  # tokens by their numbers, too


class _Usage(msgspec.Struct):
    prompt_tokens: int = 0


class _Answer(msgspec.Struct):
    data: list[msgspec.Raw]
    usage: _Usage | None = None


_request = msgspec.json.Decoder(Body)
_answer = msgspec.json.Decoder(_Answer)


def decode_request(data: bytes, request_id: str, tags: frozenset[str] = frozenset()) -> Request:
    """One request body, its texts as messages of the user. Raises BadRequest that names the field that is wrong."""
    wire, body = decode_body(_request, data)
    texts = [wire.input] if isinstance(wire.input, str) else [item for item in wire.input if isinstance(item, str)]
    if not wire.input or (not isinstance(wire.input, str) and len(wire.input) > MOST):
        raise BadRequest(f"input must hold a text, or 1 to {MOST:,} of them.", param="input")
    return Request(
        id=request_id,
        asked=wire.model,
        messages=tuple([Message("user", text) for text in texts]),
        max_output=1,  # there is no output; a bound has to be one
        tags=tags,
        dialect=NAME,
        body=body,
    )


def encode_request(request: Request, model: Model) -> bytes:
    """The client's own body for the provider's model."""
    return msgspec.json.encode({**request.body, "model": model.model})


def decode_answer(data: bytes) -> tuple[Chunk, ...]:
    """A provider's body as one chunk. Raises WireError where it holds no vectors."""
    try:
        str(data, "utf-8")
        wire = _answer.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise WireError("the answer is not what a list of embeddings looks like") from None
    tokens = wire.usage.prompt_tokens if wire.usage else 0
    usage = Usage(input_tokens=tokens) if tokens > 0 else None
    return (Chunk(finish="stop", usage=usage, wire=data, dialect=NAME),)


def encode_answer(answer: Answer, request: Request, label: Label) -> bytes:
    """The provider's own body."""
    return answer.chunks[0].wire or b""
