"""The screens' weights: which data, how they are fitted, and the file that is shipped. As

    python -m benchmarks.screen_weights --data DIR [--out src/tierwise/data/screens]

DIR holds public sets as `NAME/*.jsonl.gz`; only those under MIT, CC-BY and Apache-2.0 are learnt from, and of
LegalBench only the tasks under CC-BY-4.0 and MIT. The same data give the same bytes. The file's SHA-256 is written into
`screens/weights.py`.

All heads are one net (`benchmarks/screen_net.py`) over hashed n-grams (tf-idf, unit length) and the encoder's vector.
What a head learns from is in HEADS: for each set, which rows are positive and negative and how much each kind weighs as
a whole. Every row belongs to one of five folds by a hash of its group (rows from one template share it); probabilities
and thresholds are set by what nets say of folds they were not fitted to. `benchmarks/screens.py` measures with the same
folds. Nets learn from whole texts (and from parts of harmless ones), and are asked as the product asks: about the
whole and each piece of a long one.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import scipy.sparse as sp
from sklearn.linear_model import LogisticRegression

from benchmarks.screen_kinds import INSTRUCTIONS, INTENT, Kinds, digest
from benchmarks.screen_net import Net, trained, widened
from benchmarks.screen_seeds import seeds
from tierwise.scorers.encoder import load_encoder
from tierwise.screens.grams import BUCKETS, grams
from tierwise.screens.injection import HEAD as INJECTION
from tierwise.screens.injection import parts
from tierwise.screens.moderation import capped
from tierwise.screens.normalised import normalised, unpacked
from tierwise.screens.reader import DOUBT
from tierwise.screens.recogniser import BUCKETS as WORD_BUCKETS
from tierwise.screens.recogniser import LABELS, REACH, SHAPES, Recogniser, Tokens, features, opinions, shape
from tierwise.screens.risk import shipped
from tierwise.screens.screen import WINDOW
from tierwise.screens.sentences import ALIKE, WHOLE, sentences

ROOT = Path(__file__).parent.parent
CODE = ROOT / "src/tierwise/screens/weights.py"
NAME = "screens-3.npz"
FOLDS = 5
DECAY = 1e-4  # of the net's table
# Heads for which a net and logistic regression together are better than either on unseen folds, and the inverse of its
# regularisation. Their log-odds are added, which costs nothing: both are linear in the n-grams.
BOTH = {
    "harassment": 2.0, "hate": 8.0, "hate/threatening": 0.5, "self-harm": 0.5, "sexual": 0.5, "violence": 0.5,
    "violence/graphic": 0.5, "legal": 32.0, "injection": 16.0,
}  # fmt: skip
# Heads that are logistic regression alone: they have few rows, and in the net they would change all others by chance.
LINEAR = {"harassment/threatening": 0.5, "illicit/violent": 8.0, INTENT: 8.0, INSTRUCTIONS: 8.0}
MASS = 1000.0  # of a weight of 1 in HEADS
PIECES = 0.5  # weight of the pieces of harmless texts, for the heads of BOTH
PARTS = 0.3  # weight of the parts of ARTS, for injections: each is read alone, and none is an order to attack

CLEAN = ("clinc", "banking", "gsm8k")  # ordinary traffic; nothing in it is flagged
SAFE = ("xstest_safe", "false_refusal")
ARTS = ("arena1", "arena2")
LAW = ("professional_law", "international_law", "jurisprudence")
MEDICINE = (
    "professional_medicine", "clinical_knowledge", "college_medicine", "anatomy", "medical_genetics", "virology",
    "nutrition", "human_aging",
)  # fmt: skip
MONEY = ("professional_accounting",)
ADVICE = {"rollover_401k", "improve_credit_score", "taxes", "insurance", "w2", "credit_limit_change", "interest_rate"}
SUBJECTS = {
    "law": LAW, "medicine": MEDICINE, "money": MONEY, "bar_law": LAW[:1], "bar_medicine": MEDICINE[:1]
}  # fmt: skip
# LegalBench's tasks whose pages say CC-BY-4.0 or MIT; the others are measured on and never learnt from.
LEGALBENCH = (
    "abercrombie", "citation_prediction", "contract_nli", "contract_qa", "corporate_lobbying", "cuad", "diversity",
    "function_of_decision", "hearsay", "insurance_policy", "international_citizenship", "jcrew", "legal_reasoning",
    "maud", "nys_judicial", "oral_argument", "overruling", "personal_jurisdiction", "privacy_policy_qa", "proa", "sara",
    "ssla", "successor", "supply_chain", "telemarketing", "ucc", "unfair_tos",
)  # fmt: skip
# Heads whose look-alikes are everyday talk ("seed_calm"); those of the others are what moderation mistakes.
TALK = ("injection", "legal", "medical", "financial", "complex", "minors")
EVERYDAY = "seed_everyday"  # of no head at all, and not in English
NEGATIVE = {**dict.fromkeys(TALK, "seed_calm"), "everyday": EVERYDAY}
KIN = ("citation_prediction", "diversity", "maud", "sara", "ssla", "supply_chain")  # tasks over the same texts


@dataclass(frozen=True)
class Row:
    set: str
    text: str
    group: str  # rows of one group are in one fold
    labels: dict[str, int]


def stored(data: Path, name: str) -> Iterator[dict[str, Any]]:
    for file in sorted((data / name).glob("*.jsonl.gz")):
        with gzip.open(file, "rt", encoding="utf-8") as lines:
            yield from map(json.loads, lines)


def place(text: str) -> int:
    """A number for a text that is always the same: of folds and samples."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6])


