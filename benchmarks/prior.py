"""Would a router prior, trained on public outcomes, help where a route has few labels or none?

    python -m benchmarks.prior --data DIR [--out benchmarks/results/prior.json]

DIR holds `outcomes/*.parquet`. The prior is the router's own model (`offline/fit.py`) of how good small and large
models are at a prompt, fitted to the means of many models on benchmarks whose licence allows it (Apache-2.0, MIT).
It is tested on pairs of models on other benchmarks, none of whose questions it has seen: (1) alone, as a router of a
route without labels, beside the length of the request, which is what such a route has; (2) beside 100, 200 and 500
labels of the route, its two log-odds as columns, against the same labels without it. APGR: 0.5 is a coin. Part 1 with
bootstrap 95 % intervals; part 2 with means over draws of labels, and the standard error of the change.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import msgspec
import numpy as np
import polars as pl
from rich.console import Console
from rich.table import Table

from tierwise.offline.fit import Data, Lower, Rows, Targets, lower, predict, upper
from tierwise.offline.measured import measure
from tierwise.offline.outcomes import Pairs, Side, pair, read
from tierwise.offline.recorded import request_of
from tierwise.scorers.router import LengthRouter
from tierwise.scorers.stack import Floats, Stack
from tierwise.stats.bootstrap import frontier_intervals
from tierwise.stats.frontier import apgr, curve

NEEDED = ("query_id", "model", "score", "prompt")
SMALL = r"(?i)(?:^|\D)(?:2|3|6|7|8|9)b\b|phi-3.*mini|haiku|nemo-"
LARGE = r"(?i)(?:49|51|70|72|405)b\b|gpt-4o-2024|gpt-4-|sonnet|opus|\bpro\b|o1-preview|large|deepseek"
NEITHER = r"(?i)chatqa|codegemma"  # large or small, and good at little else than their own tasks
MMLU, GSM8K, MMLU_PRO = "mmlu", "gsm8k", "mmlu-pro"  # questions that several benches share
# bench, and whose questions it has
SOURCES = (
    ("mmlupro", MMLU_PRO), ("zeroeval_gsm", GSM8K), ("zeroeval_crux", ""), ("zeroeval_mathl5", ""),
    ("zeroeval_numersense", ""), ("ulab_llmrouter", ""),
)  # fmt: skip
SHARED = {MMLU: r"(?i)mmlu", MMLU_PRO: r"(?i)mmlu", GSM8K: r"(?i)gsm"}  # categories of ulab_llmrouter
READS = (("cheap", "prompt"), ("premium", "prompt"))
LABELS, DRAWS = (100, 200, 500), 8
MIXTRAL, GPT4 = "mistralai/Mixtral-8x7B-Instruct-v0.1", "gpt-4-1106-preview"


@dataclass(frozen=True)
class Case:
    name: str
    bench: str
    questions: str
    cheap: str
    premium: str


CASES = (
    Case("MMLU, Mixtral -> GPT-4", "routellm_mmlu", MMLU, MIXTRAL, GPT4),
    Case("GSM8K, Mixtral -> GPT-4", "routellm_gsm8k", GSM8K, MIXTRAL, GPT4),
    Case("MMLU-Pro, flash -> pro", "mmlupro", MMLU_PRO, "gemini-1.5-flash-002", "gemini-1.5-pro-002"),
    Case("MMLU-Pro, 8B -> 70B", "mmlupro", MMLU_PRO, "Meta-Llama-3_1-8B-Instruct", "Meta-Llama-3_1-70B-Instruct"),
    Case("tool calls, haiku -> sonnet", "bfcl_2024_08", "", "claude-3-haiku-20240307", "claude-3-5-sonnet-20240620"),
)  # fmt: skip


# ------------------------------------------------------------------ the prior


def trained(data: Path, without: str) -> tuple[Stack, int]:
    """A router of mean small to mean large model, and its number of queries; `without` a family of questions."""
    pairs = _together([_means(table) for table in _tables(data, without)])
    measured = measure(pairs)
    targets: Targets = {side: getattr(pairs, side).score.astype(np.float32) for side in ("cheap", "premium")}
    rows, none = np.arange(len(pairs)), np.zeros(0, np.float32)
    # No storey of words: those of one benchmark's questions are not another's.
    return upper(measured.router, targets, Lower(rows, (), none, none, (), np.zeros((len(rows), 0), np.float32))), len(
        pairs
    )


def _tables(data: Path, without: str) -> list[pl.DataFrame]:
    tables = []
    for bench, questions in SOURCES:
        if without and questions == without:
            continue
        table = read(data / "outcomes" / f"{bench}.parquet", need=NEEDED)
        if bench == "ulab_llmrouter" and without:
            table = table.filter(~pl.col("category").str.contains(SHARED[without]))
        if bench == "mmlupro" and without == MMLU:  # some of its questions are MMLU's
            table = table.filter(~pl.col("extra").str.contains("ori_mmlu"))
        tables.append(table)
    return tables


def _means(table: pl.DataFrame) -> pl.DataFrame:
    """prompt, and the mean scores of small and of large models."""
    known = table.filter(~pl.col("model").str.contains(NEITHER))
    small = known.filter(pl.col("model").str.contains(SMALL) & ~pl.col("model").str.contains(LARGE))
    large = known.filter(pl.col("model").str.contains(LARGE))
    means = small.group_by("query_id").agg(pl.col("prompt").first(), pl.col("score").mean().alias("small"))
    return means.join(large.group_by("query_id").agg(pl.col("score").mean().alias("large")), on="query_id").sort(
        "query_id"
    )


def _together(tables: list[pl.DataFrame]) -> Pairs:
    table = pl.concat(tables)
    size = table.height
    unknown = np.full(size, np.nan)
    nothing: list[str | None] = [None] * size

    def side(name: str) -> Side:
        score = table[name].to_numpy().astype(float)
        return Side(name, score, unknown, unknown, unknown, unknown, nothing, nothing, size)

    empty = [""] * size
    return Pairs(
        table["query_id"].to_list(), empty, table["prompt"].to_list(), empty, side("small"), side("large"), (), 0
    )


# ------------------------------------------------------------------ what it is worth


def gain(stack: Stack, data: Data, rows: Rows) -> Floats:
    odds = predict(stack, data, rows)
    found: Floats = odds[:, 1] - odds[:, 0]
    return found


def by_length(pairs: Pairs) -> Floats:
    """What a route without labels escalates by: the length of the request."""
    router = LengthRouter()
    asked = zip(pairs.query_id, pairs.prompt, pairs.category, pairs.extra, strict=True)
    return np.array([router.score(request_of(*row), None).score for row in asked], np.float32)


def ranked(pairs: Pairs, escalation: Floats) -> dict[str, float]:
    found = frontier_intervals(pairs.cheap.score, pairs.premium.score, escalation, np.random.default_rng(0))["apgr"]
    return {"value": found.value, "low": found.low, "high": found.high}


def with_prior(data: Data, prior: Stack) -> Data:
    """With the prior's log-odds as two more columns."""
    odds = np.clip(predict(prior, data, np.arange(len(data))), 1e-4, 1 - 1e-4)
    return replace(
        data,
        names=(*data.names, "prior_cheap", "prior_premium"),
        columns=np.concatenate([data.columns, np.log(odds / (1 - odds))], axis=1).astype(np.float32),
        emphasis=np.append(data.emphasis, [1, 1]).astype(np.float32),
    )


