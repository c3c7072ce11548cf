"""What a certificate says, what it binds, and when it no longer holds."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tierwise.core.certificate import Certificate, Reference, bindings, content, digest, lapses, name, states
from tierwise.types import Checks, Model, Price, Route, Thresholds, Vector

PRICE = Price(1, 2, 1, 1)
NAMES = ("cheap", "other", "top", "third")
CHEAP, OTHER, PREMIUM, THIRD = (Model(name, "openai", f"{name}-1", PRICE) for name in NAMES)
ROUTE = Route("r", (CHEAP, PREMIUM), opinions=(OTHER,), judge=THIRD)
PROMPTS = {"judge": "Is it good?"}
BINDS = bindings(ROUTE, "aa", PROMPTS)
REFERENCE = Reference((0.6, 0.7, 0.05), (0.4, 0.8), 0.01)


def certificate(**changes: Any) -> Certificate:
    given: dict[str, Any] = {
        "route": "r", "tiers": ("cheap", "top"), "form": "harm", "statement": "s", "method": "m", "alpha": 0.03,
        "delta": 0.05, "thresholds": Thresholds(0.5, 0.2, 0.9), "n": 300, "labels_used": 300, "failures": 2.0,
        "harm_bound": 0.02, "kept_cheap": 0.7, "retention": 0.99, "cost_ratio": 0.4, "saving": (0.6, 0.5, 0.7),
        "labels": "the outcomes' scores", "segments": (), "ladder": (0.5, 0.6, 0.9), "reference": REFERENCE,
        "data_sha256": "d", "binds": dict(BINDS), "issued": 1_000, "expires": 2_000,
    }  # fmt: skip
    return Certificate(**given | changes)


def renamed(one: Model, **changes: Any) -> Model:
    return msgspec.structs.replace(one, **changes)


def route(**changes: Any) -> Route:
    return msgspec.structs.replace(ROUTE, **changes)


@pytest.mark.parametrize(
    ("changed", "names"),
    [
        (route(tiers=(renamed(CHEAP, model="cheap-2"), PREMIUM)), ["models"]),
        (route(opinions=()), ["models", "prices"]),
        (route(tiers=(renamed(CHEAP, price=Price(9, 2, 1, 1)), PREMIUM)), ["prices"]),
        (route(judge=renamed(THIRD, model="third-2")), ["judge"]),
        (route(judge=None), ["judge", "prices"]),
        (route(hold="window"), ["policy"]),
        (route(checks=Checks(vectors=(Vector("x"),))), ["policy"]),
        (route(opinion_form="code"), ["policy"]),
        (route(mode="premium", uncertified="checks", audit=0.5, thresholds=Thresholds(1, 1, 1)), []),
    ],
)
def test_what_ends_it(changed: Route, names: list[str]) -> None:
    """A change in anything that the statement depends on, and in nothing else; the reasons name it."""
    assert list(lapses(certificate(), bindings(changed, "aa", PROMPTS), 1_500)) == [f"{name} changed" for name in names]


def test_the_verifier_and_wordings() -> None:
    """Another artefact and another way of asking are changes too."""
    assert list(lapses(certificate(), bindings(ROUTE, "ab", PROMPTS), 0)) == ["verifier changed"]
    assert list(lapses(certificate(), bindings(ROUTE, "aa", {"judge": "Good?"}), 0)) == ["prompts changed"]


def test_time_ends_it() -> None:
    """From the second on at which it expires."""
    assert list(lapses(certificate(), BINDS, 1_999)) == []
    assert list(lapses(certificate(), BINDS, 2_000)) == ["expired"]


@pytest.mark.parametrize("binds", [{}, {**BINDS, "more": "x"}])
def test_what_is_bound_on_one_side_only(binds: dict[str, str]) -> None:
    """A certificate that binds less, or more, than this version does is of another statement."""
    assert list(lapses(certificate(binds=binds), BINDS, 0)) != []


def test_the_bytes_that_are_signed() -> None:
    """The same for the same content, whatever the order of what it holds; another for any change."""
    one = certificate()
    other = certificate(binds=dict(reversed(BINDS.items())))
    assert content(one) == content(other)
    assert content(one) != content(certificate(n=301))
    assert msgspec.json.decode(content(one), type=Certificate) == one
    assert digest({"b": 1, "a": 2}) == digest({"a": 2, "b": 1}) != digest({"a": 2, "b": 2})


def test_its_name() -> None:
    """Of everything in it: 16 digits, the same for the same document, another for any change."""
    one = certificate()
    assert name(one) == name(certificate(binds=dict(reversed(BINDS.items()))))
    assert len(name(one)) == 16
    int(name(one), 16)
    names = {name(certificate(**change)) for change in ({}, {"ladder": (0.5,)}, {"reference": None}, {"expires": 3})}
    assert len(names) == 4


def test_statements() -> None:
    """In words, with the figures."""
    assert "at most 3.00%, with confidence 95.00%" in states("harm", 0.03, 0.05)
    assert "at least 97.00% of the premium's, with confidence 90.00%" in states("parity", 0.03, 0.1, 0.97)
    assert "on average at most 1.00%" in states("expected", 0.01, 0.05)
