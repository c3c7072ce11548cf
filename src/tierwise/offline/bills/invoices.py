"""A provider's export of usage or costs, read whole: which shape it has, and its lines by day and model.

JSON (a page of an API, several of them, or JSON lines), CSV, or a ZIP of CSV files. A record that can't be read
refuses the file: a bill that is read in part is a wrong bill. Knows no ledger; the shapes are in `invoice_*.py`.
"""

from __future__ import annotations

import csv
import io
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from tierwise.errors import ConfigError
from tierwise.offline.bills import invoice_anthropic, invoice_deepseek, invoice_openai
from tierwise.offline.bills.billed import NOTHING, Billed, Invoice, Provider, Record, Shape, Unreadable, summed

LARGEST = 200_000_000  # bytes, of a file and of what a ZIP holds
SHAPES: tuple[Shape, ...] = (*invoice_openai.SHAPES, *invoice_anthropic.SHAPES, *invoice_deepseek.SHAPES)
_TIMES = frozenset({"start_time", "end_time", "starting_at", "ending_at", "start_time_iso", "end_time_iso", "object"})


def read(path: Path, provider: Provider | None = None) -> Invoice:
    """`provider`: whose it must be; None: by its shape. Raises ConfigError: what was expected, and what found where."""
    found = [_read(name, _records(name, data), provider) for name, data in _files(path)]
    if len({(invoice.provider, invoice.offset) for invoice in found}) > 1:
        raise ConfigError(f"{path}: its files are of several providers, or in several time zones; give them one by one")
    return Invoice(
        provider=found[0].provider,
        shape=" and ".join(dict.fromkeys(invoice.shape for invoice in found)),
        first=min(invoice.first for invoice in found),
        last=max(invoice.last for invoice in found),
        lines=summed(line for invoice in found for line in invoice.lines),
        offset=found[0].offset,
        notes=tuple(note for invoice in found for note in invoice.notes),
    )


def _read(name: str, records: Sequence[Record], provider: Provider | None) -> Invoice:
    shape = _shape(name, records, provider)
    lines: list[Billed] = []
    days: set[int] = set()
    skipped: Counter[str] = Counter()
    for place, record in enumerate(records, 1):
        try:
            days.add(shape.day(record))
            line = _line(shape, record)
        except Unreadable as error:
            raise ConfigError(f"{name}: record {place}: {error}") from error
        if isinstance(line, Billed):
            lines.append(line)
        else:
            skipped[line] += 1
    notes = tuple(f"{count} times {reason}" for reason, count in skipped.items() if reason != NOTHING)
    return Invoice(shape.provider, shape.name, min(days), max(days), tuple(lines), shape.offset(records[0]), notes)


def _line(shape: Shape, record: Record) -> Billed | str:
    """A bucket without results has nothing but its times; all else must be of the file's shape. Raises Unreadable."""
    if shape.needs <= record.keys():
        return shape.take(record)
    if record.keys() <= _TIMES:
        return NOTHING
    raise Unreadable(f"has no {', '.join(sorted(shape.needs - record.keys()))}, unlike the rest of this {shape.name}")


def _shape(name: str, records: Sequence[Record], provider: Provider | None) -> Shape:
    """By the record that has most fields. Raises ConfigError."""
    if not records:
        raise ConfigError(f"{name}: holds no records; {_expected(provider)}")
    fullest = max(records, key=len)
    for shape in SHAPES:
        if shape.fits(fullest.keys()) and provider in (None, shape.provider):
            return shape
    keys = ", ".join(sorted(str(key)[:40] for key in fullest)[:20])
    raise ConfigError(f"{name}: no export that is known: it has the fields {keys}; {_expected(provider)}")


def _expected(provider: Provider | None) -> str:
    known: dict[str, frozenset[str]] = {}
    for shape in SHAPES:
        if provider in (None, shape.provider):
            known.setdefault(shape.name, shape.needs)
    return "expected one of " + "; ".join(f"{name}: {', '.join(sorted(needs))}" for name, needs in known.items())


def _files(path: Path) -> Iterator[tuple[str, bytes]]:
    """The file, or the CSV files in the ZIP. Raises ConfigError."""
    try:
        size = path.stat().st_size
        data = path.read_bytes() if size <= LARGEST else b""
    except OSError as error:
        raise ConfigError(f"{path}: can't be read: {error.strerror}") from error
    if not data:
        raise ConfigError(f"{path}: {f'larger than {LARGEST // 1_000_000} MB' if size else 'empty'}")
    if data[:4] != b"PK\x03\x04":
        yield str(path), data
        return
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            for entry in _tables(path, packed):
                yield f"{path}: {entry.filename}", packed.read(entry)
    except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError) as error:
        raise ConfigError(f"{path}: a ZIP file that can't be read: {error}") from error


def _tables(path: Path, packed: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """Sizes are as the ZIP says them, and reading gives no more than that. Raises ConfigError."""
    found = [entry for entry in packed.infolist() if entry.filename.lower().endswith(".csv")]
    if not found or sum(entry.file_size for entry in found) > LARGEST:
        raise ConfigError(f"{path}: a ZIP file without CSV files, or with more than {LARGEST // 1_000_000} MB of them")
    return found


def _records(name: str, data: bytes) -> list[Record]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{name}: neither JSON nor CSV in UTF-8") from error
    if text.lstrip()[:1] in ("{", "["):
        return [record for page in _pages(name, text) for record in _flat(page)]
    try:
        return list(csv.DictReader(io.StringIO(text, newline="")))
    except csv.Error as error:
        raise ConfigError(f"{name}: a CSV file that can't be read: {error}") from error


def _pages(name: str, text: str) -> list[Any]:
    """One JSON value, or one a line; amounts keep every digit. Raises ConfigError."""
    decoder = msgspec.json.Decoder(float_hook=Decimal)
    try:
        try:
            found = decoder.decode(text)
        except msgspec.DecodeError:
            found = decoder.decode_lines(text)
    except msgspec.DecodeError as error:
        raise ConfigError(f"{name}: neither JSON nor JSON lines: {error}") from error
    return found if isinstance(found, list) else [found]


def _flat(page: Any) -> Iterator[Record]:
    """A page's buckets, each with its results: one record a result; one with its times alone where it has none."""
    if not isinstance(page, dict):
        return
    buckets = page["data"] if isinstance(page.get("data"), list) else [page]
    for bucket in buckets:
        if not isinstance(bucket, dict):
            continue
        results = bucket.get("results", bucket.get("result"))
        if not isinstance(results, list):
            yield bucket
            continue
        times = {key: value for key, value in bucket.items() if key in _TIMES}
        yield from ({**result, **times} for result in results if isinstance(result, dict))
        if not results:
            yield times
