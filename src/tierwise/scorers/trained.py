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

import msgspec

from tierwise.errors import CheckFailed, ConfigError
from tierwise.scorers import columns
from tierwise.scorers.artefact import Artefact, TierModel, Typical, read
from tierwise.scorers.clusters import Centroids
from tierwise.scorers.encoder import Encoder, load_encoder
from tierwise.scorers.features import PROMPTS, prompt_of, said_by
from tierwise.scorers.grams import grams
from tierwise.scorers.heads import Heard, Tier
from tierwise.scorers.reading import clipped
from tierwise.scorers.stack import Floats
from tierwise.scorers.verifier import blocked, examined
from tierwise.types import Answer, Checks, Estimate, Evidence, Request, Thresholds, Verdict

JUDGE_ODDS = 3.0  # a judge's word moves the odds at most by this: it is right about three times in four


class Trained:
    """An opened artefact."""

    def __init__(self, artefact: Artefact) -> None:
        self._artefact = artefact
        self._tiers = tuple(map(Tier, artefact.models))
        self._encoder = load_encoder()
        self._prompts = Prompts(self._tiers, self._encoder)

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
    def centroids(self) -> Centroids:
        """Of what prompts were about, when it was trained (`clusters.py`)."""
        return self._artefact.centroids

    @property
    def router(self) -> TrainedRouter:
        return TrainedRouter(self._tiers, self._artefact.typical, self._prompts)

    def verifier(self, checks: Checks) -> TrainedVerifier:
        return TrainedVerifier(self._artefact, self._tiers, checks, (self._prompts, self._encoder))


def open_trained(path: Path) -> Trained:
    """Raises ConfigError where the artefact, or the packaged encoder, can't be used."""
    return Trained(usable(read(path), path))


def usable(artefact: Artefact, path: Path) -> Artefact:
    """It, over the columns that are measured now. Raises ConfigError where it knows others.

    What its version did not measure yet has no weight: it says what it has always said.
    """
    return msgspec.structs.replace(artefact, models=tuple(_current(model, artefact, path) for model in artefact.models))


def _current(model: TierModel, artefact: Artefact, path: Path) -> TierModel:
    asked, alone = columns.ROUTER_NAMES, (*columns.ROUTER_NAMES, *columns.DRAFT_NAMES)
    if model.router.names == _early(asked):
        asked_then, then = _early(asked), _early(alone)
    else:
        asked_then, then = asked, alone
    heard = () if model.consulted is None else model.consulted.names[len(then) :]
    whole = model.consulted is None or (
        model.consulted.names == (*then, *heard) and _of_opinions(heard, len(artefact.opinions))
    )
    if model.router.names != asked_then or model.alone.names != then or not whole:
        raise ConfigError(f"{path}: trained by a version that measured other things; train it anew")
    if then == alone:
        return model
    consulted = model.consulted and model.consulted.over((*alone, *heard))
    return TierModel(model.router.over(asked), model.alone.over(alone), consulted)


def _early(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in names if name not in columns.LATER)


def _of_opinions(names: Sequence[str], opinions: int) -> bool:
    """Whether they are columns of so many opinions, which bear the names that the outcomes had."""
    kinds = [kind.rstrip("=") for kind in columns.opinion_names([""] * opinions)]
    return len(names) == len(kinds) and all(name.startswith(kind) for name, kind in zip(names, kinds, strict=True))


class TrainedRouter:
    """A Scorer of requests, with an estimate for every tier. `score` ignores drafts."""

    def __init__(self, tiers: Sequence[Tier], typical: Sequence[Typical], prompts: Prompts) -> None:
        self._tiers = tiers
        self._typical = typical
        self._prompts = prompts

    def score(
        self,
        request: Request,
        draft: Answer | None,
        opinions: Sequence[Answer] | None = None,
        judged: Evidence | None = None,
    ) -> Verdict:
        """(1 + P(premium good) - P(cheapest good)) / 2: from 0.5 on premium is likelier to be good."""
        asked = columns.router_columns(request)
        heard = self._prompts.heard(prompt_of(request))
        odds = [
            tier.router.odds(asked, request.tags, prompt, ()) for tier, prompt in zip(self._tiers, heard, strict=True)
        ]
        return routed(odds, self._typical)


def routed(odds: Sequence[Sequence[float] | Floats], typical: Sequence[Typical]) -> Verdict:
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

    def __init__(
        self, artefact: Artefact, tiers: Sequence[Tier], checks: Checks, readers: tuple[Prompts, Encoder]
    ) -> None:
        self._tiers = {
            name: (place, tier) for place, (name, tier) in enumerate(zip(artefact.tiers, tiers, strict=False))
        }
        self._opinions = artefact.opinions
        self._checks = checks
        self._prompts, self._encoder = readers

    def score(
        self,
        request: Request,
        draft: Answer | None,
        opinions: Sequence[Answer] | None = None,
        judged: Evidence | None = None,
    ) -> Verdict:
        """(1 + P(benefit) - P(harm)) / 2; 0.0 where a check failed that nothing outweighs."""
        place, tier = (-1, None) if draft is None else self._tiers.get(draft.model, (-1, None))
        if draft is None or tier is None:
            raise CheckFailed("the verifier was not trained for this draft")
        found = examined(request, draft, self._checks)
        told = [item for item in found if item.passed is not None]
        if blocked(found):
            return Verdict(0.0, tuple(told))
        heard = self._prompts.heard(prompt_of(request))[place]
        known = [*columns.router_columns(request), *columns.draft_columns(request, draft, found)]
        words = tier.said(grams(self._encoder.pieces.beginning(clipped(said_by(draft)))))
        head = tier.alone
        if opinions is not None and tier.consulted is not None:
            head = tier.consulted
            known += self._opinions_of(request, draft, opinions, told)
        benefit, harm = head.odds(known, request.tags, heard, words)
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


class Prompts:
    """What the tiers' models hear in a prompt, remembered from its routing to its draft's verification."""

    def __init__(self, tiers: Sequence[Tier], encoder: Encoder) -> None:
        self._tiers = tiers
        self._encoder = encoder
        self.heard = lru_cache(maxsize=PROMPTS)(self._heard)

    def _heard(self, text: str) -> tuple[Heard, ...]:
        """By each of the tiers."""
        words, meaning = self._encoder.read(text)
        return tuple([tier.hear(words, meaning) for tier in self._tiers])


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
