"""Policies of the frontier as the gateway would play them: certified, label-free, and certified over many resplits.

What is certified is fitted and calibrated inside the rows to learn from, and judged on the others. Knows one pair
of models at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tierwise.offline.calibrated import calibrate, opinion_ratio
from tierwise.offline.fit import Rows
from tierwise.offline.learn import Floats, Scores, asked, band, harm, reached, scores
from tierwise.offline.measured import Flags, Measured
from tierwise.offline.outcomes import Pairs
from tierwise.offline.played import Fate, Recorded, play
from tierwise.offline.replay import deployed
from tierwise.offline.verdicts import Verdicts, labelfree, trained
from tierwise.stats.bounds import clopper_pearson

ALPHA, DELTA = 0.03, 0.05
HELD = 3  # of a resplit, one row in so many is never seen


def cascade(pairs: Pairs, parts: list[tuple[Rows, Rows]], pooled: dict[str, Floats]) -> tuple[Floats, Flags]:
    """Escalation by what is known: opinions are asked in the uncertain band only, which other folds' rows fix."""
    seen = Scores(*(1 - pooled[name] for name in ("router", "alone", "consulted")))
    losses = harm(pairs)
    asks = np.zeros(len(pairs), bool)
    for train, test in parts:
        limits = band(_some(seen, train), losses[train], ALPHA, opinion_ratio(pairs.take(train)))
        asks[test] = asked(_some(seen, test), limits)
    return np.where(asks, pooled["consulted"], pooled["alone"]), asks


def _some(seen: Scores, rows: Rows) -> Scores:
    return Scores(*(None if values is None else values[rows] for values in (seen.router, seen.alone, seen.consulted)))  # type: ignore[arg-type]


def played(
    pairs: Pairs, measured: Measured, parts: list[tuple[Rows, Rows]], ranked: Scores
) -> tuple[Fate, dict[str, Any]]:
    """Certified in every fold, played on its test rows through the live plan; in the order of the rows."""
    fates, order, certified = [], [], []
    for number, (train, test) in enumerate(parts):
        found = calibrate(measured, pairs, train, (ALPHA, DELTA), np.random.default_rng(number))
        verdicts = trained(pairs, measured, ranked, found, deployed(found, measured, pairs))
        fates.append(_play(pairs, verdicts, test))
        order.append(test)
        certified.append(found.certified)
    rows = np.argsort(np.concatenate(order))
    whole = Fate(*(np.concatenate([fate[at] for fate in fates])[rows] for at in range(4)), [])
    none = sum(one.threshold is None for one in certified)
    return whole, {"n_cal": certified[0].n, "folds": len(parts), "nothing_certified": none}


def labelfree_policy(pairs: Pairs, measured: Measured, rows: Rows) -> Fate:
    """Kept where the free checks pass and every opinion agrees: nothing learnt."""
    return _play(pairs, labelfree(pairs, measured, np.zeros(len(pairs))), rows)


def _play(pairs: Pairs, verdicts: Verdicts, rows: Rows) -> Fate:
    given = verdicts.recorded
    return play(
        pairs.take(rows),
        verdicts.route,
        Recorded(lambda row, heard: given.verdict(int(rows[row]), heard), lambda row: given.router(int(rows[row]))),
    )


def resplits(pairs: Pairs, measured: Measured, rows: Rows, count: int, tell: Callable[[int], None]) -> dict[str, Any]:
    """How often a certificate is broken on rows that neither learnt nor calibrated.

    A third is held out each time, two thirds of the rest learn and a third of it calibrates. `above`: the share of
    resplits whose harm on the held rows is above alpha, chance of so few rows included; `broken`: those where it is
    so even by the lower end of its exact 95 % interval.
    """
    losses, found = harm(pairs), []
    for seed in range(count):
        tell(seed + 1)
        rng = np.random.default_rng(1000 + seed)
        mixed = rng.permutation(rows)
        held, rest = np.sort(mixed[: len(rows) // HELD]), np.sort(mixed[len(rows) // HELD :])
        result = calibrate(measured, pairs, rest, (ALPHA, DELTA), rng)
        kept = np.zeros(len(held), bool)
        if result.certified.threshold is not None:
            kept = reached(scores(result.learned, measured, held), result.limits) >= result.limits.accept
        quality = np.where(kept, pairs.cheap.score[held], pairs.premium.score[held]).mean()
        harmed = float((losses[held] * kept).sum())
        low = clopper_pearson(round(harmed), len(held))[0]
        retention = quality / pairs.premium.score[held].mean()
        found.append((kept.mean(), retention, harmed / len(held), low > ALPHA, result.certified.n))
    table = np.array(found, float)
    spread = {name: _spread(table[:, at]) for at, name in enumerate(("kept", "retention", "harm"))}
    above = int((table[:, 2] > ALPHA).sum())
    return spread | {
        "resplits": count,
        "held": len(rows) // HELD,
        "n_cal": int(table[0, 4]),
        "above": [above / count, *clopper_pearson(above, count)],
        "broken": float(table[:, 3].mean()),
    }


def _spread(values: Floats) -> list[float]:
    """Mean over the resplits, and the range of the middle 95 % of them."""
    low, high = np.quantile(values, [0.025, 0.975])
    return [float(values.mean()), float(low), float(high)]
