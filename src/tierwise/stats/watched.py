"""A certificate while it is in force: the labels of its audits, folded into the ladder; and those of its judge.

The gateway folds labels as they come, and a report folds all of them again. The same samples and labels give the same
state, whoever folds them and in whatever batches: an alarm can be checked by anybody who has the rows.

Knows nothing of how requests are drawn or labelled, of time or of storage, and not what is done about an alarm.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from tierwise.proof import EXACT, Label, Sample
from tierwise.stats.audit import Audit, Verdict
from tierwise.stats.bounds import upper, upper_mean
from tierwise.stats.ladder import PREMIUM, Ladder

Pair = tuple[str, str]
"""The id of a request and the model whose draft was labelled."""

LEAST_ANCHORS = 30  # fewer tell too little of how often a judge errs


class Claim(NamedTuple):
    """What is watched: harm is at most alpha, at 1 - delta.

    `certificate`: its name, as samples have it. `thresholds`: its ladder. `least`: no audit of it has a smaller
    propensity (`least_of`). `issued_ns`: a judge that is asked anew before tells nothing of it.
    """

    certificate: str
    thresholds: tuple[float, ...]
    alpha: float
    delta: float
    least: float
    issued_ns: int = 0


class Watched(NamedTuple):
    """The state after some labels. Begin with `start`; `follow` gives the next.

    `judge`: the audit of "the judge disagrees with people as seldom as it did"; None until it is asked anew about
    one of at least LEAST_ANCHORS pairs that both have labelled. `seen`: requests of which the label has counted.
    `counted`: samples up to this id have told what went by between them. `people`, `judged`: harm by people, the
    newest, and by each judge, the first. Where people's labels are kept, anchors can be drawn from `people`.
    """

    claim: Claim
    ladder: Ladder
    judge: Audit | None = None
    seen: frozenset[str] = frozenset()
    counted: int = 0
    people: Mapping[Pair, float] = {}
    judged: Mapping[tuple[Pair, str], float] = {}


class Point(NamedTuple):
    """A rung's audit after one more row. `level`: wealth at which it alarms. After an alarm a new one starts."""

    at_ns: int
    label: int  # its id
    rung: int
    rows: int
    drawn: int
    wealth: float
    level: float
    p_value: float
    harm: float
    alarm: bool


def start(claim: Claim) -> Watched:
    """Raises ValueError as `Ladder.start`."""
    return Watched(claim, Ladder.start(claim.thresholds, claim.alpha, claim.delta, claim.least))


def follow(watched: Watched, samples: Mapping[str, Sample], labels: Iterable[Label]) -> Watched:
    """After these labels, in the order of their ids; each is given once, over all calls.

    `samples`, by request id: all of the certificate that have an id above `watched.counted`, and those that labels are
    about. A label of a sample that isn't there is left out for good: so read labels first, and then samples.

    An audit's first label counts, if it says what harm was (`proof.EXACT`) or that nobody could say ("missing", which
    is harm 1): what comes later rewrites nothing. "void" leaves its sample out. Requests that went by without being
    drawn count just before the label, those of all samples up to its own. What came about at another rung than the
    present is left out.
    Raises ValueError for a propensity below `claim.least`: then start anew, with `least_of`.
    """
    return traced(watched, samples, labels)[0]


def traced(watched: Watched, samples: Mapping[str, Sample], labels: Iterable[Label]) -> tuple[Watched, list[Point]]:
    """The same, with the audit after each label that counted. Arguments and errors as of `follow`."""
    fold = _Fold(watched, samples)
    points = [point for label in labels if (point := fold.take(label)) is not None]
    return fold.state(), points


def history(claim: Claim, samples: Mapping[str, Sample], labels: Iterable[Label]) -> list[Point]:
    """The audit after each label that counted, from the first one. Arguments and errors as of `start` and `follow`."""
    return traced(start(claim), samples, labels)[1]


def verdict(watched: Watched) -> Verdict:
    """Whether an alarm is because of harm or because the judge has changed; see `audit.verdict`."""
    if watched.judge is not None and watched.judge.alarm:
        return "judge"
    return "system" if watched.ladder.at > 0 else "none"


