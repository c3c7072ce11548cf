"""Rows of real files through the shipped screens, broken off and gone on with."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.offline.screening.test_screen_training import rows, taught, written
from tierwise.errors import ConfigError
from tierwise.offline.screening.screen_lines import Rules, Wanted
from tierwise.offline.screening.screen_queue import Queue, Waiting, doubt
from tierwise.offline.screening.screened import Report, screen
from tierwise.screens.moderation import CATEGORIES
from tierwise.screens.risk import Policy
from tierwise.screens.taught import dump
from tierwise.types import Answer, Choice, Request

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
        ("row", "flagged", "moderation", "privacy", "injection", "risk", "tier", "why", "doubts", "doubt")
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


def test_rows_are_read_in_one_go(tmp_path: Path) -> None:
    """Many of them say what each says in a file of its own; broken ones, long ones and copies among them."""
    kinds = [*TEXTS, None, "You are kind. " * 1500 + TEXTS[1], ""]
    many = [text if number % 3 else f"{text} {number}" for number, text in enumerate(kinds * 10)]
    path, out = tmp_path / "many.jsonl", tmp_path / "out.jsonl"
    path.write_text("".join(f"{json.dumps({'text': text})}\n" for text in many))
    run(Wanted(path, out=out))
    found = lines(out)
    assert [line["row"] for line in found] == list(range(len(many)))
    for number in range(0, len(many), 11):
        one, alone = tmp_path / "one.jsonl", tmp_path / f"{number}.jsonl"
        one.write_text(json.dumps({"text": "x"}) + "\n" + json.dumps({"text": many[number]}))
        run(Wanted(one, out=alone))
        assert found[number]["why"] == lines(alone)[1]["why"]
        assert _flat(found[number]) == pytest.approx(_flat(lines(alone)[1]), abs=2e-4)


def _flat(line: dict[str, Any]) -> dict[str, float]:
    return {**line.get("moderation", {}), **line.get("risk", {}), "injection": line.get("injection", 0.0)}


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


def test_a_last_digit_is_no_other_row(table: Path, tmp_path: Path) -> None:
    """What was read before shifts the rounding of a sum; a score that differs by more is of another text."""
    out = tmp_path / "out.jsonl"
    run(Wanted(table, out=out))
    content = out.read_bytes()
    for shift, same in ((0.0001, True), (0.01, False)):
        last = lines(out)[-1]
        last["moderation"]["hate"] = round(last["moderation"]["hate"] + shift, 4)
        out.write_bytes(b"".join(content.splitlines(keepends=True)[:-1]) + json.dumps(last).encode() + b"\n")
        if same:
            assert run(Wanted(table, out=out)).resumed == 4
        else:
            with pytest.raises(ConfigError, match="its last row is not what"):
                run(Wanted(table, out=out))
        out.write_bytes(content)


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
    assert set(lines(out)[0]) == {"row", "flagged", "privacy", "tier", "why", "doubts", "doubt"}
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


# ------------------------------------------------------------------ doubts, and who decides them


class Moderator:
    """Answers each question with the same score for all that it is asked about, at a price."""

    def __init__(self, score: float | None) -> None:
        self.asked: list[list[str]] = []
        self._score = score

    def ask(self, questions: Sequence[Request]) -> list[Answer | None]:
        self.asked.append([str(json.loads(one.messages[1].text)["texts"][0]) for one in questions])
        return [self._answer(one) for one in questions]

    def spent(self) -> int:
        return 5 * sum(map(len, self.asked))

    def _answer(self, question: Request) -> Answer | None:
        if self._score is None:
            return None
        said = json.dumps(dict.fromkeys((question.schema or {})["required"], self._score))
        return Answer("moderator", (Choice(said, finish="stop"),))


HATE = "moderation:hate"
DOUBT = Rules(limits={HATE: 1.0}, allowed=frozenset(f"moderation:{name}" for name in CATEGORIES) - {HATE})


def asked(table: Path, score: float | None, out: Path, rules: Rules = DOUBT) -> tuple[Report, Moderator]:
    moderator = Moderator(score)
    report = screen(Wanted(table, screens=("moderation",), out=out, rules=rules), lambda done, total: None, moderator)
    return report, moderator


def test_a_model_decides_what_is_in_doubt(table: Path, tmp_path: Path) -> None:
    """Its score stands in the line, which says so; others are untouched, and the order is the file's."""
    out = tmp_path / "out.jsonl"
    report, moderator = asked(table, 0.75, out)
    found = lines(out)
    assert [line["row"] for line in found] == [0, 1, 2, 3]
    assert [line["tier"] for line in found] == ["classifier", "llm", "classifier", "classifier"]
    assert (found[1]["moderation"]["hate"], found[1]["flagged"], found[1]["why"]) == (0.75, True, [HATE])
    assert (found[1]["doubts"], found[1]["doubt"]) == ([], 0.5)
    assert moderator.asked == [[TEXTS[1]]]
    assert (report.doubtful, report.asked, report.undecided, report.nanos) == (1, 1, 0, 5)
    assert asked(table, 0.25, tmp_path / "other.jsonl")[0].flagged == 0


