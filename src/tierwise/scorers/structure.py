"""The free checks `json` and `tools`: what was asked for in a form has that form.

An answer in JSON is parsed whole, however long (to LIMIT): half a document says nothing. Numbers that JSON does
not have (NaN, Infinity) and a code fence around the document are failures; the client would fail on them too.
"""

from __future__ import annotations

from typing import Any

import msgspec

from tierwise.errors import CheckFailed
from tierwise.scorers.schema import broken_rule
from tierwise.types import Answer, Checks, Choice, Evidence, Request, Tool

LIMIT = 1_000_000  # characters of one document
MAX_CALLS = 128  # in one choice


class _NotJson(Exception):
    """The text is no JSON document; never leaves this file."""


def json(request: Request, answer: Answer, checks: Checks) -> Evidence:
    """Where JSON was asked for, every choice's text is one JSON document that satisfies the schema."""
    if not (request.json_answer or request.schema is not None) or not answer.complete:
        return Evidence("json", None)
    looked = False
    for choice in answer.choices:
        if choice.refusal or (choice.tool_calls and not choice.text):
            continue
        looked = True
        try:
            document = _parsed(choice.text)
        except _NotJson:
            return Evidence("json", False, "no JSON document")
        rule = None if request.schema is None else broken_rule(request.schema, document, len(choice.text))
        if rule is not None:
            return Evidence("json", False, f"breaks the schema at {rule}")
    return Evidence("json", True if looked else None)


def tools(request: Request, answer: Answer, checks: Checks) -> Evidence:
    """Every call is of an offered tool and satisfies its schema; a call that must come is there."""
    called = any(choice.tool_calls for choice in answer.choices)
    if not answer.complete or not (called or request.tools):
        return Evidence("tools", None)
    offered = {tool.name: tool for tool in request.tools}
    for choice in answer.choices:
        problem = _calls_problem(request, choice) or _call_problem(offered, choice)
        if problem:
            return Evidence("tools", False, problem)
    return Evidence("tools", True if called else None, "" if called else "no call")


def _calls_problem(request: Request, choice: Choice) -> str:
    """What is wrong with how many calls there are, and of which tool."""
    choose, calls = request.tool_choice, choice.tool_calls
    if choose == "none":
        return "a call, although none was allowed" if calls else ""
    if choose != "auto" and not calls:
        return "no call, although one was required"
    if choose not in {"auto", "required"} and any(call.name != choose for call in calls):
        return "another tool than the required one"
    if len(calls) > 1 and not request.parallel_tools:
        return f"{len(calls)} calls, although one at a time was asked for"
    return f"{len(calls)} calls" if len(calls) > MAX_CALLS else ""


def _call_problem(offered: dict[str, Tool], choice: Choice) -> str:
    for number, call in enumerate(choice.tool_calls, 1):
        tool = offered.get(call.name)
        if tool is None:
            return f"call {number}: no such tool was offered"
        try:
            arguments = _parsed(call.arguments)
        except _NotJson:
            return f"call {number}: arguments are no JSON document"
        if not isinstance(arguments, dict):
            return f"call {number}: arguments are no JSON object"
        rule = None if tool.parameters is None else broken_rule(tool.parameters, arguments, len(call.arguments))
        if rule is not None:
            return f"call {number}: breaks the schema at {rule}"
    return ""


def _parsed(text: str) -> Any:
    if len(text) > LIMIT:
        raise CheckFailed("the document is too long to check")
    try:
        return msgspec.json.decode(text)
    except (ValueError, RecursionError) as error:  # malformed, numbers out of range, lone surrogates, too deep
        raise _NotJson from error
