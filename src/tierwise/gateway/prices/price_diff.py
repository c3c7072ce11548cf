"""Two price lists against each other, model by model, as they are at one moment."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from tierwise.gateway.prices.price_lists import FIELDS, Band, Entry, Period, PriceList

Key = tuple[str, str, str]  # provider, model, host


class Change(msgspec.Struct, frozen=True):
    """`what` is the rate and where it holds, "input over 272000", or "the model"; None: that list has none."""

    provider: str
    model: str
    host: str
    what: str
    old: str | None
    new: str | None


def diff(old: PriceList, new: PriceList, moment: int) -> tuple[Change, ...]:
    """By provider, model and rate; a model that one list does not have is one change."""
    before, after = _prices(old, moment), _prices(new, moment)
    return tuple(
        change
        for key in sorted(before.keys() | after.keys())
        for change in _changes(key, before.get(key), after.get(key))
    )


def rates(period: Period) -> dict[str, str]:
    """Every price of a period by what it is for, as the list writes it."""
    found = {}
    for place, band in _bands(period):
        for field in FIELDS:
            value = getattr(band, field)
            if value is not None:
                found[f"{field} {place}".strip()] = f"{value.normalize() + 0:f}"
    for name, service in sorted(period.services.items()):
        if service.multiplier is not None:
            found[f"{name}"] = f"x {service.multiplier.normalize() + 0:f}"
    for window in period.windows:
        hours = "all day" if window.start == window.end == "00:00" else f"{window.start}-{window.end} UTC"
        found[f"{hours}, {' '.join(window.days) or 'every day'}"] = f"x {window.multiplier.normalize() + 0:f}"
    for name, multiplier in sorted(period.regions.items()):
        found[f"in {name}"] = f"x {multiplier.normalize() + 0:f}"
    if period.per_request:
        found["a request"] = f"{period.per_request.normalize() + 0:f}"
    return found


def _changes(key: Key, was: dict[str, str] | None, now: dict[str, str] | None) -> Iterator[Change]:
    if was is None or now is None:
        yield Change(*key, "the model", None if was is None else "listed", None if now is None else "listed")
        return
    for what in (*was, *(what for what in now if what not in was)):
        if was.get(what) != now.get(what):
            yield Change(*key, what, was.get(what), now.get(what))


def _bands(period: Period) -> Iterator[tuple[str, Band]]:
    yield "", period
    for step in period.long:
        yield f"over {step.over}", step
    for name, service in sorted(period.services.items()):
        yield name, service
        for step in service.long:
            yield f"{name} over {step.over}", step


def _prices(prices: PriceList, moment: int) -> dict[Key, dict[str, str]]:
    return {_key(entry): rates(period) for entry in prices.models if (period := entry.at(moment)) is not None}


def _key(entry: Entry) -> Key:
    return entry.provider, entry.name, entry.host
