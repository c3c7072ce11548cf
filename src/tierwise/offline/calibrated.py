"""The certificate of a tier: models fitted on some labelled rows, thresholds fixed there, tested on the rest.

The split and the order are what makes the statement hold: no row that tests a threshold has shaped a model or a
threshold (Learn-then-Test, Angelopoulos et al., arXiv 2110.01052). Knows one pair of tiers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tierwise.offline.fit import Rows, graded
from tierwise.offline.learn import ALWAYS, Floats, Learned, Scores, at, band, cross_scores, harm, learn, reached, scores
from tierwise.offline.measured import Measured
from tierwise.offline.outcomes import Pairs
from tierwise.scorers.artefact import Order
from tierwise.stats.certify import Certified, certify, grid
from tierwise.types import Thresholds

STEPS = 100  # thresholds of the sequence; it ends at the first that fails
# The net harm that a single draft may be expected to do, over alpha, which bounds their mean. Without it the last
# drafts use up what the many good ones leave: 9 % each at alpha = 3 %. A score s stands for net harm 1 - 2 s. Chosen by
# cross-validation over recorded tables (docs/frontier.md): 2 keeps less for no better quality, with 4 quality falls.
MARGINAL = 3.0
SHARE = 3  # one in so many rows calibrates
PARTS = 10  # of an order: an alarm leads so far up
SAFE = 0.5  # of alpha: what a threshold has to keep to that is fallen back on after alarms


@dataclass(frozen=True)
class Calibrated:
    """`limits` are what is served by; `certified.threshold` None: by none of them, everything escalates.

    `train` are the rows of the models, `seen` what cross-fitted models say of them. `order` was fixed on those, and
    `held` are the rows that it was tested on, by the scores `tested`.
    """

    learned: Learned
    limits: Thresholds
    certified: Certified
    train: Rows
    seen: Scores
    order: Order
    held: Rows
    tested: Scores
    safe: float | None  # the threshold at which the same rows show half as much harm


def calibrate(
    measured: Measured, pairs: Pairs, rows: Rows, claim: tuple[float, float], rng: np.random.Generator
) -> Calibrated:
    """`claim` is (alpha, delta): harm <= alpha with confidence 1 - delta. Raises ValueError for too few rows."""
    mixed = rng.permutation(rows)
    held = np.sort(mixed[: len(rows) // SHARE])
    train = np.sort(mixed[len(rows) // SHARE :])
    losses = harm(pairs)
    seen = cross_scores(measured, pairs, train, rng)
    limits = band(seen, losses[train], claim[0], opinion_ratio(pairs.take(train)))
    learned = learn(measured, pairs, train, rng)
    steps = thresholds(reached(seen, limits))
    steps = steps[: max(int(np.sum(steps >= 0.5 - MARGINAL * claim[0] / 2)), 1)]
    order = Order(limits, tuple(steps.tolist()))
    tested = scores(learned, measured, held)
    worth = reached(tested, limits)
    certified, safe = (
        useful(certify(worth, losses[held], steps, alpha, claim[1], graded=graded(losses)))
        for alpha in (claim[0], claim[0] * SAFE)
    )
    if certified.threshold is not None:
        limits = settled(limits, certified.threshold)
    return Calibrated(learned, limits, certified, train, seen, order, held, tested, safe.threshold)


def settled(band: Thresholds, threshold: float) -> Thresholds:
    """`learn.at`, the limits by which a threshold serves. Where nobody is asked about drafts, the band stays empty:
    otherwise drafts between the band's old place and the threshold would be taken for uncertain ones."""
    if threshold <= 1 and band.consult >= band.unheard:
        return Thresholds(threshold, threshold, threshold)
    return at(band, threshold)


def climbing(order: Order, threshold: float, safe: float | None) -> tuple[float | None, float | None]:
    """Where an alarm leads from a tested threshold: a step up the order, and `safe`; None for none.

    A step is a tenth of the order: less would hardly change what is served, and cost another audit.

    As thresholds of acceptance within the band of the tested one. Where opinions are asked, those that serve unheard
    drafts only are none of these: premium is the next rung.
    """
    beyond = 1.0 if threshold > 1 else 0.0  # `reached` counts from there where drafts are served unheard
    accept = settled(order.band, threshold).accept

    def rung(step: float) -> bool:
        return (step > 1) == (threshold > 1) and step - beyond > accept

    higher = sorted(step - beyond for step in order.steps if rung(step))
    stricter = higher[min(len(order.steps) // PARTS, len(higher) - 1)] if higher else None
    return stricter, safe - beyond if safe is not None and rung(safe) else None


def useful(certified: Certified) -> Certified:
    """Nothing is certified where nothing would be kept: as safe as it is useless, every draft paid for and dropped."""
    return certified if certified.kept else certified._replace(threshold=None)


def thresholds(scores: Floats) -> Floats:
    """To be tested, strict to loose. None is 0, what blocked drafts have and those that escalate at once."""
    steps = grid(scores, STEPS)
    return steps[steps > 0] if steps[0] > 0 else np.array([1 + ALWAYS])


def opinion_ratio(pairs: Pairs) -> float:
    """What asking all opinions costs, over premium; a twentieth each where nobody knows."""
    premium = float(np.nanmean(pairs.premium.cost)) if not np.all(np.isnan(pairs.premium.cost)) else 0.0
    known = [float(np.nanmean(side.cost)) for side in pairs.opinions if not np.all(np.isnan(side.cost))]
    if premium <= 0 or len(known) < len(pairs.opinions):
        return 0.05 * len(pairs.opinions)
    return sum(known) / premium
