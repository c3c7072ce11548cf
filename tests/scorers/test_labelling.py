"""How good a draft was beside premium's answer, as far as nobody's opinion is needed for that."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.scorers.build import CHECKS, answer, request
from tests.scorers.test_agreement import ALIKE, OPEN, OTHER, asked, calls
from tierwise.scorers.labelling import Compared, compared, unasked
from tierwise.types import Answer, Checks, Choice, Request, Tool, ToolCall, Vector

REFUSAL = "I'm sorry, but I can't help with that request."
SUM = asked("How many apples are there?")
CHOICE = asked("Which is right?\n(A) the lamp\n(B) the chair")
CLASS = asked("Is the mail spam or ham?")
JSON = asked("Give the order as JSON.", json_answer=True)
TOOLS = asked("What is the weather in Oslo?", tools=(Tool("weather"),))
EQUAL, APART = Compared("equality", 1.0, 1.0), Compared("equality", 0.0, 1.0)
STEP = Checks(vectors=(Vector(r"\d"), Vector("EUR", when="price")))


def of(draft: Any, premium: Any, about: Request = SUM, checks: Checks = CHECKS) -> Compared | None:
    """The comparison of two answers, or of two texts."""
    whole = [one if isinstance(one, Answer) else answer(one) for one in (draft, premium)]
    return compared(about, whole[0], whole[1], checks)


# ------------------------------------------------------------------ the operator's tests


def test_the_operators_own_tests_come_first() -> None:
    """Who fails one was not good, whatever the other says; who fails none was."""
    assert of("none", "The answer is 7.", checks=STEP) == Compared("checks", 0.0, 1.0)
    assert of("The answer is 7.", "none", checks=STEP) == Compared("checks", 1.0, 0.0)
    assert of("none", "none", checks=STEP) == Compared("checks", 0.0, 0.0)
    assert of("", "The answer is 7.", checks=STEP) == Compared("checks", 0.0, 1.0)
    assert of(OPEN, f"{ALIKE} 30 days.", checks=STEP) == Compared("checks", 0.0, 1.0)


def test_a_passed_test_settles_nothing() -> None:
    """It says what an answer must have at the least; both are still compared."""
    assert of("The answer is 7.", "It is 7.", checks=STEP) == EQUAL
    assert of("The answer is 7.", "The answer is 8.", checks=STEP) == APART
    assert of(f"{OPEN} 30 days.", f"{ALIKE} 30 days.", request(), STEP) is None


def test_a_test_that_does_not_apply() -> None:
    """Neither for nor against: not about this question, or not about calls of tools."""
    only = Checks(vectors=(Vector("EUR", when="price"),))
    assert of("The answer is 7.", "The answer is 8.", checks=only) == APART
    assert of("none", "7 EUR", asked("What is the price?"), only) == Compared("checks", 0.0, 1.0)
    called = calls(("weather", "{}"))
    assert of("it is fine", called, TOOLS, STEP) == Compared("checks", 0.0, 1.0)
    assert of(called, called, TOOLS, STEP) == EQUAL


def test_each_choice_is_tested() -> None:
    """One of several that fails is enough."""
    assert of(answer("7", "none"), "7", checks=STEP) == Compared("checks", 0.0, 1.0)


# ------------------------------------------------------------------ conclusions

WEATHER, LATER = '{"city": "Oslo", "days": 1}', '{"city": "Oslo", "days": 2}'


@pytest.mark.parametrize(
    ("about", "draft", "equal", "other"),
    [
        (SUM, "500 twice makes 1000.00 apples", "The answer is 1,000.", "The answer is 1,001."),
        (CHOICE, "The answer is (B).", "B", "(A) the lamp"),
        (asked("Is it open, yes or no?"), "Yes.", "The answer is yes.", "No, it is not."),
        (asked("On which day (YYYY-MM-DD)?"), "3 May 2024", "2024-05-03", "2024-05-04"),
        (CLASS, "spam", "Spam.", "Ham"),
        (JSON, '{"a": 1, "b": [2, "X"]}', '```json\n{"b": [2.0, "x"], "a": 1}\n```', '{"a": 1, "b": [3, "X"]}'),
        (
            TOOLS,
            calls(("weather", WEATHER)),
            calls(("weather", '{"days": 1.0, "city": "oslo"}')),
            calls(("time", WEATHER)),
        ),
        (TOOLS, calls(("weather", WEATHER)), calls(("weather", WEATHER)), calls(("weather", LATER))),
        (TOOLS, calls(("a", ""), ("b", "")), calls(("b", "{}"), ("a", "{}")), calls(("a", ""))),
    ],
    ids=["number", "choice", "boolean", "date", "class", "json", "calls", "arguments", "several"],
)
def test_equal_is_good_and_different_is_not(about: Request, draft: Any, equal: Any, other: Any) -> None:
    """After normalisation; premium is the measure, so its answer is always good."""
    assert of(draft, equal, about) == EQUAL
    assert of(equal, draft, about) == EQUAL
    assert of(draft, other, about) == APART
    assert of(other, draft, about) == APART


def test_what_premium_gets_wrong_is_harm_all_the_same() -> None:
    """Nobody here knows what is right."""
    found = of("The answer is 42.", "The answer is 43.", asked("What is the product of six and seven?"))
    assert found == APART


def test_short_words() -> None:
    """Up to four are a class or a name; longer ones, where they differ, may say the same all the same."""
    assert of("the red one here", "the blue one here", CLASS) == APART
    assert of("the red one over here", "the blue one", CLASS) is None
    assert of("the red one", "the blue one over here", CLASS) is None
    assert of("the red one over here", "The red one over here.", CLASS) == EQUAL


@pytest.mark.parametrize(
    ("draft", "premium"),
    [
        (OPEN, ALIKE),
        (OPEN, OTHER),
        ("The answer is 7.", OPEN),
        (OPEN, "The answer is 7."),
        ("The answer is 7.", "Seven or so, I think."),
        ("Seven or so, I think.", "The answer is 7."),
        ("It is fine.", calls(("weather", WEATHER))),
        (calls(("weather", WEATHER)), "It is fine."),
    ],
    ids=["alike", "apart", "draft only", "premium only", "kinds", "kinds too", "a call", "a call too"],
)
def test_open_text_takes_somebody(draft: Any, premium: Any) -> None:
    """How alike two texts look is no label; and a result beside an open text, or one of another kind, isn't either."""
    assert of(draft, premium) is None


