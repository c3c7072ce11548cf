"""What a route has saved, what is certified of it and what the audits say since: the figures of `tierwise report`.

The audit is folded anew from the stored samples and labels, by the code that the gateway alarms with. Texts of requests
are not among what it reads. Knows nothing of how figures are told (`report_words.py`) or shown (`report_page.py`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from math import isnan
from typing import Any, NamedTuple

import msgspec
import numpy as np

from tierwise.core.certificate import Certificate, Signed, name
from tierwise.core.window import DAY_NS
from tierwise.proof import EXACT, Day, Event, Label, Sample, Source
from tierwise.stats import sampled, savings
from tierwise.stats.audit import Verdict
from tierwise.stats.ladder import PREMIUM
from tierwise.stats.watched import Claim, Point, Watched, least_of, start, traced, verdict
from tierwise.store.signing import fingerprint

VALID = "valid"
SOURCES: Mapping[Source, str] = {
    "human": "people, who saw both answers blind",
    "checks": "checks that the operator wrote",
    "equality": "same result as the premium's answer",
    "judge": "another model as judge",
    "missing": "due, but not to be had: counted as harm",
    "void": "nothing to label: left out",
    "recheck": "judge asked anew, to watch the judge",
}


class Read(NamedTuple):
    """All that a report is made from. `days`: of the period, which ends with the day of `now_ns` (UTC).

    `trail`: of all routes. `broken`: where its chain is, in words; "": nowhere. `standing`: of the certificate, by its
    file and the route. `planned`: the least share of served drafts that is audited. `delta`: of intervals where nothing
    is certified.
    """

    route: str
    tiers: tuple[str, ...]
    now_ns: int
    days: int
    samples: Sequence[Sample]
    labels: Sequence[Label]
    trail: Sequence[Event]
    spend: Sequence[Day]
    broken: str
    standing: str
    signed: Signed | None
    planned: float
    delta: float


class Mean(msgspec.Struct, frozen=True):
    """With an interval that holds at every look; None where nothing is labelled."""

    value: float | None
    low: float
    high: float


class Money(msgspec.Struct, frozen=True):
    """Nano-dollars, of the period. `share`: net of baseline; `interval`: 95 %, of it, for other days like these.

    `series`: day by day, in days since 1970, the sums so far of baseline, spent and aside.
    """

    requests: int
    drafts: int
    baseline_nanos: int
    spent_nanos: int
    aside_nanos: int
    net_nanos: int
    share: float | None
    interval: tuple[float, float] | None
    series: tuple[tuple[int, int, int, int], ...]


class Quality(msgspec.Struct, frozen=True):
    """Of the requests under the certificate in force; without one, of the period.

    `rows`: requests that audits stand for, `cheap` of them answered by a draft. `drawn` audits: `labelled`, `void`, or
    still `waiting`. `harm`, `difference` (draft - premium): means over all of these requests, where premium's answers
    count as 0; `difference_cheap`: over those that a draft answered. `confidence`: of all intervals.
    """

    rows: int
    cheap: int
    drawn: int
    labelled: int
    void: int
    waiting: int
    harm: Mean
    difference: Mean
    difference_cheap: Mean
    confidence: float


class Observed(msgspec.Struct, frozen=True):
    """Of the period: drafts of a model that were not served, as premium answered. `difference`: draft - premium."""

    model: str
    labelled: int
    difference: Mean


class Audit(msgspec.Struct, frozen=True):
    """`thresholds`: of the ladder, None for premium. `rung`: where it stands; `e_value`, `level`: of this rung's audit.

    `verdict`: of alarms so far. `judge`: e-value and alarm level of the judge's audit, and its rows.
    """

    thresholds: tuple[float | None, ...]
    rung: int
    e_value: float
    level: float
    verdict: Verdict
    points: tuple[Point, ...]
    judge: tuple[float, float, int] | None


class Labels(msgspec.Struct, frozen=True):
    source: Source
    count: int
    by: tuple[str, ...]


class Feedback(msgspec.Struct, frozen=True):
    """Of clients, scores in [0, 1]; `up` and `down`: 0.5 and more, and less."""

    up: int
    down: int


class Anchors(msgspec.Struct, frozen=True):
    """Pairs that a judge and people have labelled; of `agreed` they said the same to within a half."""

    pairs: int
    agreed: int


class Report(msgspec.Struct, frozen=True):
    """`first`, `last`: days since 1970. `name`, `key`: of the certificate, and the fingerprint of who signed it.

    `trail`: of the route, in the period. `digest`: of the last line of the whole trail; who has it can tell later
    whether any line up to there was changed.
    """

    route: str
    tiers: tuple[str, ...]
    made_ns: int
    first: int
    last: int
    money: Money
    certificate: Certificate | None
    name: str
    key: str
    standing: str
    quality: Quality
    observed: tuple[Observed, ...]
    audit: Audit | None
    labels: tuple[Labels, ...]
    anchors: Anchors
    feedback: Feedback
    trail: tuple[Event, ...]
    digest: str
    broken: str

    @property
    def in_force(self) -> bool:
        return self.certificate is not None and self.standing == VALID


def reported(read: Read) -> Report:
    last = read.now_ns // DAY_NS
    first = last - read.days + 1
    spend = [day for day in read.spend if first <= day.day <= last]
    recent = [label for label in read.labels if label.at_ns // DAY_NS >= first]
    certificate = read.signed.certificate if read.signed else None
    own = "" if certificate is None else name(certificate)
    audit = _watched(read, certificate)
    return Report(
        route=read.route,
        tiers=read.tiers,
        made_ns=read.now_ns,
        first=max(first, min([day.day for day in spend], default=first)),
        last=last,
        money=_money(spend),
        certificate=certificate,
        name=own,
        key=fingerprint(read.signed.key) if read.signed else "",
        standing=_standing(read.standing, audit),
        quality=_quality(read, certificate, own, first),
        observed=tuple(_observed(read, recent)),
        audit=audit,
        labels=tuple(_sources(recent)),
        anchors=_anchors(read.labels),
        feedback=_feedback(recent),
        trail=tuple(event for event in read.trail if event.route == read.route and event.at_ns // DAY_NS >= first),
        digest=read.trail[-1].digest if read.trail else "",
        broken=read.broken,
    )


def jsonable(report: Report) -> dict[str, Any]:
    """The fields of `--json`; each of the audit's points an object."""
    found: dict[str, Any] = msgspec.to_builtins(report)
    if report.audit is not None:
        found["audit"]["points"] = [point._asdict() for point in report.audit.points]
    return found


