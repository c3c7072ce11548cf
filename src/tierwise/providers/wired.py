"""What the providers with a wire share: ask over HTTP, read the answer whole or as it comes, say how it broke.

Knows the order of things; bytes are a dialect's, connections `http.py`'s, and which dialect is the subclass's to say.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from typing import Any, Protocol

import msgspec

from tierwise.dialects.sse import Events
from tierwise.errors import Overloaded, ProviderError, Torn, WireError
from tierwise.ports import Batch, Batches
from tierwise.providers.http import Reply, Upstream
from tierwise.types import Chunk, Model, Request


class Reader(Protocol):
    """Pieces of a stream to batches."""

    @property
    def done(self) -> bool:
        """Nothing more is to come: the provider said so, or it can't be read on."""
        ...

    def feed(self, piece: bytes) -> Batch:
        """What a piece holds, up to where it breaks off: that was paid for. `end` raises what broke it."""
        ...

    def end(self) -> None:
        """Raises WireError unless the answer is whole."""
        ...


class Decoder(Protocol):
    """A dialect's events to chunks."""

    @property
    def finished(self) -> bool:
        """The answer has ended as it should."""
        ...

    def feed(self, event: str, data: bytes) -> Chunk | None:
        """The chunk of one event, None where it adds nothing. Raises WireError."""
        ...


class EventReader:
    """A Reader over a dialect whose streams say themselves when the answer is whole."""

    __slots__ = ("_broken", "_decoder", "_events")

    def __init__(self, decoder: Decoder) -> None:
        self._events = Events()
        self._decoder = decoder
        self._broken: WireError | None = None

    @property
    def done(self) -> bool:
        return self._decoder.finished or self._broken is not None

    def feed(self, piece: bytes) -> Batch:
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
        if self._broken is not None:
            raise self._broken
        if not self._decoder.finished:
            raise WireError("the stream stopped before the answer did")


class Wire(msgspec.Struct, frozen=True):
    """One dialect, towards a provider."""

    name: str
    path: str
    encode: Callable[[Request, Model], bytes]
    decode: Callable[[bytes], Batch]
    reader: Callable[[], Reader]


class WiredProvider:
    """A model behind `POST {base_url}{path}`. Raises BadRequest for a request that its wire can't express."""

    def __init__(self, upstream: Upstream, wire: Wire, *others: Wire) -> None:
        """Everything is asked by `wire`, but requests of a dialect that one of `others` is for."""
        self._upstream = upstream
        self._wire = wire
        self._others = {other.name: other for other in others}

    def stream(self, model: Model, request: Request) -> Batches:
        return self._flow(model, request) if request.stream else _Once(self._whole(model, request))

    async def _whole(self, model: Model, request: Request) -> Batch:
        wire, opening = self._open(model, request)
        reply = await opening
        try:
            return wire.decode(await reply.read())
        except WireError as error:
            raise _broken(model, reply, error) from None
        finally:
            reply.close()

    async def _flow(self, model: Model, request: Request) -> AsyncGenerator[Batch, None]:
        wire, opening = self._open(model, request)
        reply = await opening
        try:
            reader = wire.reader()
            async for piece in reply.pieces():
                if batch := reader.feed(piece):
                    yield batch
                if reader.done:
                    reply.finish()
                    break
            reader.end()
        except WireError as error:
            raise _broken(model, reply, error) from None
        finally:
            reply.close()

    def _open(self, model: Model, request: Request) -> tuple[Wire, Awaitable[Reply]]:
        wire = self._others.get(request.dialect, self._wire)
        extra = _lines(request.extras) if request.extras and request.dialect == wire.name else b""
        return wire, self._upstream.open(wire.path, wire.encode(request, model), extra)

    async def close(self) -> None:
        await self._upstream.close()


class _Once:
    """One batch, and the end. A generator costs two microseconds more: the loop keeps a list of them."""

    __slots__ = ("_asking",)

    def __init__(self, asking: Coroutine[Any, Any, Batch]) -> None:
        self._asking: Coroutine[Any, Any, Batch] | None = asking  # until somebody waits for it

    def __aiter__(self) -> _Once:
        return self

    def __anext__(self) -> Awaitable[Batch]:
        asking, self._asking = self._asking, None
        if asking is None:
            raise StopAsyncIteration
        return asking

    async def aclose(self) -> None:
        """What is being asked is ended by whoever waits for it."""
        if self._asking is not None:
            self._asking.close()
            self._asking = None


def _broken(model: Model, reply: Reply, error: WireError) -> ProviderError:
    reply.broken()
    return (Overloaded if error.overloaded else Torn)(model.name, error.message)


def _lines(headers: tuple[tuple[str, str], ...]) -> bytes:
    """Of a request's head. A line break inside would smuggle in another header; the gateway's door takes none."""
    return "".join([f"{name}: {value}\r\n" for name, value in headers if value.isprintable()]).encode("ascii")
