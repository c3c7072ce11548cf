# ruff: noqa: RUF001 - the words of other scripts are meant
"""The check `hedging`: doubts in several languages, counted by the number of words."""

from __future__ import annotations

from time import thread_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.scorers.build import CHECKS, answer, request
from tierwise.scorers.hedging import LEAST, MOST, hedging
from tierwise.types import Answer


def density(*texts: str) -> float | None:
    return hedging(request(), answer(*texts), CHECKS).value


@pytest.mark.parametrize(
    ("text", "hedges"),
    [
        ("It might be 7.", 1),
        ("Probably, I think, it's 7. I'm not sure.", 3),
        ("I\u2019m not sure.", 1),
        ("This cannot be determined; we need more information.", 2),
        ("The closest option is (B), assuming no friction.", 2),
        ("None of the options fits, however.", 2),
        ("Vielleicht sind es ungefähr sieben, ich bin nicht sicher.", 3),
        ("C'est peut-être sept, environ, je pense.", 3),
        ("Tal vez sean siete, no estoy seguro.", 2),
        ("Forse sono circa sette, credo che basti.", 3),
        ("Talvez sejam sete, mas não tenho certeza.", 2),
        ("Misschien zijn het er ongeveer zeven.", 2),
        ("Prawdopodobnie siedem, trudno powiedzieć.", 2),
        ("Возможно, примерно семь.", 2),
        ("It's more or less seven; there is not enough information, so it is hard to say.", 3),
        ("The price is \u201cabout\u201d seven \u2013 perhaps.", 1),
        ("\u212aind of seven, however.", 1),
        ("It is possible to say more, and information is not hard to find.", 0),
        ("The mighty almost certainly think so.", 0),
        ("Your card ships tomorrow.", 0),
    ],
)
def test_hedges_are_counted(text: str, hedges: int) -> None:
    """Words and phrases of doubt count once each; words that only contain one do not."""
    assert density(text) == 100 * hedges / LEAST


def test_scripts_without_spaces() -> None:
    """Chinese, Japanese and Korean hedges are found inside the line."""
    assert (density("这可能是七，我不确定。" * 10) or 0) > 5
    assert (density("それはおそらく七だと思います。") or 0) > 5
    assert (density("아마 일곱일 것 같습니다.") or 0) > 5
    assert density("这是七。") == 0.0


def test_density_is_by_the_number_of_words() -> None:
    """One doubt in a long answer weighs less than in a short one; the worst choice counts; details quote nothing."""
    long = "It is seven because it says so in the book. " * 10
    assert density(f"{long}Perhaps.") == pytest.approx(100 / 101)
    found = hedging(request(), answer("Seven.", "Perhaps seven.", "Eight."), CHECKS)
    assert (found.passed, found.value, found.detail) == (None, 5.0, "1 in 2 words")
    assert hedging(request(), answer("Seven."), CHECKS).passed is True


def test_nothing_to_look_at() -> None:
    """Without a text there is no finding."""
    assert density(" ") is None
    assert hedging(request(), Answer("cheap", ()), CHECKS).value is None


@pytest.mark.unmeasured
@pytest.mark.parametrize("unit", ["might ", "i think ", "wait ", '"', "A", "7", "x", " ", "可能", "слово и "])
def test_time_is_bounded(unit: str) -> None:
    """Whatever the text consists of, 16,000 characters or more of it take little."""
    draft = answer(unit * (30_000 // len(unit)))
    began = thread_time()
    hedging(request(), draft, CHECKS)
    assert thread_time() - began < 0.05


@given(st.text(max_size=300))
@settings(max_examples=60, deadline=None)
def test_any_text_has_a_density(text: str) -> None:
    """Not negative, and it never fails an answer."""
    found = hedging(request(), answer(text), CHECKS)
    assert found.value is None or found.value >= 0
    assert found.passed is not False


def test_so_many_places_are_looked_at() -> None:
    """The first MOST of a text that does nothing but hedge."""
    found = hedging(request(), answer("maybe " * (MOST + 9)), CHECKS)
    assert found.detail == f"{MOST} in {MOST + 9} words"
