"""Commands that work on recorded answers: no gateway, no config, no calls to models."""
# ruff: noqa: PLC0415  rooms are imported where they are used: `tierwise --help` need not load them

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from tierwise.cli.batch import commands as batches
from tierwise.cli.options import JsonOption
from tierwise.cli.show import bar, imported, print_json, stages
from tierwise.cli.training import commands as trainings

commands = typer.Typer()
commands.add_typer(trainings)
commands.add_typer(batches)


@commands.command("import", epilog="Example: tierwise import spend.json --out outcomes.parquet")
def import_(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="Logs, exports, tables.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="The outcomes.", show_default=False)],
    source: Annotated[
        Literal["auto", "litellm", "langfuse", "openai", "jsonl", "csv", "parquet"],
        typer.Option(
            "--from", metavar="KIND", help="auto, litellm, langfuse, openai; or plain tables: jsonl, csv, parquet."
        ),
    ] = "auto",
    bench: Annotated[
        str | None, typer.Option(metavar="NAME", help="A name for all of it.", show_default="the log's, or --out's")
    ] = None,
    score: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of several scores, the one to take.", show_default=False)
    ] = None,
    json: JsonOption = False,
) -> None:
    """Turn logs (LiteLLM, Langfuse, OpenAI, JSONL, CSV, parquet) into outcomes for training and replay."""
    from tierwise.gateway.prices.catalogue import lookup
    from tierwise.offline.imports.importers import Wanted, convert

    with bar("reading") as tell:
        report = convert(files, out, Wanted(source, bench, score), lookup, tell)
    print_json(report) if json else imported(report)


@commands.command(
    epilog="Example: tierwise replay test.parquet --cheap small --premium big --fit labelled.parquet --plot out.png"
)
def replay(
    outcomes: Annotated[Path, typer.Argument(metavar="OUTCOMES", help="Recorded answers.", show_default=False)],
    cheap: Annotated[str, typer.Option(metavar="MODEL", help="The cheap model.", show_default=False)],
    premium: Annotated[str, typer.Option(metavar="MODEL", help="The premium.", show_default=False)],
    opinion: Annotated[
        list[str] | None, typer.Option(metavar="MODEL", help="A second opinion; may be repeated.", show_default=False)
    ] = None,
    fit: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Labelled rows to learn from; without, label-free.", show_default=False),
    ] = None,
    labels: Annotated[
        int | None, typer.Option(metavar="N", help="Learn from N of their queries.", show_default="all")
    ] = None,
    bench: Annotated[str | None, typer.Option(metavar="NAME", help="Only its rows.", show_default="all")] = None,
    unseen_categories: Annotated[
        bool, typer.Option("--unseen-categories", help="Score each row by models of other categories only.")
    ] = False,
    skip_category: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Leave it out; may be repeated.", show_default=False)
    ] = None,
    alpha: Annotated[float, typer.Option(metavar="SHARE", help="The most harm that is certified.")] = 0.03,
    delta: Annotated[float, typer.Option(metavar="SHARE", help="1 - the confidence.")] = 0.05,
    seed: Annotated[int, typer.Option(metavar="N", help="Of splits and intervals.")] = 0,
    json: Annotated[
        Path | None,
        typer.Option("--json", metavar="FILE", help="Write the figures there; - prints them.", show_default=False),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE", help="Draw them, a PNG.", show_default=False)
    ] = None,
) -> None:
    """Play a route over recorded answers: what it keeps, what that costs, what can be certified."""
    from tierwise.cli.results import placed, replayed, write_json
    from tierwise.offline.figures import jsonable
    from tierwise.offline.plot import plot as draw
    from tierwise.offline.replay import Asked
    from tierwise.offline.replay import replay as run

    wanted = Asked(
        outcomes, cheap, premium, tuple(opinion or ()), fit, labels, bench, unseen_categories,
        tuple(skip_category or ()), alpha, delta, seed,
    )  # fmt: skip
    printed = json == Path("-")
    placed(json, plot)
    with stages() as tell:
        report = run(wanted, tell)
    if printed:
        print_json(jsonable(report))
    else:
        replayed(report)
    if json is not None and not printed:
        write_json(jsonable(report), json)
    if plot is not None:
        draw(report, plot)
