"""Commands about certificates: certify a route, show a certificate, check one offline."""
# ruff: noqa: PLC0415  rooms are imported where they are used: `tierwise --help` need not load them

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import typer

from tierwise.cli.door import DONE, FOUND
from tierwise.cli.options import AlphaOption, ConfigOption, DeltaOption, JsonOption, RouteOption, load_config
from tierwise.cli.show import console, print_json, stages

commands = typer.Typer()
certificate = typer.Typer(no_args_is_help=True, help="Show certificates, and check them offline.")
DAYS = 90

FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="A certificate.", show_default=False)]
KeyOption = Annotated[
    str | None,
    typer.Option("--key", metavar="HEX", help="The public key that must have signed it.", show_default="the file's"),
]
DaysOption = Annotated[int, typer.Option(metavar="N", help="Days that the certificate holds.", min=1, max=3650)]


@commands.command(epilog="Example: tierwise certify --route support --outcomes november.parquet")
def certify(
    route: RouteOption,
    outcomes: Annotated[
        Path, typer.Option(metavar="FILE", help="Labelled answers that it was not trained on.", show_default=False)
    ],
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
    judge: Annotated[
        str, typer.Option(metavar="NAME", help="The model that gave the scores, if one did.", show_default=False)
    ] = "",
    anchors: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Some of the same answers scored by people.", show_default=False),
    ] = None,
    days: DaysOption = DAYS,
    json: JsonOption = False,
) -> None:
    """Certify a trained route on fresh labelled answers. Exit code 1 if nothing can be certified."""
    from tierwise.cli.certificates import certified, issue, trained_at
    from tierwise.cli.results import training
    from tierwise.offline.certify import Wanted, find

    settings, environment = load_config(config)
    trained, out = trained_at(settings, route)
    wanted = training(settings, route, outcomes, trained)
    claim = (wanted.alpha if alpha is None else alpha, wanted.delta if delta is None else delta)
    if not json:
        console().print(_before(*claim) if form == "harm" else f"Form: {form}.", soft_wrap=True)
    with stages() as tell:
        found = find(
            Wanted(replace(wanted, alpha=claim[0], delta=claim[1]), trained, form, rho, sequential, judge, anchors),
            tell,
        )
    signed = issue((settings, environment), route, found, out, days)
    certified(found, signed, out, json=json)
    raise typer.Exit(FOUND if signed is None else DONE)


def _before(alpha: float, delta: float) -> str:
    from tierwise.errors import ConfigError
    from tierwise.offline.certify import labels_needed

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
