"""Answers that break, by every door, over both wires of providers: never shown as whole, whatever broke them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.gateway.harness import CONFIG, GOOD, Gateway, by_model, running
from tests.support.shapes import Script

LONG = "".join(f" parcel{number}" for number in range(30))
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\n"
DOORS: dict[str, dict[str, Any]] = {
    "chat/completions": {"messages": [{"role": "user", "content": "hi"}]},
    "completions": {"prompt": "hi"},
    "responses": {"input": "hi"},
    "messages": {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 500},
}
FAULTS = {
    "cut": Script(text=LONG, cut=10),
    "no-end": Script(text=LONG, no_end=True),
    "garbage": Script(text=LONG, garbage=True),
    "in-band-error": Script(text=LONG, in_band_error=True, error="the canary of a provider"),
    "broken-200": Script(raw=HEAD % b"text/html" + b"content-length: 6\r\n\r\n<html>"),
    "empty-200": Script(raw=HEAD % b"application/json" + b"content-length: 0\r\n\r\n"),
    "other-json": Script(raw=HEAD % b"application/json" + b'content-length: 15\r\n\r\n{"choices":[{}]'),
}
HUGE = Script(huge=70_000_000)
STREAMED_ONLY = {"no-end", "in-band-error"}  # a whole answer has neither an end mark nor a band
ENDS = (b"[DONE]", b"response.completed", b"response.incomplete", b"message_stop", b'"stop_reason":"')


@asynccontextmanager
async def broken(folder: Path, provider: str, fault: Script) -> AsyncIterator[Gateway]:
    """A gateway whose one model answers so."""
    config = CONFIG.replace('[models.premium]\nprovider = "openai"', f'[models.premium]\nprovider = "{provider}"')
    config = config.replace("first_token = 1", "first_token = 10")
    async with running(folder, by_model(Script(text=GOOD), fault), config=config) as gateway:
        yield gateway


async def ask(gateway: Gateway, door: str, *, stream: bool) -> tuple[int, bytes, str]:
    """(status, all of the body, the request's id)."""
    body = {"model": "premium", "stream": stream} | DOORS[door]
    async with gateway.http.post(f"{gateway.url}/{door}", json=body, headers=gateway.headers()) as reply:
        return reply.status, await reply.read(), reply.headers["x-request-id"]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("provider", ["openai", "anthropic"])
@pytest.mark.parametrize("door", DOORS)
async def test_a_stream_that_breaks(tmp_path: Path, door: str, provider: str, fault: str) -> None:
    """Its last event is an error in the client's dialect, or it never began; nothing says that it is whole."""
    async with broken(tmp_path, provider, FAULTS[fault]) as gateway:
        status, raw, request_id = await ask(gateway, door, stream=True)
        assert status in (200, 502)
        assert not any(end in raw for end in ENDS)
        assert b"canary" not in raw
        last = raw.rstrip(b"\n").rpartition(b"\n\n")[2] if status == 200 else raw
        is_error(door, last)
        record = await gateway.record(request_id)
        overloaded = (provider, fault) == ("anthropic", "in-band-error")  # what it says so
        assert (record.status, record.entries[-1].outcome) == (503 if overloaded else 502, "failed")
        assert (await gateway.chat("cheap"))[0] == 200


def is_error(door: str, last: bytes) -> None:
    """An event that each dialect's clients take for one, or the body of an error reply."""
    data = next(line.removeprefix(b"data: ") for line in last.split(b"\n") if line.startswith((b"data: ", b"{")))
    said = msgspec.json.decode(data)
    if door == "responses" and said.get("type") in ("error", "response.failed"):
        return
    assert said.get("type", "error") == "error"
    assert said["error"]["message"]


@pytest.mark.parametrize("fault", sorted(FAULTS.keys() - STREAMED_ONLY))
@pytest.mark.parametrize("provider", ["openai", "anthropic"])
@pytest.mark.parametrize("door", DOORS)
async def test_a_whole_answer_that_breaks(tmp_path: Path, door: str, provider: str, fault: str) -> None:
    """It is an error reply of the client's dialect, without a word of the answer."""
    async with broken(tmp_path, provider, FAULTS[fault]) as gateway:
        status, raw, request_id = await ask(gateway, door, stream=False)
        assert status == 502
        is_error(door, raw)
        assert b"parcel" not in raw
        assert len(raw) < 1_000
        record = await gateway.record(request_id)
        assert (record.status, record.entries[-1].outcome) == (502, "failed")


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("door", ["responses", "messages"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_a_draft_that_breaks(tmp_path: Path, door: str, fault: str, stream: bool) -> None:
    """Nobody sees it: premium's whole answer comes in its place."""
    if fault in STREAMED_ONLY and not stream:
        fault = "cut"
    async with running(tmp_path, by_model(FAULTS[fault])) as gateway:
        body = {"model": "support", "stream": stream} | DOORS[door]
        async with gateway.http.post(f"{gateway.url}/{door}", json=body, headers=gateway.headers()) as reply:
            raw = await reply.read()
            assert reply.status == 200
        assert b"Friday" in raw
        assert b"parcel0" not in raw
        assert b"error" not in raw.replace(b'"error":null', b"")
        assert any(end in raw for end in ENDS) or b'"status":"completed"' in raw


@pytest.mark.parametrize(("door", "provider"), [("responses", "anthropic"), ("messages", "openai")])
async def test_an_answer_over_the_limit(tmp_path: Path, door: str, provider: str) -> None:
    """Breaks off there, whole or streamed, in good time."""
    async with broken(tmp_path, provider, HUGE) as gateway:
        for stream in (False, True):
            status, raw, request_id = await ask(gateway, door, stream=stream)
            assert status == (200 if stream else 502)
            assert not any(end in raw for end in ENDS)
            is_error(door, raw.rstrip(b"\n").rpartition(b"\n\n")[2])
            assert (await gateway.record(request_id)).status == 502
