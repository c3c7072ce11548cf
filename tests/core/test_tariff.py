"""What a dated price list asks: integers, one rounding, and never less for more."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from fractions import Fraction

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierwise.core import price, tariff
from tierwise.core.tariff import ONE, Rates, Service, Step, Tariff, Window
from tierwise.types import Price, Usage

picos = st.integers(0, 200_000_000)
rates = st.builds(Rates, picos, picos, picos, picos, picos, picos)
factors = st.integers(0, 5 * ONE)
windows = st.builds(
    lambda start, length, days, factor: Window(start, min(start + length, 1440), days, factor),
    st.integers(0, 1439),
    st.integers(1, 1440),
    st.frozensets(st.integers(0, 6), min_size=1),
    factors,
)
moments = st.integers(0, 4_000_000_000)
tokens = st.integers(0, 2_000_000)


def usages() -> st.SearchStrategy[Usage]:
    return st.builds(
        lambda fresh, read, write, out, thought: Usage(fresh + read + write, out, read, write, min(thought, out)),
        tokens,
        tokens,
        tokens,
        tokens,
        tokens,
    )


def tariffs(steps: bool = True) -> st.SearchStrategy[Tariff]:
    """With a batch at a factor and a priority of its own; longer requests cost no less."""

    def made(base: Rates, other: Rates, over: int, window: Window, factor: int, own: Rates) -> Tariff:
        return Tariff(
            rates=base,
            steps=(Step(over, base.at_least(other)),) if steps else (),
            windows=(window,),
            services={"batch": Service(factor=factor), "priority": Service(own, (Step(over, own.at_least(other)),))},
            source="list",
        )

    return st.builds(made, rates, rates, st.integers(0, 1_000_000), windows, factors, rates)


SERVICES = st.sampled_from(["", "auto", "default", "standard", "batch", "priority", "flex"])
BASE = Rates(2_000_000, 10_000_000, 100_000, 2_500_000, 4_000_000, 10_000_000)
LONG = Rates(4_000_000, 15_000_000, 200_000, 5_000_000, 8_000_000, 15_000_000)
PLAIN = Tariff(BASE, source="list")


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


@given(tariffs(), moments, usages(), SERVICES, st.integers(0, 4_000_000))
def test_cost_is_the_exact_sum_rounded_once(one: Tariff, moment: int, used: Usage, service: str, hour: int) -> None:
    """Against fractions, kind by kind, with the window, the length and the service picked by hand."""
    offered = one.services.get(service, Service())
    base, steps = (offered.rates, offered.steps) if offered.rates else (one.rates, one.steps)
    rate = steps[0].rates if used.input_tokens > steps[0].over else base
    when = datetime.fromtimestamp(moment, UTC)
    (window,) = one.windows
    inside = when.weekday() in window.days and window.start <= when.hour * 60 + when.minute < window.end
    factor = Fraction(window.factor if inside else ONE, ONE) * Fraction(offered.factor, ONE)
    hour = min(hour, used.cache_write_tokens)
    pico = (
        (used.input_tokens - used.cache_read_tokens - used.cache_write_tokens) * rate.input
        + used.cache_read_tokens * rate.cache_read
        + (used.cache_write_tokens - hour) * rate.cache_write
        + hour * rate.cache_write_1h
        + (used.output_tokens - used.reasoning_tokens) * rate.output
        + used.reasoning_tokens * rate.reasoning
    )
    exact = pico * factor / 1000
    found = tariff.cost(one, moment, used, service, hour)
    assert found is not None
    assert found == (exact + Fraction(1, 2)).__floor__()
    assert isinstance(found, int)


@given(tariffs(), moments, usages(), SERVICES, st.integers(0, 4_000_000))
def test_what_price_charges_is_the_cost(one: Tariff, moment: int, used: Usage, service: str, hour: int) -> None:
    """Never less, and more by less than a pico-dollar a token."""
    listed, exact = (f(one, moment, used, service, hour) for f in (tariff.price, tariff.cost))
    assert isinstance(listed, Price)
    assert isinstance(exact, int)
    charged = price.cost(used, listed)
    assert exact <= charged <= exact + (used.input_tokens + used.output_tokens) // 1000 + 1
    assert listed.source == "list"


@given(tariffs(), moments, usages(), SERVICES, st.integers(0, 3), st.integers(1, 1_000_000))
def test_more_tokens_never_cost_less(one: Tariff, moment: int, used: Usage, service: str, kind: int, more: int) -> None:
    """Of any kind, over the border of a longer request too."""
    fields = (
        {"input_tokens": used.input_tokens + more},
        {"output_tokens": used.output_tokens + more},
        {"input_tokens": used.input_tokens + more, "cache_read_tokens": used.cache_read_tokens + more},
        {"input_tokens": used.input_tokens + more, "cache_write_tokens": used.cache_write_tokens + more},
    )
    before = tariff.cost(one, moment, used, service)
    after = tariff.cost(one, moment, msgspec.structs.replace(used, **fields[kind]), service)
    assert before is not None
    assert after is not None
    assert before <= after


@given(tariffs(), moments, usages(), SERVICES, st.integers(0, 4_000_000))
def test_most_is_the_most(one: Tariff, moment: int, used: Usage, service: str, hour: int) -> None:
    """No hour, length or service asks more a token; without steps and services the dearest hour is enough."""
    top, listed = tariff.most(one), tariff.price(one, moment, used, service, hour)
    assert listed is not None
    assert listed.input <= top.input
    assert listed.output <= max(top.output, top.reasoning)
    assert listed.cache_read <= top.cache_read
    assert listed.cache_write <= max(top.cache_write, top.cache_write_1h)
    short = msgspec.structs.replace(one, steps=(), services={})
    usual, dearest = tariff.price(short, moment, Usage(1, 1), ""), tariff.dearest(short)
    assert usual is not None
    assert (usual.input, usual.output, usual.cache_write) <= (dearest.input, dearest.output, dearest.cache_write)


@given(st.lists(tariffs(), min_size=1, max_size=3), moments, st.lists(st.integers(0, 3_999_999_999), max_size=4))
def test_nothing_changes_before_the_next_change(some: list[Tariff], moment: int, edges: list[int]) -> None:
    """From a moment until just before `next_change` one and the same price holds."""
    bounds = [None, *sorted(set(edges)), None]
    spans = list(itertools.pairwise(bounds))
    dated = [
        msgspec.structs.replace(one, starts=start, ends=end) for one, (start, end) in zip(some, spans, strict=False)
    ]

    def asked(when: int) -> Price | None:
        found = tariff.valid(dated, when)
        return None if found is None else tariff.price(found, when, Usage(1, 1))

    change = tariff.next_change(dated, moment)
    last = moment + 2 * tariff.WEEK if change is None else change - 1
    assert last >= moment
    for when in (moment, (moment + last) // 2, last):
        assert asked(when) == asked(moment)


def test_the_bill_of_a_day() -> None:
    """gpt-6.1-sol by hand: 1,000 in of which 400 cached and 100 written, 200 out."""
    used = Usage(1000, 200, 400, 100)
    assert tariff.cost(PLAIN, 0, used) == 500 * 2000 + 400 * 100 + 100 * 2500 + 200 * 10_000
    assert tariff.price(PLAIN, 0, used) == Price(2_000_000, 10_000_000, 100_000, 2_500_000, "list")
    assert tariff.dearest(PLAIN) == Price(2_000_000, 10_000_000, 100_000, 2_500_000, "list")


def test_a_fee_is_charged_once_a_request() -> None:
    """In whole nano-dollars, with no tokens at all too."""
    fee = msgspec.structs.replace(PLAIN, request_nanos=5_000_000)
    assert tariff.cost(fee, 0, Usage()) == 5_000_000
    assert tariff.cost(fee, 0, Usage(1, 1)) == 5_000_000 + 12_000


def test_a_long_request_costs_more_as_a_whole() -> None:
    """Only above the threshold, cached tokens counted; of several steps the last that it passes."""
    further = Rates(9, 9, 9, 9, 9, 9)
    one = msgspec.structs.replace(PLAIN, steps=(Step(272_000, LONG), Step(500_000, further)))
    found = [tariff.price(one, 0, Usage(size, 1, size // 2)) for size in (272_000, 272_001, 500_000, 500_001)]
    assert [price.input if price else None for price in found] == [2_000_000, 4_000_000, 4_000_000, 9]
    assert tariff.cost(one, 0, Usage(300_000, 10)) == 300_000 * 4000 + 10 * 15_000


def test_service_tiers() -> None:
    """A multiplier, prices of its own, what is not offered, and what nobody knows."""
    one = msgspec.structs.replace(
        PLAIN, services={"batch": Service(factor=ONE // 2), "fast": Service(LONG, (Step(10, BASE),))}
    )
    assert tariff.cost(one, 0, Usage(100, 10), "batch") == 100 * 1000 + 10 * 5000
    assert tariff.cost(one, 0, Usage(10, 1), "fast") == 10 * 4000 + 15_000
    assert tariff.cost(one, 0, Usage(11, 1), "fast") == 11 * 2000 + 10_000
    assert tariff.cost(one, 0, Usage(100, 10), "flex") == tariff.cost(one, 0, Usage(100, 10))
    assert tariff.cost(one, 0, Usage(100, 10), "scale") is None
    assert tariff.price(one, 0, Usage(100, 10), "priority") is None


def test_reasoning_and_a_cache_for_an_hour() -> None:
    """Each at its own rate in the cost, as a mean that is rounded up in the price."""
    one = msgspec.structs.replace(PLAIN, rates=msgspec.structs.replace(BASE, reasoning=40_000_000))
    used = Usage(30, 10, 0, 30, 4)
    assert tariff.cost(one, 0, used, written_1h=10) == 20 * 2500 + 10 * 4000 + 6 * 10_000 + 4 * 40_000
    listed = tariff.price(one, 0, used, written_1h=10)
    assert listed == Price(2_000_000, 22_000_000, 100_000, 3_000_000, "list")
    third = tariff.price(one, 0, Usage(0, 3, reasoning_tokens=1))
    assert third is not None
    assert third.output == 20_000_000
    assert tariff.cost(one, 0, Usage(0, 3, reasoning_tokens=9)) == 3 * 40_000


@pytest.mark.parametrize(
    ("when", "factor"),
    [
        ("2026-11-27T00:59:59", 2),  # a Friday
        ("2026-11-27T01:00:00", 1),
        ("2026-11-27T03:59:59", 1),
        ("2026-11-27T04:00:00", 2),
        ("2026-11-28T02:00:00", 2),
        ("2026-11-30T02:00:00", 1),
        ("1970-01-01T02:00:00", 1),  # a Thursday
    ],
)
def test_hours(when: str, factor: int) -> None:
    """A window is half open, in UTC, and on its days only."""
    off = Window(60, 240, frozenset(range(5)), ONE // 2)
    one = msgspec.structs.replace(PLAIN, windows=(off,))
    assert tariff.cost(one, at(when), Usage(1000, 0)) == 1_000_000 * factor


def test_the_dearest_hour_may_be_a_window() -> None:
    """A list may give the cheap hours as the base and the dear ones as windows."""
    one = msgspec.structs.replace(PLAIN, windows=(Window(0, 1, frozenset({0}), 3 * ONE),))
    assert tariff.dearest(one).input == 6_000_000


def test_the_most_counts_the_longest_request() -> None:
    """A step up for a long input is part of what a request can ask at the most."""
    long = msgspec.structs.replace(PLAIN.rates, input=9_000_000)
    assert tariff.most(msgspec.structs.replace(PLAIN, steps=(Step(200_000, long),))).input == 9_000_000


def test_the_most_counts_a_service_s_multiplier() -> None:
    """And the dearest hour's on top."""
    one = msgspec.structs.replace(
        PLAIN, services={"fast": Service(factor=3 * ONE)}, windows=(Window(0, 1, frozenset({0}), 2 * ONE),)
    )
    assert tariff.most(one).input == 12_000_000


