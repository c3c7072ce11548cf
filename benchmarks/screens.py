"""How good the shipped screens are, and how fast: every figure of docs/models.md, by cross-validation. As

    python -m benchmarks.screens --data DIR [--out benchmarks/results]

Each row is scored by heads that were not fitted to its fold (`benchmarks/screen_weights.py` says what a fold is), so no
figure is of a row that was learnt from. Intervals are 95 %: bootstrap for areas and F1, Clopper-Pearson for shares.
Beside each: a list of key words, and logistic regression over word TF-IDF, fitted to the same rows in the same folds.
Throughput and evasion use the shipped file; evasion is of texts that it was fitted to, and only the drop is of use.
A second table has packages that one might pick instead, as far as they are installed (`benchmarks/screen_rivals.py`).
"""

from __future__ import annotations

import argparse
import base64
import codecs
import json
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from scipy.stats import beta
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, roc_auc_score

from benchmarks.screen_net import trained
from benchmarks.screen_rivals import FLAGGED, SOME, Beside, Find, Score, filters, finders, guards, rate
from benchmarks.screen_rivals import shown as beside
from benchmarks.screen_weights import (
    ARTS,
    CLEAN,
    DECAY,
    EVERYDAY,
    FOLDS,
    SAFE,
    TALK,
    Corpus,
    corpus,
    probabilities,
    recognisers,
    spelt,
    stored,
    threshold,
    unseen,
)  # fmt: skip
from tierwise.scorers.encoder import load_encoder
from tierwise.scorers.language import language_of
from tierwise.screens.moderation import MINORS, TRAINED, Moderation
from tierwise.screens.panel import panel
from tierwise.screens.patterns import formed
from tierwise.screens.reader import Reader
from tierwise.screens.recogniser import joined
from tierwise.screens.screen import Span
from tierwise.screens.weights import load_weights

RESULTS = Path(__file__).parent / "results"
DRAWS = 400
CLEAR, ENOUGH = 0.8, 20  # share of the telling words that one language has, and words of a text that are enough to tell
WORDS = {
    "sexual": "sex porn nude naked cock pussy dick xxx horny orgasm boobs blowjob erotic cum masturbat nipples anal",
    "hate": "hate nigger nigga faggot fag retard spic kike tranny paki scum vermin subhuman muslims immigrants jews",
    "violence": "kill murder shoot stab bomb blood behead slaughter massacre execute attack violence weapon gun knife",
    "self-harm": "suicide suicidal cutting overdose anorexia kill hurt die death scars pills",
    "harassment": "bitch hoe pussy fuck shit ass idiot stupid ugly faggot nigga cunt whore slut trash loser",
    "illicit": "bomb hack weapon drug steal meth poison malware exploit illegal counterfeit launder kill fraud kidnap",
    "injection": "ignore instructions password secret system prompt pretend disregard override previous developer mode",
    "legal": "law court contract agreement plaintiff defendant statute liability legal party clause attorney rights",
    "medical": "patient disease treatment clinical symptoms diagnosis blood pain drug cancer therapy medical studies",
}

# Parts of categories: the public sets that they are measured on, and whose labels those are.
PARTS = {
    "harassment/threatening": (("moderation",), "the set's"),
    "hate/threatening": (("moderation",), "the set's"),
    "illicit/violent": (("harmbench", "simplesafety"), "ours"),
    "self-harm/intent": (("moderation",), "ours"),
    "self-harm/instructions": (("harmbench", "simplesafety", "moderation"), "ours"),
    "violence/graphic": (("moderation",), "the set's"),
}


@dataclass
class Figure:
    """One line of the table. `bar` None where nobody asked for one."""

    what: str
    measure: str
    value: float
    low: float
    high: float
    bar: float | None = None
    words: float | None = None
    tfidf: float | None = None
    note: str = ""

    def reached(self) -> str:
        if self.bar is None:
            return ""
        falls = self.measure.startswith("wrongly") or "of other traffic" in self.measure or "ms" in self.measure
        return "yes" if (self.value <= self.bar if falls else self.value >= self.bar) else "**no**"


@dataclass
class Scored:
    """What each way says of every row: ours in log-odds of unseen folds, and the two baselines."""

    ours: Any
    words: Any
    tfidf: Any


