"""What all parcels of one batch need, and how long their providers are waited for."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tierwise.gateway.bulk.batch_lines import Journal, Line, Lines
from tierwise.gateway.bulk.parcel import Parcel
from tierwise.gateway.bulk.shelf import SECOND, BatchObject

if TYPE_CHECKING:
    from pathlib import Path

    from tierwise.gateway.app import App
    from tierwise.gateway.engine import Engine

FIRST, GROWTH, LONGEST = 0.5, 1.5, 60.0  # seconds between two calls of a provider
SETTLE = 60.0  # seconds after which a beginning that was not answered is in the provider's list, or never will be
LOST = 7200  # seconds after a window's end in which a provider may still say what became of a parcel


class Lost(Exception):
    """Nobody will find out any more what became of a parcel."""


@dataclass
class Errand:
    """What all parcels of one batch need. `quit` is set once no more of its lines are to be asked."""

    app: App
    key_id: str
    batch: BatchObject
    input: Path
    longest: int  # bytes of a line
    output: Journal
    until: int  # when what a provider has not answered goes back to the door, in Unix seconds
    quit: asyncio.Event
    settle: float = SETTLE

    @property
    def engine(self) -> Engine:
        """Of the config that runs now."""
        return self.app.engine

    @property
    def now(self) -> int:
        """Unix seconds."""
        return self.engine.clock.now_ns() // SECOND

    @property
    def given_up(self) -> bool:
        return self.quit.is_set() or self.now >= self.until

    def lines(self, parcel: Parcel) -> dict[str, Line]:
        """Those of a parcel that have no result yet, by custom_id. Raises OSError."""
        source, found = Lines(self.input, self.longest, self.output.done), dict[str, Line]()
        while (line := source.next()) is not None:
            if line.custom_id in parcel.requests:
                found[line.custom_id] = line
        return found


class Patience:
    """Between two calls of a provider, more and more of it; an end of the batch is not slept through."""

    def __init__(self, errand: Errand) -> None:
        self._errand = errand
        self._pause = FIRST

    async def wait(self) -> None:
        """Raises Lost where it has no end."""
        errand = self._errand
        if errand.now >= errand.batch.expires_at + LOST:
            raise Lost
        if errand.quit.is_set():
            await asyncio.sleep(self._pause)
        else:
            with suppress(TimeoutError):
                await asyncio.wait_for(errand.quit.wait(), self._pause)
        self._pause = min(self._pause * GROWTH, LONGEST)
