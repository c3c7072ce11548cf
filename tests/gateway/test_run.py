"""The live driver at its edges: premium down, wires that can't express a request, checks that err, crashes of ours."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import sqlite3
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.gateway.harness import CONFIG, GOOD, REFUSAL, by_model, door, running, said
from tests.support.shapes import Script
from tierwise.errors import CheckFailed
from tierwise.gateway.access.keys import digest, mint
from tierwise.gateway.engine import Engine
from tierwise.gateway.settings import load, read_environment
from tierwise.gateway.wiring import open_engine
from tierwise.money import Key
from tierwise.ports import Batch
from tierwise.types import Answer, Chunk, Evidence, Model, Request, Verdict

LONG = "".join(f" parcel{number}" for number in range(40))
DEGRADE = 'premium_down = "draft"'
PEPPER = b"p" * 32


# ------------------------------------------------------------------ premium down


async def test_degraded_stream(tmp_path: Path) -> None:
    """The held draft is streamed in premium's place where the route allows it, and is marked."""
    scripts = by_model(Script(text=REFUSAL), Script(status=400, error="no"))
    async with running(tmp_path, scripts, route=DEGRADE) as gateway:
        events, headers = await gateway.events()
        assert (said(events), events[-1]) == (REFUSAL, "[DONE]")
        assert headers["x-tierwise-decision"] == "degraded:premium-down"
        assert headers["x-tierwise-model"] == "cheap"
        record = await gateway.record(headers["x-request-id"])
        assert [(entry.outcome, entry.role) for entry in record.entries] == [("served", "draft"), ("failed", "premium")]
        assert (record.status, record.baseline_state) == (200, "estimated")


async def test_half_a_draft_never_stands_in(tmp_path: Path) -> None:
    """A draft that was dropped while it grew is no answer, whatever the route allows."""
    scripts = by_model(Script(text=REFUSAL + LONG, gap=0.005), Script(status=400, error="no"))
    async with running(tmp_path, scripts, route=DEGRADE + '\nhold = "window"\nwindow = 40') as gateway:
        (body,), _ = await gateway.events()
        assert body["error"]["code"] == "provider_refused"


async def test_no_draft_after_premium_began(tmp_path: Path) -> None:
    """Once premium's words are out, the draft can't follow them: the break is told."""
    scripts = by_model(Script(text=REFUSAL), Script(text=LONG, cut=10))
    async with running(tmp_path, scripts, route=DEGRADE) as gateway:
        events, _ = await gateway.events()
        assert events[-1][0] == "error"
        assert "sorry" not in said(events)
        assert LONG.startswith(said(events))


async def test_all_tiers_down(tmp_path: Path) -> None:
    """The client is told what the last tier said; nothing was produced, so nothing is billed."""
    scripts = by_model(Script(status=400), Script(status=403))
    async with running(tmp_path, scripts, route=DEGRADE) as gateway:
        status, body, headers = await gateway.chat()
        assert (status, body["error"]["code"]) == (502, "provider_refused")
        record = await gateway.record(headers["x-request-id"])
        assert [entry.outcome for entry in record.entries] == ["failed", "failed"]
        assert (record.nanos, record.baseline_nanos) == (0, 0)


# ------------------------------------------------------------------ tiers


async def test_three_tiers(tmp_path: Path) -> None:
    """The middle one answers what the first could not; premium is not asked."""
    middle = CONFIG[CONFIG.index("[models.cheap]") : CONFIG.index("[models.premium]")]
    config = CONFIG.replace("[models.premium]", middle.replace("cheap", "middle") + "[models.premium]")
    config = config.replace('["cheap", "premium"]', '["cheap", "middle", "premium"]')
    scripts = (*by_model(Script(text=REFUSAL)), Script(model="middle-1", text="On Friday morning, as ever."))
    async with running(tmp_path, scripts, config=config) as gateway:
        _, body, headers = await gateway.chat()
        assert body["choices"][0]["message"]["content"] == "On Friday morning, as ever."
        assert headers["x-tierwise-model"] == "middle"
        record = await gateway.record(headers["x-request-id"])
        assert [(entry.model, entry.role, entry.outcome) for entry in record.entries] == [
            ("cheap", "draft", "rejected"),
            ("middle", "draft", "served"),
        ]
        assert record.baseline_state == "estimated"


