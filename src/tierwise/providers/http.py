"""One model's upstream over HTTP: a pool of connections, limits, retries inside a budget, and a breaker.

The one door at which what a network does becomes a ProviderError. Knows paths, statuses and headers; of bodies it
knows only that JSON goes out and that the dialect's `decode_error` reads a refusal.
"""

from __future__ import annotations

import asyncio
import random
import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping
from urllib.parse import urlsplit

import msgspec

from tierwise.errors import ConfigError, Overloaded, ProviderError, TimedOut, Torn, Unreachable
from tierwise.providers.connection import Connection, Fault, dial
from tierwise.providers.resilience import Breaker, RetryBudget, backoff, retry_after

DecodeError = Callable[[str, int, Mapping[str, str], bytes], ProviderError]
"""(the configured model's name, status, lower-case headers, body) -> the error that it is."""

RETRIES = 2  # a call
PATIENCE = 5.0  # seconds; who asks us to wait longer is left to the plan, which has other models
ERROR_BODY = 64 << 10  # bytes of a refusal that are read
_SECRET = frozenset({"authorization", "x-api-key"})  # headers whose last word is our key


class Limits(msgspec.Struct, frozen=True):
    """Seconds, bytes and sockets. `first_byte` counts from sending, `idle` between bytes, `total` over all."""

    connect: float = 5.0
    first_byte: float = 60.0
    idle: float = 30.0
    total: float = 600.0
    max_answer: int = 64 << 20
    connections: int = 512


