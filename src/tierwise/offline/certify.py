"""Certifies a trained route on fresh labelled rows: the models and the order of thresholds stand, only the test is new.

Rows whose query shaped the models, fixed the thresholds or tested them before are left out, so train, calibration and
later samples never share a request. Every claim names its form: `harm` (fixed-sequence Learn-then-Test, arXiv
2110.01052), `parity` (quality at least rho of premium's, by betting, arXiv 2010.09686) or `expected` (conformal risk
control, arXiv 2208.02814). Knows no config and signs nothing: what a route is comes in as a value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, log
from pathlib import Path

import msgspec
import numpy as np

from tierwise.core import certificate as document
from tierwise.core.certificate import Certificate, Form, Segment
from tierwise.errors import ConfigError
from tierwise.offline import claims, figures
from tierwise.offline.calibrated import useful
from tierwise.offline.fit import Rows, graded
from tierwise.offline.learn import Floats, Learned, Scores, at, harm, reached, scores
from tierwise.offline.measured import Measured, measure
from tierwise.offline.outcomes import Pairs, naming, pair, read
from tierwise.offline.played import Fate, models_of, play
from tierwise.offline.segments import segments
from tierwise.offline.train import NEEDED, Fitted, strictest
from tierwise.offline.train import Wanted as Training
from tierwise.offline.verdicts import outcome, recorded
from tierwise.scorers import artefact
from tierwise.scorers.artefact import Artefact, Order, TierModel
from tierwise.stats.bootstrap import interval
from tierwise.stats.bounds import samples_needed
from tierwise.stats.certify import Certified, certify
from tierwise.types import Mode, Route, Thresholds

Tell = Callable[[str, int, int], None]

DAY = 86_400  # seconds


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


class Finding(figures.Certificate, frozen=True):
    """What was found of one tier, or of the route's first where it has several. Shares in [0, 1].

    `threshold` None: nothing is certified. `needed` labelled rows would do (with 80 % power) if harm is what it was at
    the strictest threshold; None where it is too much for any number. `saving`: (value, low, high) at full cost.
    """

    labels_used: int
    left_out: int
    form: Form
    method: str
    saving: tuple[float, float, float] | None
    segments: tuple[Segment, ...]
    thresholds: Thresholds | None
    rho: float | None = None  # of premium's quality, where the form is parity
    labels: str = "the outcomes' scores"  # who says what is good enough


class Findings(msgspec.Struct, frozen=True):
    tiers: tuple[Finding, ...]
    data_sha256: str

    @property
    def thresholds(self) -> Thresholds | None:
        """The strictest of all tiers'; None where one of them could not be certified."""
        return strictest([tier.thresholds for tier in self.tiers])


def labels_needed(alpha: float, delta: float) -> tuple[int, int]:
    """Labelled rows that certify harm <= alpha: where none of them did any, and where a quarter of alpha is true.

    Raises ValueError unless both lie between 0 and 1.
    """
    if not (0 < alpha < 1 and 0 < delta < 1):
        raise ValueError("they lie between 0 and 1")
    return ceil(log(delta) / log(1 - alpha)), samples_needed(alpha, delta, alpha / 4)


def find(wanted: Wanted, tell: Tell = lambda what, done, total: None) -> Findings:
    """Raises ConfigError for outcomes or an artefact that can't be used together."""
    route = wanted.route
    if not (0 < route.alpha < 1 and 0 < route.delta < 1 and 0 < wanted.rho <= 1):
        raise ConfigError("alpha and delta lie between 0 and 1, rho is above 0 and at most 1")
    trained = artefact.read(wanted.trained)
    _check(wanted, trained)
    frame = read(route.outcomes, need=NEEDED)
    _check_form(wanted)
    rows = route.recorded_as(frame["model"].unique().to_list())
    found = []
    for place, tier in enumerate(route.tiers[:-1]):
        with naming(route.outcomes):
            pairs = pair(frame, rows[tier], rows[route.tiers[-1]], [rows[name] for name in trained.opinions])
        fresh, left_out = _fresh(pairs, trained, route.outcomes)
        measured = measure(fresh, lambda done, total, tier=tier: tell(f"{tier}: measuring", done, total))  # type: ignore[misc]
        sample = _sample(fresh, measured, trained.models[place], route.outcomes)
        people = None if wanted.anchors is None else _people(wanted.anchors, fresh)
        found.append(_tested((sample, people), trained.orders[place], wanted, left_out))
    return Findings(tuple(found), artefact.sha256_of(route.outcomes))


