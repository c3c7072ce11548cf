"""Every table and plot of learned routing, verifying and second opinions, by cross-validation on recorded answers.

    python -m benchmarks.frontier --data DIR [--out benchmarks/results] [--only NAME ...] [--quick] [--resume]

DIR holds `outcomes/*.parquet` and `gsm8k_gold/`. Each query is scored by models that have not seen it: five folds by
query, pooled; with few labels, several draws of them, tested on all others; unseen subjects by ten groups of subjects.
Intervals are bootstrap 95 % over queries. Writes frontier.md, frontier.json and pictures. About ten minutes on two
cores; a finished section is kept in OUT/frontier.work, and --resume takes it from there after an interruption.
--quick takes 600 queries a table and few rounds, to see that everything runs; its figures mean nothing.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import queue
import shutil
import sys
import tempfile
from collections.abc import Iterable
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy: two processes on two cores

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.frontier_cases import CASES, Case
from benchmarks.frontier_plots import draw
from benchmarks.frontier_report import best_of, write
from benchmarks.frontier_rows import QUICK, Effort, run

PROCESSES = 2
Tellings = Any  # a managed queue of (what is being done, its process)


def work(cases: list[Case], data: Path, effort: Effort, folder: Path, told: Tellings) -> list[str]:
    """In a process of its own: the cases of one source, each written as it is done."""
    names = []
    for found in run(cases, data, effort, lambda what: told.put((os.getpid(), what))):
        part = folder / f"{found['name']}.part"
        part.write_text(json.dumps(found))
        part.replace(folder / f"{found['name']}.json")
        told.put((os.getpid(), ""))
        names.append(found["name"])
    return names


def by_source(cases: Iterable[Case]) -> list[list[Case]]:
    """Cases that are measured together, the longest work first."""
    groups: dict[tuple[object, ...], list[Case]] = {}
    for case in cases:
        groups.setdefault(case.source, []).append(case)
    return sorted(groups.values(), key=len, reverse=True)


def perform(cases: list[Case], data: Path, effort: Effort, folder: Path) -> None:
    """All cases, two sources at a time, with a line that says what is going on."""
    columns = (BarColumn(24), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    context = multiprocessing.get_context("spawn")  # polars has threads, which a fork would lose
    with context.Manager() as manager, Progress(*columns) as progress:
        told = manager.Queue()
        bar = progress.add_task("starting", total=len(cases))
        pool = ProcessPoolExecutor(PROCESSES, context)
        try:
            waiting = [pool.submit(work, group, data, effort, folder, told) for group in by_source(cases)]
            _watch(waiting, told, progress, bar)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _watch(waiting: list[Future[list[str]]], told: Tellings, progress: Progress, bar: Any) -> None:
    doing: dict[int, str] = {}
    while not all(future.done() for future in waiting) or not told.empty():
        try:
            process, what = told.get(timeout=0.5)
        except queue.Empty:
            continue
        if what:
            doing[process] = what
        else:
            progress.advance(bar)
            finished = doing.pop(process, "").partition(":")[0]
            progress.console.print(f"{finished}: done", highlight=False)
        progress.update(bar, description=" | ".join(doing.values()))
    for future in waiting:
        future.result()  # what went wrong is raised here


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder with outcomes/ and gsm8k_gold/")
    parser.add_argument("--out", type=Path, help="where tables and pictures go (benchmarks/results)")
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", choices=[case.name for case in CASES], help="some sections"
    )
    parser.add_argument(
        "--quick", action="store_true", help="few rows and rounds, into a temporary folder unless --out"
    )
    parser.add_argument("--resume", action="store_true", help="reuse finished sections")
    options = parser.parse_args()
    usual = Path(tempfile.gettempdir()) / "frontier-quick" if options.quick else Path(__file__).parent / "results"
    out: Path = options.out or usual
    folder = out / "frontier.work"
    if not options.resume:
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    cases = [case for case in CASES if options.only is None or case.name in options.only]
    try:
        left = [case for case in cases if not (folder / f"{case.name}.json").exists()]
        if left:
            perform(left, options.data, QUICK if options.quick else Effort(), folder)
    except KeyboardInterrupt:
        sys.exit("interrupted; what is finished is kept: go on with --resume")
    rows = [json.loads((folder / f"{case.name}.json").read_text()) for case in cases]
    write(rows, out)
    pictures = draw(rows, out)
    for row in rows:
        print(f"{row['title']}: APGR {row['methods'][best_of(row)]['apgr'][0]:.3f} ({row['seconds']:.0f} s)")
    print(f"\n{out / 'frontier.md'}, frontier.json, {', '.join(pictures)}")
    if options.only is None:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
