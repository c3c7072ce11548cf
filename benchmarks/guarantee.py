"""How often certificates are wrong, how much they keep, and how many labels they take, over many samples of real rows.

    python -m benchmarks.guarantee --data DIR [--resplits 1000] [--out benchmarks/results] [--quick]
    python -m benchmarks.guarantee --data ../data --resplits 200 --only gsm-mini tools

DIR holds `outcomes/*.parquet`. A third of each table's rows, drawn once, trains the verifier and, cross-fitted, fixes
the thresholds. The other rows are the traffic: every resplit draws a calibration sample of it with replacement, so the
true harm of a certificate is known exactly: that of the whole traffic. It is also judged on the rows that were not
drawn, where chance comes on top: in a small table they are few.
Writes guarantee.md and guarantee.json. Some minutes on two cores; --quick takes 20 resplits and means nothing.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from statistics import NormalDist
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy: two processes on two cores

import numpy as np
from numpy.typing import NDArray
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.frontier_cases import CASES, Case
from tierwise.offline.learn import cross_scores, harm, learn, scores
from tierwise.offline.measured import measure
from tierwise.offline.outcomes import pair, read
from tierwise.stats.bounds import binomial_tail, clopper_pearson
from tierwise.stats.certify import certify, conformal, grid, parity
from tierwise.stats.sequential import accuracy_cascade, precision_target, recall_target, sequential, sequential_graded

Floats = NDArray[np.float64]
Row = dict[str, Any]

NAMES = ("gsm-mini", "gsm-llama", "gsm8k", "mmlu", "flash", "llama", "tools", "math", "crux")
ALPHAS, DELTA, RHO = (0.03, 0.05), 0.05, 0.97
SIZES = (300, 1000)  # rows of a calibration sample
SHARES = (0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.85, 1.0)  # of it, that the fixed form may have instead
PARTS = (*((alpha, n) for n in SIZES[::-1] for alpha in ALPHAS), (0.0, 0))  # of the work; no rows: finite sets
STEPS = 25
BATCH, CANDIDATES = 2000, 10  # rows and thresholds of a finite set
QUICK = 20


@dataclass(frozen=True)
class Table:
    """The traffic of one case, and thresholds that its rows had no part in. Harm is 0 or 1."""

    name: str
    score: Floats
    harm: Floats
    cheap: Floats
    premium: Floats
    steps: Floats


def prepare(case: Case, data: Path) -> Table:
    """Learnt once, on a third of the rows; all others are scored by models that have not seen them."""
    frame = read(data / "outcomes" / f"{case.bench}.parquet", need=("query_id", "model", "score", "prompt"))
    pairs = pair(frame, case.cheap, case.premium, case.opinions, None, list(case.skip))
    measured, rng = measure(pairs), np.random.default_rng(0)
    mixed = rng.permutation(len(pairs))
    train, rest = np.sort(mixed[: len(pairs) // 3]), np.sort(mixed[len(pairs) // 3 :])
    known = scores(learn(measured, pairs, train, rng), measured, rest)
    crossed = cross_scores(measured, pairs, train, rng)
    losses = (harm(pairs)[rest] >= 0.5).astype(np.float64)
    score, steps = (found.best if case.verify else found.router for found in (known, crossed))
    return Table(case.name, score, losses, pairs.cheap.score[rest], pairs.premium.score[rest], grid(steps, STEPS))


# ------------------------------------------------------------------ certificates


@lru_cache(maxsize=200_000)
def _tail(n: int, alpha: float, failures: int) -> float:
    return binomial_tail(n, alpha, failures)


def fixed_at(accepted: NDArray[np.bool_], losses: Floats, rows: int, alpha: float) -> tuple[int, int]:
    """The fixed form on the first rows: thresholds that passed, and labels if it labels no row before it must."""
    failures = (accepted[:, :rows] & (losses[:rows] > 0)).sum(axis=1)
    passed = 0
    while passed < len(failures) and _tail(rows, alpha, int(failures[passed])) <= DELTA:
        passed += 1
    return passed, int(accepted[min(passed, len(failures) - 1), :rows].sum())


def at_par(table: Table, rows: NDArray[np.int_]) -> float | None:
    """The loosest threshold up to which parity was shown at each."""
    score, cheap, premium = table.score[rows], table.cheap[rows], table.premium[rows]
    chosen = None
    for threshold in table.steps.tolist():
        if not parity(np.where(score >= threshold, cheap, premium), premium, RHO, DELTA).holds:
            break
        chosen = threshold
    return chosen


def one(table: Table, rows: NDArray[np.int_], alpha: float) -> tuple[dict[str, tuple[float | None, int]], list[Any]]:
    """(threshold, labels) by every method; (thresholds passed, labels) of the fixed form on shares of the rows."""
    score, losses, n = table.score[rows], table.harm[rows], len(rows)
    label, order, claim = losses.tolist().__getitem__, np.arange(n), (alpha, DELTA)  # rows were drawn at random
    exact = sequential(score, label, table.steps, *claim, order)
    betting = sequential_graded(score, label, table.steps, *claim, order)
    loosest = conformal(score, losses, alpha)
    found = {
        "fixed, exact binomial": (certify(score, losses, table.steps, *claim).threshold, n),
        "fixed, Hoeffding-Bentkus": (certify(score, losses, table.steps, *claim, graded=True).threshold, n),
        "sequential, exact": (exact.threshold, exact.labels),
        "sequential, betting": (betting.threshold, betting.labels),
        "conformal, expected": (None if loosest is None else max(loosest, float(table.steps[-1])), n),
        f"parity, {RHO:.0%} of premium": (at_par(table, rows), n),
    }
    accepted = score >= table.steps[:, None]
    return found, [fixed_at(accepted, losses, round(share * n), alpha) for share in SHARES]


def resplit(table: Table, alpha: float, n: int, runs: int) -> list[Row]:
    """Every method over the same samples."""
    size = len(table.score)
    seen: dict[str, list[tuple[float, ...]]] = {}
    kept_at = np.array([0.0, *((table.score >= step).mean() for step in table.steps)])
    curve = np.zeros((len(SHARES), 2))
    for run in range(runs):
        rows = np.random.default_rng([run, n]).integers(size, size=n)
        left = np.ones(size, bool)
        left[rows] = False
        found, fixed = one(table, rows, alpha)
        curve += [(kept_at[passed], labels) for passed, labels in fixed]
        for name, (threshold, labels) in found.items():
            kept = table.score >= (np.inf if threshold is None else threshold)
            harmed = table.harm * kept
            over = harmed - alpha
            if name.startswith("parity"):
                over = RHO * table.premium - np.where(kept, table.cheap, table.premium)
            broken = (over.mean() > 0, over[left].mean() > 0)
            seen.setdefault(name, []).append((*broken, kept.mean(), harmed.mean(), labels))
    about = {"table": table.name, "alpha": alpha, "n": n, "runs": runs, "traffic": size}
    return [about | {"method": name} | _means(np.array(each, float), curve / runs, n) for name, each in seen.items()]


def _means(values: Floats, curve: Floats, n: int) -> Row:
    runs, broken = len(values), int(values[:, 0].sum())
    kept, labels = float(values[:, 2].mean()), float(values[:, 4].mean())
    grown = np.maximum.accumulate(curve[:, 0])
    return {
        "broken": [broken / runs, *clopper_pearson(broken, runs)],
        "broken_on_rest": float(values[:, 1].mean()),
        "kept": kept,
        "harm": float(values[:, 3].mean()),
        "labels": labels,
        "fixed_kept": float(curve[-1, 0]),
        "fixed_lazy": float(curve[-1, 1]),
        # As if the fixed form kept no less with the whole sample, where it does by a little.
        "equal_all": float(np.interp(kept, grown, np.array(SHARES) * n)),
        "equal_lazy": float(np.interp(kept, grown, curve[:, 1])),
    }


# ------------------------------------------------------------------ finite sets


@dataclass(frozen=True)
class Aim:
    """A target on a set of rows with a `label` and a `proxy` for it."""

    kind: str
    target: float
    proxy: Floats
    label: Floats

    def accepted(self, threshold: float | None) -> NDArray[np.bool_]:
        nothing = -np.inf if self.kind == "recall" else np.inf
        return np.asarray(self.proxy >= (nothing if threshold is None else threshold))

    def excess(self, kept: NDArray[np.bool_]) -> Floats:
        """Of each row: at most 0 in the mean iff the target is reached; within [-1, 1]."""
        if self.kind == "accuracy":
            return (1 - self.label) * kept - (1 - self.target)
        if self.kind == "precision":
            return kept * (self.target - self.label)
        return self.label * (self.target - kept)


def aims(table: Table) -> list[Aim]:
    """Accuracy: 95 % unharmed. Precision: of good drafts, half-way from the base rate to 1. Recall: of harm."""
    rows = np.sort(np.random.default_rng(0).permutation(len(table.score))[:BATCH])
    score, losses, good = table.score[rows], table.harm[rows], (table.cheap[rows] >= 0.5).astype(np.float64)
    return [
        Aim("accuracy", 0.95, score, 1 - losses),
        Aim("precision", round((1 + float(good.mean())) / 2, 3), score, good),
        Aim("recall", 0.8, 1 - score, losses),
    ]


BUY = {"accuracy": accuracy_cascade, "precision": precision_target, "recall": recall_target}


def sampled(aim: Aim, steps: Floats, budget: int, rng: np.random.Generator, *, weighted: bool) -> float | None:
    """A threshold by one sample: weighted by the root of the proxy, with a normal bound (after SUPG, arXiv 2004.00827).

    Or uniform, with Hoeffding's: the range is 1. Delta is shared among the thresholds.
    """
    size, delta = len(aim.proxy), DELTA / len(steps)
    chance = np.full(size, 1 / size)
    if weighted:
        root = np.sqrt(np.clip(aim.proxy, 0, 1))
        chance = 0.9 * root / root.sum() + 0.1 / size
    drawn = rng.choice(size, budget, p=chance)
    weights = 1 / (size * chance[drawn])
    chosen = None
    for step in steps:
        values = weights * aim.excess(aim.accepted(float(step)))[drawn]
        spread = float(values.std()) * NormalDist().inv_cdf(1 - delta) if weighted else np.sqrt(-np.log(delta) / 2)
        if values.mean() + spread / np.sqrt(budget) <= 0:
            chosen = float(step)
            if aim.kind == "recall":
                break  # the first is the strictest
    return chosen


def finite(table: Table, runs: int) -> list[Row]:
    """Labels one by one, and the baselines with as many on average."""
    found = []
    for aim in aims(table):
        steps = grid(aim.proxy, CANDIDATES)
        label = aim.label.tolist()
        ours = []
        for run in range(runs):
            order = np.random.default_rng([run, 1]).permutation(len(label))
            bought = BUY[aim.kind](aim.proxy, label.__getitem__, steps, aim.target, DELTA, order)
            ours.append((bought.threshold, bought.labels))
        budget = max(10, round(sum(labels for _, labels in ours) / runs))
        ways: dict[str, list[tuple[float | None, int]]] = {"one by one (after BARGAIN)": ours}
        for name, weighted in (("weighted sample, normal bound (after SUPG)", True), ("sample, Hoeffding", False)):
            draws = [np.random.default_rng([run, 2]) for run in range(runs)]
            ways[name] = [(sampled(aim, steps, budget, rng, weighted=weighted), budget) for rng in draws]
        for name, ends in ways.items():
            kept = [aim.accepted(threshold) for threshold, _ in ends]
            missed = sum(float(aim.excess(one).mean()) > 1e-9 for one in kept)
            found.append({
                "table": table.name, "kind": aim.kind, "target": aim.target, "rows": len(label), "runs": runs,
                "method": name, "missed": [missed / runs, *clopper_pearson(missed, runs)],
                "kept": float(np.mean(kept)), "labels": float(np.mean([labels for _, labels in ends])),
            })  # fmt: skip
    return found


# ------------------------------------------------------------------ report


def work(task: tuple[Table, float, int, int]) -> tuple[str, list[Row]]:
    """In a process of its own."""
    table, alpha, n, runs = task
    if not n:
        return "finite", finite(table, max(10, runs // 5))
    return "certificates", resplit(table, alpha, n, runs)


def markdown(rows: Sequence[Row], sets: Sequence[Row]) -> str:
    about = (__doc__ or "").partition("parquet`. ")[2].partition("Writes")[0]
    text = [f"# The guarantee, measured\n\n{about}\nConfidence {1 - DELTA:.0%}. Broken: share of certificates above "]
    text += ["alpha (for parity: of quality below), with its exact 95 % interval.\n\n## All tables together\n\n"]
    text += [*_together(rows), "\n## Labels, one by one against the fixed form\n\n", *_labels(rows)]
    text += ["\n## Finite sets\n\nKept: accepted share; for recall the smaller the better. Baselines have as many "]
    text += ["labels as the first.\n\n", *_sets(sets), "\n## Each table\n\n"]
    heads = ("table", "alpha", "n", "method", "broken", "on the rest", "kept", "mean harm", "labels")
    cells = []
    for row in rows:
        shares = (_interval(row["broken"]), f"{row['broken_on_rest']:.1%}", f"{row['kept']:.1%}", f"{row['harm']:.2%}")
        cells.append((row["table"], f"{row['alpha']:.0%}", row["n"], row["method"], *shares, f"{row['labels']:.0f}"))
    return "".join([*text, *_listed(heads, cells)])


def _together(rows: Sequence[Row]) -> Iterable[str]:
    cells = []
    for (alpha, n, method), some in _groups(rows, ("alpha", "n", "method")):
        known = (_interval(_pooled(some, "broken")), f"{max(row['broken'][0] for row in some):.1%}")
        cells.append((f"{alpha:.0%}", n, method, *known, f"{_mean(some, 'kept'):.1%}", f"{_mean(some, 'labels'):.0f}"))
    return _listed(("alpha", "n", "method", "broken", "worst table", "kept", "labels"), cells)


def _labels(rows: Sequence[Row]) -> Iterable[str]:
    yield "The fixed form labels its whole sample, or (lazily) only rows accepted at a threshold that it tests.\n"
    yield "Shares of its labels, with the same sample and with one so small that it keeps as much; table means.\n\n"
    picked = [row for row in rows if row["method"].startswith("sequential") and row["kept"] > 0]
    cells = []
    for (alpha, n, method), some in _groups(picked, ("alpha", "n", "method")):
        against = ("n", "fixed_lazy", "equal_all", "equal_lazy")
        shares = [f"{np.mean([row['labels'] / row[name] for row in some]):.0%}" for name in against]
        gap = _mean(some, "kept") - _mean(some, "fixed_kept")
        cells.append((f"{alpha:.0%}", n, method, len(some), f"{gap:+.1%}", *shares))
    heads = (
        "alpha",
        "n",
        "method",
        "tables",
        "kept, against fixed",
        "of all",
        "of lazy",
        "equal kept: of all",
        "of lazy",
    )
    yield from _listed(heads, cells)


def _sets(rows: Sequence[Row]) -> Iterable[str]:
    cells = []
    for (kind, method), some in _groups(rows, ("kind", "method")):
        known = (_interval(_pooled(some, "missed")), f"{max(row['missed'][0] for row in some):.1%}")
        cells.append((kind, method, *known, f"{_mean(some, 'kept'):.1%}", f"{_mean(some, 'labels'):.0f}"))
    return _listed(("target", "method", "missed", "worst table", "kept", "labels"), cells)


def _pooled(rows: Sequence[Row], name: str) -> list[float]:
    runs = sum(row["runs"] for row in rows)
    count = round(sum(row[name][0] * row["runs"] for row in rows))
    return [count / runs, *clopper_pearson(count, runs)]


def _interval(share: Sequence[float]) -> str:
    return "{:.1%} [{:.1%}, {:.1%}]".format(*share)


def _groups(rows: Sequence[Row], keys: tuple[str, ...]) -> list[tuple[tuple[Any, ...], list[Row]]]:
    found: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        found.setdefault(tuple(row[key] for key in keys), []).append(row)
    return sorted(found.items(), key=lambda item: item[0])


def _mean(rows: Sequence[Row], name: str) -> float:
    return float(np.mean([row[name] for row in rows]))


def _listed(heads: Sequence[str], cells: Iterable[Sequence[Any]]) -> Iterable[str]:
    yield f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}\n"
    for line in cells:
        yield f"| {' | '.join(str(cell) for cell in line)} |\n"


def perform(cases: Sequence[Case], data: Path, runs: int) -> tuple[list[Row], list[Row]]:
    columns = (BarColumn(24), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    found: dict[str, list[Row]] = {"certificates": [], "finite": []}
    pool = ProcessPoolExecutor(2, multiprocessing.get_context("spawn"))  # polars has threads, which a fork would lose
    with Progress(*columns) as progress:
        bar = progress.add_task("starting", total=len(cases) * (1 + len(PARTS)))
        tasks = []
        try:
            for case in cases:
                progress.update(bar, description=f"{case.name}: learning")
                table = prepare(case, data)
                tasks += [pool.submit(work, (table, *part, runs)) for part in PARTS]
                progress.advance(bar)
            progress.update(bar, description=f"{runs} resplits")
            for done in as_completed(tasks):
                kind, rows = done.result()
                found[kind] += rows
                progress.update(bar, advance=1, description=f"{rows[0]['table']}: done")
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
    certificates = sorted(found["certificates"], key=lambda row: (NAMES.index(row["table"]), row["alpha"], row["n"]))
    return certificates, sorted(found["finite"], key=lambda row: (NAMES.index(row["table"]), row["kind"]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder with outcomes/")
    parser.add_argument("--resplits", type=int, default=1000, help="samples for each table, alpha and size (1000)")
    parser.add_argument("--out", type=Path, help="where guarantee.md and guarantee.json go (benchmarks/results)")
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=NAMES, help=f"some of {', '.join(NAMES)}")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} resplits, into a temporary folder unless --out")
    options = parser.parse_args()
    quick = Path(tempfile.gettempdir()) / "guarantee-quick"
    out: Path = options.out or (quick if options.quick else Path(__file__).parent / "results")
    out.mkdir(parents=True, exist_ok=True)
    cases = [case for case in CASES if case.name in (options.only or NAMES)]
    try:
        rows, sets = perform(cases, options.data, QUICK if options.quick else options.resplits)
    except KeyboardInterrupt:
        sys.exit("interrupted; nothing was written")
    (out / "guarantee.json").write_text(json.dumps({"certificates": rows, "finite": sets}, indent=1) + "\n")
    text = markdown(rows, sets)
    (out / "guarantee.md").write_text(text)
    print(text.partition("\n## Each table")[0], f"\n{out / 'guarantee.md'}, guarantee.json", sep="\n")


if __name__ == "__main__":
    main()
