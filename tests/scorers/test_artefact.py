"""The file that training leaves behind: what is written is read, and nothing else is."""

from __future__ import annotations

import hashlib
import io
import random
from dataclasses import fields
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from tests.scorers.stacks import data, fitted
from tierwise.errors import ConfigError
from tierwise.scorers.artefact import KIND, Artefact, TierModel, Typical, dump, read
from tierwise.scorers.grams import BUCKETS
from tierwise.scorers.stack import Stack
from tierwise.sealed import LARGEST
from tierwise.types import Thresholds

DATA, LABELS = data(300, 1, words=0.5)
ROUTER = fitted(DATA, dict.fromkeys(("cheap", "premium", "accept", "consult"), LABELS))
VERIFIER = fitted(DATA, {"benefit": LABELS, "harm": 1 - LABELS})
ARTEFACT = Artefact(
    ("small", "big", "biggest"),
    ("other",),
    (TierModel(ROUTER, VERIFIER, VERIFIER), TierModel(ROUTER, VERIFIER, None)),
    (Typical(100.0, 1.5, 0.7), Typical(120.5, 2.0, 0.8), Typical(300.0, 9.0, 0.9)),
    Thresholds(0.6, 0.2, 0.9),
    {"rows": 300, "outcomes": "sha256:00", "certificate": {"alpha": 0.03}},
)
PACKED = dump(ARTEFACT)


def arrays() -> dict[str, Any]:
    with np.load(io.BytesIO(PACKED), allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def packed(**changed: Any) -> bytes:
    """The artefact with some of its arrays changed, or without them where they are None."""
    kept = {name: array for name, array in (arrays() | changed).items() if array is not None}
    file = io.BytesIO()
    np.savez_compressed(file, **kept)
    return file.getvalue()


def manifest(**changed: Any) -> np.ndarray:
    told = msgspec.json.decode(arrays()["manifest"].tobytes()) | changed
    return np.frombuffer(msgspec.json.encode(told), np.uint8)


def problem(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        read(path)
    return caught.value.message.removeprefix(f"{path}: ")


def same(one: Stack, other: Stack) -> bool:
    for field in fields(Stack):
        mine, theirs = getattr(one, field.name), getattr(other, field.name)
        if field.name == "bases":
            assert [(base.reads, base.bias) for base in mine] == [(base.reads, base.bias) for base in theirs]
            assert all(np.array_equal(a.prompt, b.prompt) for a, b in zip(mine, theirs, strict=True))
            assert all(np.array_equal(a.draft, b.draft) for a, b in zip(mine, theirs, strict=True))
        elif isinstance(mine, np.ndarray):
            assert np.array_equal(mine, theirs), field.name
            assert mine.dtype == theirs.dtype, field.name
        else:
            assert mine == theirs, field.name
    return True


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """Every array to the bit, every name, number and note."""
    path = tmp_path / "a.npz"
    path.write_bytes(PACKED)
    found = read(path)
    assert found.tiers == ARTEFACT.tiers
    assert found.opinions == ARTEFACT.opinions
    assert found.typical == ARTEFACT.typical
    assert found.thresholds == ARTEFACT.thresholds
    assert found.notes == ARTEFACT.notes
    for model, told in zip(found.models, ARTEFACT.models, strict=True):
        assert same(model.router, told.router)
        assert same(model.alone, told.alone)
    assert found.models[0].consulted is not None
    assert same(found.models[0].consulted, VERIFIER)
    assert found.models[1].consulted is None
    assert dump(found) == PACKED


def test_a_route_that_could_not_be_certified(tmp_path: Path) -> None:
    """It has no thresholds, and no opinions where none were asked."""
    bare = Artefact(("a", "b"), (), (TierModel(ROUTER, VERIFIER, None),), ARTEFACT.typical[:2], None)
    path = tmp_path / "a.npz"
    path.write_bytes(dump(bare))
    found = read(path)
    assert (found.thresholds, found.opinions, found.notes) == (None, (), {})


def test_clusters(tmp_path: Path) -> None:
    """Are kept to the bit; an artefact of a version that knew none has none."""
    path = tmp_path / "a.npz"
    centroids = np.eye(3, 256, dtype=np.float16)
    path.write_bytes(dump(msgspec.structs.replace(ARTEFACT, centroids=centroids)))
    found = read(path).centroids
    assert found.dtype == np.float16
    assert np.array_equal(found, centroids)
    path.write_bytes(resealed(centroids=None))
    assert read(path).centroids.shape == (0, 256)


@pytest.mark.parametrize("wrong", [np.zeros((3, 255), np.float16), np.zeros(256, np.float16), np.zeros((3, 256))])
def test_clusters_of_another_kind(tmp_path: Path, wrong: np.ndarray) -> None:
    """Another encoder's, or none."""
    assert problem(tmp_path / "a.npz", resealed(centroids=wrong)) == "incomplete; train it anew"


def test_clusters_are_sealed(tmp_path: Path) -> None:
    """Nobody moves one unseen."""
    moved = packed(centroids=np.ones((1, 256), np.float16))
    assert problem(tmp_path / "a.npz", moved).startswith("damaged")


def resealed(**changed: Any) -> bytes:
    """The artefact with other arrays, and the SHA-256 that they have."""
    kept = {name: array for name, array in (arrays() | changed).items() if array is not None and name != "manifest"}
    digest = hashlib.sha256()
    for name in sorted(kept):
        digest.update(f"{name} {kept[name].dtype.str} {kept[name].shape}".encode() + kept[name].tobytes())
    return packed(**changed, manifest=manifest(sha256=digest.hexdigest()))


def test_the_file_is_small() -> None:
    """Empty buckets take no room: words that nobody wrote have no weight."""
    assert len(PACKED) < 400_000 < 5 * 4 * BUCKETS


@pytest.mark.parametrize("place", [0.1, 0.4, 0.7])
def test_a_damaged_byte_is_seen(tmp_path: Path, place: float) -> None:
    """Whatever it hits in an array."""
    content = bytearray(PACKED)
    content[int(place * len(content))] ^= 0x55
    assert problem(tmp_path / "a.npz", bytes(content))


def test_no_damage_is_anything_but_a_config_error(tmp_path: Path) -> None:
    """Bytes changed, lost or cut off anywhere, headers and directory above all; some change nothing."""
    chance, path = random.Random(3), tmp_path / "a.npz"  # noqa: S311 - damage, no secret
    ends = [*range(300), *range(len(PACKED) - 6_000, len(PACKED))]
    for turn in range(100):
        content = bytearray(PACKED)
        if turn % 3:
            content[chance.choice(ends)] = chance.randrange(256)
        else:
            start = chance.randrange(len(content))
            content[start : start + chance.randrange(1, 40)] = chance.randbytes(chance.randrange(40))
        path.write_bytes(content)
        try:
            assert read(path).tiers == ARTEFACT.tiers
        except ConfigError:
            continue


def test_arrays_that_are_not_those_of_the_manifest(tmp_path: Path) -> None:
    """Its SHA-256 is over all of them: names, types, shapes and content."""
    path = tmp_path / "a.npz"
    bias = arrays()["0.router.bias"]
    for changed in (bias + 1, bias.astype(float), bias[None], None):
        content = packed(**{"0.router.bias": changed})
        assert problem(path, content).startswith("damaged: its SHA-256 is not the manifest's; train it anew")
    assert problem(path, packed(more=bias)).startswith("damaged")


@pytest.mark.parametrize("version", [0, KIND.version + 1])
def test_another_format(tmp_path: Path, version: int) -> None:
    """An older or newer one is named, with what to do."""
    told = problem(tmp_path / "a.npz", packed(manifest=manifest(version=version)))
    assert told == f"format {version}, and this version reads {KIND.version}; train it anew"


@pytest.mark.parametrize(
    "changed",
    [{"stacks": {}}, {"tiers": ["a", "b", "c", "d"]}, {"stacks": {"0.router": {}}}],
    ids=["no stacks", "a tier too many", "a stack without its lists"],
)
def test_an_incomplete_artefact(tmp_path: Path, changed: dict[str, Any]) -> None:
    """Whole, but not what a route needs."""
    assert problem(tmp_path / "a.npz", packed(manifest=manifest(**changed))) == "incomplete; train it anew"


def archive(**held: Any) -> bytes:
    file = io.BytesIO()
    np.savez(file, **held)
    return file.getvalue()


def single() -> bytes:
    file = io.BytesIO()
    np.save(file, np.ones(3))
    return file.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        b"PK\x03\x04",
        single(),
        archive(a=np.ones(2)),
        archive(manifest=np.frombuffer(b"{}", np.uint8)),
        archive(manifest=np.frombuffer(b"\xff", np.uint8)),
    ],
    ids=["empty", "text", "a zip that ends", "one array", "no manifest", "an empty manifest", "no text"],
)
def test_files_that_are_no_artefacts(tmp_path: Path, content: bytes) -> None:
    """Of whatever kind."""
    assert problem(tmp_path / "a.npz", content) == "not an artefact of `tierwise train`"


