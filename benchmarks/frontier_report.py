"""The frontier's figures as tables to read: a summary against the targets, then a section a case.

Knows rows as `benchmarks.frontier_rows` gives them, and no data.
"""

from __future__ import annotations

import json
from math import isnan
from pathlib import Path
from typing import Any

from benchmarks.baselines import STRONGEST
from benchmarks.frontier_cases import CASES, ROUTELLM, Target

Row = dict[str, Any]

OURS = {
    "router": "**router** (prompt only)",
    "alone": "**verifier**, draft alone",
    "consulted": "**verifier**, opinions on every draft",
    "cascade": "**verifier**, opinions in the band only",
}
SHOWN = {
    STRONGEST: "always-judge, a stand-in: one stronger opinion on every draft",
    "confidence only (agreement)": "confidence only: share of opinions that agree",
}
METRICS = {
    "apgr": "APGR", "cpt50": "CPT50", "cpt80": "CPT80", "cpt95": "CPT95", "cost_apgr": "cost-APGR",
    "kept": "kept cheap", "retention": "retention",
}  # fmt: skip
PARTS = {
    "router": "router", "alone": "verifier, draft alone", "consulted": "verifier with opinions",
    "labelfree": "label-free", "played": "certified",
}  # fmt: skip
SHARES = {"kept", "retention"}

HEAD = """# The frontier, by cross-validation

`python -m benchmarks.frontier --data DIR` makes this page. Every score is out of fold: five folds by query, pooled;
with few labels the mean of {draws} draws, tested on all other queries, with the lowest and the highest in brackets;
unseen subjects by models of other subjects only. Other brackets are bootstrap 95 % intervals over queries. Nothing
was tuned on rows that judge, and these are not the rows that the targets are meant for: those are kept elsewhere.

- APGR, CPT: as RouteLLM defines them, on the exact curve. APGR above 1: the mixture beats premium for most shares.
- cost-APGR: the same integral over dollars, all of them (drafts, opinions, premium), as a share of always-premium's.
  A method that decides before any call pays no draft for what it escalates; one that reads drafts pays for every one.
- "99 % at": the least share of always-premium's dollars for 99 % of its quality, the threshold chosen in hindsight.
- TF-IDF ridge: words and pairs of words of the prompt (verifiers: and of the draft), nothing tuned, same folds; in
  brackets what such a ridge is said to reach on the rows that the targets are meant for.
"""
TAIL = """
## What to make of it

- A published figure stands beside ours for orientation: RouteLLM's are of all rows of the benchmark, prompt only,
  with its own training data. A verifier has read the draft, which a router has not, and has paid for it.
- No judge's verdicts are recorded, so always-judge is stood in for by the opinion that is right most often, asked
  about every draft; what a real judge would spend at premium's price just to read is stated in each section.
- APGR is of the order of queries only. What a policy does is in the lines *Certified* and *Label-free*, played through
  the gateway's own plan, thresholds fixed on other rows.
"""


def write(rows: list[Row], out: Path) -> None:
    """frontier.md, frontier.json, and the curves beside it."""
    sections = [line for row in rows for line in _section(row)]
    draws = next((row["draws"] for row in rows if row["labels"]), 10)
    text = "\n".join([HEAD.format(draws=draws), *_summary(rows), *_unfavourable(rows), *sections, TAIL])
    (out / "frontier.md").write_text(text, encoding="utf-8")
    slim = [{name: value for name, value in row.items() if name != "curves"} for row in rows]
    (out / "frontier.json").write_text(json.dumps(_rounded(slim), indent=1) + "\n")
    curves = {row["name"]: row["curves"] for row in rows if row["curves"]}
    (out / "frontier_curves.json").write_text(json.dumps(curves, separators=(",", ":")) + "\n")


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return None if isnan(value) else round(value, 5)
    if isinstance(value, dict):
        return {name: _rounded(item) for name, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, list) else value


def best_of(row: Row) -> str:
    """The method with the most evidence."""
    return next(name for name in ("consulted", "alone", "router") if name in row["methods"])


# ------------------------------------------------------------------ against the targets


