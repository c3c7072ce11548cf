"""A route's own traffic, out of the store, for commands: read, told of, and laid out as the files that rooms take."""
# ruff: noqa: PLC0415  rooms are imported where they are used: `tierwise --help` need not load them

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from tierwise.cli.results import route_of
from tierwise.cli.show import console, plain
from tierwise.errors import ConfigError

if TYPE_CHECKING:
    from tierwise.gateway.evidence.buying import Shop
    from tierwise.gateway.settings import Config, Environment
    from tierwise.offline.drawn import Gathered, Rows
    from tierwise.offline.findings import Findings
    from tierwise.offline.stored import Counts, Labelled, Lack
    from tierwise.ports import Proof
    from tierwise.proof import Label
    from tierwise.types import Route

STORE, NOBODY = "store", "none"  # what --anchors may be beside a file
SAID = {
    "human": "people",
    "checks": "the operator's own checks",
    "equality": "equality with premium's answer",
    "judge": "the judge {}",
}


class Shelf:
    """The config's store, for code that does not run in an event loop."""

    def __init__(self, runner: asyncio.Runner, proof: Proof) -> None:
        self._runner = runner
        self._proof = proof

    def gathered(self, route: str) -> Gathered:
        from tierwise.offline.drawn import read

        return self._runner.run(read(self._proof, route))

    def keep(self, label: Label) -> None:
        """Durable when this returns."""

        async def kept() -> None:
            await self._proof.keep(label)

        self._runner.run(kept())


@contextmanager
def shelf(config: Config) -> Iterator[Shelf]:
    """Open until the block ends. Raises StoreError."""
    from tierwise.gateway.setup.first_run import opened

    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        store = runner.run(stack.enter_async_context(opened(config)))
        try:
            yield Shelf(runner, store.proof)
        finally:
            runner.run(stack.aclose())


def route_named(config: Config, environment: Environment, name: str) -> Route:
    """As the gateway serves it. Raises ConfigError."""
    from tierwise.gateway.snapshot import build

    route_of(config, name)
    return build(config, environment).routes[name]


def rows(where: tuple[Config, Environment], name: str, trained: Path | None = None) -> tuple[Route, Rows]:
    """Those that the artefact `trained` has not seen. Raises ConfigError where none may stand for all, StoreError."""
    from tierwise.offline.drawn import fresh, uniform

    route = route_named(*where, name)
    with shelf(where[0]) as store:
        found = uniform(store.gathered(name), route)
    return route, found if trained is None else fresh(found, trained, route)


class Given(NamedTuple):
    """What a room is to work on. `said`: whose labels these are; "" where the outcomes are somebody's own.

    `shop` sells those that lack.
    """

    outcomes: Path
    judge: str = ""
    anchors: Path | None = None
    said: str = ""
    shop: Shop | None = None

    def by(self, found: Findings) -> Findings:
        """What was found, saying whose labels it rests on."""
        if not self.said:
            return found
        tiers = tuple(msgspec.structs.replace(tier, labels=self.said) for tier in found.tiers)
        return msgspec.structs.replace(found, tiers=tiers)


@contextmanager
def laid_out(found: Labelled, route: str) -> Iterator[Given]:
    """As files, gone after the block. Errors of what is done with them name the route, not these."""
    from tierwise.offline.outcomes import write

    with tempfile.TemporaryDirectory(prefix="tierwise-") as folder:
        outcomes, people = Path(folder, "outcomes.parquet"), Path(folder, "people.parquet")
        write(found.frame, outcomes)
        if found.people is not None:
            write(found.people, people)
        try:
            yield Given(outcomes, found.judge, None if found.people is None else people, whose(found))
        except ConfigError as error:
            names = {str(outcomes): f"route {route}, its own rows", str(people): f"route {route}, people's labels"}
            raise ConfigError(*(_renamed(problem, names) for problem in error.problems)) from error


def _renamed(text: str, names: dict[str, str]) -> str:
    for name, meant in names.items():
        text = text.replace(name, meant)
    return text


