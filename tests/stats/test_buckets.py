"""A text's buckets among those that a table has rows for."""

from __future__ import annotations

import numpy as np
import pytest

from tierwise.stats.buckets import weighted

BUCKETS = np.array([2, 5, 9], np.uint32)
IDF = np.array([3.0, 7.0, 4.0], np.float32)


def test_known_buckets_at_unit_length() -> None:
    """Their places and weights; one before, between or behind all of them counts for nothing."""
    at, values = weighted(np.array([1, 2, 4, 9, 10]), BUCKETS, IDF)
    assert at.tolist() == [0, 2]
    assert values.tolist() == pytest.approx([3 / 5, 4 / 5])
    assert values.dtype == np.float32


def test_times_count() -> None:
    """What a bucket weighs is multiplied by how often it was found."""
    times = np.array([100, 4, 3], np.float32)
    at, values = weighted(np.array([1, 2, 9]), BUCKETS, IDF, times)
    assert at.tolist() == [0, 2]
    assert values.tolist() == pytest.approx([1 / 2**0.5, 1 / 2**0.5])


def test_nothing_known() -> None:
    """No division by a length of nothing, whatever is empty."""
    for found, buckets in ((np.array([3]), BUCKETS), (np.array([], np.intp), BUCKETS), (np.array([3]), BUCKETS[:0])):
        at, values = weighted(found, buckets, IDF[: len(buckets)])
        assert (at.size, values.size) == (0, 0)
