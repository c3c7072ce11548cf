"""A short run over what bytes of strangers meet; `make fuzz` is the long one."""

from __future__ import annotations

import msgspec
import pytest

from tests.fuzz.doors import TARGETS, feed
from tests.fuzz.seeds import inputs, seeds


def test_seeds_are_read() -> None:
    """There is one for every target, and none is refused: or what is spoilt would all be refused at once."""
    known = seeds()
    assert [target for target, _ in known] == list(range(len(TARGETS)))
    for target, good in known:
        feed(bytes([target]) + (good if isinstance(good, bytes) else msgspec.json.encode(good)))


@pytest.mark.unmeasured
def test_spoilt_inputs() -> None:
    """Nothing but the documented errors comes of them."""
    for data in inputs(20_000):
        feed(data)
