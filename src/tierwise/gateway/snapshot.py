"""The config as the core sees it: models with their prices, routes with their models. One value, swapped whole.

Knows nothing of keys or connections.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from tierwise.core import bearers
from tierwise.core.budget import NANOS
from tierwise.core.tariff import dearest, pricing, times, valid
from tierwise.errors import ConfigError
from tierwise.gateway.prices.catalogue import ceiling, tariffs_of
from tierwise.gateway.prices.price_lists import read
from tierwise.gateway.settings import Config, Environment, pepper_path
from tierwise.gateway.tables.model_table import ModelTable
from tierwise.gateway.tables.price_table import Terms
from tierwise.gateway.tables.route_table import RouteTable
from tierwise.gateway.tables.screen_table import ScreensTable, floor, human
from tierwise.money import Budget
from tierwise.tariffs import Tariff
from tierwise.types import Checks, Escalations, Model, Price, Route

SORTED = Price(0, 0, 0, 0, "a sorter reads and writes no tokens")
_log = logging.getLogger("tierwise.prices")


class Snapshot(msgspec.Struct, frozen=True):
    models: Mapping[str, Model]
    routes: Mapping[str, Route]
    direct: Mapping[str, Route]  # by model: what it is where a client names it itself
    ceiling: Price  # what a model without a price counts as
    budgets: Mapping[str, Budget] = {}  # by their names in the config
    bearers: bearers.Table = {}  # the same, by whom they limit

    def unpriced(self) -> tuple[str, ...]:
        """The models whose cost is unknown, by name."""
        return tuple(name for name, model in self.models.items() if model.price is None)


def build(config: Config, environment: Environment, moment: int | None = None, terms: Terms | None = None) -> Snapshot:
    """A checked config always has a snapshot; nothing of `environment` gets into it but what the config names.

    `moment` is Unix seconds, None is now; without `terms` those of `terms_of`.
    """
    at = int(time.time()) if moment is None else moment
    terms = terms_of(config) if terms is None else terms
    models = {name: _model(name, table, terms, at) for name, table in config.models.items()}
    budgets = {name: table.budget() for name, table in config.budgets.items()}
    return Snapshot(
        models=models,
        routes={
            name: _screened(_route(name, table, models), config.screens[name], models)
            for name, table in config.routes.items()
        },
        direct={
            name: _screened(_direct(model, config), config.screens[name], models) for name, model in models.items()
        },
        ceiling=ceiling(),
        budgets=budgets,
        bearers=bearers.table(budgets.values()),
    )


def fetched_path(config: Config) -> Path:
    """Where the list from the address under [prices] is kept: next to what else a gateway keeps for itself."""
    return pepper_path(config).with_name("tierwise.prices.json")


def terms_of(config: Config) -> Terms:
    """What the operator has agreed, with the list that was fetched last where the config names an address for one.

    A gateway starts without a fetched list that is damaged: nobody wrote it who could mend it. Raises ConfigError.
    """
    path, fetched = fetched_path(config), None
    if config.prices.url and path.exists():
        try:
            fetched = read(path)
        except ConfigError as error:
            _log.warning("the price list that was fetched last is left out: %s", error.problems[0])
    return config.prices.terms(config.folder, fetched)


def _model(name: str, table: ModelTable, terms: Terms, moment: int) -> Model:
    listed = tariffs_for(name, table, terms)
    return Model(
        name=name,
        provider=table.provider,
        model=table.model,
        price=price_of(table, listed, moment),
        max_output=table.max_output,
        context=table.context,
        logprobs=bool(table.logprobs),
        pricing=pricing(listed, moment),
        structured=table.structured,
        region=table.region,
        open_weights=table.open_weights,
        retention_days=table.retention_days,
    )


def tariffs_for(name: str, table: ModelTable, terms: Terms) -> tuple[Tariff, ...]:
    """A configured model's, as it was agreed with its provider; none where the config itself says what it costs."""
    if table.price is not None:
        return ()
    factor = terms.factor(name, table.provider)
    return tuple([times(item, factor) for item in tariffs_of(table.provider, table.model, table.base_url, terms.lists)])


def price_of(table: ModelTable, listed: Iterable[Tariff], moment: int) -> Price | None:
    """The config's own price before its lists', and those before the catalogue's; None where none holds then."""
    if table.price is not None:
        return table.price.price()
    if table.provider == "sorter":
        return SORTED
    held = valid(listed, moment)
    return None if held is None else dearest(held)


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
        over_budget=table.over_budget,
        escalations=_escalations(table),
        holdout=table.holdout,
    )


def _direct(model: Model, config: Config) -> Route:
    """What a model is where a client names it itself. One that is in no route's way is nobody's lower tier."""
    tiers = [route.tiers for route in config.routes.values()]
    lower = any(model.name in each[:-1] for each in tiers)
    return Route(model.name, (model,), below=lower and all(model.name != each[-1] for each in tiers))


def _screened(route: Route, table: ScreensTable, models: Mapping[str, Model]) -> Route:
    """With what its screens may lead to."""
    people = human(table)
    return msgspec.structs.replace(
        route,
        floor=route.floor | floor(table),
        screener=models[table.screener] if table.screener else None,
        human=people,
        human_reply=table.human_reply if people else "",
    )


def _escalations(table: RouteTable) -> Escalations | None:
    share, usd = table.escalations_per_hour_share, table.escalations_per_hour_usd
    if share is None and usd is None:
        return None
    return Escalations(share, None if usd is None else round(usd * NANOS), table.over_escalation)
