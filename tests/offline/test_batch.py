"""One job: what is kept of it is as good as is claimed, by labels that come as they are asked for."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.offline.synthetic import Table, changed, outcomes, saved, without
from tests.stats.test_sequential import within
from tierwise.errors import ConfigError
from tierwise.offline.batch import (
    Aim,
    Decided,
    Planned,
    Target,
    Wanted,
    decide,
    labels_of,
    need_of,
    order_of,
    plan,
    write,
)
from tierwise.offline.train import Wanted as Training
from tierwise.offline.train import train

Floats = NDArray[np.float64]
AIMS = {
    "accuracy": Aim("accuracy", 0.9, 0.1),
    "precision": Aim("precision", 0.85, 0.1),
    "recall": Aim("recall", 0.7, 0.1),
}
TRAINED, JOB = 300, 500
NAN = float("nan")


class Set(NamedTuple):
    """Scores that know something of who is right, and who is."""

    score: Floats
    cheap: Floats
    premium: Floats

    def labels(self, target: Target) -> Floats:
        return labels_of(self.cheap, self.premium, target)

    def reached(self, kept: NDArray[np.bool_], target: Target) -> float:
        harm = np.maximum(self.premium - self.cheap, 0)
        if target == "accuracy":
            return 1 - float(harm[kept].sum()) / len(harm)
        if target == "precision":
            return float(self.cheap[kept].mean()) if kept.any() else 1.0
        return 1 - float(harm[kept].sum() / harm.sum()) if harm.any() else 1.0


def drawn(n: int, rng: np.random.Generator) -> Set:
    ease = rng.random(n)
    cheap = (rng.random(n) < 0.45 + 0.53 * ease).astype(float)
    premium = (rng.random(n) < 0.93).astype(float)
    return Set(np.clip(ease + 0.15 * rng.normal(size=n), 0.01, 1), cheap, premium)


def by_threshold(rows: Set, found: Decided, target: Target) -> NDArray[np.bool_]:
    """What would be kept if no label that was read sent its own row up."""
    threshold = found.bought.threshold
    if threshold is None:
        return np.zeros(len(rows.score), bool)
    if target == "recall":
        return ~(1 - rows.score >= threshold)
    return np.asarray(rows.score >= threshold)


def walked(rows: Set, aim: Aim, order: NDArray[np.int64]) -> tuple[Decided, int]:
    """Labels come only as they are asked for; how many did."""
    whole, known, given_ = rows.labels(aim.target), np.full(len(rows.score), NAN), 0
    while (found := decide(rows.score, known, order, aim)).need:
        assert len(set(found.need)) == len(found.need) <= aim.ask
        asked = np.array(found.need)
        assert np.isnan(known[asked]).all()
        known[asked], given_ = whole[asked], given_ + len(asked)
    return found, given_


# ------------------------------------------------------------------ what is claimed


@pytest.mark.unmeasured
@pytest.mark.parametrize("aim", AIMS.values(), ids=AIMS)
def test_the_claim_holds(aim: Aim) -> None:
    """Of 200 sets the target is missed in at most delta, with few labels, and much is kept."""
    missed, kept, labels = [], [], []
    for run in range(200):
        rng = np.random.default_rng([run, 5])
        rows = drawn(400, rng)
        found = decide(rows.score, rows.labels(aim.target), order_of([f"{run}-{row}" for row in range(400)], 0), aim)
        reached = rows.reached(by_threshold(rows, found, aim.target), aim.target)
        assert rows.reached(found.kept, aim.target) >= reached - 1e-9
        missed.append(reached < aim.at - 1e-9)
        kept.append(found.kept.mean())
        labels.append(found.bought.labels)
    assert within(float(np.mean(missed)), 200, aim.delta)
    assert 0.1 < np.mean(kept) < 0.9
    assert np.mean(labels) < 250


@pytest.mark.parametrize("target", ["accuracy", "precision"])
def test_the_claim_s_test_can_fail(target: Target) -> None:
    """In an order that knows of labels, good ones first, the target is missed nearly always."""
    missed = []
    for run in range(30):
        rows = drawn(400, np.random.default_rng([run, 5]))
        labels, aim = rows.labels(target), AIMS[target]._replace(at=0.97)
        found = decide(rows.score, labels, np.argsort(-labels, kind="stable"), aim)
        missed.append(rows.reached(by_threshold(rows, found, target), target) < aim.at)
    assert np.mean(missed) > 0.9


@given(
    st.lists(st.tuples(st.integers(0, 5), st.booleans(), st.booleans()), min_size=1, max_size=40),
    st.floats(0.05, 0.95),
    st.sampled_from(sorted(AIMS)),
    st.integers(0, 3),
)
@settings(max_examples=150, deadline=None)
def test_what_is_certain_is_true(rows: list[tuple[int, bool, bool]], at: float, target: Target, seed: int) -> None:
    """At a delta that leaves nothing to chance the plan reaches its target, and no blocked draft is kept."""
    score, cheap, premium = np.array(rows, dtype=float).T
    made = Set(score / 5, cheap, premium)
    aim = Aim(target, at, 1e-30, ask=3)
    order = order_of([str(row) for row in range(len(rows))], seed)
    found = decide(made.score, made.labels(target), order, aim)
    assert made.reached(found.kept, target) >= at - 1e-6
    assert not found.kept[made.score == 0].any()
    read = np.array(found.bought.rows, int)
    against = made.labels(target)[read] if target == "recall" else 1 - made.labels(target)[read]
    assert not found.kept[read[against > 0]].any()
    left = np.setdiff1d(np.arange(len(rows)), read[against > 0])
    assert (found.kept == by_threshold(made, found, target))[left].all()
    resumed, _ = walked(made, aim, order)
    assert resumed.bought == found.bought


# ------------------------------------------------------------------ labels as they are asked for


@pytest.mark.unmeasured
@pytest.mark.parametrize("aim", AIMS.values(), ids=AIMS)
@pytest.mark.parametrize("ask", [1, 20])
def test_a_walk_goes_on_where_it_stopped(aim: Aim, ask: int) -> None:
    """The plan is that of all labels at once; none is asked for in vain but the last few of a walk that is given up."""
    for run in range(6):
        rng = np.random.default_rng([run, 6])
        rows, order = drawn(300, rng), rng.permutation(300)
        whole = decide(rows.score, rows.labels(aim.target), order, aim)
        found, labels = walked(rows, aim._replace(ask=ask), order)
        assert found.bought == whole.bought
        assert (found.kept == whole.kept).all()
        assert found.tested is None
        vain = labels - whole.bought.labels
        assert 0 <= vain < ask
        assert not vain or whole.bought.ended == "hopeless"


def test_a_list_is_as_long_as_it_may_be() -> None:
    """As many as were wanted, where the test can't end before; what they may allow to keep is more than there is."""
    rows = drawn(2000, np.random.default_rng(1))
    order = order_of([str(row) for row in range(2000)], 0)
    found = decide(rows.score, np.full(2000, NAN), order, Aim("precision", 0.95))
    assert (len(found.need), found.bought.ended, found.bought.labels) == (20, "unlabelled", 0)
    assert found.tested is not None
    assert found.tested == pytest.approx(0.1)
    assert (rows.score[list(found.need)] >= np.quantile(rows.score, 0.89)).all()
    capped = decide(rows.score, np.full(2000, NAN), order, Aim("precision", 0.95, labels=5))
    assert capped.need == found.need[:5]
    longer = decide(rows.score, np.full(2000, NAN), order, Aim("recall", 0.8, ask=500))
    assert 10 < len(longer.need) < 100


