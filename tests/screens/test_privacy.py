"""Personal data: found, redacted, replaced and restored."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierwise.scorers.encoder import load_encoder
from tierwise.screens.panel import panel
from tierwise.screens.privacy import Privacy, redact, replace, restore
from tierwise.screens.recogniser import Recogniser
from tierwise.screens.screen import OVERLAP, WINDOW, Span
from tierwise.screens.weights import load_weights

TEXT = "Please send it to Barbara Yudina, 14 Crown Street, LONDON, or write to barbara@example.com"


@pytest.fixture(scope="module")
def privacy() -> Privacy:
    return Privacy(Recogniser(load_weights().recogniser))


def test_names_addresses_and_forms_are_found(privacy: Privacy) -> None:
    """Each with its type and its place."""
    found = {span.type: TEXT[span.start : span.end] for span in privacy.spans(TEXT)}
    assert found["name"] == "Barbara Yudina"
    assert found["address"].startswith("14 Crown Street")
    assert found["email"] == "barbara@example.com"


def test_the_finding_flags_each_type_once(privacy: Privacy) -> None:
    """In the order of the text, a score of 1 each."""
    finding = privacy.screen("a@example.com and b@example.com from 10.0.0.1")
    assert finding.flagged == ("email", "ip")
    assert finding.scores == {"email": 1.0, "ip": 1.0}
    assert len(finding.spans) == 3


@pytest.mark.parametrize("text", ["", " \n ", "What is the limit of my account?", "\u200b", "!!! ...", "\ud800 x"])
def test_nothing_is_found_in_nothing(privacy: Privacy, text: str) -> None:
    """Not even in what is hardly text."""
    assert privacy.screen(text) == ({}, (), ())


def test_a_long_text_is_read_in_windows(privacy: Privacy) -> None:
    """What lies across an edge is found whole, and once."""
    for start in (WINDOW - OVERLAP - 7, WINDOW - 7, 3 * WINDOW):
        text = "x " * (start // 2) + "mail someone@example.com now"
        text += " y" * WINDOW
        spans = [span for span in privacy.spans(text) if span.type == "email"]
        assert [text[span.start : span.end] for span in spans] == ["someone@example.com"]


def test_redaction_leaves_no_value() -> None:
    """A type in brackets stands where it was."""
    spans = [Span("email", 3, 10), Span("ip", 14, 21)]
    assert redact("to a@b.com or 1.2.3.4 now", spans) == "to [EMAIL] or [IP] now"


def test_equal_values_share_a_mark() -> None:
    """So that an answer can speak of the same person twice."""
    text = "ann met bob and ann"
    hidden, values = replace(text, [Span("name", 0, 3), Span("name", 8, 11), Span("name", 16, 19)])
    assert hidden == "<NAME_1> met <NAME_2> and <NAME_1>"
    assert restore("Hi <NAME_2>, <NAME_1> and <NAME_3>!", values) == "Hi bob, ann and <NAME_3>!"


def test_marks_of_the_text_itself_stay() -> None:
    """A text that holds such a mark already is restored to itself."""
    hidden, values = replace("<NAME_1> is not ann", [Span("name", 16, 19)])
    assert hidden == "<NAME_1> is not <NAME_2>"
    assert restore(hidden, values) == "<NAME_1> is not ann"


@given(st.text(alphabet="ab<>NAME_12 ", max_size=60), st.lists(st.integers(0, 60), max_size=8))
def test_restoring_undoes_replacing(text: str, cuts: list[int]) -> None:
    """Whatever the text, wherever the spans are."""
    edges = sorted({cut for cut in cuts if cut <= len(text)})
    spans = [Span("name", start, end) for start, end in zip(edges[::2], edges[1::2], strict=False)]
    hidden, values = replace(text, spans)
    if not any(mark in part for mark in values for part in _between(text, spans)):
        assert restore(hidden, values) == text


def _between(text: str, spans: list[Span]) -> list[str]:
    edges = [0, *(edge for span in spans for edge in (span.start, span.end)), len(text)]
    return [text[start:end] for start, end in zip(edges[::2], edges[1::2], strict=True)]


def test_the_panel_gives_it(privacy: Privacy) -> None:
    """By its name."""
    assert panel(("privacy",), load_encoder())["privacy"].screen(TEXT) == privacy.screen(TEXT)
