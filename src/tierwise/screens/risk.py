"""Risk classes: what a text is about that should not go to the cheapest model, whatever it says.

A class is a policy, which is data: what it is, examples, a threshold, and the lowest tier that may answer. One that
names a trained head is scored by it; any other by how near the text is to its nearest example.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Literal

import msgspec

from tierwise.errors import ConfigError
from tierwise.screens.normalised import normalised
from tierwise.screens.screen import Finding, windows

if TYPE_CHECKING:
    from tierwise.screens.reader import Reader

_FAR, _NEAR = 0.3, 0.8  # cosines that count as 0 and as 1


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`threshold` None: the trained head's own. `floor`: the lowest tier that may answer, or a person."""

    name: str
    description: str
    examples: tuple[str, ...]
    floor: Literal["premium", "human"]
    head: str | None = None
    threshold: float | None = None


def policy(content: bytes, name: str) -> Policy:
    """One policy from its file. Raises ConfigError that says what is wrong in the file `name`."""
    try:
        read = msgspec.json.decode(content, type=Policy)
    except msgspec.MsgspecError as error:
        raise ConfigError(f"{name}: no policy: {error}") from error
    if read.threshold is not None and not 0 < read.threshold <= 1:
        raise ConfigError(f"{name}: threshold is above 0 and at most 1, not {read.threshold}")
    if read.head is None and (not read.examples or read.threshold is None):
        raise ConfigError(f"{name}: a policy without a trained head needs examples and a threshold")
    return read


@cache
def shipped() -> tuple[Policy, ...]:
    """The packaged policies, by name."""
    files = resources.files("tierwise").joinpath("data/policies").iterdir()
    return tuple(policy(file.read_bytes(), file.name) for file in sorted(files, key=lambda file: file.name))


class Risk:
    """A text is flagged in each class whose score reaches the policy's threshold."""

    def __init__(self, reader: Reader, policies: Sequence[Policy]) -> None:
        """Raises ConfigError where a policy names a head that there is not."""
        import numpy as np  # noqa: PLC0415  heavy: policies are read where no text is

        for one in policies:
            if one.head is not None and one.head not in reader.thresholds:
                known = ", ".join(reader.thresholds)
                raise ConfigError(f"policy {one.name}: no trained head is called {one.head}; there are {known}")
        self._reader = reader
        self._policies = tuple(policies)
        self._examples = {
            one.name: np.stack([reader.encode(normalised(text)) for text in one.examples])
            for one in policies
            if one.head is None
        }

    def screen(self, text: str) -> Finding:
        scores = {one.name: self._score(one, text) for one in self._policies}
        return Finding(scores, tuple(one.name for one in self._policies if scores[one.name] >= self._limit(one)))

    def _limit(self, one: Policy) -> float:
        return one.threshold if one.threshold is not None else self._reader.thresholds[one.head or ""]

    def _score(self, one: Policy, text: str) -> float:
        if one.head is not None:
            return self._reader.probabilities(text)[one.head]
        near = max(float((self._examples[one.name] @ self._reader.encode(normalised(part))).max())
                   for _, part in windows(text))  # fmt: skip
        return min(max((near - _FAR) / (_NEAR - _FAR), 0.0), 1.0)
