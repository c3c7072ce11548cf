"""Money: exact integers, upper bounds that bound, and unknowns that never read zero."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.plans import CHEAP, PREMIUM, answer, request
from tierwise.core import price, tariff
from tierwise.core.tokens import UNTAUGHT
from tierwise.tariffs import ONE, Rates, Service, Tariff, Window
from tierwise.types import Answer, Choice, Document, Image, Message, Model, Price, Text, ToolCall, Usage

CEILING = Price(10_000_000, 50_000_000, 10_000_000, 10_000_000)
tokens = st.integers(0, 10_000_000)
picos = st.integers(0, 1_000_000_000)
prices = st.builds(Price, picos, picos, picos, picos)


def test_known_bill() -> None:
    """gpt-4o-mini's list price by hand: 1,000 in of which 400 cached, 200 out."""
    mini = Price(150_000, 600_000, 75_000, 150_000)
    assert price.cost(Usage(1000, 200, cache_read_tokens=400), mini) == 600 * 150 + 400 * 75 + 200 * 600


@given(tokens, tokens, tokens, tokens, prices)
def test_cost_is_the_decimal_sum(fresh: int, read: int, write: int, out: int, listed: Price) -> None:
    """Integer arithmetic gives what exact decimals give, rounded half up once."""
    usage = Usage(fresh + read + write, out, read, write)
    pico = fresh * listed.input + read * listed.cache_read + write * listed.cache_write + out * listed.output
    exact = (Decimal(pico) / 1000).quantize(Decimal(1), ROUND_HALF_UP)
    assert price.cost(usage, listed) == int(exact)


@given(st.integers(0, 5000), st.integers(0, 4096), prices)
def test_bound_bounds(size: int, out: int, listed: Price) -> None:
    """No answer within the model's limit costs more than what was reserved for it."""
    model = msgspec.structs.replace(CHEAP, price=listed, max_output=4096)
    dear = max(listed.input, listed.cache_write, listed.cache_read)
    worst = price.cost(Usage(size, out), Price(dear, listed.output, dear, dear))
    assert worst <= price.bound(request(), size, (model,), CEILING).nanos


def test_bound_adds_tiers_and_choices() -> None:
    """Every tier that may be called is reserved for, and every choice asked for."""
    one = price.bound(request(max_output=100), 1000, (CHEAP,), CEILING).nanos
    both = price.bound(request(max_output=100), 1000, (CHEAP, PREMIUM), CEILING).nanos
    two = price.bound(request(max_output=100, n=2), 1000, (CHEAP,), CEILING).nanos
    assert one == 1000 * 150 + 100 * 600
    assert both == one + 1000 * 2500 + 100 * 10_000
    assert two == one + 100 * 600


def test_bound_of_files() -> None:
    """Pages may fill all of what a model reads, beyond the bytes; known or not."""
    file = Document("data:application/pdf;base64,AA==")
    asked = request(max_output=100, messages=(Message("user", (file,)),))
    small = msgspec.structs.replace(CHEAP, context=8000)
    assert price.bound(asked, 1000, (small,), CEILING).nanos == 9000 * 150 + 100 * 600
    assert price.bound(asked, 1000, (CHEAP,), CEILING).nanos == 1_001_000 * 150 + 100 * 600


def test_cost_states() -> None:
    """Each way of knowing a cost says which it is."""
    unpriced = msgspec.structs.replace(CHEAP, price=None)
    own = Usage(10, 10, cost_nanos=77)
    assert price.charge(CHEAP, Usage(10, 10), Usage(), CEILING, 0)[1:] == (10 * 150 + 10 * 600, "computed")
    assert price.charge(CHEAP, own, Usage(), CEILING, 0)[1:] == (77, "provider_reported")
    assert price.charge(CHEAP, None, Usage(10, 10), CEILING, 0)[1:] == (7500, "estimated")
    assert price.charge(unpriced, Usage(10, 10), Usage(), CEILING, 0)[1:] == (600_000, "unknown")


