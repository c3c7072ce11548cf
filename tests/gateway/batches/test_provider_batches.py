"""Lines that a provider is asked all at once: sent once, reserved and booked each, and asked by the door if need be."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.gateway.batches.test_batches_api import begin, line, results, until
from tests.gateway.batches.test_files_api import client
from tests.gateway.harness import CONFIG, GOOD, Gateway, by_model, running
from tests.gateway.test_booking import WORDS
from tests.support.shapes import Script
from tierwise.gateway.access.keys import Terms
from tierwise.gateway.clock import SystemClock
from tierwise.store.sqlite import open_sqlite

HALF = {"batch": {"multiplier": "0.5"}}


def config(folder: Path, provider: str = "openai", *, more: str = "") -> str:
    """Models at 1 and 2, and at 10 and 20 USD, half in batches; both may be asked so."""
    period = {"source": "list", "valid_from": "2020-01-01T00:00:00Z", "services": HALF}
    cheap, dear = {"input": "1", "output": "2"}, {"input": "10", "output": "20"}
    entries = [
        {"provider": provider, "name": name, "host": "127.0.0.1", "periods": [period | said]}
        for name, said in (("cheap-1", cheap), ("premium-1", dear))
    ]
    (folder / "own.json").write_text(json.dumps({"models": entries}), encoding="utf-8")
    text = CONFIG.replace("price = {{ input = 1, output = 2 }}\n", "batch = true\n")
    text = text.replace("price = {{ input = 10, output = 20 }}\n", "batch = true\n")
    text = text.replace('provider = "openai"', f'provider = "{provider}"')
    return text + '\n[prices]\noverlays = ["own.json"]\n' + more


@asynccontextmanager
async def batching(
    folder: Path, provider: str = "openai", scripts: Sequence[Script] = (), **more: Any
) -> AsyncIterator[tuple[Gateway, openai.AsyncOpenAI]]:
    async with (
        running(folder, scripts or by_model(Script(text=GOOD)), config=config(folder, provider), **more) as gate,
        client(gate) as sdk,
    ):
        yield gate, sdk


def lines(count: int, model: str = "cheap") -> bytes:
    return b"".join(line(str(number), f"no {number}", model=model) for number in range(count))


PROVIDERS = pytest.mark.parametrize("provider", ["openai", "anthropic"])
PRICE = (20 * 1000 + WORDS * 2000) // 2  # nano-dollars of a line, in a batch


async def comes_to(gate: Gateway, nanos: int) -> None:
    """The key has spent so much and holds nothing, once all is written: the gateway lets writes wait for others."""
    store = await open_sqlite(gate.config.store_path, clock=SystemClock(), instance="reader")
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(5):
                while await store.spent(gate.key_id) != (nanos, 0):
                    await asyncio.sleep(0.02)
        assert await store.spent(gate.key_id) == (nanos, 0)
    finally:
        await store.close()


async def told(sdk: openai.AsyncOpenAI, batch_id: str) -> str:
    """What is said of why it waits, once something is."""
    async with asyncio.timeout(5):
        while not (note := (await sdk.batches.retrieve(batch_id)).model_extra["tierwise"]):  # type: ignore[index]
            await asyncio.sleep(0.02)
    return str(note["waiting"])


@PROVIDERS
async def test_one_batch_at_half_the_price(tmp_path: Path, provider: str) -> None:
    """No line is asked by itself; each is in the ledger, at the batch price, under the id of its result."""
    async with batching(tmp_path, provider) as (gate, sdk):
        batch = await until(sdk, (await begin(sdk, lines(5))).id, "completed")
        assert gate.upstream.requests == []
        (job,) = gate.upstream.batches.jobs
        assert {request["model"] for request in job.requests.values()} == {"cheap-1"}
        assert all("no 3" not in name and len(name) <= 64 for name in job.requests)
        good = await results(sdk, batch.output_file_id)
        assert set(good) == {"0", "1", "2", "3", "4"}
        for found in good.values():
            response = found["response"]
            assert response["body"]["choices"][0]["message"]["content"] == GOOD
            record = await gate.record(response["request_id"])
            (entry,) = record.entries
            assert (entry.nanos, entry.cost_state, entry.outcome, entry.rule) == (PRICE, "computed", "served", "batch")
            assert (record.status, record.decision.rule, record.baseline_nanos) == (200, "direct", PRICE)
        await comes_to(gate, 5 * PRICE)
        assert not list((tmp_path / "batches").rglob("*.parcel"))
        kept = ["/files/file-1", "/files/output-batch_0"] if provider == "openai" else ["/messages/batches/msgbatch_0"]
        assert gate.upstream.batches.deleted == kept


@PROVIDERS
@pytest.mark.parametrize("endpoint", ["/v1/messages", "/v1/completions"])
async def test_in_the_client_s_own_wire(tmp_path: Path, provider: str, endpoint: str) -> None:
    """Whichever the provider's is."""
    more: dict[str, Any] = {"max_tokens": 50} if endpoint == "/v1/messages" else {"prompt": "hi", "messages": None}
    async with batching(tmp_path, provider) as (gate, sdk):
        content = line("a", url=endpoint, model="cheap", **more)
        batch = await until(sdk, (await begin(sdk, content, endpoint)).id, "completed")
        (found,) = (await results(sdk, batch.output_file_id)).values()
        body = found["response"]["body"]
        said = body["content"][0] if endpoint == "/v1/messages" else body["choices"][0]
        assert said["text"] == GOOD
        assert (gate.upstream.requests, len(gate.upstream.batches.jobs)) == ([], 1)


