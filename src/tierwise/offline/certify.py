"""Certifies a trained route on fresh labelled rows: the models and the order of thresholds stand, only the test is new.

Rows whose query shaped the models, fixed the thresholds or tested them before are left out, so train, calibration and
later samples never share a request. Every claim names its form: `harm` (fixed-sequence Learn-then-Test, arXiv
2110.01052), `parity` (quality at least rho of premium's, by betting, arXiv 2010.09686) or `expected` (conformal risk
control, arXiv 2208.02814). Knows no config and signs nothing: what a route is comes in as a value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np

from tierwise.core.certificate import Form
from tierwise.errors import ConfigError
from tierwise.offline import claims
from tierwise.offline.calibrated import SAFE, climbing, settled, useful
from tierwise.offline.findings import Finding, Findings
from tierwise.offline.fit import Rows, graded
from tierwise.offline.learn import Floats, Learned, Scores, harm, reached, scores
from tierwise.offline.measured import Measured, measure
from tierwise.offline.outcomes import Pairs, naming, pair, read
from tierwise.offline.people import harm_by_people
from tierwise.offline.played import Fate, models_of, play
from tierwise.offline.reference import cluster_bounds, drafted, score_bounds
from tierwise.offline.segments import segments
from tierwise.offline.train import NEEDED, Fitted
from tierwise.offline.train import Wanted as Training
from tierwise.offline.verdicts import outcome, recorded
from tierwise.scorers import artefact
from tierwise.scorers.artefact import Artefact, Order, TierModel
from tierwise.scorers.trained import usable
from tierwise.stats.bootstrap import DRAWS, LEAST_ROUNDS, interval
from tierwise.stats.bounds import samples_needed
from tierwise.stats.certify import Certified, certify
from tierwise.types import Mode, Route, Thresholds

Tell = Callable[[str, int, int], None]

ROUNDS = 1000  # of a bootstrap; fewer where rows are very many
MOST = 15_000  # rows that test: all others would move a bound at 3 % by 0.1 to 0.2 points, and be measured as well


@dataclass(frozen=True)
class Wanted:
    """`route` as training saw it, with `outcomes` that are new; `trained` is its artefact."""

    route: Training
    trained: Path
    form: Form = "harm"
    rho: float = 0.97  # of premium's quality, where the form is parity
    sequential: bool = False  # look at one label after the other, and stop at the one that decides
    judge: str = ""  # who gave the outcomes' scores, where that was a model
    anchors: Path | None = None  # outcomes of some of the same requests with scores by people, who correct it
    most: int = MOST  # rows, drawn at random where there are more; anchors are all kept


@dataclass(frozen=True)
class Sample:
    """Rows that calibrate a tier, none of which its models have seen, and what those say of them.

    `pairs` and `scores` are of these rows only, `rows` says which they are of all that was `measured`.
    """

    pairs: Pairs
    measured: Measured
    rows: Rows
    scores: Scores
    model: TierModel


def find(wanted: Wanted, tell: Tell = lambda what, done, total: None, buy: claims.Buy | None = None) -> Findings:
    """`buy` sells labels one by one; what the outcomes have for scores is then worth nothing.

    Raises ConfigError for outcomes or an artefact that can't be used together.
    """
    route = wanted.route
    if not (0 < route.alpha < 1 and 0 < route.delta < 1 and 0 < wanted.rho <= 1):
        raise ConfigError("alpha and delta lie between 0 and 1, rho is above 0 and at most 1")
    trained = usable(artefact.read(wanted.trained), wanted.trained)
    _check(wanted, trained)
    frame = read(route.outcomes, need=NEEDED)
    _check_form(wanted)
    rows = route.recorded_as(frame["model"].unique().to_list())
    found: list[Finding] = []
    clusters: tuple[float, ...] = ()
    for place, tier in enumerate(route.tiers[:-1]):
        with naming(route.outcomes):
            pairs = pair(frame, rows[tier], rows[route.tiers[-1]], [rows[name] for name in trained.opinions])
        fresh, left_out = _fresh(pairs, trained, route.outcomes)
        available = len(fresh)
        if available > wanted.most and wanted.anchors is None:
            chosen = np.random.default_rng(route.seed).choice(available, wanted.most, replace=False)
            fresh = fresh.take(np.sort(chosen))
        measured = measure(fresh, lambda done, total, tier=tier: tell(f"{tier}: measuring", done, total))  # type: ignore[misc]
        sample = _sample(fresh, measured, trained.models[place], route.outcomes)
        people = None if wanted.anchors is None else harm_by_people(wanted.anchors, fresh)
        if buy is None:
            told = _tested((sample, people), trained.orders[place], wanted)
        else:
            told = _bought(sample, trained.orders[place], wanted, buy)
        found.append(msgspec.structs.replace(told, left_out=left_out, available=available))
        clusters = clusters or cluster_bounds(measured, sample.rows, trained.centroids)
    return Findings(tuple(found), artefact.sha256_of(route.outcomes), clusters)


def of_training(training: Training, fitted: Sequence[Fitted]) -> Findings:
    """What training itself has tested, on the third of its rows that it held back. Reads the artefact it has left."""
    tiers: list[Finding] = []
    clusters: tuple[float, ...] = ()
    centroids = artefact.read(training.out).centroids
    for calibrated, model, pairs, measured in fitted:
        held = calibrated.held
        sample = Sample(pairs.take(held), measured, held, calibrated.tested, model)
        named: tuple[Form, str] = ("harm", _method(harm(pairs)))
        told = _finding(sample, calibrated.certified, calibrated.order, training.claim, named)
        tiers.append(_climbing(told, calibrated.order, calibrated.safe))
        clusters = clusters or cluster_bounds(measured, held, centroids)
    return Findings(tuple(tiers), artefact.sha256_of(training.outcomes), clusters)


# ------------------------------------------------------------------ rows


def _check(wanted: Wanted, trained: Artefact) -> None:
    if trained.tiers != wanted.route.tiers or sorted(trained.opinions) != sorted(wanted.route.opinions):
        raise ConfigError(f"{wanted.trained}: was trained for other tiers or opinions than the route's; train it anew")
    if len(trained.orders) != len(trained.models):
        raise ConfigError(f"{wanted.trained}: from a version that kept no order of thresholds; train it anew")


def _check_form(wanted: Wanted) -> None:
    if wanted.form != "harm" and (wanted.sequential or wanted.anchors is not None):
        raise ConfigError("--sequential and --anchors are for the form harm; leave out --form")
    if wanted.form != "harm" and len(wanted.route.tiers) > 2:
        raise ConfigError("a route of several cheap tiers is certified by its harm, which adds up; leave out --form")
    if wanted.anchors is not None and (wanted.sequential or not wanted.judge):
        raise ConfigError("--anchors correct a judge: name it with --judge, and leave out --sequential")


def _fresh(pairs: Pairs, trained: Artefact, path: Path) -> tuple[Pairs, int]:
    """The rows that no model and no threshold has seen, and how many others there are."""
    keys = np.array([artefact.row_key(query) for query in pairs.query_id], np.uint64)
    fresh = np.flatnonzero(~np.isin(keys, trained.seen))
    if not len(fresh):
        raise ConfigError(
            f"{path}: every query in it was used to train or to certify before; collect labels of new requests"
        )
    return pairs.take(fresh), len(pairs) - len(fresh)


def _sample(pairs: Pairs, measured: Measured, model: TierModel, path: Path) -> Sample:
    if measured.alone is None:
        raise ConfigError(f"{path}: {pairs.cheap.model} has rows without a response: nothing to verify")
    learned = Learned(model.router, model.alone, model.consulted, None)
    rows = np.arange(len(pairs))
    return Sample(pairs, measured, rows, scores(learned, measured, rows), model)


# ------------------------------------------------------------------ tests


def _tested(known: tuple[Sample, Floats | None], order: Order, wanted: Wanted) -> Finding:
    """`known`: the sample, and the harm of its rows by people's word, NaN where they have not looked."""
    sample, people = known
    found, labels, method = _shown(known, order, wanted, 1.0)
    safe = None  # what few labels have shown, they do not show of half as much harm
    if not wanted.sequential:
        safe = _shown(known, order, wanted, SAFE)[0].threshold
    told = _finding(sample, found, order, wanted.route.claim, (wanted.form, method))
    return msgspec.structs.replace(
        _climbing(told, order, safe),
        rho=wanted.rho if wanted.form == "parity" else None,
        labels_used=labels,
        labels=_labellers(wanted, people) or told.labels,
    )


