"""What each free check is worth on recorded answers whose score is known, and what it costs.

    python -m benchmarks.checks --data DIR [--rows 2000] [--seed 0] [--json benchmarks/results/checks.json]

Every check in CHECKS reads the same sample of answers. It fires where it says False: an answer that it would not let
through. `precision` is the share of bad answers (score below 0.5) among those where it fired, to be held against the
share of bad ones among all (`base`); `recall` the share of all bad ones that it finds. `auroc` says how well the number
it measures, up or down, ranks bad answers above good ones, where it measures one. Intervals are Wilson's, 95 %. Times
are processor time of one thread. What the recordings don't hold (finish reasons, schemas, log-probabilities, the
operator's own vectors) the checks that need it can't see; answers count as stopped by themselves.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from benchmarks.first_light_report import percentile, wilson
from tierwise.scorers.checks import CHECKS, Check
from tierwise.scorers.verifier import run
from tierwise.types import Answer, Checks, Choice, Evidence, Message, Request

BENCHES = (
    "zeroeval_gsm",
    "zeroeval_crux",
    "zeroeval_mathl5",
    "routellm_gsm8k",
    "mmlupro",
    "gemini_bench_svamp",
    "gemini_bench_mawpsmultiarith",
    "gemini_bench_humaneval",
    "bfcl_2024_08",
)
COLUMNS = ["prompt", "response", "score"]
FEWEST = 30  # answers with a value, good and bad together, below which no AUROC is told
OUT = Path(__file__).parent / "results" / "checks.json"


class Sample(NamedTuple):
    """Recorded answers as the checks see them, and whether each is bad."""

    pairs: list[tuple[Request, Answer]]
    bad: list[bool]


def sampled(path: Path, rows: int, seed: int) -> Sample:
    """At most `rows` answers that have a text and a score."""
    import polars as pl  # noqa: PLC0415  heavy

    table = pl.read_parquet(path, columns=COLUMNS).drop_nulls()
    table = table.sample(min(rows, table.height), seed=seed)
    pairs = [
        (
            Request(id="bench", asked="bench", messages=(Message("user", prompt),)),
            Answer("bench", (Choice(text=response, finish="stop"),)),
        )
        for prompt, response in table.select("prompt", "response").iter_rows()
    ]
    return Sample(pairs, [score < 0.5 for score in table["score"]])


def measured(name: str, check: Check, sample: Sample) -> dict[str, Any]:
    """One check's row over one sample."""
    settings = Checks()
    found: list[Evidence] = []
    micros: list[float] = []
    for request, answer in sample.pairs:
        start = time.thread_time_ns()
        found.append(run(name, check, request, answer, settings))
        micros.append((time.thread_time_ns() - start) / 1000)
    fired = [bad for evidence, bad in zip(found, sample.bad, strict=True) if evidence.passed is False]
    return {
        "check": name,
        "n": len(found),
        "looked": sum(evidence.passed is not None or evidence.value is not None for evidence in found),
        "fired": len(fired),
        "base": share(sum(sample.bad), len(found)),
        "precision": share(sum(fired), len(fired)),
        "recall": share(sum(fired), sum(sample.bad)),
        "auroc": auroc([evidence.value for evidence in found], sample.bad),
        "us_p50": percentile(micros, 0.5),
        "us_p99": percentile(micros, 0.99),
    }


def share(hits: int, count: int) -> dict[str, float] | None:
    if not count:
        return None
    low, high = wilson(hits, count)
    return {"value": hits / count, "low": low, "high": high}


def auroc(values: Sequence[float | None], bad: Sequence[bool]) -> float | None:
    """P(a bad answer's value is above a good one's), ties half; below 0.5 where low values are bad."""
    kept = [(value, label) for value, label in zip(values, bad, strict=True) if value is not None]
    ones = sum(label for _, label in kept)
    if len(kept) < FEWEST or ones in {0, len(kept)}:
        return None
    _, place, counts = np.unique([value for value, _ in kept], return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    total = float(ranks[[label for _, label in kept]].sum())
    return (total - ones * (ones + 1) / 2) / (ones * (len(kept) - ones))


def results(
    data: Path, rows: int, seed: int, checks: Sequence[tuple[str, Check]] = CHECKS
) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """(bench, a row for each check) of every bench that is there."""
    for bench in BENCHES:
        path = data / "outcomes" / f"{bench}.parquet"
        if path.exists():
            sample = sampled(path, rows, seed)
            yield bench, [measured(name, check, sample) for name, check in checks]


def shown(found: dict[str, list[dict[str, Any]]], console: Console) -> None:
    """The table; checks that never looked at an answer of a bench are left out of it."""
    table = Table(box=None, header_style="bold")
    titles = (
        "",
        "check",
        "looked",
        "fired",
        "precision",
        "95 % interval",
        "base",
        "recall",
        "auroc",
        "p50 us",
        "p99 us",
    )
    for title in titles:
        table.add_column(title, justify="left" if title in {"", "check"} else "right")
    for bench, rows in found.items():
        label = bench
        for row in rows:
            if not row["looked"]:
                continue
            precision = row["precision"]
            table.add_row(
                label,
                row["check"],
                f"{row['looked']}",
                f"{row['fired']}",
                f"{precision['value']:.2f}" if precision else "-",
                f"{precision['low']:.2f} to {precision['high']:.2f}" if precision else "",
                f"{row['base']['value']:.2f}",
                f"{row['recall']['value']:.3f}" if row["recall"] else "-",
                f"{row['auroc']:.2f}" if row["auroc"] is not None else "-",
                f"{row['us_p50']:.0f}",
                f"{row['us_p99']:.0f}",
            )
            label = ""
        table.add_section()
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.checks", description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder that holds outcomes/*.parquet")
    parser.add_argument("--rows", type=int, default=2000, help="answers a bench, at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, default=OUT)
    asked = parser.parse_args()
    found: dict[str, list[dict[str, Any]]] = {}
    columns = (TextColumn("{task.description:<30}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns) as progress:
        task = progress.add_task("reading", total=len(BENCHES))
        for bench, rows in results(asked.data, asked.rows, asked.seed):
            found[bench] = rows
            progress.update(task, advance=1, description=bench)
    if not found:
        parser.error(f"no outcomes/*.parquet of a known bench in {asked.data}")
    shown(found, Console(width=130))
    document = {"rows": asked.rows, "seed": asked.seed, "benches": found}
    asked.json.write_bytes(msgspec.json.format(msgspec.json.encode(document)) + b"\n")


if __name__ == "__main__":
    main()
