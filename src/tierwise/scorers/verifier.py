"""The first verifier: the free checks, and nothing that needs training.

Its score is 1.0 where no check failed and 0.0 where one did: not a probability, and no claim about quality.
Only calibration on a route's own traffic gives a score a meaning. Knows nothing of thresholds or routes.
"""

from __future__ import annotations

from tierwise.errors import CheckFailed
from tierwise.scorers.checks import CHECKS, Check
from tierwise.types import Answer, Checks, Evidence, Request, Verdict


class FreeChecks:
    """A Scorer. `score` raises CheckFailed without a draft: it looks at answers, it is no router."""

    def __init__(self, checks: Checks) -> None:
        self._checks = checks

    def score(self, request: Request, draft: Answer | None) -> Verdict:
        """1.0 if no check failed, else 0.0, uncalibrated; every check's evidence, in the order of CHECKS."""
        if draft is None:
            raise CheckFailed("the free checks need a draft to look at")
        evidence = tuple([run(name, check, request, draft, self._checks) for name, check in CHECKS])
        failed = any(finding.passed is False for finding in evidence)
        return Verdict(0.0 if failed else 1.0, evidence)


def run(name: str, check: Check, request: Request, draft: Answer, checks: Checks) -> Evidence:
    """One check's evidence. A check that errs has failed, so the draft escalates.

    The door for whatever a check, or a library under it, may raise. An error's text is kept only where it is
    our own: a foreign one may quote the answer.
    """
    try:
        return check(request, draft, checks)
    except CheckFailed as error:
        return Evidence(name, False, f"erred: CheckFailed: {error.message}")
    except Exception as error:  # noqa: BLE001 - whatever it is, it must not serve a draft
        return Evidence(name, False, f"erred: {type(error).__name__}")