def _bought(sample: Sample, order: Order, wanted: Wanted, buy: claims.Buy) -> Finding:
    """By labels that are bought as the test asks for them; only the rows that it has read are told of."""
    claim, part = wanted.route.claim, claims.Part(sample.pairs, sample.scores, sample.rows)
    part, found, labels = claims.by_buying(part, order, claim, wanted.route.seed, buy)
    sample = replace(sample, pairs=part.pairs, scores=part.scores, rows=part.rows)
    told = _finding(sample, found, order, claim, ("harm", claims.BOUGHT))
    return msgspec.structs.replace(_climbing(told, order, None), labels_used=labels)


def _shown(
    known: tuple[Sample, Floats | None], order: Order, wanted: Wanted, share: float
) -> tuple[Certified, int, str]:
    """The claim at a share of alpha, or of what rho leaves; how many labels it took, and the method."""
    sample, people = known
    alpha, delta = wanted.route.claim
    claim, pairs = (alpha * share, delta), sample.pairs
    worth = reached(sample.scores, order.band)
    losses, labels = harm(pairs), len(worth)
    if wanted.form == "parity":
        found = claims.on_par(worth, pairs, order, (wanted.rho + (1 - wanted.rho) * (1 - share), delta))
        method = "fixed sequence, betting martingale"
    elif wanted.form == "expected":
        found, method = claims.expected(worth, losses, order, claim[0]), "conformal risk control"
    elif people is not None:
        found = claims.corrected(worth, losses, people, order, claim)
        method = "fixed sequence, prediction-powered, at any sample size"
    elif wanted.sequential:
        found, labels = claims.one_by_one(worth, losses, order, claim, wanted.route.seed)
        method = f"sequential Learn-then-Test, {'betting martingale' if graded(losses) else 'exact binomial test'}"
    else:
        found = certify(worth, losses, np.array(order.steps), *claim, graded=graded(losses))
        method = _method(losses)
    return useful(found), labels, method


