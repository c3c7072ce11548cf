"""The checks of `grounded`: what an answer names, against what it was asked with."""

from __future__ import annotations

from time import thread_time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.scorers.build import CHECKS, answer
from tierwise.scorers.checks import Check
from tierwise.scorers.grounded import (
    CONTEXT,
    HELD,
    MOST_NAMED,
    MOST_NUMBERS,
    arguments_grounded,
    entities_grounded,
    numbers_grounded,
    numbers_used,
    quotes_grounded,
    said,
)
from tierwise.scorers.numerals import canonical, numbers
from tierwise.types import Answer, Choice, Image, Message, Request, Text, Tool, ToolCall

ALL: tuple[Check, ...] = (numbers_grounded, quotes_grounded, entities_grounded, arguments_grounded, numbers_used)


def asked(*texts: str, tools: tuple[Tool, ...] = ()) -> Request:
    return Request(id="r", asked="s", messages=tuple(Message("user", text) for text in texts), tools=tools)


def call(arguments: str, name: str = "f") -> Answer:
    return Answer("cheap", (Choice("", tool_calls=(ToolCall("1", name, arguments),), finish="tool_calls"),))


@pytest.mark.parametrize(
    ("written", "forms"),
    [
        ("007", ("7",)),
        ("0", ("0",)),
        ("1,234.50", ("1234.5",)),
        ("1.234,50", ("1234.5",)),
        ("1,234,567", ("1234567",)),
        ("1'234'567", ("1234567",)),
        ("1.234", ("1234", "1.234")),
        ("0.125", ("0.125",)),
        ("3.10", ("3.1",)),
        ("2.0", ("2",)),
        ("1,234.567", ("1234.567",)),
    ],
)
def test_one_number_has_one_form_however_it_is_written(written: str, forms: tuple[str, ...]) -> None:
    """Separators, leading and trailing zeros don't count; what may be two numbers is both."""
    assert canonical(written) == forms


@given(st.integers(0, 10**12))
@settings(max_examples=50, deadline=None)
def test_thousands_separators_make_no_difference(number: int) -> None:
    """Every whole number has the form of its plain digits among the forms of its grouped ones."""
    for grouped in (f"{number:,}", f"{number:,}".replace(",", "."), f"{number:,}".replace(",", "\u202f")):
        assert str(number) in canonical(grouped)


@given(st.text(st.sampled_from("0123456789.,'\u2019\u00a0\u202f a\u0663\x1c\ud800\u6f22"), max_size=60))
@settings(max_examples=200, deadline=None)
def test_numbers_of_a_long_text_are_those_of_a_short_one(text: str) -> None:
    """What stands between numbers makes no difference to them."""
    assert numbers(f"{'plain words, ' * 10}{text}") == numbers(text)


def test_numbers_are_found_as_they_are_meant() -> None:
    """Another separator, a percentage as a fraction, and pieces of a pair are the same numbers."""
    context = asked("Revenue rose 7 % to 1.234.567 EUR; the point is (30,40). In 2023 it was 12.50.")
    found = numbers_grounded(context, answer("1,234,567 in 2023, a factor of 0.07, 30 and 12.5"), CHECKS)
    assert (found.passed, found.value, found.detail) == (True, 1.0, "5 of 5")


def test_numbers_that_nobody_gave_lower_the_share() -> None:
    """The share is told, and fails nothing: right answers have results that no prompt holds."""
    found = numbers_grounded(asked("It costs 120 EUR."), answer("Of 120 EUR, 96 remain."), CHECKS)
    assert (found.passed, found.value) == (None, 0.5)


def test_numbering_is_not_looked_up() -> None:
    """Small whole numbers count lines and things."""
    assert numbers_grounded(asked("Hi"), answer("1. Open it\n2. Close it, 3 times"), CHECKS).value is None


def test_every_message_counts_as_context() -> None:
    """A system prompt, a tool's result and the arguments of an earlier call ground as well as the question."""
    messages = (
        Message("system", "Fees are 15 EUR."),
        Message("assistant", "", (ToolCall("1", "f", '{"id": 4711}'),)),
        Message("tool", (Text("balance 88.10"), Image("https://example.com/99.png")), tool_call_id="1"),
        Message("user", "Well?"),
    )
    request = Request(id="r", asked="s", messages=messages)
    assert numbers_grounded(request, answer("15, 4711 and 88.1"), CHECKS).value == 1.0
    assert numbers_grounded(request, answer("99"), CHECKS).value == 0.0
    assert said(messages[2]) == "balance 88.10"


