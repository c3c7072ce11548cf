"""Checks a TOML text against a tree of msgspec structs and reports every mistake with its line.

Knows TOML and structs, not what a setting means: `settings.py` holds the structs. tomllib keeps no line numbers,
so a small scanner finds where each key stands; it only ever sees text that tomllib has accepted.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from decimal import Decimal
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import msgspec

from tierwise.errors import ConfigError

Path = tuple[str, ...]
Lines = Mapping[Path, int]
Table = TypeVar("Table", bound=msgspec.Struct)

# What a TOML text is made of, as far as finding keys goes; strings first, so that a `#` or `[` inside is not read.
_TOKEN = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}|\'{3}.*?\'{3,5}|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'|#[^\n]*|[A-Za-z0-9_-]+|\n|.', re.DOTALL
)
_SYNTAX = re.compile(r"^(?P<what>.*?)(?: \(at (?:line (?P<line>\d+), column \d+|end of document)\))?$", re.DOTALL)
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_KINDS: dict[Any, str] = {
    str: "a string",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    Decimal: "a number",
    list: "a list",
    tuple: "a list",
    frozenset: "a list",
    dict: "a table",
}


class Problems:
    """Collects what is wrong; each line names the file, the line and the full key."""

    def __init__(self, file: str, lines: Lines, given: Mapping[str, Any]) -> None:
        """`given`: what the file says, without any defaults."""
        self.file = file
        self.lines = lines
        self.given = given
        self.found: list[tuple[int, str]] = []

    def add(self, path: Path, text: str) -> None:
        line = next((self.lines[path[:end]] for end in range(len(path), 0, -1) if path[:end] in self.lines), 0)
        where = f"{self.file}:{line}" if line else self.file
        self.found.append((line, f"{where}: {dotted(path)}: {text}" if path else f"{where}: {text}"))

    def stop(self) -> None:
        """Raise ConfigError with all of them, in the file's order, if there are any."""
        if self.found:
            raise ConfigError(*(text for _, text in sorted(self.found, key=lambda found: found[0])))


def read(text: str, file: str, table: type[Table]) -> tuple[Table, Problems]:
    """The text as a `table`, and the Problems so far, which checks of meaning add to before they stop.

    Raises ConfigError where there is no such table to check: the syntax, or a type, is wrong.
    """
    try:
        raw = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        parts = _SYNTAX.match(str(error))
        what, line = (parts["what"], parts["line"]) if parts else (str(error), None)
        where = f"{file}:{line}" if line else file
        raise ConfigError(f"{where}: not valid TOML: {what}") from error
    problems = Problems(file, key_lines(text), raw)
    _walk(raw, table, (), problems)
    try:
        return msgspec.convert(raw, table), problems
    except msgspec.ValidationError:
        problems.stop()
        raise


def dotted(path: Path) -> str:
    """`models."a b".price`: the key as one would write it in TOML."""
    return ".".join(part if _BARE.fullmatch(part) else f'"{part}"' for part in path)


