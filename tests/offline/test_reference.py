"""What certified traffic looked like: scores of the drafts that were asked for, and shares of clusters."""

from __future__ import annotations

import numpy as np
import pytest

from tests.offline.synthetic import measured
from tierwise.offline.learn import Scores
from tierwise.offline.played import UNTRIED, Fate
from tierwise.offline.reference import DRIFT, cluster_bounds, drafted, score_bounds
from tierwise.stats.bounds import upper

ROUTER, ALONE, HEARD = (np.full(4, value) for value in (0.1, 0.2, 0.3))


def fate(asked: list[int], rules: list[str]) -> Fate:
    nothing = np.zeros(len(rules))
    return Fate(np.zeros(len(rules), bool), np.array(asked, bool), nothing, nothing, rules)


def test_the_last_score_of_each_draft() -> None:
    """With opinions where they were asked, alone elsewhere; none where no draft was asked for."""
    rules = ["verifier", "escalated:check:score", UNTRIED, "verifier"]
    known = fate([1, 0, 0, 0], rules)
    assert drafted(Scores(ROUTER, ALONE, HEARD), known).tolist() == [0.3, 0.2, 0.2]
    assert drafted(Scores(ROUTER, ALONE, None), known).tolist() == [0.2, 0.2, 0.2]
    assert drafted(Scores(ROUTER, ALONE, HEARD), fate([0] * 4, [UNTRIED] * 4)).tolist() == []


def test_bounds_of_scores() -> None:
    """Around their mean, the same whatever their order told; None of none."""
    said = np.random.default_rng(1).beta(4, 2, 800)
    found = score_bounds(np.sort(said))
    assert found is not None
    low, high, variance = found
    assert said.mean() - 0.05 < low < said.mean() < high < said.mean() + 0.05
    assert variance == pytest.approx(said.var())
    assert score_bounds(said[:0]) is None


def test_bounds_of_clusters() -> None:
    """Counted over the rows that certify, and no others; each the exact bound of its share."""
    known = measured(np.zeros((9, 1)))
    meaning = np.eye(256, dtype=np.float32)[[0, 0, 0, 1, 1, 2, 2, 2, 2]]
    data = known.router
    whole = type(data)(
        data.names, data.columns, data.tasks, data.prompt, None, meaning, data.emphasis
    )  # fmt: skip
    rows = np.array([0, 1, 3, 5, 6, 7])
    centroids = np.eye(256, dtype=np.float16)[:4]
    found = cluster_bounds(type(known)(whole, None, None, known.passed, known.blocked, known.agreed), rows, centroids)
    assert found == tuple(upper(count, 6, DRIFT / 2 / 4) for count in (2, 1, 3, 0))
    assert cluster_bounds(known, rows, centroids[:0]) == ()
