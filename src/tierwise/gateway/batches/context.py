"""What batches are run with: what all of a process share, and what all submissions of one batch need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from tierwise.gateway.batches.file_store import SECOND, BatchObject, FileStore
from tierwise.gateway.batches.lines import PendingLines, RequestLine, ResultFile
from tierwise.gateway.batches.submission import Submission

if TYPE_CHECKING:
    import asyncio
    from pathlib import Path

    from tierwise.gateway.app import App
    from tierwise.gateway.engine import Engine

SETTLE = 60.0  # seconds after which a submission that was not answered is in the provider's list, or never will be


class Resources(NamedTuple):
    """`concurrency`: lines that are asked at once, of all batches; so many `slots`."""

    app: App
    file_store: FileStore
    concurrency: int
    slots: asyncio.Semaphore
    off_peak: bool = True

    @property
    def now(self) -> int:
        """Unix seconds."""
        return self.app.engine.clock.now_ns() // SECOND


@dataclass
class SubmissionContext:
    """Of one batch. `stopped` is set once no more of its lines are to be asked."""

    app: App
    key_id: str
    batch: BatchObject
    input: Path
    max_line: int  # bytes
    output: ResultFile
    deadline: int  # when what a provider has not answered is wanted back, in Unix seconds
    stopped: asyncio.Event
    settle_seconds: float = SETTLE

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
        return self.stopped.is_set() or self.now >= self.deadline

    def pending_lines(self, submission: Submission) -> dict[str, RequestLine]:
        """Those of a submission that have no result yet, by custom_id. Raises OSError."""
        lines, found = PendingLines(self.input, self.max_line, self.output.done), dict[str, RequestLine]()
        while (line := lines.next()) is not None:
            if line.custom_id in submission.request_ids:
                found[line.custom_id] = line
        return found
