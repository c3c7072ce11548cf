"""Claims about a route, each tested at the thresholds of an order that other rows have fixed, from strict to loose.

The loosest threshold that every stricter one leads to is what holds. `worth` are scores of calibration rows, `losses`
the harm that serving them would do. Knows no files, and not who labelled.
"""

from __future__ import annotations

import numpy as np

from tierwise.offline.fit import graded
from tierwise.offline.learn import Floats, harm
from tierwise.offline.outcomes import Pairs
from tierwise.scorers.artefact import Order
from tierwise.stats import anchored
from tierwise.stats.certify import Certified, bound, conformal, parity
from tierwise.stats.sequential import sequential, sequential_graded


def expected(worth: Floats, losses: Floats, order: Order, alpha: float) -> Certified:
    """Never looser than the loosest threshold that other rows have fixed."""
    loosest = conformal(worth, losses, alpha)
    if loosest is None:
        return _nothing(worth)
    threshold = max(loosest, order.steps[-1])
    kept = worth >= threshold
    failures = float(losses[kept].sum())
    return Certified(threshold, len(worth), failures, (failures + 1) / (len(worth) + 1), 1.0, float(kept.mean()))


def one_by_one(
    worth: Floats, losses: Floats, order: Order, claim: tuple[float, float], seed: int
) -> tuple[Certified, int]:
    """And how many labels it took. What is shown is alpha itself: it stops as soon as that holds."""
    buy = sequential_graded if graded(losses) else sequential
    rows = np.random.default_rng(seed).permutation(len(worth))
    bought = buy(worth, lambda row: float(losses[row]), order.steps, *claim, rows)
    labelled = np.array(bought.rows, int)
    strictest = order.steps[0] if bought.threshold is None else bought.threshold
    failures = float(losses[labelled][worth[labelled] >= strictest].sum())
    most = 1.0 if bought.threshold is None else claim[0]
    return Certified(bought.threshold, bought.n, failures, most, bought.p_values[-1], bought.kept), bought.labels


def on_par(worth: Floats, pairs: Pairs, order: Order, claim: tuple[float, float]) -> Certified:
    """The loosest threshold, from the strictest on, up to which parity was shown at each."""
    losses = harm(pairs)
    chosen = _nothing(worth)
    for threshold in order.steps:
        kept = worth >= threshold
        shown = parity(np.where(kept, pairs.cheap.score, pairs.premium.score), pairs.premium.score, *claim)
        if not shown.holds:
            break
        failures = float(losses[kept].sum())
        most = bound(failures, len(worth), claim[1], binary=False)
        chosen = Certified(threshold, len(worth), failures, most, shown.p_value, float(kept.mean()))
    return chosen


def corrected(worth: Floats, losses: Floats, people: Floats, order: Order, claim: tuple[float, float]) -> Certified:
    """The loosest threshold, from the strictest on, with harm by people's standards bounded at each."""
    anchors = ~np.isnan(people)
    chosen = _nothing(worth)
    for threshold in order.steps:
        kept = worth >= threshold
        judged = np.where(kept, losses, 0.0)
        most = anchored.upper(judged, np.where(kept, people, 0.0)[anchors], judged[anchors], claim[1]).bound
        tested = Certified(threshold, len(worth), float(judged.sum()), most, claim[1], float(kept.mean()))
        if most > claim[0]:
            return tested._replace(threshold=None, p_value=1.0, kept=0.0) if chosen.threshold is None else chosen
        chosen = tested
    return chosen


def _nothing(worth: Floats) -> Certified:
    return Certified(None, len(worth), 0.0, 1.0, 1.0, 0.0)
