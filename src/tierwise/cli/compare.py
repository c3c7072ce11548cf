"""`tierwise compare`: a model nobody has tried yet, on a route's own prompts, without labels by people."""
# ruff: noqa: PLC0415  rooms are imported where they are used: `tierwise --help` need not load them

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tierwise.cli.options import ConfigOption, JsonOption, RouteOption, dollars, load_config
from tierwise.cli.show import bar, console, plain, print_json
from tierwise.errors import ConfigError

if TYPE_CHECKING:
    from tierwise.gateway.evidence.compared import Run, Wanted
    from tierwise.gateway.settings import Config
    from tierwise.offline.compare import Chosen, Figure, Report
    from tierwise.offline.drawn import Gathered
    from tierwise.types import Route

commands = typer.Typer()

BY = {
    "equality": "equality with premium's answer",
    "checks": "the operator's own checks",
    "judge": "the judge",
}


@commands.command(epilog="Example: tierwise compare --route support --candidate small-q4 --against small-q8")
def compare(  # noqa: PLR0913, PLR0917  a command's parameters are its options
    route: RouteOption,
    candidate: Annotated[str, typer.Option(metavar="MODEL", help="A model of the config.", show_default=False)],
    against: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Another one.", show_default="the route's cheap tier")
    ] = None,
    prompts: Annotated[int, typer.Option(metavar="N", help="Prompts that stand for all.", min=20, max=2000)] = 200,
    usd: Annotated[str, typer.Option(metavar="USD", help="The most it may cost.")] = "1.00",
    judge: Annotated[bool, typer.Option("--judge/--no-judge", help="Ask the route's judge about open text.")] = True,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Ask a model what the route's clients have asked: how good it is, what it costs, where that puts it."""
    from tierwise.cli.results import route_of
    from tierwise.cli.stored import shelf
    from tierwise.gateway.evidence.compared import run
    from tierwise.gateway.snapshot import build
    from tierwise.offline.compare import choose

    where = load_config(config)
    route_of(where[0], route)
    snapshot = build(*where)
    served = snapshot.routes[route]
    names = _names(where[0], served, candidate, against)
    with shelf(where[0]) as store:
        gathered = store.gathered(route)
    chosen = choose(gathered, served, prompts)
    asked = _wanted(served, names, chosen, gathered, anew=against is not None)
    cap = dollars(usd)
    if not json:
        _before(chosen, names, cap)
    with bar(f"asking {candidate}") as tell:
        found = run(*where, asked._replace(judge=judge, cap=cap), tell)
    report = _reported(served, names, chosen, found)
    judges = () if served.judge is None or not judge else (served.judge,)
    asked_about = [model for model in (snapshot.models[candidate], *judges) if model.price is None]
    print_json(report) if json else _told(report, [model.name for model in asked_about], judged=bool(judges))


def _names(config: Config, route: Route, candidate: str, against: str | None) -> tuple[str, ...]:
    """The candidate's name, then those of the models beside it: first the one it is compared with."""
    for name in filter(None, (candidate, against)):
        if name not in config.models:
            raise ConfigError(f"{config.path}: no model {name!r}; it has {', '.join(config.models)}")
        if name == route.premium.name:
            raise ConfigError(f"{name} is the premium of route {route.name}, which all others are measured by")
    cheaper = [model.name for model in route.tiers[:-1]]
    if candidate == (against or next(iter(cheaper), None)):
        raise ConfigError(f"{candidate} would be compared with itself; --against names another model")
    beside = dict.fromkeys([*filter(None, [against]), *cheaper])
    return (candidate, *(name for name in beside if name != candidate))


def _wanted(route: Route, names: tuple[str, ...], chosen: Chosen, gathered: Gathered, *, anew: bool) -> Wanted:
    from tierwise.gateway.evidence.compared import Wanted

    judge = None if route.judge is None else route.judge.name
    known = {
        (label.request_id, label.model): label.draft
        for label in gathered.labels
        if label.source == "judge" and label.by == judge
    }
    return Wanted(route.name, names, chosen.texts, frozenset(names[1:2] if anew else ()), known=known)


def _reported(route: Route, names: tuple[str, ...], chosen: Chosen, found: Run) -> Report:
    """Raises ConfigError where the candidate answered nothing."""
    from tierwise.offline.compare import Trial, report

    trials = [{name: Trial(*trial) for name, trial in row.items()} for row in found.trials]
    own = [row[names[0]] for row in trials if row]
    if own and all(trial.source == "failed" for trial in own):
        raise ConfigError(f"{names[0]} answered none of {len(own)} prompts; `tierwise doctor` may tell why")
    return report(route, names, chosen, trials, (found.spent, found.ended))


# ------------------------------------------------------------------ what is told


def _before(chosen: Chosen, names: tuple[str, ...], cap: int) -> None:
    from tierwise.core.budget import usd

    console().print(
        f"{len(chosen.texts):,} prompts stand for the {chosen.stored:,} that are stored. Asking {plain(names[0])}, for "
        f"{usd(cap)} at the most.",
        soft_wrap=True,
    )


