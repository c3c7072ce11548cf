"""What our own HTTP client costs against aiohttp's: CPU microseconds a request, and a streamed token.

The decision to have an own client rests on this. The scripted upstream runs in another process, so that only the
client's CPU is counted; both clients run in turn on the same uvloop, several rounds, and the median counts.
Run it with: python -m benchmarks.clients
"""

from __future__ import annotations

import asyncio
import json
import pathlib
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable

import aiohttp
import uvloop

from tierwise.errors import Refused
from tierwise.providers.http import Upstream

REQUESTS, STREAMS, TOKENS, ROUNDS, AT_ONCE = 2000, 100, 500, 7, 8
PATH = "/chat/completions"
ASK = {"model": "bench", "messages": [{"role": "user", "content": "x" * 900}]}
WHOLE, STREAMED = json.dumps(ASK).encode(), json.dumps(ASK | {"stream": True}).encode()
HEADERS = {"authorization": "Bearer bench"}

Post = Callable[[bytes], Awaitable[int]]


async def cpu(post: Post, body: bytes, times: int) -> float:
    """CPU microseconds of this process a request."""

    async def worker() -> None:
        for _ in range(times // AT_ONCE):
            assert await post(body) > 500

    began = time.process_time()
    await asyncio.gather(*(worker() for _ in range(AT_ONCE)))
    return (time.process_time() - began) / (times // AT_ONCE * AT_ONCE) * 1e6


async def measure(url: str) -> None:
    upstream = Upstream("bench", f"{url}/v1", HEADERS, lambda name, status, *_: Refused(name, str(status)))

    async def own(body: bytes) -> int:
        reply = await upstream.open(PATH, body)
        try:
            return sum([len(piece) async for piece in reply.pieces()])
        finally:
            reply.close()

    async with aiohttp.ClientSession(headers=HEADERS | {"content-type": "application/json"}) as session:

        async def other(body: bytes) -> int:
            async with session.post(f"{url}/v1{PATH}", data=body) as response:
                return sum([len(piece) async for piece in response.content.iter_any()])

        clients: dict[str, Post] = {"own": own, "aiohttp": other}
        found: dict[tuple[str, str], list[float]] = {}
        for _ in range(ROUNDS):
            for name, post in clients.items():
                found.setdefault((name, "request"), []).append(await cpu(post, WHOLE, REQUESTS))
                found.setdefault((name, "token"), []).append(await cpu(post, STREAMED, STREAMS) / TOKENS)
    await upstream.close()
    print(f"{'CPU us a':<12}{'own':>10}{'aiohttp':>10}{'ratio':>8}")
    for what in ("request", "token"):
        ours, theirs = (statistics.median(found[name, what]) for name in clients)
        print(f"{what:<12}{ours:>10.2f}{theirs:>10.2f}{theirs / ours:>8.1f}")


def main() -> None:
    command = [sys.executable, "-m", "tests.support.upstream", "--answer-tokens", str(TOKENS)]
    root = pathlib.Path(__file__).parent.parent
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as server:
        assert server.stdout is not None
        try:
            uvloop.run(measure(server.stdout.readline().strip()))
        finally:
            server.terminate()


if __name__ == "__main__":
    main()
