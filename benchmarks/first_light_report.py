"""The table, the JSON and the plot of first_light's results. Knows results, not how they came about."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from benchmarks.first_light import Result

HOSTED = {"small": (0.15, 0.60), "large": (2.50, 10.0)}  # gpt-4o-mini and gpt-4o, USD per million tokens, list price
NAMES = {"small": "always cheap", "large": "always premium", "support": "cascade"}


def wilson(hits: int, count: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927)."""
    z, share = 1.96, hits / count
    centre, spread = (
        share + z * z / (2 * count),
        z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count)),
    )
    return (centre - spread) / (1 + z * z / count), (centre + spread) / (1 + z * z / count)


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def auroc(results: Sequence[Result]) -> float:
    """How well the mean log-probability ranks right answers above wrong ones."""
    right = [r.logprob for r in results if r.correct and r.logprob is not None]
    wrong = [r.logprob for r in results if not r.correct and r.logprob is not None]
    if not right or not wrong:
        return math.nan
    return sum((a > b) + (a == b) / 2 for a in right for b in wrong) / (len(right) * len(wrong))


def arm(results: Sequence[Result], name: str) -> list[Result]:
    return sorted((r for r in results if r.arm == name), key=lambda r: r.number)


def hosted(results: Sequence[Result], drafts: Sequence[Result]) -> float:
    """The same calls at a hosted pair's list prices: `drafts` were paid for too, where one was dropped."""
    total = 0.0
    for result, draft in zip(results, drafts, strict=True):
        total += at_hosted_prices(result, result.model)
        if result.decision.startswith("escalated"):
            total += at_hosted_prices(draft, "small")
    return total


def summary(results: Sequence[Result], name: str) -> dict[str, Any]:
    mine, drafts, premium = arm(results, name), arm(results, "small"), arm(results, "large")
    hits = sum(r.correct for r in mine)
    low, high = wilson(hits, len(mine))
    spend, always = sum(r.cost for r in mine), sum(r.cost for r in premium)
    return {
        "n": len(mine),
        "accuracy": {"value": hits / len(mine), "low": low, "high": high},
        "accuracy_by_set": {
            part: sum(r.correct for r in mine if r.set == part) / max(sum(r.set == part for r in mine), 1)
            for part in sorted({r.set for r in mine})
        },
        "valid_json": sum(r.valid for r in mine) / len(mine),
        "spend_usd": spend,
        "spend_share": spend / always,
        "spend_share_hosted_prices": hosted(mine, drafts) / hosted(premium, drafts),
        "escalated": sum(r.decision.startswith("escalated") for r in mine) / len(mine),
        "ms_p50": percentile([r.ms for r in mine], 0.5),
        "ms_p95": percentile([r.ms for r in mine], 0.95),
    }


def at_hosted_prices(call: Result, model: str) -> float:
    price_in, price_out = HOSTED[model]
    return (call.input_tokens * price_in + call.output_tokens * price_out) / 1e6


def curve(results: Sequence[Result]) -> list[dict[str, float]]:
    """What every threshold on the recorded log-probabilities gives: accuracy, and shares of premium's spend."""
    small, large = arm(results, "small"), arm(results, "large")
    pairs = sorted(zip(small, large, strict=True), key=lambda pair: pair[0].logprob or 0.0)
    drafts = (sum(r.cost for r in small), sum(at_hosted_prices(r, "small") for r in small))
    always = (sum(r.cost for r in large), sum(at_hosted_prices(r, "large") for r in large))
    spend, hits, points = list(drafts), sum(draft.correct for draft in small), []
    for escalated in range(len(pairs) + 1):
        points.append(
            {
                "escalated": escalated / len(pairs),
                "accuracy": hits / len(pairs),
                "spend_share": spend[0] / always[0],
                "spend_share_hosted_prices": spend[1] / always[1],
            }
        )
        if escalated < len(pairs):
            draft, premium = pairs[escalated]
            hits += premium.correct - draft.correct
            spend = [spend[0] + premium.cost, spend[1] + at_hosted_prices(premium, "large")]
    return points


