"""Langfuse exports: observations and traces of the API, of the UI, and of blob storage, with their scores."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.offline.imports.harness import columns, extra, imported, put, refused


def observation(ident: str = "obs-1", **changes: Any) -> dict[str, Any]:
    """A generation as `/api/public/observations` gives it."""
    return {
        "id": ident,
        "traceId": f"trace-of-{ident}",
        "type": "GENERATION",
        "name": "answer",
        "startTime": "2026-10-01T12:00:00.000Z",
        "endTime": "2026-10-01T12:00:00.800Z",
        "level": "DEFAULT",
        "model": "claude-haiku",
        "modelParameters": {"temperature": 0},
        "input": [{"role": "user", "content": "Is water wet?"}],
        "output": {"role": "assistant", "content": "Yes."},
        "metadata": {},
        "usageDetails": {"input": 10, "input_cached_tokens": 5, "output": 3, "total": 18},
        "costDetails": {"input": 0.00001, "output": 0.00002, "total": 0.00003},
        "calculatedTotalCost": 0.00003,
        "latency": 800,
        **changes,
    }


def stored(ident: str, model: str, **changes: Any) -> dict[str, Any]:
    """A row of blob storage's `observations_v2/`."""
    return {
        "id": ident,
        "trace_id": f"trace-of-{ident}",
        "type": "GENERATION",
        "start_time": "2026-10-01 12:00:00.000000",
        "end_time": "2026-10-01 12:00:02.000000",
        "level": "DEFAULT",
        "provided_model_name": model,
        "input": '[{"role":"user","content":"Is water wet?"}]',
        "output": '{"role":"assistant","content":"Yes."}',
        "usage_details": {"input": 15, "output": 3},
        "cost_details": {"input": 0.001, "output": 0.002},
        "total_cost": 0.003,
        "latency": 2.0,
        "trace_name": "support",
        "tags": [],
        **changes,
    }


def score(of: str, value: float, **changes: Any) -> dict[str, Any]:
    """A row of blob storage's `scores/`."""
    about = {"trace_id": f"trace-of-{of}", "observation_id": of}
    return {
        "id": f"s-{of}",
        **about,
        "name": "accuracy",
        "value": value,
        "data_type": "NUMERIC",
        "string_value": None,
        **changes,
    }


def test_observations_of_the_api(tmp_path: Path) -> None:
    """Kinds of tokens add up; the time between start and end counts, whatever unit `latency` has."""
    page = {
        "data": [observation(), observation("obs-2", type="SPAN"), observation("obs-3", level="ERROR")],
        "meta": {"page": 1},
    }
    ((row,), report) = imported(tmp_path / "o.parquet", put(tmp_path / "l.json", page))
    assert columns(
        [row], "prompt", "model", "response", "prompt_tokens", "completion_tokens", "cost_usd", "latency_s"
    ) == [("Is water wet?", "claude-haiku", "Yes.", 15, 3, 0.00003, 0.8)]
    assert (row["category"], row["score"]) == ("answer", None)
    assert report["skipped"] == {"not a generation": 1, "the call failed": 1}


def test_older_usage(tmp_path: Path) -> None:
    """`usage` and `promptTokens`, before there were details; a cost of 0 is none."""
    old: dict[str, Any] = {
        "usageDetails": None,
        "costDetails": None,
        "calculatedTotalCost": 0,
        "endTime": None,
        "latency": 0.5,
    }
    rows = [
        observation(**old, usage={"input": 7, "output": 2, "total": 9, "unit": "TOKENS", "inputCost": 1}),
        observation("b", model="other", **old, promptTokens=8, completionTokens=1),
    ]
    found, _ = imported(tmp_path / "o.parquet", put(tmp_path / "l.jsonl", rows))
    assert columns(found, "prompt_tokens", "completion_tokens", "cost_usd", "latency_s") == [
        (7, 2, None, 0.5),
        (8, 1, None, 0.5),
    ]


def test_a_trace_with_its_observations(tmp_path: Path) -> None:
    """Scores stand in the trace; each goes to the observation that it names."""
    trace = {
        "id": "t-1",
        "name": "support",
        "tags": ["billing"],
        "scores": [
            {"name": "accuracy", "value": 1, "dataType": "BOOLEAN", "observationId": "obs-1"},
            {"name": "accuracy", "value": 0.25, "dataType": "NUMERIC", "observationId": "obs-2"},
        ],
        "observations": [observation(), observation("obs-2", model="gpt-4o", tags=None), {"type": "SPAN", "id": "x"}],
    }
    found, report = imported(tmp_path / "o.parquet", put(tmp_path / "l.json", trace))
    assert columns(found, "model", "score", "category") == [
        ("claude-haiku", 1.0, "billing"),
        ("gpt-4o", 0.25, "billing"),
    ]
    assert report["skipped"] == {"not a generation": 1}


