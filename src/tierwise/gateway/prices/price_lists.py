"""Price lists as files: dated entries with their sources, read, found by a model's name, made into tariffs.

The form is `data/prices/price-list.schema.json`; the lists that ship are in `data/prices/overlays`, an operator's are
named in the config. Knows the arithmetic of none of it (`core/tariff.py`) nor which list counts (`catalogue.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from decimal import ROUND_CEILING, Decimal
from functools import cache
from pathlib import Path
from typing import Any, Literal

import msgspec
from jsonschema_rs import Draft202012Validator

from tierwise import tariffs
from tierwise.errors import ConfigError
from tierwise.tariffs import Tariff

FOLDER = Path(__file__).parents[2] / "data" / "prices"
SCHEMA = FOLDER / "price-list.schema.json"
LARGEST = 20_000_000  # bytes of a list
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
FIELDS = (
    "input", "output", "cache_read", "cache_write_5m", "cache_write_1h", "reasoning", "audio", "image", "speech"
)  # fmt: skip
_DATED = re.compile(r"[-@]20\d\d-?(0[1-9]|1[0-2])-?([0-2]\d|3[01])$")


class Band(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """USD per million tokens; None where the list says nothing of it."""

    input: Decimal | None = None
    output: Decimal | None = None
    cache_read: Decimal | None = None
    cache_write_5m: Decimal | None = None
    cache_write_1h: Decimal | None = None
    reasoning: Decimal | None = None
    audio: Decimal | None = None  # in
    image: Decimal | None = None  # in
    speech: Decimal | None = None  # audio out

    def on(self, base: Band) -> Band:
        """These rates, and those of `base` where this says nothing."""
        said = {field: getattr(self, field) for field in FIELDS}
        return Band(**{field: getattr(base, field) if value is None else value for field, value in said.items()})

    def rates(self) -> tariffs.Rates:
        """In pico-dollars a token. A kind that is not listed costs what the nearest one does."""
        fresh, output = self.input or Decimal(0), self.output or Decimal(0)
        write = fresh if self.cache_write_5m is None else self.cache_write_5m
        return tariffs.Rates(
            input=pico(fresh),
            output=pico(output),
            cache_read=pico(fresh if self.cache_read is None else self.cache_read),
            cache_write=pico(write),
            cache_write_1h=pico(write if self.cache_write_1h is None else self.cache_write_1h),
            reasoning=pico(output if self.reasoning is None else self.reasoning),
            audio=pico(fresh if self.audio is None else self.audio),
            image=pico(fresh if self.image is None else self.image),
            speech=pico(output if self.speech is None else self.speech),
        )


class Long(Band, frozen=True, kw_only=True):
    """The whole request's rates once its input is longer than `over` tokens."""

    over: int


