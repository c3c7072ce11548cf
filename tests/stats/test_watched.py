"""Folding labels: by hand, in any batches, and against what must not count; and the judge that is asked anew."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import count, pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tierwise.proof import EXACT, Label, Sample, Source
from tierwise.stats.audit import Audit
from tierwise.stats.bounds import upper, upper_mean
from tierwise.stats.ladder import Ladder
from tierwise.stats.watched import (
    LEAST_ANCHORS,
    Claim,
    Watched,
    disagreement,
    follow,
    history,
    least_of,
    start,
    verdict,
)

CLAIM = Claim("cert", (0.5, 0.7), 0.03, 0.05, 0.2, issued_ns=1_000)
Samples = dict[str, Sample]


def sample(number: int, **changes: Any) -> Sample:
    given: dict[str, Any] = {
        "request_id": f"r{number}", "route": "support", "at_ns": number, "kind": "audit", "served": "cheap",
        "uniform": 0.1, "propensity": 0.2, "certificate": "cert", "id": number,
    }  # fmt: skip
    return Sample(**given | changes)


def label(number: int, harm: float = 0.0, source: Source = "judge", **changes: Any) -> Label:
    given: dict[str, Any] = {
        "request_id": f"r{number}", "route": "support", "model": "cheap", "source": source, "draft": 1 - harm,
        "premium": 1.0, "at_ns": 2_000 + number, "id": number, "by": "j" if source in {"judge", "recheck"} else "",
    }  # fmt: skip
    return Label(**given | changes)


def mapped(samples: Iterable[Sample]) -> Samples:
    return {one.request_id: one for one in samples}


def folded(samples: Iterable[Sample], labels: Iterable[Label]) -> Watched:
    return follow(start(CLAIM), mapped(samples), labels)


def fresh() -> Ladder:
    return Ladder.start(CLAIM.thresholds, CLAIM.alpha, CLAIM.delta, CLAIM.least)


# ------------------------------------------------------------------ what counts


def test_rows_by_hand() -> None:
    """What went by comes first, then the row with its propensity."""
    rows = [sample(1, passed=40, escalated=20), sample(2, propensity=0.4, escalated=3)]
    found = folded(rows, [label(1, 1.0), label(2, 0.25)])
    by_hand = fresh().passed(40).escalated(20).step(1.0, 0.2, 0).escalated(3).step(0.25, 0.4, 0)
    assert found.ladder == by_hand
    assert found.ladder.audit.rows == 65
    assert found.seen == {"r1", "r2"}
    assert found.counted == 2


@pytest.mark.parametrize("source", EXACT)
def test_whoever_says_what_harm_was_counts(source: Source) -> None:
    """People, checks, equality and judges."""
    assert folded([sample(1)], [label(1, 0.5, source)]).ladder == fresh().step(0.5, 0.2, 0)


def test_a_label_that_could_not_be_had_is_harm() -> None:
    """Whatever its numbers are."""
    assert folded([sample(1)], [label(1, 0.0, "missing")]).ladder == fresh().step(1.0, 0.2, 0)


def test_a_void_label_leaves_its_sample_out() -> None:
    """Only what went by counts, and no later label of the same sample does."""
    found = folded([sample(1, escalated=5)], [label(1, 0.0, "void"), label(1, 1.0, "human", id=2)])
    assert found.ladder == fresh().escalated(5)
    assert found.seen == {"r1"}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (sample(1), label(1, 1.0, "feedback")),
        (sample(1), label(1, 1.0, "recheck")),
        (sample(1), label(1, 1.0, "human", premium=None)),
        (sample(1), label(1, 1.0, model="other")),
        (sample(1), label(7, 1.0)),
        (sample(1, kind="observe"), label(1, 1.0)),
        (sample(1, certificate="older"), label(1, 1.0)),
        (sample(1, certificate=""), label(1, 1.0)),
    ],
)
def test_what_tells_the_audit_nothing(one: Sample, other: Label) -> None:
    """It leaves all as it was, and an audit's real label still counts afterwards."""
    found = folded([one], [other])
    assert found.ladder == fresh()
    assert (found.counted, found.judge) == (0, None)
    own = one.kind == "audit" and one.certificate == "cert"
    after = folded([one], [other, label(1, 1.0, "judge", id=9)]).ladder
    assert after == (fresh().step(1.0, 0.2, 0) if own else fresh())


