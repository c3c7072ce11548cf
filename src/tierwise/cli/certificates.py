"""Certificates as files and as text in a terminal: issued for a route of the config, and told to a person."""
# ruff: noqa: PLC0415  rooms are imported where they are used

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tierwise.cli.results import route_of
from tierwise.cli.show import console, failures, plain, print_json
from tierwise.errors import ConfigError

if TYPE_CHECKING:
    from tierwise.core.certificate import Certificate, Segment, Signed
    from tierwise.gateway.settings import Config, Environment
    from tierwise.offline.findings import Finding, Findings


def trained_at(config: Config, name: str) -> tuple[Path, Path]:
    """A route's artefact, and where its certificate belongs. Raises ConfigError for one that was not trained."""
    route = route_of(config, name)
    if not route.trained:
        raise ConfigError(
            f"{config.path}: route {name!r} has no `trained`: there is nothing to certify before `tierwise train`"
        )
    return Path(route.trained), Path(route.certificate)


def certificate_place(config: Config, name: str, out: Path) -> Path:
    """Where the certificate of an artefact at `out` belongs: where the config says, or beside it."""
    from tierwise.gateway.tables.route_table import certificate_of

    route = config.routes[name]
    return Path(route.certificate) if Path(route.trained) == out.absolute() else certificate_of(out)


def issue(
    where: tuple[Config, Environment], name: str, found: Findings, out: Path, days: int, trained: Path | None = None
) -> Signed | None:
    """Draw up, sign and write the certificate of a route; None where nothing is certified. Raises ConfigError."""
    from tierwise.gateway.evidence.certified import binds
    from tierwise.gateway.settings import new_signing_seed, signing_seed
    from tierwise.gateway.snapshot import build
    from tierwise.offline.findings import drawn_up
    from tierwise.offline.outcomes import aside
    from tierwise.store.signing import packed, sign

    config, environment = where
    route = build(config, environment).routes[name]
    artefact = trained or Path(config.routes[name].trained)
    document = drawn_up(found, route, binds(route, artefact), (int(time.time()), days))
    if document is None:
        return None
    signed = sign(document, signing_seed(config, environment) or new_signing_seed(config))
    with aside(out) as part:
        part.write_bytes(packed(signed))
    return signed


def certified(found: Findings, signed: Signed | None, out: Path, *, json: bool) -> None:
    if json:
        first = msgspec.to_builtins(found.tiers[0])
        tiers = [msgspec.to_builtins(tier) for tier in found.tiers]
        return print_json({**first, "tiers": tiers, "certificate": None if signed is None else str(out)})
    for tier in found.tiers:
        _told(tier)
    if signed is not None:
        issued(signed, out)
    return None


def issued(signed: Signed, out: Path) -> None:
    console().print(
        f"Wrote {plain(str(out))}, signed by {_fingerprint(signed)}, valid until {_day(signed.certificate.expires)}. "
        "The gateway reads it when it starts.",
        soft_wrap=True,
    )


def _told(tier: Finding) -> None:
    screen = console()
    left = f", {tier.left_out:,} left out that training had seen" if tier.left_out else ""
    labels = "" if tier.labels_used == tier.n else f", of whose labels {tier.labels_used:,} were needed"
    labels += f", drawn at random from {tier.available:,}" if tier.available > tier.n else ""
    screen.print(f"{tier.n:,} labelled requests{labels}{left}; {plain(tier.method)}.", soft_wrap=True)
    if tier.threshold is None:
        screen.print(f"[yellow]No saving is certifiable yet[/]: {_missing(tier)}", soft_wrap=True)
        return
    saving = (
        "costs are not known"
        if tier.saving is None
        else "saves {:.1%} [{:.1%}, {:.1%}] at full cost".format(*tier.saving)
    )
    screen.print(
        f"[green]Certified[/]: keeps {tier.kept_cheap:.1%} cheap at {tier.retention:.1%} of premium's quality, "
        f"{saving}. Harm {tier.harm_on_test:.2%}, bound {tier.harm_bound:.2%} ({failures(tier.failures)}).",
        soft_wrap=True,
    )
    if tier.segments:
        _segments(tier.segments)


