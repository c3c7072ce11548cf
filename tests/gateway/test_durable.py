"""What the client saw finish is in the ledger, whatever becomes of the gateway's process or of its disk."""

from __future__ import annotations

import asyncio
import random
import resource
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.gateway.harness import CONFIG, GOOD, REFUSAL, Child, Place, by_model, child, parse, placed
from tests.support.shapes import Script
from tierwise.gateway.clock import SystemClock
from tierwise.store.sqlite import open_sqlite

CHEAP_NANOS = 20 * 1000 + len(GOOD.split()) * 2000
ESCALATED_NANOS = 20 * 1000 + len(REFUSAL.split()) * 2000 + 20 * 10_000 + len(GOOD.split()) * 20_000


async def ask(place: Place, url: str, text: str, *, stream: bool) -> tuple[str, bool]:
    """(request id, whether its end was seen)."""
    body = {"model": "support", "stream": stream, "messages": [{"role": "user", "content": text}]}
    async with place.http.post(f"{url}/chat/completions", json=body, headers=place.headers) as reply:
        raw = await reply.read()
        assert reply.status == 200
        return reply.headers["x-request-id"], not stream or b"data: [DONE]" in raw


async def keep_asking(place: Place, url: str, number: int, seen: dict[str, int]) -> None:
    """Until the gateway is gone. `seen` gets the request ids whose end came, and what they must have cost."""
    hard = number % 2 == 0
    try:
        while True:
            request_id, ended = await ask(place, url, "hard" if hard else "easy", stream=number % 4 < 2)
            if ended:
                seen[request_id] = ESCALATED_NANOS if hard else CHEAP_NANOS
    except aiohttp.ClientError:
        pass


async def killed(folder: Path, kills: int) -> tuple[int, int]:
    """kill -9 amid eight clients, so many times: (requests whose end was seen, how many of them count at a bound).

    What was seen to end is booked at its price, or at its bound; and no less than the upstream's bill is booked in all.
    """
    moments = random.Random(2)  # noqa: S311  moments, not secrets
    scripts = (
        Script(match="hard", model="cheap-1", text=REFUSAL, delay=0.005, input_tokens=20),
        *by_model(
            Script(text=GOOD, delay=0.005, gap=0.001, input_tokens=20), Script(text=GOOD, delay=0.005, input_tokens=20)
        ),
    )
    seen: dict[str, int] = {}
    async with placed(folder, *scripts, budget=10**15) as place:
        for _ in range(kills):
            async with child(place.config.path, "--port", "0") as gateway:
                clients = [asyncio.ensure_future(keep_asking(place, gateway.url, number, seen)) for number in range(8)]
                await asyncio.sleep(moments.uniform(0.05, 0.5))
                gateway.process.kill()
                assert await gateway.ended() == -9
                await asyncio.wait_for(asyncio.gather(*clients), 2)
        return len(seen), await all_booked(place, seen)


async def test_nothing_that_was_seen_is_lost_over_kills(tmp_path: Path) -> None:
    """Of a key with a budget; `benchmarks/kills.py` does it 200 times."""
    seen, recovered = await killed(tmp_path, 4)
    assert seen > 20
    assert recovered < seen


async def all_booked(place: Place, seen: dict[str, int]) -> int:
    """How many of what was seen to end count at their bounds."""
    store = await open_sqlite(place.config.store_path, clock=SystemClock(), instance="after")
    try:
        recovered = 0
        for request_id, nanos in seen.items():
            record = await store.record(request_id)
            assert record is not None, request_id
            if record.entries[0].outcome == "recovered":
                recovered += 1
                assert record.entries[0].cost_state == "estimated"
                assert record.nanos >= nanos
            else:
                assert record.nanos == nanos
                assert all(entry.cost_state == "computed" for entry in record.entries)
        posted, held = await store.spent(place.key_id)
        assert held == 0
        assert posted >= sum(seen.values())
    finally:
        await store.close()
    return recovered