def test_nothing_rewrites_an_audit() -> None:
    """The first label of a sample counts; what people say later of the same one doesn't."""
    rows = [label(1, 0.0), label(1, 1.0, "human", id=2), label(1, 1.0, id=3)]
    assert folded([sample(1)], rows).ladder == fresh().step(0.0, 0.2, 0)


def test_samples_without_a_label_still_tell_what_went_by() -> None:
    """Those before the labelled one, and not those after it."""
    rows = [sample(1, escalated=5), sample(2, escalated=7), sample(3, escalated=11)]
    rows.append(sample(0, certificate="x", escalated=13, id=1))
    assert folded(rows, [label(2)]).ladder == fresh().escalated(5).escalated(7).step(0.0, 0.2, 0)
    late = folded(rows, [label(3), label(1, id=9)])
    assert late.ladder == fresh().escalated(5).escalated(7).escalated(11).step(0.0, 0.2, 0).step(0.0, 0.2, 0)
    assert late.counted == 3


def climbing(rung: int, first: int) -> tuple[list[Sample], list[Label]]:
    """Harmful rows of a rung until it is left, and how they are labelled."""
    ladder = fresh()
    while ladder.at < rung:
        ladder = ladder.step(1.0, 0.2, ladder.at)
    rows = list[Sample]()
    for number in count(first):
        if ladder.at > rung:
            break
        rows.append(sample(number, rung=rung))
        ladder = ladder.step(1.0, 0.2, rung)
    return rows, [label(one.id, 1.0) for one in rows]


def test_each_rung_has_its_own_audit() -> None:
    """After an alarm rows of the looser rung come late and count no more, nor what went by there; at premium none."""
    first, told = climbing(0, 1)
    late = sample(100, rung=0, escalated=9, passed=9)
    found = folded([*first, late], [*told, label(100, 1.0)])
    assert found.ladder == fresh()._replace(at=1, audit=Audit.start(0.03, 0.05 / 4, 0.2))
    assert "r100" in found.seen
    second, more = climbing(1, 200)
    end = folded([*first, *second, sample(300, rung=2)], [*told, *more, label(300, 1.0)])
    assert (end.ladder.at, end.ladder.audit.drawn, verdict(end)) == (2, 0, "system")
    assert verdict(start(CLAIM)) == "none"
    points = history(
        CLAIM, mapped([*first, late, *second, sample(300, rung=2)]), [*told, label(100), *more, label(300)]
    )
    assert [point.rung for point in points] == [0] * len(first) + [1] * len(second)


def test_history_shows_every_row() -> None:
    """The row of the alarm with the wealth that raised it, and the next rung from the start."""
    first, told = climbing(0, 1)
    rows, labels = mapped([*first, sample(90, rung=1, passed=4)]), [*told, label(90, 0.0), label(90, 1.0, id=91)]
    points = history(CLAIM, rows, labels)
    assert [point.label for point in points] == [*range(1, len(told) + 1), 90]
    assert [point.alarm for point in points] == [False] * (len(told) - 1) + [True, False]
    assert all(before.wealth < after.wealth for before, after in pairwise(points[:-1]))
    alarm, last = points[-2:]
    assert alarm.level == pytest.approx(40)
    assert last.level == pytest.approx(80)
    assert alarm.wealth >= alarm.level > points[-3].wealth
    assert (alarm.drawn, alarm.harm, alarm.rung) == (len(told), 1.0, 0)
    assert alarm.p_value == pytest.approx(1 / alarm.wealth)
    assert (last.rows, last.drawn, last.harm, last.rung, last.at_ns) == (5, 1, 0.0, 1, 2_090)


