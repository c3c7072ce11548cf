"""Ratings of both arms: the source that is believed most, of what was served, each request once, drawn ones weighed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.offline.spendings import Hours, Ledger
from tierwise.gateway.clock import SystemClock
from tierwise.money import Entry, Record
from tierwise.offline import ratings
from tierwise.offline.costs.experiments import Quality
from tierwise.ports import Proof
from tierwise.proof import Kind, Label, Sample
from tierwise.store.sqlite import open_sqlite
from tierwise.types import Decision, Usage

HOUR = 3600 * 10**9
AT = 100 * HOUR


class Rated(Ledger):
    """The proof of a real store, and records with arms."""

    def __init__(self, proof: Proof, records: dict[str, Record]) -> None:
        super().__init__(Hours([], []))
        self.proof, self.records, self.asked = proof, records, 0

    async def record(self, request_id: str) -> Record | None:
        self.asked += 1
        return self.records.get(request_id)


def record(request_id: str, arm: str, model: str = "small", outcome: str = "served") -> Record:
    role = "premium" if model == "big" else "draft"
    entries = [Entry(model, model, role, Usage(1, 1), 1, "computed", outcome, "", 1.0, 1.0)]  # type: ignore[arg-type]
    if model == "big":
        entries.insert(0, Entry("small", "small", "draft", Usage(1, 1), 1, "computed", "rejected", "", 1.0, 1.0))
    decision = Decision("serve", "verifier", 0.9, ())
    return Record(request_id, "key_1", "support", AT, 1.0, 200, decision, tuple(entries), 1, "computed", "", arm)  # type: ignore[arg-type]


def label(request_id: str, score: float, source: str = "feedback", **more: Any) -> Label:
    values = {"model": "small", "premium": None, "at_ns": AT} | more
    return Label(request_id=request_id, route="support", source=source, draft=score, **values)  # type: ignore[arg-type]


def sample(request_id: str, kind: Kind = "audit", propensity: float = 0.1, **more: Any) -> Sample:
    """Of ten drafts one, and of as many requests that escalate fifteen more."""
    values = {"at_ns": AT, "passed": 9, "escalated": 15} | more
    return Sample(
        request_id=request_id, route="support", kind=kind, served="small", uniform=0.01, propensity=propensity, **values
    )  # fmt: skip


def found(path: Path, items: Sequence[Label | Sample], records: Sequence[Record]) -> tuple[Quality, int]:
    """And how many records were asked for."""

    async def read() -> tuple[Quality, int]:
        store = await open_sqlite(path / "t.db", clock=SystemClock(), instance="i1")
        try:
            for kept in [store.proof.keep(item) for item in items]:
                await kept
            rated = Rated(store.proof, {item.request_id: item for item in records})
            return await ratings.quality(rated, "support", (90, 101)), rated.asked  # type: ignore[arg-type]
        finally:
            await store.close()

    return asyncio.run(read())


def arms(source: str = "feedback", n: int = 40, **more: Any) -> tuple[list[Label], list[Record]]:
    """Of the treated, every fourth is bad; of those held out, every tenth."""
    records = [record(f"t{i}", "treated") for i in range(n)] + [record(f"h{i}", "holdout", "big") for i in range(n)]
    labels = [label(f"t{i}", float(i % 4 > 0), source, **more) for i in range(n)]
    labels += [label(f"h{i}", float(i % 10 > 0), source, **({"model": "big"} | more)) for i in range(n)]
    return labels, records


def test_clients_feedback(tmp_path: Path) -> None:
    """Treated less held out, of the answers that clients got."""
    quality, _ = found(tmp_path, *arms())
    assert (quality.source, quality.treated, quality.holdout) == ("feedback", 40, 40)
    assert quality.difference is not None
    assert quality.difference.value == pytest.approx(0.75 - 0.9)


def test_people_are_believed_more(tmp_path: Path) -> None:
    """Where people and checks have rated enough of both arms, feedback is not looked at."""
    said, records = arms("human")
    (tmp_path / "few").mkdir()
    quality, asked = found(tmp_path, [*said, *arms("feedback")[0]], records)
    assert (quality.source, asked) == ("people and checks", 80)
    few, _ = found(tmp_path / "few", [*said[51:], *arms("feedback")[0]], records)
    assert few.source == "feedback"


def test_a_label_is_of_what_was_served(tmp_path: Path) -> None:
    """Where premium answered, premium's score counts; a label of an answer that nobody got counts not at all."""
    labels = [label(f"h{i}", 0.0, "human", premium=1.0) for i in range(40)]  # of the draft that was dropped
    labels += [label(f"t{i}", 0.5, "human", premium=1.0) for i in range(40)]
    others = [label(f"o{i}", 0.0, "human", model="other", premium=1.0) for i in range(40)]
    records = [*arms()[1], *(record(f"o{i}", "treated") for i in range(40))]
    quality, _ = found(tmp_path, [*labels, *others], records)
    assert quality.difference is not None
    assert quality.difference.value == -0.5
    assert (quality.treated, quality.holdout) == (40, 40)


