"""What an answer passes through on its way to the client, piece by piece. Knows neither screens nor wires."""

from __future__ import annotations

from typing import Protocol

import msgspec

from tierwise.ports import Batch


class Flow(Protocol):
    """One for each answer. What it changes has no `wire` and no `dialect` any more, so that an encoder writes it anew.

    Chunks of several choices (`index`) may come mixed; those of one choice go out in the order in which they came. What
    it can't decide yet it holds back, at most a window, and nothing beyond the chunk with the `finish` of its choice.
    """

    def feed(self, batch: Batch) -> Batch:
        """What may go out now, perhaps nothing. Raises Blocked: what was held back never goes out."""
        ...

    def end(self) -> Batch:
        """What was still held back, once the answer is whole."""
        ...


def apart(batch: Batch) -> Batch:
    """With events that hold several choices written anew, choice by choice: their one `wire` would say all of them."""
    if not any(chunk.wire is None and chunk.dialect for chunk in batch):
        return batch
    shared = [*(chunk.wire is None and bool(chunk.dialect) for chunk in batch[1:]), False]  # with the next chunk
    return tuple(
        [
            msgspec.structs.replace(chunk, wire=None, dialect="") if more or chunk.wire is None else chunk
            for chunk, more in zip(batch, shared, strict=True)
        ]
    )
