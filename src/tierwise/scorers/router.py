"""The first router: how much a request looks like one that the cheap tier should not try unseen.

It reads the request alone and needs no training; it decides only where a route asks for streams that are not
held back (`hold = "none"`). Length by itself is known to rank requests about as well as the best published trained
routers do out of their domain (RouteLLM's GSM8K table: length .598 APGR, best router .622; our measurement on
their data). A learned router takes its place once there are outcomes to learn from.
"""

from __future__ import annotations

from collections.abc import Sequence

from tierwise.errors import CheckFailed
from tierwise.types import Answer, Evidence, Request, Text, Verdict

HALF = 1500  # characters of the newest turn at which the score reaches one half
CAP = 16_384  # characters that are looked at


class LengthRouter:
    """Score in [0, 1): grows with the newest turn; structured answers and tools count as long."""

    def score(
        self,
        request: Request,
        draft: Answer | None,
        opinions: Sequence[Answer] | None = None,
        judged: Evidence | None = None,
    ) -> Verdict:
        """From the request alone. Raises CheckFailed with a draft, so nothing that is known of one can come in."""
        if draft is not None:
            raise CheckFailed("a router scores a request before there is a draft")
        length = min(sum(_length(message.content) for message in request.messages[-1:]), CAP)
        if request.tools or request.json_answer or request.n > 1:
            length = max(length, HALF)
        score = length / (length + HALF)
        return Verdict(score, (Evidence("length", None, f"{length} characters score {score:.2f}"),))


def _length(content: str | tuple[object, ...]) -> int:
    if isinstance(content, str):
        return len(content)
    return sum(len(part.text) if isinstance(part, Text) else HALF for part in content)