def test_without_a_judge_a_vague_draft_is_not_good() -> None:
    """Beside a result of premium's; where neither comes to one, or only the draft does, people are asked."""
    assert unasked(SUM, answer(OPEN), answer("The answer is 7.")) == APART
    assert unasked(SUM, answer("The answer is 7."), answer(OPEN)) is None
    assert unasked(SUM, answer(OPEN), answer(ALIKE)) is None
    assert unasked(SUM, answer("I can't help with that."), answer("The answer is 7.")) == APART


def test_the_same_words_are_as_good() -> None:
    """Open text that is premium's to the letter; a refusal that is, is left to people all the same."""
    assert of(OPEN, OPEN) == Compared("equality", 1.0, 1.0)


# ------------------------------------------------------------------ no answer


def test_empty_answers() -> None:
    """To say nothing is worse than whatever premium says, and no worse than when premium says nothing."""
    nothing = (answer(), answer(""), answer(" \n"))
    for empty in nothing:
        assert of(empty, "The answer is 7.") == APART
        assert of(empty, OPEN) == APART
        assert of(OPEN, empty) == Compared("equality", 1.0, 0.0)
        assert [of(empty, other) for other in nothing] == [Compared("equality", 0.0, 0.0)] * 3


def test_reasoning_alone_says_nothing() -> None:
    """A client sees none of it."""
    thought = Answer("cheap", (Choice("", reasoning="It must be seven.", finish="stop"),))
    assert of(thought, "The answer is 7.") == APART
    assert of("The answer is 7.", thought) == Compared("equality", 1.0, 0.0)


@pytest.mark.parametrize("refused", [answer(REFUSAL), answer("", refusal="No.")], ids=["words", "field"])
def test_refusals_take_somebody(refused: Answer) -> None:
    """To decline may be right or wrong; two that decline may do it for different reasons."""
    assert of(refused, "The answer is 7.") is None
    assert of("The answer is 7.", refused) is None
    assert of(refused, answer(REFUSAL)) is None


@pytest.mark.parametrize("finish", ["length", "content_filter"])
def test_what_was_cut_off_takes_somebody(finish: Any) -> None:
    """Its last words are no result, even where they look like one."""
    cut = answer("The answer is 7.", finish=finish)
    assert of(cut, "The answer is 7.") is None
    assert of("The answer is 7.", cut) is None


def test_calls_that_are_no_json_take_somebody() -> None:
    """Nobody can compare them."""
    assert of(calls(("weather", "{")), calls(("weather", "{")), TOOLS) is None
    assert of(calls(("weather", "{")), calls(("weather", "{}")), TOOLS) is None


def test_several_choices() -> None:
    """A client who asked for several got each of them: all must be what premium's one is."""
    assert of(answer("The answer is 7.", "It is 7."), "7") == EQUAL
    assert of(answer("The answer is 7.", "It is 8."), "7") == APART
    assert of(answer("The answer is 8.", "It is 7."), "7") == APART
    assert of(answer("The answer is 7.", ""), "7") is None
    assert of(answer("", "7"), "7") is None


# ------------------------------------------------------------------ any texts

TEXTS = st.text(st.characters(exclude_categories=()), max_size=30) | st.sampled_from(
    ["7", "B", "[1]", '{"a": 1}', "\ud800"]
)
CALLS = st.lists(st.builds(ToolCall, TEXTS, TEXTS, TEXTS), max_size=2).map(tuple)
ENDS: st.SearchStrategy[Any] = st.sampled_from(["stop", "length", "tool_calls", "content_filter", None])
CHOICES = st.builds(Choice, TEXTS, TEXTS, st.just("") | TEXTS, CALLS, ENDS)
ANSWERS = st.builds(Answer, st.just("m"), st.lists(CHOICES, max_size=3).map(tuple))


@settings(max_examples=200, deadline=None)
@given(TEXTS, ANSWERS, ANSWERS, st.booleans(), st.sampled_from([CHECKS, STEP]))
def test_any_two_answers(prompt: str, draft: Answer, premium: Answer, json: bool, checks: Checks) -> None:
    """Nothing raises; a label is 0 or 1 for each, and where equality says so premium is good unless it is empty."""
    found = compared(asked(prompt, json_answer=json), draft, premium, checks)
    if found is None:
        return
    assert {found.draft, found.premium} <= {0.0, 1.0}
    assert found.source in ("checks", "equality")
    if found.source == "equality" and premium.text.strip():
        assert found.premium == 1.0


@settings(max_examples=100, deadline=None)
@given(CHOICES)
def test_an_answer_beside_itself(choice: Choice) -> None:
    """Does no harm, if it can be told."""
    found = compared(request(), Answer("cheap", (choice,)), Answer("premium", (choice,)), CHECKS)
    assert found is None or found.draft == found.premium
