"""A policy's verdicts on recorded rows, and what becomes of the rows: kept, asked about, paid.

Two kinds: trained, at certified thresholds; and label-free, by the free checks and the agreement of opinions. Both are
played through the live plan (`played.py`). Knows nothing of tables or of fitting.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tierwise.offline import figures
from tierwise.offline.calibrated import Calibrated
from tierwise.offline.fit import Rows, predict
from tierwise.offline.learn import Scores, asked, harm, scores
from tierwise.offline.measured import Flags, Measured
from tierwise.offline.outcomes import Pairs
from tierwise.offline.played import Fate, Recorded, models_of, play, usual
from tierwise.offline.recorded import answer_of, request_of
from tierwise.ports import Scorer
from tierwise.scorers.artefact import Artefact, TierModel, Typical
from tierwise.scorers.router import LengthRouter
from tierwise.scorers.trained import Trained, routed
from tierwise.scorers.verifier import FreeChecks
from tierwise.stats.bounds import samples_needed
from tierwise.stats.zero_router import value_at, zero_router
from tierwise.types import Checks, Evidence, Mode, Route, Uncertified, Verdict

Floats = NDArray[np.float64]

SAMPLE = 200  # rows by which the time of a decision is taken
_AGREE, _DIFFER = Verdict(1.0), Verdict(0.0, (Evidence("agreement", False),))


@dataclass(frozen=True)
class Verdicts:
    """`cascade` is one score a row by the evidence that the policy would have, `consulted` where it asks opinions."""

    scores: Scores
    cascade: Floats
    consulted: Flags
    route: Route
    recorded: Recorded
    router: Scorer
    verifier: Scorer


def labelfree(pairs: Pairs, measured: Measured, by_length: Floats) -> Verdicts:
    """Drafts are kept where they pass the free checks and every opinion agrees; none where there are no responses."""
    tiers, opinions = models_of(pairs)
    worth = by_length
    if measured.alone is not None:
        worth = np.where(measured.blocked, 0.0, measured.passed.astype(float))
    consulted = measured.passed & bool(pairs.opinions)
    if measured.consulted is not None:
        names = measured.consulted.names
        agreeing = [names.index(f"agrees_{side.model}") for side in pairs.opinions]
        worth = worth * np.nan_to_num(measured.consulted.columns[:, agreeing]).mean(axis=1)
    rule: Uncertified = "agreement" if pairs.opinions else "checks"
    mode: Mode = "premium" if measured.alone is None else "enforce"

    def verdict(row: int, heard: bool) -> Verdict:
        return _AGREE if (measured.agreed[row] if heard else measured.passed[row]) else _DIFFER

    return Verdicts(
        Scores(by_length, worth if measured.alone is not None else None, worth if pairs.opinions else None),
        worth,
        consulted,
        Route("replay", tiers, mode=mode, uncertified=rule, opinions=opinions),
        Recorded(verdict, lambda row: Verdict(0.0)),
        LengthRouter(),
        FreeChecks(Checks()),
    )


def trained(
    pairs: Pairs, measured: Measured, ranked: Scores, calibrated: Calibrated, model: TierModel | None
) -> Verdicts:
    """`ranked`: by models of all labelled rows. The policy is played by the calibrated models' own scores."""
    rows = np.arange(len(pairs))
    limits = calibrated.limits
    found = scores(calibrated.learned, measured, rows)
    asks = asked(ranked, limits)
    alone = ranked.router if ranked.alone is None else ranked.alone
    cascade = np.where(asks, ranked.consulted, alone) if ranked.consulted is not None else alone
    tiers, opinions = models_of(pairs)
    certified = calibrated.certified.threshold is not None
    mode: Mode = "enforce" if certified else "premium"
    if model is None:
        above = float(np.nextafter(1 - limits.accept, 2.0))
        route = Route("replay", tiers, mode=mode, thresholds=limits, hold="none", escalate_above=above, planned=False)
        played = Recorded(lambda row, heard: Verdict(0.0), lambda row: Verdict(1 - float(found.router[row])))
        return Verdicts(ranked, cascade, asks, route, played, LengthRouter(), FreeChecks(Checks()))
    route = Route("replay", tiers, mode=mode, thresholds=limits, opinions=opinions, planned=True)
    opened = Trained(Artefact(_names(pairs), route_opinions(pairs), (model,), _typical(pairs), limits))
    played = recorded(pairs, measured, (model, found), rows)
    return Verdicts(ranked, cascade, asks, route, played, opened.router, opened.verifier(Checks()))


def recorded(pairs: Pairs, measured: Measured, known: tuple[TierModel, Scores], rows: Rows) -> Recorded:
    """What a trained policy says of `pairs`, which are the `rows` of what was measured, at `known` scores of those."""
    model, found = known
    return Recorded(_verdicts(found), _estimates(pairs, measured, model, rows))