@pytest.mark.parametrize("aim", AIMS.values(), ids=AIMS)
def test_a_list_that_turns_out_well_is_enough(aim: Aim) -> None:
    """All rows of a list speak for the threshold that they test: it passes, and not before the last of them."""
    rows = drawn(800, np.random.default_rng(3))
    order = order_of([str(row) for row in range(800)], 0)
    known = np.full(800, NAN)
    for _ in range(4):
        before = decide(rows.score, known, order, aim._replace(ask=800))
        assert before.tested is not None
        good = np.ones(800)
        if aim.target == "recall":  # rows that go up harm, those that stay do not
            good = (rows.score <= np.quantile(rows.score, 1 - before.tested)).astype(float)
        last = before.need[-1]
        known[list(before.need)] = good[list(before.need)]
        known[last] = NAN
        assert decide(rows.score, known, order, aim).need == (last,)
        known[last] = good[last]
        after = decide(rows.score, known, order, aim)
        assert len(after.bought.p_values) > len(before.bought.p_values)


@pytest.mark.parametrize("aim", AIMS.values(), ids=AIMS)
def test_to_settle_for_fewer_labels(aim: Aim) -> None:
    """Keeps what those have shown, no more; that is what a walk without further labels would keep."""
    rng = np.random.default_rng(8)
    rows, order = drawn(600, rng), rng.permutation(600)
    labels = rows.labels(aim.target)
    whole = decide(rows.score, labels, order, aim)
    shares = []
    for most in (0, 30, 80, whole.bought.labels, 600):
        found = decide(rows.score, labels, order, aim._replace(labels=most))
        assert not found.need
        assert found.bought.labels <= most
        known = np.full(600, NAN)
        known[list(found.bought.rows)] = labels[list(found.bought.rows)]
        open_ = decide(rows.score, known, order, aim)
        assert (open_.kept == found.kept).all()
        shares.append(by_threshold(rows, found, aim.target).mean())
    assert shares == sorted(shares)
    assert shares[0] < shares[-1] == by_threshold(rows, whole, aim.target).mean()