def write(out: Path, tuning: Sequence[Result], results: Sequence[Result], facts: dict[str, Any]) -> None:
    """Print the table; write first_light.txt, .json and .png."""
    arms = {name: summary(results, name) for name in NAMES}
    cascade, premium = arm(results, "support"), arm(results, "large")
    better = sum(a.correct and not b.correct for a, b in zip(cascade, premium, strict=True))
    worse = sum(b.correct and not a.correct for a, b in zip(cascade, premium, strict=True))
    found = {
        "arms": arms,
        "cascade_against_premium": {"better": better, "worse": worse},
        "auroc_tuning": auroc(tuning),
        "auroc": auroc(arm(results, "small")),
        "curve": curve(results),
        **facts,
    }
    (out / "first_light.json").write_bytes(msgspec.json.format(msgspec.json.encode(found)) + b"\n")
    console = Console(width=130, record=True)
    show(arms, found, console)
    (out / "first_light.txt").write_text(console.export_text())
    plot(out / "first_light.png", arms, found["curve"])


def show(arms: dict[str, dict[str, Any]], found: dict[str, Any], console: Console) -> None:
    table = Table(box=None, header_style="bold")
    for title in (
        "",
        "accuracy",
        "95 % interval",
        "escalated",
        "spend USD",
        "of premium's",
        "hosted prices",
        "p50",
        "p95",
    ):
        table.add_column(title, justify="left" if not title else "right")
    for name, row in arms.items():
        accuracy = row["accuracy"]
        table.add_row(
            NAMES[name],
            f"{accuracy['value']:.1%}",
            f"{accuracy['low']:.1%} to {accuracy['high']:.1%}",
            f"{row['escalated']:.0%}",
            f"{row['spend_usd']:.5f}",
            f"{row['spend_share']:.0%}",
            f"{row['spend_share_hosted_prices']:.0%}",
            f"{row['ms_p50']:.0f} ms",
            f"{row['ms_p95']:.0f} ms",
        )
    console.print(table)
    against = found["cascade_against_premium"]
    console.print(
        f"cascade against premium, query by query: {against['better']} better, {against['worse']} worse; "
        f"mean log-probability ranks the small model's answers with AUROC {found['auroc']:.2f} "
        f"(tuning rows {found['auroc_tuning']:.2f})"
    )


def plot(path: Path, arms: dict[str, dict[str, Any]], points: Sequence[dict[str, float]]) -> None:
    """Accuracy against spend, once at the local models' machine time and once at a hosted pair's prices."""
    import matplotlib as mpl  # noqa: PLC0415  heavy

    mpl.use("Agg")
    import matplotlib.pyplot as plt  # noqa: PLC0415

    figure, panels = plt.subplots(1, 2, figsize=(10, 4.2), dpi=150, sharey=True)
    panel(panels[0], "spend_share", arms, points)
    panel(panels[1], "spend_share_hosted_prices", arms, points)
    panels[0].set_ylabel("accuracy, %")
    panels[0].set_title("at machine-time prices (1 : 2.3)", fontsize=10)
    panels[1].set_title("the same calls at a hosted pair's list prices (1 : 17)", fontsize=10)
    panels[1].legend(frameon=False, loc="lower right")
    figure.suptitle(
        f"{arms['small']['n']} customer-service queries, two local models, mean log-probability", fontsize=11
    )
    figure.tight_layout()
    figure.savefig(path)
    plt.close(figure)


def panel(axes: Any, spend: str, arms: dict[str, dict[str, Any]], points: Sequence[dict[str, float]]) -> None:
    x, y = [p[spend] * 100 for p in points], [p["accuracy"] * 100 for p in points]
    axes.plot(x, y, color="#0072b2", lw=1.6, label="every threshold")
    ends = [(arms[name][spend] * 100, arms[name]["accuracy"]["value"] * 100) for name in ("small", "large")]
    axes.plot(*zip(*ends, strict=True), "--", color="#777777", lw=1.2, label="random mixture")
    marks = {"small": ("#009e73", "s"), "large": ("#d55e00", "^"), "support": ("#000000", "o")}
    for name, row in arms.items():
        value, low, high = (row["accuracy"][key] * 100 for key in ("value", "low", "high"))
        at = row[spend] * 100
        axes.errorbar(
            at, value, yerr=[[value - low], [high - value]], fmt=marks[name][1], capsize=3, color=marks[name][0]
        )
        axes.annotate(
            NAMES[name], (at, value), (8, 9 if name == "support" else -14), textcoords="offset points", fontsize=9
        )
    axes.set_xlabel("spend, % of always-premium (drafts included)")
    axes.set_xlim(0, 150)
    axes.grid(alpha=0.25)
