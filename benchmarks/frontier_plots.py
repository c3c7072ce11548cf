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
OURS = {"router": "#2a6fdb", "alone": "#0f9d76", "cascade": "#e8a013", "consulted": "#d1520f"}
OTHERS = {
    "TF-IDF ridge, prompt": "#8c6bb1",
    "TF-IDF ridge, prompt + draft": "#8c6bb1",
    "kNN (100)": "#6b7484",
    "prompt length": "#b08968",
    "FrugalGPT-style scorer": "#b08968",
    "confidence only (agreement)": "#b08968",
    "difficulty only": "#4f9aa0",
}
COLOURS = OURS | OTHERS
NAMES = {
    "router": "router", "alone": "verifier", "cascade": "opinions in the band",
    "consulted": "verifier + 2 opinions",
    "TF-IDF ridge, prompt": "TF-IDF ridge", "TF-IDF ridge, prompt + draft": "TF-IDF ridge on prompt + draft",
    "kNN (100)": "kNN", "cluster means (64)": "clusters", "prompt length": "prompt length",
    "FrugalGPT-style scorer": "FrugalGPT-style scorer", "confidence only (agreement)": "agreement alone",
    "difficulty only": "difficulty only", "task means (label known)": "task means",
}  # fmt: skip


class Panel(NamedTuple):
    """`lines`: (method, percent of calls where it is pointed at, where its name stands). `told`: RouteLLM's name."""

    case: str
    title: str
    lines: Sequence[tuple[str, float, float, float]]
    top: float = 110
    told: tuple[float, float] = (0, 0)
    random: tuple[float, float] = (88, 81)


MAIN = (
    Panel(
        "mmlu", "Before any call\nMMLU, Mixtral 8x7B to GPT-4",
        (("prompt length", 22, 40, 18), ("TF-IDF ridge, prompt", 47, 72, 44), ("router", 30, 18, 70)), told=(82, 66),
    ),
    Panel(
        "gsm8k", "After reading the draft\nGSM8K, Mixtral 8x7B to GPT-4",
        (("FrugalGPT-style scorer", 50, 72, 40), ("router", 70, 72, 112), ("alone", 25, 16, 88)), 130, (80, 66),
    ),
)  # fmt: skip
SINGLE = {
    "frontier_mmlu.png": Panel(
        "mmlu", "MMLU, Mixtral 8x7B to GPT-4: what the prompt alone tells",
        (
            ("prompt length", 20, 30, 14), ("difficulty only", 33, 48, 34), ("TF-IDF ridge, prompt", 55, 70, 57),
            ("kNN (100)", 55, 40, 84), ("router", 30, 20, 64),
        ), told=(83, 73),
    ),
    "frontier_gsm8k.png": Panel(
        "gsm8k", "GSM8K, Mixtral 8x7B to GPT-4: what the prompt tells, and what the draft adds",
        (
            ("kNN (100)", 52, 62, 46), ("FrugalGPT-style scorer", 45, 60, 36),
            ("TF-IDF ridge, prompt + draft", 58, 84, 52), ("router", 64, 58, 95), ("alone", 25, 14, 80),
        ), 130, (79, 74),
    ),
    "frontier_flash.png": Panel(
        "flash", "MMLU-Pro, Gemini 1.5 Flash to Pro: more evidence, more quality",
        (
            ("TF-IDF ridge, prompt", 60, 74, 60), ("router", 66, 82, 88), ("confidence only (agreement)", 37, 60, 45),
            ("alone", 62, 74, 152), ("cascade", 30, 12, 120), ("consulted", 24, 14, 145),
        ), 165, random=(44, 34),
    ),
}  # fmt: skip
DOLLARS = (("router", 40, 58, 88.6), ("alone", 55, 68, 92), ("cascade", 9, 56, 84.3))  # pointed at; the name: x, y