def test_quotations_are_looked_up_word_for_word() -> None:
    """Spaces, case and quote style don't count, a changed word does; terms and code are no quotations."""
    context = asked("The notice says: the tenant\n must leave BY noon, or it's locked.")
    assert quotes_grounded(context, answer('It says "The tenant must leave by noon."'), CHECKS).value == 1.0
    assert quotes_grounded(context, answer("\u201cby noon, or it\u2019s locked\u201d"), CHECKS).value == 1.0
    half = answer('"the tenant must leave" and \u00abthe tenant must pay\u00bb')
    assert quotes_grounded(context, half, CHECKS).value == 0.5
    for other in ('"two words"', '```\nprint("one two three four")\n```', '{"a": "one two three four"}'):
        assert quotes_grounded(context, answer(other), CHECKS).value is None


def test_so_many_quotations_are_looked_up() -> None:
    """MOST_NAMED, among twice as many marked passages."""
    terms = '"two words" ' * (2 * MOST_NAMED - 1)
    for first, found in (("", "1 of 1"), ('"two words" ', None)):
        told = quotes_grounded(asked("a long quotation"), answer(f'{first}{terms}"a long quotation"'), CHECKS)
        assert told.detail == (found or "")
    many = " ".join(f'"quotation number {number}"' for number in range(2 * MOST_NAMED))
    assert quotes_grounded(asked("?"), answer(many), CHECKS).detail == f"0 of {MOST_NAMED}"


def test_names_are_looked_up_by_their_words() -> None:
    """Names inside a sentence, addresses and identifiers; what begins a sentence is no name."""
    context = asked("Who met Ada Lovelace? Use fetch_user and https://example.com/a.")
    assert entities_grounded(context, answer("There she met Ada Lovelace with fetch_user."), CHECKS).value == 1.0
    assert entities_grounded(context, answer("There she met Charles Babbage."), CHECKS).value == 0.0
    assert entities_grounded(context, answer("See https://example.org/other"), CHECKS).value == 0.0
    assert entities_grounded(context, answer("Nobody. Perhaps. However"), CHECKS).value is None


def test_names_are_the_same_in_every_script() -> None:
    """A character beyond ASCII elsewhere in the text changes nothing; one in a name belongs to it."""
    context = asked("Who met Ada Lovelace and Jean-Luc O'Neill?")
    for end in ("", " \u2014 so it goes", " \u6f22"):
        found = entities_grounded(context, answer(f"There she met Ada Lovelace, Jean-Luc and Bob Smith{end}"), CHECKS)
        assert found.detail == "2 of 3"
    assert entities_grounded(context, answer("There she met Ad\u00e0 Lovelace"), CHECKS).value == 0.0


def test_german_nouns_are_no_names() -> None:
    """German writes every noun with a capital."""
    text = "Das ist nicht der Grund, und wir haben auch keine Zeit mit dem Auto zu fahren."
    assert entities_grounded(asked("Warum?"), answer(text), CHECKS).value is None


def test_arguments_come_from_the_request() -> None:
    """Strings, numbers, dates, spelled numbers, percentages and what the schema itself offers are found."""
    tool = Tool("f", parameters={"properties": {"unit": {"enum": ["celsius"]}, "n": {"default": 55}}})
    context = asked("Weather in San Francisco on March 5, 2024 for three days at 7 percent?", tools=(tool,))
    arguments = (
        '{"city": "san francisco", "date": "2024-03-05", "days": 3, "rate": 0.07, "unit": "celsius", "ok": true}'
    )
    assert arguments_grounded(context, call(arguments), CHECKS).value == 1.0
    assert arguments_grounded(context, call('{"n": 55}'), CHECKS).value == 1.0
    half = arguments_grounded(context, call('{"cities": ["San Francisco, CA", "Oslo"], "deep": {"x": -8.25}}'), CHECKS)
    assert half.passed is None
    assert half.value == pytest.approx((2 / 3) / 3)


@pytest.mark.parametrize("arguments", ["{", "null", '{"a": true}', "[" * 3000, '"' + "x" * 20_000 + '"'])
def test_arguments_that_can_not_be_read_are_no_finding(arguments: str) -> None:
    """What is no JSON, holds no value, or is too long is left to the check `tools`."""
    assert arguments_grounded(asked("Hi"), call(arguments), CHECKS).value is None


def test_odd_schemas_offer_nothing() -> None:
    """A tool without a schema, or with one of another form, is no error."""
    odd: list[dict[str, Any]] = [{"properties": []}, {"properties": {"a": 1}}, {"properties": {"a": {"enum": 3}}}]
    for parameters in (None, *odd):
        request = asked("Hi", tools=(Tool("other"), Tool("f", parameters=parameters)))
        assert arguments_grounded(request, call('{"a": "b c"}'), CHECKS).value == 0.0


