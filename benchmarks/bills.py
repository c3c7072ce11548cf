"""Recomputes bills of recorded answers with our prices: `python -m benchmarks.bills --data DIR [--json FILE]`.

DIR is a folder with `outcomes/` inside. A row's tokens are priced by what our lists ask for its model on the bench's
day, and compared with the cost that its source gives. What can't be compared is counted too, with the reason. Costs of
`bfcl` are the collector's own (tokens times a list of its), those of `llmdrift` what was billed in 2023, with prompts
counted later by cl100k_base without the frame that a provider puts around a message: `missing` is how many tokens more
of input would explain the median row. `swebench` gives the cost of whole runs without their tokens.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import NamedTuple

import msgspec
import polars as pl

from tierwise.core import tariff
from tierwise.gateway.prices.catalogue import tariffs_of
from tierwise.gateway.tables.model_table import BASE_URLS
from tierwise.tariffs import Tariff
from tierwise.types import Usage

RESULT = Path(__file__).parent / "results" / "bills.json"
BENCHES = {"bfcl_2024_08": "2024-08-11", "llmdrift": "2023-06-13", "swebench_mini": "2026-03-04"}
CLOSE = 0.01
NANOS = 1_000_000_000


class Bill(NamedTuple):
    """Of a model on a bench: relative errors of its rows without their signs, and of the sum of all with its sign."""

    bench: str
    model: str
    rows: int
    compared: int
    why_not: str  # the others were not compared; "" where all were
    source_usd: float
    ours_usd: float
    within: float | None  # share of the rows compared that are at most CLOSE off
    median: float | None
    worst: float | None
    total: float | None
    missing: float | None  # tokens of input a row, by which ours is short of the source
    framed: float | None  # as `within`, with that many more


class Row(NamedTuple):
    asked: int | None
    said: int | None
    usd: float | None
    counted: str


def rows(path: Path) -> dict[str, list[Row]]:
    table = pl.read_parquet(path).select("model", "prompt_tokens", "completion_tokens", "cost_usd", "token_source")
    found: dict[str, list[Row]] = defaultdict(list)
    for model, *rest in table.rows():
        found[model].append(Row(*rest))
    return found


def listed(model: str, moment: int) -> Tariff | None:
    """Of whichever provider has the model by this name; benches add "-FC" for a way of calling it."""
    name = model.removesuffix("-FC")
    found = (tariff.valid(tariffs_of(provider, name), moment) for provider in BASE_URLS)
    return next((item for item in found if item is not None), None)


def bill(bench: str, model: str, held: Sequence[Row], moment: int) -> Bill:
    price = listed(model, moment)
    pairs = [pair for row in held if (pair := _pair(row, price, moment))]
    missing = median([(usd - ours) * 1e12 / price.rates.input for usd, ours in pairs]) if price and pairs else None
    framed = [pair for row in held if (pair := _pair(row, price, moment, round(missing or 0)))]
    errors = [abs(ours / usd - 1) for usd, ours in pairs]
    usd, ours = sum(pair[0] for pair in pairs), sum(pair[1] for pair in pairs)
    return Bill(
        bench,
        model,
        len(held),
        len(pairs),
        _why_not(held, price) if len(pairs) < len(held) else "",
        round(usd, 6),
        round(ours, 6),
        sum(error <= CLOSE for error in errors) / len(errors) if errors else None,
        median(errors) if errors else None,
        max(errors, default=None),
        ours / usd - 1 if usd else None,
        missing,
        sum(abs(ours / usd - 1) <= CLOSE for usd, ours in framed) / len(framed) if framed else None,
    )


def _pair(row: Row, price: Tariff | None, moment: int, more: int = 0) -> tuple[float, float] | None:
    """(USD by the source, USD by us for so many `more` tokens of input)."""
    if price is None or not (row.asked and row.said is not None and row.usd):
        return None
    nanos = tariff.cost(price, moment, Usage(row.asked + more, row.said))
    return None if nanos is None else (row.usd, nanos / NANOS)


def _why_not(held: Sequence[Row], price: Tariff | None) -> str:
    if not any(row.asked for row in held):
        return "no tokens"
    if not any(row.usd for row in held):
        return "no cost"
    return "no price of ours" if price is None else "rows without tokens or cost"


def bills(data: Path) -> Iterator[Bill]:
    for bench, day in BENCHES.items():
        moment = int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp())
        for model, held in sorted(rows(data / "outcomes" / f"{bench}.parquet").items()):
            yield bill(bench, model, held, moment)


def show(found: Sequence[Bill]) -> None:
    head = f"{'bench':14}{'model':46}{'rows':>6}{'within 1 %':>12}{'median':>9}{'worst':>9}{'sum':>9}"
    print(f"{head}{'missing':>9}{'framed':>9}")
    for one in found:
        if one.within is None:
            print(f"{one.bench:14}{one.model:46}{one.rows:6}  not compared: {one.why_not}")
            continue
        figures = f"{one.within:12.1%}{one.median:9.2%}{one.worst:9.1%}{one.total:+9.2%}"
        figures += f"{one.missing:9.1f}{one.framed:9.1%}"
        rest = f"  {one.rows - one.compared} of them not: {one.why_not}" if one.why_not else ""
        print(f"{one.bench:14}{one.model:46}{one.rows:6}{figures}{rest}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--json", type=Path, default=RESULT)
    options = parser.parse_args()
    result = list(bills(options.data))
    show(result)
    options.json.write_bytes(msgspec.json.format(json.dumps([one._asdict() for one in result]).encode()) + b"\n")
