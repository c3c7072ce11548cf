"""`tierwise keys`: virtual keys, who may use the gateway, for how much, and how fast."""
# ruff: noqa: PLC0415  rooms are imported where they are used: `tierwise --help` need not load a server
# ruff: noqa: PLR0913, PLR0917  a command's parameters are its options

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from tierwise.cli.options import ConfigOption, JsonOption, dollars, load_config
from tierwise.cli.show import console, key_row, plain, print_json
from tierwise.errors import ConfigError

if TYPE_CHECKING:
    from tierwise.gateway.access.keys import Standing
    from tierwise.gateway.settings import Config
    from tierwise.money import Key

MayOption = Annotated[
    str | None,
    typer.Option(
        metavar="LIST",
        help="What its requests may ask for by header: premium,tags,session,deadline,explain; none: nothing.",
        show_default="all",
    ),
]
RoutesOption = Annotated[
    str | None,
    typer.Option(
        metavar="LIST", help="Routes and models that there are for it: support,moderation.", show_default="all"
    ),
]
TokensAMinute = Annotated[
    int | None,
    typer.Option(metavar="N", min=1, max=10**12, help="Tokens a minute, in and out.", show_default="no limit"),
]
TokensIn = Annotated[
    int | None, typer.Option(metavar="N", min=1, max=10**12, help="Of these, tokens in.", show_default="no limit")
]
TokensOut = Annotated[
    int | None, typer.Option(metavar="N", min=1, max=10**12, help="Of these, tokens out.", show_default="no limit")
]

commands = typer.Typer(no_args_is_help=True, help="Virtual keys: who may use the gateway, and for how much.")


@commands.command(epilog="Example: tierwise keys create --name support-team --budget 25 --period month --rpm 600")
def create(
    name: Annotated[str, typer.Option("--name", "-n", metavar="NAME", help="Whose key it is.", show_default=False)],
    config: ConfigOption = None,
    budget: Annotated[
        int | None, typer.Option(metavar="USD", parser=dollars, help="All it may spend.", show_default="no limit")
    ] = None,
    budget_tokens: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, max=10**15, help="All tokens it may take, in and out.", show_default="no limit"
        ),
    ] = None,
    period: Annotated[
        Literal["day", "week", "month", "total"],
        typer.Option(help="How often the budget renews, at 00:00 UTC (weeks on Mondays); total: never."),
    ] = "total",
    rpm: Annotated[
        int | None, typer.Option(metavar="N", min=1, max=10**9, help="Requests a minute.", show_default="no limit")
    ] = None,
    tpm: TokensAMinute = None,
    input_tpm: TokensIn = None,
    output_tpm: TokensOut = None,
    streams: Annotated[
        int | None, typer.Option(metavar="N", min=1, max=10**6, help="Requests at once.", show_default="no limit")
    ] = None,
    team: Annotated[
        str,
        typer.Option(metavar="TEAM", help="The team it belongs to, whose budgets bear it too.", show_default="none"),
    ] = "",
    may: MayOption = None,
    routes: RoutesOption = None,
    json: JsonOption = False,
) -> None:
    """Make a key. It is shown once and kept only as a digest."""
    from tierwise.gateway.access.keys import Terms
    from tierwise.gateway.setup.first_run import new_key
    from tierwise.gateway.tables.budget_table import NAMED

    if budget is None and budget_tokens is None and period != "total":
        raise ConfigError(f"--period {period} says how often a budget renews, and there is none; give --budget too")
    if team and not NAMED.fullmatch(team):
        raise ConfigError(f"--team {team!r}: expected 1 to 100 characters, none of them = or :")
    settings, environment = load_config(config)
    limits = (period, rpm, tpm, team, streams, budget_tokens)
    terms = Terms(*limits, *_rights(settings, may, routes), input_tpm, output_tpm)
    key, text = asyncio.run(new_key(settings, environment, name, budget, terms))
    if json:
        print_json({"id": key.id, "name": key.name, "key": text, "budget_nanos": key.budget_nanos} | _terms(key))
        return
    console().print(f"{key.id} for {plain(key.name)}, shown only now:\n\n  [bold]{text}[/]\n", soft_wrap=True)
    workers = settings.server.workers
    if workers > 1 and (rpm or tpm or input_tpm or output_tpm or streams):
        each = (
            f"each of the {workers} workers grants it the whole of its limits, all together up to {workers} times that"
        )
        console().print(f"[yellow]note:[/] {each}", soft_wrap=True)


@commands.command("list", epilog="Example: tierwise keys list --json")
def list_(config: ConfigOption = None, json: JsonOption = False) -> None:
    """List the keys: what each has spent, its budget and when that renews, and its limits a minute."""
    from tierwise.gateway.setup.first_run import key_standings

    found = asyncio.run(key_standings(load_config(config)[0]))
    if json:
        print_json([_row(standing) for standing in found])
    else:
        _table(found)


