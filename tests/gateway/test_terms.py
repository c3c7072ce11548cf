"""A key's terms through the real door: limits a minute, and budgets that renew, with the clock in the test's hand."""

from __future__ import annotations

import asyncio
import dataclasses
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.gateway.harness import door
from tests.store.clock import ManualClock
from tierwise.core.budget import usd
from tierwise.gateway.access.keys import digest, mint
from tierwise.gateway.access.limits import used
from tierwise.gateway.engine import Engine
from tierwise.gateway.settings import load, read_environment
from tierwise.gateway.wiring import open_engine
from tierwise.money import Key, Record
from tierwise.providers.scripted import Rule, ScriptedProvider
from tierwise.store.sqlite import open_sqlite

CONFIG = """
[store]
url = "sqlite:///ledger.db"
[models.cheap]
provider = "scripted"
script = "answers.json"
price = { input = 1, output = 2 }
max_output = 500
[models.premium]
provider = "scripted"
script = "answers.json"
price = { input = 10, output = 20 }
max_output = 1000
[routes.support]
tiers = ["cheap", "premium"]
mode = "enforce"
uncertified = "checks"
"""
SAID = Rule(text="The parcel leaves our warehouse tomorrow.", input_tokens=20, output_tokens=30)
NANOS = 20 * 1_000 + 30 * 2_000
PEPPER = b"p" * 32


@dataclass
class Desk:
    """A gateway on a socket, its clock in the test's hand."""

    engine: Engine
    clock: ManualClock
    provider: ScriptedProvider
    path: Path
    url: str
    key: str
    http: aiohttp.ClientSession

    async def ask(self, *, said: Mapping[str, str] | None = None, **extra: Any) -> tuple[int, Any, Any]:
        """(status, JSON body or the text of a stream, headers); `said` are headers of the request."""
        body = {"model": "support", "messages": [{"role": "user", "content": "Where is it?"}], "max_tokens": 50} | extra
        headers = {"authorization": f"Bearer {self.key}", **(said or {})}
        async with self.http.post(f"{self.url}/chat/completions", json=body, headers=headers) as reply:
            whole = reply.headers["content-type"] == "application/json"
            return reply.status, await reply.json() if whole else await reply.text(), reply.headers

    async def settled(self, request_id: str) -> Record:
        async with asyncio.timeout(5):
            while (found := await self.engine.store.record(request_id)) is None:
                await asyncio.sleep(0.005)
        return found


@asynccontextmanager
async def desk(
    folder: Path, look: Any = asyncio.sleep, *, more: str = "", secret: bytes = b"", **terms: Any
) -> AsyncIterator[Desk]:
    """With one key of these terms. `look` is called before each answer of a model; `more` is added to the config."""
    path = folder / "tierwise.toml"
    path.write_text(CONFIG + more)
    (folder / "answers.json").write_text("[]")
    environment = read_environment({"HOME": str(folder)})
    config = load(path, environment.variables)
    opened = await open_engine(config, environment)
    clock, provider, text = ManualClock(), ScriptedProvider((SAID,), look), mint()
    providers = dict.fromkeys(opened.providers, provider)
    engine = dataclasses.replace(opened, clock=clock, providers=providers, secret=secret)
    key = Key("key_1", "test", digest(text, PEPPER), text[:9], 0, **terms)
    async with door(engine, key, PEPPER) as url, aiohttp.ClientSession() as http:
        yield Desk(engine, clock, provider, config.store_path, url, text, http)


@pytest.mark.parametrize("stream", [False, True])
async def test_too_many_requests(tmp_path: Path, stream: bool) -> None:
    """Told when to come again, in the client's dialect; nothing is called, reserved or written."""
    async with desk(tmp_path, rpm=2) as at:
        for _ in range(2):
            assert (await at.ask(stream=stream))[0] == 200
        status, body, headers = await at.ask(stream=stream)
        assert (status, headers["retry-after"]) == (429, "61")
        assert sorted(body["error"]) == ["code", "message", "param", "type"]
        assert (body["error"]["code"], body["error"]["type"]) == ("rate_limit_exceeded", "rate_limit_error")
        assert len(at.provider.calls) == 2
        await at.engine.store.spent("key_1")
        assert await at.engine.store.record(headers["x-request-id"]) is None
        at.clock.advance(59.5)
        assert (await at.ask(stream=stream))[2]["retry-after"] == "2"  # never too early
        at.clock.advance(1.5)
        assert (await at.ask(stream=stream))[0] == 200


