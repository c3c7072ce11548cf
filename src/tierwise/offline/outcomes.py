"""Outcomes: one row for each query and model, with what it answered, how good that was and what it cost.

The table that everything offline reads. Knows parquet, and nothing of where rows come from.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt

from tierwise.errors import ConfigError

if TYPE_CHECKING:
    import polars as pl

Floats = npt.NDArray[np.float64]
T = TypeVar("T")

COLUMNS: Mapping[str, type] = {
    "bench": str,  # the name of the log or benchmark
    "query_id": str,  # the same prompt asked of two models has the same id
    "category": str,
    "prompt": str,
    "model": str,
    "response": str,  # tool calls as a JSON list: [{"name": "arguments as JSON text"}]
    "answer": str,  # what was read out of the response, where somebody did
    "reference": str,
    "score": float,  # 0 to 1
    "prompt_tokens": int,
    "completion_tokens": int,
    "cost_usd": float,
    "latency_s": float,
    "token_source": str,
    "extra": str,  # a JSON object: tools, messages, finish, text ...
}
_WHOLE = frozenset({"query_id", "model", "score", "prompt"})  # where one is needed, every row has to have it
_NUMBERS = ("score", "cost", "prompt_tokens", "completion_tokens", "latency")
_SHOWN = 5  # names, ids and the like in an error
_SECRET = re.compile(
    r"\b(?:sk|pk|rk|tw|xox[abps])[-_][-\w]{12,}|\b(?:gh[pousr]_|hf_|AKIA|AIza|eyJ)[-\w]{12,}|[A-Za-z0-9]{40,}"
)


@dataclass(frozen=True)
class Side:
    """One model's rows, aligned with the others' by query. Numbers that nobody knows are nan.

    score in [0, 1]; cost in USD, where unknown the model's mean; latency in seconds. `unpriced` rows had no cost.
    """

    model: str
    score: Floats
    cost: Floats
    prompt_tokens: Floats
    completion_tokens: Floats
    latency: Floats
    response: list[str | None]
    answer: list[str | None]
    unpriced: int


@dataclass(frozen=True)
class Pairs:
    """Queries that every named model has answered, in the order of their ids.

    `extra` is the cheap model's, else the premium's; "" where there is none. `dropped` queries lack a model.
    """

    query_id: list[str]
    category: list[str]
    prompt: list[str]
    extra: list[str]
    cheap: Side
    premium: Side
    opinions: tuple[Side, ...]
    dropped: int

    def __len__(self) -> int:
        return len(self.query_id)

    def take(self, rows: npt.NDArray[np.int_]) -> Pairs:
        """Those rows only."""

        def some(side: Side) -> Side:
            arrays = {name: getattr(side, name)[rows] for name in _NUMBERS}
            return replace(side, response=_some(side.response, rows), answer=_some(side.answer, rows), **arrays)

        return Pairs(
            query_id=_some(self.query_id, rows),
            category=_some(self.category, rows),
            prompt=_some(self.prompt, rows),
            extra=_some(self.extra, rows),
            cheap=some(self.cheap),
            premium=some(self.premium),
            opinions=tuple(some(side) for side in self.opinions),
            dropped=self.dropped,
        )

    @property
    def unpriced(self) -> int:
        return sum(side.unpriced for side in (self.cheap, self.premium, *self.opinions))


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Errors of what is done within name the file."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(*(f"{path}: {problem}" for problem in error.problems)) from error


def _some(values: list[T], rows: npt.NDArray[np.int_]) -> list[T]:
    return [values[row] for row in rows]


def read(path: Path, *, need: Sequence[str] = ("query_id", "model")) -> pl.DataFrame:
    """All of COLUMNS, typed; those that the file lacks are null, what it has beyond them stays out.

    A column in `need` must be there and hold something; `query_id`, `model`, `score` and `prompt`, where needed, in
    every row. Raises ConfigError.
    """
    import polars as pl

    try:
        schema = pl.read_parquet_schema(path)
        _demand(path, *_absent(list(schema), need), *_mistyped(schema))
        frame = typed(pl.read_parquet(path, columns=[name for name in COLUMNS if name in schema]))
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such file") from error
    except (pl.exceptions.ComputeError, OSError) as error:
        raise ConfigError(f"{path}: can't be read as parquet; `tierwise import` makes outcomes of logs") from error
    _demand(path, *_empty(frame, need), *_wrong_scores(frame), *_duplicates(frame))
    return frame


def write(frame: pl.DataFrame, path: Path) -> None:
    """Every column, in order. The file is there whole or not at all. Raises ConfigError where it can't be."""
    with aside(path) as part:
        typed(frame).write_parquet(part)


