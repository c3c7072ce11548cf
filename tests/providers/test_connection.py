"""One connection against raw bytes on a real socket."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from tests.support.upstream import Script, Scripted, serve
from tierwise.providers.connection import HEAD_LIMIT, UNREAD_LIMIT, Connection, Fault, dial, forbidden

REQUEST = (b"POST /v1/chat/completions HTTP/1.1\r\nhost: t\r\ncontent-length: 2\r\n\r\n", b"{}")
WHOLE = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"


@asynccontextmanager
async def connected(*scripts: Script) -> AsyncIterator[tuple[Connection, Scripted]]:
    async with serve(scripts) as upstream:
        connection = await dial("127.0.0.1", int(upstream.url.rpartition(":")[2]), None, 2.0)
        try:
            yield connection, upstream
        finally:
            connection.abort()
            await connection.lost


async def ask(connection: Connection, first: float = 3.0, idle: float = 3.0, total: float = 5.0) -> None:
    now = asyncio.get_running_loop().time()
    await connection.ask(REQUEST, now + first, idle, now + total)


async def body(connection: Connection) -> bytes:
    data = b""
    while piece := await connection.more():
        data += piece
    return data


async def answered(raw: bytes, close: bool = False) -> tuple[int, dict[str, str], bytes, bool]:
    async with connected(Script(raw=raw, close=close)) as (connection, _):
        await ask(connection)
        return connection.status, connection.headers, await body(connection), connection.rest()


async def test_a_body_of_declared_length() -> None:
    """Status, headers and body come as sent; the connection may be used again."""
    assert await answered(WHOLE) == (200, {"content-length": "5"}, b"hello", True)


async def test_a_chunked_body_with_trailers() -> None:
    """Chunks are joined; trailers are no headers."""
    raw = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nx-late: 1\r\n\r\n"
    assert await answered(raw) == (200, {"transfer-encoding": "chunked"}, b"hello", True)


async def test_a_body_until_close() -> None:
    """Without a declared length the connection's clean end is the body's."""
    assert await answered(b"HTTP/1.1 200 OK\r\n\r\nhello", close=True) == (200, {}, b"hello", False)


async def test_a_body_that_is_empty() -> None:
    """204 has no body and leaves the connection usable."""
    assert await answered(b"HTTP/1.1 204 No Content\r\n\r\n") == (204, {}, b"", True)


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\nConnection: close\r\n", b"HTTP/1.0 200 OK\r\n"])
async def test_a_connection_that_the_server_will_close_is_not_reused(head: bytes) -> None:
    """`connection: close` and HTTP/1.0 end after their answer."""
    status, _, data, reusable = await answered(head + b"content-length: 2\r\n\r\nok")
    assert (status, data, reusable) == (200, b"ok", False)


async def test_header_names_are_lower_case() -> None:
    """Whatever case a server writes them in."""
    _, headers, _, _ = await answered(b"HTTP/1.1 200 OK\r\nCONTENT-Length: 0\r\nX-ReQuest-iD: Ab\r\n\r\n")
    assert headers == {"content-length": "0", "x-request-id": "Ab"}


async def test_interim_answers_are_skipped() -> None:
    """100 and 103 come before the answer; their headers are not its headers."""
    raw = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + WHOLE
    assert await answered(raw) == (200, {"content-length": "5"}, b"hello", True)


async def test_bytes_after_the_answer_end_the_connection() -> None:
    """The answer stands, but the connection is never used again: its next answer would be somebody else's."""
    assert await answered(WHOLE + WHOLE) == (200, {"content-length": "5"}, b"hello", False)


async def test_bytes_that_nobody_asked_for_end_an_idle_connection() -> None:
    """A second answer that comes while the connection rests must not become the next request's."""
    async with connected(Script(raw=WHOLE)) as (connection, upstream):
        await ask(connection)
        await body(connection)
        assert connection.rest()
        next(iter(upstream.connections)).send(WHOLE)
        await asyncio.wait_for(connection.lost, 10.0)
        assert not connection.usable
        with pytest.raises(Fault) as caught:
            await ask(connection)
        assert caught.value.kind == "lost"


