"""What is kept of a request and its answers, and what comes back of it."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.plans import CHEAP, answer, request
from tierwise.core.kept import answer_of, request_of, said_of, texts_of, turns_of
from tierwise.money import Entry
from tierwise.proof import Called, Offered, Said, Texts, Turn
from tierwise.types import Answer, Choice, Foreign, Image, Message, Request, Text, Tool, ToolCall, Usage

ENTRY = Entry("cheap", "c-1", "observe", Usage(9, 3), 1_234, "computed", "consulted", "about:r", 5.0, 1_500.0)
LONE = "\ud800"


def said(choice: Choice) -> Said:
    return said_of(Answer("cheap", (choice,)), ENTRY)


def texts(asked: Request, *answers: Said) -> Texts:
    found = texts_of(asked, "support", 7, answers)
    assert found is not None
    return found


# ------------------------------------------------------------------ answers


def test_what_an_answer_was() -> None:
    """Its model and text, how it ended, and what it took; as an outcome has it."""
    kept = said_of(answer(CHEAP), ENTRY)
    assert kept == Said(
        model="cheap", response="four", finish="stop", input_tokens=9, output_tokens=3, nanos=1_234, seconds=1.5
    )
    assert answer_of(kept) == Answer("cheap", (Choice("four", finish="stop"),))


def test_an_answer_without_words() -> None:
    """A refusal in a field of its own is what was said; of an answer without a choice nothing was."""
    assert said(Choice(refusal="I can't.")).response == "I can't."
    assert said(Choice("Well.", refusal="I can't.")).response == "Well."
    assert said_of(Answer("cheap", ()), ENTRY).response == ""
    assert answer_of(said_of(Answer("cheap", ()), ENTRY)).text == ""


def test_only_the_first_choice_counts() -> None:
    """A client may have asked for several; whoever is asked beside it gives one."""
    assert said_of(Answer("cheap", (Choice("one"), Choice("two"))), ENTRY).response == "one"


def test_tool_calls() -> None:
    """As a JSON list, in their order, twice the same where it was so; they come back without ids."""
    calls = (ToolCall("a", "get", '{"n": 1}'), ToolCall("b", "get", '{"n": 1}'), ToolCall("c", "put", "no {json"))
    kept = said(Choice("I'll look.", tool_calls=calls, finish="tool_calls"))
    assert msgspec.json.decode(kept.response) == [{"get": '{"n": 1}'}, {"get": '{"n": 1}'}, {"put": "no {json"}]
    (back,) = answer_of(kept).choices
    assert back == Choice(tool_calls=tuple(ToolCall("", c.name, c.arguments) for c in calls), finish="tool_calls")


@pytest.mark.parametrize(("finish", "kept"), [(None, "tool_calls"), ("stop", "tool_calls"), ("length", "length")])
def test_a_call_is_a_call_however_it_ended(finish: Any, kept: str) -> None:
    """Some providers end with "stop" where a tool was forced; a call that was cut off is none."""
    one = said(Choice(tool_calls=(ToolCall("a", "get", "{}"),), finish=finish))
    assert one.finish == kept
    assert bool(answer_of(one).choices[0].tool_calls) == (kept == "tool_calls")


@pytest.mark.parametrize("response", ["", "[", "{}", "[1]", '[{"get": 1}]', '"text"', "[]", f'[{{"get": "{LONE}"}}]'])
def test_stored_calls_that_are_none(response: str) -> None:
    """They are a text, and nothing raises."""
    found = answer_of(Said(model="cheap", response=response, finish="tool_calls"))
    assert found.choices == (Choice(response, finish="tool_calls"),)


@pytest.mark.parametrize("finish", ["stop", "length", "content_filter", "tool_calls"])
def test_how_it_ended(finish: Any) -> None:
    """Comes back as it was, and text that looks like calls stays a text unless it ended as calls do."""
    assert answer_of(said(Choice("four", finish=finish))).choices[0] == Choice("four", finish=finish)
    looks = answer_of(said(Choice('[{"get": "{}"}]', finish=finish))).choices[0]
    assert bool(looks.tool_calls) == (finish == "tool_calls")


def test_an_end_that_nobody_knows() -> None:
    """Counts as an ordinary one: a newer version may have written it. So does an end that nobody told."""
    assert answer_of(Said(model="m", response="x", finish="paused")).choices[0].finish == "stop"
    assert said(Choice("four")).finish == "stop"


# ------------------------------------------------------------------ requests


def test_a_conversation_with_tools() -> None:
    """Turns with their calls, the ids that join them, tools with and without parameters, tags in order."""
    asked = request(
        messages=(
            Message("system", "Be brief."),
            Message("user", (Text("Where is"), Text("my parcel?"))),
            Message("assistant", "", (ToolCall("call_1", "track", '{"n": 1}'),)),
            Message("tool", "in Bremen", (), "call_1"),
        ),
        tools=(Tool("track", "Finds it.", {"type": "object", "properties": {"n": {}}}), Tool("ask"), Tool("e", "", {})),
        tags=frozenset({"legal", "b2b"}),
        json_answer=True,
        stream=True,
        n=2,
        body={"user": msgspec.Raw(b'"somebody"')},
    )
    kept = texts(asked, said_of(answer(CHEAP), ENTRY))
    assert (kept.request_id, kept.route, kept.at_ns, kept.said[0].response) == ("req_1", "support", 7, "four")
    assert kept.messages == (
        Turn("system", "Be brief."),
        Turn("user", "Where is\nmy parcel?"),
        Turn("assistant", "", (Called("call_1", "track", '{"n": 1}'),)),
        Turn("tool", "in Bremen", (), "call_1"),
    )
    assert kept.tools[1:] == (Offered("ask"), Offered("e", "", "{}"))
    assert (kept.tags, kept.json_answer) == (("b2b", "legal"), True)
    assert request_of(kept, "support") == Request(
        id="req_1",
        asked="support",
        messages=(asked.messages[0], Message("user", "Where is\nmy parcel?"), *asked.messages[2:]),
        tools=asked.tools,
        tags=asked.tags,
        json_answer=True,
        dialect="kept",
    )


@pytest.mark.parametrize("part", [Image("https://x/y.png"), Foreign("audio", "openai_chat")])
def test_what_is_not_all_words_is_not_kept(part: Any) -> None:
    """Wherever in the conversation it stands: without it, it would not be the same question."""
    with_part = Message("user", (Text("What is this?"), part))
    assert texts_of(request(messages=(with_part, Message("user", "Well?"))), "r", 0, ()) is None
    assert texts_of(request(messages=(Message("system", "Look."), with_part)), "r", 0, ()) is None


# ------------------------------------------------------------------ any texts

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=5,
)


def requests(words: st.SearchStrategy[str]) -> st.SearchStrategy[Request]:
    calls = st.lists(st.builds(ToolCall, words, words, words), max_size=2).map(tuple)
    content = words | st.lists(st.builds(Text, words), max_size=3).map(tuple)
    roles: st.SearchStrategy[Any] = st.sampled_from(["system", "developer", "user", "assistant", "tool"])
    tool = st.builds(Tool, words, words, st.none() | st.dictionaries(words, JSON | words, max_size=2))
    return st.builds(
        request,
        messages=st.lists(st.builds(Message, roles, content, calls, words), max_size=3).map(tuple),
        tools=st.lists(tool, max_size=2).map(tuple),
        tags=st.frozensets(words, max_size=3),
        json_answer=st.booleans(),
    )


def choices(words: st.SearchStrategy[str]) -> st.SearchStrategy[Choice]:
    calls = st.lists(st.builds(ToolCall, words, words, words), max_size=3).map(tuple)
    ends: st.SearchStrategy[Any] = st.sampled_from([None, "stop", "length", "tool_calls", "content_filter"])
    return st.builds(Choice, words, words, words, calls, ends)


@settings(max_examples=150, deadline=None)
@given(requests(st.text(max_size=12)))
def test_any_request_comes_back(asked: Request) -> None:
    """The same words in the same places, from a file too; and once kept, it no longer changes."""
    kept = texts(asked)
    stored = msgspec.json.decode(msgspec.json.encode(kept), type=Texts)
    back = request_of(stored, "again")
    plain = tuple(msgspec.structs.replace(message, content=message.text) for message in asked.messages)
    assert back == msgspec.structs.replace(asked, asked="again", messages=plain, dialect="kept")
    assert texts(back) == kept


@settings(max_examples=150, deadline=None)
@given(choices(st.text(max_size=12)))
def test_any_answer_comes_back(choice: Choice) -> None:
    """Its calls, or else its words; from a file too."""
    stored = msgspec.json.decode(msgspec.json.encode(said(choice)), type=Said)
    (back,) = answer_of(stored).choices
    calls = [(call.name, call.arguments) for call in choice.tool_calls]
    if calls and choice.finish in (None, "stop", "tool_calls"):
        assert [(call.name, call.arguments) for call in back.tool_calls] == calls
        assert (back.text, back.finish) == ("", "tool_calls")
    elif not calls:
        assert (back.text, back.finish) == (choice.text or choice.refusal, choice.finish or "stop")
    else:
        assert (back.tool_calls, back.finish) == ((), choice.finish)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_halves_of_surrogate_pairs_lose_nothing_else(data: st.DataObject) -> None:
    """Wherever they stand, everything around them can be written to a file and read again."""
    words = st.text(st.sampled_from([LONE, "\udfff", "a", '"', "é", "\U0001f600", "\0"]), max_size=4)
    choice = data.draw(choices(words))
    one = said(choice)
    kept = texts(data.draw(requests(words)), one)
    assert msgspec.json.decode(msgspec.json.encode(kept), type=Texts) == kept
    request_of(kept, "r")
    if not choice.tool_calls:
        assert one.response == re.sub("[\ud800-\udfff]", "?", choice.text or choice.refusal)


def test_people_are_told_of_pictures() -> None:
    """In their place among the words, each on a line of its own; words alone are as they were."""
    shown = Message("user", (Text("Look:"), Image("https://x.example/a.png"), Text("Well?")))
    assert turns_of(request(messages=(Message("system", "Be kind."), shown))) == (
        Turn("system", "Be kind."),
        Turn("user", "Look:\n[a picture, file or sound, which is not kept]\nWell?"),
    )


def test_a_lone_surrogate_is_a_question_mark() -> None:
    """In each field of its own, and nothing beside it changes."""
    turn = Message("tool", f"é{LONE}!", (ToolCall(f"i{LONE}", f"n{LONE}", f"a{LONE}"),), f"t{LONE}")
    tool = Tool(f"n{LONE}", f"d{LONE}", {f"k{LONE}": [f"v{LONE}", 1]})
    kept = texts(request(messages=(turn,), tools=(tool,), tags=frozenset({f"g{LONE}"})), said(Choice(f"w{LONE}é")))
    assert kept.messages == (Turn("tool", "é?!", (Called("i?", "n?", "a?"),), "t?"),)
    assert (kept.tools[0].name, kept.tools[0].description) == ("n?", "d?")
    assert msgspec.json.decode(kept.tools[0].parameters) == {"k?": ["v?", 1]}
    assert (kept.tags, kept.said[0].response) == (("g?",), "w?é")
    called = said(Choice(tool_calls=(ToolCall("", f"n{LONE}", f"a{LONE}"),)))
    assert called.response == '[{"n?":"a?"}]'