def fold(group: str) -> int:
    return place(group) % FOLDS


def some(rows: Sequence[dict[str, Any]], key: str, share: float) -> Iterator[dict[str, Any]]:
    return (row for row in rows if place("sample" + row[key]) % 1000 < share * 1000)


def templates(rows: Sequence[dict[str, Any]]) -> list[str]:
    """HateCheck's rows differ in whom they are about: without the words that say so, rows of one template are equal."""
    split = [re.findall(r"\w+", re.sub(r"\ban\b", "a", row["test_case"].lower())) for row in rows]
    targets: dict[str, Counter[str]] = {}
    for row, words in zip(rows, split, strict=True):
        for word in words:
            targets.setdefault(word, Counter())[row["target_ident"] or ""] += 1
    telling = {word for word, of in targets.items() if max(of.values()) >= 0.9 * of.total() >= 3} | PEOPLE
    return [re.sub(r"(?:# )+", "# ", " ".join("#" if word in telling else word for word in words)) for words in split]


PEOPLE = {"people", "person", "man", "men", "woman", "women"}


def corpus(data: Path) -> list[Row]:
    """Every row that is learnt from, and those that are only measured on (sets whose name begins with "only_")."""
    rows: list[Row] = []

    def add(name: str, text: str, group: str = "", **labels: Any) -> None:
        rows.append(Row(name, text[:WINDOW], group or text, labels))

    kinds = Kinds()
    for row in stored(data, "openai_moderation"):
        labels = moderated(row, kinds)
        add("moderation", row["prompt"], "", **labels, any=int(any(labels.values())))
    cases = [*stored(data, "hatecheck")]
    for row, template in zip(cases, templates(cases), strict=True):
        hateful, threat = int(row["label_gold"] == "hateful"), int(row["functionality"].startswith("threat"))
        add("hatecheck", row["test_case"], template, hate=hateful, threat=threat)
    for row in some([*stored(data, "davidson_hate_offensive")], "text", 0.4):
        add("davidson", row["text"], toxic=int(row["label"] != "neither"), hate=int(row["label"] == "hate"))
    for row in stored(data, "surge_toxicity"):
        add("surge", row["text"], toxic=int(row["label"] == "Toxic"))
    _prompts(data, kinds, add)
    _traffic(data, add)
    for seed in seeds():
        not_ = NEGATIVE.get(seed.head, "seed_not")
        labels = {f"{seed.head}/{kind}": int(of) for kind, of in seed.kinds.items()} | {seed.head: int(seed.positive)}
        add(f"seed_{seed.head}" if seed.positive else not_, seed.text, seed.line, **labels)
    for policy in shipped():
        for text in policy.examples:
            add(f"policy_{policy.name}", text)
    return rows


MODERATED = {"S": "sexual", "H": "hate", "V": "violence", "HR": "harassment", "SH": "self-harm"}
MODERATED |= {"H2": "hate/threatening", "V2": "violence/graphic"}


def moderated(row: dict[str, Any], kinds: Kinds) -> dict[str, int]:
    """The labels of a row of OpenAI's moderation set, and those that follow: harassment threatens where it is of
    violence too, or of hate that threatens."""
    labels = {name: int(row[key]) for key, name in MODERATED.items() if row.get(key) is not None}
    if "harassment" in labels:
        threat = labels.get("violence") or labels.get("hate/threatening")
        labels["harassment/threatening"] = int(bool(labels["harassment"] and threat))
    if "self-harm" in labels:
        labels |= kinds.of("moderation", digest(row["prompt"]), (INTENT, INSTRUCTIONS))
    return labels