def believed(labels: Iterable[Label]) -> dict[tuple[str, str], Label]:
    """Of each request and model the label to go by: of the most believed source, the newest."""
    best = dict[tuple[str, str], Label]()
    for label in labels:
        if label.source not in EXACT or label.premium is None:
            continue
        other = best.get((label.request_id, label.model))
        if other is None or EXACT.index(label.source) <= EXACT.index(other.source):
            best[label.request_id, label.model] = label
    return best


def _money(spend: Sequence[Day]) -> Money:
    whole, sums = savings.saved(spend), savings.growing(spend)
    return Money(
        requests=sum(day.requests for day in spend),
        drafts=sum(day.drafts for day in spend),
        baseline_nanos=whole.baseline,
        spent_nanos=whole.spent,
        aside_nanos=whole.aside,
        net_nanos=whole.net,
        share=whole.share,
        interval=savings.interval(spend, np.random.default_rng(0)),
        series=tuple((day.day, *so_far) for day, so_far in zip(spend, sums, strict=True)),
    )


# ------------------------------------------------------------------ quality


class _Row(NamedTuple):
    """A labelled audit."""

    harm: float
    difference: float
    propensity: float


def _quality(read: Read, certificate: Certificate | None, own: str, first: int) -> Quality:
    delta = read.delta if certificate is None else certificate.delta
    mine = [sample for sample in read.samples if _counts(sample, certificate, own, first)]
    best, void = believed(read.labels), {label.request_id for label in read.labels if label.source == "void"}
    missing = {label.request_id for label in read.labels if label.source == "missing"}
    rows, taken = list[_Row](), list[Sample]()
    audits = [sample for sample in mine if sample.kind == "audit"]
    for sample in audits:
        label = best.get((sample.request_id, sample.served))
        if label is not None and label.premium is not None:
            rows.append(_Row(label.harm or 0.0, label.draft - label.premium, sample.propensity))
        elif sample.request_id in missing:
            rows.append(_Row(1.0, -1.0, sample.propensity))
        else:
            continue
        taken.append(sample)
    left = {sample.request_id for sample in audits} - {sample.request_id for sample in taken}
    cheap = len(audits) + sum(sample.passed for sample in mine)
    whole = cheap + sum(sample.escalated for sample in mine)
    share = _weight(taken) / (_weight(audits) or 1.0)
    harm, difference, of_cheap = (
        _mean([part(row) for row in rows], rows, over * share, delta)
        for part, over in ((_harm, whole), (_difference, whole), (_difference, cheap))
    )
    return Quality(
        rows=whole, cheap=cheap, drawn=len(audits), labelled=len(rows), void=len(left & void),
        waiting=len(left - void), harm=msgspec.structs.replace(harm, low=max(harm.low, 0.0)), difference=difference,
        difference_cheap=of_cheap, confidence=1 - delta,
    )  # fmt: skip


