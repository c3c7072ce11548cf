"""Logs into outcomes: which reader takes which file, and the way of their rows into one table.

A file is read a piece at a time and its rows go to parquet parts beside the output, so memory holds an index of the
rows and not their text. Whatever can't be used is counted by its reason. Knows no log format; the readers do.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import msgspec

from tierwise.errors import ConfigError
from tierwise.offline.imports import import_langfuse, import_litellm, import_openai, import_table
from tierwise.offline.imports.parts import Parts, PriceOf
from tierwise.offline.imports.records import Format, Record, format_of, records
from tierwise.offline.imports.row import Notes, Row, Unusable
from tierwise.offline.outcomes import aside, secret, shown

Tell = Callable[[int, int], None]  # bytes done, bytes in all

Kind = Literal["auto", "litellm", "langfuse", "openai", "jsonl", "csv", "parquet"]


class Reader(Protocol):
    """What an `import_...` module is."""

    def fits(self, record: Record) -> bool:
        """Whether a file that begins with `record` is of this kind."""
        ...

    def takes_note(self, record: Record, notes: Notes) -> bool:
        """Whether `record` tells only of rows in other files; then `notes` has it."""
        ...

    def rows(self, record: Record, notes: Notes) -> Iterator[Row | Unusable]: ...


READERS: Mapping[str, Reader] = {
    "litellm": import_litellm,
    "langfuse": import_langfuse,
    "openai": import_openai,
    "table": import_table,
}


class Counted(msgspec.Struct, frozen=True):
    """One model's rows: how many have a score and a cost, and their means."""

    rows: int
    scored: int
    priced: int
    mean_score: float | None
    mean_cost_usd: float | None


class Taken(msgspec.Struct, frozen=True):
    file: str
    source: str
    records: int
    rows: int


class Report(msgspec.Struct, frozen=True):
    """`paired`: queries with rows of two models or more. `skipped`: reason -> records. `left_out`: unknown columns."""

    out: str
    rows: int
    queries: int
    paired: int
    models: dict[str, Counted]
    skipped: dict[str, int]
    files: list[Taken]
    left_out: list[str]


@dataclass(frozen=True)
class Wanted:
    """`bench` None: the log's own, else the output's name. `score`: of several scores, the name of the one to take."""

    source: Kind = "auto"
    bench: str | None = None
    score: str | None = None


@dataclass(frozen=True)
class _Source:
    path: Path
    kind: Format
    name: str
    reader: Reader
    notes: bool  # it begins with what only tells of other files' rows


def convert(files: Sequence[Path], out: Path, wanted: Wanted, price: PriceOf, tell: Tell) -> Report:
    """Read all `files` into the outcomes `out`. Raises ConfigError where a file can't be read, or no row can be used.

    `price(provider, model)` gives a list price or None; asked where a log has tokens and no cost.
    """
    if any(path.exists() and out.exists() and path.samefile(out) for path in files):
        raise ConfigError(f"{out}: is one of the files to read")
    sources = sorted((_source(path, wanted.source) for path in files), key=lambda source: not source.notes)
    job = _Job(wanted, Notes(wanted.score), Counter(), set(), tell, sum(path.stat().st_size for path in files))
    with aside(out) as part, tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as folder:
        parts = Parts(Path(folder), wanted.bench, out.stem, price)
        taken = [job.take(source, parts) for source in sources]
        if not len(parts):
            raise ConfigError(_nothing(job.skipped))
        parts.join(part, job.skipped)
        return _report(part, out, job, taken)


@dataclass
class _Job:
    wanted: Wanted
    notes: Notes
    skipped: Counter[str]
    unknown: set[str]
    tell: Tell
    size: int
    done: int = 0

    def take(self, source: _Source, parts: Parts) -> Taken:
        before, count = len(parts), 0
        for record in records(source.path, source.kind, lambda done: self.tell(self.done + done, self.size)):
            count += 1
            if record is None:
                self.skipped["no JSON object"] += 1
            elif not source.reader.takes_note(record, self.notes):
                self._add(record, source, parts)
        self.done += source.path.stat().st_size
        return Taken(str(source.path), source.name, count, len(parts) - before)

    def _add(self, record: Record, source: _Source, parts: Parts) -> None:
        if source.name == "table" and len(self.unknown) < 100:
            self.unknown.update(record.keys() - import_table.KNOWN)
        for row in source.reader.rows(record, self.notes):
            reason = row.reason if isinstance(row, Unusable) else row.refused
            if isinstance(row, Row) and reason is None:
                row.model = row.model or source.path.name.split(".")[0]
                reason = "a model's name that looks like a key" if secret(row.model) else None
                if reason is None:
                    parts.add(row)
            if reason:
                self.skipped[reason] += 1


def _source(path: Path, wanted: Kind) -> _Source:
    kind = format_of(path)
    plain = wanted in ("jsonl", "csv", "parquet")
    if plain and wanted != ("jsonl" if kind == "json" else kind):
        raise ConfigError(f"{path}: is {kind}, not {wanted}")
    first = next((record for record in records(path, kind) if record is not None), None)
    if first is None:
        raise ConfigError(f"{path}: holds no records")
    names = ["table"] if plain else [wanted] if wanted != "auto" else list(READERS)
    for name in names:
        notes = READERS[name].takes_note(first, Notes())
        if notes or len(names) == 1 or READERS[name].fits(first):
            return _Source(path, kind, name, READERS[name], notes)
    keys = ", ".join(sorted(map(shown, first))[:12])
    raise ConfigError(f"{path}: no log that is known; its first record has {keys} (--from says what it is)")


def _nothing(skipped: Mapping[str, int]) -> str:
    reasons = "; ".join(f"{count} times: {reason}" for reason, count in Counter(skipped).most_common())
    return f"no row can be used: {reasons or 'the files only tell of rows in other files'}"


def _report(part: Path, out: Path, job: _Job, files: list[Taken]) -> Report:
    import polars as pl

    table = pl.scan_parquet(part)
    number = ("score", "cost_usd")
    counts = table.group_by("model").agg(
        pl.len(),
        *(pl.col(name).count().alias(f"{name}s") for name in number),
        *(pl.col(name).mean() for name in number),
    )
    queries = table.group_by("query_id").agg(models=pl.col("model").n_unique()).collect()
    models = {
        str(row["model"]): Counted(row["len"], row["scores"], row["cost_usds"], row["score"], row["cost_usd"])
        for row in counts.sort("len", "model", descending=[True, False]).collect().iter_rows(named=True)
    }
    return Report(
        out=str(out),
        rows=sum(counted.rows for counted in models.values()),
        queries=queries.height,
        paired=int((queries["models"] > 1).sum()),
        models=models,
        skipped=dict(job.skipped.most_common()),
        files=files,
        left_out=sorted(map(shown, job.unknown)),
    )
