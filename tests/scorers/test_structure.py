"""The checks `json` and `tools`: answers in the form that was asked for."""

from __future__ import annotations

from typing import Any

import pytest

from tests.scorers.build import CHECKS, answer, request, shown
from tierwise.errors import CheckFailed
from tierwise.scorers.structure import LIMIT, json, tools
from tierwise.types import Answer, Choice, Evidence, Request, Tool, ToolCall

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"intent": {"enum": ["card", "loan"]}, "age": {"type": "integer", "minimum": 0}},
    "required": ["intent"],
    "additionalProperties": False,
}


def test_json_is_looked_at_only_where_asked() -> None:
    """Without a wish for JSON, or before the end, there is nothing to look at."""
    assert json(request(), answer("{"), CHECKS).passed is None
    assert json(request(json_answer=True), answer("{", complete=False), CHECKS).passed is None
    assert json(request(json_answer=True), answer("", refusal="No."), CHECKS).passed is None
    call = answer("", tool_calls=(ToolCall("1", "f", "{}"),))
    assert json(request(json_answer=True), call, CHECKS).passed is None


@pytest.mark.parametrize("text", ["{}", ' {"a": [1, 2.5, null]}\n', "[]", "17", '"a"'])
def test_a_document_passes(text: str) -> None:
    """Any one JSON document is JSON."""
    assert json(request(json_answer=True), answer(text), CHECKS).passed is True


@pytest.mark.parametrize(
    "text",
    ["", "Sure!", "{", '{"a": 1} {"b": 2}', "NaN", '{"a": NaN}', "-Infinity", "1e999", '```json\n{"a": 1}\n```',
     "{'a': 1}", '["\ud800"]', "[" * 10_000 + "]" * 10_000, "\ufeff{}"],
)  # fmt: skip
def test_what_a_client_could_not_parse_fails(text: str) -> None:
    """Fences, second documents, numbers that JSON has not, broken characters and endless nesting fail."""
    assert shown(json(request(json_answer=True), answer(text), CHECKS)) == (False, "no JSON document")


def test_the_schema_is_checked_and_its_place_told() -> None:
    """A document that breaks the schema fails; the detail names the rule and quotes nothing."""
    asked = request(schema=SCHEMA)
    assert json(asked, answer('{"intent": "card", "age": 3}'), CHECKS).passed is True
    wrong = {
        '{"intent": "secret"}': "breaks the schema at /properties/intent/enum",
        '{"intent": "card", "age": "secret"}': "breaks the schema at /properties/age/type",
        '{"intent": "card", "secret": 1}': "breaks the schema at /additionalProperties",
        "[]": "breaks the schema at /type",
    }
    for text, detail in wrong.items():
        assert shown(json(asked, answer(text), CHECKS)) == (False, detail)


def test_every_choice_must_be_json() -> None:
    """One choice that is no document fails the answer."""
    assert json(request(json_answer=True, n=2), answer("{}", "no"), CHECKS).passed is False


def test_a_document_over_the_limit_is_not_checked() -> None:
    """A document too long to check is an error of the check, not a pass."""
    with pytest.raises(CheckFailed):
        json(request(json_answer=True), answer('"' + "a" * LIMIT + '"'), CHECKS)


WEATHER = Tool(
    "weather", parameters={"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
)
NOW = Tool("now")


def called(*calls: tuple[str, str], **fields: Any) -> Evidence:
    made = tuple(ToolCall(str(number), name, arguments) for number, (name, arguments) in enumerate(calls))
    asked: Request = request(tools=fields.pop("tools", (WEATHER, NOW)), **fields)
    return tools(asked, answer("", finish="tool_calls", tool_calls=made), CHECKS)


def test_a_fitting_call_passes() -> None:
    """An offered tool with arguments that satisfy its schema; without a schema any object does."""
    assert called(("weather", '{"city": "Rome"}'), ("now", "{}")).passed is True
    assert called(("now", '{"any": 1}')).passed is True


@pytest.mark.parametrize(
    ("name", "arguments", "detail"),
    [
        ("delete", "{}", "call 1: no such tool was offered"),
        ("now", "", "call 1: arguments are no JSON document"),
        ("now", "[]", "call 1: arguments are no JSON object"),
        ("weather", "{}", "call 1: breaks the schema at /required"),
        ("weather", '{"city": 7}', "call 1: breaks the schema at /properties/city/type"),
    ],
)
def test_a_call_that_does_not_fit_fails(name: str, arguments: str, detail: str) -> None:
    """Invented tools and wrong arguments fail, and the detail quotes neither."""
    assert shown(called((name, arguments))) == (False, detail)


def test_the_clients_choice_of_tool_is_kept() -> None:
    """A call that must come is there, of the tool that was named; none comes where none may."""
    assert called(tool_choice="required").passed is False
    assert called(("now", "{}"), tool_choice="required").passed is True
    assert called(("now", "{}"), tool_choice="weather").passed is False
    assert called(tool_choice="weather").passed is False
    assert called(("now", "{}"), tool_choice="none").passed is False
    assert called(("now", "{}"), ("now", "{}"), parallel_tools=False).passed is False
    assert called(*[("now", "{}")] * 129).passed is False


def test_without_a_call_there_is_nothing_to_look_at() -> None:
    """No tools and no call, tools left unused, and windows: no finding."""
    assert tools(request(), answer("Hi."), CHECKS).passed is None
    assert called().passed is None
    assert called(tool_choice="none").passed is None
    half = Answer("cheap", (Choice(tool_calls=(ToolCall("1", "now", '{"a'),)),), complete=False)
    assert tools(request(tools=(NOW,)), half, CHECKS).passed is None


def test_a_call_that_nobody_offered_fails() -> None:
    """A model that calls without being offered a tool is wrong."""
    assert called(("now", "{}"), tools=()).passed is False