def _missing(tier: Finding) -> str:
    if tier.form != "harm":
        return f"the rows do not show it at {1 - tier.delta:.0%} confidence."
    if tier.needed is None:
        return (
            f"at the strictest threshold harm was {tier.failures / max(tier.n, 1):.2%}, too near to {tier.alpha:.1%} "
            "or above it. No number of labels helps; a second opinion or a better cheap model may."
        )
    more = tier.needed - tier.n
    if more > 0:
        return f"{more:,} more labels would allow it, if harm stays what it was ({tier.failures:g} in {tier.n:,})."
    return "the verifier accepts no draft by the thresholds that training fixed; train it anew with more outcomes."


def _segments(segments: tuple[Segment, ...]) -> None:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for title in ("part", "requests", "kept", "failures", "harm at most"):
        table.add_column(title, justify="left" if title == "part" else "right")
    for part in segments:
        table.add_row(plain(part.name), f"{part.n:,}", f"{part.kept:.1%}", f"{part.failures:g}", f"{part.bound:.1%}")
    screen = console()
    screen.print(
        "Parts of the traffic, each taken alone; what is promised is about all requests together:", soft_wrap=True
    )
    screen.print(table)


def shown(signed: Signed) -> None:
    """The whole certificate, for a reader who has never seen one."""
    screen, document = console(), signed.certificate
    screen.print(f"[bold]Certificate of the route {plain(document.route)}[/] ({plain(' -> '.join(document.tiers))})")
    screen.print(f"Of this route it is shown that {plain(document.statement)}.", soft_wrap=True)
    for name, text in _lines(document):
        screen.print(f"  {name:<14}{plain(text)}", soft_wrap=True)
    if document.segments:
        _segments(document.segments)
    screen.print(f"Signed by {_fingerprint(signed)}; it binds, by their SHA-256: {', '.join(sorted(document.binds))}.")


def _lines(document: Certificate) -> list[tuple[str, str]]:
    saving = "unknown" if document.saving is None else "{:.1%} [{:.1%}, {:.1%}]".format(*document.saving)
    return [
        ("method", document.method),
        ("evidence", f"{document.n:,} requests, {document.labels_used:,} labels from {document.labels}"),
        ("harm", f"{failures(document.failures)}; at most {document.harm_bound:.2%}"),
        ("kept cheap", f"{document.kept_cheap:.1%} at {document.retention:.1%} of premium's quality"),
        ("saving", f"{saving}, everything paid for counted"),
        ("on an alarm", _climb(document.ladder)),
        ("valid", f"{_day(document.issued)} to {_day(document.expires)}"),
        ("data", document.data_sha256),
    ]


def _climb(ladder: tuple[float, ...]) -> str:
    """The scores from which drafts are served, with as many digits as tell them apart."""
    for digits in range(2, 7):
        rungs = [f"{rung:.{digits}f}" for rung in ladder]
        if len(set(rungs)) == len(rungs):
            break
    return " -> ".join([*rungs, "premium"])


def verified(signed: Signed, *, expired: bool, trusted: bool, json: bool) -> None:
    document = signed.certificate
    if json:
        return print_json(
            {"genuine": True, "trusted": trusted, "expired": expired, "key": signed.key, "route": document.route}
        )
    screen = console()
    whose = (
        "the trusted key" if trusted else f"the key in it, {signed.key} (with --key it is compared to one you trust)"
    )
    screen.print(f"[green]genuine[/]: signed by {whose}", soft_wrap=True)
    state = f"[yellow]expired[/] on {_day(document.expires)}" if expired else f"valid until {_day(document.expires)}"
    screen.print(f"{state}; whether the route is still the same is for its gateway to say: ", end="", soft_wrap=True)
    screen.print(f"GET /v1/routes/{plain(document.route)}/certificate")
    return None


def _fingerprint(signed: Signed) -> str:
    from tierwise.store.signing import fingerprint

    return fingerprint(signed.key)


def _day(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).date().isoformat()
