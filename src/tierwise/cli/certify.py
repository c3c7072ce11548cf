"""Commands about certificates: certify a route, show a certificate, check one offline."""
# ruff: noqa: PLC0415  rooms are imported where they are used: `tierwise --help` need not load them

from __future__ import annotations

import re
import time
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from tierwise.cli.door import DONE, FOUND
from tierwise.cli.options import AlphaOption, ConfigOption, DeltaOption, JsonOption, RouteOption, dollars, load_config
from tierwise.cli.show import console, print_json, stages
from tierwise.cli.stored import Given, Wish, to_certify_by
from tierwise.errors import ConfigError

if TYPE_CHECKING:
    from tierwise.gateway.settings import Config, Environment
    from tierwise.offline.certify import Wanted
    from tierwise.offline.findings import Findings
    from tierwise.offline.stored import Lack

MOST = 15_000  # as `offline/certify.py` has it, which need not be loaded for --help
MostOption = Annotated[
    int, typer.Option(metavar="N", min=1, help="Rows to test by, drawn at random; more hardly move the bound.")
]

commands = typer.Typer()
certificate = typer.Typer(no_args_is_help=True, help="Show certificates, and check them offline.")
DAYS = 90


def _public_key(text: str) -> str:
    key = text.strip().lower()
    if not re.fullmatch("[0-9a-f]{64}", key):
        raise typer.BadParameter(
            "expected a public key, 64 hexadecimal digits; `tierwise certificate verify FILE` without --key prints the "
            "one that signed a file"
        )
    return key


FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="A certificate.", show_default=False)]
KeyOption = Annotated[
    str | None,
    typer.Option(
        "--key",
        metavar="HEX",
        parser=_public_key,
        help="The public key that must have signed it.",
        show_default="the file's",
    ),
]
DaysOption = Annotated[int, typer.Option(metavar="N", help="Days that the certificate holds.", min=1, max=3650)]
BuyOption = Annotated[
    int | None,
    typer.Option(
        metavar="USD",
        parser=dollars,
        help="With --sequential: labels of the judge, up to so much a day.",
        show_default=False,
    ),
]
AnchorsOption = Annotated[
    str,
    typer.Option(
        metavar="FILE",
        help="Some of the same answers scored by people; `store`: the labels of `tierwise label`; `none`.",
        show_default="the store's, where there are enough",
    ),
]


@commands.command(epilog="Example: tierwise certify --route support --outcomes november.parquet")
def certify(
    route: RouteOption,
    outcomes: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Labelled answers that it was not trained on.", show_default="the route's own traffic"
        ),
    ] = None,
    config: ConfigOption = None,
    alpha: AlphaOption = None,
    delta: DeltaOption = None,
    form: Annotated[
        Literal["harm", "parity", "expected"],
        typer.Option(help="harm: at most alpha; parity: at least rho of premium's quality; expected: harm on average."),
    ] = "harm",
    rho: Annotated[float, typer.Option(metavar="SHARE", help="Of premium's quality, with --form parity.")] = 0.97,
    sequential: Annotated[
        bool, typer.Option("--sequential", help="Look at one label after the other; stop when it is decided.")
    ] = False,
    buy: BuyOption = None,
    judge: Annotated[
        str, typer.Option(metavar="NAME", help="The model that gave --outcomes their scores.", show_default=False)
    ] = "",
    anchors: AnchorsOption = "",
    unlabelled_as_harm: Annotated[
        bool, typer.Option("--unlabelled-as-harm", help="Count rows without a label as harm, however many.")
    ] = False,
    most: MostOption = MOST,
    days: DaysOption = DAYS,
    json: JsonOption = False,
) -> None:
    """Certify a trained route on fresh labelled answers. Exit code 1 if nothing can be certified."""
    from tierwise.cli.certificates import certified, issue, trained_at
    from tierwise.cli.results import training
    from tierwise.offline.certify import Wanted

    where = load_config(config)
    trained, out = trained_at(where[0], route)
    lack: Lack = "harm" if unlabelled_as_harm else "refuse"
    wish = Wish(trained, outcomes, judge, anchors, lack, correcting=form == "harm" and not sequential)
    limits = training(where[0], route, Path(), trained)
    claim = (limits.alpha if alpha is None else alpha, limits.delta if delta is None else delta)
    if not json:
        console().print(_before(*claim) if form == "harm" else f"Form: {form}.", soft_wrap=True)
    with _rows(where, route, wish, (buy, sequential), quiet=json) as given:
        asked = replace(limits, outcomes=given.outcomes, alpha=claim[0], delta=claim[1])
        found = _found(
            Wanted(asked, trained, form, rho, sequential, given.judge, given.anchors, most), given, quiet=json
        )
    signed = issue(where, route, found, out, days)
    certified(found, signed, out, json=json)
    raise typer.Exit(FOUND if signed is None else DONE)


def _rows(
    where: tuple[Config, Environment], route: str, wish: Wish, buying: tuple[int | None, bool], *, quiet: bool
) -> AbstractContextManager[Given]:
    """`buying`: for how much, and whether label after label is looked at."""
    from tierwise.cli.bought import to_buy_by

    cap, sequential = buying
    if cap is None:
        return to_certify_by(where, route, wish, quiet=quiet)
    if wish.outcomes is not None or not sequential:
        raise ConfigError("--buy is for --sequential, and for the route's own traffic: leave out --outcomes")
    return to_buy_by(where, route, wish, cap, quiet=quiet)


def _found(wanted: Wanted, given: Given, *, quiet: bool) -> Findings:
    from tierwise.cli.bought import told_bought
    from tierwise.offline.certify import find

    with stages() as tell:
        found = find(wanted, tell) if given.shop is None else find(wanted, tell, given.shop.label)
    if given.shop is not None:
        told_bought(given.shop, found, quiet=quiet)
    return given.by(found)


def _before(alpha: float, delta: float) -> str:
    from tierwise.offline.findings import labels_needed

    try:
        least, usual = labels_needed(alpha, delta)
    except ValueError as error:
        raise ConfigError(f"alpha and delta can't be certified: {error}") from error
    return (
        f"To certify harm <= {alpha:.1%} with {1 - delta:.0%} confidence takes {least:,} labelled requests if none of "
        f"them is harmed, about {usual:,} if {alpha / 4:.2%} are."
    )


@certificate.command(epilog="Example: tierwise certificate show support.certificate.json")
def show(file: FileArgument, key: KeyOption = None, json: JsonOption = False) -> None:
    """What a certificate says. Its signature is checked first."""
    from tierwise.cli.certificates import shown
    from tierwise.store.signing import read

    signed = read(file, key)
    print_json(signed) if json else shown(signed)


@certificate.command(epilog="Example: tierwise certificate verify support.certificate.json --key 3b6a27bc...")
def verify(file: FileArgument, key: KeyOption = None, json: JsonOption = False) -> None:
    """Check the signature and the time, offline. Exit code 1 if it has expired, 2 if it is not genuine."""
    from tierwise.cli.certificates import verified
    from tierwise.store.signing import read

    signed = read(file, key)
    expired = time.time() >= signed.certificate.expires
    verified(signed, expired=expired, trusted=key is not None, json=json)
    raise typer.Exit(FOUND if expired else DONE)
