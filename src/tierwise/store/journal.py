"""What a process has promised and the database has yet to hear, in files of its own that outlive its end.

A line stands in memory that is the file's own before anybody acts on it, so it survives kill -9; nothing is fsynced, so
a power loss may take the last moments with it. Files are small segments, each locked by its process for as long as that
lives: what is left of a dead one can be told by a lock that is free, and is replayed by whoever finds it. One of which
the database has all is used again, because its pages have their place, on the disk and in memory; or it is deleted.

    file     MAGIC, place of the first byte that the database lacks, number of the segment (8 bytes each), then lines
    line     length of the payload, its CRC-32 (4 bytes each), payload: kind (1 byte), MessagePack
    end      4 bytes of zeros in place of a length; behind them whatever was there before

Numbers are little endian. A CRC-32 begins with the number of the segment: a line that a file had in an earlier life,
which a power loss may show again, is none of this one. Whatever follows the last whole line is a write that was cut,
and was promised to nobody. OLD_MAGIC is of files without numbers, whose CRC-32 begins with nothing.
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

MAGIC, OLD_MAGIC = b"TWLINES2", b"TWLINES1"
NOWHERE = 0  # where a line ends that no journal has
SEGMENT = 4 << 20  # bytes of a file
GROUP = 1_000  # lines that are replayed at once
_PLACE = struct.Struct("<Q")
_NUMBER = struct.Struct("<Q")
_HEAD = struct.Struct("<II")
_WHOLE = struct.Struct("<IIB")  # with the kind
_WHOLE_SIZE, _pack = _WHOLE.size, _WHOLE.pack_into
_PLACE_AT = len(MAGIC)
_NUMBER_AT = _PLACE_AT + _PLACE.size
OLD_START = _NUMBER_AT
START = _NUMBER_AT + _NUMBER.size
"""Where the first line begins."""

_SUFFIX = ".journal"
_END = bytes(4)
_EMPTY = bytes(4096)  # a page

_encode = msgspec.msgpack.Encoder().encode
_KINDS: tuple[type[Line], ...] = (Reservation, Record, Correction)
_DECODERS = [msgspec.msgpack.Decoder(kind) for kind in _KINDS]


class _Segment:
    """One file, open and locked. `base` is where it begins in all that this journal ever wrote."""

    base: int
    _at: int  # of the next line
    _kinds: dict[type[Line], tuple[int, int]]  # by kind its number, and how a check begins

    def __init__(self, path: Path, number: int, base: int, room: int) -> None:
        self.path = path
        self.room = room  # bytes of lines that it takes
        self._solid = 0  # bytes of the file that have their place on the disk
        self._ready = 0  # up to where a line may end without another look
        hidden = path.with_name(f".{path.name}")  # until it is locked: nobody may take it for a dead one's
        self._fd = os.open(hidden, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            length = START + room + len(_END)
            os.ftruncate(self._fd, length)
            self._memory = mmap.mmap(self._fd, length)
            self._reserve(START)
            self._memory[:_PLACE_AT] = MAGIC
            self._begin(number, base)
            hidden.rename(path)
        except OSError:
            os.close(self._fd)
            hidden.unlink(missing_ok=True)
            raise

    @property
    def end(self) -> int:
        return self.base + self._at - START

    def append(self, kind: type[Line], body: bytes) -> int:
        """How many bytes the line takes; 0: there is no room for it. Raises OSError where the disk has none.

        By memory that is the file's own: nothing is called, so that no other thread gets the interpreter for it. The
        head is the last that is written: whoever reads the file sees the whole line or none.
        """
        at, memory = self._at, self._memory
        start = at + _WHOLE_SIZE
        stop = start + len(body)
        if stop > self._ready and not self._reserve(stop):
            return 0
        memory[start : stop + len(_END)] = body + _END
        number, seed = self._kinds[kind]
        _pack(memory, at, len(body) + 1, crc32(body, seed), number)
        self._at = stop
        return stop - at

    def settle(self, end: int) -> None:
        """The database has all that stands before this place in all lines."""
        self._memory[_PLACE_AT:_NUMBER_AT] = _PLACE.pack(START + end - self.base)

    def rest(self) -> None:
        """The database has all of it: nothing of it is to be replayed."""
        self._memory[_PLACE_AT:_NUMBER_AT] = _PLACE.pack(len(self._memory))

    def again(self, path: Path, number: int, base: int) -> None:
        """After a rest, as another one. Raises OSError. Wherever this is cut, the file has no lines."""
        self._memory[START : START + len(_END)] = _END
        self._begin(number, base)
        self.path.rename(path)
        self.path = path

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        self._memory.close()
        os.close(self._fd)

    def _begin(self, number: int, base: int) -> None:
        self.base = base
        self._at = START
        self._memory[_NUMBER_AT:START] = _NUMBER.pack(number)
        seed = _seed(number)
        self._kinds = {kind: (number, crc32(bytes([number]), seed)) for number, kind in enumerate(_KINDS)}
        self.settle(base)

    def _reserve(self, stop: int) -> bool:
        """Pages are given their place on the disk before: a store to one that can't have any ends the process."""
        if stop > START + self.room:
            return False
        while self._solid < stop + len(_END):
            if os.pwrite(self._fd, _EMPTY, self._solid) != len(_EMPTY):
                raise OSError(0, "the disk is full")
            self._solid += len(_EMPTY)
        self._ready = min(self._solid - len(_END), START + self.room)
        return True


