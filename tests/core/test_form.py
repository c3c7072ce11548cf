"""How a form of the answer is asked for, and what that takes at the most."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.core.plans import CHEAP, request
from tierwise.core import form
from tierwise.types import Model, Structured, Tool

SCHEMA = {"type": "object"}
DEEP = Model("deep", "deepseek", "d")
FORMED: dict[str, Any] = {"json_answer": True, "schema": SCHEMA}


def by(how: Structured, model: Model = CHEAP) -> Model:
    return msgspec.structs.replace(model, structured=how)


@pytest.mark.parametrize(
    ("model", "fields", "way"),
    [
        (by("retry"), {}, "native"),
        (by("tool"), {}, "native"),
        (CHEAP, FORMED, "native"),
        (by("retry"), FORMED, "retry"),
        (by("retry"), {"json_answer": True}, "retry"),
        (by("tool"), FORMED, "tool"),
        (by("tool"), {"json_answer": True}, "retry"),
        (by("tool"), FORMED | {"schema": {"type": "array"}}, "retry"),
        (by("tool"), FORMED | {"tools": (Tool("f"),)}, "retry"),
        (by("tool"), FORMED | {"foreign": ("a tool of type x",)}, "retry"),
        (DEEP, FORMED, "retry"),
        (DEEP, {"json_answer": True}, "native"),
        (by("tool", DEEP), FORMED, "tool"),
    ],
)
def test_ways(model: Model, fields: dict[str, Any], way: str) -> None:
    """As the model's table says, and in words what no single tool could say."""
    assert form.way(model, request(**fields)) == way


def test_calls() -> None:
    """Every try is a call of its own, and is sent what was wrong before."""
    asked = request(max_output=100, **FORMED)
    words = by("retry")
    tried = [(words, 512), (words, 512 + 612), (words, 512 + 2 * 612)]
    assert list(form.calls(asked, (CHEAP, by("tool"), words))) == [(CHEAP, 0), (by("tool"), 512), *tried]
    assert list(form.calls(request(**FORMED), (words,)))[1] == (words, 512 + CHEAP.max_output + 512)
    assert list(form.calls(request(), (words,))) == [(words, 0)]
