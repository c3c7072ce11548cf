"""Learning a screen from labelled texts: what is read, what thresholds are shown to hold, what is written."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierwise.errors import ConfigError
from tierwise.offline.screening.screen_labels import false_blocks_of, recall_of
from tierwise.offline.screening.screen_training import Aim, Report, Wanted, allowed, highest, learn, lowest, read
from tierwise.scorers.encoder import load_encoder
from tierwise.screens.own import Learnt, Own
from tierwise.screens.taught import dump
from tierwise.screens.taught import read as read_artefact
from tierwise.stats.bounds import binomial_tail, clopper_pearson, upper

SPAM = ("Buy cheap {} now!!!", "Win a free {} today, click here", "Best {} deals, limited offer", "Hot {} for you")
FINE = ("Where is my {}?", "My {} arrived broken", "How do I wash the {}", "Thanks, the {} is lovely")
THINGS = ("lamp", "phone", "shoes", "bike", "book", "coat", "table", "ring", "watch", "chair", "car", "pen")


def texts(words: Sequence[str], count: int) -> list[str]:
    every = [f"{line.format(thing)} {number}" for number in range(9) for line in words for thing in THINGS]
    return every[:count]


def rows(spam: int = 150, fine: int = 250) -> list[dict[str, Any]]:
    found = [{"text": text, "spam": 1} for text in texts(SPAM, spam)]
    found += [{"text": text, "spam": 0} for text in texts(FINE, fine)]
    for number, row in enumerate(found):
        row["language"] = ("en", "de")[number % 2]
    return found


def written(tmp_path: Path, lines: Sequence[object], name: str = "rows.jsonl") -> Path:
    path = tmp_path / name
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    return path


MOST = Aim("recall", 0.9)


def taught(path: Path, aim: Aim = MOST, **changes: Any) -> tuple[Learnt, Report]:
    wanted = Wanted(path, "moderation", aim, labels="spam")._replace(**changes)
    return learn(read(wanted), wanted, lambda what, done, total: None)


# ------------------------------------------------------------------ labels


@pytest.mark.parametrize(
    ("labels", "lines", "names"),
    [
        (None, [{"text": "a", "hate": True, "sexual": "no"}, {"text": "b", "hate": 0}], "hate sexual"),
        ("x,y", [{"text": "a", "x": "yes", "y": "no"}, {"text": "b", "x": "0", "y": "1"}], "x y"),
        ("kind", [{"text": "a", "kind": "hate; spam"}, {"text": "b", "kind": ""}], "hate spam"),
        ("kind", [{"text": "a", "kind": ["hate"]}, {"text": "b", "kind": []}], "hate"),
        ("kind", [{"text": "a", "kind": '["hate", "spam"]'}, {"text": "b", "kind": "none"}], "hate spam"),
        ("toxic", [{"text": "a", "toxic": 1}, {"text": "b", "toxic": 0}], "toxic"),
    ],
)  # fmt: skip
def test_labels_in_every_form(tmp_path: Path, labels: str | None, lines: list[object], names: str) -> None:
    """A yes/no column a class, or one column that names them, as text or a list."""
    found = read(Wanted(written(tmp_path, lines), "moderation", Aim("recall", 0.9), labels=labels))
    assert sorted(found.names) == names.split()
    first, second = found.labels
    assert first[found.names[0]] is True
    assert not any(second[name] for name in second if name == found.names[0])


def test_what_is_not_known_is_not_no(tmp_path: Path) -> None:
    """An empty cell says nothing of its class; a row of which nothing is known is left out, and one without a text."""
    lines: list[object] = [
        {"text": "a", "hate": 1, "violence": None},
        {"text": "b", "hate": None, "violence": "maybe"},
        {"text": None, "hate": 1, "violence": 1},
        "broken",
        {"text": "c", "hate": 0, "violence": 0},
    ]
    found = read(Wanted(written(tmp_path, lines), "moderation", Aim("recall", 0.9)))
    assert found.labels == [{"hate": True}, {"hate": False, "violence": False}]
    assert (found.texts, found.left_out) == (["a", "c"], 3)


@pytest.mark.parametrize(
    ("changes", "lines", "said"),
    [
        ({"text": "body"}, [{"text": "a", "hate": 1}], "no column body"),
        ({}, [{"text": "a", "label": 1}], "which columns are labels"),
        ({"labels": "kind"}, [{"text": "a"}], "no column kind"),
        ({"labels": ","}, [{"text": "a"}], "no column"),
        ({"labels": "kind"}, [{"text": "a", "kind": ""}], "0 classes"),
        ({"labels": "kind"}, [{"text": "a", "kind": "x" * 61}], "at most 60"),
        ({"labels": "kind"}, [{"text": "a", "kind": "a:b"}], "without a colon"),
        ({"labels": "kind", "screen": "injection"}, [{"text": "a", "kind": "jailbreak"}], "one class, injection"),
    ],
)
def test_what_cannot_be_learnt(tmp_path: Path, changes: dict[str, Any], lines: list[object], said: str) -> None:
    """Is said before anything is fitted."""
    wanted = Wanted(written(tmp_path, lines), "moderation", Aim("recall", 0.9))._replace(**changes)
    with pytest.raises(ConfigError, match=said):
        read(wanted)


def test_a_yes_no_column_is_the_only_class_there_is(tmp_path: Path) -> None:
    """Whatever it is called."""
    path = written(tmp_path, [{"text": "a", "attack": True}, {"text": "b", "attack": False}])
    assert read(Wanted(path, "injection", Aim("recall", 0.9), labels="attack")).names == ("injection",)


def test_too_few_rows_are_told(tmp_path: Path) -> None:
    """A class without enough of them is left out; where that is every class nothing is written."""
    lines = [{**row, "rare": int(number == 0)} for number, row in enumerate(rows(60, 60))]
    learnt, report = taught(written(tmp_path, lines), labels="spam,rare")
    assert (learnt.names, report.few) == (("spam",), ("rare",))
    with pytest.raises(ConfigError, match="no class has 8 rows"):
        taught(written(tmp_path, rows(5, 60)))


# ------------------------------------------------------------------ what is shown


def test_it_finds_what_it_never_saw(tmp_path: Path) -> None:
    """A class of the operator's own, certified on rows set aside, in each language; read back, it scores the same."""
    learnt, report = taught(written(tmp_path, rows()))
    (line,) = report.classes
    assert line.head.certified
    assert line.head.recall.bound >= 0.9
    assert (line.positives, line.more, report.few) == (150, 0, ())
    assert 0.3 < report.aside / report.rows < 0.5
    assert line.head.recall.n + line.head.false_blocks.n == report.aside
    assert {one.language for one in report.languages} == {"en", "de"}
    assert sum(one.recall.n for one in report.languages) == line.head.recall.n
    path = tmp_path / "own.npz"
    path.write_bytes(dump(learnt))
    again = Own(read_artefact(path), load_encoder().encode)
    assert again.limits == {"spam": line.head.threshold}
    assert again.scores("Win a free sofa today, click here")["spam"] >= line.head.threshold
    assert again.scores("Where is my sofa?")["spam"] < line.head.threshold
    assert again.scores("x" * 20_000 + " Buy cheap sofa now!!!") != again.scores("x" * 20_000)


