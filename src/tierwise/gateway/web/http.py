"""HTTP as the gateway's routes see it: a request's head and body, a whole reply, a stream that flows.

Speaks granian's RSGI (its specification, version 1.x). Knows no route and no dialect.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

import msgspec
from granian._granian import RSGIProtocolClosed as ProtocolClosed

from tierwise.errors import BadRequest, ClientError, Stopping, TierwiseError
from tierwise.gateway.web.backpressure import Reader
from tierwise.gateway.web.coarse_timer import CoarseTimer
from tierwise.gateway.web.compression import decompress, oversized

if TYPE_CHECKING:
    from granian._granian import RSGIHeaders as Headers  # granian.rsgi names them without exporting them
    from granian._granian import RSGIHTTPProtocol as HTTPProtocol

BODY_SECONDS = 10.0  # that a body may take,
SLOWEST = 64 << 10  # and another second for each so many bytes of it
DRAIN_SECONDS = 0.5  # that a body over the limit is read on for, and forgotten
WATCH_AFTER = 0.2  # seconds a request may take before it is worth a task to see whether its client is still there
STRIDE = 256 << 10  # bytes of a stream between two looks at whether its client still reads

JSON = ("content-type", "application/json")
EVENT_STREAM = [
    ("content-type", "text/event-stream; charset=utf-8"),
    ("cache-control", "no-cache"),
    ("x-accel-buffering", "no"),  # nginx would hold the stream back
]


class Reply(msgspec.Struct, frozen=True):
    """A whole reply; without a content type among its headers it is JSON."""

    status: int
    body: bytes
    headers: Sequence[tuple[str, str]] = ()
    typed: bool = False  # the first of its headers is its content type


_PROCESS = secrets.token_hex(4)
_count = itertools.count()


def new_id() -> str:
    """A request's id, unique over processes: time first, so that rows of one moment lie together in an index."""
    return f"req_{time.time_ns():016x}{_PROCESS}{next(_count) & 0xFFFF:04x}"


async def read_body(headers: Headers, proto: HTTPProtocol, limit: int, timer: CoarseTimer) -> bytes:
    """The whole body, unpacked. Raises TooLarge over `limit` bytes, whether they were declared or not; Unsupported."""
    size = _declared(headers)
    if size is None or size > limit:
        body = await _gather(proto, limit, too_large=size is not None)
    else:
        timeout = _BodyTimeout(timer, BODY_SECONDS + size / SLOWEST)
        try:
            body = await proto()
        except asyncio.CancelledError:
            if not timeout.expired_alone():
                raise
            raise LateBody from None
        except ProtocolClosed:
            raise _torn() from None
        finally:
            timeout.end()
    packing = headers.get("content-encoding")
    return body if packing is None else decompress(body, packing, limit)


def _declared(headers: Headers) -> int | None:
    """Bytes that the body is said to have; None where it comes in chunks until it ends. Raises BadRequest."""
    declared = headers.get("content-length")
    if declared is None:
        coding = headers.get("transfer-encoding", "chunked")
        if coding.lower() != "chunked":
            raise BadRequest(f"transfer-encoding must be chunked, not {coding[:50]!r}.")
        return None
    if not declared.isdigit():
        raise BadRequest("content-length must be a number.")
    return int(declared)


async def _gather(proto: HTTPProtocol, limit: int, *, too_large: bool) -> bytes:
    """A body in pieces. One over the limit is read on for a moment and forgotten: who is cut off never reads why."""
    pieces: list[bytes] = []
    size = empty = 0
    began = asyncio.get_running_loop().time()
    try:
        async with asyncio.timeout(DRAIN_SECONDS if too_large else BODY_SECONDS) as patience:
            async for piece in proto:
                size += len(piece)
                empty += not piece
                if size > limit and not too_large:
                    too_large = True
                    pieces.clear()
                    patience.reschedule(asyncio.get_running_loop().time() + DRAIN_SECONDS)
                if not too_large:
                    pieces.append(piece)
                    patience.reschedule(began + BODY_SECONDS + size / SLOWEST)
    except TimeoutError:
        if not too_large:
            raise LateBody from None
    if too_large:
        raise oversized(limit)
    if empty > 1:  # granian gives one at the end of a whole body, and another one for what went wrong before it
        raise _torn()
    return b"".join(pieces)


