"""The option that a draft chose, beside the others: worked out by hand."""

from __future__ import annotations

from math import isfinite, isnan, log
from time import thread_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tierwise.scorers.chosen import NAMES, chosen
from tierwise.scorers.reading import clipped

MAX_SECONDS = 0.02  # of CPU for texts of any length; ten times what is promised
SHARES = tuple(name for name in NAMES if name not in {"chosen_length", "chosen_digits"})
NUMBERS = ("chosen_rank", "chosen_aside", "chosen_extreme", "chosen_digits", "chosen_negative", "chosen_whole")
PROMPT = "How many boxes are there?\n"
TEXTS = st.lists(
    st.sampled_from(
        ["\nA. ", "\nB. ", "\n(C) ", "\n(a) ", "12", "-3.5", "10^", "x", " ", "\\times", "{", "boxes", "\n", "1,200"]
    ),
    max_size=40,
).map("".join)


def named(options: str, answer: str) -> dict[str, float]:
    lines = "\n".join(f"{letter}. {text}" for letter, text in zip("ABCDEFGH", options.split(" | "), strict=False))
    return dict(zip(NAMES, chosen(PROMPT + lines, answer), strict=True))


def test_where_it_stands_and_how_long_it_is() -> None:
    """Beside all options of the prompt."""
    first, last = (named("red | a dark green | blue or red", f"The answer is ({letter}).") for letter in "AC")
    assert (first["chosen_place"], first["chosen_first"], first["chosen_last"]) == (0.0, 1.0, 0.0)
    assert (last["chosen_place"], last["chosen_first"], last["chosen_last"]) == (1.0, 0.0, 1.0)
    assert (first["chosen_longest"], first["chosen_shortest"]) == (0.0, 1.0)
    assert first["chosen_length"] == pytest.approx(log(4) - (log(4) + log(13) + log(12)) / 3)
    middle = named("red | a dark green | blue or red", "(B)")
    assert (middle["chosen_place"], middle["chosen_longest"]) == (0.5, 1.0)


def test_whether_it_echoes_the_question() -> None:
    """Its words that stand before the options, less the mean share; those of other options are no question."""
    told = [named("boxes | bags | many sacks | bags", f"({letter})")["chosen_asked"] for letter in "ABC"]
    assert told == pytest.approx([1 - 1.5 / 4, -1.5 / 4, 0.5 - 1.5 / 4])


@pytest.mark.parametrize(
    ("letter", "rank", "extreme"), [("A", 1 / 3, 0.0), ("B", 0.0, 1.0), ("C", 1.0, 1.0), ("D", 2 / 3, 0.0)]
)
def test_how_large_its_number_is(letter: str, rank: float, extreme: float) -> None:
    """Among those of the options; powers of ten and signs count."""
    told = named("3.5 | $-7.2$ | 9.00 \\times 10^{3} | 1,200", f"({letter})")
    assert told["chosen_rank"] == pytest.approx(rank)
    assert told["chosen_aside"] == pytest.approx(abs(rank - 0.5))
    assert told["chosen_extreme"] == extreme


def test_what_its_number_looks_like() -> None:
    """Less what is usual among the options."""
    told = named("3.5 | -72 | 9 | 12", "(B)")
    assert told["chosen_digits"] == 2 - 7 / 4
    assert told["chosen_negative"] == 1 - 1 / 4
    assert told["chosen_whole"] == 1 - 3 / 4


def test_equal_numbers_share_a_rank() -> None:
    """Neither is larger."""
    told = [named("5 m | 5 s | 5 m/s", f"({letter})") for letter in "ABC"]
    assert [one["chosen_rank"] for one in told] == [0.5] * 3


def test_one_option_may_have_no_number() -> None:
    """With two without any there is no order; the one itself has no place in it."""
    some, none = named("3 | 4 | 5 | none of these", "(A)"), named("3 | 4 | 5 | none of these", "(D)")
    assert some["chosen_rank"] == 0.0
    assert all(isnan(none[name]) for name in NUMBERS)
    assert none["chosen_last"] == 1.0
    assert all(isnan(named("3 | 4 | all | none", "(A)")[name]) for name in NUMBERS)
    assert all(isnan(named("3 | 4", "(A)")[name]) for name in NUMBERS)


@pytest.mark.parametrize("answer", ["", "I can't tell.", "The answer is (F).", "B and C"])
def test_nothing_is_chosen(answer: str) -> None:
    """None of the options, or several."""
    assert all(map(isnan, named("3 | 4 | 5", answer).values()))


def test_nothing_to_choose_from() -> None:
    """No list of options, or statements that are lettered."""
    assert all(map(isnan, chosen("How many boxes are there?", "The answer is (A).")))
    assert all(map(isnan, chosen("How many of these are true?\n(a) 1 = 1\n(b) 2 = 3\n", "The answer is (A).")))


@settings(max_examples=200, deadline=None)
@given(TEXTS, st.sampled_from(["(A)", "The answer is B.", "C", ""]))
def test_any_text_gives_numbers(prompt: str, answer: str) -> None:
    """In their ranges, or none."""
    told = dict(zip(NAMES, chosen(prompt, answer), strict=True))
    assert all(isfinite(value) or isnan(value) for value in told.values())
    assert all(-1 <= told[name] <= 1 for name in SHARES if not isnan(told[name]))


@pytest.mark.parametrize(
    "prompt",
    [
        "\nA. 1\nB. 2" * 20_000,
        "A. " + "9" * 100_000 + "\nB. 2\nC. 3",
        "A. 1" + " $" * 50_000 + "\nB. 2\nC. 3",
        "\n(a) " * 50_000,
    ],
)
def test_long_prompts_take_no_longer(prompt: str) -> None:
    """Of which the head and the tail are read, as of every prompt."""
    read = clipped(prompt)
    chosen(read, "")
    best = 1.0
    for number in range(3):
        begin = thread_time()
        chosen(f"{number} {read}", "The answer is (A).")
        best = min(best, thread_time() - begin)
    assert best < MAX_SECONDS