SOURCES: Sequence[Source] = ("judge", "human", "missing", "void", "feedback", "recheck", "equality")


def rows_of(rng: np.random.Generator) -> tuple[Samples, list[Label]]:
    """Samples of some rungs, and labels of all sorts in no order of theirs."""
    rows = [
        sample(
            number, passed=int(rng.integers(5)), escalated=int(rng.integers(5)), propensity=float(rng.uniform(0.2, 1)),
            rung=int(rng.integers(2)), certificate=str(rng.choice(["cert", "cert", "old"])),
        )
        for number in range(1, 40)
    ]  # fmt: skip
    labels = [
        label(int(rng.integers(1, 45)), float(rng.integers(2)), SOURCES[int(rng.integers(len(SOURCES)))], id=number)
        for number in range(1, 120)
    ]
    return mapped(rows), labels


@given(st.integers(0, 10**6), st.lists(st.integers(0, 119), max_size=4))
@settings(max_examples=60, deadline=None)
def test_batches_make_no_difference(seed: int, cuts: list[int]) -> None:
    """One process that folds as labels come and another that folds all at once are at the same place."""
    samples, labels = rows_of(np.random.default_rng(seed))
    whole = follow(start(CLAIM), samples, labels)
    state, edges = start(CLAIM), [0, *sorted(cuts), len(labels)]
    for low, high in pairwise(edges):
        state = follow(state, samples, labels[low:high])
    assert state == whole


def test_samples_that_have_told_all_need_not_be_given_again() -> None:
    """What a process holds in memory is what has come since, and what labels are about."""
    samples, labels = rows_of(np.random.default_rng(1))
    half = follow(start(CLAIM), samples, labels[:60])
    about = {one.request_id for one in labels[60:]}
    fewer = {name: one for name, one in samples.items() if one.id > half.counted or name in about}
    assert len(fewer) < len(samples)
    assert follow(half, fewer, labels[60:]) == follow(half, samples, labels[60:])


def test_a_fold_leaves_what_it_began_with() -> None:
    """States are values: the one before can be folded again."""
    samples, labels = rows_of(np.random.default_rng(2))
    half = follow(start(CLAIM), samples, labels[:60])
    once = follow(half, samples, labels[60:])
    assert follow(half, samples, labels[60:]) == once
    assert start(CLAIM) == start(CLAIM)._replace(people={}, judged={})


@pytest.mark.unmeasured
def test_false_alarms_are_rare() -> None:
    """At a harm of alpha over all traffic, three of four requests escalated: at most delta of the routes climb."""
    rng, climbed = np.random.default_rng(3), 0
    claim = CLAIM._replace(alpha=0.05)
    for _ in range(60):
        losses, others = rng.random(300) < 4 * 0.05, rng.poisson(3 / 0.2, 300)
        rows = [sample(number, escalated=int(more)) for number, more in enumerate(others, 1)]
        labels = [label(number, float(loss)) for number, loss in enumerate(losses, 1)]
        climbed += follow(start(claim), mapped(rows), labels).ladder.at > 0
    assert climbed <= 60 * 0.05 + 3 * (60 * 0.05 * 0.95) ** 0.5


def test_the_least_propensity() -> None:
    """Of the certificate's audits and those to come; below it nothing is folded."""
    rows = [sample(1, propensity=0.1), sample(2, propensity=0.01, kind="observe"), sample(3, propensity=0.3)]
    assert least_of("cert", rows, 0.2) == 0.1
    assert least_of("cert", rows, 0.05) == 0.05
    assert least_of("other", rows, 0.2) == 0.2
    with pytest.raises(ValueError, match="propensity"):
        folded(rows, [label(1)])
    with pytest.raises(ValueError, match="rise"):
        start(CLAIM._replace(thresholds=()))


