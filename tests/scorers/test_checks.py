"""The smallest checks: finish, empty, logprob."""

from __future__ import annotations

import math

import pytest

from tests.scorers.build import CHECKS, answer, request, shown
from tierwise.scorers.checks import CHECKS as ALL
from tierwise.scorers.checks import MATERIAL, MEASURES, empty, finish, logprob, looked_for
from tierwise.types import Answer, Checks, Choice, Finish, Message, Request, ToolCall, Usage


@pytest.mark.parametrize("ended", ["stop", "tool_calls"])
def test_an_own_end_passes(ended: Finish) -> None:
    """A model that came to its own end has finished."""
    assert finish(request(), answer("Yes.", finish=ended), CHECKS).passed is True


@pytest.mark.parametrize("ended", ["length", "content_filter", None])
def test_another_end_fails(ended: Finish | None) -> None:
    """A cut, filtered or torn answer has not."""
    assert finish(request(), answer("Yes.", finish=ended), CHECKS).passed is False


def test_the_clients_own_limit_is_an_end() -> None:
    """Where the client set the limit, "length" at that limit is what it asked for; below it, it is not."""
    assert finish(request(max_output=20), answer("Yes", finish="length"), CHECKS).passed is True
    assert finish(request(max_output=50), answer("Yes", finish="length"), CHECKS).passed is False
    unknown = Answer("cheap", (Choice("Yes", finish="length"),))
    assert finish(request(max_output=20), unknown, CHECKS).passed is False


def test_every_choice_must_have_finished() -> None:
    """One bad choice among several fails the answer, and no choice at all does."""
    two = Answer("cheap", (Choice("a", finish="stop"), Choice("b", finish="content_filter")))
    assert shown(finish(request(n=2), two, CHECKS)) == (False, "content_filter")
    assert finish(request(), Answer("cheap", ()), CHECKS).passed is False


@pytest.mark.parametrize("text", ["", " \n\t", "\u200b\u200d\ufeff", "\u3164 \u2800", "\U000e0041", "\x00\x07"])
def test_what_can_not_be_seen_is_empty(text: str) -> None:
    """Blanks, zero-width characters, fillers, tags and controls are no answer; in a window, not yet."""
    assert empty(request(), answer(text), CHECKS).passed is False
    assert empty(request(), answer(text, complete=False), CHECKS).passed is None


def test_what_can_be_seen_is_not_empty() -> None:
    """One visible character, a tool call or a refusal is an answer."""
    assert empty(request(), answer("\u200b7"), CHECKS).passed is True
    assert empty(request(), answer("", tool_calls=(ToolCall("1", "f", "{}"),)), CHECKS).passed is True
    assert empty(request(), answer("", refusal="No."), CHECKS).passed is True
    assert empty(request(), answer("a", " "), CHECKS).passed is False
    assert empty(request(), Answer("cheap", ()), CHECKS).passed is False


def test_nothing_of_the_end_is_asked_of_a_window() -> None:
    """A partial answer has no finish yet, and that is no failure."""
    assert finish(request(), answer("Ye", finish=None, complete=False), CHECKS).passed is None


def test_the_mean_log_probability_is_compared() -> None:
    """The mean a token is held against the threshold, told with the number of tokens, in the worst choice."""
    assert shown(logprob(request(), answer("a", logprobs=(-0.1, -0.3)), CHECKS)) == (True, "mean -0.20 over 2 tokens")
    two = Answer("cheap", (Choice("a", logprobs=(-0.1,)), Choice("b", logprobs=(-2.0, -3.0))))
    assert shown(logprob(request(), two, CHECKS)) == (False, "mean -2.50 over 2 tokens")
    assert logprob(request(), answer("a", logprobs=(-0.5,), complete=False), CHECKS).passed is True


@pytest.mark.parametrize("odd", [math.nan, -math.inf, math.inf, 9.0])
def test_an_odd_log_probability_fails(odd: float) -> None:
    """A mean that is no number, infinite or above 0 does not pass for confidence."""
    assert logprob(request(), answer("a", logprobs=(-0.1, odd)), CHECKS).passed is False


def test_a_mean_that_is_no_number_is_the_worst() -> None:
    """A choice whose mean is no number is not forgotten over a better one, before or after it."""
    odd, good = Choice("a", logprobs=(math.nan,)), Choice("b", logprobs=(-0.1,))
    assert logprob(request(), Answer("cheap", (odd, good)), CHECKS).passed is False
    assert logprob(request(), Answer("cheap", (good, odd)), CHECKS).passed is False


def test_log_probabilities_may_be_absent_or_only_told() -> None:
    """Without them, or without a threshold, there is no finding; with no threshold the mean is still told."""
    assert shown(logprob(request(), answer("a"), CHECKS)) == (None, "")
    only_told = logprob(request(), answer("a", logprobs=(-5.0,)), Checks(min_logprob=None))
    assert shown(only_told) == (None, "mean -5.00 over 1 tokens")


def test_usage_of_the_answer_is_what_counts() -> None:
    """The limit is compared with output tokens, not input tokens."""
    long = Answer("cheap", (Choice("a", finish="length"),), Usage(input_tokens=900, output_tokens=3))
    assert finish(request(max_output=20), long, CHECKS).passed is False


# ------------------------------------------------------------------ what is looked for


LOGPROBS = {"logprob_low", "logprob_min", "logprob_spread", "logprob_entropy"}
GROUNDED = {"numbers_grounded", "quotes_grounded", "entities_grounded"}
CALLED = {"numbers_used", "arguments_grounded"}


@pytest.mark.parametrize(
    ("asked", "draft", "more"),
    [
        ("x" * (MATERIAL - 1), answer("7"), set()),
        ("x" * MATERIAL, answer("7"), GROUNDED),
        ("x", answer("", tool_calls=(ToolCall("1", "f", "{}"),)), CALLED),
        ("x", answer("7", logprobs=(-0.1,)), LOGPROBS),
        (
            "x" * MATERIAL,
            answer("7", logprobs=(-0.1,), tool_calls=(ToolCall("1", "f", "{}"),)),
            GROUNDED | CALLED | LOGPROBS,
        ),
    ],
)
def test_measures_need_something_to_go_by(asked: str, draft: Answer, more: set[str]) -> None:
    """Checks are always made; a measure only where a long request, a call or log-probabilities give it something."""
    every = {name for name, _ in MEASURES}
    names = [name for name, _ in looked_for(Request(id="r", asked="s", messages=(Message("user", asked),)), draft)]
    assert names[: len(ALL)] == [name for name, _ in ALL]
    assert set(names[len(ALL) :]) == every - LOGPROBS - GROUNDED - CALLED | more
    assert names == [name for name, _ in (*ALL, *MEASURES) if name in names]


def test_all_messages_make_up_the_material() -> None:
    """A document in an earlier turn counts, and one choice of several that calls something."""
    messages = (Message("system", "x" * MATERIAL), Message("user", "Well?"))
    draft = answer("7", tool_calls=(ToolCall("1", "f", "{}"),))
    two = Answer("cheap", (*answer("7").choices, *draft.choices))
    names = {name for name, _ in looked_for(Request(id="r", asked="s", messages=messages), two)}
    assert names >= GROUNDED | CALLED
