"""Groups of vectors: what k-means finds, that a seed finds it again, and which rows stand for the others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tierwise.stats.clusters import AT_ONCE, kmeans, medoids, nearest

Floats = NDArray[np.float32]


def unit(table: Any) -> Floats:
    values = np.asarray(table, float)
    found: Floats = (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32)
    return found


def groups(sizes: list[int], seed: int, spread: float = 0.05) -> tuple[Floats, NDArray[np.intp]]:
    """Rows around as many axes, mixed, and which axis each is near to."""
    rng = np.random.default_rng(seed)
    which = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    return unit(np.eye(max(len(sizes), 8))[which] + spread * rng.normal(size=(len(which), max(len(sizes), 8)))), which


@given(st.lists(st.integers(3, 30), min_size=1, max_size=6), st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_groups_that_are_there_are_found(sizes: list[int], seed: int) -> None:
    """Every group gets a centre of its own, of unit length, whatever the seed of ten."""
    rows, which = groups(sizes, seed)
    best = max(
        (kmeans(rows, len(sizes), np.random.default_rng(start)) for start in range(10)),
        key=lambda centres: float((rows @ centres.T).max(axis=1).sum()),
    )
    assert np.linalg.norm(best, axis=1) == pytest.approx(np.ones(len(sizes)), abs=1e-5)
    found = nearest(rows, best)
    for group in range(len(sizes)):
        assert len(set(found[which == group].tolist())) == 1
    assert len(set(found.tolist())) == len(sizes)


def test_each_centre_is_the_mean_of_its_rows() -> None:
    """At unit length: Lloyd's steps went on until nothing changed."""
    rows = unit(np.random.default_rng(3).normal(size=(400, 16)))
    centres = kmeans(rows, 7, np.random.default_rng(0))
    near = nearest(rows, centres)
    for number, centre in enumerate(centres):
        mean = rows[near == number].mean(axis=0)
        assert centre == pytest.approx(mean / np.linalg.norm(mean), abs=1e-5)


def test_a_seed_gives_the_same_again() -> None:
    """And another seed starts elsewhere."""
    rows = unit(np.random.default_rng(3).normal(size=(300, 16)))
    one, again, other = (kmeans(rows, 5, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert (one == again).all()
    assert (one != other).any()


def test_seeds_are_spread() -> None:
    """A small group far off is found nearly always; rows drawn evenly would miss it as often."""
    rows, which = groups([400, 10], 5, 0.02)
    parted = [len(set(nearest(rows, kmeans(rows, 2, np.random.default_rng(seed)))[which == 1])) for seed in range(30)]
    centres = [kmeans(rows, 2, np.random.default_rng(seed)) for seed in range(30)]
    alone = [np.bincount(nearest(rows, found), minlength=2).min() == 10 for found in centres]
    assert set(parted) == {1}
    assert np.mean(alone) > 0.8


def test_fewer_than_k() -> None:
    """As many centres as there are different rows; none of nothing."""
    rows = np.repeat(unit(np.eye(4)[:3]), 20, axis=0)
    assert len(kmeans(rows, 9, np.random.default_rng(0))) == 3
    assert kmeans(np.zeros((0, 4), np.float32), 3, np.random.default_rng(0)).shape == (0, 4)
    chosen, sizes = medoids(rows, 9, np.random.default_rng(0))
    assert sizes.tolist() == [20, 20, 20]
    assert [int(row) // 20 for row in chosen] == [0, 1, 2]
    assert [len(part) for part in medoids(np.zeros((0, 4), np.float32), 3, np.random.default_rng(0))] == [0, 0]


def test_texts_that_say_nothing() -> None:
    """Vectors of zeros: a group of their own or nobody's, and no number that is none."""
    rows = np.concatenate([unit(np.eye(4)), np.zeros((9, 4), np.float32)])
    for k in (1, 3, 5, 8):
        centres = kmeans(rows, k, np.random.default_rng(k))
        assert np.isfinite(centres).all()
        chosen, sizes = medoids(rows, k, np.random.default_rng(k))
        assert sizes.sum() == len(rows)
        assert len(chosen) == len(sizes) <= k
    assert nearest(np.zeros((2, 4)), np.eye(4)).tolist() == [0, 0]


def test_rows_that_cancel_out() -> None:
    """Opposite ones have no mean direction: the centre stays one of them, of unit length."""
    rows = np.array([[1.0, 0.0], [-1.0, 0.0]], np.float32)
    assert np.linalg.norm(kmeans(rows, 1, np.random.default_rng(0)), axis=1).tolist() == [1.0]


@given(st.integers(1, 40), st.integers(1, 12), st.integers(0, 1000))
@settings(max_examples=60, deadline=None)
def test_medoids_stand_for_all(n: int, k: int, seed: int) -> None:
    """Different rows in their order, whose sizes sum to all of them; one for every row where k allows it."""
    rows = unit(np.random.default_rng(seed).normal(size=(n, 6)))
    chosen, sizes = medoids(rows, k, np.random.default_rng(seed))
    assert len(chosen) == len(sizes) <= k
    assert sizes.sum() == n
    assert (sizes > 0).all()
    assert chosen.tolist() == sorted(set(chosen.tolist()))
    if k >= n:
        assert chosen.tolist() == list(range(n))


def test_a_medoid_is_the_nearest_of_its_group() -> None:
    """To the centre; its size is the group's."""
    rows, which = groups([50, 30, 20], 7)
    chosen, sizes = medoids(rows, 3, np.random.default_rng(1))
    assert sorted(sizes.tolist()) == [20, 30, 50]
    for row, size in zip(chosen.tolist(), sizes.tolist(), strict=True):
        group = rows[which == which[row]]
        assert len(group) == size
        cosines = group @ group.mean(axis=0)
        assert rows[row] @ group.mean(axis=0) == pytest.approx(cosines.max(), abs=1e-6)


def test_many_rows_at_a_time() -> None:
    """Are no different from one at a time."""
    rng = np.random.default_rng(4)
    rows, centres = unit(rng.normal(size=(AT_ONCE + 40, 8))), unit(rng.normal(size=(5, 8)))
    found = nearest(rows, centres)
    assert found.shape == (len(rows),)
    assert found[-40:].tolist() == [int(np.argmax(centres @ row)) for row in rows[-40:]]
    assert nearest(rows[:0], centres).shape == (0,)


def test_what_can_not_be_used() -> None:
    """No k, no table, no numbers, no centre."""
    rng = np.random.default_rng(0)
    for table, k in ((np.eye(3), 0), (np.ones(3), 1), (np.array([[np.nan, 1.0]]), 1)):
        with pytest.raises(ValueError, match="k-means needs"):
            kmeans(table, k, rng)
    with pytest.raises(ValueError, match="no centre"):
        nearest(np.eye(3), np.zeros((0, 3)))
