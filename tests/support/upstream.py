"""A scripted provider on a real socket: OpenAI chat completions and responses, and Anthropic messages, whole and
streamed.

For tests in the same process (`async with serve(scripts) as upstream`), and as a process of its own for benchmarks:
    python -m tests.support.upstream --port 9100 --answer-tokens 100
Every fault is data (see Script). It counts what it was asked, what it produced, and who left before the end.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import pathlib
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import cast

import httptools
import msgspec
import uvloop

from tests.support.batch_endpoints import BatchEndpoints, Dropped
from tests.support.obliging import oblige
from tests.support.shapes import Dialect, Json, Script, dialect_of, last_text

__all__ = ["Aborted", "Received", "Script", "Scripted", "serve"]

Step = tuple[float, bytes, int]
"""Seconds to wait, bytes to send, tokens in them."""


class Received(msgspec.Struct, frozen=True):
    id: str  # of the answer, and its x-request-id header
    method: str
    path: str
    headers: dict[str, str]  # names in lower case
    body: Json


class Aborted(msgspec.Struct, frozen=True):
    """A client that left before its answer's end; `tokens` had been produced."""

    id: str
    tokens: int


class Scripted:
    """What a test looks at. `billed` is request id -> tokens produced, as the provider would charge them."""

    def __init__(self, scripts: Sequence[Script], record: bool = True) -> None:
        self.scripts = list(scripts)
        self.url = ""
        self.requests: list[Received] = []
        self.billed: dict[str, int] = {}
        self.aborts: list[Aborted] = []
        self.aborted = asyncio.Event()  # set by every abort; a test may clear it
        self.asked = asyncio.Event()  # set by every request
        self.connections: set[_Wire] = set()
        self.accepted = 0  # connections, since the start
        self._used: Counter[int] = Counter()  # by identity: a test may exchange its scripts as it goes
        self._count = 0
        self._record = record
        self._ready: dict[tuple[str, bytes], bytes] = {}
        self.batches = BatchEndpoints(self._choose, self.billed.__setitem__)

    @property
    def open_connections(self) -> int:
        return len(self.connections)

    def reply(self, wire: _Wire) -> None:
        """Answer the request that has arrived on a connection."""
        key = (wire.path, bytes(wire.body))
        if (ready := self._ready.get(key)) is not None:
            wire.send(ready)
            return
        if self._in_bulk(wire):
            return
        self._count += 1
        received = Received(f"req-{self._count}", wire.method, wire.path, wire.headers, _json(key[1]))
        if self._record:
            self.requests.append(received)
        self.billed[received.id] = 0
        self.asked.set()
        script = self._choose(received.body)
        steps = list(_steps(oblige(script, received.body) if script.obliging else script, received))
        if not self._record and len(self._ready) < 256 and not any(pause for pause, _, _ in steps):
            # a benchmark: the same bytes get the same answer, at the price of a dictionary look-up
            self._ready[key] = b"".join(data for _, data, _ in steps)
        wire.play(steps, script, received.id)

    def _in_bulk(self, wire: _Wire) -> bool:
        """Whether it was asked of a batch endpoint, and is answered."""
        try:
            found = self.batches.answer(wire.method, wire.path, bytes(wire.body))
        except Dropped:
            wire.abort()
            return True
        if found is None:
            return False
        status, body = found
        wire.send(b"HTTP/1.1 %d Scripted\r\ncontent-length: %d\r\n\r\n%b" % (status, len(body), body))
        return True

    def _choose(self, request: Json) -> Script:
        text, model = last_text(request), request.get("model")
        for script in self.scripts:
            used_up = script.times is not None and self._used[id(script)] >= script.times
            if script.match in text and script.model in ("", model) and not used_up:
                self._used[id(script)] += 1
                return script
        return Script(status=404, error="no script matches")


