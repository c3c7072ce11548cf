"""Arrays and a manifest in one file: no code in it, and a SHA-256 over the arrays that is checked on reading.

The file is a numpy archive; `manifest` in it is JSON with the format's `version`, the `sha256`, and whatever else its
owner says there. Knows nothing of what the arrays do.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from tokenize import TokenError
from typing import Any, NamedTuple, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from tierwise.errors import ConfigError

T = TypeVar("T")
LARGEST = 512 << 20  # bytes of a file

Arrays = dict[str, NDArray[Any]]
# What numpy and zipfile raise for files that are no archives of theirs, or were; RuntimeError is for encrypted ones.
_NONE = (ValueError, TypeError, KeyError, EOFError, RuntimeError, TokenError, zipfile.BadZipFile, zlib.error)


class Kind(NamedTuple):
    """What a file is called in errors, and the format that this version reads."""

    name: str
    version: int


class _Seal(msgspec.Struct, frozen=True):
    version: int
    sha256: str


def pack(manifest: msgspec.Struct, arrays: Arrays) -> bytes:
    """The file's bytes. `manifest` has a `version`, and as `sha256` what `digest` gives of the arrays."""
    packed = io.BytesIO()
    content = np.frombuffer(msgspec.json.encode(manifest), np.uint8)
    np.savez_compressed(packed, allow_pickle=False, manifest=content, **arrays)
    return packed.getvalue()


def unpack(path: Path, kind: Kind) -> tuple[bytes, Arrays]:
    """(the manifest's JSON, the arrays). Raises ConfigError: no such file, damaged, too new, or something else."""
    try:
        if path.stat().st_size > LARGEST:
            raise ConfigError(f"{path}: larger than any {kind.name}")
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:  # numpy would leave it open
            if sum(member.file_size for member in archive.zip.infolist()) > LARGEST:
                raise ConfigError(f"{path}: unpacks to more than any {kind.name}")
            arrays = {name: archive[name] for name in archive.files}
        manifest = arrays.pop("manifest").tobytes()
        seal = msgspec.json.decode(manifest, type=_Seal)
    except OSError as error:
        raise ConfigError(f"{path}: can't be read: {error.strerror or error}") from error
    except _NONE as error:
        raise ConfigError(f"{path}: not an {kind.name}") from error
    if seal.version != kind.version:
        raise ConfigError(f"{path}: format {seal.version}, and this version reads {kind.version}; train it anew")
    if digest(arrays) != seal.sha256:
        raise ConfigError(f"{path}: damaged: its SHA-256 is not the manifest's; train it anew, or restore it")
    return manifest, arrays


def load(path: Path, kind: Kind, made: Callable[[bytes, Arrays], T], whole: Callable[[T], bool]) -> T:
    """What `made` makes of the manifest and the arrays. Raises ConfigError as `unpack` does, or if not `whole`."""
    manifest, arrays = unpack(path, kind)
    try:
        found = made(manifest, arrays)
        complete = whole(found)
    except (msgspec.MsgspecError, TypeError, AttributeError) as error:
        raise ConfigError(f"{path}: not an {kind.name}") from error
    if not complete:
        raise ConfigError(f"{path}: incomplete; train it anew")
    return found


def digest(arrays: Arrays) -> str:
    found = hashlib.sha256()
    for name in sorted(arrays):
        array = arrays[name]
        found.update(f"{name} {array.dtype.str} {array.shape}".encode())
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()
