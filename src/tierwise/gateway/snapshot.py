"""The config as the core sees it: models with their prices, routes with their models. One value, swapped whole.

Knows nothing of files, keys or connections.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from tierwise.core.budget import NANOS
from tierwise.core.tariff import times
from tierwise.gateway.catalogue import Rates, ceiling, lookup
from tierwise.gateway.price_table import Terms
from tierwise.gateway.route_table import RouteTable
from tierwise.gateway.settings import Config, Environment, ModelTable
from tierwise.types import Checks, Model, Price, Route


class Snapshot(msgspec.Struct, frozen=True):
    models: Mapping[str, Model]
    routes: Mapping[str, Route]
    ceiling: Price  # what a model without a price counts as

    def unpriced(self) -> tuple[str, ...]:
        """The models whose cost is unknown, by name."""
        return tuple(name for name, model in self.models.items() if model.price is None)


def build(config: Config, environment: Environment) -> Snapshot:
    """A checked config always has a snapshot; nothing of `environment` gets into it but what the config names."""
    terms = config.prices.terms(config.folder)
    models = {name: _model(name, table, terms) for name, table in config.models.items()}
    return Snapshot(
        models=models,
        routes={name: _route(name, table, models) for name, table in config.routes.items()},
        ceiling=ceiling(),
    )


def _model(name: str, table: ModelTable, terms: Terms) -> Model:
    return Model(
        name=name,
        provider=table.provider,
        model=table.model,
        price=price_of(name, table, terms),
        max_output=table.max_output,
        context=table.context,
        logprobs=bool(table.logprobs),
    )


def price_of(name: str, table: ModelTable, terms: Terms, moment: int | None = None) -> Price | None:
    """The config's own price before its lists', and those before the catalogue's; `moment` in Unix seconds, or now."""
    if table.price is None:
        price = lookup(table.provider, table.model, table.base_url, terms.lists, moment)
        return price and times(price, terms.factor(name, table.provider))
    return Rates(
        input=table.price.input,
        output=table.price.output,
        cache_read=table.price.cache_read,
        cache_write=table.price.cache_write,
    ).price("config")


def _route(name: str, table: RouteTable, models: Mapping[str, Model]) -> Route:
    return Route(
        name=name,
        tiers=tuple(models[tier] for tier in table.tiers),
        mode=table.mode,
        uncertified=table.uncertified,
        max_harm=table.max_harm,
        confidence=table.confidence,
        hold=table.hold,
        window=table.window,
        audit=table.audit,
        observe=table.observe,
        aside_nanos=round(table.evidence_usd_per_day * NANOS),
        keep_days=table.keep_days,
        floor=frozenset(table.floor),
        escalate_above=table.escalate_above,
        premium_down=table.premium_down,
        checks=Checks(
            min_logprob=table.checks.min_logprob,
            max_repeats=table.checks.max_repeats,
            vectors=tuple([vector.vector() for vector in table.checks.vectors]),
        ),
        opinions=tuple([models[name] for name in table.opinions]),
        opinion_form=table.opinion_form,
        judge=models[table.judge] if table.judge else None,
        nanos_per_second=round(table.usd_per_second * NANOS),
    )