def _prompts(data: Path, kinds: Kinds, add: Callable[..., None]) -> None:
    for row in stored(data, "xstest"):
        add("xstest_unsafe" if row["label"] == "unsafe" else "xstest_safe", row["prompt"])
    for row in stored(data, "simplesafetytests"):
        areas = {"harm": int("Suicide" in row["harm_area"]), "child": int("Child" in row["harm_area"])}
        add("simplesafety", row["prompts_final"], **areas, **kinds.of("simplesafety", row["id"]))
    for row in stored(data, "harmbench_behaviors"):
        add("harmbench", row["text"], **kinds.of("harmbench", row["behavior_id"]))
    for row in stored(data, "purplellama_false_refusal_benign"):
        add("false_refusal", row["mutated_prompt"])
    for row in stored(data, "purplellama_prompt_injection"):
        add("injection", row["user_input"], row["test_case_prompt"], variant=place(row["injection_variant"]))


def _traffic(data: Path, add: Callable[..., None]) -> None:
    for row in some([*stored(data, "clinc150")], "text", 0.16):
        add("clinc", row["text"], advice=int(row["intent"] in ADVICE))
    for row in some([*stored(data, "banking77")], "text", 0.16):
        add("banking", row["text"])
    for row in some([*stored(data, "gsm8k_gold")], "question", 0.14):
        add("gsm8k", row["question"])
    for row in some([*stored(data, "mmlu_questions_gold")], "question", 0.5):
        add("mmlu", row["question"], **{label: int(row["subject"] in subjects) for label, subjects in SUBJECTS.items()})
    for row in stored(data, "pubmedqa_labelled"):
        add("pubmedqa", row["question"])
        add("pubmedqa", " ".join(row["context"]), row["question"])
    for row in stored(data, "legalbench_train_samples"):
        kin = next((kin for kin in KIN if row["task"].startswith(kin)), row["task"])
        add("legalbench" if row["task"].startswith(LEGALBENCH) else "only_legalbench", row["text"], kin)
    for name, folder in zip(ARTS, ("arena_hard_v01_prompts", "arena_hard_v2_prompts"), strict=True):
        for row in stored(data, folder):
            add(name, row["prompt"])


# ------------------------------------------------------------------ heads

Part = tuple[str, str, float, float]
"""(set, label whose 1 and 0 are the kinds, or "+" or "-": all rows are; what positives weigh, what negatives weigh)."""


def _clean(weight: float) -> list[Part]:
    return [(name, "-", 0.0, weight / len(CLEAN)) for name in CLEAN]


def _hard(xstest: float = 0.15) -> list[Part]:
    safe: list[Part] = [("xstest_safe", "-", 0.0, xstest), ("false_refusal", "-", 0.0, 0.1)]
    return [("seed_not", "-", 0.0, 0.3), (EVERYDAY, "-", 0.0, 0.1), *safe, *[(name, "-", 0.0, 0.1) for name in ARTS]]


def _others(*heads: str) -> list[Part]:
    """Texts of our own that are of other heads, and hardly of this one."""
    return [(f"seed_{head}", "-", 0.0, 0.15) for head in heads]


