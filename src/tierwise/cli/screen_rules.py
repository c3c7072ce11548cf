"""What a config's route says of screens, for a file: which count, from where on, and who is asked when in doubt."""
# ruff: noqa: PLC0415  rooms are imported where they are used: `tierwise --help` need not load them

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tierwise.errors import ConfigError

if TYPE_CHECKING:
    from tierwise.gateway.settings import Config
    from tierwise.gateway.tables.screen_table import ScreensTable
    from tierwise.offline.screening.screen_lines import Rules


class Chosen(NamedTuple):
    """A route (or a model, by what holds for all), its rules, the screens that it has on, and the names of its
    screener and artefact, "" for none."""

    route: str
    rules: Rules
    screens: tuple[str, ...]
    screener: str
    trained: Path | None


def chosen(config: Config, name: str | None) -> Chosen | None:
    """The route named, or the only one that screens, or what holds for all; None where nothing does.

    Raises ConfigError.
    """
    if name is None:
        every = [each for each, table in config.screens.items() if _on(table)]
        names = [each for each in every if each in config.routes] or every
        if not names:
            return None
        if any(config.screens[each] is not config.screens[names[0]] for each in names):
            raise ConfigError(f"{config.path}: the routes {', '.join(names)} have screens; --route names one of them")
        name = names[0]
    table = config.screens.get(name)
    if table is None:
        raise ConfigError(f"{config.path}: no route {name!r}; it has {', '.join(config.routes) or 'none'}")
    trained = Path(table.trained) if table.trained else None
    return Chosen(name, _rules(table), _on(table), table.screener, trained)


def _on(table: ScreensTable) -> tuple[str, ...]:
    from tierwise.gateway.tables.screen_table import INJECTION, actions

    led = actions(table)
    on = {
        "moderation": any(name != INJECTION for name in led),
        "privacy": table.privacy != "off",
        "injection": INJECTION in led,
        "risk": bool(table.risk),
    }
    return tuple([name for name, is_on in on.items() if is_on])


def _rules(table: ScreensTable) -> Rules:
    """A screen that the route has off counts as it is shipped, where it is asked for all the same."""
    from tierwise.gateway.tables.screen_table import INJECTION, actions, classes
    from tierwise.offline.screening.screen_lines import Rules
    from tierwise.screens.moderation import CATEGORIES

    led, on = actions(table), _on(table)
    allowed = [f"moderation:{name}" for name in CATEGORIES if "moderation" in on and name not in led]
    strict = {name for name, action in led.items() if action in ("block", "human")}
    policies = classes(table) or None
    return Rules(
        limits={f"{screen}:{one}": at for screen in SCORED for one, at in table.thresholds.items()},
        allowed=frozenset(allowed),
        strict=frozenset(
            [
                *(f"injection:{name}" if name == INJECTION else f"moderation:{name}" for name in strict),
                *(f"risk:{one.name}" for one in policies or () if one.floor == "human"),
            ]
        ),
        types=frozenset(table.privacy_types) or None,
        policies=policies,
    )


SCORED = ("moderation", "injection", "risk")  # screens whose classes have thresholds
