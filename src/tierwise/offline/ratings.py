"""How good the answers of both arms of a route's experiment were, by whoever rated them: read from a store.

The most believed source that has rated enough of both arms is taken, and named: people and checks, then clients'
feedback; else the audits, in which premium has answered the same request. Other labels are left out: they hold an
answer against premium's, which an answer of premium always equals.

Reads one record for each rated request, of at most MOST_RATED of a source, and none of all others.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from tierwise.money import Arm, Record
from tierwise.offline.costs.experiments import Quality, Source
from tierwise.offline.reports.report import believed
from tierwise.ports import Store
from tierwise.proof import Label, Sample
from tierwise.stats import sampled
from tierwise.stats.experiment import LEVEL, Estimate, Rating, rating_difference

MOST_RATED = 2_000  # requests of a source; the newest
SOURCES: Mapping[Source, tuple[str, ...]] = {"people and checks": ("human", "checks"), "feedback": ("feedback",)}


async def quality(store: Store, route: str, between: tuple[int, int]) -> Quality:
    """Of labels given in the hours [since, until). Raises StoreError."""
    labels = [label for label in await store.proof.labels(route) if _inside(label.at_ns, between)]
    samples = {sample.request_id: sample for sample in await store.proof.samples(route)}
    for source, names in SOURCES.items():
        arms = await _rated(store, [label for label in labels if label.source in names], samples)
        found = rating_difference(arms["treated"], arms["holdout"])
        if found is not None:
            return Quality(source, found, len(arms["treated"]), len(arms["holdout"]))
    return _audited([sample for sample in samples.values() if _inside(sample.at_ns, between)], labels)


def _inside(at_ns: int, between: tuple[int, int]) -> bool:
    return at_ns // 3_600_000_000_000 in range(*between)


async def _rated(store: Store, labels: Sequence[Label], samples: Mapping[str, Sample]) -> Mapping[Arm, list[Rating]]:
    """A request once, by its newest label that is of what was served."""
    by_request = defaultdict[str, list[Label]](list)
    for label in reversed(labels):
        by_request[label.request_id].append(label)
    arms = defaultdict[Arm, list[Rating]](list)
    for request_id in list(by_request)[:MOST_RATED]:
        record = await store.record(request_id)
        if record is None or not record.arm:
            continue
        scores = [(score, label) for label in by_request[request_id] if (score := _score(label, record)) is not None]
        if scores:
            score, label = scores[0]
            drawn = samples[request_id].propensity if request_id in samples else 1.0
            arms[record.arm].append(Rating(score, 1 / (drawn * label.propensity)))
    return arms


def _score(label: Label, record: Record) -> float | None:
    """Of the answer that the client got; None where the label is of another."""
    served = next((entry for entry in record.entries if entry.outcome == "served"), None)
    if served is None:
        return None
    if served.model == label.model:
        return label.draft
    return label.premium if served.role == "premium" else None


def _audited(samples: Sequence[Sample], labels: Sequence[Label]) -> Quality:
    """Draft less premium, over the requests that audits were drawn from; 0 for all that premium answered.

    A label that could not be had counts as the worst; audits that wait for theirs are taken to be like the rest.
    """
    audits = [sample for sample in samples if sample.kind == "audit"]
    best = believed(labels)
    missing = {label.request_id for label in labels if label.source == "missing"}
    values, rates = list[float](), list[float]()
    for sample in audits:
        label = best.get((sample.request_id, sample.served))
        if label is not None and label.premium is not None:
            values.append(label.draft - label.premium)
        elif sample.request_id in missing:
            values.append(-1.0)
        else:
            continue
        rates.append(sample.propensity)
    whole = len(audits) + sum(sample.passed + sample.escalated for sample in samples)
    labelled = sum(1 / rate for rate in rates) / (sum(1 / sample.propensity for sample in audits) or 1.0)
    rows = max(whole * labelled, len(values))
    found = sampled.mean(values, rates, rows, 1 - LEVEL, min(rates, default=1.0))
    if found.high - found.low >= 1:  # nothing is ruled out
        return Quality()
    return Quality("audits", Estimate(found.value, found.low, found.high), len(values), 0)
