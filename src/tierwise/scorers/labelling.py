"""How good a draft was, judged by premium's answer to the same request, where that needs nobody's opinion.

The operator's own tests come first: a draft that fails one was not good. Then, where both answers come to a conclusion
that can be compared (a number, a choice, a date, JSON, tool calls), equal after normalisation is good and different is
not: premium is the measure, so a draft that is right where premium errs counts as harm. Open text can't be told from
itself: a judge or people are asked. Knows neither how answers came about nor who keeps labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tierwise.errors import CheckFailed
from tierwise.proof import Source
from tierwise.scorers import judge
from tierwise.scorers.agreement import agree
from tierwise.scorers.vectors import vectors
from tierwise.types import Answer, Checks, Request

UNSETTLED = frozenset({"open", "none"})  # kinds of comparison that settle nothing
NAME = 4  # words: a short text is taken for a class or a name, which is another one where it is not equal


class Compared(NamedTuple):
    """`draft`, `premium`: how good each answer is, in [0, 1]."""

    source: Source
    draft: float
    premium: float


def compared(request: Request, draft: Answer, premium: Answer, checks: Checks) -> Compared | None:
    """None where it takes a judge, or people. Both answers are whole. Never raises, whatever the texts are."""
    ours, theirs = vectors(request, draft, checks), vectors(request, premium, checks)
    if False in (ours.passed, theirs.passed):
        return Compared("checks", float(ours.passed is not False), float(theirs.passed is not False))
    if not _said(premium):
        return Compared("equality", float(_said(draft)), 0.0)
    if not _said(draft):
        return Compared("equality", 0.0, 1.0)
    score, kind = agree(request, draft, premium)
    if kind == "open" and [one.text for one in draft.choices] == [one.text for one in premium.choices]:
        return Compared("equality", 1.0, 1.0)
    if kind in UNSETTLED or kind != agree(request, premium, draft)[1]:  # a number, say, and a phrase
        return None
    if kind == "text" and score < 1 and max(_words(draft), _words(premium)) > NAME:
        return None
    return Compared("equality", score, 1.0)


def unasked(request: Request, draft: Answer, premium: Answer) -> Compared | None:
    """Where there is no judge: a draft that comes to nothing comparable, beside premium's that does, was not good.

    It may have been, in other words; people can say so. Otherwise a model that gets vague would not be noticed.
    """
    ours, theirs = (agree(request, answer, answer)[1] in UNSETTLED for answer in (draft, premium))
    return Compared("equality", 0.0, 1.0) if ours and not theirs else None


def by_judge(asked: tuple[Request, ...], said: Sequence[Answer | None]) -> Compared:
    """What a judge's answers to `judge.questions` about a draft, beside premium's answer, come to.

    One that prefers a place, not an answer, has half a preference; one that gives no verdict never makes a draft look
    better ("missing").
    """
    try:
        verdict = judge.verdict(asked, said)
    except CheckFailed:
        return Compared("missing", 0.0, 1.0)
    return Compared("judge", 0.5 if verdict.passed is None else float(verdict.passed), 1.0)


def _words(answer: Answer) -> int:
    return max(len(choice.text.split()) for choice in answer.choices)


def _said(answer: Answer) -> bool:
    """Whether there is an answer at all."""
    return any(choice.text.strip() or choice.tool_calls or choice.refusal for choice in answer.choices)