@pytest.mark.parametrize("kind", ["folder", "no-folder", "garbage"])
def test_store_that_can_not_be_used_at_start(tmp_path: Path, kind: str) -> None:
    """One line says so, and the exit code is 2."""
    path = tmp_path / "tierwise.toml"
    path.write_text(CONFIG.format(url="http://127.0.0.1:9", route=""))
    if kind == "folder":
        (tmp_path / "ledger.db").mkdir()
    elif kind == "garbage":
        (tmp_path / "ledger.db").write_text("no database" * 1000)
    else:
        path.write_text(path.read_text().replace("ledger.db", "none/ledger.db"))
    command = (sys.executable, "-m", "tierwise", "serve", "--config", str(path))
    done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert "ledger" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@asynccontextmanager
async def full_disk(gateway: Child) -> AsyncIterator[None]:
    """The gateway can't write a byte to any file until the block ends."""
    pid = gateway.process.pid
    soft, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (soft, hard))


async def post(place: Place, url: str, **body: Any) -> tuple[int, str]:
    asked = {"model": "support", "messages": [{"role": "user", "content": "hi"}]} | body
    async with place.http.post(f"{url}/chat/completions", json=asked, headers=place.headers) as reply:
        return reply.status, await reply.text()


async def until_refused(place: Place, url: str, **body: Any) -> int:
    """How many were served on a full disk: what their page of the journal still had room for."""
    served = 0
    while (await post(place, url, **body))[0] == 200:
        served += 1
        assert served < 20
    return served


@pytest.mark.parametrize("budget", [None, 10**12], ids=["no-budget", "budget"])
@pytest.mark.parametrize("hold", ["draft", "window", "none"])
async def test_store_that_fails_while_running(tmp_path: Path, hold: str, budget: int | None) -> None:
    """Nothing is served that can't be booked, whole or streamed; once the disk has room again, all is well."""
    scripts = by_model(Script(text=GOOD, gap=0.01))
    route = f'hold = "{hold}"\nwindow = 4'
    async with placed(tmp_path, *scripts, route=route, budget=budget) as place:
        async with child(place.config.path, "--port", "0") as gateway:
            assert (await post(place, gateway.url))[0] == 200
            async with full_disk(gateway):
                served = 1
                for stream in (False, True):
                    for model in ("support", "premium"):
                        served += await until_refused(place, gateway.url, stream=stream, model=model)
                        status, text = await post(place, gateway.url, stream=stream, model=model)
                        assert status == 503, text
                        assert '"code":"ledger_unavailable"' in text
                        assert "parcel" not in text
            assert len(place.upstream.requests) == served  # nothing is paid for in vain
            for stream in (False, True):
                assert (await post(place, gateway.url, stream=stream))[0] == 200
        store = await open_sqlite(place.config.store_path, clock=SystemClock(), instance="after")
        try:
            posted, held = await store.spent(place.key_id)
            assert (posted >= (served + 2) * CHEAP_NANOS, held) == (True, 0)
        finally:
            await store.close()


async def test_store_that_fails_amid_a_stream(tmp_path: Path) -> None:
    """Its reservation stood before the first word, so it may go on; it is settled once the process is gone."""
    scripts = by_model(Script(text=GOOD, gap=0.1))
    async with placed(tmp_path, *scripts, route='hold = "none"') as place:
        async with child(place.config.path, "--port", "0") as gateway:
            body = {"model": "support", "stream": True, "messages": [{"role": "user", "content": "hi"}]}
            url = f"{gateway.url}/chat/completions"
            async with place.http.post(url, json=body, headers=place.headers) as reply, full_disk(gateway):
                await until_refused(place, gateway.url, model="premium", max_completion_tokens=10)
                events = parse(await reply.read())
                assert events[-1] == "[DONE]"
                request_id = reply.headers["x-request-id"]
                await asyncio.sleep(0.05)  # longer than a record lingers: its write has failed
        await all_settled(place, request_id)


async def all_settled(place: Place, request_id: str) -> None:
    store = await open_sqlite(place.config.store_path, clock=SystemClock(), instance="after")
    try:
        record = await store.record(request_id)
        assert record is not None
        assert record.entries[0].outcome == "recovered"
        assert record.nanos >= CHEAP_NANOS
        posted, held = await store.spent(place.key_id)
        assert (posted >= record.nanos, held) == (True, 0)
    finally:
        await store.close()