def test_the_newest_word_counts_once(tmp_path: Path) -> None:
    """Who rates an answer twice has changed their mind."""
    labels, records = arms()
    first = [label(item.request_id, 1 - item.draft, model=item.model) for item in labels]
    quality, _ = found(tmp_path, [*first, *labels], records)
    assert quality.difference is not None
    assert quality.difference.value == pytest.approx(-0.15)


def test_what_belongs_to_no_arm(tmp_path: Path) -> None:
    """Requests outside of the experiment, unknown ones, unanswered ones, labels of another time, one arm alone."""
    labels, records = arms()
    outside = [record(item.request_id, "") for item in records]
    failed = [record(item.request_id, item.arm, outcome="failed") for item in records]
    late = arms(at_ns=102 * HOUR)[0]
    for place, (some, of) in enumerate(
        ((labels, outside), (labels, []), (labels, failed), (late, records), (labels[:40], records))
    ):
        (tmp_path / str(place)).mkdir()
        assert found(tmp_path / str(place), some, of)[0] == Quality()


def test_drawn_requests_are_weighed(tmp_path: Path) -> None:
    """Of the treated, escalated requests were drawn at 0.5 and are all good, others at 0.1 and half good."""
    good = [record(f"g{i}", "treated", "big") for i in range(50)]
    half = [record(f"d{i}", "treated") for i in range(50)]
    held = [record(f"h{i}", "holdout", "big") for i in range(40)]
    labels = [label(f"g{i}", 0.0, "human", premium=1.0) for i in range(50)]
    labels += [label(f"d{i}", float(i % 2), "human", premium=1.0) for i in range(50)]
    labels += [label(f"h{i}", 0.0, "human", premium=1.0) for i in range(40)]
    samples = [sample(f"g{i}", "observe", 0.5) for i in range(50)] + [sample(f"d{i}", "audit", 0.1) for i in range(50)]
    quality, _ = found(tmp_path, [*samples, *labels], [*good, *half, *held])
    assert quality.difference is not None
    assert quality.difference.value == pytest.approx((100 * 1 + 500 * 0.5) / 600 - 1)


def audited(n: int, bad: int, first: int = 0) -> list[Label | Sample]:
    names = [f"a{i}" for i in range(first, first + n)]
    labels = [label(name, float(i >= bad), "judge", premium=1.0) for i, name in enumerate(names)]
    return [*map(sample, names), *labels]


def test_else_the_audits(tmp_path: Path) -> None:
    """One audited draft in twenty is worse; drafts are ten of twenty-five requests, the others can't be worse."""
    quality, asked = found(tmp_path, audited(400, 20), [])
    assert (quality.source, quality.treated, quality.holdout, asked) == ("audits", 400, 0, 0)
    assert quality.difference is not None
    assert quality.difference.value == pytest.approx(-0.05 * 10 / 25)
    assert quality.difference.low < -0.02 < quality.difference.high


def test_an_audit_that_could_not_be_labelled(tmp_path: Path) -> None:
    """Counts as the worst; one that waits is taken to be like the rest; one of another time is left out."""
    missing: list[Label | Sample] = [
        *(sample(f"m{i}") for i in range(20)),
        *(label(f"m{i}", 0.0, "missing", premium=1.0) for i in range(20)),
    ]
    old = sample("old", at_ns=HOUR, escalated=10**6)
    quality, _ = found(tmp_path, [*audited(380, 0), *missing, old], [])
    assert quality.difference is not None
    assert quality.difference.value == pytest.approx(-0.05 * 10 / 25)
    more, _ = found(tmp_path, [sample(f"w{i}") for i in range(400)], [])
    assert more.difference is not None
    assert more.difference.value == pytest.approx(quality.difference.value)
    assert more.treated == 400


def test_too_few_audits_say_nothing(tmp_path: Path) -> None:
    """An interval that rules nothing out is none."""
    assert found(tmp_path, [], [])[0] == Quality()
    assert found(tmp_path, audited(3, 0), [])[0] == Quality()
