"""Claims by labels that are bought while the test runs: none for nothing, none too late, and the same claim."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.offline.synthetic import bare, side
from tierwise.offline.claims import Part, by_buying
from tierwise.offline.learn import Scores, harm
from tierwise.scorers.artefact import Order
from tierwise.stats.sequential import sequential_graded
from tierwise.types import Thresholds

CLAIM = (0.1, 0.1)
ORDER = Order(Thresholds(0.9, 0.9, 0.9), (0.9, 0.7, 0.5))


def part(n: int, rate: float, seed: int = 1) -> tuple[Part, dict[str, tuple[float, float]]]:
    """Rows whose labels the table doesn't know, and these; rows from 0.7 on do harm at `rate`, the others always."""
    rng = np.random.default_rng(seed)
    worth = rng.random(n)
    good = np.where(worth >= 0.7, rng.random(n) >= rate, False).astype(float)
    unknown = bare(side("cheap", np.zeros(n)), side("premium", np.ones(n)))
    truth = {f"q{row}": (float(good[row]), 1.0) for row in range(n)}
    return Part(unknown, Scores(worth, worth, None), np.arange(n)), truth


class Shop:
    def __init__(self, truth: dict[str, tuple[float, float]], most: int = 10**9) -> None:
        self.truth, self.most, self.sold = truth, most, list[str]()

    def __call__(self, tier: str, query: str) -> tuple[float, float] | None:
        assert tier == "cheap"
        if len(self.sold) == self.most:
            return None
        self.sold.append(query)
        return self.truth[query]


def known(rows: Part, truth: dict[str, tuple[float, float]]) -> Any:
    return np.array([1 - truth[query][0] for query in rows.pairs.query_id])


def test_labels_are_bought_until_it_is_decided() -> None:
    """The same threshold as with all labels at hand; each is bought once; rows that no threshold accepts never are."""
    rows, truth = part(2_000, 0.02)
    shop = Shop(truth)
    _, certified, labels = by_buying(rows, ORDER, CLAIM, 5, shop)
    order = np.random.default_rng(5).permutation(2_000)
    losses = known(rows, truth)
    expected = sequential_graded(rows.scores.router, lambda row: float(losses[row]), ORDER.steps, *CLAIM, order)
    assert certified.threshold == expected.threshold == 0.7
    assert labels == len(shop.sold) == len(set(shop.sold)) == expected.labels < 600
    assert all(rows.scores.router[int(query[1:])] >= 0.5 for query in shop.sold)
    assert certified.harm_bound == CLAIM[0]


def test_what_was_read_is_known() -> None:
    """Of the rows that come back every accepted one has its label, and figures of them are true."""
    rows, truth = part(2_000, 0.02)
    read, certified, _ = by_buying(rows, ORDER, CLAIM, 5, Shop(truth))
    assert len(read.pairs) == certified.n == len(read.rows) < 2_000
    accepted = read.scores.router >= 0.7
    assert (harm(read.pairs)[accepted] == known(read, truth)[accepted]).all()
    assert certified.failures == harm(read.pairs)[accepted].sum()
    assert [f"q{row}" for row in read.rows] == read.pairs.query_id
    assert read.scores.alone is not None
    assert (read.scores.alone == read.scores.router).all()
    assert read.scores.consulted is None
    order = np.random.default_rng(5).permutation(2_000)
    assert (read.rows == order[: len(read.rows)]).all()
    assert (rows.pairs.cheap.score == 0).all()  # what came in is as it was


def test_the_money_is_gone() -> None:
    """What was shown before stands; where nothing was, the rows come back as they were."""
    rows, truth = part(2_000, 0.0)
    nothing, certified, labels = by_buying(rows, ORDER, CLAIM, 5, Shop(truth, 3))
    assert nothing is rows
    assert (certified.threshold, certified.harm_bound, certified.failures, labels) == (None, 1.0, 0.0, 3)
    assert 3 <= certified.n < 100
    _, certified, labels = by_buying(rows, ORDER, CLAIM, 5, Shop(truth, 0))
    assert (certified.threshold, labels) == (None, 0)
    enough = Shop(truth)
    _, certified, _ = by_buying(rows, Order(ORDER.band, (0.9,)), CLAIM, 5, enough)
    assert certified.threshold == 0.9
    _, certified, labels = by_buying(rows, ORDER, CLAIM, 5, Shop(truth, len(enough.sold)))
    assert (certified.threshold, labels) == (0.9, len(enough.sold))


def test_half_a_preference_counts_half() -> None:
    """A judge that is of half a mind of every draft shows harm of a half."""
    rows, truth = part(500, 0.0)
    halves = dict.fromkeys(truth, (0.5, 1.0))
    strict = Order(ORDER.band, (0.9,))  # a tenth of the rows
    _, certified, _ = by_buying(rows, strict, (0.08, 0.1), 5, Shop(halves))
    assert certified.threshold == 0.9
    assert certified.failures == pytest.approx(0.05 * certified.n, rel=0.5)
    _, certified, _ = by_buying(rows, strict, (0.03, 0.1), 5, Shop(halves))
    assert certified.threshold is None


def test_false_claims_are_as_rare_as_they_say() -> None:
    """With true harm just above alpha, at most delta of the shops sell a certificate."""
    wrong = 0
    for seed in range(200):
        rows, truth = part(400, 0.36, seed)  # of all rows 0.3 * 0.36 = 10.8 % are accepted at 0.7 and do harm
        _, certified, _ = by_buying(rows, Order(ORDER.band, (0.7,)), CLAIM, seed, Shop(truth))
        wrong += certified.threshold is not None
    assert wrong <= 0.1 * 200 + 2 * (200 * 0.09) ** 0.5
