"""Configs with all that they need to run on this machine alone, to be copied into a folder and tried.

Knows which there are, and nothing of what is in them.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path, PurePath

from tierwise.errors import ConfigError

_FOLDER = "data/examples"


def names() -> tuple[str, ...]:
    return tuple(sorted(one.name for one in _root().iterdir() if one.is_dir()))


def copy(name: str, folder: Path, *, force: bool = False) -> tuple[Path, ...]:
    """The files that were written. Raises ConfigError for an example that there is not, or a file that is there."""
    if name not in names():
        raise ConfigError(f"no example is called {name}; there are {', '.join(names())}")
    files = {folder / place: content for place, content in _files(_root() / name)}
    there = [path for path in files if path.exists()]
    if there and not force:
        raise ConfigError(f"{there[0]}: is there already; --force overwrites it")
    try:
        for path, content in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    except OSError as error:
        raise ConfigError(f"{error.filename}: can't be written: {error.strerror}") from error
    return tuple(files)


def _root() -> Traversable:
    return resources.files("tierwise").joinpath(_FOLDER)


def _files(folder: Traversable, place: PurePath | None = None) -> Iterator[tuple[PurePath, bytes]]:
    place = PurePath() if place is None else place
    for one in sorted(folder.iterdir(), key=lambda one: one.name):
        if one.is_dir():
            yield from _files(one, place / one.name)
        else:
            yield place / one.name, one.read_bytes()
