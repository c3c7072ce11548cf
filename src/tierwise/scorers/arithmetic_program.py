"""An answer in the form of a small Python program, worked out without running anything.

`run_arithmetic` walks the syntax tree of a program that assigns its result to `ans`, returns it from `solution()`
or prints it, and knows a small part of the language: assignments, arithmetic, comparisons, conditions, loops,
lists, dictionaries, comprehensions, plain functions, and dates. There is no import, no attribute but a few named
ones, no exec, and a limit on steps, depth and sizes, so the text of a model is safe to look at. Whatever is not
known gives None: such a program has no result here. Idea: program of thoughts (Chen et al., arXiv 2211.12588).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from typing import Any

from tierwise.scorers.program_values import (
    CONSTANTS,
    FUNCTIONS,
    MODULES,
    OPERATORS,
    CannotRun,
    field,
    formatted,
    method,
    told,
    weight,
)

LIMIT = 8_000  # characters of a program
STEPS = 5_000  # nodes that are worked out
DEPTH = 40  # of nested nodes

_FENCE = re.compile(r"```(?:python|py)?[ \t]*\n(.*?)(?:\n[ \t]*```|\Z)", re.DOTALL | re.IGNORECASE)
# The parser warns of these, and a warning would quote the answer.
_WARNS = re.compile(r"\\[^\\'\"abfnrtvxuUN0-7\n]|[0-9](?:and|or|if|in|is|else|for|not)\b")
_RESULTS = ("ans", "answer", "result")


class _Break(Exception): ...


class _Continue(Exception): ...


class _Return(Exception):
    def __init__(self, value: Any) -> None:
        self.value = value


class _Run:
    """One program's state: what is left of its steps, and what is visible now."""

    def __init__(self) -> None:
        self.left = STEPS
        self.depth = 0
        self.names: dict[str, Any] = {}
        self.last: Any = None  # the value that was assigned or printed last

    def value(self, node: ast.expr) -> Any:
        work = _EXPRESSIONS.get(type(node))
        if work is None:
            raise CannotRun
        value = self._within(lambda: work(self, node))
        self.spend(weight(value) // 8)
        return value

    def block(self, nodes: list[ast.stmt]) -> None:
        for node in nodes:
            work = _STATEMENTS.get(type(node))
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


def run_arithmetic(code: str) -> str | None:
    """The program's result: `ans`, else what `solution()` returns, else what was printed or assigned last.

    `code` may stand in a fenced block. None where it is no such program, or too large. Never raises.
    """
    if len(code) > 2 * LIMIT:
        return None
    fenced = _FENCE.findall(code)
    source = (fenced[-1] if fenced else code)[: LIMIT + 1].strip()
    if not source or len(source) > LIMIT or _WARNS.search(source):
        return None
    try:
        tree = ast.parse(source)
        return told(_result(tree.body))
    except (CannotRun, _Break, _Continue, _Return, SyntaxError):
        return None
    except (ArithmeticError, LookupError, TypeError, ValueError, AttributeError):
        return None  # what a program does wrong
    except (RecursionError, MemoryError):
        return None  # nested too deeply for the parser


def _result(body: list[ast.stmt]) -> Any:
    run = _Run()
    run.block(body)
    for name in _RESULTS:
        if name in run.names:
            return run.names[name]
    solution = run.names.get("solution")
    return solution() if callable(solution) else run.last


# ------------------------------------------------------------------ statements


def _assign(run: _Run, node: ast.Assign) -> None:
    value = run.value(node.value)
    for target in node.targets:
        _bind(run, target, value)


def _augment(run: _Run, node: ast.AugAssign) -> None:
    if not isinstance(node.target, (ast.Name, ast.Subscript)):
        raise CannotRun
    before = _name(run, node.target) if isinstance(node.target, ast.Name) else _subscript(run, node.target)
    _bind(run, node.target, _operator(node.op)(before, run.value(node.value)))


def _bind(run: _Run, target: ast.expr, value: Any) -> None:
    if isinstance(target, ast.Name):
        run.names[target.id] = value
        run.last = value
    elif isinstance(target, ast.Tuple):
        values = list(value)
        if len(values) != len(target.elts):
            raise CannotRun
        for part, item in zip(target.elts, values, strict=True):
            _bind(run, part, item)
    elif isinstance(target, ast.Subscript):
        container = run.value(target.value)
        container[run.value(target.slice)] = value
    else:
        raise CannotRun


def _expression(run: _Run, node: ast.Expr) -> None:
    if isinstance(node.value, ast.Constant):  # a docstring
        return
    value = run.value(node.value)
    if value is not None:
        run.last = value


def _if(run: _Run, node: ast.If) -> None:
    run.block(node.body if run.value(node.test) else node.orelse)


def _for(run: _Run, node: ast.For) -> None:
    for item in list(run.value(node.iter)):
        _bind(run, node.target, item)
        try:
            run.block(node.body)
        except _Break:
            return
        except _Continue:
            continue
    run.block(node.orelse)


def _while(run: _Run, node: ast.While) -> None:
    while run.value(node.test):
        try:
            run.block(node.body)
        except _Break:
            return
        except _Continue:
            continue
    run.block(node.orelse)


def _function(run: _Run, node: ast.FunctionDef) -> None:
    names = [arg.arg for arg in node.args.args]
    if node.args.vararg or node.args.kwarg or node.args.kwonlyargs or node.decorator_list:
        raise CannotRun
    defaults = [run.value(default) for default in node.args.defaults]

    def call(*values: Any, **named: Any) -> Any:
        outer = run.names
        given = dict(zip(names[len(names) - len(defaults) :], defaults, strict=True))
        given.update(zip(names, values, strict=False), **named)
        if set(given) != set(names) or len(values) > len(names):
            raise CannotRun
        run.names = {**outer, **given}
        try:
            run.block(node.body)
        except _Return as returned:
            return returned.value
        finally:
            run.names = outer
        return None

    run.names[node.name] = call


def _return(run: _Run, node: ast.Return) -> None:
    raise _Return(None if node.value is None else run.value(node.value))


def _jump(run: _Run, node: ast.Break | ast.Continue) -> None:
    raise _Break if isinstance(node, ast.Break) else _Continue


# ------------------------------------------------------------------ expressions


def _constant(run: _Run, node: ast.Constant) -> Any:
    if node.value is None or isinstance(node.value, (bool, int, float, str)):
        return node.value
    raise CannotRun


def _name(run: _Run, node: ast.Name) -> Any:
    for names in (run.names, FUNCTIONS, CONSTANTS):
        if node.id in names:
            return names[node.id]
    raise CannotRun


def _operator(node: ast.AST) -> Callable[[Any, Any], Any]:
    found = OPERATORS.get(type(node).__name__)
    if found is None:
        raise CannotRun
    return found


def _binary(run: _Run, node: ast.BinOp) -> Any:
    return _operator(node.op)(run.value(node.left), run.value(node.right))


def _unary(run: _Run, node: ast.UnaryOp) -> Any:
    return _operator(node.op)(None, run.value(node.operand))


def _boolean(run: _Run, node: ast.BoolOp) -> Any:
    wanted, value = isinstance(node.op, ast.Or), None
    for part in node.values:
        value = run.value(part)
        if bool(value) is wanted:
            break
    return value


def _compare(run: _Run, node: ast.Compare) -> bool:
    left = run.value(node.left)
    for comparison, part in zip(node.ops, node.comparators, strict=True):
        right = run.value(part)
        if not _operator(comparison)(left, right):
            return False
        left = right
    return True


def _conditional(run: _Run, node: ast.IfExp) -> Any:
    return run.value(node.body if run.value(node.test) else node.orelse)


def _many(run: _Run, node: ast.List | ast.Tuple | ast.Set) -> Any:
    kind: dict[type, Callable[[list[Any]], Any]] = {ast.List: list, ast.Tuple: tuple, ast.Set: set}
    return kind[type(node)]([run.value(part) for part in node.elts])


def _dict(run: _Run, node: ast.Dict) -> dict[Any, Any]:
    if any(key is None for key in node.keys):
        raise CannotRun
    return {run.value(key): run.value(value) for key, value in zip(node.keys, node.values, strict=True) if key}


def _subscript(run: _Run, node: ast.Subscript) -> Any:
    container = run.value(node.value)
    if isinstance(node.slice, ast.Slice):
        parts = (node.slice.lower, node.slice.upper, node.slice.step)
        return container[slice(*[None if part is None else run.value(part) for part in parts])]
    return container[run.value(node.slice)]


def _attribute(run: _Run, node: ast.Attribute) -> Any:
    module = node.value.id if isinstance(node.value, ast.Name) else ""
    if module in MODULES and module not in run.names and node.attr in CONSTANTS:
        return CONSTANTS[node.attr]
    return field(run.value(node.value), node.attr)


def _call(run: _Run, node: ast.Call) -> Any:
    function = _callee(run, node.func)
    if any(isinstance(part, ast.Starred) for part in node.args):
        raise CannotRun
    values = [run.value(part) for part in node.args]
    run.spend(sum(map(weight, values)) // 8)
    named = {part.arg: run.value(part.value) for part in node.keywords if part.arg}
    if len(named) != len(node.keywords):
        raise CannotRun
    return function(*values, **named)


def _callee(run: _Run, node: ast.expr) -> Callable[..., Any]:
    if isinstance(node, ast.Name):
        if node.id == "print" and "print" not in run.names:
            return lambda *values, **_: values[-1] if values else None
        found = _name(run, node)
    elif isinstance(node, ast.Attribute) and _in_module(run, node.value):
        found = FUNCTIONS.get(node.attr)
    elif isinstance(node, ast.Attribute):
        found = method(run.value(node.value), node.attr)
    else:
        found = None
    if not callable(found):
        raise CannotRun
    called: Callable[..., Any] = found
    return called


def _in_module(run: _Run, node: ast.expr) -> bool:
    """`math`, `datetime`, and `datetime.datetime`, unless the program has given the name to something else."""
    if isinstance(node, ast.Attribute):
        return node.attr in MODULES and _in_module(run, node.value)
    return isinstance(node, ast.Name) and node.id in MODULES and node.id not in run.names


def _comprehension(run: _Run, node: ast.ListComp | ast.GeneratorExp) -> list[Any]:
    return [run.value(node.elt) for _ in _rounds(run, node.generators)]


def _dict_comprehension(run: _Run, node: ast.DictComp) -> dict[Any, Any]:
    return {run.value(node.key): run.value(node.value) for _ in _rounds(run, node.generators)}


def _rounds(run: _Run, loops: list[ast.comprehension]) -> Iterator[None]:
    if not loops:
        yield
        return
    for item in list(run.value(loops[0].iter)):
        run.spend(1)
        _bind(run, loops[0].target, item)
        if all(run.value(test) for test in loops[0].ifs):
            yield from _rounds(run, loops[1:])


def _joined(run: _Run, node: ast.JoinedStr) -> str:
    return "".join(str(run.value(part)) for part in node.values)


def _formatted(run: _Run, node: ast.FormattedValue) -> str:
    return formatted(run.value(node.value), "" if node.format_spec is None else run.value(node.format_spec))


_STATEMENTS: dict[type, Callable[[_Run, Any], None]] = {
    ast.Assign: _assign,
    ast.AugAssign: _augment,
    ast.Expr: _expression,
    ast.If: _if,
    ast.For: _for,
    ast.While: _while,
    ast.FunctionDef: _function,
    ast.Return: _return,
    ast.Break: _jump,
    ast.Continue: _jump,
    # The names that programs may use are there already.
    **dict.fromkeys((ast.Pass, ast.Import, ast.ImportFrom), lambda *_: None),
}
_EXPRESSIONS: dict[type, Callable[[_Run, Any], Any]] = {
    ast.Constant: _constant,
    ast.Name: _name,
    ast.BinOp: _binary,
    ast.UnaryOp: _unary,
    ast.BoolOp: _boolean,
    ast.Compare: _compare,
    ast.IfExp: _conditional,
    ast.List: _many,
    ast.Tuple: _many,
    ast.Set: _many,
    ast.Dict: _dict,
    ast.Subscript: _subscript,
    ast.Attribute: _attribute,
    ast.Call: _call,
    ast.ListComp: _comprehension,
    ast.GeneratorExp: _comprehension,
    ast.DictComp: _dict_comprehension,
    ast.JoinedStr: _joined,
    ast.FormattedValue: _formatted,
}
