"""`tierwise batch`: which rows of a job may keep their cheap answer, or which labels it takes to tell."""
# ruff: noqa: PLC0415  rooms are imported where they are used: `tierwise --help` need not load them

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
import typer

from tierwise.cli.door import DONE, FOUND
from tierwise.cli.options import ConfigOption, JsonOption, RouteOption, load_config
from tierwise.cli.show import console, plain, print_json, stages
from tierwise.errors import ConfigError

if TYPE_CHECKING:
    from tierwise.offline.batch import Costs, Planned, Report

commands = typer.Typer()


@commands.command(
    epilog="Example: tierwise batch --route support --outcomes job.parquet --target accuracy --at 0.95 --out plan.jsonl"
)
def batch(  # noqa: PLR0913, PLR0917  a command's parameters are its options
    route: RouteOption,
    outcomes: Annotated[
        Path,
        typer.Option(
            metavar="FILE", help="The job: a cheap answer of each row, scores where known.", show_default=False
        ),
    ],
    target: Annotated[
        Literal["accuracy", "precision", "recall"],
        typer.Option(
            help="accuracy: of all rows, those not harmed; precision: of the kept, the good; "
            "recall: of those it would harm, the ones sent up.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FILE", help="The plan, a line a query.", show_default=False)
    ],
    at: Annotated[float, typer.Option(metavar="SHARE", help="At least so much of it.")] = 0.95,
    delta: Annotated[float, typer.Option(metavar="SHARE", help="1 - the confidence.")] = 0.05,
    seed: Annotated[int, typer.Option(metavar="N", help="Of the order of labels; one for each job.")] = 0,
    labels: Annotated[
        int | None,
        typer.Option(metavar="N", help="Settle for what N labels show.", min=0, show_default="as many as it takes"),
    ] = None,
    ask: Annotated[int, typer.Option(metavar="N", help="Queries to ask labels of at once.", min=1, max=1000)] = 20,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Decide one job: which cheap answers may stay. Exit code 1 if labels are missing, or none may."""
    from tierwise.cli.certificates import trained_at
    from tierwise.cli.results import placed, training
    from tierwise.offline.batch import Aim, Wanted, plan, write

    settings, _ = load_config(config)
    trained, _ = trained_at(settings, route)
    placed(out)
    _apart(outcomes, out)
    wanted = Wanted(training(settings, route, outcomes, trained), trained, Aim(target, at, delta, seed, labels, ask))
    with stages() as tell:
        found = plan(wanted, tell)
    place = write(found, out)
    if json:
        need = {"need": found.need} if found.need else {}
        print_json(msgspec.to_builtins(found.report) | {"out": str(place)} | need)
    else:
        _told(found, place)
    raise typer.Exit(DONE if found.report.kept and not found.need else FOUND)


def _apart(outcomes: Path, out: Path) -> None:
    """The plan must not overwrite what it is made of."""
    from tierwise.offline.batch import need_of

    if outcomes.absolute() in {out.absolute(), need_of(out).absolute()}:
        raise ConfigError(f"{out}: is where the outcomes are; --out names another file")


def _told(found: Planned, place: Path) -> None:
    screen, report = console(), found.report
    if report.left_out:
        screen.print(f"No part of this: queries that training has seen ({report.left_out:,}).", soft_wrap=True)
    if report.without_draft:
        screen.print(f"No part of this: queries without a cheap answer ({report.without_draft:,}).", soft_wrap=True)
    if found.need:
        return screen.print(_needed(found, place), soft_wrap=True)
    screen.print(_kept(report) if report.kept else _nothing(report), soft_wrap=True)
    if report.costs is not None:
        screen.print(_money(report.costs, report.rows), soft_wrap=True)
    return screen.print(
        f"Wrote {plain(str(place))}. This is about these rows only: it is no certificate, and changes nothing in the "
        "gateway.",
        soft_wrap=True,
    )


def _kept(report: Report) -> str:
    return (
        f"Keeps {report.kept_share:.1%} of {report.rows:,} rows cheap: [green]{report.statement}[/]; "
        f"{_used(report)} used."
    )


def _used(report: Report) -> str:
    return f"{report.labels_used:,} {'label was' if report.labels_used == 1 else 'labels were'}"


def _nothing(report: Report) -> str:
    if report.ended == "unlabelled":
        why = f"{_used(report)} used, too few to show it; more may"
    elif not report.labels_used:
        why = "The checks have blocked nearly every draft, or there are too few rows to show it"
    else:
        share = f"{report.bad:g} of them against the draft"
        why = f"{_used(report)} used, {share}: too near to the target, or beyond it"
    return (
        f"[yellow]Nothing is kept[/]: of {report.rows:,} rows no part shows {report.target} >= {100 * report.at:g}% "
        f"with {100 * (1 - report.delta):g}% confidence. {why}. All rows go to premium."
    )


def _money(costs: Costs, rows: int) -> str:
    saved = f"saves {_usd(costs.saved)}" if costs.saved >= 0 else f"[yellow]{_usd(-costs.saved)} more[/]"
    share = f" ({costs.saved / costs.always_premium:.1%})" if costs.saved > 0 else ""
    text = f"Costs {_usd(costs.spent)}, premium's answers to labelled rows counted; always premium "
    text += f"{_usd(costs.always_premium)}: {saved}{share}."
    if costs.estimated:
        text += f" Of {costs.estimated:,} of {rows:,} rows premium's price is estimated: the mean of the others."
    if costs.unused:
        text += f" Premium's other answers to kept rows, {_usd(costs.unused)}, are not counted."
    return text


def _usd(dollars: float) -> str:
    return f"${dollars:,.2f}" if dollars >= 1 else f"${dollars:.4f}"


def _needed(found: Planned, place: Path) -> str:
    report, count = found.report, len(found.need)
    text = f"[yellow]Not decided yet[/]: {count:,} more {'label is' if count == 1 else 'labels are'} needed next; "
    text += f"{_used(report)} used so far, of {report.rows:,} rows. Which queries, and whose scores, is in "
    text += (
        f"{plain(str(place))}. Add those to the outcomes and run this again with the same seed: it goes on from here."
    )
    if report.kept:
        text += f"\nThese show enough to keep {report.kept_share:.1%}: --labels {report.labels_used} settles for that."
    if report.tested is not None:
        text += f" The next ones are for keeping {report.tested:.1%}."
    return text