@pytest.mark.parametrize(
    "raw",
    [
        b"SSH-2.0-OpenSSH secret\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: secret\r\nconnection: upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: secret\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"secret" * HEAD_LIMIT,
        b"HTTP/1.1 200 OK\r\nx: " + b"secret" * (HEAD_LIMIT // 6 + 1) + b"\r\ncontent-length: 0\r\n\r\n",
    ],
)
async def test_what_is_no_usable_answer_is_a_fault(raw: bytes) -> None:
    """Not HTTP, an upgrade, a length that is none, a head over its limit: told without quoting it."""
    async with connected(Script(raw=raw)) as (connection, _):
        with pytest.raises(Fault) as caught:
            await ask(connection)
        assert caught.value.kind == "wire"
        assert "secret" not in caught.value.text


async def test_endless_trailers_are_a_fault() -> None:
    """Framing that brings no body is bounded like a head."""
    raw = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n" + b"x: y\r\n" * HEAD_LIMIT
    async with connected(Script(raw=raw)) as (connection, _):
        await ask(connection)
        with pytest.raises(Fault) as caught:
            await body(connection)
        assert caught.value.kind == "wire"


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nhello",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
    ],
)
async def test_a_cut_body_is_a_fault_after_what_had_come(raw: bytes) -> None:
    """What arrived is handed out, then the cut is told; it is never a clean end."""
    async with connected(Script(raw=raw, close=True)) as (connection, _):
        await ask(connection)
        assert await connection.more() == b"hello"
        with pytest.raises(Fault) as caught:
            await connection.more()
        assert caught.value.kind == "torn"
        assert not connection.rest()


async def test_a_connection_lost_before_the_head_is_told_apart() -> None:
    """`lost` is not `torn`: no answer had begun. `heard` says whether a part of a head had come."""
    async with connected(Script(drop=True)) as (connection, _):
        with pytest.raises(Fault) as caught:
            await ask(connection)
        assert (caught.value.kind, connection.heard) == ("lost", False)
    async with connected(Script(raw=b"HTTP/1.1 200", close=True)) as (connection, _):
        with pytest.raises(Fault) as caught:
            await ask(connection)
        assert (caught.value.kind, connection.heard) == ("lost", True)


