"""The texts of our own that heads learn from: every file can be read, and slots are filled, always the same."""

from __future__ import annotations

import re

from benchmarks.screen_seeds import FILLINGS, filled, seeds
from tierwise.screens.weights import load_weights


def test_every_file_is_of_a_head_and_has_look_alikes() -> None:
    """At least ten texts of each sign."""
    every = list(seeds())
    heads = {seed.head for seed in every}
    assert heads <= set(load_weights().heads)
    assert len(heads) == 12
    for head in heads:
        for positive in (True, False):
            assert sum(seed.head == head and seed.positive == positive for seed in every) >= 10, (head, positive)


def test_no_text_has_an_open_slot() -> None:
    """And none is of two kinds."""
    every = list(seeds())
    assert not [seed for seed in every if re.search(r"\{[a-z]+\}", seed.text)]
    of = {(seed.head, seed.text): seed.positive for seed in every}
    assert all(of[seed.head, seed.text] == seed.positive for seed in every)


def test_slots_are_filled() -> None:
    """Another number gives another choice, a value may hold a slot, and the same number gives the same text."""
    slots = {"a": ["x", "y {b}"], "b": ["1", "2", "3"]}
    made = [filled("{a} and {b}", slots, number) for number in range(FILLINGS)]
    assert made == [filled("{a} and {b}", slots, number) for number in range(FILLINGS)]
    assert len(set(made)) > 3
    assert not any("{" in text for text in made)
    assert filled("plain", slots, 1) == "plain"
