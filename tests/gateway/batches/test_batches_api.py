"""Batches: each line is asked as its key would ask it, once, whatever ends the process; its key alone sees it."""

from __future__ import annotations

import asyncio
import signal
import stat
from pathlib import Path
from typing import Any

import msgspec
import openai
import pytest
from openai.types import Batch

from tests.gateway.batches.test_files_api import another, client
from tests.gateway.harness import (
    CONFIG,
    GOOD,
    REFUSAL,
    UPSTREAM_KEY,
    Place,
    by_model,
    child,
    placed,
    running,
)
from tests.support.shapes import Script
from tierwise.gateway.batches.file_store import DAY

CHAT = "/v1/chat/completions"
FREE = ("--port", "0")


def line(
    name: str, text: str = "Where is my parcel?", *, url: str = CHAT, model: str = "support", **more: Any
) -> bytes:
    body = {"model": model, "messages": [{"role": "user", "content": text}]} | more
    return msgspec.json.encode({"custom_id": name, "method": "POST", "url": url, "body": body}) + b"\n"


async def begin(sdk: openai.AsyncOpenAI, content: bytes, endpoint: Any = CHAT, **more: Any) -> Batch:
    file = await sdk.files.create(file=("in.jsonl", content), purpose="batch")
    return await sdk.batches.create(input_file_id=file.id, endpoint=endpoint, completion_window="24h", **more)


async def until(sdk: openai.AsyncOpenAI, batch_id: str, *statuses: str, seconds: float = 10) -> Batch:
    async with asyncio.timeout(seconds):
        while (batch := await sdk.batches.retrieve(batch_id)).status not in statuses:
            await asyncio.sleep(0.02)
    return batch


async def results(sdk: openai.AsyncOpenAI, file_id: str | None) -> dict[str, Any]:
    """By custom_id; each only once."""
    if file_id is None:
        return {}
    found = [msgspec.json.decode(raw) for raw in (await sdk.files.content(file_id)).content.splitlines()]
    assert len({each["custom_id"] for each in found}) == len(found)
    return {each["custom_id"]: each for each in found}


# ------------------------------------------------------------------ by the official SDK


async def test_openai_sdk(tmp_path: Path) -> None:
    """Results in OpenAI's shapes, errors in a file of their own, each line in the ledger under its own request id."""
    scripts = (
        Script(match="hard", model="cheap-1", text=REFUSAL),
        Script(match="bad", status=400),
        *by_model(Script(text=GOOD)),
    )
    content = line("easy") + b"\r\n" + line("hard", "hard") + line("bad", "bad") + line("none", model="nobody")
    async with running(tmp_path, scripts) as gate, client(gate) as sdk:
        begun = await begin(sdk, content, metadata={"job": "nightly"})
        assert (begun.status, begun.completion_window, begun.endpoint) == ("validating", "24h", CHAT)
        assert begun.expires_at == begun.created_at + DAY
        batch = await until(sdk, begun.id, "completed")
        assert batch.request_counts is not None
        assert (batch.request_counts.total, batch.request_counts.completed, batch.request_counts.failed) == (4, 2, 2)
        assert (batch.metadata, batch.errors) == ({"job": "nightly"}, None)
        assert batch.in_progress_at is not None
        assert batch.completed_at is not None
        good, bad = await results(sdk, batch.output_file_id), await results(sdk, batch.error_file_id)
        assert (set(good), set(bad)) == ({"easy", "hard"}, {"bad", "none"})
        for name, model in (("easy", "cheap"), ("hard", "premium")):
            response = good[name]["response"]
            assert (response["status_code"], good[name]["error"]) == (200, None)
            assert response["body"]["choices"][0]["message"]["content"] == GOOD
            record = await gate.record(response["request_id"])
            assert (record.key_id, record.status, record.entries[-1].model) == (gate.key_id, 200, model)
        assert bad["none"]["response"]["status_code"] == 404
        assert bad["none"]["response"]["body"]["error"]["code"] == "model_not_found"
        assert bad["bad"]["response"]["status_code"] == 502
        assert UPSTREAM_KEY not in str(bad)
        shown = await sdk.files.retrieve(batch.output_file_id or "")
        assert (shown.purpose, shown.filename) == ("batch_output", f"{batch.id}_output.jsonl")
        assert {file.id async for file in sdk.files.list(purpose="batch_output")} == {
            batch.output_file_id,
            batch.error_file_id,
        }
        assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "batches" / gate.key_id).iterdir()} == {0o600}
        with pytest.raises(openai.BadRequestError, match="purpose"):
            await sdk.batches.create(input_file_id=shown.id, endpoint="/v1/chat/completions", completion_window="24h")


ASKED: dict[str, Any] = {
    "/v1/completions": {"prompt": "hi", "messages": None},
    "/v1/responses": {"input": "hi", "messages": None},
    "/v1/messages": {"max_tokens": 50},
}


