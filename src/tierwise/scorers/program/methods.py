"""The methods and attributes of values that a small program may use, and how a value is written.

A method that could make more of a value than LENGTH is asked beforehand, not after. Knows nothing of syntax.
"""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

from tierwise.scorers.program.values import (
    FORMAT,
    LENGTH,
    CannotRun,
    Delta,
    View,
    listed,
    ordered,
    weight,
    written,
)

_SPEC = re.compile(r"[<>^]?0?\d?,?(?:\.\d)?[dfeg%]?")
_HOLE = re.compile(r"\{\{|\}\}|\{(\w*)\}|[{}]")  # of `str.format`; nothing but a number or a name in it

_TEXT = (  # none makes a text longer, but for a few letters that have no capital
    "capitalize casefold count endswith find index isalnum isalpha isascii isdecimal isdigit isidentifier islower "
    "isnumeric isprintable isspace istitle isupper lower lstrip partition removeprefix removesuffix rfind rindex "
    "rpartition rsplit rstrip split splitlines startswith strip swapcase title upper"
)
_SET = "add clear copy difference discard intersection isdisjoint issubset issuperset remove union update"
METHODS: dict[type, frozenset[str]] = {
    kind: frozenset(names.split())
    for kind, names in {
        float: "is_integer",
        dt.date: "weekday isoweekday isoformat replace date",
        list: "append clear copy count extend index insert pop remove reverse sort",
        tuple: "count index",
        Counter: "most_common",
        dict: "clear copy get items keys pop popitem setdefault update values",
        set: _SET,
        str: _TEXT,
    }.items()
}
FIELDS: tuple[tuple[type, frozenset[str]], ...] = (
    (dt.datetime, frozenset({"hour", "minute"})),
    (dt.date, frozenset({"year", "month", "day"})),
    (dt.timedelta, frozenset({"days", "seconds"})),
)


def _viewed(function: Callable[[], Any]) -> Callable[[], View]:
    return lambda: View(function())


def _replace(text: str, old: str, new: str, count: int = -1) -> str:
    if len(text) + (text.count(old) if count < 0 else count) * len(new) > LENGTH:
        raise CannotRun
    return text.replace(old, new, count)


def _join(text: str, parts: Any) -> str:
    parts = list(ordered(parts))
    weight(parts)
    if len(parts) * len(text) > LENGTH:
        raise CannotRun
    return text.join(parts)


def _wide(how: str) -> Callable[..., str]:
    def filled(text: str, width: int, *fill: str) -> str:
        if width > LENGTH:
            raise CannotRun
        widened: str = getattr(text, how)(width, *fill)
        return widened

    return filled


def _expandtabs(text: str, size: int = 8) -> str:
    if len(text) + text.count("\t") * max(size, 0) > LENGTH:
        raise CannotRun
    return text.expandtabs(size)


def _format(text: str, *values: Any, **named: Any) -> str:
    """`str.format`, with nothing in its braces but a number or a name."""
    told = [*values, *named.values()]
    if any(not isinstance(value, (str, int, float, bool)) for value in told):
        raise CannotRun
    holes = [found for found in _HOLE.finditer(text) if found[0] not in ("{{", "}}")]
    if any(len(found[0]) == 1 for found in holes) or any(len(found[1]) > 2 and found[1].isdigit() for found in holes):
        raise CannotRun
    if len(text) + len(holes) * max([len(str(value)) for value in told], default=0) > LENGTH:
        raise CannotRun
    return text.format(*values, **named)


_GROWING: dict[str, Callable[..., Any]] = {
    "replace": _replace,
    "join": _join,
    "expandtabs": _expandtabs,
    "format": _format,
    **{how: _wide(how) for how in ("center", "ljust", "rjust", "zfill")},
}


def method(value: Any, name: str) -> Callable[..., Any]:
    """A bound method that programs may call. Raises CannotRun for every other."""
    if name == "strftime" and isinstance(value, dt.date):
        return lambda form: _strftime(value, form)
    if name in _GROWING and isinstance(value, str):
        return lambda *values, **named: _GROWING[name](value, *values, **named)
    if value is dict and name == "fromkeys":
        return lambda keys, *default: dict.fromkeys(ordered(keys), *default)
    for kind, names in METHODS.items():
        if isinstance(value, kind) and name in names:
            found: Callable[..., Any] = getattr(value, name)
            if isinstance(value, dict) and name in ("items", "keys", "values"):
                return _viewed(found)
            if name == "most_common":
                return listed(found)
            if isinstance(value, list) and name == "extend":
                return lambda more: found(ordered(more))
            return found
    raise CannotRun


def field(value: Any, name: str) -> Any:
    """An attribute that programs may read. Raises CannotRun for every other."""
    for kind, names in FIELDS:
        if isinstance(value, kind) and name in names:
            return getattr(value, name)
    raise CannotRun


def _strftime(day: dt.date, form: str) -> str:
    if not FORMAT.fullmatch(form):
        raise CannotRun
    return day.strftime(form)


def formatted(value: Any, spec: str) -> str:
    """As in an f-string; a date takes `%` formats. Raises CannotRun for what could grow."""
    if isinstance(value, dt.date):
        return _strftime(value, spec) if spec else str(value)
    if not _SPEC.fullmatch(spec):
        raise CannotRun
    return format(written(value), spec)


def told(value: Any) -> str | None:
    """A result as an answer would give it; floats without the noise of binary arithmetic. None for nothing.

    Raises CannotRun where it is too large.
    """
    weight(value)
    if value is None or callable(value) or isinstance(value, (Delta, dt.timedelta)):
        return None
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(round(value, 10))
    return str(value)


def printed(values: tuple[Any, ...]) -> str | None:
    """A line as `print` writes it; None where that can't be said."""
    try:
        return " ".join([value if isinstance(value, str) else shown(value) for value in values])
    except CannotRun:
        return None


def shown(value: Any) -> str:
    """A value as Python writes it. Raises CannotRun where that names what stands for it here, or is left to chance."""
    weight(value)
    parts = [value]
    while parts:
        part = parts.pop()
        if isinstance(part, (View, Counter, defaultdict)):
            raise CannotRun
        if isinstance(part, dict):
            parts += [*part, *part.values()]
        elif isinstance(part, (list, tuple, set, frozenset)):
            parts += part
        elif part is not None and not isinstance(part, (bool, int, float, str)):
            raise CannotRun
    return repr(value)
