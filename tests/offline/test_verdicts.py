"""A policy's verdicts and what they come to: label-free counts, ratios, single models, times."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from tests.offline.synthetic import OPINIONS, Table, bare, changed, outcomes, saved, side, without
from tierwise.offline.measured import Measured, measure
from tierwise.offline.outcomes import Pairs, pair, read
from tierwise.offline.verdicts import Verdicts, labelfree, policy, route_opinions, singles, timed

EMPTY = "I'm sorry, but I can't help with that request."


def table(rows: Table, folder: Path, opinions: tuple[str, ...] = ()) -> tuple[Pairs, Measured, Verdicts]:
    pairs = pair(read(saved(folder / "o.parquet", rows)), "cheap", "premium", opinions)
    known = measure(pairs)
    return pairs, known, labelfree(pairs, known, np.linspace(0, 1, len(pairs)))


def refusing(rows: Table) -> Table:
    """Every fifth query, the cheap model declines."""
    return [
        {**row, "response": EMPTY, "answer": None}
        if row["model"] == "cheap" and int(row["query_id"][1:]) % 5 == 0
        else row
        for row in rows
    ]


def test_checks_alone(tmp_path: Path) -> None:
    """Without opinions what passes the free checks is kept, and a score says no more than that."""
    pairs, known, found = table(refusing(outcomes(60, 1)), tmp_path)
    passed = np.arange(60) % 5 != 0
    assert (known.passed == passed).all()
    assert found.scores.alone is not None
    assert found.scores.best.tolist() == passed.astype(float).tolist()
    assert not found.consulted.any()
    decided = policy(pairs, found)
    assert (decided.rule, decided.consulted) == ("checks", 0.0)
    assert decided.kept_cheap == passed.mean()
    quality = np.where(passed, pairs.cheap.score, pairs.premium.score)
    assert decided.quality == pytest.approx(quality.mean())
    assert decided.retention == pytest.approx(quality.mean() / pairs.premium.score.mean())
    dollars = pairs.cheap.cost.sum() + pairs.premium.cost[~passed].sum()
    assert decided.cost_ratio == pytest.approx(dollars / pairs.premium.cost.sum())
    assert decided.saving == pytest.approx(1 - dollars / pairs.premium.cost.sum())
    losses = np.maximum(pairs.premium.score - pairs.cheap.score, 0)
    assert decided.harm == pytest.approx((losses * passed).mean())


@pytest.mark.parametrize("opinions", [("other",), OPINIONS], ids=["one", "two"])
def test_agreement(tmp_path: Path, opinions: tuple[str, ...]) -> None:
    """Kept where every opinion gave the draft's answer; asked, and paid, wherever the checks passed."""
    rows = refusing(outcomes(60, 1))
    pairs, known, found = table(rows, tmp_path, opinions)
    passed = np.arange(60) % 5 != 0
    agreed = passed.copy()
    for opinion in pairs.opinions:
        agreed &= np.array(opinion.answer) == np.array(pairs.cheap.answer)
    assert 0 < agreed.sum() < passed.sum()
    assert (known.agreed == agreed).all()
    assert ((found.scores.best == 1) == agreed).all()
    decided = policy(pairs, found)
    assert decided.rule == "agreement"
    assert decided.kept_cheap == agreed.mean()
    assert decided.consulted == passed.mean()
    dollars = pairs.cheap.cost.sum() + pairs.premium.cost[~agreed].sum()
    dollars += sum(side.cost[passed].sum() for side in pairs.opinions)
    assert decided.cost_ratio == pytest.approx(dollars / pairs.premium.cost.sum())


def test_nothing_to_look_at(tmp_path: Path) -> None:
    """Without responses every draft would be paid for and dropped, so none is asked for."""
    for opinions in ((), OPINIONS):
        pairs, _, found = table(without(outcomes(20, 1), "response", "answer"), tmp_path, opinions)
        assert found.scores.alone is None
        decided = policy(pairs, found)
        assert (decided.rule, decided.kept_cheap, decided.cost_ratio, decided.saving) == ("premium", 0.0, 1.0, 0.0)


def test_money_that_nobody_knows(tmp_path: Path) -> None:
    """Is no ratio, and premium for nothing is none either."""
    for model, cost in (("cheap", None), ("premium", None), ("premium", 0.0)):
        pairs, _, found = table(changed(outcomes(20, 1), model, cost_usd=cost), tmp_path)
        decided = policy(pairs, found)
        assert (decided.cost_ratio, decided.saving) == (None, None)
        assert decided.kept_cheap == 1.0


def test_single_models() -> None:
    """Each with its mean score and cost; whether a coin between two others does better."""
    pairs = bare(
        side("cheap", [0.5], 1.0), side("premium", [1.0], 11.0), side("good", [0.9], 2.0), side("bad", [0.4], 5.0)
    )
    assert [(one.model, one.accuracy, one.cost_usd, one.on_hull) for one in singles(pairs)] == [
        ("cheap", 0.5, 1.0, True),
        ("premium", 1.0, 11.0, True),
        ("good", 0.9, 2.0, True),
        ("bad", 0.4, 5.0, False),
    ]
    assert route_opinions(pairs) == ("good", "bad")
    unknown = singles(bare(side("cheap", [0.5], math.nan), side("premium", [1.0], math.nan)))
    assert [(one.cost_usd, one.on_hull) for one in unknown] == [(None, False), (None, False)]
    half = singles(bare(side("cheap", [0.5], math.nan), side("premium", [1.0], 1.0)))
    assert [(one.cost_usd, one.on_hull) for one in half] == [(None, False), (1.0, True)]


def test_decisions_take_time(tmp_path: Path) -> None:
    """Measured on the live scorers, in microseconds."""
    pairs, _, found = table(outcomes(20, 1), tmp_path)
    time = timed(pairs, found)
    assert 0 < time.route < 1e5
    assert 0 < time.verify < 1e5
