"""The texts and labels of our own that heads learn from: every file can be read, and slots are filled the same way."""

from __future__ import annotations

import json
import re
from pathlib import Path

from benchmarks.screen_kinds import FILE, INTENT, KINDS, VIOLENT, Kinds, digest
from benchmarks.screen_pairs import FOLDER, texts
from benchmarks.screen_seeds import FILLINGS, filled, seeds
from tierwise.scorers.language import language_of
from tierwise.screens.moderation import CATEGORIES
from tierwise.screens.weights import load_weights


def test_every_file_is_of_a_head_and_has_look_alikes() -> None:
    """At least ten texts of each sign; but for those of no head, which are all of one."""
    every = [seed for seed in seeds() if seed.head != "everyday"]
    heads = {seed.head for seed in every}
    assert heads <= set(load_weights().heads)
    assert len(heads) == 12
    for head in heads:
        for positive in (True, False):
            assert sum(seed.head == head and seed.positive == positive for seed in every) >= 10, (head, positive)


def test_everyday_talk_is_of_no_head() -> None:
    """None of it is in English, and no other file has it."""
    every = [seed for seed in seeds() if seed.head == "everyday"]
    others = {seed.text for seed in seeds() if seed.head != "everyday"}
    assert len({seed.text for seed in every}) == len(every) >= 300
    assert not any(seed.positive or seed.text in others for seed in every)
    assert not [seed.text for seed in every if language_of(seed.text)[0] == "en"]


def test_no_text_has_an_open_slot() -> None:
    """And none is of two kinds."""
    every = list(seeds())
    assert not [seed for seed in every if re.search(r"\{[a-z]+\}", seed.text)]
    of = {(seed.head, seed.text): seed.positive for seed in every}
    assert all(of[seed.head, seed.text] == seed.positive for seed in every)


def test_a_file_says_which_of_its_texts_are_of_a_kind() -> None:
    """Each kind has texts and look-alikes within its head, and no text is both."""
    every = [seed for seed in seeds() if seed.positive]
    assert all(seed.kinds == {} for seed in seeds() if not seed.positive)
    named = {(seed.head, kind) for seed in every for kind in seed.kinds}
    assert {f"{head}/{kind}" for head, kind in named} - {"violence/threatening"} <= {*CATEGORIES}
    assert len(named) == 7
    for head, kind in named:
        of = {seed.text: seed.kinds[kind] for seed in every if seed.head == head}
        assert all(of[seed.text] == seed.kinds[kind] for seed in every if seed.head == head)
        assert min(sum(of.values()), len(of) - sum(of.values())) >= 50, (head, kind)


def test_slots_are_filled() -> None:
    """Another number gives another choice, a value may hold a slot, and the same number gives the same text."""
    slots = {"a": ["x", "y {b}"], "b": ["1", "2", "3"]}
    made = [filled("{a} and {b}", slots, number) for number in range(FILLINGS)]
    assert made == [filled("{a} and {b}", slots, number) for number in range(FILLINGS)]
    assert len(set(made)) > 3
    assert not any("{" in text for text in made)
    assert filled("plain", slots, 1) == "plain"


def test_labels_are_keys_and_kinds(tmp_path: Path) -> None:
    """No text of a row stands in the file; a row that is not in it is of no kind."""
    found = json.loads(FILE.read_text())
    assert {*found} == {"moderation", "harmbench", "simplesafety"}
    for name, rows in found.items():
        form = {"moderation": r"[0-9a-f]{12}", "harmbench": r"[a-z0-9_]{5,60}", "simplesafety": r"sst_\d{3}"}[name]
        assert all(re.fullmatch(form, key) and kinds and {*kinds} <= {*KINDS} for key, kinds in rows.items())
    file = tmp_path / "kinds.json"
    file.write_text(json.dumps({"set": {digest("a text"): [INTENT]}}))
    assert Kinds(file).of("set", digest("a text"), (VIOLENT, INTENT)) == {VIOLENT: 0, INTENT: 1}
    assert Kinds(file).of("set", "another") == dict.fromkeys(KINDS, 0)


def test_pairs_are_of_both_kinds_and_learnt_from_by_nothing() -> None:
    """At least a hundred texts of each sign for five categories, no text twice, and none of them a seed."""
    learnt = {seed.text for seed in seeds()}
    files = sorted(FOLDER.glob("*.txt"))
    assert [file.stem for file in files] == ["hate", "illicit", "self-harm", "sexual", "violence"]
    for file in files:
        assert all(line[:2] in ("+ ", "- ") for line in file.read_text(encoding="utf-8").splitlines())
        rows = texts(file)
        assert min(sum(of for of, _ in rows), sum(not of for of, _ in rows)) >= 100
        said = [text for _, text in rows]
        assert len({*said}) == len(said)
        assert not learnt & {*said}
