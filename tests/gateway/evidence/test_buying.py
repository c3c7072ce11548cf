"""Labels bought from a route's judge: what they say, what they cost, that they are kept, and where buying ends."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tierwise.errors import ConfigError
from tierwise.gateway.evidence.buying import Wares, shop
from tierwise.gateway.settings import Config, Environment, load, read_environment
from tierwise.gateway.setup.first_run import opened
from tierwise.proof import Label, Said, Texts, Turn

CONFIG = """
[models.cheap]
provider = "scripted"
script = "none.json"
[models.premium]
provider = "scripted"
script = "none.json"
[models.judge]
provider = "scripted"
script = "judge.json"
price = { input = 1, output = 2 }
[routes.support]
tiers = ["cheap", "premium"]
judge = "judge"
[routes.plain]
tiers = ["cheap", "premium"]
"""
CENT = 10_000_000  # nano-dollars
LABEL = 2 * (1_000 * 1_000 + 10 * 2_000)  # two questions, by the tokens of the last rule
RULES: list[dict[str, Any]] = [
    {"match": "TWICE DOWN", "fault": "overloaded", "times": 2},
    {"match": "ALWAYS DOWN", "fault": "unreachable"},
    {"match": "NOISE", "text": "I can't say."},
    {"match": "PLACE", "text": '{"verdict": "a"}'},
    {"match": '"a":{"text":"BAD', "text": '{"verdict": "b"}'},
    {"match": '"b":{"text":"BAD', "text": '{"verdict": "a"}'},
    {"text": '{"verdict": "tie"}', "input_tokens": 1_000, "output_tokens": 10},
]


def texts(request_id: str, draft: str, premium: str = "Good.") -> Texts:
    said = (Said(model="cheap", response=draft), Said(model="premium", response=premium))
    return Texts(request_id=request_id, route="support", at_ns=1, messages=(Turn("user", "Why?"),), said=said)


def wares(*items: Texts, **known: tuple[float, float]) -> Wares:
    return Wares({item.request_id: item for item in items}, {(name, "cheap"): pair for name, pair in known.items()})


class Place:
    def __init__(self, folder: Path) -> None:
        (folder / "c.toml").write_text(CONFIG)
        (folder / "none.json").write_text("[]")
        (folder / "judge.json").write_text(json.dumps(RULES))
        self.environment: Environment = read_environment({"HOME": str(folder)})
        self.config: Config = load(folder / "c.toml", {})

    def labels(self) -> Sequence[Label]:
        async def read() -> Sequence[Label]:
            async with opened(self.config) as store:
                return await store.proof.labels("support")

        return asyncio.run(read())

    def entries(self) -> list[tuple[str, str]]:
        """(who pays, what for) of each call."""
        with closing(sqlite3.connect(self.config.store_path)) as conn:
            query = """SELECT r.key_id, e.role FROM entries e JOIN reservations r USING (request_id)
                ORDER BY r.id, e.seq"""
            return conn.execute(query).fetchall()


@pytest.fixture
def at(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.mark.parametrize(
    ("draft", "pair", "source"),
    [
        ("Fine.", (1.0, 1.0), "judge"),
        ("BAD", (0.0, 1.0), "judge"),
        ("PLACE", (0.5, 1.0), "judge"),
        ("NOISE", (0.0, 1.0), "missing"),
        ("", (0.0, 1.0), "missing"),
        ("TWICE DOWN", (1.0, 1.0), "judge"),
    ],
)
def test_the_judges_word(at: Place, draft: str, pair: tuple[float, float], source: str) -> None:
    """Both places must agree; what gives no verdict, or can't be shown, is harm; who does not answer is asked again."""
    with shop(at.config, at.environment, "support", wares(texts("q", draft)), CENT) as open_shop:
        assert open_shop.label("cheap", "q") == pair
        assert open_shop.buyer.labels == (source == "judge")
        assert not open_shop.buyer.ended
    (kept,) = at.labels()
    assert (kept.draft, kept.premium, kept.source, kept.by, kept.propensity) == (*pair, source, "judge", 1.0)
    assert (kept.request_id, kept.route, kept.model, kept.at_ns > 0) == ("q", "support", "cheap", True)


