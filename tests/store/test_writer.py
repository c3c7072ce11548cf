"""The writing thread: groups, and that nobody waits for ever whatever the backend does."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Sequence
from typing import Any

import pytest

from tierwise.errors import RowRefused, StoreError
from tierwise.store.writer import LINGER, Writer


class Groups:
    """A backend as a value: keeps the groups it got, waits for `gate`, is down while `error` is set, dies of "die"."""

    def __init__(self) -> None:
        self.groups: list[list[Any]] = []
        self.gate = threading.Event()
        self.error: StoreError | None = None
        self.most = 1_000  # of a group, that it takes
        self.whole: bool | None = None

    def open(self) -> None: ...

    def write(self, payloads: Sequence[Any]) -> list[RowRefused | None]:
        self.gate.wait(5)
        if self.error is not None:
            raise self.error
        if "die" in payloads:
            raise RuntimeError("a backend that breaks its contract")
        self.groups.append(list(payloads[: self.most]))
        return [RowRefused("bad") if payload == "bad" else None for payload in payloads[: self.most]]

    def chores(self) -> float:
        return 60.0

    def close(self, *, whole: bool) -> None:
        self.whole = whole


async def started(backend: Groups, *, queue_max: int = 100, batch_max: int = 8, gate: bool = True) -> Writer:
    writer = Writer(backend, queue_max=queue_max, batch_max=batch_max)
    await writer.start()
    if gate:
        backend.gate.set()
    return writer


async def test_what_waits_becomes_one_group() -> None:
    """While the first is written the rest queues up; it is then taken whole, up to the limit of a group."""
    backend = Groups()
    writer = await started(backend, gate=False)
    first = writer.put(0)
    first_done = asyncio.ensure_future(first)
    while writer.waiting != 1 or not writer._serving.taken:
        await asyncio.sleep(0)
    tickets = [writer.put(number) for number in range(1, 12)]
    backend.gate.set()
    await asyncio.gather(first_done, *tickets)
    assert backend.groups == [[0], list(range(1, 9)), [9, 10, 11]]
    await writer.close()
    assert backend.whole


async def test_what_the_database_can_not_take_is_kept_in_its_order() -> None:
    """However long; jobs that wait behind it fail, those ahead of it are tried."""
    backend = Groups()
    backend.error = StoreError("down")
    writer = await started(backend)
    tickets = [writer.put(number) for number in range(20)]
    with pytest.raises(StoreError, match="down"):
        await writer.ask(lambda backend: "read")
    assert await writer.ask(lambda backend: "drawn", ahead=True) == "drawn"
    assert (writer.sound, writer.waiting, writer.failures) == (False, 20, 0)
    backend.error = None
    tickets += [writer.put(number) for number in range(20, 23)]
    assert await asyncio.gather(*tickets) == [None] * 23
    assert [number for group in backend.groups for number in group] == list(range(23))
    assert (writer.sound, await writer.ask(lambda backend: "read")) == (True, "read")
    await writer.close()


async def test_a_database_that_takes_a_part_gets_the_rest_again() -> None:
    """What has no outcome was not written."""
    backend = Groups()
    backend.most = 3
    writer = await started(backend)
    assert await asyncio.gather(*[writer.put(number) for number in range(8)]) == [None] * 8
    assert backend.groups == [[0, 1, 2], [3, 4, 5], [6, 7]]
    await writer.close()


async def test_a_refused_row_fails_alone() -> None:
    """It is lost, and counted; the database is sound."""
    backend = Groups()
    writer = await started(backend)
    outcomes = await asyncio.gather(*map(writer.put, ("a", "bad", "b")), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [type(None), RowRefused, type(None)]
    assert (writer.failures, writer.sound) == (1, True)
    await writer.close()


async def test_closing_while_the_database_is_down_does_not_hang() -> None:
    """What is queued was not written, and is told so; the backend knows that something is left."""
    backend = Groups()
    backend.error = StoreError("down")
    writer = await started(backend)
    ticket = writer.put("x")
    await asyncio.wait_for(writer.close(), 5)
    with pytest.raises(StoreError, match="stopped"):
        await ticket
    assert backend.whole is False


async def test_a_job_s_own_error_is_told_to_who_asked() -> None:
    """Whatever it could not write; the thread goes on."""

    def broken(backend: Groups) -> None:
        raise ValueError("no such number")

    backend = Groups()
    writer = await started(backend)
    with pytest.raises(RowRefused):
        await writer.ask(broken)
    assert await writer.ask(lambda backend: 1) == 1
    await writer.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_a_backend_that_dies_leaves_nobody_waiting() -> None:
    """What it had taken, what was queued and what comes later all fail; close still ends."""
    backend = Groups()
    writer = await started(backend, batch_max=1)
    tickets = [writer.put("die"), writer.put("queued"), writer.ask(lambda backend: 1)]
    outcomes = await asyncio.gather(*tickets, return_exceptions=True)
    assert all(isinstance(outcome, StoreError) for outcome in outcomes)
    await writer.close()
    with pytest.raises(StoreError):
        await writer.put("late")
    with pytest.raises(StoreError):
        await writer.ask(lambda backend: 1)
    assert (writer.failures, backend.whole) == (3, False)


def test_a_loop_that_ends_first_is_survived(caplog: pytest.LogCaptureFixture) -> None:
    """The write is made, nobody is told, and the thread ends when the process does."""
    backend = Groups()

    async def forgetful() -> None:
        writer = Writer(backend, queue_max=100, batch_max=8)
        await writer.start()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(writer.put("unread"), 0.001)

    asyncio.run(forgetful())
    backend.gate.set()
    deadline = time.monotonic() + 5
    while "outcomes untold" not in caplog.text and time.monotonic() < deadline:
        time.sleep(0.001)
    assert "1 outcomes untold" in caplog.text
    assert backend.groups == [["unread"]]


async def test_a_write_waits_for_company_unless_somebody_waits_for_it() -> None:
    """By itself it is made before long; a job goes after it, at once."""
    backend = Groups()
    writer = await started(backend)
    lazy = writer.put("lazy")
    assert await writer.ask(lambda backend: list(backend.groups)) == [["lazy"]]
    assert await lazy is None
    loop = asyncio.get_running_loop()
    begun = loop.time()
    assert await writer.put("waited for") is None
    assert loop.time() - begun < LINGER
    writer.put("alone")
    async with asyncio.timeout(5):
        while len(backend.groups) < 3:
            await asyncio.sleep(0.001)
    await writer.close()


async def test_under_load_groups_form() -> None:
    """Writes that come one by one, faster than a commit is worth, share one."""
    backend = Groups()
    writer = await started(backend, queue_max=10_000, batch_max=1000)
    for number in range(400):
        writer.put(number)
        await asyncio.sleep(0.0005)
    await writer.close()
    assert [number for group in backend.groups for number in group] == list(range(400))
    assert len(backend.groups) < 60


async def test_a_wait_that_was_cancelled_can_be_begun_again() -> None:
    """The write goes on without its waiter, and its outcome is there for the next."""
    backend = Groups()
    writer = await started(backend, gate=False)
    ticket = writer.put("x")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(ticket, 0.01)
    backend.gate.set()
    assert await ticket is None
    assert await ticket is None
    await writer.close()


async def test_a_full_queue_refuses_what_nobody_bounds() -> None:
    """And takes what somebody else has bounded."""
    backend = Groups()
    writer = await started(backend, queue_max=0)
    with pytest.raises(StoreError, match="queue full"):
        await writer.put("no room")
    assert (writer.failures, writer.sound) == (1, True)
    assert await writer.put("room", bounded=False) is None
    await writer.close()
