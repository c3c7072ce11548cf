"""OpenAI Moderations, both sides of the wire: texts and pictures in, which categories each is flagged in out.

Source: OpenAI's API reference and the types of its SDK 3 (2026-08). The client's own body goes to the provider and the
provider's to the client; read is only what counting, limits and the gateway's own classifiers need.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from tierwise.dialects.openai_chat import Label, decode_body
from tierwise.errors import BadRequest, WireError
from tierwise.types import Answer, Chunk, Foreign, Image, Message, Part, Request, Text, Usage

NAME = "openai_moderations"
MOST = 128  # texts of one request, or parts of one input


class _ImageUrl(msgspec.Struct):
    url: str


class _Part(msgspec.Struct):
    type: str
    text: str | None = None
    image_url: _ImageUrl | None = None


class Body(msgspec.Struct):
    """What is read of a request; other fields travel on to providers of the same wire."""

    input: str | list[str | _Part]
    model: str | None = None


class _Answer(msgspec.Struct):
    results: list[msgspec.Raw]


_request = msgspec.json.Decoder(Body)
_answer = msgspec.json.Decoder(_Answer)


def decode_request(data: bytes, request_id: str, tags: frozenset[str] = frozenset()) -> Request:
    """One request body, each input as a message of the user. `asked` is "" where it names no model.

    Raises BadRequest that names the field that is wrong.
    """
    wire, body = decode_body(_request, data)
    if isinstance(wire.input, str):
        messages: tuple[Message, ...] = (Message("user", wire.input),)
    elif 1 <= len(wire.input) <= MOST:
        messages = _messages(wire.input)
    else:
        raise BadRequest(f"input must hold a text, or 1 to {MOST} of them.", param="input")
    return Request(
        id=request_id,
        asked=wire.model or "",
        messages=messages,
        max_output=1,  # there is no output; a bound has to be one
        tags=tags,
        dialect=NAME,
        body=body,
    )


def _messages(found: list[str | _Part]) -> tuple[Message, ...]:
    """Texts are inputs of their own; parts are one input together."""
    texts = [item for item in found if isinstance(item, str)]
    if len(texts) == len(found):
        return tuple([Message("user", text) for text in texts])
    if texts:
        raise BadRequest("input must hold texts alone, or the parts of one input alone.", param="input")
    parts = [_part(item, f"input[{at}]") for at, item in enumerate(found) if isinstance(item, _Part)]
    return (Message("user", tuple(parts)),)


def _part(wire: _Part, where: str) -> Part:
    if wire.type == "text" and wire.text is not None:
        return Text(wire.text)
    if wire.type == "image_url" and wire.image_url is not None:
        return Image(wire.image_url.url)
    if wire.type in ("text", "image_url"):
        raise BadRequest(f"{where} is of type {wire.type} but has no {wire.type}.", param=where)
    return Foreign(wire.type, NAME)


def decode_answer(data: bytes) -> tuple[Chunk, ...]:
    """A provider's body as one chunk. No tokens are counted on this wire. Raises WireError where it has no results."""
    try:
        str(data, "utf-8")
        _answer.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise WireError("the answer is not what the results of a moderation look like") from None
    return (Chunk(finish="stop", usage=Usage(), wire=data, dialect=NAME),)


def encode_answer(answer: Answer, request: Request, label: Label) -> bytes:
    """The provider's own body."""
    return answer.chunks[0].wire or b""


Result = tuple[Mapping[str, float], Iterable[str]]
"""Of one input: the score of every category, and the categories that it is flagged in."""


def encode_results(found: Iterable[Result], read: Mapping[str, Sequence[str]], label: Label) -> bytes:
    """The body of an answer. `read`: of every category, the types of input that were looked at; none: nothing was."""
    results: list[dict[str, Any]] = []
    for scores, flagged in found:
        categories = dict.fromkeys(scores, False)
        for category in flagged:
            categories[category] = True
        results.append(
            {
                "flagged": True in categories.values(),
                "categories": categories,
                "category_scores": scores,
                "category_applied_input_types": read,
            }
        )
    return msgspec.json.encode({"id": label.id, "model": label.model, "results": results})