def typed(frame: pl.DataFrame) -> pl.DataFrame:
    """COLUMNS in order and typed: what is missing, or no number where it should be one, is null."""
    import polars as pl

    types = {str: pl.String, float: pl.Float64, int: pl.Int64}
    columns = [
        (pl.col(name) if name in frame.columns else pl.lit(None)).cast(types[kind], strict=False).alias(name)
        for name, kind in COLUMNS.items()
    ]
    return frame.select(columns)


@contextmanager
def aside(path: Path) -> Iterator[Path]:
    """A place next to `path` to write at; it takes the name `path` when all has gone well, else it is gone."""
    if not path.parent.is_dir():
        raise ConfigError(f"{path}: {path.parent} is no folder")
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        part.replace(path)
    except OSError as error:
        raise ConfigError(f"{path}: can't be written: {error.strerror or type(error).__name__}") from error
    finally:
        part.unlink(missing_ok=True)


def pair(
    frame: pl.DataFrame,
    cheap: str,
    premium: str,
    opinions: Sequence[str] = (),
    bench: str | None = None,
    skip: Sequence[str] = (),
) -> Pairs:
    """Rows of `frame` (as `read` gives it) side by side: one query a row. `skip` are categories to leave out.

    Raises ConfigError where a model, bench or category has no rows, or no query has them all.
    """
    import polars as pl

    models = (cheap, premium, *opinions)
    if len(set(models)) < len(models):
        raise ConfigError(f"a model can play one part only: {', '.join(map(shown, models))}")
    frame = _chosen(frame, bench, skip)
    _must_be_there("model", models, frame)
    rows = frame.filter(pl.col("model").is_in(models))
    whole = rows.group_by("query_id").agg(pl.col("model").n_unique()).filter(pl.col("model") == len(models))
    if not whole.height:
        raise ConfigError(f"no query has rows of all of {', '.join(map(shown, models))}")
    asked = rows["query_id"].n_unique()
    rows = rows.join(whole.select("query_id"), on="query_id", how="semi").sort("query_id")
    tables = [rows.filter(pl.col("model") == name) for name in models]
    first, second = tables[:2]
    category, prompt, extra = (
        first[name].zip_with(first[name].is_not_null(), second[name]).fill_null("").to_list()
        for name in ("category", "prompt", "extra")
    )
    sides = [_side(table, name) for table, name in zip(tables, models, strict=True)]
    return Pairs(
        query_id=first["query_id"].to_list(),
        category=category,
        prompt=prompt,
        extra=extra,
        cheap=sides[0],
        premium=sides[1],
        opinions=tuple(sides[2:]),
        dropped=asked - whole.height,
    )


def shown(text: str) -> str:
    """A name or id as an error may show it: short, and nothing that could be a key."""
    return _SECRET.sub("[hidden]", text if len(text) <= 80 else f"{text[:77]}...")


def secret(text: str) -> bool:
    """Whether something in `text` looks like a key or token."""
    return bool(_SECRET.search(text))


# ------------------------------------------------------------------ what can be wrong with a file


def _demand(path: Path, *problems: str) -> None:
    if problems:
        raise ConfigError(*(f"{path}: {problem}" for problem in problems))


def _absent(names: Sequence[str], need: Sequence[str]) -> Iterator[str]:
    for name in need:
        if name not in names:
            near = difflib.get_close_matches(name, names, 1)
            hint = f"; is {shown(near[0])} meant?" if near else ""
            yield f"no column {name}{hint}"


