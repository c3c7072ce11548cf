"""What the commands print: tables, JSON, progress bars. Knows nothing of where it comes from."""
# ruff: noqa: PLC0415  rich loads where something is shown

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from rich.console import Console

    from tierwise.gateway.setup.doctor import Finding
    from tierwise.gateway.setup.first_run import Progress
    from tierwise.money import Key
    from tierwise.offline.imports.importers import Report


def console(*, stderr: bool = False) -> Console:
    from rich.console import Console

    return Console(stderr=stderr, highlight=False)


def say(text: str) -> None:
    """An answer's text as it is: models write what looks like markup."""
    sys.stdout.write(text)
    sys.stdout.flush()


def plain(text: str) -> str:
    from rich.markup import escape

    return escape(text)


def print_json(value: object) -> None:
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n")


def report(findings: Sequence[Finding], then: str) -> None:
    from rich.table import Table

    marks: Mapping[str, str] = {"ok": "[green]ok[/]", "warn": "[yellow]warn[/]", "fail": "[bold red]fail[/]"}
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for column in ("level", "what", "detail"):
        table.add_column(column, no_wrap=column == "level", overflow="fold")
    for finding in findings:
        remedy = f"\n[cyan]-> {plain(finding.remedy)}[/]" if finding.remedy else ""
        table.add_row(marks[finding.level], plain(finding.what), plain(finding.detail) + remedy)
    screen = console()
    screen.print(table)
    failed = sum(finding.level == "fail" for finding in findings)
    screen.print(f"\n[red]{failed} to mend.[/]" if failed else f"\nReady: {plain(then)}", soft_wrap=True)


def key_row(key: Key, posted: int, held: int) -> dict[str, object]:
    return {
        "id": key.id,
        "name": key.name,
        "prefix": key.prefix,
        "created": moment(key.created_ns),
        "revoked": moment(key.revoked_ns) if key.revoked_ns is not None else None,
        "budget_nanos": key.budget_nanos,
        "spent_nanos": posted,
        "held_nanos": held,
    }


def failures(count: float) -> str:
    """Such as "1 failure"; of graded scores it may be 1.5 of them."""
    return f"{count:g} failure{'' if count == 1 else 's'}"


def moment(at_ns: int) -> str:
    """Such as 2026-01-31T12:00:00Z."""
    return datetime.fromtimestamp(at_ns // 1_000_000_000, tz=UTC).isoformat().replace("+00:00", "Z")


def welcome(base_url: str, key: str | None, route: str) -> None:
    bearer = key or "$TIERWISE_API_KEY"
    note = "" if key else "TIERWISE_API_KEY: a key of yours, or a new one from `tierwise keys create --name NAME`\n"
    console().print(
        f"Base URL for any OpenAI SDK: [bold]{base_url}[/]\n{note}Try it:\n\n"
        f"curl {base_url}/chat/completions \\\n"
        f'  -H "Authorization: Bearer {bearer}" \\\n'
        '  -H "Content-Type: application/json" \\\n'
        f'  -d \'{{"model": "{route}", "messages": \\[{{"role": "user", "content": "Say hello."}}]}}\'\n',
        soft_wrap=True,
    )


@contextmanager
def bars() -> Iterator[Progress]:
    """A progress bar a model, made when the first bytes come."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(bar_width=20), DownloadColumn(), TransferSpeedColumn())
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=console(stderr=True)) as bars:

        def tell(model: str, done: int, total: int | None, what: str) -> None:
            if model not in tasks:
                tasks[model] = bars.add_task(model, total=None)
            bars.update(tasks[model], completed=done, total=total, description=f"{model}: {what}")

        yield tell


@contextmanager
def bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """One progress bar, told (done, total); gone when it is done, and not there where nobody looks."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    screen = console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=30), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as bars:
        task = bars.add_task(what, total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)


@contextmanager
def stages() -> Iterator[Callable[[str, int, int], None]]:
    """A progress bar for each thing that is done, told (what, done, total); not there where nobody looks."""
    from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn

    screen = console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=30), TaskProgressColumn(), TimeElapsedColumn())
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as bars:

        def tell(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total)
            bars.update(tasks[what], completed=done, total=total)

        yield tell


def imported(report: Report) -> None:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for title in ("model", "rows", "scored", "mean score", "priced", "mean cost"):
        table.add_column(title, justify="left" if title == "model" else "right", overflow="fold")
    for model, counted in report.models.items():
        score = "-" if counted.mean_score is None else f"{counted.mean_score:.3f}"
        cost = "-" if counted.mean_cost_usd is None else f"${counted.mean_cost_usd:.6f}"
        table.add_row(plain(model), str(counted.rows), str(counted.scored), score, str(counted.priced), cost)
    screen = console()
    screen.print(table)
    screen.print(f"\n{report.rows} rows of {report.queries} queries in {plain(report.out)}", soft_wrap=True)
    screen.print(f"{report.paired} queries have rows of two models or more", style="" if report.paired else "yellow")
    for reason, count in report.skipped.items():
        screen.print(f"[yellow]not used, {count} times:[/] {plain(reason)}", soft_wrap=True)
    if report.left_out:
        screen.print(f"[yellow]columns without a place:[/] {plain(', '.join(report.left_out))}", soft_wrap=True)
