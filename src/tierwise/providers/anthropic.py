"""Anthropic, and whatever speaks its Messages API."""

from __future__ import annotations

from tierwise.dialects.anthropic_answers import NAME, StreamDecoder, decode_answer
from tierwise.dialects.anthropic_requests import encode_request
from tierwise.providers.http import Upstream
from tierwise.providers.wired import EventReader, Wire, WiredProvider

VERSION = "2023-06-01"  # the only one there is; newer fields come with it


def headers(api_key: str | None) -> dict[str, str]:
    """What authenticates us, and the version of the wire; no key for a server that asks for none."""
    return {"anthropic-version": VERSION} | ({"x-api-key": api_key} if api_key else {})


class AnthropicProvider(WiredProvider):
    def __init__(self, upstream: Upstream) -> None:
        super().__init__(upstream, Wire(NAME, "/messages", encode_request, decode_answer, read_stream))


def read_stream() -> EventReader:
    return EventReader(StreamDecoder())
