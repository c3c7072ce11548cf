"""A trained model's arithmetic: one row gives what many give, and what is missing is flagged."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.scorers.stacks import NAMES, data, fitted, one
from tierwise.offline.fit import MANY, Data, predict, said_of
from tierwise.scorers.grams import grams
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


def without_draft(everything: Data) -> Data:
    return replace(everything, draft=None)


def test_one_row_at_a_time_gives_what_all_give() -> None:
    """Live requests are scored one by one, recorded ones all at once."""
    together = predict(STACK, DATA, np.arange(len(DATA)))
    alone = np.concatenate([STACK.predict(one(STACK, DATA, row)) for row in range(len(DATA))])
    assert together.shape == (len(DATA), 2)
    assert np.abs(alone - together).max() <= 1e-5


def test_products_are_the_same_one_by_one() -> None:
    """Where columns are crossed with task and words."""
    everything, labels = data(MANY, 2, words=0.8, column=1.0)
    crossed = replace(everything, crossed=(0, 2))
    stack = fitted(crossed, {"good": labels})
    assert stack.crossed == (0, 2)
    assert stack.weights.shape[1] == fitted(everything, {"good": labels}).weights.shape[1] + 2 * (
        len(stack.tasks) + len(stack.bases)
    )
    alone = np.concatenate([stack.predict(one(stack, crossed, row)) for row in range(50)])
    assert np.abs(alone - predict(stack, crossed, np.arange(50))).max() <= 1e-5


def test_a_router_reads_no_draft() -> None:
    """Its bases read prompts alone; a draft that is there all the same changes nothing."""
    asked = without_draft(DATA)
    stack = fitted(asked, {"good": LABELS})
    assert len(stack.idf_draft) == 0
    for row in range(5):
        assert stack.heard(asked.prompt[row], None).tolist() == stack.heard(asked.prompt[row], DATA.draft[row]).tolist()  # type: ignore[index]
    alone = np.stack([stack.heard(asked.prompt[row], None) for row in range(50)])
    assert np.abs(alone - said_of(stack, asked, np.arange(50))).max() <= 1e-5


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


def test_a_task_that_is_not_known_is_none() -> None:
    """Its labels are all zero, as those of a request without one; a known one stands out against its share."""
    row = STACK.mean.tolist()
    place = slice(len(NAMES) + 1, len(NAMES) + 1 + len(STACK.tasks))
    assert STACK.tasks == ("law", "physics")
    assert measured(STACK, row, task="cooking").tolist() == measured(STACK, row).tolist()
    assert measured(STACK, row)[0, place].tolist() == [0, 0]
    assert measured(STACK, row, task="physics")[0, place] == pytest.approx([-STACK.shares[0], 1 - STACK.shares[1]])


def test_a_stack_without_bases() -> None:
    """Of few rows nothing is learnt of words, and nothing is heard."""
    few, labels = data(100, 3, column=2.0)
    stack = fitted(few, {"good": labels})
    assert stack.bases == ()
    assert stack.heard(few.prompt[0], few.draft[0] if few.draft else None).shape == (0,)
    assert np.abs(stack.predict(one(stack, few, 0)) - predict(stack, few, np.array([0]))).max() <= 1e-5


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 2**15 - 1), max_size=60), st.lists(st.integers(0, 2**15 - 1), max_size=60))
def test_words_never_are_certain(prompt: list[int], draft: list[int]) -> None:
    """Whatever a text holds, and an empty one too, its log-odds stay within bounds."""
    heard = STACK.heard(grams(np.array(prompt, np.uint16)), grams(np.array(draft, np.uint16)))
    assert heard.shape == (2,)
    assert heard.dtype == np.float32
    assert np.all(np.abs(heard) <= np.float32(MOST))


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
