"""The first verifier: the free checks together, behind the Scorer port."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings

from tests.conformance import scorer as conformance
from tests.scorers.build import CHECKS, answer, request
from tierwise.errors import CheckFailed
from tierwise.scorers.checks import CHECKS as ALL
from tierwise.scorers.verifier import FreeChecks, run
from tierwise.types import Answer, Checks, Evidence, Request

VERIFIER = FreeChecks(CHECKS)
ORDER = ["finish", "empty", "refusal", "truncated", "repeated", "json", "tools", "logprob"]


def test_a_good_draft_scores_one() -> None:
    """Nothing failed: 1.0, and every check's evidence in the order of the list."""
    verdict = VERIFIER.score(request(), answer("Your card arrives tomorrow.", logprobs=(-0.1,)))
    assert verdict.score == 1.0
    assert [found.check for found in verdict.evidence] == ORDER == [name for name, _ in ALL]


@pytest.mark.parametrize(
    ("draft", "fields", "failed"),
    [
        (answer("It arrives", finish="length"), {}, ["finish"]),
        (answer(" "), {}, ["empty"]),
        (answer("I'm sorry, but I can't help with that."), {}, ["refusal"]),
        (answer("You will need these:"), {}, ["truncated"]),
        (answer("I will check.\n" * 9), {}, ["repeated"]),
        (answer("Sure!"), {"json_answer": True}, ["json"]),
        (answer("Sure!"), {"tool_choice": "required", "tools": conformance.TOOLS}, ["tools"]),
        (answer("Sure!", logprobs=(-3.0,)), {}, ["logprob"]),
    ],
    ids=ORDER,
)
def test_one_failed_check_scores_zero(draft: Answer, fields: dict[str, Any], failed: list[str]) -> None:
    """Each check alone brings the score to 0.0, and says that it was the one."""
    verdict = VERIFIER.score(request(**fields), draft)
    assert verdict.score == 0.0
    assert [found.check for found in verdict.evidence if found.passed is False] == failed


def test_a_window_without_faults_scores_one() -> None:
    """What needs the end has no finding yet; what has come so far is judged."""
    verdict = VERIFIER.score(request(json_answer=True), answer('{"a": "The ca', finish=None, complete=False))
    assert verdict.score == 1.0
    assert [found.check for found in verdict.evidence if found.passed is None] == [
        "finish", "truncated", "json", "tools", "logprob",
    ]  # fmt: skip


def test_it_is_no_router() -> None:
    """Without a draft there is nothing to verify."""
    with pytest.raises(CheckFailed):
        VERIFIER.score(request(), None)


def test_a_schema_that_can_not_run_escalates() -> None:
    """A check that errs has failed, and says how in our own words."""
    verdict = VERIFIER.score(request(schema={"$ref": "http://a.example/s"}), answer("{}"))
    assert verdict.score == 0.0
    assert verdict.evidence[5] == Evidence("json", False, "erred: CheckFailed: the schema refers outside itself")


def test_any_error_of_a_check_escalates() -> None:
    """A foreign error becomes evidence too; its text, which may quote the answer, does not."""

    def broken(asked: Request, draft: Answer, checks: Checks) -> Evidence:
        raise ZeroDivisionError(draft.text)

    found = run("broken", broken, request(), answer("secret"), CHECKS)
    assert found == Evidence("broken", False, "erred: ZeroDivisionError")


@given(conformance.REQUESTS, conformance.ANSWERS)
@settings(max_examples=150, deadline=None)
def test_it_keeps_the_contract_of_scorers(asked: Request, draft: Answer) -> None:
    """The conformance suite, on arbitrary requests and answers."""
    conformance.keeps_the_contract(VERIFIER, asked, draft)


@given(conformance.LONG_ANSWERS)
@settings(max_examples=30, deadline=None)
def test_it_takes_bounded_time(draft: Answer) -> None:
    """No answer, however long, takes long."""
    conformance.takes_bounded_time(VERIFIER, request(), draft)
