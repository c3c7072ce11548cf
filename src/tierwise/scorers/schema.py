"""JSON Schemas that come from clients, compiled once and made safe to run.

A schema is hostile input: a reference may not leave the document (nothing is ever fetched), patterns run on an
engine without backtracking, and the work is bounded before it is done: references can make a few hundred bytes
of schema look at one value 2^n times. `_weight` counts how often, from the schema alone; with the document's
shape that bounds the whole validation. What can't be run within the bounds raises CheckFailed.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import jsonschema_rs
import msgspec

from tierwise.errors import CheckFailed

MAX_SCHEMA = 65_536  # bytes, encoded
MAX_DEPTH = 64  # levels of a document under a schema that refers to itself
MAX_CHAIN = 96  # schemas that are open at once while weights are counted; keeps the recursion small
MAX_STEPS = 10_000  # of counting weights
MAX_WORK = 500_000  # looks of a schema at a value (or at a character); about 10 to 50 ns each, measured
MAX_PATTERNS = 100  # in one schema
MAX_PATTERN = 100_000  # bytes of one, compiled: an e-mail address takes less; at most about 0.3 ms to compile
MAX_PLACE = 120  # characters of a place in a schema, in evidence

# Keywords by what their schemas look at: the same value again, or what lies one level deeper.
_SAME_LIST, _SAME_MAP = ("allOf", "anyOf", "oneOf"), ("dependentSchemas", "dependencies")
_SAME = ("not", "if", "then", "else")
_DEEPER = (
    "additionalProperties", "unevaluatedProperties", "propertyNames", "items", "additionalItems", "unevaluatedItems",
    "contains",
)  # fmt: skip
_REFUSED = ("$dynamicRef", "$recursiveRef")

_encoder = msgspec.json.Encoder(order="deterministic")


def broken_rule(schema: dict[str, Any], document: Any, chars: int) -> str | None:
    """The place in the schema that the document (`chars` long as text) breaks, e.g. "/properties/age/type"; else None.

    Raises CheckFailed where the schema is invalid, refers outside itself, or would take too long.
    """
    try:
        key = _encoder.encode(schema)
    except (TypeError, ValueError, RecursionError) as error:
        raise CheckFailed("the schema is no JSON") from error
    if len(key) > MAX_SCHEMA:
        raise CheckFailed("the schema is too long to check")
    validator, weights = _compiled(key)
    if max(weights) * chars > MAX_WORK:
        _bound(document, weights)
    try:
        validator.validate(document)
    except jsonschema_rs.ValidationError as error:
        place = "/".join(str(part) for part in error.schema_path)
        return f"/{place}"[:MAX_PLACE]
    except ValueError as error:  # the binding's own limits, e.g. a document nested too deep
        raise CheckFailed("the document can't be checked") from error
    return None


@lru_cache(maxsize=256)
def _compiled(key: bytes) -> tuple[jsonschema_rs.Validator, tuple[int, ...]]:
    """The validator of an encoded schema, and its weights by level of the document."""
    schema = msgspec.json.decode(key)
    if key.count(b'"$id"') > ("$id" in schema) or (b"draft-04" in key and b'"id":"' in key):
        raise CheckFailed("the schema has parts with their own address")  # it would turn references elsewhere
    if _patterns(schema) > MAX_PATTERNS:
        raise CheckFailed("the schema has too many patterns to check")
    weights = _Weights(schema).levels()
    try:
        options = jsonschema_rs.RegexOptions(size_limit=MAX_PATTERN, dfa_size_limit=MAX_PATTERN)
        return jsonschema_rs.validator_for(schema, pattern_options=options, offline=True), weights
    except ValueError as error:  # ValidationError is one
        raise CheckFailed("the schema is not valid") from error


def _patterns(schema: Any) -> int:
    """How many regular expressions the schema may hold, at most."""
    count, parts = 0, [schema]
    while parts:
        part = parts.pop()
        if isinstance(part, dict):
            named = part.get("patternProperties")
            count += ("pattern" in part) + (len(named) if isinstance(named, dict) else 0)
        parts.extend(_values(part))
    return count


def _bound(document: Any, weights: tuple[int, ...]) -> None:
    """Raise CheckFailed where the looks at all the document's values come to more than MAX_WORK."""
    level, depth, work = [document], 0, 0
    while level:
        weight = weights[depth] if depth < len(weights) else 0
        if depth >= MAX_DEPTH and weights[-1]:
            raise CheckFailed("the document is nested too deep to check")
        below: list[Any] = []
        for value in level:
            work += weight * (1 + len(value) if isinstance(value, str) else 1)
            if isinstance(value, dict):
                below.extend(value.values())
                work += weight * len(value)
            elif isinstance(value, list):
                below.extend(value)
        if work > MAX_WORK:
            raise CheckFailed("the schema would take too long to check")
        level, depth = below, depth + 1


