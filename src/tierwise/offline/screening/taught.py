"""What `tierwise train --screen` has learnt, as a sealed file. Knows nothing of what is in it."""

from __future__ import annotations

from pathlib import Path

from tierwise.scorers.sealed import Kind, digest, pack, unpack
from tierwise.screens.own import FILE, VERSION, Learnt, Manifest, arrays_of, learnt_of


def read(path: Path) -> Learnt:
    """Raises ConfigError where there is no such file, or it is damaged, too new, or something else."""
    manifest, arrays = unpack(path, Kind(FILE, VERSION))
    return learnt_of(manifest, arrays, path)


def dump(learnt: Learnt) -> bytes:
    arrays = arrays_of(learnt)
    return pack(Manifest(VERSION, digest(arrays), learnt.screen, learnt.heads), arrays)
