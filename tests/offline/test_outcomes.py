"""The table of outcomes: what is refused, and what stands side by side."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from tierwise.errors import ConfigError
from tierwise.offline.outcomes import COLUMNS, Pairs, pair, read, secret, shown, write


def row(query: str = "q1", model: str = "cheap", **changes: Any) -> dict[str, Any]:
    return {
        "bench": "b",
        "query_id": query,
        "category": "c",
        "prompt": "p",
        "model": model,
        "response": "r",
        "score": 1.0,
        **changes,
    }


def table(*rows: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(rows, strict=False, infer_schema_length=None)


def saved(folder: Path, *rows: dict[str, Any]) -> Path:
    path = folder / "o.parquet"
    table(*rows).write_parquet(path)
    return path


def problem(path: Path, *need: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(path, need=need)
    return [text.removeprefix(f"{path}: ") for text in caught.value.problems]


def test_columns_that_are_missing_are_null(tmp_path: Path) -> None:
    """All columns in order, whatever the file has; types are widened."""
    frame = read(saved(tmp_path, row(score=True, prompt_tokens=3.0, other=1)), need=("query_id", "score"))
    assert frame.columns == list(COLUMNS)
    assert frame["score"].to_list() == [1.0]
    assert frame["prompt_tokens"].dtype == pl.Int64
    assert frame["latency_s"].to_list() == [None]


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """Whole, with every column; a place that can't be written is an error of ours."""
    frame = read(saved(tmp_path, row(), row(model="premium", score=0)))
    write(frame, tmp_path / "w.parquet")
    assert read(tmp_path / "w.parquet").equals(frame)
    assert {path.name for path in tmp_path.iterdir()} == {"o.parquet", "w.parquet"}
    with pytest.raises(ConfigError, match="no is no folder"):
        write(frame, tmp_path / "no" / "w.parquet")
    (tmp_path / "folder").mkdir()
    with pytest.raises(ConfigError, match="folder: can't be written: Is a directory"):
        write(frame, tmp_path / "folder")
    assert {path.name for path in tmp_path.iterdir()} == {"o.parquet", "w.parquet", "folder"}


def test_files_that_are_no_outcomes(tmp_path: Path) -> None:
    """Not there, not parquet, without rows."""
    assert problem(tmp_path / "no.parquet") == ["no such file"]
    (tmp_path / "a.parquet").write_text("prompt,model\n", encoding="utf-8")
    assert problem(tmp_path / "a.parquet") == ["can't be read as parquet; `tierwise import` makes outcomes of logs"]
    table(row()).clear().write_parquet(tmp_path / "e.parquet")
    assert problem(tmp_path / "e.parquet") == ["no rows"]


def test_columns_that_are_needed(tmp_path: Path) -> None:
    """A missing one is named, with what may be meant; so is a type that can't be right."""
    path = saved(tmp_path, {"query": "q", "model": "m", "score": "good", "prompt": ["a"]})
    assert problem(path, "query_id", "model", "response") == [
        "no column query_id; is query meant?",
        "no column response",
        "column prompt is list(string); expected text",
        "column score is string; expected numbers",
    ]


def test_values_that_are_needed(tmp_path: Path) -> None:
    """A score in every row, a response in some."""
    path = saved(tmp_path, row(response=None), row("q2", score=None, response=None), row("q3", response=None))
    assert problem(path, "score", "response", "prompt") == ["1 of 3 rows have no score", "3 of 3 rows have no response"]
    assert read(path).height == 3


def test_scores_out_of_range(tmp_path: Path) -> None:
    """How many, and which."""
    path = saved(tmp_path, row(score=1.5), row("q2", score=-1), row("q3", score=float("nan")), row("q4"))
    assert problem(path) == ["a score is a number from 0 to 1; 3 of 4 rows have others: 1.5, -1, nan"]


def test_rows_that_are_there_twice(tmp_path: Path) -> None:
    """How often, and the first of them."""
    path = saved(tmp_path, row(), row(), row(), row("q2"), row("q2", "premium"), row("q3"), row("q3"))
    assert problem(path) == ["2 times a query_id has more than one row of the same model: q1 (cheap), q3 (cheap)"]


def pairs(*rows: dict[str, Any], **words: Any) -> Pairs:
    frame = table(*rows)
    missing = [
        pl.lit(None, {str: pl.String, int: pl.Int64, float: pl.Float64}[kind]).alias(name)
        for name, kind in COLUMNS.items()
        if name not in frame.columns
    ]
    return pair(frame.with_columns(missing), "cheap", "premium", **words)


