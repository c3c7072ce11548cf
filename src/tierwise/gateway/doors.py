"""The wires that clients speak: one table, so that a new one is a line. Each is a dialect's two files.

Knows no HTTP beyond the path, and no route.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from tierwise.dialects import (
    anthropic_messages,
    anthropic_replies,
    openai_chat,
    openai_completions,
    openai_embeddings,
    openai_moderations,
    openai_responses,
    openai_responses_out,
)
from tierwise.dialects.openai_chat import Label
from tierwise.errors import TierwiseError
from tierwise.types import Answer, Chunk, Request


class Events(Protocol):
    """The events of one stream, as they are written."""

    def encode(self, batch: Sequence[Chunk]) -> bytes: ...
    def done(self) -> bytes: ...
    def error(self, error: TierwiseError) -> bytes: ...


class Door(NamedTuple):
    """How one wire is read and written. `prefix` is how its answers' ids begin; `keeps`: it has answers to go on from.

    `extras`: headers of a client's that go on to a provider of the same dialect.
    """

    decode: Callable[[bytes, str, frozenset[str]], Request]
    answer: Callable[[Answer, Request, Label], bytes]
    events: Callable[[Request, Label], Events]
    prefix: str
    keeps: bool = False
    extras: tuple[str, ...] = ()


CHAT = Door(openai_chat.decode_request, openai_chat.encode_answer, openai_chat.StreamEncoder, "chatcmpl-")
RESPONSES = Door(
    openai_responses.decode_request,
    openai_responses_out.encode_answer,
    openai_responses_out.StreamEncoder,
    "resp_",
    keeps=True,
)
COMPLETIONS = Door(
    openai_completions.decode_request, openai_completions.encode_answer, openai_completions.StreamEncoder, "cmpl-"
)
EMBEDDINGS = Door(  # never streamed
    openai_embeddings.decode_request, openai_embeddings.encode_answer, openai_chat.StreamEncoder, "embd-"
)
MODERATIONS = Door(  # nor are these
    openai_moderations.decode_request, openai_moderations.encode_answer, openai_chat.StreamEncoder, "modr-"
)
MESSAGES = Door(
    anthropic_messages.decode_request,
    anthropic_replies.encode_answer,
    anthropic_replies.StreamEncoder,
    "msg_",
    extras=("anthropic-beta",),
)


def encode_error(path: str, version: str | None, error: TierwiseError, request_id: str) -> bytes:
    """A refusal in the shape that this client's SDK reads, even where nothing is at the path.

    `version` is its `anthropic-version` header, which only one kind of client sends.
    """
    if path.startswith("/v1/messages") or version is not None:
        return anthropic_replies.encode_error(error, request_id)
    return openai_chat.encode_error(error)
