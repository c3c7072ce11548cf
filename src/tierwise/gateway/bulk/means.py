"""What all batches of a process are run with."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from tierwise.gateway.bulk.shelf import SECOND, Shelf

if TYPE_CHECKING:
    from tierwise.gateway.app import App


class Means(NamedTuple):
    """`concurrency`: lines that are asked at once, of all batches; so many `turns`."""

    app: App
    shelf: Shelf
    concurrency: int
    turns: asyncio.Semaphore
    off_peak: bool = True

    @property
    def now(self) -> int:
        """Unix seconds."""
        return self.app.engine.clock.now_ns() // SECOND
