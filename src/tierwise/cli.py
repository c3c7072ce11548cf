"""The `tierwise` command: each verb calls a room of the gateway and shows what came of it.

Knows how to print, and nothing of how anything is done. Rooms are imported where they are used: `tierwise --help` need
not load a server.
"""
# ruff: noqa: PLC0415  see above

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from typer.core import TyperGroup

from tierwise import __version__
from tierwise.errors import ConfigError, TierwiseError

if TYPE_CHECKING:
    from rich.console import Console

    from tierwise.gateway.doctor import Finding
    from tierwise.gateway.first_run import Progress
    from tierwise.gateway.settings import Config, Environment
    from tierwise.types import Key

_DONE, _FOUND, _ERROR = 0, 1, 2  # exit codes


class Door(TyperGroup):
    """The outer door: an error of ours is a red line and exit code 2, never a traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except TierwiseError as error:
            for problem in error.problems if isinstance(error, ConfigError) else [error.message]:
                _console(stderr=True).print(f"[bold red]error:[/] {_plain(problem)}", soft_wrap=True)
            raise typer.Exit(_ERROR) from error


app = typer.Typer(
    cls=Door,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="A gateway for large language models: cheap first, premium when it must be, and proof.",
)
keys = typer.Typer(no_args_is_help=True, help="Virtual keys: who may use the gateway, and for how much.")
app.add_typer(keys, name="keys")


def _dollars(text: str) -> int:
    """Nano-dollars."""
    try:
        usd = Decimal(text)
    except InvalidOperation as error:
        raise typer.BadParameter("expected an amount in USD, such as 5 or 0.50") from error
    if not (usd.is_finite() and 0 <= usd <= 1_000_000_000):
        raise typer.BadParameter("expected an amount from 0 to 1000000000 USD")
    return int(usd * 1_000_000_000)


ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", metavar="FILE", help="The config file.", show_default="$TIERWISE_CONFIG, or tierwise.toml"
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
HostOption = Annotated[str | None, typer.Option(metavar="HOST", help="Instead of the config's.", show_default=False)]
PortOption = Annotated[
    int | None, typer.Option(metavar="PORT", help="Instead of the config's.", show_default=False, min=0, max=65_535)
]


@app.command(epilog="Example: tierwise serve --config tierwise.toml --port 8080")
def serve(config: ConfigOption = None, host: HostOption = None, port: PortOption = None) -> None:
    """Start the gateway."""
    from tierwise.gateway.serve import serve as run

    settings, environment = _load(config)
    run(_listening(settings, host, port), environment, lambda url: _console().print(f"Serving on {url}"))


@app.command(epilog="Example: tierwise up --config tierwise.toml --port 8080")
def up(config: ConfigOption = None, host: HostOption = None, port: PortOption = None) -> None:
    """Set everything up that is missing (config, local models, first key), then start the gateway."""
    from tierwise.gateway.first_run import ensure_config, fetch_missing, first_key
    from tierwise.gateway.serve import serve as run

    path, environment = _place(config)
    settings, written = ensure_config(path, environment)
    _console().print(f"{'Wrote' if written else 'Config:'} {path}", soft_wrap=True)
    with _bars() as progress:
        fetch_missing(settings, environment, progress)
    key = asyncio.run(first_key(settings, environment))
    if key:
        _console().print(f"\nYour first API key, shown only now:\n\n  [bold]{key}[/]\n", soft_wrap=True)
    run(_listening(settings, host, port), environment, lambda url: _welcome(url, key, _route(settings)))


@app.command(epilog='Example: tierwise ask "Is 1,001 a prime number?" --route default')
def ask(
    text: Annotated[str, typer.Argument(help="The question.", show_default=False)],
    route: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="A route, or a model; else the route `default`.", show_default=False),
    ] = None,
    config: ConfigOption = None,
    stream: Annotated[bool, typer.Option("--stream", help="As a stream.")] = False,
    mode: Annotated[
        str | None, typer.Option(metavar="premium", help="Straight to the premium.", show_default=False)
    ] = None,
    json: JsonOption = False,
) -> None:
    """Send one request and show the decision trail: draft, checks, who answered, what it cost."""
    from tierwise.gateway.ask import ask as run
    from tierwise.gateway.ask import show

    settings, environment = _load(config)
    story = run(settings, environment, text, route, mode=mode, write=_say if stream and not json else None)
    if json:
        return _json(story)
    _say("\n" if stream else f"{story.text}\n")
    return show(story, _console(stderr=True))


@app.command(epilog="Example: tierwise init --config tierwise.toml")
def init(
    config: ConfigOption = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a config that is there.")] = False,
) -> None:
    """Write a starter config: hosted models where a provider's key is set, else two local ones."""
    from tierwise.gateway.starter import starter, write

    path, environment = _place(config)
    write(path, starter(environment), force=force)
    _console().print(f"Wrote {path}. Next: tierwise doctor --config {path}", soft_wrap=True)


