"""A submission's file at whatever byte it was cut, and its run without a gateway: backoff, and what nobody knows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from tests.gateway.batches.test_batches_api import line
from tests.gateway.batches.test_provider_batches import PRICE, lines
from tests.gateway.batches.test_restarts import batching
from tests.gateway.harness import UPSTREAM_KEY, Place
from tests.support.upstream import Scripted
from tierwise.dialects.batches import Item, names
from tierwise.gateway.access.keyring import Keyring
from tierwise.gateway.app import App
from tierwise.gateway.batches import submission as submissions
from tierwise.gateway.batches.context import SubmissionContext
from tierwise.gateway.batches.file_store import DAY, SECOND, BatchObject, FileStore
from tierwise.gateway.batches.lines import PendingLines, RequestLine, ResultFile
from tierwise.gateway.batches.provider_job import LOST
from tierwise.gateway.batches.submission import Submission
from tierwise.gateway.batches.submission_run import SubmissionRun
from tierwise.gateway.batches.submitter import PROVIDER_SECONDS, Submitter
from tierwise.gateway.running import Running
from tierwise.gateway.settings import load, pepper, read_environment
from tierwise.gateway.wiring import open_engine

CHAT = "/v1/chat/completions"


def test_a_file_that_was_cut(tmp_path: Path) -> None:
    """Whatever is whole counts, in its order; what is not is gone, and it goes on from there."""
    path = tmp_path / "a.parcel"
    whole = submissions.create(path, "cheap", "sales", "0a", 7)
    assert oct(path.stat().st_mode)[-3:] == "600"
    whole.add("a", "req_1")
    whole.add("b", "req_2")
    whole.remove("b")
    whole.add("c", "req_3")
    whole.mark_sending()
    whole.mark_sent("batch_1")
    whole.add("a", "req_4")
    content = path.read_bytes()
    rows = content.splitlines(keepends=True)
    steps = ["filling"] * 5 + ["sending", "sent", "sent"]
    for cut in range(1, len(content), 3):
        path.write_bytes(content[:cut])
        found = submissions.load(path)
        complete = sum(1 for at in range(1, len(rows) + 1) if len(b"".join(rows[:at])) <= cut)
        if not complete:
            assert found is None
            assert not path.exists()
            continue
        assert found is not None
        assert (found.mark, found.model, found.team, found.started_ns) == ("0a", "cheap", "sales", 7)
        assert found.step == steps[complete - 1]
        found.mark_over()
        assert path.read_bytes().startswith(b"".join(rows[:complete]) + b'{"step"')
    path.write_bytes(content)
    found = submissions.load(path)
    assert found is not None
    assert (found.request_ids, found.earlier_ids, found.job_id) == (
        {"a": "req_4", "c": "req_3"},
        {"a": ["req_1"]},
        "batch_1",
    )
    found.mark_over()
    again = submissions.load(path)
    assert again is not None
    assert (again.step, again.job_id) == ("over", "batch_1")
    found.discard()
    assert not path.exists()


def items(submission: Submission) -> list[Item]:
    return [
        (name, b'{"model": "cheap-1", "messages": []}') for name in names(submission.mark, len(submission.request_ids))
    ]


class SubmissionHarness:
    """A context over two lines, and what was made of it."""

    def __init__(self, context: SubmissionContext, file_store: FileStore, upstream: Scripted) -> None:
        self.context = context
        self.file_store = file_store
        self.upstream = upstream

    async def gathered(self) -> Submission:
        """Both lines in a submission, reserved and not sent."""
        submitter = Submitter(self.context, self.file_store, lambda: None)
        for each in self.all():
            assert await submitter.offer(each) == "submitted"
        assert submitter.in_flight == {"0", "1"}
        (path,) = submissions.submission_paths(self.file_store.folder / self.context.key_id, self.context.batch.id)
        found = submissions.load(path)
        assert found is not None
        return found

    def all(self) -> list[RequestLine]:
        source = PendingLines(self.context.input, self.context.max_line, ())
        return list(iter(source.next, None))

    async def spent(self) -> tuple[int, int]:
        return await self.context.engine.store.spent(self.context.key_id)


@asynccontextmanager
async def submission_harness(folder: Path, provider: str = "openai") -> AsyncIterator[SubmissionHarness]:
    async with batching(folder, provider) as place:
        place.upstream.batches.hold = False
        async with working(place) as found:
            yield found


@asynccontextmanager
async def working(place: Place) -> AsyncIterator[SubmissionHarness]:
    """A process, as it were: what it leaves behind the next one finds."""
    folder = place.config.folder
    environment = read_environment({"UPSTREAM_KEY": UPSTREAM_KEY, "HOME": str(folder)})
    read = load(place.config.path, environment.variables)
    engine = await open_engine(read, environment)
    keyring = Keyring(engine.store, pepper(read, environment), engine.clock)
    await keyring.refresh()
    file_store = FileStore(folder / "batches", 1 << 20, 30)
    source = file_store.new_part(place.key_id)
    source.write_bytes(lines(2))
    now = engine.clock.now_ns() // SECOND
    batch = BatchObject(id=f"batch_{'0' * 32}", endpoint=CHAT, input_file_id="x", created_at=now, expires_at=now + DAY)
    output = ResultFile(folder / "output")
    app = App(Running(engine, 1 << 20), keyring)
    until = batch.expires_at - PROVIDER_SECONDS
    context = SubmissionContext(
        app, place.key_id, batch, source, 1 << 20, output, until, asyncio.Event(), settle_seconds=0
    )
    try:
        yield SubmissionHarness(context, file_store, place.upstream)
    finally:
        output.close()
        await engine.close()


async def test_what_was_never_begun_is_free_again(tmp_path: Path) -> None:
    """Another process meant to send it, and the provider's list has it not: its money is given back."""
    async with submission_harness(tmp_path) as at:
        submission = await at.gathered()
        submission.mark_sending()
        assert (await at.spent())[1] > 0
        await SubmissionRun(at.context, submission).run()
        assert (submission.step, submission.discarded, at.upstream.batches.jobs) == ("over", True, [])
        assert await at.spent() == (0, 0)


