"""Replay, end to end on made-up outcomes: the contract's fields, what is learnt from what, and what is refused."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pytest

from tests.offline.synthetic import CATEGORIES, OPINIONS, Table, changed, outcomes, saved, without
from tierwise.errors import ConfigError
from tierwise.offline.figures import Report, jsonable
from tierwise.offline.outcomes import pair, read
from tierwise.offline.replay import Asked, replay

METRIC = {"value", "low", "high"}
RANKING = {"apgr", "cpt50", "cpt80", "cpt95"}
TESTED, LABELLED = 140, 300
NO_ROWS = "--labels and --unseen-categories say how to use labelled rows: give some with --fit"


class Tables(NamedTuple):
    tested: Path
    fit: Path


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    """Queries that are tested, and others that are learnt from."""
    folder = tmp_path_factory.mktemp("outcomes")
    tested = saved(folder / "tested.parquet", outcomes(TESTED, 1))
    return Tables(tested, saved(folder / "fit.parquet", outcomes(LABELLED, 2, first=1_000)))


def asked(tables: Tables, **words: Any) -> Asked:
    usual: dict[str, Any] = {"fit": tables.fit, "alpha": 0.15, "delta": 0.1}
    return Asked(tables.tested, "cheap", "premium", **(usual | words))


@pytest.fixture(scope="module")
def fitted(tables: Tables) -> Report:
    return replay(asked(tables, opinions=OPINIONS))


@pytest.fixture(scope="module")
def free(tables: Tables) -> Report:
    return replay(asked(tables, opinions=OPINIONS, fit=None))


def untimed(report: Report) -> Report:
    return msgspec.structs.replace(report, decision_us=None)


def refused(wanted: Asked) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        replay(wanted)
    return [text.replace(f"{wanted.outcomes.parent}/", "") for text in caught.value.problems]


# ------------------------------------------------------------------ the contract


@pytest.mark.parametrize("kind", ["fitted", "free"])
def test_the_json(kind: str, fitted: Report, free: Report) -> None:
    """Every field that the contract names, and numbers that JSON can hold."""
    report = fitted if kind == "fitted" else free
    found = jsonable(report)
    json.dumps(found, allow_nan=False)
    assert "curves" not in found
    assert found["n"] == TESTED
    assert set(found["accuracy"]) == {"cheap", "premium", "oracle"}
    for name in ("router", "verifier"):
        assert set(found[name]) == RANKING
    assert set(found["cascade"]) == RANKING | {"cost_apgr"}
    metrics = [metric for part in ("accuracy", "router", "verifier", "cascade") for metric in found[part].values()]
    for metric in metrics:
        assert set(metric) == METRIC
        assert metric["low"] <= metric["value"] <= metric["high"]
    assert set(found["policy"]) >= {"kept_cheap", "quality", "retention", "cost_ratio", "saving"}
    assert set(found["decision_us"]) == {"route", "verify"}
    assert min(found["decision_us"].values()) > 0
    assert [single["model"] for single in found["zero_router"]] == ["cheap", "premium", *OPINIONS]
    assert {curve.name for curve in report.curves} == {"router", "verifier", "cascade", "cost"}
    if kind == "free":
        assert (found["certificate"], found["labels"]) == (None, 0)
    else:
        assert found["labels"] == LABELLED
        assert set(found["certificate"]) >= {
            *("alpha", "delta", "n", "threshold", "harm_bound"),
            *("kept_cheap", "harm_on_test", "retention", "cost_ratio"),
        }


def test_the_figures(tables: Tables, fitted: Report) -> None:
    """Means of the table, rankings that learnt something, a certificate that its policy keeps."""
    pairs = pair(read(tables.tested), "cheap", "premium", OPINIONS)
    cheap, premium = pairs.cheap.score, pairs.premium.score
    level = fitted.accuracy
    expected = [cheap.mean(), premium.mean(), np.maximum(cheap, premium).mean()]
    assert [level.cheap.value, level.premium.value, level.oracle.value] == pytest.approx(expected)
    router, verifier, cascade = (found.apgr.value or 0 for found in (fitted.router, fitted.verifier, fitted.cascade))
    assert 0.58 < router < verifier - 0.05
    assert cascade > router
    assert (fitted.cascade.cost_apgr.value or 0) < cascade
    policy, certificate = fitted.policy, fitted.certificate
    assert certificate is not None
    assert certificate.threshold is not None
    assert (certificate.alpha, certificate.delta, certificate.n) == (0.15, 0.1, LABELLED // 3)
    assert certificate.failures / certificate.n < certificate.harm_bound <= 0.16
    assert certificate.harm_on_test == policy.harm <= 0.15
    assert policy.rule == "verifier"
    assert certificate.kept_cheap == policy.kept_cheap > 0.2
    assert certificate.cost_ratio == policy.cost_ratio == pytest.approx(1 - (policy.saving or 0))
    assert certificate.retention == policy.retention == pytest.approx(policy.quality / premium.mean())
    assert fitted.notes == ()


def test_without_labels(free: Report) -> None:
    """Drafts stay where all agree; the router knows no more than lengths."""
    assert free.policy.rule == "agreement"
    assert 0 < free.policy.kept_cheap < free.policy.consulted <= 1
    assert (free.verifier.apgr.value or 0) > (free.router.apgr.value or 0) + 0.05
    assert free.verifier.apgr.value == free.cascade.apgr.value


def test_the_curves_are_those_of_the_figures(fitted: Report) -> None:
    """From all cheap to all premium; dollars start where drafts and opinions are paid and nothing has escalated."""
    for curve in fitted.curves:
        assert curve.x == sorted(curve.x)
        assert len(curve.x) == len(curve.y) <= 201
        assert curve.y[0] == pytest.approx(fitted.accuracy.cheap.value)
        assert curve.y[-1] == pytest.approx(fitted.accuracy.premium.value)
        if curve.name == "cost":
            assert 0 < curve.x[0] < 0.2
            assert curve.x[-1] == pytest.approx(1 + curve.x[0])
        else:
            assert (curve.x[0], curve.x[-1]) == (0.0, 1.0)


def test_a_seed_gives_the_same_again(tables: Tables, fitted: Report) -> None:
    """To the last digit, but for the time that it took; another seed splits otherwise."""
    one, again, other = (replay(asked(tables, labels=40, seed=seed)) for seed in (1, 1, 2))
    assert untimed(again) == untimed(one)
    assert other.router.apgr.value != one.router.apgr.value
    assert other.accuracy.cheap.value == one.accuracy.cheap.value == fitted.accuracy.cheap.value
    assert other.router.apgr.low != one.router.apgr.low


# ------------------------------------------------------------------ what is learnt from what


def test_fewer_labels(tables: Tables) -> None:
    """As many as were asked for, and progress is told of each step."""
    told: list[tuple[str, int, int]] = []
    few = replay(asked(tables, labels=60), lambda what, done, total: told.append((what, done, total)))
    assert few.certificate is not None
    assert (few.labels, few.certificate.n) == (60, 20)
    ends = {what: (done, total) for what, done, total in told}
    assert ends == {"measuring": (TESTED, TESTED), "measuring labelled rows": (60, 60), "fitting": (2, 2)}
    assert list(ends) == ["measuring", "measuring labelled rows", "fitting"]


def test_tested_queries_are_never_learnt_from(tmp_path: Path, tables: Tables) -> None:
    """Though they stand in the labelled table too: there with the labels turned, which would be learnt by heart."""
    mine, theirs = outcomes(TESTED, 1), outcomes(60, 2, first=1_000)
    turned = [{**row, "score": 1 - row["score"]} for row in mine]
    clean = replay(asked(tables, fit=saved(tmp_path / "clean.parquet", theirs)))
    both = replay(asked(tables, fit=saved(tmp_path / "both.parquet", [*turned, *theirs])))
    assert untimed(both) == untimed(clean)
    only = saved(tmp_path / "only.parquet", turned)
    (problem,) = refused(asked(tables, fit=only))
    assert problem.endswith("every query in it is tested too, so nothing is left to learn from; split the outcomes")


def planted(n: int, seed: int, first: int) -> Table:
    """Prompts and answers that tell nothing: which model is good is decided by the category alone."""
    rng = np.random.default_rng(seed)
    rows: Table = []
    for number in range(first, first + n):
        category = int(rng.integers(8))
        for model in ("cheap", "premium"):
            good = (category % 2 == 0) == (model == "cheap")
            asked_of = {"query_id": f"q{number}", "category": f"c{category}", "prompt": f"Question {number}."}
            rows.append(
                {
                    **asked_of,
                    "model": model,
                    "response": "Yes.",
                    "score": float(good or (model == "premium" and rng.random() < 0.5)),
                }
            )
    return rows


def test_unseen_categories(tmp_path: Path) -> None:
    """No row is ranked by a model that saw its category: what only the category tells is then not known."""
    tested = saved(tmp_path / "t.parquet", planted(120, 1, 0))
    both = Tables(tested, saved(tmp_path / "f.parquet", planted(160, 3, 1_000)))
    seen = replay(asked(both))
    unseen = replay(asked(both, unseen_categories=True))
    for name in ("router", "verifier", "cascade"):
        assert getattr(seen, name).apgr.value > 1
        assert getattr(unseen, name).apgr.value < 0.6
    assert unseen.accuracy.cheap.value == seen.accuracy.cheap.value


def test_categories_and_benches(tmp_path: Path, tables: Tables) -> None:
    """Left out, or chosen, of both tables; more labels than are left are all of them."""
    kept = replay(asked(tables, skip=("law", "physics"), labels=10_000))
    both = (outcomes(TESTED, 1), outcomes(LABELLED, 2, first=1_000))
    counts = [sum((row["category"], row["model"]) == ("billing", "cheap") for row in rows) for rows in both]
    assert [kept.n, kept.labels] == counts
    mixed = [*outcomes(20, 1), *outcomes(30, 2, first=500, bench="other")]
    only = replay(Asked(saved(tmp_path / "m.parquet", mixed), "cheap", "premium", bench="other"))
    assert only.n == 30


# ------------------------------------------------------------------ what may be missing


def test_prompts_only(tmp_path: Path) -> None:
    """Without responses there is a router, certified like a verifier; it says so."""
    parts = (outcomes(60, 1), outcomes(240, 2, first=1_000))
    tested, fit = (
        saved(tmp_path / f"{at}.parquet", without(rows, "response", "answer")) for at, rows in enumerate(parts)
    )
    report = replay(Asked(tested, "cheap", "premium", OPINIONS, fit=fit, alpha=0.3, delta=0.2))
    said = "not every answer of the cheap model is recorded: verifier and cascade are the router's choice"
    assert report.notes == (said,)
    assert report.policy.rule == "router"
    assert report.policy.consulted == 0
    assert report.router.apgr.value == report.verifier.apgr.value == report.cascade.apgr.value
    assert (report.router.apgr.value or 0) > 0.55
    assert 0 < report.policy.kept_cheap <= 1
    assert report.policy.harm <= 0.3
    free = replay(Asked(tested, "cheap", "premium", OPINIONS))
    assert free.notes == (said, "there is nothing to check a draft by, so the policy sends everything to premium")
    assert free.policy.rule == "premium"


@pytest.mark.parametrize("model", ["cheap", "premium", "other"])
def test_unknown_costs(tmp_path: Path, model: str) -> None:
    """Of any model: nothing is said about dollars, and everything else is."""
    tested = saved(tmp_path / "t.parquet", changed(outcomes(60, 1), model, cost_usd=None))
    report = replay(Asked(tested, "cheap", "premium", ("other",)))
    assert report.notes == ("costs are not known for every model, so nothing is said about dollars",)
    assert report.cascade.cost_apgr.value is None
    assert (report.policy.cost_ratio, report.policy.saving) == (None, None)
    assert report.cascade.apgr.value is not None
    costs = {single.model: single.cost_usd for single in report.zero_router}
    assert [name for name, cost in costs.items() if cost is None] == [model]
    assert "cost" not in {curve.name for curve in report.curves}


def test_some_unknown_costs(tmp_path: Path) -> None:
    """Count at their model's mean, which is told; so is a query that some model has not answered."""
    rows = outcomes(60, 1)
    rows[0] = {**rows[0], "cost_usd": None}
    report = replay(Asked(saved(tmp_path / "t.parquet", rows[:-3]), "cheap", "premium"))
    assert report.notes == (
        "1 queries lack an answer of some model and are left out",
        "1 answers without a cost count at their model's mean",
    )
    assert (report.n, report.dropped) == (59, 1)
    assert report.cascade.cost_apgr.value is not None


