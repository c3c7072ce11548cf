"""SIGTERM amid a crowd: every stream that has begun comes to its end, and nobody new comes in."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import aiohttp
import pytest

from tests.gateway.harness import GOOD, Child, Place, by_model, child, parse, placed, said
from tests.support.shapes import Script

STREAMS = int(os.environ.get("TIERWISE_DRAIN_STREAMS", "100"))  # the bar is 500; fewer where every test is run
WORDS = 10
LONG = "".join(f" parcel{number}" for number in range(WORDS))
COST = 20 * 1000 + WORDS * 2000


class Crowd:
    """Streams of one gateway, each on a connection of its own."""

    def __init__(self, place: Place, gateway: Child, http: aiohttp.ClientSession) -> None:
        self._place = place
        self._gateway = gateway
        self._http = http
        self._began = 0
        self.all_began = asyncio.Event()

    async def stream(self) -> str:
        """The text of a whole stream."""
        body = {"model": "support", "stream": True, "messages": [{"role": "user", "content": "hi"}]}
        url, raw = f"{self._gateway.url}/chat/completions", b""
        async with self._http.post(url, json=body, headers=self._place.headers) as reply:
            assert reply.status == 200
            async for piece in reply.content.iter_any():
                self._began += not raw
                raw += piece
                if self._began == STREAMS:
                    self.all_began.set()
        events = parse(raw)
        assert events[-1] == "[DONE]"
        return said(events)


@pytest.mark.parametrize("workers", [1, 2])
async def test_no_stream_is_dropped(tmp_path: Path, workers: int) -> None:
    """All end whole, and are booked at their price; meanwhile connections are refused; then the process ends well."""
    scripts = by_model(Script(text=LONG, first=1.0, gap=0.1))
    async with placed(tmp_path, *scripts, route='hold = "none"') as place:
        place.edit("port = 0", f"port = 0\nworkers = {workers}")
        place.edit("connect = 1, first_token = 1, idle = 1", "connect = 9, first_token = 9, idle = 9")
        connector = aiohttp.TCPConnector(limit=0)
        async with child(place.config.path) as gateway, aiohttp.ClientSession(connector=connector) as http:
            assert (await place.ask(gateway, model="premium"))[0] == 200
            crowd = Crowd(place, gateway, http)
            streams = [asyncio.ensure_future(crowd.stream()) for _ in range(STREAMS)]
            await asyncio.wait_for(crowd.all_began.wait(), 20)
            gateway.process.send_signal(signal.SIGTERM)
            assert await _refused(place, gateway)
            assert not all(stream.done() for stream in streams)
            texts = await asyncio.wait_for(asyncio.gather(*streams), 20)
            assert texts == [LONG] * STREAMS
            assert await gateway.ended() == 0
        others = len(place.upstream.requests) - STREAMS  # a worker may have served one more before it heard
        premium = 20 * 10_000 + len(GOOD.split()) * 20_000
        assert await place.spent() == (STREAMS * COST + others * premium, 0)


async def _refused(place: Place, gateway: Child) -> bool:
    """Whether a new connection is, soon."""
    for _ in range(50):
        async with aiohttp.ClientSession() as http:
            try:
                await place.ask(gateway, http=http, model="premium")
            except aiohttp.ClientConnectionError:
                return True
        await asyncio.sleep(0.01)
    return False
