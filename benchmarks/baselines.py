"""What learned routing has to beat, each as one function: labelled rows in, an escalation score for the others out.

Each gives one number for every test row, the higher, the sooner it goes to premium, and says by its kind what has
been paid before it can be known. None of them knows a benchmark.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import hstack
from sklearn.cluster import KMeans
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge

from tierwise.offline.fit import Rows, predict
from tierwise.offline.learn import Floats, Learned
from tierwise.offline.measured import Measured
from tierwise.offline.outcomes import Pairs

NEIGHBOURS, CLUSTERS, NEAREST, SHRUNK = 100, 64, 4, 10


@dataclass(frozen=True)
class Fold:
    """Rows to learn from, rows to score, and our own models as fitted on the former."""

    pairs: Pairs
    measured: Measured
    train: Rows
    test: Rows
    learned: Learned

    @property
    def gain(self) -> Floats:
        """Of the rows to learn from: what premium is better by."""
        return (self.pairs.premium.score - self.pairs.cheap.score)[self.train]


Baseline = Callable[[Fold], Floats]


def at_random(fold: Fold) -> Floats:
    return np.random.default_rng(len(fold.test)).random(len(fold.test))


def prompt_length(fold: Fold) -> Floats:
    return np.array([len(fold.pairs.prompt[row]) for row in fold.test], float)


def tfidf_prompt(fold: Fold) -> Floats:
    """Ridge on words and pairs of words of the prompt; nothing tuned."""
    return _ridge(fold, [fold.pairs.prompt])


def tfidf_draft(fold: Fold) -> Floats:
    """The same on the prompt and on the draft, each with its own words."""
    return _ridge(fold, [fold.pairs.prompt, [text or "" for text in fold.pairs.cheap.response]])


def _ridge(fold: Fold, texts: Sequence[Sequence[str]]) -> Floats:
    learnt, asked = zip(*(_words(text, fold, 1) for text in texts), strict=True)
    model = Ridge(solver="sparse_cg").fit(hstack(learnt).tocsr(), fold.gain)
    found: Floats = model.predict(hstack(asked).tocsr())
    return found


def _words(text: Sequence[str], fold: Fold, least: int) -> tuple[object, object]:
    words = TfidfVectorizer(ngram_range=(1, 2), min_df=least, sublinear_tf=True)
    return words.fit_transform([text[row] for row in fold.train]), words.transform([text[row] for row in fold.test])


def knn(fold: Fold) -> Floats:
    """Mean gain of the nearest labelled prompts by the packaged encoder (arXiv 2505.12601)."""
    meaning = fold.measured.router.meaning
    near = min(NEIGHBOURS, len(fold.train))
    likeness = meaning[fold.test] @ meaning[fold.train].T
    found: Floats = fold.gain[np.argpartition(-likeness, near - 1, axis=1)[:, :near]].mean(axis=1)
    return found


def clusters(fold: Fold) -> Floats:
    """Mean gain of the nearest clusters, by their likeness (Avengers, arXiv 2505.19797)."""
    meaning, gain = fold.measured.router.meaning, fold.gain
    count = min(CLUSTERS, max(len(fold.train) // 10, 1))
    found = KMeans(count, n_init=2, random_state=0).fit(meaning[fold.train])
    sizes = np.bincount(found.labels_, minlength=count)
    means = (np.bincount(found.labels_, gain, count) + SHRUNK * gain.mean()) / (sizes + SHRUNK)
    likeness = meaning[fold.test] @ found.cluster_centers_.T
    near = np.argpartition(-likeness, min(NEAREST, count) - 1, axis=1)[:, :NEAREST]
    weight = np.maximum(np.take_along_axis(likeness, near, axis=1), 1e-6)
    mixed: Floats = (means[near] * weight).sum(axis=1) / weight.sum(axis=1)
    return mixed


def task_means(fold: Fold) -> Floats:
    """Mean gain of the task that the row is labelled with, shrunk: what the label alone is worth."""
    tasks, gain = np.array(fold.pairs.category), fold.gain
    mean = {
        task: (gain[known := tasks[fold.train] == task].sum() + SHRUNK * gain.mean()) / (known.sum() + SHRUNK)
        for task in set(fold.pairs.category)
    }
    return np.array([mean[task] for task in tasks[fold.test]])


def difficulty(fold: Fold) -> Floats:
    """1 - P(the cheap model is good), by our own router: what its second head adds is the rest."""
    return 1.0 - predict(fold.learned.router, fold.measured.router, fold.test)[:, 0]


def frugal(fold: Fold) -> Floats:
    """A learned scorer: P(the draft is right) from words of prompt and draft alone (FrugalGPT, arXiv 2305.05176)."""
    responses = fold.pairs.cheap.response
    text = [f"{prompt}\n{response or ''}" for prompt, response in zip(fold.pairs.prompt, responses, strict=True)]
    good = fold.pairs.cheap.score[fold.train] > 0.5
    if good.all() or not good.any():
        return np.zeros(len(fold.test))
    learnt, asked = _words(text, fold, 2)
    found: NDArray[np.float64] = LogisticRegression(C=2.0, max_iter=300).fit(learnt, good).predict_proba(asked)[:, 1]
    return 1.0 - found


def free_checks(fold: Fold) -> Floats:
    """Whether the free checks pass, nothing learnt."""
    return 1.0 - fold.measured.passed[fold.test]


def confidence(fold: Fold) -> Floats:
    """The share of opinions that agree with the draft, nothing learnt."""
    return 1.0 - _agreeing(fold)[fold.test].mean(axis=1)


def strongest(fold: Fold) -> Floats:
    """Whether the opinion that is right most often agrees: as near as these records come to a judge."""
    best = int(np.argmax([side.score[fold.train].mean() for side in fold.pairs.opinions]))
    return 1.0 - _agreeing(fold)[fold.test, best]


def _agreeing(fold: Fold) -> Floats:
    consulted = fold.measured.consulted
    assert consulted is not None
    places = [consulted.names.index(f"agrees_{side.model}") for side in fold.pairs.opinions]
    return np.nan_to_num(consulted.columns[:, places]).astype(float)


STRONGEST = "one stronger opinion, always asked"
BEFORE: Mapping[str, Baseline] = {  # known before any call
    "random": at_random,
    "prompt length": prompt_length,
    "TF-IDF ridge, prompt": tfidf_prompt,
    "kNN (100)": knn,
    "cluster means (64)": clusters,
    "task means (label known)": task_means,
    "difficulty only": difficulty,
}
AFTER: Mapping[str, Baseline] = {  # the draft has been paid
    "TF-IDF ridge, prompt + draft": tfidf_draft,
    "FrugalGPT-style scorer": frugal,
    "free checks only": free_checks,
}
HEARD: Mapping[str, Baseline] = {  # and the opinions
    "confidence only (agreement)": confidence,
    STRONGEST: strongest,
}