@app.command(epilog="Example: tierwise doctor --config tierwise.toml --fetch")
def doctor(
    config: ConfigOption = None,
    fetch: Annotated[bool, typer.Option("--fetch", help="Fetch the local models' weights first.")] = False,
    json: JsonOption = False,
) -> None:
    """Say what is missing and how to get it. Exit code 1 if the gateway can't serve as it is."""
    from tierwise.gateway.doctor import examine, failed
    from tierwise.gateway.first_run import fetch_missing

    path, environment = _place(config)
    if fetch:
        with _bars() as progress:
            fetch_missing(_load(config)[0], environment, progress)
    findings = examine(path, environment)
    _json(findings) if json else _report(findings, f"tierwise serve --config {path}")
    raise typer.Exit(_FOUND if failed(findings) else _DONE)


@app.command(epilog="Example: tierwise version")
def version() -> None:
    """Print the version."""
    sys.stdout.write(f"tierwise {__version__}\n")


# ------------------------------------------------------------------ keys


@keys.command(epilog="Example: tierwise keys create --name support-team --budget 25")
def create(
    name: Annotated[str, typer.Option("--name", "-n", metavar="NAME", help="Whose key it is.", show_default=False)],
    config: ConfigOption = None,
    budget: Annotated[
        int | None, typer.Option(metavar="USD", parser=_dollars, help="All it may ever spend.", show_default="no limit")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Make a key. It is shown once and kept only as a digest."""
    from tierwise.gateway.first_run import new_key

    settings, environment = _load(config)
    key, text = asyncio.run(new_key(settings, environment, name, budget))
    if json:
        _json({"id": key.id, "name": key.name, "key": text, "budget_nanos": key.budget_nanos})
    else:
        _console().print(f"{key.id} for {_plain(key.name)}, shown only now:\n\n  [bold]{text}[/]\n", soft_wrap=True)


@keys.command("list", epilog="Example: tierwise keys list --json")
def list_(config: ConfigOption = None, json: JsonOption = False) -> None:
    """List the keys, what they may spend and what they have spent."""
    from tierwise.gateway.first_run import key_states

    states = asyncio.run(key_states(_load(config)[0]))
    if json:
        _json([_key_row(key, posted, held) for key, (posted, held) in states])
    else:
        _key_table(states)


@keys.command(epilog="Example: tierwise keys revoke key_0123456789abcdef")
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="As `keys list` shows it.", show_default=False)],
    config: ConfigOption = None,
) -> None:
    """End a key for good. Running gateways refuse it within seconds."""
    from tierwise.gateway.first_run import end_key

    if not asyncio.run(end_key(_load(config)[0], key_id)):
        raise ConfigError(f"{key_id}: no such live key; `tierwise keys list` shows them")
    _console().print(f"Revoked {_plain(key_id)}")


# ------------------------------------------------------------------ where things are


def _place(config: Path | None) -> tuple[Path, Environment]:
    from tierwise.gateway.settings import read_environment

    environment = read_environment()
    return config or environment.config, environment


def _load(config: Path | None) -> tuple[Config, Environment]:
    from tierwise.gateway.settings import load

    path, environment = _place(config)
    return load(path, environment.variables), environment


def _listening(config: Config, host: str | None, port: int | None) -> Config:
    changes = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    return msgspec.structs.replace(config, server=msgspec.structs.replace(config.server, **changes))


def _route(config: Config) -> str:
    """What a request asks for that names no route."""
    return "default" if "default" in config.routes else next(iter(config.routes or config.models), "default")


# ------------------------------------------------------------------ what is shown


def _console(*, stderr: bool = False) -> Console:
    from rich.console import Console

    return Console(stderr=stderr, highlight=False)


def _say(text: str) -> None:
    """An answer's text as it is: models write what looks like markup."""
    sys.stdout.write(text)
    sys.stdout.flush()


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(text)


def _json(value: object) -> None:
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n")


def _report(findings: Sequence[Finding], then: str) -> None:
    from rich.table import Table

    marks: Mapping[str, str] = {"ok": "[green]ok[/]", "warn": "[yellow]warn[/]", "fail": "[bold red]fail[/]"}
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for column in ("level", "what", "detail"):
        table.add_column(column, no_wrap=column == "level", overflow="fold")
    for finding in findings:
        remedy = f"\n[cyan]-> {_plain(finding.remedy)}[/]" if finding.remedy else ""
        table.add_row(marks[finding.level], _plain(finding.what), _plain(finding.detail) + remedy)
    console = _console()
    console.print(table)
    failed = sum(finding.level == "fail" for finding in findings)
    console.print(f"\n[red]{failed} to mend.[/]" if failed else f"\nReady: {_plain(then)}", soft_wrap=True)


def _key_row(key: Key, posted: int, held: int) -> dict[str, object]:
    return {
        "id": key.id,
        "name": key.name,
        "prefix": key.prefix,
        "created": _moment(key.created_ns),
        "revoked": _moment(key.revoked_ns) if key.revoked_ns is not None else None,
        "budget_nanos": key.budget_nanos,
        "spent_nanos": posted,
        "held_nanos": held,
    }


def _key_table(states: Sequence[tuple[Key, tuple[int, int]]]) -> None:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for title in ("id", "name", "key", "made", "spent", "budget"):
        table.add_column(title, justify="right" if title in ("spent", "budget") else "left", overflow="fold")
    for key, (posted, _) in states:
        budget = "-" if key.budget_nanos is None else _usd(key.budget_nanos)
        state = " [red](revoked)[/]" if key.revoked_ns is not None else ""
        made = _moment(key.created_ns)[:10]
        table.add_row(key.id, _plain(key.name) + state, f"{key.prefix}...", made, _usd(posted), budget)
    _console().print(table if states else "No keys. `tierwise keys create --name NAME` makes one.")


def _moment(at_ns: int) -> str:
    return datetime.fromtimestamp(at_ns // 1_000_000_000, tz=UTC).isoformat().replace("+00:00", "Z")


def _usd(nanos: int) -> str:
    """Dollars with six digits: the last is a thousand nano-dollars."""
    return f"${nanos / 1e9:.6f}"


def _welcome(base_url: str, key: str | None, route: str) -> None:
    bearer = key or "$TIERWISE_API_KEY"
    note = "" if key else "TIERWISE_API_KEY: a key of yours, or a new one from `tierwise keys create --name NAME`\n"
    _console().print(
        f"Base URL for any OpenAI SDK: [bold]{base_url}[/]\n{note}Try it:\n\n"
        f"curl {base_url}/chat/completions \\\n"
        f'  -H "Authorization: Bearer {bearer}" \\\n'
        '  -H "Content-Type: application/json" \\\n'
        f'  -d \'{{"model": "{route}", "messages": \\[{{"role": "user", "content": "Say hello."}}]}}\'\n',
        soft_wrap=True,
    )


@contextmanager
def _bars() -> Iterator[Progress]:
    """A progress bar a model, made when the first bytes come."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(bar_width=20), DownloadColumn(), TransferSpeedColumn())
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=_console(stderr=True)) as bars:

        def tell(model: str, done: int, total: int | None, what: str) -> None:
            if model not in tasks:
                tasks[model] = bars.add_task(model, total=None)
            bars.update(tasks[model], completed=done, total=total, description=f"{model}: {what}")

        yield tell
