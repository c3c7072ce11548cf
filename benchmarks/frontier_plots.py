"""The frontier as pictures: how much of the gap between two models is recovered, over calls and over dollars.

Knows rows as `benchmarks.frontier_rows` gives them, and no data. Lines are named where they are, not in a legend.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke

from benchmarks.frontier_cases import ROUTELLM

Row = dict[str, Any]

INK, QUIET, GRID, PUBLISHED = "#1f2733", "#7f8898", "#e9ecf1", "#a12c6b"
COLOURS = {"router": "#2a6fdb", "alone": "#0f9d76", "cascade": "#e8a013", "consulted": "#d1520f"}
NAMES = {
    "router": "router", "alone": "verifier", "cascade": "opinions in the band only",
    "consulted": "verifier + 2 opinions",
    "TF-IDF ridge, prompt": "TF-IDF ridge", "TF-IDF ridge, prompt + draft": "TF-IDF ridge on prompt + draft",
    "kNN (100)": "kNN", "cluster means (64)": "clusters", "prompt length": "prompt length",
    "FrugalGPT-style scorer": "FrugalGPT-style scorer", "confidence only (agreement)": "agreement alone",
    "difficulty only": "difficulty only", "task means (label known)": "task means",
}  # fmt: skip


class Panel(NamedTuple):
    """`lines`: (method, where its name stands: percent of calls, percent of the gap). `told`: RouteLLM's name."""

    case: str
    title: str
    lines: Sequence[tuple[str, float, float]]
    top: float = 110
    told: tuple[float, float] = (0, 0)


MAIN = (
    Panel(
        "mmlu", "Before any call\nMMLU, Mixtral 8x7B to GPT-4",
        (("prompt length", 67, 63), ("TF-IDF ridge, prompt", 46, 45), ("router", 22, 62)), told=(78, 72),
    ),
    Panel(
        "gsm8k", "After reading the draft\nGSM8K, Mixtral 8x7B to GPT-4",
        (("FrugalGPT-style scorer", 76, 70), ("router", 45, 64), ("alone", 17, 72)), 130, (48, 42),
    ),
    Panel(
        "flash", "With second opinions\nMMLU-Pro, Gemini 1.5 Flash to Pro",
        (("TF-IDF ridge, prompt", 70, 84), ("router", 52, 96), ("alone", 50, 122), ("consulted", 24, 150)), 165,
    ),
)  # fmt: skip
SINGLE = {
    "frontier_mmlu.png": Panel(
        "mmlu", "MMLU, Mixtral 8x7B to GPT-4: what the prompt alone tells",
        (
            ("prompt length", 76, 72), ("difficulty only", 60, 60), ("TF-IDF ridge, prompt", 45, 48),
            ("kNN (100)", 50, 84), ("router", 22, 62),
        ), told=(82, 78),
    ),
    "frontier_gsm8k.png": Panel(
        "gsm8k", "GSM8K, Mixtral 8x7B to GPT-4: what the prompt tells, and what the draft adds",
        (
            ("kNN (100)", 75, 70), ("FrugalGPT-style scorer", 60, 55), ("TF-IDF ridge, prompt + draft", 30, 30),
            ("router", 45, 64), ("alone", 17, 72),
        ), 130, (72, 76),
    ),
    "frontier_flash.png": Panel(
        "flash", "MMLU-Pro, Gemini 1.5 Flash to Pro: more evidence, more quality",
        (
            ("TF-IDF ridge, prompt", 70, 84), ("router", 52, 96), ("confidence only (agreement)", 60, 110),
            ("alone", 50, 122), ("cascade", 30, 140), ("consulted", 24, 150),
        ), 165,
    ),
}  # fmt: skip
DOLLARS = (("router", 62, 93), ("alone", 40, 94.5), ("cascade", 22, 96.5))  # names: percent of dollars, percent right