class _Wire(asyncio.Protocol):
    """One client's connection."""

    def __init__(self, server: Scripted) -> None:
        self.server = server
        self.path = self.method = ""
        self.headers: dict[str, str] = {}
        self.body = bytearray()
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None
        self._writable = asyncio.Event()
        self._writable.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        self.server.connections.add(self)
        self.server.accepted += 1

    def connection_lost(self, exc: Exception | None) -> None:
        self.server.connections.discard(self)
        if self._task is not None:
            self._task.cancel()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.abort()

    def on_message_begin(self) -> None:
        self.headers = {}
        self.body = bytearray()

    def on_url(self, url: bytes) -> None:
        self.path = url.decode()

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.decode().lower()] = value.decode()

    def on_body(self, data: bytes) -> None:
        self.body += data

    def on_message_complete(self) -> None:
        self.method = self._parser.get_method().decode()
        self.server.reply(self)

    def send(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def play(self, steps: Sequence[Step], script: Script, request_id: str) -> None:
        if script.huge or any(pause for pause, _, _ in steps):
            self._task = asyncio.create_task(self._perform(steps, script, request_id))
            return
        self.send(b"".join(data for _, data, _ in steps))
        self.server.billed[request_id] += sum(tokens for _, _, tokens in steps)
        self._end(script)

    async def _perform(self, steps: Sequence[Step], script: Script, request_id: str) -> None:
        try:
            for pause, data, tokens in steps:
                if pause:
                    await asyncio.sleep(pause)
                await self._writable.wait()
                self.send(data)
                self.server.billed[request_id] += tokens
            await self._writable.wait()
            self._task = None
            self._end(script)
        except asyncio.CancelledError:
            # the only one who cancels is connection_lost: this is the task's regular end
            self.server.aborts.append(Aborted(request_id, self.server.billed[request_id]))
            self.server.aborted.set()

    def _end(self, script: Script) -> None:
        assert self._transport is not None
        if script.drop:
            self._transport.abort()
        elif script.cut is not None or script.close:
            # what was sent before the cut still arrives: the client sees a part, then the end of the connection
            self._transport.close()


def _json(body: bytes) -> Json:
    if not body:
        return {}
    decoded = msgspec.json.decode(body)
    return decoded if isinstance(decoded, dict) else {}


def _head(script: Script, kind: str, request_id: str, length: str) -> bytes:
    lines = [f"HTTP/1.1 {script.status} Scripted", f"content-type: {kind}", f"x-request-id: {request_id}", length]
    lines += [f"{name}: {value}" for name, value in script.headers.items()]
    if script.close:
        lines.append("connection: close")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _steps(script: Script, received: Received) -> Iterator[Step]:
    dialect = dialect_of(received.path)
    if script.raw or script.drop:
        yield script.delay, script.raw, 0
    elif dialect is None:
        yield from _whole(Script(status=404, error="no such path"), b'{"error":{"message":"no such path"}}', received)
    elif script.status != 200:
        yield from _whole(script, msgspec.json.encode(dialect.error(script, received.id)), received)
    elif received.body.get("stream"):
        yield from _stream(script, dialect, received)
    else:
        body = msgspec.json.encode(dialect.whole(script, received.body, received.id))
        yield from _whole(script, b"<html>not json" if script.garbage else body, received)


def _whole(script: Script, body: bytes, received: Received) -> Iterator[Step]:
    yield script.delay, _head(script, "application/json", received.id, f"content-length: {len(body)}"), 0
    if script.cut is not None:
        body = body[: len(body) // 2]
    tokens = script.produced if script.status == 200 else 0
    size = 64 << 10
    for start in range(0, len(body), size):
        yield script.first if not start else 0.0, body[start : start + size], 0 if start else tokens


def _stream(script: Script, dialect: Dialect, received: Received) -> Iterator[Step]:
    yield script.delay, _head(script, "text/event-stream", received.id, "transfer-encoding: chunked"), 0
    sent = 0
    for event, tokens in dialect.events(script, received.body, received.id):
        if script.cut is not None and sent >= script.cut and tokens:
            return
        pause = (script.gap if sent else script.first) if tokens else 0.0
        sent += tokens
        yield pause, _chunk(event), tokens
        if script.garbage and tokens:
            yield 0.0, _chunk(b'data: {"choices": [oops\n\n'), 0
    if script.cut is None:
        yield 0.0, b"0\r\n\r\n", 0


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


@contextlib.asynccontextmanager
async def serve(scripts: Sequence[Script] = (Script(),), tls: ssl.SSLContext | None = None) -> AsyncIterator[Scripted]:
    """A scripted upstream on a free port of the loopback, until the block ends."""
    upstream = Scripted(scripts)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Wire(upstream), "127.0.0.1", 0, ssl=tls)
    scheme = "https" if tls else "http"
    upstream.url = f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield upstream
    finally:
        server.close()
        for wire in list(upstream.connections):
            wire.abort()
        while upstream.connections:
            await asyncio.sleep(0)


async def _serve_forever(options: argparse.Namespace) -> None:
    if options.scripts:
        scripts = msgspec.json.decode(pathlib.Path(options.scripts).read_bytes(), type=list[Script])
    else:
        words = (" word",) * options.answer_tokens
        timing = {"delay": options.delay, "first": options.first, "gap": options.gap}
        scripts = [Script(text="".join(words), tokens=words, input_tokens=options.input_tokens, **timing)]
    upstream = Scripted(scripts, record=False)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Wire(upstream), options.host, options.port, backlog=1024)
    print(f"http://{options.host}:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.support.upstream", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one; the first line printed is the address")
    parser.add_argument("--answer-tokens", type=int, default=100)
    parser.add_argument("--input-tokens", type=int, default=200)
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before the head")
    parser.add_argument("--first", type=float, default=0.0, help="seconds before the first token")
    parser.add_argument("--gap", type=float, default=0.0, help="seconds between tokens; 0 sends them all at once")
    parser.add_argument("--scripts", help="a JSON file with a list of scripts, instead of the one that always answers")
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(_serve_forever(parser.parse_args()))


if __name__ == "__main__":
    main()
