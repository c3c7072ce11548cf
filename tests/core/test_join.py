"""Chunks to answers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tierwise.core.join import join, tokens
from tierwise.types import Chunk, ToolCall, ToolDelta, Usage


def test_whole_answer() -> None:
    """One chunk is the answer as it is."""
    chunk = Chunk(
        "hi", tool_calls=(ToolDelta(0, "c1", "f", "{}"),), finish="tool_calls", usage=Usage(1, 2), logprobs=(-0.1,)
    )
    answer = join("m", [chunk])
    assert answer.text == "hi"
    assert answer.choices[0].tool_calls == (ToolCall("c1", "f", "{}"),)
    assert answer.usage == Usage(1, 2)
    assert answer.choices[0].logprobs == (-0.1,)


def test_stream() -> None:
    """Text, reasoning, refusals, calls and log-probabilities are put together by choice and index."""
    answer = join(
        "m",
        [
            Chunk("a", 1),
            Chunk("x", 0, "think ", logprobs=(-1.0,)),
            Chunk("y", 0, "more", "no", logprobs=(-2.0,)),
            Chunk(tool_calls=(ToolDelta(1, "c2", "g", "{"), ToolDelta(0, "c1", "f", "{}"))),
            Chunk(tool_calls=(ToolDelta(1, "", "", "}"),), finish="tool_calls", usage=Usage(1, 1)),
            Chunk("b", 1, finish="stop"),
            Chunk(usage=Usage(5, 6)),
        ],
    )
    first, second = answer.choices
    assert (first.text, first.reasoning, first.refusal, first.finish) == ("xy", "think more", "no", "tool_calls")
    assert first.tool_calls == (ToolCall("c1", "f", "{}"), ToolCall("c2", "g", "{}"))
    assert first.logprobs == (-1.0, -2.0)
    assert (second.text, second.finish) == ("ab", "stop")
    assert answer.usage == Usage(5, 6)


def test_nothing() -> None:
    """No chunks, no choices, no text."""
    assert join("m", []).text == ""


@given(st.lists(st.text(max_size=8), max_size=20))
def test_joined_text_is_the_text(pieces: list[str]) -> None:
    """However a text is cut, joining gives it back."""
    assert join("m", [Chunk(piece) for piece in pieces]).text == "".join(pieces)


def test_tokens() -> None:
    """Log-probabilities count tokens exactly; otherwise a chunk with text is one."""
    assert tokens([Chunk("a b c", logprobs=(-1.0, -1.0, -1.0)), Chunk("x"), Chunk(), Chunk(reasoning="r")]) == 5
