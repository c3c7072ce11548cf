"""Money and requests, summed up: by day, route, team, key and model, and by what was paid for.

Made from the store's sums by the hour. Knows nothing of forecasts, experiments, or how sums are told.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import msgspec

from tierwise import money
from tierwise.core.window import DAY_NS, iso
from tierwise.money import Key, Spend, Traffic
from tierwise.proof import Day
from tierwise.types import CostState, Duty

Role = Duty | Literal["correction"]
By = Literal["route", "team", "key", "model", "day"]
BY: tuple[By, ...] = ("route", "team", "key", "model", "day")
ASIDE = "aside"  # the key of sums that no client asked for
HOUR_NS, DAY_HOURS = DAY_NS // 24, 24


class Sums(msgspec.Struct):
    """Nano-dollars by how sure they are, and counts. The baseline is what always-premium would have cost.

    `unknown_baseline_nanos`: the part of it that is not known, and is put at what was spent: it claims no saving.
    """

    requests: int = 0  # answered
    failed: int = 0
    drafts: int = 0  # of those answered
    baseline_nanos: int = 0
    unknown_baseline_nanos: int = 0
    entries: int = 0
    reported_nanos: int = 0
    computed_nanos: int = 0
    estimated_nanos: int = 0
    unknown_nanos: int = 0
    aside_nanos: int = 0  # of all these
    input_tokens: int = 0
    output_tokens: int = 0

    @property
    def spent_nanos(self) -> int:
        return self.reported_nanos + self.computed_nanos + self.estimated_nanos + self.unknown_nanos

    @property
    def net_nanos(self) -> int:
        """Below 0 where more was spent than premium alone would have cost."""
        return self.baseline_nanos - self.spent_nanos

    @property
    def share(self) -> float | None:
        """Of the baseline, saved; None where there is none to compare with."""
        return self.net_nanos / self.baseline_nanos if self.baseline_nanos > 0 else None

    def pay(self, item: Spend) -> None:
        self.entries += item.entries
        self.input_tokens += item.input_tokens
        self.output_tokens += item.output_tokens
        if item.key_id == ASIDE:
            self.aside_nanos += item.nanos
        match item.state:
            case "provider_reported":
                self.reported_nanos += item.nanos
            case "computed":
                self.computed_nanos += item.nanos
            case "estimated":
                self.estimated_nanos += item.nanos
            case "unknown":
                self.unknown_nanos += item.nanos

    def serve(self, item: Traffic) -> None:
        if item.key_id == ASIDE:  # nobody was answered by an audit, and premium alone would need none
            return
        self.requests += item.requests
        self.failed += item.failed
        self.drafts += item.drafts
        self.baseline_nanos += item.baseline_nanos
        self.unknown_baseline_nanos += item.unknown_nanos


class Row(msgspec.Struct, frozen=True):
    """`id`: as the ledger has it; a day as 2026-11-02. `name`: for people. Of a model no baseline is known."""

    id: str
    name: str
    sums: Sums


class Part(msgspec.Struct, frozen=True):
    """What was paid for: a duty of models on behalf of clients, "aside" or "correction"."""

    what: str
    nanos: int
    entries: int


def folded(spend: Iterable[Spend]) -> list[Spend]:
    """The hours of each day together, as of its first: what comes after has few rows to go through."""
    found = dict[tuple[int, str, str, str, str, Role, CostState], list[int]]()
    for item in spend:
        key = (item.hour // DAY_HOURS, item.route, item.team, item.key_id, item.model, item.role, item.state)
        sums = found.get(key)
        if sums is None:
            sums = found[key] = [0] * 7
        sums[0] += item.entries
        sums[1] += item.nanos
        sums[2] += item.input_tokens
        sums[3] += item.output_tokens
        sums[4] += item.cache_read_tokens
        sums[5] += item.cache_write_tokens
        sums[6] += item.reasoning_tokens
    return [
        Spend(day * DAY_HOURS, route, team, key_id, model, role, state, *sums)
        for (day, route, team, key_id, model, role, state), sums in sorted(found.items())
    ]


def folded_traffic(traffic: Iterable[Traffic]) -> list[Traffic]:
    """So too, the arms of an experiment together."""
    found = dict[tuple[int, str, str, str], list[int]]()
    for item in traffic:
        key = (item.hour // DAY_HOURS, item.route, item.team, item.key_id)
        sums = found.get(key)
        if sums is None:
            sums = found[key] = [0] * 6
        sums[0] += item.requests
        sums[1] += item.failed
        sums[2] += item.drafts
        sums[3] += item.nanos
        sums[4] += item.baseline_nanos
        sums[5] += item.unknown_nanos
    return [
        Traffic(day * DAY_HOURS, route, team, key_id, "", *sums)
        for (day, route, team, key_id), sums in sorted(found.items())
    ]


def parts(spend: Iterable[Spend]) -> tuple[Part, ...]:
    """The dearest first."""
    nanos, entries = Counter[str](), Counter[str]()
    for item in spend:
        what = ASIDE if item.key_id == ASIDE and item.role != "correction" else item.role
        nanos[what] += item.nanos
        entries[what] += item.entries
    return tuple(Part(what, nanos[what], entries[what]) for what in sorted(nanos, key=lambda what: -nanos[what]))


def table(by: By, spend: Iterable[Spend], traffic: Iterable[Traffic], names: Mapping[str, str]) -> tuple[Row, ...]:
    """Days in their order; all others, the dearest first."""
    found = defaultdict[str, Sums](Sums)
    for paid in spend:
        found[paid.model if by == "model" else _id(by, paid)].pay(paid)
    for served in traffic if by != "model" else ():
        found[_id(by, served)].serve(served)
    rows = [Row(key, names.get(key, key) if by == "key" else key, found[key]) for key in sorted(found)]
    return tuple(rows if by == "day" else sorted(rows, key=lambda row: -row.sums.spent_nanos))


def _id(by: By, item: Spend | Traffic) -> str:
    match by:
        case "route":
            return item.route
        case "team":
            return money.ASIDE if item.key_id == ASIDE else item.team
        case "key":
            return item.key_id
        case _:
            return iso(item.hour * HOUR_NS)[:10]


def names(keys: Sequence[Key]) -> dict[str, str]:
    """Of keys that share one, with the id."""
    often = Counter(key.name for key in keys)
    return {key.id: key.name if often[key.name] == 1 else f"{key.name} ({key.id})" for key in keys}


def days(spend: Iterable[Spend], traffic: Iterable[Traffic]) -> list[Day]:
    """As the guarantee's report has them; corrections are spent on clients."""
    found = defaultdict[int, Counter[str]](Counter)
    for paid in spend:
        found[paid.hour // DAY_HOURS]["aside" if paid.key_id == ASIDE else "nanos"] += paid.nanos
    for served in traffic:
        if served.key_id != ASIDE:
            found[served.hour // DAY_HOURS]["baseline"] += served.baseline_nanos
    return [
        Day(
            day=day, requests=0, drafts=0,
            nanos=sums["nanos"], aside_nanos=sums["aside"], baseline_nanos=sums["baseline"],
        )
        for day, sums in sorted(found.items())
    ]  # fmt: skip