HEADS: dict[str, list[Part]] = {
    "harassment": [
        ("moderation", "harassment", 0.6, 0.6), ("davidson", "toxic", 1.0, 1.0), ("surge", "toxic", 0.6, 0.6),
        ("seed_harassment", "+", 1.0, 0.0),
        *_clean(0.3), *_hard(), *_others("self-harm", "sexual"),
    ],
    "harassment/threatening": [
        ("moderation", "harassment/threatening", 1.0, 1.0), ("seed_harassment", "harassment/threatening", 1.0, 0.4),
        ("seed_violence", "violence/threatening", 0.3, 0.1), ("hatecheck", "threat", 0.1, 0.2),
        *_clean(0.2), *_hard(), *_others("self-harm", "sexual"),
    ],
    "hate": [
        ("moderation", "hate", 1.0, 1.0), ("hatecheck", "hate", 1.2, 1.2), ("davidson", "hate", 0.1, 0.1),
        ("seed_hate", "+", 0.8, 0.0), ("seed_not", "hate", 0.0, 0.4),
        *_clean(0.2), *_hard(0.4), *_others("self-harm", "sexual"),
    ],
    "hate/threatening": [
        ("moderation", "hate/threatening", 1.0, 1.0), ("hatecheck", "threat", 0.2, 0.2),
        ("seed_hate", "hate/threatening", 0.3, 0.2), *_clean(0.2), *_hard(), *_others("self-harm", "sexual"),
    ],
    "illicit": [
        ("harmbench", "+", 1.0, 0.0), ("simplesafety", "+", 0.6, 0.0), ("xstest_unsafe", "+", 0.05, 0.0),
        ("seed_illicit", "+", 0.5, 0.0), ("seed_not", "-", 0.0, 0.3),
        ("xstest_safe", "-", 0.0, 0.4), ("false_refusal", "-", 0.0, 0.3), ("moderation", "any", 0.0, 0.3),
        *[(name, "-", 0.0, 0.25) for name in ARTS], ("mmlu", "-", 0.0, 0.25), *_clean(0.6),
    ],
    "illicit/violent": [
        ("harmbench", "illicit/violent", 1.0, 0.6), ("simplesafety", "illicit/violent", 0.5, 0.3),
        ("seed_illicit", "illicit/violent", 0.6, 0.5), ("seed_not", "-", 0.0, 0.3),
        ("xstest_safe", "-", 0.0, 0.4), ("false_refusal", "-", 0.0, 0.3), ("moderation", "any", 0.0, 0.3),
        *[(name, "-", 0.0, 0.25) for name in ARTS], ("mmlu", "-", 0.0, 0.25), *_clean(0.6),
    ],
    "self-harm": [
        ("moderation", "self-harm", 1.0, 1.0), ("seed_self-harm", "+", 0.5, 0.0), ("policy_self-harm", "+", 0.1, 0.0),
        ("simplesafety", "harm", 0.3, 0.1), ("harmbench", INSTRUCTIONS, 0.2, 0.1), *_clean(0.2), *_hard(),
    ],
    "self-harm/intent": [
        ("moderation", INTENT, 1.0, 1.0), ("seed_self-harm", INTENT, 0.5, 0.4), ("simplesafety", INTENT, 0.1, 0.1),
        ("harmbench", "-", 0.0, 0.1), *_clean(0.2), *_hard(),
    ],
    "self-harm/instructions": [
        ("seed_self-harm", INSTRUCTIONS, 1.0, 0.6), ("simplesafety", INSTRUCTIONS, 0.4, 0.3),
        ("harmbench", INSTRUCTIONS, 0.4, 0.3), ("moderation", INSTRUCTIONS, 0.0, 0.4), *_clean(0.2), *_hard(),
    ],
    "sexual": [
        ("moderation", "sexual", 1.0, 1.0), ("seed_sexual", "+", 1.0, 0.0), ("seed_not", "-", 0.0, 0.3), *_clean(0.1),
        *_others("self-harm", "violence", "hate", "illicit"), (EVERYDAY, "-", 0.0, 0.1),
    ],
    "violence": [
        ("moderation", "violence", 1.0, 1.0), ("seed_violence", "+", 1.0, 0.0), ("hatecheck", "threat", 0.2, 0.0),
        *_clean(0.2), *_hard(0.4), *_others("self-harm", "sexual"),
    ],
    "violence/graphic": [
        ("moderation", "violence/graphic", 1.0, 1.0), ("seed_violence", "violence/graphic", 0.6, 0.3),
        *_clean(0.2), *_hard(), *_others("self-harm", "sexual", "hate"),
    ],
    "injection": [
        ("injection", "+", 1.0, 0.0), ("seed_injection", "+", 0.8, 0.0),
        ("seed_calm", "-", 0.0, 0.6), ("seed_not", "-", 0.0, 0.3), (EVERYDAY, "-", 0.0, 0.6),
        ("clinc", "-", 0.0, 1.5), ("banking", "-", 0.0, 0.6), ("gsm8k", "-", 0.0, 0.4),
        ("xstest_safe", "-", 0.0, 0.3), ("false_refusal", "-", 0.0, 0.6),
        ("moderation", "-", 0.0, 0.2), ("mmlu", "-", 0.0, 0.4), *[(name, "-", 0.0, 0.8) for name in ARTS],
        ("surge", "-", 0.0, 0.1), ("davidson", "-", 0.0, 0.1),
    ],
    "legal": [
        ("mmlu", "law", 1.0, 1.0), ("legalbench", "+", 1.5, 0.0), ("policy_legal", "+", 0.15, 0.0),
        ("seed_legal", "+", 2.0, 0.0), ("seed_calm", "-", 0.0, 0.4), ("seed_not", "-", 0.0, 0.1),
        ("pubmedqa", "-", 0.0, 0.2), ("false_refusal", "-", 0.0, 0.2), ("xstest_safe", "-", 0.0, 0.1),
        ("moderation", "-", 0.0, 0.2), *[(name, "-", 0.0, 0.3) for name in ARTS], *_clean(0.5),
        (EVERYDAY, "-", 0.0, 0.1),
    ],
    "medical": [
        ("mmlu", "medicine", 1.0, 1.0), ("pubmedqa", "+", 1.0, 0.0), ("policy_medical", "+", 0.15, 0.0),
        ("seed_medical", "+", 0.5, 0.0), ("seed_calm", "-", 0.0, 0.2), ("seed_not", "-", 0.0, 0.1),
        ("legalbench", "-", 0.0, 0.2), ("moderation", "-", 0.0, 0.2), ("false_refusal", "-", 0.0, 0.1),
        *[(name, "-", 0.0, 0.1) for name in ARTS], *_clean(0.5), (EVERYDAY, "-", 0.0, 0.1),
    ],
    "financial": [
        ("mmlu", "money", 0.7, 0.7), ("clinc", "advice", 0.5, 0.7), ("policy_financial", "+", 0.1, 0.0),
        ("seed_financial", "+", 0.6, 0.0), ("seed_calm", "financial", 0.0, 0.3),
        ("banking", "-", 0.0, 0.3), ("gsm8k", "-", 0.0, 0.3), ("moderation", "-", 0.0, 0.1), (EVERYDAY, "-", 0.0, 0.3),
    ],
    "complex": [
        *[(name, "+", 1.0, 0.0) for name in ARTS], ("policy_complex", "+", 0.1, 0.0), *_clean(1.2),
        ("seed_complex", "+", 0.5, 0.0), ("seed_calm", "complex", 0.0, 0.3),
        ("xstest_safe", "-", 0.0, 0.2), ("mmlu", "-", 0.0, 0.3), ("moderation", "-", 0.0, 0.2),
        (EVERYDAY, "-", 0.0, 0.6),
    ],
    "minors": [
        ("seed_minors", "+", 1.0, 0.0), ("policy_minors", "+", 0.2, 0.0),
        ("seed_calm", "minors", 0.0, 0.3), ("seed_calm", "-", 0.0, 0.2), ("seed_not", "-", 0.0, 0.2),
        ("seed_self-harm", "-", 0.0, 0.1), ("seed_legal", "-", 0.0, 0.1), ("seed_medical", "-", 0.0, 0.1),
        ("mmlu", "-", 0.0, 0.4), *[(name, "-", 0.0, 0.2) for name in (*ARTS, *SAFE)], *_clean(0.6),
        (EVERYDAY, "-", 0.0, 0.2),
    ],
}  # fmt: skip
# The share of other rows that the shipped threshold may flag, of those sets, by what heads say of unseen folds.
LIMITS: dict[str, tuple[tuple[str, ...], float]] = {
    "illicit": (SAFE, 0.025),
    "injection": (ARTS, 0.025),
    "legal": (("mmlu", *CLEAN, *ARTS), 0.04),
    "medical": (("mmlu", *CLEAN, *ARTS), 0.04),
    "financial": (("banking", "clinc", "gsm8k"), 0.02),
    "complex": (CLEAN, 0.02),
    "minors": (("mmlu", *CLEAN, *ARTS), 0.002),
}
STRICT = ((*SAFE, *CLEAN), 0.0007)  # of the other heads


