"""Recorded rows, measured: everything that a router or verifier may know of them, as arrays.

The live scorers' own functions do the measuring (`scorers/columns.py`), so a replay knows what the gateway would.
Large tables are measured by several processes. Knows nothing of how well anything predicts.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from math import isnan
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from tierwise.offline.fit import Data
from tierwise.offline.outcomes import Pairs
from tierwise.offline.recorded import answer_of, request_of
from tierwise.scorers import columns
from tierwise.scorers.agreement import AGREE
from tierwise.scorers.canonical import question
from tierwise.scorers.checks import CHECKS
from tierwise.scorers.encoder import load_encoder
from tierwise.scorers.features import prompt_of, said_by
from tierwise.scorers.grams import Sparse, grams
from tierwise.scorers.reading import clipped
from tierwise.scorers.stack import Floats
from tierwise.scorers.verifier import blocked, examined
from tierwise.types import Answer, Checks

CHUNK = 500  # rows that a process measures at a time
MANY = 5_000  # rows from which on several processes are worth their start

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
    """Every row of `pairs`, by as many processes as there are cores from `many` on. `tell(done, total)` as it goes.

    What comes out is the same, and in the same order, however many there are.
    """
    # Rows of one prompt stand side by side while they are measured, so that it is read once.
    order = sorted(range(len(pairs)), key=pairs.prompt.__getitem__)
    rows = list(_rows(pairs, order))
    chunks = [rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK)]
    cores = min(_cores(), len(chunks))
    if len(rows) < many or cores < 2:
        return _arrays(pairs, order, _told(map(_measure_chunk, chunks), len(rows), tell))
    # Spawned, not forked: the caller may have threads (polars has). On Ctrl-C no chunk begins that has not begun.
    pool = ProcessPoolExecutor(cores, multiprocessing.get_context("spawn"), _left_to_the_caller)
    try:
        return _arrays(pairs, order, _told(pool.map(_measure_chunk, chunks), len(rows), tell))
    finally:
        pool.shutdown(cancel_futures=True)


def _cores() -> int:
    """That this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _left_to_the_caller() -> None:
    """A terminal sends Ctrl-C to all processes; it is for the first to decide what becomes of the others."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _told(results: Iterable[_Chunk], total: int, tell: Tell) -> list[_Chunk]:
    chunks, done = [], 0
    for chunk in results:
        chunks.append(chunk)
        done += len(chunk.router)
        tell(done, total)
    return chunks


def _rows(pairs: Pairs, order: Sequence[int]) -> Iterator[Row]:
    sides = (pairs.cheap, *pairs.opinions)
    read = tuple(any(answer for answer in side.answer) for side in sides)
    for place in order:
        yield Row(
            pairs.query_id[place],
            pairs.prompt[place],
            pairs.category[place],
            pairs.extra[place],
            tuple(side.response[place] for side in sides),
            tuple(side.answer[place] for side in sides),
            read,
        )


class _Texts(NamedTuple):
    """The vectors of several texts, one after the other: what goes from process to process is a few arrays."""

    buckets: NDArray[np.int32]
    values: Floats
    ends: NDArray[np.intp]

    @classmethod
    def of(cls, texts: Sequence[Sparse]) -> _Texts:
        none: Sparse = (np.zeros(0, np.int32), np.zeros(0, np.float32))
        buckets, values = zip(*texts, none, strict=True)
        return cls(
            np.concatenate(buckets).astype(np.int32),
            np.concatenate(values),
            np.cumsum([len(text[0]) for text in texts]),
        )

    def apart(self) -> Iterator[Sparse]:
        start = 0
        for end in self.ends.tolist():
            yield self.buckets[start:end], self.values[start:end]
            start = end


class _Chunk(NamedTuple):
    """Some rows, measured. `draft` and `opinions` are None where one of the rows has none."""

    router: Floats
    meaning: Floats
    prompt: _Texts
    draft: Floats | None
    draft_words: _Texts | None
    opinions: Floats | None
    flags: Flags  # (rows, 3): passed, blocked, agreed


def _measure_chunk(rows: Sequence[Row]) -> _Chunk:
    seen = [measure_row(row) for row in rows]
    drafts = [row.draft for row in seen if row.draft is not None]
    words = [row.draft_grams for row in seen if row.draft_grams is not None]
    opinions = [row.opinions for row in seen if row.opinions is not None]
    whole = len(drafts) == len(seen)
    return _Chunk(
        np.array([row.router for row in seen], np.float32),
        np.stack([row.meaning for row in seen]),
        _Texts.of([row.prompt for row in seen]),
        np.array(drafts, np.float32) if whole else None,
        _Texts.of(words) if whole else None,
        np.array(opinions, np.float32) if len(opinions) == len(seen) else None,
        np.array([(row.passed, row.blocked, row.agreed) for row in seen], bool),
    )


def measure_row(row: Row) -> Seen:
    """One row. Pure but for the packaged encoder."""
    encoder = load_encoder()
    request = request_of(row.query_id, row.prompt, row.category, row.extra)
    before = (columns.router_columns(request), *_read(prompt_of(request)))
    if row.responses[0] is None:
        return Seen(*before, None, None, None, passed=False, blocked=True, agreed=False)
    draft = answer_of("draft", row.responses[0], row.extra)
    found = examined(request, draft, _CHECKS)
    if not request.tools:  # what tools were offered was not recorded
        found = [item for item in found if item.check != "tools"]
    passed = all(item.passed is not False for item in found if item.check in _FAILING)
    stopped = blocked(found)
    after = (columns.draft_columns(request, draft, found), grams(encoder.pieces.beginning(clipped(said_by(draft)))))
    if len(row.responses) == 1:
        return Seen(*before, *after, None, passed=passed, blocked=stopped, agreed=False)
    others = [None if text is None else answer_of("recorded", text) for text in row.responses[1:]]
    results = [_result(row, place) for place in range(len(row.responses))]
    opinions = columns.opinion_columns(request, draft, others, columns.similarity(encoder), results)
    scores = [score for score in opinions[: len(others)] if not isnan(score)]
    agreed = passed and bool(scores) and min(scores) >= AGREE
    return Seen(*before, *after, opinions, passed=passed, blocked=stopped, agreed=agreed)


@lru_cache(maxsize=1)
def _read(prompt: str) -> tuple[Sparse, Floats]:
    return load_encoder().read(prompt)


def _result(row: Row, place: int) -> Answer | None:
    """What is compared: the result that was read out of a response (it may be a program's output), else the response.

    Where results were read and this row has none, its score says so: there was nothing to read. An empty text is a
    result only where code was asked about.
    """
    result, response = row.answers[place], row.responses[place]
    if row.read[place]:
        nothing = result is None or not (result or question(row.prompt).code)
        return answer_of("recorded", "" if nothing else msgspec.json.encode({"answer": result}).decode())
    return None if response is None else answer_of("recorded", response)


def _arrays(pairs: Pairs, order: Sequence[int], chunks: Sequence[_Chunk]) -> Measured:
    """Everything in the order of `pairs` again; `order` is that of the chunks."""
    back = np.argsort(order)
    router = _joined([part.router for part in chunks], back)
    meaning = _joined([part.meaning for part in chunks], back)
    prompt = _sorted([part.prompt for part in chunks], back)
    passed, blocked, agreed = _joined([part.flags for part in chunks], back).T
    names: tuple[str, ...] = columns.ROUTER_NAMES
    tasks = [category.lower() for category in pairs.category]  # as tags are
    before = Data(names, router, tasks, prompt, None, meaning, _emphasis(names))
    drafts = [part.draft for part in chunks if part.draft is not None]
    if len(drafts) < len(chunks):
        return Measured(before, None, None, passed, blocked, agreed)
    names += columns.DRAFT_NAMES
    known = np.concatenate([router, _joined(drafts, back)], axis=1)
    texts = _sorted([part.draft_words for part in chunks if part.draft_words is not None], back)
    alone = Data(names, known, tasks, prompt, texts, meaning, _emphasis(names))
    if not pairs.opinions:
        return Measured(before, alone, None, passed, blocked, agreed)
    models = [side.model for side in pairs.opinions]
    names += columns.opinion_names(models)
    told = _joined([part.opinions for part in chunks if part.opinions is not None], back)
    known = np.concatenate([known, told], axis=1)
    crossed = tuple(names.index(name) for name in columns.crossed_names(models))
    consulted = Data(names, known, tasks, prompt, texts, meaning, _emphasis(names), crossed)
    return Measured(before, alone, consulted, passed, blocked, agreed)


def _joined(parts: Sequence[NDArray[Any]], back: NDArray[np.intp]) -> NDArray[Any]:
    return np.concatenate(parts).take(back, axis=0)


def _sorted(parts: Sequence[_Texts], back: NDArray[np.intp]) -> list[Sparse]:
    texts = [text for part in parts for text in part.apart()]
    return [texts[place] for place in back.tolist()]


def _emphasis(names: Sequence[str]) -> Floats:
    return np.array([columns.emphasis(name) for name in names], np.float32)
