"""Clients that leave early: the provider is stopped, what it has produced is billed, and nothing stays held."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.gateway.harness import CONFIG, Gateway, by_model, running
from tests.support.shapes import Script
from tierwise.gateway.clock import SystemClock
from tierwise.money import Record
from tierwise.store.sqlite import open_sqlite
from tierwise.types import Usage

PATIENT = CONFIG.replace("first_token = 1, idle = 1", "first_token = 20, idle = 20")
LONG = "".join(f" parcel{number}" for number in range(500))
NONE = 'hold = "none"'
WINDOW = 'hold = "window"\nwindow = 400'


async def stopped(gateway: Gateway) -> int:
    """Tokens that the upstream had produced when it saw that nobody listens: within two seconds."""
    await asyncio.wait_for(gateway.upstream.aborted.wait(), 10)
    (abort,) = gateway.upstream.aborts
    return abort.tokens


async def left(gateway: Gateway) -> Record:
    """The only record of the ledger, once it is there and nothing is held any more."""
    store = await open_sqlite(gateway.config.store_path, clock=SystemClock(), instance="reader")
    try:
        async with asyncio.timeout(10):
            while (money := await store.spent(gateway.key_id))[0] == 0 or money[1] != 0:
                await asyncio.sleep(0.01)
    finally:
        await store.close()
    record = await gateway.record(gateway.last_id())
    assert record.nanos == money[0]
    return record


def cancelled(record: Record, model: str) -> None:
    entry = record.entries[-1]
    assert record.status == 499
    assert (entry.model, entry.outcome, entry.cost_state) == (model, "cancelled", "estimated")
    assert entry.nanos > 0
    assert entry.usage.input_tokens > 0


async def leave(gateway: Gateway, *, after: bytes, **body: Any) -> None:
    """Ask for a stream, and cut the connection once `after` has come."""
    asked = {"model": "support", "stream": True, "messages": [{"role": "user", "content": "hi"}]} | body
    async with gateway.http.post(f"{gateway.url}/chat/completions", json=asked, headers=gateway.headers()) as reply:
        seen = b""
        async for piece in reply.content.iter_any():
            seen += piece
            if after in seen:
                break
        reply.close()


@pytest.mark.parametrize("after", [b"parcel2", b"parcel60"], ids=["at-once", "later"])
async def test_leaving_a_stream(tmp_path: Path, after: bytes) -> None:
    """Whenever it happens, the provider stops and what it has produced is billed."""
    scripts = by_model(Script(text=LONG, gap=0.01))
    async with running(tmp_path, scripts, route=NONE) as gateway:
        await leave(gateway, after=after)
        tokens = await stopped(gateway)
        assert tokens < 450
        record = await left(gateway)
        cancelled(record, "cheap")
        assert record.entries[0].usage.output_tokens >= 3
        assert record.entries[0].first_ms is not None


CLAUDE = PATIENT.replace('provider = "openai"', 'provider = "anthropic"', 1)
TOLD = Usage(1234, cache_read_tokens=1000)  # by the stream's beginning


def part_told(record: Record, outcome: str) -> None:
    """What the stream's beginning told is taken for true, and only the rest is estimated."""
    (entry,) = record.entries
    assert (entry.outcome, entry.cost_state) == (outcome, "estimated")
    assert entry.usage == msgspec.structs.replace(TOLD, output_tokens=entry.usage.output_tokens)
    assert entry.nanos == 234 * 1000 + 1000 * 100 + entry.usage.output_tokens * 2000


@pytest.mark.parametrize("after", [b"parcel2", b"parcel60"], ids=["at-once", "later"])
async def test_leaving_a_stream_whose_input_was_counted(tmp_path: Path, after: bytes) -> None:
    """Anthropic counts the input before the first word: that holds, however early the client leaves."""
    scripts = by_model(Script(text=LONG, gap=0.01, input_tokens=1234, cached_tokens=1000))
    config = CLAUDE.replace("output = 2 }", "output = 2, cache_read = 0.1 }")
    async with running(tmp_path, scripts, route=NONE, config=config) as gateway:
        await leave(gateway, after=after)
        tokens = await stopped(gateway)
        record = await left(gateway)
        part_told(record, "cancelled")
        said = record.entries[0].usage.output_tokens
        assert 3 <= said <= 4 * tokens  # a "parcel60" is more than one token, and some came too late to be seen


