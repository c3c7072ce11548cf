"""What a live run of the guarantee came to, in figures.

Knows what clients saw, what the store holds, and what is true of every recorded answer; not how it was made.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from benchmarks.guarantee_live_traffic import BENCH, MODELS, Price, Prompt, Seen
from tierwise.core.certificate import Certificate, name
from tierwise.proof import Day, Event, Label, Sample, Texts
from tierwise.stats.bounds import clopper_pearson
from tierwise.stats.ladder import Ladder
from tierwise.stats.watched import Claim, Point, history, least_of

Floats = NDArray[np.float64]
SIMULATED = 100
WINDOW = 500  # requests: fewer tell no rate
FIGURES = {"observe": ("train", "certify"), "enforce": ("enforce",), "worse": ("worse",), "premium": ("premium",)}


class Phase(NamedTuple):
    """Requests from `start` up to `end`, in the order of asking."""

    name: str
    start: int
    end: int
    seconds: float


class Evidence(NamedTuple):
    """All that the store has of the route."""

    samples: Sequence[Sample]
    labels: Sequence[Label]
    texts: Sequence[Texts]
    trail: Sequence[Event]
    days: Sequence[Day]


@dataclass(frozen=True)
class Run:
    """`worse`: share of the cheap model's answers; `lost`: drawn requests that the gateway had no room for."""

    known: Sequence[Prompt]
    prices: Mapping[str, Price]
    seen: Sequence[Seen]
    phases: Sequence[Phase]
    evidence: Evidence
    certificate: Certificate
    audit: float
    worse: float
    lost: int
    said: Mapping[str, str]
    seconds: float
    pace: float

    @property
    def served(self) -> Floats:
        """1 where the client got a draft."""
        return np.array([seen.role != "premium" for seen in self.seen], float)

    def score(self, role: str | None = None) -> Floats:
        """Of each request's answer: of what was served, or what that model would have said."""
        return np.array([self.known[seen.prompt].said[role or seen.role].score for seen in self.seen])  # type: ignore[index]

    def drafts(self, what: Literal["score", "harm"]) -> Floats:
        """What the cheap model said, or would have said, to each request: since it is worse, on average of both."""
        worse = self.phase("worse")
        change = len(self.seen) if worse is None else worse.start
        found = []
        for place, seen in enumerate(self.seen):
            said, share = self.known[seen.prompt].said, self.worse if place >= change else 0.0
            healthy, other = (getattr(said[role], what) or 0.0 for role in ("cheap", "worse"))
            found.append(share * other + (1 - share) * healthy)
        return np.array(found)

    @property
    def harm(self) -> Floats:
        """As the certificate means it: premium's answer is the measure. What nobody can label counts as none."""
        return np.array([self.known[seen.prompt].said[seen.role].harm or 0.0 for seen in self.seen])

    @property
    def true_harm(self) -> Floats:
        """A wrong draft was served where premium's answer is right, as the table has it."""
        return np.maximum(self.score("premium") - self.score(), 0.0)

    @property
    def always_usd(self) -> Floats:
        """What premium would have cost."""
        return np.array([self.prices["premium"].usd(self.known[seen.prompt].said["premium"]) for seen in self.seen])

    @property
    def spent_usd(self) -> Floats:
        return np.array([seen.nanos for seen in self.seen]) / 1e9

    @property
    def places(self) -> dict[str, int]:
        """Request id -> its place in `seen`."""
        return {seen.id: place for place, seen in enumerate(self.seen)}

    @property
    def aside_usd(self) -> Floats:
        """Spent on each request's audit or observation. A draft that was dropped for premium's answer is not: it is
        a part of the request itself."""
        places, kinds = self.places, {sample.request_id: sample.kind for sample in self.evidence.samples}
        found = np.zeros(len(self.seen))
        for texts in self.evidence.texts:
            place = places[texts.request_id]
            asked = "premium" if kinds[texts.request_id] == "audit" else "cheap"
            if not self.seen[place].rule.startswith("escalated:"):
                found[place] = sum(said.nanos for said in texts.said if said.model == asked) / 1e9
        return found

    def points(self) -> list[tuple[int, Point]]:
        """(place of the request, the audit after its label), once more from the rows in the store."""
        own, document = name(self.certificate), self.certificate
        least = least_of(own, self.evidence.samples, self.audit)
        claim = Claim(own, document.ladder, document.alpha, document.delta, least, document.issued * 10**9)
        samples = {sample.request_id: sample for sample in self.evidence.samples}
        of_label = {label.id: label.request_id for label in self.evidence.labels}
        places = self.places
        return [(places[of_label[point.label]], point) for point in history(claim, samples, self.evidence.labels)]

    def reached(self, at_ns: int) -> int:
        """How many requests had been answered then."""
        return sum(seen.at_ns <= at_ns for seen in self.seen)

    def phase(self, wanted: str) -> Phase | None:
        return next((phase for phase in self.phases if phase.name == wanted), None)


