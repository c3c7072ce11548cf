"""Words' labels to spans, and shapes: what the weights don't decide."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from tierwise.screens.recogniser import SHAPES, Recogniser, Tokens, joined, shape
from tierwise.screens.weights import load_weights

OTHER, NAME, ADDRESS, PLACE = 0, 1, 2, 3


def spans(text: str, *labels: int) -> list[tuple[str, str]]:
    found = joined(text, Tokens(text).at, list(labels))
    return [(span.type, text[span.start : span.end]) for span in found]


def test_neighbours_of_one_label_are_one_span() -> None:
    """Also over a comma or a hyphen between them; words of another label part them."""
    assert spans("Ann-Marie Lee met Bob", NAME, OTHER, NAME, NAME, OTHER, NAME) == [
        ("name", "Ann-Marie Lee"),
        ("name", "Bob"),
    ]


def test_a_name_ends_with_its_line_and_an_address_does_not() -> None:
    """Names stand in lists, addresses in blocks."""
    assert spans("Ann\nBob", NAME, OTHER, NAME) == [("name", "Ann"), ("name", "Bob")]
    assert spans("1 Elm\nYork", ADDRESS, ADDRESS, OTHER, ADDRESS) == [("address", "1 Elm\nYork")]


def test_a_place_belongs_to_the_address_before_it() -> None:
    """Alone it is not told."""
    assert spans("1 Elm, York", ADDRESS, ADDRESS, OTHER, PLACE) == [("address", "1 Elm, York")]
    assert spans("in York", OTHER, PLACE) == []


def test_a_letter_or_a_sign_is_no_span() -> None:
    """A single letter says nothing of anybody."""
    assert spans("a b, c", NAME, OTHER, NAME, NAME) == []


def test_every_word_has_a_shape() -> None:
    """Below SHAPES, as the weights have no more."""
    words = [
        "\n",
        ".",
        ",",
        ":",
        "-",
        ">",
        "(",
        '"',
        "!",
        "1",
        "1234567",
        "4th",
        "ab",
        "abcd",
        "A",
        "ABCDEFGH",
        "Ab",
        "aB",
    ]
    found = [shape(word) for word in words]
    assert all(0 <= number < SHAPES for number in found)
    assert len(set(found)) == len(found)


@given(st.text(st.sampled_from("ab1 \n\t.,'\u2019-_\u65e5\u0301"), max_size=60))
def test_words_are_where_they_are(text: str) -> None:
    """Equal words and signs too."""
    tokens = Tokens(text)
    assert [text[start:end] for start, end in tokens.at] == tokens.words
    assert re.sub(r"\s", "", text) == "".join(word for word in tokens.words if word != "\n")
    assert tokens.at == sorted(tokens.at)
    assert len(set(tokens.at)) == len(tokens.at)


def test_what_was_forgotten_is_found_again() -> None:
    """After more words than are remembered a text says what it said before."""
    text = "Please write to John Smith, 12 Main Street, London, and to Maria Gonzalez."
    recogniser = Recogniser(load_weights().recogniser)
    found = recogniser.spans(text)
    assert [text[span.start : span.end] for span in found if span.type == "name"] == ["John Smith", "Maria Gonzalez"]
    for start in range(0, 25_000, 5_000):
        recogniser.spans(" ".join([f"w{number}" for number in range(start, start + 5_000)]))
        assert recogniser.spans(text) == found