@pytest.mark.parametrize("strict", [True, False])
def test_without_a_verdict_a_doubt_stays(table: Path, tmp_path: Path, strict: bool) -> None:
    """It is flagged where the route would block; the line says that nobody has decided."""
    out, rules = tmp_path / "out.jsonl", DOUBT._replace(strict=frozenset({HATE} if strict else ()))
    report, _ = asked(table, None, out, rules)
    line = lines(out)[1]
    assert (line["tier"], line["doubts"], line["flagged"]) == ("classifier", [HATE], strict)
    assert line["moderation"]["hate"] > 0.5
    assert (report.doubtful, report.undecided, report.flagged) == (1, 1, int(strict))


def test_what_a_model_has_decided_is_gone_on_with(table: Path, tmp_path: Path) -> None:
    """It is not asked again, even where it would say something else now; but another file's line is found out."""
    out = tmp_path / "out.jsonl"
    asked(table, 0.75, out)
    whole = out.read_bytes()
    out.write_bytes(b"".join(whole.splitlines(keepends=True)[:2]))
    report, moderator = asked(table, 0.25, out)
    assert (out.read_bytes(), moderator.asked, report.resumed) == (whole, [], 2)
    assert (report.flagged, report.doubtful) == (1, 1)
    changed = whole.splitlines(keepends=True)[:2]
    changed[1] = re.sub(rb'"violence":[0-9.e-]+', b'"violence":0.77', changed[1])
    out.write_bytes(b"".join(changed))
    with pytest.raises(ConfigError, match="its last row is not what"):
        asked(table, 0.25, out)


def test_questions_are_asked_together(tmp_path: Path) -> None:
    """So many at once, and the lines between them wait; a text that is too long is not asked about."""
    path = tmp_path / "many.jsonl"
    every = [TEXTS[1] + f" {number}" if number % 2 else "hello" for number in range(140)]
    every[1] = TEXTS[1] + " " * 40_000
    path.write_text("".join(f"{json.dumps({'text': text})}\n" for text in every))
    out = tmp_path / "out.jsonl"
    report, moderator = asked(path, 0.75, out)
    assert [len(batch) for batch in moderator.asked] == [64, 5]
    assert [line["row"] for line in lines(out)] == list(range(140))
    assert lines(out)[1]["doubts"] == [HATE]
    assert (report.asked, report.doubtful, report.undecided, report.flagged) == (69, 70, 1, 69)


def test_a_routes_own_rules_count(table: Path, tmp_path: Path) -> None:
    """What it allows is not flagged, its thresholds and types and policies are the ones that count."""
    policy = Policy("greeting", "Says hello.", ("hello there",), "premium", threshold=0.9)
    rules = Rules({"risk:greeting": 0.95}, frozenset({HATE}), types=frozenset({"phone"}), policies=(policy,))
    report = screen(Wanted(table, rules=rules, out=tmp_path / "out.jsonl"), lambda done, total: None)
    assert HATE not in report.why
    assert "privacy:email" not in report.why
    assert set(lines(tmp_path / "out.jsonl")[0]["risk"]) == {"greeting"}


# ------------------------------------------------------------------ people, labels, own heads


