"""Several texts read at once say what each of them says alone: same buckets, same probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tierwise.gateway.screening.guards import shared_moderation, shared_reader
from tierwise.scorers.encoder import load_encoder
from tierwise.screens.grams import grams, grams_each
from tierwise.screens.moderation import Moderation
from tierwise.screens.normalised import readings
from tierwise.screens.reader import Reader
from tierwise.screens.screen import windows
from tierwise.screens.sentences import KEPT
from tierwise.screens.weights import load_weights

TEXTS = st.lists(st.text(max_size=60), min_size=1, max_size=8)
MIXED = ["", "a", "ab ab", "I want to go home.", "\ud800", "", "don't stop", "0"]


def alone(texts: list[str]) -> list[int]:
    return [number << 16 | int(bucket) for number, text in enumerate(texts) for bucket in grams(text)]


def each(texts: list[str]) -> list[int]:
    buckets, first, ends = grams_each(texts)
    assert ends[-1] == len(buckets) == len(first)
    bounds = enumerate(pairwise((0, *ends)))
    return [number << 16 | int(bucket) for number, (a, b) in bounds for bucket in buckets[a:b][first[a:b]]]


def test_the_same_buckets() -> None:
    """Texts that have none, and what no text can be written with, among them."""
    assert each(MIXED) == alone(MIXED)
    assert each([""]) == alone([""])


@given(TEXTS)
def test_the_same_buckets_of_any(texts: list[str]) -> None:
    """Runs of two texts are of neither."""
    assert each(texts) == alone(texts)


LONG = "You are kind. " * 40 + "I will kill you tonight. " + "The weather was fine. " * 30


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(max_size=350) | st.sampled_from([LONG, "", "lliw I uoy llik"]), max_size=6))
def test_several_texts_are_found_what_each_is_found(texts: list[str]) -> None:
    """Short ones in one go, long ones beside them, whoever has read them before."""
    moderation = Moderation(Reader(load_weights(), load_encoder()))
    for found, text in zip(moderation.screen_each(texts), texts, strict=True):
        alone = shared_moderation().screen(text)
        assert found.scores == pytest.approx(alone.scores, abs=1e-4)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(max_size=150), min_size=1, max_size=6))
def test_the_same_probabilities(texts: list[str]) -> None:
    """Of every head, where a text is not read backwards too."""
    reader = shared_reader()
    each = reader.each(texts)
    for row, text in zip(each, texts, strict=True):
        known = reader.probabilities(text)
        exact = len(readings(text)) == 1
        for share, head in zip(row, reader.heads, strict=True):
            assert share == pytest.approx(known[head], abs=1e-4) if exact else share <= known[head] + 1e-4


class Heard:
    """An encoder that knows what it was asked."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.encode = load_encoder().encode

    def sums(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.texts += texts
        return load_encoder().sums(texts)


def anew() -> Reader:
    return Reader(load_weights(), load_encoder())


def test_a_sentence_is_read_once() -> None:
    """Whatever stands around it, and in whichever order; it says what it said before."""
    heard = Heard()
    reader = Reader(load_weights(), heard)
    first = reader.each(["i hate you", "what a day", "i hate you"])
    again = reader.each(["a new one", "what a day", "i hate you"])
    assert heard.texts == ["", "i hate you", "what a day", "a new one"]
    assert np.allclose(again[1:], first[[1, 0]], atol=1e-6)
    assert np.allclose(reader.each(["what a day"]), first[1:2], atol=1e-6)
    assert heard.texts == ["", "i hate you", "what a day", "a new one"]
    assert np.allclose(again, anew().each(["a new one", "what a day", "i hate you"]), atol=1e-6)


def test_a_long_text_that_goes_on_is_read_where_it_is_new() -> None:
    """Its sentences before are known; the whole of it is not, and so it scores what it scores anew."""
    heard = Heard()
    reader = Reader(load_weights(), heard)
    text = "".join([f"We have waited for parcel {number} for a long time. " for number in range(10)])
    threat = "I will find you and hurt you."
    reader.probabilities(text + "Please tell us why.")
    before = len(heard.texts)
    found = reader.probabilities(text + threat)
    assert heard.texts[before:] == [threat.lower().strip(".")]
    assert list(found.values()) == pytest.approx(list(anew().probabilities(text + threat).values()), abs=1e-6)


def test_what_was_read_in_one_go_is_at_hand() -> None:
    """Of all of them, until the next ones are read; a long one and an empty one among them."""
    reader = anew()
    texts = ["I hate you.", LONG, "", "What a day."]
    read = reader.probabilities_each(texts)
    assert all(reader.probabilities(text) is known for text, known in zip(texts, read, strict=True))
    reader.probabilities_each(["another"])
    assert reader.probabilities(texts[0]) is not read[0]
    assert reader.probabilities(texts[0]) == pytest.approx(read[0], abs=1e-5)


def test_so_many_sentences_are_remembered() -> None:
    """Beyond that, the oldest are forgotten."""
    heard = Heard()
    reader = Reader(load_weights(), heard)
    words = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
    texts = [" ".join(words[int(digit)] for digit in str(number)) for number in range(KEPT + 1)]
    for start in range(0, len(texts), 1000):
        reader.each(texts[start : start + 1000])
    heard.texts.clear()
    reader.each([texts[-1], texts[1], texts[0]])
    assert heard.texts == [texts[0]]


def halves(text: str) -> list[str]:
    middle = text.find(" ", len(text) // 2)
    return [text[:middle], text[middle:]] if middle > 0 else []


@pytest.mark.parametrize(
    "text", ["I hate you", "", "no", "We have waited for the parcel. " * 30, "What a day it is! " * 1200]
)
def test_a_text_and_its_parts_in_one_go(text: str) -> None:
    """Both are what they are apart, also where the text was read before; of several windows, the parts of each."""
    reader = anew()
    parts = [half for _, window in windows(text) for half in halves(window)]
    for _ in range(2):
        shares, told = reader.both(text, halves)
        assert list(shares.values()) == pytest.approx(list(anew().probabilities(text).values()), abs=1e-6)
        assert reader.probabilities(text) is shares
        assert told.shape == (len(parts), len(reader.heads))
        assert np.allclose(told, anew().each(parts).reshape(told.shape), atol=1e-6)
