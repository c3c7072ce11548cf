"""The cluster of a request: by its user's words, and the same for one as for many."""

from __future__ import annotations

import numpy as np

from tierwise.offline.recorded import request_of
from tierwise.scorers.clusters import cluster_of, clusters_of, encoded
from tierwise.scorers.encoder import load_encoder
from tierwise.stats.clusters import kmeans
from tierwise.types import Message, Request

TEXTS = (
    "Where is my parcel?", "The parcel has not come.", "When will my delivery arrive?",
    "What is the integral of x squared?", "Solve x + 3 = 7 for x.", "Integrate the cosine of x.",
)  # fmt: skip
CENTROIDS = kmeans(load_encoder().encode_many(TEXTS), 2, np.random.default_rng(0)).astype(np.float16)


def asked(text: str, *before: Message) -> Request:
    return Request(id="q", asked="r", messages=(*before, Message("user", text)))


def test_alike_goes_together() -> None:
    """Parcels here, sums there; new ones too."""
    found = [cluster_of(asked(text), CENTROIDS) for text in TEXTS]
    assert found[:3] == [found[0]] * 3
    assert found[3:] == [found[3]] * 3
    assert found[0] != found[3]
    assert cluster_of(asked("My parcel was damaged in delivery."), CENTROIDS) == found[0]


def test_one_and_many() -> None:
    """Live and offline agree, for a request as a client sent it and for the row that it was recorded as."""
    many = clusters_of(np.stack([encoded(asked(text)) for text in TEXTS]), CENTROIDS)
    assert many.tolist() == [cluster_of(asked(text), CENTROIDS) for text in TEXTS]
    assert many.tolist() == [cluster_of(request_of("q", text, "shop", ""), CENTROIDS) for text in TEXTS]


def test_only_what_users_say() -> None:
    """Not the system's words, which are the same for all."""
    system = Message("system", "Integrate the cosine of x.")
    assert cluster_of(asked(TEXTS[0], system), CENTROIDS) == cluster_of(asked(TEXTS[0]), CENTROIDS)


def test_without_clusters() -> None:
    """An artefact that knows none; and a prompt without a known word is somewhere all the same."""
    assert cluster_of(asked("x"), np.zeros((0, 256), np.float16)) == -1
    assert clusters_of(np.zeros((3, 256), np.float32), np.zeros((0, 256))).tolist() == [-1, -1, -1]
    assert cluster_of(asked(""), CENTROIDS) == 0
    assert clusters_of(np.zeros((0, 256), np.float32), CENTROIDS).shape == (0,)
