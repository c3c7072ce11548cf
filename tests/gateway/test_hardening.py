"""What hostile, broken and slow clients do to the port, on bare sockets: it is refused, bounded, and felt by nobody."""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest

from tests.gateway.harness import CONFIG, GOOD, Child, Gateway, by_model, child, placed, running
from tests.support.shapes import Script

BODY = b'{"model":"premium","messages":[{"role":"user","content":"hi"}]}'
LENGTH = b"content-length: %d\r\n" % len(BODY)
CHUNKED = b"transfer-encoding: chunked\r\n"
CHUNKS = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
DOORS = {
    "/chat/completions": b'{"model":"premium","messages":[{"role":"user","content":"hi"}]%b}',
    "/responses": b'{"model":"premium","input":"hi"%b}',
    "/messages": b'{"model":"premium","max_tokens":9000,"messages":[{"role":"user","content":"hi"}]%b}',
}


class Wire:
    """A bare connection to a gateway."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, key: str) -> None:
        self.reader = reader
        self.writer = writer
        self._key = key

    def head(self, *lines: bytes, path: str = "/chat/completions") -> bytes:
        first = f"POST /v1{path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {self._key}\r\n"
        return first.encode() + b"".join(lines) + b"\r\n"

    async def reply(self, within: float = 2.0) -> tuple[int, bytes]:
        """(status, body) of the next whole reply."""
        async with asyncio.timeout(within):
            head = (await self.reader.readuntil(b"\r\n\r\n")).lower()
            length = next((line for line in head.split(b"\r\n") if line.startswith(b"content-length:")), b":0")
            return int(head.split()[1]), await self.reader.readexactly(int(length.partition(b":")[2]))

    async def closed(self, within: float = 2.0) -> bytes:
        """What came before the other end closed it."""
        async with asyncio.timeout(within):
            with suppress(ConnectionError):
                return await self.reader.read()
        return b""


@asynccontextmanager
async def wire(gateway: Gateway | Child, key: str, limit: int = 1 << 16) -> AsyncIterator[Wire]:
    place = urlsplit(gateway.url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port, limit=limit)
    try:
        yield Wire(reader, writer, key)
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


# ------------------------------------------------------------------ how requests are framed


async def test_keep_alive_and_pipelining(tmp_path: Path) -> None:
    """One connection serves many requests, one after another and all at once, with a length and in chunks."""
    async with running(tmp_path) as gateway, wire(gateway, gateway.key) as line:
        plain, chunked = line.head(LENGTH) + BODY, line.head(CHUNKED) + CHUNKS
        for sent in (plain, chunked, plain):
            line.writer.write(sent)
            status, body = await line.reply()
            assert (status, GOOD.encode() in body) == (200, True)
        line.writer.write(plain + chunked + plain)
        for _ in range(3):
            status, body = await line.reply()
            assert (status, GOOD.encode() in body) == (200, True)
        single = b"".join(b"1\r\n%c\r\n" % byte for byte in BODY)
        line.writer.write(line.head(CHUNKED) + single + b"0\r\n\r\n")
        assert (await line.reply())[0] == 200


SMUGGLED = {
    "two-lengths": (LENGTH + b"content-length: 3\r\n", BODY),
    "lengths-in-one": (b"content-length: %d, %d\r\n" % (len(BODY), len(BODY)), BODY),
    "length-plus": (b"content-length: +%d\r\n" % len(BODY), BODY),
    "length-hex": (b"content-length: 0x10\r\n", BODY),
    "length-empty": (b"content-length: \r\n", BODY),
    "obs-fold": (b"x-a: 1\r\n b\r\n" + LENGTH, BODY),
    "obs-fold-of-chunked": (b"transfer-encoding:\r\n chunked\r\n", CHUNKS),
    "space-before-colon": (b"content-length : %d\r\n" % len(BODY), BODY),
    "bare-cr": (b"x-a: 1\rcontent-length: 3\r\n" + LENGTH, BODY),
    "nul": (b"x-a: 1\0\r\n" + LENGTH, BODY),
    "unknown-coding": (b"transfer-encoding: xchunked\r\n", CHUNKS),
    "chunked-not-last": (b"transfer-encoding: chunked, identity\r\n", CHUNKS),
    "two-codings": (b"transfer-encoding: gzip, chunked\r\n", CHUNKS),
    "chunked-twice": (CHUNKED + b"transfer-encoding: identity\r\n", CHUNKS),
    "identity-and-length": (LENGTH + b"transfer-encoding: identity\r\n", BODY),
    "size-no-number": (CHUNKED, CHUNKS[:-5] + b"zz\r\n\r\n"),
    "size-too-large": (CHUNKED, b"fffffffffffffffff\r\n%b\r\n0\r\n\r\n" % BODY),
    "size-0x": (CHUNKED, b"0x%b" % CHUNKS),
    "size-negative": (CHUNKED, b"-1\r\n%b" % CHUNKS),
    "no-end-of-chunk": (CHUNKED, b"%x\r\n%bXX0\r\n\r\n" % (len(BODY), BODY)),
    "bare-lf": (CHUNKED, CHUNKS.replace(b"\r\n", b"\n")),
    "trailers": (CHUNKED, CHUNKS[:-2] + b"content-length: 3\r\n\r\n"),
}


@pytest.mark.parametrize(("framing", "body"), SMUGGLED.values(), ids=SMUGGLED)
async def test_a_request_that_two_could_read_differently(tmp_path: Path, framing: bytes, body: bytes) -> None:
    """It is refused, even where a whole JSON text came first, and nobody is asked."""
    async with running(tmp_path) as gateway, wire(gateway, gateway.key) as line:
        line.writer.write(line.head(framing) + body)
        status, _ = await line.reply()
        assert (status, gateway.upstream.requests) == (400, [])


@pytest.mark.parametrize("framing", [LENGTH + CHUNKED, CHUNKED + b"content-length: 3\r\n"], ids=["first", "last"])
async def test_length_beside_chunks(tmp_path: Path, framing: bytes) -> None:
    """The chunks count, as RFC 9112 (6.3) has it, and the connection is closed: what follows is never a request."""
    async with running(tmp_path) as gateway, wire(gateway, gateway.key) as line:
        line.writer.write(line.head(framing) + CHUNKS + line.head(LENGTH) + BODY)
        assert (await line.reply())[0] == 200
        assert await line.closed() == b""
        assert len(gateway.upstream.requests) == 1


@pytest.mark.parametrize(
    ("framing", "body"),
    [(b"content-length: 100\r\n", BODY), (CHUNKED, CHUNKS[:-5])],
    ids=["length", "chunked"],
)
async def test_a_body_that_breaks_off(tmp_path: Path, framing: bytes, body: bytes) -> None:
    """What came of it is no request, though it is whole JSON."""
    async with running(tmp_path) as gateway, wire(gateway, gateway.key) as line:
        line.writer.write(line.head(framing) + body)
        line.writer.write_eof()
        reply = await line.closed()
        assert reply.startswith(b"HTTP/1.1 400 ")
        assert b'"code":"body_torn"' in reply
        assert gateway.upstream.requests == []


async def test_http_2_without_tls(tmp_path: Path) -> None:
    """Is not spoken: its streams and heads would be bounded by nothing of ours."""
    async with running(tmp_path) as gateway, wire(gateway, gateway.key) as line:
        line.writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")
        assert b"\0\0" not in await line.closed()


# ------------------------------------------------------------------ too much, and too slow


@pytest.mark.parametrize(
    ("lines", "statuses"),
    [
        (b"x-a: %b\r\n" % (b"a" * (200 << 10)), {431}),
        (b"".join(b"x-%d: 1\r\n" % number for number in range(500)), {431}),
    ],
    ids=["long", "many"],
)
async def test_a_head_over_the_limit(tmp_path: Path, lines: bytes, statuses: set[int]) -> None:
    """431, and the connection is closed."""
    async with running(tmp_path) as gateway, wire(gateway, gateway.key) as line:
        line.writer.write(line.head(lines, LENGTH) + BODY)
        assert (await line.reply())[0] in statuses
        await line.closed()


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
async def test_a_body_over_the_limit(tmp_path: Path, chunked: bool) -> None:
    """413, whether its length was said or not; the client can read it though it has sent everything."""
    async with running(tmp_path) as gateway, wire(gateway, gateway.key) as line:
        size = 3 << 20
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (size, b" " * size) if chunked else b" " * size
        line.writer.write(line.head(CHUNKED if chunked else b"content-length: %d\r\n" % size) + body)
        status, said = await line.reply(5)
        assert (status, b'"code":"request_too_large"' in said) == (413, True)
        assert gateway.upstream.requests == []


async def test_a_head_that_never_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Closed in time: where nothing comes, where half of it comes, and where another line comes again and again."""
    monkeypatch.setattr("tierwise.gateway.serve.HEAD_SECONDS", 1)
    async with running(tmp_path) as gateway:
        began = time.monotonic()
        await asyncio.gather(*[_never_ends(gateway, first) for first in (b"", b"P", b"POST /v1/models HTTP/1.1\r\n")])
        assert 0.9 < time.monotonic() - began < 8
        assert (await gateway.chat())[0] == 200


