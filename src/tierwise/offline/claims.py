"""Claims about a route, each tested at the thresholds of an order that other rows have fixed, from strict to loose.

The loosest threshold that every stricter one leads to is what holds. `worth` are scores of calibration rows, `losses`
the harm that serving them would do. Knows no files, and not who labelled.
"""

from __future__ import annotations

import numpy as np

from tierwise.offline.learn import Floats, harm
from tierwise.offline.outcomes import Pairs
from tierwise.scorers.artefact import Order
from tierwise.stats import anchored
from tierwise.stats.bounds import upper_mean
from tierwise.stats.certify import Certified, conformal, parity
from tierwise.stats.sequential import sequential, sequential_graded


def graded(losses: Floats) -> bool:
    """Whether harm is more than there or not there."""
    return bool(np.any((losses != 0) & (losses != 1)))


def expected(worth: Floats, losses: Floats, order: Order, alpha: float) -> Certified:
    """Never looser than the loosest threshold that other rows have fixed."""
    loosest = conformal(worth, losses, alpha)
    if loosest is None:
        return Certified(None, len(worth), 0.0, 1.0, 1.0, 0.0)
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
    bound = 1.0 if bought.threshold is None else claim[0]
    return Certified(bought.threshold, bought.n, failures, bound, bought.p_values[-1], bought.kept), bought.labels


def on_par(worth: Floats, pairs: Pairs, order: Order, claim: tuple[float, float]) -> Certified:
    """The loosest threshold, from the strictest on, up to which parity was shown at each."""
    losses = harm(pairs)
    chosen = Certified(None, len(worth), 0.0, 1.0, 1.0, 0.0)
    for threshold in order.steps:
        kept = worth >= threshold
        shown = parity(np.where(kept, pairs.cheap.score, pairs.premium.score), pairs.premium.score, *claim)
        if not shown.holds:
            break
        failures = float(losses[kept].sum())
        bound = upper_mean(failures / len(worth), len(worth), claim[1])
        chosen = Certified(threshold, len(worth), failures, bound, shown.p_value, float(kept.mean()))
    return chosen


def corrected(worth: Floats, losses: Floats, people: Floats, order: Order, claim: tuple[float, float]) -> Certified:
    """The loosest threshold, from the strictest on, with harm by people's standards bounded at each."""
    anchors = ~np.isnan(people)
    chosen = Certified(None, len(worth), 0.0, 1.0, 1.0, 0.0)
    for threshold in order.steps:
        kept = worth >= threshold
        judged = np.where(kept, losses, 0.0)
        bound = anchored.upper(judged, np.where(kept, people, 0.0)[anchors], judged[anchors], claim[1]).bound
        if bound > claim[0]:
            return (
                chosen
                if chosen.threshold is not None
                else chosen._replace(failures=float(judged.sum()), harm_bound=bound)
            )
        chosen = Certified(threshold, len(worth), float(judged.sum()), bound, claim[1], float(kept.mean()))
    return chosen
