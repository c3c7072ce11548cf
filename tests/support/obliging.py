"""A provider that does as it is told: it calls the tools that it is given, and fills in the schema that it must.

What suites that others wrote for real models need of an answer, and no more. Reads requests of OpenAI's wires and of
Anthropic's; knows no sockets and no time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from tests.support.shapes import Json, Script, last_text

_FREE = ("auto", "none")


def oblige(script: Script, request: Json) -> Script:
    """The script with what the request asks for: a call, a JSON document, or its own text."""
    asked = last_text(request)
    tools = dict(_tools(request))
    name = _chosen(request, tools)
    if name is not None:
        arguments = msgspec.json.encode(sample(tools[name], asked)).decode()
        return msgspec.structs.replace(script, text="", tool_calls=((name, arguments),))
    schema = _schema(request)
    if schema is None and "JSON" in asked:  # the keys that it names
        schema = {"type": "object", "properties": {key: {"type": "string"} for key in re.findall(r"'(\w+)'", asked)}}
    if schema is None:
        return script
    return msgspec.structs.replace(script, text=msgspec.json.encode(sample(schema, asked)).decode())


def sample(schema: Json, asked: str, root: Json | None = None) -> Any:
    """A value that satisfies `schema`, from numbers and quoted words of the prompt where it has some."""
    root = schema if root is None else root
    schema = _resolved(schema, root)
    if "const" in schema or "enum" in schema:
        return schema["const"] if "const" in schema else schema["enum"][0]
    kind = schema.get("type", "object")
    match kind[0] if isinstance(kind, list) else kind:
        case "object":
            return {name: sample(inner, asked, root) for name, inner in schema.get("properties", {}).items()}
        case "array":
            return [sample(schema.get("items", {}), asked, root)]
        case "integer" | "number":
            return int((re.findall(r"\d+", asked) or ["7"])[0])
        case "boolean":
            return True
        case "null":
            return None
    return (re.findall(r"'([^']+)'", asked) or ["some words"])[0]


def _resolved(schema: Json, root: Json) -> Json:
    """What a reference, or the first of several forms, stands for."""
    for key in ("anyOf", "oneOf", "allOf"):
        if key in schema:
            return _resolved(schema[key][0], root)
    if "$ref" not in schema:
        return schema
    found: Any = root
    for step in schema["$ref"].removeprefix("#/").split("/"):
        found = found[step]
    return _resolved(found, root)


def _tools(request: Json) -> Iterator[tuple[str, Json]]:
    for tool in request.get("tools") or []:
        function = tool.get("function", tool)
        yield function["name"], function.get("parameters") or function.get("input_schema") or {"type": "object"}


def _chosen(request: Json, tools: dict[str, Json]) -> str | None:
    """The tool to call. None where it must not, or need not because the last turn is a tool's result."""
    choice = request.get("tool_choice") or "auto"
    if isinstance(choice, dict):
        choice = choice.get("function", choice).get("name") or choice["type"]
    if not tools or choice == "none" or (choice in _FREE and _answered(request)):
        return None
    return choice if choice in tools else next(iter(tools))


def _answered(request: Json) -> bool:
    asked = request.get("messages") or request["input"]
    last = asked[-1] if isinstance(asked, list) else {}
    content = last.get("content")
    blocks = content if isinstance(content, list) else []
    return (
        last.get("role") == "tool"
        or last.get("type") == "function_call_output"
        or any(block.get("type") == "tool_result" for block in blocks)
    )


def _schema(request: Json) -> Json | None:
    options = request.get("output_config") or request.get("text") or {}
    wanted: Json = request.get("response_format") or options.get("format") or {}
    found: Json | None = wanted.get("json_schema", wanted).get("schema")
    return found