def test_what_scores_say() -> None:
    """A draft that is good needs no answer of premium; one that nobody has looked at has no label."""
    cheap = np.array([1.0, 0.0, 0.0, 0.0, NAN, NAN, 0.7, 0.7, 0.5])
    premium = np.array([NAN, 1.0, 0.0, NAN, 1.0, NAN, NAN, 0.9, 1.0])
    wanted = {
        "accuracy": [1, 0, 1, NAN, NAN, NAN, NAN, 0.8, 0.5],
        "precision": [1, 0, 0, 0, NAN, NAN, 1, 1, 1],
        "recall": [0, 1, 0, NAN, NAN, NAN, 0, 0, 1],
    }
    for target, labels in wanted.items():
        np.testing.assert_allclose(labels_of(cheap, premium, target), labels)  # type: ignore[arg-type]


def test_the_order_comes_of_ids_and_seed() -> None:
    """It is the same whoever else is there, another with another seed, and has nothing to do with the ids' own."""
    ids = [f"q{row:04}" for row in range(400)]
    order = order_of(ids, 0)
    assert sorted(order.tolist()) == list(range(400))
    fewer = order_of(ids[::2], 0)
    assert [ids[row] for row in order if row % 2 == 0] == [ids[::2][row] for row in fewer]
    assert order_of(ids, 1).tolist() != order.tolist()
    rising = sum(one < other for one, other in pairwise(order.tolist()))
    assert 150 < rising < 250


def test_thresholds_that_can_t_be_shown_are_left_out() -> None:
    """Of a precision those that accept few rows: one bad row of ten would end it, and all would have to be labelled."""
    score = np.arange(1, 1001) / 1000
    labels = (np.arange(1000) != 990).astype(float)
    order = np.argsort(score == 0.991, kind="stable")[::-1].astype(np.int64)  # the bad row comes first
    assert decide(score, labels, order, Aim("precision", 0.95)).kept.mean() == pytest.approx(0.999)
    assert len(decide(score, labels, order, Aim("precision", 0.95)).bought.p_values) == 9  # of ten
    few = decide(score[:30], labels[:30], np.arange(30), Aim("precision", 0.95))
    assert (len(few.bought.p_values), int(few.kept.sum()), few.bought.labels) == (1, 30, 27)
    nothing = decide(np.zeros(30), np.ones(30), np.arange(30), Aim("accuracy", 0.9))
    assert (nothing.bought.threshold, nothing.bought.labels, int(nothing.kept.sum())) == (None, 0, 0)


# ------------------------------------------------------------------ files


