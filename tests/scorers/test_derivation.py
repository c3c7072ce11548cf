"""How an answer's numbers come about: sums worked out by hand."""

from __future__ import annotations

from math import isfinite, isnan, log
from time import thread_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tierwise.scorers.derivation import NAMES, TERMS, derivation
from tierwise.scorers.reading import DENSE, HEAD, MARKS

MAX_SECONDS = 0.02  # of CPU for texts of any length; ten times what is promised
ALWAYS = {"sums", "given"}
PROMPT = "A shop has 17 boxes of 23 pens each, and sells 41 pens. How many are left?"
SUMS = "17 * 23 = 391. Then 391 - 41 = 350. The answer is 350."
SHARES = tuple(name for name in NAMES if name not in {"sums", "given", "sums_per_given", "end_size", "end_growth"})
TEXTS = st.lists(
    st.sampled_from(
        ["17", "3.5", "1,200", " + ", " * ", " = ", "=", "\n", " half ", "12%", " and ", "x", "(", ")", "."]
    ),
    max_size=40,
).map("".join)


def named(prompt: str, answer: str) -> dict[str, float]:
    return dict(zip(NAMES, derivation(prompt, answer), strict=True))


def test_sums_that_lead_to_the_end() -> None:
    """Every number in them is given or worked out, every result is used, and the last is what is said at last."""
    told = named(PROMPT, SUMS)
    assert told["sums"] == 2
    assert told["given"] == 3
    assert told["given_in_sums"] == 1.0
    assert told["sums_to_end"] == 1.0
    assert told["sums_per_given"] == -1
    assert told["end_size"] == log(351)
    assert told["end_growth"] == log(351 / 42)
    assert told["end_whole"] == 1.0
    assert named(PROMPT, "It is 350.5.")["end_whole"] == 0.0
    assert [
        told[name] for name in ("sums_underived", "sums_unused", "sums_repeated", "given_missing", "end_given")
    ] == [0.0] * 5


@pytest.mark.parametrize(
    ("answer", "name", "share"),
    [
        ("17 * 23 = 391. Then 391 - 19 = 372.", "sums_underived", 1 / 4),
        ("17 * 23 = 391. Then 17 + 23 = 40. So 391 - 41 = 350.", "sums_unused", 1 / 2),
        ("17 * 23 = 391. So 23 * 17 = 391. So 391 - 41 = 350.", "sums_repeated", 1 / 3),
        ("17 * 23 = 391. There are 77 left.", "sums_to_end", 0.0),
        ("17 * 23 = 391.", "given_missing", 1 / 3),
        ("17 * 23 = 391, minus 41.", "given_in_sums", 2 / 3),
        ("17 * 23 = 391. There are 77 left.", "numbers_new", 1 / 4),
        ("There are 41, 42 or 4 left.", "numbers_given", 1 / 2),
        ("There are 41 and 0.5 left.", "numbers_given", 1 / 2),
        ("There are 41 left.", "end_given", 1.0),
        ("1,700 + 23 = 1,723. So 1,723 - 41 = 1,682.", "sums_underived", 1 / 4),
        ("There are 41 and 1,700 left.", "numbers_new", 1 / 2),
        ("There are 42 left.", "end_given", 0.0),
    ],
)
def test_what_gives_sums_away(answer: str, name: str, share: float) -> None:
    """A number that nobody mentioned, one that nothing uses, a result twice, an end out of nowhere."""
    assert named(PROMPT, answer)[name] == pytest.approx(share)


@pytest.mark.parametrize(
    ("prompt", "answer"),
    [
        ("Half of 46 pens are blue.", "46 * 0.5 = 23"),
        ("He has twice as many as the 23 that she has.", "23 * 2 = 46"),
        ("A dozen boxes of 23.", "12 * 23 = 276"),
        ("Eleven boxes of 23.", "11 * 23 = 253"),
        ("15% of 460 pens.", "460 * 0.15 = 69"),
        ("It rose by 15 percent from 460.", "460 * 1.15 = 529"),
        ("15 % less than 460.", "460 * 0.85 = 391"),
        ("He works 46 hours a week.", "46 * 52 = 2392"),
    ],
)
def test_numbers_that_words_give(prompt: str, answer: str) -> None:
    """Numbers in words, percents and their complements, and what everybody knows, are derived."""
    assert named(prompt, answer)["sums_underived"] == 0.0


