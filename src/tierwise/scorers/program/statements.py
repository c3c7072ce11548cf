"""How each statement that is known is worked out. Knows no expression."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from tierwise.scorers.program.expressions import name, operator, subscript
from tierwise.scorers.program.parts import bind, called, items, place
from tierwise.scorers.program.state import Break, Continue, Return, State
from tierwise.scorers.program.values import ERRORS, WRONG, CannotRun, ordered


def _assign(run: State, node: ast.Assign) -> None:
    value = run.value(node.value)
    for target in node.targets:
        bind(run, target, value)


def _annotated(run: State, node: ast.AnnAssign) -> None:
    if node.value is not None:
        bind(run, node.target, run.value(node.value))


def _augment(run: State, node: ast.AugAssign) -> None:
    if not isinstance(node.target, (ast.Name, ast.Subscript)):
        raise CannotRun
    before = name(run, node.target) if isinstance(node.target, ast.Name) else subscript(run, node.target)
    value = run.value(node.value)
    if isinstance(before, list) and isinstance(node.op, ast.Add):
        before.extend(ordered(value))  # in place: other names for the list see it too
    elif isinstance(before, (list, set, dict)):
        raise CannotRun
    else:
        before = operator(node.op)(before, value)
    bind(run, node.target, before)


def _delete(run: State, node: ast.Delete) -> None:
    for target in node.targets:
        if isinstance(target, ast.Name) and target.id in run.names:
            del run.names[target.id]
        elif isinstance(target, ast.Subscript):
            container = run.value(target.value)
            del container[place(run, target.slice)]
        else:
            raise CannotRun


def _expression(run: State, node: ast.Expr) -> None:
    if isinstance(node.value, ast.Constant):  # a docstring
        return
    value = run.value(node.value)
    if value is not None:
        run.last = value


def _if(run: State, node: ast.If) -> None:
    run.block(node.body if run.value(node.test) else node.orelse)


def _for(run: State, node: ast.For) -> None:
    for item in items(run, node.iter):
        run.spend(1)
        bind(run, node.target, item)
        if _broken_off(run, node.body):
            return
    run.block(node.orelse)


def _while(run: State, node: ast.While) -> None:
    while run.value(node.test):
        if _broken_off(run, node.body):
            return
    run.block(node.orelse)


def _broken_off(run: State, body: list[ast.stmt]) -> bool:
    """One round of a loop: whether it was the last."""
    try:
        run.block(body)
    except Break:
        return True
    except Continue:
        pass
    return False


def _try(run: State, node: ast.Try) -> None:
    if node.finalbody:
        raise CannotRun
    try:
        run.block(node.body)
    except WRONG as error:
        for handler in node.handlers:
            if _handles(handler, error):
                run.block(handler.body)
                return
        raise
    run.block(node.orelse)


def _handles(handler: ast.ExceptHandler, error: Exception) -> bool:
    if handler.name is not None:
        raise CannotRun
    if handler.type is None:
        return True
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    known = [ERRORS.get(kind.id) if isinstance(kind, ast.Name) else None for kind in kinds]
    if None in known:
        raise CannotRun
    return isinstance(error, tuple([kind for kind in known if kind is not None]))


def _function(run: State, node: ast.FunctionDef) -> None:
    if node.decorator_list:
        raise CannotRun
    inside = [part for statement in node.body for part in ast.walk(statement)]
    own = frozenset({part.id for part in inside if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)})
    run.names[node.name] = called(run, node.args, lambda: run.block(node.body), own)


def _return(run: State, node: ast.Return) -> None:
    raise Return(None if node.value is None else run.value(node.value))


def _jump(run: State, node: ast.Break | ast.Continue) -> None:
    raise Break if isinstance(node, ast.Break) else Continue


STATEMENTS: dict[type, Callable[[State, Any], None]] = {
    ast.Assign: _assign,
    ast.AnnAssign: _annotated,
    ast.AugAssign: _augment,
    ast.Delete: _delete,
    ast.Expr: _expression,
    ast.If: _if,
    ast.For: _for,
    ast.While: _while,
    ast.Try: _try,
    ast.FunctionDef: _function,
    ast.Return: _return,
    ast.Break: _jump,
    ast.Continue: _jump,
    # The names that programs may use are there already.
    **dict.fromkeys((ast.Pass, ast.Import, ast.ImportFrom), lambda *_: None),
}
