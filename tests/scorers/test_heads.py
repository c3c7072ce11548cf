"""Models made ready for single requests: one row gives what many give."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.scorers.stacks import NAMES, TASKS, data, fitted, one
from tests.scorers.test_stack import DATA, LABELS, STACK
from tierwise.offline.fit import MANY, Data, predict
from tierwise.scorers.artefact import TierModel
from tierwise.scorers.grams import grams
from tierwise.scorers.heads import Tier

VALUES = st.floats(-1e9, 1e9) | st.sampled_from([float("nan"), float("inf"), float("-inf")])
PIECES = st.lists(st.integers(60, 320), max_size=60)


def row(prompt: list[int], draft: list[int], columns: list[float], task: str = "") -> Data:
    """One row, of a text's pieces and what was measured."""
    texts = [[grams(np.array(pieces, np.uint16))] for pieces in (prompt, draft)]
    meaning = np.full((1, 256), 1 / 16, np.float32)
    return replace(
        DATA, columns=np.array([columns], np.float32), tasks=[task], prompt=texts[0], draft=texts[1], meaning=meaning
    )


def test_one_row_at_a_time_gives_what_all_give() -> None:
    """Live requests are scored one by one, recorded ones all at once."""
    together = predict(STACK, DATA, np.arange(len(DATA)))
    alone = np.array([one(STACK, DATA, number) for number in range(len(DATA))])
    assert together.shape == alone.shape == (len(DATA), 2)
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
    alone = np.array([one(stack, crossed, number) for number in range(50)])
    assert np.abs(alone - predict(stack, crossed, np.arange(50))).max() <= 1e-5


@settings(max_examples=100, deadline=None)
@given(PIECES, PIECES, st.lists(VALUES, min_size=len(NAMES), max_size=len(NAMES)), st.sampled_from([*TASKS, "cooking"]))
def test_any_row_is_the_same_both_ways(prompt: list[int], draft: list[int], columns: list[float], task: str) -> None:
    """Missing, infinite and far-off columns, empty texts, tasks that are not known; and they are probabilities."""
    known = row(prompt, draft, columns, task)
    odds = one(STACK, known, 0)
    assert odds == pytest.approx(predict(STACK, known, np.array([0]))[0].tolist(), abs=2e-5)
    assert all(0 <= value <= 1 for value in odds)


def test_a_stack_without_bases() -> None:
    """Of few rows nothing is learnt of words."""
    few, labels = data(100, 3, column=2.0)
    stack = fitted(few, {"good": labels})
    assert stack.bases == ()
    assert one(stack, few, 0) == pytest.approx(predict(stack, few, np.array([0]))[0].tolist(), abs=1e-5)


def test_a_router_reads_no_draft() -> None:
    """Its bases read prompts alone; a verifier beside it reads both, and each says what it says alone."""
    asked = replace(DATA, draft=None)
    router = fitted(asked, {"good": LABELS})
    tier = Tier(TierModel(router, STACK, STACK))
    assert tier.consulted is not None
    assert len(router.idf_draft) == 0
    for number in range(20):
        heard = tier.hear(DATA.prompt[number], DATA.meaning[number])
        tags = frozenset({DATA.tasks[number], "another"})
        columns = DATA.columns[number].tolist()
        assert tier.router.odds(columns, tags, heard, []) == pytest.approx(one(router, asked, number), abs=1e-9)
        draft = tier.said(DATA.draft[number])  # type: ignore[index]
        for head in (tier.alone, tier.consulted):
            assert head.odds(columns, tags, heard, draft) == pytest.approx(one(STACK, DATA, number), abs=1e-6)


def test_models_of_other_words_stand_side_by_side() -> None:
    """A router that was fitted to other rows weighs words by their own frequencies."""
    other, labels = data(400, 5, words=0.9)
    router = fitted(replace(other, draft=None), {"good": labels})
    assert not np.array_equal(router.idf_prompt, STACK.idf_prompt)
    tier = Tier(TierModel(router, STACK, None))
    assert tier.consulted is None
    for number in range(20):
        heard = tier.hear(other.prompt[number], other.meaning[number])
        columns, tags = other.columns[number].tolist(), frozenset({other.tasks[number]}) - {""}
        assert tier.router.odds(columns, tags, heard, []) == pytest.approx(
            predict(router, replace(other, draft=None), np.array([number]))[0].tolist(), abs=1e-5
        )
        said = tier.said(other.draft[number])  # type: ignore[index]
        assert tier.alone.odds(columns, tags, heard, said) == pytest.approx(
            predict(STACK, other, np.array([number]))[0].tolist(), abs=1e-5
        )


def test_the_same_weights_by_other_frequencies() -> None:
    """They are other weights."""
    router = replace(STACK, idf_prompt=STACK.idf_prompt * np.linspace(0.1, 3, len(STACK.idf_prompt), dtype=np.float32))
    tier = Tier(TierModel(router, STACK, None))
    for number in range(20):
        heard = tier.hear(DATA.prompt[number], DATA.meaning[number])
        columns, tags = DATA.columns[number].tolist(), frozenset({DATA.tasks[number]}) - {""}
        said = tier.said(DATA.draft[number])  # type: ignore[index]
        for head, stack in ((tier.router, router), (tier.alone, STACK)):
            wanted = predict(stack, DATA, np.array([number]))[0].tolist()
            assert head.odds(columns, tags, heard, said) == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize("bias", [-50.0, 50.0])
def test_words_never_are_certain(bias: float) -> None:
    """Whatever a text holds, what its words say stays within bounds."""
    first, second = STACK.bases
    stack = replace(STACK, bases=(replace(first, bias=bias), replace(second, bias=-2 * bias)))
    assert one(stack, DATA, 0) == pytest.approx(predict(stack, DATA, np.array([0]))[0].tolist(), abs=1e-5)


def test_more_words_than_sixteen_bits_count() -> None:
    """Where a model has learnt of very many, it finds each of them all the same."""
    rng = np.random.default_rng(0)
    idf = (1 + rng.random(len(STACK.idf_prompt))).astype(np.float32)
    weights = rng.normal(size=len(idf)).astype(np.float32)
    bases = tuple(replace(base, prompt=weights) for base in STACK.bases)
    stack = replace(STACK, idf_prompt=idf, bases=bases)
    found = [one(stack, DATA, number) for number in range(20)]
    assert np.abs(np.array(found) - predict(stack, DATA, np.arange(20))).max() <= 1e-5
