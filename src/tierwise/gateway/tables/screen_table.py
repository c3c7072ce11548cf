"""What is screened, as the operator writes it under `[screens]` and `[routes.NAME.screens]`, and what can be wrong.

All of it is off unless it is asked for. `[screens]` holds for models that clients name themselves, and for what a
route's own table does not say; only the word "none" in its place takes a route out. Knows the names of categories,
classes and types, and reads policy files; reads no text and loads no weights (`guards.py`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from tierwise.errors import ConfigError
from tierwise.gateway.tables.toml_check import Problems, nearest
from tierwise.screens import patterns
from tierwise.screens.moderation import CATEGORIES
from tierwise.screens.risk import Policy, policy, shipped

Action = Literal["off", "flag", "block", "human"]
Instead = Literal["allow", "flag", "block", "human"]
Privacy = Literal["off", "flag", "redact", "replace", "block"]
INJECTION = "injection"
PRIVATE = (*patterns.TYPES, "name", "address")
REPLY = "This needs a person. Your message has been passed on, and somebody will answer you."


class ScreensTable(msgspec.Struct, frozen=True, kw_only=True):
    """`complete` makes `policies` and `trained` paths."""

    moderation: Action = "off"  # what a text that is flagged in any category leads to
    categories: dict[str, Instead] = {}  # the same, category by category
    thresholds: dict[str, Annotated[float, msgspec.Meta(gt=0, le=1)]] = {}  # of categories and classes
    injection: Action = "off"  # in what users say, and in what tools give back
    answers: bool = True  # what models answer is moderated too
    window: Annotated[int, msgspec.Meta(ge=40, le=4000)] = 200  # characters of a streamed answer that are held back
    risk: tuple[str, ...] = ()  # names of classes, or "all"
    policies: str = ""  # a folder with policies of the operator's own
    human_reply: str = REPLY  # what a client is told whose request a person answers
    trained: str = ""  # a file of `tierwise train --screen`: classes of the operator's own
    screener: str = ""  # the name of a model that is asked where a screen is in doubt
    privacy: Privacy = "off"
    privacy_types: tuple[str, ...] = ()  # none: all of them
    personal_regions: tuple[str, ...] = ()  # of models that personal data may go to; none: all
    personal_open_weights: bool = True  # whether it may go to models with open weights
    personal_retention_days: Annotated[int, msgspec.Meta(ge=0, le=36_500)] | None = None  # at most, at their provider

    def complete(self, folder: Path) -> ScreensTable:
        places = {"policies": self.policies, "trained": self.trained}
        found = {key: str(folder / Path(place).expanduser()) for key, place in places.items() if place}
        return msgspec.structs.replace(self, **found) if found else self


OFF = ScreensTable()
Own = ScreensTable | Literal["none"] | None
"""What a route says of screens: a table of its own, that it wants none, or nothing."""


def screened(common: ScreensTable, own: Own, said: Collection[str]) -> ScreensTable:
    """What holds for a route: `common`, but for the keys that its own table has `said`."""
    if own is None:
        return common
    if own == "none":
        return OFF
    known = [key for key in said if key in ScreensTable.__struct_fields__]  # what is misspelt is told elsewhere
    return msgspec.structs.replace(common, **{key: getattr(own, key) for key in known})


def actions(table: ScreensTable) -> dict[str, str]:
    """What each category, and injection, leads to: "flag", "block" or "human"; what leads to nothing is left out."""
    found: dict[str, str] = {name: table.categories.get(name, table.moderation) for name in CATEGORIES}
    found |= {name: action for name, action in table.categories.items() if name not in CATEGORIES}
    found[INJECTION] = table.injection
    return {name: action for name, action in found.items() if action not in ("off", "allow")}


def classes(table: ScreensTable) -> tuple[Policy, ...]:
    """The policies that a route asks for, by `risk`. Raises ConfigError for a file that is none."""
    if not table.risk:
        return ()
    known = _known(table.policies)
    return tuple(known.values() if "all" in table.risk else [known[name] for name in table.risk if name in known])


def _known(folder: str) -> dict[str, Policy]:
    """By name; the operator's own stand for shipped ones of the same name."""
    own = [policy(path.read_bytes(), path.name) for path in sorted(Path(folder).glob("*.json"))] if folder else []
    return {one.name: one for one in (*shipped(), *own)}


def floor(table: ScreensTable) -> frozenset[str]:
    """Tags that nobody below premium may answer."""
    return frozenset([one.name for one in classes(table) if one.floor == "premium"])


def human(table: ScreensTable) -> frozenset[str]:
    """Tags that a person answers."""
    people = [one.name for one in classes(table) if one.floor == "human"]
    return frozenset([*people, *(flag(name) for name, action in actions(table).items() if action == "human")])


def flag(name: str) -> str:
    """The tag of a request that is flagged in a category, or for injection."""
    return f"flagged:{name}"


# ------------------------------------------------------------------ checks of meaning


def check_screens(
    common: ScreensTable,
    routes: Mapping[str, ScreensTable],
    models: Collection[str],
    regions: Collection[str],
    problems: Problems,
) -> None:
    """`routes` are those with a table of their own, as it holds. `models` are the names of all that are configured,
    `regions` where they run."""
    told = [*_wrong(common, models, regions), *_idle(common, models)]
    for key, text in told:
        problems.add(("screens", key), text)
    for name, table in routes.items():
        wrong = list(_wrong(table, models, regions))
        if table.screener != common.screener:
            wrong += _idle(table, models)
        for key, text in wrong:
            if (key, text) not in told:  # it is not told twice
                problems.add(("routes", name, "screens", key), text)


def _wrong(table: ScreensTable, models: Collection[str], regions: Collection[str]) -> Iterator[tuple[str, str]]:
    """(key, what is wrong with it)."""
    try:
        known: Mapping[str, Policy] = _policies(table.policies)
    except ConfigError as error:
        yield "policies", error.problems[0]
        known = {one.name: one for one in shipped()}
    if table.trained and not Path(table.trained).is_file():
        yield "trained", f"there is no file {table.trained}"
    told: list[tuple[str, str]] = []
    if not table.trained:  # what that has taught is known once it is opened: `guards.py`
        told += [("categories", text) for text in _strange("category", table.categories, CATEGORIES)]
        told += [("thresholds", text) for text in _strange("class", table.thresholds, {*CATEGORIES, INJECTION, *known})]
    told += [("risk", text) for text in _strange("class", table.risk, {*known, "all"})]
    told += [("privacy_types", text) for text in _strange("type", table.privacy_types, PRIVATE)]
    told += [("personal_regions", text) for text in _strange("model in", table.personal_regions, regions)]
    told += [("screener", text) for text in _strange("model", (table.screener,) if table.screener else (), models)]
    yield from told


def _idle(table: ScreensTable, models: Collection[str]) -> Iterator[tuple[str, str]]:
    """A screener that nobody would ever ask."""
    if table.screener in models and not (table.risk or actions(table)):
        yield "screener", "is asked where a screen is in doubt, and none is on: moderation, injection or risk"


def _policies(folder: str) -> Mapping[str, Policy]:
    if folder and not Path(folder).is_dir():
        raise ConfigError(f"there is no folder {folder}")
    try:
        return _known(folder)
    except OSError as error:
        raise ConfigError(f"a policy in {folder} can't be read: {error.strerror}") from error


def _strange(what: str, names: Collection[str], known: Collection[str]) -> Iterator[str]:
    for name in names:
        if name not in known:
            yield f'no {what} "{name}"; {nearest(name, known)}'
