"""Certifying by labels that are bought while the test runs: what they may cost, said before; what they did, after."""
# ruff: noqa: PLC0415  rooms are imported where they are used: `tierwise --help` need not load them

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tierwise.cli.show import console, plain
from tierwise.cli.stored import SAID, Given, Wish, laid_out, rows
from tierwise.core.budget import usd

if TYPE_CHECKING:
    from tierwise.gateway.evidence.buying import Shop
    from tierwise.gateway.settings import Config, Environment
    from tierwise.offline.findings import Findings
    from tierwise.offline.stored import Labelled


@contextmanager
def to_buy_by(where: tuple[Config, Environment], name: str, wish: Wish, cap: int, *, quiet: bool) -> Iterator[Given]:
    """The route's rows, labelled or not, and a shop for the labels, of `cap` nano-dollars a day at the most.

    Raises ConfigError, StoreError.
    """
    from tierwise.gateway.evidence.buying import Wares, shop
    from tierwise.offline.stored import known, labelled

    route, found = rows(where, name, wish.trained)
    have = known(found.rows, route)
    chosen = labelled(found, route, "harm")  # what is bought takes the place of what lacks
    texts = {row.texts.request_id: row.texts for row in found.rows}
    with shop(*where, name, Wares(texts, have), cap) as open_shop, laid_out(chosen, name) as given:
        lacking = len(texts) * (len(route.tiers) - 1) - len(have)
        _before(open_shop, lacking, quiet=quiet)
        yield given._replace(judge="", said=_whose(chosen, open_shop.buyer.judge.name), shop=open_shop)


def _before(open_shop: Shop, lacking: int, *, quiet: bool) -> None:
    buyer, spent = open_shop.buyer, open_shop.spent()
    today = f", of which {usd(spent)} are spent" if spent else ""
    console(stderr=quiet).print(
        f"{lacking:,} labels lack. Each that the test asks for is bought from the judge "
        f"{plain(buyer.judge.name)}, for {usd(buyer.most())} at the most; {usd(buyer.purse.cap or 0)} for today in "
        f"all{today}.",
        soft_wrap=True,
    )


def told_bought(open_shop: Shop, found: Findings, *, quiet: bool) -> None:
    buyer, labels = open_shop.buyer, open_shop.buyer.labels
    said = f"{labels:,} labels were bought for {usd(open_shop.now)}"
    if buyer.ended and found.thresholds is None:
        said += (
            f"; {plain(buyer.ended)}, and the bound does not hold yet. They are kept: another --buy goes on from here"
        )
    elif buyer.ended:
        said += f"; {plain(buyer.ended)}, before looser thresholds could be tried. They are kept"
    console(stderr=quiet).print(f"{said}.", soft_wrap=True)


def _whose(chosen: Labelled, judge: str) -> str:
    sources = [*(source for source in chosen.counts.labels if source != "judge"), "judge"]
    names = " and ".join(sorted({*filter(None, chosen.judge.split(" and ")), judge}))
    return ", ".join(SAID[source].format(names) for source in sources)