class Window(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Hours in UTC, "HH:MM"; an end at or before its start is on the next day. No days: every day."""

    start: str
    end: str
    days: tuple[Day, ...] = ()
    multiplier: Decimal

    def windows(self) -> Iterator[tariffs.Window]:
        """As the arithmetic has them: none reaches over midnight."""
        start, end = _minute(self.start), _minute(self.end)
        days = frozenset(DAYS.index(day) for day in self.days or DAYS)
        if start < end:
            yield tariffs.Window(start, end, days, _factor(self.multiplier))
            return
        yield tariffs.Window(start, 24 * 60, days, _factor(self.multiplier))
        if end:
            yield tariffs.Window(0, end, frozenset((day + 1) % 7 for day in days), _factor(self.multiplier))


class Service(Band, frozen=True, kw_only=True):
    """A service tier: rates of its own, or a multiplier of the standard ones."""

    multiplier: Decimal | None = None
    long: tuple[Long, ...] = ()

    def service(self, standard: Band, steps: tuple[tariffs.Step, ...]) -> tariffs.Service:
        """Where it lists no price for long inputs and the standard does, the dearer of what is known counts."""
        if self.multiplier is not None:
            return tariffs.Service(factor=_factor(self.multiplier))
        own = self.on(standard)
        said = {step.over: step for step in self.long}
        found, highest = [], own.rates()
        for over in sorted({*said, *(step.over for step in steps)}):
            usual = next((step.rates for step in reversed(steps) if step.over <= over), highest)
            highest = said[over].on(own).rates() if over in said else highest.at_least(usual)
            found.append(tariffs.Step(over, highest))
        return tariffs.Service(own.rates(), tuple(found))


class Period(Band, frozen=True, kw_only=True):
    """The prices from `valid_from` until just before `valid_to`; None: not known, or not ended."""

    valid_from: datetime | None = None
    valid_to: datetime | None = None
    source: str  # where the provider says so
    checked: date | None = None  # when the price was last compared with that page; None: no such day is known
    note: str = ""
    per_request: Decimal | None = None  # USD
    long: tuple[Long, ...] = ()
    windows: tuple[Window, ...] = ()
    services: dict[str, Service] = {}
    regions: dict[str, Decimal] = {}  # what every rate is multiplied by where the provider says it worked there

    def tariff(self) -> Tariff:
        steps = tuple(
            tariffs.Step(step.over, step.on(self).rates()) for step in sorted(self.long, key=lambda step: step.over)
        )
        return Tariff(
            rates=self.rates(),
            steps=steps,
            windows=tuple(part for window in self.windows for part in window.windows()),
            services={name: service.service(self, steps) for name, service in self.services.items()},
            regions={name: _factor(multiplier) for name, multiplier in self.regions.items()},
            request_nanos=int(((self.per_request or Decimal(0)) * 1_000_000_000).to_integral_value(ROUND_CEILING)),
            starts=None if self.valid_from is None else int(self.valid_from.timestamp()),
            ends=None if self.valid_to is None else int(self.valid_to.timestamp()),
            source=self.source,  # without the day of the check: a certificate binds it
        )


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One model of one provider, at the provider's own address unless `host` names another."""

    provider: str
    name: str
    aliases: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    host: str = ""
    periods: tuple[Period, ...]

    def closeness(self, name: str) -> int:
        """How well a name in lower case fits: 0 not at all; exactly, then with a day behind it, then a prefix."""
        known = {word.lower() for word in (self.name, *self.aliases)}
        if name in known:
            return 100_000
        if _DATED.sub("", name) in known:
            return 50_000
        return max((len(prefix) for prefix in self.prefixes if name.startswith(prefix.lower())), default=0)

    def at(self, moment: int) -> Period | None:
        return next((period for period in self.periods if period.tariff().holds(moment)), None)


class PriceList(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    schema: str = msgspec.field(default="", name="$schema")
    note: str = ""
    models: tuple[Entry, ...]


def pico(usd_per_million: Decimal) -> int:
    """Pico-dollars a token; what is finer is rounded up."""
    return int((usd_per_million * 1_000_000).to_integral_value(ROUND_CEILING))


def find(lists: Iterable[PriceList], provider: str, name: str, host: str = "") -> Entry | None:
    """The entry that fits the name best; of equal ones the first. `host`: "" is the provider's own address."""
    best, closest = None, 0
    for prices in lists:
        for entry in prices.models:
            if entry.provider == provider and entry.host == host:
                close = entry.closeness(name.lower())
                if close > closest:
                    best, closest = entry, close
    return best


@cache
def shipped() -> tuple[PriceList, ...]:
    """The lists that come with the package. Read once."""
    paths = sorted((FOLDER / "overlays").glob("*.json"))
    return tuple(msgspec.json.decode(path.read_bytes(), type=PriceList) for path in paths)


def read(path: Path) -> PriceList:
    """A list of an operator's. Raises ConfigError with every mistake in it."""
    try:
        if path.stat().st_size > LARGEST:
            raise ConfigError(f"{path}: larger than {LARGEST // 1_000_000} MB; a price list is smaller")
        raw = msgspec.json.decode(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"{path}: can't be read: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise ConfigError(f"{path}: not JSON: {error}; `tierwise prices import` writes a price list") from error
    problems = list(check(raw))
    if problems:
        raise ConfigError(*(f"{path}: {problem}" for problem in problems))
    return msgspec.convert(raw, PriceList)


def check(raw: Any) -> Iterator[str]:
    """What is wrong with a list, by its schema and then by what a schema can't say; at most 20 complaints."""
    found = [f"{_place(error.instance_path)}{error.message}" for error in _validator().iter_errors(raw)]
    if found:
        yield from sorted(found)[:20]
        return
    try:
        prices = msgspec.convert(raw, PriceList)
    except msgspec.ValidationError as error:
        yield str(error)
        return
    for entry in prices.models:
        yield from _overlaps(entry)


def render(prices: PriceList) -> bytes:
    """JSON with one period a line, so that a change of price is a change of one line."""
    lines = ["{"]
    head = msgspec.to_builtins(msgspec.structs.replace(prices, models=()))
    lines += [f"{_json(key)}: {_json(value)}," for key, value in head.items() if key != "models"]
    lines.append('"models": [')
    for place, entry in enumerate(prices.models):
        plain = msgspec.to_builtins(entry)
        periods = ",\n  ".join(_json(period) for period in plain.pop("periods"))
        comma = "," if place + 1 < len(prices.models) else ""
        lines.append(f'{_json(plain)[:-1]}, "periods": [\n  {periods}\n]}}{comma}')
    return ("\n".join(lines) + "\n]\n}\n").encode()


def _overlaps(entry: Entry) -> Iterator[str]:
    """Two prices at one moment are a mistake, not a choice."""
    spans: Sequence[Tariff] = [period.tariff() for period in entry.periods]
    for place, one in enumerate(spans):
        if one.starts is not None and one.ends is not None and one.ends <= one.starts:
            yield f"{entry.name}: period {place + 1}: ends before it starts"
        for other in spans[:place]:
            late = max(one.starts or 0, other.starts or 0)
            if one.holds(late) and other.holds(late):
                yield f"{entry.name}: period {place + 1}: overlaps an earlier one"


def _minute(text: str) -> int:
    hours, minutes = text.split(":")
    return int(hours) * 60 + int(minutes)


def _factor(multiplier: Decimal) -> int:
    """Millionths; what is finer is rounded up."""
    return int((multiplier * tariffs.ONE).to_integral_value(ROUND_CEILING))


def _place(path: Iterable[object]) -> str:
    where = ".".join(str(part + 1) if isinstance(part, int) else str(part) for part in path)
    return f"{where}: " if where else ""


def _json(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=0).decode()


@cache
def _validator() -> Draft202012Validator:
    return Draft202012Validator(msgspec.json.decode(SCHEMA.read_bytes()), validate_formats=True)
