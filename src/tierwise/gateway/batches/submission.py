"""A submission: lines of a batch that a provider is asked all at once. What is known of it stands in a growing file.

Each step is written down before it is taken, so whoever goes on after the process has ended knows what may have
happened: an id before its reservation, "sending" before the provider is called, the provider's id before anything
else. Holds no prompts. Knows no provider and no ledger.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import msgspec

from tierwise.gateway.batches.file_store import whole_rows

Step = Literal["filling", "sending", "sent", "over"]

ENDING = ".parcel"  # another one, and a gateway that is updated would not find what it has sent


class _Row(msgspec.Struct, omit_defaults=True):
    """One of: the head, a line of the batch with a request id ("": it was taken out again), a step."""

    mark: str = ""
    model: str = ""
    team: str = ""
    started_ns: int = 0
    custom_id: str | None = None
    request_id: str = ""
    step: Step | None = None
    job_id: str = ""


class Submission:
    """`mark` is its own name at the provider, `model` the configured one; it was created at `started_ns`."""

    def __init__(self, path: Path, head: _Row) -> None:
        self.mark = head.mark
        self.model = head.model
        self.team = head.team
        self.started_ns = head.started_ns
        self.step: Step = "filling"
        self.discarded = False
        self.job_id = ""  # the provider's, once it is sent
        self.request_ids: dict[str, str] = {}  # by custom_id, in the order in which they are sent
        self.earlier_ids: dict[str, list[str]] = {}  # request ids that a line had before, by custom_id
        self._path = path

    def add(self, custom_id: str, request_id: str) -> None:
        """Or give it another request id. Raises OSError, as do all that write."""
        self._write(_Row(custom_id=custom_id, request_id=request_id))

    def remove(self, custom_id: str) -> None:
        """Only while it is filling."""
        self._write(_Row(custom_id=custom_id))

    def mark_sending(self) -> None:
        """From now on the provider may have it."""
        self._write(_Row(step="sending"), sync=True)

    def mark_sent(self, job_id: str) -> None:
        self._write(_Row(step="sent", job_id=job_id), sync=True)

    def mark_over(self) -> None:
        """Every line of it has its result, or its reservation back."""
        self._write(_Row(step="over"), sync=True)

    def discard(self) -> None:
        """It was never sent: its lines are as they were."""
        self.step, self.discarded = "over", True
        self._path.unlink(missing_ok=True)

    def _write(self, row: _Row, *, sync: bool = False) -> None:
        with self._path.open("ab") as file:
            file.write(msgspec.json.encode(row) + b"\n")
            file.flush()
            if sync:
                os.fsync(file.fileno())
        self._apply(row)

    def _apply(self, row: _Row) -> None:
        if row.step is not None:
            self.step, self.job_id = row.step, row.job_id or self.job_id
        if row.custom_id is None:
            return
        before = self.request_ids.get(row.custom_id)
        if not row.request_id:
            del self.request_ids[row.custom_id]
            return
        if before is not None:
            self.earlier_ids.setdefault(row.custom_id, []).append(before)
        self.request_ids[row.custom_id] = row.request_id


def submission_paths(folder: Path, batch_id: str) -> list[Path]:
    """Of a batch, in the folder of its key, oldest first."""
    return sorted(folder.glob(f"{batch_id}.*{ENDING}"))


def submission_path(folder: Path, batch_id: str, mark: str) -> Path:
    """Where a new one is to be. `mark` begins with the time."""
    return folder / f"{batch_id}.{mark}{ENDING}"


def create(path: Path, model: str, team: str, mark: str, started_ns: int) -> Submission:
    """Raises OSError."""
    head = _Row(mark=mark, model=model, team=team, started_ns=started_ns)
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
        file.write(msgspec.json.encode(head) + b"\n")
    return Submission(path, head)


def load(path: Path) -> Submission | None:
    """One that was created; None where not even its head was written. What was cut off at its end is forgotten.

    Raises OSError.
    """
    rows = list(whole_rows(path, _Row))
    if not rows:
        path.unlink()
        return None
    found = Submission(path, rows[0][0])
    for row, _ in rows[1:]:
        found._apply(row)
    _, end = rows[-1]
    if end < path.stat().st_size:
        os.truncate(path, end)
    return found
