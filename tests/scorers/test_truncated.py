"""The check `truncated`: signs that an answer broke off although it says "stop"."""

from __future__ import annotations

import pytest

from tests.scorers.build import CHECKS, answer, request
from tierwise.scorers.truncated import FENCES, truncated


@pytest.mark.parametrize(
    "text",
    [
        "Here is the code:\n```python\nprint(1)\n",
        "````\n```\ninner\n```\nstill open",
        "Please bring your passport,",
        "You will need these three things:",
        "The limits are (",
        "\u60a8\u9700\u8981\u643a\u5e26\u4ee5\u4e0b\u4e09\u6837\u4e1c\u897f\u4ee5\u53ca\uff1a",
    ],
)
def test_a_broken_off_answer_is_seen(text: str) -> None:
    """Open fences and sentences that lead on fail."""
    assert truncated(request(), answer(text), CHECKS).passed is False


@pytest.mark.parametrize(
    "text",
    [
        "",
        "card_arrival",
        "Paris",
        "It arrives tomorrow.",
        "```python\nx = 1\n```",
        "```\na\n```\ntext\n```python\nb\n```\n",
        "Use ``` to open a block of code.",
        "````md\n```python\nx\n```\n````",
        "No luck this time :-(",
        "a,",
        "The loop is `for i in x:`",
    ],
)
def test_a_whole_answer_passes(text: str) -> None:
    """Closed fences, labels, smileys and short symbols are whole."""
    assert truncated(request(), answer(text), CHECKS).passed is True


def test_open_json_is_seen_where_json_was_asked() -> None:
    """An object without its end fails where JSON was asked for; elsewhere a brace means nothing."""
    asked = request(json_answer=True)
    assert truncated(asked, answer('{"a": [1, 2]'), CHECKS).passed is False
    assert truncated(asked, answer('{"a": [1, 2]}\n'), CHECKS).passed is True
    assert truncated(asked, answer("17"), CHECKS).passed is True
    assert truncated(request(), answer("{a} and then b"), CHECKS).passed is True


def test_only_a_stop_is_looked_at() -> None:
    """Another finish reason is another check's business, and a window has no end yet."""
    assert truncated(request(), answer("Please bring,", finish="length"), CHECKS).passed is None
    assert truncated(request(), answer("Please bring your,", complete=False), CHECKS).passed is None


def test_so_many_fences_are_looked_at() -> None:
    """Of an answer with more nothing is told: its fences would have to be paired first."""
    opened = "\n".join(["```"] * (FENCES - 1))
    assert truncated(request(), answer(opened), CHECKS).passed is False
    assert truncated(request(), answer(f"{opened}\n```"), CHECKS).passed is True
    assert truncated(request(), answer(f"{opened}\n```\n```"), CHECKS).passed is None


def test_the_clients_stop_sequence_may_cut_anywhere() -> None:
    """With a stop sequence of the client, a comma at the end is what it asked for."""
    assert truncated(request(stop=("passport",)), answer("Please bring your card,"), CHECKS).passed is True


@pytest.mark.parametrize(
    ("text", "passed"),
    [
        ('```json\n{"answer": 34}', True),
        ('First we add.\n\n```json\n{\n  "answer": [1, 2]\n}\n', True),
        ("```\n[1, 2]", True),
        ('```json\n{"answer": 34', False),
        ("```python\nprint({1})", False),
    ],
)
def test_fence_that_only_lacks_its_mark(text: str, passed: bool) -> None:
    """A JSON document that came to its end is whole, even where the mark after it was forgotten."""
    assert truncated(request(), answer(text), CHECKS).passed is passed