# ------------------------------------------------------------------ figures


def figures(run: Run) -> dict[str, Any]:
    document = run.certificate
    return {
        "data": BENCH,
        "models": dict(MODELS),
        "requests": len(run.seen),
        "prompts": {"all": len(run.known), "of traffic": len({seen.prompt for seen in run.seen[run.phases[0].end :]})},
        "seconds": run.seconds,
        "pace": run.pace,
        "worse": run.worse,
        "phases": [_phase(run, phase) for phase in run.phases],
        "certificate": {
            key: msgspec.to_builtins(getattr(document, key))
            for key in (
                "alpha", "delta", "n", "failures", "harm_bound", "kept_cheap", "retention", "cost_ratio", "saving",
                "ladder", "labels", "method",
            )
        },
        "exact": _exact(run),
        "false_alarms": sum(alarm["requests"] < 0 for alarm in _alarms(run)),
        "alarms": _alarms(run),
        "drift": _drift(run),
        "expected": _simulated(run),
        "money": _money(run),
        "samples": _samples(run),
        "harmed_after_change": int(run.harm[_change(run) :].sum()),
    }  # fmt: skip


def _phase(run: Run, phase: Phase) -> dict[str, Any]:
    part = slice(phase.start, phase.end)
    n = phase.end - phase.start
    harmed = int(run.harm[part].sum())
    return {
        "name": phase.name,
        "requests": n,
        "seconds": phase.seconds,
        "served_cheap": float(run.served[part].mean()),
        "harm": [harmed / n, *clopper_pearson(harmed, n)],
        "true_harm": float(run.true_harm[part].mean()),
        "quality": float(run.score()[part].mean()),
        "quality_premium": float(run.score("premium")[part].mean()),
        "quality_cheap": float(run.score("cheap")[part].mean()),
        "usd": float(run.spent_usd[part].sum()),
        "aside_usd": float(run.aside_usd[part].sum()),
        "always_usd": float(run.always_usd[part].sum()),
        "median_ms": 1000 * statistics.median(seen.seconds for seen in run.seen[part]),
    }


def _exact(run: Run) -> dict[str, Any]:
    """What the policy does with each prompt, once: the harm of all traffic, without the chance of the draw. And what it
    would have done with the requests that certified it, beside what was said of them."""
    certify, enforce = run.phase("certify"), run.phase("enforce")
    assert certify is not None
    assert enforce is not None
    served: dict[int, list[bool]] = {}
    for seen in run.seen[enforce.start : enforce.end]:
        served.setdefault(seen.prompt, []).append(seen.role != "premium")
    kept = {prompt: float(np.mean(each)) for prompt, each in served.items()}
    harm = {prompt: share * (run.known[prompt].said["cheap"].harm or 0.0) for prompt, share in kept.items()}
    again = [seen.prompt for seen in run.seen[certify.start : certify.end] if seen.prompt in kept]
    return {
        "prompts": len(kept),
        "decided_otherwise_at_times": sum(0 < share < 1 for share in kept.values()),
        "kept": float(np.mean(list(kept.values()))),
        "harm": float(np.mean(list(harm.values()))),
        "certified_on_again": {
            "requests": len(again),
            "kept": float(np.mean([kept[prompt] for prompt in again])),
            "failures": float(np.sum([harm[prompt] for prompt in again])),
        },
    }


def _change(run: Run) -> int:
    worse = run.phase("worse")
    return len(run.seen) if worse is None else worse.start


def _alarms(run: Run) -> list[dict[str, Any]]:
    """Each, counted from the change. `harm_since`, `served_since`: true, from the one before (or the change) to it."""
    change, points = _change(run), run.points()
    told = [event for event in run.evidence.trail if event.what == "alarm"]
    found: list[dict[str, Any]] = []
    since = change
    for event, (place, point) in zip(told, [item for item in points if item[1].alarm], strict=True):
        acted = run.reached(event.at_ns)
        audits = sum(change <= at <= place for at, _ in points)
        part = slice(min(since, acted - 1), acted)
        found.append(
            {
                "rung": point.rung + 1,
                "requests": acted - change,
                "audits": audits,
                "audits_of_rung": point.drawn,
                "harm_seen": point.harm,
                "harm_since": float(run.harm[part].mean()),
                "served_since": float(run.served[part].mean()),
                "p_value": point.p_value,
                "e_value": point.wealth,
                "level": point.level,
                "threshold": msgspec.json.decode(event.body)["threshold"],
                "label_to_action": acted - place,
            }
        )
        since = acted
    return found


def _drift(run: Run) -> list[dict[str, Any]]:
    return [
        {"kind": msgspec.json.decode(event.body)["kind"], "requests": run.reached(event.at_ns) - _change(run)}
        for event in run.evidence.trail
        if event.what == "drift"
    ]


