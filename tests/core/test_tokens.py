"""Tokens by bytes: what kinds of text take, and what a model's counted answers teach."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.plans import request
from tierwise.core import tokens
from tierwise.core.tokens import UNTAUGHT, Line, Ratio
from tierwise.types import (
    Answer,
    Audio,
    Choice,
    Document,
    Foreign,
    Image,
    Message,
    Model,
    Part,
    Text,
    Tool,
    ToolCall,
    Usage,
)

# ------------------------------------------------------------------ texts

COUNTED = {  # text -> tokens of cl100k_base
    "The parcel leaves our warehouse tomorrow morning and reaches you on Friday.": 14,
    "Is 17537 a prime number? Think step by step and then answer [Yes] or [No].": 22,
    "def add(a, b):\n    return a + b\n": 12,
}


@pytest.mark.parametrize(("text", "counted"), COUNTED.items())
def test_guesses_come_near(text: str, counted: int) -> None:
    """Prose, numbers and code without anything learnt: within a fifth even where a text is short."""
    assert tokens.guess(text) == pytest.approx(counted, rel=0.2)


@pytest.mark.parametrize(
    ("text", "tokens_of_it"),
    [
        ("", 0),
        ("word", 1.05),
        ("two words", 2 * 1.05),
        ("Word", 1.05 + 0.22),
        ("one(two", 1.05 + 0.98 + 0.62),
        ("camelCase", 1.05 + 0.98 + 0.22),
        ("one\ntwo", 1.05 + 0.98 + 0.42),
        ("one2two", 1.05 + 0.98 + 1.45),
        ("12", 2.26),
        ("12 345", 2 * 2.26),
        ("(12,", 1.45 + 2 * 0.62),
        ("123456", 2.26 + 3 * 0.35),
        ("x" * 10, 1.05 + 4 * 0.25),
        ("...", 3 * 0.62),
        ("é", 0.92),
        ("né", 1.05 + 0.92),
        ("é2", 0.92 + 0.35),  # what follows such a character begins nothing
        ("中文", 2 * 1.4),
        ("🙂", 3.08),
        ("\ud800", 0.62),  # no character at all
    ],
)
def test_kinds(text: str, tokens_of_it: float) -> None:
    """Each kind of character has its own rate; words count by their beginnings."""
    assert tokens.guess(text) == pytest.approx(tokens_of_it)


@given(st.text(max_size=200))
def test_no_text_is_less_than_nothing(text: str) -> None:
    """Nor more than four tokens a byte, nor nothing where anything but spaces stands."""
    size = len(text.encode("utf-8", "replace"))
    assert 0 <= tokens.guess(text) <= 4 * size
    assert (tokens.guess(text) > 0) is bool(text.replace(" ", ""))


def test_long_texts_are_judged_by_pieces() -> None:
    """A megabyte comes out as its parts do, also where it changes on the way; at the limit nothing jumps."""
    prose, code = "The parcel leaves tomorrow. " * 20_000, "    x[i] = f(y, 42)\n" * 20_000
    both = tokens.guess(prose[:400_000]) + tokens.guess(code[:400_000])
    assert tokens.guess(prose[:400_000] + code[:400_000]) == pytest.approx(both, rel=0.02)
    assert tokens.guess(prose[:8193]) == pytest.approx(tokens.guess(prose[:8192]), rel=0.02)


# ------------------------------------------------------------------ requests and answers


def test_everything_that_is_sent_counts() -> None:
    """Text in messages and parts, earlier calls, tools, the schema: each adds to what a request takes."""
    bare = tokens.asked(request(messages=(Message("user", "hello"),)))
    assert bare == pytest.approx(3 + 4 + 1.05)
    schema = {"type": "object"}
    call = ToolCall("c", "look", '{"a": 1}')
    more: list[dict[str, Any]] = [
        {"messages": (Message("user", "hello there"),)},
        {"messages": (Message("user", (Text("hello"), Text("there"))),)},
        {"messages": (Message("user", "hello"), Message("assistant"))},
        {"messages": (Message("user", "hello", (call,)),)},
        {"messages": (Message("user", "hello"),), "tools": (Tool("look"),)},
        {"messages": (Message("user", "hello"),), "schema": schema},
    ]
    assert all(tokens.asked(request(**one)) > bare for one in more)
    described = {"messages": (Message("user", "hello"),), "tools": (Tool("look", "Looks it up.", schema),)}
    assert tokens.asked(request(**described)) > tokens.asked(request(**more[4]))


def test_pictures() -> None:
    """Take a flat amount, by their detail; what nobody can read is taken for one."""
    small, large, foreign = Image("u", "low"), Image("u", "high"), Foreign("audio", "openai_chat")
    parts = (Text("hello"), small, large, Image("u"), foreign)
    asked = request(messages=(Message("user", parts), Message("user", "hello")))
    assert tokens.pictures(asked) == 85 + 3 * 765
    assert UNTAUGHT.input(asked) == pytest.approx(tokens.asked(asked) + 85 + 3 * 765)
    assert UNTAUGHT.taught(asked, Answer("m", (Choice("hello"),)), Usage(900, 1)).plain == Line()


PDF = "data:application/pdf;base64,"


@pytest.mark.parametrize(
    ("part", "most"),
    [
        (Document(PDF + "A" * 100), 3000),
        (Document(PDF + "A" * 3 * 4096), 4 * 3000),
        (Document(PDF + "A" * 10_000_000), 100 * 3000),
        (Document("https://example.org/a.pdf"), 100 * 3000),
        (Document("data:text/plain;base64," + "A" * 77), 75),
        (Audio("A" * 1333, "mp3"), 13.33),
    ],
)
def test_files_and_sound(part: Part, most: float) -> None:
    """By their pages, bytes or seconds, rather too many than too few; they teach nothing about text."""
    asked = request(messages=(Message("user", (Text("hello"), part)),))
    assert tokens.pictures(asked) == pytest.approx(most)
    assert UNTAUGHT.taught(asked, Answer("m", (Choice("hello"),)), Usage(900, 1)).plain == Line()


@pytest.mark.parametrize(
    ("part", "unread"),
    [
        (Document(PDF + "AA=="), True),
        (Document("https://example.org/a.pdf"), True),
        (Foreign("input_file by file_id", "openai_responses"), True),
        (Foreign("document by file", "anthropic"), True),
        (Foreign("search_result", "anthropic"), False),
        (Document("data:text/plain;base64,AA=="), False),
        (Audio("AA==", "mp3"), False),
        (Image("https://example.org/a.png"), False),
        (Text("x"), False),
    ],
)
def test_what_bytes_do_not_bound(part: Part, unread: bool) -> None:
    """Pages of files can take all that a model reads, whatever their bytes are."""
    asked = request(messages=(Message("user", "x"), Message("user", (Text("x"), part))))
    small = Model("m", "openai", "m", context=8000)
    assert tokens.unread(asked, small) == (8000 if unread else 0)
    assert tokens.unread(asked, Model("m", "openai", "m")) == (1_000_000 if unread else 0)


# ------------------------------------------------------------------ lines


def test_untaught() -> None:
    """A line that knows nothing leaves a guess as it is, and of nothing makes nothing."""
    assert Line().at(120) == pytest.approx(120)
    assert Line().at(0) == 0


@pytest.mark.parametrize(("slope", "offset"), [(1.0, 0), (1.3, 0), (0.7, 12), (1.1, 300), (1.0, -8)])
def test_a_line_is_found(slope: float, offset: float) -> None:
    """From a hundred answers of different lengths, within two per cent."""
    line = Line()
    for number in range(100):
        x = 30 + number * 977 % 1970
        line = line.taught(x, slope * x + offset)
    for x in (50, 300, 1500):
        assert line.at(x) == pytest.approx(slope * x + offset, rel=0.02)


def test_a_line_follows() -> None:
    """A provider that changes its tokenizer is caught up with; what it was like before fades."""
    line = Line()
    for _ in range(500):
        line = line.taught(200, 200)
    for _ in range(1000):
        line = line.taught(200, 260)
    assert line.at(200) == pytest.approx(260, rel=0.01)


@pytest.mark.parametrize(("x", "y"), [(0, 5), (-1, 5), (100, 24), (100, 1401), (100, 10**9), (100, 0)])
def test_what_is_out_of_proportion_teaches_nothing(x: float, y: float) -> None:
    """One absurd count must not spoil a thousand estimates."""
    assert Line().taught(x, y) == Line()
    assert Line().taught(100, 25) != Line()
    assert Line().taught(100, 1400) != Line()


@pytest.mark.parametrize("lessons", [((100, 1000), (1000, 600)), ((100, 100), (130, 1500))], ids=["falling", "steep"])
def test_lessons_that_fit_no_line(lessons: tuple[tuple[float, float], ...]) -> None:
    """A longer text never takes fewer tokens than a shorter one, nor more than fourfold what it adds."""
    line = Line()
    for x, y in lessons * 10:
        line = line.taught(x, y)
    assert 0.24 * 1000 <= line.at(2000) - line.at(1000) <= 4.01 * 1000


@given(st.lists(st.tuples(st.floats(0.1, 1e6), st.floats(0, 1e7)), max_size=40), st.floats(0, 1e6))
def test_no_lesson_makes_an_estimate_absurd(lessons: list[tuple[float, float]], x: float) -> None:
    """Whatever was taught, an estimate is finite, not negative, and grows by fourfold what is guessed at the most."""
    line = Line()
    for guessed, counted in lessons:
        line = line.taught(guessed, counted)
    assert 0 <= line.at(x) <= 4 * x + 2 * max([y for _, y in lessons], default=0) + 1000
    if line.at(x) > 0:
        assert -0.01 <= line.at(x + 1) - line.at(x) <= 4.01


# ------------------------------------------------------------------ ratios

PROMPT = request(messages=(Message("user", "Where is the parcel that was sent to me a week ago?"),))
SAID = Choice("It leaves our warehouse tomorrow morning and reaches you on Friday.", finish="stop")


def taught(choice: Choice, usage: Usage, **changes: Any) -> Ratio:
    ratio, asked = UNTAUGHT, msgspec.structs.replace(PROMPT, **changes)
    for _ in range(50):
        ratio = ratio.taught(asked, Answer("m", (choice,)), usage)
    return ratio


def test_untaught_ratio() -> None:
    """Everything that was said counts as it is guessed, reasoning too."""
    choice = Choice("one", "two", "three", (ToolCall("c", "four", "five"),))
    assert UNTAUGHT.output((choice, choice)) == pytest.approx(2 * 5 * 1.05)
    assert UNTAUGHT.output(()) == 0


def test_input_and_output_are_learnt_apart() -> None:
    """What prompts teach says nothing of answers."""
    ratio = taught(SAID, Usage(30, 26))
    assert ratio.input(PROMPT) == pytest.approx(30, rel=0.02)
    assert ratio.output((SAID,)) == pytest.approx(26, rel=0.02)


def test_tools_are_learnt_apart() -> None:
    """A provider's instructions for tools do not stand in plain requests, nor a call's frame in plain text."""
    call = Choice("", tool_calls=(ToolCall("c", "look", '{"a": 1}'),), finish="tool_calls")
    tools = (Tool("look", "Looks it up."),)
    ratio = taught(call, Usage(400, 60), tools=tools)
    asked = msgspec.structs.replace(PROMPT, tools=tools)
    assert ratio.input(asked) == pytest.approx(400, rel=0.02)
    assert ratio.output((call,)) == pytest.approx(60, rel=0.02)
    assert ratio.input(PROMPT) == UNTAUGHT.input(PROMPT)
    assert ratio.output((SAID,)) == UNTAUGHT.output((SAID,))


def test_reasoning_that_is_not_shown() -> None:
    """Is billed all the same: an answer is taken to have as much of it as is usual, whatever came of it."""
    ratio = taught(SAID, Usage(30, 513, reasoning_tokens=500))
    assert ratio.output((SAID,)) == pytest.approx(513, rel=0.02)
    assert ratio.output(()) == pytest.approx(500)


def test_reasoning_of_which_a_summary_is_shown() -> None:
    """Is billed in full: what is shown of it stands for more, and where none is shown there was none."""
    thinking = Choice(SAID.text, "He asks for his parcel.", finish="stop")
    ratio = taught(thinking, Usage(30, 513, reasoning_tokens=500))
    assert ratio.output((thinking,)) == pytest.approx(513, rel=0.02)
    assert ratio.output((SAID,)) == pytest.approx(13, rel=0.02)


def test_reasoning_that_is_not_told_apart() -> None:
    """Is text like any other."""
    thinking = Choice(SAID.text, SAID.text, finish="stop")
    ratio = taught(thinking, Usage(30, 52))
    assert ratio.output((thinking,)) == pytest.approx(52, rel=0.02)
