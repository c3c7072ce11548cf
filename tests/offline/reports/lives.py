"""The life of a made-up route, for tests of its report: audits, labels, money, events, as a gateway leaves them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec
import numpy as np

from tests.store.test_signing import SEED
from tierwise.core.certificate import Certificate, Segment, Signed, name, states
from tierwise.core.window import DAY_NS
from tierwise.offline.reports.report import Read
from tierwise.proof import Day, Event, Label, Sample, Source
from tierwise.stats.ladder import PREMIUM
from tierwise.stats.watched import Claim, Watched, start, traced
from tierwise.store.signing import sign
from tierwise.types import Thresholds

FIRST = 20_697  # 1 September 2026
LEAST, DOUBTFUL = 0.02, 0.05  # propensities


class Life(NamedTuple):
    """How a route fares. `bad`: the day from which the cheap model does `worse` harm; None: it never does."""

    days: int = 90
    requests: int = 1500
    cheap: float = 0.7
    harm: float = 0.012
    bad: int | None = None
    worse: float = 0.12
    people: float = 0.1  # share of audits that people label too
    seed: int = 1


def certificate(**changes: Any) -> Certificate:
    given: dict[str, Any] = {
        "route": "support", "tiers": ("small", "big"), "form": "harm", "statement": states("harm", 0.03, 0.05),
        "method": "fixed-sequence Learn-then-Test, exact binomial tail", "alpha": 0.03, "delta": 0.05,
        "thresholds": Thresholds(0.712, 0.4, 0.8), "n": 1240, "labels_used": 1240, "failures": 21.0,
        "harm_bound": 0.0252, "kept_cheap": 0.694, "retention": 0.991, "cost_ratio": 0.41, "saving": (0.59, 0.57, 0.61),
        "labels": "the outcomes' scores (judge: arbiter)", "segments": (
            Segment("prompt: short", 610, 0.78, 7.0, 0.0215), Segment("prompt: long", 322, 0.55, 9.0, 0.0483),
            Segment("class: billing", 401, 0.74, 5.0, 0.0259), Segment("class: refunds", 188, 0.66, 4.0, 0.0481),
        ),
        "ladder": (0.712, 0.784, 0.861), "reference": None, "data_sha256": "d3b07384d113edec" * 4,
        "binds": {part: f"{place:08x}" * 8 for place, part in enumerate(
            ("models", "policy", "verifier", "judge", "prompts", "prices"), 0x3F9A1C00)},
        "issued": FIRST * 86_400, "expires": (FIRST + 90) * 86_400,
    }  # fmt: skip
    return Certificate(**given | changes)


def signed(document: Certificate) -> Signed:
    return sign(document, SEED)


class Kept(NamedTuple):
    """What is in the store."""

    samples: list[Sample]
    labels: list[Label]
    trail: list[Event]
    spend: list[Day]


def lived(life: Life, document: Certificate | None) -> Kept:
    """Day after day, at the rung where the audits so far have led it. Without a certificate premium serves."""
    rng, kept = np.random.default_rng(life.seed), Kept([], [], [], [])
    own = "" if document is None else name(document)
    watched = None if document is None else start(
        Claim(own, document.ladder, document.alpha, document.delta, LEAST, document.issued * 10**9)
    )  # fmt: skip
    if document is not None:
        _note(kept, FIRST * DAY_NS, "certificate", certificate=own, standing="valid")
    for day in range(FIRST, FIRST + life.days):
        rung = 0 if watched is None else watched.ladder.at
        cheap = 0.0 if watched is None or watched.ladder.threshold == PREMIUM else life.cheap - 0.12 * rung
        harm = life.worse if life.bad is not None and day - FIRST >= life.bad else life.harm
        fresh = list(_day(kept, (life, rng), (day, cheap, harm), (own, rung)))
        kept.labels.extend(fresh)
        if watched is not None:
            watched = _followed(kept, watched, fresh)
    return kept


def _day(
    kept: Kept, how: tuple[Life, np.random.Generator], now: tuple[int, float, float], under: tuple[str, int]
) -> Iterable[Label]:
    (life, rng), (day, cheap, harm), (own, rung) = how, now, under
    requests = int(rng.poisson(life.requests * (0.45 if day % 7 in {2, 3} else 1.0)))
    drafts = int(rng.binomial(requests, cheap))
    doubtful = int(rng.binomial(drafts // 4, DOUBTFUL))  # one draft in four is
    drawn = doubtful + int(rng.binomial(drafts - drafts // 4, LEAST))
    price, aside = 11_500_000, 0
    for place in range(drawn):
        doubt = place < doubtful
        score = float(rng.uniform(0.72, 0.86) if doubt else rng.uniform(0.86, 1.0))
        yield from _sampled(kept, rng, Sample(
            request_id=f"r{len(kept.samples)}", route="support", at_ns=day * DAY_NS + place * DAY_NS // (drawn + 1),
            kind="audit", served="small", uniform=0.01, propensity=DOUBTFUL if doubt else LEAST, certificate=own,
            rung=rung, score=score, passed=round(drafts / drawn) - 1, escalated=round((requests - drafts) / drawn),
            id=len(kept.samples) + 1,
        ), float(rng.random() < harm * (1.75 if doubt else 0.75) / max(cheap, 0.1)), life.people)  # fmt: skip
        aside += price + 900_000
    for place in range(int(rng.binomial(requests - drafts, 0.02))):
        yield from _sampled(kept, rng, Sample(
            request_id=f"r{len(kept.samples)}", route="support", at_ns=day * DAY_NS + place, kind="observe",
            served="big", uniform=0.01, propensity=0.02, certificate=own, rung=rung, id=len(kept.samples) + 1,
        ), float(rng.random() < 0.25), 0.0)  # fmt: skip
        aside += 1_400_000
    if rng.random() < 0.6:
        yield _label(f"c{day}", "feedback", day * DAY_NS, float(rng.random() < 0.8), None, "key_1")
    kept.spend.append(Day(
        day=day, requests=requests, drafts=drafts, aside_nanos=aside, baseline_nanos=requests * price,
        nanos=drafts * 620_000 + (requests - drafts) * price + (requests * 400_000 if cheap else 0),
    ))  # fmt: skip


def _sampled(kept: Kept, rng: np.random.Generator, sample: Sample, harm: float, people: float) -> Iterable[Label]:
    kept.samples.append(sample)
    at, chance = sample.at_ns + 60 * 10**9, rng.random()
    better = harm == 0 and rng.random() < 0.01  # the draft is the better one
    source: Source = (
        "equality" if chance < 0.4 else "missing" if chance > 0.998 else "void" if chance > 0.99 else "judge"
    )
    yield _label(
        sample.request_id, source, at, 1 - harm, 0.0 if better else 1.0, "arbiter" if source == "judge" else ""
    )
    if source == "judge" and rng.random() < people:
        yield _label(sample.request_id, "human", at + 1, 1 - harm if rng.random() < 0.95 else harm, 1.0, "Ada")


def _label(request: str, source: Source, at_ns: int, draft: float, premium: float | None, by: str) -> Label:
    return Label(request_id=request, route="support", model="small", source=source, by=by, draft=draft, premium=premium,
                 at_ns=at_ns)  # fmt: skip


def _followed(kept: Kept, watched: Watched, fresh: Iterable[Label]) -> Watched:
    after, points = traced(watched, {sample.request_id: sample for sample in kept.samples}, fresh)
    for point in points:
        if point.alarm:
            step = after.ladder.thresholds[point.rung + 1]
            _note(kept, point.at_ns, "alarm", certificate=watched.claim.certificate, rung=point.rung + 1,
                  threshold=None if step == PREMIUM else step, rows=point.rows, drawn=point.drawn, harm=point.harm,
                  p_value=point.p_value, verdict="system")  # fmt: skip
    return after


def _note(kept: Kept, at_ns: int, what: str, **body: Any) -> None:
    packed = msgspec.json.encode(body).decode()
    kept.trail.append(Event(at_ns=at_ns, route="support", what=what, body=packed, id=len(kept.trail) + 1))


def read(life: Life = Life(), document: Certificate | None = None, **changes: Any) -> Read:  # noqa: B008  a value
    """All of a life with this certificate, as the command reads it on the last day of it."""
    kept = lived(life, document)
    numbered = [msgspec.structs.replace(label, id=place) for place, label in enumerate(kept.labels, 1)]
    given = Read(
        "support", ("small", "big"), (FIRST + life.days) * DAY_NS - 1, life.days, kept.samples, numbered, kept.trail,
        kept.spend, "", "none" if document is None else "valid", None if document is None else signed(document), LEAST,
        0.05,
    )  # fmt: skip
    return given._replace(**changes)
