"""What a small program may compute with: bounded operators, functions, and calendar arithmetic.

Everything here takes and gives plain values (numbers, short texts, lists, dates) and costs little however it is
called: sizes are checked before a result is made, not after. There is no clock, so `today` does not exist.
Knows nothing of syntax.
"""

from __future__ import annotations

import calendar
import datetime as dt
import math
import operator
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

BITS = 256  # of an integer
LENGTH = 1000  # elements of a list, characters of a text
_MANY = (list, tuple, dict, set)
_SIZED = (str, *_MANY)
FORMAT = re.compile(r"(?:%-?[aAbBdHIjmMpSyY%]|[^%]){1,40}")


WRONG = (ArithmeticError, LookupError, TypeError, ValueError, AttributeError)
"""What a program can do wrong."""
ERRORS: dict[str, type[Exception]] = {
    kind.__name__: kind for kind in (*WRONG, KeyError, IndexError, ZeroDivisionError, OverflowError)
} | {"Exception": Exception}


class CannotRun(Exception):
    """The program uses something unknown, or is too large: none of the errors that it might catch itself."""


def ordered(items: Any) -> Any:
    """Raises CannotRun for a set of several: in which order it is gone through is left to chance."""
    if isinstance(items, (set, frozenset)) and len(items) > 1:
        raise CannotRun
    return items


class View(list[Any]):
    """What `dict.keys` and its like give: to go through, not to show."""


def written(value: Any) -> Any:
    """Raises CannotRun for what Python would write otherwise than it is here, or in an order that is left to chance."""
    if isinstance(value, (View, Counter)):
        raise CannotRun
    return ordered(value)


class Delta:
    """Calendar arithmetic as python-dateutil's `relativedelta` does it: absolute fields first, then months, then time.

    A day beyond the end of a month becomes its last day.
    """

    def __init__(self, **fields: int) -> None:
        self._months = 12 * fields.pop("years", 0) + fields.pop("months", 0)
        self._absolute = {name: fields.pop(name) for name in ("year", "month", "day") if name in fields}
        self._time = dt.timedelta(**fields)

    def added(self, day: dt.date, sign: int) -> dt.date:
        year, month = self._absolute.get("year", day.year), self._absolute.get("month", day.month)
        ahead, month = divmod(month - 1 + sign * self._months, 12)
        year, month = year + ahead, month + 1
        last = calendar.monthrange(year, month)[1]
        return day.replace(year=year, month=month, day=min(self._absolute.get("day", day.day), last)) + (
            sign * self._time
        )


def weight(value: Any) -> int:
    """About how many elements the value has, those of its elements included. Raises CannotRun where it is too large."""
    if isinstance(value, int) and value.bit_length() > BITS:
        raise CannotRun
    if isinstance(value, float) and not math.isfinite(value):
        raise CannotRun
    if not isinstance(value, _SIZED):
        return 0
    total = len(value)
    if total > LENGTH:
        raise CannotRun
    for part in () if isinstance(value, str) else value.values() if isinstance(value, dict) else value:
        if isinstance(part, _SIZED):
            total += len(part)
            if total > 2 * LENGTH or (not isinstance(part, str) and any(isinstance(inner, _MANY) for inner in part)):
                raise CannotRun
    return total


def _add(left: Any, right: Any) -> Any:
    if isinstance(right, Delta) and isinstance(left, dt.date):
        return right.added(left, 1)
    if isinstance(left, Delta) and isinstance(right, dt.date):
        return left.added(right, 1)
    return left + right


def _subtract(left: Any, right: Any) -> Any:
    if isinstance(right, Delta) and isinstance(left, dt.date):
        return right.added(left, -1)
    return left - right


def _multiply(left: Any, right: Any) -> Any:
    for many, count in ((left, right), (right, left)):
        if isinstance(many, (str, list, tuple)):
            if not isinstance(count, int) or len(many) * count > LENGTH:
                raise CannotRun
            return many * count
    return left * right


def _modulo(left: Any, right: Any) -> Any:
    if isinstance(left, str):  # a width in a format can ask for any size
        raise CannotRun
    return left % right


def _power(base: Any, exponent: Any) -> Any:
    if isinstance(base, int) and isinstance(exponent, int):
        if abs(exponent) * max(base.bit_length(), 1) > BITS:
            raise CannotRun
    elif isinstance(base, (int, float)) and base < 0:  # a complex number
        raise CannotRun
    return base**exponent


OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "Add": _add,
    "Sub": _subtract,
    "Mult": _multiply,
    "Div": operator.truediv,
    "FloorDiv": operator.floordiv,
    "Mod": _modulo,
    "BitAnd": operator.and_,
    "BitOr": operator.or_,
    "BitXor": operator.xor,
    "Pow": _power,
    "Eq": operator.eq,
    "NotEq": operator.ne,
    "Lt": operator.lt,
    "LtE": operator.le,
    "Gt": operator.gt,
    "GtE": operator.ge,
    "In": lambda item, container: item in container,
    "NotIn": lambda item, container: item not in container,
    "Is": operator.is_,
    "IsNot": operator.is_not,
    "USub": lambda _, value: -value,
    "UAdd": lambda _, value: +value,
    "Not": lambda _, value: not value,
}


def _range(*bounds: int) -> list[int]:
    numbers = range(*bounds)
    if len(numbers) > LENGTH:
        raise CannotRun
    return list(numbers)


def _round(number: float, digits: int | None = None) -> float:
    if digits is not None and abs(digits) > 20:  # a power of ten is built of them
        raise CannotRun
    return round(number, digits)


def _multiple(*numbers: int) -> int:
    if len(numbers) > 20:
        raise CannotRun
    return math.lcm(*numbers)


def _factorial(number: int) -> int:
    if number > 57:  # 2**256
        raise CannotRun
    return math.factorial(number)


def _combinations(number: int, chosen: int) -> int:
    if number > BITS:
        raise CannotRun
    return math.comb(number, chosen)


def _numbers(items: Any) -> list[Any]:
    """A sum or a product of anything else (of lists) could grow without a limit."""
    numbers = list(items)
    if not all(isinstance(number, (int, float)) for number in numbers):
        raise CannotRun
    return numbers


def _strptime(text: str, form: str) -> dt.datetime:
    if len(text) > 40 or not FORMAT.fullmatch(form):
        raise CannotRun
    return dt.datetime.strptime(text, form)


def listed(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *items: list(function(*map(ordered, items)))


def _list(items: Any = ()) -> list[Any]:
    return list(ordered(items))


def _tuple(items: Any = ()) -> tuple[Any, ...]:
    return tuple(ordered(items))


def _ranked(function: Callable[..., Any]) -> Callable[..., Any]:
    """`sorted`, `max` or `min`: by a key, equal ones stand as they came."""

    def ranked(*items: Any, **named: Any) -> Any:
        return function(*(map(ordered, items) if "key" in named else items), **named)

    return ranked


def _text(value: Any = "") -> str:
    return str(written(value))


def _instance(value: Any, kinds: Any) -> bool:
    known = {_list: list, _tuple: tuple, _integer: int, _text: str} | {kind: kind for kind in (bool, dict, float, set)}
    return isinstance(value, tuple([known[kind] for kind in (kinds if isinstance(kinds, tuple) else (kinds,))]))


def _integer(value: Any = 0, base: int | None = None) -> int:
    if isinstance(value, str) and len(value) > BITS:  # takes the square of the length
        raise CannotRun
    return int(value) if base is None else int(value, base)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "abs": abs,
    "all": all,
    "any": any,
    "bin": bin,
    "chr": chr,
    "dict": dict,
    "filter": listed(filter),
    "hex": hex,
    "isinstance": _instance,
    "map": listed(map),
    "ord": ord,
    "repr": lambda value: repr(written(value)),
    "bool": bool,
    "divmod": divmod,
    "enumerate": listed(enumerate),
    "float": float,
    "int": _integer,
    "len": len,
    "list": _list,
    "max": _ranked(max),
    "min": _ranked(min),
    "range": _range,
    "reversed": listed(reversed),
    "round": _round,
    "set": set,
    "sorted": _ranked(sorted),
    "str": _text,
    "sum": lambda items, start=0: sum(_numbers(items), *_numbers([start])),
    "tuple": _tuple,
    "zip": listed(zip),
    "ceil": math.ceil,
    "floor": math.floor,
    "sqrt": math.sqrt,
    "gcd": math.gcd,
    "lcm": _multiple,
    "factorial": _factorial,
    "comb": _combinations,
    "prod": lambda items: math.prod(_numbers(items)),
    "Counter": Counter,
    "date": dt.date,
    "datetime": dt.datetime,
    "timedelta": dt.timedelta,
    "relativedelta": Delta,
    "strptime": _strptime,
    "monthrange": calendar.monthrange,
}
CONSTANTS: dict[str, Any] = {"pi": math.pi, "e": math.e}
MODULES = frozenset(
    {"math", "datetime", "calendar", "collections", "dateutil", "relativedelta"}
)  # `math.gcd` is FUNCTIONS["gcd"]
