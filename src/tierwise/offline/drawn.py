"""Which of the requests that a gateway drew may stand for all of them, and what the store still knows of each.

What is certified has to be a uniform sample of all requests, so whatever is left out here is left out for a reason
that has nothing to do with how good an answer was, and is counted: rows that were likelier to be drawn than others
(thinned by the very number that drew them), texts that are no longer kept, calls that failed. Knows nothing of what a
label says. A model whose name stayed while what is behind it changed looks the same here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tierwise.errors import ConfigError
from tierwise.ports import Proof
from tierwise.proof import Label, Said, Sample, Texts
from tierwise.scorers import artefact
from tierwise.types import Route


class Gathered(NamedTuple):
    """Everything that a store holds of one route, in the order of writing."""

    samples: Sequence[Sample]
    labels: Sequence[Label]
    texts: Sequence[Texts]


@dataclass(frozen=True)
class Row:
    """A request that every model of the route has answered. `said` by model, `labels` by the draft's model."""

    sample: Sample
    texts: Texts
    said: Mapping[str, Said]
    labels: Mapping[str, tuple[Label, ...]]


class Rows(NamedTuple):
    """A uniform sample, and how many drawn requests are not in it: `thinned`, `forgotten`, `incomplete`, `seen`."""

    rows: tuple[Row, ...]
    drawn: int
    thinned: int
    forgotten: int
    incomplete: int
    seen: int = 0  # by the models that are to be certified, when they were trained


async def read(proof: Proof, route: str) -> Gathered:
    return Gathered(await proof.samples(route), await proof.labels(route), await proof.texts(route))


def place(request_id: str) -> float:
    """Where a request stands in the order in which people review: in [0, 1), and nothing to do with its answers."""
    return int.from_bytes(hashlib.sha256(b"tierwise review " + request_id.encode()).digest()[:6], "big") / 2**48


def uniform(gathered: Gathered, route: Route) -> Rows:
    """The rows that may stand for all requests. Raises ConfigError where there are none, or they can't stand for all.

    A row was drawn because its number was below its propensity. Of the rows whose number is below the least propensity
    of all, each request had the same chance to be one (but for the last digits: the least of those that were drawn
    may be a little above the least of all). What was drawn before any draft was served was drawn by another rate, and
    is thinned by itself.
    """
    texts = {item.request_id: item for item in gathered.texts}
    labels: dict[str, list[Label]] = {}
    for label in gathered.labels:
        labels.setdefault(label.request_id, []).append(label)
    known = [sample for sample in gathered.samples if sample.request_id in texts]
    _must_stand_for_all(gathered.samples, known, route)
    kept = [sample for part in _stretches(gathered.samples, known) for sample in _thinned(part)]
    rows = [_row(sample, texts[sample.request_id], labels.get(sample.request_id, ())) for sample in kept]
    whole = tuple(row for row in rows if _is_whole(row, route))
    if not whole:
        raise ConfigError(f"route {route.name}: no request that was drawn has an answer of each of its models")
    drawn = len(gathered.samples)
    return Rows(whole, drawn, len(known) - len(kept), drawn - len(known), len(kept) - len(whole))


def fresh(found: Rows, trained: Path, route: Route) -> Rows:
    """Those that training has not seen; `trained` is the artefact. Raises ConfigError where there are none."""
    seen = set(artefact.read(trained).seen.tolist())
    rows = tuple(row for row in found.rows if artefact.row_key(row.texts.request_id) not in seen)
    if not rows:
        raise ConfigError(
            f"route {route.name}: each of its {len(found.rows):,} rows was used to train or to certify before: let its "
            "gateway draw new ones"
        )
    return found._replace(rows=rows, seen=len(found.rows) - len(rows))


def _must_stand_for_all(samples: Sequence[Sample], known: Sequence[Sample], route: Route) -> None:
    if not samples:
        raise ConfigError(
            f"route {route.name}: its gateway has drawn no request yet; `observe` in the config is the share that it "
            "draws, evidence_usd_per_day what that may cost"
        )
    if not known:
        raise ConfigError(
            f"route {route.name}: the texts of its samples are not kept (any more); keep_days in the config says for "
            "how long they are"
        )
    audits = sum(sample.kind == "audit" for sample in known)
    served = any(sample.certificate or sample.passed for sample in known)
    if served and not route.audit and not audits:
        raise ConfigError(
            f"route {route.name}: audit = 0 in the config: the requests that a draft was served to are in none of "
            "its rows, so they can't speak for all; with `audit` above 0 they will be"
        )
    if audits and not route.observe:
        raise ConfigError(
            f"route {route.name}: observe = 0 in the config: the requests that premium answered are in none of its "
            "newer rows, so they can't speak for all; with `observe` above 0 they will be"
        )


def _stretches(samples: Sequence[Sample], known: Sequence[Sample]) -> tuple[list[Sample], list[Sample]]:
    """Those from before the first draft was served, and the others."""
    first = next((sample.id for sample in samples if sample.kind == "audit" or sample.passed), None)
    before = [sample for sample in known if first is None or sample.id < first]
    return before, [sample for sample in known if first is not None and sample.id >= first]


def _thinned(samples: Sequence[Sample]) -> list[Sample]:
    least = min((sample.propensity for sample in samples), default=0.0)
    return [sample for sample in samples if sample.uniform < least]


def _row(sample: Sample, texts: Texts, labels: Iterable[Label]) -> Row:
    by_model: dict[str, tuple[Label, ...]] = {}
    for label in labels:
        by_model[label.model] = (*by_model.get(label.model, ()), label)
    return Row(sample, texts, {said.model: said for said in texts.said}, by_model)


def _is_whole(row: Row, route: Route) -> bool:
    return all(model.name in row.said for model in (*route.tiers, *route.opinions))