async def test_tokens_are_reserved_and_corrected(tmp_path: Path) -> None:
    """While a request runs its longest answer counts; once it has ended, what it used."""
    going, running = asyncio.Event(), asyncio.Event()

    async def look(_: float) -> None:
        running.set()
        await going.wait()

    async with desk(tmp_path, look, tpm=180) as at:
        first = asyncio.ensure_future(at.ask(max_tokens=100))
        await running.wait()
        status, body, _ = await at.ask(max_tokens=100)
        assert (status, body["error"]["code"]) == (429, "rate_limit_exceeded")
        found = re.search(
            r"180 tokens a minute, (\d+) are taken, and this request may take \1", body["error"]["message"]
        )
        assert found
        assert int(found[1]) > 100
        going.set()
        _, _, headers = await first
        assert sum(used(await at.settled(headers["x-request-id"]))) == 50
        assert (await at.ask(max_tokens=100))[0] == 200
        assert (await at.ask(max_tokens=100))[0] == 429


@pytest.mark.parametrize("limit", ["tpm", "output_tpm"])
async def test_an_answer_ends_by_what_was_reserved_for_it(tmp_path: Path, limit: str) -> None:
    """A client that sets no limit gets the model's, as with a budget."""
    limits: dict[str, Any] = {limit: 2_000}
    async with desk(tmp_path, **limits) as at:
        assert (await at.ask(max_tokens=None))[0] == 200
        assert at.provider.calls[-1].request.max_output == 500


@pytest.mark.parametrize("way", ["input", "output"])
async def test_tokens_in_and_out_have_limits_of_their_own(tmp_path: Path, way: str) -> None:
    """At the door: 429, and which of them it is."""
    limits: dict[str, Any] = {f"{way}_tpm": 60}
    async with desk(tmp_path, **limits) as at:
        outcomes = [await at.ask(max_tokens=50) for _ in range(4)]
        assert [status for status, _, _ in outcomes][::3] == [200, 429]
        error = outcomes[-1][1]["error"]
        assert f"The key's limit is 60 {way} tokens a minute, " in error["message"]
        assert (error["code"], "retry-after" in outcomes[-1][2]) == ("rate_limit_exceeded", True)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_refused_request_gives_its_tokens_back(tmp_path: Path, stream: bool) -> None:
    """What was refused for its budget has used none."""
    async with desk(tmp_path, tpm=100, budget_nanos=1) as at:
        for _ in range(5):
            status, body, _ = await at.ask(stream=stream)
            assert (status, body["error"]["code"]) == (429, "budget_exceeded")


@pytest.mark.parametrize("stream", [False, True])
async def test_a_spent_budget_renews(tmp_path: Path, stream: bool) -> None:
    """The refusal says which budget, what of it is spent and held, and when it renews; and then it does."""
    async with desk(tmp_path, budget_nanos=2_500_000, period="month") as at:
        most = 0
        while (outcome := await at.ask(stream=stream))[0] == 200:
            most += NANOS
        status, body, headers = outcome
        assert (status, body["error"]["code"], body["error"]["type"]) == (429, "budget_exceeded", "insufficient_quota")
        message = body["error"]["message"]
        assert most > 0
        told = f"for the month of 2026-09 is $0.0025: {usd(most)} is spent, $0.00 is held by running requests, and this"
        assert told in message
        assert message.endswith("It renews at 2026-10-01T00:00:00Z.")
        left = 9 * 86_400 + 35_200
        assert headers["retry-after"] == str(left)
        assert (await at.settled(headers["x-request-id"])).entries == ()
        at.clock.advance(left - 1)
        assert (await at.ask(stream=stream))[2]["retry-after"] == "1"
        at.clock.advance(1)
        assert (await at.ask(stream=stream))[0] == 200
        at.clock.wall_ns -= 3_600 * 10**9  # an hour back, into September
        assert (await at.ask(stream=stream))[0] == 429
        assert await at.engine.store.spent("key_1") == (most + NANOS, 0)


async def test_a_request_over_midnight_is_the_old_day_s(tmp_path: Path) -> None:
    """It is held and spent where it began, and the new day's budget is whole."""
    hold: dict[str, asyncio.Event] = {"going": asyncio.Event(), "running": asyncio.Event()}

    async def look(_: float) -> None:
        hold["running"].set()
        await hold["going"].wait()

    async with desk(tmp_path, look, budget_nanos=2_500_000, period="day") as at:
        running = asyncio.ensure_future(at.ask())
        await hold["running"].wait()
        _, body, headers = await at.ask()
        assert "may fit as soon as running ones have ended" in body["error"]["message"]
        assert headers["retry-after"] == "1"
        at.clock.advance(86_400)
        hold["going"].set()
        assert (await at.ask())[0] == (await running)[0] == 200
        assert await at.engine.store.spent("key_1:day:2026-09-21") == (NANOS, 0)
        assert await at.engine.store.spent("key_1:day:2026-09-22") == (NANOS, 0)
        assert await at.engine.store.spent("key_1") == (2 * NANOS, 0)


async def test_a_period_without_a_budget_is_none(tmp_path: Path) -> None:
    """Nothing to renew, so nothing is kept by period."""
    async with desk(tmp_path, period="day") as at:
        assert (await at.ask())[0] == 200
        store = await open_sqlite(at.path, clock=at.clock, instance="reader")
        assert await store.spent("key_1:day:2026-09-21") == (0, 0)
        await store.close()