def few_labels(pairs: Pairs, without: Data, prior: Stack) -> list[dict[str, Any]]:
    found = []
    both = {"without": without, "with": with_prior(without, prior)}
    low, high = pairs.cheap.score, pairs.premium.score
    targets: Targets = {"cheap": low.astype(np.float32), "premium": high.astype(np.float32)}
    for labels in LABELS:
        reached: dict[str, list[float]] = {name: [] for name in both}
        for draw in range(DRAWS):
            mixed = np.random.default_rng(draw).permutation(len(pairs))
            known, tested = np.sort(mixed[:labels]), np.sort(mixed[labels:])
            for name, data in both.items():
                under = lower(data, targets, READS, known, np.random.default_rng(draw))
                escalation = gain(upper(data, targets, under), data, tested)
                reached[name].append(apgr(curve(low[tested], high[tested], escalation)))
        change = np.array(reached["with"]) - np.array(reached["without"])
        means = {name: float(np.mean(values)) for name, values in reached.items()}
        error = float(change.std(ddof=1) / np.sqrt(DRAWS))
        found.append({"labels": labels, **means, "change": float(change.mean()), "standard_error": error})
    return found


def run(data: Path, log: Callable[[str], None]) -> dict[str, Any]:
    alone, few = [], []
    for case in CASES:
        log(case.name)
        frame = read(data / "outcomes" / f"{case.bench}.parquet", need=NEEDED)
        pairs = pair(frame, case.cheap, case.premium)
        prior, queries = trained(data, case.questions)
        router = measure(_prompts_only(pairs)).router
        rows = np.arange(len(pairs))
        named = {"name": case.name, "n": len(pairs), "trained_on": queries}
        alone.append(
            named | {"prior": ranked(pairs, gain(prior, router, rows)), "length": ranked(pairs, by_length(pairs))}
        )
        if case.bench == "routellm_mmlu":
            few = few_labels(pairs, router, prior)
    return {"alone": alone, "few_labels": few}


def _prompts_only(pairs: Pairs) -> Pairs:
    """A router reads no draft, so none need be measured."""
    return replace(pairs, cheap=replace(pairs.cheap, response=[None] * len(pairs)))


def tell(results: dict[str, Any], console: Console) -> None:
    table = Table("the prior alone, on questions it has not seen", "n", "trained on", "APGR (95 %)", "by length")
    for row in results["alone"]:
        figures = [
            f"{found['value']:.3f} ({found['low']:.3f} to {found['high']:.3f})"
            for found in (row["prior"], row["length"])
        ]
        table.add_row(row["name"], f"{row['n']:,}", f"{row['trained_on']:,}", *figures)
    console.print(table)
    table = Table("MMLU, labels of its own", "APGR without the prior", "with it", "change")
    for row in results["few_labels"]:
        change = f"{row['change']:+.3f} ± {row['standard_error']:.3f}"
        table.add_row(str(row["labels"]), f"{row['without']:.3f}", f"{row['with']:.3f}", change)
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder that holds outcomes/*.parquet")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results/prior.json")
    asked = parser.parse_args()
    results = run(asked.data, lambda what: Console(stderr=True).print(f"[dim]{what}[/]"))
    asked.out.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=1) + b"\n")
    tell(results, Console())


if __name__ == "__main__":
    main()
