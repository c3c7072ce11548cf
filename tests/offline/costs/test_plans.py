"""What a volume would cost under other terms: hand-made hours, and what must hold of any."""

from __future__ import annotations

from fractions import Fraction

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierwise.money import Spend
from tierwise.offline.costs.plans import (
    MONTH,
    Commitment,
    Gpus,
    Hour,
    Plan,
    Terms,
    Volume,
    always_on,
    break_even,
    day,
    deferred,
    fixed,
    off_peak,
    plans,
    volumes,
    waiting,
    when_it_pays,
)
from tierwise.tariffs import ONE, Rates, Service, Step, Tariff, Window
from tierwise.types import Usage

USD = 1_000_000_000
HALF = Fraction(1, 2)
RATES = Rates(input=1_000_000, output=4_000_000, cache_read=100_000, cache_write=1_000_000, cache_write_1h=1_000_000,
              reasoning=4_000_000, audio=1_000_000, image=1_000_000, speech=4_000_000)  # fmt: skip
DAILY = frozenset(range(7))


def spend(hour: int, nanos: int, tokens: int = 1000, **more: object) -> Spend:
    row = Spend(hour, "r", "", "k", "m", "draft", "computed", 1, nanos, tokens)
    return msgspec.structs.replace(row, **more)


def volume(*hours: tuple[int, int], span: int = MONTH) -> Volume:
    """Hours of (tokens, nanos), one after the other from hour 0; a span of a month makes sums and months one."""
    made = tuple(Hour(at, tokens, nanos) for at, (tokens, nanos) in enumerate(hours))
    tokens = sum(hour.tokens for hour in made)
    return Volume("m", span, made, Usage(tokens, 0), len(made), 0, 0, 0)


HOURS = st.lists(st.tuples(st.integers(1, 10**9), st.integers(0, 10**12)), min_size=1, max_size=6)


def scaled(made: Volume, scale: Fraction, capacity: int) -> tuple[Fraction, Fraction]:
    """(as you go, with a capacity that is already paid for): exact, over the window, every hour scaled alike."""
    as_you_go = sum((scale * hour.nanos for hour in made.hours), Fraction(0))
    spilt = sum(
        (Fraction(hour.nanos, hour.tokens) * max(scale * hour.tokens - capacity, Fraction(0)) for hour in made.hours),
        Fraction(0),
    )
    return as_you_go, spilt


def test_volumes_are_of_one_model_by_the_hour() -> None:
    """The dearest model first; roles, keys and states of an hour are summed; corrections are kept apart."""
    rows = [
        spend(5, 10, output_tokens=500, entries=2),
        spend(5, 20, key_id="aside", role="audit", state="provider_reported"),
        spend(7, 5, state="unknown", cache_read_tokens=3, cache_write_tokens=4, reasoning_tokens=5),
        spend(6, -8, tokens=0, role="correction"),
        spend(5, 900, model="dear"),
        spend(4, 1, model="before"),
        spend(9, 1, model="after"),
        spend(6, -8, tokens=0, role="correction", model="only corrected"),
    ]
    dear, made = volumes(rows, 5, 9)
    assert (dear.model, dear.nanos) == ("dear", 900)
    assert made.hours == (Hour(5, 2500, 30), Hour(7, 1000, 5))
    assert (made.span, made.entries, made.aside, made.unknown, made.corrections) == (4, 4, 20, 5, -8)
    assert made.usage == Usage(3000, 500, 3, 4, 5)
    assert (made.tokens, made.nanos, made.month) == (3500, 35, Fraction(3500 * MONTH, 4))


def test_paying_as_you_go_is_a_month_of_the_same() -> None:
    """The window's cost, scaled to 730 hours and rounded half up."""
    (plan,) = plans(volume((10, 100), (0, 3), span=73), None, 0, Terms())
    assert plan == Plan(name="pay as you go", nanos=1030, cheapest=True)
    assert plans(volume((10, 1), span=1460), None, 0, Terms())[0].nanos == 1
    assert plans(volume((10, 1), span=1461), None, 0, Terms())[0].nanos == 0


