"""A trained model's arithmetic: what is missing is flagged, and nothing says more than it may."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.scorers.stacks import NAMES, data, fitted
from tierwise.scorers.stack import CLIP, MOST, Known, Stack, sigmoid

DATA, LABELS = data(400, 1, words=0.8, column=1.0)
STACK = fitted(DATA, {"good": LABELS, "bad": 1 - LABELS})
VALUES = st.floats(-1e9, 1e9) | st.sampled_from([float("nan"), float("inf"), float("-inf")])


def known(stack: Stack, *rows: list[float], task: str = "", said: float = 0.0) -> Known:
    """Rows of columns, all else the same."""
    size = len(rows)
    meaning = np.zeros((size, 256), np.float32)
    heard = np.full((size, len(stack.bases)), said, np.float32)
    return Known(np.array(rows, np.float32), [task] * size, meaning, heard)


def measured(stack: Stack, *rows: list[float], task: str = "") -> np.ndarray:
    return stack.inputs(known(stack, *rows, task=task))


def test_missing_columns_are_the_mean_and_flagged() -> None:
    """Only where they were sometimes missing in training; elsewhere the mean is all that can be said."""
    assert STACK.flagged.tolist() == [NAMES.index("sometimes")]
    nan = float("nan")
    here, gone = measured(STACK, STACK.mean.tolist(), [nan] * len(NAMES))
    columns = len(NAMES)
    assert here[:columns] == pytest.approx([0] * columns, abs=1e-4)
    assert gone[:columns].tolist() == [0] * columns
    assert gone[columns] - here[columns] == 1.0
    assert gone[columns] == pytest.approx(1 - STACK.absent[0])
    assert gone[columns + 1 :].tolist() == here[columns + 1 :].tolist()
    assert np.isfinite(STACK.predict(known(STACK, [nan] * columns))).all()


def test_a_column_says_no_more_beyond_a_bound() -> None:
    """Outliers don't decide: from CLIP standard deviations on all is one."""
    far, farther = STACK.mean + 5 * STACK.scale, STACK.mean + 50 * STACK.scale
    inputs = measured(STACK, far.tolist(), farther.tolist(), [float("inf")] * len(NAMES))
    assert inputs[0, 0] == pytest.approx(CLIP)
    assert inputs[0].tolist() == inputs[1].tolist() == inputs[2].tolist()


def test_over_more_columns_it_says_the_same() -> None:
    """Whatever stands in the others: they have no weight. Crossed and flagged columns stay what they were."""
    crossing, labels = data(400, 2, column=1.0)
    told = fitted(replace(crossing, crossed=(0, 2)), {"good": labels})
    stack = replace(told, crossed=(0, 2), weights=np.concatenate([told.weights, np.full((1, 8), 0.1)], axis=1))
    assert len(stack.tasks) + len(stack.bases) == 4
    names = ("new", *NAMES[:2], "newer", *NAMES[2:])
    wide = stack.over(names)
    assert wide.names == names
    assert [names[place] for place in (*wide.crossed, *wide.flagged)] == ["signal", "sometimes", "sometimes"]
    rows = crossing.columns[:20]
    others = np.array([np.nan, 1e9] * 10, np.float32)[:, None]
    more = np.concatenate([others, rows[:, :2], others, rows[:, 2:]], axis=1)
    before, after = known(stack, *rows.tolist(), task="law"), known(wide, *more.tolist(), task="law")
    assert wide.predict(after) == pytest.approx(stack.predict(before), abs=1e-6)


def test_a_task_that_is_not_known_is_none() -> None:
    """Its labels are all zero, as those of a request without one; a known one stands out against its share."""
    row = STACK.mean.tolist()
    place = slice(len(NAMES) + 1, len(NAMES) + 1 + len(STACK.tasks))
    assert STACK.tasks == ("law", "physics")
    assert measured(STACK, row, task="cooking").tolist() == measured(STACK, row).tolist()
    assert measured(STACK, row)[0, place].tolist() == [0, 0]
    assert measured(STACK, row, task="physics")[0, place] == pytest.approx([-STACK.shares[0], 1 - STACK.shares[1]])


@settings(max_examples=100, deadline=None)
@given(st.lists(VALUES, min_size=len(NAMES), max_size=len(NAMES)), st.floats(-MOST, MOST))
def test_any_columns_give_probabilities(columns: list[float], said: float) -> None:
    """Infinite and missing ones too."""
    odds = STACK.predict(known(STACK, columns, task="law", said=said))
    assert odds.dtype == np.float32
    assert np.all((odds >= 0) & (odds <= 1))


def test_the_logistic_function() -> None:
    """Symmetric, and without overflow at the ends."""
    odds = sigmoid(np.array([-1e9, -1.0, 0.0, 1.0, 1e9], np.float32))
    assert odds[2] == 0.5
    assert odds[1] + odds[3] == pytest.approx(1)
    assert 0 < odds[0] < 1e-12
    assert odds[4] == 1.0