@pytest.mark.parametrize("endpoint", sorted(ASKED))
async def test_other_endpoints(tmp_path: Path, endpoint: str) -> None:
    """Each in its own wire, errors too."""
    content = line("a", url=endpoint, **ASKED[endpoint]) + line("b", url=endpoint, model="none", **ASKED[endpoint])
    async with running(tmp_path) as gate, client(gate) as sdk:
        batch = await until(sdk, (await begin(sdk, content, endpoint)).id, "completed")
        good, bad = await results(sdk, batch.output_file_id), await results(sdk, batch.error_file_id)
        assert GOOD in str(good["a"]["response"]["body"])
        assert bad["b"]["response"]["status_code"] == 404
        assert (bad["b"]["response"]["body"].get("type") == "error") == (endpoint == "/v1/messages")


async def test_embeddings(tmp_path: Path) -> None:
    """Of a model; a route of tiers is an error line."""
    raw = b'{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.25]}],"model":"cheap-1"}'
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(raw)
    url: str = "/v1/embeddings"
    more: dict[str, Any] = {"messages": None, "input": "hi"}
    content = line("a", url=url, model="cheap", **more) + line("b", url=url, **more)
    async with running(tmp_path, [Script(raw=head + raw)]) as gate, client(gate) as sdk:
        batch = await until(sdk, (await begin(sdk, content, url)).id, "completed")
        good, bad = await results(sdk, batch.output_file_id), await results(sdk, batch.error_file_id)
        assert good["a"]["response"]["body"]["data"][0]["embedding"] == [0.25]
        assert bad["b"]["response"]["status_code"] == 400


async def test_lists_and_other_keys(tmp_path: Path) -> None:
    """Newest first, page by page; another key finds nothing, and can't cancel or begin with a file that isn't its."""
    async with running(tmp_path) as gate, client(gate) as sdk, client(gate, await another(gate)) as other:
        begun = [await begin(sdk, line("a")) for _ in range(3)]
        assert [batch.id async for batch in sdk.batches.list(limit=2)] == [batch.id for batch in reversed(begun)]
        assert [batch.id async for batch in other.batches.list()] == []
        for attempt in (other.batches.retrieve, other.batches.cancel):
            with pytest.raises(openai.NotFoundError):
                await attempt(begun[0].id)
        with pytest.raises(openai.NotFoundError) as caught:
            await other.batches.create(
                input_file_id=begun[0].input_file_id, endpoint="/v1/chat/completions", completion_window="24h"
            )
        assert caught.value.param == "input_file_id"
        ended = await until(sdk, begun[0].id, "completed")
        with pytest.raises(openai.NotFoundError):
            await other.files.content(ended.output_file_id or "")
        with pytest.raises(openai.ConflictError, match="completed"):
            await sdk.batches.cancel(ended.id)


BODY = {"input_file_id": f"file-{'0' * 32}", "endpoint": CHAT, "completion_window": "24h"}


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        (BODY, 404, "input_file_id"),
        (BODY | {"input_file_id": "../../x"}, 404, "input_file_id"),
        (BODY | {"endpoint": "/v1/files"}, 400, "endpoint"),
        (BODY | {"completion_window": "1h"}, 400, "completion_window"),
        (BODY | {"metadata": {str(number): "x" for number in range(17)}}, 400, "metadata"),
        (BODY | {"metadata": {"a": "x" * 513}}, 400, "metadata[...]"),
        ([], 400, None),
    ],
)
async def test_batches_that_are_not_begun(tmp_path: Path, body: Any, status: int, param: str | None) -> None:
    """The field is named."""
    async with running(tmp_path) as gate:
        reply = await gate.http.post(f"{gate.url}/batches", json=body, headers=gate.headers())
        assert (reply.status, (await reply.json())["error"]["param"]) == (status, param)
        other = await gate.http.post(f"{gate.url}/batches/x", headers=gate.headers())
        assert other.status == 404


async def test_cancel(tmp_path: Path) -> None:
    """What runs may end, the rest is not asked; what there is by then is in the output file."""
    scripts = by_model(Script(text=GOOD, delay=0.2))
    config = CONFIG + "\n[batches]\nconcurrency = 2\n"
    async with running(tmp_path, scripts, config=config) as gate, client(gate) as sdk:
        begun = await begin(sdk, b"".join(line(str(number)) for number in range(200)))
        async with asyncio.timeout(5):
            while len(gate.upstream.requests) < 3:
                await asyncio.sleep(0.01)
        assert (await sdk.batches.cancel(begun.id)).status == "cancelling"
        assert (await sdk.batches.cancel(begun.id)).status in ("cancelling", "cancelled")
        batch = await until(sdk, begun.id, "cancelled")
        assert batch.cancelling_at is not None
        assert batch.cancelled_at is not None
        good = await results(sdk, batch.output_file_id)
        assert 2 <= len(good) == len(gate.upstream.requests) <= 8
        assert batch.request_counts is not None
        assert (batch.request_counts.total, batch.request_counts.completed) == (200, len(good))


