"""Anthropic, and whatever speaks its Messages API.

Knows the order of things on this wire; bytes are the dialect's, connections `http.py`'s.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator

from tierwise.dialects.anthropic_answers import StreamDecoder, decode_answer
from tierwise.dialects.anthropic_requests import encode_request
from tierwise.dialects.sse import Events
from tierwise.errors import Overloaded, Torn, WireError
from tierwise.ports import Batch
from tierwise.providers.http import Upstream
from tierwise.types import Chunk, Model, Request

PATH = "/messages"
VERSION = "2023-06-01"  # the only one there is; newer fields come with it


def headers(api_key: str | None) -> dict[str, str]:
    """What authenticates us, and the version of the wire; no key for a server that asks for none."""
    return {"anthropic-version": VERSION} | ({"x-api-key": api_key} if api_key else {})


class AnthropicProvider:
    """A model behind `POST {base_url}/messages`. Raises BadRequest for a request that this wire can't express."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream

    async def stream(self, model: Model, request: Request) -> AsyncGenerator[Batch, None]:
        reply = await self._upstream.open(PATH, encode_request(request, model))
        try:
            if not request.stream:
                yield decode_answer(await reply.read())
                return
            reader = _Reader()
            async for piece in reply.pieces():
                if batch := reader.feed(piece):
                    yield batch
                if reader.done:
                    reply.finish()
                    break
            reader.end()
        except WireError as error:
            reply.broken()
            raise (Overloaded if error.overloaded else Torn)(model.name, error.message) from None
        finally:
            reply.close()

    async def close(self) -> None:
        await self._upstream.close()


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
