"""Rules that need no score."""

from __future__ import annotations

from typing import Any

import pytest

from tests.core.plans import CHEAP, PREMIUM, request, route
from tierwise.core import policy
from tierwise.types import Tool


@pytest.mark.parametrize(
    ("changes", "tags", "tiers", "rule"),
    [
        ({}, (), (CHEAP, PREMIUM), "checks"),
        ({"mode": "premium"}, (), (PREMIUM,), "mode:premium"),
        ({"mode": "observe"}, (), (PREMIUM,), "mode:observe"),
        ({"uncertified": "observe"}, (), (PREMIUM,), "uncertified"),
        ({"floor": frozenset({"legal", "medical"})}, ("medical", "x"), (PREMIUM,), "floor:medical"),
        ({"floor": frozenset({"legal"})}, ("x",), (CHEAP, PREMIUM), "checks"),
        ({"tiers": (CHEAP,), "mode": "premium"}, (), (CHEAP,), "direct"),
    ],
)
def test_path(changes: dict[str, Any], tags: tuple[str, ...], tiers: tuple[Any, ...], rule: str) -> None:
    """Modes, floors and missing certificates only ever lead upwards."""
    assert policy.path(request(tags=frozenset(tags)), route(**changes)) == (tiers, rule)


@pytest.mark.parametrize(
    ("asked", "hold", "expected"),
    [
        ({"stream": True}, "window", "window"),
        ({"stream": True}, "none", "none"),
        ({"stream": True}, "draft", "draft"),
        ({}, "none", "draft"),
        ({"stream": True, "json_answer": True}, "window", "draft"),
        ({"stream": True, "tools": (Tool("f"),)}, "window", "draft"),
        ({"stream": True, "n": 2}, "window", "draft"),
    ],
)
def test_hold(asked: dict[str, Any], hold: str, expected: str) -> None:
    """Only what can be judged by its beginning is held by a window."""
    assert policy.hold(request(**asked), route(hold=hold)) == expected
