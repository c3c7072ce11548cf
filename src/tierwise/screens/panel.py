"""The shipped screens by their names, sharing one reading of each text. Knows only how they are put together."""

from __future__ import annotations

from collections.abc import Sequence

from tierwise.errors import ConfigError
from tierwise.screens.injection import Injection
from tierwise.screens.moderation import Moderation
from tierwise.screens.privacy import Privacy
from tierwise.screens.reader import Encode, Reader
from tierwise.screens.recogniser import Recogniser
from tierwise.screens.risk import Risk, shipped
from tierwise.screens.screen import Screen
from tierwise.screens.weights import load_weights

NAMES = ("moderation", "privacy", "injection", "risk")


def panel(names: Sequence[str], encode: Encode) -> dict[str, Screen]:
    """Those named, in the order of NAMES. `encode` is the encoder that the weights were fitted with.

    Raises ConfigError for a name that there is not, and where the weights can't be read.
    """
    strange = [name for name in names if name not in NAMES]
    if strange or not names:
        raise ConfigError(f"no screen is called {', '.join(strange) or 'nothing'}; there are {', '.join(NAMES)}")
    weights = load_weights()
    reader = Reader(weights, encode)
    every: dict[str, Screen] = {
        "moderation": Moderation(reader),
        "privacy": Privacy(Recogniser(weights.recogniser)),
        "injection": Injection(reader),
        "risk": Risk(reader, shipped()),
    }
    return {name: every[name] for name in NAMES if name in names}
