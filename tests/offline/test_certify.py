"""Certification on fresh rows: none that training has seen, each form of the claim, and what is told of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pytest

from tests.offline.synthetic import SKILLS, Skill, changed, outcomes, saved, without
from tierwise.core.certificate import bindings
from tierwise.errors import ConfigError
from tierwise.offline.calibrated import PARTS
from tierwise.offline.certify import Wanted, find, of_training
from tierwise.offline.findings import DAY, Finding, Findings, drawn_up, labels_needed
from tierwise.offline.recorded import request_of
from tierwise.offline.reference import DRIFT
from tierwise.offline.train import Fitted, trained
from tierwise.offline.train import Wanted as Training
from tierwise.scorers.artefact import dump, read
from tierwise.scorers.clusters import cluster_of, clusters_of
from tierwise.stats.drift import ClusterDrift
from tierwise.stats.ladder import rungs
from tierwise.types import Model, Route, Thresholds

TRAINED, FRESH = 300, 400
OPTIONS = ("most", "form", "rho", "sequential", "judge", "anchors")


class Made(NamedTuple):
    wanted: Wanted
    fitted: tuple[Fitted, ...]
    folder: Path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A route that was trained on 300 queries, and 400 others to certify it by."""
    folder = tmp_path_factory.mktemp("certify")
    training = Training(
        saved(folder / "t.parquet", outcomes(TRAINED, 2)), folder / "a.npz", ("cheap", "premium"), ("other",),
        alpha=0.2, delta=0.1,
    )  # fmt: skip
    _, fitted = trained(training, lambda what, done, total: None)
    fresh = saved(folder / "f.parquet", outcomes(FRESH, 3, first=TRAINED))
    return Made(Wanted(replace(training, outcomes=fresh), training.out), fitted, folder)


def found(made: Made, **changes: Any) -> Finding:
    """`changes` of the route, but for OPTIONS."""
    form = {name: changes.pop(name) for name in OPTIONS if name in changes}
    (tier,) = find(replace(made.wanted, route=replace(made.wanted.route, **changes), **form)).tiers
    return tier


