"""What clients have uploaded, and what became of their batches: files in one folder, a folder in it for each key.

A name is an id that was made here, never a client's; what is in another key's folder is not there. Every write is
whole: a value is written aside and renamed, and a file's content comes before the value that makes it a file. Only its
owner can read the folder, for it holds prompts. Blocks (`in_thread` helps); knows neither HTTP nor how a batch is run.
"""

from __future__ import annotations

import asyncio
import os
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import ParamSpec, TypeVar

import msgspec

from tierwise.errors import ClientError, NotFound, StoreError, TooLarge
from tierwise.gateway.whole_file import written_aside

DAY = 86_400  # seconds
SECOND = 1_000_000_000
FILES_MAX = 10_000  # of one key
FILES_SIZE = 20  # a key's files together may be so many times as large as one
PARTIAL = ".part"  # how a name ends while it is being written
FINAL = frozenset({"completed", "failed", "expired", "cancelled"})

_FILE = re.compile(r"file-[0-9a-f]{32}(-output|-errors)?")
_BATCH = re.compile(r"batch_[0-9a-f]{32}")

P = ParamSpec("P")
T = TypeVar("T")


class FilesUnavailable(StoreError):
    code = "files_unavailable"


class NoRoom(TooLarge):
    default_code = "no_room"


class BatchEnded(ClientError):
    status = 409
    default_code = "batch_ended"


class FileObject(msgspec.Struct, frozen=True, kw_only=True):
    """A file as clients see it. Times are Unix seconds."""

    id: str
    object: str = "file"
    bytes: int
    created_at: int
    expires_at: int
    filename: str
    purpose: str
    status: str = "processed"


class Counts(msgspec.Struct, frozen=True):
    total: int = 0
    completed: int = 0
    failed: int = 0


class Problem(msgspec.Struct, frozen=True):
    """Why a batch was not begun. `line` counts from 1."""

    code: str
    message: str
    line: int | None = None
    param: str | None = None


class Problems(msgspec.Struct, frozen=True):
    data: tuple[Problem, ...]
    object: str = "list"


class Note(msgspec.Struct, frozen=True):
    """What is ours to say of a batch: why lines of it wait, in words, and the earliest time at which some go on."""

    waiting: str
    until: int | None = None


class BatchObject(msgspec.Struct, frozen=True, kw_only=True):
    """A batch as clients see it, and as it is kept. Times are Unix seconds."""

    id: str
    object: str = "batch"
    endpoint: str
    errors: Problems | None = None
    input_file_id: str
    completion_window: str = "24h"
    status: str = "validating"
    output_file_id: str | None = None
    error_file_id: str | None = None
    created_at: int
    in_progress_at: int | None = None
    expires_at: int
    finalizing_at: int | None = None
    completed_at: int | None = None
    failed_at: int | None = None
    expired_at: int | None = None
    cancelling_at: int | None = None
    cancelled_at: int | None = None
    request_counts: Counts = Counts()
    metadata: dict[str, str] | None = None
    tierwise: Note | None = None


async def in_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """In a thread. Raises FilesUnavailable where the disk fails, and what `work` raises."""
    try:
        return await asyncio.to_thread(work, *args, **kwargs)
    except OSError as error:
        raise unavailable(error) from error


def unavailable(error: OSError) -> FilesUnavailable:
    return FilesUnavailable(f"Files can't be kept or read at the moment: {error.strerror}.")


def new_id(prefix: str, now_ns: int) -> str:
    """Time first, so that ids are in the order in which they were made."""
    return f"{prefix}{now_ns:016x}{secrets.token_hex(8)}"


