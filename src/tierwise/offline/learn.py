"""From labelled pairs to a router, a verifier, and the thresholds to be certified.

A row's labels are whether the cheap and whether the premium answer was good. Three models come of them for a tier:
the router (before any call), the verifier of a draft alone, and of a draft beside opinions; they share the models of
words. The router tells how good each answer will be. The verifier tells directly how likely it is that serving the
draft does harm (premium would have been good), and that it does good (only the draft is): where both are rare, as
among drafts that all opinions agree with, a difference of two large probabilities is too coarse.

Thresholds of the uncertain band are chosen on rows that the models did not see, and before the rows that certify
anything are looked at. Knows nothing of files or of what is done with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tierwise.offline.fit import SEVERAL, Data, Lower, Rows, Targets, lower, predict, upper
from tierwise.offline.measured import Flags, Measured
from tierwise.offline.outcomes import Pairs
from tierwise.scorers.artefact import TierModel
from tierwise.scorers.stack import Stack
from tierwise.types import Thresholds

Floats = NDArray[np.float64]

MOST = 12_000  # queries that anything is fitted to; more change little and take long
CHEAP = 0.1  # of premium's price: opinions that cost less are asked about every draft that may be kept
ALWAYS, NEVER = 1.0 + 1e-6, 1e-6  # above every score, and above that of a blocked draft only
# What models of words tell, and what they read: the router's (the gain where there are SEVERAL rows), and a verifier's.
ROUTER = (("cheap", "prompt"), ("premium", "prompt"), ("gain", "prompt"))
VERIFIER = (("cheap", "prompt"), ("premium", "prompt"), ("cheap", "draft"))


@dataclass(frozen=True)
class Learned:
    """`alone` is None where there are no responses to learn from, `consulted` where there are no opinions."""

    router: Stack
    alone: Stack | None
    consulted: Stack | None
    under: Lower | None  # None where they come from an artefact, and nothing more is to be fitted


@dataclass(frozen=True)
class Scores:
    """Of some rows, each in [0, 1], the higher the better for the draft; as `scorers/trained.py` gives them."""

    router: Floats
    alone: Floats | None
    consulted: Floats | None

    @property
    def best(self) -> Floats:
        """By the most evidence that there is."""
        if self.consulted is not None:
            return self.consulted
        return self.router if self.alone is None else self.alone


def learn(measured: Measured, pairs: Pairs, rows: Rows, rng: np.random.Generator) -> Learned:
    """Raises ValueError where `rows` are too few to fit anything to."""
    if len(rows) > MOST:
        rows = np.sort(rng.choice(rows, MOST, replace=False))
    targets, effects = labels(pairs), effects_of(pairs)
    data = measured.router if measured.alone is None else measured.alone
    router = ROUTER if len(rows) >= SEVERAL else ROUTER[:2]
    reads = router if measured.alone is None else (*router, *VERIFIER)
    under = lower(data, {**targets, "gain": _gain(pairs)}, tuple(dict.fromkeys(reads)), rows, rng)
    words = under.only(VERIFIER)
    return Learned(
        upper(measured.router, targets, under.only(router)),
        None if measured.alone is None else upper(measured.alone, effects, words),
        None if measured.consulted is None else upper(measured.consulted, effects, words),
        under,
    )


def labels(pairs: Pairs) -> Targets:
    return {"cheap": pairs.cheap.score.astype(np.float32), "premium": pairs.premium.score.astype(np.float32)}


def _gain(pairs: Pairs) -> NDArray[np.float32]:
    """What premium adds, in [0, 1]; 0.5 is nothing. Words tell it better than they tell the two labels apart."""
    gain: NDArray[np.float32] = ((1 + pairs.premium.score - pairs.cheap.score) / 2).astype(np.float32)
    return gain


def effects_of(pairs: Pairs) -> Targets:
    """What serving the cheap answer does: good, where only it was good, and harm, where only premium was."""
    gain = pairs.cheap.score - pairs.premium.score
    return {"benefit": np.maximum(gain, 0).astype(np.float32), "harm": np.maximum(-gain, 0).astype(np.float32)}


def scores(learned: Learned, measured: Measured, rows: Rows) -> Scores:
    """What the models say of rows that they were not fitted on."""

    stopped = measured.blocked[rows]

    def verified(stack: Stack | None, data: Data | None) -> Floats | None:
        return None if stack is None or data is None else np.where(stopped, 0.0, _worth(stack, data, rows))

    # In all three the heads are what speaks for the draft and what speaks for premium: both good, or benefit and harm.
    return Scores(
        _worth(learned.router, measured.router, rows),
        verified(learned.alone, measured.alone),
        verified(learned.consulted, measured.consulted),
    )


def _worth(stack: Stack, data: Data, rows: Rows) -> Floats:
    odds = predict(stack, data, rows).astype(np.float64)
    found: Floats = (1 + odds[:, 0] - odds[:, 1]) / 2
    return found


def cross_scores(measured: Measured, pairs: Pairs, rows: Rows, rng: np.random.Generator, folds: int = 3) -> Scores:
    """What models say of `rows`, each by one that was fitted on the others."""
    part = rng.permutation(len(rows)) % folds
    found: list[tuple[Flags, Scores]] = []
    for fold in range(folds):
        learned = learn(measured, pairs, rows[part != fold], rng)
        found.append((part == fold, scores(learned, measured, rows[part == fold])))
    return joined(found, len(rows))


def joined(parts: Sequence[tuple[Rows | Flags, Scores]], size: int) -> Scores:
    """One `Scores` of `size` rows, put together from those of some of them at a time."""

    def whole(name: str) -> Floats | None:
        values = np.zeros(size)
        for rows, part in parts:
            some = getattr(part, name)
            if some is None:
                return None
            values[rows] = some
        return values

    router = whole("router")
    if router is None:
        raise ValueError("every part has a router's scores")
    return Scores(router, whole("alone"), whole("consulted"))


# ------------------------------------------------------------------ thresholds


def harm(pairs: Pairs) -> Floats:
    """What serving the cheap answer costs in quality where premium would have been better; 0 or 1 for 0/1 labels."""
    return np.maximum(pairs.premium.score - pairs.cheap.score, 0.0)


def band(seen: Scores, losses: Floats, alpha: float, ratio: float) -> Thresholds:
    """The uncertain band by cross-fitted scores and losses: whom to ask about, with a first guess at `accept`.

    `accept` is the loosest score at which the harm is three quarters of `alpha`. Below `consult` opinions lift so few
    drafts over it that they cost more than they save (`ratio`: their price over premium's); from `unheard` on drafts do
    so little harm (a quarter of `alpha` of those) that nobody is asked.
    """
    accept = _loosest(seen.best, losses, 0.75 * alpha)
    if seen.consulted is None or seen.alone is None:
        return Thresholds(accept, accept, accept)
    unheard = ALWAYS  # where opinions are this cheap, hearing them saves more than it costs
    if ratio > CHEAP:
        unheard = max(_loosest(seen.alone, losses, 0.25 * alpha, among=True), accept)
    order = np.argsort(seen.alone)
    lifted = np.cumsum(seen.consulted[order] >= accept) / np.arange(1, len(order) + 1)
    hopeless = np.flatnonzero(_ends(seen.alone[order]) & (lifted <= ratio))
    consult = float(np.nextafter(seen.alone[order][hopeless[-1]], 2.0)) if len(hopeless) else NEVER
    return Thresholds(accept, min(consult, accept), unheard)


def _loosest(worth: Floats, losses: Floats, most: float, *, among: bool = False) -> float:
    """The lowest score from which on losses, as a mean over all rows or `among` those accepted, come to `most` or less.

    Above every score where there is none.
    """
    order = np.argsort(-worth, kind="stable")
    harmed = np.cumsum(losses[order]) / (np.arange(1, len(worth) + 1) if among else len(worth))
    within = np.flatnonzero(_ends(worth[order]) & (harmed <= most))
    return float(worth[order][within[-1]]) if len(within) else float(worth.max(initial=0.0)) + 1e-6


def _ends(ordered: Floats) -> NDArray[np.bool_]:
    """Where groups of equal scores end: they are accepted, or asked about, together."""
    return np.append(np.diff(ordered) != 0, True)


def reached(seen: Scores, limits: Thresholds) -> Floats:
    """One score a row by which the whole policy is a threshold: it is served iff this is at least the threshold.

    1 and more where it would be served unheard, so that the strictest thresholds keep few; 0 where it escalates at
    once, which no threshold above 0 serves.
    """
    if seen.consulted is None or seen.alone is None:
        return seen.best
    unheard = np.where(seen.alone >= limits.unheard, 1 + seen.alone, 0.0)
    return np.where(asked(seen, limits), seen.consulted, unheard)


def at(limits: Thresholds, threshold: float) -> Thresholds:
    """The limits by which exactly the rows are served whose `reached` is at least `threshold`."""
    if threshold > 1:  # not even all that would be served unheard: nobody is asked
        strict = max(threshold - 1, limits.unheard)
        return Thresholds(strict, strict, strict)
    return Thresholds(threshold, limits.consult, limits.unheard)


def deploy(
    learned: Learned, measured: Measured, pairs: Pairs, seen: tuple[Rows, Scores], limits: Thresholds
) -> TierModel:
    """The models of a tier as they are served: the router also learns whether a draft will be accepted, or asked about.

    `seen`: rows, those that `learned` was fitted on among them, and what cross-fitted models say of them. Raises
    ValueError where there are no responses to verify.
    """
    if learned.alone is None or learned.under is None:
        raise ValueError("the outcomes hold no responses of the cheap model, so there is nothing to verify")
    rows, found = seen
    targets = dict(labels(pairs))
    for name, values in (
        ("accept", reached(found, limits) >= limits.accept),
        ("consult", asked(found, limits)),
    ):
        targets[name] = np.zeros(len(pairs), np.float32)
        targets[name][rows] = values
    router = upper(measured.router, targets, learned.under.only(ROUTER))
    return TierModel(router, learned.alone, learned.consulted)


def asked(seen: Scores, limits: Thresholds) -> NDArray[np.bool_]:
    """The rows about whose drafts opinions are asked."""
    if seen.consulted is None or seen.alone is None:
        return np.zeros(len(seen.router), bool)
    return (seen.alone >= limits.consult) & (seen.alone < limits.unheard)