def _told(report: Report, unpriced: Sequence[str], *, judged: bool) -> None:
    screen = console()
    ended = _why(report.ended, unpriced)
    if not report.asked:
        screen.print(f"No prompt was asked: {ended}.", soft_wrap=True)
        return
    by = ", ".join(f"{count:,} by {BY[source]}" for source, count in report.labels.items())
    screen.print(
        f"{report.asked:,} of {report.prompts:,} prompts, {report.stands_for / report.requests:.0%} of the traffic; "
        f"labels: {by or 'none'}. Spent ${report.spent_usd:.4f}.",
        soft_wrap=True,
    )
    screen.print(_table(report))
    for line in (_difference(report), _frontier(report), *_cascade(report), *_notes(report, judged=judged)):
        screen.print(line, soft_wrap=True)
    if ended:
        screen.print(f"[yellow]It ended early[/]: {ended}.", soft_wrap=True)


def _table(report: Report) -> Any:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("model", overflow="fold")
    for title in ("quality", "harm", "USD each", "of premium's", "seconds"):
        table.add_column(title, justify="right")
    for one in report.standings:
        shares = [_share(found) for found in (one.quality, one.harm, one.cost_ratio)]
        table.add_row(plain(one.model), *shares[:2], _number(one.usd, 6), shares[2], _number(one.seconds, 2))
    usd, seconds = _number(report.premium_usd, 6), _number(report.premium_seconds, 2)
    table.add_row(f"{plain(report.premium)} (premium)", "100.0%", "0.0%", usd, "100.0%", seconds)
    return table


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _share(found: Figure | None, between: str = "\n") -> str:
    if found is None:
        return "-"
    return f"{found.value:.1%}{between}[dim]\\[{100 * found.low:.1f}, {100 * found.high:.1f}][/]"


def _difference(report: Report) -> str:
    one, other, count = plain(report.candidate), plain(report.against or ""), report.compared
    if report.against is None:
        return f"Route {plain(report.route)} has no cheaper tier to compare {one} with; --against names a model."
    if report.difference is None:
        return f"{count} prompts have a label of both {one} and {other}: too few to tell a difference."
    value, low, high = (100 * part for part in (report.difference.value, report.difference.low, report.difference.high))
    span = f"\\[{low:.1f}, {high:.1f}]"
    if low > 0 or high < 0:
        word = "[green]better[/]" if low > 0 else "[yellow]worse[/]"
        return f"{one} is {word} than {other} by {abs(value):.1f} points {_turned(low, high)}, on {count} prompts."
    return f"No difference between {one} and {other} can be told from {count} prompts ({value:+.1f} points {span})."


def _turned(low: float, high: float) -> str:
    """The interval of how much, whichever way."""
    least, most = (low, high) if low > 0 else (-high, -low)
    return f"\\[{least:.1f}, {most:.1f}]"


def _frontier(report: Report) -> str:
    one, by = plain(report.candidate), [plain(name) for name in report.by]
    match report.place:
        case "dominated":
            return f"By these figures {one} is [yellow]dominated[/] by {by[0]}, which costs no more and is as good."
        case "mixed":
            return (
                f"By these figures {one} is [yellow]off the frontier[/]: {by[0]} for some requests and {by[1]} for the "
                "others, at random, is better at its cost."
            )
        case "frontier":
            return f"By these figures {one} is [green]on the frontier[/]: nothing else is as good at its cost."
        case "few":
            return f"{report.standings[0].labelled} labels are too few to tell where {one} stands on the frontier."
    return f"Where {one} stands on the frontier is not known: it, or premium, has no price."


def _cascade(report: Report) -> Iterator[str]:
    best = report.standings[0].cascade_at_best
    if best is None or report.place == "few":
        return
    cost = f"it would cost {_share(best, ' ')} of always premium"
    if best.value < 1:
        yield f"Asked first, with a verifier that never errs, {cost} at premium's quality: no verifier makes that less."
    else:
        yield f"Asked first it saves nothing: even with a verifier that never errs {cost}."


def _notes(report: Report, *, judged: bool) -> Iterator[str]:
    for one in report.standings:
        if one.failed:
            calls = "1 call" if one.failed == 1 else f"{one.failed} calls"
            yield f"[yellow]{calls} of {plain(one.model)} failed[/]: an answer that did not come is not good."
    own = report.standings[0]
    if own.labelled < own.asked:
        hint = "the judge had no word for them" if judged else "a judge can compare open text (`judge`, --judge)"
        yield f"{own.asked - own.labelled} of its answers have no label, and are left out: {hint}."


def _why(ended: str, unpriced: Sequence[str]) -> str:
    """`unpriced`: models that were asked and have no price."""
    from tierwise.gateway.evidence.compared import MONEY

    if ended != MONEY:
        return plain(ended)
    if unpriced:
        names = plain(" and ".join(unpriced))
        return f"{MONEY}; {names} has no price in the config, so each call counts as the dearest model's would"
    return f"{MONEY}; before each call its price at the most is set aside, so --usd has to be more than what is spent"
