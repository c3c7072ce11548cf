"""Schemas from clients: what they may say, and that no schema can reach out, blow up or take long."""

from __future__ import annotations

import socket
from contextlib import suppress
from time import thread_time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tierwise.errors import CheckFailed
from tierwise.scorers.schema import broken_rule

CHARS = 1000


def test_the_same_schema_in_another_order_is_the_same() -> None:
    """Order of keys does not matter, and a schema is not changed by its use."""
    one: dict[str, Any] = {"type": "object", "required": ["a"]}
    other = {"required": ["a"], "type": "object"}
    assert broken_rule(one, {}, CHARS) == broken_rule(other, {}, CHARS) == "/required"
    assert one == {"type": "object", "required": ["a"]}


def test_nothing_is_fetched() -> None:
    """A reference to a server or a file raises, and no connection is made."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        server.settimeout(0.05)
        port = server.getsockname()[1]
        for target in (f"http://127.0.0.1:{port}/s", "file:///etc/hostname", "other.json", "//host/s"):
            for word in ("$ref", "$dynamicRef", "$recursiveRef"):
                with pytest.raises(CheckFailed):
                    broken_rule({"properties": {"a": {word: target}}}, {"a": 1}, CHARS)
        with pytest.raises(CheckFailed):
            broken_rule({"$schema": f"http://127.0.0.1:{port}/meta"}, {}, CHARS)
        with pytest.raises(TimeoutError):
            server.accept()


def test_references_inside_work() -> None:
    """Definitions, and schemas that refer to themselves level by level, are followed."""
    node = {"type": "object", "properties": {"next": {"anyOf": [{"$ref": "#/$defs/a~1b"}, {"type": "null"}]}}}
    schema: dict[str, Any] = {"$ref": "#/$defs/a~1b", "$defs": {"a/b": node}}
    assert broken_rule(schema, {"next": {"next": None}}, CHARS) is None
    assert broken_rule(schema, {"next": {"next": 7}}, CHARS) is not None
    assert (
        broken_rule({"properties": {"kids": {"items": {"$ref": "#"}}}, "required": ["kids"]}, {"kids": []}, CHARS)
        is None
    )
    by_place = {"anyOf": [{"type": "object"}, {"type": "null"}], "properties": {"a": {"$ref": "#/anyOf/1"}}}
    assert broken_rule(by_place, {"a": None}, CHARS) is None


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "nonsense"},
        {"$ref": "#/nowhere"},
        {"$ref": "#anchor"},
        {"$ref": 7},
        {"$ref": "#/%24defs/a", "$defs": {"a": {}}},
        {"pattern": "("},
        {"pattern": "(?=a)b"},
        {"pattern": "((a{1000}){1000}){1000}"},
        {"$ref": "#"},
        {"allOf": [{"$ref": "#"}]},
        {"$ref": "#/$defs/a", "$defs": {"a": {"$id": "http://a.example/", "$ref": "#/$defs/b"}}},
        {"description": "a" * 70_000},
        pytest.param({"const": object()}, id="no JSON"),
        {"allOf": [{"pattern": f"a{i}"} for i in range(101)]},
        {"patternProperties": {f"a{i}": {} for i in range(101)}},
        {"allOf": [{"$schema": "http://json-schema.org/draft-04/schema#", "id": "http://a.example/"}]},
        {
            "$defs": {f"d{i}": {"properties": {"a": {"$ref": f"#/$defs/d{(i + 1) % 600}"}}} for i in range(600)},
            "$ref": "#/$defs/d0",
        },
    ],
    ids=str,
)
def test_a_schema_that_can_not_run_raises(schema: dict[str, Any]) -> None:
    """Invalid schemas, dead ends, circles and patterns that could backtrack: a short error, no text of theirs."""
    with pytest.raises(CheckFailed) as caught:
        broken_rule(schema, {}, CHARS)
    assert len(str(caught.value)) < 80


def bomb(levels: int) -> dict[str, Any]:
    """Each level refers twice to the next: one value is looked at 2^levels times."""
    parts: dict[str, Any] = {f"d{i}": {"allOf": [{"$ref": f"#/$defs/d{i + 1}"}] * 2} for i in range(levels)}
    return {"$ref": "#/$defs/d0", "$defs": {**parts, f"d{levels}": {"type": "object"}}}


@pytest.mark.unmeasured
def test_a_bomb_of_references_is_not_run() -> None:
    """What would take hours is refused within milliseconds; a small one is just run."""
    began = thread_time()
    with pytest.raises(CheckFailed):
        broken_rule(bomb(40), {}, CHARS)
    assert thread_time() - began < 0.05
    assert broken_rule(bomb(5), {}, CHARS) is None


@pytest.mark.unmeasured
def test_a_bomb_of_levels_is_not_run() -> None:
    """A schema that doubles with every level of the document is refused where the document is deep, not before."""
    again = {"$ref": "#"}
    schema: dict[str, Any] = {"properties": {"a": {"allOf": [again, again]}}}
    shallow: dict[str, Any] = {"a": {"a": {}}}
    deep: dict[str, Any] = {}
    for _ in range(50):
        deep = {"a": deep}
    assert broken_rule(schema, shallow, CHARS) is None
    began = thread_time()
    with pytest.raises(CheckFailed):
        broken_rule(schema, deep, CHARS)
    assert thread_time() - began < 0.05
    flat: dict[str, Any] = {"properties": {"a": {"$ref": "#"}}}
    too_deep: dict[str, Any] = {}
    for _ in range(100):
        too_deep = {"a": too_deep}
    assert broken_rule(flat, too_deep, CHARS) is None  # deep, but every value is looked at once
    with pytest.raises(CheckFailed):
        broken_rule(flat, too_deep, 100_000_000)  # too long for that to be known without counting


def test_a_document_that_the_library_does_not_take_raises() -> None:
    """Half a character, which JSON text can't hold, is an error of ours."""
    with pytest.raises(CheckFailed):
        broken_rule({"type": "string"}, "\ud800", CHARS)


