"""Commands that work on recorded answers: no gateway, no config, no calls to models."""
# ruff: noqa: PLC0415  rooms are imported where they are used: `tierwise --help` need not load them

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from tierwise.cli.options import JsonOption
from tierwise.cli.show import bar, imported, print_json

commands = typer.Typer()


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
    from tierwise.gateway.catalogue import lookup
    from tierwise.offline.importers import Wanted, convert

    with bar("reading") as tell:
        report = convert(files, out, Wanted(source, bench, score), lookup, tell)
    print_json(report) if json else imported(report)


# `train` and `replay` stand here.
