"""A reconciliation in cells of a table and in sentences. Knows no terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from fractions import Fraction

from tierwise.offline.bills.billed import Invoice
from tierwise.offline.bills.reconcile import Compared, Found
from tierwise.offline.costs.plan_words import percent, usd

TITLES = ("day", "model", "", "ledger", "file", "off")
ANY = "all models"
_DAY0 = date(1970, 1, 1)


def headline(invoice: Invoice, days: tuple[int, int]) -> str:
    clock = "UTC" if not invoice.offset else f"UTC{invoice.offset / 3600:+g} h"
    return f"{invoice.shape}, {day(days[0])} to {day(days[1])} ({clock})"


def rows(found: Sequence[Compared]) -> Iterator[tuple[str, ...]]:
    """Cells under `TITLES`: a line for each figure that the file tells."""
    for row in found:
        first = True
        for what, mine, said in _figures(row):
            head = (day(row.day), row.model or ANY) if first else ("", "")
            yield (*head, what, _figure(what, mine), _figure(what, said), _off(row, what, mine, said))
            first = False


def verdict(found: Found) -> str:
    count = len(found.rows)
    matched = sum(row.state == "matched" for row in found.rows)
    said = [f"{matched:,} of {count:,} days and models match"]
    counts = {
        state: sum(row.state == state for row in found.rows)
        for state in ("off", "not in the file", "not in the ledger")
    }
    said += [f"{others:,} {state}" for state, others in counts.items() if others]
    return ", ".join(said) + "."


def total(found: Found) -> Iterator[str]:
    """In sum, of all rows."""
    sums: dict[str, tuple[int, int]] = {}
    for row in found.rows:
        for what, mine, said in _figures(row):
            ours, theirs = sums.get(what, (0, 0))
            sums[what] = ours + mine, theirs + said
    for what, (mine, said) in sums.items():
        yield f"{what}: {_figure(what, mine)} in the ledger, {_figure(what, said)} in the file{_by(what, mine, said)}"


def notes(found: Found, invoice: Invoice) -> Iterator[str]:
    yield from (f"left out of the file: {note}" for note in invoice.notes)
    if invoice.offset % 3600:
        yield "the file's days begin within an hour of the ledger's: what was spent in that hour may be on another day"
    for name, nanos in found.unmapped.items():
        what = f"{name}, which the config does not know" if name else "corrections of no single model"
        yield f"left out of the ledger: {usd(nanos)} of {what}"


def day(number: int) -> str:
    return (_DAY0 + timedelta(days=number)).isoformat()


def _figures(row: Compared) -> Iterator[tuple[str, int, int]]:
    pairs = (
        ("input", row.ours.input_tokens, row.theirs.input_tokens),
        ("output", row.ours.output_tokens, row.theirs.output_tokens),
        ("cost", row.ours.nanos, row.theirs.nanos),
    )
    yield from ((what, mine, said) for what, mine, said in pairs if said is not None)


def _figure(what: str, value: int) -> str:
    return usd(value) if what == "cost" else f"{value:,}"


def _off(row: Compared, what: str, mine: int, said: int) -> str:
    if row.state in ("not in the file", "not in the ledger"):
        return row.state
    return _by(what, mine, said).removeprefix(", ")


def _by(what: str, mine: int, said: int) -> str:
    """How much more the file has."""
    if mine == said:
        return ""
    more = said - mine
    share = f" ({percent(Fraction(abs(more), abs(mine)))})" if mine else ""
    return f", {'+' if more > 0 else ''}{_figure(what, more)}{share}"