def test_of_very_many_rows_some_are_drawn(made: Made) -> None:
    """At random and the same each time: more would hardly move the bound. With anchors all count."""
    tier = found(made, most=FRESH // 2)
    assert (tier.n, tier.labels_used, tier.available) == (FRESH // 2, FRESH // 2, FRESH)
    assert tier == found(made, most=FRESH // 2)
    assert found(made, most=FRESH // 2, seed=7).scores != tier.scores
    assert tier.harm_bound > found(made).harm_bound
    people = saved(made.folder / "most.parquet", outcomes(FRESH, 3, first=TRAINED)[: 8 * 100])
    assert found(made, judge="M", anchors=people, most=50).n == FRESH


def test_a_certificate_of_fresh_rows(made: Made) -> None:
    """Every row counts, what is kept saves money, and the bound is above what was seen and at most alpha."""
    tier = found(made)
    assert (tier.n, tier.labels_used, tier.left_out, tier.form) == (FRESH, FRESH, 0, "harm")
    assert tier.thresholds is not None
    assert tier.threshold is not None
    assert 0.1 < tier.kept_cheap < 1
    assert tier.failures / tier.n <= tier.harm_bound
    assert 0 < tier.harm_on_test <= tier.harm_bound <= 0.2
    assert tier.saving is not None
    value, low, high = tier.saving
    assert low < value < high < 1
    assert tier.cost_ratio == pytest.approx(1 - value)
    assert tier.method == "fixed-sequence Learn-then-Test, exact binomial tail"


def test_rows_of_training_are_left_out(made: Made) -> None:
    """Those that shaped the models and those that tested them alike; with nothing else there is nothing to certify."""
    both = saved(made.folder / "both.parquet", outcomes(TRAINED, 2) + outcomes(FRESH, 3, first=TRAINED))
    mixed = found(made, outcomes=both)
    assert (mixed.n, mixed.left_out) == (FRESH, TRAINED)
    assert replace_left(mixed) == replace_left(found(made))
    with pytest.raises(ConfigError, match="every query in it was used to train or to certify before"):
        found(made, outcomes=made.folder / "t.parquet")


def replace_left(tier: Finding) -> tuple[Any, ...]:
    return tier.threshold, tier.failures, tier.kept_cheap, tier.saving, tier.segments


def test_segments(made: Made) -> None:
    """Parts of enough rows, with bounds of their own; a part that is everything is none."""
    parts = {part.name: part for part in found(made).segments}
    assert {"class: billing", "class: law", "class: physics"} <= set(parts)
    assert "length: short" not in parts
    classes = [part for name, part in parts.items() if name.startswith("class: ")]
    assert sum(part.n for part in classes) == FRESH
    assert sum(part.failures for part in classes) == found(made).failures
    assert all(part.failures / part.n < part.bound for part in classes)


def test_what_can_t_be_certified_yet(made: Made) -> None:
    """Says how many labels would do, and draws up nothing."""
    tier = found(made, alpha=0.004)
    assert (tier.threshold, tier.thresholds, tier.kept_cheap, tier.saving, tier.segments) == (None, None, 0.0, None, ())
    assert tier.retention == 1.0
    findings = Findings((tier,), "d")
    assert findings.thresholds is None
    assert drawn_up(findings, route(), {}, (0, 1)) is None
    few = saved(made.folder / "few.parquet", outcomes(10, 5, first=5_000))
    short = found(made, outcomes=few, alpha=0.2)
    assert short.threshold is None
    assert short.needed is None or short.needed > 10


def test_more_confidence_keeps_less(made: Made) -> None:
    """The stricter the claim, the stricter the threshold."""
    kept = [found(made, alpha=alpha).kept_cheap for alpha in (0.02, 0.05, 0.2)]
    assert kept == sorted(kept)
    assert kept[0] < kept[-1]


def test_other_forms(made: Made) -> None:
    """Parity with premium, and expected harm, which promises less and keeps no less."""
    even = found(made, form="parity", rho=0.8)
    assert (even.form, even.rho, even.needed) == ("parity", 0.8, None)
    assert even.retention > 0.8
    assert "betting" in even.method
    assert found(made, form="parity", rho=1.0).kept_cheap <= even.kept_cheap
    expected = found(made, form="expected")
    assert expected.kept_cheap >= found(made).kept_cheap
    assert expected.harm_bound <= 0.2
    nothing = found(made, form="expected", alpha=0.001)
    assert nothing.threshold is None


def test_one_label_after_the_other(made: Made) -> None:
    """Takes fewer labels, certifies nothing looser than the last threshold, and another order may decide otherwise."""
    tier, whole = found(made, sequential=True), found(made)
    assert tier.labels_used < whole.labels_used == FRESH
    assert tier.threshold is not None
    assert tier.harm_bound == 0.2
    assert tier.kept_cheap <= whole.kept_cheap + 0.1
    assert "sequential" in tier.method
    assert found(made, sequential=True) == tier
    taken = {found(made, sequential=True, seed=seed).labels_used for seed in range(5)}
    assert len(taken) > 1
    nothing = found(made, sequential=True, alpha=0.004)
    assert (nothing.threshold, nothing.harm_bound) == (None, 1.0)
    assert nothing.labels_used < FRESH
    with pytest.raises(ConfigError, match="are for the form harm"):
        found(made, sequential=True, form="parity")


def test_a_judge_and_people(made: Made) -> None:
    """A certificate says who judged; people on a part of the rows correct a judge who is too kind."""
    assert found(made).labels == "the outcomes' scores"
    assert found(made, judge="M").labels == "the judge M"
    rows = outcomes(FRESH, 3, first=TRAINED)
    kind = saved(made.folder / "kind.parquet", [{**row, "score": 1.0} for row in rows])
    blind = found(made, outcomes=kind, judge="M", alpha=0.04)
    assert (blind.failures, blind.harm_on_test) == (0.0, 0.0)
    people = saved(made.folder / "people.parquet", [row for row in rows if int(row["query_id"][1:]) % 2])
    corrected = found(made, outcomes=kind, judge="M", anchors=people, alpha=0.04)
    assert corrected.labels == f"the judge M, corrected by people on {FRESH // 2} of them"
    assert corrected.kept_cheap < blind.kept_cheap
    honest = found(made, judge="M", anchors=people)
    assert 0 < honest.kept_cheap <= found(made).kept_cheap
    assert 0 < honest.harm_bound <= 0.2
    strict = found(made, outcomes=kind, judge="M", anchors=people, alpha=0.02)
    assert strict.threshold is None
    assert strict.harm_bound > 0.02


def test_people_who_can_t_correct(made: Made) -> None:
    """Without a judge, or of other requests."""
    people = saved(made.folder / "p.parquet", outcomes(30, 8, first=20_000))
    for options in ({"anchors": people}, {"anchors": people, "judge": "M", "sequential": True}):
        with pytest.raises(ConfigError, match="--anchors correct a judge"):
            found(made, **options)
    with pytest.raises(ConfigError, match="are for the form harm"):
        found(made, anchors=people, judge="M", form="expected")
    with pytest.raises(ConfigError, match="none of its queries is among the outcomes"):
        found(made, anchors=people, judge="M")
    others = saved(made.folder / "other.parquet", [r for r in outcomes(30, 8) if r["model"] == "other"])
    with pytest.raises(ConfigError, match="no rows of model cheap"):
        found(made, anchors=others, judge="M")


def test_graded_scores(made: Made) -> None:
    """Scores between 0 and 1 are tested by a bound that allows for them."""
    rows = [{**row, "score": 0.25 + 0.3 * row["score"]} for row in outcomes(FRESH, 3, first=TRAINED)]
    tier = found(made, outcomes=saved(made.folder / "graded.parquet", rows))
    assert "Hoeffding-Bentkus" in tier.method
    assert not float(tier.failures).is_integer()
    assert tier.harm_bound <= 0.2
    one_by_one = found(made, outcomes=made.folder / "graded.parquet", sequential=True)
    assert "betting" in one_by_one.method
    assert one_by_one.labels_used < FRESH


def route() -> Route:
    return Route("support", (Model("cheap", "scripted", "c"), Model("premium", "scripted", "p")))


def test_where_alarms_lead(made: Made) -> None:
    """A tenth of the order up, then to what the same rows show of half as much harm."""
    tier, strict = found(made, alpha=0.08), found(made, alpha=0.04)
    order = read(made.wanted.trained).orders[0]
    assert tier.threshold is not None
    assert tier.thresholds is not None
    above = sorted(step for step in order.steps if step > tier.threshold)
    assert tier.stricter == above[len(order.steps) // PARTS]
    assert tier.safe == strict.threshold
    assert (tier.safe or 0) > tier.threshold
    ladder = Findings((tier,), "d").ladder
    assert ladder == rungs(tier.thresholds.accept, [tier.stricter], tier.safe)
    assert ladder[:2] == (tier.thresholds.accept, tier.stricter)
    assert found(made, alpha=0.2).safe is None  # half as much is shown at the certified threshold itself
    even, evener = (found(made, form="parity", rho=rho) for rho in (0.92, 0.96))
    assert even.safe == evener.threshold is not None
    expected, half = (found(made, form="expected", alpha=alpha) for alpha in (0.03, 0.015))
    assert expected.safe == half.threshold is not None
    people = saved(made.folder / "half.parquet", outcomes(FRESH, 3, first=TRAINED)[: 8 * 100])
    known, stricter = (found(made, judge="M", anchors=people, alpha=alpha) for alpha in (0.1, 0.05))
    assert known.safe == stricter.threshold is not None
    assert found(made, sequential=True, alpha=0.03).safe is None  # what few labels do not show
    nothing = found(made, alpha=0.004)
    assert (nothing.stricter, nothing.safe, nothing.scores) == (None, None, None)
    assert Findings((nothing,), "d").ladder == ()


def test_the_ladder_of_several_tiers(made: Made) -> None:
    """Starts at what they share, goes on by the strictest of them, and is safe where all of them are."""
    one = replaced(found(made), accept=0.6, stricter=0.65, safe=0.7)
    two = replaced(one, accept=0.5, stricter=0.8, safe=0.9)
    assert Findings((one, two), "d").ladder == (0.6, 0.65, 0.9)
    assert Findings((two, one), "d").ladder == (0.6, 0.65, 0.9)
    assert Findings((replaced(one, stricter=None), two), "d").ladder == (0.6, 0.9)
    assert Findings((one, replaced(two, safe=None)), "d").ladder == (0.6, 0.65)
    unheard = msgspec.structs.replace(two, thresholds=Thresholds(0.5, 0.5, 0.5))
    assert Findings((one, unheard), "d").ladder == (0.6, 0.65)
    assert Findings((one, msgspec.structs.replace(two, thresholds=None)), "d").ladder == ()


def replaced(tier: Finding, accept: float | None = None, **changes: Any) -> Finding:
    limits = tier.thresholds if accept is None else Thresholds(accept, 0.2, 0.9)
    return msgspec.structs.replace(tier, thresholds=limits, **changes)


def test_what_the_traffic_was_like(made: Made) -> None:
    """Bounds of drafts' scores, and of the clusters of prompts as the gateway counts them."""
    findings = find(made.wanted)
    known = findings.reference
    assert known is not None
    (tier,) = findings.tiers
    low, high, variance = known.scores
    assert (known.scores, known.delta) == (tier.scores, DRIFT)
    assert 0 < low < high < 1
    assert 0 < variance < 0.25
    centroids = read(made.wanted.trained).centroids
    rows = [row for row in outcomes(FRESH, 3, first=TRAINED) if row["model"] == "cheap"]
    near = [cluster_of(request_of("q", row["prompt"], "", ""), centroids) for row in rows]
    assert known.clusters == ClusterDrift.start(np.bincount(near, minlength=len(centroids)), DRIFT).most
    other = msgspec.structs.replace(tier, scores=(0.1, 0.2, 0.3))
    both = Findings((tier, other), "d", known.clusters).reference
    assert both is not None
    assert both.scores == (0.1, high, 0.3)
    assert Findings((tier,), "d").reference is None
    assert Findings((msgspec.structs.replace(tier, scores=None),), "d", known.clusters).reference is None


def test_an_old_artefact(made: Made, tmp_path: Path) -> None:
    """That knows no clusters certifies as before; there is only nothing to tell other traffic by."""
    old = tmp_path / "old.npz"
    old.write_bytes(dump(msgspec.structs.replace(read(made.wanted.trained), centroids=np.zeros((0, 256), np.float16))))
    findings = find(replace(made.wanted, trained=old))
    assert findings.tiers == (found(made),)
    assert (findings.clusters, findings.reference) == ((), None)
    document = drawn_up(findings, route(), {}, (0, 1))
    assert document is not None
    assert document.reference is None


def test_the_document(made: Made) -> None:
    """What was found, for whom, and until when."""
    findings = find(made.wanted)
    binds = bindings(route(), "v", {})
    document = drawn_up(findings, route(), binds, (1_000, 30))
    assert document is not None
    (tier,) = findings.tiers
    assert (document.route, document.tiers, document.binds) == ("support", ("cheap", "premium"), binds)
    assert (document.alpha, document.delta, document.n) == (0.2, 0.1, FRESH)
    assert document.thresholds == tier.thresholds == findings.thresholds
    assert document.ladder == findings.ladder
    assert document.ladder[0] == document.thresholds.accept
    assert document.reference == findings.reference is not None
    assert (document.issued, document.expires) == (1_000, 1_000 + 30 * DAY)
    assert "at most 20.00%, with confidence 90.00%" in document.statement
    assert len(document.data_sha256) == 64


def test_what_training_found(made: Made) -> None:
    """Training certifies too, on the third of its rows that it held back."""
    (tier,) = of_training(replace(made.wanted.route, outcomes=made.folder / "t.parquet"), made.fitted).tiers
    (fitted,) = made.fitted
    assert (tier.n, tier.threshold) == (TRAINED // 3, fitted.calibrated.certified.threshold)
    assert tier.thresholds == fitted.calibrated.limits
    assert tier.harm_bound == fitted.calibrated.certified.harm_bound
    assert 0 < tier.kept_cheap < 1
    safe = fitted.calibrated.safe
    assert tier.safe == (safe if safe is not None and safe > (tier.threshold or 0) else None)
    assert (tier.stricter or 0) > (tier.threshold or 0)
    found_too = of_training(replace(made.wanted.route, outcomes=made.folder / "t.parquet"), made.fitted)
    assert found_too.reference is not None
    near = clusters_of(fitted.measured.router.meaning[fitted.calibrated.held], read(made.wanted.trained).centroids)
    assert found_too.clusters == ClusterDrift.start(np.bincount(near, minlength=12), DRIFT).most


def test_several_tiers(tmp_path: Path) -> None:
    """Each at its share of alpha and delta; the document states the sum, at the strictest thresholds."""
    skills = {**SKILLS, "cheap": Skill(0.99, 0.5, 1e-7), "middle": Skill(0.99, 0.4, 1e-6)}
    tiers = ("cheap", "middle", "premium")
    training = Training(
        saved(tmp_path / "t.parquet", outcomes(300, 2, skills=skills)), tmp_path / "a.npz", tiers, alpha=0.4, delta=0.2
    )
    trained(training, lambda what, done, total: None)
    fresh = saved(tmp_path / "f.parquet", outcomes(300, 4, first=300, skills=skills))
    wanted = Wanted(replace(training, outcomes=fresh), training.out)
    findings = find(wanted)
    assert [(tier.alpha, tier.delta) for tier in findings.tiers] == [(0.2, 0.1), (0.2, 0.1)]
    assert findings.thresholds is not None
    assert findings.thresholds.accept == max(tier.threshold or 9 for tier in findings.tiers)
    assert findings.ladder[0] == findings.thresholds.accept
    assert findings.reference is not None
    document = drawn_up(findings, route(), {}, (0, 1))
    assert document is not None
    assert (document.alpha, document.delta) == (0.4, 0.2)
    with pytest.raises(ConfigError, match="certified by its harm"):
        find(replace(wanted, form="parity"))


def test_what_can_t_be_used(made: Made) -> None:
    """An artefact of another route, outcomes without answers, figures that are none."""
    with pytest.raises(ConfigError, match="was trained for other tiers or opinions"):
        found(made, tiers=("other", "premium"))
    rows = without(outcomes(50, 7, first=9_000), "response")
    with pytest.raises(ConfigError, match="no column response"):
        found(made, outcomes=saved(made.folder / "no.parquet", rows))
    hole = changed(outcomes(50, 7, first=9_000), "cheap", response=None)
    with pytest.raises(ConfigError, match="cheap has rows without a response: nothing to verify"):
        found(made, outcomes=saved(made.folder / "hole.parquet", hole))
    gap = [row for row in outcomes(50, 7) if row["model"] != "premium"]
    with pytest.raises(ConfigError, match="no rows of model premium"):
        found(made, outcomes=saved(made.folder / "gap.parquet", gap))
    for wrong in ({"alpha": 0.0}, {"delta": 1.0}, {"form": "parity", "rho": 0.0}):
        with pytest.raises(ConfigError, match="lie between 0 and 1"):
            found(made, **wrong)


def test_labels_needed() -> None:
    """As the formula has it: ln delta / ln(1 - alpha)."""
    assert labels_needed(0.03, 0.05) == (99, 257)
    assert labels_needed(0.1, 0.05)[0] == 29
