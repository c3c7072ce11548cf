"""A replay as a picture: quality over the share that goes to premium, and over the dollars spent.

Knows figures, not where they are from. matplotlib loads where it draws.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tierwise.errors import ConfigError
from tierwise.offline.figures import Curve, Report
from tierwise.offline.outcomes import aside

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = {"router": "#7a8699", "verifier": "#2a6fdb", "cascade": "#e07b00", "cost": "#e07b00"}
_LABELS = {"router": "router (prompt only)", "verifier": "verifier (reads the draft)", "cascade": "cascade"}


def plot(report: Report, path: Path) -> None:
    """Writes a PNG. Raises ConfigError where it can't."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    by_name = {curve.name: curve for curve in report.curves}
    figure, axes = plt.subplots(1, 2 if "cost" in by_name else 1, figsize=(11.0 if "cost" in by_name else 6.0, 4.6))
    left = axes[0] if "cost" in by_name else axes
    _shares(left, report, by_name)
    if "cost" in by_name:
        _dollars(axes[1], report, by_name["cost"])
    figure.suptitle(f"{report.cheap}  →  {report.premium}   (n = {report.n:,})", fontsize=11)
    figure.tight_layout()
    try:
        with aside(path) as part:
            figure.savefig(part, dpi=130, format="png")
    except OSError as error:
        raise ConfigError(f"{path}: can't be written: {error.strerror}") from error
    finally:
        plt.close(figure)


def _shares(axes: Axes, report: Report, by_name: dict[str, Curve]) -> None:
    levels = report.accuracy
    low, high, best = (metric.value or 0.0 for metric in (levels.cheap, levels.premium, levels.oracle))
    axes.plot([0, 1], [low, high], color="#b9c0cc", linestyle=":", label="at random")
    for name in ("router", "verifier", "cascade"):
        curve = by_name[name]
        if name != "router" and curve.y == by_name["router"].y:
            continue
        axes.plot(curve.x, curve.y, color=_COLOURS[name], label=_LABELS[name], linewidth=1.8)
    axes.axhline(best, color="#3d8b5a", linewidth=0.9, linestyle="--", label="oracle")
    if report.policy.kept_cheap > 0:
        kept = 1 - report.policy.kept_cheap
        axes.plot([kept], [report.policy.quality], "o", color="#c0392b", label=f"policy ({report.policy.rule})")
    axes.set_xlabel("share of requests answered by premium")
    _finish(axes)


def _dollars(axes: Axes, report: Report, curve: Curve) -> None:
    axes.plot(curve.x, curve.y, color=_COLOURS["cost"], label="cascade, all dollars", linewidth=1.8)
    premium = next((single.cost_usd for single in report.zero_router if single.model == report.premium), None)
    for single in report.zero_router:
        if single.cost_usd is not None and premium:
            x = single.cost_usd / premium
            axes.plot([x], [single.accuracy], "s", color="#7a8699", markersize=5)
            axes.annotate(single.model[-28:], (x, single.accuracy), (4, -11), textcoords="offset points", fontsize=7)
    if report.policy.cost_ratio is not None:
        axes.plot([report.policy.cost_ratio], [report.policy.quality], "o", color="#c0392b", label="policy")
    axes.axvline(1, color="#b9c0cc", linestyle=":")
    axes.set_xlabel("dollars spent, as a share of always premium's")
    _finish(axes)


def _finish(axes: Axes) -> None:
    axes.set_ylabel("quality")
    axes.grid(alpha=0.25)
    axes.legend(fontsize=8, loc="lower right", frameon=False)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
