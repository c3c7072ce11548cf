"""What was shown of each shipped head: how much of its class it finds, and how much else it flags, at its threshold.

Figures are of held-out rows (each was scored by a model that had not seen it) and stand in a file beside the weights,
which `benchmarks/screen_card.py` writes. They are of one file of weights, by its SHA-256, and of no other.
"""

from __future__ import annotations

from functools import cache
from importlib import resources

import msgspec

from tierwise.errors import ConfigError
from tierwise.screens.own import Shown, Trainable
from tierwise.screens.weights import SHA256

NAME = "cards.json"
VERSION = 1
_FILE = f"data/screens/{NAME}"
_REMEDY = "install tierwise anew"


class Source(msgspec.Struct, frozen=True):
    """A set of rows that a head learnt from."""

    name: str
    licence: str


class Card(msgspec.Struct, frozen=True):
    """`name` is the class as policies and categories call it. `measured`: the sets whose rows recall and false blocks
    were counted on; `learnt`: all that the head learnt from."""

    screen: Trainable
    name: str
    threshold: float
    recall: Shown
    false_blocks: Shown
    measured: tuple[str, ...]
    learnt: tuple[Source, ...]


class Cards(msgspec.Struct, frozen=True):
    """`weights`: the SHA-256 of the file that they are of. `confidence`: each bound's own, not that of all together."""

    version: int
    weights: str
    confidence: float
    heads: tuple[Card, ...]


@cache
def load_cards() -> Cards:
    """Of the packaged weights, read once. Raises ConfigError where the file is missing, or is of other weights."""
    try:
        content = resources.files("tierwise").joinpath(_FILE).read_bytes()
    except OSError as error:
        raise ConfigError(f"the screens' figures {_FILE} can't be read ({error.strerror}); {_REMEDY}") from error
    return read(content, SHA256)


def read(content: bytes, weights: str) -> Cards:
    """Raises ConfigError unless they are figures of the weights with this SHA-256."""
    try:
        cards = msgspec.json.decode(content, type=Cards)
    except msgspec.MsgspecError as error:
        raise ConfigError(f"the screens' figures {_FILE} are none: {error}") from error
    if (cards.version, cards.weights) != (VERSION, weights):
        raise ConfigError(f"the screens' figures {_FILE} are not of these weights, so they say nothing; {_REMEDY}")
    return cards
