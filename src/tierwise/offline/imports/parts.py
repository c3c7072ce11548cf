"""Rows on the disk while a log is read, then joined into one file: each query and model once.

Memory holds a number for every row and the rows of one part. Knows no log format.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tierwise.core.price import cost
from tierwise.offline.imports.row import Row
from tierwise.offline.outcomes import COLUMNS, typed
from tierwise.types import Price, Usage

if TYPE_CHECKING:
    import polars as pl

PriceOf = Callable[[str, str], Price | None]  # (provider, model) -> its list price

_LISTED = ("openai", "anthropic", "deepseek")  # whose model a bare name may be
_ROWS, _CHARACTERS = 20_000, 64_000_000  # of one part
AGAIN = "asked again of the same model"
WIDE = "a trace's score, but several generations in it (the rows stay, without it)"


class Parts:
    """`bench` is for every row, or where it is None `fallback` for those that name none."""

    def __init__(self, folder: Path, bench: str | None, fallback: str, price: PriceOf) -> None:
        self._count = 0
        self._folder, self._bench, self._fallback = folder, bench, fallback
        self._price = price
        self._prices: dict[tuple[str | None, str], Price | None] = {}
        self._rows: list[dict[str, object]] = []
        self._characters = 0
        self._written = 0  # parts
        self._seen: dict[bytes, tuple[int, bool]] = {}  # query and model -> (row, whether it has a score)
        self._dropped: set[int] = set()
        self._traces: dict[str, list[int]] = {}  # with a score of the whole -> rows
        self._again = 0

    def __len__(self) -> int:
        return self._count - len(self._dropped)

    def add(self, row: Row) -> None:
        """Of rows of one query and model the first stays, or the first with a score."""
        key = blake2b(f"{row.query_id}\0{row.model}".encode(errors="replace"), digest_size=12).digest()
        scored = row.score is not None or row.trace_score is not None
        old, old_scored = self._seen.get(key, (-1, False))
        if row.trace and row.trace_score is not None:
            self._traces.setdefault(row.trace, []).append(self._count)
        if old >= 0:
            self._again += 1
            if old_scored or not scored:
                return
            self._dropped.add(old)
        self._seen[key] = (self._count, scored)
        self._count += 1
        self._rows.append(self._values(row))
        self._characters += len(row.prompt or "") + len(row.response or "")
        if len(self._rows) >= _ROWS or self._characters >= _CHARACTERS:
            self._flush()

    def join(self, out: Path, skipped: Counter[str]) -> None:
        """Write `out`; what was dropped and unscored on the way is added to `skipped`."""
        import polars as pl

        self._flush()
        wide = [row for rows in self._traces.values() if len(rows) > 1 for row in rows]
        row = pl.col("row")
        score = pl.when(row.is_in(wide)).then(None).otherwise(pl.col("score")).alias("score")
        table = pl.scan_parquet([self._part(at) for at in range(self._written)]).with_row_index("row")
        table = table.filter(~row.is_in(list(self._dropped))).with_columns(score).select(list(COLUMNS))
        table.sink_parquet(out)
        skipped.update({AGAIN: self._again} if self._again else {})
        skipped.update({WIDE: len(wide)} if wide else {})

    def _part(self, number: int) -> Path:
        return self._folder / f"{number:06}.parquet"

    def _flush(self) -> None:
        if self._rows:
            self._frame().write_parquet(self._part(self._written))
            self._written += 1
            self._rows, self._characters = [], 0

    def _frame(self) -> pl.DataFrame:
        import polars as pl

        return typed(pl.DataFrame({name: [row[name] for row in self._rows] for name in COLUMNS}, strict=False))

    def _values(self, row: Row) -> dict[str, object]:
        return {
            **{name: getattr(row, name) for name in COLUMNS},
            "bench": self._bench or row.bench or self._fallback,
            "score": row.score if row.score is not None else row.trace_score,
            "cost_usd": row.cost_usd if row.cost_usd is not None else self._cost(row),
            "extra": msgspec.json.encode(row.extra).decode() if row.extra else None,
        }

    def _cost(self, row: Row) -> float | None:
        """USD at list price, where tokens and a price are known."""
        if row.prompt_tokens is None or row.completion_tokens is None:
            return None
        key = (row.provider, row.model)
        if key not in self._prices:
            self._prices[key] = self._listed(row)
        price = self._prices[key]
        return cost(Usage(row.prompt_tokens, row.completion_tokens), price) / 1e9 if price else None

    def _listed(self, row: Row) -> Price | None:
        provider, _, name = row.model.rpartition("/")
        provider = provider or row.provider or ""
        found = (self._price(one, name) for one in ((provider,) if provider else _LISTED))
        return next((price for price in found if price), None)
