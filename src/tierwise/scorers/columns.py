"""What a trained router or verifier measures of a request, a draft and opinions: named columns, NaN where missing.

The same functions fill them for a live request and for a recorded row; an artefact names the columns that it was
trained on. Knows how evidence becomes numbers, and not what the numbers are worth.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from math import isnan, log1p, nan

from tierwise.scorers.agreement import Similarity, compare
from tierwise.scorers.checks import CHECKS, MEASURES
from tierwise.scorers.chosen import NAMES as CHOSEN_NAMES
from tierwise.scorers.chosen import chosen
from tierwise.scorers.derivation import NAMES as DERIVATION_NAMES
from tierwise.scorers.derivation import derivation
from tierwise.scorers.encoder import Encoder
from tierwise.scorers.features import ANSWER_NAMES, REQUEST_NAMES, answer_features, prompt_of, request_features
from tierwise.types import Answer, Evidence, Request

# A check passed or failed; of a measure only the value counts.
EVIDENCE_NAMES = (
    *(f"{kind}_{name}" for name, _ in CHECKS for kind in ("passed", "value")),
    *(f"value_{name}" for name, _ in MEASURES),
)
_PASSED = {name: EVIDENCE_NAMES.index(f"passed_{name}") for name, _ in CHECKS}
_VALUE = {name: EVIDENCE_NAMES.index(f"value_{name}") for name, _ in (*CHECKS, *MEASURES)}
ROUTER_NAMES = REQUEST_NAMES
DRAFT_NAMES = (*ANSWER_NAMES, *DERIVATION_NAMES, *EVIDENCE_NAMES, *CHOSEN_NAMES)
# What the first versions did not measure; their artefacts are read without it.
LATER = frozenset(
    {*CHOSEN_NAMES, "options_alike", "options_begin", "end_whole", "passed_code_output", "value_code_output"}
)
TEXTS = 16  # that are remembered: a draft and its opinions, of a few requests at once

router_columns = request_features


def draft_columns(request: Request, draft: Answer, evidence: Iterable[Evidence]) -> list[float]:
    """One number for each of DRAFT_NAMES. `evidence` is what the checks and measures have found."""
    prompt, text = prompt_of(request), draft.choices[0].text if draft.choices else ""
    return [
        *answer_features(request, draft),
        *derivation(prompt, text),
        *evidence_columns(evidence),
        *chosen(prompt, text),
    ]


def similarity(encoder: Encoder) -> Similarity:
    """The cosine of two texts; each of the few that are compared with one another is encoded once."""
    encode = lru_cache(maxsize=TEXTS)(encoder.encode)
    return lambda one, other: float(encode(one) @ encode(other))


def evidence_columns(evidence: Iterable[Evidence]) -> list[float]:
    """One number for each of EVIDENCE_NAMES; NaN where nothing was looked for or found."""
    found = [nan] * len(EVIDENCE_NAMES)
    for item in evidence:
        if item.passed is not None and (place := _PASSED.get(item.check)) is not None:
            found[place] = float(item.passed)
        if item.value is not None and (place := _VALUE.get(item.check)) is not None:
            found[place] = item.value
    return found


def opinion_names(opinions: Sequence[str]) -> tuple[str, ...]:
    """The columns of opinions by these models, in this order; the crossed ones (`agrees_`, `all_`, ...) first."""
    pairs = [f"{one}={other}" for place, one in enumerate(opinions) for other in opinions[place + 1 :]]
    return (
        *(f"agrees_{name}" for name in opinions),
        *(("agrees_all", "agrees_against") if len(opinions) > 1 else ()),
        *(f"between_{pair}" for pair in pairs),
        "concluded_draft",
        "conclusion_chars_draft",
        *(f"{what}_{name}" for name in opinions for what in ("concluded", "chars", "chars_ratio")),
    )


def crossed_names(opinions: Sequence[str]) -> tuple[str, ...]:
    """Those of `opinion_names` whose worth depends on the task: who agrees with whom."""
    return tuple(name for name in opinion_names(opinions) if name.startswith(("agrees_", "between_")))


def opinion_columns(
    request: Request,
    draft: Answer,
    opinions: Sequence[Answer | None],
    similarity: Similarity | None = None,
    results: Sequence[Answer | None] | None = None,
) -> list[float]:
    """One number for each of `opinion_names`; `opinions` in its order, None where a model has not answered.

    `results`: what is compared in place of draft and opinions, where somebody has read the results out of them.
    """
    seen = compare(request, (draft, *opinions) if results is None else results, similarity)
    count = len(opinions)
    agrees = seen.scores[0][1:]
    between = [seen.scores[one][other] for one in range(1, count + 1) for other in range(one + 1, count + 1)]
    together: list[float] = []
    if count > 1:
        whole = not any(map(isnan, (*agrees, *between)))
        together = [min(agrees), max(between) * (1 - max(agrees))] if whole else [nan, nan]
    own = log1p(len(draft.text))
    about: list[float] = []
    for place, opinion in enumerate(opinions, 1):
        chars = nan if opinion is None else log1p(len(opinion.text))
        about += [seen.concluded[place], chars, chars - own]
    return [*agrees, *together, *between, seen.concluded[0], log1p(seen.key_chars[0]), *about]


def emphasis(name: str) -> float:
    """How little a column is held back when it is fitted: of many weak columns each is suspect, agreement is not.

    Chosen by cross-validation over all recorded benchmarks at once (docs/frontier.md).
    """
    if name.startswith(("agrees_", "between_")):
        return 2.0
    return 0.5 if name in _WEAK or name.startswith(("chars_", "prompt_")) else 1.0


_WEAK = frozenset(REQUEST_NAMES)
