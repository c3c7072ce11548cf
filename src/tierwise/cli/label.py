"""Commands about labels: people compare answers in the terminal, and a route's own traffic becomes outcomes."""
# ruff: noqa: PLC0415  rooms are imported where they are used: `tierwise --help` need not load them

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
import typer

from tierwise.cli.options import ConfigOption, JsonOption, RouteOption, load_config
from tierwise.cli.results import placed
from tierwise.cli.reviewing import review
from tierwise.cli.show import console, plain, print_json
from tierwise.cli.stored import rows, shelf, told

if TYPE_CHECKING:
    from tierwise.offline.review import Task, Word
    from tierwise.types import Route

commands = typer.Typer()

NAMED = 60  # characters of a reviewer's name at the most


@commands.command(epilog="Example: tierwise label --route support --reviewer ada")
def label(
    route: RouteOption,
    reviewer: Annotated[
        str, typer.Option(metavar="NAME", help="Who labels; kept with each label.", show_default="$USER")
    ] = "",
    limit: Annotated[
        int | None, typer.Option(metavar="N", help="Pairs of this session.", min=1, show_default="all that are left")
    ] = None,
    order: Annotated[
        Literal["random", "doubtful"],
        typer.Option(help="random: what certificates need; doubtful: where the verifier is unsure."),
    ] = "random",
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Compare drafts with premium's answers, blind. With --json only count what there is to compare."""
    from tierwise.cli.stored import route_named
    from tierwise.offline.review import label as made
    from tierwise.offline.review import pairs, queue, tasks

    settings, environment = load_config(config)
    name = (reviewer or environment.variables.get("USER", "") or "reviewer").strip()[:NAMED]
    served = route_named(settings, environment, route)
    with shelf(settings) as store:
        gathered = store.gathered(route)
        found = pairs(gathered, served)
        left = tasks(found, gathered.labels, name, order, limit)
        counts = queue(found, left, gathered.labels, name)

        def keep(task: Task, word: Word) -> None:
            store.keep(made(task, word, name, time.time_ns()))

        if json:
            return print_json(counts)
        if not left:
            return console().print(_nothing(served, counts.pairs), soft_wrap=True)
        done = review(left, console(), keep, counts.labelled)
    return console().print(
        f"{done:,} kept, as labels of {plain(name)}. The next session goes on from here; [bold]tierwise certify "
        f"--route {plain(route)}[/] takes them.",
        soft_wrap=True,
    )


def _nothing(route: Route, pairs: int) -> str:
    if pairs:
        return (
            f"Nothing is left: all pairs of [bold]{plain(route.name)}[/] in this order are labelled ({pairs:,} in all)."
        )
    why = "its gateway has drawn none yet that takes people to compare"
    if not route.keep_days:
        why = "keep_days = 0 in the config, so no texts are kept"
    return f"There is nothing to compare on [bold]{plain(route.name)}[/]: {why}."


@commands.command(epilog="Example: tierwise outcomes --route support --out support.parquet")
def outcomes(
    route: RouteOption,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="The outcomes.", show_default=False)],
    config: ConfigOption = None,
    unlabelled: Annotated[
        Literal["refuse", "harm", "leave-out"],
        typer.Option(help="Rows without a label: refuse where many; count as harm; leave out (not to certify by)."),
    ] = "refuse",
    json: JsonOption = False,
) -> None:
    """Write the requests that the gateway drew, with their answers and labels, for replay and training."""
    from tierwise.offline.outcomes import write
    from tierwise.offline.stored import labelled

    where = load_config(config)
    placed(out)
    served, found = rows(where, route)
    chosen = labelled(found, served, unlabelled)
    write(chosen.frame, out)
    if json:
        return print_json({"out": str(out)} | msgspec.to_builtins(chosen.counts))
    told(chosen.counts, chosen.judge)
    lost = unlabelled == "leave-out" and chosen.counts.unlabelled
    not_by = " [yellow]Do not certify by it[/]: what is left out may be the harder part." if lost else ""
    return console().print(f"Wrote {plain(str(out))}.{not_by}", soft_wrap=True)