def draw(rows: Sequence[Row], out: Path) -> list[str]:
    """Those of the pictures whose case is there; their names."""
    known = {row["name"]: row for row in rows if row["curves"]}
    done = []
    mpl.rcParams.update({"text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": QUIET})
    dollars = "gsm-llama" in known and "cost" in known["gsm-llama"]["curves"]["router"]
    if dollars and all(panel.case in known for panel in MAIN):
        figure, axes = plt.subplots(1, 3, figsize=(11, 4.2))
        for axis, panel in zip(axes, MAIN, strict=False):
            _panel(axis, known[panel.case], panel)
        axes[0].set_ylabel("quality gained, % of the gap", fontsize=9)
        _dollars(
            axes[2], known["gsm-llama"], "With second opinions, in dollars\nGSM8K, Llama 8B to GPT-4o", named=False
        )
        done.append(_save(figure, out / "frontier.png"))
    for name, panel in SINGLE.items():
        if panel.case in known:
            figure, axis = plt.subplots(figsize=(7.5, 5))
            _panel(axis, known[panel.case], panel)
            axis.set_ylabel("quality gained, % of the gap between the two models", fontsize=9)
            done.append(_save(figure, out / name))
    if dollars:
        figure, axis = plt.subplots(figsize=(7.5, 5))
        _dollars(axis, known["gsm-llama"], f"{known['gsm-llama']['title']}: what dollars buy")
        done.append(_save(figure, out / "frontier_dollars.png"))
    return done


def _panel(axis: Axes, row: Row, panel: Panel) -> None:
    axis.plot([0, 100], [0, 100], ":", color=QUIET, linewidth=1)
    _say(axis, "at random", panel.random, QUIET, "left")
    for name, at, *beside in panel.lines:
        line = row["curves"][name]
        x, y = _percent(line["share"]), _percent(line["pgr"])
        thick = name in OURS
        axis.plot(x, y, color=COLOURS[name], linewidth=2.0 if thick else 1.2, zorder=3 if thick else 2)
        _point(axis, name, (x, y, at), beside)
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


def _dollars(axis: Axes, row: Row, title: str, *, named: bool = True) -> None:
    """Quality over all dollars: the methods' curves, single models, what is certified and what needs no label."""
    for name, at, *beside in DOLLARS:
        line = row["curves"][name]
        x, y = _percent(line["cost"]), _percent(line["quality"])
        axis.plot(x, y, color=COLOURS[name], linewidth=2)
        _point(axis, name, (x, y, at), beside)
    for model, (cost, quality) in row["hull"]["points"].items():
        axis.plot([100 * cost], [100 * quality], "s", color=QUIET, markersize=5)
        if model == row["premium"]:
            _say(axis, "premium", (100 * cost, 100 * quality - 1.6), QUIET)
        elif named:
            _say(axis, model, (100 * cost + 1.5, 100 * quality), QUIET, "left")
    for part, text, mark, height in (
        ("played", "certified, harm ≤ 3 %", "o", 97.4),
        ("labelfree", "no labels", "^", 98.7),
    ):
        at = 100 * row[part]["cost_ratio"][0], 100 * row[part]["retention"][0] * row["accuracy"]["premium"]
        axis.plot(*at, mark, color=INK, markersize=6, zorder=6)
        axis.plot([at[0], 46], [at[1], height], color=INK, linewidth=0.7, zorder=5)
        _say(axis, text, (47, height), INK, "left")
    axis.set_ylim(top=99.5)
    axis.set_xlim(left=0)
    axis.set_title(title, fontsize=10, loc="left")
    axis.set_xlabel("all dollars spent, % of always-premium's", fontsize=9)
    axis.set_ylabel("right answers, %", fontsize=9)
    _plain(axis)


def _point(axis: Axes, name: str, line: tuple[list[float], list[float], float], beside: Sequence[float]) -> None:
    """A line's name, and a stroke from it to where the line is next to the given x."""
    x, y, wanted = line
    at = min(range(len(x)), key=lambda place: abs(x[place] - wanted))
    stroke = {"arrowstyle": "-", "color": COLOURS[name], "linewidth": 0.7, "shrinkA": 0, "shrinkB": 1}
    axis.annotate(NAMES[name], (x[at], y[at]), tuple(beside), color="none", fontsize=8.5, ha="center", va="center",
                  arrowprops=stroke, zorder=5)  # fmt: skip
    _say(axis, NAMES[name], (beside[0], beside[1]), COLOURS[name])


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
