"""Which requests that were drawn may stand for all: thinned to one chance, whole, and of every kind."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.offline.stocked import ROUTE, label, sample, texts
from tierwise.errors import ConfigError
from tierwise.offline.drawn import Gathered, place, uniform
from tierwise.proof import Sample
from tierwise.types import Model

BOTH = (("cheap", "1"), ("premium", "1"))


def gathered(*samples: Sample, forgotten: frozenset[str] = frozenset()) -> Gathered:
    kept = [texts(item.request_id, BOTH) for item in samples if item.request_id not in forgotten]
    return Gathered(samples, [], kept)


def ids(found: Gathered, **changes: object) -> list[str]:
    route = msgspec.structs.replace(ROUTE, **changes)
    return [row.texts.request_id for row in uniform(found, route).rows]


def test_likelier_rows_are_thinned() -> None:
    """Every row that is left would have been drawn at the least propensity of all."""
    found = gathered(
        sample(1, "r1", "audit", uniform=0.01, propensity=0.02),
        sample(2, "r2", "audit", uniform=0.03, propensity=0.04),
        sample(3, "r3", uniform=0.015, propensity=0.1),
        sample(4, "r4", uniform=0.05, propensity=0.1),
        sample(5, "r5", uniform=0.02, propensity=0.1),
    )
    assert ids(found) == ["r1", "r3"]
    rows = uniform(found, ROUTE)
    assert (rows.drawn, rows.thinned, rows.forgotten, rows.incomplete) == (5, 3, 0, 0)


def test_times_before_any_draft_have_a_rate_of_their_own() -> None:
    """What was observed while premium answered everything stays whole, up to the first draft that was served."""
    before = [sample(at, f"b{at}", uniform=0.09, propensity=0.1) for at in (1, 2)]
    first = sample(3, "x3", uniform=0.09, propensity=0.1, passed=1)  # a draft was served since the last one
    audit = sample(4, "a4", "audit", uniform=0.01, propensity=0.02)
    assert ids(gathered(*before, first, audit)) == ["b1", "b2", "a4"]
    assert ids(gathered(*before, msgspec.structs.replace(first, passed=0), audit)) == ["b1", "b2", "x3", "a4"]


def test_forgotten_rows_set_no_rate() -> None:
    """An old audit without texts thins nobody."""
    audit = sample(1, "r1", "audit", uniform=0.001, propensity=0.002)
    later = [sample(2, "r2", uniform=0.05), sample(3, "r3", "audit", uniform=0.05, propensity=0.06)]
    found = gathered(audit, *later, forgotten=frozenset({"r1"}))
    assert ids(found) == ["r2", "r3"]
    assert uniform(found, ROUTE).forgotten == 1


def test_rows_are_whole() -> None:
    """Every tier and every opinion has answered."""
    route = msgspec.structs.replace(ROUTE, opinions=(Model("other", "scripted", "o"),))
    found = Gathered(
        [sample(1, "r1"), sample(2, "r2"), sample(3, "r3")],
        [label("r1", (1, 1)), label("r1", (0, 1), model="other")],
        [texts("r1", (*BOTH, ("other", "2"))), texts("r2", BOTH), texts("r3", (("cheap", "1"), ("other", "1")))],
    )
    rows = uniform(found, route)
    assert [row.texts.request_id for row in rows.rows] == ["r1"]
    assert (rows.drawn, rows.incomplete) == (3, 2)
    (row,) = rows.rows
    assert (row.said["other"].response, len(row.labels["cheap"]), row.sample.id) == ("2", 1, 1)
    with pytest.raises(ConfigError, match="no request that was drawn has an answer of each of its models"):
        uniform(found._replace(texts=found.texts[1:]), route)


def test_nothing_yet() -> None:
    """Says which setting it takes."""
    with pytest.raises(ConfigError, match=r"has drawn no request yet; `observe`.*evidence_usd_per_day"):
        uniform(gathered(), ROUTE)
    with pytest.raises(ConfigError, match="keep_days"):
        uniform(gathered(sample(1, "r1"), forgotten=frozenset({"r1"})), ROUTE)


def test_one_kind_of_request_can_t_speak_for_all() -> None:
    """Where drafts are served and none is audited, or premium answers and nobody watches."""
    under = sample(1, "r1", certificate="c")
    assert ids(gathered(under)) == ["r1"]
    with pytest.raises(ConfigError, match="audit = 0 in the config"):
        ids(gathered(under), audit=0.0)
    with pytest.raises(ConfigError, match="audit = 0 in the config"):
        ids(gathered(sample(1, "r1", passed=3)), audit=0.0)
    assert ids(gathered(sample(1, "r1")), audit=0.0) == ["r1"]  # premium has answered everything
    audit = sample(2, "r2", "audit")
    assert ids(gathered(under, audit)) == ["r1", "r2"]
    assert ids(gathered(under, audit), audit=0.0) == ["r1", "r2"]
    with pytest.raises(ConfigError, match="observe = 0 in the config"):
        ids(gathered(under, audit), observe=0.0)
    assert ids(gathered(sample(1, "r1")), observe=0.0) == ["r1"]


@given(st.lists(st.text(max_size=20), min_size=1, unique=True))
def test_places_are_in_order_of_nothing(names: list[str]) -> None:
    """In [0, 1), and the same each time."""
    found = [place(name) for name in names]
    assert all(0 <= item < 1 for item in found)
    assert found == [place(name) for name in names]
    assert len(set(found)) == len(names)


def test_thinning_leaves_a_uniform_sample() -> None:
    """Whatever the propensities, a kind of request has the share among the rows that it has in all traffic."""
    rng = np.random.default_rng(1)
    samples = []
    for at in range(1, 60_001):
        sure = rng.random() < 0.7
        rate, number = (0.02 if sure else 0.04) if at > 30_000 else 0.1, float(rng.random())
        kind = "audit" if at > 30_000 else "observe"
        if number < rate:
            samples.append(sample(at, f"{'s' if sure else 'u'}{at}", kind, uniform=number, propensity=rate))  # type: ignore[arg-type]
    found = ids(gathered(*samples))
    share = sum(name.startswith("s") for name in found) / len(found)
    assert abs(share - 0.7) < 3 * (0.21 / len(found)) ** 0.5
    assert len(found) > 3_400