@pytest.mark.parametrize("name", ["manifest", "0.router.bias"])
def test_pickled_arrays_are_refused(tmp_path: Path, name: str) -> None:
    """An array of objects would run what somebody put into it; it is not opened."""
    marker = tmp_path / "ran"
    content = packed(**{name: np.array([_Runs(marker)], object)})
    assert problem(tmp_path / "a.npz", content) == "not an artefact of `tierwise train`"
    assert not marker.exists()


class _Runs:
    """Leaves a file where it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self._marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self._marker,)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """Nor can a folder be read."""
    with pytest.raises(ConfigError, match="can't be read: No such file"):
        read(tmp_path / "no.npz")
    with pytest.raises(ConfigError, match="can't be read: Is a directory"):
        read(tmp_path)


def test_a_huge_file_is_refused(tmp_path: Path) -> None:
    """Before any of it is read; and so is a small one that unpacks to more."""
    path = tmp_path / "a.npz"
    with path.open("wb") as file:
        file.truncate(LARGEST + 1)
    with pytest.raises(ConfigError, match="larger than any artefact"):
        read(path)
    path.unlink()


def test_a_bomb_is_refused(tmp_path: Path) -> None:
    """A directory that tells of more than may be unpacked, whatever it packs to."""
    content = bytearray(PACKED)
    entry = content.rindex(b"PK\x01\x02")
    content[entry + 24 : entry + 28] = (LARGEST + 1).to_bytes(4, "little")  # the member's size, unpacked
    assert problem(tmp_path / "a.npz", bytes(content)) == "unpacks to more than any artefact of `tierwise train`"
