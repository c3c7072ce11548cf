"""Options that several commands share, and the config that they lead to."""
# ruff: noqa: PLC0415  rooms are imported where they are used: `tierwise --help` need not load a server

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tierwise.gateway.settings import Config, Environment

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", metavar="FILE", help="The config file.", show_default="$TIERWISE_CONFIG, or tierwise.toml"
    ),
]
RouteOption = Annotated[str, typer.Option(metavar="NAME", help="A route of the config.", show_default=False)]
AlphaOption = Annotated[
    float | None, typer.Option(metavar="SHARE", help="The most harm.", show_default="the route's max_harm")
]
DeltaOption = Annotated[
    float | None, typer.Option(metavar="SHARE", help="1 - the confidence.", show_default="the route's")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
HostOption = Annotated[str | None, typer.Option(metavar="HOST", help="Instead of the config's.", show_default=False)]
PortOption = Annotated[
    int | None, typer.Option(metavar="PORT", help="Instead of the config's.", show_default=False, min=0, max=65_535)
]


def dollars(text: str) -> int:
    """Nano-dollars."""
    try:
        usd = Decimal(text)
    except InvalidOperation as error:
        raise typer.BadParameter("expected an amount in USD, such as 5 or 0.50") from error
    if not (usd.is_finite() and 0 <= usd <= 1_000_000_000):
        raise typer.BadParameter("expected an amount from 0 to 1000000000 USD")
    return int(usd * 1_000_000_000)


def place(config: Path | None) -> tuple[Path, Environment]:
    from tierwise.gateway.settings import read_environment

    environment = read_environment()
    return config or environment.config, environment


def load_config(config: Path | None) -> tuple[Config, Environment]:
    from tierwise.gateway.settings import load

    path, environment = place(config)
    return load(path, environment.variables), environment