@commands.command(epilog="Example: tierwise keys revoke key_0123456789abcdef")
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="As `keys list` shows it.", show_default=False)],
    config: ConfigOption = None,
) -> None:
    """End a key for good. Running gateways refuse it within seconds."""
    from tierwise.gateway.setup.first_run import end_key

    if not asyncio.run(end_key(load_config(config)[0], key_id)):
        raise ConfigError(f"{key_id}: no such live key; `tierwise keys list` shows them")
    console().print(f"Revoked {plain(key_id)}")


def _terms(key: Key) -> dict[str, object]:
    from tierwise.gateway.access.keys import budget_period

    return {
        "budget_tokens": key.budget_tokens,
        "period": budget_period(key),
        "rpm": key.rpm,
        "tpm": key.tpm,
        "input_tpm": key.input_tpm,
        "output_tpm": key.output_tpm,
        "streams": key.streams,
        "team": key.team,
        "may": None if key.may is None else key.may.split(",") if key.may else [],
        "routes": None if key.routes is None else key.routes.split(","),
    }


def _rights(config: Config, may: str | None, routes: str | None) -> tuple[str | None, str | None]:
    """As the store keeps them. Raises ConfigError."""
    from tierwise.gateway.screening.moderations import NAME
    from tierwise.money import RIGHTS

    rights = "" if may == "none" else None if may is None else _listed("--may", may, RIGHTS)
    known = (*config.routes, *config.models, NAME)
    return rights, None if routes is None else _listed("--routes", routes, known)


def _listed(option: str, text: str, known: Sequence[str]) -> str:
    """Names with commas between them, each once. Raises ConfigError for one that there is not."""
    names = list(dict.fromkeys(name.strip() for name in text.split(",")))
    strange = [repr(name) for name in names if name not in known]
    if strange:
        raise ConfigError(f"{option}: {', '.join(strange)} is none of {', '.join(known)}")
    return ",".join(names)


def _row(standing: Standing) -> dict[str, object]:
    from tierwise.core.window import iso

    window = standing.window
    return {
        **key_row(standing.key, standing.posted, standing.held),
        **_terms(standing.key),
        "period_spent_nanos": standing.window_posted,
        "period_held_nanos": standing.window_held,
        "period_tokens": standing.window_tokens,
        "renews": None if window is None else iso(window.end_ns),
    }


def _table(found: Sequence[Standing]) -> None:
    """Two lines a key: the second has how it is recognised, when it was made, what it has spent in all, ..."""
    from rich.table import Table

    from tierwise.core.window import iso

    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold")
    for title in ("key", "name", "spent (in all)", "budget", "limits"):
        right = title.startswith("spent")
        table.add_column(title, justify="right" if right else "left", overflow="fold", no_wrap=title == "key")
    for standing in found:
        key = standing.key
        named = plain(key.name) + (" [red](revoked)[/]" if key.revoked_ns is not None else "")
        made = f"\n[dim]{iso(key.created_ns)[:10]}[/]" + (f"\n[dim]team {plain(key.team)}[/]" if key.team else "")
        ways = ((key.input_tpm, "tpm in"), (key.output_tpm, "tpm out"))
        told = ((key.rpm, "rpm"), (key.tpm, "tpm"), *ways, (key.streams, "at once"))
        limits = [f"{limit:,} {what}" for limit, what in told if limit is not None]
        limits += [f"may: {key.may or 'nothing'}"] if key.may is not None else []
        limits += [f"routes: {plain(key.routes)}"] if key.routes is not None else []
        row = (f"{key.id}\n[dim]{key.prefix}...[/]", named + made)
        table.add_row(*row, *_budget(standing), "\n".join(limits) or "-")
    console().print(table if found else "No keys. `tierwise keys create --name NAME` makes one.")


def _budget(standing: Standing) -> tuple[str, str]:
    """What is spent of a key's budget, and the budget; each in lines that stand beside each other."""
    from tierwise.core.window import iso

    key, window = standing.key, standing.window
    spent = [_usd(standing.window_posted)]
    budget = ["-" if key.budget_nanos is None else f"{_usd(key.budget_nanos)} {key.period}"]
    if key.budget_tokens is not None:
        spent.append(f"{standing.window_tokens:,} tokens")
        budget.append(f"{key.budget_tokens:,} tokens {key.period}")
    if window is not None:
        spent.append(f"[dim]({_usd(standing.posted)})[/]")
        budget.append(f"[dim]renews {iso(window.end_ns)[:10]}[/]")
    return "\n".join(spent), "\n".join(budget)


def _usd(nanos: int) -> str:
    """Dollars with six digits: the last is a thousand nano-dollars."""
    return f"${nanos / 1e9:.6f}"
