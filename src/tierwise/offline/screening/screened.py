"""A file's rows through the screens: a line a row of what was found, and what to say of all of them.

Classifiers decide; what they are in doubt about a model may be asked, by whoever calls it and books it. An output that
was broken off is gone on with, once its last line was found to be what this file gives. Lines hold scores and places
and never a row's text. Knows no config, and nothing of how a screen decides.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Protocol

import msgspec

from tierwise.errors import CheckFailed, ConfigError
from tierwise.offline.imports.records import Record, records
from tierwise.offline.screening.screen_labels import Columns, Measured, Tally, language_of
from tierwise.offline.screening.screen_lines import LLM, UNREAD, Lines, Seen, Told, Wanted
from tierwise.offline.screening.screen_queue import Queue, Waiting
from tierwise.screens.judged import question, verdict
from tierwise.types import Answer, Request

ANY = "any"  # class of all classes, beside labels
READ = 32  # rows that classifiers read in one go
AT_ONCE = 64  # rows that a model is asked about, before their lines are written
HELD = 1_000  # rows whose lines wait for those
_START = b'{"row":'  # of every line

Tell = Callable[[int, int], None]  # bytes done, bytes in all


class Asker(Protocol):
    """Asks a model, all at once as far as it may, and books what that costs."""

    def ask(self, questions: Sequence[Request]) -> Sequence[Answer | None]:
        """In their order; None for a call that failed, or that there is no money for."""
        ...

    def spent(self) -> int:
        """Nano-dollars, by this asker so far."""
        ...


class Report(msgspec.Struct, frozen=True):
    """`why`: "screen:class" -> rows, the most first. `resumed`: rows that the output had already.

    `doubtful`: rows that classifiers were in doubt about; of these `asked` a model was, and `undecided` are still in
    doubt. `nanos`: what asking cost in this run. `measured`: beside labels, where any of these is a class.
    """

    rows: int
    flagged: int
    resumed: int
    column: str
    screens: tuple[str, ...]
    why: dict[str, int]
    out: str | None
    doubtful: int = 0
    asked: int = 0
    undecided: int = 0
    nanos: int = 0
    review: str | None = None
    waiting: int = 0  # rows in it
    measured: tuple[Measured, ...] = ()
    strange: tuple[str, ...] = ()  # labels that are no class of these screens


def screen(wanted: Wanted, tell: Tell, asker: Asker | None = None) -> Report:
    """Raises ConfigError where the file can't be read, has no such column, or the output is another file's."""
    size = _size(wanted)
    lines, written = Lines(wanted), _written(wanted.out)
    sums, before, rows = _Sums(wanted, lines), len(written.told), 0
    with _appended(wanted.out, written.end) as write:
        batch = _Batch(lines, asker, sums, write)
        for rows, record in enumerate(records(wanted.file, lines.kind, lambda done: tell(min(done, size), size)), 1):
            if rows <= before:
                if rows == before:
                    lines.same(rows - 1, record, written.last)
                sums.add(written.told[rows - 1], record)
                continue
            batch.add(rows - 1, record)
        batch.end()
    if rows < before:
        raise ConfigError(f"{wanted.out}: has {before:,} rows and {wanted.file} {rows:,}; --out names another file")
    return sums.report(rows, before, batch.asked, 0 if asker is None else asker.spent())


class _Sums:
    """What is said of all lines, old and new."""

    def __init__(self, wanted: Wanted, lines: Lines) -> None:
        self._wanted = wanted
        self._lines = lines
        self._why: Counter[str] = Counter()
        self._counts: Counter[str] = Counter()
        self._queue = Queue()
        self._tally = Tally()
        self._classes = {one.partition(":")[2] for one in lines.limits}
        self._labels: set[str] = set()  # that rows have

    def add(self, told: Told, record: Record | None) -> None:
        self._why.update(told.why)
        self._counts["flagged"] += bool(told.why)
        self._counts["doubtful"] += bool(told.doubts) or told.tier == LLM
        self._counts["undecided"] += bool(told.doubts)
        if self._wanted.review is not None and (told.why or told.doubts):
            self._queue.add(Waiting(told.row, told.doubt, told.why, told.doubts, self._lines.text(record)))
        if self._lines.labels is not None and record is not None and UNREAD not in told.why:
            self._measure(told, record, self._lines.labels)

    def _measure(self, told: Told, record: Record, labels: Columns) -> None:
        truth, language, flagged = labels.labels(record), language_of(record), frozenset(told.why)
        if truth is None:
            return
        self._labels.update(truth)
        for one in self._lines.limits:
            name = one.partition(":")[2]
            if name in truth or labels.named is not None:
                self._tally.add(one, language, truth=truth.get(name, False), flagged=one in flagged)
        self._tally.add(ANY, language, truth=any(truth.values()), flagged=bool(flagged & self._lines.limits.keys()))

    def report(self, rows: int, before: int, asked: int, nanos: int) -> Report:
        wanted, counts = self._wanted, self._counts
        only = self._lines.labels is not None and len(self._lines.labels.each) == 1  # yes or no: of any class
        known = only or not self._labels or bool(self._labels & self._classes)
        waiting = 0 if wanted.review is None else self._queue.write(wanted.review)
        return Report(
            rows=rows,
            flagged=counts["flagged"],
            resumed=before,
            column=self._lines.column,
            screens=wanted.screens,
            why=dict(self._why.most_common()),
            out=None if wanted.out is None else str(wanted.out),
            doubtful=counts["doubtful"],
            asked=asked,
            undecided=counts["undecided"],
            nanos=nanos,
            review=None if wanted.review is None else str(wanted.review),
            waiting=waiting,
            measured=tuple(self._tally.measured()) if known else (),
            strange=tuple(sorted(self._labels - self._classes)),
        )


@contextmanager
def _appended(out: Path | None, end: int) -> Iterator[Callable[[bytes], object]]:
    """What writes a line behind the first `end` bytes. What stands there is cut off when the first line comes."""
    if out is None:
        yield lambda line: None
        return
    try:
        with out.open("r+b" if out.exists() else "xb") as file:
            file.seek(end)

            def write(line: bytes) -> None:
                if file.tell() == end:
                    file.truncate()
                file.write(line)

            yield write
    except OSError as error:
        raise ConfigError(f"{out}: can't be written: {error.strerror}") from error


def _size(wanted: Wanted) -> int:
    """The file's bytes."""
    try:
        size = wanted.file.stat().st_size
        same = wanted.out is not None and wanted.out.exists() and wanted.out.samefile(wanted.file)
    except OSError as error:
        raise ConfigError(f"{wanted.file}: can't be read: {error.strerror}") from error
    if same:
        raise ConfigError(f"{wanted.out}: is the file to read; --out names another one")
    return size