def draw(rows: Sequence[Row], out: Path) -> list[str]:
    """Those of the pictures whose case is there; their names."""
    known = {row["name"]: row for row in rows if row["curves"]}
    done = []
    mpl.rcParams.update({"text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": QUIET})
    if all(panel.case in known for panel in MAIN):
        figure, axes = plt.subplots(1, 3, figsize=(11, 4.2))
        for axis, panel in zip(axes, MAIN, strict=True):
            _panel(axis, known[panel.case], panel)
        axes[0].set_ylabel("quality gained, % of the gap", fontsize=9)
        done.append(_save(figure, out / "frontier.png"))
    for name, panel in SINGLE.items():
        if panel.case in known:
            figure, axis = plt.subplots(figsize=(7.5, 5))
            _panel(axis, known[panel.case], panel)
            axis.set_ylabel("quality gained, % of the gap between the two models", fontsize=9)
            done.append(_save(figure, out / name))
    if "gsm-llama" in known and "cost" in known["gsm-llama"]["curves"]["router"]:
        figure, axis = plt.subplots(figsize=(7.5, 5))
        _dollars(axis, known["gsm-llama"])
        done.append(_save(figure, out / "frontier_dollars.png"))
    return done


def _panel(axis: Axes, row: Row, panel: Panel) -> None:
    axis.plot([0, 100], [0, 100], ":", color=QUIET, linewidth=1)
    _say(axis, "at random", (62, 52), QUIET)
    for name, x, y in panel.lines:
        line = row["curves"][name]
        colour = COLOURS.get(name, QUIET)
        weight = {"linewidth": 2.0, "zorder": 3} if name in COLOURS else {"linewidth": 1.1, "zorder": 2}
        axis.plot(_percent(line["share"]), _percent(line["pgr"]), color=colour, **weight)
        _say(axis, NAMES[name], (x, y), colour)
    if row["bench"] in ROUTELLM:
        half, most = ROUTELLM[row["bench"]][2:]
        axis.plot([half, most], [50, 80], "D", color=PUBLISHED, markersize=5, zorder=4)
        _say(axis, "RouteLLM,\npublished", panel.told, PUBLISHED)
    if panel.top > 110:
        axis.axhline(100, color=QUIET, linewidth=0.8)
        _say(axis, "premium alone", (1, 103), QUIET, "left")
    axis.set_ylim(0, panel.top)
    axis.set_xlim(0, 100)
    axis.set_title(panel.title, fontsize=10, loc="left")
    axis.set_xlabel("% of requests that premium answers", fontsize=9)
    _plain(axis)


def _dollars(axis: Axes, row: Row) -> None:
    """Quality over all dollars: the methods' curves, single models, what is certified and what needs no label."""
    for name, x, y in DOLLARS:
        line = row["curves"][name]
        axis.plot(_percent(line["cost"]), _percent(line["quality"]), color=COLOURS[name], linewidth=2)
        _say(axis, "verifier + opinions in the band" if name == "cascade" else NAMES[name], (x, y), COLOURS[name])
    for model, (cost, quality) in row["hull"]["points"].items():
        axis.plot([100 * cost], [100 * quality], "s", color=QUIET, markersize=5)
        beside = (100 * cost + 1.5, 100 * quality) if cost < 0.9 else (100 * cost - 1.5, 100 * quality - 0.5)
        _say(axis, model, beside, QUIET, "left" if cost < 0.9 else "right")
    marks = (("played", "certified, harm ≤ 3 %", "o", -0.6), ("labelfree", "no labels, all agree", "^", 0.45))
    for part, text, mark, above in marks:
        x = 100 * row[part]["cost_ratio"][0]
        y = 100 * row[part]["retention"][0] * row["accuracy"]["premium"]
        axis.plot([x], [y], mark, color=INK, markersize=7, zorder=6)
        _say(axis, text, (x + 1, y + above), INK, "left")
    axis.set_xlim(left=0)
    axis.set_title(f"{row['title']}: what dollars buy", fontsize=10, loc="left")
    axis.set_xlabel("dollars spent, % of always-premium's (drafts and opinions included)", fontsize=9)
    axis.set_ylabel("right answers, %", fontsize=9)
    _plain(axis)


def _percent(values: Sequence[float]) -> list[float]:
    return [100 * value for value in values]


def _say(axis: Axes, text: str, where: tuple[float, float], colour: str, side: str = "center") -> None:
    outline = [withStroke(linewidth=3, foreground="white")]
    axis.text(*where, text, color=colour, fontsize=8.5, ha=side, va="center", zorder=7, path_effects=outline)


def _plain(axis: Axes) -> None:
    axis.grid(color=GRID, linewidth=0.8)
    axis.set_axisbelow(True)
    axis.tick_params(labelsize=8, colors=INK, length=0)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)


def _save(figure: Any, path: Path) -> str:
    figure.tight_layout()
    figure.savefig(path, dpi=100, facecolor="white")
    plt.close(figure)
    return path.name