async def test_it_is_not_believed_at_once(tmp_path: Path) -> None:
    """A provider may still be at what it was asked a moment ago."""
    async with submission_harness(tmp_path) as at:
        submission = await at.gathered()
        submission.mark_sending()
        at.context.settle_seconds = 60
        following = asyncio.ensure_future(SubmissionRun(at.context, submission).run())
        await asyncio.sleep(0.7)
        assert not following.done()
        following.cancel()
        assert await asyncio.gather(following, return_exceptions=True)
        assert (await at.spent())[1] > 0


@pytest.mark.parametrize("step", ["sending", "sent"])
async def test_what_nobody_knows_counts_at_its_bound(tmp_path: Path, step: str) -> None:
    """The provider is silent for too long after the window's end: nothing is understated."""
    async with submission_harness(tmp_path) as at:
        submission = await at.gathered()
        held = (await at.spent())[1]
        submission.mark_sending()
        if step == "sent":
            submission.mark_sent("batch_9")
        at.context.batch = msgspec.structs.replace(at.context.batch, expires_at=at.context.now - LOST)
        at.context.settle_seconds = 60
        await SubmissionRun(at.context, submission).run()
        assert (submission.step, submission.discarded) == ("over", False)
        assert await at.spent() == (held, 0)


async def test_without_room_nothing_is_sent(tmp_path: Path) -> None:
    """A provider needs an hour at the least before its lines are wanted back."""
    async with submission_harness(tmp_path) as at:
        at.context.deadline = at.context.now + PROVIDER_SECONDS - 1
        submitter = Submitter(at.context, at.file_store, lambda: None)
        assert {await submitter.offer(each) for each in at.all()} == {"direct"}


