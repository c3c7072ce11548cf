"""What training leaves behind, in one file: arrays and a manifest, no code and no text of anybody's.

The file is a numpy archive; `manifest` in it is JSON with the format's version, the names of tiers and opinions, the
thresholds, and a SHA-256 over everything else, which is checked on reading. Knows nothing of what the arrays do.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from tierwise import sealed
from tierwise.errors import ConfigError
from tierwise.scorers.encoder import DIMENSIONS
from tierwise.scorers.grams import BUCKETS
from tierwise.scorers.stack import Base, Stack
from tierwise.sealed import Arrays
from tierwise.types import Thresholds

KIND = sealed.Kind("artefact of `tierwise train`", 1)

_SPARSE = ("idf_prompt", "idf_draft")
_LISTED = ("names", "targets", "tasks", "crossed")


class TierModel(msgspec.Struct, frozen=True):
    """What was learnt for one tier below premium; `consulted` None where there were no opinions."""

    router: Stack  # targets: cheap, premium, accept, consult
    alone: Stack  # targets: benefit, harm; and so for consulted
    consulted: Stack | None


class Typical(msgspec.Struct, frozen=True):
    """A tier's means over the outcomes: tokens of an answer, seconds, and how often it was good."""

    output_tokens: float
    seconds: float
    good: float


class Order(msgspec.Struct, frozen=True):
    """What fresh rows are to test for a tier: thresholds of acceptance, strict to loose, within an uncertain band."""

    band: Thresholds
    steps: tuple[float, ...]


class Artefact(msgspec.Struct, frozen=True):
    """`seen`, uint64, are the `row_key`s of all queries that shaped it or tested it: no others may certify it.

    `centroids`, float16 (clusters, 256) of unit length: what prompts were about. None from few rows, or old versions.
    """

    tiers: tuple[str, ...]
    opinions: tuple[str, ...]
    models: tuple[TierModel, ...]  # one for each tier but the last
    typical: tuple[Typical, ...]  # one for each tier
    thresholds: Thresholds | None
    notes: Mapping[str, Any] = {}  # how it was made: rows, outcomes' hash, certificate
    orders: tuple[Order, ...] = ()  # one for each tier but the last
    seen: NDArray[np.uint64] = np.zeros(0, np.uint64)
    centroids: NDArray[np.float16] = np.zeros((0, DIMENSIONS), np.float16)


class _Manifest(msgspec.Struct, frozen=True):
    version: int
    tiers: tuple[str, ...]
    opinions: tuple[str, ...]
    typical: tuple[Typical, ...]
    thresholds: Thresholds | None
    notes: dict[str, Any]
    stacks: dict[str, dict[str, Any]]  # name of a stack -> its lists, and what its bases read
    sha256: str
    orders: tuple[Order, ...] = ()


def row_key(query_id: str) -> int:
    """64 bits by which a query is known again, without its id being kept."""
    return int.from_bytes(hashlib.sha256(query_id.encode()).digest()[:8])


def sha256_of(path: Path) -> str:
    """Of a whole file. Raises ConfigError where it can't be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ConfigError(f"{path}: can't be read: {error.strerror}") from error


def dump(artefact: Artefact) -> bytes:
    arrays: Arrays = {"seen": artefact.seen, "centroids": artefact.centroids}
    stacks: dict[str, dict[str, Any]] = {}
    for place, model in enumerate(artefact.models):
        for name in ("router", "alone", "consulted"):
            stack: Stack | None = getattr(model, name)
            if stack is not None:
                stacks[f"{place}.{name}"] = _put(stack, f"{place}.{name}", arrays)
    manifest = _Manifest(
        KIND.version, artefact.tiers, artefact.opinions, artefact.typical, artefact.thresholds, dict(artefact.notes),
        stacks, sealed.digest(arrays), artefact.orders,
    )  # fmt: skip
    return sealed.pack(manifest, arrays)


def read(path: Path) -> Artefact:
    """Raises ConfigError where there is no such file, or it is damaged, too new, or something else."""
    packed, arrays = sealed.unpack(path, KIND)
    try:
        manifest = msgspec.json.decode(packed, type=_Manifest)
    except msgspec.MsgspecError as error:
        raise ConfigError(f"{path}: not an {KIND.name}") from error
    try:
        return _artefact(manifest, arrays)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise ConfigError(f"{path}: incomplete; train it anew") from error


def _artefact(manifest: _Manifest, arrays: Arrays) -> Artefact:
    def taken(name: str) -> Stack:
        return _take(manifest.stacks[name], name, arrays)

    models = tuple(
        TierModel(
            taken(f"{place}.router"),
            taken(f"{place}.alone"),
            taken(f"{place}.consulted") if f"{place}.consulted" in manifest.stacks else None,
        )
        for place in range(len(manifest.tiers) - 1)
    )
    return Artefact(
        manifest.tiers, manifest.opinions, models, manifest.typical, manifest.thresholds, manifest.notes,
        manifest.orders, arrays.get("seen", np.zeros(0, np.uint64)), _centroids(arrays),
    )  # fmt: skip


def _centroids(arrays: Arrays) -> NDArray[np.float16]:
    found = arrays.get("centroids", np.zeros((0, DIMENSIONS), np.float16))
    if found.ndim != 2 or found.shape[1] != DIMENSIONS or found.dtype != np.float16:
        raise ValueError("not centres of prompts")
    return found


def _put(stack: Stack, prefix: str, arrays: Arrays) -> dict[str, Any]:
    for field in fields(stack):
        value = getattr(stack, field.name)
        if field.name in _SPARSE:
            _put_sparse(value, f"{prefix}.{field.name}", arrays)
        elif isinstance(value, np.ndarray):
            arrays[f"{prefix}.{field.name}"] = value
    for place, base in enumerate(stack.bases):
        _put_sparse(base.prompt, f"{prefix}.base{place}.prompt", arrays)
        _put_sparse(base.draft, f"{prefix}.base{place}.draft", arrays)
    lists = {name: list(getattr(stack, name)) for name in _LISTED}
    return lists | {"bases": [[base.reads, base.bias] for base in stack.bases], "meaning": stack.meaning}


def _take(lists: dict[str, Any], prefix: str, arrays: Arrays) -> Stack:
    values: dict[str, Any] = {name: tuple(lists[name]) for name in _LISTED} | {"meaning": float(lists["meaning"])}
    values["bases"] = tuple(
        Base(
            reads,
            _take_sparse(f"{prefix}.base{place}.prompt", arrays),
            _take_sparse(f"{prefix}.base{place}.draft", arrays),
            bias,
        )
        for place, (reads, bias) in enumerate(lists["bases"])
    )
    for field in fields(Stack):
        if field.name in _SPARSE:
            values[field.name] = _take_sparse(f"{prefix}.{field.name}", arrays)
        elif field.name not in values:
            values[field.name] = arrays[f"{prefix}.{field.name}"]
    return Stack(**values)


def _put_sparse(values: NDArray[np.float32], name: str, arrays: Arrays) -> None:
    """Most buckets are empty."""
    used = np.flatnonzero(values)
    arrays[f"{name}.at"] = used.astype(np.uint32)
    arrays[f"{name}.is"] = values[used]
    arrays[f"{name}.of"] = np.array(len(values), np.uint32)


def _take_sparse(name: str, arrays: Arrays) -> NDArray[np.float32]:
    size = int(arrays[f"{name}.of"])
    if size not in (0, BUCKETS):
        raise ValueError("not the number of buckets")
    values = np.zeros(size, np.float32)
    values[arrays[f"{name}.at"]] = arrays[f"{name}.is"]
    return values