def _climbing(told: Finding, order: Order, safe: float | None) -> Finding:
    if told.threshold is None:
        return told
    stricter, safe = climbing(order, told.threshold, safe)
    return msgspec.structs.replace(told, stricter=stricter, safe=safe)


def _labellers(wanted: Wanted, people: Floats | None) -> str:
    if not wanted.judge:
        return ""
    corrected = "" if people is None else f", corrected by people on {int((~np.isnan(people)).sum()):,} of them"
    return f"the judge {wanted.judge}{corrected}"


def _method(losses: Floats) -> str:
    return f"fixed-sequence Learn-then-Test, {'Hoeffding-Bentkus' if graded(losses) else 'exact binomial tail'}"


# ------------------------------------------------------------------ what is told of them


def _finding(
    sample: Sample, certified: Certified, order: Order, claim: tuple[float, float], named: tuple[Form, str]
) -> Finding:
    pairs = sample.pairs
    limits = None if certified.threshold is None else settled(order.band, certified.threshold)
    fate = _played(sample, limits)
    if not fate.kept.any():  # the plan asks for no draft: nothing to certify
        certified, limits = certified._replace(threshold=None), None
    decided = outcome(fate, pairs, "verifier")
    known = decided.cost_ratio is not None and limits is not None
    return Finding(
        alpha=claim[0],
        delta=claim[1],
        n=certified.n,
        threshold=certified.threshold,
        harm_bound=float(certified.harm_bound),
        kept_cheap=decided.kept_cheap,
        harm_on_test=decided.harm,
        retention=decided.retention,
        cost_ratio=decided.cost_ratio,
        failures=float(certified.failures),
        needed=_needed(certified, claim) if named[0] == "harm" else None,
        labels_used=certified.n,
        left_out=0,
        form=named[0],
        method=named[1],
        saving=_saving(fate.dollars, pairs.premium.cost) if known else None,
        segments=() if limits is None else tuple(segments(pairs, fate.kept, harm(pairs), claim[1])),
        thresholds=limits,
        scores=None if limits is None else score_bounds(drafted(sample.scores, fate)),
    )


def _played(sample: Sample, limits: Thresholds | None) -> Fate:
    """What the gateway would have done with the rows."""
    tiers, opinions = models_of(sample.pairs)
    mode: Mode = "premium" if limits is None else "enforce"
    route = Route("certify", tiers, mode=mode, thresholds=limits, opinions=opinions, planned=True)
    return play(
        sample.pairs, route, recorded(sample.pairs, sample.measured, (sample.model, sample.scores), sample.rows)
    )


def _saving(dollars: Floats, always: Floats) -> tuple[float, float, float]:
    def share(rows: Rows) -> float:
        return 1 - float(dollars[rows].sum() / always[rows].sum())

    rounds = min(ROUNDS, max(LEAST_ROUNDS, DRAWS // len(dollars)))
    found = interval(share, len(dollars), np.random.default_rng(0), rounds)
    return found.value, found.low, found.high


def _needed(certified: Certified, claim: tuple[float, float]) -> int | None:
    """Rows that would do at the rate of harm that was seen."""
    try:
        return samples_needed(*claim, min(certified.failures / max(certified.n, 1), 1.0))
    except ValueError:
        return None
