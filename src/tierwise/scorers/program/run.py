"""A small Python program, worked out node by node without running anything.

A walk of the syntax tree that knows a part of the language: assignments, operators, conditions, loops, lists,
dictionaries, sets, comprehensions, functions, `try`, and dates. There is no import, no attribute but a few named
ones, no exec, and a limit on steps, depth and sizes, so whoever wrote the program it is safe to look at. What is not
known, what would be left to chance (the order of a set), and what is too large raises CannotRun; what the program does
wrong raises Python's own errors (WRONG).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from typing import Any

from tierwise.scorers.program.expressions import EXPRESSIONS
from tierwise.scorers.program.state import Break, Continue, Return
from tierwise.scorers.program.statements import STATEMENTS
from tierwise.scorers.program.values import CannotRun, weight

STEPS = 5_000  # nodes that are worked out
DEPTH = 40  # of nested nodes
# The parser warns of these, and a warning would quote the program.
_WARNS = re.compile(r"\\[^\\'\"abfnrtvxuUN0-7\n]|[0-9](?:and|or|if|in|is|else|for|not)\b")


def parsed(source: str) -> list[ast.stmt]:
    """Raises CannotRun where it is no Python."""
    if _WARNS.search(source):
        raise CannotRun
    try:
        return ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise CannotRun from error


class Run:
    """One program's state: what is left of its steps, and what is visible now."""

    def __init__(self, steps: int = STEPS) -> None:
        self.left = steps
        self.depth = 0
        self.names: dict[str, Any] = {}
        self.last: Any = None  # the value that was assigned or printed last
        self.printed: list[str | None] = []

    def work(self, part: Callable[[], Any]) -> Any:
        """What a part of the program gives, from outside of all others."""
        try:
            return part()
        except (Break, Continue, Return, RecursionError, MemoryError) as error:
            raise CannotRun from error

    def value(self, node: ast.expr) -> Any:
        work = EXPRESSIONS.get(type(node))
        if work is None:
            raise CannotRun
        value = self._within(lambda: work(self, node))
        self.spend(weight(value) // 8)
        return value

    def block(self, nodes: list[ast.stmt]) -> None:
        for node in nodes:
            work = STATEMENTS.get(type(node))
            if work is None:
                raise CannotRun
            self._within(lambda work=work, node=node: work(self, node))  # type: ignore[misc]

    def spend(self, steps: int) -> None:
        self.left -= steps
        if self.left < 0:
            raise CannotRun

    def _within(self, work: Callable[[], Any]) -> Any:
        self.spend(1)
        self.depth += 1
        if self.depth > DEPTH:
            raise CannotRun
        try:
            return work()
        finally:
            self.depth -= 1
