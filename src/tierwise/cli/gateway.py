"""Commands that set the gateway up, run it and ask it."""
# ruff: noqa: PLC0415  rooms are imported where they are used: `tierwise --help` need not load a server

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
import typer

from tierwise import __version__
from tierwise.cli.door import DONE, FOUND
from tierwise.cli.drive import commands as driving
from tierwise.cli.examples import write as write_example
from tierwise.cli.options import ConfigOption, HostOption, JsonOption, PortOption, load_config, place
from tierwise.cli.show import bars, console, print_json, report, say, welcome
from tierwise.errors import ConfigError

if TYPE_CHECKING:
    from tierwise.gateway.settings import Config

commands = typer.Typer()
commands.add_typer(driving)


@commands.command(epilog="Example: tierwise serve --config tierwise.toml --port 8080")
def serve(config: ConfigOption = None, host: HostOption = None, port: PortOption = None) -> None:
    """Start the gateway. SIGHUP has it read the config anew while it serves, SIGTERM lets what runs come to its end."""
    from tierwise.gateway.serve import serve as run

    settings, environment = load_config(config)
    run(_listening(settings, host, port), environment, lambda url: console().print(f"Serving on {url}"))


@commands.command(epilog="Example: tierwise up --config tierwise.toml --port 8080")
def up(config: ConfigOption = None, host: HostOption = None, port: PortOption = None) -> None:
    """Set everything up that is missing (config, local models, first key), then start the gateway."""
    from tierwise.gateway.serve import serve as run
    from tierwise.gateway.setup.first_run import ensure_config, fetch_missing, first_key

    path, environment = place(config)
    settings, written = ensure_config(path, environment)
    console().print(f"{'Wrote' if written else 'Config:'} {path}", soft_wrap=True)
    with bars() as progress:
        fetch_missing(settings, environment, progress)
    key = asyncio.run(first_key(settings, environment))
    if key:
        console().print(f"\nYour first API key, shown only now:\n\n  [bold]{key}[/]\n", soft_wrap=True)
    run(_listening(settings, host, port), environment, lambda url: welcome(url, key, _route(settings)))


@commands.command(epilog='Example: tierwise ask "Is 1,001 a prime number?" --route default')
def ask(
    text: Annotated[str, typer.Argument(help="The question.", show_default=False)],
    route: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="A route, or a model; else the route `default`.", show_default=False),
    ] = None,
    config: ConfigOption = None,
    stream: Annotated[bool, typer.Option("--stream", help="As a stream.")] = False,
    mode: Annotated[
        Literal["premium"] | None, typer.Option(help="Straight to the premium.", show_default=False)
    ] = None,
    json: JsonOption = False,
) -> None:
    """Send one request and show the decision trail: draft, checks, who answered, what it cost."""
    from tierwise.gateway.ask import ask as run
    from tierwise.gateway.ask import show

    settings, environment = load_config(config)
    if route is not None:
        _known(settings, route)
    story = run(settings, environment, text, route, mode=mode, write=say if stream and not json else None)
    if json:
        return print_json(story)
    say("\n" if stream else f"{story.text}\n")
    return show(story, console(stderr=True))


@commands.command(epilog="Example: tierwise init --config tierwise.toml")
def init(
    config: ConfigOption = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a config that is there.")] = False,
    example: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="One that runs as it is: support, moderation, filter.", show_default=False),
    ] = None,
) -> None:
    """Write a starter config: hosted models where a provider's key is set, else two local ones. Or an example."""
    from tierwise.gateway.setup.starter import starter, write

    path, environment = place(config)
    if example is not None:
        return write_example(example, path, force=force)
    write(path, starter(environment), force=force)
    return console().print(f"Wrote {path}. Next: tierwise doctor --config {path}", soft_wrap=True)


@commands.command(epilog="Example: tierwise doctor --config tierwise.toml --fetch")
def doctor(
    config: ConfigOption = None,
    fetch: Annotated[bool, typer.Option("--fetch", help="Fetch the local models' weights first.")] = False,
    json: JsonOption = False,
) -> None:
    """Say what is missing and how to get it. Exit code 1 if the gateway can't serve as it is."""
    from tierwise.gateway.setup.doctor import examine, failed
    from tierwise.gateway.setup.first_run import fetch_missing

    path, environment = place(config)
    if fetch:
        with bars() as progress:
            fetch_missing(load_config(config)[0], environment, progress)
    findings = examine(path, environment)
    print_json(findings) if json else report(findings, f"tierwise serve --config {path}")
    raise typer.Exit(FOUND if failed(findings) else DONE)


@commands.command(epilog="Example: tierwise version")
def version() -> None:
    """Print the version."""
    sys.stdout.write(f"tierwise {__version__}\n")


def _listening(config: Config, host: str | None, port: int | None) -> Config:
    changes = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    return msgspec.structs.replace(config, server=msgspec.structs.replace(config.server, **changes))


def _known(config: Config, name: str) -> None:
    """Raises ConfigError for what is neither a route nor a model."""
    names = [*config.routes, *config.models]
    if names and name not in names:
        raise ConfigError(f"{config.path}: no route or model {name!r}; it has {', '.join(names)}")


def _route(config: Config) -> str:
    """What a request asks for that names no route."""
    return "default" if "default" in config.routes else next(iter(config.routes or config.models), "default")
