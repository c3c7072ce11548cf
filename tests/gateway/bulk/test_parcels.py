"""A parcel's file at whatever byte it was cut, and a delivery without a gateway: patience, and what nobody knows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from tests.gateway.bulk.test_batches import line
from tests.gateway.bulk.test_provider_batches import PRICE, lines
from tests.gateway.bulk.test_restarts import bulk
from tests.gateway.harness import UPSTREAM_KEY, Place
from tests.support.upstream import Scripted
from tierwise.dialects.batched import Entry, names
from tierwise.gateway.access.keyring import Keyring
from tierwise.gateway.app import App
from tierwise.gateway.bulk import parcel as parcels
from tierwise.gateway.bulk.batch_lines import Journal, Line, Lines
from tierwise.gateway.bulk.delivery import Delivery
from tierwise.gateway.bulk.dispatch import ROOM, Dispatch
from tierwise.gateway.bulk.errand import LOST, Errand
from tierwise.gateway.bulk.parcel import Parcel
from tierwise.gateway.bulk.shelf import DAY, SECOND, BatchObject, Shelf
from tierwise.gateway.running import Running
from tierwise.gateway.settings import load, pepper, read_environment
from tierwise.gateway.wiring import open_engine

CHAT = "/v1/chat/completions"


def test_a_file_that_was_cut(tmp_path: Path) -> None:
    """Whatever is whole counts, in its order; what is not is gone, and it goes on from there."""
    path = tmp_path / "a.parcel"
    whole = parcels.begun(path, "cheap", "sales", "0a", 7)
    assert oct(path.stat().st_mode)[-3:] == "600"
    whole.add("a", "req_1")
    whole.add("b", "req_2")
    whole.remove("b")
    whole.add("c", "req_3")
    whole.sending()
    whole.sent("batch_1")
    whole.add("a", "req_4")
    content = path.read_bytes()
    rows = content.splitlines(keepends=True)
    steps = ["filling"] * 5 + ["sending", "sent", "sent"]
    for cut in range(1, len(content), 3):
        path.write_bytes(content[:cut])
        found = parcels.read(path)
        complete = sum(1 for at in range(1, len(rows) + 1) if len(b"".join(rows[:at])) <= cut)
        if not complete:
            assert found is None
            assert not path.exists()
            continue
        assert found is not None
        assert (found.mark, found.model, found.team, found.started_ns) == ("0a", "cheap", "sales", 7)
        assert found.step == steps[complete - 1]
        found.over()
        assert path.read_bytes().startswith(b"".join(rows[:complete]) + b'{"step"')
    path.write_bytes(content)
    found = parcels.read(path)
    assert found is not None
    assert (found.requests, found.replaced, found.job_id) == (
        {"a": "req_4", "c": "req_3"},
        {"a": ["req_1"]},
        "batch_1",
    )
    found.over()
    again = parcels.read(path)
    assert again is not None
    assert (again.step, again.job_id) == ("over", "batch_1")
    found.forget()
    assert not path.exists()


def entries(parcel: Parcel) -> list[Entry]:
    return [(name, b'{"model": "cheap-1", "messages": []}') for name in names(parcel.mark, len(parcel.requests))]


class Bench:
    """An errand over two lines, and what was made of it."""

    def __init__(self, errand: Errand, shelf: Shelf, upstream: Scripted) -> None:
        self.errand = errand
        self.shelf = shelf
        self.upstream = upstream

    async def gathered(self) -> Parcel:
        """Both lines in a parcel, reserved and not sent."""
        dispatch = Dispatch(self.errand, self.shelf, lambda: None)
        for each in self.all():
            assert await dispatch.offer(each) == "taken"
        assert dispatch.held == {"0", "1"}
        (path,) = parcels.left(self.shelf.folder / self.errand.key_id, self.errand.batch.id)
        found = parcels.read(path)
        assert found is not None
        return found

    def all(self) -> list[Line]:
        source = Lines(self.errand.input, self.errand.longest, ())
        return list(iter(source.next, None))

    async def spent(self) -> tuple[int, int]:
        return await self.errand.engine.store.spent(self.errand.key_id)


@asynccontextmanager
async def bench(folder: Path, provider: str = "openai") -> AsyncIterator[Bench]:
    async with bulk(folder, provider) as place:
        place.upstream.bulk.hold = False
        async with working(place) as found:
            yield found


@asynccontextmanager
async def working(place: Place) -> AsyncIterator[Bench]:
    """A process, as it were: what it leaves behind the next one finds."""
    folder = place.config.folder
    environment = read_environment({"UPSTREAM_KEY": UPSTREAM_KEY, "HOME": str(folder)})
    read = load(place.config.path, environment.variables)
    engine = await open_engine(read, environment)
    keyring = Keyring(engine.store, pepper(read, environment), engine.clock)
    await keyring.refresh()
    shelf = Shelf(folder / "batches", 1 << 20, 30)
    source = shelf.part(place.key_id)
    source.write_bytes(lines(2))
    now = engine.clock.now_ns() // SECOND
    batch = BatchObject(id=f"batch_{'0' * 32}", endpoint=CHAT, input_file_id="x", created_at=now, expires_at=now + DAY)
    journal = Journal(folder / "output")
    app = App(Running(engine, 1 << 20), keyring)
    until = batch.expires_at - ROOM
    errand = Errand(app, place.key_id, batch, source, 1 << 20, journal, until, asyncio.Event(), settle=0)
    try:
        yield Bench(errand, shelf, place.upstream)
    finally:
        journal.close()
        await engine.close()


async def test_what_was_never_begun_is_free_again(tmp_path: Path) -> None:
    """Another process meant to send it, and the provider's list has it not: its money is given back."""
    async with bench(tmp_path) as at:
        parcel = await at.gathered()
        parcel.sending()
        assert (await at.spent())[1] > 0
        await Delivery(at.errand, parcel).follow()
        assert (parcel.step, parcel.kept, at.upstream.bulk.jobs) == ("over", False, [])
        assert await at.spent() == (0, 0)


