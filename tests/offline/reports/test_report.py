"""The figures of a report: money to the nano-dollar, quality by what was drawn, the audit as the gateway folds it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.offline.reports.lives import FIRST, LEAST, Kept, Life, certificate, lived, read, signed
from tierwise.core.certificate import name
from tierwise.core.window import DAY_NS
from tierwise.offline.reports.report import Read, believed, jsonable, reported
from tierwise.proof import Day, Event, Label, Sample, Source
from tierwise.stats import sampled
from tierwise.stats.watched import Claim, follow, start, traced, verdict

CERTIFICATE = certificate()
OWN = name(CERTIFICATE)
NOW = (FIRST + 10) * DAY_NS + 5


def given(**changes: Any) -> Read:
    """Ten days into the certificate; nothing has happened."""
    empty = Read(
        "support", ("small", "big"), NOW, 10, (), (), (), (), "", "valid", signed(CERTIFICATE), LEAST, 0.05
    )  # fmt: skip
    return empty._replace(**changes)


def sample(number: int, **changes: Any) -> Sample:
    values: dict[str, Any] = {
        "request_id": f"r{number}", "route": "support", "at_ns": NOW - 1000 + number, "kind": "audit",
        "served": "small", "uniform": 0.01, "propensity": 0.02, "certificate": OWN, "id": number,
    }  # fmt: skip
    return Sample(**values | changes)


def label(number: int, source: Source, draft: float, premium: float | None = 1.0, **changes: Any) -> Label:
    values: dict[str, Any] = {
        "request_id": f"r{number}", "route": "support", "model": "small", "source": source, "draft": draft,
        "premium": premium, "at_ns": NOW - 500 + number, "id": number,
    }  # fmt: skip
    return Label(**values | changes)


# ------------------------------------------------------------------ money


def day(place: int, *sums: int) -> Day:
    return Day(day=FIRST + place, requests=10, drafts=7, nanos=sums[1], aside_nanos=sums[2], baseline_nanos=sums[0])


def test_money_of_the_period() -> None:
    """The last ten days, today included; sums so far day by day."""
    spend = [day(0, 10**12, 1, 1), day(1, 100, 40, 5), day(10, 200, 90, 0)]
    found = reported(given(spend=spend))
    money = found.money
    assert (money.requests, money.drafts) == (20, 14)
    assert (money.baseline_nanos, money.spent_nanos, money.aside_nanos, money.net_nanos) == (300, 130, 5, 165)
    assert money.share == pytest.approx(0.55)
    assert money.series == ((FIRST + 1, 100, 40, 5), (FIRST + 10, 300, 130, 5))
    assert money.interval is None
    assert (found.first, found.last) == (FIRST + 1, FIRST + 10)
    assert reported(given(spend=spend[2:])).first == FIRST + 10


def test_money_of_a_life() -> None:
    """Sums of all days, and an interval around the share."""
    whole = read(Life(days=30, requests=200), CERTIFICATE)
    money = reported(whole).money
    assert money.net_nanos == sum(one.baseline_nanos - one.nanos - one.aside_nanos for one in whole.spend)
    assert money.interval is not None
    assert money.share is not None
    assert money.interval[0] < money.share < money.interval[1]


# ------------------------------------------------------------------ quality


def test_quality_by_hand() -> None:
    """Each drawn row counts for 1 / propensity; a missing label is harm, a void one and a waiting one are left out."""
    rows = [
        sample(1, passed=30, escalated=250), sample(2, propensity=0.04, passed=40), sample(3, passed=25),
        sample(4, kind="observe"), sample(5, certificate="old", passed=1000), sample(6, escalated=10), sample(7),
    ]  # fmt: skip
    labels = [
        label(1, "judge", 0.0), label(2, "equality", 1.0, 0.5), label(3, "missing", 0.0), label(6, "void", 0.0, 0.0),
        label(2, "void", 0.0, 0.0), label(5, "judge", 0.0), label(4, "judge", 0.0), label(7, "feedback", 0.0, None),
        label(99, "judge", 0.0),
    ]  # fmt: skip
    found = reported(given(samples=rows, labels=labels)).quality
    assert (found.drawn, found.labelled, found.void, found.waiting) == (5, 3, 1, 1)
    assert (found.rows, found.cheap) == (5 + 95 + 260, 5 + 95)
    share = (50 + 25 + 50) / (4 * 50 + 25)  # of what was drawn, in requests, this much is labelled
    rates = [0.02, 0.04, 0.02]
    for mean, values, rows_of in (
        (found.difference, [-1.0, 0.5, -1.0], 360), (found.difference_cheap, [-1.0, 0.5, -1.0], 100),
    ):  # fmt: skip
        by_hand = sampled.mean(values, rates, rows_of * share, 0.05, 0.02)
        assert (mean.value, mean.low, mean.high) == pytest.approx(by_hand[:3])
    assert found.harm.value == pytest.approx((50 + 50) / (360 * share))
    assert found.harm.low == 0
    assert found.confidence == 0.95


def test_quality_of_a_life() -> None:
    """The harm that the route was made to do is within the interval, and stays so where harm changes halfway."""
    for life in (Life(days=60, people=0.0), Life(days=60, people=0.0, bad=30, worse=0.03)):
        quality = reported(read(life, certificate(ladder=(0.7,), alpha=0.2))).quality
        truth = life.harm if life.bad is None else (life.harm + life.worse) / 2
        assert quality.harm.low <= truth <= quality.harm.high
        assert quality.harm.high < 0.2


def test_without_a_certificate_quality_is_of_the_period() -> None:
    """Drafts that were served uncertified, at the confidence that the route wants."""
    rows = [sample(1, certificate="", passed=9), sample(2, certificate="", at_ns=FIRST * DAY_NS)]
    labels = [label(1, "checks", 1.0), label(2, "checks", 0.0)]
    quality = reported(given(samples=rows, labels=labels, signed=None, standing="none", delta=0.1)).quality
    assert (quality.rows, quality.labelled, quality.harm.value) == (10, 1, 0.0)
    assert quality.confidence == 0.9


def test_nothing_is_known_without_labels() -> None:
    """No value, and the widest interval."""
    quality = reported(given(samples=[sample(1)])).quality
    assert (quality.waiting, quality.harm.value, quality.harm.low, quality.harm.high) == (1, None, 0.0, 1.0)


def test_who_is_believed() -> None:
    """People before checks, checks before equality, that before judges; of one source the newest; no others."""
    order: list[Source] = ["judge", "equality", "checks", "human", "human", "judge", "feedback", "recheck", "missing"]
    labels = [label(1, source, place / 10) for place, source in enumerate(order)]
    assert [believed(labels[:upto])["r1", "small"].draft for upto in range(1, 10)] == [
        0.0, 0.1, 0.2, 0.3, 0.4, 0.4, 0.4, 0.4, 0.4,
    ]  # fmt: skip
    assert believed([label(1, "human", 0.5, None)]) == {}
    assert len(believed([label(1, "judge", 0.0), label(1, "judge", 0.0, model="middle")])) == 2


def test_drafts_that_nobody_was_served() -> None:
    """Of observed requests in the period, for each cheaper model that has labels."""
    rows = [sample(number, kind="observe", served="big") for number in range(1, 5)] + [sample(5)]
    labels = [label(number, "judge", 0.5) for number in (1, 2, 3, 5)]
    labels += [label(4, "judge", 0.0, at_ns=FIRST * DAY_NS), label(1, "judge", 1.0, model="other")]
    (found,) = reported(given(samples=rows, labels=labels)).observed
    assert (found.model, found.labelled, found.difference.value) == ("small", 3, -0.5)


# ------------------------------------------------------------------ the audit


def test_the_audit_is_the_gateways() -> None:
    """The same fold: rung, e-values and every point."""
    life, document = Life(days=40, bad=10), certificate()
    kept = lived(life, document)
    whole = read(life, document)
    audit = reported(whole).audit
    assert audit is not None
    claim = Claim(OWN, document.ladder, 0.03, 0.05, LEAST, document.issued * 10**9)
    samples = {one.request_id: one for one in kept.samples}
    watched, points = traced(start(claim), samples, whole.labels)
    assert watched == follow(start(claim), samples, whole.labels)
    assert audit.points == tuple(points)
    assert (audit.rung, audit.verdict) == (watched.ladder.at, verdict(watched)) == (3, "system")
    assert audit.thresholds == (0.712, 0.784, 0.861, None)
    assert audit.level == pytest.approx(1 / watched.ladder.audit.delta)
    assert audit.e_value == watched.ladder.audit.wealth.total
    assert audit.judge is None


def test_what_an_alarm_does_to_the_standing() -> None:
    """The file says valid; its audits, or its judge, may say otherwise."""
    assert reported(read(Life(days=40), CERTIFICATE)).in_force
    alarmed = reported(read(Life(days=40, bad=10), CERTIFICATE))
    assert (alarmed.standing, alarmed.in_force) == ("suspended: audit alarm", False)
    assert reported(given(standing="expired")).standing == "expired"
    assert not reported(given(standing="expired")).in_force
    assert reported(read(Life(days=40, bad=10), CERTIFICATE, standing="expired")).standing == "expired"
    pairs = [label(number, "judge", 1.0, by="j") for number in range(40)]
    pairs += [label(number, "human", 1.0) for number in range(40)]
    pairs += [label(number, "recheck", 0.0, by="j") for number in range(30)]
    changed = reported(given(labels=pairs))
    assert changed.standing == "suspended: the judge has changed"
    assert changed.audit is not None
    assert changed.audit.judge is not None
    assert changed.audit.judge[2] == 30
    early = [msgspec.structs.replace(one, at_ns=FIRST * DAY_NS - 1) for one in pairs]
    assert reported(given(labels=early)).standing == "valid"
    assert changed.audit.judge[0] >= changed.audit.judge[1] == pytest.approx(40)


def test_propensities_that_are_planned() -> None:
    """The bets allow for the least that new audits get, also before one of them is drawn."""
    rows, labels = [sample(1, propensity=0.04)], [label(1, "judge", 0.0)]
    one, other = (reported(given(samples=rows, labels=labels, planned=planned)).audit for planned in (0.04, 0.01))
    assert one is not None
    assert other is not None
    assert one.points[0].wealth > other.points[0].wealth


def test_a_certificate_without_a_ladder() -> None:
    """Is watched at its one threshold; and no audit planned is no error."""
    audit = reported(given(signed=signed(certificate(ladder=())), planned=0.0)).audit
    assert audit is not None
    assert audit.thresholds == (0.712, None)
    assert reported(given(signed=None, standing="none")).audit is None


# ------------------------------------------------------------------ labels and the trail


def test_labels_feedback_and_anchors() -> None:
    """Counted by source, of the period; feedback apart; how often judge and people agree."""
    labels = [
        label(1, "judge", 1.0, by="j"), label(2, "judge", 0.0, by="k"), label(3, "judge", 1.0, by="j"),
        label(1, "human", 1.0, by="Ada"), label(2, "human", 1.0, by="Bo"), label(4, "human", 1.0, by="Ada"),
        label(5, "feedback", 1.0, None), label(6, "feedback", 0.5, None), label(7, "feedback", 0.2, None),
        label(8, "judge", 1.0, by="z", at_ns=FIRST * DAY_NS),
    ]  # fmt: skip
    found = reported(given(labels=labels))
    assert [(row.source, row.count, row.by) for row in found.labels] == [
        ("human", 3, ("Ada", "Bo")), ("judge", 3, ("j", "k")),
    ]  # fmt: skip
    assert (found.feedback.up, found.feedback.down) == (2, 1)
    assert (found.anchors.pairs, found.anchors.agreed) == (2, 1)


def test_the_trail_is_of_the_route_and_period() -> None:
    """The last digest is of the whole trail."""
    rows = [("support", FIRST), ("support", FIRST + 2), ("other", FIRST + 3)]
    events = [
        Event(at_ns=when * DAY_NS, route=route, what="drift", body="{}", id=place, digest=f"d{place}")
        for place, (route, when) in enumerate(rows, 1)
    ]
    found = reported(given(trail=events, broken="at line 2"))
    assert [event.id for event in found.trail] == [2]
    assert (found.digest, found.broken) == ("d3", "at line 2")


def test_figures_as_json() -> None:
    """Everything is there, the audit's points by name; no text of anybody's."""
    whole = read(Life(days=20, requests=300), CERTIFICATE)
    secret = [msgspec.structs.replace(one, comment="a client's words") for one in whole.labels]
    found = msgspec.json.encode(jsonable(reported(whole._replace(labels=secret))))
    assert b"a client's words" not in found
    decoded = msgspec.json.decode(found)
    assert set(decoded["audit"]["points"][0]) >= {"at_ns", "wealth", "p_value", "rung", "alarm", "harm"}
    assert decoded["certificate"]["alpha"] == 0.03
    assert jsonable(reported(given(signed=None)))["audit"] is None


def test_a_life_is_what_it_says() -> None:
    """The helper's own check: without a certificate no draft is served."""
    kept: Kept = lived(Life(days=3), None)
    assert all(one.drafts == 0 for one in kept.spend)
    assert {one.kind for one in kept.samples} == {"observe"}