class _Batch:
    """Rows that are read in one go; and those whose lines wait, in order, for a model's word about some of them."""

    def __init__(self, lines: Lines, asker: Asker | None, sums: _Sums, write: Callable[[bytes], object]) -> None:
        self.asked = 0
        self._lines = lines
        self._asker = asker
        self._sums = sums
        self._out = write
        self._unread: list[tuple[int, Record | None]] = []
        self._rows: list[tuple[Seen, Record | None]] = []
        self._questions: dict[int, Request] = {}  # by row

    def add(self, row: int, record: Record | None) -> None:
        self._unread.append((row, record))
        if len(self._unread) >= READ:
            self._read()

    def end(self) -> None:
        self._read()
        self._write()

    def _read(self) -> None:
        for seen, (_, record) in zip(self._lines.look(self._unread), self._unread, strict=True):
            self._rows.append((seen, record))
            self._note(seen)
            if not self._questions or len(self._questions) >= AT_ONCE or len(self._rows) >= HELD:
                self._write()
        self._unread = []

    def _note(self, seen: Seen) -> None:
        """What it is in doubt of is among the model's next questions."""
        if seen.doubts and self._asker is not None and seen.text is not None:
            try:
                self._questions[seen.row] = question([seen.text], self._lines.meanings(seen.doubts), f"row-{seen.row}")
            except CheckFailed:  # too long to be asked about: it stays in doubt
                return

    def _write(self) -> None:
        said = self._said()
        for seen, record in self._rows:
            line, told = self._lines.line(seen, said.get(seen.row))
            self._sums.add(told, record)
            self._out(line)
        self._rows, self._questions = [], {}

    def _said(self) -> dict[int, Mapping[str, float]]:
        """Verdicts by row, of those that gave one."""
        if not self._questions or self._asker is None:
            return {}
        doubts = {seen.row: seen.doubts for seen, _ in self._rows}
        answers = self._asker.ask(list(self._questions.values()))
        self.asked += len(answers)
        found: dict[int, Mapping[str, float]] = {}
        for row, answer in zip(self._questions, answers, strict=True):
            try:
                found[row] = verdict(answer, self._lines.meanings(doubts[row]))
            except CheckFailed:
                continue
        return found


class _Written(NamedTuple):
    """What an output holds already: its lines, the last one's bytes, and where that ends."""

    told: tuple[Told, ...]
    last: bytes
    end: int


def _written(out: Path | None) -> _Written:
    """Raises ConfigError unless it is this command's, row by row; only its end may be broken off."""
    told: list[Told] = []
    last, end = b"", 0
    if out is None or not out.exists():
        return _Written((), last, end)
    try:
        with out.open("rb") as file:
            for line in file:
                if not line.endswith(b"\n") and line.startswith(_START[: len(line)]):
                    break
                told.append(msgspec.json.decode(line, type=Told))
                if told[-1].row != len(told) - 1:
                    raise ConfigError(f"{out}: line {len(told)} is of row {told[-1].row}; --out names another file")
                last, end = line, end + len(line)
    except OSError as error:
        raise ConfigError(f"{out}: can't be read: {error.strerror}") from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ConfigError(f"{out}: line {len(told) + 1} is not of this command; --out names another file") from error
    return _Written(tuple(told), last, end)