async def test_who_is_asked_by_the_door(tmp_path: Path) -> None:
    """What more than one model may answer, what is said to be another service, and what is wrong."""
    live = [
        line("tiers", model="support"),
        line("service", model="cheap", service_tier="default"),
        line("cost", model="cheap", usage={"include": True}),
        line("moderated", model="cheap", moderation=True),
    ]
    wrong = line("none", model="nobody") + line("bad", model="cheap", temperature="hot")
    async with batching(tmp_path) as (gate, sdk):
        begun = await begin(sdk, b"".join(live) + wrong + line("sent", model="cheap"))
        batch = await until(sdk, begun.id, "completed")
        assert len(gate.upstream.requests) == len(live)
        (job,) = gate.upstream.batches.jobs
        assert len(job.requests) == 1
        assert len(await results(sdk, batch.output_file_id)) == len(live) + 1
        bad = await results(sdk, batch.error_file_id)
        assert {name: found["response"]["status_code"] for name, found in bad.items()} == {"none": 404, "bad": 400}


async def test_a_key_with_limits_is_asked_by_the_door(tmp_path: Path) -> None:
    """Its limits a minute hold for each line."""
    async with batching(tmp_path) as (gate, _):
        text = await gate.another(Terms(rpm=100))
        async with openai.AsyncOpenAI(base_url=gate.url, api_key=text) as sdk:
            await until(sdk, (await begin(sdk, lines(2))).id, "completed")
        assert (len(gate.upstream.requests), gate.upstream.batches.jobs) == (2, [])


@pytest.mark.parametrize(
    ("mode", "sent"),
    [
        ('mode = "premium"', 1),
        ('mode = "observe"', 0),
        ('mode = "premium"\nscreens = {{ injection = "block" }}', 0),
        ('mode = "premium"\nscreens = {{ privacy = "flag" }}', 0),
    ],
    ids=["premium", "observe", "screened", "private"],
)
async def test_premium_alone(tmp_path: Path, mode: str, sent: int) -> None:
    """Is certain where the route says so for good, and does nothing else; a route that observes goes on observing."""
    text = config(tmp_path).replace('mode = "enforce"', mode)
    async with running(tmp_path, config=text) as gate, client(gate) as sdk:
        batch = await until(sdk, (await begin(sdk, line("a", model="support"))).id, "completed")
        assert len(gate.upstream.batches.jobs) == sent
        (found,) = (await results(sdk, batch.output_file_id)).values()
        record = await gate.record(found["response"]["request_id"])
        assert (record.route, record.entries[0].model, record.entries[0].role) == ("support", "premium", "premium")
        assert record.entries[0].nanos == PRICE * 10 * (1 if sent else 2)