class FileStore:
    """`max_file` is in bytes. All times are Unix seconds."""

    def __init__(self, folder: Path, max_file: int, keep_days: int) -> None:
        self.folder = folder
        self.max_file = max_file
        self.keep = keep_days * DAY

    # -------------------------------------------------------------- files

    def new_part(self, key_id: str) -> Path:
        """A new empty file to write into, of a key that has room for one more. Raises NoRoom, OSError."""
        folder = self.folder / key_id
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        sizes, limit = [stat.st_size for _, stat in _stats(folder)], FILES_SIZE * self.max_file
        if len(sizes) >= 2 * FILES_MAX or sum(sizes) > limit:
            raise NoRoom(
                f"The files of this key are over {FILES_MAX:,}, or over {limit >> 20:,} MiB together; "
                "delete some (DELETE /v1/files/ID)."
            )
        path = folder / f"{secrets.token_hex(16)}{PARTIAL}"
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        return path

    def add_file(self, key_id: str, file: FileObject, content: Path | None = None) -> None:
        """`content` becomes the file's, where it is not in place yet."""
        if content is not None:
            content.replace(self.content_path(key_id, file.id))
        _write(self.folder / key_id / f"{file.id}.json", msgspec.json.encode(file))

    def file(self, key_id: str, file_id: str, param: str = "file_id") -> FileObject:
        """Raises NotFound."""
        found = _read(self.folder / key_id / f"{file_id}.json", FileObject) if _FILE.fullmatch(file_id) else None
        if found is None:
            raise NotFound("This key has no such file (any more); GET /v1/files lists what there is.", param=param)
        return found

    def files(self, key_id: str) -> Iterator[FileObject]:
        """Newest first."""
        for name in _names(self.folder / key_id, _FILE):
            if (found := _read(self.folder / key_id / f"{name}.json", FileObject)) is not None:
                yield found

    def delete(self, key_id: str, file_id: str) -> None:
        """Raises NotFound."""
        self.file(key_id, file_id)
        (self.folder / key_id / f"{file_id}.json").unlink(missing_ok=True)
        self.content_path(key_id, file_id).unlink(missing_ok=True)

    def content_path(self, key_id: str, file_id: str) -> Path:
        """Where its content is, or will be."""
        return self.folder / key_id / f"{file_id}.data"

    # -------------------------------------------------------------- batches

    def write_batch(self, key_id: str, batch: BatchObject) -> None:
        """Its maker does it once, after that only whoever runs it."""
        _write(self.folder / key_id / f"{batch.id}.json", msgspec.json.encode(batch))

    def batch(self, key_id: str, batch_id: str) -> BatchObject:
        """Raises NotFound."""
        found = _read(self.folder / key_id / f"{batch_id}.json", BatchObject) if _BATCH.fullmatch(batch_id) else None
        if found is None:
            raise NotFound("This key has no such batch (any more); GET /v1/batches lists what there is.")
        asked = None if found.status in FINAL else _read(self.folder / key_id / f"{batch_id}.cancel.json", int)
        return found if asked is None else msgspec.structs.replace(found, status="cancelling", cancelling_at=asked)

    def batch_ids(self, key_id: str) -> list[str]:
        """Newest first."""
        return _names(self.folder / key_id, _BATCH)

    def batches(self, key_id: str) -> Iterator[BatchObject]:
        """Newest first."""
        for batch_id in self.batch_ids(key_id):
            with suppress(NotFound):  # forgotten meanwhile
                yield self.batch(key_id, batch_id)

    def cancel(self, key_id: str, batch_id: str, now: int) -> BatchObject:
        """Ask whoever runs it to stop: a mark beside it, for only that one writes the batch.

        Raises NotFound, BatchEnded.
        """
        found = self.batch(key_id, batch_id)
        if found.status in FINAL:
            raise BatchEnded(f"This batch can't be cancelled: it is {found.status}.")
        if found.status != "cancelling":
            _write(self.folder / key_id / f"{batch_id}.cancel.json", b"%d" % now)
        return self.batch(key_id, batch_id)


def key_ids(folder: Path) -> list[str]:
    """The ids of the keys that have something there."""
    return sorted(entry.name for entry in os.scandir(folder) if entry.is_dir())


def sweep(file_store: FileStore, now: float) -> None:
    """Forget what has not been written for so many days, and what was left half-written a day ago."""
    for key_id in key_ids(file_store.folder):
        for path, stat in _stats(file_store.folder / key_id):
            if stat.st_mtime < now - (DAY if path.name.endswith(PARTIAL) else file_store.keep):
                path.unlink(missing_ok=True)


def whole_rows(path: Path, kind: type[T]) -> Iterator[tuple[T, int]]:
    """JSON lines of a file that grows, each with where it ends: all before the first that was cut. Raises OSError."""
    end = 0
    with path.open("rb") as file:
        for raw in file:
            try:
                row = msgspec.json.decode(raw, type=kind)
            except (UnicodeDecodeError, msgspec.DecodeError):
                return
            if not raw.endswith(b"\n"):
                return
            end += len(raw)
            yield row, end


def _stats(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """What is in a folder; others come and go meanwhile."""
    for path in folder.iterdir():
        with suppress(FileNotFoundError):
            yield path, path.stat()


def _names(folder: Path, kind: re.Pattern[str]) -> list[str]:
    """The ids of that kind, newest first."""
    names = [path.stem for path in folder.glob("*.json")] if folder.exists() else []
    return sorted((name for name in names if kind.fullmatch(name)), reverse=True)


def _read(path: Path, kind: type[T]) -> T | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        return None
    except (UnicodeDecodeError, msgspec.DecodeError) as error:
        raise FilesUnavailable(f"{path.name} can't be read; whoever runs this gateway has to look at it.") from error


def _write(path: Path, content: bytes) -> None:
    with written_aside(path, content, f"{secrets.token_hex(16)}{PARTIAL}") as part:
        part.replace(path)
