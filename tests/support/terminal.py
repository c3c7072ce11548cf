"""The command as a person calls it, in the tests' own process: with what is typed, and the environment.

Its tree of commands is built once. typer's own runner builds it for each call, which takes longer than most of them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping

from typer.main import get_command
from typer.testing import CliRunner, Result

from tierwise.cli import app

COMMAND = get_command(app)


def call(words: Iterable[str], env: Mapping[str, str | None], typed: str | None = None) -> Result:
    """What it printed, and its exit code. An error that the command does not know ends the test."""
    runner = CliRunner()
    with runner.isolation(input=typed, env=env) as (out, err, both):
        try:
            COMMAND.main(list(words), prog_name="tierwise")
        except SystemExit as ended:
            code = int(ended.code or 0)
        sys.stdout.flush()
        sys.stderr.flush()
        return Result(runner, out.getvalue(), err.getvalue(), both.getvalue(), None, code, None)