async def test_a_form_that_is_checked_is_for_the_door(tmp_path: Path) -> None:
    """Where a wrong one is asked again; other lines of the model are sent."""
    text = config(tmp_path).replace("batch = true", 'batch = true\nstructured = "retry"', 1)
    async with running(tmp_path, by_model(Script(text="{}")), config=text) as gate, client(gate) as sdk:
        form = line("a", model="cheap", response_format={"type": "json_object"})
        await until(sdk, (await begin(sdk, form + line("b", model="cheap"))).id, "completed")
        assert (len(gate.upstream.requests), len(gate.upstream.batches.jobs[0].requests)) == (1, 1)


@PROVIDERS
async def test_what_has_no_answer_is_asked_by_the_door(tmp_path: Path, provider: str) -> None:
    """What expired there, and what was refused: once; its reservation is given back."""
    scripts = (Script(match="no 1", status=400), *by_model(Script(text=GOOD)))
    async with batching(tmp_path, provider, scripts) as (gate, sdk):
        gate.upstream.batches.missing = 2
        batch = await until(sdk, (await begin(sdk, lines(5))).id, "completed")
        assert len(gate.upstream.batches.jobs) == 1
        assert len(gate.upstream.requests) == 3
        good, bad = await results(sdk, batch.output_file_id), await results(sdk, batch.error_file_id)
        assert (set(good), set(bad)) == ({"0", "2", "3", "4"}, {"1"})
        assert bad["1"]["response"]["status_code"] == 502
        await comes_to(gate, 2 * PRICE + 2 * 2 * PRICE)


@PROVIDERS
async def test_a_beginning_that_nobody_heard_of(tmp_path: Path, provider: str) -> None:
    """Is looked for, page by page, and found: nothing is paid for twice."""
    async with batching(tmp_path, provider) as (gate, sdk):
        for _ in range(3):  # others, newer than it on no page and as large on one
            await until(sdk, (await begin(sdk, lines(3))).id, "completed")
        gate.upstream.batches.drops = 1
        batch = await until(sdk, (await begin(sdk, lines(3))).id, "completed")
        assert len(gate.upstream.batches.jobs) == 4
        assert len(await results(sdk, batch.output_file_id)) == 3
        assert gate.upstream.requests == []
        await comes_to(gate, 12 * PRICE)


async def test_nobody_knows_until_it_has_ended(tmp_path: Path) -> None:
    """Anthropic's list does not tell whose a batch is: one that may be it is waited for, not sent again."""
    async with batching(tmp_path, "anthropic") as (gate, sdk):
        gate.upstream.batches.hold = True
        gate.upstream.batches.drops = 1
        begun = await begin(sdk, lines(2))
        await asyncio.sleep(1.5)
        assert len(gate.upstream.batches.jobs) == 1
        gate.upstream.batches.hold = False
        batch = await until(sdk, begun.id, "completed")
        assert (len(gate.upstream.batches.jobs), gate.upstream.requests) == (1, [])
        assert len(await results(sdk, batch.output_file_id)) == 2


