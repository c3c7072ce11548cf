"""The trained router and verifier of a route: its artefact's arrays applied to a live request.

The router knows P(good) of every tier's answer, and its score is how much likelier premium is to be good. The
verifier knows P(benefit), only the draft is good, and P(harm), only premium is, and its score is
(1 + P(benefit) - P(harm)) / 2: 0.5 means "no difference", and near ties go cheap. Difficulty alone would send up what
premium can't answer either. A verifier that errs, escalates. Measuring is `columns.py`'s, arithmetic `stack.py`'s; this
file knows which is asked when.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from tierwise.errors import CheckFailed
from tierwise.scorers import columns
from tierwise.scorers.artefact import Artefact, Typical, read
from tierwise.scorers.checks import CHECKS, MEASURES
from tierwise.scorers.encoder import Encoder, load_encoder
from tierwise.scorers.features import PROMPTS, prompt_of, said_by
from tierwise.scorers.grams import Sparse, grams
from tierwise.scorers.stack import Floats, Known, Stack
from tierwise.scorers.verifier import blocked, run
from tierwise.types import Answer, Checks, Estimate, Evidence, Request, Thresholds, Verdict

JUDGE_ODDS = 3.0  # a judge's word moves the odds at most by this: it is right about three times in four


class Trained:
    """An opened artefact."""

    def __init__(self, artefact: Artefact) -> None:
        self._artefact = artefact
        self._encoder = load_encoder()

    @property
    def tiers(self) -> tuple[str, ...]:
        return self._artefact.tiers

    @property
    def opinions(self) -> tuple[str, ...]:
        return self._artefact.opinions

    @property
    def thresholds(self) -> Thresholds | None:
        return self._artefact.thresholds

    @property
    def router(self) -> TrainedRouter:
        return TrainedRouter(self._artefact, self._encoder)

    def verifier(self, checks: Checks) -> TrainedVerifier:
        return TrainedVerifier(self._artefact, checks, self._encoder)


def open_trained(path: Path) -> Trained:
    """Raises ConfigError where the artefact, or the packaged encoder, can't be used."""
    return Trained(read(path))


class TrainedRouter:
    """A Scorer of requests, with an estimate for every tier. `score` ignores drafts."""

    def __init__(self, artefact: Artefact, encoder: Encoder) -> None:
        self._artefact = artefact
        self._encoder = encoder

    def score(
        self,
        request: Request,
        draft: Answer | None,
        opinions: Sequence[Answer] | None = None,
        judged: Evidence | None = None,
    ) -> Verdict:
        """(1 + P(premium good) - P(cheapest good)) / 2: from 0.5 on premium is likelier to be good."""
        asked = Asked(request, self._encoder)
        return routed([asked.predict(model.router) for model in self._artefact.models], self._artefact.typical)


def routed(odds: Sequence[Floats], typical: Sequence[Typical]) -> Verdict:
    """A router's verdict by what it says of each tier below premium: P of cheap good, premium good, accept, consult."""
    estimates = []
    premium = 0.0
    for tier, usual in zip(odds, typical, strict=False):
        cheap, premium, accept, consult = map(float, tier)
        estimates.append(Estimate(cheap, accept, consult, usual.output_tokens, usual.seconds))
    estimates.append(Estimate(premium, 1.0, 0.0, typical[-1].output_tokens, typical[-1].seconds))
    return Verdict((1 + premium - estimates[0].good) / 2, (), tuple(estimates))


class TrainedVerifier:
    """A Scorer of drafts, alone or beside opinions. Raises CheckFailed for a draft of a tier it was not trained for."""

    def __init__(self, artefact: Artefact, checks: Checks, encoder: Encoder) -> None:
        self._models = dict(zip(artefact.tiers, artefact.models, strict=False))
        self._opinions = artefact.opinions
        self._checks = checks
        self._encoder = encoder

    def score(
        self,
        request: Request,
        draft: Answer | None,
        opinions: Sequence[Answer] | None = None,
        judged: Evidence | None = None,
    ) -> Verdict:
        """(1 + P(benefit) - P(harm)) / 2; 0.0 where a check failed that nothing outweighs."""
        model = self._models.get(draft.model) if draft is not None else None
        if draft is None or model is None:
            raise CheckFailed("the verifier was not trained for this draft")
        found = [run(name, check, request, draft, self._checks) for name, check in (*CHECKS, *MEASURES)]
        told = [item for item in found if item.passed is not None]
        if blocked(found):
            return Verdict(0.0, tuple(told))
        asked = Asked(request, self._encoder)
        known = [*asked.columns, *columns.draft_columns(request, draft, found)]
        words = grams(self._encoder.pieces.array(said_by(draft)))
        stack = model.alone
        if opinions is not None and model.consulted is not None:
            stack = model.consulted
            known += self._opinions_of(request, draft, opinions, told)
        benefit, harm = map(float, asked.predict(stack, known, words))
        score = _weighed((1 + benefit - harm) / 2, judged, told)
        return Verdict(score, tuple(told))

    def _opinions_of(
        self, request: Request, draft: Answer, opinions: Sequence[Answer], told: list[Evidence]
    ) -> list[float]:
        by_model = {answer.model: answer for answer in opinions}
        heard = [by_model.get(name) for name in self._opinions]
        values = columns.opinion_columns(request, draft, heard, columns.similarity(self._encoder))
        agreeing = sum(value == 1.0 for value in values[: len(heard)])
        told.append(
            Evidence("opinions", None, f"{agreeing} of {len(opinions)} agree", agreeing / max(len(opinions), 1))
        )
        return values


class Asked:
    """A request, measured."""

    def __init__(self, request: Request, encoder: Encoder) -> None:
        self.columns = columns.router_columns(request)
        self._tags = request.tags
        self._grams, self._meaning = _heard(encoder, prompt_of(request))

    def predict(self, stack: Stack, known: Sequence[float] | None = None, draft: Sparse | None = None) -> Floats:
        """(targets,) probabilities."""
        values = np.array([self.columns if known is None else known], np.float32)
        task = next((name for name in stack.tasks if name in self._tags), "")
        said = stack.heard(self._grams, draft)[None]
        odds: Floats = stack.predict(Known(values, (task,), self._meaning[None], said))[0]
        return odds


@lru_cache(maxsize=PROMPTS)
def _heard(encoder: Encoder, text: str) -> tuple[Sparse, Floats]:
    """A prompt's words and meaning, remembered from its routing to its draft's verification."""
    return grams(encoder.pieces.array(text)), encoder.encode(text)


def _weighed(score: float, judged: Evidence | None, told: list[Evidence]) -> float:
    """The score after a judge's word: a bad one ends it, a good one moves the odds."""
    if judged is None:
        return score
    told.append(judged)
    if judged.passed is False:
        return 0.0
    value = 0.5 if judged.value is None else judged.value
    odds = score / max(1 - score, 1e-9) * pow(JUDGE_ODDS, 2 * value - 1)
    return float(odds / (1 + odds))
