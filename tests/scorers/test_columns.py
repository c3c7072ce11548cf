"""What a trained model measures: every column has a name, opinions are compared, what is missing is missing."""

from __future__ import annotations

from math import isnan, log1p

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conformance import scorer as conformance
from tests.scorers.build import CHECKS, answer
from tierwise.scorers.checks import CHECKS as FAILING
from tierwise.scorers.checks import MEASURES
from tierwise.scorers.columns import (
    DRAFT_NAMES,
    EVIDENCE_NAMES,
    ROUTER_NAMES,
    crossed_names,
    draft_columns,
    emphasis,
    evidence_columns,
    opinion_columns,
    opinion_names,
    router_columns,
    similarity,
)
from tierwise.scorers.encoder import load_encoder
from tierwise.scorers.verifier import run
from tierwise.types import Answer, Evidence, Message, Request

ASKED = Request(id="r", asked="s", messages=(Message("user", "What is six times seven?"),))
SIX = "6 * 7 = 42. The answer is 42."


def opinions(draft: str, *others: str | None) -> dict[str, float]:
    names = opinion_names([f"m{place}" for place in range(len(others))])
    heard = [None if other is None else answer(other) for other in others]
    return dict(zip(names, opinion_columns(ASKED, answer(draft), heard), strict=True))


def missing(named: dict[str, float]) -> set[str]:
    return {name for name, value in named.items() if isnan(value)}


@settings(max_examples=100, deadline=None)
@given(conformance.REQUESTS, conformance.ANSWERS, st.lists(st.none() | conformance.ANSWERS, max_size=3))
def test_every_column_has_a_name(request: Request, draft: Answer, others: list[Answer | None]) -> None:
    """Of requests, drafts and opinions alike, however odd they are."""
    evidence = [run(name, check, request, draft, CHECKS) for name, check in (*FAILING, *MEASURES)]
    assert len(router_columns(request)) == len(ROUTER_NAMES)
    assert len(draft_columns(request, draft, evidence)) == len(DRAFT_NAMES)
    names = opinion_names([f"m{place}" for place in range(len(others))])
    assert len(opinion_columns(request, draft, others)) == len(names)
    together = (*ROUTER_NAMES, *DRAFT_NAMES, *names)
    assert len(set(together)) == len(together)


def test_every_check_has_its_columns() -> None:
    """What it measured, and whether it passed if it can fail."""
    passed, values = (
        [name.removeprefix(kind) for name in EVIDENCE_NAMES if name.startswith(kind)] for kind in ("passed_", "value_")
    )
    assert passed == [name for name, _ in FAILING]
    assert values == [name for name, _ in (*FAILING, *MEASURES)]
    assert len(EVIDENCE_NAMES) == len(passed) + len(values)


def test_evidence_becomes_numbers() -> None:
    """0, 1 or missing; a check that was not asked for is missing too, and one that is not known is left out."""
    evidence = [
        Evidence("finish", True),
        Evidence("refusal", False),
        Evidence("hedging", None, "", 2.5),
        Evidence("x", True),
    ]
    found = dict(zip(EVIDENCE_NAMES, evidence_columns(evidence), strict=True))
    assert {name: value for name, value in found.items() if not isnan(value)} == {
        "passed_finish": 1.0, "passed_refusal": 0.0, "value_hedging": 2.5,
    }  # fmt: skip
    assert all(map(isnan, evidence_columns([])))


def test_opinions_that_agree() -> None:
    """With the draft, and with one another."""
    told = opinions(SIX, "42", "It's 6 * 7, so the answer is 42.")
    assert told["agrees_m0"] == told["agrees_m1"] == told["agrees_all"] == told["between_m0=m1"] == 1.0
    assert told["agrees_against"] == 0.0
    assert told["concluded_draft"] == told["concluded_m0"] == 1.0
    assert told["conclusion_chars_draft"] == log1p(len("42"))
    assert told["chars_m0"] == log1p(len("42"))
    assert told["chars_ratio_m0"] == log1p(len("42")) - log1p(len(SIX))


def test_opinions_that_agree_against_the_draft() -> None:
    """What they share is not what it says; one that differs alone is not against it."""
    told = opinions(SIX, "The answer is 41.", "41")
    assert (told["agrees_all"], told["agrees_against"], told["between_m0=m1"]) == (0.0, 1.0, 1.0)
    told = opinions(SIX, "The answer is 41.", "The answer is 42.")
    assert (told["agrees_m0"], told["agrees_m1"], told["agrees_all"], told["agrees_against"]) == (0.0, 1.0, 0.0, 0.0)


def test_an_opinion_that_is_missing() -> None:
    """All that depends on it is; what others say stands."""
    told = opinions(SIX, None, "42", "41")
    own = {"agrees_m0", "between_m0=m1", "between_m0=m2", "concluded_m0", "chars_m0", "chars_ratio_m0"}
    assert missing(told) == own | {"agrees_all", "agrees_against"}
    assert missing(opinions(SIX, "42", None)) >= {"agrees_all", "agrees_against"}
    assert (told["agrees_m1"], told["agrees_m2"], told["between_m1=m2"]) == (1.0, 0.0, 0.0)


def test_one_opinion_has_no_pairs() -> None:
    """Nor is there an "all" beside its own column; without any there is the draft alone."""
    assert opinion_names(["m"]) == (
        "agrees_m", "concluded_draft", "conclusion_chars_draft", "concluded_m", "chars_m", "chars_ratio_m",
    )  # fmt: skip
    assert list(opinions(SIX)) == ["concluded_draft", "conclusion_chars_draft"]


def test_open_texts_are_compared_by_their_meaning() -> None:
    """With the encoder a text is like itself, and less like another; each is encoded once."""
    alike = similarity(load_encoder())
    assert alike("Your card comes tomorrow.", "YOUR card comes tomorrow.") == pytest.approx(1.0, abs=1e-5)
    assert alike("Your card comes tomorrow.", "Quarks have colour.") < 0.5
    told: list[str] = []

    class Counting:
        def encode(self, text: str) -> np.ndarray:
            told.append(text)
            return np.ones(1, np.float32)

    counted = similarity(Counting())  # type: ignore[arg-type]  # all that is used of an encoder
    assert [counted("a", "b"), counted("a", "c"), counted("b", "c")] == [1.0, 1.0, 1.0]
    assert sorted(told) == ["a", "b", "c"]


def test_the_columns_that_are_crossed() -> None:
    """Who agrees with whom; they are also held back least when a model is fitted."""
    names = opinion_names(["a", "b"])
    crossed = crossed_names(["a", "b"])
    assert crossed == ("agrees_a", "agrees_b", "agrees_all", "agrees_against", "between_a=b")
    assert names[: len(crossed)] == crossed
    assert {emphasis(name) for name in crossed} == {max(map(emphasis, (*names, *ROUTER_NAMES, *DRAFT_NAMES)))}
    assert all(emphasis(name) == min(map(emphasis, DRAFT_NAMES + ROUTER_NAMES)) for name in ROUTER_NAMES)
