"""What is said of the shipped heads: of these weights, of all of them, and with exact bounds."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from scipy.stats import beta

from benchmarks.screen_card import card, source
from benchmarks.screen_weights import HEADS, Corpus, Row
from tierwise.errors import ConfigError
from tierwise.screens.cards import Card, Cards, Source, load_cards, read
from tierwise.screens.injection import HEAD
from tierwise.screens.moderation import TRAINED
from tierwise.screens.own import Shown
from tierwise.screens.risk import shipped
from tierwise.screens.weights import SHA256, load_weights

ONE = Card("risk", "legal", 0.5, Shown(9, 10, 0.6), Shown(1, 100, 0.05), ("MMLU",), (Source("MMLU", "MIT"),))
MADE = Cards(1, "ab", 0.95, (ONE,))


def test_every_shipped_head_has_a_card() -> None:
    """And no other, at the threshold that is shipped: where not, `benchmarks/screen_card.py` makes the file anew."""
    cards = load_cards()
    heads = {("moderation", name): name for name in TRAINED} | {("injection", HEAD): HEAD}
    heads |= {("risk", one.name): one.head for one in shipped() if one.head is not None}
    assert [(card.screen, card.name) for card in cards.heads] == list(heads)
    limits = load_weights().thresholds
    assert all(card.threshold == limits[heads[card.screen, card.name]] for card in cards.heads)
    assert all(card.learnt and card.measured and all(one.licence for one in card.learnt) for card in cards.heads)


def test_bounds_are_exact() -> None:
    """Clopper and Pearson's, one-sided, as recomputed from the counts."""
    cards = load_cards()
    for one in cards.heads:
        hits, wrong, alpha = one.recall, one.false_blocks, 1 - cards.confidence
        if not hits.n:  # no public set is of it
            assert (one.name, hits.bound) == ("minors", 0.0)
            continue
        assert 0 < hits.k <= hits.n
        assert hits.bound == pytest.approx(beta.ppf(alpha, hits.k, hits.n - hits.k + 1), abs=1e-6)
        assert wrong.bound == pytest.approx(beta.ppf(1 - alpha, wrong.k + 1, wrong.n - wrong.k), abs=1e-6)


def test_they_are_read_back() -> None:
    """As they were written."""
    assert read(msgspec.json.encode(MADE), "ab") == MADE


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "are none"),
        (b'{"version": 1}', "are none"),
        (msgspec.json.encode(MADE).replace(b'"ab"', b'"cd"'), "not of these weights"),
        (msgspec.json.encode(msgspec.structs.replace(MADE, version=2)), "not of these weights"),
    ],
)
def test_figures_of_something_else_say_nothing(content: bytes, said: str) -> None:
    """Better none than those of other weights."""
    with pytest.raises(ConfigError, match=said):
        read(content, "ab")


def test_they_are_of_the_packaged_weights() -> None:
    """By their hash."""
    assert load_cards().weights == SHA256


def test_what_is_counted() -> None:
    """Rows of public sets that the head learns from, each once; texts of our own flatter, and others say nothing."""
    sets = ("harmbench", "harmbench", "simplesafety", "xstest_safe", "xstest_safe", "gsm8k", "seed_illicit", "surge")
    known = Corpus([Row(name, f"text {number}", "", {}) for number, name in enumerate(sets)])
    shares = np.array([0.9, 0.5, 0.1, 0.6, 0.1, 0.1, 0.1, 0.9])
    found = card(known, "moderation:illicit", "illicit", shares, 0.5)
    assert (found.recall.k, found.recall.n, found.false_blocks.k, found.false_blocks.n) == (2, 3, 1, 3)
    assert found.measured == ("GSM8K", "HarmBench behaviours", "SimpleSafetyTests", "XSTest")
    assert {"texts of our own", "Arena-Hard"} <= {one.name for one in found.learnt}


def test_every_set_has_a_licence() -> None:
    """One that nobody has said the licence of is an error, and not a set without one."""
    assert all(source(part[0]).licence for parts in HEADS.values() for part in parts)
    with pytest.raises(KeyError):
        source("stormfront")