def least_of(certificate: str, samples: Iterable[Sample], planned: float) -> float:
    """The least propensity of its audits, now that `planned` is the least that new ones get.

    A rate that is set while a certificate is in force, and not because of what its audits say, keeps the audit valid.
    """
    drawn = (sample.propensity for sample in samples if sample.kind == "audit" and sample.certificate == certificate)
    return min((planned, *drawn))


def disagreement(losses: Sequence[float], delta: float) -> float | None:
    """The rate at which a judge may err, from how far it was off on anchors, in [0, 1] each: exceeded with probability
    at most `delta`. None where there are too few, or where it was hardly ever right."""
    if len(losses) < LEAST_ANCHORS:
        return None
    if all(loss in {0.0, 1.0} for loss in losses):
        most = upper(int(sum(losses)), len(losses), delta)
    else:
        most = upper_mean(sum(losses) / len(losses), len(losses), delta)
    return most if most < 1 else None


class _Fold:
    """One call's work: it changes its own copies, so that a thousand labels don't copy a thousand sets."""

    def __init__(self, watched: Watched, samples: Mapping[str, Sample]) -> None:
        self._claim, self._ladder, self._judge = watched.claim, watched.ladder, watched.judge
        self._seen, self._people, self._judged = set(watched.seen), dict(watched.people), dict(watched.judged)
        self._samples, self._counted = samples, watched.counted
        own = (sample for sample in samples.values() if sample.certificate == self._claim.certificate)
        later = (sample for sample in own if sample.id > watched.counted)
        self._waiting = sorted(later, key=lambda sample: sample.id, reverse=True)

    def state(self) -> Watched:
        return Watched(
            self._claim, self._ladder, self._judge, frozenset(self._seen), self._counted, self._people, self._judged
        )

    def take(self, label: Label) -> Point | None:
        """What the label did to the audit of a rung, if anything."""
        self._hear(label)
        sample = self._samples.get(label.request_id)
        if sample is None or not self._audits(sample, label):
            return None
        loss = _loss(label)
        if loss is None and label.source != "void":
            return None
        self._seen.add(sample.request_id)
        self._count(sample.id)
        if loss is None or sample.rung != self._ladder.at or self._ladder.threshold == PREMIUM:
            return None
        audit = self._ladder.audit.step(loss, sample.propensity)
        self._ladder = self._ladder.step(loss, sample.propensity, sample.rung)
        return Point(
            label.at_ns, label.id, sample.rung, audit.rows, audit.drawn, audit.wealth.total, 1 / audit.delta,
            audit.p_value, audit.harm, audit.alarm,
        )  # fmt: skip

    def _audits(self, sample: Sample, label: Label) -> bool:
        own = sample.kind == "audit" and sample.certificate == self._claim.certificate
        return own and label.model == sample.served and sample.request_id not in self._seen

    def _count(self, upto: int) -> None:
        """What went by before this sample and those before it, each under its own rung."""
        while self._waiting and self._waiting[-1].id <= upto:
            sample = self._waiting.pop()
            self._counted = sample.id
            if sample.rung == self._ladder.at:
                self._ladder = self._ladder.passed(sample.passed).escalated(sample.escalated)

    def _hear(self, label: Label) -> None:
        """What people and judges say; and a judge that is asked anew about what people have labelled."""
        pair, harm = (label.request_id, label.model), label.harm
        if harm is None:
            return
        if label.source == "human":
            self._people[pair] = harm
        elif label.source == "judge":
            self._judged.setdefault((pair, label.by), harm)
        elif label.source == "recheck" and label.at_ns >= self._claim.issued_ns and pair in self._people:
            judge = self._judge or self._first(label.by)
            self._judge = None if judge is None else judge.step(abs(harm - self._people[pair]), 1.0)

    def _first(self, judge: str) -> Audit | None:
        """Half of delta is for the rate at which it erred, and half for the alarm."""
        both = [
            abs(harm - self._people[pair]) for (pair, by), harm in self._judged.items()
            if by == judge and pair in self._people
        ]  # fmt: skip
        rate = disagreement(both, self._claim.delta / 2)
        return None if rate is None else Audit.start(rate, self._claim.delta / 2)


def _loss(label: Label) -> float | None:
    if label.source == "missing":
        return 1.0
    return label.harm if label.source in EXACT else None
