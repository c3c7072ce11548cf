"""Answers that are made to be slow: a verifier's work on each of them is bounded, whatever they hold."""

from __future__ import annotations

from time import thread_time

import pytest

from benchmarks.hostile import asked, called, made_up, said
from benchmarks.hostile_texts import DOCUMENT, SIZE, TEXTS
from tierwise.scorers.parses import load
from tierwise.scorers.trained import Trained
from tierwise.types import Checks

MAX_SECONDS = 0.02  # of CPU for a whole verdict; several times what it takes, for machines that are busy


@pytest.fixture(scope="module")
def trained() -> Trained:
    load()
    return made_up()


@pytest.mark.unmeasured
@pytest.mark.parametrize("name", TEXTS)
def test_a_verdict_takes_bounded_time(name: str, trained: Trained) -> None:
    """On a hostile text as an answer, as a call's argument, and as the request itself."""
    verifier, router, document = trained.verifier(Checks()), trained.router, asked(DOCUMENT)
    spent = [9.0, 9.0, 9.0]
    for turn in range(0, 9, 3):  # what was read a moment ago is remembered
        answer, call, request = (TEXTS[name](turn + place) for place in range(3))
        assert SIZE - 64 <= len(answer) <= SIZE + 8
        began = thread_time()
        verifier.score(document, said(answer))
        told = thread_time()
        verifier.score(document, called(call))
        done = thread_time()
        router.score(asked(request), None)
        spent = list(map(min, spent, (told - began, done - told, thread_time() - done)))
    assert max(spent) < MAX_SECONDS
