"""Submissions over the end of processes: what one leaves behind is sent once, paid once, and booked as what it is."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.gateway.batches.test_batches_api import FREE, begin, results, sdk_of, until
from tests.gateway.batches.test_provider_batches import PRICE, PROVIDERS, config, lines
from tests.gateway.harness import GOOD, Place, by_model, child, placed
from tests.support.shapes import Script


@asynccontextmanager
async def batching(folder: Path, provider: str = "openai", budget: int | None = None) -> AsyncIterator[Place]:
    """A place whose upstream keeps its batches until it is told to let go."""
    async with placed(folder, *by_model(Script(text=GOOD)), budget=budget) as place:
        place.config.path.write_text(config(folder, provider).format(url=place.upstream.url, route=""))
        place.upstream.batches.hold = True
        yield place


def written(place: Place) -> list[Path]:
    return sorted(place.config.folder.glob("batches/*/*.parcel"))


async def sent(place: Place) -> None:
    """Wait until a provider has a submission, and that is written down."""
    async with asyncio.timeout(10):
        while not any(b'"sent"' in path.read_bytes() for path in written(place)):
            await asyncio.sleep(0.01)


async def killed_once_sent(place: Place) -> tuple[str, Path, list[bytes]]:
    """Of a batch of three lines whose gateway was killed: its id, and where what was written of it stands, in lines."""
    async with child(place.config.path, *FREE) as gateway, sdk_of(place, gateway.url) as sdk:
        begun = await begin(sdk, lines(3))
        await sent(place)
        gateway.process.kill()
        await gateway.ended()
    (path,) = written(place)
    return begun.id, path, path.read_bytes().splitlines(keepends=True)


@pytest.mark.parametrize(
    ("provider", "how"),
    [("openai", signal.SIGKILL), ("anthropic", signal.SIGTERM)],
    ids=["openai-kill", "anthropic-term"],
)
async def test_it_goes_on_after_a_restart(tmp_path: Path, provider: str, how: signal.Signals) -> None:
    """One batch there, one price each, booked under its model; what was settled at its bound is put right."""
    async with batching(tmp_path, provider) as place:
        async with child(place.config.path, *FREE) as gateway, sdk_of(place, gateway.url) as sdk:
            begun = await begin(sdk, lines(6))
            await sent(place)
            gateway.process.send_signal(how)
            assert await gateway.ended() == (-how if how == signal.SIGKILL else 0)
        place.upstream.batches.hold = False
        async with child(place.config.path, *FREE) as gateway, sdk_of(place, gateway.url) as sdk:
            batch = await until(sdk, begun.id, "completed")
            good = await results(sdk, batch.output_file_id)
            gateway.process.send_signal(signal.SIGTERM)
            assert await gateway.ended() == 0
        assert (len(place.upstream.batches.jobs), place.upstream.requests, len(good)) == (1, [], 6)
        assert await place.spent() == (6 * PRICE, 0)
        async with place.ledger() as store:
            for found in good.values():
                record = await store.record(found["response"]["request_id"])
                assert record is not None
                assert (record.entries[0].model, record.nanos) == ("cheap", PRICE)


@PROVIDERS
async def test_an_id_that_was_not_written_down(tmp_path: Path, provider: str) -> None:
    """Killed between the provider's answer and the note of it: the provider's list says what there is."""
    async with batching(tmp_path, provider) as place:
        batch_id, path, rows = await killed_once_sent(place)
        path.write_bytes(b"".join(rows[:-1]) + rows[-1][:10])
        async with child(place.config.path, *FREE) as gateway, sdk_of(place, gateway.url) as sdk:
            if provider == "anthropic":  # nobody can tell whose it is before it has results
                await asyncio.sleep(0.5)
            place.upstream.batches.hold = False
            batch = await until(sdk, batch_id, "completed")
            assert len(await results(sdk, batch.output_file_id)) == 3
            gateway.process.terminate()
            await gateway.ended()
        assert (len(place.upstream.batches.jobs), place.upstream.requests) == (1, [])
        assert await place.spent() == (3 * PRICE, 0)


async def test_what_was_gathered_is_gathered_anew(tmp_path: Path) -> None:
    """Killed before anything was sent: its reservations are given back, and it is sent with the rest."""
    async with batching(tmp_path) as place:
        batch_id, path, rows = await killed_once_sent(place)
        path.write_bytes(b"".join(rows[:4]))
        place.upstream.batches.jobs.clear()
        place.upstream.batches.hold = False
        async with child(place.config.path, *FREE) as gateway, sdk_of(place, gateway.url) as sdk:
            batch = await until(sdk, batch_id, "completed")
            assert len(await results(sdk, batch.output_file_id)) == 3
            gateway.process.terminate()
            await gateway.ended()
        (job,) = place.upstream.batches.jobs
        assert len(job.requests) == 3
        assert await place.spent() == (3 * PRICE, 0)


async def test_killed_again_and_again(tmp_path: Path) -> None:
    """At moments of chance, while its submissions are on their way: each line is paid for once in the end."""
    async with batching(tmp_path) as place:
        place.upstream.batches.hold = False
        begun_id = ""
        for number in range(3):
            async with child(place.config.path, *FREE) as gateway, sdk_of(place, gateway.url) as sdk:
                if not begun_id:
                    begun_id = (await begin(sdk, lines(400))).id
                await asyncio.sleep(0.05 + 0.1 * number)
                gateway.process.kill()
                await gateway.ended()
        async with child(place.config.path, *FREE) as gateway, sdk_of(place, gateway.url) as sdk:
            batch = await until(sdk, begun_id, "completed", seconds=100)
            good = await results(sdk, batch.output_file_id)
            gateway.process.terminate()
            await gateway.ended()
        assert len(good) == 400
        billed = sum(1 for tokens in place.upstream.billed.values() if tokens)
        assert (await place.spent())[0] == billed * PRICE
        assert place.upstream.requests == []
        assert billed == 400