@pytest.mark.unmeasured
def test_patterns_take_linear_time() -> None:
    """A pattern made to backtrack does not."""
    began = thread_time()
    assert broken_rule({"pattern": "^(a+)+$"}, "a" * 16_000 + "b", 16_000) == "/pattern"
    assert thread_time() - began < 0.1


@pytest.mark.unmeasured
def test_many_large_patterns_are_soon_compiled_or_refused() -> None:
    """Neither compiling nor matching as many patterns as may be takes long."""
    schema: dict[str, Any] = {"allOf": [{"pattern": f"(\\w{{40}}|a{i}){{10}}|^"} for i in range(100)]}
    began = thread_time()
    with suppress(CheckFailed):
        broken_rule(schema, "a" * 900, CHARS)
    assert thread_time() - began < 1.0


def test_a_deep_document_of_a_deep_schema_is_followed() -> None:
    """Lists, keys and strings all count as work, and ordinary recursion over them passes."""
    tree: dict[str, Any] = {
        "type": "object",
        "properties": {"v": {"type": "string"}, "kids": {"type": "array", "items": {"$ref": "#"}}},
        "patternProperties": {"^x-": {"oneOf": [{"type": "string"}, {"type": "null"}]}},
        "additionalProperties": False,
        "dependentSchemas": {"v": {"required": ["kids"]}},
        "if": {"required": ["x-a"]},
        "then": {"required": ["v"]},
    }
    document: dict[str, Any] = {"v": "leaf", "kids": []}
    for _ in range(20):
        document = {"v": "node", "kids": [document, {"kids": []}], "x-a": None}
    assert broken_rule(tree, document, 100_000_000) is None
    assert broken_rule(tree, {"v": "leaf"}, CHARS) == "/dependentSchemas/v/required"


def test_a_wide_schema_is_no_bomb() -> None:
    """Many properties are many schemas, but each value is looked at by one."""
    schema = {"type": "object", "properties": {f"p{i}": {"type": "string"} for i in range(400)}}
    assert broken_rule(schema, {f"p{i}": "x" for i in range(400)}, 16_000) is None


WORDS = ["$ref", "allOf", "anyOf", "not", "properties", "items", "prefixItems", "patternProperties", "if", "enum",
         "dependentSchemas", "unevaluatedProperties", "type", "$defs", "contains"]  # fmt: skip
LEAVES = st.sampled_from(["#", "#/$defs/a", "object", True, False, 3, None])
SCHEMAS = st.recursive(
    LEAVES, lambda part: st.dictionaries(st.sampled_from([*WORDS, "a"]), part, max_size=4) | st.lists(part, max_size=3)
)


@given(st.dictionaries(st.sampled_from(WORDS), SCHEMAS, max_size=5), st.recursive(st.none() | st.integers() | st.text(),
       lambda part: st.dictionaries(st.sampled_from("ab"), part) | st.lists(part), max_leaves=8))  # fmt: skip
@settings(max_examples=150, deadline=None)
def test_any_schema_ends_in_a_finding_or_an_error_of_ours(schema: dict[str, Any], document: Any) -> None:
    """Whatever a client calls a schema: a place in it, None, or CheckFailed, and soon."""
    began = thread_time()
    try:
        found = broken_rule(schema, document, CHARS)
    except CheckFailed:
        found = None
    assert found is None or found.startswith("/")
    assert thread_time() - began < 0.2
