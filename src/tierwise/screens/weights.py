"""The trained numbers of all screens: one file of arrays, checked by its SHA-256. No code in it and no text.

`benchmarks/screen_weights.py` makes the file; docs/models.md says from which data and how good each head is.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
import zlib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from tierwise.errors import ConfigError
from tierwise.screens.grams import BUCKETS

SHA256 = "77790cc8fb6b14b98691ec249c68d639bc06958349a08412a52a7657828b4535"
_FILE = "data/screens/screens-3.npz"
_NUMBERS = ("scale", "idf", "dense", "hidden", "shift_in", "out", "bias", "slope", "shift")  # as Weights has them
_REMEDY = "install tierwise anew"

Floats = NDArray[np.float32]


class Weights(NamedTuple):
    """`heads` name the columns. A text's log-odds of a head are `bias` + its weighted buckets' sum + vector @ `dense`
    + max(0, vector @ `hidden` + `shift_in`) @ `out`, then stretched to probabilities by `slope` and `shift`.
    `thresholds` are probabilities."""

    heads: tuple[str, ...]
    table: NDArray[np.int8]  # (BUCKETS, heads)
    scale: Floats  # (heads,), of the table
    idf: Floats  # (BUCKETS,)
    dense: Floats  # (dimensions, heads)
    hidden: Floats  # (dimensions, units)
    shift_in: Floats  # (units,)
    out: Floats  # (units, heads)
    bias: Floats
    slope: Floats
    shift: Floats
    thresholds: Mapping[str, float]
    recogniser: Mapping[str, NDArray[Any]]  # the arrays of `recogniser.Recogniser`


@cache
def load_weights() -> Weights:
    """The packaged weights, read once. Raises ConfigError where the file is missing or not what was published."""
    try:
        packed = resources.files("tierwise").joinpath(_FILE).read_bytes()
    except OSError as error:
        raise ConfigError(f"the screens' weights {_FILE} can't be read ({error.strerror}); {_REMEDY}") from error
    return read(packed, SHA256)


def read(packed: bytes, sha256: str) -> Weights:
    """Weights from the bytes of their file. Raises ConfigError unless they are whole and have this SHA-256."""
    if hashlib.sha256(packed).hexdigest() != sha256:
        raise ConfigError(f"the screens' weights {_FILE} are damaged: their SHA-256 is not {sha256}; {_REMEDY}")
    try:
        with np.load(io.BytesIO(packed), allow_pickle=False) as data:
            heads = tuple(msgspec.json.decode(data["heads"].tobytes(), type=list[str]))
            scale, idf, dense, hidden, shift_in, out, bias, slope, shift = (
                data[name].astype(np.float32) for name in _NUMBERS
            )
            recogniser = {name[5:]: data[name] for name in data.files if name.startswith("name_")}
            limits = dict(zip(heads, map(float, data["thresholds"]), strict=True))
            table = data["table"]
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile, zlib.error, msgspec.MsgspecError) as error:
        raise ConfigError(f"the screens' weights {_FILE} are none: {type(error).__name__}") from error
    if table.shape != (BUCKETS, len(heads)):
        raise ConfigError(f"the screens' weights {_FILE} are none: the table is {table.shape}")
    return Weights(heads, table, scale, idf, dense, hidden, shift_in, out, bias, slope, shift, limits, recogniser)