def test_a_premium_that_is_no_better(tmp_path: Path, tables: Tables) -> None:
    """Leaves no gap to recover: APGR and CPT are null, and the policy is not."""
    report = replay(dataclasses.replace(asked(tables, fit=None), cheap="premium", premium="cheap"))
    assert report.notes == ("premium is no better than the cheap model here: APGR and CPT are not defined",)
    for found in (report.router, report.verifier, report.cascade):
        assert [getattr(found, name).value for name in sorted(RANKING)] == [None] * 4
    assert report.policy.retention > 1
    assert all(not math.isnan(value) for curve in report.curves for value in curve.y)


def test_nothing_can_be_certified(tables: Tables) -> None:
    """From twenty queries: all goes to premium, and the report says how many would do."""
    report = replay(asked(tables, labels=60, alpha=0.02))
    assert report.notes == ("nothing could be certified, so the policy sends everything to premium",)
    assert report.certificate is not None
    assert (report.certificate.threshold, report.certificate.kept_cheap) == (None, 0.0)
    assert report.certificate.needed is not None
    assert report.certificate.needed > 100
    assert (report.policy.rule, report.policy.cost_ratio, report.policy.harm) == ("premium", 1.0, 0.0)


# ------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"alpha": 0.0}, "--alpha and --delta lie between 0 and 1"),
        ({"delta": 1.0}, "--alpha and --delta lie between 0 and 1"),
        ({"alpha": math.nan}, "--alpha and --delta lie between 0 and 1"),
        ({"seed": -1}, "--seed is a whole number from 0 on"),
        ({"labels": 0}, "--labels is a number of labelled queries"),
        ({"fit": None, "labels": 9}, NO_ROWS),
        ({"fit": None, "unseen_categories": True}, NO_ROWS),
        ({"opinions": ("cheap",)}, "the cheap model, the premium and the opinions are different models"),
        ({"bench": "sum"}, "tested.parquet: no rows of bench sum; near names: sums (560 rows)"),
        ({"skip": ("lore",)}, "tested.parquet: no rows of category lore; there are: "),
        ({"opinions": ("third", "forth")}, "tested.parquet: no rows of model forth; "),
        ({"labels": 12}, "fit.parquet: 5 labelled queries are too few to fit anything to; 10 are the least"),
        ({"skip": CATEGORIES}, "tested.parquet: no rows of model cheap, nor of any other"),
    ],
)  # fmt: skip
def test_options_that_can_t_be(tables: Tables, words: dict[str, Any], said: str) -> None:
    """Each is told in words that name the option, or the file and what it has instead."""
    assert refused(asked(tables, **words))[0].startswith(said)


