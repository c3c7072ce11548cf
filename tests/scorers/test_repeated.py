"""The check `repeated`: loops, and what only looks like one."""

from __future__ import annotations

from time import thread_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.scorers.build import CHECKS, answer, request
from tierwise.scorers.repeated import repeated
from tierwise.types import Checks


@pytest.mark.parametrize(
    "text",
    [
        "a" * 400,
        "No" + "!" * 200,
        "The card.\n" * 6,
        "Well:\n" + "I will check that for you.\n\n" * 5 + "Done.",
        "Sure. " + "thank you very much and " * 12,
        "Let me think about it. Then I will answer. " * 9,
        "word " * 30 + "word.",
        "\u6211\u7231\u4f60\uff0c" * 30,
        "x " * 20_000,
        "A fine beginning of many words. " * 2 + "and so on and on " * 3000,
    ],
)
def test_a_loop_is_seen(text: str) -> None:
    """Runs of a character, of a line, and ends of one phrase over and over fail, whole and in a window."""
    assert repeated(request(), answer(text), CHECKS).passed is False
    assert repeated(request(), answer(text, complete=False), CHECKS).passed is False


TABLE = "| name | open | closed |\n|------|------|--------|\n" + "".join(
    f"| shop {i} | yes | no |\n" for i in range(40)
)
CODE = "".join(f"    if value == {i}:\n        return names[{i}]\n" for i in range(40))
ENDS = "begin\n" + "".join(f"{' ' * (20 - 2 * i)}end\n" for i in range(10))


@pytest.mark.parametrize(
    "text",
    [
        "It arrives tomorrow.",
        TABLE,
        CODE,
        ENDS,
        "-" * 200 + "\nTotal\n" + "=" * 200,
        "[" + "0, " * 50 + "0]",
        "0 0 0 0\n" * 8,
        "Row, row, row your boat\n" * 3 + "gently down the stream",
        "na na na na, hey hey, goodbye",
        "ha ha ha ha ha ha ha ha",
        "- yes\n- no\n" * 4,
        "0x" + "0" * 64,
    ],
)
def test_no_loop(text: str) -> None:
    """Tables, code, rules, zeros, refrains and laughter pass."""
    assert repeated(request(), answer(text), CHECKS).passed is True


def test_the_route_sets_how_often() -> None:
    """The threshold is the route's; more patience lets more through."""
    text = "I will look into it for you.\n" * 6
    assert repeated(request(), answer(text), CHECKS).passed is False
    assert repeated(request(), answer(text), Checks(max_repeats=12)).passed is True


def test_nothing_to_look_at() -> None:
    """An answer without text is not looked at."""
    assert repeated(request(), answer(""), CHECKS).passed is None


@given(st.lists(st.sampled_from(["alpha", "beta", "gamma", "delta"]), min_size=5, max_size=9), st.integers(6, 40))
@settings(max_examples=60, deadline=None)
def test_any_phrase_of_words_over_and_over_is_seen(words: list[str], times: int) -> None:
    """Whatever the phrase, its sixth repetition at the end is one too many."""
    text = "First a sentence. " + " ".join(words * times) + " beta"
    assert repeated(request(), answer(text), CHECKS).passed is False


@given(st.text(alphabet="ab \n.", max_size=40), st.integers(1, 2000))
@settings(max_examples=60, deadline=None)
def test_time_is_bounded_on_any_periodic_text(unit: str, times: int) -> None:
    """No periodic text, however long, takes longer than 50 ms of CPU."""
    began = thread_time()
    repeated(request(), answer(unit * times), CHECKS)
    assert thread_time() - began < 0.05


def test_a_long_loop_needs_as_many_rounds() -> None:
    """The longest of which more than `max_repeats` fit into the words that are looked at is found."""
    words = " ".join(f"{chr(97 + number // 26)}{chr(97 + number % 26)}" for number in range(127))
    assert repeated(request(), answer(f"{words} " * 8), CHECKS).passed is False