class Made(NamedTuple):
    wanted: Wanted
    job: Table
    folder: Path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A route trained on 300 queries, and a job of 500 others, of which all labels are known."""
    folder = tmp_path_factory.mktemp("batch")
    fit = saved(folder / "t.parquet", outcomes(TRAINED, 2))
    training = Training(fit, folder / "a.npz", ("cheap", "premium"), ("other",), alpha=0.2, delta=0.1)
    train(training)
    job = outcomes(JOB, 3, first=TRAINED)
    path = saved(folder / "job.parquet", job)
    return Made(Wanted(replace(training, outcomes=path), training.out, Aim("accuracy", 0.85, 0.1)), job, folder)


def planned(made: Made, rows: Table | None = None, **aim: Any) -> Planned:
    wanted = replace(made.wanted, aim=made.wanted.aim._replace(**aim))
    if rows is not None:
        wanted = replace(wanted, route=replace(wanted.route, outcomes=saved(made.folder / "some.parquet", rows)))
    return plan(wanted)


def unlabelled(job: Table) -> Table:
    return changed([row for row in job if row["model"] != "premium"], "cheap", score=None)


@pytest.mark.parametrize(("target", "at"), [("accuracy", 0.85), ("precision", 0.85), ("recall", 0.6)])
def test_a_plan(made: Made, target: Target, at: float) -> None:
    """A line a row of the job; what is kept reaches the target on the scores of the file, and money adds up."""
    report, lines, need = planned(made, target=target, at=at)
    assert need == []
    assert [line.query_id for line in lines] == [f"q{row:05}" for row in range(TRAINED, TRAINED + JOB)]
    kept = {line.query_id for line in lines if line.tier == "cheap"}
    assert (report.state, report.rows, report.kept, report.kept_share) == ("decided", JOB, len(kept), len(kept) / JOB)
    assert 0.1 < report.kept_share < 0.95
    assert 0 < report.labels_used < JOB
    assert 0 <= report.bad < report.labels_used
    assert all(0 <= line.score <= 1 for line in lines)
    score = {(row["query_id"], row["model"]): row["score"] for row in made.job}
    ids = [line.query_id for line in lines]
    rows = Set(*(np.array(column) for column in ([line.score for line in lines],
               [score[query, "cheap"] for query in ids], [score[query, "premium"] for query in ids])))  # fmt: skip
    assert rows.reached(np.array([query in kept for query in ids]), target) >= at
    assert f"90% confidence at least {100 * at:g}% of " in report.statement
    assert report.costs is not None
    costs = report.costs
    paid = {name: sum(row["cost_usd"] for row in made.job if row["model"] == name) for name in ("cheap", "other")}
    premium = {row["query_id"]: row["cost_usd"] for row in made.job if row["model"] == "premium"}
    assert costs.always_premium == pytest.approx(sum(premium.values()))
    assert costs.saved == pytest.approx(costs.always_premium - costs.spent)
    total = sum(paid.values()) + sum(premium.values())
    assert costs.spent + costs.unused == pytest.approx(total)  # of a job that premium has answered whole
    assert costs.spent > sum(paid.values()) + sum(cost for query, cost in premium.items() if query not in kept)
    assert costs.estimated == 0


@pytest.mark.unmeasured
@pytest.mark.parametrize(("target", "at"), [("accuracy", 0.85), ("precision", 0.85), ("recall", 0.6)])
def test_a_job_that_is_labelled_as_it_goes(made: Made, target: Target, at: float) -> None:
    """From no label to the same plan; only what is asked for is labelled, and only where it can matter."""
    whole = planned(made, target=target, at=at)
    rows, labels = unlabelled(made.job), 0
    known = {(row["query_id"], row["model"]): row for row in made.job}
    while (found := planned(made, rows, target=target, at=at, ask=60)).need:
        assert found.report.state == "labels needed"
        assert found.report.tested is not None
        wanted = [(item.query_id, model) for item in found.need for model in item.models]
        good = {query for query, model in wanted if model == "cheap" and known[query, "cheap"]["score"] == 1}
        assert {model for _, model in wanted} == ({"cheap"} if target == "precision" else {"cheap", "premium"})
        rows = [known[row["query_id"], "cheap"] if (row["query_id"], row["model"]) in wanted else row for row in rows]
        rows += [known[key] for key in wanted if key[1] == "premium" and key[0] not in good]
        labels += len(found.need)
    assert found.lines == whole.lines
    assert found.report.labels_used == whole.report.labels_used <= labels < JOB
    costs = found.report.costs
    if target == "precision":
        assert costs is None
    else:
        assert costs is not None
        premium = {row["query_id"]: row["cost_usd"] for row in rows if row["model"] == "premium"}
        mean, kept = np.mean(list(premium.values())), {line.query_id for line in found.lines if line.tier == "cheap"}
        drafts = sum(row["cost_usd"] for row in rows if row["model"] in {"cheap", "other"})
        above = sum(premium.get(line.query_id, mean) for line in found.lines if line.query_id not in kept)
        beside = sum(cost for query, cost in premium.items() if query in kept)
        assert costs.spent + costs.unused == pytest.approx(drafts + above + beside)
        assert costs.estimated == JOB - len(premium)
        assert costs.saved > 0


def test_premium_s_row_tells_nothing_of_the_query(made: Made) -> None:
    """Scores stay what they are when it comes, with whatever columns; it may have no prompt at all."""
    drafts = changed(unlabelled(made.job), "cheap", extra=None, category=None)
    told = json.dumps({"tools": [{"type": "function", "function": {"name": "f"}}], "finish": "length"})
    premium = changed([row for row in made.job if row["model"] == "premium"], extra=told, category="law")
    before, after = planned(made, drafts), planned(made, drafts + premium)
    assert [line.score for line in before.lines] == [line.score for line in after.lines]
    assert planned(made, drafts + without(premium, "prompt", "extra", "response")).lines == after.lines
    assert before.need[0].models == ("cheap", "premium")
    assert after.need[0].models == ("cheap",)


def test_rows_that_are_no_part_of_it(made: Made) -> None:
    """Those that training has seen, and those without a draft; what is left is decided as if they weren't there."""
    rows = made.job + outcomes(40, 2) + [row for row in outcomes(7, 4, first=9_000) if row["model"] != "cheap"]
    found = planned(made, rows)
    assert (found.report.left_out, found.report.without_draft, found.report.rows) == (40, 7, JOB)
    assert found.lines == planned(made).lines
    with pytest.raises(ConfigError, match=r"some\.parquet: every query in it was used to train"):
        planned(made, outcomes(40, 2))