# ------------------------------------------------------------------ the judge


def anchored(pairs: int, wrong: int = 0, by: str = "j") -> list[Label]:
    """Pairs that a judge and then people have labelled; the judge was wrong about the first ones."""
    judged = [label(number, float(number < wrong), by=by) for number in range(pairs)]
    return [*judged, *(label(number, 0.0, "human", id=1000 + number) for number in range(pairs))]


def rechecks(harms: Sequence[float], **changes: Any) -> list[Label]:
    return [label(number, harm, "recheck", id=5000 + number, **changes) for number, harm in enumerate(harms)]


def judge_of(labels: Iterable[Label]) -> Audit | None:
    return folded([], labels).judge


def test_the_judge_is_audited_on_anchors() -> None:
    """At the rate that the first labels bear out; a loss is how far it is off now."""
    found = judge_of([*anchored(40, wrong=2), *rechecks([0.0, 1.0, 0.5])])
    by_hand = Audit.start(upper(2, 40, 0.025), 0.025).step(0.0, 1.0).step(1.0, 1.0).step(0.5, 1.0)
    assert found == by_hand


def test_what_does_not_start_the_judges_audit() -> None:
    """Few anchors, another judge's labels, people's that come later, a pair nobody labelled, a time before."""
    asked = rechecks([1.0] * 3)
    assert judge_of([*anchored(LEAST_ANCHORS), *asked]) is not None
    assert judge_of([*anchored(LEAST_ANCHORS - 1), *asked]) is None
    assert judge_of([*anchored(40, by="other"), *asked]) is None
    assert judge_of([*asked, *anchored(40)]) is None
    assert judge_of([*anchored(40), label(77, 1.0, "recheck")]) is None
    assert judge_of([*anchored(40), *rechecks([1.0], at_ns=999)]) is None
    assert judge_of([*anchored(40), *rechecks([1.0], premium=None)]) is None
    assert judge_of([*anchored(40, wrong=40), *asked]) is None


def test_first_labels_make_the_rate_and_peoples_newest_the_truth() -> None:
    """A judge's second word about a pair is not how it was; people may correct themselves."""
    again = [label(number, 1.0, id=3000 + number) for number in range(40)]
    mended = label(0, 1.0, "human", id=4000)
    found = judge_of([*anchored(40), *again, mended, *rechecks([1.0])])
    assert found == Audit.start(upper(1, 40, 0.025), 0.025).step(0.0, 1.0)


def test_a_judge_that_has_changed_is_told_from_harm() -> None:
    """Its alarm comes first in the verdict, whatever the ladder did."""
    rows, told = climbing(0, 500)
    changed = folded(rows, [*anchored(40), *rechecks([1.0] * 30), *told])
    assert changed.judge is not None
    assert changed.judge.alarm
    assert (changed.ladder.at, verdict(changed)) == (1, "judge")
    kept = folded(rows, [*anchored(40), *rechecks([0.0] * 30), *told])
    assert verdict(kept) == "system"


def test_the_rate_of_disagreement() -> None:
    """Exact for 0 and 1, Hoeffding-Bentkus between; None where nothing can be said."""
    assert disagreement([0.0] * 29, 0.05) is None
    assert disagreement([1.0] * 50, 0.05) is None
    assert disagreement([0.0] * 40 + [1.0], 0.05) == upper(1, 41, 0.05)
    graded = [0.0] * 40 + [0.5]
    assert disagreement(graded, 0.05) == upper_mean(0.5 / 41, 41, 0.05)


def test_anchors_can_be_drawn() -> None:
    """The state holds what people said, of pairs outside the certificate too."""
    people: Mapping[tuple[str, str], float] = folded([], [label(5, 0.25, "human")]).people
    assert people == {("r5", "cheap"): 0.25}