async def test_a_connection_that_is_kept_and_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Is closed in time, after an answer too, without a word; used again in time it goes on."""
    monkeypatch.setattr("tierwise.gateway.serve.HEAD_SECONDS", 1)
    async with running(tmp_path) as gateway, wire(gateway, gateway.key) as line:
        for _ in range(3):
            line.writer.write(line.head(LENGTH) + BODY)
            assert (await line.reply())[0] == 200
            await asyncio.sleep(0.5)
        began = time.monotonic()
        assert await line.closed(10) in (b"", b"HTTP/1.1 408 Request Timeout\r\n")
        assert time.monotonic() - began < 8


async def _never_ends(gateway: Gateway, first: bytes) -> None:
    async with wire(gateway, gateway.key) as line:
        line.writer.write(first)
        closed = asyncio.ensure_future(line.closed(10))
        while not closed.done():
            if first.endswith(b"\n"):
                line.writer.write(b"x-a: 1\r\n")
            await asyncio.wait((closed,), timeout=0.2)
        assert (await closed)[:12] in (b"", b"HTTP/1.1 408", b"HTTP/1.1 400")


@pytest.mark.parametrize("framing", [b"content-length: 1000\r\n", CHUNKED], ids=["length", "chunked"])
async def test_a_body_that_never_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, framing: bytes) -> None:
    """408 in time at every door, however steadily another byte of it comes, and the connection is closed."""
    monkeypatch.setattr("tierwise.gateway.web.http.BODY_SECONDS", 0.5)
    async with running(tmp_path) as gateway:
        doors = (*DOORS, "/feedback", "/messages/count_tokens")
        await asyncio.gather(*[_a_body_never_ends(gateway, framing, path) for path in doors])
        assert gateway.upstream.requests == []


async def _a_body_never_ends(gateway: Gateway, framing: bytes, path: str) -> None:
    async with wire(gateway, gateway.key) as line:
        line.writer.write(line.head(framing, path=path))
        reply = asyncio.ensure_future(line.reply(10))
        while not reply.done():
            line.writer.write(b"1\r\n \r\n" if framing == CHUNKED else b" ")
            await asyncio.wait((reply,), timeout=0.05)
        status, body = await reply
        assert (status, b"request_timeout" in body or b'"type":"error"' in body) == (408, True), path
        await line.closed()


async def test_a_long_body_may_take_longer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its length, said or not: a slow line is no attack."""
    monkeypatch.setattr("tierwise.gateway.web.http.BODY_SECONDS", 0.2)
    monkeypatch.setattr("tierwise.gateway.web.http.SLOWEST", 100_000)
    async with running(tmp_path) as gateway, wire(gateway, gateway.key) as line:
        space = b" " * 200_000
        for framing, pieces in (
            (b"content-length: %d\r\n" % (len(space) + len(BODY)), (space, BODY)),
            (CHUNKED, (b"%x\r\n%b\r\n" % (len(space), space), CHUNKS)),
        ):
            line.writer.write(line.head(framing) + pieces[0])
            await line.writer.drain()
            await asyncio.sleep(0.5)
            line.writer.write(pieces[1])
            assert (await line.reply())[0] == 200


