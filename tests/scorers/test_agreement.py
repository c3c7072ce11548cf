"""Whether other answers come to what the draft comes to."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.scorers.build import answer, request
from tierwise.scorers.agreement import AGREE, agree, opinions, same_prompt_form
from tierwise.types import Answer, Choice, Evidence, Image, Message, Request, Text, Tool, ToolCall

OPEN = "You can return the lamp within thirty days.\n\nSend it back in its box, with the receipt from the shop."
ALIKE = "The lamp can be returned within thirty days.\n\nSend it back in the box, with the shop's receipt."
OTHER = "We are closed on public holidays.\n\nOur opening hours stand on the door of each branch."


def asked(prompt: str, **fields: Any) -> Request:
    return Request(id="r", asked="support", messages=(Message("user", prompt),), **fields)


def calls(*wanted: tuple[str, str]) -> Answer:
    found = tuple(ToolCall(f"call_{n}", name, arguments) for n, (name, arguments) in enumerate(wanted))
    return Answer("cheap", (Choice(tool_calls=found, finish="tool_calls"),))


COUNT = asked("How many apples are there?")


def test_equal_conclusions_agree() -> None:
    """However they are told, and whatever leads to them."""
    assert agree(COUNT, answer("The answer is 1,000."), answer("500 twice makes 1000.00 apples")) == (1.0, "number")
    assert agree(COUNT, answer("The answer is 7."), answer("The answer is 8.")) == (0.0, "number")
    assert agree(COUNT, answer("The answer is 7."), answer("```python\napples = 5\nans = apples + 2\n```"))[0] == 1.0
    assert agree(request(), answer('{"label": "Spam"}'), answer('{ "label" : "spam" }'))[0] == 1.0


def test_calls_are_compared_by_name_and_arguments() -> None:
    """In any order; number types, key order and the case of texts do not count."""
    first = calls(("weather", '{"city": "Oslo", "days": 1}'), ("time", "{}"))
    second = calls(("time", ""), ("weather", '{"days": 1.0, "city": "oslo"}'))
    assert agree(request(), first, second) == (1.0, "calls")
    assert agree(request(), first, calls(("weather", '{"city": "Oslo", "days": 1}')))[0] == 0.0
    assert agree(request(), calls(("a", "{}"), ("a", "{}")), calls(("a", "{}")))[0] == 0.0
    assert agree(request(), calls(("a", "{}")), answer("a"))[0] == 0.0
    assert agree(request(), calls(("a", "{")), calls(("a", "{"))) == (0.0, "none")


@pytest.mark.parametrize(
    "other",
    [
        answer(),
        answer(""),
        answer("   "),
        answer("The answer is 7.", finish="length"),
        answer("The answer is 7.", finish=None),
        answer("The answer is 7.", finish="content_filter"),
        answer("The answer is 7.", complete=False),
        answer("", refusal="no"),
        answer("I'm sorry, but I can't help with that. The answer is 7."),
    ],
)
def test_what_is_no_whole_answer_agrees_with_nothing(other: Answer) -> None:
    """Cut short, empty, filtered or refused: neither as the draft nor as the opinion."""
    whole = answer("The answer is 7.")
    assert agree(COUNT, whole, other) == (0.0, "none")
    assert agree(COUNT, other, whole) == (0.0, "none")
    assert agree(COUNT, other, other) == (0.0, "none")


def test_a_conclusion_does_not_agree_with_open_text() -> None:
    """One comes to something and the other does not."""
    assert agree(request(), answer("Paris"), answer(OPEN), lambda left, right: 1.0) == (0.0, "none")


def test_every_choice_of_the_draft_must_agree() -> None:
    """A draft of several choices is as good as its worst."""
    other = answer("The answer is 7.")
    assert agree(COUNT, answer("The answer is 7.", "It is 7"), other)[0] == 1.0
    assert agree(COUNT, answer("The answer is 7.", "The answer is 8."), other)[0] == 0.0


def test_open_text_is_alike_or_not() -> None:
    """The cosine, the numbers and the content words together; never surely equal."""
    near, kind = agree(request(), answer(OPEN), answer(ALIKE), lambda left, right: 0.95)
    far, _ = agree(request(), answer(OPEN), answer(OTHER), lambda left, right: 0.1)
    assert kind == "open"
    assert 0 < far < 0.2 < AGREE <= near < 1
    assert agree(request(), answer(OPEN), answer(OPEN))[0] >= AGREE
    assert agree(request(), answer(OPEN), answer(ALIKE), lambda left, right: float("nan"))[0] < AGREE
    assert agree(request(), answer(OPEN), answer(ALIKE), lambda left, right: -1.0)[0] < AGREE
    assert 0 < agree(request(), answer("?\n?\n!"), answer("!\n!\n?"))[0] < 1


def test_alike_is_not_equal_where_numbers_or_code_differ() -> None:
    """Other numbers in the same words, and code, stay below what counts as agreement."""
    thirty, sixty = OPEN.replace("thirty", "30"), OPEN.replace("thirty", "60")
    assert agree(request(), answer(thirty), answer(sixty), lambda left, right: 1.0)[0] < AGREE
    code = f"{OPEN}\n```sql\nSELECT 1\n```\n"
    assert agree(request(), answer(code), answer(code), lambda left, right: 1.0)[0] < AGREE


def test_opinions_tell_how_many_agree() -> None:
    """All must agree; the value is their mean."""
    draft, same, other = answer("The answer is 7."), answer("It is 7"), answer("The answer is 9.")
    assert opinions(COUNT, draft, [same, draft]) == (
        Evidence("agreement", True, "2 of 2 opinions agree", 1.0),
        Evidence("opinions_agree", None, "", 0.0),
    )
    found = opinions(COUNT, draft, [same, other])
    assert found[0] == Evidence("agreement", False, "1 of 2 opinions agree", 0.5)
    assert found[1].value == 0.5
    assert opinions(COUNT, draft, []) == (
        Evidence("agreement", False, "0 of 0 opinions agree", 0.0),
        Evidence("opinions_agree", None, "", 0.0),
    )


def test_opinions_that_agree_against_the_draft() -> None:
    """Two that share another conclusion say more than two that differ."""
    draft = answer("The answer is 7.")
    nine, ten = answer("The answer is 9."), answer("The answer is 10.")
    assert opinions(COUNT, draft, [nine, nine, draft])[1].value == 1.0
    assert opinions(COUNT, draft, [nine, ten])[1].value == 0.5
    assert opinions(COUNT, draft, [answer(""), answer("")])[1].value == 0.5


def test_details_hold_no_words_of_answers() -> None:
    """Evidence is for people, and stays without texts."""
    for finding in opinions(COUNT, answer("The secret is 7."), [answer("The secret is 8.")]):
        assert "secret" not in finding.detail


def test_the_question_in_another_form() -> None:
    """An instruction is added to the last message of the user, and the request is written anew."""
    messages = (Message("system", "Be brief."), Message("user", "How many?"), Message("assistant", "Of what?"))
    plain = Request(id="r", asked="support", messages=(*messages, Message("user", "Apples.")), body={}, dialect="x")
    code = same_prompt_form(plain, "code")
    assert code.messages[:3] == messages
    assert "`ans`" in code.messages[3].content
    assert str(code.messages[3].content).startswith("Apples.\n")
    assert (code.dialect, code.body) == ("", {})
    assert "The answer is" in same_prompt_form(plain, "reason").messages[3].content
    assert same_prompt_form(plain, "same") is plain


def test_a_picture_stays_with_its_question() -> None:
    """Parts keep their places; the instruction is one more."""
    parts = (Text("How many?"), Image("https://example.com/apples.png"))
    found = same_prompt_form(Request(id="r", asked="s", messages=(Message("user", parts),)), "code").messages[0].content
    assert found[:2] == parts
    assert isinstance(found[2], Text)
    assert agree(asked(""), answer("7"), answer("7"))[0] == 1.0
    assert agree(Request(id="r", asked="s", messages=(Message("user", parts),)), answer("7"), answer("7.0"))[0] == 1.0


def test_a_form_that_the_client_fixed_stays() -> None:
    """JSON, a schema or tools leave no room for another form, nor does a talk without a question."""
    for fixed in (
        asked("How many?", json_answer=True),
        asked("How many?", schema={"type": "object"}),
        asked("How many?", tools=(Tool("count"),)),
        Request(id="r", asked="support", messages=(Message("system", "Be brief."),)),
    ):
        assert same_prompt_form(fixed, "code") is fixed


@given(st.text(max_size=80), st.text(max_size=80), st.text(max_size=40))
@settings(max_examples=100, deadline=None)
def test_no_text_raises(prompt: str, left: str, right: str) -> None:
    """Any texts have a score in [0, 1], and the order of two answers does not matter."""
    score, _ = agree(asked(prompt), answer(left), answer(right))
    assert 0.0 <= score <= 1.0
    assert agree(asked(prompt), answer(right), answer(left))[0] == score
