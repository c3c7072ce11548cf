"""Lines that wait for their model's cheaper hours, on a clock that the test moves."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.gateway.batches.test_batch_run import RunnerHarness
from tests.gateway.batches.test_batches_api import line
from tests.gateway.harness import CONFIG, GOOD, UPSTREAM_KEY, Place, by_model, placed
from tests.support.shapes import Script
from tierwise.gateway.access.keyring import Keyring
from tierwise.gateway.app import App
from tierwise.gateway.batches.context import Resources
from tierwise.gateway.batches.file_store import DAY, BatchObject, FileStore
from tierwise.gateway.batches.off_peak import MARGIN, format_lines, format_time, latest_start
from tierwise.gateway.batches.runner import PER_KEY, BatchRunner
from tierwise.gateway.clock import SystemClock
from tierwise.gateway.running import Running
from tierwise.gateway.settings import load, pepper, read_environment
from tierwise.gateway.wiring import open_engine

NIGHT = [{"start": "16:30", "end": "00:30", "multiplier": "0.5"}]
HOUR = 3600


class Movable(SystemClock):
    """Goes on from wherever it is put."""

    def __init__(self) -> None:
        self.ahead_ns = 0

    def put(self, text: str) -> None:
        moment = int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())
        self.ahead_ns += moment * 1_000_000_000 - self.now_ns()

    def now_ns(self) -> int:
        return super().now_ns() + self.ahead_ns


class OffPeakHarness:
    """What a test has in its hands."""

    def __init__(self, harness: RunnerHarness, time: Movable, place: Place) -> None:
        self.harness = harness
        self.time = time
        self.place = place

    @property
    def asked(self) -> list[str]:
        return [request.body["model"] for request in self.place.upstream.requests]

    def begin(self, *models: str, left: int = DAY) -> str:
        return self.harness.begin(b"".join(line(str(at), model=model) for at, model in enumerate(models)), left)

    async def waiting(self, batch_id: str) -> BatchObject:
        """Once it says why."""
        async with asyncio.timeout(5):
            while (batch := self.harness.file_store.batch(self.harness.key_id, batch_id)).tierwise is None:
                await asyncio.sleep(0.01)
        return batch

    async def ended(self, batch_id: str) -> BatchObject:
        return await self.harness.ended(batch_id, "completed")


@asynccontextmanager
async def off_peak_harness(folder: Path, now: str, *, off_peak: bool = True) -> AsyncIterator[OffPeakHarness]:
    """Cheap's list is half at night; premium has no hours."""
    period = {"source": "list", "valid_from": "2020-01-01T00:00:00Z", "input": "1", "output": "2", "windows": NIGHT}
    entry = {"provider": "openai", "name": "cheap-1", "host": "127.0.0.1", "periods": [period]}
    (folder / "own.json").write_text(json.dumps({"models": [entry]}), encoding="utf-8")
    text = CONFIG.replace("price = {{ input = 1, output = 2 }}\n", "") + '\n[prices]\noverlays = ["own.json"]\n'
    async with placed(folder, *by_model(Script(text=GOOD))) as place:
        place.config.path.write_text(text.format(url=place.upstream.url, route=""))
        environment = read_environment({"UPSTREAM_KEY": UPSTREAM_KEY, "HOME": str(folder)})
        config = load(place.config.path, environment.variables)
        time = Movable()
        time.put(now)
        engine = dataclasses.replace(await open_engine(config, environment), clock=time)
        keyring = Keyring(engine.store, pepper(config, environment), engine.clock)
        await keyring.refresh()
        resources = Resources(
            App(Running(engine, 1 << 20), keyring),
            FileStore(folder / "batches", 1 << 20, 30),
            2,
            asyncio.Semaphore(2),
            off_peak,
        )
        runner = BatchRunner(resources)
        following = asyncio.ensure_future(runner.follow())
        try:
            yield OffPeakHarness(RunnerHarness(runner, resources, place.key_id), time, place)
        finally:
            following.cancel()
            await runner.close()
            await engine.close()