def test_jobs_that_can_t_be_used(made: Made) -> None:
    """Each is told with the file, how many rows it is, and what they lack."""
    first = {row["query_id"] for row in made.job[:40]}
    no_opinion = [row for row in made.job if row["model"] != "other" or row["query_id"] not in first]
    with pytest.raises(ConfigError, match=r"some\.parquet: 10 of 500 rows of cheap have no answer of other, which"):
        planned(made, no_opinion)
    for column in ("prompt", "response"):
        rows = [{**row, column: None} if row["query_id"] in first else row for row in made.job]
        with pytest.raises(ConfigError, match=f"some.parquet: 10 of 500 rows of cheap have no {column}"):
            planned(made, rows)
    with pytest.raises(ConfigError, match="no rows of model cheap"):
        planned(made, [row for row in made.job if row["model"] != "cheap"])
    for aim in ({"at": 1.0}, {"at": 0.0}, {"delta": 1.0}, {"delta": 0.0}, {"seed": -1}):
        with pytest.raises(ConfigError, match="--at and --delta lie between 0 and 1"):
            planned(made, **aim)
    for names in ({"tiers": ("cheap", "other")}, {"opinions": ()}):
        other = replace(made.wanted, route=replace(made.wanted.route, **names))
        with pytest.raises(ConfigError, match="was trained for other tiers or opinions"):
            plan(other)


def test_costs_that_nobody_knows(made: Made) -> None:
    """None of a model, and there is nothing to say; none of some rows, and they cost its mean."""
    assert planned(made, changed(made.job, "cheap", cost_usd=None)).report.costs is None
    flat = changed(made.job, "premium", cost_usd=2.0)
    some = [
        {**row, "cost_usd": None} if row["model"] == "premium" and place % 3 else row for place, row in enumerate(flat)
    ]
    costs = planned(made, some).report.costs
    assert costs is not None
    assert costs.always_premium == pytest.approx(2.0 * JOB)
    assert costs.estimated == sum(row["model"] == "premium" and row["cost_usd"] is None for row in some) > 0


def test_files_that_are_written(made: Made, tmp_path: Path) -> None:
    """The plan or what it needs, never both: the other one is from an earlier run."""
    out = tmp_path / "plan.jsonl"
    undecided, decided = planned(made, unlabelled(made.job)), planned(made)
    assert need_of(out) == write(undecided, out) == tmp_path / "plan.jsonl.need"
    lines = [json.loads(line) for line in need_of(out).read_text().splitlines()]
    assert lines == [{"query_id": item.query_id, "models": ["cheap", "premium"]} for item in undecided.need]
    assert write(decided, out) == out
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert lines == [{"query_id": line.query_id, "score": line.score, "tier": line.tier} for line in decided.lines]
    assert [file.name for file in tmp_path.iterdir()] == ["plan.jsonl"]
    write(undecided, out)
    assert [file.name for file in tmp_path.iterdir()] == ["plan.jsonl.need"]
    out.mkdir()
    with pytest.raises(ConfigError, match="is out of date and can't be removed"):
        write(undecided, out)
