"""A model's quota: what is over it fails as if its provider had refused, and the plan goes on from there."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.core.plans import CHEAP, request
from tests.gateway.harness import CONFIG, REFUSAL, by_model, running
from tests.store.clock import ManualClock
from tests.support.shapes import Script
from tierwise.errors import Overloaded, Refused
from tierwise.gateway.access.limits import needs
from tierwise.gateway.access.quotas import Rationed, rationed
from tierwise.gateway.tables.model_table import ModelTable
from tierwise.providers.scripted import Rule, ScriptedProvider

SAID = Rule(text="Four, as ever.", input_tokens=20, output_tokens=30)
ASKED = request(max_output=100)
NEED = sum(needs(ASKED, CHEAP.max_output))


LIMITS = ("rpm", "tpm", "input_tpm", "output_tpm", "streams")


class Shop:
    """A scripted provider behind a quota, its clock in the test's hand."""

    def __init__(self, rule: Rule = SAID, **quota: int) -> None:
        self.clock = ManualClock()
        self.inner = ScriptedProvider((rule,))
        self.outer = Rationed(self.inner, ModelTable(provider="scripted", **quota), self.clock)  # type: ignore[arg-type]

    async def ask(self, **changes: Any) -> int:
        """How many batches come."""
        asked = msgspec.structs.replace(ASKED, **changes)
        return len([batch async for batch in self.outer.stream(CHEAP, asked)])

    async def refused(self, **changes: Any) -> Overloaded:
        calls = len(self.inner.calls)
        with pytest.raises(Overloaded) as told:
            await self.ask(**changes)
        assert len(self.inner.calls) == calls
        return told.value


async def test_requests_a_minute() -> None:
    """One over it says when there is room, is never sent, and takes nothing."""
    shop = Shop(rpm=2)
    assert [await shop.ask() for _ in range(2)] == [1, 1]
    for _ in range(3):
        error = await shop.refused()
    assert error.message == "cheap: its quota in this gateway is 2 requests a minute, and 2 were made"
    assert (error.status, error.code, error.retry_after) == (503, "provider_overloaded", 61)
    shop.clock.advance(61)
    assert await shop.ask() == 1


async def test_tokens_a_minute() -> None:
    """What may be taken at first, what the provider has counted once it has ended."""
    shop = Shop(tpm=NEED + 50)
    assert await shop.ask() == 1
    assert await shop.ask() == 1  # 50 are taken
    error = await shop.refused()
    assert f"100 are taken, and this request may take {NEED}" in error.message


async def test_tokens_in_and_out_apart() -> None:
    """Each is a quota of its own, by what the provider has counted."""
    shop = Shop(input_tpm=39)
    assert [await shop.ask() for _ in range(2)] == [1, 1]  # 20 each, in
    assert "input tokens a minute, 40 are taken" in (await shop.refused()).message
    shop = Shop(output_tpm=130)
    assert [await shop.ask() for _ in range(2)] == [1, 1]  # 30 each, out
    assert "130 output tokens a minute, 60 are taken, and this request may take 100" in (await shop.refused()).message


async def test_a_request_that_never_fits() -> None:
    """There is no time to wait for."""
    error = await Shop(tpm=NEED - 1).refused()
    assert error.retry_after is None


async def test_what_nobody_counted_counts_at_its_bound() -> None:
    """Where an answer came; where none did, nothing was taken."""
    shop = Shop(msgspec.structs.replace(SAID, input_tokens=None, output_tokens=None), tpm=2 * NEED - 1)
    async with aclosing(shop.outer.stream(CHEAP, msgspec.structs.replace(ASKED, stream=True))) as stream:
        await anext(stream)
    await shop.refused()
    failing = Shop(Rule(fault="refused"), tpm=NEED)
    for _ in range(3):
        with pytest.raises(Refused):
            await failing.ask()


async def test_requests_at_once() -> None:
    """Until one has ended, however it ends; one that was never begun is none."""
    shop = Shop(streams=1)
    shop.outer.stream(CHEAP, ASKED)
    stream = shop.outer.stream(CHEAP, ASKED)
    await anext(stream)
    error = await shop.refused()
    assert (error.retry_after, "1 requests at once" in error.message) == (1, True)
    await stream.aclose()
    assert await shop.ask() == 1
    failing = Shop(Rule(fault="refused"), streams=1)
    for _ in range(3):
        with pytest.raises(Refused):
            await failing.ask()


def test_a_model_without_a_quota_is_left_alone() -> None:
    """Its provider is asked directly."""
    provider = ScriptedProvider((SAID,))
    tables = {
        "a": ModelTable(provider="scripted"),
        **{name: ModelTable(provider="scripted", **{name: 1}) for name in LIMITS},  # type: ignore[arg-type]
    }
    found = rationed(dict.fromkeys(tables, provider), tables, ManualClock())
    assert found["a"] is provider
    assert all(isinstance(found[name], Rationed) for name in LIMITS)


# ------------------------------------------------------------------ at the door


def with_quota(model: str, line: str) -> str:
    return CONFIG.replace(f"[models.{model}]\n", f"[models.{model}]\n{line}\n")


async def test_a_cheap_tier_over_its_quota_is_passed_over(tmp_path: Path) -> None:
    """Premium answers, and nothing is billed for the call that was not made."""
    async with running(tmp_path, config=with_quota("cheap", "rpm = 1")) as gateway:
        rules = [(await gateway.chat())[2]["x-tierwise-decision"] for _ in range(2)]
        assert rules == ["checks", "escalated:failed:provider_overloaded"]
        record = await gateway.record(gateway.last_id())
        assert [(line.model, line.outcome, line.nanos > 0) for line in record.entries] == [
            ("cheap", "failed", False),
            ("premium", "served", True),
        ]
        assert [sent.body["model"] for sent in gateway.upstream.requests] == ["cheap-1", "premium-1"]


@pytest.mark.parametrize("stream", [False, True])
async def test_premium_over_its_quota_says_when(tmp_path: Path, stream: bool) -> None:
    """With retry-after, where there is nobody else."""
    scripts = by_model(Script(text=REFUSAL))
    async with running(tmp_path, scripts, config=with_quota("premium", "rpm = 1")) as gateway:
        assert (await gateway.chat())[0] == 200
        status, body, headers = await gateway.chat(stream=stream)
        assert (status, body["error"]["code"]) == (503, "provider_overloaded")
        assert 50 <= int(headers["retry-after"]) <= 61


async def test_premium_over_its_quota_is_premium_down(tmp_path: Path) -> None:
    """A rejected draft stands in where the route says so."""
    scripts = by_model(Script(text=REFUSAL))
    config = with_quota("premium", "streams = 1\nrpm = 1")
    async with running(tmp_path, scripts, config=config, route='premium_down = "draft"') as gateway:
        rules = [(await gateway.chat())[2]["x-tierwise-decision"] for _ in range(2)]
        assert rules == ["escalated:check:refusal", "degraded:premium-down"]


async def test_streams_at_once_of_a_model(tmp_path: Path) -> None:
    """The second goes to the next tier while the first still runs."""
    scripts = by_model(Script(text=" word" * 40, gap=0.02))
    async with running(tmp_path, scripts, config=with_quota("cheap", "streams = 1")) as gateway:
        first = asyncio.ensure_future(gateway.chat("cheap"))
        async with asyncio.timeout(5):
            while not gateway.upstream.requests:
                await asyncio.sleep(0.005)
        assert (await gateway.chat())[2]["x-tierwise-model"] == "premium"
        assert (await first)[0] == 200
        assert (await gateway.chat("cheap"))[0] == 200