async def test_lines_wait_for_their_hours(tmp_path: Path) -> None:
    """Those of other models do not; what waits says until when and why, and goes on when it is time."""
    async with off_peak_harness(tmp_path, "2026-11-27T08:00:00") as at:
        batch_id = at.begin("cheap", "premium", "cheap")
        batch = await at.waiting(batch_id)
        assert batch.tierwise is not None
        assert batch.tierwise.waiting == "2 lines for cheap: until 16:30 UTC, for off-peak hours"
        assert format_time(batch.tierwise.until or 0) == "16:30 UTC"
        while at.harness.file_store.batch(at.harness.key_id, batch_id).request_counts.completed < 1:
            await asyncio.sleep(0.01)
        assert at.asked == ["premium-1"]
        at.time.put("2026-11-27T16:29:30")
        await asyncio.sleep(1.1)
        assert at.asked == ["premium-1"]
        at.time.put("2026-11-27T16:30:00")
        batch = await at.ended(batch_id)
        assert at.asked == ["premium-1", "cheap-1", "cheap-1"]
        assert (batch.request_counts.completed, batch.tierwise) == (3, None)


@pytest.mark.parametrize(
    ("now", "left", "off_peak"),
    [
        ("2026-11-27T17:00:00", DAY, True),
        ("2026-11-27T08:00:00", 9 * HOUR, True),
        ("2026-11-27T08:00:00", DAY, False),
    ],
    ids=["it is time", "too late", "off"],
)
async def test_lines_that_do_not_wait(tmp_path: Path, now: str, left: int, off_peak: bool) -> None:
    """In cheap hours, where the window would leave less than the margin after them, and by the config."""
    async with off_peak_harness(tmp_path, now, off_peak=off_peak) as at:
        await at.ended(at.begin("cheap", left=left))
        assert at.asked == ["cheap-1"]


async def test_a_route_waits_for_all_that_may_answer(tmp_path: Path) -> None:
    """By what its tiers cost together; a name that nobody knows does not wait."""
    async with off_peak_harness(tmp_path, "2026-11-27T08:00:00") as at:
        batch_id = at.begin("support", "nobody")
        batch = await at.waiting(batch_id)
        assert batch.tierwise is not None
        assert batch.tierwise.waiting == "1 line for support: until 16:30 UTC, for off-peak hours"
        at.harness.file_store.cancel(at.harness.key_id, batch_id, at.harness.resources.now)
        at.harness.runner.wake()
        batch = await at.harness.ended(batch_id, "cancelled")
        assert (batch.request_counts.completed, batch.request_counts.failed, at.asked) == (0, 1, [])


async def test_a_batch_that_waits_takes_no_turn(tmp_path: Path) -> None:
    """Others of its key go on, however many wait."""
    async with off_peak_harness(tmp_path, "2026-11-27T08:00:00") as at:
        for batch_id in [at.begin("cheap") for _ in range(PER_KEY)]:
            await at.waiting(batch_id)
        await at.ended(at.begin("premium"))
        assert at.asked == ["premium-1"]


async def test_a_key_that_is_revoked_while_it_waits(tmp_path: Path) -> None:
    """Ends its batches then, not hours later."""
    async with off_peak_harness(tmp_path, "2026-11-27T08:00:00") as at:
        batch_id = at.begin("cheap")
        await at.waiting(batch_id)
        app = at.harness.resources.app
        assert await app.engine.store.revoke_key(at.harness.key_id, 1)
        await app.keyring.refresh()
        batch = await at.harness.ended(batch_id, "failed")
        assert (batch.errors is not None, at.asked) == (True, [])


def test_what_a_window_leaves() -> None:
    """An hour at the least, more where its lines take longer; and words."""
    assert latest_start(DAY, 10, 8) == DAY - MARGIN
    assert latest_start(DAY, 50_000, 8) == DAY - 31_250
    assert [format_lines(number) for number in (1, 2, 50_000)] == ["1 line", "2 lines", "50,000 lines"]