def test_numbers_of_the_question_are_used() -> None:
    """Left-out numbers lower the share, in text and in calls; spelled ones count."""
    context = asked("Earlier: 999", "Order 3 pizzas at 8 EUR and 12 donuts.")
    assert numbers_used(context, answer("Three pizzas at 8 EUR and 12 donuts."), CHECKS).passed is True
    found = numbers_used(context, call('{"item": "pizza", "quantity": 3, "price": 8}'), CHECKS)
    assert (found.passed, found.detail) == (None, "2 of 3")
    assert numbers_used(asked("A rate of 7 %"), call('{"rate": 0.07}'), CHECKS).value == 1.0
    assert numbers_used(context, answer("3", complete=False), CHECKS).value is None
    assert numbers_used(asked("No number"), answer("3"), CHECKS).value is None


def test_the_worst_choice_counts() -> None:
    """Every choice is looked at."""
    context = asked("It is 120 or 130.")
    assert numbers_grounded(context, answer("120", "77 or 120", "130"), CHECKS).value == 0.5
    assert numbers_used(context, answer("120 and 130", "120"), CHECKS).value == 0.5


def test_nothing_to_look_at() -> None:
    """No choice, no text: no finding. A request that is too long to search gives none either."""
    for check in ALL:
        assert check(asked("7 is it"), Answer("cheap", ()), CHECKS).value is None
        assert check(asked("Hi"), answer(""), CHECKS).value is None
    long = asked("x" * (CONTEXT + 1))
    texts = 'They met Ada in 1843: "one two three four"'
    for check in (numbers_grounded, quotes_grounded, entities_grounded):
        found = check(long, answer(texts), CHECKS)
        assert (found.passed, found.value, found.detail) == (None, None, "the request is too long to search")
    assert arguments_grounded(long, call('{"a": [1, 2]}'), CHECKS).value is None


@pytest.mark.unmeasured
@pytest.mark.parametrize(
    "unit",
    [
        '"',
        "\u201c",
        '"aa bb cc ',
        "A",
        "Aa ",
        "aa Bb ",
        "7",
        "7 ",
        "1,",
        "9.",
        "a_",
        "http://",
        "x",
        " ",
        "```",
        "\ud800",
    ],
)
def test_time_is_bounded(unit: str) -> None:
    """Whatever the text consists of, 16,000 characters or more of it take little."""
    text = unit * (30_000 // len(unit))
    request = asked(text[:16_000])
    began = thread_time()
    for check in ALL:
        check(request, answer(text), CHECKS)
    assert thread_time() - began < 0.1


@given(st.text(max_size=200), st.text(max_size=200))
@settings(max_examples=60, deadline=None)
def test_values_are_shares(prompt: str, text: str) -> None:
    """Any text: a value in [0, 1] or none, never False, and no word of prompt or answer in the detail."""
    for check in ALL:
        for draft in (answer(text), call(text)):
            found = check(asked(prompt), draft, CHECKS)
            assert found.value is None or 0.0 <= found.value <= 1.0
            assert found.passed is not False
            assert len(found.detail) < 40


@given(st.lists(st.integers(10, 10**9), min_size=1, max_size=8))
@settings(max_examples=40, deadline=None)
def test_what_is_repeated_is_grounded(values: list[int]) -> None:
    """An answer that only repeats the prompt's numbers, however grouped, has all of them from there."""
    plain = " and ".join(str(value) for value in values)
    grouped = " or ".join(f"{value:,}" for value in values)
    assert numbers_grounded(asked(plain), answer(grouped), CHECKS).value == 1.0
    assert numbers_used(asked(grouped), answer(plain), CHECKS).value == 1.0


# ------------------------------------------------------------------ how far an answer is read


def test_so_many_numbers_are_looked_up() -> None:
    """Of the different ones in an answer the first."""
    many = [str(number) for number in range(100, 101 + MOST_NUMBERS)]
    found = numbers_grounded(asked(" ".join(many[:-1])), answer(" and ".join(many)), CHECKS)
    assert (found.value, found.detail) == (1.0, f"{MOST_NUMBERS} of {MOST_NUMBERS}")
    assert numbers_grounded(asked(" ".join(many[1:])), answer(" and ".join(many)), CHECKS).value < 1.0  # type: ignore[operator]


def test_a_questions_numbers_are_looked_for_among_so_many() -> None:
    """The first ones of an answer."""
    many = " ".join(["77"] * (HELD - 1))
    assert numbers_used(asked("88?"), answer(f"{many} 88"), CHECKS).value == 1.0
    assert numbers_used(asked("88?"), answer(f"{many} 77 88"), CHECKS).value == 0.0