AUDIO = [
    {"type": "text", "text": "What is said here?"},
    {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_a_tier_whose_wire_can_not_say_it(tmp_path: Path, stream: bool) -> None:
    """It is passed over, and nothing was sent; where it is the last one, the client's request is at fault."""
    config = CONFIG.replace('[models.cheap]\nprovider = "openai"', '[models.cheap]\nprovider = "anthropic"')
    asked = {"messages": [{"role": "user", "content": AUDIO}], "stream": stream}
    async with running(tmp_path, config=config) as gateway:
        url = f"{gateway.url}/chat/completions"
        async with gateway.http.post(url, json=asked | {"model": "support"}, headers=gateway.headers()) as reply:
            assert reply.status == 200
            assert reply.headers["x-tierwise-decision"] == "escalated:failed:unsupported"
            assert "parcel" in await reply.text()
        (sent,) = gateway.upstream.requests
        assert sent.body["messages"][0]["content"] == AUDIO
        record = await gateway.record(reply.headers["x-request-id"])
        assert [(entry.outcome, entry.nanos > 0) for entry in record.entries] == [("failed", False), ("served", True)]
        async with gateway.http.post(url, json=asked | {"model": "cheap"}, headers=gateway.headers()) as reply:
            assert reply.status == 400
            assert (await reply.json())["error"]["type"] == "invalid_request_error"
        assert len(gateway.upstream.requests) == 1


# ------------------------------------------------------------------ what errs on our side


class Erring:
    """A scorer that can't score."""

    def score(
        self,
        request: Request,
        draft: Answer | None,
        opinions: Sequence[Answer] | None = None,
        judged: Evidence | None = None,
    ) -> Verdict:
        raise CheckFailed("out of order")


class Crashing:
    """A provider with a bug: after `pieces` it raises what no provider may raise. `text` is what it blurts out."""

    def __init__(self, pieces: int, text: str) -> None:
        self._pieces = pieces
        self._text = text

    async def stream(self, model: Model, request: Request) -> AsyncGenerator[Batch, None]:
        for _ in range(self._pieces):
            yield (Chunk("parcel "),)
        raise ZeroDivisionError(f"{self._text} {request.messages}")

    async def close(self) -> None:
        pass


@asynccontextmanager
async def opened(folder: Path, hold: str = "none", **changes: Any) -> AsyncIterator[tuple[str, dict[str, str], Engine]]:
    """(URL, headers, engine) of a gateway whose engine has `changes`."""
    (folder / "script.json").write_text('[{"text": "The parcel comes on Friday."}]')
    tables = "".join(
        f'[models.{name}]\nprovider = "scripted"\nscript = "script.json"\nprice = {{ input = 1, output = 2 }}\n'
        for name in ("cheap", "premium")
    )
    route = f'[routes.support]\ntiers = ["cheap", "premium"]\nmode = "enforce"\nuncertified = "checks"\nhold = "{hold}"'
    path = folder / "tierwise.toml"
    path.write_text(tables + route)
    environment = read_environment({"HOME": str(folder)})
    engine = await open_engine(load(path, {}), environment)
    engine = dataclasses.replace(engine, **changes)
    text = mint()
    key = Key("key_1", "test", digest(text, PEPPER), text[:9], 0)
    async with door(engine, key, PEPPER) as url:
        yield url, {"authorization": f"Bearer {text}"}, engine


async def post(url: str, headers: dict[str, str], **body: Any) -> tuple[int, bytes, Any]:
    asked = {"model": "support", "messages": [{"role": "user", "content": "SECRETWORD"}]} | body
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{url}/chat/completions", json=asked, headers=headers) as reply,
    ):
        try:
            return reply.status, await reply.read(), reply.headers
        except aiohttp.ClientPayloadError:
            return reply.status, b"", reply.headers


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_a_check_that_errs(tmp_path: Path, stream: bool) -> None:
    """The draft escalates: a verifier that can't say yes says no."""
    async with opened(tmp_path, "draft", unverified={"support": Erring()}) as (url, headers, _):
        status, _, said_headers = await post(url, headers, stream=stream)
        assert (status, said_headers["x-tierwise-decision"]) == (200, "escalated:check:erred")


async def test_a_router_that_errs(tmp_path: Path) -> None:
    """Premium answers."""
    async with opened(tmp_path, "none", routers={"support": Erring()}) as (url, headers, _):
        status, _, said_headers = await post(url, headers, stream=True)
        assert (status, said_headers["x-tierwise-decision"]) == (200, "router:erred")


@pytest.mark.parametrize("pieces", [0, 3])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_a_crash(tmp_path: Path, caplog: pytest.LogCaptureFixture, pieces: int, stream: bool) -> None:
    """The client gets an answer that says nothing, the log says where, the ledger has what it cost, nothing is held."""
    caplog.set_level(logging.DEBUG)
    providers = {"cheap": Crashing(pieces, "sk-secret"), "premium": Crashing(pieces, "sk-secret")}
    async with opened(tmp_path, "none", providers=providers) as (url, headers, engine):
        status, body, _ = await post(url, headers, stream=stream)
        assert b"SECRETWORD" not in body
        assert b"sk-secret" not in body
        if stream and pieces:
            assert b"[DONE]" not in body  # begun and broken off: never a clean end
            assert b"event: error" in body
            assert b"An internal error" in body
        else:
            assert status == 500
            assert b"An internal error" in body
        async with asyncio.timeout(10):
            while (await engine.store.spent("key_1"))[1]:
                await asyncio.sleep(0.01)
        with closing(sqlite3.connect(tmp_path / "tierwise.db")) as conn:
            ((request_id,),) = conn.execute("SELECT request_id FROM requests").fetchall()
        record = await engine.store.record(request_id)
        assert record is not None
        assert (record.status, record.decision.rule) == (500, "crashed")
        assert [entry.outcome for entry in record.entries] == ["cancelled"]
        assert record.nanos > 0
    assert "ZeroDivisionError" in caplog.text
    assert "in stream" in caplog.text
    assert "SECRETWORD" not in caplog.text
    assert "sk-secret" not in caplog.text


async def test_good_after_all(tmp_path: Path) -> None:
    """The same engine unchanged answers: the tests above fail for what they changed alone."""
    async with opened(tmp_path, "draft") as (url, headers, _):
        status, body, said_headers = await post(url, headers)
        assert (status, said_headers["x-tierwise-decision"]) == (200, "checks")
        assert GOOD not in body.decode()
