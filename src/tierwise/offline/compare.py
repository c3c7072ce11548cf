"""Compares models on a route's own prompts by labels that need nobody: where a candidate stands beside what serves now.

A few prompts stand for all: the medoids of what was stored, each weighing as many requests as its cluster has.
Quality is relative to premium's answers: but for the operator's own checks nobody is found better than premium, only
as good. Knows no config and calls nothing: what the models said, and how good that was, comes in as values.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from tierwise.core.kept import request_of
from tierwise.errors import ConfigError
from tierwise.offline.drawn import Gathered
from tierwise.offline.learn import Floats
from tierwise.proof import Said, Texts
from tierwise.scorers.clusters import encoded
from tierwise.stats.bootstrap import Rows, interval
from tierwise.stats.clusters import medoids, nearest
from tierwise.stats.zero_router import value_at, zero_router
from tierwise.types import Route

LEAST = 20  # prompts: of fewer nothing is told
NEWEST = 5_000  # stored prompts that are looked at
ROUNDING = 1e-9
NANO = 1e-9  # dollars
_NOBODY = frozenset({"", "failed"})  # sources of what is no label
_NAN = float("nan")


class Chosen(NamedTuple):
    """Prompts, the heaviest first. `weights`: the requests that each stands for; `stored`: of how many it is chosen."""

    texts: tuple[Texts, ...]
    weights: tuple[float, ...]
    stored: int


class Trial(NamedTuple):
    """What one model said to one prompt: whose label it is ("" nobody's, "failed" no answer), how good it is.

    `premium`: how good premium's answer is. `nanos` None: unknown.
    """

    source: str
    quality: float
    premium: float
    nanos: int | None
    seconds: float


_NOTHING = Trial("", 0.0, 0.0, None, _NAN)

Trials = Sequence[Mapping[str, Trial]]
"""For each prompt, by model; empty for a prompt that nobody was asked."""


class Figure(msgspec.Struct, frozen=True):
    """With its 95 % interval."""

    value: float
    low: float
    high: float


class Standing(msgspec.Struct, frozen=True):
    """One model. Shares in [0, 1], relative to premium; None where nothing is known.

    `labelled` of the `asked` prompts have a label, and `failed` ones no answer, which counts as one that is not good.
    `usd`, `seconds`: means a request. `cost_ratio`: over premium's cost of the same prompts. `cascade_at_best`: cost
    over premium's if this model is asked first and a verifier that never errs escalates what is not good enough;
    no verifier makes it cheaper at premium's quality.
    """

    model: str
    asked: int
    labelled: int
    failed: int
    quality: Figure | None
    harm: Figure | None
    usd: float | None
    cost_ratio: Figure | None
    seconds: float | None
    cascade_at_best: Figure | None


class Report(msgspec.Struct, frozen=True):
    """`standings`: the candidate's, then those beside it. `difference`: of quality, candidate's minus `against`'s.

    `compared`: prompts that both have a label for. `requests`: what all prompts stand for, of which `stands_for` are
    those that were asked. `labels`: how many by whom. `place`: on the frontier of cost and quality, "frontier",
    "dominated", "mixed" (two others, at random, do better), "few" (labels) or "unknown" (costs); `by` whom.
    `spent_usd`: by the comparison.
    """

    route: str
    candidate: str
    against: str | None
    premium: str
    premium_usd: float | None
    premium_seconds: float
    stored: int
    prompts: int
    asked: int
    requests: float
    stands_for: float
    standings: tuple[Standing, ...]
    difference: Figure | None
    compared: int
    labels: dict[str, int]
    place: str
    by: tuple[str, ...]
    spent_usd: float
    ended: str


# ------------------------------------------------------------------ which prompts


def choose(gathered: Gathered, route: Route, most: int, seed: int = 0) -> Chosen:
    """At most so many prompts that stand for all stored ones. Raises ConfigError where too few are stored.

    A request that was likelier to be drawn than others stands for fewer of them.
    """
    chance = {sample.request_id: sample.propensity for sample in gathered.samples}
    stored = [item for item in gathered.texts if _said(item, route.premium.name) is not None][-NEWEST:]
    if len(stored) < LEAST:
        raise ConfigError(
            f"route {route.name}: {len(stored)} of its requests are stored with premium's answer, and {LEAST} are the "
            "least to compare models by. They gather while the gateway serves: `observe` in the config is the share "
            "of premium's answers that are drawn, evidence_usd_per_day what that may cost a day, and keep_days for "
            "how long their texts are kept"
        )
    meanings = np.stack([encoded(request_of(item, route.name)) for item in stored])
    rows, _ = medoids(meanings, most, np.random.default_rng(seed))
    counts = np.array([1 / chance.get(item.request_id, 1.0) for item in stored])
    weights = np.bincount(nearest(meanings, meanings[rows]), counts, minlength=len(rows))
    order = np.argsort(-weights, kind="stable")
    return Chosen(tuple(stored[rows[at]] for at in order), tuple(weights[order].tolist()), len(stored))


def _said(texts: Texts, model: str) -> Said | None:
    return next((said for said in texts.said if said.model == model), None)


# ------------------------------------------------------------------ what came of it


class _Seen(NamedTuple):
    """One model's rows, NaN where nothing is known. `always`: what premium's stored answer cost; nano-dollars."""

    weight: Floats
    quality: Floats
    premium: Floats
    cost: Floats
    always: Floats
    seconds: Floats

    @property
    def labelled(self) -> NDArray[np.bool_]:
        found: NDArray[np.bool_] = ~np.isnan(self.quality)
        return found


def report(
    route: Route, names: tuple[str, ...], chosen: Chosen, trials: Trials, ended: tuple[int, str] = (0, "")
) -> Report:
    """`names`: the candidate's, then those of the models beside it. `ended`: nano-dollars spent, and why it ended."""
    asked = [row for row, found in enumerate(trials) if found]
    seen = [_seen(name, route, chosen, trials) for name in names]
    compared = 0 if len(names) < 2 else int((seen[0].labelled & seen[1].labelled).sum())
    difference = None if compared < LEAST else _figures([_difference(*seen[:2])])[0]
    standings = tuple(_standing(name, one, trials) for name, one in zip(names, seen, strict=True))
    place, by = placed(standings, route.premium.name)
    premium = [_said(chosen.texts[row], route.premium.name) for row in asked]
    always = np.array([(said.nanos, said.seconds) for said in premium if said is not None], float).reshape(-1, 2).T
    weights = np.array([chosen.weights[row] for row in asked])
    return Report(
        route=route.name,
        candidate=names[0],
        against=names[1] if len(names) > 1 else None,
        premium=route.premium.name,
        premium_usd=_mean(always[0], weights, NANO) if route.premium.price is not None else None,
        premium_seconds=_mean(always[1], weights) or 0.0,
        stored=chosen.stored,
        prompts=len(chosen.texts),
        asked=len(asked),
        requests=sum(chosen.weights),
        stands_for=float(weights.sum()),
        standings=standings,
        difference=difference,
        compared=compared,
        labels=_labels(names[:2], trials),
        place=place,
        by=by,
        spent_usd=ended[0] * NANO,
        ended=ended[1],
    )


def _labels(names: Sequence[str], trials: Trials) -> dict[str, int]:
    sources = [found[name].source for found in trials for name in names if name in found]
    return dict(Counter(source for source in sources if source not in _NOBODY))


def _seen(name: str, route: Route, chosen: Chosen, trials: Trials) -> _Seen:
    rows = []
    for weight, texts, found in zip(chosen.weights, chosen.texts, trials, strict=True):
        if not found:
            continue
        premium = _said(texts, route.premium.name)
        trial = found.get(name, _NOTHING)
        labels = (_NAN, _NAN) if trial.source == "" else (trial.quality, trial.premium)
        cost = _NAN if trial.nanos is None else float(trial.nanos)
        always = _NAN if premium is None or route.premium.price is None else float(premium.nanos)
        rows.append((weight, *labels, cost, always, _NAN if trial.source == "failed" else trial.seconds))
    return _Seen(*np.array(rows, np.float64).reshape(-1, 6).T)


def _standing(model: str, seen: _Seen, trials: Trials) -> Standing:
    weight, harm = seen.weight, np.maximum(seen.premium - seen.quality, 0.0)
    priced = np.where(np.isnan(seen.cost), np.nan, seen.always)
    quality, harmed, ratio, best = _figures([
        (weight * seen.quality, weight * seen.premium),
        (weight * harm, weight),
        (weight * seen.cost, weight * priced),
        (weight * (seen.cost + harm * seen.always), weight * priced),
    ])  # fmt: skip
    own = [found[model] for found in trials if model in found]
    return Standing(
        model=model,
        asked=len(own),
        labelled=int(seen.labelled.sum()),
        failed=sum(trial.source == "failed" for trial in own),
        quality=quality,
        harm=harmed,
        usd=_mean(seen.cost, weight, NANO),
        cost_ratio=ratio,
        seconds=_mean(seen.seconds, weight),
        cascade_at_best=best,
    )


def _mean(values: Floats, weights: Floats, unit: float = 1.0) -> float | None:
    known = ~np.isnan(values)
    return float((values * weights)[known].sum() / weights[known].sum()) * unit if known.any() else None


def _difference(one: _Seen, other: _Seen) -> tuple[Floats, Floats]:
    """Prompt by prompt: the same weights, the same premium's answers."""
    return one.weight * (one.quality - other.quality), one.weight * one.premium


def _figures(ratios: Sequence[tuple[Floats, Floats]]) -> list[Figure | None]:
    """Each of two sums over the prompts where both are known; None where there are none, or nothing to divide by.

    The intervals are over prompts (bootstrap), the same ones for all.
    """
    above, below = (np.stack([pair[side] for pair in ratios]) for side in (0, 1))
    if not above.shape[1]:
        return [None] * len(ratios)
    known = ~np.isnan(above + below)
    above, below = np.where(known, above, 0.0), np.where(known, below, 0.0)

    def of(rows: Rows) -> Floats:
        whole = below[:, rows].sum(axis=1)
        none = whole <= 0
        return np.where(none, np.nan, above[:, rows].sum(axis=1) / np.where(none, 1.0, whole))

    found = interval(of, above.shape[1], np.random.default_rng(0))
    return [
        None if np.isnan(value) else Figure(float(value), float(low), float(high))
        for value, low, high in zip(found.value, found.low, found.high, strict=True)
    ]


# ------------------------------------------------------------------ the frontier


def placed(standings: Sequence[Standing], premium: str) -> tuple[str, tuple[str, ...]]:
    """Of the first among all and premium, in costs and quality relative to premium's."""
    if standings[0].labelled < LEAST:
        return "few", ()
    points = {premium: (1.0, 1.0)}
    for item in standings:
        if item.quality is not None and item.cost_ratio is not None:
            points.setdefault(item.model, (item.cost_ratio.value, item.quality.value))
    own = points.pop(standings[0].model, None)
    if own is None:
        return "unknown", ()
    better = [name for name, (cost, good) in points.items() if cost <= own[0] and good >= own[1]]
    if better:
        return "dominated", tuple(sorted(better, key=lambda name: points[name]))
    hull = zero_router(list(points.values()))
    if not value_at(hull, own[0]) > own[1] + ROUNDING:  # below the first of them there is no value
        return "frontier", ()
    left = max((at for at in hull if at[0] <= own[0]), key=lambda at: at[0])
    right = min((at for at in hull if at[0] > own[0]), key=lambda at: at[0])
    return "mixed", tuple(next(name for name, at in points.items() if at == end) for end in (left, right))
