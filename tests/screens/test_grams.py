"""The buckets of a text: the format that weights are made for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tierwise.screens.grams import BUCKETS, grams


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
