"""The first verifier: the free checks, what others say, and nothing that needs training.

Its score is 1.0 where no check failed and 0.0 where one did: not a probability, and no claim about quality.
Other models' opinions are one more check (at least one must have answered, and all that did must agree with the
draft), a judge's finding is another. Only calibration on a route's own traffic gives a score a meaning. Knows nothing
of thresholds or routes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tierwise.errors import CheckFailed
from tierwise.scorers import agreement
from tierwise.scorers.checks import CHECKS, HARD, Check, looked_for
from tierwise.types import Answer, Checks, Evidence, Request, Verdict

ERRED = "erred:"  # how the detail of a check begins that could not do its work


class FreeChecks:
    """A Scorer. `similarity` gives the cosine of two texts: by it open answers are compared with opinions.

    `score` raises CheckFailed without a draft: it looks at answers, it is no router.
    """

    def __init__(self, checks: Checks, similarity: agreement.Similarity | None = None) -> None:
        self._checks = checks
        self._similarity = similarity

    def score(
        self,
        request: Request,
        draft: Answer | None,
        opinions: Sequence[Answer] | None = None,
        judged: Evidence | None = None,
    ) -> Verdict:
        """1.0 if no check failed, else 0.0, uncalibrated.

        The evidence: every free check's, in the order of CHECKS, then the opinions' and the judge's, where there are.
        """
        if draft is None:
            raise CheckFailed("the free checks need a draft to look at")
        evidence = tuple([run(name, check, request, draft, self._checks) for name, check in CHECKS])
        if opinions is not None:
            evidence += self.compared(request, draft, opinions)
        if judged is not None:
            evidence += (judged,)
        failed = any(finding.passed is False for finding in evidence)
        return Verdict(0.0 if failed else 1.0, evidence)

    def compared(self, request: Request, draft: Answer, opinions: Sequence[Answer]) -> tuple[Evidence, ...]:
        """How opinions stand to a draft: `agreement`, which can fail, and what else they tell."""
        more: list[Evidence] = []

        def agrees(request: Request, draft: Answer, checks: Checks) -> Evidence:
            found, *rest = agreement.opinions(request, draft, opinions, self._similarity)
            more.extend(rest)
            return found

        return run("agreement", agrees, request, draft, self._checks), *more


def examined(request: Request, draft: Answer, checks: Checks) -> list[Evidence]:
    """What a trained verifier goes by: every check's evidence, and that of the measures that have something to find."""
    return [run(name, check, request, draft, checks) for name, check in looked_for(request, draft)]


def blocked(evidence: Iterable[Evidence]) -> bool:
    """Whether a check failed that no other evidence outweighs, or erred."""
    return any(item.passed is False and (item.check in HARD or item.detail.startswith(ERRED)) for item in evidence)


def run(name: str, check: Check, request: Request, draft: Answer, checks: Checks) -> Evidence:
    """One check's evidence. A check that errs has failed, so the draft escalates.

    The door for whatever a check, or a library under it, may raise. An error's text is kept only where it is
    our own: a foreign one may quote the answer.
    """
    try:
        return check(request, draft, checks)
    except CheckFailed as error:
        return Evidence(name, False, f"{ERRED} CheckFailed: {error.message}")
    except Exception as error:  # noqa: BLE001 - whatever it is, it must not serve a draft
        return Evidence(name, False, f"{ERRED} {type(error).__name__}")