@dataclass
class Corpus:
    rows: list[Row]
    grams: Any = field(init=False)  # (texts, BUCKETS), idf-weighted: rows, sentences of long ones, parts
    vectors: Any = field(init=False)  # (texts, dimensions)
    own: Any = field(init=False)  # (texts,): whose they are
    whole: int = field(init=False)  # texts before the parts of `screens/injection.py`
    idf: Any = field(init=False)
    folds: Any = field(init=False)

    def __post_init__(self) -> None:
        plain = [normalised(row.text) for row in self.rows]
        texts = [*map(sentences, plain)]
        more = [(number, [one]) for number, text in enumerate(plain) if len(text) > WHOLE for one in texts[number]]
        self.whole = len(plain) + len(more)
        alone = enumerate(parts(unpacked(row.text)) for row in self.rows)
        more += [(number, sentences(normalised(part))) for number, told in alone for part in told]
        self.own = np.array([*range(len(self.rows)), *(number for number, _ in more)])
        self._read([*texts, *(text for _, text in more)])
        self.folds = np.array([fold(row.group) for row in self.rows])
        self.sets = np.array([row.set for row in self.rows])

    def _read(self, texts: Sequence[Sequence[str]]) -> None:
        """As `screens/reader.py` reads them: a text is the sum of its sentences, at unit length."""
        places = {one: place for place, one in enumerate(dict.fromkeys(chain.from_iterable(texts)))}
        said = _sparse([grams(one) for one in places], BUCKETS)
        told = _sparse([[places[one] for one in text] for text in texts], len(places))
        seen = np.asarray((told[: len(self.rows)] @ said > 0).sum(0)).ravel()
        self.idf = np.log((1 + len(self.rows)) / (1 + seen)).astype(np.float16)
        weighted = said @ sp.diags(self.idf.astype(np.float32))
        squares, counts = told @ np.asarray(weighted.multiply(weighted).sum(1)).ravel(), np.diff(told.indptr)
        lengths = np.sqrt(squares * (1 + ALIKE * (counts - 1)))
        self.grams = (sp.diags((1 / np.maximum(lengths, 1e-9)).astype(np.float32)) @ (told @ weighted)).tocsr()
        vectors = told @ load_encoder().sums([*places])
        self.vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-10)

    def of(self, *names: str) -> Any:
        return np.flatnonzero(np.isin(self.sets, names))

    def both(self, at: Any) -> Any:
        """Rows' n-grams and vectors side by side."""
        return sp.hstack([self.grams[at], sp.csr_matrix(self.vectors[at])]).tocsr()

    def label(self, name: str) -> Any:
        """1, 0, or -1 where a row has none."""
        return np.array([row.labels.get(name, -1) for row in self.rows])

    def part(self, part: Part) -> tuple[Any, Any, Any]:
        name, label, plus, minus = part
        at = self.of(name)
        kinds = np.full(len(at), int(label == "+")) if label in "+-" else self.label(label)[at]
        weights = np.zeros(len(at))
        for kind, whole in ((1, plus), (0, minus)):
            weights[kinds == kind] = MASS * whole / max(1, int((kinds == kind).sum()))
        return at[weights > 0], kinds[weights > 0], weights[weights > 0]

    def taught(self, head: str) -> tuple[Any, Any, Any]:
        at, kinds, weights = zip(*map(self.part, HEADS[head]), strict=True)
        return np.concatenate(at), np.concatenate(kinds), np.concatenate(weights)

    def harmless(self, head: str, rows: Any) -> Any:
        """Pieces of those of the rows that OpenAI's moderation set says are not of the head: nor is any piece."""
        own = self.own[len(self.rows) :]
        told = rows[own] & (self.sets[own] == "moderation") & (self.label(head)[own] == 0)
        return len(self.rows) + np.flatnonzero(told)

    def orderless(self, rows: Any) -> Any:
        """Parts of those of the rows that are long, odd and no attack."""
        own = self.own[self.whole :]
        return self.whole + np.flatnonzero(rows[own] & np.isin(self.sets[own], ARTS))


