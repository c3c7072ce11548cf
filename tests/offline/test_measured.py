"""Recorded rows, measured: as the live scorers would, by one process or several."""

from __future__ import annotations

import json
import multiprocessing
from dataclasses import fields
from math import isnan, log1p
from typing import Any

import numpy as np
import polars as pl
import pytest

from tests.offline.synthetic import changed, outcomes, without
from tierwise.offline.fit import Data
from tierwise.offline.measured import CHUNK, Measured, Row, measure, measure_row
from tierwise.offline.outcomes import Pairs, pair, typed
from tierwise.offline.recorded import answer_of, request_of
from tierwise.scorers.columns import (
    DRAFT_NAMES,
    ROUTER_NAMES,
    crossed_names,
    draft_columns,
    emphasis,
    opinion_names,
    router_columns,
)
from tierwise.scorers.encoder import load_encoder
from tierwise.scorers.grams import grams
from tierwise.scorers.verifier import FreeChecks, examined
from tierwise.types import Checks

OPINIONS = ("other", "third")


def pairs_of(rows: list[dict[str, Any]], *opinions: str) -> Pairs:
    return pair(typed(pl.DataFrame(rows, strict=False, infer_schema_length=None)), "cheap", "premium", opinions)


def row(
    *responses: str | None, answers: tuple[str | None, ...] = (), extra: str = "", prompt: str = "What is 6 * 7?"
) -> Row:
    told = answers or (None,) * len(responses)
    return Row("q", prompt, "maths", extra, responses, told, (bool(answers),) * len(responses))


def same(one: Measured, other: Measured) -> bool:
    for field in fields(Measured):
        mine, theirs = getattr(one, field.name), getattr(other, field.name)
        if isinstance(mine, Data):
            assert str(mine.names) == str(theirs.names)
            assert np.array_equal(mine.columns, theirs.columns, equal_nan=True)
            assert np.array_equal(mine.meaning, theirs.meaning)
            assert list(mine.tasks) == list(theirs.tasks)
            assert all(
                np.array_equal(a[0], b[0]) and np.array_equal(a[1], b[1])
                for a, b in zip(mine.prompt, theirs.prompt, strict=True)
            )
        else:
            assert (mine is None) == (theirs is None)
            assert mine is None or np.array_equal(mine, theirs)
    return True


# ------------------------------------------------------------------ tables


def test_several_processes_measure_what_one_does() -> None:
    """Spawned ones, in chunks; the rows stay in their order, and it is told how many are done."""
    pairs = pairs_of(outcomes(CHUNK + 20, 1), *OPINIONS)
    told: list[tuple[int, int]] = []
    serial = measure(pairs, lambda done, total: told.append((done, total)))
    assert told == [(CHUNK, CHUNK + 20), (CHUNK + 20, CHUNK + 20)]
    told.clear()
    assert same(measure(pairs, lambda done, total: told.append((done, total)), many=1), serial)
    assert told[-1] == (CHUNK + 20, CHUNK + 20)


def test_rows_keep_their_places() -> None:
    """Rows of one prompt are measured side by side, and each is where it was all the same."""
    table = outcomes(30, 5)
    prompts = ["What is 6 * 7?", "Add 3 and 4.", "How far is it?"]
    shared = [record | {"prompt": prompts[int(str(record["query_id"]).lstrip("q")) % 3]} for record in table]
    pairs = pairs_of(shared)
    found = measure(pairs)
    assert found.alone is not None
    assert found.alone.draft is not None
    assert pairs.prompt != sorted(pairs.prompt)
    for place in range(len(pairs)):
        draft = pairs.cheap.response[place]
        one = measure_row(
            Row("q", pairs.prompt[place], pairs.category[place], pairs.extra[place], (draft,), (None,), (False,))
        )
        assert one.draft is not None
        assert one.draft_grams is not None
        assert found.alone.columns[place] == pytest.approx(np.array(one.router + one.draft, np.float32), nan_ok=True)
        assert found.alone.draft[place][0].tolist() == one.draft_grams[0].tolist()
        assert found.alone.prompt[place][1].tolist() == one.prompt[1].tolist()
        assert (found.passed[place], found.blocked[place], found.agreed[place]) == (one.passed, one.blocked, one.agreed)


