"""What a route would have done on recorded answers: its frontier, its policy, its certificate, at full cost.

With labelled rows to fit to, a router and a verifier are learnt on them and judged on the other rows; without any,
drafts are kept where other models agree. Rows of `outcomes` are never learnt from. The ranking figures are of models
fitted on all labelled rows; the certificate's and the policy's of models fitted on two thirds of them, with
thresholds fixed there and tested on the last third. Knows nothing of how it is shown.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tierwise.errors import ConfigError
from tierwise.offline import figures
from tierwise.offline.calibrated import Calibrated, calibrate
from tierwise.offline.fit import Rows
from tierwise.offline.learn import Scores, deploy, joined, learn, scores
from tierwise.offline.measured import Measured, measure
from tierwise.offline.outcomes import Pairs, naming, pair, read, shown
from tierwise.offline.recorded import request_of
from tierwise.offline.verdicts import Verdicts, certificate, labelfree, policy, singles, timed, trained
from tierwise.scorers.artefact import TierModel
from tierwise.scorers.router import LengthRouter
from tierwise.stats.bootstrap import frontier_intervals, interval
from tierwise.stats.frontier import Ranking

Floats = NDArray[np.float64]
Tell = Callable[[str, int, int], None]
"""(what is being done, done, total)."""

NEEDED = ("query_id", "model", "score", "prompt")
GROUPS = 10  # parts that categories are dealt into where each is scored by a model of the others
POINTS = 200  # of a plotted curve


@dataclass(frozen=True)
class Asked:
    """What to replay. `fit` None: without labels. `labels` None: all of them."""

    outcomes: Path
    cheap: str
    premium: str
    opinions: tuple[str, ...] = ()
    fit: Path | None = None
    labels: int | None = None
    bench: str | None = None
    unseen_categories: bool = False
    skip: tuple[str, ...] = ()
    alpha: float = 0.03
    delta: float = 0.05
    seed: int = 0


def replay(wanted: Asked, tell: Tell = lambda what, done, total: None) -> figures.Report:
    """Raises ConfigError for a table, a model or a figure that can't be used, and says which."""
    _check(wanted)
    rng = np.random.default_rng(wanted.seed)
    tested = _pairs(wanted.outcomes, wanted)
    known = None if wanted.fit is None else _labelled(wanted.fit, wanted, tested, rng)
    seen = measure(tested, lambda done, total: tell("measuring", done, total))
    if known is None:
        return _report(wanted, tested, labelfree(tested, seen, _by_length(tested)), None, rng)
    learnt = measure(known, lambda done, total: tell("measuring labelled rows", done, total))
    rows = np.arange(len(known))
    try:
        if wanted.unseen_categories:
            ranked = _by_others(known, learnt, tested, seen, rng, tell)
        else:
            tell("fitting", 0, 2)
            ranked = scores(learn(learnt, known, rows, rng), seen, np.arange(len(tested)))
        tell("fitting", 1, 2)
        calibrated = calibrate(learnt, known, rows, (wanted.alpha, wanted.delta), rng)
    except ValueError as error:
        raise ConfigError(f"{wanted.fit}: {error}") from error
    tell("fitting", 2, 2)
    verdicts = trained(tested, seen, ranked, calibrated, deployed(calibrated, learnt, known))
    return _report(wanted, tested, verdicts, calibrated, rng, len(known))


def deployed(calibrated: Calibrated, measured: Measured, pairs: Pairs) -> TierModel | None:
    """The models as they would be served; None where there are no responses to verify."""
    if calibrated.learned.alone is None:
        return None
    return deploy(calibrated.learned, measured, pairs, (calibrated.train, calibrated.seen), calibrated.limits)


def _check(wanted: Asked) -> None:
    problems = []
    if not 0 < wanted.alpha < 1 or not 0 < wanted.delta < 1:
        problems.append("--alpha and --delta lie between 0 and 1")
    if wanted.fit is None and (wanted.labels is not None or wanted.unseen_categories):
        problems.append("--labels and --unseen-categories say how to use labelled rows: give some with --fit")
    if wanted.labels is not None and wanted.labels < 1:
        problems.append("--labels is a number of labelled queries")
    if wanted.seed < 0:
        problems.append("--seed is a whole number from 0 on")
    names = [wanted.cheap, wanted.premium, *wanted.opinions]
    if len(set(names)) < len(names):
        problems.append("the cheap model, the premium and the opinions are different models")
    if problems:
        raise ConfigError(*problems)


def _pairs(path: Path, wanted: Asked) -> Pairs:
    frame = read(path, need=NEEDED)
    with naming(path):
        found = pair(frame, wanted.cheap, wanted.premium, wanted.opinions, wanted.bench, wanted.skip)
    for side in (found.cheap, found.premium, *found.opinions):
        known = side.cost[~np.isnan(side.cost)]
        if not np.all((known >= 0) & np.isfinite(known)):
            raise ConfigError(f"{path}: a cost_usd of {shown(side.model)} is negative, or not finite")
    return found


def _labelled(path: Path, wanted: Asked, tested: Pairs, rng: np.random.Generator) -> Pairs:
    """The rows to fit to: none whose query is tested, and no more than were asked for."""
    found = _pairs(path, wanted)
    taken = set(tested.query_id)
    left = np.array([row for row, query in enumerate(found.query_id) if query not in taken], int)
    if not len(left):
        raise ConfigError(
            f"{path}: every query in it is tested too, so nothing is left to learn from; split the outcomes"
        )
    if wanted.labels is not None and wanted.labels < len(left):
        left = np.sort(rng.choice(left, wanted.labels, replace=False))
    return found.take(left)


