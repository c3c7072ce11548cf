"""The pairs of models that the frontier is measured on, and what each of them is meant to reach.

Pairs, opinions and targets were fixed before anything was measured. Targets are meant for other rows of the same
benchmarks than these. Knows no figures but targets and what others have published.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

MIXTRAL, GPT4 = "mistralai/Mixtral-8x7B-Instruct-v0.1", "gpt-4-1106-preview"
MINI, O1 = "gpt-4o-mini-2024-07-18", "o1-mini-2024-09-12"
LLAMA8 = "Meta-Llama-3_1-8B-Instruct"

# Best published of RouteLLM (arXiv 2406.18665, tables 2 and 3), prompt only: APGR, CPT50, CPT80.
ROUTELLM = {
    "routellm_mmlu": ("sw-ranking, with 1,500 gold labels", 0.603, 35.4, 71.6),
    "routellm_gsm8k": ("causal LLM, with judge labels", 0.622, 33.6, 63.3),
}


@dataclass(frozen=True)
class Target:
    """`metric` of `part` (a method, or labelfree, certified, played) is to be `least` or more, or `most` or less.

    `ridge`: what an untuned TF-IDF ridge is said to reach on the rows that judge.
    """

    part: str
    metric: str
    least: float | None = None
    most: float | None = None
    ridge: float | None = None


@dataclass(frozen=True)
class Case:
    """A section of the tables. `verify`: drafts are read; `labels`: learn from so many; `unseen`: of other categories.

    `regraded`: score by the last number against the gold answer; `resplit`: many certificates instead of five.
    """

    name: str
    title: str
    bench: str
    cheap: str
    premium: str
    opinions: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    labels: int | None = None
    unseen: bool = False
    verify: bool = False
    regraded: bool = False
    resplit: bool = False
    targets: tuple[Target, ...] = field(default=())

    @property
    def source(self) -> tuple[object, ...]:
        """Cases with the same one are measured together."""
        return self.bench, self.cheap, self.premium, self.opinions


def _frontier(part: str, *bars: tuple[float, float | None]) -> tuple[Target, ...]:
    """APGR, CPT50, CPT80: (what to reach, what TF-IDF reaches)."""
    least, *most = bars
    return (
        Target(part, "apgr", least=least[0], ridge=least[1]),
        *(
            Target(part, name, most=bar, ridge=ridge)
            for name, (bar, ridge) in zip(("cpt50", "cpt80"), most, strict=False)
        ),
    )


_MMLU = Case("mmlu", "MMLU, all labels", "routellm_mmlu", MIXTRAL, GPT4)
_GSM8K = Case("gsm8k", "GSM8K", "routellm_gsm8k", MIXTRAL, GPT4, verify=True)
_FLASH = Case(
    "flash", "MMLU-Pro, Flash to Pro", "mmlupro", "gemini-1.5-flash-002", "gemini-1.5-pro-002",
    (LLAMA8, "Qwen1.5-72B-Chat"), verify=True,
)  # fmt: skip

CASES: tuple[Case, ...] = (
    replace(_MMLU, targets=_frontier("router", (0.73, 0.701), (25, 27.1), (50, 52.8))),
    replace(
        _MMLU, name="mmlu-no-artefact", title="MMLU without high_school_mathematics", skip=("high_school_mathematics",),
        targets=_frontier("router", (0.69, 0.657)),
    ),
    replace(
        _MMLU, name="mmlu-1500", title="MMLU, 1,500 labels", labels=1500,
        targets=_frontier("router", (0.66, None)),
    ),
    replace(_MMLU, name="mmlu-200", title="MMLU, 200 labels", labels=200, targets=_frontier("router", (0.62, None))),
    replace(
        _MMLU, name="mmlu-unseen", title="MMLU, unseen subjects", unseen=True,
        targets=_frontier("router", (0.61, None)),
    ),
    replace(
        _GSM8K,
        targets=(
            *_frontier("router", (0.65, 0.617)),
            *_frontier("alone", (0.78, 0.666), (16, 27.0), (42, 58.1)),
        ),
    ),
    replace(_GSM8K, name="gsm8k-regraded", title="GSM8K, regraded", regraded=True),
    replace(
        _FLASH,
        targets=(
            *_frontier("consulted", (1.20, 1.116), (8, 9.5)),
            Target("labelfree", "retention", least=1.0),
            Target("labelfree", "kept", least=0.33),
        ),
    ),
    replace(
        _FLASH, name="flash-no-artefact", title="MMLU-Pro, Flash to Pro, without math and chemistry",
        skip=("math", "chemistry"), targets=_frontier("consulted", (0.80, 0.699)),
    ),
    Case(
        "llama", "MMLU-Pro, Llama 8B to 70B", "mmlupro", LLAMA8, "Meta-Llama-3_1-70B-Instruct",
        ("Phi-3-mini-4k-instruct", "Mixtral-8x7B-Instruct-v0.1"), verify=True,
        targets=_frontier("consulted", (0.72, 0.564)),
    ),
    Case(
        "gsm-mini", "GSM8K (ZeroEval), 4o-mini to Claude 3.5 Sonnet", "zeroeval_gsm", MINI,
        "claude-3-5-sonnet-20241022", ("claude-3-haiku-20240307", "gemini-1.5-flash"), verify=True,
        targets=(Target("labelfree", "retention", least=0.995), Target("labelfree", "kept", least=0.55)),
    ),
    Case(
        "gsm-llama", "GSM8K (ZeroEval), Llama 8B to GPT-4o", "zeroeval_gsm", "Meta-Llama-3.1-8B-Instruct",
        "gpt-4o-2024-05-13", ("gemma-2-9b-it", "Qwen2-7B-Instruct"), verify=True, resplit=True,
        targets=(Target("played", "kept", least=0.73), Target("played", "retention", least=0.994)),
    ),
    Case(
        "crux", "CRUXEval, 4o-mini to o1-mini", "zeroeval_crux", MINI, O1,
        ("claude-3-haiku-20240307", "Qwen2.5-7B-Instruct"), verify=True, targets=_frontier("consulted", (0.75, None)),
    ),
    Case(
        "math", "MATH level 5, 4o-mini to o1-mini", "zeroeval_mathl5", MINI, O1,
        ("Qwen2.5-7B-Instruct", "gemini-1.5-flash"), verify=True, targets=_frontier("consulted", (0.71, None)),
    ),
    Case(
        "tools", "Tool calls (BFCL), Claude 3 Haiku to 3.5 Sonnet", "bfcl_2024_08", "claude-3-haiku-20240307",
        "claude-3-5-sonnet-20240620", verify=True, targets=_frontier("alone", (0.85, 0.778), (8, 9.2)),
    ),
    Case(
        "date", "Dates (MoT), GPT-3.5 to GPT-4, reasoned and programmed", "mot_cascade", "gpt-3.5-turbo/cot1",
        "gpt-4/greedy_cot1", ("gpt-3.5-turbo/pot1",), ("asdiv", "crepe", "gsm", "navigate", "tabmwp"), verify=True,
        targets=(Target("labelfree", "kept", least=0.65), Target("labelfree", "retention", least=1.0)),
    ),
)  # fmt: skip
