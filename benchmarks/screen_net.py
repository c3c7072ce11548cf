"""The net behind the screens: all heads at once, n-grams linearly and the encoder's vector by one hidden layer.

Trained by Adam on weighted logistic loss, in numpy; the same rows in the same order give the same numbers. Heads share
the hidden layer, so that one with few rows gains from those with many. It is the mean of NETS nets that began and went
on by chance differently, and so errs less than one; with their hidden layers side by side the mean is a net again.
Knows nothing of what heads and rows are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

NETS = 2
UNITS = 32  # of the hidden layer of each
EPOCHS = 8
BATCH = 256
RATE = 0.003  # of the hidden layer; linear parts learn faster
FASTER = {"table": 4.0, "dense": 3.0, "bias": 3.0}
PULL = 1e-4  # that draws the dense parts to 0
DROPPED = 0.2  # share of the hidden layer that a step leaves out


class Net(NamedTuple):
    """See `screens/weights.py`; here the table's columns are not yet rounded."""

    table: Any  # (buckets, heads)
    dense: Any  # (dimensions, heads)
    hidden: Any  # (dimensions, units)
    shift_in: Any  # (units,)
    out: Any  # (units, heads)
    bias: Any  # (heads,)

    def odds(self, grams: Any, vectors: Any) -> Any:
        """(rows, heads)."""
        inside = np.maximum(vectors @ self.hidden + self.shift_in, 0)
        return grams @ self.table + vectors @ self.dense + inside @ self.out + self.bias


def trained(grams: Any, vectors: Any, kinds: Any, weights: Any, decay: float) -> Net:
    """`grams` (rows, buckets) sparse, `vectors` (rows, dimensions); `kinds` (rows, heads) 0 or 1, `weights` alike, 0
    where a head does not learn from a row; `decay` draws the table's columns to 0."""
    return mean([_one(grams, vectors, kinds, weights, decay, seed) for seed in range(NETS)])


def mean(nets: Sequence[Net]) -> Net:
    """The net whose log-odds are the mean of theirs."""
    share = np.float32(1 / len(nets))
    return Net(
        np.sum([net.table for net in nets], axis=0) * share,
        np.sum([net.dense for net in nets], axis=0) * share,
        np.concatenate([net.hidden for net in nets], axis=1),
        np.concatenate([net.shift_in for net in nets]),
        np.concatenate([net.out for net in nets]) * share,
        np.sum([net.bias for net in nets], axis=0) * share,
    )


def widened(net: Net, columns: Sequence[int], heads: int) -> Net:
    """The same with `heads` columns: its own are `columns` of them, the others are 0."""

    def wide(part: Any) -> Any:
        whole = np.zeros((*part.shape[:-1], heads), part.dtype)
        whole[..., columns] = part
        return whole

    return net._replace(**{name: wide(getattr(net, name)) for name in ("table", "dense", "out", "bias")})


def _one(grams: Any, vectors: Any, kinds: Any, weights: Any, decay: float, seed: int) -> Net:
    random = np.random.default_rng(seed)
    heads, dimensions = kinds.shape[1], vectors.shape[1]
    weights = weights / weights.sum(0) * len(weights)
    taught = np.flatnonzero(weights.sum(1) > 0)
    net = Net(
        np.zeros((grams.shape[1], heads), np.float32),
        np.zeros((dimensions, heads), np.float32),
        random.normal(0, 1, (dimensions, UNITS)).astype(np.float32),
        np.zeros(UNITS, np.float32),
        random.normal(0, 0.1 / np.sqrt(UNITS), (UNITS, heads)).astype(np.float32),
        np.full(heads, -2, np.float32),
    )
    pull = {"table": decay, "dense": PULL, "hidden": PULL / 10, "out": PULL}
    steps = Adam(net, pull, EPOCHS * -(-len(taught) // BATCH))
    for _ in range(EPOCHS):
        random.shuffle(taught)
        for start in range(0, len(taught), BATCH):
            at = taught[start : start + BATCH]
            steps.take(slopes(net, grams[at], vectors[at], kinds[at], weights[at] / len(at), random))
    return net


def slopes(net: Net, grams: Any, vectors: Any, kinds: Any, weights: Any, random: Any) -> Net:
    """Of the loss, in each of the net's numbers."""
    before = vectors @ net.hidden + net.shift_in
    kept = (random.random(before.shape) > DROPPED).astype(np.float32) / (1 - DROPPED)
    inside = np.maximum(before, 0) * kept
    odds = grams @ net.table + vectors @ net.dense + inside @ net.out + net.bias
    wrong = ((1 / (1 + np.exp(-odds)) - kinds) * weights).astype(np.float32)
    back = (wrong @ net.out.T) * kept * (before > 0)
    return Net(
        np.asarray(grams.T @ wrong), vectors.T @ wrong, vectors.T @ back, back.sum(0), inside.T @ wrong, wrong.sum(0)
    )


class Adam:
    """Steps that fall to 0 along half a cosine."""

    def __init__(self, net: Net, pull: dict[str, Any], steps: int) -> None:
        self.net, self.pull, self.steps, self.taken = net, pull, steps, 0
        self.first, self.second = ([np.zeros_like(part) for part in net] for _ in range(2))

    def take(self, slopes: Net) -> None:
        self.taken += 1
        length = RATE * 0.5 * (1 + np.cos(np.pi * self.taken / self.steps))
        for number, (name, slope) in enumerate(zip(Net._fields, slopes, strict=True)):
            part, first, second = self.net[number], self.first[number], self.second[number]
            pulled = slope + self.pull.get(name, 0) * part
            first += 0.1 * (pulled - first)
            second += 0.01 * (pulled * pulled - second)
            mean, spread = first / (1 - 0.9**self.taken), second / (1 - 0.99**self.taken)
            part -= (length * FASTER.get(name, 1.0) * mean / (np.sqrt(spread) + 1e-6)).astype(np.float32)
