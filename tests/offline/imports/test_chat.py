"""What was asked and said, in every shape that logs have for it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tierwise.offline.imports.chat import asked, said, tokens

TURN = {"role": "user", "content": "Hi"}


@pytest.mark.parametrize(
    ("value", "prompt"),
    [
        ("Hi", "Hi"),
        ([TURN], "Hi"),
        (TURN, "Hi"),
        (json.dumps([TURN]), "Hi"),
        ({"messages": [TURN]}, "Hi"),
        (json.dumps({"messages": [TURN], "model": "m"}), "Hi"),
        ({"prompt": "Hi"}, "Hi"),
        ({"input": "Hi"}, "Hi"),
        ({"input": [{"role": "user", "content": [{"type": "input_text", "text": "Hi"}]}]}, "Hi"),
        ({"instructions": "Brief.", "input": "Hi"}, "Brief.\n\nHi"),
        ({"system": "Brief.", "messages": [TURN]}, "Brief.\n\nHi"),
        ([{"role": "developer", "content": "Brief."}, TURN], "Brief.\n\nHi"),
        ('{"prompt": "what a person typed"}', '{"prompt": "what a person typed"}'),
        ("[1, 2]", "[1, 2]"),
        ("{not json", "{not json"),
        ({"question": "Hi"}, '{"question":"Hi"}'),
    ],
)
def test_what_was_asked(value: Any, prompt: str) -> None:
    """Messages, request bodies, and whatever else a prompt may be."""
    found = asked(value)
    assert found is not None
    assert found.prompt == prompt


@pytest.mark.parametrize(
    "value", ["", "  ", None, [], {}, [{"role": "user", "content": ""}], {"messages": []}, {"role": "user"}]
)
def test_nothing_was_asked(value: Any) -> None:
    """Empty is not a prompt."""
    assert asked(value) is None


def test_a_conversation_with_tools() -> None:
    """Calls and their results stay in it, in the text and in the messages."""
    call = {"id": "c1", "type": "function", "function": {"name": "find", "arguments": '{"q":1}'}}
    openai = [
        TURN,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "42"},
    ]
    responses = [
        TURN,
        {"type": "function_call", "call_id": "c1", "name": "find", "arguments": '{"q":1}'},
        {"type": "function_call_output", "call_id": "c1", "output": "42"},
    ]
    anthropic = [
        TURN,
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm"},
                {"type": "tool_use", "id": "c1", "name": "find", "input": {"q": 1}},
            ],
        },
    ]
    for turns in (openai, responses):
        found = asked(turns)
        assert found is not None
        assert found.prompt == 'user: Hi\n\nassistant: find({"q":1})\n\ntool: 42'
        assert found.messages == [
            TURN,
            {"role": "assistant", "content": "", "tool_calls": [call]},
            {"role": "tool", "content": "42", "tool_call_id": "c1"},
        ]
    found = asked(anthropic)
    assert found is not None
    assert found.prompt == 'user: Hi\n\nassistant: find({"q":1})'


@pytest.mark.parametrize(
    ("value", "response", "finish"),
    [
        ("Yes.", "Yes.", None),
        ({"role": "assistant", "content": "Yes."}, "Yes.", None),
        ([TURN, {"role": "assistant", "content": "Yes."}], "Yes.", None),
        ({"choices": [{"message": {"content": "Yes."}, "finish_reason": "length"}]}, "Yes.", "length"),
        ({"choices": [{"text": "Yes.", "finish_reason": "stop"}]}, "Yes.", "stop"),
        (json.dumps({"choices": [{"message": {"content": "Yes."}}]}), "Yes.", None),
        (
            {"content": [{"type": "text", "text": "Yes."}], "role": "assistant", "stop_reason": "max_tokens"},
            "Yes.",
            "length",
        ),
        (
            {
                "output": [{"type": "message", "content": [{"type": "output_text", "text": "Yes."}]}],
                "status": "incomplete",
            },
            "Yes.",
            "length",
        ),
        ({"choices": [{"message": {"content": None, "refusal": "No."}}]}, "No.", None),
        ({"message": {"role": "assistant", "content": "Yes."}, "done_reason": "stop"}, "Yes.", "stop"),
        ('{"label": "yes"}', '{"label": "yes"}', None),
        ('{"response": "yes"}', '{"response": "yes"}', None),
        ({"label": "yes"}, '{"label":"yes"}', None),
        ("[1, 2]", "[1, 2]", None),
    ],
)
def test_what_was_said(value: Any, response: str, finish: str | None) -> None:
    """Bodies and messages of every API; JSON of none of them is the answer itself."""
    found = said(value)
    assert found is not None
    assert (found.response, found.finish) == (response, finish)


@pytest.mark.parametrize(
    "value",
    [
        "",
        None,
        {},
        [],
        {"choices": []},
        {"choices": [{"message": {"content": ""}}]},
        {"output": [{"type": "reasoning"}]},
    ],
)
def test_nothing_was_said(value: Any) -> None:
    """Empty is not an answer."""
    assert said(value) is None


@pytest.mark.parametrize(
    "value",
    [
        {
            "choices": [
                {
                    "message": {
                        "content": "So:",
                        "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": '{"a":1}'}}],
                    }
                }
            ]
        },
        {
            "role": "assistant",
            "content": [{"type": "text", "text": "So:"}, {"type": "tool_use", "name": "f", "input": {"a": 1}}],
        },
        {
            "output": [
                {"type": "message", "content": [{"type": "output_text", "text": "So:"}]},
                {"type": "function_call", "name": "f", "arguments": '{"a":1}'},
            ]
        },
        {"role": "assistant", "content": "So:", "function_call": {"name": "f", "arguments": '{"a":1}'}},
    ],
)
def test_calls(value: Any) -> None:
    """Of every API the same list; the text beside it is kept apart."""
    found = said(value)
    assert found is not None
    assert (found.response, found.finish, found.text) == ('[{"f":"{\\"a\\":1}"}]', "tool_calls", "So:")


@pytest.mark.parametrize(
    ("usage", "counts"),
    [
        ({"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}, (3, 4)),
        ({"input_tokens": 3, "output_tokens": 4}, (3, 4)),
        (
            {"input_tokens": 3, "output_tokens": 4, "cache_read_input_tokens": 10, "cache_creation_input_tokens": 5},
            (18, 4),
        ),
        ('{"prompt_tokens": 3}', (3, None)),
        ({"total_tokens": 7}, (None, None)),
        (None, (None, None)),
    ],
)
def test_tokens(usage: Any, counts: tuple[int | None, int | None]) -> None:
    """By the names of every API."""
    assert tokens(usage) == counts


words = st.text(alphabet=st.characters(categories=("L", "N", "P")), min_size=1, max_size=8)


@given(
    st.lists(words, min_size=1, max_size=6),
    st.lists(st.sampled_from([" ", "\n", "\t ", "\r\n"]), min_size=6, max_size=6),
)
@settings(max_examples=60, deadline=None)
def test_spacing_makes_no_other_query(parts: list[str], spaces: list[str]) -> None:
    """Nor does the shape that the prompt came in."""
    plain, spaced = " ".join(parts), "".join(part + space for part, space in zip(parts, spaces, strict=False))
    ids = {found.query_id for found in map(asked, (plain, spaced, [{"role": "user", "content": spaced}])) if found}
    assert len(ids) == 1


def test_other_questions_are_other_queries() -> None:
    """A role, a turn, a letter's case, the tools on offer: each makes another one."""
    tools = [{"function": {"name": "f"}}]
    bodies: list[Any] = ["hi", "Hi", [{"role": "system", "content": "hi"}], [TURN, TURN]]
    bodies.append({"messages": [TURN], "tools": tools})
    assert len({found.query_id for found in map(asked, bodies) if found}) == len(bodies)


def test_the_form_of_letters_makes_no_other_query() -> None:
    """Composed or not, they look the same."""
    assert len({found.query_id for found in map(asked, ("caf\u00e9", "cafe\u0301")) if found}) == 1


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from(["", "user", "text", "assistant", "x"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "role",
                    "content",
                    "type",
                    "text",
                    "messages",
                    "choices",
                    "message",
                    "tool_calls",
                    "function",
                    "name",
                    "output",
                    "input",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(json_values)
@settings(max_examples=100, deadline=None)
def test_any_json_is_read_without_an_error(value: Any) -> None:
    """A log holds what it holds."""
    for given_value in (value, json.dumps(value)):
        question, reply = asked(given_value), said(given_value)
        assert question is None or question.query_id.startswith("q-")
        assert reply is None or reply.response
