"""What an answer passes through on its way to the client, piece by piece. Knows neither screens nor wires."""

from __future__ import annotations

from typing import Protocol

from tierwise.ports import Batch


class Flow(Protocol):
    """One for each answer. What it changes has no `wire` any more, so that an encoder writes it anew.

    Chunks of several choices (`index`) may come mixed. What it can't decide yet it holds back, at most a window.
    """

    def feed(self, batch: Batch) -> Batch:
        """What may go out now, perhaps nothing. Raises Blocked: what was held back never goes out."""
        ...

    def end(self) -> Batch:
        """What was still held back, once the answer is whole."""
        ...
