"""Second opinions on recorded answers: how well results are recognised, and what keeping on agreement is worth.

    python -m benchmarks.agreement --data DIR [--json OUT]

DIR holds `outcomes/*.parquet`: one row a query and model, with its response, the answer as the source extracted it,
the reference and the score. Two parts: (1) how often the conclusion of a response is that of the source's extracted
answer, and of the reference where the score is 1 (and not where it is 0); how often a program that is worked out
gives what running it gave. (2) For pairs of models with opinion models that were fixed beforehand: keep the cheap
answer where every opinion agrees with it, else take the premium's; no label is used. Intervals: bootstrap over
queries, 95 %. The scores are the sources' own, and differ from the canonical forms where a source is stricter.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
from rich.console import Console
from rich.table import Table

from tierwise.scorers.agreement import opinions
from tierwise.scorers.arithmetic_program import run_arithmetic
from tierwise.scorers.canonical import Conclusion, canonical, question
from tierwise.scorers.conclusion import conclude
from tierwise.types import Answer, Choice, Message, Request

RESAMPLES = 2_000
SAMPLE = 20_000  # rows of a bench in part 1
TIMED = 2_000  # characters of the answers whose time is told
Interval = dict[str, float]

GSM, CRUX, MATHS, MMLU = "zeroeval_gsm", "zeroeval_crux", "zeroeval_mathl5", "mmlupro"
FLASH, LLAMA = "gemini-1.5-flash-002", "Meta-Llama-3_1-8B-Instruct"
MINI, O1 = "gpt-4o-mini-2024-07-18", "o1-mini-2024-09-12"
# The second with a score by what the text says: the source's extraction misses a date that stands in a sentence.
DATES, READ = "mot_cascade", "mot_cascade, as read"
HAIKU, QWEN = "claude-3-haiku-20240307", "Qwen2.5-7B-Instruct"
# (bench, category or all, cheap, premium, opinions)
PAIRS: tuple[tuple[str, str | None, str, str, tuple[str, ...]], ...] = (
    (MMLU, None, FLASH, "gemini-1.5-pro-002", (LLAMA, "Qwen1.5-72B-Chat")),
    (MMLU, None, LLAMA, "Meta-Llama-3_1-70B-Instruct", ("Phi-3-mini-4k-instruct", "Mixtral-8x7B-Instruct-v0.1")),
    (GSM, None, MINI, "claude-3-5-sonnet-20241022", (HAIKU, "gemini-1.5-flash")),
    (GSM, None, "Meta-Llama-3.1-8B-Instruct", "gpt-4o-2024-05-13", ("gemma-2-9b-it", "Qwen2-7B-Instruct")),
    (MATHS, None, MINI, O1, (QWEN, "gemini-1.5-flash")),
    (CRUX, None, MINI, O1, (HAIKU, QWEN)),
    (DATES, "date", "gpt-3.5-turbo/cot1", "gpt-4/greedy_cot1", ("gpt-3.5-turbo/pot1",)),
    (DATES, "date", "gpt-3.5-turbo/pot1", "gpt-4/greedy_cot1", ("gpt-3.5-turbo/cot1",)),
    (READ, "date", "gpt-3.5-turbo/cot1", "gpt-4/greedy_cot1", ("gpt-3.5-turbo/pot1",)),
)


def share(values: np.ndarray) -> Interval:
    return ratio(values, np.ones(len(values)))


def ratio(above: np.ndarray, below: np.ndarray) -> Interval:
    """sum(above) / sum(below), with its bootstrap interval; the rows are resampled together."""
    generator = np.random.default_rng(7)
    drawn = []
    for _ in range(RESAMPLES):
        rows = generator.integers(0, len(above), len(above))
        drawn.append(above[rows].sum() / max(below[rows].sum(), 1e-9))
    low, high = np.quantile(drawn, [0.025, 0.975])
    return {"value": float(above.sum() / max(below.sum(), 1e-9)), "low": float(low), "high": float(high)}


# ------------------------------------------------------------------ part 1: are results recognised


def recognised(table: pl.DataFrame) -> dict[str, Any]:
    """The shares, and the CPU time of a conclusion of at most TIMED characters, the reading of its prompt included."""
    rows = table.filter(pl.col("response").is_not_null()).sample(min(SAMPLE, table.height), seed=7, shuffle=True)
    extracted, right, wrong, times = [], [], [], []
    for row in rows.iter_rows(named=True):
        start = time.thread_time()
        asked = question(row["prompt"] or "")
        found = conclude(row["response"], asked)
        if len(row["response"]) <= TIMED:
            times.append(1e6 * (time.thread_time() - start))
        if row["answer"]:
            extracted.append(_same(found, canonical(row["answer"], asked)))
        correct = _same(found, canonical(row["reference"] or "", asked))
        (right if row["score"] == 1 else wrong).append(correct)
    return {
        "n": rows.height,
        "as_extracted": share(np.array(extracted)),
        "reference_where_right": share(np.array(right)),
        "reference_where_wrong": share(np.array(wrong)),
        "us": {"p50": float(np.quantile(times, 0.5)), "p99": float(np.quantile(times, 0.99))},
    }


def _same(found: Conclusion | None, other: Conclusion | None) -> bool:
    return found is not None and other is not None and found.key == other.key


def first_samples(table: pl.DataFrame, *, read: bool = False) -> pl.DataFrame:
    """Answer and score of the one sample whose text is there; the table's own are those of the majority.

    With `read` the score is whether the text's conclusion is the reference, else whether the source's answer is.
    """
    rows = []
    for row in table.iter_rows(named=True):
        sampled = msgspec.json.decode(row["extra"])["results"][:1]
        answer = str(sampled[0]) if sampled and sampled[0] not in (None, "None") else None
        asked = question(row["prompt"])
        said = conclude(row["response"] or "", asked) if read else canonical(answer or "", asked)
        right = _same(said, canonical(row["reference"], asked))
        rows.append({**row, "answer": answer, "score": float(right)})
    return pl.DataFrame(rows, schema=table.schema)


def _unfit() -> pl.Expr:
    """Programs that call functions which only the source has."""
    return pl.col("model").str.contains("pot") & pl.col("category").is_in(["crepe", "navigate"])


def programs(table: pl.DataFrame) -> dict[str, Any]:
    """How often a program's value is what its execution gave at the source, per category."""
    rows = table.filter(pl.col("model").str.contains("pot"))
    outcomes: dict[str, list[bool | None]] = {}
    for row in rows.iter_rows(named=True):
        if row["answer"] is None:
            continue  # it did not run there
        asked = question(row["prompt"])
        value = run_arithmetic(row["response"] or "")
        same = None if value is None else _same(canonical(value, asked), canonical(row["answer"], asked))
        outcomes.setdefault(row["category"], []).append(same)
    return {
        category: {
            "n": len(found),
            "same": share(np.array([same is True for same in found])),
            "not_run": share(np.array([same is None for same in found])),
        }
        for category, found in sorted(outcomes.items())
    }


