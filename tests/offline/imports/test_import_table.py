"""Plain tables: the outcomes' columns by their own and by other usual names."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from tests.offline.imports.harness import columns, extra, imported, put, refused
from tierwise.offline.outcomes import COLUMNS, read

CSV = """\
question,model_name,completion,label,cost,latency_ms,subject,ground_truth,note
What is 2+2?,small,4,correct,0.001,250,maths,4,x
" What  is
2+2? ",large,"four, of course",false,,,maths,4,y
"""


def test_a_csv_with_other_names(tmp_path: Path) -> None:
    """Aliases, words for scores, milliseconds; spacing does not make another query. What has no place is named."""
    found, report = imported(tmp_path / "o.parquet", put(tmp_path / "t.csv", CSV))
    assert columns(found, "prompt", "model", "response", "score", "cost_usd", "latency_s", "category", "reference") == [
        ("What is 2+2?", "small", "4", 1.0, 0.001, 0.25, "maths", "4"),
        (" What  is\n2+2? ", "large", "four, of course", 0.0, None, None, "maths", "4"),
    ]
    assert (report["queries"], report["paired"], report["left_out"]) == (1, 1, ["note"])


@pytest.mark.parametrize("kind", ["csv", "parquet", "jsonl", "json"])
def test_the_outcomes_themselves_come_back(tmp_path: Path, kind: str) -> None:
    """Import of an export of outcomes is the same outcomes, in every kind of file."""
    texts = {name: f"some {name}" for name, kind in COLUMNS.items() if kind is str}
    numbers = {"score": 0.5, "prompt_tokens": 3, "completion_tokens": 4, "cost_usd": 0.25, "latency_s": 1.5}
    row = {
        name: {**texts, **numbers, "response": '[{"f": "{}"}]', "extra": '{"finish":"stop"}'}[name] for name in COLUMNS
    }
    table = pl.DataFrame([row, {**row, "model": "n", "score": None}])
    file = tmp_path / f"t.{kind}"
    if kind == "csv":
        table.write_csv(file)
    elif kind == "parquet":
        table.write_parquet(file)
    elif kind == "jsonl":
        table.write_ndjson(file)
    else:
        put(file, table.to_dicts())
    forced = "jsonl" if kind == "json" else kind
    found, report = imported(tmp_path / "o.parquet", file, "--from", forced)
    assert found == [row, {**row, "model": "n", "score": None}]
    assert read(tmp_path / "o.parquet").columns == list(COLUMNS)
    assert (report["files"][0]["source"], report["left_out"]) == ("table", [])


def test_messages_and_tools_in_columns(tmp_path: Path) -> None:
    """As JSON text; a response that is JSON is left as it is."""
    messages = '[{"role": "system", "content": "S"}, {"role": "user", "content": "U"}]'
    table = pl.DataFrame(
        {"messages": [messages], "tools": ['[{"name": "f"}]'], "response": ['{"role": "x"}'], "model": ["m"]}
    )
    table.write_parquet(tmp_path / "t.parquet")
    ((row,), _) = imported(tmp_path / "o.parquet", tmp_path / "t.parquet")
    assert columns([row], "prompt", "response") == [("S\n\nU", '{"role": "x"}')]
    assert extra(row)["tools"] == [{"name": "f"}]


def test_rows_without_a_prompt_need_an_id(tmp_path: Path) -> None:
    """And rows without a response need a score; a table without models takes its file's name."""
    lines = "query_id,score,response\n1,1,\n2,,\n,1,x\n3,1.5,y\n4,0,\n"
    found, report = imported(tmp_path / "o.parquet", put(tmp_path / "gpt-4o.csv", lines))
    assert columns(found, "query_id", "model", "score") == [("1", "gpt-4o", 1.0), ("4", "gpt-4o", 0.0)]
    assert report["skipped"] == {
        "neither a response nor a score": 1,
        "neither a prompt nor a query_id": 1,
        "a score that is not from 0 to 1": 1,
    }
    file = put(tmp_path / "m.csv", "prompt,model,response\na,,b\n")
    assert refused(file, "--out", tmp_path / "o.parquet") == "no row can be used: 1 times: no model named"


def test_the_better_of_two_rows_stays(tmp_path: Path) -> None:
    """Of one query and model the first row is kept, or the first that has a score."""
    lines = "prompt,model,response,score\np,m,first,\np,m,second,1\np,m,third,0\nq,m,first,1\nq,m,second,1\n"
    found, report = imported(tmp_path / "o.parquet", put(tmp_path / "t.csv", lines))
    assert columns(found, "prompt", "response") == [("p", "second"), ("q", "first")]
    assert report["skipped"] == {"asked again of the same model": 3}
    assert report["files"][0]["rows"] == report["rows"] == 2


def test_an_empty_answer_is_an_answer(tmp_path: Path) -> None:
    """Where the log says that the model said nothing; a cell that is not there says nothing of it."""
    found, report = imported(tmp_path / "o.parquet", put(tmp_path / "t.csv", 'prompt,model,response\np,m,""\nq,m,\n'))
    assert columns(found, "prompt", "response") == [("p", "")]
    assert report["skipped"] == {"neither a response nor a score": 1}