# ------------------------------------------------------------------ many


def open_files(wanted: int) -> int:
    """Have as many as that where it is allowed; how many there are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def resident(pid: int) -> int:
    """Bytes of a process in memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()


async def test_two_thousand_idle_connections(tmp_path: Path) -> None:
    """Others are served beside them at once, and each costs a few kilobytes."""
    count = min(2_000, open_files(4_096) - 500)
    async with placed(tmp_path) as place, child(place.config.path, "--port", "0") as gateway:
        assert (await place.ask(gateway))[0] == 200
        before = resident(gateway.process.pid)
        address = urlsplit(gateway.url)
        lines = [await asyncio.open_connection(address.hostname, address.port) for _ in range(count)]
        try:
            for _, writer in lines[::2]:
                writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n")
            async with asyncio.timeout(5), aiohttp.ClientSession() as fresh:
                for http in (place.http, fresh) * 10:
                    assert (await place.ask(gateway, http=http))[0] == 200
            assert not any(reader.at_eof() for reader, _ in lines)
            assert resident(gateway.process.pid) - before < count * (32 << 10)
        finally:
            for _, writer in lines:
                writer.transport.abort()


# ------------------------------------------------------------------ who does not read, and who leaves


@pytest.mark.parametrize("path", DOORS)
async def test_who_does_not_read(tmp_path: Path, path: str) -> None:
    """A stream that nobody takes is held back: the provider isn't read on; the rest comes once it is taken."""
    size = 20_000_000
    scripts = by_model(Script(text=GOOD), Script(huge=size))
    async with running(tmp_path, scripts, config=CONFIG.replace("idle = 1", "idle = 20")) as gateway:
        async with wire(gateway, gateway.key, 1 << 10) as line:
            body = DOORS[path] % b',"stream":true'
            line.writer.write(line.head(b"content-length: %d\r\n" % len(body), path=path) + body)
            await line.reader.readuntil(b"\r\n\r\n")
            before = await _stands_still(gateway)
            assert before < size // 2000
            assert (await gateway.chat("cheap"))[0] == 200
            end = await asyncio.wait_for(_taken(line.reader), 30)
            assert b"error" not in end
        assert gateway.upstream.aborts == []


