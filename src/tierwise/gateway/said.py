"""What a reply's headers say: who answered, why, and what it cost."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tierwise.errors import Blocked, TierwiseError
from tierwise.money import Record
from tierwise.types import Decision, Route

Headers = list[tuple[str, str]]


def decided(route: Route, model: str, decision: Decision) -> Headers:
    headers = [
        ("x-tierwise-route", route.name),
        ("x-tierwise-model", model),
        ("x-tierwise-decision", decision.rule),
    ]
    if len(route.tiers) > 1:
        headers.append(("x-tierwise-certificate", route.certified))
    return headers


def flagged(classes: Sequence[str]) -> Headers:
    """What screens found, where it may pass."""
    return [("x-tierwise-flagged", ", ".join(classes))] if classes else []


def rule(error: TierwiseError) -> str:
    """What stands in the ledger where a request was refused."""
    if isinstance(error, Blocked):
        return f"blocked:{error.classes[0]}"
    return error.code or error.kind


def money(record: Record) -> Headers:
    return [
        ("x-tierwise-cost-usd", dollars(record.nanos)),
        ("x-tierwise-baseline-usd", dollars(record.baseline_nanos)),
    ]


def identified(request_id: str) -> Headers:
    """Under both names that SDKs look for."""
    return [("x-request-id", request_id), ("request-id", request_id)]


def waiting(error: TierwiseError) -> Headers:
    """When to ask again, where that is known."""
    return [] if error.retry_after is None else [("retry-after", str(max(math.ceil(error.retry_after), 1)))]


def dollars(nanos: int) -> str:
    """Nano-dollars as a decimal, exact to the last digit."""
    return f"{nanos // 1_000_000_000}.{nanos % 1_000_000_000:09d}"
