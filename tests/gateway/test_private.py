"""Nothing that is masked reaches a provider, the ledger, the trail, a sample, a log or a metric."""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import pytest

from tests.gateway.harness import CONFIG, Gateway, running
from tests.support.private import ASKED, CANARIES, WORDS, kept, leaks, session
from tests.support.shapes import Script
from tierwise.gateway.masking import Way, mask
from tierwise.screens.privacy import Privacy
from tierwise.screens.recogniser import Recogniser
from tierwise.screens.restoring import Restore
from tierwise.screens.weights import load_weights
from tierwise.types import Chunk

ANSWER = "I wrote to <EMAIL_1> and called <PHONE_1>, as `<name_1>` wished; the card <CARD_1> was charged on Friday."
SCRIPTS = (Script(text=ANSWER),)
EVIDENCE = CONFIG.replace("evidence_usd_per_day = 0", "evidence_usd_per_day = 5\naudit = 1.0\nkeep_days = 3")


@pytest.fixture(scope="module")
def privacy() -> Privacy:
    return Privacy(Recogniser(load_weights().recogniser))


async def sampled(gateway: Gateway) -> None:
    """Until texts of a sample are stored."""
    async with asyncio.timeout(10):
        while True:
            with closing(sqlite3.connect(gateway.config.store_path)) as conn:
                if conn.execute("SELECT count(*) FROM texts").fetchone()[0]:
                    return
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("way", ["replace", "redact"])
async def test_a_masked_session_leaves_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, privacy: Privacy, way: Way
) -> None:
    """Answers and refusals, whole and streamed, in every wire, with samples and their texts kept."""
    caplog.set_level(logging.DEBUG)
    for name in ("_granian", "granian.access", "asyncio", "tierwise"):
        caplog.set_level(logging.DEBUG, logger=name)
    async with running(tmp_path, SCRIPTS, config=EVIDENCE) as gateway:
        bodies = await session(gateway, lambda raw: mask(raw, privacy.spans, way)[0])
        await sampled(gateway)
        assert gateway.upstream.requests
        for request in gateway.upstream.requests:
            assert leaks(json.dumps(request.body)) == []
    for body in bodies:
        assert leaks(body) == []
    files = kept(tmp_path)
    assert "ledger.db" in files
    assert not any(files.values())
    assert leaks(caplog.text) == []


async def test_the_canaries_sing(tmp_path: Path) -> None:
    """Without masking they are found where texts are kept: this test's like would notice."""
    async with running(tmp_path, SCRIPTS, config=EVIDENCE) as gateway:
        await session(gateway, bytes)
        await sampled(gateway)
        assert any(leaks(json.dumps(request.body)) == list(CANARIES) for request in gateway.upstream.requests)
    assert kept(tmp_path)["ledger.db"] == list(CANARIES)


@pytest.mark.parametrize("kind", CANARIES)
def test_each_canary_is_seen_in_every_spelling(kind: str) -> None:
    """Escaped, encoded, in capitals, without blanks."""
    value = CANARIES[kind]
    spelt = (value, value.upper(), json.dumps([value]), value.replace(" ", "").replace("-", ""), value.encode().hex())
    for text in spelt:
        assert kind in leaks(f"x {text} y")
    assert leaks("<EMAIL_1> [CARD]") == []


def test_what_was_masked_comes_back_to_its_owner(privacy: Privacy) -> None:
    """The client reads the values; what is kept, the marks."""
    for asked in ASKED.values():
        raw, marks, types = mask(json.dumps(asked).encode(), privacy.spans, "replace")
        assert leaks(raw) == []
        assert set(types) == set(CANARIES)
        assert sorted(values(marks)) == sorted(CANARIES)
        (chunk,) = Restore(marks).feed((Chunk(ANSWER, finish="stop"),))
        assert set(leaks(chunk.text)) == {"email", "phone", "name", "card"}


def values(marks: Mapping[str, str]) -> list[str]:
    """The canaries that marks stand for."""
    return [kind for kind, value in CANARIES.items() if any(value in kept for kept in marks.values())]


def test_the_words_hold_every_canary() -> None:
    """And each is of the type that it is meant to be."""
    assert leaks(WORDS) == list(CANARIES)