def _mistyped(schema: Mapping[str, pl.DataType]) -> Iterator[str]:
    import polars as pl

    for name, kind in COLUMNS.items():
        found = schema.get(name, pl.Null())
        no_text = found.is_nested() or found in (pl.Binary, pl.Object)
        no_number = not (found.is_numeric() or found in (pl.Boolean, pl.Null))
        if no_text if kind is str else no_number:
            yield f"column {name} is {str(found).lower()}; expected {'text' if kind is str else 'numbers'}"


def _empty(frame: pl.DataFrame, need: Sequence[str]) -> Iterator[str]:
    if not frame.height:
        yield "no rows"
    for name in dict.fromkeys(("query_id", "model", *need)):
        missing = frame[name].null_count() if name in COLUMNS else 0
        if missing and (name in _WHOLE or missing == frame.height):
            yield f"{missing} of {frame.height} rows have no {name}"


def _wrong_scores(frame: pl.DataFrame) -> Iterator[str]:
    import polars as pl

    score = pl.col("score")
    wrong = frame.filter(score.is_nan() | (score < 0) | (score > 1))
    if wrong.height:
        some = ", ".join(f"{value:g}" for value in wrong["score"].head(_SHOWN))
        yield f"a score is a number from 0 to 1; {wrong.height} of {frame.height} rows have others: {some}"


def _duplicates(frame: pl.DataFrame) -> Iterator[str]:
    keys = frame.select("query_id", "model").drop_nulls()
    twice = keys.filter(keys.is_duplicated()).unique(maintain_order=True)
    if twice.height:
        some = ", ".join(f"{shown(query)} ({shown(model)})" for query, model in twice.head(_SHOWN).iter_rows())
        yield f"{twice.height} times a query_id has more than one row of the same model: {some}"


# ------------------------------------------------------------------ pairs


def _chosen(frame: pl.DataFrame, bench: str | None, skip: Sequence[str]) -> pl.DataFrame:
    import polars as pl

    if bench is not None:
        _must_be_there("bench", [bench], frame)
        frame = frame.filter(pl.col("bench") == bench)
    if skip:
        _must_be_there("category", skip, frame)
        frame = frame.filter(~pl.col("category").is_in(skip).fill_null(value=False))
    return frame


def _must_be_there(column: str, names: Sequence[str], frame: pl.DataFrame) -> None:
    import polars as pl

    counts = dict(frame.filter(pl.col(column).is_not_null()).group_by(column).len().iter_rows())
    problems = [_unknown(column, name, counts) for name in names if name not in counts]
    if problems:
        raise ConfigError(*problems)


def _unknown(what: str, name: str, counts: Mapping[str, int]) -> str:
    near = difflib.get_close_matches(name, counts, _SHOWN, 0.5)
    names = near or sorted(counts, key=lambda other: (-counts[other], other))[:_SHOWN]
    some = ", ".join(f"{shown(other)} ({counts[other]} rows)" for other in names)
    if not some:
        return f"no rows of {what} {shown(name)}, nor of any other"
    more = f" and {len(counts) - len(names)} more" if len(counts) > len(names) and not near else ""
    return f"no rows of {what} {shown(name)}; {'near names' if near else 'there are'}: {some}{more}"


def _side(table: pl.DataFrame, model: str) -> Side:
    score, cost, prompt_tokens, completion_tokens, latency = (
        table[name].cast(float).fill_null(float("nan")).to_numpy().copy()
        for name in ("score", "cost_usd", "prompt_tokens", "completion_tokens", "latency_s")
    )
    unknown = np.isnan(cost)
    if not unknown.all():
        cost[unknown] = cost[~unknown].mean()
    return Side(
        model=model,
        score=score,
        cost=cost,
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        latency=latency,
        response=table["response"].to_list(),
        answer=table["answer"].to_list(),
        unpriced=int(unknown.sum()),
    )
