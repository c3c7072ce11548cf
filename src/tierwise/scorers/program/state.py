"""What the parts of the walk know of a program that is being worked out, and how they leave a block of it."""

from __future__ import annotations

import ast
from typing import Any, Protocol


class State(Protocol):
    """One program's: what is visible now, and what came of it so far."""

    names: dict[str, Any]
    last: Any  # the value that was assigned or printed last
    printed: list[str | None]  # lines; None for one that can't be told

    def value(self, node: ast.expr) -> Any: ...

    def block(self, nodes: list[ast.stmt]) -> None: ...

    def spend(self, steps: int) -> None:
        """Raises CannotRun when none are left."""
        ...


class Break(Exception): ...


class Continue(Exception): ...


class Return(Exception):
    def __init__(self, value: Any) -> None:
        self.value = value
