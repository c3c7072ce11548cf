"""Claims about a route, each tested at the thresholds of an order that other rows have fixed, from strict to loose.

The loosest threshold that every stricter one leads to is what holds. `worth` are scores of calibration rows, `losses`
the harm that serving them would do. Knows no files, and not who labelled.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from tierwise.offline.calibrated import useful
from tierwise.offline.fit import Rows, graded
from tierwise.offline.learn import Floats, Scores, harm, reached
from tierwise.offline.outcomes import Pairs
from tierwise.scorers.artefact import Order
from tierwise.stats import anchored
from tierwise.stats.certify import Certified, bound, conformal, parity
from tierwise.stats.sequential import Bought, sequential, sequential_graded

Buy = Callable[[str, str], tuple[float, float] | None]
"""How good the draft of a tier is for a query, and premium's answer; None: no more labels are to be had."""
BOUGHT = "sequential Learn-then-Test, betting martingale, labels bought one by one"


class Part(NamedTuple):
    """Calibration rows: what was said, how their drafts were scored, which of all that was measured they are."""

    pairs: Pairs
    scores: Scores
    rows: Rows


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
    return _stopped(bought, worth, losses, order, claim[0]), bought.labels


def by_buying(part: Part, order: Order, claim: tuple[float, float], seed: int, buy: Buy) -> tuple[Part, Certified, int]:
    """The same with labels that are bought as they are asked for; `part` may hold anything for those.

    What comes back beside it are the rows that were read, with the labels that were bought, and how many these are:
    of the rows up to the first one that the threshold accepts and nobody was asked about, none is missing. Where
    nothing was shown it is all of them, as they were. By betting, for a judge may be of half a mind.
    """
    pairs = part.pairs
    worth, losses = reached(part.scores, order.band), np.zeros(len(pairs))
    cheap, premium = pairs.cheap.score.copy(), pairs.premium.score.copy()

    def label_of(row: int) -> float | None:
        found = buy(pairs.cheap.model, pairs.query_id[row])
        if found is None:
            return None
        cheap[row], premium[row] = found
        losses[row] = max(premium[row] - cheap[row], 0.0)
        return float(losses[row])

    rows = np.random.default_rng(seed).permutation(len(worth))
    bought = sequential_graded(worth, label_of, order.steps, *claim, rows)
    certified = useful(_stopped(bought, worth, losses, order, claim[0]))
    accepted = worth >= (order.steps[0] if certified.threshold is None else certified.threshold)
    unknown = np.flatnonzero((accepted & ~np.isin(np.arange(len(worth)), bought.rows))[rows])
    read = rows[: unknown[0]] if len(unknown) else rows
    certified = certified._replace(n=len(read), failures=float(losses[read][accepted[read]].sum()))
    if certified.threshold is None:
        return part, certified, bought.labels
    told = replace(pairs, cheap=replace(pairs.cheap, score=cheap), premium=replace(pairs.premium, score=premium))
    return _some(part._replace(pairs=told), read), certified, bought.labels


def _some(part: Part, read: Rows) -> Part:
    seen = part.scores
    alone, consulted = (None if found is None else found[read] for found in (seen.alone, seen.consulted))
    return Part(part.pairs.take(read), Scores(seen.router[read], alone, consulted), part.rows[read])


def _stopped(bought: Bought, worth: Floats, losses: Floats, order: Order, alpha: float) -> Certified:
    """What is shown is alpha itself; failures are of the rows that were labelled."""
    labelled = np.array(bought.rows, int)
    strictest = order.steps[0] if bought.threshold is None else bought.threshold
    failures = float(losses[labelled][worth[labelled] >= strictest].sum())
    most = 1.0 if bought.threshold is None else alpha
    p_value = bought.p_values[-1] if bought.p_values else 1.0
    return Certified(bought.threshold, bought.n, failures, most, p_value, bought.kept)


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