def of_training(training: Training, fitted: Sequence[Fitted]) -> Findings:
    """What training itself has tested, on the third of its rows that it held back."""
    tiers = []
    for calibrated, model, pairs, measured in fitted:
        held = calibrated.held
        sample = Sample(pairs.take(held), measured, held, calibrated.tested, model)
        limits = None if calibrated.certified.threshold is None else calibrated.limits
        named: tuple[Form, str] = ("harm", _method(harm(pairs)))
        tiers.append(_finding(sample, (calibrated.certified, limits), training.claim, named, 0))
    return Findings(tuple(tiers), artefact.sha256_of(training.outcomes))


def drawn_up(findings: Findings, route: Route, binds: dict[str, str], times: tuple[int, int]) -> Certificate | None:
    """The certificate, unsigned; None where there is nothing to certify. `times`: now, in Unix seconds, and days."""
    limits = findings.thresholds
    if limits is None:
        return None
    tiers = findings.tiers
    first, shares = tiers[0], len(tiers)
    alpha, delta = first.alpha * shares, first.delta * shares
    return Certificate(
        route=route.name,
        tiers=tuple(model.name for model in route.tiers),
        form=first.form,
        statement=document.states(first.form, alpha, delta, first.rho or 1.0),
        method=first.method,
        alpha=alpha,
        delta=delta,
        thresholds=limits,
        n=min(tier.n for tier in tiers),
        labels_used=sum(tier.labels_used for tier in tiers),
        failures=sum(tier.failures for tier in tiers),
        harm_bound=min(sum(tier.harm_bound for tier in tiers), 1.0),
        kept_cheap=first.kept_cheap,
        retention=first.retention,
        cost_ratio=first.cost_ratio,
        saving=first.saving,
        labels=first.labels,
        segments=first.segments,
        data_sha256=findings.data_sha256,
        binds=binds,
        issued=times[0],
        expires=times[0] + times[1] * DAY,
    )


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


def _tested(known: tuple[Sample, Floats | None], order: Order, wanted: Wanted, left_out: int) -> Finding:
    """`known`: the sample, and the harm of its rows by people's word, NaN where they have not looked."""
    sample, people = known
    claim, pairs = wanted.route.claim, sample.pairs
    worth = reached(sample.scores, order.band)
    losses, labels = harm(pairs), len(worth)
    if wanted.form == "parity":
        found, method = claims.on_par(worth, pairs, order, (wanted.rho, claim[1])), "fixed sequence, betting martingale"
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
    found = useful(found)
    limits = None if found.threshold is None else at(order.band, found.threshold)
    told = _finding(sample, (found, limits), claim, (wanted.form, method), left_out)
    return msgspec.structs.replace(
        told,
        rho=wanted.rho if wanted.form == "parity" else None,
        labels_used=labels,
        labels=_labellers(wanted, people) or told.labels,
    )


def _labellers(wanted: Wanted, people: Floats | None) -> str:
    if not wanted.judge:
        return ""
    corrected = "" if people is None else f", corrected by people on {int((~np.isnan(people)).sum()):,} of them"
    return f"the judge {wanted.judge}{corrected}"


def _people(path: Path, pairs: Pairs) -> Floats:
    """The harm of rows by people's word, NaN for those that they have not looked at. Raises ConfigError."""
    frame = read(path, need=("query_id", "model", "score", "prompt"))
    with naming(path):
        seen = pair(frame, pairs.cheap.model, pairs.premium.model)
    by_query = dict(zip(seen.query_id, harm(seen).tolist(), strict=True))
    found = np.array([by_query.get(query, np.nan) for query in pairs.query_id])
    if np.isnan(found).all():
        raise ConfigError(f"{path}: none of its queries is among the outcomes that a judge has scored")
    return found


def _method(losses: Floats) -> str:
    return f"fixed-sequence Learn-then-Test, {'Hoeffding-Bentkus' if graded(losses) else 'exact binomial tail'}"


# ------------------------------------------------------------------ what is told of them


def _finding(
    sample: Sample,
    result: tuple[Certified, Thresholds | None],
    claim: tuple[float, float],
    named: tuple[Form, str],
    left_out: int,
) -> Finding:
    (certified, limits), pairs = result, sample.pairs
    fate = _played(sample, limits)
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
        left_out=left_out,
        form=named[0],
        method=named[1],
        saving=_saving(fate.dollars, pairs.premium.cost) if known else None,
        segments=() if limits is None else tuple(segments(pairs, fate.kept, harm(pairs), claim[1])),
        thresholds=limits,
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

    found = interval(share, len(dollars), np.random.default_rng(0))
    return found.value, found.low, found.high


def _needed(certified: Certified, claim: tuple[float, float]) -> int | None:
    """Rows that would do at the rate of harm that was seen."""
    rate = certified.failures / max(certified.n, 1)
    try:
        return samples_needed(*claim, min(rate, 1.0))
    except ValueError:
        return None
