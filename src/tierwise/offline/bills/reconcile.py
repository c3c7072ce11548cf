"""A provider's count and charge against the ledger's, by day and model, and the corrections that level them.

Pure: an invoice and sums of the ledger come in. Models are compared by `billed.group`, as an alias and its snapshots
are one model to whoever pays. Knows no file, no config and no store.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Literal

import msgspec

from tierwise.money import ASIDE, Correction, Spend
from tierwise.offline.bills.billed import SECONDS, Billed, Invoice, group

State = Literal["matched", "off", "not in the ledger", "not in the file"]
HOUR = 3600
NOON = 43_200
BOOKED = f"{ASIDE}invoice"  # the key of what an invoice says more: no client's


class Ours(msgspec.Struct, frozen=True):
    """The ledger's sums. `name`: the configured model that most of it was spent on; "": there is none."""

    name: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    nanos: int = 0

    def __bool__(self) -> bool:
        return bool(self.input_tokens or self.output_tokens or self.nanos)


class Compared(msgspec.Struct, frozen=True):
    """One day and model; `model` as `billed.group` has it, "" where the file tells no models apart."""

    day: int
    model: str
    ours: Ours
    theirs: Billed
    state: State


class Found(msgspec.Struct, frozen=True):
    """`unmapped`: what the ledger has of models that the config does not know (any more), in nano-dollars."""

    rows: tuple[Compared, ...]
    unmapped: Mapping[str, int]

    @property
    def matched(self) -> bool:
        return all(row.state == "matched" for row in self.rows)


class Names(msgspec.Struct, frozen=True):
    """`here`: configured model -> the provider's name for it, where this provider bills it; `elsewhere`: all others."""

    here: Mapping[str, str]
    elsewhere: frozenset[str]


def hours(invoice: Invoice, first: int, last: int) -> tuple[int, int]:
    """Those of the days `first` to `last` on the file's clock, as [since, until); whole ones."""
    since, until = first * SECONDS - invoice.offset, (last + 1) * SECONDS - invoice.offset
    return since // HOUR, -(-until // HOUR)


def reconcile(
    invoice: Invoice, ledger: Sequence[Spend], names: Names, days: tuple[int, int], tolerance: Fraction
) -> Found:
    """Of the days from the first to the last of `days`. Figures match that differ by no more than `tolerance` of the
    larger one, or than rounding in the file explains."""
    told_apart = any(line.model for line in invoice.lines)
    theirs: dict[tuple[int, str], Billed] = {}
    for line in invoice.lines:
        if days[0] <= line.day <= days[1]:
            key = (line.day, group(line.model))
            theirs[key] = theirs[key] + line if key in theirs else line
    places, unmapped = _placed(invoice, ledger, names, told_apart)
    ours = {key: _ours(rows) for key, rows in places.items() if days[0] <= key[0] <= days[1]}
    compared = (
        _compared(key, ours.get(key, Ours()), theirs.get(key), _blank(invoice, key), tolerance)
        for key in sorted(ours.keys() | theirs.keys())
    )
    return Found(tuple(row for row in compared if row is not None), unmapped)


def corrections(found: Found, invoice: Invoice, names: Names, reason: str) -> Iterator[Correction]:
    """What brings the ledger to the file's money, one a day and model; nothing where it is there already.

    A model that the file does not have at all is left alone: a file may be of one project, or cut short.
    """
    by_group = {group(model): name for name, model in list(names.here.items())[::-1]}
    for row in found.rows:
        if row.state == "not in the file" or row.theirs.nanos is None:
            continue
        missing = row.theirs.nanos - row.ours.nanos
        if abs(missing) > row.theirs.grain:
            name = row.ours.name or by_group.get(row.model) or row.theirs.model or _untold(invoice)
            yield Correction(
                request_id=f"invoice:{invoice.provider}:{row.day}:{row.model}:{row.theirs.nanos}",
                key_id=BOOKED,
                route="",
                at_ns=(row.day * SECONDS - invoice.offset + NOON) * 1_000_000_000,
                nanos=missing,
                reason=reason,
                model=name,
            )


def _placed(
    invoice: Invoice, ledger: Sequence[Spend], names: Names, told_apart: bool
) -> tuple[dict[tuple[int, str], list[Spend]], dict[str, int]]:
    """The ledger's rows by the day and model that they are compared under; and what has no place."""
    billed = {group(line.model) for line in invoice.lines} - {""}
    places: dict[tuple[int, str], list[Spend]] = {}
    unmapped: dict[str, int] = {}
    for row in ledger:
        day = (row.hour * HOUR + invoice.offset) // SECONDS
        model = names.here.get(row.model)
        if model is None and row.role == "correction" and row.model not in names.elsewhere:
            # An earlier booking of what no configured model has: it went by the file's name for it.
            model = row.model if group(row.model) in billed or row.model == _untold(invoice) else None
        if model is not None:
            apart = told_apart and model != _untold(invoice)
            places.setdefault((day, group(model) if apart else ""), []).append(row)
        elif row.model not in names.elsewhere:
            unmapped[row.model] = unmapped.get(row.model, 0) + row.nanos
    return places, unmapped


def _untold(invoice: Invoice) -> str:
    """What a correction goes by where neither the file nor the ledger says of which model it is."""
    return f"{invoice.provider}, no model told"


def _ours(rows: Sequence[Spend]) -> Ours:
    spent: dict[str, int] = {}
    for row in rows:
        spent[row.model] = spent.get(row.model, 0) + row.nanos
    return Ours(
        name=max(sorted(spent), key=lambda name: spent[name]),
        input_tokens=sum(row.input_tokens for row in rows),
        output_tokens=sum(row.output_tokens for row in rows),
        nanos=sum(row.nanos for row in rows),
    )


def _blank(invoice: Invoice, key: tuple[int, str]) -> Billed:
    """A line of nothing, for what the file does not have, in what it does tell."""
    tokens = any(line.input_tokens is not None for line in invoice.lines)
    money = any(line.nanos is not None for line in invoice.lines)
    return Billed(*key, 0 if tokens else None, 0 if tokens else None, 0 if money else None)


def _compared(
    key: tuple[int, str], ours: Ours, theirs: Billed | None, blank: Billed, tolerance: Fraction
) -> Compared | None:
    """None where neither side has anything."""
    said = theirs or blank
    if not ours and not (said.input_tokens or said.output_tokens or said.nanos):
        return None
    state: State
    if theirs is None:
        state = "not in the file"
    elif not ours:
        state = "not in the ledger"
    else:
        state = "matched" if _close(ours, said, tolerance) else "off"
    return Compared(*key, ours, said, state)


def _close(ours: Ours, theirs: Billed, tolerance: Fraction) -> bool:
    pairs = (
        (ours.input_tokens, theirs.input_tokens, 0),
        (ours.output_tokens, theirs.output_tokens, 0),
        (ours.nanos, theirs.nanos, theirs.grain),
    )
    return all(
        said is None or abs(mine - said) <= max(tolerance * max(abs(mine), abs(said)), Fraction(grain))
        for mine, said, grain in pairs
    )