@pytest.mark.parametrize(
    ("raw", "limits", "limit"),
    [
        (b"", (0.05, 1.0, 1.5), "first_byte"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", (0.05, 1.0, 1.5), "first_byte"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel", (1.0, 0.05, 1.5), "idle"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel", (1.0, 1.0, 0.05), "total"),
    ],
)
async def test_each_time_limit_ends_a_silent_answer(raw: bytes, limits: tuple[float, float, float], limit: str) -> None:
    """No head, no body after a head, a gap inside a body, and the end of all patience."""
    async with connected(Script(raw=raw or b"\r\n")) as (connection, _):

        async def whole() -> bytes:
            await ask(connection, *limits)
            return await body(connection)

        with pytest.raises(Fault) as caught:
            await whole()
        assert (caught.value.kind, caught.value.limit) == ("late", limit)
        await connection.lost


async def test_a_connection_serves_many_exchanges() -> None:
    """Nothing of one answer is left in the next."""
    async with connected(Script(raw=WHOLE)) as (connection, upstream):
        for _ in range(5):
            await ask(connection)
            assert (connection.status, await body(connection)) == (200, b"hello")
            assert connection.rest()
        assert upstream.accepted == 1


async def test_an_unused_connection_is_let_go_of() -> None:
    """What rested longer than its time is closed: providers and NATs forget it silently."""
    async with connected(Script(raw=WHOLE)) as (connection, _):
        await ask(connection)
        await body(connection)
        connection.keep = 0.02
        assert connection.rest()
        await asyncio.wait_for(connection.lost, 10.0)
        assert not connection.usable


async def test_a_slow_reader_stops_the_socket() -> None:
    """What waits for a reader is bounded, however much the server would send; all of it arrives in the end."""
    async with connected(Script(huge=8_000_000)) as (connection, upstream):
        await ask(connection)
        while connection.unread <= UNREAD_LIMIT:
            await asyncio.sleep(0)
        seen = connection.unread
        for _ in range(500):
            await asyncio.sleep(0)
        assert connection.unread == seen < UNREAD_LIMIT + (512 << 10)
        assert upstream.open_connections == 1
        data = await body(connection)
        assert data.count(b"x") >= 8_000_000
        assert connection.rest()


async def test_a_reader_that_is_too_slow_meets_the_total_limit() -> None:
    """While the reader is the slow one, the gap limit does not count, the total one does."""
    async with connected(Script(huge=8_000_000)) as (connection, _):
        await ask(connection, idle=0.1, total=0.4)
        await asyncio.wait_for(connection.lost, 10.0)
        assert await connection.more()
        with pytest.raises(Fault) as caught:
            await connection.more()
        assert caught.value.limit == "total"


async def test_lingering_saves_a_connection_whose_end_comes_late() -> None:
    """The end of the HTTP body may come in a packet of its own, after everything that is read."""
    done: asyncio.Future[Connection] = asyncio.get_running_loop().create_future()
    raw = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\ndone"
    async with connected(Script(raw=raw)) as (connection, upstream):
        await ask(connection)
        assert await connection.more() == b"done"
        connection.linger(done.set_result)
        next(iter(upstream.connections)).send(b"\r\n0\r\n\r\n")
        assert await asyncio.wait_for(done, 10.0) is connection
        assert connection.rest()


async def test_lingering_ends_when_more_than_the_end_comes() -> None:
    """A server that goes on talking after "done" is cut off."""
    called: list[Connection] = []
    raw = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\ndone"
    async with connected(Script(raw=raw)) as (connection, upstream):
        await ask(connection)
        assert await connection.more() == b"done"
        connection.linger(called.append)
        next(iter(upstream.connections)).send(b"\r\n5\r\nextra\r\n")
        await asyncio.wait_for(connection.lost, 10.0)
        assert not called


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
async def test_bytes_may_be_cut_anywhere(size: int) -> None:
    """The same answer, whatever the packets."""
    raw = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nX-A: b\r\ntransfer-encoding: chunked\r\n\r\n"
    raw += b"3\r\nhel\r\n2\r\nlo\r\n0\r\nx-late: 1\r\n\r\n"
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    with theirs:
        make: Callable[[], Connection] = lambda: Connection(loop)  # noqa: E731
        _, connection = await loop.create_connection(make, sock=ours)
        exchange = asyncio.ensure_future(ask(connection))
        theirs.setblocking(False)
        for start in range(0, len(raw), size):
            await loop.sock_sendall(theirs, raw[start : start + size])
            await asyncio.sleep(0)
        await exchange
        assert (connection.headers["x-a"], await body(connection)) == ("b", b"hello")
        assert connection.rest()
        connection.abort()
        await connection.lost


@pytest.mark.parametrize(
    ("address", "refused"),
    [
        ("169.254.169.254", True),
        ("169.254.0.1", True),
        ("fe80::1", True),
        ("fe80::1%eth0", True),
        ("::ffff:169.254.169.254", True),
        ("fd00:ec2::254", True),
        ("168.63.129.16", True),
        ("127.0.0.1", False),
        ("::1", False),
        ("10.0.0.7", False),
        ("93.184.216.34", False),
    ],
)
def test_link_local_and_metadata_addresses_are_forbidden(address: str, refused: bool) -> None:
    """Private and public addresses are the operator's business; these are nobody's."""
    assert forbidden(address) is refused
