"""What certifying has found of a route, and the certificate that it comes to.

Knows the figures of each tier and how they add up to the route's; nothing of rows, tests or files.
"""

from __future__ import annotations

from math import ceil, log

import msgspec

from tierwise.core import certificate as document
from tierwise.core.certificate import Certificate, Form, Reference, Segment
from tierwise.offline import figures
from tierwise.offline.reference import DRIFT
from tierwise.offline.train import strictest
from tierwise.stats.bounds import samples_needed
from tierwise.stats.ladder import rungs
from tierwise.types import Route, Thresholds

DAY = 86_400  # seconds


class Finding(figures.Certificate, frozen=True):
    """What was found of one tier, or of the route's first where it has several. Shares in [0, 1].

    `threshold` None: nothing is certified. `needed` labelled rows would do (with 80 % power) if harm is what it was at
    the strictest threshold; None where it is too much for any number. `saving`: (value, low, high) at full cost.
    After alarms drafts are accepted from `stricter` on, then from `safe` on, which keeps harm to half of alpha; None
    where there is no such threshold. `available`: labelled rows, of which the `n` are some or all. `scores`: as
    `Reference` has them, of the drafts that the policy would have asked for.
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
    stricter: float | None = None
    safe: float | None = None
    scores: tuple[float, float, float] | None = None
    available: int = 0


class Findings(msgspec.Struct, frozen=True):
    """`clusters`: as `Reference` has them; empty where the artefact knows none."""

    tiers: tuple[Finding, ...]
    data_sha256: str
    clusters: tuple[float, ...] = ()

    @property
    def thresholds(self) -> Thresholds | None:
        """The strictest of all tiers'; None where one of them could not be certified."""
        return strictest([tier.thresholds for tier in self.tiers])

    @property
    def ladder(self) -> tuple[float, ...]:
        """From the shared threshold up, where there is one: a step of the strictest tier, then what is safe for all.

        Empty where nothing is certified.
        """
        certified = [(tier, tier.thresholds) for tier in self.tiers if tier.thresholds is not None]
        if self.thresholds is None:
            return ()
        top = max(certified, key=lambda item: item[1].accept)[0]
        safe = [tier.safe for tier, _ in certified if tier.safe is not None]
        alike = len({limits.consult < limits.unheard for _, limits in certified}) == 1  # else they share no scale
        safest = max(safe) if alike and len(safe) == len(certified) else None
        return rungs(self.thresholds.accept, [] if top.stricter is None else [top.stricter], safest)

    @property
    def reference(self) -> Reference | None:
        """Scores of all tiers' drafts lie within the bounds of one of them."""
        scores = [tier.scores for tier in self.tiers if tier.scores is not None]
        if not self.clusters or len(scores) < len(self.tiers):
            return None
        low, high, variance = zip(*scores, strict=True)
        return Reference((min(low), max(high), max(variance)), self.clusters, DRIFT)


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
        ladder=findings.ladder,
        reference=findings.reference,
        data_sha256=findings.data_sha256,
        binds=binds,
        issued=times[0],
        expires=times[0] + times[1] * DAY,
    )


def labels_needed(alpha: float, delta: float) -> tuple[int, int]:
    """Labelled rows that certify harm <= alpha: where none of them did any, and where a quarter of alpha is true.

    Raises ValueError unless both lie between 0 and 1.
    """
    if not (0 < alpha < 1 and 0 < delta < 1):
        raise ValueError("they lie between 0 and 1")
    return ceil(log(delta) / log(1 - alpha)), samples_needed(alpha, delta, alpha / 4)