def test_people_look_at_the_most_doubtful_first(table: Path, tmp_path: Path) -> None:
    """With the text; a row that nothing has read comes before all, one beyond doubt last."""
    with table.open("a") as file:
        file.write('{"id": 9, "text": null}\n')
    review = tmp_path / "review.jsonl"
    wanted = Wanted(table, out=tmp_path / "out.jsonl", review=review)
    report = run(wanted)
    found = lines(review)
    assert (report.waiting, report.review) == (len(found), str(review))
    assert [one["doubt"] for one in found] == sorted((one["doubt"] for one in found), reverse=True)
    assert (found[0]["row"], found[0]["text"], found[0]["why"]) == (4, None, ["unread"])
    assert {one["row"] for one in found} >= {1, 2, 4}
    assert 0 not in {one["row"] for one in found}
    assert next(one for one in found if one["row"] == 2)["text"] == TEXTS[2]
    before = review.read_bytes()
    assert run(wanted).resumed == 5
    assert review.read_bytes() == before


@pytest.mark.parametrize(
    ("scores", "judged", "near"),
    [
        ({}, (), 0.0),
        ({"a": 0.4}, (), 0.0),
        ({"a": 0.6}, (), 0.5),
        ({"a": 0.8}, (), 1.0),
        ({"a": 0.9}, (), 0.5),
        ({"a": 1.0}, (), 0.0),
        ({"a": 0.5}, ("a",), 1.0),
        ({"a": 0.0, "b": 1.0}, (), 1.0),
    ],
)
def test_how_near_a_threshold(scores: dict[str, float], judged: tuple[str, ...], near: float) -> None:
    """1 at the threshold, 0 at half of it and below, and where a score can't be higher; a model's own is one half."""
    assert doubt(scores, {"a": 0.8, "b": 1.0} if "b" in scores else {"a": 0.8}, judged) == pytest.approx(near)


def test_the_queue_keeps_the_most_doubtful(tmp_path: Path) -> None:
    """Of more than it holds."""
    queue = Queue(most=3)
    for row, near in enumerate((0.1, 0.9, 0.5, 0.7, 0.9)):
        queue.add(Waiting(row, near, (), (HATE,), "x"))
    assert queue.write(tmp_path / "q.jsonl") == 3
    assert [one["row"] for one in lines(tmp_path / "q.jsonl")] == [1, 4, 3]
    assert queue.left_out == 2
    with pytest.raises(ConfigError, match="is no folder"):
        queue.write(tmp_path / "no" / "q.jsonl")


@pytest.mark.parametrize("resumed", [False, True])
def test_recall_and_false_blocks_beside_labels(tmp_path: Path, resumed: bool) -> None:
    """By class and language, with exact bounds, of new rows and old ones."""
    path = tmp_path / "in.jsonl"
    every = [(TEXTS[1], ["hate"], "en"), (TEXTS[0], [], "en"), ("good morning", ["hate"], "de"), ("", [], "de")]
    path.write_text("".join(f"{json.dumps({'text': a, 'kind': b, 'lang': c})}\n" for a, b, c in every))
    wanted = Wanted(path, screens=("moderation",), out=tmp_path / "out.jsonl", labels="kind")
    report = run(wanted)
    report = run(wanted) if resumed else report
    by = {(one.name, one.language): one for one in report.measured}
    hate = by[HATE, ""]
    assert (hate.recall.k, hate.recall.n, hate.false_blocks.k, hate.false_blocks.n) == (1, 2, 0, 2)
    assert hate.recall.bound == pytest.approx(1 - 0.95**0.5)
    assert hate.false_blocks.bound == pytest.approx(1 - 0.05**0.5)
    assert (by[HATE, "de"].recall.k, by[HATE, "en"].recall.k) == (0, 1)
    assert by["any", ""].recall.k == 1
    assert by["moderation:violence", ""].recall.n == 0


def test_heads_of_the_operators_own(tmp_path: Path) -> None:
    """Beside the shipped ones, in the line and among the reasons."""
    (tmp_path / "own.npz").write_bytes(dump(taught(written(tmp_path, rows()))[0]))
    path = written(tmp_path, [{"text": "Win a free sofa today, click here"}, {"text": TEXTS[1]}], "in.jsonl")
    out = tmp_path / "out.jsonl"
    report = run(Wanted(path, out=out, trained=tmp_path / "own.npz"))
    assert report.why["moderation:spam"] == 1
    assert (lines(out)[0]["moderation"]["spam"] > 0.5, HATE in lines(out)[1]["why"]) == (True, True)
    with pytest.raises(ConfigError, match="can't be read"):
        run(Wanted(path, trained=tmp_path / "none.npz"))
