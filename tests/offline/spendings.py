"""The money of a made-up gateway, for tests of its report: sums by the hour, as a store gives them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from tierwise.core.window import DAY_NS
from tierwise.money import Key, Spend, Traffic
from tierwise.offline.costs.spending import Read

TODAY = 20_785  # 28 November 2026
MONTH = TODAY - 27  # its first day
NOW = TODAY * DAY_NS + 14 * 3600 * 10**9
KEYS = (Key("key_1", "Help desk", b"", "tw_", 0), Key("key_2", "Nightly jobs", b"", "tw_", 0))
WEEK = (1.0, 1.1, 1.05, 1.0, 0.9, 0.3, 0.25)


class Hours(NamedTuple):
    spend: list[Spend]
    traffic: list[Traffic]


def spend(hour: int, nanos: int = 1_000, **more: Any) -> Spend:
    values: dict[str, Any] = {
        "route": "support", "team": "care", "key_id": "key_1", "model": "small", "role": "draft", "state": "computed",
        "entries": 1, "input_tokens": 100, "output_tokens": 10,
    }  # fmt: skip
    return Spend(hour=hour, nanos=nanos, **(values | more))


def traffic(hour: int, **more: Any) -> Traffic:
    values: dict[str, Any] = {
        "route": "support", "team": "care", "key_id": "key_1", "arm": "", "requests": 1, "nanos": 1_000,
        "baseline_nanos": 10_000,
    }  # fmt: skip
    return Traffic(hour=hour, **(values | more))


def read(hours: Hours, since: int = MONTH * 24, until: int = TODAY * 24 + 15, **more: Any) -> Read:
    """In order, as a store gives them."""
    paid = sorted(hours.spend, key=lambda item: item.hour)
    served = sorted(hours.traffic, key=lambda item: item.hour)
    return Read(since, until, NOW, paid, served, **({"keys": KEYS} | more))


def lived(days: int = 50, seed: int = 1) -> Hours:
    """Two routes and keys, up to the hour that runs; `support` holds out one request in a hundred."""
    rng, found = np.random.default_rng(seed), Hours([], [])
    for hour in range((TODAY - days) * 24, TODAY * 24 + 14):
        busy = WEEK[hour // 24 % 7] * (1.6 if 8 <= hour % 24 < 18 else 0.4)
        _arms(found, hour, round(busy * 400 * rng.lognormal(0, 0.1)), rng)
        jobs = {"route": "moderation", "team": "", "key_id": "key_2"}
        _served(found, hour, round(busy * 120 * rng.lognormal(0, 0.1)), rng, jobs)
        found.spend.append(spend(hour, 2_000_000, key_id="aside", team="", model="big", role="premium"))
        found.traffic.append(traffic(hour, key_id="aside", team="", nanos=2_000_000, baseline_nanos=2_000_000))
    found.spend.append(
        spend((TODAY - 3) * 24, -5_000_000, role="correction", model="", input_tokens=0, output_tokens=0)
    )
    return found


def _arms(found: Hours, hour: int, requests: int, rng: np.random.Generator) -> None:
    held = int(rng.binomial(requests, 0.01))
    _served(found, hour, held, rng, {"arm": "holdout"})
    _served(found, hour, requests - held, rng, {"arm": "treated"})


def _served(found: Hours, hour: int, n: int, rng: np.random.Generator, named: dict[str, Any]) -> None:
    """Three in ten, or all that are held out, by the big model."""
    if not n:
        return
    large = n if named.get("arm") == "holdout" else int(rng.binomial(n, 0.3))
    costs = np.concatenate((rng.lognormal(0, 0.8, large) * 3e-3, rng.lognormal(0, 0.5, n - large) * 2e-4))
    parts = (("big", "premium", costs[:large], large), ("small", "draft", costs[large:], n - large))
    state = "estimated" if hour % 24 == 3 else "unknown" if hour % 200 == 0 else "computed"
    whose = {key: value for key, value in named.items() if key != "arm"}
    for model, role, paid, calls in parts:
        if calls:
            tokens = {"input_tokens": 900 * calls, "output_tokens": 200 * calls}
            nanos = round(float(paid.sum()) * 1e9)
            found.spend.append(
                spend(hour, nanos, model=model, role=role, state=state, entries=calls, **tokens, **whose)
            )
    sums = {"nanos": round(float(costs.sum()) * 1e9), "squares": float((costs**2).sum())}
    counts = {"requests": n, "failed": int(n > 300), "drafts": n - large}
    found.traffic.append(traffic(hour, baseline_nanos=round(n * 4_130_000), **sums, **counts, **named))


class Ledger:
    """Of a store, the two methods that the report on money reads from."""

    def __init__(self, hours: Hours) -> None:
        self.hours = hours

    async def spend(self, since: int, until: int) -> Sequence[Spend]:
        return [item for item in self.hours.spend if since <= item.hour < until]

    async def traffic(self, since: int, until: int) -> Sequence[Traffic]:
        return [item for item in self.hours.traffic if since <= item.hour < until]
