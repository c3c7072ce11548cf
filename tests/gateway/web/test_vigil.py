"""Deadlines on one timer: none rings early or twice, none that was let go of rings at all."""

import asyncio

import pytest

from tierwise.gateway.web.vigil import TICK, Vigil


class Sleeper:
    def __init__(self) -> None:
        self.rung: list[float] = []
        self.awake = asyncio.Event()

    def ring(self) -> None:
        self.rung.append(asyncio.get_running_loop().time())
        self.awake.set()


@pytest.mark.parametrize("seconds", [0.0, 0.5 * TICK, TICK, 1.5 * TICK])
async def test_none_rings_early(seconds: float) -> None:
    """Wherever between two looks it was set."""
    vigil, loop = Vigil(), asyncio.get_running_loop()
    for ahead in (0.0, 0.3 * TICK, 0.9 * TICK):
        vigil.after(5 * TICK, Sleeper())  # the looks go on
        await asyncio.sleep(ahead)
        sleeper, since = Sleeper(), loop.time()
        vigil.after(seconds, sleeper)
        await sleeper.awake.wait()
        assert sleeper.rung[0] >= since + seconds


async def test_who_was_let_go_of_sleeps_on() -> None:
    """Others of the same look are rung, once, and one may let go of another while it is."""
    vigil = Vigil()
    kept, gone, last = Sleeper(), Sleeper(), Sleeper()
    asleep = [vigil.after(TICK, each) for each in (kept, gone)]
    vigil.after(3 * TICK, last)
    asleep[1].discard(gone)
    await last.awake.wait()
    assert (len(kept.rung), gone.rung, len(last.rung)) == (1, [], 1)


async def test_nothing_runs_while_nobody_sleeps() -> None:
    """And it begins anew with the next one."""
    vigil = Vigil()
    for _ in range(2):
        assert vigil._timer is None
        sleeper = Sleeper()
        vigil.after(0, sleeper)
        assert vigil._timer is not None
        await sleeper.awake.wait()
