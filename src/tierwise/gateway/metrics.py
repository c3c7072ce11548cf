"""GET /metrics: what audits have found, who counts tokens, what is spent of budgets.

As Prometheus reads it (text exposition format 0.0.4). Numbers, and names of routes, providers and budgets, only. A key
is asked for, as everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from tierwise.gateway.access.budgets import Used
from tierwise.gateway.booking import Meter
from tierwise.gateway.web.http import Reply

if TYPE_CHECKING:
    from tierwise.gateway.app import App, Exchange
    from tierwise.gateway.evidence.audits import State

TEXT = ("content-type", "text/plain; version=0.0.4; charset=utf-8")
Series = tuple[str, str, str, Sequence[tuple[str, float]]]
"""A metric's name, kind and meaning, and its value for each route (or provider)."""


async def metrics(app: App, exchange: Exchange) -> Reply:
    states = [
        (name, state) for name in app.engine.snapshot.routes if (state := app.running.audit_state(name)) is not None
    ]
    lines = [line for series in _series(states) for line in _lines(series)]
    lines += _lines(("tierwise_samples_lost_total", "counter", "Drawn requests that there was no room for.", ()))
    lines.append(f"tierwise_samples_lost_total {app.running.samples_lost}")
    lines += counted(app.engine.meter)
    lines += budgeted(app.engine.budgets.used)
    return Reply(200, ("\n".join(lines) + "\n").encode(), (TEXT,), typed=True)


def _series(states: Sequence[tuple[str, State]]) -> Iterator[Series]:
    def of(read: Callable[[State], float]) -> list[tuple[str, float]]:
        return [(name, float(read(state))) for name, state in states]

    yield "tierwise_audit_e_value", "gauge", "Evidence against the certificate.", of(lambda state: state.e_value)
    yield "tierwise_audit_alarm_at", "gauge", "The e-value of an alarm.", of(lambda state: state.alarm_at)
    yield "tierwise_audit_rung", "gauge", "Alarms under this certificate.", of(lambda state: state.rung)
    yield "tierwise_audit_rows", "gauge", "Requests that the audit is about.", of(lambda state: state.rows)
    yield "tierwise_audit_labels", "gauge", "Drawn requests that were labelled.", of(lambda state: state.drawn)
    known = [(name, state.harm) for name, state in states if state.harm is not None]
    yield "tierwise_audit_harm", "gauge", "Estimated share of requests that were harmed.", known


def counted(meter: Meter) -> Iterator[str]:
    """How much of what is paid for was counted by its provider: their quotient is each provider's capture rate."""
    paid = [(provider, float(count)) for provider, count in meter.entries.items()]
    told = [(provider, float(count)) for provider, count in meter.reported.items()]
    meanings = ("Calls that are paid for.", "Of these, calls whose tokens the provider counted to the end.")
    yield from _lines(("tierwise_usage_total", "counter", meanings[0], paid), "provider")
    yield from _lines(("tierwise_usage_reported_total", "counter", meanings[1], told), "provider")


def budgeted(found: Sequence[Used]) -> Iterator[str]:
    """Of each budget in use, as of the last look at it: what is spent or held in its current period, and its limit."""
    dollars = [(each.name, each.amount.nanos, each.budget.nanos) for each in found]
    tokens = [(each.name, each.amount.tokens, each.budget.tokens) for each in found]
    for unit, of, scale in (("usd", dollars, 1e-9), ("tokens", tokens, 1.0)):
        limited = [(name, used * scale, limit * scale) for name, used, limit in of if limit is not None]
        now, limits = [(name, used) for name, used, _ in limited], [(name, limit) for name, _, limit in limited]
        said = "Spent or held of a budget."
        yield from _lines((f"tierwise_budget_used_{unit}", "gauge", said, now), "budget")
        yield from _lines((f"tierwise_budget_limit_{unit}", "gauge", "All that it has.", limits), "budget")


def _lines(series: Series, label: str = "route") -> Iterator[str]:
    name, kind, meaning, values = series
    yield f"# HELP {name} {meaning}"
    yield f"# TYPE {name} {kind}"
    for of, value in values:
        yield f'{name}{{{label}="{of}"}} {value!r}'  # no such name has a character that would need an escape