def test_a_discount() -> None:
    """Rounded up, and said in the source; without one nothing changes."""
    listed = Price(1, 10_000_000, 100_001, 2_500_000, "list")
    assert tariff.times(listed, 900_000) == Price(1, 9_000_000, 90_001, 2_250_000, "list, x 0.9")
    assert tariff.times(listed, 1_100_000).source == "list, x 1.1"
    assert tariff.times(listed, 2 * ONE).source == "list, x 2"
    assert tariff.times(listed, ONE) is listed
    assert tariff.share(ONE) == ""


def test_dates() -> None:
    """A period starts at its first moment and is over at its last; outside all there is no price."""
    one = msgspec.structs.replace(PLAIN, starts=100, ends=200)
    two = msgspec.structs.replace(PLAIN, starts=200, source="two")
    assert tariff.valid((one, two), 99) is None
    assert [found.source for when in (100, 199, 200) if (found := tariff.valid((one, two), when))] == [
        "list",
        "list",
        "two",
    ]
    assert tariff.next_change((one, two), 0) == 100
    assert tariff.next_change((one, two), 100) == 200
    assert tariff.next_change((one, two), 200) is None


def test_the_next_change_of_a_window() -> None:
    """The same day, the next one on which it is, a week later."""
    one = msgspec.structs.replace(PLAIN, windows=(Window(60, 240, frozenset({0, 4}), 0),))
    assert tariff.next_change((one,), at("2026-11-27T00:00:00")) == at("2026-11-27T01:00:00")
    assert tariff.next_change((one,), at("2026-11-27T01:00:00")) == at("2026-11-27T04:00:00")
    assert tariff.next_change((one,), at("2026-11-27T04:00:00")) == at("2026-11-30T01:00:00")
    assert tariff.next_change((one,), at("2026-11-30T04:00:00")) == at("2026-12-04T01:00:00")
