"""Texts as sparse vectors of pieces and pairs of pieces."""

from __future__ import annotations

from collections import Counter
from time import thread_time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tierwise.scorers.encoder import load_encoder
from tierwise.scorers.grams import BUCKETS, PIECES, Sparse, grams, weighted

MAX_SECONDS = 0.02  # of CPU for a text of any length; ten times what is promised
NUMBERS = st.lists(st.integers(0, 40) | st.integers(0, PIECES - 1), max_size=80)


def array(numbers: list[int]) -> NDArray[np.uint16]:
    return np.array(numbers, np.uint16)


def of_text(text: str) -> Sparse:
    return grams(load_encoder().pieces.array(text))


def same(one: Sparse, other: Sparse) -> bool:
    return np.array_equal(one[0], other[0]) and np.array_equal(one[1], other[1])


def test_pieces_and_pairs_are_counted() -> None:
    """A piece has the bucket of its number, pairs the others; the value grows with how often they come."""
    buckets, values = grams(array([5, 7, 5, 7, 9]))
    singles = buckets < PIECES
    assert buckets[singles].tolist() == [5, 7, 9]
    assert np.allclose(values[singles], 1 + np.log([2, 2, 1]))
    assert sorted(values[~singles].tolist()) == pytest.approx([1, 1, 1 + np.log(2)])  # 5 7 comes twice


@settings(max_examples=200, deadline=None)
@given(NUMBERS)
def test_any_text_is_a_vector(numbers: list[int]) -> None:
    """Buckets in order, each once and in range; singles are counted exactly, and no pair is lost."""
    buckets, values = grams(array(numbers))
    assert buckets.dtype == np.intp
    assert values.dtype == np.float32
    assert np.all(np.diff(buckets) > 0)
    assert np.all(buckets < BUCKETS)
    counts = np.exp(values.astype(float) - 1).round().astype(int)
    singles = buckets < PIECES
    assert dict(zip(buckets[singles].tolist(), counts[singles].tolist(), strict=True)) == Counter(numbers)
    assert counts[~singles].sum() == max(len(numbers) - 1, 0)


def test_the_order_of_pieces_counts() -> None:
    """Pairs tell "dog bites man" from "man bites dog"; single pieces do not."""
    one, other = grams(array([1, 2, 3])), grams(array([3, 2, 1]))
    assert one[0][:3].tolist() == other[0][:3].tolist()
    assert not same(one, other)


def test_the_hash_of_pairs_stays_as_it_is() -> None:
    """It is part of the format of every artefact: another one would make nonsense of those that exist."""
    assert grams(array([101, 2003]))[0].tolist() == [101, 2003, 81054]


def test_an_empty_text_has_an_empty_vector() -> None:
    """As has one without a known token, and both have no length."""
    for sparse in (grams(array([])), of_text(" \n")):
        assert len(sparse[0]) == len(sparse[1]) == 0
        assert len(weighted(sparse, np.ones(BUCKETS, np.float32))[1]) == 0


def test_one_piece_more_often_than_any_table_is_long() -> None:
    """The logarithm is the same whether it was worked out before or now."""
    buckets, values = grams(array([8] * 9_000))
    assert buckets[0] == 8
    assert values.tolist() == pytest.approx([1 + np.log(9_000), 1 + np.log(8_999)])


@pytest.mark.parametrize(
    "variant",
    [
        "WHERE IS MY CARD, 'Anna'?",
        "where  is\nmy\tcard , 'anna' ?",
        "Where is my card, \u2018Anna\u2019?",
        'Where is my card, "Anna"?',
    ],
    ids=["case", "spacing", "typographic quotes", "double quotes"],
)
def test_what_does_not_change_a_vector(variant: str) -> None:
    """Case, spacing and the style of quotes."""
    assert same(of_text(variant), of_text("Where is my card, 'Anna'?"))


@settings(max_examples=60, deadline=None)
@given(NUMBERS, st.integers(0, 2**32 - 1))
def test_weighted_vectors_have_length_one(numbers: list[int], seed: int) -> None:
    """Unless every bucket weighs nothing; directions are kept."""
    sparse = grams(array(numbers))
    idf = np.random.default_rng(seed).random(BUCKETS, np.float32)
    buckets, values = weighted(sparse, idf)
    assert buckets is sparse[0]
    if len(numbers):
        assert float(values @ values) == pytest.approx(1.0, rel=1e-4)
        assert np.allclose(
            values * float(np.linalg.norm(sparse[1] * idf[buckets])), sparse[1] * idf[buckets], rtol=1e-3
        )
    assert not weighted(sparse, np.zeros(BUCKETS, np.float32))[1].any()


@pytest.mark.unmeasured
@pytest.mark.parametrize("unit", ["a ", "card ", ".", "xq", "中"])
def test_any_length_takes_bounded_time(unit: str) -> None:
    """Of a text of a million characters the first are read."""
    text = unit * (1_000_000 // len(unit))
    spent = []
    for turn in "abc":
        began = thread_time()
        of_text(f"{turn} {text}")
        spent.append(thread_time() - began)
    assert min(spent) <= MAX_SECONDS