def _counts(sample: Sample, certificate: Certificate | None, own: str, first: int) -> bool:
    return sample.at_ns // DAY_NS >= first if certificate is None else sample.certificate == own


def _harm(row: _Row) -> float:
    return row.harm


def _difference(row: _Row) -> float:
    return row.difference


def _weight(samples: Iterable[Sample]) -> float:
    """How many served drafts they stand for. Those without a label are taken to be like the others."""
    return sum(1 / sample.propensity for sample in samples)


def _mean(values: Sequence[float], rows: Sequence[_Row], over: float, delta: float) -> Mean:
    rates = [row.propensity for row in rows]
    found = sampled.mean(values, rates, max(over, len(rows)), delta, min(rates, default=1.0))
    return Mean(None if isnan(found.value) else found.value, found.low, found.high)


def _observed(read: Read, recent: Sequence[Label]) -> Iterable[Observed]:
    """Every observed request counts alike: they are drawn at one rate, but for times when traffic has changed."""
    seen = {sample.request_id for sample in read.samples if sample.kind == "observe"}
    differences = defaultdict[str, list[float]](list)
    for (request, model), label in believed(recent).items():
        if request in seen and label.premium is not None:
            differences[model].append(label.draft - label.premium)
    for model in read.tiers[:-1]:
        if found := differences[model]:
            rows = [_Row(0.0, value, 1.0) for value in found]
            yield Observed(model, len(found), _mean(found, rows, len(found), read.delta))


# ------------------------------------------------------------------ the audit


def _watched(read: Read, certificate: Certificate | None) -> Audit | None:
    if certificate is None:
        return None
    own = name(certificate)
    least = least_of(own, read.samples, read.planned or 1.0)
    thresholds = certificate.ladder or (certificate.thresholds.accept,)
    claim = Claim(own, thresholds, certificate.alpha, certificate.delta, least, certificate.issued * 1_000_000_000)
    samples = {sample.request_id: sample for sample in read.samples}
    watched, points = traced(start(claim), samples, read.labels)
    return _audit(watched, tuple(points))


def _standing(said: str, audit: Audit | None) -> str:
    """What is known of it after its audits, too."""
    if said != VALID or audit is None or audit.verdict == "none":
        return said
    return "suspended: the judge has changed" if audit.verdict == "judge" else "suspended: audit alarm"


def _audit(watched: Watched, points: tuple[Point, ...]) -> Audit:
    ladder, judge = watched.ladder, watched.judge
    return Audit(
        thresholds=tuple(None if step == PREMIUM else step for step in ladder.thresholds),
        rung=ladder.at,
        e_value=ladder.audit.wealth.total,
        level=1 / ladder.audit.delta,
        verdict=verdict(watched),
        points=points,
        judge=None if judge is None else (judge.wealth.total, 1 / judge.delta, judge.drawn),
    )


# ------------------------------------------------------------------ labels


def _sources(labels: Sequence[Label]) -> Iterable[Labels]:
    for source in SOURCES:
        found = [label for label in labels if label.source == source]
        if found:
            yield Labels(source, len(found), tuple(sorted({label.by for label in found if label.by})))


def _feedback(labels: Sequence[Label]) -> Feedback:
    scores = [label.draft for label in labels if label.source == "feedback"]
    up = sum(score >= 0.5 for score in scores)
    return Feedback(up, len(scores) - up)


def _anchors(labels: Sequence[Label]) -> Anchors:
    people, judges = (
        {(label.request_id, label.model): label.harm for label in labels if label.source == source}
        for source in ("human", "judge")
    )
    both = [(harm, judges.get(pair)) for pair, harm in people.items()]
    apart = [abs(one - other) for one, other in both if one is not None and other is not None]
    return Anchors(len(apart), sum(distance < 0.5 for distance in apart))