@pytest.mark.parametrize(("status", "live"), [(400, 2), (403, 2), (500, 0), (429, 0)])
async def test_a_beginning_that_is_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, status: int, live: int
) -> None:
    """For good: the door. For now: it is tried again, once it is sure that it has not begun. The log has no words."""
    async with batching(tmp_path) as (gate, sdk):
        gate.upstream.batches.status = status
        begun = await begin(sdk, lines(2))
        if not live:
            await asyncio.sleep(0.3)
            gate.upstream.batches.status = 200
        await until(sdk, begun.id, "completed")
        assert (len(gate.upstream.requests), len(gate.upstream.batches.jobs)) == (live, 0 if live else 1)
        assert f"cheap: the provider answered {status}" in caplog.text
        assert "no batches today" not in caplog.text
        await comes_to(gate, 2 * PRICE * (2 if live else 1))


async def test_a_batch_that_fails_as_a_whole(tmp_path: Path) -> None:
    """Such as one over the provider's limits: its lines are asked by the door."""
    async with batching(tmp_path) as (gate, sdk):
        gate.upstream.batches.invalid = True
        batch = await until(sdk, (await begin(sdk, lines(2))).id, "completed")
        assert len(gate.upstream.requests) == 2
        assert len(await results(sdk, batch.output_file_id)) == 2


@PROVIDERS
async def test_results_that_break_off(tmp_path: Path, provider: str) -> None:
    """Are fetched again; each counts once."""
    async with batching(tmp_path, provider) as (gate, sdk):
        gate.upstream.batches.cuts = 1
        batch = await until(sdk, (await begin(sdk, lines(4))).id, "completed")
        assert len(await results(sdk, batch.output_file_id)) == 4
        assert gate.upstream.requests == []
        await comes_to(gate, 4 * PRICE)


async def test_what_is_not_deleted_there(tmp_path: Path) -> None:
    """Is no failure of the batch."""
    async with batching(tmp_path) as (gate, sdk):
        gate.upstream.batches.refusal = 403
        batch = await until(sdk, (await begin(sdk, lines(2))).id, "completed")
        assert (len(await results(sdk, batch.output_file_id)), gate.upstream.batches.deleted) == (2, [])


@PROVIDERS
async def test_cancel(tmp_path: Path, provider: str) -> None:
    """The provider's is cancelled too: what it has answered by then is paid for, and is there; no more is asked."""
    async with batching(tmp_path, provider) as (gate, sdk):
        gate.upstream.batches.hold, gate.upstream.batches.early = True, 2
        begun = await begin(sdk, lines(5))
        assert "5 lines for cheap: in a batch of its provider since" in await told(sdk, begun.id)
        await sdk.batches.cancel(begun.id)
        batch = await until(sdk, begun.id, "cancelled")
        assert gate.upstream.batches.jobs[0].cancelled
        assert len(await results(sdk, batch.output_file_id)) == 2
        assert (batch.error_file_id, gate.upstream.requests) == (None, [])
        assert (batch.model_extra or {})["tierwise"] is None
        await comes_to(gate, 2 * PRICE)


async def test_a_budget_that_holds_less_than_a_batch(tmp_path: Path) -> None:
    """Lines go in turns: what is sent holds its bounds at the batch price, and gives back what it does not use."""
    bound = 150 * 500 + 1024 * 1000  # of a line, or a little more
    async with batching(tmp_path, budget=4 * bound) as (gate, sdk):
        batch = await until(sdk, (await begin(sdk, lines(10))).id, "completed", seconds=20)
        assert len(await results(sdk, batch.output_file_id)) == 10
        assert [len(job.requests) for job in gate.upstream.batches.jobs] == [4, 4, 2]
        assert gate.upstream.requests == []


async def test_a_budget_that_holds_no_line(tmp_path: Path) -> None:
    """Is told by the door."""
    async with batching(tmp_path, budget=1000) as (gate, sdk):
        batch = await until(sdk, (await begin(sdk, lines(2))).id, "completed")
        bad = await results(sdk, batch.error_file_id)
        assert {found["response"]["body"]["error"]["code"] for found in bad.values()} == {"budget_exceeded"}
        assert gate.upstream.batches.jobs == []
