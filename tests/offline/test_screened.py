"""Rows of real files through the shipped screens, broken off and gone on with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tierwise.errors import ConfigError
from tierwise.offline.screened import Report, Wanted, screen
from tierwise.screens.moderation import CATEGORIES

TEXTS = ["what is my balance", "I hate all Muslims, they are vermin", "mail jane@example.com please", ""]


def run(wanted: Wanted) -> Report:
    return screen(wanted, lambda done, total: None)


def lines(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.read_text().splitlines()]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "in.jsonl"
    path.write_text("".join(f"{json.dumps({'id': at, 'text': text})}\n" for at, text in enumerate(TEXTS)))
    return path


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_a_line_a_row(table: Path, tmp_path: Path, kind: str) -> None:
    """With the contract's keys, from each kind of file."""
    path, out = tmp_path / f"in2.{kind}", tmp_path / "out.jsonl"
    frame = pl.read_ndjson(table)
    getattr(frame, {"jsonl": "write_ndjson", "csv": "write_csv", "parquet": "write_parquet"}[kind])(path)
    report = run(Wanted(path, out=out))
    found = lines(out)
    assert [line["row"] for line in found] == [0, 1, 2, 3]
    assert {tuple(line) for line in found} == {
        ("row", "flagged", "moderation", "privacy", "injection", "risk", "tier", "why")
    }
    assert [line["flagged"] for line in found[:3]] == [False, True, True]
    assert tuple(found[1]["moderation"]) == CATEGORIES
    assert "moderation:hate" in found[1]["why"]
    assert found[2]["privacy"] == [{"type": "email", "start": 5, "end": 21}]
    assert 0 <= found[0]["injection"] <= 1
    assert {line["tier"] for line in found} == {"classifier"}
    assert (report.rows, report.resumed, report.column) == (4, 0, "text")
    assert report.flagged == sum(line["flagged"] for line in found)
    assert report.why["privacy:email"] == 1


def test_no_text_reaches_the_output(table: Path, tmp_path: Path) -> None:
    """Only scores and places."""
    run(Wanted(table, out=tmp_path / "out.jsonl"))
    assert not any(word in (tmp_path / "out.jsonl").read_text() for word in ("vermin", "jane", "balance"))


def test_a_row_that_was_not_read_is_flagged(tmp_path: Path) -> None:
    """A row without a text, and a broken line, do not pass for harmless."""
    path, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    path.write_text('{"text": "hello"}\n{"text": null}\nbroken\n{"text": 5}\n')
    report = run(Wanted(path, out=out))
    assert [line["why"] for line in lines(out)] == [[], ["unread"], ["unread"], ["unread"]]
    assert [line["flagged"] for line in lines(out)] == [False, True, True, True]
    assert (report.flagged, report.why) == (3, {"unread": 3})


@pytest.mark.parametrize("cut", [1, 3, 30, 400, 100_000])
def test_an_output_that_was_broken_off_is_gone_on_with(table: Path, tmp_path: Path, cut: int) -> None:
    """The end is the same to the byte, and so is the report but for what it resumed."""
    whole, out = tmp_path / "whole.jsonl", tmp_path / "out.jsonl"
    first = run(Wanted(table, out=whole))
    out.write_bytes(whole.read_bytes()[:-cut] if cut < 100_000 else b"")
    there = out.read_bytes().count(b"\n")
    again = run(Wanted(table, out=out))
    assert out.read_bytes() == whole.read_bytes()
    assert again.resumed == there
    assert (again.rows, again.flagged, again.why) == (first.rows, first.flagged, first.why)


def test_what_was_broken_off_leaves_nothing_behind(table: Path, tmp_path: Path) -> None:
    """Not even where it was longer than what takes its place."""
    whole, out = tmp_path / "whole.jsonl", tmp_path / "out.jsonl"
    run(Wanted(table, out=whole))
    out.write_bytes(b'{"row":0,' + b" " * 100_000)
    run(Wanted(table, out=out))
    assert out.read_bytes() == whole.read_bytes()


def test_a_whole_output_stays(table: Path, tmp_path: Path) -> None:
    """Run again, nothing changes and the report is the same."""
    out = tmp_path / "out.jsonl"
    first = run(Wanted(table, out=out))
    content = out.read_bytes()
    again = run(Wanted(table, out=out))
    assert (out.read_bytes(), again.why, again.resumed) == (content, first.why, 4)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"some notes of mine", "line 1 is not of this command"),
        (b'{"row":0,"flagged":true}\n', "line 1 is not"),
        (b'{"row":1,"flagged":false,"tier":"classifier","why":[]}\n', "line 1 is of row 1"),
        (b'{"row":0,"flagged":false,"tier":"classifier","why":[]}\n', "its last row is not what"),
        (b"".join(b'{"row":%d,"why":[]}\n' % at for at in range(9)), "has 9 rows"),
        (b"\xff\xfe\n", "line 1 is not"),
    ],
)
def test_another_files_output_is_not_touched(table: Path, tmp_path: Path, content: bytes, said: str) -> None:
    """Nothing is lost, and the error says what to do."""
    out = tmp_path / "out.jsonl"
    out.write_bytes(content)
    with pytest.raises(ConfigError, match=said):
        run(Wanted(table, out=out))
    assert out.read_bytes() == content


def test_other_screens_do_not_go_on(table: Path, tmp_path: Path) -> None:
    """An output of some screens is not gone on with by others."""
    out = tmp_path / "out.jsonl"
    run(Wanted(table, screens=("privacy",), out=out))
    assert set(lines(out)[0]) == {"row", "flagged", "privacy", "tier", "why"}
    with pytest.raises(ConfigError, match="with these screens"):
        run(Wanted(table, out=out))


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"text": "nope"}, "no column nope; its first row has id, text"),
        ({"screens": ("mood",)}, "no screen is called mood"),
    ],
)
def test_what_is_wrong_is_said(table: Path, wanted: dict[str, Any], said: str) -> None:
    """A column or a screen that there is not."""
    with pytest.raises(ConfigError, match=said):
        run(Wanted(table, **wanted))


def test_the_files_are_what_they_should_be(table: Path, tmp_path: Path) -> None:
    """A missing or empty file, no column that looks like text, an output that is the input, or has no folder."""
    with pytest.raises(ConfigError, match="can't be read"):
        run(Wanted(tmp_path / "none.csv"))
    (tmp_path / "odd.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ConfigError, match=r"which column is the text\? Its first row has a, b"):
        run(Wanted(tmp_path / "odd.csv"))
    (tmp_path / "broken.jsonl").write_text('{"text"\n')
    with pytest.raises(ConfigError):
        run(Wanted(tmp_path / "broken.jsonl"))
    with pytest.raises(ConfigError, match="is the file to read"):
        run(Wanted(table, out=table))
    with pytest.raises(ConfigError, match="can't be written"):
        run(Wanted(table, out=tmp_path / "no" / "out.jsonl"))
    assert table.read_text().count("\n") == 4


def test_progress_is_told(table: Path) -> None:
    """Bytes that are read, of all bytes."""
    told: list[tuple[int, int]] = []
    assert screen(Wanted(table), lambda done, total: told.append((done, total))).out is None
    assert told[-1] == (table.stat().st_size, table.stat().st_size)