def test_what_waits_is_what_was_said_or_what_no_client_waits_for() -> None:
    """A share of the cost; nothing where nothing was spent."""
    made = msgspec.structs.replace(volume((10, 100)), aside=25)
    assert waiting(made, Terms()) == Fraction(1, 4)
    assert waiting(made, Terms(waits=HALF)) == HALF
    assert waiting(volume((10, 0)), Terms()) == 0


def test_batch_is_half_of_what_waits() -> None:
    """At a factor, or at rates of its own; from any volume on; no plan where it is not offered."""
    listed = Tariff(RATES, services={"batch": Service(factor=ONE // 2), "flex": Service(rates=RATES)})
    made = volume((1000, 1000))
    half = deferred(made, listed, 0, "batch", HALF)
    assert half == Plan(name="batch", nanos=750, break_even=0, share=0.5)
    assert deferred(made, listed, 0, "flex", HALF) == Plan(name="flex", nanos=1000, break_even=None, share=0.5)
    assert deferred(made, Tariff(RATES), 0, "batch", HALF) is None
    free = Tariff(Rates(0, 0, 0, 0, 0, 0, 0, 0, 0), services={"batch": Service(factor=ONE // 2)})
    assert deferred(made, free, 0, "batch", HALF) is None


def test_batch_goes_by_the_mean_request() -> None:
    """Long inputs have rates of their own in both services, and a hundred short ones are not a long one."""
    dear = Rates(*(2 * rate for rate in msgspec.structs.astuple(RATES)))
    own = Service(rates=RATES, steps=(Step(500, dear),))
    listed = Tariff(dear, services={"batch": own})
    made = msgspec.structs.replace(volume((1000, 1000)), entries=100)
    assert (plan := deferred(made, listed, 0, "batch", Fraction(1))) is not None
    assert plan.nanos == 500
    one = msgspec.structs.replace(made, entries=1)
    assert (plan := deferred(one, listed, 0, "batch", Fraction(1))) is not None
    assert plan.nanos == 1000


def test_off_peak_moves_what_waits_into_the_next_cheap_hour() -> None:
    """Hours 16 to 24 at half price: an hour that is there already stays; booked at the dearest, it saves by its own."""
    listed = Tariff(RATES, windows=(Window(16 * 60, 1440, DAILY, ONE // 2),))
    made = volume(*[(0, 0)] * 10, (300, 300), *[(0, 0)] * 6, (100, 100))
    plan = off_peak(made, listed, Fraction(1))
    assert plan == Plan(name="off-peak", nanos=250, break_even=0, share=1.0, there=0.25, could=0.75)
    assert (plan := off_peak(made, listed, HALF)) is not None
    assert plan.nanos == 325
    assert off_peak(made, Tariff(RATES), HALF) is None
    assert off_peak(made, Tariff(RATES, windows=(Window(0, 1440, DAILY, ONE // 2),)), HALF) is None


def test_off_peak_where_the_cheap_hours_are_days_away() -> None:
    """1970 began on a Thursday: from its noon on, Saturday is out of reach, and on Friday it is not."""
    listed = Tariff(RATES, windows=(Window(0, 1440, frozenset({5}), ONE // 2),))
    far = volume(*[(0, 0)] * 12, (100, 100))
    still = Plan(name="off-peak", nanos=100, break_even=0, share=1.0, there=0.0, could=0.0)
    assert off_peak(far, listed, Fraction(1)) == still
    near = volume(*[(0, 0)] * 24, (100, 100))
    assert (plan := off_peak(near, listed, Fraction(1))) is not None
    assert (plan.nanos, plan.could) == (50, 1.0)


def test_off_peak_with_dear_hours_and_several_steps() -> None:
    """What was asked in an hour was booked at that hour's price."""
    windows = (Window(0, 60, DAILY, 2 * ONE), Window(60, 120, DAILY, ONE // 2))
    listed = Tariff(RATES, windows=windows)
    middle = ((0, 0), (0, 0), (100, 100))  # at the standard price, hour 2
    assert (plan := off_peak(volume(*middle), listed, Fraction(1))) is not None
    assert plan.nanos == 50
    free = Tariff(RATES, windows=(Window(0, 60, DAILY, 0),))
    assert (plan := off_peak(volume((100, 0)), free, Fraction(1))) is not None
    assert (plan.nanos, plan.there) == (0, 1.0)


def test_a_window_of_half_an_hour_is_a_mean() -> None:
    """16:30 to 17:30: hours 16 and 17 are three quarters of the price each."""
    listed = Tariff(RATES, windows=(Window(990, 1050, DAILY, ONE // 2),))
    assert (plan := off_peak(volume((400, 400)), listed, Fraction(1))) is not None
    assert plan.nanos == 300


def test_a_commitment_serves_up_to_its_capacity() -> None:
    """Peaks spill over and are paid as you go; utilisation is over all hours of the window, idle ones too."""
    made = volume((100, 1000), (300, 3000), (50, 500), span=10)
    plan = fixed(made, "committed", 5000, 100)
    assert plan.nanos == 5000 + 2000 * 73
    assert (plan.used, plan.over) == (0.25, 1)


@pytest.mark.parametrize(
    ("monthly", "capacity", "expected"),
    [
        (400, 100, 100),  # all three hours rise: 40 % of the volume
        (1000, 100, 250),  # just before the largest is full
        (2000, 1000, 500),
        (3000, 1000, 750),
        (0, 100, 0),
        (1001, 1, None),  # three hours, ten nano-dollars each at the most
    ],
)  # fmt: skip
def test_break_even(monthly: int, capacity: int, expected: int | None) -> None:
    """Tokens a month from which on a fixed price is worth it; None where the capacity is too small for ever."""
    made = volume((100, 400), (100, 400), (50, 200))
    assert break_even(made, monthly, capacity) == expected


def test_break_even_when_hours_are_full() -> None:
    """The large hour is full at a half of today's volume; the small one must bring the rest."""
    made = volume((100, 1000), (10, 100))
    assert break_even(made, 500 + 50, 50) == 55
    assert break_even(made, 500 + 75, 50) == 83  # 0.75 of the volume, rounded up
    assert break_even(made, 500 + 400, 50) == 440
    assert break_even(made, 500 + 501, 50) is None
    assert break_even(volume((100, 0)), 1, 50) is None


def test_gpus_that_are_always_on() -> None:
    """As many as the busiest hour needs, or as were said; then the rest spills over."""
    made = volume((250, 2500), (100, 1000))
    needed = always_on(made, Gpus(nanos=2, tokens=100))
    assert (needed.units, needed.nanos, needed.over) == (3, 3 * 2 * MONTH, 0)
    one = always_on(made, Gpus(nanos=2, tokens=100, units=1))
    assert (one.units, one.nanos, one.over) == (1, 2 * MONTH + 1500, 1)
    assert always_on(volume((0, 5)), Gpus(2, 100)).units == 1


def test_gpus_that_are_on_when_they_pay() -> None:
    """Full ones that save more than they cost, one for the rest where that pays too, no more than there are."""
    made = volume((250, 2500), (10, 100), (0, 7))
    plan = when_it_pays(made, Gpus(nanos=400, tokens=100))
    assert plan.nanos == 3 * 400 + 100 + 7
    assert (plan.units, plan.used, plan.break_even) == (3, 250 / 300, 42)  # 260 * 400 / 2500, rounded up
    assert when_it_pays(made, Gpus(nanos=501, tokens=100)).nanos == 2 * 501 + 500 + 107
    assert when_it_pays(made, Gpus(nanos=400, tokens=100, units=1)).nanos == 400 + 1500 + 107
    dear = when_it_pays(made, Gpus(nanos=1001, tokens=100))
    assert (dear.nanos, dear.units, dear.used, dear.break_even) == (2607, 0, 0.0, None)
    assert when_it_pays(made, Gpus(nanos=1000, tokens=100)).nanos == 2000 + 500 + 107  # as dear is as good
    assert when_it_pays(volume((10, 0)), Gpus(0, 100)).break_even is None


def test_the_cheapest_is_marked_once() -> None:
    """Of all that are on offer, in their order; paying as you go where nothing is cheaper."""
    listed = Tariff(RATES, windows=(Window(0, 60, DAILY, ONE // 2),), services={"batch": Service(factor=ONE // 2)})
    terms = Terms(waits=Fraction(1), gpus=Gpus(1, 1000), commitment=Commitment(600, 1000))
    found = plans(volume((1000, 1000)), listed, 0, terms)
    assert [plan.name for plan in found] == [
        "pay as you go", "batch", "off-peak", "committed", "own GPUs, always on", "own GPUs, when they pay",
    ]  # fmt: skip
    assert [plan.nanos for plan in found] == [1000, 500, 1000, 600, 730, 1]
    assert [plan.cheapest for plan in found] == [False, False, False, False, False, True]
    dear = plans(volume((1000, 1000)), listed, 0, Terms())
    assert [plan.cheapest for plan in dear] == [True, False, False]


def test_a_day_is_a_mean_of_days() -> None:
    """Two days, one of them idle."""
    made = msgspec.structs.replace(volume((48, 1), span=48), hours=(Hour(24 * 9 + 5, 48, 1),))
    assert day(made) == tuple(24 if hour == 5 else 0 for hour in range(24))


@given(HOURS, st.integers(0, 10**13), st.integers(1, 10**10), st.integers(1, 3000))
def test_a_break_even_really_breaks_even(hours: list[tuple[int, int]], monthly: int, capacity: int, span: int) -> None:
    """At the volume that is told it is as cheap; at 2 % less, or a token less, it was not, but for rounding."""
    made = volume(*hours, span=span)
    found = break_even(made, monthly, capacity)
    target, slack = Fraction(monthly * span, MONTH), len(hours)
    if found is None:
        most = sum(Fraction(hour.nanos * capacity, hour.tokens) for hour in made.hours)
        assert most < target + slack
        return
    as_you_go, spilt = scaled(made, Fraction(found) / made.month, capacity)
    assert target + spilt <= as_you_go
    if found:
        as_you_go, spilt = scaled(made, Fraction(found - 1) / made.month, capacity)
        assert target + spilt >= as_you_go - slack


@given(HOURS, st.integers(0, 5), st.integers(1, 10**9), st.integers(1, 10**6))
def test_more_volume_is_never_cheaper(hours: list[tuple[int, int]], place: int, more: int, nanos: int) -> None:
    """An hour that has more of both costs no less, whatever the plan."""
    place %= len(hours)
    tokens, spent = hours[place]
    grown = [*hours]
    grown[place] = (tokens * 2, spent * 2)
    terms = Terms(gpus=Gpus(nanos, more), commitment=Commitment(nanos, more))
    listed = Tariff(RATES, windows=(Window(0, 60, DAILY, ONE // 2),), services={"batch": Service(factor=ONE // 2)})
    for one, two in zip(plans(volume(*hours), listed, 0, terms), plans(volume(*grown), listed, 0, terms), strict=True):
        assert one.name == two.name
        assert one.nanos <= two.nanos


@given(HOURS, st.integers(0, 10**12), st.integers(1, 10**9), st.none() | st.integers(1, 5))
def test_gpus_when_they_pay_never_cost_more(
    hours: list[tuple[int, int]], nanos: int, capacity: int, units: int | None
) -> None:
    """Neither than paying as you go, nor than any number of them in every hour."""
    made, gpus = volume(*hours), Gpus(nanos, capacity, units)
    found = when_it_pays(made, gpus)
    assert found.nanos <= made.nanos
    for count in range((units or 3) + 1):
        covered = sum(hour.nanos * min(hour.tokens, count * capacity) // hour.tokens for hour in made.hours)
        other = len(hours) * count * nanos + made.nanos - covered
        assert found.nanos <= other + len(hours)


@given(HOURS, st.fractions(0, 1), st.fractions(0, 1))
def test_the_more_can_wait_the_less_it_costs(hours: list[tuple[int, int]], one: Fraction, two: Fraction) -> None:
    """Batch and off-peak fall with the share that waits, and never go below half of today's cost."""
    listed = Tariff(RATES, windows=(Window(0, 60, DAILY, ONE // 2),), services={"batch": Service(factor=ONE // 2)})
    made, (less, more) = volume(*hours), sorted((one, two))
    for cheap, dear in zip(
        plans(made, listed, 0, Terms(waits=more)), plans(made, listed, 0, Terms(waits=less)), strict=True
    ):
        assert made.nanos // 2 <= cheap.nanos <= dear.nanos <= made.nanos
