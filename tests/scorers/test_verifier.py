"""The first verifier: the free checks together, behind the Scorer port."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conformance import scorer as conformance
from tests.scorers.build import CHECKS, answer, request
from tierwise.errors import CheckFailed
from tierwise.scorers.checks import CHECKS as ALL
from tierwise.scorers.verifier import FreeChecks, run
from tierwise.types import Answer, Checks, Evidence, Message, Request, Vector

VERIFIER = FreeChecks(CHECKS)
ORDER = [name for name, _ in ALL]
ENGLISH = "I have ordered a new card and it has not come yet. Can you tell me when it will be here, and how I use it?"
PRINTS = "What does this print?\n\nx = 3\nprint(x + 3)"
GERMAN = "Ihre Karte kommt morgen mit der Post, und Sie können sie sofort mit der App auf Ihrem Telefon freischalten."


def test_a_good_draft_scores_one() -> None:
    """Nothing failed: 1.0, and every check's evidence in the order of the list."""
    verdict = VERIFIER.score(request(), answer("Your card arrives tomorrow.", logprobs=(-0.1,)))
    assert verdict.score == 1.0
    assert [found.check for found in verdict.evidence] == ORDER


FAULTS: dict[str, tuple[Answer, dict[str, Any]]] = {
    "finish": (answer("It arrives", finish="length"), {}),
    "empty": (answer(" "), {}),
    "refusal": (answer("I'm sorry, but I can't help with that."), {}),
    "truncated": (answer("You will need these:"), {}),
    "repeated": (answer("I will check.\n" * 9), {}),
    "json": (answer("Sure!"), {"json_answer": True}),
    "tools": (answer("Sure!"), {"tool_choice": "required", "tools": conformance.TOOLS}),
    "parses": (answer("Use this:\n```python\nprint(max(1, 2)\n\n```\nThat is all."), {}),
    "arithmetic": (answer("The two fees are 12 + 30 = 43 dollars."), {}),
    "code_output": (answer("It prints a 5.\nThe answer is 5."), {"messages": (Message("user", PRINTS),)}),
    "language": (answer(GERMAN), {"messages": (Message("user", ENGLISH),)}),
    "vectors": (answer("It lies in a drawer."), {}),
    "logprob": (answer("Sure!", logprobs=(-3.0,)), {}),
}


def test_every_check_has_its_fault() -> None:
    """Below."""
    assert list(FAULTS) == ORDER


@pytest.mark.parametrize("name", FAULTS)
def test_one_failed_check_scores_zero(name: str) -> None:
    """Each check alone brings the score to 0.0, and says that it was the one."""
    draft, fields = FAULTS[name]
    strict = FreeChecks(msgspec.structs.replace(CHECKS, vectors=(Vector("drawer", absent=True),)))
    verdict = strict.score(msgspec.structs.replace(request(), **fields), draft)
    assert verdict.score == 0.0
    assert [found.check for found in verdict.evidence if found.passed is False] == [name]


def test_a_window_without_faults_scores_one() -> None:
    """What needs the end has no finding yet; what has come so far is judged."""
    verdict = VERIFIER.score(request(json_answer=True), answer('{"a": "The ca', finish=None, complete=False))
    assert verdict.score == 1.0
    assert {"finish", "truncated", "json", "tools", "logprob"} <= {
        found.check for found in verdict.evidence if found.passed is None
    }


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


# ------------------------------------------------------------------ what others say

LEFT = "Your new card left our office this morning."
COMES = "It comes to your door by post, and needs to be activated in the app before it can be used."
JUDGED = Evidence("judge", True, "better, swapped tied", 0.75)


@pytest.mark.parametrize(
    ("others", "score"),
    [
        ((answer("The answer is 42."),), 1.0),
        ((answer("6 * 7 = 42, so the answer is 42."), answer("42")), 1.0),
        ((answer("The answer is 41."),), 0.0),
        ((answer("The answer is 42."), answer("The answer is 41.")), 0.0),
        ((answer(""),), 0.0),
        ((), 0.0),
    ],
    ids=["agrees", "both agree", "differs", "one differs", "says nothing", "nobody"],
)
def test_opinions_are_one_more_check(others: tuple[Answer, ...], score: float) -> None:
    """All that answered must agree, and somebody must have answered."""
    asked = Request(id="r", asked="s", messages=(Message("user", "What is six times seven?"),))
    verdict = VERIFIER.score(asked, answer("The answer is 42."), others)
    assert verdict.score == score
    assert [found.check for found in verdict.evidence] == [*ORDER, "agreement", "opinions_agree"]
    assert verdict.evidence[-2].passed is (score == 1.0)


def test_nobody_was_asked() -> None:
    """Then there is nothing to agree with, and nothing that fails."""
    assert [found.check for found in VERIFIER.score(request(), answer("Tomorrow."), None).evidence] == ORDER


@pytest.mark.parametrize(("passed", "score"), [(True, 1.0), (None, 1.0), (False, 0.0)])
def test_a_judge_is_one_more_check(passed: bool | None, score: float) -> None:
    """Its finding is told last."""
    judged = Evidence("judge", passed, "", 0.5)
    verdict = VERIFIER.score(request(), answer("Tomorrow."), None, judged)
    assert (verdict.score, verdict.evidence[-1]) == (score, judged)


def test_opinions_make_no_bad_draft_good() -> None:
    """A free check that failed has failed."""
    refusal = answer("I'm sorry, but I can't help with that.")
    assert VERIFIER.score(request(), refusal, (refusal,), JUDGED).score == 0.0


@pytest.mark.parametrize(("cosine", "score"), [(1.0, 1.0), (0.0, 0.0)])
def test_open_answers_are_compared_by_their_meaning(cosine: float, score: float) -> None:
    """The caller brings how alike two texts are."""
    verifier = FreeChecks(CHECKS, lambda one, other: cosine)
    assert verifier.score(request(), answer(f"{LEFT} {COMES}"), (answer(f"{COMES} {LEFT}"),)).score == score


def test_a_comparison_that_errs_escalates() -> None:
    """Whatever the reason; what it says of the texts is not told."""

    def broken(one: str, other: str) -> float:
        raise ZeroDivisionError(one)

    draft, other = answer(f"{LEFT} {COMES}"), answer(f"{COMES} {LEFT}")
    verdict = FreeChecks(CHECKS, broken).score(request(), draft, (other,))
    assert (verdict.score, verdict.evidence[-1]) == (0.0, Evidence("agreement", False, "erred: ZeroDivisionError"))


@given(conformance.REQUESTS, conformance.ANSWERS, st.lists(conformance.ANSWERS, max_size=3))
@settings(max_examples=60, deadline=None)
def test_it_keeps_the_contract_with_opinions(asked: Request, draft: Answer, others: list[Answer]) -> None:
    """A score of 0 or 1 that is the same for the same, whatever others say; no finding is a whole answer."""
    verdict = VERIFIER.score(asked, draft, others, JUDGED)
    assert verdict.score in (0.0, 1.0)
    assert repr(VERIFIER.score(asked, draft, others, JUDGED)) == repr(verdict)
    assert all(len(found.detail) <= conformance.MAX_DETAIL for found in verdict.evidence)


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
