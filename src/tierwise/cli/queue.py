"""`tierwise queue`: requests that wait for a person, shown and answered.

What clients wrote is shown as text that can do nothing to a terminal.
"""
# ruff: noqa: PLC0415  rooms are imported where they are used: `tierwise --help` need not load them

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import msgspec
import typer

from tierwise.cli.options import ConfigOption, JsonOption, load_config
from tierwise.cli.reviewing import harmless
from tierwise.cli.show import console, moment, plain, print_json
from tierwise.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tierwise.ports import Desk
    from tierwise.proof import Case

commands = typer.Typer(no_args_is_help=True, help="Requests that wait for a person.")

NAMED, LONGEST, SHOWN = 60, 100_000, 60  # characters of a person's name, of an answer, of a request in the list
T = TypeVar("T")

CaseArgument = Annotated[str, typer.Argument(metavar="ID", help="As `queue list` shows it.", show_default=False)]
ByOption = Annotated[str, typer.Option("--by", metavar="NAME", help="Who answers.", show_default="$USER")]
OnlyRoute = Annotated[
    str, typer.Option("--route", metavar="NAME", help="Only of this route.", show_default="all routes")
]


@commands.command("list", epilog="Example: tierwise queue list --route support")
def list_(
    route: OnlyRoute = "",
    answered: Annotated[bool, typer.Option("--answered", help="Those that have been answered instead.")] = False,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """What waits, the oldest first."""
    found = _at_desk(config, lambda desk: desk.cases(answered=answered, route=route))
    if json:
        print_json([_row(case) for case in found])
    else:
        _table(found, answered)


@commands.command(epilog="Example: tierwise queue show req_18c2f0a1b2c3d4e5")
def show(case_id: CaseArgument, config: ConfigOption = None, json: JsonOption = False) -> None:
    """One case: the conversation, why no model answered, and what a person did."""
    case = _at_desk(config, lambda desk: desk.case(case_id))
    if case is None:
        raise ConfigError(f"{harmless(case_id)}: no such case; `tierwise queue list` shows those that wait")
    if json:
        print_json(_row(case) | {"turns": [msgspec.to_builtins(turn) for turn in case.turns]})
    else:
        _show(case)


@commands.command(epilog='Example: tierwise queue answer req_18c2f0a1b2c3d4e5 --text "I am calling you now." --by ada')
def answer(
    case_id: CaseArgument,
    text: Annotated[str, typer.Option("--text", metavar="TEXT", help="The answer; - reads it from standard input.")],
    by: ByOption = "",
    config: ConfigOption = None,
) -> None:
    """Answer one case. Its client fetches the answer from /v1/cases/ID."""
    said = _checked(sys.stdin.read() if text == "-" else text)
    name = _name(config, by)
    if not _at_desk(config, lambda desk: desk.answer(case_id, said, name, time.time_ns())):
        raise ConfigError(f"{harmless(case_id)}: no such case, or somebody has answered it already")
    console().print(f"Answered {plain(harmless(case_id))} as {plain(name)}")


@commands.command(epilog="Example: tierwise queue work --route support --by ada")
def work(route: OnlyRoute = "", by: ByOption = "", config: ConfigOption = None) -> None:
    """Go through what waits, case by case. Each answer is kept at once; leaving loses nothing."""
    name, screen = _name(config, by), console()
    done = 0
    waiting = _at_desk(config, lambda desk: desk.cases(route=route))
    for place, case in enumerate(waiting, 1):
        screen.print(f"\n[bold]{place} of {len(waiting)}[/]")
        _show(case)
        screen.print("[dim]Your answer, ended by an empty line. s: skip, q: quit[/]")
        said = _typed()
        if said is None:
            break
        if said:
            kept = _answered(config, case.id, said, name)
            done += kept
            screen.print("Kept." if kept else "[yellow]Somebody else has answered it meanwhile.[/]")
    screen.print(f"{done} answered, {len(waiting) - done} left.")


def _answered(config: Path | None, case_id: str, said: str, name: str) -> bool:
    return _at_desk(config, lambda desk: desk.answer(case_id, said, name, time.time_ns()))


def _at_desk(config: Path | None, do: Callable[[Desk], Coroutine[Any, Any, T]]) -> T:
    """What comes of one question to the store's desk. Raises ConfigError, StoreError."""
    from tierwise.gateway.setup.first_run import opened

    settings, environment = load_config(config)

    async def asked() -> T:
        async with opened(settings, environment) as store:
            return await do(store.proof.desk)

    return asyncio.run(asked())


def _name(config: Path | None, by: str) -> str:
    environment = load_config(config)[1]
    return (by or environment.variables.get("USER", "") or "somebody").strip()[:NAMED]


def _checked(text: str) -> str:
    """Raises ConfigError for what is no answer."""
    said = text.strip()
    if not said:
        raise ConfigError("--text is empty; a person who waits for an answer needs one")
    if len(said) > LONGEST:
        raise ConfigError(f"--text has {len(said):,} characters; {LONGEST:,} are the most")
    return said


def _typed() -> str | None:
    """What was typed up to an empty line; "" where the case is skipped, None at the end."""
    lines: list[str] = []
    while True:
        sys.stdout.write("> ")
        sys.stdout.flush()
        line = sys.stdin.readline()
        word = line.strip()
        if not line or (word == "q" and not lines):
            return "\n".join(lines) or None
        if not word or (word == "s" and not lines):
            return "\n".join(lines)
        lines.append(line.rstrip("\n"))


# ------------------------------------------------------------------ what is shown


def _row(case: Case) -> dict[str, object]:
    return {
        "id": case.id,
        "route": case.route,
        "key_id": case.key_id,
        "at": moment(case.at_ns),
        "why": case.why,
        "answer": case.answer or None,
        "by": case.by or None,
        "answered": moment(case.answered_ns) if case.answered_ns else None,
    }


def _table(found: Sequence[Case], answered: bool) -> None:
    from rich.table import Table

    if not found:
        return console().print("Nobody has been answered yet." if answered else "Nobody waits.")
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("id", "since", "route", "why", "last words"):
        table.add_column(column, overflow="fold" if column == "last words" else "ellipsis", no_wrap=column == "id")
    for case in found:
        words = [case.id, moment(case.at_ns)[:16].replace("T", " "), case.route, case.why, _last(case)]
        table.add_row(*[plain(harmless(word)) for word in words])
    return console().print(table)


def _last(case: Case) -> str:
    """The beginning of what the client said last."""
    said = next((turn.text for turn in reversed(case.turns) if turn.role == "user"), "")
    line = " ".join(said.split())
    return line if len(line) <= SHOWN else f"{line[: SHOWN - 3]}..."


def _show(case: Case) -> None:
    screen = console()
    screen.print(f"[bold]{plain(case.id)}[/]  {moment(case.at_ns)}  {plain(case.route)}  {plain(case.why)}")
    for turn in case.turns:
        screen.print(f"[bold cyan]{plain(harmless(turn.role))}[/]")
        screen.print(plain(harmless(turn.text)), soft_wrap=True)
    if case.answered_ns:
        screen.print(f"[bold green]{plain(harmless(case.by))}[/]  {moment(case.answered_ns)}")
        screen.print(plain(harmless(case.answer)), soft_wrap=True)
