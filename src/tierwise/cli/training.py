"""`tierwise train`: a route's router and verifier from outcomes; a sorter, or a screen, from labelled texts."""
# ruff: noqa: PLC0415  rooms are imported where they are used: `tierwise --help` need not load them
# ruff: noqa: PLR0913, PLR0917  a command's parameters are its options

from __future__ import annotations

from dataclasses import replace
from math import floor, log
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from tierwise.cli.certify import DAYS
from tierwise.cli.options import AlphaOption, ConfigOption, DeltaOption, JsonOption, load_config
from tierwise.cli.screen_training import (
    FalseBlocksOption,
    Given,
    LabelsOption,
    RecallOption,
    ScreenOption,
    train_screen,
)
from tierwise.cli.show import console, plain, print_json, stages
from tierwise.cli.stored import to_train_on
from tierwise.errors import ConfigError

if TYPE_CHECKING:
    from tierwise.offline.screening.sorting import Report

commands = typer.Typer()


RouteOption = Annotated[str | None, typer.Option(metavar="NAME", help="A route of the config.", show_default=False)]
OutcomesOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Labelled answers of its tiers and opinions.", show_default="the route's own traffic"
    ),
]
SorterOption = Annotated[
    bool, typer.Option("--sorter", help="Instead: learn to sort texts into labels, for a model of its own.")
]
DataOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Labelled texts (JSONL, CSV, parquet), for --sorter and --screen.", show_default=False
    ),
]
OutOption = Annotated[
    Path | None,
    typer.Option("--out", "-o", metavar="FILE", help="The artefact.", show_default="ROUTE.tierwise.npz"),
]


@commands.command(epilog="Example: tierwise train --route support --outcomes outcomes.parquet")
def train(
    route: RouteOption = None,
    outcomes: OutcomesOption = None,
    sorter: SorterOption = False,
    screen: ScreenOption = None,
    data: DataOption = None,
    text: Annotated[str, typer.Option(metavar="COLUMN", help="Where the text is, in --data.")] = "text",
    label: Annotated[str, typer.Option(metavar="COLUMN", help="For --sorter: where the label is.")] = "label",
    labels: LabelsOption = None,
    recall: RecallOption = None,
    false_blocks: FalseBlocksOption = None,
    config: ConfigOption = None,
    out: OutOption = None,
    alpha: AlphaOption = None,
    delta: DeltaOption = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Of the split.")] = 0,
    json: JsonOption = False,
) -> None:
    """Learn a route's router and verifier from outcomes, and certify what they may keep; or learn from texts.

    From texts: to sort them (--sorter), or a screen's classes (--screen) with thresholds that are shown to hold.
    """
    if screen is None and (labels is not None or recall is not None or false_blocks is not None):
        raise ConfigError("--labels, --recall and --false-blocks are for --screen")
    if not sorter and screen is None:
        if route is None or data is not None:
            raise ConfigError(
                "train takes --route NAME, with --outcomes FILE or the route's own traffic; or --sorter, or --screen"
            )
        return _route(route, outcomes, config, out, (alpha, delta, seed), json=json)
    if data is None or route is not None or outcomes is not None or (sorter and screen is not None):
        kind = "--sorter" if screen is None else "--screen"
        raise ConfigError(
            f"{kind} takes labelled texts, --data FILE, and neither --route nor --outcomes nor both kinds"
        )
    if screen is not None:
        return train_screen(screen, Given(data, out, text, labels, recall, false_blocks, seed), json=json)
    return _sorter(data, (text, label), out or data.with_suffix(".sorter.npz"), seed, json=json)


def _route(
    route: str,
    outcomes: Path | None,
    config: Path | None,
    out: Path | None,
    claim: tuple[float | None, float | None, int],
    *,
    json: bool,
) -> None:
    from tierwise.cli.certificates import certificate_place, issue, issued
    from tierwise.cli.results import told_trained, training
    from tierwise.offline.certify import of_training
    from tierwise.offline.train import trained as run

    settings, environment = load_config(config)
    alpha, delta, seed = claim
    with to_train_on((settings, environment), route, outcomes, quiet=json) as given:
        wanted = training(settings, route, given.outcomes, out or Path(f"{route}.tierwise.npz"))
        most, doubt = (wanted.alpha if alpha is None else alpha, wanted.delta if delta is None else delta)
        wanted = replace(wanted, alpha=most, delta=doubt, seed=seed)
        with stages() as tell:
            report, fitted = run(wanted, tell)
        place = certificate_place(settings, route, wanted.out)
        found = given.by(of_training(wanted, fitted))
    signed = issue((settings, environment), route, found, place, DAYS, wanted.out)
    if json:
        return print_json(msgspec.to_builtins(report) | {"certificate": None if signed is None else str(place)})
    told_trained(report, route)
    if signed is not None:
        issued(signed, place)
    return None


def _sorter(data: Path, columns: tuple[str, str], out: Path, seed: int, *, json: bool) -> None:
    from tierwise.cli.results import placed, write
    from tierwise.offline.screening.sorting import Wanted, learn, read
    from tierwise.scorers.sorter import dump

    placed(out)
    found = read(Wanted(data, *columns))
    with stages() as tell:
        learnt, report = learn(found, seed, tell)
    write(dump(learnt), out)
    if json:
        return print_json({"out": str(out)} | msgspec.to_builtins(report))
    return _told(report, out)


def _told(report: Report, out: Path) -> None:
    from rich.table import Table

    screen = console()
    screen.print(
        f"{report.rows:,} texts, {report.labels:,} labels"
        + (f", {report.left_out:,} rows left out" if report.left_out else "")
        + f". By cross-validation {report.accuracy:.1%} are sorted rightly.",
        soft_wrap=True,
    )
    table = Table(box=None, padding=(0, 3, 0, 0))
    for column in ("it answers", "of these right", "all, with premium for the rest", "min_logprob"):
        table.add_column(column, justify="right")
    for point in report.points:
        every = point.kept * point.right + 1 - point.kept
        table.add_row(f"{point.kept:.0%}", f"{point.right:.1%}", f"{every:.1%}", f"{_log(point.sure):.3f}")
    screen.print(table)
    if report.rare:
        names = ", ".join(map(plain, report.rare[:5]))
        screen.print(f"[yellow]{len(report.rare)} labels have too few rows to be tested:[/] {names}", soft_wrap=True)
    screen.print(
        f'Wrote {plain(str(out))}. A model of provider = "sorter" with trained = "{plain(out.name)}" answers by it; '
        "min_logprob under \\[routes.NAME.checks] says how sure it has to be.",
        soft_wrap=True,
    )


def _log(probability: float) -> float:
    """Rounded down: a threshold that keeps what it was measured on."""
    return floor(log(max(probability, 1e-9)) * 1000) / 1000