class _Weights:
    """How many times, at most, a schema looks at one value that lies `depth` levels down in a document."""

    def __init__(self, root: Any) -> None:
        self._root = root
        self._known: dict[tuple[int, int], int] = {}
        self._open: set[tuple[int, int]] = set()

    def levels(self) -> tuple[int, ...]:
        """Weights from the top down; the last is 0 unless the schema refers to itself."""
        weights: list[int] = []
        while len(weights) < MAX_DEPTH and (not weights or weights[-1]):
            weights.append(self._weight(self._root, len(weights)))
        return tuple(weights)

    def _weight(self, node: Any, depth: int) -> int:
        if not isinstance(node, dict):
            return 0 if depth else 1
        key = id(node), depth
        if key in self._known:
            return self._known[key]
        if key in self._open:
            raise CheckFailed("the schema refers to itself without going deeper")
        if len(self._open) >= MAX_CHAIN or len(self._known) >= MAX_STEPS:
            raise CheckFailed("the schema is too large to check")
        self._open.add(key)
        weight = 0 if depth else 1
        for part in self._same(node):
            weight += self._weight(part, depth)
        if depth:
            weight += self._deeper(node, depth - 1)
        if "unevaluatedProperties" in node or "unevaluatedItems" in node:
            weight *= 2  # what the parts have seen is asked a second time
        self._open.remove(key)
        self._known[key] = weight
        return weight

    def _same(self, node: dict[str, Any]) -> Iterator[Any]:
        for word in _SAME_LIST:
            yield from _values(node.get(word))
        for word in _SAME_MAP:
            yield from _values(node.get(word))
        for word in _SAME:
            if word in node:
                yield node[word]
        if "$ref" in node:
            yield self._target(node["$ref"])
        if any(word in node for word in _REFUSED):
            raise CheckFailed("the schema has a dynamic reference")

    def _deeper(self, node: dict[str, Any], depth: int) -> int:
        # A key of an object has one name, an item of a list one position: of those schemas only one looks at it.
        weight = max((self._weight(part, depth) for part in _values(node.get("properties"))), default=0)
        weight += max((self._weight(part, depth) for part in _values(node.get("prefixItems"))), default=0)
        weight += sum(self._weight(part, depth) for part in _values(node.get("patternProperties")))
        for word in _DEEPER:
            part = node.get(word)
            if isinstance(part, list):
                weight += max((self._weight(item, depth) for item in part), default=0)
            elif part is not None:
                weight += self._weight(part, depth)
        return weight

    def _target(self, reference: Any) -> Any:
        """What a reference points to: a place in this document, given as "#" or "#/a/b"."""
        local = isinstance(reference, str) and (reference == "#" or reference.startswith("#/"))
        if not local or "%" in reference:
            raise CheckFailed("the schema refers outside itself")
        node = self._root
        for part in reference.split("/")[1:]:
            name = part.replace("~1", "/").replace("~0", "~")
            if isinstance(node, list) and name.isdecimal() and int(name) < len(node):
                node = node[int(name)]
            elif isinstance(node, dict) and name in node:
                node = node[name]
            else:
                raise CheckFailed("the schema refers to a place that it does not have")
        return node


def _values(part: Any) -> Iterator[Any]:
    if isinstance(part, dict):
        yield from part.values()
    elif isinstance(part, list):
        yield from part
