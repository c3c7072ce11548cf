"""Several texts read at once say what each of them says alone: same buckets, same probabilities."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tierwise.gateway.screening.guards import shared_reader
from tierwise.screens.grams import grams, grams_each

TEXTS = st.lists(st.text(max_size=60), max_size=8)
MIXED = ["", "a", "ab ab", "I want to go home.", "\ud800", "", "don't stop", "0"]


def alone(texts: list[str]) -> list[int]:
    return [number << 16 | int(bucket) for number, text in enumerate(texts) for bucket in grams(text)]


def test_the_same_buckets() -> None:
    """Texts that have none, and what no text can be written with, among them."""
    assert grams_each(MIXED).tolist() == alone(MIXED)
    assert grams_each([]).tolist() == []
    assert grams_each([""]).tolist() == alone([""])


@given(TEXTS)
def test_the_same_buckets_of_any(texts: list[str]) -> None:
    """Runs of two texts are of neither."""
    assert grams_each(texts).tolist() == alone(texts)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(max_size=150), min_size=1, max_size=6))
def test_the_same_probabilities(texts: list[str]) -> None:
    """Of every head."""
    reader = shared_reader()
    each = reader.each(texts)
    for row, text in zip(each, texts, strict=True):
        known = reader.probabilities(text)
        assert np.allclose(row, [known[head] for head in reader.heads], atol=1e-4)