async def _stands_still(gateway: Gateway) -> int:
    """What the provider had produced when it was not asked for more."""
    produced = -1
    async with asyncio.timeout(10):
        while produced != gateway.produced:
            produced = gateway.produced
            await asyncio.sleep(0.5)
    return produced


async def _taken(reader: asyncio.StreamReader) -> bytes:
    """The end of a chunked body."""
    end = b""
    while not end.endswith(b"\r\n0\r\n\r\n"):
        piece = await reader.read(1 << 20)
        assert piece
        end = (end + piece)[-2000:]
    return end


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("path", DOORS)
async def test_who_leaves(tmp_path: Path, path: str, stream: bool) -> None:
    """The provider is stopped within two seconds, by whatever door the client came."""
    slow = Script(text=" word" * 500, gap=0.02, delay=0.0 if stream else 20.0)
    config = CONFIG.replace("first_token = 1", "first_token = 30")
    async with running(tmp_path, by_model(slow, slow), config=config) as gateway:
        async with wire(gateway, gateway.key) as line:
            body = DOORS[path] % (b',"stream":true' if stream else b"")
            line.writer.write(line.head(b"content-length: %d\r\n" % len(body), path=path) + body)
            if stream:
                await line.reader.readuntil(b"word")
            else:
                await asyncio.wait_for(gateway.upstream.asked.wait(), 10)
        await asyncio.wait_for(gateway.upstream.aborted.wait(), 10)
        assert gateway.upstream.aborts[0].tokens < 400


async def test_who_leaves_without_having_read(tmp_path: Path) -> None:
    """A stream that is held back ends with its client."""
    scripts = by_model(Script(text=GOOD), Script(huge=20_000_000))
    async with running(tmp_path, scripts, config=CONFIG.replace("idle = 1", "idle = 20")) as gateway:
        async with wire(gateway, gateway.key, 1 << 10) as line:
            body = DOORS["/chat/completions"] % b',"stream":true'
            line.writer.write(line.head(b"content-length: %d\r\n" % len(body)) + body)
            await line.reader.readuntil(b"\r\n\r\n")
            await _stands_still(gateway)
            line.writer.transport.abort()
        await asyncio.wait_for(gateway.upstream.aborted.wait(), 10)