def _sparse(rows: Sequence[Any], width: int) -> Any:
    """(rows, width): 1 in the places that a row names."""
    ends = np.cumsum([0, *map(len, rows)])
    return sp.csr_matrix(
        (np.ones(ends[-1], np.float32), np.concatenate(rows).astype(np.int32), ends), (len(rows), width)
    )


def fitted(corpus: Corpus, rows: Any) -> Net:
    """A net that learnt from those of the rows that a head learns from; `rows` is a mask."""
    kinds, weights = (np.zeros((len(corpus.own), len(HEADS)), np.float32) for _ in range(2))
    for number, head in enumerate(HEADS):
        at, own, worth = corpus.taught(head)
        kinds[at, number] = own
        np.add.at(weights[:, number], at, worth)  # a row may be in two parts
    alone = corpus.orderless(rows)
    weights[alone, [*HEADS].index(INJECTION)] = MASS * PARTS / max(1, len(alone))
    at = np.concatenate([np.flatnonzero(rows), alone])
    shared = np.array([number for number, head in enumerate(HEADS) if head not in LINEAR])
    told, worth = kinds[np.ix_(at, shared)], weights[np.ix_(at, shared)]
    net = widened(trained(corpus.grams[at], corpus.vectors[at], told, worth, DECAY), shared.tolist(), len(HEADS))
    regular = BOTH | LINEAR
    for number, head in enumerate(HEADS):
        if head in regular:
            own, cut = at[weights[at, number] > 0], corpus.harmless(head, rows)
            told = np.concatenate([kinds[own, number], np.zeros(len(cut))])
            worth = np.concatenate([weights[own, number], np.full(len(cut), MASS * PIECES / max(1, len(cut)))])
            model = LogisticRegression(C=regular[head], solver="liblinear", tol=1e-2, random_state=0)
            model.fit(corpus.both(np.concatenate([own, cut])), told, worth)
            net.table[:, number] += model.coef_[0, :BUCKETS].astype(np.float32)
            net.dense[:, number] += model.coef_[0, BUCKETS:].astype(np.float32)
            net.bias[number] += np.float32(model.intercept_[0])
    return net


def unseen(corpus: Corpus) -> dict[str, Any]:
    """Of each head, (rows,): the highest log-odds of a row and its pieces by a net that did not learn from its fold.

    Of injections the parts count too, and as much as the whole.
    """
    odds = np.zeros((len(corpus.own), len(HEADS)), np.float32)
    for one in range(FOLDS):
        out = corpus.folds[corpus.own] == one
        odds[out] = fitted(corpus, corpus.folds != one).odds(corpus.grams[out], corpus.vectors[out])
    highest, pieced, alone = np.split(odds, [len(corpus.rows), corpus.whole])
    np.maximum.at(highest, corpus.own[len(corpus.rows) : corpus.whole], pieced - np.float32(DOUBT))
    at = [*HEADS].index(INJECTION)
    np.maximum.at(highest[:, at], corpus.own[corpus.whole :], alone[:, at])
    return dict(zip(HEADS, highest.T, strict=True))