def test_blob_storage_with_its_scores(tmp_path: Path) -> None:
    """Two files, joined by the observation; the order in which they are named does not matter."""
    rows = [stored("a", "cheap"), stored("b", "premium"), stored("c", "third")]
    scores = [score("a", 0.0), score("b", 1.0), score("c", 0, data_type="CATEGORICAL", string_value="correct")]
    put(tmp_path / "obs.jsonl", rows)
    put(tmp_path / "scores.jsonl", scores)
    found, report = imported(tmp_path / "o.parquet", tmp_path / "obs.jsonl", tmp_path / "scores.jsonl")
    assert columns(found, "model", "score", "cost_usd") == [
        ("cheap", 0.0, 0.003),
        ("premium", 1.0, 0.003),
        ("third", 1.0, 0.003),
    ]
    assert report["queries"] == 1


@pytest.mark.parametrize("kind", ["csv", "parquet", "json.gz", "jsonl.gz"])
def test_every_kind_of_file(tmp_path: Path, kind: str) -> None:
    """Blob storage writes CSV, parquet, JSON and JSON lines, text also gzipped."""
    rows = [stored("a", "cheap"), stored("b", "premium")]
    file = tmp_path / f"l.{kind}"
    if kind == "csv":
        flat = [
            {key: json.dumps(value) if isinstance(value, dict | list) else value for key, value in row.items()}
            for row in rows
        ]
        pl.DataFrame(flat).write_csv(file)
    elif kind == "parquet":
        pairs = pl.List(pl.Struct({"key": pl.String, "value": pl.Int64}))  # what a map is in parquet
        usage = [[{"key": "input", "value": 15}, {"key": "output", "value": 3}]] * 2
        pl.DataFrame(rows).with_columns(pl.Series("usage_details", usage, pairs)).write_parquet(file)
    else:
        text = json.dumps(rows) if kind == "json.gz" else "\n".join(map(json.dumps, rows))
        file.write_bytes(gzip.compress(text.encode()))
    found, _ = imported(tmp_path / "o.parquet", file)
    assert (
        columns(found, "prompt", "response", "prompt_tokens", "completion_tokens", "cost_usd", "latency_s")
        == [("Is water wet?", "Yes.", 15, 3, 0.003, 2.0)] * 2
    )


def test_the_export_of_the_ui(tmp_path: Path) -> None:
    """Scores by name, each with a list of values."""
    rows = [
        observation(scores={"accuracy": [0.5], "tone": ["bad"]}),
        observation("b", model="m", scores={"accuracy": [1]}),
    ]
    file = put(tmp_path / "l.json", rows)
    found, report = imported(tmp_path / "o.parquet", file, "--score", "accuracy")
    assert columns(found, "score") == [(0.5,), (1.0,)]
    found, report = imported(tmp_path / "o.parquet", file)
    assert columns(found, "score") == [(1.0,)]
    assert report["skipped"] == {"scores of several names (--score NAME chooses)": 1}


def test_a_score_of_a_whole_trace(tmp_path: Path) -> None:
    """It counts where the trace has one generation; with several, nobody knows which of them was good."""
    lone, first, second = stored("a", "cheap"), stored("b", "premium", trace_id="t"), stored("c", "third", trace_id="t")
    scores = [score("a", 1.0, observation_id=None), score("t", 1.0, observation_id=None, trace_id="t")]
    put(tmp_path / "obs.jsonl", [lone, first, second])
    put(tmp_path / "scores.jsonl", scores)
    found, report = imported(tmp_path / "o.parquet", tmp_path / "obs.jsonl", tmp_path / "scores.jsonl")
    assert columns(found, "score") == [(1.0,), (None,), (None,)]
    assert report["skipped"] == {"a trace's score, but several generations in it (the rows stay, without it)": 2}


def test_tools(tmp_path: Path) -> None:
    """Definitions and calls have columns of their own in blob storage."""
    call = json.dumps({"id": "c", "name": "look_up", "arguments": '{"id": 3}'})
    tools = {"look_up": json.dumps({"name": "look_up", "parameters": {"type": "object"}})}
    ((row,), _) = imported(
        tmp_path / "o.parquet",
        put(tmp_path / "l.jsonl", [stored("a", "m", output="", tool_calls=[call], tool_definitions=tools)]),
    )
    assert row["response"] == '[{"look_up":"{\\"id\\": 3}"}]'
    assert extra(row)["tools"] == [{"name": "look_up", "parameters": {"type": "object"}}]


def test_free_form_input_and_output(tmp_path: Path) -> None:
    """Input that is no chat is the prompt as JSON; an answer that is JSON stays what the model wrote."""
    row = observation(input={"question": "Wet?", "context": "water"}, output='{"label": "yes", "output": 1}')
    ((found,), _) = imported(tmp_path / "o.parquet", put(tmp_path / "l.jsonl", [row]))
    assert found["prompt"] == '{"context":"water","question":"Wet?"}'
    assert found["response"] == '{"label": "yes", "output": 1}'


def test_traces_alone_are_no_answers(tmp_path: Path) -> None:
    """The list of traces names its observations only by id."""
    file = put(tmp_path / "l.json", [{"id": "t", "name": "support", "observations": ["obs-1"], "scores": []}])
    assert "a trace without its observations" in refused(file, "--out", tmp_path / "o.parquet")
