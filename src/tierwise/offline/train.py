"""Trains a route: outcomes in, one artefact out, with what could be certified of it.

For every tier below premium a router and a verifier are fitted on two thirds of the queries, and thresholds are tested
on the rest (`calibrated.py`). With several such tiers each is certified at its share of alpha and of delta, since the
harm of each adds to the route's, and the strictest thresholds serve all. Knows no config: names of tiers and opinions
come in, as the outcomes spell them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from tierwise.core.tiers import MAX_TIERS
from tierwise.errors import ConfigError
from tierwise.offline.calibrated import Calibrated, calibrate, settled
from tierwise.offline.learn import deploy
from tierwise.offline.measured import Measured, measure
from tierwise.offline.outcomes import Pairs, aside, naming, pair, read
from tierwise.offline.played import usual
from tierwise.scorers.artefact import Artefact, TierModel, Typical, dump, row_key, sha256_of
from tierwise.stats.clusters import kmeans
from tierwise.types import Thresholds

CLUSTERS = 12  # of prompts, by which live traffic is compared with what was certified
CLUSTERED = 100  # rows of which there are clusters at all

NEEDED = ("query_id", "model", "score", "prompt", "response")
Tell = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Wanted:
    """`tiers` and `opinions` as the config names them; `spelled` gives the providers' names for them.

    Outcomes may use either.
    """

    outcomes: Path
    out: Path
    tiers: tuple[str, ...]
    opinions: tuple[str, ...] = ()
    spelled: Mapping[str, str] = field(default_factory=dict)
    alpha: float = 0.03
    delta: float = 0.05
    seed: int = 0

    def recorded_as(self, models: Sequence[str]) -> dict[str, str]:
        """What each tier and opinion is called in outcomes of these models."""
        return {
            name: name if name in models else self.spelled.get(name, name) for name in (*self.tiers, *self.opinions)
        }

    @property
    def claim(self) -> tuple[float, float]:
        """(alpha, delta) of each tier below premium: its share, for their harm adds up."""
        below = len(self.tiers) - 1
        return self.alpha / below, self.delta / below


class TierReport(msgspec.Struct, frozen=True):
    """`kept`: share of the calibration queries that would stay with the tier; `harm_bound` at `threshold`.

    `alpha`: the tier's share of the harm that the route may do.
    """

    tier: str
    labels: int
    calibrated: int
    threshold: float | None
    kept: float
    harm_bound: float
    alpha: float


class Fitted(NamedTuple):
    """All that is known of one tier once it is trained."""

    calibrated: Calibrated
    model: TierModel
    pairs: Pairs
    measured: Measured


class Report(msgspec.Struct, frozen=True):
    out: str
    bytes: int
    alpha: float
    delta: float
    tiers: tuple[TierReport, ...]
    thresholds: Thresholds | None


def train(wanted: Wanted, tell: Tell = lambda what, done, total: None) -> Report:
    """Raises ConfigError for outcomes that can't be learnt from, and for a file that can't be written."""
    return trained(wanted, tell)[0]


def trained(wanted: Wanted, tell: Tell) -> tuple[Report, tuple[Fitted, ...]]:
    """The same, with what it was made of."""
    if len(wanted.tiers) < 2:
        raise ConfigError("a route of one tier has nothing to decide; training needs a cheap tier and a premium")
    if not (0 < wanted.alpha < 1 and 0 < wanted.delta < 1 and wanted.seed >= 0):
        raise ConfigError("alpha and delta lie between 0 and 1, a seed is a whole number from 0 on")
    if len(wanted.tiers) > MAX_TIERS:
        raise ConfigError(f"a route of more than {MAX_TIERS} tiers can't be planned for")
    frame = read(wanted.outcomes, need=NEEDED)
    claim = wanted.claim
    rows = wanted.recorded_as(frame["model"].unique().to_list())
    opinions = tuple(rows[name] for name in wanted.opinions)
    fitted: list[Fitted] = []
    means: list[Typical] = []
    for tier in wanted.tiers[:-1]:
        with naming(wanted.outcomes):
            pairs = pair(frame, rows[tier], rows[wanted.tiers[-1]], opinions)
        fitted.append(_fitted(pairs, wanted, claim, _telling(tell, tier)))
        means[len(fitted) - 1 :] = [usual(pairs.cheap), usual(pairs.premium)]
    thresholds = strictest(
        [None if one.calibrated.certified.threshold is None else one.calibrated.limits for one in fitted]
    )
    reports = tuple(_report(name, one.calibrated, claim[0]) for name, one in zip(wanted.tiers, fitted, strict=False))
    artefact = Artefact(
        wanted.tiers,
        wanted.opinions,
        tuple(one.model for one in fitted),
        tuple(means),
        thresholds,
        {
            "outcomes_sha256": sha256_of(wanted.outcomes),
            "seed": wanted.seed,
            "alpha": wanted.alpha,
            "delta": wanted.delta,
            "tiers": [msgspec.to_builtins(report) for report in reports],
        },
        tuple(one.calibrated.order for one in fitted),
        np.unique([np.uint64(row_key(query)) for one in fitted for query in one.pairs.query_id]),
        _centroids(fitted[0], wanted.seed),
    )
    packed = dump(artefact)
    with aside(wanted.out) as part:
        part.write_bytes(packed)
    return Report(str(wanted.out), len(packed), wanted.alpha, wanted.delta, reports, thresholds), tuple(fitted)


def _centroids(first: Fitted, seed: int) -> NDArray[np.float16]:
    """Of the prompts that the first tier's models were fitted on; rows that test anything shape no cluster."""
    meanings = first.measured.router.meaning[first.calibrated.train]
    if len(meanings) < CLUSTERED:
        return np.zeros((0, meanings.shape[1]), np.float16)
    return kmeans(meanings, CLUSTERS, np.random.default_rng(seed)).astype(np.float16)


def _telling(tell: Tell, tier: str) -> Callable[[int, int], None]:
    return lambda done, total: tell(f"{tier}: measuring", done, total)


def _fitted(pairs: Pairs, wanted: Wanted, claim: tuple[float, float], tell: Callable[[int, int], None]) -> Fitted:
    if any(response is None for response in pairs.cheap.response):
        raise ConfigError(f"{wanted.outcomes}: {pairs.cheap.model} has rows without a response: nothing to verify")
    measured = measure(pairs, tell)
    try:
        found = calibrate(measured, pairs, np.arange(len(pairs)), claim, np.random.default_rng(wanted.seed))
        # The router expects what the loosest threshold accepts: a later certificate may be looser than today's.
        loosest = settled(found.order.band, found.order.steps[-1])
        model = deploy(found.learned, measured, pairs, (found.train, found.seen), loosest)
    except ValueError as error:
        raise ConfigError(f"{wanted.outcomes}: {error}") from error
    return Fitted(found, model, pairs, measured)


def strictest(limits: Sequence[Thresholds | None]) -> Thresholds | None:
    """Of several tiers' thresholds, those that hold for all; None where one of the tiers could not be certified."""
    known = [item for item in limits if item is not None]
    if len(known) < len(limits) or not known:
        return None
    return Thresholds(*(max(getattr(item, name) for item in known) for name in ("accept", "consult", "unheard")))


def _report(tier: str, found: Calibrated, alpha: float) -> TierReport:
    certified = found.certified
    return TierReport(
        tier, len(found.train) + certified.n, certified.n, certified.threshold, certified.kept, certified.harm_bound,
        alpha,
    )  # fmt: skip