async def test_it_is_not_believed_at_once(tmp_path: Path) -> None:
    """A provider may still be at what it was asked a moment ago."""
    async with bench(tmp_path) as at:
        parcel = await at.gathered()
        parcel.sending()
        at.errand.settle = 60
        following = asyncio.ensure_future(Delivery(at.errand, parcel).follow())
        await asyncio.sleep(0.7)
        assert not following.done()
        following.cancel()
        assert await asyncio.gather(following, return_exceptions=True)
        assert (await at.spent())[1] > 0


@pytest.mark.parametrize("step", ["sending", "sent"])
async def test_what_nobody_knows_counts_at_its_bound(tmp_path: Path, step: str) -> None:
    """The provider is silent for too long after the window's end: nothing is understated."""
    async with bench(tmp_path) as at:
        parcel = await at.gathered()
        held = (await at.spent())[1]
        parcel.sending()
        if step == "sent":
            parcel.sent("batch_9")
        at.errand.batch = msgspec.structs.replace(at.errand.batch, expires_at=at.errand.now - LOST)
        at.errand.settle = 60
        await Delivery(at.errand, parcel).follow()
        assert (parcel.step, parcel.kept) == ("over", True)
        assert await at.spent() == (held, 0)


async def test_without_room_nothing_is_sent(tmp_path: Path) -> None:
    """A provider needs an hour at the least before its lines are wanted back."""
    async with bench(tmp_path) as at:
        at.errand.until = at.errand.now + ROOM - 1
        dispatch = Dispatch(at.errand, at.shelf, lambda: None)
        assert {await dispatch.offer(each) for each in at.all()} == {"live"}


async def test_time_is_up(tmp_path: Path) -> None:
    """What has no answer by then is cancelled at the provider, and free for the door; it is not sent again."""
    async with bench(tmp_path) as at:
        parcel = await at.gathered()
        at.upstream.bulk.hold, at.upstream.bulk.early = True, 1
        parcel.sending()
        parcel.sent(await at.errand.engine.batches["cheap"].begin(parcel.mark, entries(parcel)))
        at.errand.until = at.errand.now
        await Delivery(at.errand, parcel).follow()
        assert at.upstream.bulk.jobs[0].cancelled
        assert at.errand.output.done == {"0"}
        assert await at.spent() == (PRICE, 0)
        again = Dispatch(at.errand, at.shelf, lambda: None)
        await again.resume()
        at.errand.until += DAY
        assert {await again.offer(each) for each in at.all()} == {"live"}


