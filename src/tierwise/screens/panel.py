"""The shipped screens by their names, sharing one reading of each text. Knows only how they are put together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from tierwise.errors import ConfigError
from tierwise.screens.injection import HEAD, Injection
from tierwise.screens.moderation import Moderation, limits_of
from tierwise.screens.own import Beside, Own
from tierwise.screens.privacy import Privacy
from tierwise.screens.reader import Encoder, Reader
from tierwise.screens.recogniser import Recogniser
from tierwise.screens.risk import Policy, Risk, shipped
from tierwise.screens.screen import Screen
from tierwise.screens.weights import load_weights

NAMES = ("moderation", "privacy", "injection", "risk")


class Panel(NamedTuple):
    """`limits`: from which score on a class, such as "moderation:hate", is flagged; one without never is.

    `ahead` reads texts that all screens will be asked about next, in one go; of short ones in half the time.
    """

    screens: dict[str, Screen]
    limits: dict[str, float]
    ahead: Callable[[Sequence[str]], object]


def panel(names: Sequence[str], encoder: Encoder) -> dict[str, Screen]:
    """Those named, in the order of NAMES. `encoder` is the one that the weights were fitted with.

    Raises ConfigError for a name that there is not, and where the weights can't be read.
    """
    return assembled(names, encoder).screens


def assembled(
    names: Sequence[str], encoder: Encoder, policies: Sequence[Policy] | None = None, own: Own | None = None
) -> Panel:
    """The same with other risk policies than the shipped ones, and with heads that an operator has taught."""
    strange = [name for name in names if name not in NAMES]
    if strange or not names:
        raise ConfigError(f"no screen is called {', '.join(strange) or 'nothing'}; there are {', '.join(NAMES)}")
    weights = load_weights()
    reader = Reader(weights, encoder)
    risks = shipped() if policies is None else tuple(policies)
    every: dict[str, Screen] = {
        "moderation": Moderation(reader),
        "privacy": Privacy(Recogniser(weights.recogniser)),
        "injection": Injection(reader),
        "risk": Risk(reader, risks),
    }
    limits = {f"moderation:{name}": limit for name, limit in limits_of(reader.thresholds).items()}
    limits[f"injection:{HEAD}"] = reader.thresholds[HEAD]
    limits |= {f"risk:{one.name}": one.threshold or reader.thresholds[one.head or ""] for one in risks}
    if own is not None:
        every[own.screen] = Beside(every[own.screen], own)
        limits |= {f"{own.screen}:{name}": limit for name, limit in own.limits.items()}
    read = {*names} != {"privacy"}  # which has no use for heads
    return Panel(
        {name: every[name] for name in NAMES if name in names},
        {one: limit for one, limit in limits.items() if one.partition(":")[0] in names},
        reader.probabilities_each if read else lambda texts: None,
    )
