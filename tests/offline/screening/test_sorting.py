"""Learning to sort: what is read, what is promised, what is written and read back."""

from __future__ import annotations

import io
import json
from pathlib import Path

import msgspec
import numpy as np
import pytest

from tierwise.errors import ConfigError
from tierwise.offline.screening.sorting import Report, Wanted, learn, read
from tierwise.scorers import sorter as artefacts
from tierwise.scorers.encoder import load_encoder
from tierwise.scorers.sorter import Learnt, Sorter, dump

THINGS = {
    "parcel": ("Where is my {}?", "My {} has not come yet", "When will the {} be here?", "Track my {} please"),
    "refund": ("I want my money back for the {}", "Refund the {} please", "Return the {} for a refund", "Pay me back"),
    "password": ("I forgot my password for the {}", "Reset my {} password", "The {} login fails", "Can't sign in"),
}
NAMES = ("parcel", "order", "shoes", "lamp", "phone", "book", "table", "coat", "bike", "ring")


def rows(noise: int = 0) -> list[dict[str, object]]:
    found: list[dict[str, object]] = [
        {"text": words.format(name) + f" {number}", "label": label}
        for label, all_words in THINGS.items()
        for number, words in enumerate(all_words)
        for name in NAMES
    ]
    unclear: list[dict[str, object]] = [
        {"text": f"hello {number}", "label": list(THINGS)[number % 3]} for number in range(noise)
    ]
    return [*found, *unclear]


def written(tmp_path: Path, lines: list[dict[str, object]]) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    return path


def learnt(tmp_path: Path, lines: list[dict[str, object]]) -> tuple[Learnt, Report]:
    return learn(read(Wanted(written(tmp_path, lines))), 0, lambda what, done, total: None)


def test_it_sorts_what_it_never_saw(tmp_path: Path) -> None:
    """Surely where the words are clear, unsurely where they are not."""
    found, report = learnt(tmp_path, rows())
    model = Sorter(found, load_encoder())
    assert report.accuracy > 0.85
    assert model.sort("Where is my parcel, the blue one?").label == "parcel"
    assert model.sort("please give me my money back").label == "refund"
    sure, unsure = model.sort("Reset my password"), model.sort("qwertz")
    assert sure.probability > 0.8 > unsure.probability
    assert model.sort("").probability < 0.8


def test_probabilities_mean_what_they_say(tmp_path: Path) -> None:
    """With a third of the rows at random, the surest half is right and the rest is told to be unsure."""
    _, report = learnt(tmp_path, rows(noise=60))
    points = {point.kept: point for point in report.points}
    assert points[0.5].right > 0.95
    assert report.accuracy == pytest.approx(points[1.0].right)
    assert report.accuracy < 0.9
    assert points[0.5].sure > points[0.75].sure > points[1.0].sure
    assert points[1.0].sure < 0.6


def test_rows_that_say_nothing_are_counted(tmp_path: Path) -> None:
    """Without a text, without a label, or with one that is no text."""
    odd: list[dict[str, object]] = [
        {"text": "", "label": "parcel"}, {"text": 5, "label": "parcel"}, {"text": "x", "label": None},
        {"text": "x", "label": ""}, {"text": "x", "label": "l" * 201},
    ]  # fmt: skip
    found = read(Wanted(written(tmp_path, rows() + odd)))
    assert (len(found.texts), found.left_out) == (120, 5)


def test_labels_with_too_few_rows_are_named(tmp_path: Path) -> None:
    """What was hardly tested is said."""
    few: list[dict[str, object]] = [{"text": f"weather {number}", "label": "weather"} for number in range(3)]
    assert learnt(tmp_path, rows() + few)[1].rare == ("weather",)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([{"text": "a", "intent": "b"}], "has no columns text and label; its first row has intent, text"),
        ([{"text": "a", "label": "b"}] * 9, "has 1 labels in 9 rows; 2 to 1,000 can be sorted"),
        ([{"text": f"t{n}", "label": f"l{n}"} for n in range(1001)], "has 1,001 labels"),
    ],
)
def test_what_can_t_be_learnt_is_refused(tmp_path: Path, lines: list[dict[str, object]], said: str) -> None:
    """With what there is."""
    with pytest.raises(ConfigError, match=said):
        read(Wanted(written(tmp_path, lines)))


def test_the_file_is_the_model(tmp_path: Path) -> None:
    """Read back it says the same, and no text of a row stands in it."""
    found, _ = learnt(tmp_path, rows())
    path = tmp_path / "x.sorter.npz"
    path.write_bytes(dump(found))
    assert b"money back" not in path.read_bytes()
    before, after = Sorter(found, load_encoder()), Sorter(artefacts.read(path), load_encoder())
    for row in rows():
        assert before.sort(str(row["text"])) == after.sort(str(row["text"]))


def test_two_labels_are_enough(tmp_path: Path) -> None:
    """One weight vector stands for both."""
    found, report = learnt(tmp_path, [row for row in rows() if row["label"] != "refund"])
    assert report.accuracy > 0.85
    assert Sorter(found, load_encoder()).sort("I forgot my password").label == "password"


@pytest.mark.parametrize("part", ["buckets", "idf", "table", "dense", "bias", "labels"])
def test_a_file_with_a_part_of_another_shape_is_none(tmp_path: Path, part: str) -> None:
    """Whatever its digest says."""
    found, _ = learnt(tmp_path, rows())
    shorter = msgspec.structs.replace(found, **{part: getattr(found, part)[:-1]})
    path = tmp_path / "x.sorter.npz"
    path.write_bytes(dump(shorter))
    with pytest.raises(ConfigError, match="incomplete; train it anew"):
        artefacts.read(path)


def test_buckets_out_of_order_are_refused(tmp_path: Path) -> None:
    """They are searched by halving."""
    found, _ = learnt(tmp_path, rows())
    path = tmp_path / "x.sorter.npz"
    for buckets in (found.buckets[::-1].copy(), found.buckets + np.uint32(1 << 20)):
        path.write_bytes(dump(msgspec.structs.replace(found, buckets=buckets)))
        with pytest.raises(ConfigError, match="incomplete"):
            artefacts.read(path)


def test_another_artefact_is_refused(tmp_path: Path) -> None:
    """An archive of other arrays, and a file that is none."""
    path = tmp_path / "x.npz"
    other = io.BytesIO()
    np.savez(other, a=np.zeros(3))
    for content in (b"text", other.getvalue()):
        path.write_bytes(content)
        with pytest.raises(ConfigError, match="not an artefact of `tierwise train --sorter`"):
            artefacts.read(path)