def _summary(rows: list[Row]) -> list[str]:
    lines = [
        "| case | what | target | TF-IDF ridge (there) | best published | ours | cost-APGR | verdict |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        case = next(case for case in CASES if case.name == row["name"])
        shown = case.targets or tuple(Target(part, "apgr") for part in ("router", best_of(row)))
        lines += [_against(row, target) for target in shown]
    return lines


def _against(row: Row, target: Target) -> str:
    own = _ours(row, target)
    cells = [
        f"[{row['title']}](#{_anchor(row['title'])})",
        f"{PARTS[target.part]}, {METRICS[target.metric]}",
        _bar(target),
        _ridge(row, target),
        _published(row, target),
        _cell(own, target.metric),
        _cost(row, target),
        verdict(own, target),
    ]
    return f"| {' | '.join(cells)} |"


def _ours(row: Row, target: Target) -> list[float]:
    part = row["methods"].get(target.part) or row[target.part]
    found: list[float] = part[target.metric]
    return found


def verdict(own: list[float], target: Target) -> str:
    """Whether the figure is as wanted, and whether the whole interval is."""
    value, low, high = own
    if target.least is None and target.most is None:
        return ""
    if target.least is not None:
        reached, surely, maybe = value >= target.least, low >= target.least, high >= target.least
    else:
        assert target.most is not None
        reached, surely, maybe = value <= target.most, high <= target.most, low <= target.most
    if reached:
        return "reached, whole interval" if surely else "reached"
    return "not reached, within the interval" if maybe else "not reached"


def _bar(target: Target) -> str:
    value = target.least if target.least is not None else target.most
    if value is None:
        return ""
    sign = "≥" if target.least is not None else "≤"
    if target.metric in SHARES:
        return f"{sign} {100 * value:g} %"
    return f"{sign} {value:g}" if target.metric.startswith("cpt") else f"{sign} {value:.2f}"


def _ridge(row: Row, target: Target) -> str:
    name = "TF-IDF ridge, prompt" if target.part == "router" else "TF-IDF ridge, prompt + draft"
    figures = row["methods"].get(name)
    if figures is None or target.metric not in figures:
        return ""
    told = "" if target.ridge is None else f" ({target.ridge:g})"
    return f"{_number(figures[target.metric][0], target.metric)}{told}"


def _published(row: Row, target: Target) -> str:
    if row["bench"] not in ROUTELLM or target.part != "router" or target.metric not in {"apgr", "cpt50", "cpt80"}:
        return ""
    if row["name"] not in {"mmlu", "mmlu-1500", "gsm8k"}:
        return ""
    _, *figures = ROUTELLM[row["bench"]]
    return _number(figures[("apgr", "cpt50", "cpt80").index(target.metric)], target.metric)


def _cost(row: Row, target: Target) -> str:
    """With opinions, of the cascade: what a gateway pays. A policy's own dollars where the target is a policy's."""
    if target.part in {"labelfree", "played"}:
        ratio = row[target.part].get("cost_ratio")
        return "" if ratio is None else f"pays {100 * ratio[0]:.1f} %"
    figures = row["methods"]["cascade" if target.part == "consulted" and "cascade" in row["methods"] else target.part]
    return _number(figures["cost_apgr"][0], "apgr") if "cost_apgr" in figures else ""


def _unfavourable(rows: list[Row]) -> list[str]:
    """Where a baseline does as well as the best of ours, by order or by dollars."""
    lines = ["", "## Where something simpler does as well", ""]
    for row in rows:
        for metric in ("apgr", "cost_apgr"):
            values = {name: item[metric][0] for name, item in row["methods"].items() if metric in item}
            own = max((name for name in values if name in OURS), key=lambda name: values[name], default=None)
            other = max((name for name in values if name not in OURS), key=lambda name: values[name], default=None)
            if own is not None and other is not None and values[other] >= values[own]:
                text = (
                    f"{SHOWN.get(other, other)} {values[other]:.3f}, the best of ours {values[own]:.3f} ({OURS[own]})"
                )
                lines.append(f"- {row['title']}, {METRICS[metric]}: {text}")
        lines += _costly(row)
    return lines if len(lines) > 3 else []


def _costly(row: Row) -> list[str]:
    """A policy that costs more than always asking premium."""
    found = [part for part in ("played", "labelfree") if row.get(part, {}).get("cost_ratio", [0])[0] > 1.001]
    return [
        f"- {row['title']}: {PARTS[part]} pays {100 * row[part]['cost_ratio'][0]:.0f} % of always-premium"
        for part in found
    ]


def _anchor(title: str) -> str:
    kept = "".join(letter for letter in title.lower() if letter.isalnum() or letter in " -_")
    return kept.replace(" ", "-")


# ------------------------------------------------------------------ a section a case


def _section(row: Row) -> list[str]:
    quality = row["accuracy"]
    dropped = f" ({row['dropped']:,} more lack an answer of some model)" if row["dropped"] else ""
    pair = f"{row['cheap']} ({quality['cheap']:.1%}) to {row['premium']} ({quality['premium']:.1%})"
    about = f"`{row['bench']}`, {row['n']:,} queries{dropped}: {pair}; oracle {quality['oracle']:.1%}."
    lines = ["", f"## {row['title']}", "", about]
    if row["opinions"]:
        pairs = zip(row["opinions"], quality["opinions"], strict=True)
        lines.append("Second opinions: " + ", ".join(f"{model} ({right:.1%})" for model, right in pairs) + ".")
    lines += ["", "| method | APGR | CPT50 | CPT80 | CPT95 | cost-APGR | 99 % at |", "|---|---|---|---|---|---|---|"]
    lines += [_method(name, figures) for name, figures in _ordered(row["methods"])]
    if row["bench"] in ROUTELLM and row["name"] in {"mmlu", "mmlu-1500", "gsm8k"}:
        how, *told = ROUTELLM[row["bench"]]
        cells = [f"{told[0]:.3f}", *(f"{value:.1f}" for value in told[1:])]
        lines.append(f"| RouteLLM, published ({how}; all rows, theirs) | {' | '.join(cells)} | - | - | - |")
    return lines + _zero(row) + _policies(row) + _resplits(row) + _paraphrase(row)


def _ordered(methods: Row) -> list[tuple[str, Row]]:
    """The baselines, then ours."""
    return sorted(methods.items(), key=lambda item: item[0] in OURS)


def _method(name: str, figures: Row) -> str:
    cells = [_cell(figures.get(metric), metric) for metric in ("apgr", "cpt50", "cpt80", "cpt95", "cost_apgr")]
    cells.append(_cell(figures.get("cost99"), "kept"))
    return f"| {OURS.get(name, SHOWN.get(name, name))} | {' | '.join(cells)} |"


def _zero(row: Row) -> list[str]:
    found = row.get("hull")
    if not found:
        return []
    cheap, premium = found["points"][row["cheap"]][0], found["points"][row["premium"]][0]
    text = (
        f"The cheap model costs {100 * cheap / premium:.1f} % of premium. Zero router (single models, blindly mixed): "
    )
    text += f"cost-APGR {found['cost_apgr']:.3f}."
    judge = row.get("judge_cost")
    if judge is not None:
        text += (
            f" A judge at premium's price would spend {100 * judge:.0f} % of always-premium's dollars on reading alone."
        )
    return ["", text]


def _policies(row: Row) -> list[str]:
    lines = []
    if "played" in row:
        found = row["played"]
        none = f", nothing could be certified in {found['nothing_certified']}" if found["nothing_certified"] else ""
        how = f"harm ≤ 3 %, 95 %; {found['folds']} folds, n_cal = {found['n_cal']:,}{none}"
        lines += ["", f"*Certified* ({how}): {_fate(found)}."]
    if "labelfree" in row:
        rule = "free checks pass and all opinions agree" if row["opinions"] else "free checks pass"
        lines += ["", f"*Label-free* (kept where {rule}): {_fate(row['labelfree'])}."]
    if "asked" in row:
        lines += ["", f"In the band only, opinions are asked about {row['asked']:.0%} of the drafts."]
    return lines


def _fate(found: Row) -> str:
    parts = [
        f"keeps {_cell(found['kept'], 'kept')}",
        f"{_cell(found['retention'], 'retention')} of premium's quality",
        f"harm {_cell(found['harm'], 'harm')}",
    ]
    if "cost_ratio" in found:
        value, low, high = found["cost_ratio"]
        saving = _cell([1 - value, 1 - high, 1 - low], "kept")
        parts.append(f"pays {_cell(found['cost_ratio'], 'kept')} of always-premium (saving {saving})")
    return "; ".join(parts)


def _resplits(row: Row) -> list[str]:
    found = row.get("resplits")
    if not found:
        return []
    above, low, high = found["above"]
    kept, retention, harm = (_cell(found[name], name) for name in ("kept", "retention", "harm"))
    text = (
        f"*Does the certificate hold?* {found['resplits']} resplits, n_cal = {found['n_cal']}, judged on "
        f"{found['held']} rows that were neither learnt from nor calibrated on (mean, and the middle 95 % of the "
        f"resplits): keeps {kept}, retention {retention}, harm {harm}. Harm on those rows was above alpha = 3 % in "
        f"{above:.0%} of the resplits [{low:.0%}, {high:.0%}], the chance of so small a sample included, and provably "
        f"above it in {found['broken']:.0%}; delta allows 5 %."
    )
    return ["", text]


def _paraphrase(row: Row) -> list[str]:
    found = row.get("paraphrase")
    if not found:
        return []
    text = (
        f"*Other words, same decision?* {found['n']:,} queries, half of them to premium. Unchanged, APGR is "
        f"{found['apgr']:.3f}; the score's own spread is {found['spread']:.3f}."
    )
    lines = ["", text, "", "| the prompt is changed to | touched | decisions flipped | score moves by | APGR |"]
    lines.append("|---|---|---|---|---|")
    for name, figures in found["changes"].items():
        cells = [
            f"{figures['touched']:.0%}",
            _cell(figures["flipped"], "kept"),
            f"{figures['moved']:.4f}",
            f"{figures['apgr']:.3f}",
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


# ------------------------------------------------------------------ numbers


def _number(value: float, metric: str) -> str:
    if value is None or isnan(value):
        return "-"
    if metric in {"kept", "asked"}:
        return f"{100 * value:.1f} %"
    if metric in {"retention", "harm"}:
        return f"{100 * value:.2f} %"
    return f"{value:.1f}" if metric.startswith("cpt") else f"{value:.3f}"


def _cell(interval: list[float] | None, metric: str) -> str:
    if interval is None or isnan(interval[0]):
        return "-"
    value, low, high = (_number(part, metric) for part in interval)
    return f"{value.removesuffix(' %')} [{low.removesuffix(' %')}, {high.removesuffix(' %')}]" + " %" * value.endswith(
        "%"
    )