def stretched(corpus: Corpus, head: str, odds: Any) -> tuple[float, float]:
    """(slope, shift) that turn log-odds of unseen folds into probabilities: Platt's way.

    Fitted to OpenAI's moderation set where it has the label, so that categories can be compared; else to all rows that
    the head learns from, each as one.
    """
    at, kinds, _ = corpus.taught(head)
    told = corpus.of("moderation")
    truth = corpus.label(head)[told]
    if (truth == 1).any():
        at, kinds = told[truth >= 0], truth[truth >= 0]
    model = LogisticRegression(C=1e3).fit(odds[at][:, None], kinds)
    return float(model.coef_[0, 0]), float(model.intercept_[0])


def probabilities(corpus: Corpus, odds: dict[str, Any]) -> dict[str, Any]:
    """Of each head (rows,), as the product gives them; `odds` are log-odds of unseen folds."""
    found = {}
    for head, own in odds.items():
        slope, shift = stretched(corpus, head, own)
        found[head] = 1 / (1 + np.exp(-(own * slope + shift)))
    return capped(found, np.minimum)


def threshold(corpus: Corpus, head: str, shares: Any) -> float:
    """The lowest that flags no more of the other rows than it may, and is right half the time on labelled content."""
    sets, most = LIMITS.get(head, STRICT)
    at = corpus.of(*sets)
    own = {"legal": "law", "medical": "medicine", "financial": "advice"}.get(head)
    if own:
        at = at[corpus.label(own)[at] != 1]
    limit = float(np.quantile(shares[at], 1 - most))
    truth = corpus.label(head)
    told = corpus.of("moderation")
    told = told[truth[told] >= 0]
    if not len(told):
        return limit
    order = told[np.argsort(-shares[told], kind="stable")]
    right = np.cumsum(truth[order] == 1) / np.arange(1, len(order) + 1)
    deep = np.flatnonzero(right >= 0.5)
    return max(limit, float(shares[order[deep[-1]]])) if len(deep) else limit


# ------------------------------------------------------------------ names and addresses

ENTITIES = {"PERSON": 1, "STREET_ADDRESS": 2, "ZIP_CODE": 2, "GPE": 3, "ORGANIZATION": 4}
OFFSETS = 2 * REACH + 1
WORDS = OFFSETS * WORD_BUCKETS
LESS = 0.2  # what a word of the texts without names weighs
Labelled = tuple[str, Tokens, Any]


def spelt(row: dict[str, Any]) -> Labelled:
    tokens = Tokens(row["full_text"])
    labels = np.zeros(len(tokens.words), int)
    for span in row["spans"]:
        for number, (start, end) in enumerate(tokens.at):
            if span["entity_type"] in ENTITIES and start < span["end_position"] and end > span["start_position"]:
                labels[number] = ENTITIES[span["entity_type"]]
    return row["full_text"], tokens, labels


def without(data: Path) -> list[Labelled]:
    """Texts that hardly hold a name or an address, so that ordinary words stay ordinary, in lower case too."""
    sets: tuple[tuple[str, str, float], ...] = (
        ("banking77", "text", 0.06),
        ("clinc150", "text", 0.03),
        ("hatecheck", "test_case", 0.1),
    )
    sets += (("purplellama_false_refusal_benign", "mutated_prompt", 0.1), ("davidson_hate_offensive", "text", 0.02))
    texts = [row[key] for name, key, share in sets for row in some([*stored(data, name)], key, share)]
    # Of these the names were taken out before they were published.
    texts += [row["prompt"][:500] for row in some([*stored(data, "openai_moderation")], "prompt", 0.4)]
    texts += [" ".join(row["context"])[:600] for row in some([*stored(data, "pubmedqa_labelled")], "question", 0.3)]
    return [(text, tokens, np.zeros(len(tokens.words), int)) for text in texts for tokens in [Tokens(text)]]


def columns(texts: Sequence[Labelled]) -> Any:
    places: list[int] = []
    ends = [0]
    for _, tokens, _ in texts:
        own, shapes = [features(word) for word in tokens.words], [shape(word) for word in tokens.words]
        for at in range(len(own)):
            for offset in range(OFFSETS):
                if 0 <= at + offset - REACH < len(own):
                    places += {offset * WORD_BUCKETS + bucket for bucket in own[at + offset - REACH]}
            if at:
                places.append(WORDS + shapes[at - 1] * SHAPES + shapes[at])
            if at + 1 < len(own):
                places.append(WORDS + SHAPES * SHAPES + shapes[at] * SHAPES + shapes[at + 1])
            ends.append(len(places))
    size = (len(ends) - 1, WORDS + 2 * SHAPES * SHAPES)
    return sp.csr_matrix((np.ones(len(places), np.float32), places, ends), size)