class _BodyTimeout:
    """Cancels the running task in so many seconds: `asyncio.timeout` at a tenth of its cost, and less exact."""

    __slots__ = ("_over", "_pending", "_task")

    def __init__(self, timer: CoarseTimer, seconds: float) -> None:
        self._over = False
        self._task = asyncio.current_task()
        self._pending = timer.after(seconds, self)

    def expired(self) -> None:
        if self._task is not None:
            self._over = True
            self._task.cancel()

    def expired_alone(self) -> bool:
        """Whether it is why the task was cancelled, and nobody else wants it to end."""
        return self._over and self._task is not None and self._task.uncancel() == 0

    def end(self) -> None:
        self._pending.discard(self)


class LateBody(ClientError):
    """A body that did not come to its end in time."""

    status = 408
    default_code = "request_timeout"

    def __init__(self) -> None:
        super().__init__("The request's body came too slowly; ask again.")


def _torn() -> BadRequest:
    return BadRequest("The request's body broke off before its end, or is framed in a wrong way.", code="body_torn")


class ClientLeft(Exception):
    """Nobody is there to be told any more."""


class Watch:
    """Cancels the task that answers a request once the client has left: what nobody reads must not be paid for."""

    __slots__ = ("_pending", "_proto", "_task", "_waiting", "left", "stopped")

    def __init__(self, proto: HTTPProtocol, timer: CoarseTimer) -> None:
        self._proto = proto
        self._task = asyncio.current_task()
        self._waiting: asyncio.Future[None] | None = None
        self.left = False
        self.stopped = False
        self._pending = timer.after(WATCH_AFTER, self)

    def expired(self) -> None:
        self._waiting = asyncio.ensure_future(self._proto.client_disconnect())
        self._waiting.add_done_callback(self._gone)

    def _gone(self, waiting: asyncio.Future[None]) -> None:
        if not waiting.cancelled() and self._task is not None:
            self.left = True
            self._task.cancel()

    def refusal(self, error: TierwiseError | asyncio.CancelledError) -> TierwiseError:
        """What its client is told of what ended a request. Raises CancelledError where that was not `stop`."""
        if isinstance(error, TierwiseError):
            return error
        if not self.stopped:
            raise error
        return Stopping("The gateway is being stopped; ask again.")

    def stop(self) -> None:
        if self._task is not None:
            self.stopped = True
            self._task.cancel()

    def end(self) -> None:
        self._pending.discard(self)
        if self._waiting is not None:
            self._waiting.remove_done_callback(self._gone)
            self._waiting.cancel()


class Stream:
    """A reply that flows, as fast as its client reads. With `kept` all that was sent stays in `sent`."""

    __slots__ = ("_client", "_proto", "_reader", "_since", "_transport", "sent")

    def __init__(self, proto: HTTPProtocol, client: str, *, kept: bool = False) -> None:
        self.sent: list[bytes] | None = [] if kept else None
        self._proto = proto
        self._client = client
        self._transport: Callable[[bytes], Awaitable[None]] | None = None
        self._reader: Reader | None = None
        self._since = 0  # bytes since the last look at its client

    @property
    def opened(self) -> bool:
        return self._transport is not None

    def open(self, headers: list[tuple[str, str]]) -> None:
        self._transport = self._proto.response_stream(200, EVENT_STREAM + headers).send_bytes

    async def send(self, data: bytes) -> None:
        """Raises ClientLeft."""
        if data and self._transport is not None:
            if self.sent is not None:
                self.sent.append(data)
            try:
                await self._transport(data)
            except ProtocolClosed:
                raise ClientLeft from None
            self._since += len(data)
            if self._since >= STRIDE:
                self._since = 0
                if self._reader is None:
                    self._reader = Reader(self._client)
                await self._reader.ready()

    def close(self) -> None:
        """The end of the reply. Granian sends its last chunk when the transport is freed, so nothing may hold it."""
        self._transport = None
        if self._reader is not None:
            self._reader.close()
