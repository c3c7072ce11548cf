"""`tierwise prices`: what models cost, where that is from, and lists of an operator's own."""
# ruff: noqa: PLC0415  rooms are imported where they are used: `tierwise --help` need not load a server

from __future__ import annotations

import time
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tierwise.cli.door import FOUND
from tierwise.cli.options import ConfigOption, JsonOption, load_config, place
from tierwise.cli.show import console, plain, print_json
from tierwise.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tierwise.gateway.prices.price_diff import Change
    from tierwise.gateway.prices.price_lists import Entry, Period
    from tierwise.gateway.prices.priced import Priced
    from tierwise.gateway.settings import Config

commands = typer.Typer(no_args_is_help=True, help="What models cost, and where that is from.")


def day(text: str) -> int:
    """Unix seconds of the first moment of a day, or of a time, in UTC."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter("expected a day like 2026-11-28, or a time like 2026-11-28T16:00") from error
    return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp())


AtOption = Annotated[
    int | None,
    typer.Option("--at", metavar="DATE", parser=day, help="As of this day or time, UTC.", show_default="now"),
]


@commands.command(epilog="Example: tierwise prices check --json")
def check(config: ConfigOption = None, at: AtOption = None, json: JsonOption = False) -> None:
    """Say what each configured model costs, by whom, and when that was checked. Exit code 1 where one is unknown."""
    from tierwise.gateway.prices.priced import priced

    found = priced(load_config(config)[0], int(time.time()) if at is None else at)
    if json:
        print_json(found)
    else:
        _checked(found)
    if any(model.price is None for model in found):
        raise typer.Exit(FOUND)


@commands.command(epilog="Example: tierwise prices show deepseek-flash --at 2026-09-01")
def show(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="The provider's name for it, or the config's.", show_default=False)
    ],
    config: ConfigOption = None,
    at: AtOption = None,
    json: JsonOption = False,
) -> None:
    """Show all that the price lists say of a model: rates, long inputs, service tiers, hours, dates, source."""
    from tierwise.gateway.prices.priced import listed

    found = listed(model, _settings(config))
    if not found:
        raise ConfigError(
            f"{model}: in no price list under this name; a list has the names that providers use (gpt-4o, "
            "openai/gpt-4o), or name a model of the config"
        )
    moment = int(time.time()) if at is None else at
    if json:
        print_json([{"entry": entry, "holds": entry.at(moment)} for entry in found])
        return
    for entry in found:
        _shown(entry, moment)


@commands.command(epilog="Example: tierwise prices diff old.json prices.json --json")
def diff(
    old: Annotated[
        Path, typer.Argument(metavar="OLD", help="A price list, LiteLLM's JSON or CSV.", show_default=False)
    ],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="Another one.", show_default=False)],
    at: AtOption = None,
    json: JsonOption = False,
) -> None:
    """Compare two price files as of a day. Exit code 1 if they differ."""
    from tierwise.gateway.prices.price_diff import diff as compared
    from tierwise.gateway.prices.price_import import read_prices

    moment = int(time.time()) if at is None else at
    changes = compared(read_prices(old).prices, read_prices(new).prices, moment)
    if json:
        print_json(changes)
    else:
        _compared(changes)
    if changes:
        raise typer.Exit(FOUND)


@commands.command("import", epilog="Example: tierwise prices import litellm.json --out prices.json")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="LiteLLM's model prices, or CSV.", show_default=False)],
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where the list goes.")] = Path("prices.json"),
    checked: Annotated[
        str | None,
        typer.Option(metavar="DATE", help="When you compared it with the providers' pages.", show_default="not said"),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Write a price list, which a config can name under `overlays` of its table `prices`."""
    from tierwise.gateway.prices.price_import import read_prices
    from tierwise.gateway.prices.price_lists import render

    on = None if checked is None else datetime.fromtimestamp(day(checked), UTC).date()
    found = read_prices(file, on)
    try:
        out.write_bytes(render(found.prices))
    except OSError as error:
        raise ConfigError(f"{out}: can't be written: {error.strerror}") from error
    if json:
        print_json({"out": str(out), "models": len(found.prices.models), "left_out": found.left_out})
        return
    screen = console()
    screen.print(f"{len(found.prices.models)} models in {plain(str(out))}", soft_wrap=True)
    for reason, count in found.left_out.items():
        screen.print(f"[yellow]left out, {count} times:[/] {plain(reason)}", soft_wrap=True)
    screen.print(
        f'Name it in the config to use it: [bold]\\[prices] overlays = \\["{plain(out.name)}"][/]', soft_wrap=True
    )