def _verdicts(found: Scores) -> Callable[[int, bool], Verdict]:
    def verdict(row: int, heard: bool) -> Verdict:
        values = found.consulted if heard else found.alone
        return Verdict(0.0 if values is None else float(values[row]))

    return verdict


def _estimates(pairs: Pairs, measured: Measured, model: TierModel, rows: Rows) -> Callable[[int], Verdict]:
    odds = predict(model.router, measured.router, rows)
    typical = _typical(pairs)
    return lambda row: routed([odds[row]], typical)


def _names(pairs: Pairs) -> tuple[str, ...]:
    return pairs.cheap.model, pairs.premium.model


def route_opinions(pairs: Pairs) -> tuple[str, ...]:
    return tuple(side.model for side in pairs.opinions)


def _typical(pairs: Pairs) -> tuple[Typical, ...]:
    return tuple(usual(side) for side in (pairs.cheap, pairs.premium))


# ------------------------------------------------------------------ what becomes of the rows


def policy(pairs: Pairs, verdicts: Verdicts) -> figures.Policy:
    return outcome(play(pairs, verdicts.route, verdicts.recorded), pairs, _rule(verdicts.route))


def outcome(fate: Fate, pairs: Pairs, rule: str) -> figures.Policy:
    """What a policy came to."""
    quality, best = float(fate.quality.mean()), float(pairs.premium.score.mean())
    ratio = _ratio(fate, pairs)
    return figures.Policy(
        rule=rule,
        kept_cheap=float(fate.kept.mean()),
        quality=quality,
        retention=quality / best if best else 1.0,
        cost_ratio=ratio,
        saving=None if ratio is None else 1 - ratio,
        consulted=float(fate.asked.mean()),
        harm=float(np.where(fate.kept, harm(pairs), 0.0).mean()),
    )


def _rule(route: Route) -> str:
    if route.mode != "enforce":
        return "premium"
    if route.thresholds is None:
        return route.uncertified
    return "router" if route.hold == "none" else "verifier"


def _ratio(fate: Fate, pairs: Pairs) -> float | None:
    """Dollars spent over always-premium's."""
    always = float(pairs.premium.cost.sum())
    ratio = float(fate.dollars.sum()) / always if always > 0 else float("nan")
    return None if np.isnan(ratio) else ratio


def certificate(
    pairs: Pairs, decided: figures.Policy, calibrated: Calibrated, claim: tuple[float, float]
) -> figures.Certificate:
    found = calibrated.certified
    return figures.Certificate(
        alpha=claim[0],
        delta=claim[1],
        n=found.n,
        threshold=found.threshold,
        harm_bound=float(found.harm_bound),
        kept_cheap=decided.kept_cheap,
        harm_on_test=decided.harm,
        retention=decided.retention,
        cost_ratio=decided.cost_ratio,
        failures=float(found.failures),
        needed=samples_needed(claim[0], claim[1], claim[0] / 2),
    )


def singles(pairs: Pairs) -> tuple[figures.Single, ...]:
    """Always asking one model: what any router has to beat."""
    sides = (pairs.cheap, pairs.premium, *pairs.opinions)
    costs = [float(side.cost.mean()) for side in sides]
    points = [(cost, float(side.score.mean())) for cost, side in zip(costs, sides, strict=True)]
    known = [point for point in points if not np.isnan(point[0])]
    hull = zero_router(known) if known else []
    return tuple(
        figures.Single(
            side.model,
            None if np.isnan(cost) else cost,
            quality,
            not np.isnan(cost) and quality >= value_at(hull, cost) - 1e-12,
        )
        for side, (cost, quality) in zip(sides, points, strict=True)
    )


def timed(pairs: Pairs, verdicts: Verdicts) -> figures.DecisionTime:
    """Medians over a sample of rows, by the live scorers, one request at a time."""
    route: list[float] = []
    verify: list[float] = []
    for row in np.linspace(0, len(pairs) - 1, min(SAMPLE, len(pairs))).astype(int):
        request = request_of(pairs.query_id[row], pairs.prompt[row], pairs.category[row], pairs.extra[row])
        answer = answer_of(pairs.cheap.model, pairs.cheap.response[row], pairs.extra[row])
        start = time.thread_time_ns()
        verdicts.router.score(request, None)
        between = time.thread_time_ns()
        verdicts.verifier.score(request, answer)
        route.append((between - start) / 1000)
        verify.append((time.thread_time_ns() - between) / 1000)
    return figures.DecisionTime(float(np.median(route)), float(np.median(verify)))
