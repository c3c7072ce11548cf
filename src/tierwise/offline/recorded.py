"""A recorded row as the core sees it: the request that was asked, and the answer that a model gave.

Knows the conventions of the outcomes table (`extra` may hold `tools`, `messages` and `finish`; tool calls stand in
`response` as a JSON list, or are written out as Python calls), and nothing of what anybody thinks of an answer.
"""

from __future__ import annotations

import ast
import re
import warnings
from typing import Any

import msgspec

from tierwise.types import Answer, Choice, Finish, Message, Request, Tool, ToolCall

LONGEST_CALLS = 8_000  # characters of calls that are written out as text
_CALLS = re.compile(r"\[\s*[A-Za-z_][\w.]*\(.*\)\s*\]", re.DOTALL)
_FINISH: dict[str, Finish] = {"length": "length", "max_tokens": "length", "content_filter": "content_filter"}


def request_of(query_id: str, prompt: str, category: str, extra: str) -> Request:
    """The request of a row; its category, the task that the operator knows, becomes a tag, in lower case as all are."""
    more = _object(extra)
    messages = tuple(message for item in _items(more.get("messages")) if (message := _message(item)) is not None)
    return Request(
        id=query_id,
        asked="replay",
        messages=messages or (Message("user", prompt),),
        tools=tuple(tool for item in _items(more.get("tools")) if (tool := _tool(item)) is not None),
        tags=frozenset({category.lower()}) if category else frozenset(),
        json_answer=more.get("json_answer") is True,
    )


def answer_of(model: str, response: str | None, extra: str = "") -> Answer:
    """What `model` answered; a row without a response is an answer without a text."""
    text = response or ""
    calls = _calls(text)
    finish = _FINISH.get(str(_object(extra).get("finish", "")), "tool_calls" if calls else "stop")
    return Answer(model, (Choice("" if calls else text, tool_calls=calls, finish=finish),))


def _calls(text: str) -> tuple[ToolCall, ...]:
    if text.lstrip()[:1] != "[":
        return ()
    if '{"' in text[:40]:
        return tuple(_json_calls(text))
    return tuple(_written_calls(text.strip())) if len(text) <= LONGEST_CALLS and _CALLS.fullmatch(text.strip()) else ()


def _json_calls(text: str) -> list[ToolCall]:
    try:
        items = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return []
    calls: list[ToolCall] = []
    for item in items if isinstance(items, list) else []:
        if not isinstance(item, dict) or len(item) != 1:
            return []
        name, arguments = next(iter(item.items()))
        calls.append(ToolCall("", str(name), arguments if isinstance(arguments, str) else _json(arguments)))
    return calls


def _written_calls(text: str) -> list[ToolCall]:
    """`[f(a=1), g(b="x")]`, read and not run; empty where it is anything else."""
    joined = re.sub(r"\]\s*\[", ", ", text)
    with warnings.catch_warnings():  # the parser's would show what was said
        warnings.simplefilter("ignore")
        try:
            tree = ast.parse(joined.replace("\n", " "), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return []
    calls: list[ToolCall] = []
    for node in tree.elts if isinstance(tree, ast.List) else []:
        if not isinstance(node, ast.Call):
            return []
        try:
            arguments = {str(word.arg): ast.literal_eval(word.value) for word in node.keywords}
            calls.append(ToolCall("", ast.unparse(node.func), _json(arguments)))
        except (ValueError, TypeError, RecursionError, MemoryError):
            return []
    return calls


def _json(value: Any) -> str:
    try:
        return msgspec.json.encode(value).decode()
    except (TypeError, ValueError, OverflowError):
        return "{}"


def _message(item: Any) -> Message | None:
    if not isinstance(item, dict) or item.get("role") not in {"system", "developer", "user", "assistant", "tool"}:
        return None
    content = item.get("content")
    if isinstance(content, list):
        content = "\n".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return Message(item["role"], content if isinstance(content, str) else "")


def _tool(item: Any) -> Tool | None:
    function = item.get("function", item) if isinstance(item, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        return None
    parameters = function.get("parameters")
    return Tool(
        function["name"], str(function.get("description", "")), parameters if isinstance(parameters, dict) else None
    )


def _object(text: str) -> dict[str, Any]:
    if not text:
        return {}
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return {}
    return value if isinstance(value, dict) else {}


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
