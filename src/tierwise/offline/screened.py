"""A file's rows through the shipped screens: a line a row of what was found, and what to say of all of them.

An output that was broken off is gone on with, once its last line was found to be what this file gives. Lines hold
scores and places and never a row's text. Knows nothing of how a screen decides.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from tierwise.errors import ConfigError
from tierwise.offline.records import Record, format_of, records
from tierwise.scorers.encoder import load_encoder
from tierwise.screens.panel import NAMES, panel
from tierwise.screens.screen import Finding

COLUMNS = ("text", "prompt", "content", "message", "comment", "body", "input", "question", "query")  # looked for
TIER = "classifier"
UNREAD = "unread"  # why a row without a text is flagged: nothing has looked at it
_DIGITS = 4  # of a score
_START = b'{"row":'  # of every line

Tell = Callable[[int, int], None]  # bytes done, bytes in all


class Wanted(NamedTuple):
    """`text` None: the first of COLUMNS that the file has. `out` None: only the report."""

    file: Path
    text: str | None = None
    screens: tuple[str, ...] = NAMES
    out: Path | None = None


class Report(msgspec.Struct, frozen=True):
    """`why`: "screen:class" -> rows, the most first. `resumed`: rows that the output had already."""

    rows: int
    flagged: int
    resumed: int
    column: str
    screens: tuple[str, ...]
    why: dict[str, int]
    out: str | None


class _Told(msgspec.Struct):
    """What a line of the output says, as far as it is read back."""

    row: int
    why: tuple[str, ...]


def screen(wanted: Wanted, tell: Tell) -> Report:
    """Raises ConfigError where the file can't be read, has no such column, or the output is another file's."""
    size = _size(wanted)
    lines, written = _Lines(wanted), _written(wanted.out)
    why = Counter(reason for one in written.told for reason in one.why)
    flagged, before, rows = sum(bool(one.why) for one in written.told), len(written.told), 0
    with _appended(wanted.out, written.end) as write:
        for rows, record in enumerate(records(wanted.file, lines.kind, lambda done: tell(min(done, size), size)), 1):
            if rows < before:
                continue
            line, reasons = lines.line(rows - 1, record)
            if rows == before:
                _same(line, written.last, wanted)
                continue
            why.update(reasons)
            flagged += bool(reasons)
            write(line)
    if rows < before:
        raise ConfigError(f"{wanted.out}: has {before:,} rows and {wanted.file} {rows:,}; --out names another file")
    out = None if wanted.out is None else str(wanted.out)
    return Report(rows, flagged, before, lines.column, wanted.screens, dict(why.most_common()), out)


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


class _Lines:
    """Rows to lines."""

    def __init__(self, wanted: Wanted) -> None:
        self.kind = format_of(wanted.file)
        first = next((record for record in records(wanted.file, self.kind) if record is not None), None)
        if first is None:
            raise ConfigError(f"{wanted.file}: holds no rows")
        self.column = _column(first, wanted)
        self._screens = panel(wanted.screens, load_encoder().encode)

    def line(self, row: int, record: Record | None) -> tuple[bytes, tuple[str, ...]]:
        """(the line, why it is flagged)."""
        text = record.get(self.column) if record is not None else None
        found: dict[str, Any] = {}
        why: tuple[str, ...] = (UNREAD,)
        if isinstance(text, str):
            findings = {name: one.screen(text) for name, one in self._screens.items()}
            found = {name: _shown(name, finding) for name, finding in findings.items()}
            why = tuple(f"{name}:{kind}" for name, finding in findings.items() for kind in finding.flagged)
        line = {"row": row, "flagged": bool(why), **found, "tier": TIER, "why": why}
        return msgspec.json.encode(line) + b"\n", why


def _shown(name: str, finding: Finding) -> object:
    if name == "privacy":
        return [span._asdict() for span in finding.spans]
    scores = {kind: round(score, _DIGITS) for kind, score in finding.scores.items()}
    return scores[name] if name == "injection" else scores


def _column(first: Mapping[str, Any], wanted: Wanted) -> str:
    if wanted.text is not None and wanted.text in first:
        return wanted.text
    known = ", ".join(sorted(first)[:12])
    if wanted.text is not None:
        raise ConfigError(f"{wanted.file}: has no column {wanted.text}; its first row has {known}")
    found = next((name for name in COLUMNS if isinstance(first.get(name), str)), None)
    if found is None:
        raise ConfigError(f"{wanted.file}: which column is the text? Its first row has {known}: --text names one")
    return found


class _Written(NamedTuple):
    """What an output holds already: its lines, the last one's bytes, and where that ends."""

    told: tuple[_Told, ...]
    last: bytes
    end: int


def _written(out: Path | None) -> _Written:
    """Raises ConfigError unless it is this command's, row by row; only its end may be broken off."""
    told: list[_Told] = []
    last, end = b"", 0
    if out is None or not out.exists():
        return _Written((), last, end)
    try:
        with out.open("rb") as file:
            for line in file:
                if not line.endswith(b"\n") and line.startswith(_START[: len(line)]):
                    break
                told.append(msgspec.json.decode(line, type=_Told))
                if told[-1].row != len(told) - 1:
                    raise ConfigError(f"{out}: line {len(told)} is of row {told[-1].row}; --out names another file")
                last, end = line, end + len(line)
    except OSError as error:
        raise ConfigError(f"{out}: can't be read: {error.strerror}") from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ConfigError(f"{out}: line {len(told) + 1} is not of this command; --out names another file") from error
    return _Written(tuple(told), last, end)


def _same(line: bytes, last: bytes, wanted: Wanted) -> None:
    if line != last:
        raise ConfigError(
            f"{wanted.out}: its last row is not what {wanted.file} gives with these screens; --out names another file, "
            "or remove it to start anew"
        )
