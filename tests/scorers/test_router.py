"""The length router: monotone in what it looks at, bounded in what it takes, and no verifier."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conformance.scorer import REQUESTS, keeps_the_contract, takes_bounded_time
from tierwise.errors import CheckFailed
from tierwise.scorers.router import CAP, HALF, LengthRouter
from tierwise.types import Answer, Foreign, Image, Message, Request, Text, Tool

ROUTER = LengthRouter()


def asking(content: Any, **changes: Any) -> Request:
    return Request(id="r", asked="support", messages=(Message("user", content),), **changes)


def score(request: Request) -> float:
    return ROUTER.score(request, None).score


@settings(max_examples=50, deadline=None)
@given(REQUESTS)
def test_contract(request: Request) -> None:
    """What every scorer keeps."""
    assert keeps_the_contract(ROUTER, request, None).score < 1.0


@pytest.mark.unmeasured
def test_bounded_time() -> None:
    """A prompt of many megabytes costs no more than its length."""
    takes_bounded_time(ROUTER, asking("x" * (8 << 20)), None)
    takes_bounded_time(ROUTER, asking((Text("x"),) * 10_000), None)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 3 * CAP), st.integers(0, 3 * CAP))
def test_longer_is_never_lower(one: int, other: int) -> None:
    """The score grows with the newest turn, up to the cap."""
    low, high = sorted((one, other))
    assert score(asking("x" * low)) <= score(asking("x" * high))


def test_anchors() -> None:
    """Nothing scores 0, the half length one half, and beyond the cap it stays as it is."""
    assert score(asking("")) == 0.0
    assert score(asking("x" * HALF)) == 0.5
    assert score(asking("x" * CAP)) == score(asking("x" * 10 * CAP)) == CAP / (CAP + HALF)
    assert score(Request(id="r", asked="s", messages=())) == 0.0


def test_only_the_newest_turn_counts() -> None:
    """A long history behind a short question is a short question."""
    history = Message("user", "x" * CAP), Message("assistant", "y" * CAP), Message("user", "And now?")
    assert score(Request(id="r", asked="s", messages=history)) == score(asking("And now?"))


@pytest.mark.parametrize("changes", [{"tools": (Tool("now"),)}, {"json_answer": True}, {"n": 2}])
def test_what_must_be_right_as_a_whole_counts_as_long(changes: dict[str, Any]) -> None:
    """Structured answers, tools and several choices go to premium at the usual threshold, however short."""
    assert score(asking("hi", **changes)) == 0.5
    assert score(asking("x" * CAP, **changes)) == score(asking("x" * CAP))


def test_parts() -> None:
    """Texts count by their length, a picture or a foreign part as the half length."""
    assert score(asking((Text("x" * 500), Text("x" * 1000)))) == 0.5
    assert score(asking((Image("https://example.com/a.png"),))) == 0.5
    assert score(asking((Foreign("input_audio", "openai_chat"), Text("x" * HALF)))) == pytest.approx(2 / 3)


def test_evidence_has_no_prompt_in_it() -> None:
    """Only the length is told."""
    (found,) = ROUTER.score(asking("SECRETWORD"), None).evidence
    assert (found.check, found.passed, found.detail) == ("length", None, "10 characters score 0.01")


def test_it_is_no_verifier() -> None:
    """With a draft it says so, which escalates."""
    with pytest.raises(CheckFailed):
        ROUTER.score(asking("hi"), Answer("cheap", ()))