def test_false_blocks_are_bounded_instead(tmp_path: Path) -> None:
    """By the rows that are not of the class."""
    _, report = taught(written(tmp_path, rows()), Aim("false_blocks", 0.05))
    (line,) = report.classes
    assert line.head.certified
    assert line.head.false_blocks.bound <= 0.05


@pytest.mark.parametrize("aim", [Aim("recall", 0.95), Aim("false_blocks", 0.02)])
def test_what_too_few_rows_cannot_show(tmp_path: Path, aim: Aim) -> None:
    """Is not certified, and says how many more it takes at least, however well these did."""
    _, report = taught(written(tmp_path, rows(60, 60)), aim)
    (line,) = report.classes
    assert not line.head.certified
    tested = line.head.recall.n if aim.goal == "recall" else line.head.false_blocks.n
    assert tested + line.more * 0.4 >= aim.needed
    assert line.more > 0


def test_what_is_set_aside_is_not_learnt(tmp_path: Path) -> None:
    """Labels without rhyme or reason can be learnt by heart; of other rows they say nothing, and so it is told."""
    words = np.random.default_rng(2).permuted(np.repeat([[*"abcdefghijklmnop"]], 200, axis=0), axis=1)
    lines = [{"text": "".join(row), "spam": number % 2} for number, row in enumerate(words.tolist())]
    _, report = taught(written(tmp_path, lines))
    (line,) = report.classes
    assert (line.head.false_blocks.value or 0) > 0.5


def test_the_same_text_is_on_one_side(tmp_path: Path) -> None:
    """In whatever case and spacing: what was fitted to is no test."""
    lines = [
        row | {"text": change(row["text"])} for row in rows(60, 60) for change in (str.upper, str.lower, str.title)
    ]
    _, report = taught(written(tmp_path, lines))
    assert report.aside % 3 == 0


@given(st.integers(1, 400), st.floats(0.005, 0.5))
def test_as_many_may_go_wrong_as_the_bound_allows(rows: int, errs: float) -> None:
    """One more, and it would not hold."""
    wrong = allowed(rows, errs)
    assert wrong < 0 or upper(wrong, rows, 0.05) <= errs
    assert wrong + 1 >= rows or upper(wrong + 1, rows, 0.05) > errs


def test_a_threshold_holds_as_often_as_it_says() -> None:
    """Over draws of scores, the true recall is below the one asked for in at most 5 % of them, and in some."""
    draws = np.sort(np.random.default_rng(1).random((4000, 200)), axis=1).tolist()
    missed = sum(1 - lowest(scores, Aim("recall", 0.9)) < 0.9 for scores in draws)
    blocked = sum(1 - highest(scores, Aim("false_blocks", 0.1)) > 0.1 for scores in draws)
    assert 0.01 < missed / 4000 < 0.06
    assert 0.01 < blocked / 4000 < 0.06


@pytest.mark.parametrize(
    ("scores", "low", "high"),
    [([], 0.5, 1.0), ([0.0], 1e-6, 1e-6), ([1.0], 1.0, 1.0), ([0.2, 0.4], 0.2, 0.4)],
)
def test_thresholds_of_few_rows(scores: list[float], low: float, high: float) -> None:
    """None is missed, or none blocked, as far as a threshold can say so; it is above 0 and at most 1."""
    assert lowest(scores, Aim("recall", 0.95)) == pytest.approx(low)
    found = highest(scores, Aim("false_blocks", 0.02))
    assert found == pytest.approx(high)
    assert found == 1.0 or all(found > score for score in scores)


def test_a_bound_is_the_exact_one() -> None:
    """Clopper and Pearson's, one-sided: the tail at the bound is 5 %."""

    recall, blocks = recall_of(97, 100), false_blocks_of(3, 100)
    assert recall.bound == pytest.approx(clopper_pearson(97, 100, 0.9)[0])
    assert blocks.bound == pytest.approx(clopper_pearson(3, 100, 0.9)[1])
    assert binomial_tail(100, blocks.bound, 3) == pytest.approx(0.05)
    assert (recall_of(0, 0).bound, false_blocks_of(0, 0).bound, recall_of(0, 0).value) == (0.0, 1.0, None)
    assert recall.value == 0.97