def test_nothing_is_paid_for_twice(at: Place) -> None:
    """Neither what was known before, nor what was bought a moment ago; it is booked on an account of its own."""
    stock = wares(texts("old", "BAD"), texts("new", "Fine."), old=(1.0, 1.0))
    with shop(at.config, at.environment, "support", stock, CENT) as open_shop:
        assert [open_shop.label("cheap", name) for name in ("old", "new", "new")] == [(1.0, 1.0)] * 3
        assert (open_shop.buyer.labels, open_shop.now) == (1, LABEL)
    account = open_shop.buyer.purse.account
    assert account.startswith("aside:buy:support:20")
    assert at.entries() == [(account, "judge")] * 2
    assert [kept.request_id for kept in at.labels()] == ["new"]


def test_the_money_ends(at: Place) -> None:
    """Before it is overspent; what is known can still be had, and the next shop of the day has no more."""
    stock = wares(*(texts(f"q{place}", "Fine.") for place in range(30)))
    with shop(at.config, at.environment, "support", stock, CENT) as open_shop:
        most = open_shop.buyer.most()
        assert LABEL < most < CENT / 2  # what is reserved is a bound: a byte is a token at the most
        bought = [open_shop.label("cheap", f"q{place}") for place in range(30)]
        assert bought.count((1.0, 1.0)) == open_shop.buyer.labels == len([pair for pair in bought if pair])
        assert open_shop.buyer.labels == 1 + (CENT - most) // LABEL == 3
        assert open_shop.buyer.ended == "the money is spent"
        assert open_shop.label("cheap", "q0") == (1.0, 1.0)
        assert 0 < open_shop.spent() <= CENT
        assert open_shop.spent() == open_shop.now
    with shop(at.config, at.environment, "support", wares(texts("q40", "Fine.")), CENT) as again:
        assert again.label("cheap", "q40") is None
        assert (again.now, again.spent()) == (0, 3 * LABEL)
    with shop(at.config, at.environment, "support", wares(texts("q40", "Fine.")), 2 * CENT) as richer:
        assert richer.label("cheap", "q40") == (1.0, 1.0)


def test_a_judge_that_does_not_answer(at: Place) -> None:
    """Ends it, after some tries, and labels nothing."""
    stock = wares(texts("q", "ALWAYS DOWN"), texts("r", "Fine."))
    with shop(at.config, at.environment, "support", stock, CENT) as open_shop:
        assert open_shop.label("cheap", "q") is None
        assert open_shop.buyer.ended == "the judge judge does not answer"
        assert open_shop.label("cheap", "r") is None
    assert at.labels() == []
    assert len(at.entries()) == 6


def test_what_a_label_costs_at_the_most(at: Place) -> None:
    """By the longest of those that may be bought."""
    long = texts("long", "word " * 1_000)
    with shop(at.config, at.environment, "support", wares(texts("q", "Fine."), long), CENT) as open_shop:
        most = open_shop.buyer.most()
    with shop(at.config, at.environment, "support", wares(texts("q", "Fine."), long, long=(1, 1)), CENT) as open_shop:
        assert most == open_shop.buyer.most() + 2 * (len(long.said[0].response) - len("Fine.")) * 1_000
    with shop(at.config, at.environment, "support", wares(long, long=(1, 1)), CENT) as open_shop:
        assert open_shop.buyer.most() == 0


def test_a_route_without_a_judge(at: Place) -> None:
    """Says how to name one; nothing is left open."""
    with (
        pytest.raises(ConfigError, match=r'it has none: `judge = "MODEL"`'),
        shop(at.config, at.environment, "plain", wares(), CENT),
    ):
        raise AssertionError
