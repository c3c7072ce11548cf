"""Deadlines on one timer: none expires early or twice, none that was let go of does at all."""

import asyncio

import pytest

from tierwise.gateway.web.coarse_timer import TICK, CoarseTimer


class Recorder:
    def __init__(self) -> None:
        self.expired_at: list[float] = []
        self.done = asyncio.Event()

    def expired(self) -> None:
        self.expired_at.append(asyncio.get_running_loop().time())
        self.done.set()


@pytest.mark.parametrize("seconds", [0.0, 0.5 * TICK, TICK, 1.5 * TICK])
async def test_none_expires_early(seconds: float) -> None:
    """Wherever between two ticks it was set."""
    timer, loop = CoarseTimer(), asyncio.get_running_loop()
    for ahead in (0.0, 0.3 * TICK, 0.9 * TICK):
        timer.after(5 * TICK, Recorder())  # the ticks go on
        await asyncio.sleep(ahead)
        recorder, since = Recorder(), loop.time()
        timer.after(seconds, recorder)
        await recorder.done.wait()
        assert recorder.expired_at[0] >= since + seconds


async def test_one_that_was_let_go_of_never_expires() -> None:
    """Others of the same tick do, once, and one may let go of another then."""
    timer = CoarseTimer()
    kept, gone, last = Recorder(), Recorder(), Recorder()
    pending = [timer.after(TICK, each) for each in (kept, gone)]
    timer.after(3 * TICK, last)
    pending[1].discard(gone)
    await last.done.wait()
    assert (len(kept.expired_at), gone.expired_at, len(last.expired_at)) == (1, [], 1)


async def test_nothing_runs_while_none_is_pending() -> None:
    """And it begins anew with the next one."""
    timer = CoarseTimer()
    for _ in range(2):
        assert timer._timer is None
        recorder = Recorder()
        timer.after(0, recorder)
        assert timer._timer is not None
        await recorder.done.wait()