def whose(found: Labelled) -> str:
    """Whose labels these are, in words: for a certificate."""
    counts = found.counts
    names = {source: SAID[source].format(found.judge) for source in counts.labels}
    alone = len(names) == 1
    said = ", ".join(name if alone else f"{name} ({counts.labels[source]:,})" for source, name in names.items())
    if found.people is not None:
        said += f"; corrected by people, who looked at {found.looked:,} of them"
    if counts.as_harm:
        said += f"; {counts.as_harm:,} without a label count as harm"
    return said


@contextmanager
def to_train_on(where: tuple[Config, Environment], name: str, outcomes: Path | None, *, quiet: bool) -> Iterator[Given]:
    """A file of the operator's own, or else the route's rows. Raises ConfigError, StoreError."""
    from tierwise.offline.stored import labelled

    if outcomes is not None:
        yield Given(outcomes)
        return
    route, found = rows(where, name)
    chosen = labelled(found, route)
    if not quiet:
        told(chosen.counts, chosen.judge)
    with laid_out(chosen, name) as given:
        yield given


class Wish(NamedTuple):
    """What `certify` is asked for that concerns its rows. `correcting`: people may correct a judge in this form."""

    trained: Path
    outcomes: Path | None
    judge: str
    anchors: str
    lack: Lack
    correcting: bool


@contextmanager
def to_certify_by(where: tuple[Config, Environment], name: str, wish: Wish, *, quiet: bool) -> Iterator[Given]:
    """A file of the operator's own, or else the route's rows, with people's labels where they may correct a judge's.

    Raises ConfigError, StoreError.
    """
    from tierwise.offline.stored import labelled

    anchors = Path(wish.anchors) if wish.anchors not in ("", STORE, NOBODY) else None
    if wish.outcomes is not None:
        if wish.anchors == STORE:
            raise ConfigError("--anchors store: people's labels in the store are of its own rows; leave out --outcomes")
        yield Given(wish.outcomes, wish.judge, anchors)
        return
    if wish.anchors == STORE and not wish.correcting:
        raise ConfigError("--anchors store: people correct a judge in the form harm, and not with --sequential")
    if wish.judge:
        raise ConfigError("--judge: the store knows who labelled its rows; it is for --outcomes")
    route, found = rows(where, name, wish.trained)
    chosen = None if anchors or wish.anchors == NOBODY or not wish.correcting else _corrected(found, route, wish)
    chosen = chosen or labelled(found, route, wish.lack)
    if not quiet:
        told(chosen.counts, chosen.judge)
    with laid_out(chosen, name) as given:
        yield given if anchors is None else given._replace(anchors=anchors, said="")


def _corrected(found: Rows, route: Route, wish: Wish) -> Labelled | None:
    from tierwise.offline.stored import ANCHORS, corrected

    chosen = corrected(found, route)
    if chosen is None and wish.anchors == STORE:
        raise ConfigError(
            f"--anchors store: people correct a judge once they have looked at {ANCHORS} of its rows, in random order, "
            f"with none passed over: `tierwise label --route {route.name}`"
        )
    return chosen


def told(counts: Counts, judge: str) -> None:
    """Which rows these are, and why the others are not among them."""
    screen = console()
    by = ", ".join(f"{count:,} by {SAID[source].format(judge)}" for source, count in counts.labels.items())
    screen.print(plain(f"{counts.requests:,} of the route's own requests; labels: {by or 'none'}."), soft_wrap=True)
    for count, why in (
        (counts.thinned, "were likelier to be drawn than others (these are thinned to the same chance for all)"),
        (counts.forgotten, "have no texts any more (keep_days)"),
        (counts.incomplete, "have no answer of each model"),
        (counts.seen, "were trained on"),
        (counts.unreviewed, "come after the last one that people have labelled"),
        (counts.unlabelled, "have no label"),
    ):
        if count:
            screen.print(f"  left out: {count:,} that {why}", soft_wrap=True)
    if counts.as_harm:
        screen.print(f"  [yellow]{counts.as_harm:,} without a label count as harm[/]", soft_wrap=True)