class Upstream:
    """Where one configured model is asked. `name` is that model's name, for errors; `tls` trusts another authority.

    `base_url` comes from the operator alone and is the only host that is ever called; redirects are not followed.
    Raises ConfigError for an address that is none, or a header that can't be sent. Belongs to one event loop.
    """

    def __init__(
        self,
        name: str,
        base_url: str,
        headers: Mapping[str, str],
        decode_error: DecodeError,
        limits: Limits = Limits(),  # noqa: B008 - frozen
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.name = name
        self.limits = limits
        self.decode_error = decode_error
        self.breaker = Breaker()
        self.budget = RetryBudget()
        self.random: Callable[[], float] = random.random  # only spreads retries out
        self._secure, self._host, self._port, authority, self._base = _address(name, base_url)
        self._tls = tls
        self._fixed = _fixed_head(name, authority, headers)
        self._secrets = [word.encode() for header in _SECRET for word in headers.get(header, "").split()[-1:]]
        self._free: list[Connection] = []  # the last one used is the first to be used again
        self._live: set[Connection] = set()
        self._opening = 0

    async def open(self, path: str, body: bytes, extra: bytes = b"", method: bytes = b"POST") -> Reply:
        """Send `body`, which is JSON, to base_url + path and wait for the head of a 2xx answer.

        `extra` is more lines of the request's head, each with its line's end; whoever gives them has checked them.

        Raises ProviderError and nothing else. Asks again where that is safe and worth it.
        """
        loop = asyncio.get_running_loop()
        now = loop.time()
        self.admit(now)
        self.budget.called()
        total_at = now + self.limits.total
        parts = (method, self._base, path.encode(), self._fixed, len(body), extra)
        request = (b"%b %b%b HTTP/1.1\r\n%b%d\r\n%b\r\n" % parts, body)
        retries = 0
        while True:
            try:
                connection = await self._exchange(loop, request, total_at)
                if 200 <= connection.status < 300:
                    return Reply(self, connection)
                raise await self._refused(connection)
            except (Unreachable, Overloaded) as error:
                pause = self._pause(error, retries, total_at)
                if pause is None:
                    raise
            retries += 1
            await asyncio.sleep(pause)

    async def close(self) -> None:
        """Abort every connection and wait until the sockets are closed. May be called twice."""
        live = list(self._live)
        for connection in live:
            connection.abort()
        if live:
            await asyncio.wait([connection.lost for connection in live])

    # -------------------------------------------------------------- one attempt

    def admit(self, now: float) -> None:
        """Raises Overloaded while the breaker is open."""
        wait = self.breaker.admit(now)
        if wait > 0:
            what = f"it failed too often in a row and is left alone for another {wait:.1f} s (breaker)"
            raise Overloaded(self.name, what, retry_after=wait)

    async def _refused(self, connection: Connection) -> ProviderError:
        """The error that an answer other than 2xx is."""
        headers, status = connection.headers, connection.status
        refusal = await Reply(self, connection).refusal()
        for secret in self._secrets:  # some providers quote the key that they refuse
            refusal = refusal.replace(secret, b"[redacted]")
        error = self.decode_error(self.name, status, headers, refusal)
        if error.retry_after is None:
            error.retry_after = retry_after(headers, time.time())
        if error.upstream is None:
            error.upstream = status
        if status >= 500:
            self.breaker.failed(asyncio.get_running_loop().time())
        elif status != 429:  # a refusal proves that it lives; a limit reached proves nothing
            self.breaker.succeeded()
        return error

    async def _exchange(
        self, loop: asyncio.AbstractEventLoop, request: tuple[bytes, bytes], total_at: float
    ) -> Connection:
        """A connection that has the answer's head to a request's head and body."""
        limits = self.limits
        kept = self._kept()
        while True:
            connection = kept or await self._dial(total_at)
            try:
                await connection.ask(request, loop.time() + limits.first_byte, limits.idle, total_at)
            except Fault as fault:
                # the provider let go of a connection that it had kept open: no failure of the call, which starts anew
                if kept is None or fault.kind != "lost" or connection.heard:
                    raise self.failure(fault) from None
                kept = None
            else:
                return connection

    def _kept(self) -> Connection | None:
        while self._free:
            connection = self._free.pop()
            if connection.usable:
                return connection
        return None

    async def _dial(self, total_at: float) -> Connection:
        limits = self.limits
        if len(self._live) + self._opening >= limits.connections:
            what = f"all {limits.connections} connections are in use (limits.connections)"
            raise _final(Overloaded(self.name, what, retry_after=1.0))
        within = min(limits.connect, total_at - asyncio.get_running_loop().time())
        self._opening += 1
        try:
            connection = await dial(self._host, self._port, self._context(), within)
        except Fault as fault:
            raise self.failure(fault) from None
        finally:
            self._opening -= 1
        self._live.add(connection)
        connection.lost.add_done_callback(lambda _: self._live.discard(connection))
        return connection

    def _context(self) -> ssl.SSLContext | None:
        # made when it is first needed: reading the authorities takes 20 ms
        if self._secure and self._tls is None:
            self._tls = ssl.create_default_context()
            self._tls.set_alpn_protocols(["http/1.1"])
        return self._tls if self._secure else None

    # -------------------------------------------------------------- what becomes of it

    def free(self, connection: Connection) -> None:
        """An exchange is over: keep its connection where that is possible."""
        if connection.rest():
            self._free.append(connection)

    def failure(self, fault: Fault) -> ProviderError:
        """What a fault is in the house's words; the breaker hears of it."""
        self.breaker.failed(asyncio.get_running_loop().time())
        name, limits = self.name, self.limits
        if fault.kind == "late":
            what = {
                "connect": f"no connection within {limits.connect:g} s (limits.connect): {fault.text}",
                "first_byte": f"no answer's first byte within {limits.first_byte:g} s (limits.first_byte)",
                "idle": f"the answer stood still for {limits.idle:g} s (limits.idle)",
                "total": f"the answer was not at its end after {limits.total:g} s (limits.total)",
            }
            return TimedOut(name, what[fault.limit])
        if fault.kind == "forbidden":
            return _final(Unreachable(name, fault.text))
        if fault.kind == "unreachable":
            return Unreachable(name, f"{fault.text}; is its base_url right, and is it up?")
        if fault.kind == "lost":
            return Unreachable(name, fault.text)
        return Torn(name, fault.text)

    def _pause(self, error: ProviderError, retries: int, total_at: float) -> float | None:
        """Seconds until this error's call is tried again; None where it is not."""
        asked = error.retry_after or 0.0
        if not error.retryable or retries >= RETRIES or asked > PATIENCE:
            return None
        loop_time = asyncio.get_running_loop().time()
        pause = max(asked, backoff(retries, self.random()))
        if loop_time + pause >= total_at or self.breaker.open or not self.budget.take():
            return None
        return pause


class Reply:
    """A 2xx answer whose head has come. Whoever got it calls `close`, whatever happens; twice does no harm."""

    __slots__ = ("_connection", "_ended", "_judged", "_size", "_upstream", "headers", "status")

    def __init__(self, upstream: Upstream, connection: Connection) -> None:
        self.status = connection.status
        self.headers = connection.headers
        self._upstream = upstream
        self._connection: Connection | None = connection
        self._size = 0
        self._ended = False
        self._judged = False  # the breaker has heard how it went

    async def read(self) -> bytes:
        """The whole body. Raises Torn where it was cut or is over `limits.max_answer`, and TimedOut."""
        body = await self._next()
        if self._ended:
            return body
        pieces = [body]
        while not self._ended:
            pieces.append(await self._next())
        return b"".join(pieces)

    def pieces(self) -> AsyncIterator[bytes]:
        """The body as it comes: what arrived since the last time, as one. Raises as `read` does."""
        return self

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        data = b"" if self._ended else await self._next()
        if not data:
            raise StopAsyncIteration
        return data

    def finish(self) -> None:
        """The dialect has said that the answer is whole, though HTTP has not yet: may save the connection.

        Many providers send their end marker and the end of the HTTP body in two packets.
        """
        connection, self._connection = self._connection, None
        self._ended = True
        if connection is not None:
            connection.linger(self._upstream.free)

    def broken(self) -> None:
        """The dialect could not make sense of the answer: it counts as a failure, however well HTTP went."""
        if not self._judged:
            self._upstream.breaker.failed(asyncio.get_running_loop().time())
        self._failed()

    def close(self) -> None:
        """Give the connection back where the body was read to its end, else abort it at once."""
        if self._ended and not self._judged:
            self._judged = True
            self._upstream.breaker.succeeded()
        self._let_go()

    async def _next(self) -> bytes:
        connection, upstream = self._connection, self._upstream
        if connection is None:
            raise Torn(upstream.name, "the answer was let go of before its end")
        try:
            data = connection.take() or await connection.more()
        except Fault as fault:
            self._failed()
            raise upstream.failure(fault) from None
        self._size += len(data)
        if self._size > upstream.limits.max_answer:
            self._failed()
            raise Torn(upstream.name, f"the answer is over {upstream.limits.max_answer} bytes (limits.max_answer)")
        if connection.answer.complete:
            # everything is here: the connection can serve the next call while this answer is being worked on
            self._ended = True
            self._let_go()
        return data

    def _let_go(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._upstream.free(connection)

    def _failed(self) -> None:
        self._judged = True
        self._let_go()

    async def refusal(self) -> bytes:
        """A non-2xx answer's body, as much as came of it, at most 64 KiB; closes."""
        connection = self._connection
        body = b""
        try:
            while connection is not None and len(body) <= ERROR_BODY and (data := await connection.more()):
                body += data
        except Fault:
            pass  # its status is the news; the rest of its text is not worth another error
        finally:
            self._failed()
        return body[:ERROR_BODY]


def _final(error: ProviderError) -> ProviderError:
    error.retryable = False
    return error


def _address(name: str, base_url: str) -> tuple[bool, str, int, str, bytes]:
    """(TLS, host, port, authority, base path) of an address. Raises ConfigError."""
    parts = urlsplit(base_url)
    if parts.scheme not in {"http", "https"}:
        raise ConfigError(f"models.{name}.base_url: must begin with https:// or http://, not with {parts.scheme!r}")
    if parts.username is not None or parts.query or parts.fragment:
        raise ConfigError(f"models.{name}.base_url: may hold no user, password, query or fragment")
    try:
        port, host = parts.port, parts.hostname
    except ValueError:
        raise ConfigError(f"models.{name}.base_url: its port is no number from 0 to 65535") from None
    if not host or not base_url.isascii() or not base_url.isprintable() or " " in base_url:
        raise ConfigError(f"models.{name}.base_url: must be https://HOST[:PORT][/PATH] in plain ASCII")
    secure = parts.scheme == "https"
    return secure, host, port or (443 if secure else 80), parts.netloc, parts.path.rstrip("/").encode()


def _fixed_head(name: str, authority: str, headers: Mapping[str, str]) -> bytes:
    """The part of a request's head that is the same for every call, up to the length's value."""
    lines = [
        f"host: {authority}",
        "user-agent: tierwise",
        "accept-encoding: identity",
    ]
    for header, value in {"content-type": "application/json", **headers}.items():
        # a line break would smuggle in another header; a key that was read from a file often ends in one
        if not (header + value).isascii() or not (header + value).isprintable():
            raise ConfigError(f"models.{name}: the value of the header {header!r} can't be sent: is it a clean key?")
        lines.append(f"{header}: {value}")
    return "\r\n".join([*lines, "content-length: "]).encode("ascii")