class Bench:
    def __init__(self, data: Path) -> None:
        self.data = data
        self.known = Corpus(corpus(data))
        self.scored: dict[str, Scored] = {}
        self.figures: list[Figure] = []
        self.limits: dict[str, float] = {}
        self.beside: list[Beside] = []
        vectors = TfidfVectorizer(sublinear_tf=True, min_df=2, dtype=np.float32)
        self.plain = vectors.fit_transform(row.text for row in self.known.rows)
        odds = unseen(self.known)
        self.shares = probabilities(self.known, odds)
        for head, own in odds.items():
            self._score(head, own)

    def _score(self, head: str, ours: Any) -> None:
        known, (at, kinds, weights) = self.known, self.known.taught(head)
        self.limits[head] = threshold(known, head, self.shares[head])
        tfidf = np.zeros(len(ours), np.float32)
        if head in WORDS:
            for one in range(FOLDS):
                inside, out = known.folds[at] != one, known.folds == one
                model = LogisticRegression(C=2.0, solver="liblinear", tol=1e-3)
                model.fit(self.plain[at[inside]], kinds[inside], weights[inside])
                tfidf[out] = model.decision_function(self.plain[out])
        pattern = re.compile("|".join(rf"\b{word}" for word in WORDS.get(head, "-").split()), re.IGNORECASE)
        words = np.array([len(pattern.findall(row.text)) for row in known.rows], np.float32)
        self.scored[head] = Scored(ours, words, tfidf)
        print(f"scored {head}", flush=True)

    # -------------------------------------------------------------- figures

    def area(self, what: str, head: str, at: Any, truth: Any, bar: float | None = None, note: str = "") -> None:
        """AUPRC of a head on the rows `at`; of a part of a category as it is served, no surer than the whole."""
        scored = self.scored[head]
        ours = self.shares[head] if "/" in head else scored.ours
        value, low, high = drawn(average_precision_score, truth, ours[at])
        base = [float(average_precision_score(truth, other[at])) for other in (scored.words, scored.tfidf)]
        self.figures.append(Figure(what, "AUPRC", value, low, high, bar, base[0], base[1], note))

    def share(
        self, what: str, measure: str, hits: Any, bar: float | None = None, note: str = "", **others: float
    ) -> None:
        low, high = exact(int(hits.sum()), len(hits))
        self.figures.append(Figure(what, measure, float(hits.mean()), low, high, bar, note=note, **others))

    def caught(self, what: str, head: str, clean: Any, most: float, found: Any, bar: float | None = None) -> None:
        """Share of `found` above the threshold that flags `most` of `clean`; for the baselines too."""
        scored = self.scored[head]
        ways = (scored.ours, scored.words, scored.tfidf)
        hits = [one[found] > np.quantile(one[clean], 1 - most) for one in ways]
        base = {"words": float(hits[1].mean()), "tfidf": float(hits[2].mean())} if head in WORDS else {}
        self.share(what, f"recall at {100 * most:g} % flagged", hits[0], bar, f"`{head}` alone", **base)

    def over(self, head: str) -> Any:
        """(rows,) whether the shipped threshold flags them."""
        return self.shares[head] >= self.limits[head]

    def blocked(self) -> Any:
        """(rows,) whether any category of moderation does."""
        return np.max([self.over(head) for head in TRAINED], axis=0)

    def moderation(self) -> None:
        known = self.known
        at = known.of("moderation")
        flagged = known.label("any")[at]
        every = np.stack([self.shares[head][at] for head in TRAINED])
        others = [
            1 / (1 + np.exp(-np.stack([getattr(self.scored[head], way)[at] for head in TRAINED if head in WORDS])))
            for way in ("words", "tfidf")
        ]
        for name, together, bar in (("", highest, 0.85), (", 1 - product of (1 - score)", either, None)):
            value, low, high = drawn(average_precision_score, flagged, together(every))
            words, tfidf = (float(average_precision_score(flagged, together(one))) for one in others)
            what = f"openai_moderation: any category{name}"
            self.figures.append(Figure(what, "AUPRC", value, low, high, bar, words, tfidf))
        bars = {"sexual": 0.95, "self-harm": 0.75, "hate": 0.65, "violence": 0.45}
        for head in ("sexual", "self-harm", "hate", "violence", "harassment", "hate/threatening", "violence/graphic"):
            truth = known.label(head)[at]
            note = f"{int((truth == 1).sum())} positive rows of {int((truth >= 0).sum())}"
            self.area(f"openai_moderation: {head}", head, at[truth >= 0], truth[truth >= 0], bars.get(head), note)
        at = known.of("davidson")
        self.area("davidson: toxic", "harassment", at, known.label("toxic")[at], 0.99)
        at = known.of("surge")
        self.area("surge: toxic", "harassment", at, known.label("toxic")[at])
        at = known.of("hatecheck")
        self.area("hatecheck: unseen templates", "hate", at, known.label("hate")[at], 0.96)
        self.apart("hatecheck", "hate", ("davidson",), "toxic")
        self.apart("hatecheck", "hate", ("moderation", "surge", "davidson"), "toxic")

    def apart(self, on: str, label: str, sets: tuple[str, ...], other: str) -> None:
        """AUROC on one set of a model that learnt from others alone."""
        known = self.known
        at = known.of(*sets)
        kinds = np.maximum(known.label(other)[at], known.label("hate")[at])
        at, kinds = at[kinds >= 0], kinds[kinds >= 0]
        weights = np.where(kinds == 1, 1 / kinds.sum(), 1 / (kinds == 0).sum()).astype(np.float32)
        net = trained(known.grams[at], known.vectors[at], kinds[:, None], weights[:, None], DECAY)
        on_at = known.of(on)
        odds = net.odds(known.grams[on_at], known.vectors[on_at])[:, 0]
        value, low, high = drawn(roc_auc_score, known.label(label)[on_at], odds)
        self.figures.append(
            Figure(f"{on}: learnt from {', '.join(sets)} only", "AUROC", value, low, high, note="0.5 is a coin")
        )

    def inside(self) -> None:
        """Parts of categories: on rows of the whole and others, and what they flag in ordinary traffic."""
        known = self.known
        for head, (sets, whose) in PARTS.items():
            at = known.of(*sets)
            truth = known.label(head)[at]
            at, truth = at[truth >= 0], truth[truth >= 0]
            what = f"{' + '.join(sets)}: {head}"
            note = f"{int(truth.sum())} positive rows of {len(at)}, labels {whose}"
            if head not in ("hate/threatening", "violence/graphic"):  # which have their row above
                self.area(what, head, at, truth, note=note)
            over = self.over(head)
            self.share(what, "caught at the shipped threshold", over[at[truth == 1]], note=note)
            self.share(what, "wrongly flagged, so too", over[at[truth == 0]])
            for name in (*SAFE, *CLEAN, "mmlu", *ARTS):
                self.share(f"{head} on {name}", "wrongly flagged at the shipped threshold", over[known.of(name)])

    def minors(self) -> None:
        """By the shipped file: rules are not fitted. But who wrote them had read these rows of SimpleSafetyTests, and
        the head that they stand on has learnt from OpenAI's."""
        known, screen = self.known, panel(("moderation",), load_encoder())["moderation"]

        def flagged(at: Any) -> Any:
            return np.array([MINORS in screen.screen(known.rows[row].text).flagged for row in at])

        child = np.flatnonzero(known.label("child") == 1)
        note = "rows that whoever wrote the rules had read"
        self.share(
            f"simplesafety, child safety: {MINORS}", "caught at the shipped threshold", flagged(child), note=note
        )
        adults = known.of("moderation")
        adults = adults[known.label("sexual")[adults] == 1]
        note = "sexual rows, none of a minor by the set's labels"
        self.share(f"openai_moderation: {MINORS}", "wrongly flagged, so too", flagged(adults), note=note)
        for name in (*SAFE, *CLEAN, "mmlu", *ARTS):
            self.share(f"{MINORS} on {name}", "wrongly flagged at the shipped threshold", flagged(known.of(name)))

    def refusal(self) -> None:
        known = self.known
        safe, bad = known.of(*SAFE), known.of("simplesafety", "harmbench")
        blocked = self.blocked()
        self.share("simplesafetytests + harmbench", "caught, all categories at shipped thresholds", blocked[bad], 0.95)
        self.share("xstest + purplellama_false_refusal", "wrongly blocked, so too", blocked[safe], 0.03)
        self.share("xstest safe prompts alone", "wrongly blocked, so too", blocked[known.of("xstest_safe")])
        self.share("xstest unsafe prompts", "caught, so too", blocked[known.of("xstest_unsafe")])
        for name in (*CLEAN, "mmlu", *ARTS):
            self.share(f"ordinary traffic: {name}", "wrongly blocked, so too", blocked[known.of(name)])
        for most in (0.01, 0.03, 0.1, 0.2):
            self.caught("the curve: simplesafetytests + harmbench", "illicit", safe, most, bad)

    def languages(self) -> None:
        """What English heads make of other languages, where sets have some: too few rows for each of them alone."""
        known = self.known
        every = highest(np.stack([self.shares[head] for head in TRAINED]))
        blocked, ordered = self.blocked(), self.over("injection")
        bad, moderated, art = known.label("any"), known.of("moderation"), known.of("arena2")
        foreign = [np.array([in_another_language(known.rows[row].text) for row in at]) for at in (moderated, art)]
        for which, other in (("English", False), ("other languages", True)):
            rows, rest = (at[own == other] for at, own in zip((moderated, art), foreign, strict=True))
            what, note = f"openai_moderation, {which}", f"{int(bad[rows].sum())} positive rows of {len(rows)}"
            value, low, high = drawn(average_precision_score, bad[rows], every[rows])
            self.figures.append(Figure(f"{what}: any category", "AUPRC", value, low, high, note=note))
            self.share(what, "caught, all categories at shipped thresholds", blocked[rows[bad[rows] == 1]])
            self.share(what, "wrongly flagged, so too", blocked[rows[bad[rows] == 0]])
            for name, over in (("moderation", blocked), ("injection", ordered)):
                self.share(f"arena2, {which}: {name}", "wrongly flagged, so too", over[rest])
        at = known.of(EVERYDAY)
        self.share("everyday requests, other languages: moderation", "wrongly flagged, so too", blocked[at])
        for head in TALK:
            self.share(f"everyday requests, other languages: {head}", "wrongly flagged, so too", self.over(head)[at])

    def injection(self) -> None:
        known, found = self.known, self.known.of("injection")
        clean = known.of(*CLEAN)
        self.caught("prompt injection: unseen system prompts", "injection", clean, 0.02, found, 0.90)
        for most in (0.05, 0.1):
            self.caught("the curve: prompt injection", "injection", clean, most, found)
        hard = known.of(*CLEAN, *SAFE, *ARTS, "mmlu")
        for most in (0.02, 0.05):
            self.caught("prompt injection: with harder texts among the others", "injection", hard, most, found)
        over = self.over("injection")
        self.share("prompt injection: unseen system prompts", "caught at the shipped threshold", over[found])
        for name in (*CLEAN, *SAFE, *ARTS, "mmlu"):
            self.share(f"injection on {name}", "wrongly flagged at the shipped threshold", over[known.of(name)])

    def risk(self) -> None:
        known = self.known
        traffic = known.of("mmlu", *CLEAN, *ARTS)
        for head, label, bar in (("legal", "law", "bar_law"), ("medical", "medicine", "bar_medicine")):
            rest = traffic[known.label(label)[traffic] != 1]
            self.caught(f"{head}: mmlu professional", head, rest, 0.05, np.flatnonzero(known.label(bar) == 1), 0.98)
            self.caught(
                f"{head}: all mmlu subjects of its kind",
                head,
                rest,
                0.05,
                np.flatnonzero(known.label(label) == 1),
                None,
            )
        rest = traffic[known.label("law")[traffic] != 1]
        self.caught(
            "legal: legalbench, unseen tasks", "legal", rest, 0.05, known.of("legalbench", "only_legalbench"), 0.98
        )
        self.caught("legal: legalbench, never learnt from", "legal", rest, 0.05, known.of("only_legalbench"))
        rest = traffic[known.label("medicine")[traffic] != 1]
        self.caught("medical: pubmedqa", "medical", rest, 0.05, known.of("pubmedqa"), 0.98)
        self._money(known.of(*CLEAN))
        for head, label in (("legal", "law"), ("medical", "medicine"), ("financial", "money")):
            over = self.over(head)
            for name in (*CLEAN, *ARTS, "mmlu"):
                rest = known.of(name)
                rest = rest[
                    (known.label(label)[rest] != 1) & ((head != "financial") | (known.label("advice")[rest] != 1))
                ]
                self.share(f"{head} on {name}", "wrongly flagged at the shipped threshold", over[rest])

    def _money(self, clean: Any) -> None:
        """The other classes, on what there is: mostly lines of our own, of which none was learnt from in its fold."""
        known = self.known
        rest = clean[known.label("advice")[clean] != 1]
        for what, label in (("mmlu's accounting", "money"), ("clinc's intents of advice", "advice")):
            self.caught(f"financial: {what}", "financial", rest, 0.02, np.flatnonzero(known.label(label) == 1))
        self.caught("financial: lines of our own", "financial", rest, 0.02, known.of("seed_financial"))
        self.caught("complex: arena-hard", "complex", clean, 0.02, known.of(*ARTS))
        self.caught("complex: lines of our own", "complex", clean, 0.02, known.of("seed_complex"))
        rest = known.of("mmlu", *CLEAN, *ARTS)
        self.caught("minors: lines of our own", "minors", rest, 0.01, known.of("seed_minors"))

    def privacy(self) -> None:
        rows = [*stored(self.data, "presidio_pii")]
        forms = Counts()
        for row in rows:
            gold = {Span(FORMS[one["entity_type"]], one["start_position"], one["end_position"])
                    for one in row["spans"] if one["entity_type"] in FORMS}  # fmt: skip
            forms.add(gold, {span for span in formed(row["full_text"]) if span.type in FORMS.values()})
        for kind in forms.kinds():
            self.spans(f"presidio_pii: {kind}", "F1, exact spans", forms, (kind,), None)
        self.spans("presidio_pii: types with a form", "F1, exact spans", forms, tuple(forms.kinds()), 0.90)
        groups: dict[str, Callable[[dict[str, Any]], str]] = {
            "unseen rows": lambda row: row["full_text"],
            "unseen templates": lambda row: f"template {row['template_id']}",
        }  # fmt: skip
        for how, group in groups.items():
            loose, strict = Counts(), Counts()
            for held, model in recognisers(self.data, group):
                for row in held:
                    gold, found = people(row), set(model.spans(row["full_text"]))
                    strict.add(gold, found)
                    loose.add(gold, found, half)
            for kind in ("name", "address"):
                bar = 0.80 if how == "unseen rows" else None
                self.spans(f"presidio_pii: {kind}, {how}", "F1, half of the span", loose, (kind,), bar)
                self.spans(f"presidio_pii: {kind}, {how}", "F1, exact spans", strict, (kind,), None)

    def strangers(self) -> None:
        """Names told in texts of other kinds that the shipped recogniser has not seen."""
        private = panel(("privacy",), load_encoder())["privacy"]
        for name in ("surge", "mmlu", "clinc", "gsm8k"):
            texts = [self.known.rows[at].text for at in self.known.of(name)[:600]]
            hits = np.array(["name" in private.screen(text).flagged for text in texts])
            note = "most rows do name somebody" if name == "gsm8k" else "few rows name anybody"
            self.share(f"privacy on {name}", "rows with a name told", hits, note=note)

    def spans(self, what: str, measure: str, counts: Counts, kinds: tuple[str, ...], bar: float | None) -> None:
        value, low, high = counts.interval(kinds)
        self.figures.append(Figure(what, measure, value, low, high, bar))

    def speed(self) -> None:
        encoder = load_encoder()
        texts = [*dict.fromkeys(row.text[:100] for row in self.known.rows if len(row.text) >= 100)]
        note = "none of them read before; median, least and most of 5 runs"
        for how, size, bar in (("one by one", 1, None), ("32 at once", 32, 5000)):
            moderation, rates = Moderation(Reader(load_weights(), encoder)), []
            for run in range(5):
                part = texts[run::5]
                groups = [part[at : at + size] for at in range(0, len(part), size)]
                rates.append(len(part) / clocked(lambda groups=groups, of=moderation: [*map(of.screen_each, groups)]))  # type: ignore[misc]
            rates.sort()
            what = f"moderation, 100 characters, {how}"
            self.figures.append(Figure(what, "messages/s, one core", rates[2], rates[0], rates[-1], bar, note=note))
        whole = "\n".join(row["full_text"] for row in stored(self.data, "presidio_pii"))
        parts = [whole[at : at + 1024] for at in range(0, len(whole) - 1024, 1024)]
        private = panel(("privacy",), encoder)["privacy"]
        times = sorted(1e3 * clocked(lambda: [private.screen(part) for part in parts]) / len(parts) for _ in range(5))
        self.figures.append(
            Figure(
                "privacy, texts of 1 KB",
                "ms per KB, one core",
                times[2],
                times[0],
                times[-1],
                1.0,
                note="full of personal data; median, least and most of 5 runs",
            )
        )

    # -------------------------------------------------------------- beside others

    def rivals(self) -> None:
        """The same rows by what else there is."""
        words, orders, data = filters(), guards(), finders()
        if words:
            self._beside_filters(words)
        if orders:
            self._beside_guards(orders)
        if data:
            self._beside_finders(data)

    def _beside_filters(self, others: Mapping[str, Score]) -> None:
        known = self.known
        moderated = known.of("moderation")
        every = highest(np.stack([self.shares[head] for head in TRAINED]))
        rows = [("openai_moderation: any category", moderated, known.label("any")[moderated], every)]
        for head in ("sexual", "hate", "harassment", "violence", "self-harm"):
            own = moderated[known.label(head)[moderated] >= 0]
            rows.append((f"openai_moderation: {head}", own, known.label(head)[own], self.shares[head]))
        for name, head, label in (
            ("davidson", "harassment", "toxic"), ("surge", "harassment", "toxic"), ("hatecheck", "hate", "hate")
        ):  # fmt: skip
            at = known.of(name)[:: -(-len(known.of(name)) // SOME)]
            rows.append((f"{name}: {label}", at, known.label(label)[at], self.shares[head]))
        for what, at, truth, ours in rows:
            texts = [known.rows[row].text for row in at]
            scores = {"ours": ours[at]} | {name: score(texts) for name, score in others.items()}
            found = {name: drawn(average_precision_score, truth, one) for name, one in scores.items()}
            self.beside.append(Beside(what, "AUPRC", found))
        blocked = self.blocked()
        self._flagged("caught", (("simplesafety", "harmbench"), ("xstest_unsafe",)), blocked, others)
        sets = (("xstest_safe",), ("false_refusal",), *((name,) for name in (*CLEAN, "mmlu", *ARTS)))
        self._flagged("wrongly flagged", sets, blocked, others)
        texts = [row.text[:100] for row in known.rows if len(row.text) >= 100][:300]
        moderation = Moderation(Reader(load_weights(), load_encoder()))
        ways = {"ours": lambda texts: [moderation.screen(one) for one in texts], **others}
        rates = {name: (rate(score, texts),) * 3 for name, score in ways.items()}
        self.beside.append(
            Beside("moderation, 100 characters, all given at once to others", "messages/s, one core", rates)
        )

    def _beside_guards(self, others: Mapping[str, Score]) -> None:
        flagged = self.over("injection")
        self._flagged("injection caught", (("injection",),), flagged, others)
        sets = tuple((name,) for name in (*CLEAN, "xstest_safe", "false_refusal", *ARTS))
        self._flagged("injection wrongly flagged", sets, flagged, others)

    def _flagged(self, measure: str, sets: Sequence[tuple[str, ...]], ours: Any, others: Mapping[str, Score]) -> None:
        """Shares of sets: by us of unseen folds at the shipped thresholds, by others from FLAGGED on."""
        for names in sets:
            at = self.known.of(*names)
            at = at[:: -(-len(at) // SOME)]
            texts = [self.known.rows[row].text for row in at]
            hits = {"ours": ours[at]} | {name: score(texts) >= FLAGGED for name, score in others.items()}
            found = {name: (float(one.mean()), *exact(int(one.sum()), len(one))) for name, one in hits.items()}
            self.beside.append(Beside(" + ".join(names), measure, found))

    def _beside_finders(self, others: Mapping[str, Find]) -> None:
        rows = [*stored(self.data, "presidio_pii")]
        ways: dict[str, Find] = {"ours": lambda text: set(formed(text)), **others}
        counted = {name: Counts() for name in ways}
        for row in rows:
            gold = {Span(FORMS[one["entity_type"]], one["start_position"], one["end_position"])
                    for one in row["spans"] if one["entity_type"] in FORMS}  # fmt: skip
            for name, find in ways.items():
                counted[name].add(gold, {span for span in find(row["full_text"]) if span.type in FORMS.values()})
        kinds = tuple(sorted({*FORMS.values()}))
        for what, of in (*((kind, (kind,)) for kind in kinds), ("all of these", kinds)):
            found = {name: one.interval(of) for name, one in counted.items()}
            self.beside.append(Beside(f"presidio_pii: {what}", "F1, exact spans", found))

    def evasion(self) -> None:
        """Of texts that are caught as they are: the share that is still caught in each disguise."""
        screens = panel(("moderation", "injection"), load_encoder())
        for screen, kind, texts in self._attacks():

            def flagged(text: str, screen: str = screen, kind: str = kind) -> bool:
                return kind in screens[screen].screen(text).flagged

            caught = [text for text in texts if flagged(text)]
            for name, change in DISGUISES.items():
                kept = np.array([flagged(change(text)) for text in caught])
                self.share(f"evasion, {kind}: {name}", f"still flagged, of {len(caught)} texts", kept)
            kept = np.array([any(map(flagged, turns(text))) for text in caught])
            self.share(f"evasion, {kind}: split over two turns", f"still flagged, of {len(caught)} texts", kept)

    def _attacks(self) -> Iterator[tuple[str, str, list[str]]]:
        rows = self.known.rows
        yield "moderation", "hate", [row.text for row in rows if row.set == "hatecheck" and row.labels["hate"]][::6]
        yield "moderation", "illicit", [rows[at].text for at in self.known.of("simplesafety", "harmbench")]
        yield "injection", "injection", [rows[at].text for at in self.known.of("injection")]


FORMS = {
    "CREDIT_CARD": "card", "PHONE_NUMBER": "phone", "EMAIL_ADDRESS": "email", "DOMAIN_NAME": "url", "IBAN_CODE": "iban",
    "US_SSN": "national_id", "US_DRIVER_LICENSE": "national_id", "IP_ADDRESS": "ip",
}  # fmt: skip


class Counts:
    """Of each text and type: (right, in the text, found)."""

    def __init__(self) -> None:
        self.rows: list[dict[str, tuple[float, int, int]]] = []

    def add(self, gold: set[Span], found: set[Span], same: Callable[[Span, Span], bool] = lambda a, b: a == b) -> None:
        row = {}
        for kind in {span.type for span in gold | found}:
            own, told = [s for s in gold if s.type == kind], [s for s in found if s.type == kind]
            hits = sum(any(same(a, b) for b in told) for a in own) + sum(any(same(b, a) for a in own) for b in told)
            row[kind] = (hits / 2, len(own), len(told))
        self.rows.append(row)

    def kinds(self) -> list[str]:
        return sorted({kind for row in self.rows for kind in row})

    def interval(self, kinds: tuple[str, ...]) -> tuple[float, float, float]:
        """F1 and its bootstrap interval over texts."""
        table = np.array([np.sum([row.get(kind, (0, 0, 0)) for kind in kinds], axis=0) for row in self.rows])
        draws = np.random.default_rng(0).integers(0, len(table), (DRAWS, len(table)))
        sums = table[draws].sum(1)
        values = 2 * sums[:, 0] / np.maximum(sums[:, 1] + sums[:, 2], 1)
        whole = table.sum(0)
        low, high = np.quantile(values, (0.025, 0.975))
        return float(2 * whole[0] / max(whole[1] + whole[2], 1)), float(low), float(high)


def in_another_language(text: str) -> bool:
    """Whether it is clearly not in English: in letters of another script, or in enough words of another language."""
    kind, share = language_of(text)
    return kind not in {"", "en"} and share >= CLEAR and (len(text.split()) >= ENOUGH or not text.isascii())


def either(shares: Any) -> Any:
    """(texts,) of (categories, texts): that any of them is so, were they independent."""
    return 1 - np.prod(1 - shares, axis=0)


def highest(shares: Any) -> Any:
    return shares.max(axis=0)


def half(one: Span, other: Span) -> bool:
    """Whether two spans share at least a half of the longer one."""
    shared = min(one.end, other.end) - max(one.start, other.start)
    return 2 * shared >= max(one.end - one.start, other.end - other.start)


def people(row: dict[str, Any]) -> set[Span]:
    """Names and addresses as they were marked; pieces of one address are one."""
    text, tokens, labels = spelt(row)
    return set(joined(text, tokens.at, labels.tolist()))


def drawn(measure: Callable[..., Any], truth: Any, scores: Any) -> tuple[float, float, float]:
    """(value, low, high) by bootstrap over rows."""
    draws = np.random.default_rng(0).integers(0, len(truth), (DRAWS, len(truth)))
    values = [measure(truth[draw], scores[draw]) for draw in draws if 0 < truth[draw].sum() < len(draw)]
    low, high = np.quantile(values, (0.025, 0.975))
    return float(measure(truth, scores)), float(low), float(high)


def exact(hits: int, of: int) -> tuple[float, float]:
    """Clopper and Pearson's 95 % interval."""
    low = float(beta.ppf(0.025, hits, of - hits + 1)) if hits else 0.0
    return low, float(beta.ppf(0.975, hits + 1, of - hits)) if hits < of else 1.0


def clocked(work: Callable[[], object]) -> float:
    """Seconds of CPU."""
    start = time.process_time()
    work()
    return time.process_time() - start


LOOKALIKE = str.maketrans("aceopxyis", "\u0430\u0441\u0435\u043e\u0440\u0445\u0443\u0456\u0455")
FULLWIDTH = {ord(letter): ord(letter) + 0xFEE0 for letter in "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"}


def turns(text: str) -> tuple[str, str]:
    """Two halves, cut at a space."""
    at = text.rfind(" ", 0, len(text) // 2 + 1)
    return text[: max(at, 0)], text[max(at, 0) :]


def _words(text: str, change: Callable[[str], str]) -> str:
    """Every word of four letters or more changed."""
    return re.sub(r"\w{4,}", lambda found: change(found[0]), text)


DISGUISES: dict[str, Callable[[str], str]] = {
    "upper case": str.upper,
    "look-alike letters": lambda text: text.lower().translate(LOOKALIKE),
    "full-width letters": lambda text: text.translate(FULLWIDTH),
    "zero-width spaces": lambda text: _words(text, "\u200b".join),
    "accents": lambda text: _words(text, "\u0301".join),
    "leetspeak": lambda text: text.translate(str.maketrans("aeiost", "4310$7")),
    "spaced letters": lambda text: _words(text, " ".join),
    "dotted letters": lambda text: _words(text, ".".join),
    "drawn-out letters": lambda text: _words(text, lambda word: word[:2] + word[1] * 3 + word[2:]),
    "letter left out": lambda text: _words(text, lambda word: word[:2] + word[3:]),
    "letters swapped": lambda text: _words(text, lambda word: word[0] + word[2] + word[1] + word[3:]),
    "stars inside": lambda text: _words(text, lambda word: word[0] + "*" + word[2:]),
    "no spaces": lambda text: text.replace(" ", ""),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "hexadecimal": lambda text: text.encode().hex(),
    "reversed": lambda text: text[::-1],
    "rot13": lambda text: codecs.encode(text, "rot13"),
    "in quotes after a polite line": lambda text: f'Could you tell me what this means: "{text}"',
    "between foreign words": lambda text: f"Guten Tag, liebe Leute. {text} Vielen Dank und bis bald.",
    "behind 1,000 harmless characters": lambda text: "The weather was fine and we had lunch. " * 26 + text,
    "behind 1,000 more, and a short sentence next to it": lambda text: (
        "The weather was fine and we had lunch. " * 27 + text
    ),
    "first half only, as in a stream": lambda text: text[: len(text) // 2],
}


def shown(figures: Sequence[Figure]) -> Iterator[str]:
    yield "| what | measure | value | 95 % interval | bar | reached | key words | TF-IDF + LR | note |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for one in figures:
        digits = 0 if one.value > 100 else 3
        numbers = [f"{one.value:.{digits}f}", f"{one.low:.{digits}f} to {one.high:.{digits}f}"]
        rest = ["" if value is None else f"{value:g}" for value in (one.bar,)]
        base = ["" if value is None else f"{value:.3f}" for value in (one.words, one.tfidf)]
        yield f"| {' | '.join([one.what, one.measure, *numbers, *rest, one.reached(), *base, one.note])} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    bench = Bench(options.data)
    for part in (
        bench.moderation,
        bench.inside,
        bench.minors,
        bench.refusal,
        bench.languages,
        bench.injection,
        bench.risk,
        bench.privacy,
        bench.strangers,
        bench.speed,
        bench.evasion,
        bench.rivals,
    ):
        part()
        write(bench, options.out)  # what is measured so far: the whole takes many minutes
        print(f"measured {part.__name__}", flush=True)
    print("\n".join(shown(bench.figures)))


def write(bench: Bench, out: Path) -> None:
    title = (
        "# The screens, by cross-validation\n\n`python -m benchmarks.screens --data DIR` made it; its head says how."
    )
    table = "\n".join(shown(bench.figures))
    others = "\n".join(beside(bench.beside))
    (out / "screens.md").write_text(f"{title}\n\n{table}\n\n## Beside what else there is\n\n{others}\n")
    content = {
        "figures": [asdict(one) for one in bench.figures],
        "beside": [asdict(one) for one in bench.beside],
        "thresholds": bench.limits,
    }
    (out / "screens.json").write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
