"""What a model adds where the moderation classifiers are in doubt: OpenAI's moderation set, by the local models.

    python -m benchmarks.screen_tier --data DIR [--model large] [--rows 250] [--json F]

Each row is scored by classifiers that did not learn from its fold. Where a class is in the uncertain band below its
threshold, the model is asked the product's own question (`screens/judged.py`) through the product's own provider, and
its verdict settles the doubt. Of many rows in the band some are drawn, and count for the others. Compared, with and
without: recall and precision of "any category", and the AUPRC of the highest share of its threshold, in which a doubt
that the model confirms stands at the threshold, and one that it denies at the lower end of the band.

The local models are small ones for demonstration: the figure is what such a tier adds, not what a better one would.
So two bounds stand beside it: a model that is always right in the band, and one that confirms every doubt.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from rich.progress import track
from sklearn.metrics import average_precision_score

from benchmarks.first_light import starter_models
from benchmarks.screen_weights import Corpus, corpus, probabilities, threshold, unseen
from benchmarks.screens import drawn
from tierwise.core.join import join
from tierwise.errors import CheckFailed, TierwiseError
from tierwise.gateway.engine import Engine
from tierwise.gateway.settings import load, read_environment
from tierwise.gateway.wiring import open_engine
from tierwise.screens.judged import DOUBT, YES, doubtful, meanings, question, verdict
from tierwise.screens.moderation import TRAINED
from tierwise.types import Chunk

CONFIG = """
[store]
url = "sqlite:///{folder}/ledger.db"
{models}
[routes.only]
tiers = ["{model}"]
"""
NAMES = tuple(f"moderation:{name}" for name in TRAINED)
WAYS = ("classifiers", "with the model", "always right in the band", "confirms every doubt")
Said = Mapping[str, float] | None
"""A model's score of each class in doubt; None where it gave no verdict."""


class Shares(msgspec.Struct):
    """What unseen folds say: (rows, classes) probabilities by `limits`, their thresholds; and whether any is true."""

    texts: list[str]
    shares: Any
    limits: Any
    truth: Any
    labels: Any

    def doubts(self, row: int) -> tuple[str, ...]:
        """The classes in the band; none where one is flagged already: nobody has to ask then whether any is."""
        limits = dict(zip(NAMES, self.limits.tolist(), strict=True))
        scores = dict(zip(limits, self.shares[row].tolist(), strict=True))
        return () if (self.shares[row] >= self.limits).any() else doubtful(scores, limits)

    def right(self, row: int, doubts: Sequence[str]) -> list[bool]:
        """Whether each is so by the labels; where there is none it is not."""
        return [bool(self.labels[row, NAMES.index(one)] == 1) for one in doubts]

    def ranked(self, row: int, settled: Sequence[bool] | None, doubts: Sequence[str]) -> float:
        """The highest share of its threshold that a row has, once its doubts are settled; None: they stay."""
        parts = self.shares[row] / self.limits
        for name, yes in zip(doubts, settled or (), strict=False):
            parts[NAMES.index(name)] = 1.0 if yes else DOUBT
        return float(parts.max())


class Figures(msgspec.Struct):
    """Of all rows, where the drawn ones count for all that are in doubt; (value, low, high) where an interval is."""

    model: str
    rows: int
    in_doubt: int
    asked: int
    verdicts: int
    seconds_each: float
    right_of_verdicts: float
    recall: dict[str, float]
    precision: dict[str, float]
    auprc: dict[str, tuple[float, float, float]]


def scored(data: Path) -> Shares:
    known = Corpus(corpus(data))
    at = known.of("moderation")
    found = probabilities(known, unseen(known))
    every = [found[head] for head in TRAINED]
    return Shares(
        [known.rows[row].text for row in at],
        np.stack([shares[at] for shares in every], axis=1),
        np.array([threshold(known, head, shares) for head, shares in zip(TRAINED, every, strict=True)]),
        known.label("any")[at] == 1,
        np.stack([known.label(head)[at] for head in TRAINED], axis=1),
    )


