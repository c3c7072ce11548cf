"""How soon an audit finds that a certificate no longer holds, how often it is wrong, and what it costs a request.

    python -m benchmarks.audit [--streams 400] [--json F]

Simulated labels: harm comes at a multiple of alpha = 3 %, drawn rows only, looked at after each of 4,000 (delta = 5 %).
With audits of doubtful drafts more often than of others (propensities 0.02 to 0.3) and all at 0.02. A judge that
changes, told from harm that rises by 200 anchors. CPU time of a draw and of a row on one core. Some minutes with 1,000
streams.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import statistics
import time
from collections.abc import Callable

import numpy as np

from tierwise.stats.audit import Audit, verdict
from tierwise.stats.bounds import clopper_pearson
from tierwise.stats.propensity import drawn

ALPHA, DELTA, LOOKS = 0.03, 0.05, 4_000
LEAST, MOST = 0.02, 0.3
MULTIPLES = (0.5, 1.0, 1.5, 2.0, 3.0)
Rows = Callable[[np.random.Generator, float], tuple[float, float]]


def alike(rng: np.random.Generator, rate: float) -> tuple[float, float]:
    """(loss, propensity) of a drawn row, where all are drawn alike."""
    return float(rng.random() < rate), LEAST


def doubtful(rng: np.random.Generator, rate: float) -> tuple[float, float]:
    """The same where a third of the drafts is doubtful, does 2.5 times the harm, and is drawn 15 times as often."""
    weights = np.array([2 / 3 * LEAST, 1 / 3 * MOST])
    doubt = rng.random() < weights[1] / weights.sum()
    return float(rng.random() < rate * (2.5 if doubt else 0.25)), MOST if doubt else LEAST


def found(rows: Rows, multiple: float, seed: int) -> int | None:
    """After how many drawn rows there is an alarm; None: not within LOOKS."""
    rng = np.random.default_rng(seed)
    audit = Audit.start(ALPHA, DELTA, LEAST)
    for look in range(1, LOOKS + 1):
        audit = audit.step(*rows(rng, multiple * ALPHA))
        if audit.alarm:
            return look
    return None


def told(name: str, rows: Rows, multiple: float, streams: int) -> dict[str, object]:
    times = [found(rows, multiple, seed) for seed in range(streams)]
    alarms = [look for look in times if look is not None]
    low, high = clopper_pearson(len(alarms), streams)
    row: dict[str, object] = {
        "draws": name,
        "multiple": multiple,
        "alarms": len(alarms) / streams,
        "interval": [low, high],
    }
    if len(alarms) > streams / 2:
        ordered = sorted(alarms) + [LOOKS] * (streams - len(alarms))
        row |= {"median": statistics.median(ordered), "p90": ordered[int(0.9 * streams)]}
    return row


def told_apart(harm: float, mistakes: float, seed: int) -> str:
    """What is said at the first alarm, or after 1,500 rows; on an alarm of the system, 200 anchors more.

    Certified: harm <= 5 % of labelled rows, a judge that differs from people on at most 4 % of anchors (2 % as it was).
    """
    rng = np.random.default_rng(seed)
    system, judge = Audit.start(0.05, DELTA), Audit.start(0.04, DELTA)
    anchors = np.zeros(200)
    anchors[: round(200 * mistakes)] = 1
    for _ in range(1_500):
        system = system.step(float((rng.random() < harm) != (rng.random() < mistakes)), 1.0)
        judge = judge.step(float(rng.choice(anchors)), 1.0)
        if system.alarm or judge.alarm:
            break
    for _ in range(200 if system.alarm and not judge.alarm else 0):
        judge = judge.step(float(rng.choice(anchors)), 1.0)
    return verdict(system, judge)


def micros(work: Callable[[int], object], times: int = 20_000) -> float:
    start = time.process_time_ns()
    for number in range(times):
        work(number)
    return (time.process_time_ns() - start) / times / 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, default=400, help="of each kind")
    parser.add_argument("--json", type=pathlib.Path, help="write the figures here too")
    options = parser.parse_args()
    print(f"{'draws':<10}{'harm':>10}{'alarms within 4,000':>28}{'median':>9}{'p90':>7}")
    figures = []
    for name, rows in (("alike", alike), ("doubtful", doubtful)):
        for multiple in MULTIPLES:
            row = told(name, rows, multiple, options.streams)
            figures.append(row)
            low, high = clopper_pearson(round(row["alarms"] * options.streams), options.streams)
            share = f"{row['alarms']:.1%} [{low:.1%}, {high:.1%}]"
            print(
                f"{name:<10}{multiple:>4} alpha{share:>28}{row.get('median', '-'):>9}{row.get('p90', '-'):>7}",
                flush=True,
            )
    apart = {}
    for right, harm, mistakes in (("none", 0.01, 0.02), ("system", 0.15, 0.02), ("judge", 0.01, 0.2)):
        said = [told_apart(harm, mistakes, seed) for seed in range(options.streams)]
        apart[right] = said.count(right) / len(said)
        print(f"{right:<8} told so in {apart[right]:.1%} of {len(said)} streams", flush=True)
    secret, audit = bytes(32), Audit.start(ALPHA, DELTA, LEAST)
    cost = {
        "draw_us": micros(lambda number: drawn(secret, f"req_{number:032}", LEAST)),
        "step_us": micros(lambda number: audit.step(float(number % 30 == 0), LEAST)),
    }
    print(f"\nto draw a request or not: {cost['draw_us']:.1f} us; to take in a label: {cost['step_us']:.1f} us")
    if options.json:
        options.json.write_text(json.dumps({"rows": figures, "verdicts": apart, "cost": cost}, indent=1) + "\n")


if __name__ == "__main__":
    main()