async def test_time_is_up(tmp_path: Path) -> None:
    """What has no answer by then is cancelled at the provider, and free for the door; it is not sent again."""
    async with submission_harness(tmp_path) as at:
        submission = await at.gathered()
        at.upstream.batches.hold, at.upstream.batches.early = True, 1
        submission.mark_sending()
        submission.mark_sent(await at.context.engine.batches["cheap"].submit(submission.mark, items(submission)))
        at.context.deadline = at.context.now
        await SubmissionRun(at.context, submission).run()
        assert at.upstream.batches.jobs[0].cancelled
        assert at.context.output.done == {"0"}
        assert await at.spent() == (PRICE, 0)
        again = Submitter(at.context, at.file_store, lambda: None)
        await again.resume()
        at.context.deadline += DAY
        assert {await again.offer(each) for each in at.all()} == {"direct"}


@pytest.mark.parametrize("step", ["sending", "sent"])
async def test_a_config_without_the_endpoint(tmp_path: Path, step: str) -> None:
    """What a provider may have is not forgotten where the config was changed meanwhile: it waits until it is back."""
    async with submission_harness(tmp_path) as at:
        submission = await at.gathered()
        engine = at.context.engine
        api = engine.batches
        submission.mark_sending()
        job_id = await api["cheap"].submit(submission.mark, items(submission))
        if step == "sent":
            submission.mark_sent(job_id)
        engine.batches = {}
        following = asyncio.ensure_future(SubmissionRun(at.context, submission).run())
        await asyncio.sleep(0.1)
        assert not following.done()
        engine.batches = api
        await asyncio.wait_for(following, 5)
        assert (at.context.output.done, await at.spent()) == ({"0", "1"}, (2 * PRICE, 0))


async def test_a_parcel_has_a_size(tmp_path: Path) -> None:
    """What is over it goes into the next one."""
    async with submission_harness(tmp_path) as at:
        at.context.input.write_bytes(b"".join(line(str(n), "x" * (17 << 20), model="cheap") for n in range(3)))
        at.context.max_line = 20 << 20
        submitter = Submitter(at.context, at.file_store, lambda: None)
        assert {await submitter.offer(each) for each in at.all()} == {"submitted"}
        submitter.flush()
        await asyncio.wait_for(submitter.wait(), 20)
        assert sorted(len(job.requests) for job in at.upstream.batches.jobs) == [1, 2]
        assert at.context.output.done == {"0", "1", "2"}


async def test_a_disk_that_fails(tmp_path: Path) -> None:
    """Is told to whoever runs the batch; what was sent is for another time, with its money still held."""
    async with submission_harness(tmp_path) as at:
        submission = await at.gathered()
        submission.mark_sending()
        submission.mark_sent(await at.context.engine.batches["cheap"].submit(submission.mark, items(submission)))
        ended = asyncio.Event()
        submitter = Submitter(at.context, at.file_store, ended.set)
        at.context.input.rename(at.context.input.with_name("gone"))
        await submitter.resume()
        with pytest.raises(FileNotFoundError):
            await submitter.wait()
        assert ended.is_set()
        assert (await at.spent())[1] > 0
        assert submissions.submission_paths(at.file_store.folder / at.context.key_id, at.context.batch.id)


@pytest.mark.parametrize(("short", "kept"), [(0, 0), (1, 2)])
async def test_what_an_ended_process_had_reserved(tmp_path: Path, short: int, kept: int) -> None:
    """Is reserved anew, where the budget has room; where not, what was settled is put right. It is the same in sum."""
    bound = 63 * 500 + 1024 * 1000  # of a line: its bytes in, its longest answer out, in a batch
    async with batching(tmp_path, budget=3 * bound - short) as place:
        place.upstream.batches.hold = False
        async with working(place) as at:
            submission = await at.gathered()
            submission.mark_sending()
            submission.mark_sent(await at.context.engine.batches["cheap"].submit(submission.mark, items(submission)))
            before = dict(submission.request_ids)
        async with working(place) as at:
            assert await at.spent() == (2 * bound, 0)
            (path,) = submissions.submission_paths(at.file_store.folder / place.key_id, at.context.batch.id)
            submission = submissions.load(path) or submission
            await asyncio.wait_for(SubmissionRun(at.context, submission).run(), 5)
            same = sum(before[name] == submission.request_ids[name] for name in before)
            assert (same, at.context.output.done) == (kept, {"0", "1"})
        assert await place.spent() == (2 * PRICE, 0)
