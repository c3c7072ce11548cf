"""The check `length` and the ratio to a route's norm."""

from __future__ import annotations

from math import log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.scorers.build import CHECKS, answer
from tierwise.scorers.length import length, norm_ratio
from tierwise.types import Answer, Choice, Image, Message, Request, Text, ToolCall


def asked(*contents: str | tuple[Text | Image, ...]) -> Request:
    return Request(id="r", asked="s", messages=tuple(Message("user", content) for content in contents))


def test_the_ratio_is_to_all_of_the_prompt() -> None:
    """Texts of all messages count, pictures don't; the detail tells the prompt's length only."""
    request = asked("x" * 60, (Text("y" * 39), Image("https://example.com/a.png")))
    found = length(request, answer("z" * 399), CHECKS)
    assert (found.passed, found.detail) == (None, "99 characters asked")
    assert found.value == pytest.approx(log(4))


def test_tool_calls_have_a_length() -> None:
    """Name and arguments of a call count."""
    draft = Answer("cheap", (Choice("", tool_calls=(ToolCall("1", "f", "{}"),), finish="tool_calls"),))
    assert length(asked("abc"), draft, CHECKS).value == 0.0


def test_the_choice_furthest_off_counts() -> None:
    """Shorter or longer alike."""
    assert length(asked("x" * 9), answer("y" * 9, "y" * 999, "y" * 99), CHECKS).value == pytest.approx(log(100))
    assert length(asked("x" * 99), answer("", "y" * 999), CHECKS).value == pytest.approx(-log(100))


def test_an_answer_that_still_grows_has_no_length() -> None:
    """A window, or an answer without a choice, is no finding."""
    assert length(asked("x"), answer("y", complete=False), CHECKS).value is None
    assert length(asked("x"), Answer("cheap", ()), CHECKS).value is None


@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_the_ratio_is_symmetric(one: int, other: int) -> None:
    """0 at the norm, and the other way round it is the same with the other sign."""
    assert norm_ratio(one, one) == 0.0
    assert norm_ratio(one, other) == pytest.approx(-norm_ratio(other, one))
    assert (norm_ratio(one, other) > 0) == (one > other)
