"""The buckets of a text: the format that weights are made for."""

from __future__ import annotations

import re
from itertools import pairwise
from zlib import crc32

from hypothesis import example, given
from hypothesis import strategies as st

from tierwise.screens.grams import BUCKETS, grams

WHOLE = 0xFFFFFFFF
WRITTEN = st.text(st.sampled_from("ab'_1 -.\u00e9\u65e5"), max_size=40)


def test_the_hash_is_the_weights_format() -> None:
    """A change of it makes every weight wrong, and has to be seen."""
    assert grams("ab").tolist() == [1248, 4655, 5524, 7819, 39794, 39838, 54038]
    assert grams("ab cd").tolist() == [
        1248,
        3633,
        4655,
        5217,
        5524,
        6841,
        7819,
        13163,
        23905,
        27112,
        34159,
        34648,
        36524,
        38365,
        39794,
        39838,
        47270,
        51890,
        54038,
        57009,
        57884,
    ]


def defined(text: str) -> list[int]:
    """What the hash says, number by number."""
    codes = list(map(ord, f" {text} ".encode("utf-8", "replace").decode()))
    words = [crc32(word.encode()) for word in re.findall(r"\w+(?:'\w+)?", text)]
    runs = [(size, codes[at : at + size]) for size in range(2, 6) for at in range(len(codes) - size + 1)]
    runs += [(6, [word]) for word in words]
    runs += [(7, list(pair)) for pair in pairwise(words)]
    found = set()
    for salt, (first, *others) in runs:
        number = first
        for other in others:
            number = (number * 0x01000193 + other) & WHOLE
        found.add(((number ^ (0x85EBCA6B * salt & WHOLE)) * 0x9E3779B1 & WHOLE) >> 16)
    return sorted(found)


@given(st.one_of(st.text(st.characters(exclude_categories=["Cs"]), max_size=60), WRITTEN))
@example("don't 'stop' o'clock's a''b '' _'_")
def test_every_bucket_is_by_the_hash(text: str) -> None:
    """However words, apostrophes and signs stand, in letters of ASCII and others."""
    assert grams(text).tolist() == defined(text)


@given(st.text(max_size=300))
def test_buckets_are_increasing_and_in_range(text: str) -> None:
    """Each once, whatever the text is."""
    found = grams(text).tolist()
    assert found == sorted(set(found))
    assert not found or (found[0] >= 0 and found[-1] < BUCKETS)


def test_order_of_words_counts_and_repeats_do_not() -> None:
    """Pairs of words are seen; saying something twice adds only the seam."""
    assert set(grams("dog bites man")) != set(grams("man bites dog"))
    once, twice = set(grams("hello there")), set(grams("hello there hello there"))
    assert once <= twice
    assert len(twice - once) < 15


def test_an_empty_text_has_hardly_any() -> None:
    """Only the two spaces around it."""
    assert len(grams("")) == 1
