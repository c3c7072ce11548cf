"""Which models may have a request that holds personal data as it is, by where they run and what becomes of it there.

Default deny: what nobody has said of a model does not satisfy a condition. What is masked is no longer personal. Knows
neither how personal data is found nor how a request is answered.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from tierwise.errors import Forbidden
from tierwise.types import Model, Route


class Residence(msgspec.Struct, frozen=True):
    """Conditions that a model has to meet, all of them. As they are here, there are none."""

    regions: tuple[str, ...] = ()  # it runs in one of these, or in a part of one: "eu" takes "eu-west-1" too
    open_weights: bool = True  # with False: its weights are not open
    retention_days: int | None = None  # its provider keeps what it is sent no longer than that


def allowed(route: Route, rule: Residence, personal: bool) -> Route:
    """The route without the models that may not have the request; itself where all may.

    A route that lacks a model is not the one that was certified, and what it answers is no sample of it: drafts are
    served by its `uncertified` rule, nothing is drawn, kept or sent to others. Its cost is still compared with the
    premium that it was made with. Raises Forbidden where no tier is left.
    """
    if not personal:
        return route
    tiers = tuple([model for model in route.tiers if not _reason(model, rule)])
    if not tiers:
        raise _refused(route, rule)
    opinions = tuple([model for model in route.opinions if not _reason(model, rule)])
    judge, screener = _kept(route.judge, rule), _kept(route.screener, rule)
    if (tiers, opinions, judge, screener) == (route.tiers, route.opinions, route.judge, route.screener):
        return route
    return msgspec.structs.replace(
        route,
        tiers=tiers,
        opinions=opinions,
        judge=judge,
        screener=screener,
        thresholds=None,
        certified="none: personal data",
        certificate="",
        planned=False,
        holdout=0.0,
        aside_nanos=0,
        keep_days=0,
        reference=route.yardstick,
    )


def _kept(model: Model | None, rule: Residence) -> Model | None:
    return None if model is None or _reason(model, rule) else model


def _refused(route: Route, rule: Residence) -> Forbidden:
    reasons = "; ".join(f"{model.name} {_reason(model, rule)}" for model in route.tiers)
    return Forbidden(
        f"This request holds personal data, and no model of {route.name} may have it: {reasons}. Leave the personal"
        " data out, or ask the operator to have it masked.",
        code="personal_data",
    )


def _reason(model: Model, rule: Residence) -> str:
    """Why a model may not have it, in words that follow its name; "" where it may."""
    return " and ".join(_broken(model, rule))


def _broken(model: Model, rule: Residence) -> Iterator[str]:
    region = model.region.lower()
    places = [place.lower() for place in rule.regions]
    if places and not any(region == place or region.startswith(f"{place}-") for place in places):
        runs = f"runs in {model.region}" if region else "does not say where it runs"
        yield f"{runs} (regions = {', '.join(rule.regions)})"
    if not rule.open_weights and (model.open_weights is not False or model.provider == "local"):
        said = model.open_weights or model.provider == "local"
        yield f"{'has open weights' if said else 'does not say whether its weights are open'} (open_weights = false)"
    most, kept = rule.retention_days, model.retention_days
    if most is not None and (kept is None or kept > most):
        keeps = "does not say how long texts are kept" if kept is None else f"keeps texts for {kept} days"
        yield f"{keeps} (retention_days = {most})"