async def test_bounded_concurrency(tmp_path: Path) -> None:
    """Of all batches together, and progress is told meanwhile."""
    scripts = by_model(Script(text=GOOD, delay=0.3))
    config = CONFIG + "\n[batches]\nconcurrency = 3\n"
    async with running(tmp_path, scripts, config=config) as gate, client(gate) as sdk:
        begun = [await begin(sdk, b"".join(line(str(number)) for number in range(9))) for _ in range(2)]
        most, counts = 0, set()
        async with asyncio.timeout(60):
            while (batch := await sdk.batches.retrieve(begun[0].id)).status != "completed":
                assert batch.status in ("validating", "in_progress", "finalizing")
                running_now = len(gate.upstream.requests) - sum(1 for _ in journal(gate.config.folder, gate.key_id))
                most = max(most, running_now)
                assert batch.request_counts is not None
                counts.add(batch.request_counts.completed)
                await asyncio.sleep(0.05)
        await until(sdk, begun[1].id, "completed")
        assert len(gate.upstream.requests) == 18
        assert most == 3
        assert len(counts) > 1


def journal(folder: Path, key_id: str) -> list[bytes]:
    """The results that are written by now."""
    found: list[bytes] = []
    for path in (folder / "batches" / key_id).glob("file-*-output.data"):
        found += path.read_bytes().splitlines()
    return found


async def test_a_budget_ends_lines_not_the_batch(tmp_path: Path) -> None:
    """What is over it is an error line; what was spent is within it."""
    async with running(tmp_path, budget=4_000_000) as gate, client(gate) as sdk:
        batch = await until(
            sdk, (await begin(sdk, b"".join(line(str(n), model="cheap") for n in range(60)))).id, "completed"
        )
        good, bad = await results(sdk, batch.output_file_id), await results(sdk, batch.error_file_id)
        assert (len(good) + len(bad), bool(good), bool(bad)) == (60, True, True)
        errors = {each["response"]["body"]["error"]["code"] for each in bad.values()}
        assert errors == {"budget_exceeded"}
        assert sum([(await gate.record(each["response"]["request_id"])).nanos for each in good.values()]) <= 4_000_000


# ------------------------------------------------------------------ over the end of processes


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=["kill", "term"])
async def test_it_goes_on_after_a_restart(tmp_path: Path, how: signal.Signals) -> None:
    """No line that has a result is asked again, and a line that was cut is."""
    scripts = by_model(Script(text=GOOD, delay=0.1))
    async with placed(tmp_path, *scripts) as place:
        folder = place.config.folder / "batches" / place.key_id
        async with child(place.config.path, *FREE) as gateway, sdk_of(place, gateway.url) as sdk:
            begun = await begin(sdk, b"".join(line(str(number), f"no {number}") for number in range(40)))
            async with asyncio.timeout(10):
                while len(before := journal(place.config.folder, place.key_id)) < 10:
                    await asyncio.sleep(0.01)
            gateway.process.send_signal(how)
            assert await gateway.ended() == (-how if how == signal.SIGKILL else 0)
        before = journal(place.config.folder, place.key_id)
        asked = len(place.upstream.requests)
        written = next(folder.glob("file-*-output.data"))
        written.write_bytes(written.read_bytes() + b'{"id":"batch_req_cut","custom_id":"39","resp')
        async with child(place.config.path, *FREE) as gateway, sdk_of(place, gateway.url) as sdk:
            batch = await until(sdk, begun.id, "completed")
            good = await results(sdk, batch.output_file_id)
        assert set(good) == {str(number) for number in range(40)}
        assert len(place.upstream.requests) - asked == 40 - len(before)
        assert written.read_bytes().splitlines()[: len(before)] == before
        again = asked - len(before)
        assert again <= (8 if how == signal.SIGKILL else 0)


async def test_one_of_several_workers_runs_it(tmp_path: Path) -> None:
    """Whichever takes requests: no line is asked twice, and any of them can cancel."""
    scripts = by_model(Script(text=GOOD, delay=0.02))
    async with placed(tmp_path, *scripts) as place:
        place.edit("port = 0", "port = 0\nworkers = 2")
        async with child(place.config.path, *FREE) as gateway:
            begun = []
            for _ in range(4):  # a connection each
                async with sdk_of(place, gateway.url) as sdk:
                    begun.append(await begin(sdk, b"".join(line(str(number)) for number in range(20))))
            async with sdk_of(place, gateway.url) as sdk:
                for each in begun:
                    batch = await until(sdk, each.id, "completed")
                    assert len(await results(sdk, batch.output_file_id)) == 20
        assert len(place.upstream.requests) == 80


def sdk_of(place: Place, url: str) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=url, api_key=place.key, max_retries=0)
