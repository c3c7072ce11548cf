"""A live run of the guarantee as one picture: quality, harm, evidence, what is served cheap, and spend, by request.

Knows a run and its figures. Lines are named where they are, not in a legend.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter

from benchmarks.guarantee_live_report import Floats, Run

INK, QUIET, GRID = "#1f2733", "#7f8898", "#e9ecf1"
SERVED, OTHER, HARM, SPENT, ASIDE = "#2a6fdb", "#e8a013", "#c0392b", "#a9c4e0", "#d98200"
SHADES = {"train": "#eef2f8", "certify": "#e3eaf5", "enforce": "#e6f3ea", "worse": "#fbe7e4", "premium": "#f1f1f1"}
NAMES = {
    "train": "",
    "certify": "observe",
    "enforce": "enforce: drafts are served",
    "worse": "the cheap model is worse",
    "premium": "premium answers everything",
}
WINDOW = 500  # requests of a rolling mean


def draw(run: Run, found: Mapping[str, Any], path: Path) -> None:
    mpl.rcParams.update({"text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": QUIET, "font.size": 11})
    figure, axes = plt.subplots(
        5, 1, figsize=(16, 16), sharex=True, gridspec_kw={"height_ratios": [1.0, 1.0, 1.35, 0.75, 1.1]}
    )
    _quality(axes[0], run)
    _harm(axes[1], run, found)
    _evidence(axes[2], run, found)
    _share(axes[3], run)
    _spend(axes[4], run, found)
    for axis in axes:
        _phases(axis, run, found)
    for phase in run.phases:
        middle = (phase.start + phase.end) / 2
        axes[0].annotate(
            NAMES[phase.name], (middle, 1.02), xycoords=("data", "axes fraction"), ha="center", color=QUIET, fontsize=11
        )
    axes[-1].set_xlabel(f"requests; rolling means are of the last {WINDOW}")
    axes[-1].xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    figure.suptitle(_title(found), x=0.055, ha="left", fontsize=14)
    figure.align_ylabels(axes)
    figure.tight_layout(rect=(0, 0, 1, 0.99))
    figure.savefig(path, dpi=100, facecolor="white")
    plt.close(figure)


def _title(found: Mapping[str, Any]) -> str:
    last = found["alarms"][-1] if found["alarms"] else None
    end = f", found out by {last['audits']:,} audits" if last is not None and last["threshold"] is None else ""
    return (
        f"{found['requests']:,} requests through a running gateway: GPT-4o mini under Claude 3.5 Sonnet on GSM8K, "
        f"certified, silently made worse{end}"
    )


def _quality(axis: Axes, run: Run) -> None:
    cheap = run.drafts("score")
    for values, colour, width in (
        (run.score("premium"), INK, 1.2), (cheap, OTHER, 1.2), (run.score(), SERVED, 2.2),
    ):  # fmt: skip
        axis.plot(*_rolling(100 * values), color=colour, linewidth=width)
    axis.set_ylabel("right answers, %")
    place = len(run.seen)
    _say(axis, "premium", (place, _last(100 * run.score("premium")) + 1.5), INK, "right")
    _say(axis, "the cheap model", (place, _last(100 * cheap) + 3.2), OTHER, "right")
    worse = run.phase("worse")
    if worse is not None:
        at = (worse.start - 0.008 * len(run.seen), _last(100 * run.score()[: worse.end]) - 1)
        _say(axis, "what clients got", at, SERVED, "right")


def _harm(axis: Axes, run: Run, found: Mapping[str, Any]) -> None:
    axis.plot(*_rolling(100 * run.harm), color=HARM, linewidth=2)
    axis.plot(*_rolling(100 * run.true_harm), color=HARM, linewidth=1.1, linestyle=":")
    alpha = 100 * found["certificate"]["alpha"]
    axis.axhline(alpha, color=INK, linewidth=1, linestyle="--")
    enforce = run.phase("enforce")
    _say(axis, f"certified: at most {alpha:.0f} %", (0.995 * len(run.seen), alpha * 1.3), INK, "right")
    if enforce is not None:
        exact = 100 * found["exact"]["harm"]
        axis.plot([enforce.start, enforce.end], [exact, exact], color=INK, linewidth=1)
        at = enforce.start - 0.008 * len(run.seen)
        _say(axis, f"over all prompts {exact:.1f} %", (at, exact), INK, "right")
    worse = run.phase("worse")
    if worse is not None:
        high = 100 * run.harm[worse.start : worse.end].mean()
        _say(
            axis,
            "as certified: premium's answer is the measure",
            (worse.start - 0.01 * len(run.seen), high),
            HARM,
            "right",
        )
        _say(
            axis,
            "dotted: true, by the key to the questions",
            (worse.start - 0.01 * len(run.seen), high * 0.8),
            HARM,
            "right",
        )
    axis.set_ylim(bottom=0)
    axis.set_ylabel("requests harmed, %")


def _evidence(axis: Axes, run: Run, found: Mapping[str, Any]) -> None:
    points = run.points()
    axis.set_yscale("log")
    axis.axhline(1, color=QUIET, linewidth=0.8)
    alarms = [place for place, point in points if point.alarm]
    enforce = run.phase("enforce")
    begin = enforce.start if enforce is not None else 0
    for rung in sorted({point.rung for _, point in points}):
        own = [(place, point) for place, point in points if point.rung == rung]
        places, wealth = [own[0][0], *(place for place, _ in own)], [1.0, *(point.wealth for _, point in own)]
        axis.plot(places, wealth, color=SERVED, linewidth=1.6)
        end = places[-1] if own[-1][1].alarm else len(run.seen)
        level = own[-1][1].level
        axis.plot([begin, end], [level, level], color=HARM, linewidth=1, linestyle="--")
        if own[-1][1].alarm:
            axis.plot(places[-1], wealth[-1], "o", color=HARM, markersize=5)
        side = "left" if rung == 0 else "right"
        at = begin + 0.02 * len(run.seen) if rung == 0 else begin - 0.005 * len(run.seen)
        _say(axis, f"alarm {rung + 1} at {level:.0f}", (at, level * (1.45 if rung == 0 else 1)), HARM, side)
        begin = end
    axis.set_ylabel("e-value of the audit")
    if alarms:
        told = found["alarms"][-1]
        text = f"{told['audits']:,} audits after the change\n{told['requests']:,} requests after it"
        _say(axis, text, (alarms[-1] + 0.01 * len(run.seen), points[-1][1].level * 0.4), INK, "left")


def _share(axis: Axes, run: Run) -> None:
    places, share = _rolling(100 * run.served)
    axis.fill_between(places, share, color=SPENT, linewidth=0)
    axis.plot(places, share, color=SERVED, linewidth=1.6)
    axis.set_ylim(0, 100)
    axis.set_ylabel("served cheap, %")


def _spend(axis: Axes, run: Run, found: Mapping[str, Any]) -> None:
    places = np.arange(1, len(run.seen) + 1)
    always, spent, aside = (np.cumsum(values) for values in (run.always_usd, run.spent_usd, run.aside_usd))
    axis.fill_between(places, spent, color=SPENT, linewidth=0)
    axis.fill_between(places, spent, spent + aside, color=ASIDE, linewidth=0)
    axis.plot(places, always, color=INK, linewidth=1.4)
    axis.set_xlim(0, len(run.seen))
    axis.set_ylim(bottom=0)
    axis.set_ylabel("US dollars, in all")
    at, right = int(0.86 * len(run.seen)), 0.995 * len(run.seen)
    _say(axis, f"premium alone {_usd(always[-1])}", (at * 0.98, always[at] * 1.02), INK, "right")
    _say(axis, f"audits and observation {_usd(aside[-1])}", (right, spent[-1] * 0.55), ASIDE, "right")
    _say(axis, f"answers {_usd(spent[-1])}", (right, spent[-1] * 0.3), SERVED, "right")
    net = found["money"]["enforce"]["saved_net"]
    enforce = run.phase("enforce")
    if enforce is not None:
        text = f"{net:.0%} saved net of audits\nwhile drafts were served"
        _say(axis, text, (enforce.start + 0.06 * len(run.seen), always[enforce.end - 1] * 1.05), INK, "left")


# ------------------------------------------------------------------ parts


def _phases(axis: Axes, run: Run, found: Mapping[str, Any]) -> None:
    for phase in run.phases:
        axis.axvspan(phase.start, phase.end, color=SHADES[phase.name], linewidth=0, zorder=0)
    worse = run.phase("worse")
    if worse is not None:
        axis.axvline(worse.start, color=HARM, linewidth=1.4, zorder=1)
        for alarm in found["alarms"]:
            axis.axvline(worse.start + alarm["requests"], color=INK, linewidth=0.8, linestyle=":", zorder=1)
    axis.grid(color=GRID, linewidth=0.8)
    axis.set_axisbelow(True)
    axis.tick_params(colors=INK, length=0)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)


def _rolling(values: Floats) -> tuple[Floats, Floats]:
    """(place, mean of the last WINDOW before it)."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    window = min(WINDOW, len(values))
    ends = np.arange(window, len(values) + 1)
    return ends.astype(float), (sums[ends] - sums[ends - window]) / window


def _last(values: Floats) -> float:
    return float(values[-WINDOW:].mean())


def _usd(value: float) -> str:
    return f"${value:.2f}"


def _say(axis: Axes, text: str, where: tuple[float, float], colour: str, side: str = "center") -> None:
    outline = [withStroke(linewidth=3, foreground="white")]
    axis.text(*where, text, color=colour, fontsize=11, ha=side, va="center", zorder=7, path_effects=outline)
