"""The records of a file: CSV, parquet, a JSON document, JSON lines; text may be gzipped. Read a piece at a time.

Knows no log format. What is no record (a broken line) comes out as None, for the caller to count.
"""

from __future__ import annotations

import gzip
import io
import mmap
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, cast

import msgspec

from tierwise.errors import ConfigError

if TYPE_CHECKING:
    import polars as pl

Format = Literal["csv", "parquet", "json", "jsonl"]
Record = Mapping[str, Any]
Tell = Callable[[int], None]  # bytes of the file that are read

LINE_MAX = 64 << 20  # bytes
_BATCH = 5_000  # rows of a table at once
_HEAD = 1 << 16
_BOM = b"\xef\xbb\xbf"


def format_of(path: Path) -> Format:
    """By the first bytes, not by the name. Raises ConfigError where there is nothing to read."""
    try:
        with path.open("rb") as file:
            start = file.read(4)
        if start == b"PAR1":
            return "parquet"
        with _text(path) as lines:
            head = lines.read(_HEAD).removeprefix(_BOM).lstrip()
    except (OSError, EOFError) as error:
        raise ConfigError(f"{path}: can't be read: {getattr(error, 'strerror', None) or 'a broken file'}") from error
    if not head:
        raise ConfigError(f"{path}: empty")
    if head[:1] == b"[":
        return "json"
    if head[:1] != b"{":
        return "csv"
    # A line that is a whole object; or one that goes on past what was read, as only a line of JSON lines does.
    line, end, _ = head.partition(b"\n")
    return "jsonl" if not end or _decoded(line) is not None else "json"


def records(path: Path, kind: Format, tell: Tell = lambda done: None) -> Iterator[Record | None]:
    """Every record, and None for each line or item that is none. Raises ConfigError where the file can't be read."""
    readers = {"csv": _table, "parquet": _table, "json": _document, "jsonl": _lines}
    try:
        yield from readers[kind](path, tell)
    except (OSError, EOFError) as error:
        raise ConfigError(f"{path}: can't be read: {getattr(error, 'strerror', None) or 'a broken file'}") from error


def _text(path: Path) -> IO[bytes]:
    return cast("IO[bytes]", gzip.open(path)) if _zipped(path) else path.open("rb")


def _zipped(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def _decoded(line: bytes | msgspec.Raw) -> Any:
    try:
        return msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _unwrapped(value: Any) -> Iterator[Record | None]:
    """A page of an API (`{"data": [...]}`) and a list are their items."""
    items = value.get("data") if isinstance(value, Mapping) and isinstance(value.get("data"), list) else value
    for item in items if isinstance(items, list) else [items]:
        yield item if isinstance(item, Mapping) else None


def _lines(path: Path, tell: Tell) -> Iterator[Record | None]:
    with path.open("rb") as raw:
        lines = cast("IO[bytes]", gzip.GzipFile(fileobj=raw)) if _zipped(path) else raw
        while line := lines.readline(LINE_MAX):
            tell(raw.tell())
            if len(line) == LINE_MAX and not line.endswith(b"\n"):
                while (rest := lines.readline(LINE_MAX)) and not rest.endswith(b"\n"):
                    pass
                yield None
            elif line.removeprefix(_BOM).strip():
                yield from _unwrapped(_decoded(line.removeprefix(_BOM).strip()))


def _document(path: Path, tell: Tell) -> Iterator[Record | None]:
    """One JSON value. Its items are decoded one by one; until then they are the file's own bytes, mapped."""
    size = path.stat().st_size
    with _text(path) as file:
        plain = isinstance(file, io.BufferedReader)
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if plain else file.read()
    try:
        items = _items(memoryview(content))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid JSON, nor JSON lines: {error}") from error
    for at, item in enumerate(items, 1):
        tell(size * at // len(items))
        yield from _unwrapped(_decoded(item))


def _items(content: memoryview) -> list[msgspec.Raw]:
    body = content[3:] if content[:3] == _BOM else content
    if bytes(body[:_HEAD]).lstrip()[:1] == b"[":
        return msgspec.json.decode(body, type=list[msgspec.Raw])
    page = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    data = page.get("data")
    if data is not None and bytes(memoryview(data)[:1]) == b"[":
        return msgspec.json.decode(data, type=list[msgspec.Raw])
    return [msgspec.Raw(body)]


def _table(path: Path, tell: Tell) -> Iterator[Record | None]:
    import polars as pl

    size = path.stat().st_size
    try:
        done = 0
        for batch in _batches(path):
            done += int(batch.estimated_size())
            tell(min(size, done))
            yield from cast("Iterable[Record]", batch.iter_rows(named=True))
    except pl.exceptions.PolarsError as error:
        raise ConfigError(f"{path}: not a table that can be read ({type(error).__name__})") from error


def _batches(path: Path) -> Iterator[pl.DataFrame]:
    import polars as pl

    with path.open("rb") as file:
        parquet = file.read(4) == b"PAR1"
    table = pl.scan_parquet(path) if parquet else pl.scan_csv(path, infer_schema=False)
    yield from table.collect_batches(chunk_size=_BATCH, maintain_order=True)
