"""What a provider says it has counted and charged, by day and model, whatever file that was read from.

Frozen values and their sums. A day is that of the file's own clock: `offset` seconds east of UTC. Knows no file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Set
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

import msgspec

Provider = Literal["openai", "anthropic", "deepseek"]
Record = Mapping[str, Any]
NANOS = Decimal(1_000_000_000)
SECONDS = 86_400  # a day
NOTHING = "a day without use"
_DATE = re.compile(r"[-@](?:(?:20\d\d-?)?(?:0[1-9]|1[0-2])-?(?:[0-2]\d|3[01])|latest)$")
_POINT_ZERO = re.compile(r"-(\d+)-0$")


class Unreadable(ValueError):
    """What is wrong with a record, to be told with its place in the file."""


class Billed(msgspec.Struct, frozen=True):
    """Of one day and model ("": the file does not say which); None: the file says nothing of it.

    Tokens in include cached ones. `grain`: by so many nano-dollars rounding may have moved the money.
    """

    day: int  # since 1970
    model: str = ""
    input_tokens: int | None = None
    output_tokens: int | None = None
    nanos: int | None = None
    grain: int = 0

    def __add__(self, other: Billed) -> Billed:
        return Billed(
            self.day,
            self.model,
            _sum(self.input_tokens, other.input_tokens),
            _sum(self.output_tokens, other.output_tokens),
            _sum(self.nanos, other.nanos),
            self.grain + other.grain,
        )


class Invoice(msgspec.Struct, frozen=True):
    """`lines`: one a day and model. `first` and `last` are the days it covers, both included."""

    provider: Provider
    shape: str
    first: int
    last: int
    lines: tuple[Billed, ...]
    offset: int = 0
    notes: tuple[str, ...] = ()


class Shape(msgspec.Struct, frozen=True):
    """One form of file, recognised by the fields of its records. `when`: the one that says since when."""

    provider: Provider
    name: str
    when: str
    needs: frozenset[str]

    def fits(self, fields: Set[str]) -> bool:
        return self.needs <= fields

    def take(self, record: Record) -> Billed | str:
        """A line, or why there is none in the record. Raises Unreadable."""
        raise NotImplementedError

    def day(self, record: Record) -> int:
        """On the record's own clock. Raises Unreadable."""
        at = instant(record, self.when)
        return (int(at.timestamp()) + offset_of(at)) // SECONDS

    def offset(self, record: Record) -> int:
        return offset_of(instant(record, self.when))


def summed(lines: Iterable[Billed]) -> tuple[Billed, ...]:
    """One a day and model, in that order."""
    found: dict[tuple[int, str], Billed] = {}
    for line in lines:
        key = (line.day, line.model)
        found[key] = found[key] + line if key in found else line
    return tuple(found[key] for key in sorted(found))


def group(model: str) -> str:
    """What its names come to: "gpt-4o" for "gpt-4o-2024-08-06", "claude-haiku-4-5" for "Claude Haiku 4.5"."""
    name = re.sub(r"[\s._]+", "-", model.strip().lower())
    return _POINT_ZERO.sub(r"-\1", _DATE.sub("", name))


def whole(record: Record, field: str) -> int:
    """Tokens; what is not there, or empty, is none. Raises Unreadable."""
    value = number(record, field)
    if value != value.to_integral_value() or value < 0:
        raise Unreadable(f"{field}: {value} is no number of tokens")
    return int(value)


def nanos(record: Record, field: str, unit: Decimal = NANOS) -> int:
    """Money, rounded half even to a nano-dollar. Raises Unreadable."""
    return int((number(record, field) * unit).to_integral_value())


def number(record: Record, field: str) -> Decimal:
    value = record.get(field)
    if value is None or value == "":
        return Decimal(0)
    try:
        found = Decimal(str(value))
    except InvalidOperation as error:
        raise Unreadable(f"{field}: {str(value)[:40]!r} is no number") from error
    if isinstance(value, bool) or not found.is_finite() or abs(found) > 10**18:
        raise Unreadable(f"{field}: {str(value)[:40]!r} is no number")
    return found


def instant(record: Record, field: str) -> datetime:
    """Of ISO 8601, of 20260725, or of Unix seconds; UTC where it does not say. Raises Unreadable."""
    value = record.get(field)
    text = str(value if value is not None else "")
    try:
        if re.fullmatch(r"\d{9,10}", text):
            return datetime.fromtimestamp(int(text), UTC)
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise Unreadable(f"{field}: {text[:40]!r} is no day or time") from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def offset_of(at: datetime) -> int:
    gap = at.utcoffset()
    return int(gap.total_seconds()) if gap else 0


def texts(record: Record, *fields: str) -> Iterator[str]:
    for field in fields:
        yield str(record.get(field) or "").strip()


def _sum(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else one + other
