"""The check `vectors`: the operator's own tests, and which patterns are turned down."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.scorers.build import answer, request, shown
from tierwise.scorers.vectors import validate_vector, vectors
from tierwise.types import Checks, Evidence, Message, Request, Text, ToolCall, Vector


def found(text: str, *tests: Vector, asked: Request | None = None, **fields: Any) -> Evidence:
    return vectors(asked or request(), answer(text, **fields), Checks(vectors=tests))


def test_a_vector_must_be_found() -> None:
    """`expect` is searched for in the answer; what fails is told by its place in the list, not by its words."""
    number, polite = Vector(r"\d{4}"), Vector("(?i)thank you")
    assert shown(found("Call 0800. Thank you!", number, polite)) == (True, "")
    assert shown(found("Call 0800.", number, polite)) == (False, "vector 2 of 2")
    assert found("Call 0800.", number, polite).value == 0.5


def test_absent_turns_a_vector_round() -> None:
    """With `absent` the answer must not match."""
    assert found("Our competitor is better", Vector("(?i)competitor", absent=True)).passed is False
    assert found("We are better", Vector("(?i)competitor", absent=True)).passed is True


def test_when_limits_a_vector_to_some_prompts() -> None:
    """A vector applies only where `when` is found in what the user last said."""
    card, loan = Vector("PIN", when="card"), Vector("APR", when="loan")
    assert shown(found("Enter your PIN", card, loan)) == (True, "")
    assert shown(found("Enter it", card, loan)) == (False, "vector 1 of 2")
    assert found("Enter it", loan).passed is None


def test_when_reads_the_last_user_message() -> None:
    """Earlier turns, other roles and pictures don't count; parts of text do."""
    asked = request()
    parts = (Text("About my"), Text("loan"))
    later = Request(id="r", asked="x", messages=(*asked.messages, Message("assistant", "card"), Message("user", parts)))
    assert found("Nothing", Vector("PIN", when="card"), asked=later).passed is None
    assert found("Nothing", Vector("APR", when="loan"), asked=later).passed is False
    assert found("Nothing", Vector("PIN", when="card"), asked=Request(id="r", asked="x", messages=())).passed is None


def test_every_choice_must_hold() -> None:
    """One choice that fails is enough; a choice of tool calls only has no text to search."""
    calls = (ToolCall("1", "f", "{}"),)
    tests = Checks(vectors=(Vector("yes"),))
    assert vectors(request(), answer("yes", "no"), tests).passed is False
    assert vectors(request(), answer("", tool_calls=calls), tests).passed is None
    assert vectors(request(), answer(""), tests).passed is False


def test_nothing_to_look_at() -> None:
    """Without vectors, or before the answer is complete, there is no verdict."""
    assert found("yes").passed is None
    assert found("no", Vector("yes"), complete=False).passed is None


def test_long_answers_are_searched_at_both_ends() -> None:
    """The head and the tail of a long answer are searched."""
    middle = "word " * 10_000
    assert found("yes " + middle, Vector("yes")).passed is True
    assert found(middle + " yes", Vector("yes")).passed is True
    assert found(middle + " yes " + middle, Vector("yes")).passed is False


GOOD = [
    "a",
    r"^\s*\{",
    r"\d+(?:\.\d+)? ?(?:EUR|USD)",
    r"(?:\d{1,3}\.){3}\d{1,3}",
    "(?i)thank you|thanks",
    "(?:yes|no){1}",
    "foo.*bar",
    "foo.{0,200}bar.{0,200}baz",
    r"(\w+) \1",
    "(?=.*a)b",
    "(?>a+)+",
    "(?:a++b)*+",
    "(x)?(?(1)a|b)",
    "[^,]+,",
    "(?:ab)+",
    "(?:abc)*d*",
]


@pytest.mark.parametrize("pattern", GOOD)
def test_what_people_write_is_let_through(pattern: str) -> None:
    """Ordinary patterns have no problem, as `expect` and as `when`."""
    assert validate_vector(Vector(pattern, when=pattern)) is None


BAD = [
    ("", "empty"),
    ("(", "no regular expression"),
    ("a" * 1001, "longer than"),
    ("(a+)+", "repeated group"),
    ("(a|ab)*c", "repeated group"),
    ("(?:a+){9}", "repeated group"),
    ("(?:a+){2}", "repeated group"),
    ("((?:a?b)*)*", "repeated group"),
    ("(?:(?=a+)b)*", "repeated group"),
    ("(?>(a+)+b)", "repeated group"),
    ("(x)?(?(1)(a+)+|b)", "repeated group"),
    (".*foo.*bar", "without a bound more than 1"),
    (r"\D+x[^a]+", "without a bound more than 1"),
    (r"(?:ab)*(?:cd)*", "without a bound more than 1"),
    ("a*b*c*d*e*f*g*", "more than 6 repeats"),
    ("(" * 200 + "a" + ")" * 200 + "{2,99999999999}", "no regular expression"),
]


@pytest.mark.parametrize(("pattern", "said"), BAD)
def test_what_may_take_for_ever_is_turned_down(pattern: str, said: str) -> None:
    """The problem is told in words that say which field it is about."""
    problem = validate_vector(Vector(pattern))
    assert problem is not None
    assert problem.startswith("expect")
    assert said in problem


def test_when_is_validated_too() -> None:
    """A problem in `when` is told as one of `when`."""
    assert (validate_vector(Vector("a", when="(a+)+")) or "").startswith("when has")


@pytest.mark.unmeasured
@pytest.mark.parametrize("text", ["1" * 16_000, "a" * 16_000, "foo" * 5_333, "(" * 16_000, " " * 16_000])
def test_a_search_takes_bounded_time(text: str) -> None:
    """A simple vector over 16,000 hostile characters stays far below a second."""
    start = time.thread_time()
    found(text, Vector(r"\bref [A-Z]{2}\d{6}\b"), Vector("sorry", absent=True))
    assert time.thread_time() - start < 0.05