def nearest(word: str, known: Collection[str]) -> str:
    """`did you mean "x"?`, or the list of what is valid."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if close:
        return f'did you mean "{close[0]}"?'
    return f"valid: {', '.join(sorted(known))}" if known else "there are none"


# ------------------------------------------------------------------ data against structs


def _walk(value: Any, kind: Any, path: Path, problems: Problems) -> None:
    item = _item(kind)
    if item is not None and isinstance(value, list):
        for place, inner in enumerate(value, 1):
            _walk(inner, item, (*path, str(place)), problems)
        return
    struct = _struct(kind)
    if struct is None and get_origin(kind) is not dict:
        _leaf(value, kind, path, problems)
    elif value in _instead(kind):
        return
    elif not isinstance(value, dict):
        expected = " or ".join(["a table", *(f'"{word}"' for word in _instead(kind))])
        problems.add(path, f"expected {expected}, got {_got(value)}")
    elif struct is None:
        for key, inner in value.items():
            _walk(inner, get_args(kind)[1], (*path, key), problems)
    else:
        _fields(value, struct, path, problems)


def _fields(value: dict[str, Any], struct: type[msgspec.Struct], path: Path, problems: Problems) -> None:
    fields = {field.encode_name: field for field in msgspec.structs.fields(struct)}
    for key, inner in value.items():
        if key in fields:
            _walk(inner, fields[key].type, (*path, key), problems)
        else:
            problems.add((*path, key), f"unknown key; {nearest(key, fields)}")
    for name, field in fields.items():
        if field.required and name not in value:
            problems.add(path, f"`{name}` is missing")


def _leaf(value: Any, kind: Any, path: Path, problems: Problems) -> None:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        problems.add(path, _complaint(value, kind))


def _complaint(value: Any, kind: Any) -> str:
    plain, limits = _plain(kind)
    if get_origin(plain) is Literal:
        choices = get_args(plain)
        if isinstance(value, str):
            return f'"{value}" is not one of {", ".join(choices)}; {nearest(value, choices)}'
        return f"expected one of {', '.join(choices)}, got {_got(value)}"
    if limits and _fits(value, plain):
        return f"must be {limits}, got {value}"
    outer = get_origin(plain) or plain
    if outer in (tuple, frozenset) and isinstance(value, list):
        wrong = next((item for item in value if not isinstance(item, str)), None)
        return f"expected a list of strings, but it holds {_got(wrong)}"
    return f"expected {_KINDS.get(outer, str(outer))}, got {_got(value)}"


def _fits(value: Any, kind: Any) -> bool:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return False
    return True


def _plain(kind: Any) -> tuple[Any, str]:
    """The type without `| None` and without its limits, and the limits in words."""
    limits = ""
    while True:
        if get_origin(kind) is Annotated:
            kind, *extra = get_args(kind)
            limits = " and ".join(_words(meta) for meta in extra if isinstance(meta, msgspec.Meta))
        elif get_origin(kind) in (Union, UnionType):
            kind = next(member for member in get_args(kind) if member is not type(None))
        else:
            return kind, limits


def _instead(kind: Any) -> tuple[str, ...]:
    """What may stand for a table: the words of a union with one."""
    members = get_args(kind) if get_origin(kind) in (Union, UnionType) else ()
    return tuple(word for member in members if get_origin(member) is Literal for word in get_args(member))


def _words(meta: msgspec.Meta) -> str:
    bounds = {"more than": meta.gt, "at least": meta.ge, "less than": meta.lt, "at most": meta.le}
    return " and ".join(f"{word} {bound}" for word, bound in bounds.items() if bound is not None)


def _struct(kind: Any) -> type[msgspec.Struct] | None:
    plain, _ = _plain(kind)
    return plain if isinstance(plain, type) and issubclass(plain, msgspec.Struct) else None


def _item(kind: Any) -> type[msgspec.Struct] | None:
    """Of a list of tables, what each of them is."""
    return _struct(get_args(kind)[0]) if get_origin(kind) is tuple else None


def _got(value: Any) -> str:
    return _KINDS.get(type(value), "a date or time")


# ------------------------------------------------------------------ where the keys stand


def key_lines(text: str) -> dict[Path, int]:
    """The line (from 1) of every key and table header. Keys inside an inline table stand where their table does."""
    lines: dict[Path, int] = {}
    header: Path = ()
    for line, parts, is_header in _statements(text):
        path = parts if is_header else header + parts
        header = path if is_header else header
        for end in range(1, len(path) + 1):
            lines.setdefault(path[:end], line)
        if is_header:
            lines[path] = line  # `[a.b]` may stand before `[a]`
    return lines


def _statements(text: str) -> Iterator[tuple[int, Path, bool]]:
    """(line, key parts, is a header) of each `key = value` and `[header]`."""
    line, depth, in_key, is_header = 1, 0, True, False
    parts: list[str] = []
    for piece in (match.group() for match in _TOKEN.finditer(text)):
        if piece == "\n" and depth == 0:
            parts, in_key, is_header = [], True, False
        elif in_key and piece == "[":
            is_header = True
        elif in_key and piece in ("=", "]"):
            yield line, tuple(parts), is_header
            in_key = False
        elif in_key:
            parts += _key_part(piece)
        else:
            depth += (piece in ("[", "{")) - (piece in ("]", "}"))
            depth = max(depth, 0)  # the second bracket of `[[header]]`
        line += piece.count("\n")


def _key_part(piece: str) -> list[str]:
    if piece[0] in "\"'":
        return [str(tomllib.loads(f"key = {piece}")["key"])]
    return [piece] if _BARE.fullmatch(piece) else []