def test_who_interrupts_waits_for_no_more_than_a_chunk() -> None:
    """Ctrl-C comes through at once, what had not begun never does, and no process is left."""
    pairs = pairs_of(outcomes(6 * CHUNK, 6))
    told: list[int] = []

    def interrupted(done: int, total: int) -> None:
        told.append(done)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure(pairs, interrupted, many=1)
    assert told == [CHUNK]
    assert multiprocessing.active_children() == []


def test_a_table_becomes_arrays() -> None:
    """A router's columns, a draft's after them, opinions' last; every row its words, meaning and flags."""
    pairs = pairs_of(outcomes(12, 2), *OPINIONS)
    found = measure(pairs)
    assert found.alone is not None
    assert found.consulted is not None
    assert found.router.names == ROUTER_NAMES
    assert found.alone.names == (*ROUTER_NAMES, *DRAFT_NAMES)
    assert found.consulted.names == (*found.alone.names, *opinion_names(OPINIONS))
    for data in (found.router, found.alone, found.consulted):
        assert data.columns.shape == (12, len(data.names))
        assert data.columns.dtype == data.meaning.dtype == np.float32
        assert data.meaning.shape == (12, 256)
        assert len(data.prompt) == len(data.tasks) == 12
        assert data.emphasis.tolist() == [emphasis(name) for name in data.names]
    assert found.router.draft is None
    assert found.alone.draft is not None
    assert [found.consulted.names[place] for place in found.consulted.crossed] == list(crossed_names(OPINIONS))
    assert found.passed.shape == found.blocked.shape == found.agreed.shape == (12,)


def test_a_table_without_opinions_or_responses() -> None:
    """There is nothing to compare, or nothing to look at: then no draft passes, and none agrees."""
    table = outcomes(12, 3)
    assert measure(pairs_of(table)).consulted is None
    bare = measure(pairs_of(without(table, "response"), *OPINIONS))
    assert (bare.alone, bare.consulted) == (None, None)
    assert bare.blocked.all()
    assert not bare.passed.any()
    assert not bare.agreed.any()
    some = changed(table, "cheap")
    some[0] = {**some[0], "response": None}
    assert measure(pairs_of(some)).alone is None


# ------------------------------------------------------------------ rows


def test_a_row_is_measured_as_it_would_be_live() -> None:
    """By the same functions, of the same request and draft."""
    found = measure_row(row("6 * 7 = 42, so the answer is 42.", extra='{"finish": "length"}'))
    request = request_of("q", "What is 6 * 7?", "maths", "")
    draft = answer_of("draft", "6 * 7 = 42, so the answer is 42.", '{"finish": "length"}')
    evidence = examined(request, draft, Checks())
    assert str(found.router) == str(router_columns(request))
    assert str(found.draft) == str(draft_columns(request, draft, evidence))
    encoder = load_encoder()
    words, meaning = encoder.read("What is 6 * 7?")
    assert np.array_equal(found.meaning, meaning)
    assert np.array_equal(found.prompt[0], words[0])
    assert found.draft_grams is not None
    assert np.array_equal(found.draft_grams[1], grams(encoder.pieces.array(draft.text))[1])
    assert (found.passed, found.blocked, found.opinions) == (False, True, None)


@pytest.mark.parametrize(
    ("response", "passed", "blocked"),
    [
        ("It is 42.", True, False),
        ("12 + 30 = 43.", False, False),
        ("I can't help with that.", False, False),
        ("", False, True),
    ],
    ids=["good", "a wrong sum", "a refusal", "empty"],
)
def test_what_the_free_checks_say(response: str, passed: bool, blocked: bool) -> None:
    """A failed check is no pass; only some of them block."""
    found = measure_row(row(response))
    assert (found.passed, found.blocked) == (passed, blocked)


