"""How each expression that is known is worked out. Knows no statement."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from tierwise.scorers.program.methods import field, formatted, method, printed
from tierwise.scorers.program.parts import bind, called, items, place
from tierwise.scorers.program.state import State
from tierwise.scorers.program.values import CONSTANTS, FUNCTIONS, MODULES, OPERATORS, CannotRun, weight

Many = TypeVar("Many", list[Any], set[Any], dict[Any, Any])


def _constant(run: State, node: ast.Constant) -> Any:
    if node.value is None or isinstance(node.value, (bool, int, float, str)):
        return node.value
    raise CannotRun


def name(run: State, node: ast.Name) -> Any:
    for names in (run.names, FUNCTIONS, CONSTANTS):
        if node.id in names:
            return names[node.id]
    raise CannotRun


def operator(node: ast.AST) -> Callable[[Any, Any], Any]:
    found = OPERATORS.get(type(node).__name__)
    if found is None:
        raise CannotRun
    return found


def _binary(run: State, node: ast.BinOp) -> Any:
    return operator(node.op)(run.value(node.left), run.value(node.right))


def _unary(run: State, node: ast.UnaryOp) -> Any:
    return operator(node.op)(None, run.value(node.operand))


def _boolean(run: State, node: ast.BoolOp) -> Any:
    wanted, value = isinstance(node.op, ast.Or), None
    for part in node.values:
        value = run.value(part)
        if bool(value) is wanted:
            break
    return value


def _compare(run: State, node: ast.Compare) -> bool:
    left = run.value(node.left)
    for comparison, part in zip(node.ops, node.comparators, strict=True):
        right = run.value(part)
        if not operator(comparison)(left, right):
            return False
        left = right
    return True


def _conditional(run: State, node: ast.IfExp) -> Any:
    return run.value(node.body if run.value(node.test) else node.orelse)


def _many(run: State, node: ast.List | ast.Tuple | ast.Set) -> Any:
    kind: dict[type, Callable[[list[Any]], Any]] = {ast.List: list, ast.Tuple: tuple, ast.Set: set}
    return kind[type(node)]([run.value(part) for part in node.elts])


def _dict(run: State, node: ast.Dict) -> dict[Any, Any]:
    if any(key is None for key in node.keys):
        raise CannotRun
    return {run.value(key): run.value(value) for key, value in zip(node.keys, node.values, strict=True) if key}


def subscript(run: State, node: ast.Subscript) -> Any:
    container = run.value(node.value)
    return container[place(run, node.slice)]


def _attribute(run: State, node: ast.Attribute) -> Any:
    module = node.value.id if isinstance(node.value, ast.Name) else ""
    if module in MODULES and module not in run.names and node.attr in CONSTANTS:
        return CONSTANTS[node.attr]
    return field(run.value(node.value), node.attr)


def _call(run: State, node: ast.Call) -> Any:
    function = _callee(run, node.func)
    values = [run.value(part) for part in node.args]
    run.spend(sum(map(weight, values)) // 8)
    named = {part.arg: run.value(part.value) for part in node.keywords if part.arg}
    if len(named) != len(node.keywords):
        raise CannotRun
    return function(*values, **named)


def _print(run: State) -> Callable[..., Any]:
    def work(*values: Any, **named: Any) -> Any:
        run.printed.append(None if named else printed(values))
        return values[-1] if values else None

    return work


def _callee(run: State, node: ast.expr) -> Callable[..., Any]:
    if isinstance(node, ast.Name):
        if node.id == "print" and "print" not in run.names:
            return _print(run)
        found = name(run, node)
    elif isinstance(node, ast.Attribute) and _in_module(run, node.value):
        found = FUNCTIONS.get(node.attr)
    elif isinstance(node, ast.Attribute):
        found = method(run.value(node.value), node.attr)
    else:
        found = run.value(node)
    if not callable(found):
        raise CannotRun
    called: Callable[..., Any] = found
    return called


def _in_module(run: State, node: ast.expr) -> bool:
    """`math`, `datetime`, and `datetime.datetime`, unless the program has given the name to something else."""
    if isinstance(node, ast.Attribute):
        return node.attr in MODULES and _in_module(run, node.value)
    return isinstance(node, ast.Name) and node.id in MODULES and node.id not in run.names


def _lambda(run: State, node: ast.Lambda) -> Callable[..., Any]:
    return called(run, node.args, lambda: run.value(node.body))


def _comprehension(run: State, node: ast.ListComp | ast.GeneratorExp) -> list[Any]:
    return _inside(run, lambda: [run.value(node.elt) for _ in _rounds(run, node.generators)])


def _set_comprehension(run: State, node: ast.SetComp) -> set[Any]:
    return _inside(run, lambda: {run.value(node.elt) for _ in _rounds(run, node.generators)})


def _dict_comprehension(run: State, node: ast.DictComp) -> dict[Any, Any]:
    return _inside(run, lambda: {run.value(node.key): run.value(node.value) for _ in _rounds(run, node.generators)})


def _inside(run: State, work: Callable[[], Many]) -> Many:
    """What is bound there is not seen outside."""
    outer, last = run.names, run.last
    run.names = dict(outer)
    try:
        return work()
    finally:
        run.names, run.last = outer, last


def _rounds(run: State, loops: list[ast.comprehension]) -> Iterator[None]:
    if not loops:
        yield
        return
    for item in items(run, loops[0].iter):
        run.spend(1)
        bind(run, loops[0].target, item)
        if all(run.value(test) for test in loops[0].ifs):
            yield from _rounds(run, loops[1:])


def _joined(run: State, node: ast.JoinedStr) -> str:
    return "".join(str(run.value(part)) for part in node.values)


def _formatted(run: State, node: ast.FormattedValue) -> str:
    if node.conversion not in (-1, ord("s")):
        raise CannotRun
    return formatted(run.value(node.value), "" if node.format_spec is None else run.value(node.format_spec))


EXPRESSIONS: dict[type, Callable[[State, Any], Any]] = {
    ast.Constant: _constant,
    ast.Name: name,
    ast.BinOp: _binary,
    ast.UnaryOp: _unary,
    ast.BoolOp: _boolean,
    ast.Compare: _compare,
    ast.IfExp: _conditional,
    ast.List: _many,
    ast.Tuple: _many,
    ast.Set: _many,
    ast.Dict: _dict,
    ast.Subscript: subscript,
    ast.Attribute: _attribute,
    ast.Call: _call,
    ast.Lambda: _lambda,
    ast.ListComp: _comprehension,
    ast.GeneratorExp: _comprehension,
    ast.SetComp: _set_comprehension,
    ast.DictComp: _dict_comprehension,
    ast.JoinedStr: _joined,
    ast.FormattedValue: _formatted,
}
