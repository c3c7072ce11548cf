"""The import as a whole: which reader takes a file, what is said of bad ones, and that nothing is left half done."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.offline.imports.harness import command, imported, put, refused
from tierwise.offline.imports.importers import READERS
from tierwise.offline.imports.records import LINE_MAX
from tierwise.offline.imports.row import Notes, Row, Unusable

ROW = {"prompt": "p", "model": "m", "response": "r", "score": 1}
KEY = "sk-canary-0123456789abcdef"


def test_several_logs_in_one(tmp_path: Path) -> None:
    """Each file is recognised by itself."""
    chat = {"messages": [{"role": "user", "content": "p"}], "response": "s", "model": "n"}
    files = [put(tmp_path / "a.csv", "prompt,model,response\np,m,r\n"), put(tmp_path / "b.jsonl", [chat])]
    found, report = imported(tmp_path / "o.parquet", *files)
    assert [(taken["source"], taken["rows"]) for taken in report["files"]] == [("table", 1), ("openai", 1)]
    assert (len(found), report["paired"]) == (2, 1)
    assert [row["bench"] for row in found] == ["o", "o"]


def test_broken_lines_are_counted(tmp_path: Path) -> None:
    """A line that is no JSON object does not end the import; a mark at the beginning of the file is no part of it."""
    text = "\ufeff" + json.dumps(ROW) + "\n\n{broken\n17\n" + json.dumps({**ROW, "model": "n"})
    found, report = imported(tmp_path / "o.parquet", put(tmp_path / "l.jsonl", text))
    assert len(found) == 2
    assert report["skipped"] == {"no JSON object": 2}


def test_a_line_without_an_end_is_left_out(tmp_path: Path) -> None:
    """It would fill the memory."""
    with (tmp_path / "l.jsonl").open("w") as file:
        file.write(json.dumps(ROW) + "\n" + "x" * LINE_MAX)
        file.write("y\n" + json.dumps({**ROW, "model": "n"}))
    found, report = imported(tmp_path / "o.parquet", tmp_path / "l.jsonl")
    assert [row["model"] for row in found] == ["m", "n"]
    assert report["skipped"] == {"no JSON object": 1}


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.json", "", "empty"),
        ("a.json", "[]", "holds no records"),
        ("a.json", "[{]", "not valid JSON, nor JSON lines: "),
        ("a.json", '{\n "a": 1,\n', "not valid JSON, nor JSON lines: "),
        ("a.json", '[{"a": 1, "b": 2}]', "no log that is known; its first record has a, b (--from says what it is)"),
        ("a.csv", "prompt,model\np,m,too,many\n", "not a table that can be read (ComputeError)"),
        ("a.parquet", "PAR1 and then nothing", "not a table that can be read (ComputeError)"),
        ("a.gz", "\x1f", "no log that is known; its first record has"),
    ],
)
def test_files_that_are_no_logs(tmp_path: Path, name: str, content: str, said: str) -> None:
    """The error names the file and what is wrong with it; nothing is written."""
    file = put(tmp_path / name, content)
    found = refused(file, "--out", tmp_path / "o.parquet")
    assert found.startswith(f"{file}: {said}") or (name == "a.gz" and "holds no records" in found)
    assert list(tmp_path.iterdir()) == [file]


def test_a_broken_gzip_file(tmp_path: Path) -> None:
    """Cut off in the middle."""
    (tmp_path / "a.jsonl.gz").write_bytes(b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x00")
    assert "can't be read: a broken file" in refused(tmp_path / "a.jsonl.gz", "--out", tmp_path / "o.parquet")


def test_places(tmp_path: Path) -> None:
    """A file that is not there, a folder that is not there, an output that is an input, a kind that is another."""
    file = put(tmp_path / "a.jsonl", [ROW])
    assert (
        refused(tmp_path / "no.csv", "--out", tmp_path / "o")
        == f"{tmp_path}/no.csv: can't be read: No such file or directory"
    )
    assert refused(file, "--out", tmp_path / "no" / "o") == f"{tmp_path}/no/o: {tmp_path}/no is no folder"
    assert refused(file, "--out", file) == f"{file}: is one of the files to read"
    assert refused(file, "--out", tmp_path / "o", "--from", "csv") == f"{file}: is jsonl, not csv"
    assert "Invalid value for '--from'" in command(file, "--out", tmp_path / "o", "--from", "what").stderr


def test_a_key_is_never_shown(tmp_path: Path) -> None:
    """Wherever it stands in the log: as a model, as a column, in a prompt or an answer."""
    rows = [{**ROW, "model": KEY}, {**ROW, "prompt": KEY, "response": KEY, KEY: 1}]
    file = put(tmp_path / "a.jsonl", rows)
    plain = command(file, "--out", tmp_path / "o.parquet")
    script = command(file, "--out", tmp_path / "o.parquet", "--json")
    other = command(put(tmp_path / "b.json", [{KEY: 1}]), "--out", tmp_path / "o.parquet")
    assert (plain.exit_code, script.exit_code, other.exit_code) == (0, 0, 2)
    assert json.loads(script.stdout)["skipped"] == {"a model's name that looks like a key": 1}
    assert KEY not in plain.output + script.output + other.output
    assert "[hidden]" in plain.output


def test_an_import_that_is_stopped_leaves_the_old_file(tmp_path: Path) -> None:
    """Ctrl-C in the middle: the outcomes of before are whole, and nothing else is left."""
    out = tmp_path / "o.parquet"
    imported(out, put(tmp_path / "a.jsonl", [ROW]))
    before = out.read_bytes()
    with (tmp_path / "big.jsonl").open("w") as file:
        file.writelines(json.dumps({**ROW, "prompt": f"{at} {'x' * 200}"}) + "\n" for at in range(60_000))
    # A shell may have started the tests in the background, where Ctrl-C is ignored.
    code = "import signal; signal.signal(2, signal.default_int_handler); from tierwise.cli import app; app()"
    line = [sys.executable, "-c", code, "import", str(tmp_path / "big.jsonl"), "--out", str(out)]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 15
        while not any(tmp_path.glob(".o.parquet.*/*.parquet")) and time.monotonic() < deadline:
            time.sleep(0.01)  # until the first part is on the disk
        process.send_signal(signal.SIGINT)
        assert process.wait(15) != 0
    assert out.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jsonl", "big.jsonl", "o.parquet"]


NAMES = (
    *("request_id", "call_type", "spend", "status", "metadata", "messages", "response", "proxy_server_request"),
    *("traceId", "observations", "type", "level", "model", "input", "output", "usageDetails", "costDetails", "scores"),
    *("tool_calls", "choices", "custom_id", "object", "body", "results", "sample", "datasource_item", "request", "id"),
    *("role", "content", "prompt", "score", "tools", "extra", "latency", "query_id", "startTime", "endTime", "error"),
)
WORDS = st.sampled_from(["", "x", "user", "[1]", "{}", "chatcmpl-1-2"])
LEAVES = st.none() | st.booleans() | st.integers(-2, 2) | WORDS
KINDS = st.sampled_from(["GENERATION", "eval.run.output_item", "response", "assistant"])
VALUES = st.recursive(
    LEAVES | KINDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=7))
@settings(max_examples=100, deadline=None)
def test_no_record_breaks_a_reader(record: dict[str, object]) -> None:
    """Whatever stands in a log, a reader gives rows or reasons."""
    for reader in READERS.values():
        notes = Notes()
        reader.fits(record)
        reader.takes_note(record, notes)
        assert all(isinstance(row, Row | Unusable) for row in reader.rows(record, notes))
