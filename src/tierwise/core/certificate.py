"""The certificate of a route: what was shown about its quality, by which data, for which policy, and until when.

A document that anybody can read and check. It binds the hashes of everything that the statement depends on; where one
of them has changed since, it no longer speaks of the route, and the route falls back. Knows no keys and no files:
signing and keeping are others' (`store/signing.py`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import msgspec

from tierwise.types import Model, Route, Thresholds

FORMAT = 2
Form = Literal["harm", "parity", "expected"]
Binds = Mapping[str, str]
"""What a statement depends on -> the SHA-256 of it, in hexadecimal."""

MEANT: Mapping[Form, str] = {
    "harm": "of all its requests, the share that is served a cheap answer that is not good enough where the premium's"
    " would have been is at most {alpha:.2%}, with confidence {confidence:.2%}",
    "parity": "the mean quality of what it serves is at least {rho:.2%} of the premium's, with confidence"
    " {confidence:.2%}",
    "expected": "of all its requests, the share that is served a cheap answer that is not good enough where the"
    " premium's would have been is on average at most {alpha:.2%}",
}


class Segment(msgspec.Struct, frozen=True):
    """A part of the calibration rows: `bound` is the upper bound of its own harm, taken alone, at the same delta."""

    name: str
    n: int
    kept: float
    failures: float
    bound: float


class Reference(msgspec.Struct, frozen=True):
    """What certified traffic looked like, for `stats/drift.py`: no labels are needed to see that it has changed.

    `scores`: bounds of the drafts' mean score and its variance (low, high, variance); `clusters`: for each of the
    artefact's clusters of prompts the upper bound of its share. Each at a chance of `delta` to be wrong.
    """

    scores: tuple[float, float, float]
    clusters: tuple[float, ...]
    delta: float


class Certificate(msgspec.Struct, frozen=True, kw_only=True):
    """`n` calibration rows, of which `labels_used` labels were needed; `failures` is the sum of harm among them.

    Shares in [0, 1]. `kept_cheap`, `retention` and `cost_ratio` (all dollars over always-premium's) are of the
    calibration rows; `saving` is (1 - cost_ratio, and its 95 % interval), None where costs are not known. Times are
    Unix seconds. `labels` says who called an answer good enough. `ladder`: the thresholds of acceptance that an alarm
    climbs, rising, the certified one first (`stats/ladder.py`). The uncertain band stays where it is on all of them.
    """

    format: int = FORMAT
    route: str
    tiers: tuple[str, ...]
    form: Form
    statement: str
    method: str
    alpha: float
    delta: float
    thresholds: Thresholds
    n: int
    labels_used: int
    failures: float
    harm_bound: float
    kept_cheap: float
    retention: float
    cost_ratio: float | None
    saving: tuple[float, float, float] | None
    labels: str
    segments: tuple[Segment, ...]
    ladder: tuple[float, ...]
    reference: Reference | None  # None: the artefact knows no clusters
    data_sha256: str
    binds: dict[str, str]
    issued: int
    expires: int


class Signed(msgspec.Struct, frozen=True):
    """A certificate, the public key (Ed25519, RFC 8032) and the signature of `content`, both in hexadecimal."""

    certificate: Certificate
    key: str
    signature: str


def content(certificate: Certificate) -> bytes:
    """The bytes that are signed: JSON with sorted keys and without blanks."""
    return msgspec.json.encode(certificate, order="sorted")


def name(certificate: Certificate) -> str:
    """16 hexadecimal digits, by which samples and the trail say under which certificate they came about."""
    return hashlib.sha256(content(certificate)).hexdigest()[:16]


def states(form: Form, alpha: float, delta: float, rho: float = 1.0) -> str:
    """The statement in words."""
    return MEANT[form].format(alpha=alpha, confidence=1 - delta, rho=rho)


def lapses(certificate: Certificate, binds: Binds, now: int) -> Iterator[str]:
    """Why it does not hold (any more), in words for a header: nothing where it does. `now` in Unix seconds."""
    if now >= certificate.expires:
        yield "expired"
    for name in sorted({*binds, *certificate.binds}):
        if binds.get(name) != certificate.binds.get(name):
            yield f"{name} changed"


def bindings(route: Route, verifier: str, prompts: Mapping[str, str]) -> dict[str, str]:
    """What the statement about a route depends on, as it is now.

    `verifier` is the SHA-256 of its artefact, `prompts` the wordings that opinions and judges are asked with. How much
    is audited, and which mode the route is in, change nothing about what is true of its policy.
    """
    judge = None if route.judge is None else _named(route.judge)
    models = (*route.tiers, *route.opinions, *(() if route.judge is None else (route.judge,)))
    policy = (
        route.hold, route.window, sorted(route.floor), route.escalate_above, route.premium_down, route.checks,
        route.opinion_form, route.planned, route.nanos_per_second,
    )  # fmt: skip
    return {
        "models": digest([_named(model) for model in (*route.tiers, *route.opinions)]),
        "policy": digest(policy),
        "verifier": verifier,
        "judge": digest(judge),
        "prompts": digest(dict(prompts)),
        "prices": digest([(model.name, model.pricing.tariffs if model.pricing else model.price) for model in models]),
    }


def _named(model: Model) -> tuple[str, str, str]:
    return model.name, model.provider, model.model


def digest(value: Any) -> str:
    """SHA-256 over a value's JSON with sorted keys."""
    return hashlib.sha256(msgspec.json.encode(value, order="sorted")).hexdigest()
