"""The writing thread: groups, and that nobody waits for ever whatever the backend does."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Sequence
from typing import Any

import pytest

from tierwise.errors import StoreError
from tierwise.store.writer import Writer


class Groups:
    """A backend as a value: keeps the groups it got, waits for `gate`, dies of the payload "die"."""

    def __init__(self) -> None:
        self.groups: list[list[Any]] = []
        self.gate = threading.Event()
        self.closed = False

    def open(self) -> None: ...

    def write(self, payloads: Sequence[Any]) -> list[Any]:
        self.groups.append(list(payloads))
        self.gate.wait(5)
        if "die" in payloads:
            raise RuntimeError("a backend that breaks its contract")
        return list(payloads)

    def chores(self) -> float:
        return 60.0

    def close(self) -> None:
        self.closed = True


async def test_what_waits_becomes_one_group() -> None:
    """While the first is written the rest queues up; it is then taken whole, up to the limit of a group."""
    backend = Groups()
    writer = Writer(backend, queue_max=100, batch_max=8)
    await writer.start()
    futures = [writer.put(0)]
    while not backend.groups:
        await asyncio.sleep(0)
    futures += [writer.put(number) for number in range(1, 12)]
    backend.gate.set()
    assert await asyncio.gather(*futures) == list(range(12))
    assert backend.groups == [[0], list(range(1, 9)), [9, 10, 11]]
    await writer.close()
    assert backend.closed


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_a_backend_that_dies_leaves_nobody_waiting() -> None:
    """What it had taken, what was queued and what comes later all fail; close still ends."""
    backend = Groups()
    writer = Writer(backend, queue_max=100, batch_max=1)
    await writer.start()
    futures = [writer.put(payload) for payload in ("die", "queued", "queued too")]
    backend.gate.set()
    outcomes = await asyncio.gather(*futures, return_exceptions=True)
    assert all(isinstance(outcome, StoreError) for outcome in outcomes)
    await writer.close()
    with pytest.raises(StoreError):
        await writer.put("late")
    assert (writer.failures, writer.sound) == (4, False)


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


async def test_what_is_not_urgent_waits_for_company() -> None:
    """A write without urgency is made by itself before long, and sooner where an urgent one comes."""
    backend = Groups()
    backend.gate.set()
    writer = Writer(backend, queue_max=100, batch_max=8)
    await writer.start()
    lazy = writer.put("lazy", urgent=False)
    urgent = writer.put("urgent")
    assert [await lazy, await urgent] == ["lazy", "urgent"]
    assert backend.groups == [["lazy", "urgent"]]
    assert await writer.put("alone", urgent=False) == "alone"
    await writer.close()


async def test_under_load_groups_form() -> None:
    """Writes that come one by one, faster than a commit is worth, share one."""
    backend = Groups()
    backend.gate.set()
    writer = Writer(backend, queue_max=1000, batch_max=1000)
    await writer.start()

    async def one() -> None:
        for number in range(20):
            assert await writer.put(number) == number

    await asyncio.gather(*(one() for _ in range(20)))
    await writer.close()
    assert sum(map(len, backend.groups)) == 400
    assert len(backend.groups) < 60


async def test_a_wait_that_was_cancelled_can_be_begun_again() -> None:
    """The write goes on without its waiter, and its outcome is there for the next."""
    backend = Groups()
    writer = Writer(backend, queue_max=100, batch_max=8)
    await writer.start()
    ticket = writer.put("x")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(ticket, 0.01)
    backend.gate.set()
    assert await ticket == "x"
    assert await ticket == "x"
    await writer.close()


async def test_sound_until_a_write_is_lost_and_again_after_one_that_is_not() -> None:
    """Whoever spends money before it is reserved can know when not to."""
    backend = Groups()
    backend.gate.set()
    writer = Writer(backend, queue_max=0, batch_max=8)
    await writer.start()
    assert writer.sound
    with pytest.raises(StoreError):
        await writer.put("no room")
    assert not writer.sound
    writer._queue_max = 1  # room again
    await writer.put("room")
    assert writer.sound
    await writer.close()