@pytest.mark.parametrize(
    ("others", "agreed"),
    [
        (("The answer is 42.", "42"), True),
        (("42", "41"), False),
        (("42", None), True),
        ((None, None), False),
        (("",), False),
    ],
)
def test_opinions_agree(others: tuple[str | None, ...], agreed: bool) -> None:
    """Somebody must have answered, and all that did must agree; as the label-free verifier has it."""
    draft = "6 * 7 = 42, so the answer is 42."
    found = measure_row(row(draft, *others))
    assert found.agreed is agreed
    request, answers = (
        request_of("q", "What is 6 * 7?", "maths", ""),
        [answer_of("m", text) for text in others if text is not None],
    )
    assert (FreeChecks(Checks()).score(request, answer_of("draft", draft), answers).score == 1.0) is agreed


def test_a_draft_that_fails_agrees_with_nobody() -> None:
    """Two that are cut off in the same place say the same, and neither is good."""
    found = measure_row(row("12 + 30 = 43", "12 + 30 = 43"))
    assert found.opinions is not None
    assert found.opinions[0] == 1.0
    assert not found.agreed


def test_recorded_answers_are_what_is_compared() -> None:
    """They may be a program's output, which nobody can read out of the response."""
    programs = ("print(6 * 7)", "x = 21\nprint(x + x)")
    told, untold = measure_row(row(*programs, answers=("42", "42"))), measure_row(row(*programs))
    assert told.opinions is not None
    assert untold.opinions is not None
    assert told.opinions[0] == 1.0
    assert told.agreed
    assert str(told.draft) == str(untold.draft)  # the draft is what was said all the same
    assert not measure_row(row(*programs, answers=("42", "41"))).agreed


def test_what_was_said_is_what_is_measured() -> None:
    """Beside results that somebody read: live there is nothing but what was said."""
    said = "It is 42, I think."
    found = measure_row(row("It is 42.", said, answers=("42", "42")))
    assert found.opinions is not None
    told = dict(zip(opinion_names(["m"]), found.opinions, strict=True))
    assert told["agrees_m"] == 1.0
    assert told["chars_m"] == pytest.approx(log1p(len(said)))
    assert told["chars_ratio_m"] == pytest.approx(log1p(len(said)) - log1p(len("It is 42.")))
    unheard = measure_row(row("It is 42.", None, answers=("42", "42")))
    assert unheard.opinions is not None
    assert unheard.opinions[0] == 1.0
    assert isnan(unheard.opinions[opinion_names(["m"]).index("chars_m")])


def test_a_result_that_is_an_empty_text() -> None:
    """Is one where code was asked about: '' and "" are the same, and so is nothing between the quotes of JSON."""
    code, said = "assert f('a') == ??", ("It returns ''.", '{"answer": ""}')
    assert measure_row(row(*said, answers=("''", ""), prompt=code)).agreed
    assert not measure_row(row(*said, answers=("'a'", ""), prompt=code)).agreed
    assert not measure_row(row(*said, answers=("", ""))).agreed


def test_a_result_that_could_not_be_read() -> None:
    """Where others' could, a missing one agrees with nothing; where nobody read any, responses count."""
    assert not measure_row(row("It is 42.", "It is 42.", answers=("42", None))).agreed
    assert measure_row(row("It is 42.", "It is 42.")).agreed
    rows = outcomes(4, 5)
    unread = changed(rows, "other", answer=None, response="The answer is 7.")
    found = measure(pairs_of(changed(unread, "cheap", answer="7"), "other"))
    assert found.agreed.tolist() == found.passed.tolist()


def test_tools_that_were_not_recorded_block_nothing() -> None:
    """Calls without the tools that were offered can't be wrong; with them they are checked."""
    called = '[{"weather": {"city": "Bonn"}}]'
    tool = {"name": "weather", "parameters": {"type": "object", "required": ["day"]}}
    assert not measure_row(row(called)).blocked
    assert measure_row(row(called, extra=json.dumps({"tools": [tool]}))).blocked
    assert measure_row(row(called, extra=json.dumps({"tools": [{"name": "now"}]}))).blocked


def test_a_row_without_a_response() -> None:
    """Only the request is known of it."""
    found = measure_row(row(None, "42"))
    assert (found.draft, found.draft_grams, found.opinions) == (None, None, None)
    assert (found.passed, found.blocked, found.agreed) == (False, True, False)