class Journal:
    """`append` belongs to one thread, `settle` to another, `close` to whoever is left."""

    def __init__(self, folder: Path, instance: str, segment: int = SEGMENT) -> None:
        self._folder = folder
        self._instance = instance
        self._most = segment
        self._segments: deque[_Segment] = deque()
        self._last: _Segment | None = None  # of them: lines go there
        self._spare: deque[_Segment] = deque()  # one at the most, which rests
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
            body = _encode(line)
        except (ValueError, OverflowError) as error:
            raise StoreError(f"the ledger can't hold a value ({type(error).__name__})") from error
        kind = type(line)
        try:
            length = 0 if self._last is None else self._last.append(kind, body)
            if not length:
                length = self._new(_WHOLE_SIZE + len(body)).append(kind, body)
        except OSError as error:
            raise StoreError(f"the ledger's journal can't be written: {error.strerror}") from error
        self._end += length
        return self._end

    def settle(self, end: int) -> None:
        """The database has every line up to there. What can't be noted of it is only replayed in vain."""
        self._settled = end
        while len(self._segments) > 1 and self._segments[0].end <= end:
            segment = self._segments.popleft()
            if self._spare or segment.room != self._most:
                segment.remove()
            else:
                segment.rest()
                self._spare.append(segment)
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
        while self._spare:
            self._spare.pop().remove()
        with contextlib.suppress(OSError):
            self._folder.rmdir()  # where it is empty

    def _new(self, least: int) -> _Segment:
        """The segment that lines go to from now on, with room for so many bytes at the least."""
        path = self._folder / f"{self._instance}.{self._count:06d}{_SUFFIX}"
        segment = self._rested(path) if least <= self._most else None
        if segment is None:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            segment = _Segment(path, self._count, self._end, max(self._most, least))
        self._segments.append(segment)
        self._last = segment
        self._count += 1
        return segment

    def _rested(self, path: Path) -> _Segment | None:
        """The spare one, as the next; None where there is none, or where somebody has deleted its file."""
        if not self._spare:
            return None
        segment = self._spare.pop()
        try:
            segment.again(path, self._count, self._end)
        except OSError:
            segment.close()
            return None
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
            if path.suffix != _SUFFIX:
                continue
            if path.name.startswith("."):
                _discard_unfinished(path)
            else:
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


def _discard_unfinished(hidden: Path) -> None:
    """Delete a file that has no lines yet and never will: the process that made it has ended.

    Where it can't be deleted it is in nobody's way.
    """
    with contextlib.suppress(OSError), contextlib.ExitStack() as held:
        # An empty one may be made at this moment, and to try its lock could take it from its maker.
        if _locked(hidden, held, least=1):
            hidden.unlink(missing_ok=True)


def _locked(path: Path, held: contextlib.ExitStack, least: int = 0) -> bool:
    """Whether the lock was free; one of a file that has less than `least` bytes is not tried."""
    try:
        fd = os.open(path, os.O_RDONLY)
    except FileNotFoundError:  # whoever was at it has just ended
        return False
    held.callback(os.close, fd)
    if os.fstat(fd).st_size < least:
        return False
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
    magic = content[:_PLACE_AT]
    if not MAGIC.startswith(magic) and not OLD_MAGIC.startswith(magic):
        raise msgspec.DecodeError("no journal")
    old = magic == OLD_MAGIC
    if len(content) < (OLD_START if old else START):
        return
    (at,) = _PLACE.unpack_from(content, _PLACE_AT)
    seed = 0 if old else _seed(*_NUMBER.unpack_from(content, _NUMBER_AT))
    while at + _HEAD.size <= len(content):
        size, check = _HEAD.unpack_from(content, at)
        at += _HEAD.size
        payload = content[at : at + size]
        if not size or len(payload) < size or crc32(payload, seed) != check:
            return
        at += size
        if payload[0] >= len(_KINDS):
            raise msgspec.DecodeError("an unknown kind of line")
        yield _DECODERS[payload[0]].decode(payload[1:])


def _seed(number: int) -> int:
    return number & 0xFFFF_FFFF
