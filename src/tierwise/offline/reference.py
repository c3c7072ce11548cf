"""What certified traffic looked like, so that later traffic can be told from it without any label (`stats/drift.py`).

Two things: the scores of the drafts that the policy would have asked for, and what the prompts were about. Knows the
rows that a certificate rests on, and nothing of the certificate.
"""

from __future__ import annotations

import numpy as np

from tierwise.offline.fit import Rows
from tierwise.offline.learn import Floats, Scores
from tierwise.offline.measured import Measured
from tierwise.offline.played import UNTRIED, Fate
from tierwise.scorers.clusters import Centroids, clusters_of
from tierwise.stats.drift import ClusterDrift, ScoreDrift

DRIFT = 0.01  # the chance that traffic which is what it was is ever taken for another


def drafted(scores: Scores, fate: Fate) -> Floats:
    """What the verifier says last of each draft that is asked for."""
    said = scores.best
    if scores.alone is not None and scores.consulted is not None:
        said = np.where(fate.asked, scores.consulted, scores.alone)
    return said[[rule != UNTRIED for rule in fate.rules]]


def score_bounds(said: Floats) -> tuple[float, float, float] | None:
    """(low, high) of their mean, and their variance; None of none. Rows may be sorted: they are put in any order."""
    if not len(said):
        return None
    drift = ScoreDrift.start(np.random.default_rng(0).permutation(said), DRIFT)
    return drift.low, drift.high, drift.variance


def cluster_bounds(measured: Measured, rows: Rows, centroids: Centroids) -> tuple[float, ...]:
    """The most that each cluster's share of all such prompts may be; empty where there are no clusters."""
    if not len(centroids):
        return ()
    near = clusters_of(measured.router.meaning[rows], centroids)
    return ClusterDrift.start(np.bincount(near, minlength=len(centroids)), DRIFT).most