def _settings(config: Path | None) -> Config | None:
    """The config, where there is one: `show` works without."""
    path, _ = place(config)
    return load_config(config)[0] if config is not None or path.exists() else None


def _compared(changes: Sequence[Change]) -> None:
    if not changes:
        console().print("The same prices.")
        return
    rows = [(_whose(change), change.what, change.old or "-", change.new or "-") for change in changes]
    _table(("model", "rate", "old", "new"), rows, right=2)
    console().print(f"{len(changes)} difference{'s' if len(changes) > 1 else ''}; USD per million tokens")


def _whose(change: Change) -> str:
    return f"{change.provider} {change.model}" + (f" at {change.host}" if change.host else "")


def _checked(found: Sequence[Priced]) -> None:
    rows = []
    for model in found:
        if model.price is None:
            rows.append((model.name, model.model, "[red]unknown[/]", "", "", ""))
            continue
        read = "-" if model.checked is None else model.checked.isoformat()
        rows.append((model.name, model.model, _usd(model.price.input), _usd(model.price.output), model.source, read))
    _table(("name", "model", "in", "out", "source", "checked"), rows, right=2, marked=True)
    screen = console()
    unknown = [model for model in found if model.price is None]
    for model in unknown:
        screen.print(
            f"\n[red]{plain(model.name)}: no price is known.[/] It counts as the dearest known model, "
            f"{_usd(model.counts_as.input)} in and {_usd(model.counts_as.output)} out. Set `price` under "
            f"\\[models.{plain(model.name)}], or name a list of your own under \\[prices].",
            soft_wrap=True,
        )
    if not unknown:
        screen.print("\nEvery price is known.")
    screen.print(
        "USD per million tokens, for a short input at the dearest hour in the standard service.", soft_wrap=True
    )
    varies = [model.name for model in found if model.varies]
    if varies:
        screen.print(f"Others are listed for {plain(', '.join(varies))}: `tierwise prices show NAME`", soft_wrap=True)


def _shown(entry: Entry, moment: int) -> None:
    from tierwise.gateway.prices.price_diff import rates

    screen = console()
    where = f" at {entry.host}" if entry.host else ""
    screen.print(f"[bold]{plain(entry.name)}[/] of {entry.provider}{plain(where)}", soft_wrap=True)
    period = entry.at(moment)
    if period is None:
        screen.print("[yellow]No price for that moment is known.[/]")
    else:
        _table(("USD per million tokens", ""), rates(period).items(), right=1)
        screen.print(f"{_span(period)}; source: {plain(period.source)}; {_read(period.checked)}", soft_wrap=True)
        if period.note:
            screen.print(plain(period.note), soft_wrap=True)
    others = [other for other in entry.periods if other is not period]
    for other in others:
        screen.print(f"[dim]{_span(other)}: {other.input:f} in, {other.output:f} out[/]", soft_wrap=True)


def _span(period: Period) -> str:
    start = "since it was listed" if period.valid_from is None else f"from {_moment(period.valid_from)}"
    return start if period.valid_to is None else f"{start} until {_moment(period.valid_to)}"


def _moment(when: datetime) -> str:
    return f"{when:%Y-%m-%d}" if (when.hour, when.minute) == (0, 0) else f"{when:%Y-%m-%d %H:%M} UTC"


def _read(checked: date | None) -> str:
    return "no day of a check is known" if checked is None else f"checked {checked}"


def _usd(pico: int) -> str:
    return f"${pico / 1_000_000:.6f}".rstrip("0").rstrip(".")


def _table(titles: tuple[str, ...], rows: Iterable[tuple[str, ...]], *, right: int, marked: bool = False) -> None:
    """Columns from `right` on that hold numbers are aligned to their right end; cells are plain unless `marked`."""
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for place_of, title in enumerate(titles):
        number = right <= place_of and title not in {"source", "checked"}
        table.add_column(title, justify="right" if number else "left", overflow="fold")
    for row in rows:
        table.add_row(*(cell if marked and cell.startswith("[red]") else plain(cell) for cell in row))
    console().print(table)