def _money(run: Run) -> dict[str, Any]:
    days = run.evidence.days
    parts = {
        "all": slice(0, len(run.seen)),
        **{
            title: slice(found[0].start, found[-1].end)
            for title, names in FIGURES.items()
            if (found := [phase for phase in run.phases if phase.name in names])
        },
    }
    told: dict[str, Any] = {"ledger_aside_usd": sum(day.aside_nanos for day in days) / 1e9}
    told["ledger_usd"] = sum(day.nanos for day in days) / 1e9
    told["ledger_baseline_usd"] = sum(day.baseline_nanos for day in days) / 1e9
    for title, part in parts.items():
        always, spent, aside = (float(values[part].sum()) for values in (run.always_usd, run.spent_usd, run.aside_usd))
        told[title] = {
            "always_usd": always,
            "usd": spent,
            "aside_usd": aside,
            "saved": 1 - spent / always,
            "saved_net": 1 - (spent + aside) / always,
        }
    return told


def _samples(run: Run) -> dict[str, Any]:
    audits = [sample for sample in run.evidence.samples if sample.kind == "audit"]
    sources: dict[str, int] = {}
    for label in run.evidence.labels:
        sources[label.source] = sources.get(label.source, 0) + 1
    rates = [sample.propensity for sample in audits]
    labelled = {label.request_id for label in run.evidence.labels}
    served = int(run.served.sum())
    return {
        "observed": len(run.evidence.samples) - len(audits),
        "audited": len(audits),
        "served_cheap": served,
        "audit_share": len(audits) / served if served else None,
        "configured": run.audit,
        "propensity": [min(rates), statistics.median(rates), max(rates)] if rates else None,
        "unlabelled": len(run.evidence.samples) - len(labelled),
        "lost": run.lost,
        "labels": sources,
    }


# ------------------------------------------------------------------ what was to be expected


def _simulated(run: Run) -> dict[str, Any] | None:
    """The same ladder over made-up rows of the rates that were true here: requests and audits to each alarm."""
    if not _alarms(run):
        return None
    rates = _rates(run)
    runs = [_climb(run, rates, random.Random(seed)) for seed in range(SIMULATED)]  # noqa: S311  no secret
    rungs = []
    for place in range(len(run.certificate.ladder)):
        found = [alarms[place] for alarms in runs if len(alarms) > place]
        if found:
            requests, audits = ([item[part] for item in found] for part in (0, 1))
            rungs.append(
                {
                    "rung": place + 1,
                    "reached": len(found) / SIMULATED,
                    "requests": [float(np.median(requests)), float(np.quantile(requests, 0.9))],
                    "audits": [float(np.median(audits)), float(np.quantile(audits, 0.9))],
                }
            )
    early = sum(any(requests < 0 for requests, _ in alarms) for alarms in runs)
    return {"runs": SIMULATED, "false_alarms": early, "rungs": rungs}


class _Rates(NamedTuple):
    """Before the change, and then at each rung: share served, share of these harmed. `draw`: of those served."""

    before: tuple[float, float]
    after: tuple[tuple[float, float], ...]
    healthy: int
    draw: float


def _rates(run: Run) -> _Rates:
    def of(part: slice) -> tuple[float, float]:
        served, harmed = float(run.served[part].mean()), float(run.harm[part].mean())
        return served, harmed / served if served else 0.0

    enforce = run.phase("enforce")
    assert enforce is not None
    change, audits = enforce.end, [s for s in run.evidence.samples if s.kind == "audit"]
    cuts = [change, *(change + alarm["requests"] for alarm in _alarms(run))]
    worse = run.phase("worse")
    if worse is not None and cuts[-1] < worse.end - WINDOW:  # it was still at that rung when the requests ended
        cuts.append(worse.end)
    after = [of(slice(low, high)) for low, high in pairwise(cuts) if high > low]
    draw = len(audits) / float(run.served[enforce.start :].sum())
    return _Rates(of(slice(enforce.start, change)), tuple(after), change - enforce.start, draw)


def _climb(run: Run, rates: _Rates, chance: random.Random) -> list[tuple[int, int]]:
    """(requests, audits) from the change to each alarm; below 0: before it."""
    ladder = Ladder.start(run.certificate.ladder, run.certificate.alpha, run.certificate.delta, run.audit)
    draw, found, escalated, audits = max(rates.draw, run.audit), list[tuple[int, int]](), 0, 0
    for request in range(-rates.healthy, 5 * len(run.seen)):
        served, harmed = rates.before if request < 0 else rates.after[min(ladder.at, len(rates.after) - 1)]
        if chance.random() >= served:
            escalated += 1
        elif chance.random() < draw:
            audits += request >= 0
            at, ladder = ladder.at, ladder.escalated(escalated)
            ladder = ladder.step(float(chance.random() < harmed), draw, ladder.at)
            escalated = 0
            if ladder.at > at:
                found.append((request, audits))
            if ladder.at == len(ladder.thresholds) - 1:
                break
    return found