def test_several_wrong_options_are_told_at_once(tables: Tables) -> None:
    """One run shows every mistake."""
    assert len(refused(asked(tables, alpha=2.0, seed=-1, opinions=("premium",)))) == 3


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (without(outcomes(3, 1), "prompt"), "t.parquet: no column prompt"),
        (without(outcomes(3, 1), "score"), "t.parquet: no column score"),
        (changed(outcomes(3, 1), score=None), "t.parquet: 12 of 12 rows have no score"),
        (changed(outcomes(3, 1), prompt=None), "t.parquet: 12 of 12 rows have no prompt"),
        (changed(outcomes(3, 1), score=2.0), "t.parquet: a score is a number from 0 to 1; 12 of 12 rows have others"),
        (changed(outcomes(3, 1), "cheap", cost_usd=-1.0), "t.parquet: a cost_usd of cheap is negative, or not finite"),
        (changed(outcomes(3, 1), "premium", cost_usd=math.inf), "t.parquet: a cost_usd of premium is negative, or not"),
        ([*outcomes(3, 1), *outcomes(3, 1)], "t.parquet: 12 times a query_id has more than one row of the same model"),
        (changed(outcomes(3, 1), category="one"), "--unseen-categories needs rows of several categories"),
    ],
    ids=["no prompt", "no score", "null score", "null prompt", "score", "cost", "infinite", "twice", "category"],
)
def test_tables_that_can_t_be(tmp_path: Path, tables: Tables, rows: Table, said: str) -> None:
    """A missing column or value is told with its file."""
    wanted = asked(Tables(saved(tmp_path / "t.parquet", rows), tables.fit), unseen_categories=True, labels=30)
    assert refused(wanted)[0].startswith(said)


def test_files_that_are_not_there(tables: Tables) -> None:
    """Either of them."""
    nothing = tables.tested.with_name("no.parquet")
    assert refused(asked(tables._replace(tested=nothing))) == ["no.parquet: no such file"]
    assert refused(asked(tables._replace(fit=nothing))) == ["no.parquet: no such file"]
