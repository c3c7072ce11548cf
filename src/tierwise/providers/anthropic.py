"""Anthropic, and whatever speaks its Messages API."""

from __future__ import annotations

from tierwise.dialects.anthropic_answers import NAME, StreamDecoder, decode_answer
from tierwise.dialects.anthropic_requests import encode_request
from tierwise.dialects.sse import Events
from tierwise.errors import WireError
from tierwise.ports import Batch
from tierwise.providers.http import Upstream
from tierwise.providers.wired import Wire, WiredProvider
from tierwise.types import Chunk

VERSION = "2023-06-01"  # the only one there is; newer fields come with it


def headers(api_key: str | None) -> dict[str, str]:
    """What authenticates us, and the version of the wire; no key for a server that asks for none."""
    return {"anthropic-version": VERSION} | ({"x-api-key": api_key} if api_key else {})


class AnthropicProvider(WiredProvider):
    def __init__(self, upstream: Upstream) -> None:
        super().__init__(upstream, Wire(NAME, "/messages", encode_request, decode_answer, _Reader))


class _Reader:
    """Pieces of a stream to batches. `done` when nothing more is to come: the message has ended, or is broken."""

    __slots__ = ("_broken", "_decoder", "_events")

    def __init__(self) -> None:
        self._events = Events()
        self._decoder = StreamDecoder()
        self._broken: WireError | None = None

    @property
    def done(self) -> bool:
        return self._decoder.finished or self._broken is not None

    def feed(self, piece: bytes) -> Batch:
        """What a piece holds, up to where it breaks off: that was paid for. `end` raises what broke it."""
        batch: list[Chunk] = []
        try:
            for event, data in self._events.feed(piece):
                chunk = self._decoder.feed(event, data)
                if chunk is not None:
                    batch.append(chunk)
        except WireError as error:
            self._broken = error
        return tuple(batch)

    def end(self) -> None:
        """Raises WireError unless the message is whole."""
        if self._broken is not None:
            raise self._broken
        if not self._decoder.finished:
            raise WireError("the stream stopped before the message did")
