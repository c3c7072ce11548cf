"""An answer in the form of a small Python program, worked out without running anything.

`run_arithmetic` takes a program that assigns its result to `ans`, returns it from `solution()` or prints it, as far as
`program` knows the language. Whatever is not known gives None: such a program has no result here. Idea: program of
thoughts (Chen et al., arXiv 2211.12588).
"""

from __future__ import annotations

import ast
import re
from typing import Any

from tierwise.scorers.program.methods import told
from tierwise.scorers.program.run import Run, parsed
from tierwise.scorers.program.values import WRONG, CannotRun

LIMIT = 8_000  # characters of a program

_FENCE = re.compile(r"```(?:python|py)?[ \t]*\n(.*?)(?:\n[ \t]*```|\Z)", re.DOTALL | re.IGNORECASE)
_RESULTS = ("ans", "answer", "result")


def run_arithmetic(code: str) -> str | None:
    """The program's result: `ans`, else what `solution()` returns, else what was printed or assigned last.

    `code` may stand in a fenced block. None where it is no such program, or too large. Never raises.
    """
    if len(code) > 2 * LIMIT:
        return None
    fenced = _FENCE.findall(code)
    source = (fenced[-1] if fenced else code)[: LIMIT + 1].strip()
    if not source or len(source) > LIMIT:
        return None
    try:
        body, run = parsed(source), Run()
        return told(run.work(lambda: _result(run, body)))
    except (CannotRun, *WRONG):
        return None


def _result(run: Run, body: list[ast.stmt]) -> Any:
    run.block(body)
    for name in _RESULTS:
        if name in run.names:
            return run.names[name]
    solution = run.names.get("solution")
    return solution() if callable(solution) else run.last
