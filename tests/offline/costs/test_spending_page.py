"""The money report's page: self-contained, nothing but text from values, and everything said that is said elsewhere."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.offline.reports.test_report_page import TAGS
from tests.offline.spendings import KEYS, MONTH, Hours, lived, read, spend, traffic
from tests.offline.test_markup import Read
from tierwise.money import Key
from tierwise.offline.costs import spending_words as words
from tierwise.offline.costs.spending import Spending, spending
from tierwise.offline.costs.spending_page import METHOD, page
from tierwise.offline.costs.sums import BY

EVIL = "<script>alert('x')</script>&\""


@pytest.fixture(scope="module")
def found() -> Spending:
    return spending(read(lived(), running_nanos=10**12))


def shown(text: str) -> str:
    """Its words, in one line, without the style."""
    body = text.partition("</style>")[2]
    return " ".join(Read(re.sub(r"</(t[dhr]|p|h\d|div|text|title)>", r" \g<0>", body)).texts.split())


def test_it_loads_nothing_and_runs_nothing(found: Spending) -> None:
    """No script, no address, a policy that would forbid both; four pictures."""
    text = page(found)
    assert {name for name, _ in Read(text).tags} <= TAGS
    assert "http" not in text.replace("http-equiv", "")
    assert dict(Read(text).tags[4][1])["content"] == "default-src 'none'; style-src 'unsafe-inline'"
    assert text.count("<svg") == 4


def test_it_says_what_the_terminal_says(found: Spending) -> None:
    """Every sentence, every row, and how it came about."""
    text = shown(page(found))
    for about, said in words.told(found):
        assert f"{about} {said}" in text
    for by in BY:
        for row in words.rows(found, by, 31):
            assert " ".join(cell for cell in row if cell) in text
    for method in METHOD:
        assert " ".join(method.split()) in text


def test_only_the_tables_that_are_wanted(found: Spending) -> None:
    """In their order."""
    text = page(found, ("team", "route"))
    assert re.findall(r"<h2>By (\w+)", text) == ["team", "route"]


def test_names_are_text() -> None:
    """Of routes, teams, keys, models."""
    named: dict[str, Any] = {"route": EVIL, "team": EVIL, "key_id": "key_1"}
    hours = Hours([spend(MONTH * 24, model=EVIL, **named)], [traffic(MONTH * 24, **named)])
    text = page(spending(read(hours, keys=(Key("key_1", EVIL, b"", "tw_", 0),))))
    assert "<script" not in text
    assert shown(text).count(EVIL) >= 4


@pytest.mark.parametrize(
    ("hours", "pictures"),
    [
        (Hours([], []), 0),
        (Hours([spend(MONTH * 24, 0)], []), 2),
        (Hours([], [traffic(MONTH * 24)]), 3),
        (Hours([spend(MONTH * 24, -5, role="correction")], []), 2),
    ],
)  # fmt: skip
def test_where_there_is_little(hours: Hours, pictures: int) -> None:
    """No picture of what there is not; no page fails."""
    text = page(spending(read(hours, keys=KEYS)))
    assert text.count("<svg") == pictures


def test_a_period_that_is_over() -> None:
    """Has no forecast, and no picture of one."""
    text = page(spending(read(lived(10), until=(MONTH + 25) * 24)))
    assert text.count("<svg") == 3
    assert "Forecast" not in shown(text).partition("Method")[0]
