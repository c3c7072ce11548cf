"""Load on an endpoint from one process: closed loop at saturation, open loop at a pace.

A keep-alive client on asyncio protocols that does as little as it can: it must be faster than what it measures.
It finds an answer's end by content-length or by the last chunk's mark, and refuses anything but a 200.
"""

from __future__ import annotations

import asyncio
import time
from typing import cast
from urllib.parse import urlsplit


class _Client(asyncio.Protocol):
    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.waiter: asyncio.Future[None] | None = None
        self.left: int | None = None
        self.head = self.tail = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance

    def data_received(self, data: bytes) -> None:
        if self.left is None:
            self.head += data
            head, found, body = self.head.partition(b"\r\n\r\n")
            if not found:
                return
            if not head.startswith(b"HTTP/1.1 200"):
                self.fail(RuntimeError(f"not a 200: {self.head[:300]!r}"))
                return
            lower = head.lower()
            at = lower.find(b"content-length: ")
            self.left = int(lower[at + 16 :].split(b"\r\n", 1)[0]) if at >= 0 else -1
            data = body
        if self.left >= 0:
            self.left -= len(data)
            if self.left == 0:
                self.done()
        else:
            self.tail = (self.tail + data)[-7:]  # the last chunk's mark may come in pieces
            if self.tail.endswith(b"\r\n0\r\n\r\n"):
                self.done()

    def done(self) -> None:
        self.left, self.head, self.tail = None, b"", b""
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)

    def fail(self, error: Exception) -> None:
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_exception(error)

    def connection_lost(self, exc: Exception | None) -> None:
        self.fail(exc or ConnectionError("closed"))

    def close(self) -> None:
        self.waiter = None
        if self.transport is not None:
            self.transport.close()

    async def ask(self, message: bytes) -> None:
        assert self.transport is not None
        self.waiter = asyncio.get_running_loop().create_future()
        self.transport.write(message)
        await self.waiter


class Load:
    """`vary`: what of a body is the number of the connection, or of the paced request, so that no two are the same."""

    def __init__(self, base_url: str, key: str, path: str = "/v1/chat/completions", vary: bytes = b"") -> None:
        parts = urlsplit(base_url)
        self.path = path
        self.vary = vary
        self.host, self.port, self.key = parts.hostname or "", parts.port or 80, key

    def _message(self, body: bytes, number: int = 0) -> bytes:
        if self.vary:
            body = body.replace(self.vary, b"%d" % number)
        head = (
            f"POST {self.path} HTTP/1.1\r\nhost: {self.host}:{self.port}\r\n"
            f"authorization: Bearer {self.key}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body

    async def _client(self) -> _Client:
        _, client = await asyncio.get_running_loop().create_connection(_Client, self.host, self.port)
        return client

    async def _raw(self, body: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection(self.host, self.port)
        writer.write(self._message(body))
        return reader, writer

    async def expect(self, body: bytes, rule: str) -> None:
        """Ask once, and make sure that what is measured is what is meant."""
        reader, writer = await self._raw(body)
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        writer.close()
        if not head.startswith("http/1.1 200") or f"x-tierwise-decision: {rule}\r\n" not in head:
            raise SystemExit(f"expected the decision {rule}, got:\n{head}")

    async def first_text(self, body: bytes) -> tuple[float, float]:
        """Milliseconds to the first text of a stream, and to its end."""
        start = time.perf_counter()
        reader, writer = await self._raw(body)
        first = 0.0
        while not (line := await reader.readline()).startswith(b"data: [DONE]"):
            if not first and b'"content":"' in line and b'"content":""' not in line:
                first = time.perf_counter()
        end = time.perf_counter()
        writer.close()
        return (first - start) * 1000, (end - start) * 1000

    async def run(self, body: bytes, connections: int, seconds: float) -> int:
        """Closed loop: each connection asks again as soon as it has its answer. Returns the answers."""
        until = time.perf_counter() + seconds

        async def one(number: int) -> int:
            client, count, message = await self._client(), 0, self._message(body, number)
            while time.perf_counter() < until:
                await client.ask(message)
                count += 1
            client.close()
            return count

        return sum(await asyncio.gather(*map(one, range(connections))))

    async def paced(self, body: bytes, rate: int, seconds: float) -> list[float]:
        """Open loop at `rate` requests a second, each on a free connection. Gives ms from when it was due."""
        messages = [self._message(body, number) for number in range(int(rate * seconds) if self.vary else 1)]
        free: list[_Client] = [await self._client() for _ in range(8)]
        times: list[float] = []

        async def one(due: float, message: bytes) -> None:
            client = free.pop() if free else await self._client()
            await client.ask(message)
            times.append((time.perf_counter() - due) * 1000)
            free.append(client)

        tasks = []
        start = time.perf_counter() + 0.05
        for number in range(int(rate * seconds)):
            due = start + number / rate
            await asyncio.sleep(max(due - time.perf_counter(), 0))
            tasks.append(
                asyncio.ensure_future(one(max(due, time.perf_counter() - 0.0005), messages[number % len(messages)]))
            )
        await asyncio.gather(*tasks)
        for client in free:
            client.close()
        return times