async def asked(engine: Engine, name: str, texts: Sequence[str], doubts: Sequence[Sequence[str]]) -> list[Said]:
    """What the model says of each text."""
    model, provider = engine.snapshot.models[name], engine.providers[name]
    said: list[Said] = []
    for text, classes in track(list(zip(texts, doubts, strict=True)), description=f"asking {name}"):
        told = meanings(classes)
        try:
            chunks: list[Chunk] = []
            async for batch in provider.stream(model, question([text], told)):
                chunks += batch
            said.append(verdict(join(name, chunks), told))
        except (CheckFailed, TierwiseError):
            said.append(None)
    return said


async def run(shares: Shares, name: str, most: int) -> Figures:
    doubts = [shares.doubts(row) for row in range(len(shares.texts))]
    band = np.flatnonzero([bool(each) for each in doubts])
    drawn_rows = np.sort(np.random.default_rng(0).permutation(band)[:most])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tierwise.toml"
        path.write_text(CONFIG.format(folder=folder, models=starter_models(), model=name))
        environment = read_environment()
        engine = await open_engine(load(path, environment.variables), environment)
        try:
            start = time.monotonic()
            found = await asked(
                engine, name, [shares.texts[row] for row in drawn_rows], [doubts[row] for row in drawn_rows]
            )
            took = time.monotonic() - start
        finally:
            await engine.close()
    return figures(shares, name, doubts, dict(zip(drawn_rows.tolist(), found, strict=True)), len(band), took)


def confirmed(way: str, said: Said, classes: Sequence[str], right: list[bool]) -> list[bool] | None:
    """What becomes of each doubt; None: nothing."""
    if way == WAYS[1]:
        return None if said is None else [said[one] >= YES for one in classes]
    return {WAYS[2]: right, WAYS[3]: [True] * len(classes)}.get(way)


def figures(
    shares: Shares, name: str, doubts: Sequence[Sequence[str]], said: Mapping[int, Said], band: int, took: float
) -> Figures:
    kept = [row for row in range(len(doubts)) if not doubts[row] or row in said]
    weight = np.array([band / max(len(said), 1) if row in said else 1.0 for row in kept])
    picked = np.random.default_rng(1).choice(len(kept), 20 * len(kept), p=weight / weight.sum())
    truth = shares.truth[kept]
    recall: dict[str, float] = {}
    precision: dict[str, float] = {}
    areas: dict[str, tuple[float, float, float]] = {}
    for way in WAYS:
        settled = [confirmed(way, said.get(row), doubts[row], shares.right(row, doubts[row])) for row in kept]
        ranks = np.array([shares.ranked(row, yes, doubts[row]) for row, yes in zip(kept, settled, strict=True)])
        flagged = ranks >= 1
        hits = float((weight * (flagged & truth)).sum())
        recall[way], precision[way] = hits / float((weight * truth).sum()), hits / float((weight * flagged).sum())
        _, low, high = drawn(average_precision_score, truth, ranks)
        areas[way] = float(average_precision_score(truth[picked], ranks[picked])), low, high
    heard = {row: one for row, one in said.items() if one is not None}
    hit = [
        (one[each] >= YES) == true
        for row, one in heard.items()
        for each, true in zip(doubts[row], shares.right(row, doubts[row]), strict=True)
    ]
    each = took / max(len(said), 1)
    return Figures(name, len(doubts), band, len(said), len(heard), each, float(np.mean(hit)), recall, precision, areas)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", default="large", help="of the starter config's local models: small, large")
    parser.add_argument("--rows", type=int, default=250, help="at most so many rows in doubt are asked about")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    options = parser.parse_args()
    found = asyncio.run(run(scored(options.data), options.model, options.rows))
    print(
        f"{found.rows} rows, {found.in_doubt} in doubt, {found.asked} asked, {found.verdicts} verdicts, "
        f"{found.seconds_each:.1f} s each, {found.right_of_verdicts:.1%} of doubts settled rightly"
    )
    print(f"{'any category':<28}{'recall':>8}{'precision':>11}{'AUPRC':>8}   95 %")
    for way in found.recall:
        value, low, high = found.auprc[way]
        print(f"{way:<28}{found.recall[way]:>8.3f}{found.precision[way]:>11.3f}{value:>8.3f}   {low:.3f} to {high:.3f}")
    if options.json:
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(found)) + b"\n")


if __name__ == "__main__":
    main()
