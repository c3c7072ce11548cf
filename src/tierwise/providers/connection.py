"""One HTTP/1.1 client connection: bytes on a socket to a head and the pieces of a body, under time limits.

An asyncio protocol over httptools, because a call must cost tens of microseconds: no task, queue or timer is made
for a call; one future wakes its reader, and a connection has one timer.
A body that was cut before its declared end is a fault, never an end. Knows no models, retries, pools or JSON.
"""

from __future__ import annotations

import asyncio
import ipaddress
import math
import socket
import ssl
from collections.abc import Callable, Sequence
from typing import Literal, cast

import httptools

from tierwise.providers.deadline import Deadline

HEAD_LIMIT = 64 << 10  # bytes of an answer's head; also of any stretch of its framing that brings no body
UNREAD_LIMIT = 256 << 10  # bytes that wait for a slow reader before the socket is left alone
LINGER = 1.0  # seconds that an answer's last framing bytes may take after its dialect has said "done"
KEEP = 30.0  # seconds that an unused connection is kept: below what providers and NATs forget silently

# Cloud metadata services outside the link-local ranges: AWS over IPv6, Azure, Alibaba.
_METADATA = frozenset({"fd00:ec2::254", "168.63.129.16", "100.100.100.200"})

_FIX = "correct its base_url"
_LOST = "the connection was closed before an answer began"

Kind = Literal["unreachable", "forbidden", "late", "lost", "torn", "wire"]
Limit = Literal["connect", "first_byte", "idle", "total"]


class Fault(Exception):
    """What went wrong with a connection. `limit` names the time limit of a `late` one."""

    def __init__(self, kind: Kind, text: str, limit: Limit = "connect") -> None:
        super().__init__(text)
        self.kind = kind
        self.text = text
        self.limit = limit


class _Unusable(Exception):
    """Raised inside the parser to stop it."""


class Answer:
    """What the parser has made of the bytes of one answer so far. Knows no socket, time or reader."""

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self.pieces: list[bytes] = []  # of the body, that nobody has taken yet
        self.keep_alive = True  # what the parser says of the connection; the last answer that says no is the last
        self._interim = False
        self.reset()

    def reset(self) -> None:
        """Another answer is to come on the same connection."""
        self.status = 0  # until its head is there
        self.headers: dict[str, str] = {}
        self.begun = False  # the body's first byte has arrived
        self.complete = False  # the body's end has arrived
        self.unread = 0  # bytes in `pieces`
        self._until_close = False
        self._head_size = 0
        self._barren = 0  # bytes since the body's last one

    def feed(self, data: bytes) -> None:
        """Bytes have come. Raises Fault where they are of no use; after a whole answer they just end `keep_alive`."""
        self._barren += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self.keep_alive = False
            if not self.complete:
                # the parser's reasons are fixed sentences: they quote nothing of the answer
                reason = error.__context__ if isinstance(error, httptools.HttpParserCallbackError) else error
                raise Fault("wire", f"the answer is not HTTP/1.1 that can be used: {reason}") from None
        if self._barren > HEAD_LIMIT and not self.complete:
            raise Fault("wire", f"the answer's head or framing is over {HEAD_LIMIT >> 10} KiB")

    def end(self, clean: bool) -> None:
        """No more bytes will come. Raises Fault unless that is, after a `clean` end, how this answer ends."""
        if self.complete:
            return
        if not (self._until_close and clean):
            raise Fault("torn", "the answer was cut before its end") if self.status else Fault("lost", _LOST)
        self.complete, self.keep_alive = True, False

    def take(self) -> bytes:
        """What has arrived of the body since the last time."""
        pieces = self.pieces
        if not pieces:
            return b""
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self.unread = 0
        return data

    # -------------------------------------------------------------- what the parser calls

    def on_message_begin(self) -> None:
        if self.complete:
            raise _Unusable("bytes after its end")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_size += len(name) + len(value)
        if not self.status:  # trailers say nothing that we read
            self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        if self._head_size > HEAD_LIMIT:
            raise _Unusable(f"its head is over {HEAD_LIMIT >> 10} KiB")
        status = self._parser.get_status_code()
        if status == 101:
            raise _Unusable("it changes the protocol")
        if status < 200:  # RFC 9110, 15.2: any number of interim answers may come before the final one
            self._interim = True
            self.headers = {}
            return
        self.status = status
        headers = self.headers
        chunked = headers.get("transfer-encoding", "").lower().endswith("chunked")
        self._until_close = not chunked and "content-length" not in headers

    def on_body(self, data: bytes) -> None:
        self.begun = True
        self._barren = 0
        self.pieces.append(data)
        self.unread += len(data)

    def on_message_complete(self) -> None:
        if self._interim:
            self._interim = False
            return
        self.complete = True
        self.keep_alive = self._parser.should_keep_alive()