def test_queries_side_by_side() -> None:
    """In the order of their ids, with only those that every model has answered."""
    found = pairs(
        row("q2", score=0.0, extra='{"a": 1}'),
        row("q1", category=None, prompt=None, latency_s=0.5),
        row("q1", "premium", prompt="P", response="R", answer="A"),
        row("q2", "premium"),
        row("q3", "premium"),
        row("q4", "else"),
        row("q1", "else", score=0.25),
        row("q2", "else"),
        opinions=("else",),
    )
    assert (found.query_id, found.category, found.prompt, found.extra) == (
        ["q1", "q2"],
        ["c", "c"],
        ["P", "p"],
        ["", '{"a": 1}'],
    )
    assert (len(found), found.dropped) == (2, 2)
    assert found.cheap.score.tolist() == [1.0, 0.0]
    assert (found.premium.response, found.premium.answer) == (["R", "r"], ["A", None])
    assert found.opinions[0].score.tolist() == [0.25, 1.0]
    np.testing.assert_array_equal(found.cheap.latency, [0.5, np.nan])


def test_unknown_costs_are_the_model_s_mean() -> None:
    """Where none is known they stay nan; both are counted."""
    found = pairs(
        row("q1", cost_usd=0.25), row("q2", cost_usd=0.75), row("q3"), *(row(f"q{at}", "premium") for at in (1, 2, 3))
    )
    assert found.cheap.cost.tolist() == [0.25, 0.75, 0.5]
    assert np.isnan(found.premium.cost).all()
    assert (found.cheap.unpriced, found.premium.unpriced, found.unpriced) == (1, 3, 4)


def test_one_bench_without_some_categories() -> None:
    """Rows without a category are not skipped with the others."""
    rows = [
        row(f"{bench}{category}", model, bench=bench, category=category)
        for bench in "ab"
        for category in ("x", "y", None)
        for model in ("cheap", "premium")
    ]
    assert pairs(*rows, bench="a", skip=("x",)).query_id == ["aNone", "ay"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"opinions": ("cheep",)}, "no rows of model cheep; near names: cheap (2 rows)"),
        ({"opinions": ("zzz",)}, "no rows of model zzz; there are: cheap (2 rows), else (1 rows), premium (1 rows)"),
        ({"opinions": ("cheap",)}, "a model can play one part only: cheap, premium, cheap"),
        ({"opinions": ("else",)}, "no query has rows of all of cheap, premium, else"),
        ({"bench": "c"}, "no rows of bench c; there are: b (4 rows)"),
        ({"skip": ("c", "see")}, "no rows of category see; there are: c (4 rows)"),
    ],
)
def test_names_that_are_not_there(words: dict[str, Any], said: str) -> None:
    """With what is there instead, and how often."""
    with pytest.raises(ConfigError) as caught:
        pairs(row(), row("q2"), row("q1", "premium"), row("q3", "else"), **words)
    assert caught.value.problems == (said,)


def test_what_looks_like_a_key_is_hidden() -> None:
    """Names of models are not, however long."""
    keys = ("sk-proj-abcdefghijkl", "ghp_abcdefghijkl", "AKIAABCDEFGHIJKL", "a" * 40)
    assert [shown(f"my {key}") for key in keys] == ["my [hidden]"] * 4
    names = (
        "accounts/fireworks/models/llama-v3p1-405b-instruct",
        "skywork-o1-open-llama-3.1-8b",
        "hf-internal/tiny-random",
    )
    assert not any(map(secret, names))
    assert len(shown("word " * 100)) == 80


def test_reading_is_quick(tmp_path: Path) -> None:
    """100,000 rows take a tenth of a second; the limit is generous, because the machine may be busy."""
    count = 100_000
    frame = pl.DataFrame(
        {"query_id": [f"q{at // 2}" for at in range(count)], "model": ["cheap", "premium"] * (count // 2)}
    )
    frame = frame.with_columns(
        score=pl.lit(1.0),
        prompt=pl.col("query_id") + " " + "x" * 500,
        response=pl.lit("y" * 500),
        category=pl.lit("c"),
        bench=pl.lit("b"),
        extra=pl.lit(None, pl.String),
        cost_usd=pl.lit(0.1),
    )
    frame.write_parquet(tmp_path / "o.parquet")
    begin = time.perf_counter()
    assert len(pair(read(tmp_path / "o.parquet", need=("score", "prompt")), "cheap", "premium")) == count // 2
    assert time.perf_counter() - begin < 10
