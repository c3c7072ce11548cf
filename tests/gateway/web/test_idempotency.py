"""Idempotency keys: one call for however many tries, through the gateway's own door."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.harness import GOOD, Gateway, by_model, running
from tests.store.clock import ManualClock
from tests.support.shapes import Script
from tierwise.errors import BadRequest
from tierwise.gateway.web.http import Reply
from tierwise.gateway.web.idempotency import KEPT_MS, AnotherBody, Claim, Replies, StillRunning

SLOW = Script(match="slow", text=GOOD, delay=0.3)
FAILS = Script(match="fails", status=500)


async def ask(gateway: Gateway, name: str, text: str = "hi", key: str = "", **extra: Any) -> tuple[int, bytes, Any]:
    body = {"model": "premium", "messages": [{"role": "user", "content": text}]} | extra
    headers = {"authorization": f"Bearer {key or gateway.key}", "idempotency-key": name}
    async with gateway.http.post(f"{gateway.url}/chat/completions", json=body, headers=headers) as reply:
        return reply.status, await reply.read(), reply.headers


@pytest.mark.parametrize("stream", [False, True])
async def test_a_retry_gets_the_same_reply(tmp_path: Path, stream: bool) -> None:
    """Byte for byte, under an id of its own, and nothing more is called."""
    async with running(tmp_path) as gateway:
        first = await ask(gateway, "a", stream=stream)
        again = await ask(gateway, "a", stream=stream)
        assert (first[0], first[1]) == (again[0], again[1]) == (200, first[1])
        assert again[2]["content-type"] == first[2]["content-type"]
        assert again[2]["x-tierwise-model"] == first[2]["x-tierwise-model"]
        assert (again[2].get("x-tierwise-replayed"), first[2].get("x-tierwise-replayed")) == ("true", None)
        assert again[2]["x-request-id"] != first[2]["x-request-id"]
        assert len(again[2].getall("x-request-id")) == 1
        assert len(gateway.upstream.requests) == 1
        await ask(gateway, "b", stream=stream)
        assert len(gateway.upstream.requests) == 2


async def test_a_second_try_waits_for_the_first(tmp_path: Path) -> None:
    """While it runs it is refused, and told to come again."""
    async with running(tmp_path, (SLOW, *by_model(Script(text=GOOD)))) as gateway:
        first = asyncio.ensure_future(ask(gateway, "a", "slow"))
        await asyncio.wait_for(gateway.upstream.asked.wait(), 5)
        status, body, headers = await ask(gateway, "a", "slow")
        assert (status, headers["retry-after"], b"idempotency_key_in_use" in body) == (409, "1", True)
        assert (await first)[0] == 200
        assert (await ask(gateway, "a", "slow"))[1] == (await first)[1]
        assert (await ask(gateway, "a", "another"))[0] == 422
        assert len(gateway.upstream.requests) == 1


async def test_a_failure_is_forgotten(tmp_path: Path) -> None:
    """A retry of what had no answer is a new call."""
    async with running(tmp_path, (FAILS, *by_model(Script(text=GOOD)))) as gateway:
        assert (await ask(gateway, "a", "fails"))[0] >= 500
        asked = len(gateway.upstream.requests)
        assert (await ask(gateway, "a", "fails"))[0] >= 500
        assert len(gateway.upstream.requests) > asked
        assert (await ask(gateway, "x" * 256))[0] == 400


def test_names_are_a_key_s_own_and_last_a_day() -> None:
    """And a path's; bounded in bytes, the oldest is forgotten first."""
    clock = ManualClock()
    replies = Replies(clock, limit=100)

    def claimed(name: str, key_id: str = "k", path: str = "/a") -> Claim:
        claim = replies.claim(key_id, name, path, b"x")
        assert isinstance(claim, Claim)
        return claim

    claimed("a").done(Reply(200, b"1" * 40))
    claimed("a", "other")
    assert replies.claim("k", "a", "/a", b"x") == Reply(200, b"1" * 40)
    with pytest.raises(AnotherBody):
        replies.claim("k", "a", "/b", b"x")
    with pytest.raises(StillRunning):
        replies.claim("other", "a", "/a", b"x")
    with pytest.raises(BadRequest):
        replies.claim("k", "a\n", "/a", b"x")
    running = claimed("runs")
    claimed("b").done(Reply(200, b"2" * 40))
    claimed("c").done(Reply(200, b"3" * 40))
    claimed("a").drop()  # it was forgotten, so it is new
    claimed("a").drop()
    assert replies.claim("k", "b", "/a", b"x") == Reply(200, b"2" * 40)
    running.drop()
    running.drop()
    claimed("runs").drop()
    clock.advance(KEPT_MS / 1000 + 1)
    claimed("b").done(Reply(200, b"4"))
    assert replies.claim("k", "b", "/a", b"x") == Reply(200, b"4")
