"""A route as the operator writes it, and what can be wrong with it beyond its types.

Knows neither files nor what a route becomes (`snapshot.py`), and opens no trained artefact (`scoring.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from tierwise.gateway.tables.screen_table import Own
from tierwise.gateway.tables.toml_check import Problems, nearest
from tierwise.scorers.vectors import validate_vector
from tierwise.types import Hold, Mode, OpinionForm, Uncertified, Vector

MAX_OPINIONS = 4
_PUBLIC_KEY = re.compile(r"[0-9a-fA-F]{64}")
_NAME = re.compile(r"[A-Za-z0-9._:/-]{1,100}")


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """Base of the file's tables."""


class VectorTable(Table, frozen=True):
    """Regular expressions: where the prompt matches `when` ("": always), the answer must match `expect`."""

    expect: str
    when: str = ""
    absent: bool = False  # the answer must not match

    def vector(self) -> Vector:
        return Vector(self.expect, self.when, self.absent)


class ChecksTable(Table, frozen=True):
    min_logprob: Annotated[float, msgspec.Meta(le=0)] = -1.0  # mean natural logarithm a token
    max_repeats: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 4
    vectors: tuple[VectorTable, ...] = ()


class RouteTable(Table, frozen=True):
    """`settings.load` makes `trained` and `certificate` paths. What holds of `screens` is `Config.screens`."""

    tiers: tuple[str, ...]  # names of models, cheapest first; the last is the premium
    opinions: tuple[str, ...] = ()  # names of other models, asked about a draft that may be served
    opinion_form: OpinionForm = "same"
    judge: str = ""  # the name of a model
    mode: Mode = "observe"
    uncertified: Uncertified = "observe"
    trained: str = ""  # the artefact of a trained router and verifier
    certificate: str = ""  # what says by which thresholds it may serve; where it is not said: beside the artefact
    certificate_key: str = ""  # the public key it must be signed with; "": this config's own
    max_harm: Annotated[float, msgspec.Meta(gt=0, lt=1)] = 0.03
    confidence: Annotated[float, msgspec.Meta(gt=0.5, lt=1)] = 0.95
    hold: Hold = "draft"
    window: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 48  # tokens
    escalate_above: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.5  # with hold = "none": the router's score
    usd_per_second: Annotated[float, msgspec.Meta(ge=0, le=1000)] = 0.0  # what a second of waiting is worth
    audit: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.02  # least share of the served drafts
    observe: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.1  # share of premium's answers
    evidence_usd_per_day: Annotated[float, msgspec.Meta(ge=0, le=100_000)] = 1.0  # for both
    keep_days: Annotated[int, msgspec.Meta(ge=0, le=3650)] = 30  # texts of samples; 0: none
    floor: tuple[str, ...] = ()  # tags that always get the premium
    premium_down: Literal["refuse", "draft"] = "refuse"
    over_budget: Literal["refuse", "cheap"] = "refuse"
    escalations_per_hour_share: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None  # of a key's requests
    escalations_per_hour_usd: Annotated[float, msgspec.Meta(gt=0, le=1_000_000)] | None = None  # a key, for premium
    over_escalation: Literal["refuse", "draft"] = "refuse"
    holdout: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.0  # share that premium answers, to compare with
    checks: ChecksTable = ChecksTable()
    screens: Own = None

    def complete(self, folder: Path) -> RouteTable:
        """With its paths as they are from anywhere."""
        if not self.trained:
            return self
        trained = folder / Path(self.trained).expanduser()
        certificate = folder / Path(self.certificate).expanduser() if self.certificate else certificate_of(trained)
        return msgspec.structs.replace(self, trained=str(trained), certificate=str(certificate))


def certificate_of(trained: Path) -> Path:
    """The certificate's place where a config names none: beside the artefact, `support.certificate.json`."""
    return trained.with_name(f"{trained.name.removesuffix('.npz').removesuffix('.tierwise')}.certificate.json")


# ------------------------------------------------------------------ checks of meaning

Identity = tuple[str, str, str]
"""What a configured model really is: its provider, its name there, the address."""


def check_route(name: str, route: RouteTable, models: Mapping[str, Identity], problems: Problems) -> None:
    """`models` are all that are configured, by name."""
    path = ("routes", name)
    check_name(path, name, problems)
    if name in models:
        problems.add(path, "a model has this name too; a client could not tell which of them it asks")
    if not route.tiers:
        problems.add((*path, "tiers"), "needs at least one model, cheapest first")
    told = [("tiers", text) for text in _listed(route.tiers, models)]
    told += [("opinions", text) for text in _listed(route.opinions, models)]
    told += [("opinions", text) for text in _opinions(route)]
    if route.uncertified == "agreement" and not route.opinions:
        told.append(("uncertified", '"agreement" needs `opinions`: at least one other model to agree with'))
    if route.certificate and not route.trained:
        told.append(("certificate", "is about what was trained; this route has no `trained`"))
    if route.certificate_key and not _PUBLIC_KEY.fullmatch(route.certificate_key):
        told.append(("certificate_key", "is an Ed25519 public key: 64 hexadecimal digits"))
    told += _alone(route)
    if route.judge:
        told += [("judge", text) for text in _judge(route, models)]
    for key, text in told:
        problems.add((*path, key), text)
    for place, table in enumerate(route.checks.vectors, 1):
        wrong = validate_vector(table.vector())
        if wrong is not None:
            problems.add((*path, "checks", "vectors", str(place)), wrong)


def check_name(path: tuple[str, ...], name: str, problems: Problems) -> None:
    if not _NAME.fullmatch(name):
        problems.add(path, "a name has 1 to 100 of the characters A-Z a-z 0-9 . _ : / -")


def _listed(names: tuple[str, ...], models: Mapping[str, Identity]) -> Iterator[str]:
    for place, name in enumerate(names):
        if name not in models:
            yield f'no model "{name}"; {nearest(name, models)}'
        elif name in names[:place]:
            yield f'"{name}" stands twice'


def _alone(route: RouteTable) -> Iterator[tuple[str, str]]:
    """What makes no sense where there is one tier."""
    if len(route.tiers) != 1:
        return
    for key in ("over_budget", "escalations_per_hour_share", "escalations_per_hour_usd", "holdout"):
        if getattr(route, key) not in (None, "refuse", 0.0):
            yield key, "needs a second model in `tiers`: this route has only one, which answers everything"


def _opinions(route: RouteTable) -> Iterator[str]:
    if len(route.opinions) > MAX_OPINIONS:
        yield f"at most {MAX_OPINIONS} models can be asked about a draft"
    for name in route.opinions:
        if name in route.tiers:
            yield f'"{name}" is a tier of this route; a second opinion comes from another model'


def _judge(route: RouteTable, models: Mapping[str, Identity]) -> Iterator[str]:
    """A model that wrote what it judges favours it."""
    name = route.judge
    if name not in models:
        yield f'no model "{name}"; {nearest(name, models)}'
        return
    for kind, others in (("tier", route.tiers[:-1]), ("opinion", route.opinions)):
        same = next((other for other in others if models.get(other) == models[name]), None)
        if same is not None:
            yield f'"{name}" is the model of the {kind} "{same}", and would judge what it wrote; name another one'
