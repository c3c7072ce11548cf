"""What a replay finds, as values: the fields of its JSON. Knows nothing of how they come about."""

from __future__ import annotations

from math import isnan
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from tierwise.stats.bootstrap import Interval

Floats = NDArray[np.float64]


class Metric(msgspec.Struct, frozen=True):
    """A figure and its bootstrap 95 % interval; null where it is not defined."""

    value: float | None
    low: float | None
    high: float | None


class Accuracy(msgspec.Struct, frozen=True):
    """Mean scores; `oracle` always takes the better answer."""

    cheap: Metric
    premium: Metric
    oracle: Metric


class Ranking(msgspec.Struct, frozen=True):
    """How well a score tells what to escalate. CPTs in percent of requests (RouteLLM, arXiv 2406.18665, appendix)."""

    apgr: Metric
    cpt50: Metric
    cpt80: Metric
    cpt95: Metric


class CostRanking(msgspec.Struct, frozen=True):
    """As `Ranking`; `cost_apgr` over all dollars spent, as a share of always-premium's."""

    apgr: Metric
    cpt50: Metric
    cpt80: Metric
    cpt95: Metric
    cost_apgr: Metric


class Policy(msgspec.Struct, frozen=True):
    """What the route would have done. Shares in [0, 1]; `retention` is quality over premium's, `saving` 1 - cost_ratio.

    `rule` says which: "verifier" at the certified threshold, or "router" where no responses are recorded; "agreement"
    or "checks" without labels; "premium" where none of them may keep anything.
    """

    rule: str
    kept_cheap: float
    quality: float
    retention: float
    cost_ratio: float | None
    saving: float | None
    consulted: float  # share of requests about which opinions were asked
    harm: float  # mean of what premium's answer was better by, where the cheap one was kept


class Certificate(msgspec.Struct, frozen=True):
    """Learn-then-Test on `n` calibration queries; `threshold` null where nothing could be certified."""

    alpha: float
    delta: float
    n: int
    threshold: float | None
    harm_bound: float
    kept_cheap: float
    harm_on_test: float
    retention: float
    cost_ratio: float | None
    failures: float
    needed: int | None  # calibration queries that would do if the harm were half of alpha


class Single(msgspec.Struct, frozen=True):
    """A point of the zero router: the hull of always asking one model, or a coin between two."""

    model: str
    cost_usd: float | None
    accuracy: float
    on_hull: bool


class DecisionTime(msgspec.Struct, frozen=True):
    """Microseconds of CPU a request, the median over a sample of rows."""

    route: float
    verify: float


class Curve(msgspec.Struct, frozen=True):
    """Points of a plot: `x` share of requests escalated or of dollars, `y` quality."""

    name: str
    x: list[float]
    y: list[float]


class Report(msgspec.Struct, frozen=True):
    cheap: str
    premium: str
    opinions: tuple[str, ...]
    n: int
    labels: int
    dropped: int
    accuracy: Accuracy
    router: Ranking
    verifier: Ranking
    cascade: CostRanking
    policy: Policy
    certificate: Certificate | None
    zero_router: tuple[Single, ...]
    decision_us: DecisionTime
    notes: tuple[str, ...]
    curves: tuple[Curve, ...] = ()


def metric(found: Interval[float]) -> Metric:
    return Metric(*(None if isnan(value) else float(value) for value in (found.value, found.low, found.high)))


def ranking(found: dict[str, Interval[float]]) -> Ranking:
    return Ranking(**{name: metric(found[name]) for name in Ranking.__struct_fields__})


def cost_ranking(found: dict[str, Interval[float]]) -> CostRanking:
    nothing = Metric(None, None, None)
    return CostRanking(
        **{name: metric(found[name]) if name in found else nothing for name in CostRanking.__struct_fields__}
    )


def jsonable(report: Report) -> dict[str, Any]:
    """The contract's fields, without the plot's points."""
    fields: dict[str, Any] = msgspec.to_builtins(report)
    fields.pop("curves")
    return fields
