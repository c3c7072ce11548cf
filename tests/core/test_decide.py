"""Scores and thresholds to decisions."""

from __future__ import annotations

from typing import Any

import pytest

from tests.core.plans import BAD, CHEAP, GOOD, MIDDLE, OTHER, answer, route
from tierwise.core import decide
from tierwise.types import Decision, Evidence, Thresholds, Verdict

TRAINED = {"thresholds": Thresholds(0.8, 0.4, 0.8)}
WHOLE = answer(CHEAP)


@pytest.mark.parametrize(
    ("changes", "rule", "expected"),
    [
        ({}, "checks", Thresholds(1.0, 1.0, 1.0)),
        ({}, "verifier", Thresholds(1.0, 1.0, 1.0)),
        (TRAINED, "verifier", Thresholds(0.8, 0.4, 0.8)),
        (TRAINED, "checks", Thresholds(1.0, 1.0, 1.0)),
    ],
)
def test_bounds(changes: dict[str, Any], rule: str, expected: Thresholds) -> None:
    """Only a trained verifier has thresholds of its own; by any other rule nothing less than all checks counts."""
    assert decide.bounds(route(**changes), rule) == expected


@pytest.mark.parametrize(
    ("score", "changes", "action"),
    [
        (0.8, {}, "serve"),
        (0.79, {}, "escalate"),
        (0.39, {}, "escalate"),
        (0.79, {"opinions": (OTHER,)}, None),
        (0.4, {"judge": MIDDLE}, None),
        (0.39, {"opinions": (OTHER,), "judge": MIDDLE}, "escalate"),
        (0.8, {"opinions": (OTHER,), "judge": MIDDLE}, "serve"),
    ],
)
def test_a_whole_draft(score: float, changes: dict[str, Any], action: str | None) -> None:
    """At a threshold it is reached; between them the draft is open only where somebody may be asked."""
    found = decide.draft(WHOLE, Verdict(score), route(**TRAINED, **changes), "verifier")
    assert (found.action if found else None) == action


def test_by_agreement_nothing_is_served_unheard() -> None:
    """A draft without faults is still open; one with a fault is not."""
    asks = route(uncertified="agreement", opinions=(OTHER,))
    assert decide.draft(WHOLE, GOOD, asks, "agreement") is None
    assert decide.draft(WHOLE, BAD, asks, "agreement") == Decision("escalate", "check:refusal", 0.0, BAD.evidence)


@pytest.mark.parametrize(
    ("pieces", "score", "action"), [(7, 0.9, None), (8, 0.9, "serve"), (8, 0.6, None), (1, 0.3, "escalate")]
)
def test_a_window(pieces: int, score: float, action: str | None) -> None:
    """A bad beginning is dropped at once, a good one let go when the window is full, an uncertain one held on."""
    partial = answer(CHEAP, complete=False, pieces=pieces)
    found = decide.draft(partial, Verdict(score), route(window=8, **TRAINED), "verifier")
    assert (found.action if found else None) == action


@pytest.mark.parametrize(("score", "uncertain"), [(0.39, False), (0.4, True), (0.79, True), (0.8, False)])
def test_uncertain(score: float, uncertain: bool) -> None:
    """From the lower threshold on, up to the upper one."""
    assert decide.uncertain(Verdict(score), route(**TRAINED), "verifier") is uncertain


def test_final() -> None:
    """The decision carries what it rests on; without a failed check it was the score."""
    evidence = (Evidence("agreement", False, "0 of 1 opinions agree", 0.0), Evidence("judge", False))
    assert decide.final(Verdict(0.8, evidence), route(**TRAINED), "verifier") == Decision(
        "serve", "verifier", 0.8, evidence
    )
    assert decide.final(Verdict(0.7, evidence), route(**TRAINED), "verifier").rule == "check:agreement"
    assert decide.final(Verdict(0.7), route(**TRAINED), "verifier").rule == "check:score"


@pytest.mark.parametrize(
    ("score", "last", "premium"),
    [
        (0.5, "", True),
        (0.49, "", False),
        (0.54, "cheap", False),
        (0.55, "cheap", True),
        (0.45, "premium", True),
        (0.44, "premium", False),
    ],
)
def test_unseen(score: float, last: str, premium: bool) -> None:
    """A router's limit moves away from the model that answered last."""
    assert decide.unseen(Verdict(score), route(), last) is premium


def test_asks() -> None:
    """Others can be asked where there are any."""
    assert not decide.asks(route())
    assert decide.asks(route(opinions=(OTHER,)))
    assert decide.asks(route(judge=MIDDLE))
