"""How replay and training are told in a terminal, and what training is asked for by a config's route."""
# ruff: noqa: PLC0415  rich and the rooms load where something is shown

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from tierwise.cli.show import console, failures, plain
from tierwise.errors import ConfigError

if TYPE_CHECKING:
    from tierwise.gateway.settings import Config
    from tierwise.gateway.tables.route_table import RouteTable
    from tierwise.offline.figures import Metric, Report
    from tierwise.offline.train import Report as TrainReport
    from tierwise.offline.train import Wanted


def write_json(value: Any, path: Path) -> None:
    """Whole or not at all. Raises ConfigError."""
    write(msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n", path)


def write(content: bytes, path: Path) -> None:
    """Whole or not at all. Raises ConfigError."""
    from tierwise.offline.outcomes import aside

    try:
        with aside(path) as part:
            part.write_bytes(content)
    except OSError as error:
        raise ConfigError(f"{path}: can't be written: {error.strerror}") from error


def placed(*paths: Path | None) -> None:
    """Refuses, before the work is done, to write where no folder is. Raises ConfigError."""
    for path in paths:
        if path is not None and not path.absolute().parent.is_dir():
            raise ConfigError(f"{path}: {path.parent} is no folder")


def route_of(config: Config, name: str) -> RouteTable:
    """Raises ConfigError where the config has no such route."""
    route = config.routes.get(name)
    if route is None:
        raise ConfigError(f"{config.path}: no route {name!r}; it has {', '.join(config.routes) or 'none'}")
    return route


def training(config: Config, name: str, outcomes: Path, out: Path) -> Wanted:
    """What to train for a route of the config, at its own limits. Raises ConfigError for a route it hasn't."""
    from tierwise.offline.train import Wanted

    route = route_of(config, name)
    names = {model: config.models[model].model for model in (*route.tiers, *route.opinions)}
    return Wanted(
        outcomes, out, route.tiers, route.opinions, names, alpha=route.max_harm, delta=round(1 - route.confidence, 12)
    )


def replayed(report: Report) -> None:
    """A replay, from what was compared to what could be certified."""
    screen = console()
    learnt = f"fitted to {report.labels:,} labelled queries" if report.labels else "without labels"
    screen.print(f"[bold]{plain(report.cheap)}[/] -> [bold]{plain(report.premium)}[/], {report.n:,} queries, {learnt}")
    if report.opinions:
        screen.print(f"second opinions: {plain(', '.join(report.opinions))}")
    screen.print(_ranked(report))
    screen.print(_singles(report))
    _policy(report)
    for note in report.notes:
        screen.print(f"[yellow]note:[/] {plain(note)}", soft_wrap=True)


def _ranked(report: Report) -> Any:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for title in ("", "APGR", "CPT 50", "CPT 80", "CPT 95", "cost-APGR"):
        table.add_column(title, justify="left" if not title else "right", no_wrap=True)
    for name in ("router", "verifier", "cascade"):
        found = getattr(report, name)
        cost = _interval(found.cost_apgr, 2) if name == "cascade" else ""
        cells = (_interval(found.apgr, 2), *(_interval(getattr(found, f"cpt{x}"), 0, "%") for x in (50, 80, 95)))
        table.add_row(name, *cells, cost)
    return table


def _singles(report: Report) -> Any:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("always", overflow="fold")
    for title in ("quality", "USD a query"):
        table.add_column(title, justify="right")
    for single in report.zero_router:
        cost = "-" if single.cost_usd is None else f"{single.cost_usd:.6f}"
        mark = "" if single.on_hull or single.cost_usd is None else " [dim](dominated)[/]"
        table.add_row(plain(single.model) + mark, f"{single.accuracy:.1%}", cost)
    best = report.accuracy.oracle.value
    table.add_row("the better of cheap and premium", "-" if best is None else f"{best:.1%}", "")
    return table


def _policy(report: Report) -> None:
    screen = console()
    found, certificate = report.policy, report.certificate
    money = "" if found.cost_ratio is None else f", spending {found.cost_ratio:.1%} of always premium's dollars"
    beside = f"{found.retention:.1%} of premium's" if report.accuracy.premium.value else "where premium has none"
    screen.print(
        f"policy ([bold]{found.rule}[/]): keeps {found.kept_cheap:.1%} cheap at {found.quality:.1%} quality, "
        f"{beside}{money}",
        soft_wrap=True,
    )
    if certificate is None:
        screen.print("certificate: none without labels; --fit FILE learns from labelled rows", soft_wrap=True)
    elif certificate.threshold is None:
        screen.print(
            f"certificate: [yellow]no saving is certifiable[/] at harm <= {certificate.alpha:.1%} with "
            f"{1 - certificate.delta:.0%} confidence from {certificate.n} calibration queries; "
            f"about {certificate.needed} are needed where the true harm is half of that",
            soft_wrap=True,
        )
    else:
        screen.print(
            f"certificate: [green]harm <= {certificate.alpha:.1%}[/] with {1 - certificate.delta:.0%} confidence, "
            f"{failures(certificate.failures)} in {certificate.n} calibration queries (bound "
            f"{certificate.harm_bound:.2%}); on the tested queries harm was {certificate.harm_on_test:.2%}",
            soft_wrap=True,
        )
    time = report.decision_us
    screen.print(f"a decision takes {time.route:.0f} us of CPU to route and {time.verify:.0f} us to verify")


def _interval(found: Metric, digits: int, unit: str = "") -> str:
    if found.value is None:
        return "-"
    if found.low is None or found.high is None:
        return f"{found.value:.{digits}f}{unit}"
    return f"{found.value:.{digits}f}{unit}\n[dim]{found.low:.{digits}f}..{found.high:.{digits}f}[/]"


def told_trained(report: TrainReport, route: str) -> None:
    screen = console()
    for tier in report.tiers:
        kept = (
            f"keeps {tier.kept:.1%} with harm <= {tier.alpha:.1%} (bound {tier.harm_bound:.2%})"
            if tier.threshold is not None
            else "[yellow]no saving is certifiable yet[/]: more labels, or a second opinion, may change that"
        )
        screen.print(
            f"[bold]{plain(tier.tier)}[/]: {tier.labels:,} labelled queries, {tier.calibrated:,} to certify by: {kept}",
            soft_wrap=True,
        )
    screen.print(f"Wrote {plain(report.out)} ({report.bytes / 1e6:.1f} MB).", soft_wrap=True)
    screen.print(
        f'Next, in the config: [bold]\\[routes.{plain(route)}][/] trained = "{plain(report.out)}"', soft_wrap=True
    )