class Channel(asyncio.Protocol):
    """A socket from made to lost, and the one who waits for news of it. Knows nothing of what the bytes mean."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.lost: asyncio.Future[None] = loop.create_future()
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._fault: Fault | None = None  # for whoever waits from now on: nothing is carried after it

    @property
    def usable(self) -> bool:
        """Whether another exchange may start on it."""
        return self._transport is not None and not self._transport.is_closing() and not self.lost.done()

    def abort(self) -> None:
        """Close at once: what the other side still sends is not read."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._wake()
        if not self.lost.done():
            self.lost.set_result(None)

    async def _wait(self) -> None:
        if self._fault is not None:
            raise self._fault
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _fail(self, fault: Fault) -> None:
        self._fault = fault
        self.abort()
        self._wake()


class Connection(Channel):
    """Carries one exchange at a time: `ask`, then `take` or `more` until `answer.complete`,
    then `rest` or `abort`."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.answer = Answer()
        self.status = 0  # of the answer, as are its headers, once `ask` is done
        self.headers: dict[str, str] = {}
        self.heard = False  # at least one byte of this exchange's answer has arrived
        self.keep = KEEP
        self._busy = False
        self._paused = False
        self._then: Callable[[Connection], None] | None = None
        self._idle = self._total_at = math.inf
        self._deadline = Deadline(loop, self._late)

    @property
    def unread(self) -> int:
        """Bytes of the body that nobody has taken yet."""
        return self.answer.unread

    async def ask(self, request: Sequence[bytes], first_at: float, idle: float, total_at: float) -> None:
        """Send a request and wait for the answer's head: `status` and `headers`.

        `first_at` and `total_at` are loop times by which the body's first byte and its end must be there, `idle`
        the seconds that may pass between bytes. Raises Fault; aborts the connection then, and when cancelled.
        """
        answer = self.answer
        answer.reset()
        self.heard = False
        self._busy = True
        self._idle = idle
        self._total_at = total_at
        try:
            if self._transport is None or not self.usable:
                raise Fault("lost", _LOST)
            self._deadline.move(min(first_at, total_at))
            self._transport.writelines(request)
            while not answer.status:
                await self._wait()
        finally:
            self.status, self.headers = answer.status, answer.headers
            if not self.status:
                self.abort()

    def take(self) -> bytes:
        """What has arrived of the body since the last time, without waiting."""
        data = self.answer.take()
        if self._paused:
            self._paused = False
            if self._transport is not None and self.usable:
                self._deadline.move(min(self._loop.time() + self._idle, self._total_at))
                self._transport.resume_reading()
        return data

    async def more(self) -> bytes:
        """What has arrived since the last time; waits for at least a byte. Empty at the clean end. Raises Fault."""
        answer = self.answer
        while not answer.pieces:
            if answer.complete:
                return b""
            await self._wait()
        return self.take()

    def rest(self) -> bool:
        """The exchange is over. Whether the connection may be used again; otherwise it is aborted."""
        answer = self.answer
        if not (answer.complete and answer.keep_alive and self.usable) or answer.pieces:
            self.abort()
            return False
        self._busy = False
        self._deadline.move(self._loop.time() + self.keep)
        return True

    def linger(self, then: Callable[[Connection], None]) -> None:
        """The reader has all it needs, only the end is missing: `then` is called when it comes; else it aborts."""
        self._then = then
        self._deadline.move(self._loop.time() + LINGER)

    # -------------------------------------------------------------- what the event loop calls

    def data_received(self, data: bytes) -> None:
        if not self._busy or self._fault is not None:
            self.abort()  # an answer that nobody asked for
            return
        self.heard = True
        answer = self.answer
        try:
            answer.feed(data)
        except Fault as fault:
            self._fail(fault)
            return
        if self._then is not None:
            self._linger_on(self._then)
        elif not answer.complete:
            self._pace(answer)
        if answer.status:
            self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._deadline.stop()
        if self._busy and self._fault is None:
            try:
                self.answer.end(clean=exc is None)
            except Fault as fault:
                self._fault = fault
        super().connection_lost(exc)

    def _linger_on(self, then: Callable[[Connection], None]) -> None:
        if self.answer.complete:
            self._then = None
            then(self)
        elif self.answer.pieces:
            self.abort()

    def _pace(self, answer: Answer) -> None:
        if answer.unread > UNREAD_LIMIT:
            if not self._paused and self._transport is not None:
                self._paused = True
                self._transport.pause_reading()
            self._deadline.move(self._total_at)  # the silence is the reader's now, not the upstream's
        elif answer.begun:
            self._deadline.move(min(self._loop.time() + self._idle, self._total_at))

    def _late(self) -> None:
        if not self._busy:
            self.abort()
        elif not self.answer.complete:
            now = self._loop.time()
            late: Limit = "total" if now >= self._total_at else "idle" if self.answer.begun else "first_byte"
            self._fail(Fault("late", "a time limit has passed", late))


# ------------------------------------------------------------------ making one


async def dial(host: str, port: int, tls: ssl.SSLContext | None, within: float) -> Connection:
    """A new connection, in at most `within` seconds, to an address that was checked. Raises Fault.

    The address that was checked is the one that is connected to: a name that resolves to something else the
    second time gains nothing.
    """
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + within
    try:
        async with asyncio.timeout_at(ends_at):
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except TimeoutError:
        raise Fault("late", "its name could not be resolved in time") from None
    except OSError as error:
        raise Fault("unreachable", f"the name {host} can't be resolved ({error.strerror})") from None
    # IPv4 first: a machine with half an IPv6 would spend its time limit there; else in the resolver's order
    addresses = sorted(dict.fromkeys(str(entry[4][0]) for entry in found), key=lambda address: ":" in address)
    for address in addresses:
        if forbidden(address):
            raise Fault("forbidden", f"{host} is {address}: link-local and metadata addresses are never called; {_FIX}")
    fault = Fault("unreachable", f"{host} has no address")
    for left, address in zip(range(len(addresses), 0, -1), addresses, strict=True):
        try:
            share = (ends_at - loop.time()) / left
            return await _connect(address, port, (tls, host), share)
        except Fault as error:
            fault = error
            if fault.kind == "forbidden":
                break
    raise fault


def forbidden(address: str) -> bool:
    """Whether an IP address is link-local or a metadata service: secrets of the machine live there."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(parsed, "ipv4_mapped", None)  # ::ffff:169.254.169.254 is the same door
    return (mapped or parsed).is_link_local or str(mapped or parsed) in _METADATA


async def _connect(address: str, port: int, secure: tuple[ssl.SSLContext | None, str], within: float) -> Connection:
    loop = asyncio.get_running_loop()
    tls, name = secure
    try:
        async with asyncio.timeout(within):
            transport, connection = await loop.create_connection(
                lambda: Connection(loop), address, port, ssl=tls, server_hostname=name if tls else None
            )
    except ssl.SSLCertVerificationError as error:
        why = f"{error.verify_message}; {_FIX}, or trust its authority"
        raise Fault("forbidden", f"the certificate of {name} is not valid: {why}") from None
    except TimeoutError:
        raise Fault("late", f"{name}:{port} does not answer") from None
    except OSError as error:
        why = getattr(error, "reason", None) or error.strerror or type(error).__name__
        raise Fault("unreachable", f"no {'TLS ' if tls else ''}connection to {name}:{port} ({why})") from None
    # without it, Nagle and delayed acknowledgements add 40 ms to a request of two packets
    transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection
