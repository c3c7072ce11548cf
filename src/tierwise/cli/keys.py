"""`tierwise keys`: virtual keys, who may use the gateway and for how much."""
# ruff: noqa: PLC0415  rooms are imported where they are used: `tierwise --help` need not load a server

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from tierwise.cli.options import ConfigOption, JsonOption, dollars, load_config
from tierwise.cli.show import console, key_row, key_table, plain, print_json
from tierwise.errors import ConfigError

commands = typer.Typer(no_args_is_help=True, help="Virtual keys: who may use the gateway, and for how much.")


@commands.command(epilog="Example: tierwise keys create --name support-team --budget 25")
def create(
    name: Annotated[str, typer.Option("--name", "-n", metavar="NAME", help="Whose key it is.", show_default=False)],
    config: ConfigOption = None,
    budget: Annotated[
        int | None, typer.Option(metavar="USD", parser=dollars, help="All it may ever spend.", show_default="no limit")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Make a key. It is shown once and kept only as a digest."""
    from tierwise.gateway.first_run import new_key

    settings, environment = load_config(config)
    key, text = asyncio.run(new_key(settings, environment, name, budget))
    if json:
        print_json({"id": key.id, "name": key.name, "key": text, "budget_nanos": key.budget_nanos})
    else:
        console().print(f"{key.id} for {plain(key.name)}, shown only now:\n\n  [bold]{text}[/]\n", soft_wrap=True)


@commands.command("list", epilog="Example: tierwise keys list --json")
def list_(config: ConfigOption = None, json: JsonOption = False) -> None:
    """List the keys, what they may spend and what they have spent."""
    from tierwise.gateway.first_run import key_states

    states = asyncio.run(key_states(load_config(config)[0]))
    if json:
        print_json([key_row(key, posted, held) for key, (posted, held) in states])
    else:
        key_table(states)


@commands.command(epilog="Example: tierwise keys revoke key_0123456789abcdef")
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="As `keys list` shows it.", show_default=False)],
    config: ConfigOption = None,
) -> None:
    """End a key for good. Running gateways refuse it within seconds."""
    from tierwise.gateway.first_run import end_key

    if not asyncio.run(end_key(load_config(config)[0], key_id)):
        raise ConfigError(f"{key_id}: no such live key; `tierwise keys list` shows them")
    console().print(f"Revoked {plain(key_id)}")
