"""Recorded rows, measured: everything that a router or verifier may know of them, as arrays.

The live scorers' own functions do the measuring (`scorers/columns.py`), so a replay knows what the gateway would.
Large tables are measured by several processes. Knows nothing of how well anything predicts.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from math import isnan
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from tierwise.offline.fit import Data
from tierwise.offline.outcomes import Pairs
from tierwise.offline.recorded import answer_of, request_of
from tierwise.scorers import columns
from tierwise.scorers.agreement import AGREE
from tierwise.scorers.checks import CHECKS, MEASURES
from tierwise.scorers.encoder import load_encoder
from tierwise.scorers.features import prompt_of, said_by
from tierwise.scorers.grams import Sparse, grams
from tierwise.scorers.stack import Floats
from tierwise.scorers.verifier import blocked, run
from tierwise.types import Answer, Checks

CHUNK = 500  # rows that a process measures at a time
MANY = 4_000  # rows from which on several processes are worth their start

Flags = NDArray[np.bool_]
Tell = Callable[[int, int], None]
_CHECKS = Checks()
_FAILING = frozenset(name for name, _ in CHECKS)


class Row(NamedTuple):
    """What one query and its recorded answers are, before they are measured."""

    query_id: str
    prompt: str
    category: str
    extra: str
    responses: tuple[str | None, ...]  # the cheap model's, then the opinions'
    answers: tuple[str | None, ...]  # what somebody read out of them
    read: tuple[bool, ...]  # whether anybody did, for each of the models


class Seen(NamedTuple):
    """One row, measured. `draft`, `opinions` are None where there is no response to look at."""

    router: list[float]
    prompt: Sparse
    meaning: Floats
    draft: list[float] | None
    draft_grams: Sparse | None
    opinions: list[float] | None
    passed: bool  # the free checks
    blocked: bool  # by one that nothing overrules
    agreed: bool  # and every opinion with the draft


@dataclass(frozen=True)
class Measured:
    """`alone` and `consulted` are None where there are no responses, or no opinions. `passed`: the free checks."""

    router: Data
    alone: Data | None
    consulted: Data | None
    passed: Flags
    blocked: Flags
    agreed: Flags


def measure(pairs: Pairs, tell: Tell = lambda done, total: None, many: int = MANY) -> Measured:
    """Every row of `pairs`, by several processes from `many` on. `tell(done, total)` rows as it goes."""
    rows = list(_rows(pairs))
    seen: list[Seen] = []
    chunks = [rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK)]
    cores = min(len(os.sched_getaffinity(0)), 8) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
    if len(rows) < many or cores < 2:
        results: Iterator[list[Seen]] = map(_measure_chunk, chunks)
        return _arrays(pairs, _collected(results, seen, len(rows), tell))
    # Spawned, not forked: the caller may have threads (polars has).
    with ProcessPoolExecutor(cores, mp_context=multiprocessing.get_context("spawn")) as pool:
        return _arrays(pairs, _collected(pool.map(_measure_chunk, chunks), seen, len(rows), tell))


def _collected(results: Iterator[list[Seen]], seen: list[Seen], total: int, tell: Tell) -> list[Seen]:
    for result in results:
        seen += result
        tell(len(seen), total)
    return seen


def _rows(pairs: Pairs) -> Iterator[Row]:
    sides = (pairs.cheap, *pairs.opinions)
    read = tuple(any(answer for answer in side.answer) for side in sides)
    for place, query_id in enumerate(pairs.query_id):
        yield Row(
            query_id,
            pairs.prompt[place],
            pairs.category[place],
            pairs.extra[place],
            tuple(side.response[place] for side in sides),
            tuple(side.answer[place] for side in sides),
            read,
        )


def _measure_chunk(rows: Sequence[Row]) -> list[Seen]:
    return [measure_row(row) for row in rows]


def measure_row(row: Row) -> Seen:
    """One row. Pure but for the packaged encoder."""
    encoder = load_encoder()
    request = request_of(row.query_id, row.prompt, row.category, row.extra)
    text = prompt_of(request)
    pieces = encoder.pieces.array(text)
    before = (columns.router_columns(request), grams(pieces), encoder.encode(text))
    if row.responses[0] is None:
        return Seen(*before, None, None, None, passed=False, blocked=True, agreed=False)
    draft = answer_of("draft", row.responses[0], row.extra)
    unknown = () if request.tools else ("tools",)  # what tools were offered was not recorded
    found = [run(name, check, request, draft, _CHECKS) for name, check in (*CHECKS, *MEASURES) if name not in unknown]
    passed = all(item.passed is not False for item in found if item.check in _FAILING)
    stopped = blocked(found)
    after = (columns.draft_columns(request, draft, found), grams(encoder.pieces.array(said_by(draft))))
    if len(row.responses) == 1:
        return Seen(*before, *after, None, passed=passed, blocked=stopped, agreed=False)
    spoken = [_spoken(row, place) for place in range(len(row.responses))]
    opinions = columns.opinion_columns(request, spoken[0] or draft, spoken[1:], columns.similarity(encoder))
    scores = [score for score in opinions[: len(spoken) - 1] if not isnan(score)]
    agreed = passed and bool(scores) and min(scores) >= AGREE
    return Seen(*before, *after, opinions, passed=passed, blocked=stopped, agreed=agreed)


def _spoken(row: Row, place: int) -> Answer | None:
    """What is compared: the result that was read out of a response (it may be a program's output), else the response.

    Where results were read and this row has none, its score says so: there was nothing to read.
    """
    result, response = row.answers[place], row.responses[place]
    if row.read[place]:
        return answer_of("recorded", msgspec.json.encode({"answer": result}).decode() if result else "")
    return None if response is None else answer_of("recorded", response)


def _arrays(pairs: Pairs, seen: Sequence[Seen]) -> Measured:
    router = np.array([row.router for row in seen], np.float32)
    prompt = [row.prompt for row in seen]
    meaning = np.stack([row.meaning for row in seen])
    names: tuple[str, ...] = columns.ROUTER_NAMES
    tasks = [category.lower() for category in pairs.category]  # as tags are
    before = Data(names, router, tasks, prompt, None, meaning, _emphasis(names))
    flags = (
        np.array([row.passed for row in seen], bool),
        np.array([row.blocked for row in seen], bool),
        np.array([row.agreed for row in seen], bool),
    )
    drafts = [row.draft for row in seen]
    grammed = [row.draft_grams for row in seen]
    if any(draft is None for draft in drafts):
        return Measured(before, None, None, *flags)
    names += columns.DRAFT_NAMES
    known = np.concatenate([router, np.array(drafts, np.float32)], axis=1)
    texts = [item for item in grammed if item is not None]
    alone = Data(names, known, tasks, prompt, texts, meaning, _emphasis(names))
    if not pairs.opinions:
        return Measured(before, alone, None, *flags)
    models = [side.model for side in pairs.opinions]
    names += columns.opinion_names(models)
    known = np.concatenate([known, np.array([row.opinions for row in seen], np.float32)], axis=1)
    crossed = tuple(names.index(name) for name in columns.crossed_names(models))
    return Measured(before, alone, Data(names, known, tasks, prompt, texts, meaning, _emphasis(names), crossed), *flags)


def _emphasis(names: Sequence[str]) -> Floats:
    return np.array([columns.emphasis(name) for name in names], np.float32)
