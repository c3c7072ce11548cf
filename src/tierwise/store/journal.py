"""What a process has promised and the database has yet to hear, in files of its own that outlive its end.

A line stands in memory that is the file's own before anybody acts on it, so it survives kill -9; nothing is fsynced, so
a power loss may take the last moments with it. Files are small segments, each locked by its process for as long as that
lives: what is left of a dead one can be told by a lock that is free, and is replayed by whoever finds it. A segment is
deleted once the database has all of it.

    file     MAGIC, place of the first byte that the database lacks (8 bytes, little endian), then lines, then zeros
    line     length of the payload, its CRC-32 (4 bytes each, little endian), payload: kind (1 byte), MessagePack

Whatever follows the last whole line is a write that was cut, and was promised to nobody.
Knows files and bytes; neither the database nor what the lines mean.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import mmap
import os
import struct
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from zlib import crc32

import msgspec

from tierwise.errors import StoreError
from tierwise.money import Correction, Record, Reservation

Line = Reservation | Record | Correction

log = logging.getLogger("tierwise.store")

MAGIC = b"TWLINES1"
NOWHERE = 0  # where a line ends that no journal has
SEGMENT = 4 << 20  # bytes of a file
GROUP = 1_000  # lines that are replayed at once
_START = len(MAGIC) + 8
_PLACE = struct.Struct("<Q")
_HEAD = struct.Struct("<II")
_SUFFIX = ".journal"
_EMPTY = bytes(4096)  # a page

_encoder = msgspec.msgpack.Encoder()
_KINDS: tuple[type[Line], ...] = (Reservation, Record, Correction)
_KIND_OF = {kind: bytes([number]) for number, kind in enumerate(_KINDS)}
_DECODERS = [msgspec.msgpack.Decoder(kind) for kind in _KINDS]


class _Segment:
    """One file, open and locked. `base` is where it begins in all that this journal ever wrote."""

    def __init__(self, path: Path, base: int, room: int) -> None:
        self.path = path
        self.base = base
        self.room = room  # bytes of lines that it takes
        self.size = 0  # bytes of lines that it has
        self._solid = 0  # bytes of the file that have their place on the disk
        hidden = path.with_name(f".{path.name}")  # until it is locked: nobody may take it for a dead one's
        self.fd = os.open(hidden, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
        try:
            fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(self.fd, _START + room)
            self._memory = mmap.mmap(self.fd, _START + room)
            self._write(MAGIC + _PLACE.pack(_START), 0)
            hidden.rename(path)
        except OSError:
            os.close(self.fd)
            hidden.unlink(missing_ok=True)
            raise

    @property
    def end(self) -> int:
        return self.base + self.size

    def append(self, whole: bytes) -> None:
        """A line. Raises OSError where the disk has no room for it: then the file is as it was."""
        self._write(whole, _START + self.size)
        self.size += len(whole)

    def settle(self, end: int) -> None:
        """The database has all that stands before this place in all lines."""
        self._memory[len(MAGIC) : _START] = _PLACE.pack(_START + end - self.base)

    def _write(self, content: bytes, at: int) -> None:
        """By memory that is the file's own: nothing is called, so that no other thread gets the interpreter for it.

        Pages are given their place on the disk before: a store to one that can't have any ends the process.
        """
        while self._solid < at + len(content):
            if os.pwrite(self.fd, _EMPTY, self._solid) != len(_EMPTY):
                raise OSError(0, "the disk is full")
            self._solid += len(_EMPTY)
        self._memory[at : at + len(content)] = content

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        self._memory.close()
        os.close(self.fd)


class Journal:
    """`append` belongs to one thread, `settle` to another, `close` to whoever is left."""

    def __init__(self, folder: Path, instance: str, segment: int = SEGMENT) -> None:
        self._folder = folder
        self._instance = instance
        self._most = segment
        self._segments: deque[_Segment] = deque()
        self._count = 0
        self._end = 0  # of all lines, over all segments
        self._settled = 0

    @property
    def waiting(self) -> int:
        """Bytes that the database has not yet taken."""
        return self._end - self._settled

    def append(self, line: Line) -> int:
        """Where it ends, for `settle`. Raises StoreError where it can't be kept: then it was not promised."""
        try:
            payload = _KIND_OF[type(line)] + _encoder.encode(line)
        except (ValueError, OverflowError) as error:
            raise StoreError(f"the ledger can't hold a value ({type(error).__name__})") from error
        whole = _HEAD.pack(len(payload), crc32(payload)) + payload
        try:
            segment = self._segments[-1] if self._segments else None
            if segment is None or segment.size + len(whole) > segment.room:
                segment = self._new(len(whole))
            segment.append(whole)
        except OSError as error:
            raise StoreError(f"the ledger's journal can't be written: {error.strerror}") from error
        self._end += len(whole)
        return self._end

    def settle(self, end: int) -> None:
        """The database has every line up to there. What can't be noted of it is only replayed in vain."""
        self._settled = end
        while len(self._segments) > 1 and self._segments[0].end <= end:
            self._segments.popleft().remove()
        segment = self._segments[0]
        segment.settle(end)

    def close(self) -> None:
        """Let go of the files; those of which the database lacks something stay, for the next process."""
        while self._segments:
            segment = self._segments.popleft()
            if segment.end <= self._settled:
                segment.remove()
            else:
                segment.close()
        with contextlib.suppress(OSError):
            self._folder.rmdir()  # where it is empty

    def _new(self, least: int) -> _Segment:
        """The segment that lines go to from now on, with room for so many bytes at the least."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        segment = _Segment(
            self._folder / f"{self._instance}.{self._count:06d}{_SUFFIX}", self._end, max(self._most, least)
        )
        self._segments.append(segment)
        self._count += 1
        return segment


# ------------------------------------------------------------------ what others have left


def recover(folder: Path, replay: Callable[[str, list[Line]], None], settle: Callable[[str], None]) -> frozenset[str]:
    """Replay what dead instances have left, in their order, then delete it; the instances that still have a journal.

    `replay` is given an instance and a group of its lines, `settle` the instance once all are replayed. What they
    raise ends this, with the files in place. A group may come again where this process dies before it is deleted.
    """
    left: dict[str, list[Path]] = {}
    with contextlib.suppress(FileNotFoundError):
        for path in sorted(folder.iterdir()):
            if path.suffix == _SUFFIX and not path.name.startswith("."):
                left.setdefault(path.name.removesuffix(_SUFFIX).rpartition(".")[0], []).append(path)
    busy = set()
    for instance, paths in left.items():
        with contextlib.ExitStack() as held:
            # Of all its segments in their order, or of none: an end is worth little without its beginning.
            if not all(_locked(path, held) for path in paths):
                busy.add(instance)
                continue
            for path in paths:
                _replay(path, partial(replay, instance))
            settle(instance)
            for path in paths:
                path.unlink(missing_ok=True)
    return frozenset(busy)


def _locked(path: Path, held: contextlib.ExitStack) -> bool:
    try:
        fd = os.open(path, os.O_RDONLY)
    except FileNotFoundError:  # whoever was at it has just ended
        return False
    held.callback(os.close, fd)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return os.fstat(fd).st_nlink > 0


def _replay(path: Path, replay: Callable[[list[Line]], None]) -> None:
    group: list[Line] = []
    try:
        for line in lines(path.read_bytes()):
            group.append(line)
            if len(group) == GROUP:
                replay(group)
                group = []
    except msgspec.DecodeError:
        # Evidence of money is never deleted unread.
        log.warning("%s can't be read any further by this version; it is kept as %s.unread", path.name, path.name)
        with contextlib.suppress(FileExistsError):
            os.link(path, path.with_name(f"{path.name}.unread"))
    if group:
        replay(group)


def lines(content: bytes) -> Iterator[Line]:
    """Those of a file that the database may lack. Raises msgspec.DecodeError for a whole line that is none of ours."""
    if content[: len(MAGIC)] != MAGIC or len(content) < _START:
        if content[: len(MAGIC)] != MAGIC[: len(content)]:
            raise msgspec.DecodeError("no journal")
        return
    (at,) = _PLACE.unpack_from(content, len(MAGIC))
    while at + _HEAD.size <= len(content):
        size, check = _HEAD.unpack_from(content, at)
        at += _HEAD.size
        payload = content[at : at + size]
        if not size or len(payload) < size or crc32(payload) != check:
            return
        at += size
        if payload[0] >= len(_KINDS):
            raise msgspec.DecodeError("an unknown kind of line")
        yield _DECODERS[payload[0]].decode(payload[1:])