async def test_a_stream_that_is_cut_after_its_input_was_counted(tmp_path: Path) -> None:
    """By the provider itself: what came is billed with the input as counted, and the client is told of the end."""
    scripts = by_model(Script(text=LONG, cut=30, input_tokens=1234, cached_tokens=1000))
    config = CLAUDE.replace("output = 2 }", "output = 2, cache_read = 0.1 }")
    async with running(tmp_path, scripts, route=NONE, config=config) as gateway:
        events, headers = await gateway.events()
        assert events[-1][0] == "error"
        record = await gateway.record(headers["x-request-id"])
        part_told(record, "failed")
        assert 30 <= record.entries[0].usage.output_tokens <= 120


async def test_leaving_a_stream_that_is_written_without_pause(tmp_path: Path) -> None:
    """The gateway is in the middle of writing when the client goes."""
    scripts = by_model(Script(text=LONG * 20, gap=1e-6))
    async with running(tmp_path, scripts, route=NONE) as gateway:
        await leave(gateway, after=b"parcel9")
        await stopped(gateway)
        cancelled(await left(gateway), "cheap")


@pytest.mark.parametrize("route", ["", WINDOW], ids=["draft", "window"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("patience", [0.02, 0.3])
async def test_leaving_before_there_is_anything(tmp_path: Path, route: str, stream: bool, patience: float) -> None:
    """The upstream hangs, the client gives up: nothing was said, so what was asked is billed."""
    scripts = by_model(Script(text=LONG, first=10))
    async with running(tmp_path, scripts, route=route, config=PATIENT) as gateway:
        await give_up(gateway, patience, stream=stream)
        assert await stopped(gateway) == 0
        record = await left(gateway)
        cancelled(record, "cheap")
        assert record.entries[0].usage.output_tokens == 0


async def test_leaving_while_a_draft_is_held(tmp_path: Path) -> None:
    """The client has seen nothing yet; the draft has cost something all the same."""
    scripts = by_model(Script(text=LONG, gap=0.02))
    async with running(tmp_path, scripts) as gateway:
        await give_up(gateway, stream=True)
        assert 0 < await stopped(gateway) < 200
        record = await left(gateway)
        cancelled(record, "cheap")
        assert 0 < record.entries[0].usage.output_tokens < 600


async def test_leaving_while_premium_is_asked(tmp_path: Path) -> None:
    """The rejected draft and the cancelled premium are both booked."""
    scripts = by_model(Script(text="I'm sorry, but I can't help with that."), Script(text=LONG, first=10))
    async with running(tmp_path, scripts, config=PATIENT) as gateway:
        await give_up(gateway, stream=False)
        await stopped(gateway)
        record = await left(gateway)
        cancelled(record, "premium")
        assert [entry.outcome for entry in record.entries] == ["rejected", "cancelled"]


async def test_leaving_a_budget_free(tmp_path: Path) -> None:
    """What a client that left had reserved can be spent again."""
    scripts = by_model(Script(text=LONG, first=10, times=1), Script(text="Fine."))
    async with running(tmp_path, (*scripts, Script(text="On Friday.")), config=PATIENT, budget=200_000_000) as gateway:
        await give_up(gateway, stream=False, max_tokens=8000)  # 176 of 200 million nano-dollars
        await stopped(gateway)
        await left(gateway)
        status, _, _ = await gateway.chat(max_tokens=8000)
        assert status == 200


async def give_up(gateway: Gateway, patience: float = 0.3, **body: Any) -> None:
    """Ask, and leave a moment after the last upstream that matters was asked."""
    asked = {"model": "support", "messages": [{"role": "user", "content": "hi"}]} | body
    call = asyncio.ensure_future(
        gateway.http.post(f"{gateway.url}/chat/completions", json=asked, headers=gateway.headers())
    )
    await asyncio.wait_for(gateway.upstream.asked.wait(), 10)
    await asyncio.wait((call,), timeout=patience)
    assert not call.done()
    call.cancel()
    await asyncio.wait((call,))
