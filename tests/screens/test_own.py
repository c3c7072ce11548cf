"""Heads of an operator's own: what they score, beside which they stand, and that a file is whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from tests.offline.screening.test_screen_training import rows, taught, written
from tierwise.errors import ConfigError
from tierwise.scorers.encoder import load_encoder
from tierwise.screens.grams import grams
from tierwise.screens.moderation import CATEGORIES
from tierwise.screens.normalised import normalised
from tierwise.screens.own import Beside, Head, Learnt, Own, Shown
from tierwise.screens.panel import assembled
from tierwise.screens.screen import Finding, Span
from tierwise.screens.taught import dump, read

NOTHING = Shown(0, 0, 0.0)


def learnt(word: str = "zebra", **changes: Any) -> Learnt:
    """One head that knows the n-grams of a word, each worth 1, and nothing else."""
    buckets = grams(normalised(word)).astype(np.uint32)
    values = Learnt(
        screen="moderation",
        heads=(Head("hate", 0.9, NOTHING, NOTHING, certified=False),),
        buckets=buckets,
        idf=np.ones(len(buckets), np.float32),
        table=np.ones((len(buckets), 1), np.float16),
        dense=np.zeros((256, 1), np.float32),
        bias=np.full(1, -2.0, np.float32),
        slope=np.full(1, 2.0, np.float32),
        shift=np.full(1, 1.0, np.float32),
    )
    return msgspec.structs.replace(values, **changes)


def own(made: Learnt) -> Own:
    return Own(made, load_encoder().encode)


def test_a_score_is_the_stretched_sum() -> None:
    """Of n buckets at unit length: slope * (bias + n / sqrt n) + shift; of none, without them."""
    made, encode = learnt(), load_encoder().encode
    count = len(made.buckets)
    found = own(made).scores("zebra")["hate"]
    assert found == pytest.approx(1 / (1 + np.exp(-(2 * (-2 + count**0.5) + 1))), abs=1e-6)
    assert own(made).scores("qqq")["hate"] == pytest.approx(1 / (1 + np.exp(3)), abs=1e-6)
    moved = learnt(dense=np.full((256, 1), 0.5, np.float32))
    away = float(encode("hello").sum()) / 2
    assert own(moved).scores("hello")["hate"] == pytest.approx(1 / (1 + np.exp(-(2 * (-2 + away) + 1))), abs=1e-3)


def test_of_a_long_text_the_worst_window_counts() -> None:
    """However much stands before it."""
    scorer = own(learnt())
    assert scorer.scores("x " * 12_000 + "zebra")["hate"] > scorer.scores("x " * 12_000)["hate"]


class Plain:
    """A screen that flags two classes whatever it reads."""

    def screen(self, text: str) -> Finding:
        return Finding({"hate": 0.99, "sexual": 0.98}, ("hate", "sexual"), (Span("x", 0, len(text)),))


def test_own_heads_stand_instead_or_beside() -> None:
    """One of the same name decides in its place; the others, and the places, are the screen's own."""
    instead = Beside(Plain(), own(learnt())).screen("hello")
    assert instead.flagged == ("sexual",)
    assert instead.scores["hate"] < 0.1
    assert instead.spans == (Span("x", 0, 5),)
    assert Beside(Plain(), own(learnt())).screen("zebra").flagged == ("sexual", "hate")
    named = learnt(heads=(Head("spam", 0.9, NOTHING, NOTHING, certified=False),))
    assert Beside(Plain(), own(named)).screen("zebra").flagged == ("hate", "sexual", "spam")


def test_they_join_the_panel() -> None:
    """With their own thresholds; only those screens that are asked for have limits."""
    encoder = load_encoder()
    named = learnt(heads=(Head("spam", 0.9, NOTHING, NOTHING, certified=False),))
    found = assembled(("moderation", "privacy"), encoder, own=Own(named, encoder.encode))
    assert list(found.screens) == ["moderation", "privacy"]
    assert found.limits["moderation:spam"] == 0.9
    assert {one.partition(":")[0] for one in found.limits} == {"moderation"}
    assert set(found.screens["moderation"].screen("zebra").scores) == {*CATEGORIES, "spam"}
    assert "injection:injection" in assembled(("injection",), encoder).limits


@pytest.mark.parametrize(
    "changes",
    [
        {"heads": ()},
        {"heads": (Head("a", 0.5, NOTHING, NOTHING, certified=False),) * 2},
        {"idf": np.ones(1, np.float32)},
        {"table": np.ones((1, 1), np.float16)},
        {"dense": np.zeros((255, 1), np.float32)},
        {"bias": np.zeros(2, np.float32)},
        {"slope": np.zeros(2, np.float32)},
        {"bias": np.full(1, np.nan, np.float32)},
        {"buckets": np.arange(7, dtype=np.uint32)[::-1].copy()},
    ],
)
def test_a_file_that_is_not_whole(tmp_path: Path, changes: dict[str, Any]) -> None:
    """Is refused, with what to do."""
    path = tmp_path / "own.npz"
    path.write_bytes(dump(learnt(**changes)))
    with pytest.raises(ConfigError, match="incomplete; train it anew"):
        read(path)


def test_a_file_that_is_something_else(tmp_path: Path) -> None:
    """Damaged, another format's, or a sealed file of another kind."""
    path = tmp_path / "own.npz"
    packed = dump(taught(written(tmp_path, rows(60, 60)))[0])
    path.write_bytes(packed)
    assert read(path).names == ("spam",)
    for wrong in (packed[:-40], packed.replace(b"manifest", b"manifesf"), b"text"):
        path.write_bytes(wrong)
        with pytest.raises(ConfigError, match=r"not an artefact of `tierwise train --screen`|damaged"):
            read(path)