@pytest.mark.parametrize("step", ["sending", "sent"])
async def test_a_config_without_the_endpoint(tmp_path: Path, step: str) -> None:
    """What a provider may have is not forgotten where the config was changed meanwhile: it waits until it is back."""
    async with bench(tmp_path) as at:
        parcel = await at.gathered()
        engine = at.errand.engine
        api = engine.batches
        parcel.sending()
        job_id = await api["cheap"].begin(parcel.mark, entries(parcel))
        if step == "sent":
            parcel.sent(job_id)
        engine.batches = {}
        following = asyncio.ensure_future(Delivery(at.errand, parcel).follow())
        await asyncio.sleep(0.1)
        assert not following.done()
        engine.batches = api
        await asyncio.wait_for(following, 5)
        assert (at.errand.output.done, await at.spent()) == ({"0", "1"}, (2 * PRICE, 0))


async def test_a_parcel_has_a_size(tmp_path: Path) -> None:
    """What is over it goes into the next one."""
    async with bench(tmp_path) as at:
        at.errand.input.write_bytes(b"".join(line(str(n), "x" * (17 << 20), model="cheap") for n in range(3)))
        at.errand.longest = 20 << 20
        dispatch = Dispatch(at.errand, at.shelf, lambda: None)
        assert {await dispatch.offer(each) for each in at.all()} == {"taken"}
        dispatch.hand_over()
        await asyncio.wait_for(dispatch.settled(), 20)
        assert sorted(len(job.requests) for job in at.upstream.bulk.jobs) == [1, 2]
        assert at.errand.output.done == {"0", "1", "2"}


async def test_a_disk_that_fails(tmp_path: Path) -> None:
    """Is told to whoever runs the batch; what was sent is for another time, with its money still held."""
    async with bench(tmp_path) as at:
        parcel = await at.gathered()
        parcel.sending()
        parcel.sent(await at.errand.engine.batches["cheap"].begin(parcel.mark, entries(parcel)))
        ended = asyncio.Event()
        dispatch = Dispatch(at.errand, at.shelf, ended.set)
        at.errand.input.rename(at.errand.input.with_name("gone"))
        await dispatch.resume()
        with pytest.raises(FileNotFoundError):
            await dispatch.settled()
        assert ended.is_set()
        assert (await at.spent())[1] > 0
        assert parcels.left(at.shelf.folder / at.errand.key_id, at.errand.batch.id)


@pytest.mark.parametrize(("short", "kept"), [(0, 0), (1, 2)])
async def test_what_an_ended_process_had_reserved(tmp_path: Path, short: int, kept: int) -> None:
    """Is reserved anew, where the budget has room; where not, what was settled is put right. It is the same in sum."""
    bound = 63 * 500 + 1024 * 1000  # of a line: its bytes in, its longest answer out, in a batch
    async with bulk(tmp_path, budget=3 * bound - short) as place:
        place.upstream.bulk.hold = False
        async with working(place) as at:
            parcel = await at.gathered()
            parcel.sending()
            parcel.sent(await at.errand.engine.batches["cheap"].begin(parcel.mark, entries(parcel)))
            before = dict(parcel.requests)
        async with working(place) as at:
            assert await at.spent() == (2 * bound, 0)
            parcel = parcels.read(parcels.left(at.shelf.folder / place.key_id, at.errand.batch.id)[0]) or parcel
            await asyncio.wait_for(Delivery(at.errand, parcel).follow(), 5)
            same = sum(before[name] == parcel.requests[name] for name in before)
            assert (same, at.errand.output.done) == (kept, {"0", "1"})
        assert await place.spent() == (2 * PRICE, 0)