def _by_others(
    known: Pairs, learnt: Measured, tested: Pairs, seen: Measured, rng: np.random.Generator, tell: Tell
) -> Scores:
    """Each tested row by models of other categories only."""
    categories = sorted(set(tested.category))
    group = dict(zip(categories, (rng.permutation(len(categories)) % GROUPS).tolist(), strict=True))
    theirs = np.array([group[category] for category in tested.category])
    ours = np.array([group.get(category, -1) for category in known.category])
    if len(set(theirs.tolist())) < 2:
        raise ConfigError("--unseen-categories needs rows of several categories")
    parts: list[tuple[Rows, Scores]] = []
    for number in sorted(set(theirs.tolist())):
        tell("fitting to other categories", number, GROUPS)
        rows = np.flatnonzero(theirs == number)
        parts.append((rows, scores(learn(learnt, known, np.flatnonzero(ours != number), rng), seen, rows)))
    return joined(parts, len(tested))


def _by_length(pairs: Pairs) -> Floats:
    """Without a label the router knows no better than that long requests are harder."""
    router = LengthRouter()
    requests = zip(pairs.query_id, pairs.prompt, pairs.category, pairs.extra, strict=True)
    return np.array([1 - router.score(request_of(*row), None).score for row in requests])


def _report(
    wanted: Asked,
    pairs: Pairs,
    verdicts: Verdicts,
    calibrated: Calibrated | None,
    rng: np.random.Generator,
    labels: int = 0,
) -> figures.Report:
    cheap, premium = pairs.cheap.score, pairs.premium.score
    paid = _paid(pairs, verdicts)
    decided = policy(pairs, verdicts)
    return figures.Report(
        cheap=pairs.cheap.model,
        premium=pairs.premium.model,
        opinions=tuple(side.model for side in pairs.opinions),
        n=len(pairs),
        labels=labels,
        dropped=pairs.dropped,
        accuracy=figures.Accuracy(*(_mean(values, rng) for values in (cheap, premium, np.maximum(cheap, premium)))),
        router=figures.ranking(frontier_intervals(cheap, premium, -verdicts.scores.router, rng)),
        verifier=figures.ranking(frontier_intervals(cheap, premium, -verdicts.scores.best, rng)),
        cascade=figures.cost_ranking(frontier_intervals(cheap, premium, -verdicts.cascade, rng, dollars=paid)),
        policy=decided,
        certificate=None
        if calibrated is None
        else certificate(pairs, decided, calibrated, (wanted.alpha, wanted.delta)),
        zero_router=singles(pairs),
        decision_us=timed(pairs, verdicts),
        notes=tuple(_notes(wanted, pairs, verdicts, decided, labels)),
        curves=_curves(pairs, verdicts, paid),
    )


def _paid(pairs: Pairs, verdicts: Verdicts) -> tuple[Floats, Floats] | None:
    """Dollars of the cheap path with its opinions, and of premium; None where any is unknown."""
    sides = (pairs.cheap, pairs.premium, *pairs.opinions)
    if any(np.isnan(side.cost).any() for side in sides):
        return None
    cheap = pairs.cheap.cost + verdicts.consulted * sum((side.cost for side in pairs.opinions), np.zeros(len(pairs)))
    return cheap, pairs.premium.cost


def _mean(values: Floats, rng: np.random.Generator) -> figures.Metric:
    return figures.metric(interval(lambda rows: float(values[rows].mean()), len(values), rng))


def _notes(wanted: Asked, pairs: Pairs, verdicts: Verdicts, decided: figures.Policy, labels: int) -> list[str]:
    """What a reader should know before believing a figure."""
    notes = []
    if wanted.unseen_categories:
        notes.append("rankings are by models of other categories; policy and certificate are by models of all of them")
    if pairs.dropped:
        notes.append(f"{pairs.dropped} queries lack an answer of some model and are left out")
    if any(np.isnan(side.cost).any() for side in (pairs.cheap, pairs.premium, *pairs.opinions)):
        notes.append("costs are not known for every model, so nothing is said about dollars")
    elif pairs.unpriced:
        notes.append(f"{pairs.unpriced} answers without a cost count at their model's mean")
    if verdicts.scores.alone is None:
        notes.append("not every answer of the cheap model is recorded: verifier and cascade are the router's choice")
    if decided.rule == "premium":
        why = "nothing could be certified" if labels else "there is nothing to check a draft by"
        notes.append(f"{why}, so the policy sends everything to premium")
    if pairs.premium.score.mean() <= pairs.cheap.score.mean():
        notes.append("premium is no better than the cheap model here: APGR and CPT are not defined")
    return notes


def _curves(pairs: Pairs, verdicts: Verdicts, paid: tuple[Floats, Floats] | None) -> tuple[figures.Curve, ...]:
    cheap, premium = pairs.cheap.score, pairs.premium.score
    found = []
    ranked = (("router", verdicts.scores.router), ("verifier", verdicts.scores.best), ("cascade", verdicts.cascade))
    for name, worth in ranked:
        line = Ranking(cheap, premium, -worth).curve()
        found.append(_thinned(name, line.share, line.quality))
    if paid is not None:
        line_of_cost = Ranking(cheap, premium, -verdicts.cascade).cost_curve(*paid)
        found.append(_thinned("cost", line_of_cost.cost, line_of_cost.quality))
    return tuple(found)


def _thinned(name: str, x: Floats, y: Floats) -> figures.Curve:
    at = np.unique(np.linspace(0, len(x) - 1, POINTS).astype(int))
    return figures.Curve(name, [float(value) for value in x[at]], [float(value) for value in y[at]])
