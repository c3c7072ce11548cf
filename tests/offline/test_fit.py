"""Fitting: what is learnt of words and columns, of graded and of constant labels, and of too few rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from tests.scorers.stacks import auc, data, fitted
from tierwise.offline import fit
from tierwise.offline.fit import (
    ENOUGH,
    ENOUGH_OF_FEW,
    FEW,
    LEAST,
    MANY,
    SEEN,
    Data,
    csr,
    lower,
    predict,
    said_of,
    upper,
)
from tierwise.scorers.grams import BUCKETS, weighted
from tierwise.scorers.stack import MOST, Stack

ROWS, OTHERS = np.arange(400), np.arange(400, 800)


@pytest.mark.parametrize(
    ("told", "least"), [({"words": 0.9}, 0.8), ({"column": 2.0}, 0.85), ({"words": 0.9, "column": 2.0}, 0.9)],
    ids=["words", "a column", "both"],
)  # fmt: skip
def test_what_there_is_to_learn_is_learnt(told: dict[str, float], least: float) -> None:
    """From words alone, from a column alone; judged on rows that nothing was fitted to."""
    everything, labels = data(800, 5, **told)
    stack = fitted(everything, {"good": labels}, ROWS)
    assert auc(predict(stack, everything, OTHERS)[:, 0], labels[OTHERS]) > least


def test_of_noise_nothing_is_learnt() -> None:
    """The out-of-fold words keep the heads from believing what they have seen."""
    everything, labels = data(800, 6)
    stack = fitted(everything, {"good": labels}, ROWS)
    assert abs(auc(predict(stack, everything, OTHERS)[:, 0], labels[OTHERS]) - 0.5) < 0.1


def test_probabilities_are_calibrated_on_the_whole() -> None:
    """Their mean over other rows is near the share of good ones."""
    everything, labels = data(800, 7, column=1.0)
    stack = fitted(everything, {"good": labels, "bad": 1 - labels}, ROWS)
    odds = predict(stack, everything, OTHERS)
    assert odds[:, 0].mean() == pytest.approx(labels[OTHERS].mean(), abs=0.07)
    assert odds.sum(axis=1) == pytest.approx(1, abs=1e-3)  # the same question, asked the other way round


def test_graded_labels() -> None:
    """A score of 0.8 counts as eight good rows of ten."""
    everything, labels = data(800, 8, column=2.0)
    graded = np.where(labels > 0.5, 0.8, 0.1).astype(np.float32)
    stack = fitted(everything, {"good": graded}, ROWS)
    odds = predict(stack, everything, OTHERS)[:, 0]
    assert auc(odds, labels[OTHERS]) > 0.85
    assert odds.mean() == pytest.approx(graded[OTHERS].mean(), abs=0.07)


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_constant_labels(value: float) -> None:
    """There is nothing to tell apart: the rate itself for all, short of certainty."""
    everything, _ = data(FEW, 9)
    stack = fitted(everything, {"good": np.full(FEW, value, np.float32)})
    odds = predict(stack, everything, np.arange(FEW))[:, 0]
    assert odds == pytest.approx(value, abs=0.01)
    assert 0 < odds.min() <= odds.max() < 1
    assert not stack.weights.any()


def test_too_few_rows() -> None:
    """Fewer than LEAST are refused in words for whoever asked; with that many it goes."""
    everything, labels = data(40, 10)
    with pytest.raises(ValueError, match=f"9 labelled queries are too few .* {LEAST} are the least"):
        fitted(everything, {"good": labels}, np.arange(LEAST - 1))
    assert fitted(everything, {"good": labels}, np.arange(LEAST)).bases == ()


def test_few_rows_have_no_words() -> None:
    """Below FEW the lower storey is empty; from there on it is not."""
    everything, labels = data(FEW, 11, words=0.9)
    assert fitted(everything, {"good": labels}, np.arange(FEW - 1)).bases == ()
    stack = fitted(everything, {"good": labels}, np.arange(FEW))
    assert [base.reads for base in stack.bases] == ["prompt", "draft"]


def test_tasks_with_enough_rows_have_labels() -> None:
    """Rare ones have none; nor has anything where only one is left to tell."""
    for rows, enough in ((FEW - 1, ENOUGH_OF_FEW), (FEW, ENOUGH)):
        everything, labels = data(rows, 12)
        tasks = ["law"] * 25 + ["physics"] * enough + ["rare"] * (enough - 1)
        stack = fitted(replace(everything, tasks=[*tasks, *[""] * (rows - len(tasks))]), {"good": labels})
        assert stack.tasks == ("law", "physics")
        assert stack.shares == pytest.approx([25 / rows, enough / rows])
        assert fitted(replace(everything, tasks=["law"] * rows), {"good": labels}).tasks == ()


@pytest.mark.parametrize("rows", [FEW - 1, FEW])
def test_a_task_is_held_back_less(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Than the penalty would hold back one column among many; what is served is what was fitted."""
    everything, _ = data(rows, 14)
    labels = np.array([row % 2 if row % 5 else 1 - row % 2 for row in range(rows)], np.float32)
    tasked = replace(everything, tasks=["even", "odd"] * (rows // 2) + ["even"] * (rows % 2))
    apart = []
    for worth in (1.0, 3.0):
        monkeypatch.setattr(fit, "LABELS", worth)
        monkeypatch.setattr(fit, "LABELS_OF_FEW", worth)
        said = predict(fitted(tasked, {"good": labels}), tasked, np.arange(rows))[:, 0]
        apart.append(float(said[1::2].mean() - said[::2].mean()))
    assert apart[1] > apart[0] + 0.02 > 0.02


def test_products_need_many_rows() -> None:
    """They are many themselves."""
    everything, labels = data(MANY, 13)
    crossed = replace(everything, crossed=(0,))
    assert fitted(crossed, {"good": labels}).crossed == (0,)
    assert fitted(crossed, {"good": labels}, np.arange(MANY - 1)).crossed == ()


def test_columns_that_are_always_missing() -> None:
    """They say nothing, not even that they are missing."""
    everything, labels = data(100, 14, column=2.0)
    everything.columns[:, 1] = np.nan
    stack = fitted(everything, {"good": labels})
    assert 1 not in stack.flagged
    assert np.isfinite(predict(stack, everything, np.arange(100))).all()


def test_the_seed_decides() -> None:
    """The same rows with the same seed give the same arrays to the bit; another seed folds otherwise."""
    everything, labels = data(400, 15, words=0.5)
    one, again, other = (fitted(everything, {"good": labels}, seed=seed) for seed in (1, 1, 2))
    assert _same(one, again)
    assert not _same(one, other)


def test_what_is_said_of_rows_is_out_of_fold() -> None:
    """Otherwise words that occur twice would look as if they told everything."""
    everything, labels = data(400, 16)
    under = lower(everything, {"good": labels}, [("good", "prompt")], ROWS, np.random.default_rng(0))
    stack = upper(everything, {"good": labels}, under)
    seen = said_of(stack, everything, ROWS)[:, 0]
    assert auc(seen, labels[ROWS]) > 0.9  # of rows that it was fitted on
    assert abs(auc(under.said[:, 0], labels[ROWS]) - 0.5) < 0.12
    assert np.abs(under.said).max() <= MOST


def test_a_router_takes_the_bases_that_it_wants() -> None:
    """From the lower storey that it shares with the verifier."""
    everything, labels = data(400, 17)
    reads = [("good", "draft"), ("good", "prompt")]
    under = lower(everything, {"good": labels}, reads, ROWS, np.random.default_rng(0))
    only = under.only([("good", "prompt"), ("other", "prompt")])
    assert only.reads == (("good", "prompt"),)
    assert len(under.only(reads).idf_draft) == BUCKETS
    assert only.said.tolist() == under.said[:, [1]].tolist()
    assert len(only.idf_draft) == 0
    stack = upper(replace(everything, draft=None), {"good": labels}, only)
    assert predict(stack, replace(everything, draft=None), ROWS).shape == (400, 1)


def test_texts_are_weighted_together_as_one_by_one() -> None:
    """Offline a sparse matrix, live one vector; words seen in fewer than SEEN rows weigh nothing."""
    everything, labels = data(FEW, 18)
    stack = fitted(everything, {"good": labels})
    matrix = csr(everything.prompt, stack.idf_prompt)[:20].toarray()
    assert matrix.shape == (20, BUCKETS)
    for row in range(20):
        buckets, values = weighted(everything.prompt[row], stack.idf_prompt)
        assert np.abs(matrix[row, buckets] - values).max() <= 1e-6
        assert np.count_nonzero(matrix[row]) == np.count_nonzero(values)
    counts = np.zeros(BUCKETS, int)
    for buckets, _ in everything.prompt:
        counts[buckets] += 1
    assert np.array_equal(stack.idf_prompt > 0, counts >= SEEN)


def test_no_texts_are_no_rows() -> None:
    """A matrix without rows."""
    assert csr([], np.ones(BUCKETS, np.float32)).shape == (0, BUCKETS)


def _same(one: Stack, other: Stack) -> bool:
    return all(_equal(getattr(one, field.name), getattr(other, field.name)) for field in fields(one))


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray):
        return np.array_equal(one, other)
    if isinstance(one, Sequence) and one and hasattr(one[0], "reads"):
        return all(
            _equal(base.prompt, twin.prompt) and _equal(base.draft, twin.draft) and base.bias == twin.bias
            for base, twin in zip(one, other, strict=True)
        )
    return bool(one == other)


def test_data_are_as_long_as_their_columns() -> None:
    """How many rows there are."""
    everything, _ = data(7, 1)
    assert isinstance(everything, Data)
    assert len(everything) == 7
