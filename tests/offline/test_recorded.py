"""Recorded rows as requests and answers: the table's conventions, and what does not keep to them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tierwise.offline.recorded import LONGEST_CALLS, answer_of, request_of
from tierwise.types import Answer, Choice, Message, Tool, ToolCall

WEATHER = {"name": "weather", "description": "Of a city.", "parameters": {"type": "object"}}
TEXTS = st.text(max_size=80) | st.text(st.sampled_from("[](){}=,'\"ab1.: \n"), max_size=80)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)


def extra(**fields: Any) -> str:
    return json.dumps(fields)


def calls(response: str) -> list[tuple[str, Any]]:
    choice = answer_of("m", response).choices[0]
    assert (choice.text, choice.finish) == (("", "tool_calls") if choice.tool_calls else (response, "stop"))
    return [(call.name, json.loads(call.arguments)) for call in choice.tool_calls]


# ------------------------------------------------------------------ requests


def test_a_prompt_is_what_a_user_says() -> None:
    """The category becomes a tag; without one there is none."""
    request = request_of("q1", "Where is my card?", "support", "")
    assert request.id == "q1"
    assert request.messages == (Message("user", "Where is my card?"),)
    assert request.tags == {"support"}
    assert request.tools == ()
    assert request_of("q1", "", "", "").tags == frozenset()


def test_messages_that_were_recorded() -> None:
    """They take the prompt's place; parts are joined, and what is no message is left out."""
    turns = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"text": "b"}, "c"]},
        {"role": "assistant", "content": None},
        {"role": "narrator", "content": "x"},
        "x",
    ]
    request = request_of("q", "the prompt", "", extra(messages=turns))
    assert request.messages == (Message("system", "Be kind."), Message("user", "a\nb"), Message("assistant", ""))
    assert request_of("q", "the prompt", "", extra(messages=[])).messages == (Message("user", "the prompt"),)


def test_tools_that_were_offered() -> None:
    """Bare, or wrapped as a function; what has no name is none."""
    tools = [WEATHER, {"type": "function", "function": {"name": "now"}}, {"description": "?"}, {"name": 7}, "x", None]
    tools.append({"name": "odd", "parameters": "none"})
    found = request_of("q", "p", "", extra(tools=tools)).tools
    assert found == (Tool("weather", "Of a city.", {"type": "object"}), Tool("now"), Tool("odd"))


@pytest.mark.parametrize("text", ["", "x", "[1]", "null", '{"tools": 3, "messages": "hi"}', "[" * 5_000, "\ud800"])
def test_an_extra_that_says_nothing(text: str) -> None:
    """No JSON, or no object with what we know."""
    assert request_of("q", "p", "c", text) == request_of("q", "p", "c", "")
    assert answer_of("m", "hi", text) == answer_of("m", "hi")


# ------------------------------------------------------------------ answers


def test_a_response_is_an_answer() -> None:
    """Whole, and as long as it is; one that is missing is an answer without a text."""
    assert answer_of("m", "Tomorrow.") == Answer("m", (Choice("Tomorrow.", finish="stop"),))
    assert answer_of("m", None) == answer_of("m", "") == Answer("m", (Choice("", finish="stop"),))


@pytest.mark.parametrize(
    ("recorded", "finish"),
    [("length", "length"), ("max_tokens", "length"), ("content_filter", "content_filter"), ("stop", "stop"),
     ("eos", "stop"), (None, "stop"), (["length"], "stop")],
)  # fmt: skip
def test_how_it_ended(recorded: Any, finish: str) -> None:
    """In the words of several providers; whatever else was recorded is the model's own end."""
    assert answer_of("m", "hi", extra(finish=recorded)).choices[0].finish == finish


@pytest.mark.parametrize(
    ("response", "found"),
    [
        ('[{"weather": "{\\"city\\": \\"Bonn\\"}"}]', [("weather", {"city": "Bonn"})]),
        ('[{"weather": {"city": "Bonn"}}, {"now": {}}]', [("weather", {"city": "Bonn"}), ("now", {})]),
        ("[weather(city='Bonn', days=3)]", [("weather", {"city": "Bonn", "days": 3})]),
        (" [a.b(x=[1, None, True])]\n", [("a.b", {"x": [1, None, True]})]),
        ("[f(a=1)]\n[g(b={'c': -2.5})]", [("f", {"a": 1}), ("g", {"b": {"c": -2.5}})]),
        ("[now()]", [("now", {})]),
        (r"[find(pattern='\d+')]", [("find", {"pattern": r"\d+"})]),
    ],
    ids=["JSON text", "JSON", "written out", "dotted", "two lists", "no arguments", "an escape that Python warns of"],
)
def test_calls_of_tools(response: str, found: list[tuple[str, Any]]) -> None:
    """A JSON list, or Python's calls written out, which are read and never run."""
    assert calls(response) == found


@pytest.mark.parametrize(
    "response",
    [
        "[1, 2]",
        "[1] is the first reference.",
        '[{"a": 1, "b": 2}]',
        '[{"a": 1}, 2]',
        '[{"a": ',
        "[f(a=open('x'))]",
        "[f(a=1), 3]",
        "[f(a=]",
        "[f(a=b)]",
        "[f(**{'a': 1}]",
        "[f(x=" + "(" * 300 + ")" * 300 + ")]",
        f"[f(a='{'x' * LONGEST_CALLS}')]",
    ],
)
def test_what_only_looks_like_calls(response: str) -> None:
    """It stays the text that it is; nothing in it is run."""
    assert calls(response) == []


def test_finish_says_that_calls_were_cut() -> None:
    """What was recorded stands above what the response looks like."""
    choice = answer_of("m", "[now()]", extra(finish="length")).choices[0]
    assert (choice.finish, choice.tool_calls) == ("length", (ToolCall("", "now", "{}"),))


@settings(max_examples=200, deadline=None)
@given(TEXTS, TEXTS, st.builds(json.dumps, VALUES) | TEXTS)
def test_any_row_is_a_request_and_an_answer(prompt: str, response: str, more: str) -> None:
    """Whatever was recorded."""
    assert request_of("q", prompt, "c", more).messages
    choice = answer_of("m", response, more).choices[0]
    assert choice.finish is not None
    assert all(isinstance(json.loads(call.arguments), dict) or call.arguments for call in choice.tool_calls)