def test_a_number_is_no_part_of_another() -> None:
    """Versions, names with digits and thousands separators are read as they are meant."""
    told = named("Version 1.2.3 of x17 costs $1,200.50.", "It costs 1200.5.")
    assert told["given"] == 2  # 1.2 and 1200.5
    assert told["end_given"] == 1.0


@pytest.mark.parametrize("beyond", ["", " \u00e9"])
@pytest.mark.parametrize(
    ("answer", "end"),
    [
        ("x1 _2 .3 4", 4.0),
        ("1,234,567.5", 1_234_567.5),
        ("9 12,34", 34.0),
        ("1.2.3", 1.2),
        ("8 v7", 8.0),
        ("1234567890123456", 123_456_789_012_345.0),
    ],
)
def test_numbers_are_read_alike_in_any_text(answer: str, end: float, beyond: str) -> None:
    """Whether all of the text is ASCII or not."""
    assert named("", answer + beyond)["end_size"] == log(end + 1)


def test_nothing_to_measure() -> None:
    """Without numbers, and without sums, shares are missing; counts never are."""
    told = named("Where is it?", "Here.")
    assert {name for name, value in told.items() if not isnan(value)} == ALWAYS
    told = named(PROMPT, "There are 350 left.")
    assert {name for name, value in told.items() if isnan(value)} == {
        name for name in NAMES if name.startswith("sums_") or name == "given_in_sums"
    }


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200) | TEXTS, st.text(max_size=200) | TEXTS)
def test_any_texts_have_a_number_for_each_name(prompt: str, answer: str) -> None:
    """Shares lie in [0, 1], all others are finite or missing, and the same texts give the same."""
    told = named(prompt, answer)
    assert all(isnan(told[name]) or 0.0 <= told[name] <= 1.0 for name in SHARES)
    assert all(isnan(value) or isfinite(value) for value in told.values())
    assert str(named(prompt, answer)) == str(told)


@pytest.mark.unmeasured
@pytest.mark.parametrize("size", [16_000, 1_000_000])
@pytest.mark.parametrize("unit", ["1 + 1 = 2. ", "1", "1,", "12% ", "= ", "3 = ", "two ", "1.", "(1 + ", "\n1 = 1"])
def test_any_length_takes_bounded_time(unit: str, size: int) -> None:
    """However long the texts are, and whatever they are made of."""
    text = unit * (size // len(unit))
    spent = []
    for turn in "abc":  # what was read a moment ago is remembered
        began = thread_time()
        derivation(f"{turn}{text}", f"{text} {turn}")
        spent.append(thread_time() - began)
    assert min(spent) <= MAX_SECONDS


# ------------------------------------------------------------------ how far an answer is read


def test_so_many_numbers_of_a_sum_are_read() -> None:
    """The first ones; nobody adds up more."""
    terms = [str(number) for number in range(1_001, 1_003 + TERMS)]
    told = named("?", f"{' + '.join(terms)} = 7")
    assert told["sums_underived"] == 1.0
    assert named(" ".join(terms[:TERMS]), f"{' + '.join(terms)} = 7")["sums_underived"] == 0.0
    assert named(" ".join(terms[: TERMS - 1]), f"{' + '.join(terms)} = 7")["sums_underived"] == 1 / TERMS


def test_of_a_dense_answer_the_end_is_read() -> None:
    """Its numbers are those of the last DENSE characters; of plain text all count."""
    numbers = "77, " * (MARKS // 2)
    assert named("88", f"88, {numbers}")["given_missing"] == 1.0
    assert named("77", f"88, {numbers}")["given_missing"] == 0.0
    assert named("88", f"88, {numbers[: DENSE // 2]}")["given_missing"] == 0.0
    assert named("88", f"88, {'seven words ' * MARKS}"[: 2 * DENSE])["given_missing"] == 0.0


def test_of_a_long_answer_the_same_is_read_as_elsewhere() -> None:
    """Sums and numbers of its head and its tail; what lies between counts for nothing."""
    head, middle, tail = "17 * 23 = 391. ", "Then 391 - 41 = 350. ", "The answer is 77."
    long = "some words " * (HEAD // 22)
    told = named(PROMPT, f"{head}{long}{tail}")
    assert (told["sums"], told["given_missing"], told["end_size"]) == (1, 1 / 3, log(78))
    told = named(PROMPT, f"{head}{long * 3}{middle}{long * 3}{tail}")
    assert (told["sums"], told["given_missing"], told["end_size"]) == (1, 1 / 3, log(78))
