"""The queue of answers that people compare: which pairs, in which order, how likely each was to be among them.

A pair is a draft and premium's answer to the same request, of which nobody but a judge, or people, can say how good
they are. "random" goes through them in one fixed order for everybody, pairs that certificates rest on first;
"doubtful" draws pairs whose draft may as well be good as not. Every draw's probability is kept with the label. Knows
no terminal; what it gives to show names no model, score or price.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

import msgspec

from tierwise.errors import ConfigError
from tierwise.offline.drawn import Gathered, place, uniform
from tierwise.proof import Label, Said, Texts
from tierwise.types import Route

FLOOR = 0.05  # of a weight: also what the verifier is sure of may be wrong
MOST_DOUBT = 0.25  # p (1 - p) of a draft that nothing has scored
DRAWN = 50  # pairs that "doubtful" draws on average where nobody says how many
STEPS = 60  # of a bisection

Order = Literal["random", "doubtful"]
Word = Literal["a", "b", "both", "neither"]
SETTLED = frozenset({"equality", "checks"})  # sources that leave nothing to ask people about


class Pair(NamedTuple):
    """`score` of the draft by the verifier; `used`: certificates rest on it."""

    texts: Texts
    draft: Said
    premium: Said
    score: float | None
    used: bool

    @property
    def key(self) -> tuple[str, str]:
        return self.texts.request_id, self.draft.model


class Task(NamedTuple):
    """A pair to be shown. `a`, `b`: the answers, of which `draft_is_a` says which is which."""

    pair: Pair
    propensity: float
    draft_is_a: bool

    @property
    def a(self) -> Said:
        return self.pair.draft if self.draft_is_a else self.pair.premium

    @property
    def b(self) -> Said:
        return self.pair.premium if self.draft_is_a else self.pair.draft


class Queue(msgspec.Struct, frozen=True):
    """A reviewer's: `labelled` of all `pairs` by this reviewer, `left` to be shown now."""

    pairs: int
    labelled: int
    left: int


def pairs(gathered: Gathered, route: Route) -> list[Pair]:
    """In the order of review: those that certificates rest on first, each kind by `place`."""
    samples = {sample.request_id: sample for sample in gathered.samples}
    settled = {(label.request_id, label.model) for label in gathered.labels if label.source in SETTLED}
    used = _used(gathered, route)
    found = []
    for texts in gathered.texts:
        said, sample = {item.model: item for item in texts.said}, samples.get(texts.request_id)
        premium = said.get(route.premium.name)
        for model in route.tiers[:-1]:
            draft = said.get(model.name)
            if premium is None or draft is None or sample is None or (texts.request_id, model.name) in settled:
                continue
            found.append(Pair(texts, draft, premium, sample.score, texts.request_id in used))
    return sorted(found, key=lambda pair: (not pair.used, place(pair.texts.request_id), pair.draft.model))


def _used(gathered: Gathered, route: Route) -> frozenset[str]:
    try:
        return frozenset(row.texts.request_id for row in uniform(gathered, route).rows)
    except ConfigError:  # nothing can be certified by what there is so far: all pairs are alike
        return frozenset()


def tasks(found: Sequence[Pair], done: Iterable[Label], reviewer: str, order: Order, limit: int | None) -> list[Task]:
    """What a reviewer is shown, in order: pairs that this reviewer has not labelled, of `limit` at the most.

    "doubtful" draws `limit` pairs on average, whoever has labelled them, so that a second session goes on with the
    first one's. Each comes with the probability that it was to be among these: for "random" of all that are left.
    """
    mine = {(label.request_id, label.model) for label in done if label.source == "human" and label.by == reviewer}
    if order == "doubtful":
        chances = drawing([_doubt(pair) for pair in found], DRAWN if limit is None else limit)
        drawn = [(pair, chance) for pair, chance in zip(found, chances, strict=True) if _number(pair, "draw") < chance]
        chosen = [(pair, chance) for pair, chance in drawn if pair.key not in mine]
    else:
        left = [pair for pair in found if pair.key not in mine]
        chances = _first(left, len(left) if limit is None else limit)
        chosen = [(pair, chance) for pair, chance in zip(left, chances, strict=True) if chance][:limit]
    return [Task(pair, chance, _number(pair, f"side {reviewer}") < 0.5) for pair, chance in chosen]


def _first(left: Sequence[Pair], limit: int) -> list[float]:
    """The chance of each to be among the first `limit`, over the random order within its kind."""
    used = sum(pair.used for pair in left)
    first = min(limit / used, 1.0) if used else 0.0
    then = min(max(limit - used, 0) / (len(left) - used), 1.0) if used < len(left) else 0.0
    return [first if pair.used else then for pair in left]


def _doubt(pair: Pair) -> float:
    return FLOOR + (MOST_DOUBT if pair.score is None else pair.score * (1 - pair.score))


def drawing(weights: Sequence[float], most: int) -> list[float]:
    """Chances in (0, 1], proportional to positive weights where they are below 1, that come to `most` in all."""
    if most >= len(weights):
        return [1.0] * len(weights)
    low, high = 0.0, len(weights) / min(weights)
    for _ in range(STEPS):
        middle = (low + high) / 2
        if sum(min(middle * weight, 1.0) for weight in weights) < most:
            low = middle
        else:
            high = middle
    return [min(high * weight, 1.0) for weight in weights]


def _number(pair: Pair, purpose: str) -> float:
    """In [0, 1), the same each time; for each purpose another."""
    text = "\0".join(("tierwise review", purpose, *pair.key)).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.sha256(text).digest()[:6], "big") / 2**48


def label(task: Task, word: Word, reviewer: str, at_ns: int) -> Label:
    """What a reviewer said of a pair: which of its answers are good enough."""
    a, b = float(word in {"a", "both"}), float(word in {"b", "both"})
    return Label(
        request_id=task.pair.texts.request_id,
        route=task.pair.texts.route,
        model=task.pair.draft.model,
        source="human",
        by=reviewer,
        draft=a if task.draft_is_a else b,
        premium=b if task.draft_is_a else a,
        propensity=task.propensity,
        at_ns=at_ns,
    )


def queue(found: Sequence[Pair], left: Sequence[Task], done: Iterable[Label], reviewer: str) -> Queue:
    mine = {(label.request_id, label.model) for label in done if label.source == "human" and label.by == reviewer}
    return Queue(len(found), sum(pair.key in mine for pair in found), len(left))
