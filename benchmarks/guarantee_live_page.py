"""A live run of the guarantee in words. Knows its figures, and what the gateway and its commands said."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from benchmarks.guarantee_live_report import Run

PHASES = {
    "train": "observe, to train on",
    "certify": "observe, to certify on",
    "enforce": "enforce",
    "worse": "the cheap model is worse",
    "premium": "premium",
}


def page(found: Mapping[str, Any], run: Run) -> str:
    parts = (_head(found), _certified(found, run), _phases(found), _alarms(found, run), _money(found), _against(found))
    return "\n".join(line for part in parts for line in part) + "\n"


def _head(found: Mapping[str, Any]) -> Iterator[str]:
    models, prompts = found["models"], found["prompts"]
    yield "# The guarantee, live\n"
    yield "![quality, harm, evidence, what is served cheap, and spend, by request](guarantee_live.png)\n"
    yield (
        f"`python -m benchmarks.guarantee_live --data DIR` makes this page: {found['requests']:,} requests in "
        f"{found['seconds'] / 60:.1f} minutes, at {found['pace']:g} a second, through `tierwise serve`, a process of "
        "its own. The models behind it replay recorded answers to GSM8K (ZeroEval), at their recorded tokens and "
        f"prices: {models['cheap']} is the cheap one, {models['premium']} the premium. From one request on, "
        f"{found['worse']:.0%} of the cheap model's answers are {models['worse']}'s, under the same name and at the "
        "same price."
    )
    yield ""
    yield (
        f"There are {prompts['all']} prompts. The verifier is trained on some of them, each asked once; all other "
        f"requests are drawn, with replacement, from the other {prompts['of traffic']}, so these repeat, and nothing "
        "was ever fitted to them. The gateway labels a draft by comparing it with premium's answer; whether an answer "
        "is right it never learns. That is known here, and stands beside as *true*."
    )
    yield ""


def _certified(found: Mapping[str, Any], run: Run) -> Iterator[str]:
    document = found["certificate"]
    yield "## What was certified\n"
    yield "    tierwise train --route maths"
    yield from (f"    {line}" for line in run.said["train"].splitlines() if "labelled" in line)
    yield "    tierwise certify --route maths"
    yield from (f"    {line.strip()}" for line in run.said["certify"].splitlines() if not line.startswith("Wrote"))
    yield ""
    steps = " -> ".join(f"{step:.4f}" for step in document["ladder"])
    yield f"Both read the rows that the gateway gathered. Scores from which drafts are served: {steps} -> premium.\n"


def _phases(found: Mapping[str, Any]) -> Iterator[str]:
    yield "## Phase by phase\n"
    yield (
        "| phase | requests | served cheap | harm as certified [95 %] | true harm | right: served | premium "
        "| median ms |"
    )
    yield "|---|---|---|---|---|---|---|---|"
    for phase in found["phases"]:
        harm = "{:.2%} [{:.2%}, {:.2%}]".format(*phase["harm"]) if phase["served_cheap"] else "0"
        true = f"{phase['true_harm']:.2%}" if phase["served_cheap"] else "0"
        yield (
            f"| {PHASES[phase['name']]} | {phase['requests']:,} | {phase['served_cheap']:.1%} | {harm} | {true} | "
            f"{phase['quality']:.1%} | {phase['quality_premium']:.1%} | {phase['median_ms']:.1f} |"
        )
    yield ""
    yield (
        "Harm as certified: a draft was served that premium's answer contradicts, whichever of them is right. True "
        "harm: the draft was wrong and premium's answer right.\n"
    )
    exact = found["exact"]
    again = exact["certified_on_again"]
    yield (
        f"What `enforce` does is the same for a prompt each time (otherwise: {exact['decided_otherwise_at_times']} of "
        f"{exact['prompts']} prompts), so its harm is known without the chance of the draw: {exact['harm']:.2%} over "
        f"these prompts. The live gateway's decisions, applied to the {again['requests']:,} requests that "
        f"`certify` had, keep {again['kept']:.1%} with {again['failures']:g} failures; see above what it said.\n"
    )


def _alarms(found: Mapping[str, Any], run: Run) -> Iterator[str]:
    alarms, alpha = found["alarms"], found["certificate"]["alpha"]
    yield "## How it was found out\n"
    healthy = next(phase for phase in found["phases"] if phase["name"] == "enforce")
    yield (
        f"False alarms: {found['false_alarms']}, in {healthy['requests']:,} requests during which the certificate held "
        f"(harm {healthy['harm'][0]:.2%}, at most {alpha:.0%} certified).\n"
    )
    if not alarms:
        yield "There was no alarm.\n"
        return
    yield (
        "| alarm | then drafts are served from | requests since the change | audits since | harm before it, over alpha "
        "| expected: requests | audits |"
    )
    yield "|---|---|---|---|---|---|---|"
    expected = {row["rung"]: row for row in found["expected"]["rungs"]}
    for alarm in alarms:
        row = expected.get(alarm["rung"])
        told = (
            "| |" if row is None else "{:,.0f} ({:,.0f}) | {:,.0f} ({:,.0f}) |".format(*row["requests"], *row["audits"])
        )
        to = "premium only" if alarm["threshold"] is None else f"{alarm['threshold']:.4f}"
        yield (
            f"| {alarm['rung']} (e-value {alarm['e_value']:.0f}, needs {alarm['level']:.0f}) | {to} | "
            f"{alarm['requests']:,} | {alarm['audits']:,} | {alarm['harm_since'] / alpha:.1f} | {told}"
        )
    yield ""
    lag = max(alarm["label_to_action"] for alarm in alarms)
    yield (
        f"Expected: the median (and the 90 % quantile) of {found['expected']['runs']} simulations of the same ladder "
        "with the rates that were true here, acting at once. The gateway looks at labels every two seconds: at this "
        f"pace up to {lag:,} requests went by between a label and what followed from it. The aim of the design is a "
        "median of 400 audits at twice alpha, and 150 at three times, for the first alarm."
    )
    end = "until premium answered everything" if alarms[-1]["threshold"] is None else "and premium never took over"
    yield f"{found['harmed_after_change']:,} requests were harmed from the change on, {end}.\n"
    yield "What the gateway said:\n"
    yield from (f"    {line}" for line in run.said["serve"].splitlines() if line.startswith("route "))
    yield ""


def _money(found: Mapping[str, Any]) -> Iterator[str]:
    money = found["money"]
    yield "## Money\n"
    yield "| part | premium alone | answers | audits and observation | saved, net of these |"
    yield "|---|---|---|---|---|"
    for title in ("observe", "enforce", "worse", "premium", "all"):
        if (row := money.get(title)) is not None:
            yield (
                f"| {title} | ${row['always_usd']:.2f} | ${row['usd']:.2f} | ${row['aside_usd']:.2f} | "
                f"{row['saved_net']:.1%} |"
            )
    yield ""
    base = money["ledger_baseline_usd"] / money["all"]["always_usd"] - 1
    yield (
        f"The ledger's own sums are ${money['ledger_usd']:.2f} and ${money['ledger_aside_usd']:.2f}; it estimates that "
        f"premium alone would have cost ${money['ledger_baseline_usd']:.2f}, {base:+.1%} off what it would have been.\n"
    )


def _against(found: Mapping[str, Any]) -> Iterator[str]:
    """What does not flatter."""
    samples, phases = found["samples"], {phase["name"]: phase for phase in found["phases"]}
    healthy, worse = phases["enforce"], phases["worse"]
    yield "## What does not flatter\n"
    if samples["audit_share"] is not None:
        yield (
            f"- Of the drafts served {samples['audit_share']:.1%} were audited, where the config asks for at least "
            f"{samples['configured']:.0%}: a draft whose score is in doubt is likelier to be drawn. Audits cost "
            f"{healthy['aside_usd'] / healthy['always_usd']:.1%} of premium alone while drafts were served. A route "
            "with more traffic needs a smaller share for the same number of audits."
        )
    if worse["served_cheap"] > healthy["served_cheap"]:
        yield (
            f"- The verifier liked the worse model's drafts better: at first {found['alarms'][0]['served_since']:.0%} "
            f"were served, after {healthy['served_cheap']:.0%}. Only labels tell."
            if found["alarms"]
            else f"- The verifier served more of the worse model's drafts: {worse['served_cheap']:.0%}."
        )
    yield from _drift(found)
    for before, after in pairwise(found["alarms"]):
        if after["harm_since"] > 0.8 * before["harm_since"]:
            yield (
                f"- Alarm {before['rung']} was no help: before it harm was {before['harm_since']:.1%}, and "
                f"{after['harm_since']:.1%} after it; the tighter threshold serves {after['served_since']:.0%} "
                f"instead of {before['served_since']:.0%}."
            )
    yield (
        f"- {samples['unlabelled']} of {samples['observed'] + samples['audited']:,} samples got no label, as the two "
        f"answers could not be compared, and there is neither judge nor person here; {samples['lost']} were lost."
    )
    yield (
        "- One run of one pair. The gateway draws at random, so the next one differs, in what training makes of the "
        "rows above all; `guarantee.md` has the certificates of a thousand samples a table.\n"
    )


def _drift(found: Mapping[str, Any]) -> Iterator[str]:
    told = [f"{item['kind']} after {item['requests']:,} requests" for item in found["drift"]]
    if not told:
        yield "- The test for drift, which needs no labels, did not notice anything."
    else:
        yield f"- The test for drift, which needs no labels, alarmed: {', '.join(told)} (from the change on)."