# ------------------------------------------------------------------ part 2: keep where all agree


def kept(table: pl.DataFrame, cheap: str, premium: str, others: tuple[str, ...]) -> dict[str, Any]:
    """Label-free: the cheap answer where all opinions agree, else the premium's."""
    by_model = {
        model: {row["query_id"]: row for row in table.filter(pl.col("model") == model).iter_rows(named=True)}
        for model in (cheap, premium, *others)
    }
    shared = sorted(set.intersection(*(set(rows) for rows in by_model.values())))
    keep, low, high = [], [], []
    for query in shared:
        row = by_model[cheap][query]
        request = Request(id="r", asked="r", messages=(Message("user", row["prompt"] or ""),))
        found = opinions(request, _answer(row), [_answer(by_model[other][query]) for other in others])
        keep.append(found[0].passed is True)
        low.append(row["score"])
        high.append(by_model[premium][query]["score"])
    kept_, cheap_, premium_ = np.array(keep), np.array(low), np.array(high)
    mixed = np.where(kept_, cheap_, premium_)
    return {
        "n": len(shared),
        "cheap": share(cheap_),
        "premium": share(premium_),
        "oracle": share(np.maximum(cheap_, premium_)),
        "kept_cheap": share(kept_),
        "quality": share(mixed),
        "retention": ratio(mixed, premium_),
        "kept_right": share(cheap_[kept_]),
        "harm": share(kept_ & (cheap_ < premium_)),
    }


def _answer(row: dict[str, Any]) -> Answer:
    return Answer(row["model"], (Choice(text=row["response"] or "", finish="stop"),))


def measure(data: Path, log: Callable[[str], None]) -> dict[str, Any]:
    tables = {bench: pl.read_parquet(data / "outcomes" / f"{bench}.parquet") for bench in (GSM, CRUX, MATHS, MMLU)}
    samples = pl.read_parquet(data / "outcomes" / "mot_cascade.parquet")
    tables[DATES] = first_samples(samples.filter(~_unfit()))
    results: dict[str, Any] = {"conclusions": {}, "programs": programs(tables[DATES]), "pairs": []}
    for bench, table in tables.items():
        log(f"conclusions of {bench}")
        results["conclusions"][bench] = recognised(table)
    tables[READ] = first_samples(samples.filter(pl.col("category") == "date"), read=True)
    for bench, category, cheap, premium, others in PAIRS:
        log(f"{cheap} -> {premium}")
        rows = tables[bench] if category is None else tables[bench].filter(pl.col("category") == category)
        named = {"bench": bench, "category": category, "models": [cheap, premium], "opinions": others}
        results["pairs"].append({**named, **kept(rows, cheap, premium, others)})
    return results


# ------------------------------------------------------------------ what is told


def _percent(found: Interval) -> str:
    return f"{100 * found['value']:.1f} [{100 * found['low']:.1f}, {100 * found['high']:.1f}]"


def tell(results: dict[str, Any], console: Console) -> None:
    table = Table("bench", "n", "as extracted %", "= reference, right %", "= reference, wrong %", "us p50", "p99")
    for bench, found in results["conclusions"].items():
        shares = [_percent(found[name]) for name in ("as_extracted", "reference_where_right", "reference_where_wrong")]
        table.add_row(bench, str(found["n"]), *shares, f"{found['us']['p50']:.0f}", f"{found['us']['p99']:.0f}")
    console.print(table)
    table = Table("programs", "n", "same as executed %", "not worked out %")
    for category, found in results["programs"].items():
        table.add_row(category, str(found["n"]), _percent(found["same"]), _percent(found["not_run"]))
    console.print(table)
    table = Table("pair", "n", "cheap %", "premium %", "kept cheap %", "quality %", "retention %", "harm %")
    for found in results["pairs"]:
        shares = ("cheap", "premium", "kept_cheap", "quality", "retention", "harm")
        pair = f"{found['bench']} {' -> '.join(found['models'])}"
        table.add_row(pair, str(found["n"]), *[_percent(found[name]) for name in shares])
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--json", type=Path, default=Path(__file__).parent / "results" / "agreement.json")
    options = parser.parse_args()
    console = Console()
    results = measure(options.data, console.print)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=2) + b"\n")
    tell(results, console)


if __name__ == "__main__":
    main()