RATES = Rates(2_000_000, 10_000_000, 100_000, 2_500_000, 4_000_000, 10_000_000, 2_000_000, 2_000_000, 10_000_000)
NIGHT = Window(0, 60, frozenset(range(7)), ONE // 2)
LISTED = Tariff(RATES, (), (NIGHT,), {"priority": Service(factor=2 * ONE)}, request_nanos=7, starts=100, source="list")
NOON = 12 * 3600


def listed(**changes: Any) -> Model:
    """A model with a tariff, whose flat price is never what it is charged by."""
    one = msgspec.structs.replace(LISTED, **changes)
    return msgspec.structs.replace(CHEAP, pricing=tariff.pricing((one,), 0))


def test_charged_by_tariff() -> None:
    """What the list asks at the moment of the start, in the service that the provider says it used."""
    model = listed()
    assert price.charge(model, Usage(100, 10), Usage(), CEILING, NOON)[1:] == (100 * 2000 + 10 * 10_000 + 7, "computed")
    assert price.charge(model, Usage(100, 10), Usage(), CEILING, 200)[1:] == (100 * 1000 + 10 * 5000 + 7, "computed")
    swift = Usage(100, 10, service="priority")
    assert price.charge(model, swift, Usage(), CEILING, NOON)[1:] == (100 * 4000 + 10 * 20_000 + 7, "computed")
    assert price.charge(model, None, Usage(100), CEILING, NOON)[1:] == (100 * 2000 + 7, "estimated")


def test_a_gap_in_a_list_counts_at_its_most() -> None:
    """Before the first price, and in a service without one: unknown, the dearest of the model, and no more than the
    bound that was reserved."""
    model = listed()
    most = 100 * 8000 + 10 * 20_000 + 7
    scale = Usage(100, 10, service="scale")
    assert price.charge(model, Usage(100, 10), Usage(), CEILING, 99)[1:] == (most, "unknown")
    assert price.charge(model, scale, Usage(), CEILING, NOON)[1:] == (most, "unknown")
    assert price.bound(request(max_output=10), 100, (model,), CEILING).nanos == most


def test_baseline_at_the_same_moment() -> None:
    """By the same rules as the attempt: the hour, and the service where premium has it."""
    premium = listed()
    assert price.baseline(premium, Usage(100, 10, 50), 1, 200) == (100 * 1000 + 10 * 5000 + 7, "estimated")
    assert price.baseline(premium, Usage(100, 10, service="priority"), 1, NOON)[0] == 100 * 4000 + 10 * 20_000 + 7
    assert price.baseline(premium, Usage(100, 10, service="scale"), 1, NOON)[0] == 100 * 2000 + 10 * 10_000 + 7
    assert price.baseline(premium, Usage(100, 10), 1, 99) == (1, "unknown")


def test_estimate_counts_everything_said() -> None:
    """Without the provider's count, text, reasoning, refusals and tool calls all count, and something is never 0."""
    said = Choice("To be", "or not", "to be", (ToolCall("1", "that", "is"),))
    assert price.estimate(request(), Answer("m", (said,))).output_tokens == 9  # eight words and a capital
    assert price.estimate(request(), Answer("m", (Choice("."),))).output_tokens == 1
    assert price.estimate(request(), None).output_tokens == 0


def test_estimate_reads_parts() -> None:
    """Text parts count by their bytes, pictures by a flat amount."""
    parts = request(messages=(Message("user", (Text("to be"), Image("https://example.org/i.png"))),))
    assert price.estimate(parts, None).input_tokens == 765 + 3 + 4 + 2


def test_estimate_by_what_a_model_taught() -> None:
    """Its own answers say how its tokens compare with its text."""
    asked, said = request(messages=(Message("user", "to be " * 100),)), Answer("m", (Choice("or not " * 50),))
    ratio, plain = UNTAUGHT, price.estimate(asked, said)
    for _ in range(20):
        ratio = ratio.taught(asked, said, Usage(plain.input_tokens * 2, plain.output_tokens * 3))
    learnt = price.estimate(asked, said, ratio)
    assert learnt.input_tokens == pytest.approx(plain.input_tokens * 2, rel=0.02)
    assert learnt.output_tokens == pytest.approx(plain.output_tokens * 3, rel=0.02)


def test_a_total_that_broke_off() -> None:
    """Goes on with what came later; a cost that was told along with it is none of the whole."""
    known = Usage(9, 3, 2, 1, 1, cost_nanos=70)
    assert price.resumed(known, 4) == Usage(9, 7, 2, 1, 1)


def test_baseline() -> None:
    """What premium would have cost for the same tokens; without its price nothing is claimed."""
    unpriced = msgspec.structs.replace(PREMIUM, price=None)
    assert price.baseline(PREMIUM, Usage(100, 10), 1, 0) == (100 * 2500 + 10 * 10_000, "estimated")
    assert price.baseline(unpriced, Usage(100, 10), 123, 0) == (123, "unknown")
    assert answer(CHEAP).usage == Usage(9, 3)


def test_expected() -> None:
    """A prompt's length and the usual output at the model's price; nothing where nobody knows it."""
    asked = request(messages=(Message("system", "s" * 80), Message("user", "u" * 400)))
    assert price.expected(asked, CHEAP, 50.4) == price.cost(Usage(128, 50), CHEAP.price or CEILING)
    assert price.expected(asked, msgspec.structs.replace(CHEAP, price=None), 50) == 0


def test_expected_in_a_conversation() -> None:
    """The model that answered last has all but the newest message in its cache; for any other one it is all new."""
    turns = (Message("user", "u" * 400), Message("assistant", "a" * 400), Message("user", "v" * 40))
    asked = request(messages=turns, last_model="premium")
    listed = PREMIUM.price or CEILING
    assert price.expected(asked, PREMIUM, 10) == price.cost(Usage(222, 10, cache_read_tokens=208), listed)
    assert price.expected(asked, CHEAP, 10) == price.cost(Usage(222, 10), CHEAP.price or CEILING)


def test_expected_reads_parts() -> None:
    """Text parts by their bytes, pictures by a flat amount."""
    parts = request(messages=(Message("user", (Text("x" * 400), Image("https://example.org/i.png"))),))
    assert price.expected(parts, CHEAP, 0) == price.cost(Usage(350 + 4), CHEAP.price or CEILING)


def test_bound_in_tokens() -> None:
    """A byte a token, and the longest answer of each, as often as it is asked for."""
    assert price.bound(request(), 100, (CHEAP, PREMIUM), CEILING).tokens == 2 * (100 + 4096)
    assert price.bound(request(max_output=50, n=3), 100, (CHEAP,), CEILING).tokens == 100 + 150
    file = Document("https://example.org/a.pdf")
    asked = request(max_output=50, messages=(Message("user", (file,)),))
    assert price.bound(asked, 100, (CHEAP,), CEILING).tokens == 100 + 1_000_000 + 50
