"""`tierwise screen --list`: what was shown of each head that texts are screened by, and what it learnt from."""
# ruff: noqa: PLC0415  rooms are imported where they are used: `tierwise --help` need not load them

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tierwise.cli.screen_training import SHOWN, rate
from tierwise.cli.show import console, plain, print_json

if TYPE_CHECKING:
    from tierwise.screens.cards import Card, Cards
    from tierwise.screens.own import Head, Learnt


def listed(trained: Path | None, *, json: bool) -> None:
    """The shipped heads', or those in an operator's own file."""
    from tierwise.screens.cards import load_cards
    from tierwise.screens.taught import read

    if trained is None:
        cards = load_cards()
        return print_json(msgspec.to_builtins(cards)) if json else _told(cards)
    learnt = read(trained)
    if json:
        return print_json({"screen": learnt.screen, "heads": msgspec.to_builtins(learnt.heads)})
    return _taught(learnt, trained)


def _told(cards: Cards) -> None:
    from tierwise.screens.moderation import MINORS
    from tierwise.screens.risk import shipped

    screen = console()
    _table([(_named(card), card) for card in cards.heads])
    screen.print(
        f"Bounds hold with {100 * cards.confidence:g} % confidence each, for rows like these: public ones that no "
        "model had seen when it scored them. The thresholds were set by the same scores, so expect less of new texts: "
        "`--labels` measures on yours.",
        soft_wrap=True,
    )
    screen.print("Learnt from:", style="bold")
    for name, heads in _sources(cards).items():
        who = "all" if len(heads) == len(cards.heads) else ", ".join(heads)
        screen.print(f"{plain(name)}: {plain(who)}.", soft_wrap=True)
    unmeasured = [_named(card) for card in cards.heads if not card.recall.n]
    unmeasured += [f"risk: {one.name}" for one in shipped() if one.head is None]
    if unmeasured:
        screen.print(f"Not measured, as no public set is of it: {', '.join(unmeasured)}.", soft_wrap=True)
    screen.print(f"By rules over another head, and none of its own: {MINORS}.", soft_wrap=True)
    screen.print(f"SHA-256 of the weights: {cards.weights}", soft_wrap=True)


def _taught(learnt: Learnt, path: Path) -> None:
    _table([(head.name, head) for head in learnt.heads])
    console().print(
        f"{plain(str(path))}: of rows of yours that were set aside. Bounds hold with 95 % confidence each, for rows "
        "like these.",
        soft_wrap=True,
    )


def _table(heads: Sequence[tuple[str, Card | Head]]) -> None:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("class")
    for title in ("from", *SHOWN):
        table.add_column(title, justify="right")
    for name, head in heads:
        table.add_row(plain(name), f"{head.threshold:.2f}", rate(head.recall), rate(head.false_blocks))
    console().print(table)


def _named(card: Card) -> str:
    """A category is called as in replies; a risk class may have a category's name."""
    return f"risk: {card.name}" if card.screen == "risk" else card.name


def _sources(cards: Cards) -> dict[str, list[str]]:
    """Heads by what they learnt from, such as "HateCheck (CC-BY-4.0)"."""
    found: dict[str, list[str]] = {}
    for card in cards.heads:
        for source in card.learnt:
            found.setdefault(f"{source.name} ({source.licence})", []).append(_named(card))
    return dict(sorted(found.items()))
