"""The outer door of the command: how every error of ours ends, and the frame that commands hang in."""

from __future__ import annotations

import os
from typing import Any

import typer
from typer.core import TyperGroup

from tierwise.cli.show import console, plain
from tierwise.errors import ConfigError, TierwiseError

DONE, FOUND, ERROR = 0, 1, 2  # exit codes


class Door(TyperGroup):
    """The outer door: an error of ours is a red line and exit code 2, never a traceback.

    Numpy's OpenBLAS gets one thread, unless the environment says otherwise: our matrices are so small that
    more of them spend their time waiting for each other, which serving pays for and training gains nothing by.
    """

    def invoke(self, ctx: Any) -> Any:
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # it looks when it is loaded, which no command has done yet
        try:
            return super().invoke(ctx)
        except TierwiseError as error:
            for problem in error.problems if isinstance(error, ConfigError) else [error.message]:
                console(stderr=True).print(f"[bold red]error:[/] {plain(problem)}", soft_wrap=True)
            raise typer.Exit(ERROR) from error


app = typer.Typer(
    cls=Door,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="A gateway for large language models: cheap first, premium when it must be, and proof.",
)
