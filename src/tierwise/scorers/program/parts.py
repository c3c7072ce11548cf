"""What statements and expressions share: names that are bound, loops that go through things, functions."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import Any

from tierwise.scorers.program.state import Return, State
from tierwise.scorers.program.values import CannotRun, ordered


def place(run: State, node: ast.expr) -> Any:
    """An index, a key or a slice."""
    if not isinstance(node, ast.Slice):
        return run.value(node)
    return slice(*[None if part is None else run.value(part) for part in (node.lower, node.upper, node.step)])


def bind(run: State, target: ast.expr, value: Any) -> None:
    if isinstance(target, ast.Name):
        run.names[target.id] = value
        run.last = value
    elif isinstance(target, (ast.Tuple, ast.List)):
        values = list(ordered(value))
        if any(isinstance(part, ast.Starred) for part in target.elts):
            raise CannotRun
        if len(values) != len(target.elts):
            raise ValueError
        for part, item in zip(target.elts, values, strict=True):
            bind(run, part, item)
    elif isinstance(target, ast.Subscript):
        container = run.value(target.value)
        container[place(run, target.slice)] = value
    else:
        raise CannotRun


def items(run: State, node: ast.expr) -> Iterator[Any]:
    """What a loop goes through; a list as it is by then, since its body may change it."""
    found = run.value(node)
    if isinstance(found, dict):
        size = len(found)
        for key in list(found):
            yield key
            if len(found) != size:
                raise CannotRun
        return
    yield from ordered(found)


def called(
    run: State, said: ast.arguments, body: Callable[[], Any], own: frozenset[str] = frozenset()
) -> Callable[..., Any]:
    """A function. It sees what there is where it was written, but for `own`: the names that it binds itself."""
    names = [arg.arg for arg in said.args]
    if said.vararg or said.kwarg or said.kwonlyargs or said.posonlyargs:
        raise CannotRun
    defaults = [run.value(default) for default in said.defaults]
    around = run.names

    def call(*values: Any, **named: Any) -> Any:
        outer = run.names
        given = dict(zip(names[len(names) - len(defaults) :], defaults, strict=True))
        given.update(zip(names, values, strict=False), **named)
        if set(given) != set(names) or len(values) > len(names):
            raise CannotRun
        run.names = {name: value for name, value in around.items() if name not in own} | given
        try:
            return body()
        except Return as returned:
            return returned.value
        finally:
            run.names = outer

    return call