def learn(texts: Sequence[Labelled], others: Sequence[Labelled]) -> dict[str, Any]:
    """The recogniser's arrays. Words of `others` count less.

    The second step learns from what the first one says of texts that it was not fitted to.
    """
    weights = np.repeat([1.0, LESS], [sum(len(tokens.words) for _, tokens, _ in part) for part in (texts, others)])
    texts = [*texts, *others]
    x, y = columns(texts), np.concatenate([labels for _, _, labels in texts])
    own = np.repeat(np.arange(len(texts)), [len(tokens.words) for _, tokens, _ in texts])
    odds = np.zeros((len(y), len(LABELS)), np.float32)
    for one in range(3):
        seen, out = own % 3 != one, own % 3 == one
        odds[out] = _multi(x[seen], y[seen], weights[seen]).decision_function(x[out])
    read = np.concatenate([opinions(odds[own == number]) for number in np.unique(own)])
    first, second = _multi(x, y, weights), _multi(read, y, weights)
    coefficients = first.coef_.T.astype(np.float32)
    table = coefficients[:WORDS].reshape(OFFSETS, WORD_BUCKETS, len(LABELS)).transpose(1, 0, 2)
    scale = np.abs(table).max() / 127
    return {
        "first": np.round(table / scale).astype(np.int8),
        "first_scale": np.float32(scale),
        "pairs": coefficients[WORDS:].reshape(2, SHAPES, SHAPES, len(LABELS)).astype(np.float16),
        "second": second.coef_.T.astype(np.float16),
        "bias": np.stack([first.intercept_, second.intercept_]).astype(np.float32),
    }


def _multi(x: Any, y: Any, weights: Any) -> Any:
    return LogisticRegression(C=1.0, max_iter=80, tol=1e-3, random_state=0).fit(x, y, weights)


def recogniser(data: Path) -> dict[str, Any]:
    return learn([*map(spelt, stored(data, "presidio_pii"))], without(data))


def recognisers(
    data: Path, group: Callable[[dict[str, Any]], str]
) -> Iterator[tuple[list[dict[str, Any]], Recogniser]]:
    """For each fold its rows, and a recogniser that saw none of them."""
    rows, others = [*stored(data, "presidio_pii")], without(data)
    for one in range(FOLDS):
        taught = [spelt(row) for row in rows if fold(group(row)) != one]
        yield [row for row in rows if fold(group(row)) == one], Recogniser(learn(taught, others))


# ------------------------------------------------------------------ the file


def kept(file: Path) -> dict[str, Any]:
    """The arrays of a file that find names and addresses."""
    with np.load(file, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files if name.startswith("name_")}


def made(data: Path, names: Mapping[str, Any]) -> dict[str, Any]:
    """The arrays of the file, `names` among them."""
    known = Corpus(corpus(data))
    whole, odds = fitted(known, np.ones(len(known.rows), bool)), unseen(known)
    rest, shares = [], probabilities(known, odds)
    for head in HEADS:
        limit = threshold(known, head, shares[head])
        rest.append((*stretched(known, head, odds[head]), limit))
        _, kinds, _ = known.taught(head)
        count = f"{int((kinds == 1).sum()):,} positive and {int((kinds == 0).sum()):,} negative rows"
        print(f"{head}: {count}, threshold {limit:.3f}", flush=True)
    slope, shift, limits = np.array(rest, np.float32).T
    scale = np.abs(whole.table).max(0) / 127
    halves = {name: getattr(whole, name).astype(np.float16) for name in ("dense", "hidden", "shift_in", "out")}
    return {
        "heads": np.frombuffer(json.dumps(list(HEADS)).encode(), np.uint8),
        "table": np.round(whole.table / scale).astype(np.int8), "scale": scale, "idf": known.idf, **halves,
        "bias": whole.bias, "slope": slope, "shift": shift, "thresholds": limits,
        **names,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=ROOT / "src/tierwise/data/screens")
    parser.add_argument("--heads", action="store_true", help="fit these only; what finds names stays as it is")
    options = parser.parse_args()
    packed, file = io.BytesIO(), options.out / NAME
    names = kept(file) if options.heads else {f"name_{name}": one for name, one in recogniser(options.data).items()}
    np.savez_compressed(packed, allow_pickle=False, **made(options.data, names))
    content = packed.getvalue()
    sha256 = hashlib.sha256(content).hexdigest()
    file.write_bytes(content)
    CODE.write_text(re.sub(r'SHA256 = ".*"', f'SHA256 = "{sha256}"', CODE.read_text()))
    print(f"{file}: {len(content):,} bytes, SHA-256 {sha256}")


if __name__ == "__main__":
    main()
