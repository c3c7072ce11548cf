"""Opens what `tierwise train --screen` has written. Knows nothing of what is in it."""

from __future__ import annotations

from pathlib import Path

from tierwise.scorers.sealed import Kind, unpack
from tierwise.screens.own import FILE, VERSION, Learnt, learnt_of


def read(path: Path) -> Learnt:
    """Raises ConfigError where there is no such file, or it is damaged, too new, or something else."""
    manifest, arrays = unpack(path, Kind(FILE, VERSION))
    return learnt_of(manifest, arrays, path)
