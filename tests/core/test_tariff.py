"""What a dated price list asks: integers, one rounding, and never less for more."""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierwise.core import tariff
from tierwise.tariffs import ONE, Pricing, Rates, Service, Step, Tariff, Window
from tierwise.types import Price, Usage

picos = st.integers(0, 200_000_000)
rates = st.builds(Rates, *[picos] * 9)
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
SERVICES = st.sampled_from(["", "auto", "default", "standard", "batch", "priority", "flex"])


def usages() -> st.SearchStrategy[Usage]:
    return st.builds(
        lambda fresh, read, write, out, thought, others: Usage(
            fresh + read + write,
            out,
            read,
            write,
            min(thought, out),
            cache_write_1h_tokens=others[0],
            audio_tokens=others[1],
            image_tokens=others[2],
            speech_tokens=others[3],
            service=others[4],
            region=others[5],
        ),
        tokens,
        tokens,
        tokens,
        tokens,
        tokens,
        st.tuples(tokens, tokens, tokens, tokens, SERVICES, st.sampled_from(["", "us", "eu"])),
    )


def tariffs(steps: bool = True) -> st.SearchStrategy[Tariff]:
    """With a batch at a factor and a priority of its own; longer requests cost no less."""

    def made(base: Rates, other: Rates, over: int, window: Window, factor: int, own: Rates) -> Tariff:
        return Tariff(
            rates=base,
            steps=(Step(over, base.at_least(other)),) if steps else (),
            windows=(window,),
            services={"batch": Service(factor=factor), "priority": Service(own, (Step(over, own.at_least(other)),))},
            regions={"us": 1_100_000},
            source="list",
        )

    return st.builds(made, rates, rates, st.integers(0, 1_000_000), windows, factors, rates)


BASE = Rates(2_000_000, 10_000_000, 100_000, 2_500_000, 4_000_000, 10_000_000, 2_000_000, 2_000_000, 10_000_000)
LONG = Rates(4_000_000, 15_000_000, 200_000, 5_000_000, 8_000_000, 15_000_000, 4_000_000, 4_000_000, 15_000_000)
PLAIN = Tariff(BASE, source="list")


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


@given(tariffs(), moments, usages())
def test_cost_is_the_exact_sum_rounded_once(one: Tariff, moment: int, used: Usage) -> None:
    """Against fractions, kind by kind, with the window, the length, the service and the place picked by hand."""
    offered = one.services.get(used.service, Service())
    base, steps = (offered.rates, offered.steps) if offered.rates else (one.rates, one.steps)
    rate = steps[0].rates if used.input_tokens > steps[0].over else base
    when = datetime.fromtimestamp(moment, UTC)
    (window,) = one.windows
    inside = when.weekday() in window.days and window.start <= when.hour * 60 + when.minute < window.end
    factor = Fraction(window.factor if inside else ONE, ONE) * Fraction(offered.factor, ONE)
    factor *= Fraction(11, 10) if used.region == "us" else 1
    hour = min(used.cache_write_1h_tokens, used.cache_write_tokens)
    fresh = used.input_tokens - used.cache_read_tokens - used.cache_write_tokens
    heard = min(used.audio_tokens, fresh)
    seen = min(used.image_tokens, fresh - heard)
    said = used.output_tokens - used.reasoning_tokens
    spoken = min(used.speech_tokens, said)
    pico = (
        (fresh - heard - seen) * rate.input
        + heard * rate.audio
        + seen * rate.image
        + used.cache_read_tokens * rate.cache_read
        + (used.cache_write_tokens - hour) * rate.cache_write
        + hour * rate.cache_write_1h
        + (said - spoken) * rate.output
        + spoken * rate.speech
        + used.reasoning_tokens * rate.reasoning
    )
    exact = pico * factor / 1000
    found = tariff.cost(one, moment, used)
    assert found is not None
    assert found == (exact + Fraction(1, 2)).__floor__()
    assert isinstance(found, int)


@given(tariffs(), moments, usages(), st.integers(0, 3), st.integers(1, 1_000_000))
def test_more_tokens_never_cost_less(one: Tariff, moment: int, used: Usage, kind: int, more: int) -> None:
    """Of any kind, over the border of a longer request too."""
    used = msgspec.structs.replace(used, cache_write_1h_tokens=0, audio_tokens=0, image_tokens=0, speech_tokens=0)
    fields = (
        {"input_tokens": used.input_tokens + more},
        {"output_tokens": used.output_tokens + more},
        {"input_tokens": used.input_tokens + more, "cache_read_tokens": used.cache_read_tokens + more},
        {"input_tokens": used.input_tokens + more, "cache_write_tokens": used.cache_write_tokens + more},
    )
    before = tariff.cost(one, moment, used)
    after = tariff.cost(one, moment, msgspec.structs.replace(used, **fields[kind]))
    assert before is not None
    assert after is not None
    assert before <= after


@given(tariffs(), moments, usages())
def test_most_is_the_most(one: Tariff, moment: int, used: Usage) -> None:
    """No hour, length, service, place or kind of token asks more; without steps and services the dearest hour does."""
    listed = tariff.pricing((one,), moment)
    assert listed is not None
    found = tariff.cost(one, moment, used)
    assert found is not None
    pico = used.input_tokens * listed.most_in + used.output_tokens * listed.most_out
    assert found <= -(-pico // 1000) + listed.most_fee
    short = msgspec.structs.replace(one, steps=(), services={})
    text = Usage(used.input_tokens, used.output_tokens)
    top = tariff.dearest(short)
    usual = tariff.cost(short, moment, text)
    assert usual is not None
    assert usual <= (text.input_tokens * top.input + text.output_tokens * top.output + 999) // 1000


def test_the_bill_of_a_day() -> None:
    """gpt-6.1-sol by hand: 1,000 in of which 400 cached and 100 written, 200 out."""
    used = Usage(1000, 200, 400, 100)
    assert tariff.cost(PLAIN, 0, used) == 500 * 2000 + 400 * 100 + 100 * 2500 + 200 * 10_000
    assert tariff.dearest(PLAIN) == Price(2_000_000, 10_000_000, 100_000, 2_500_000, "list")


def test_a_fee_is_charged_once_a_request() -> None:
    """In whole nano-dollars, with no tokens at all too."""
    fee = msgspec.structs.replace(PLAIN, request_nanos=5_000_000)
    assert tariff.cost(fee, 0, Usage()) == 5_000_000
    assert tariff.cost(fee, 0, Usage(1, 1)) == 5_000_000 + 12_000


def test_a_long_request_costs_more_as_a_whole() -> None:
    """Only above the threshold, cached tokens counted; of several steps the last that it passes."""
    further = Rates(*[9] * 9)
    one = msgspec.structs.replace(PLAIN, steps=(Step(272_000, LONG), Step(500_000, further)))
    found = [tariff.rates(one, 0, Usage(size, 1, size // 2)) for size in (272_000, 272_001, 500_000, 500_001)]
    assert [item[0] for item in found if item] == [BASE, LONG, LONG, further]
    assert tariff.cost(one, 0, Usage(300_000, 10)) == 300_000 * 4000 + 10 * 15_000


def test_service_tiers() -> None:
    """A multiplier, prices of its own, what is not offered, and what nobody knows."""
    one = msgspec.structs.replace(
        PLAIN, services={"batch": Service(factor=ONE // 2), "fast": Service(LONG, (Step(10, BASE),))}
    )
    assert tariff.cost(one, 0, Usage(100, 10, service="batch")) == 100 * 1000 + 10 * 5000
    assert tariff.cost(one, 0, Usage(10, 1, service="fast")) == 10 * 4000 + 15_000
    assert tariff.cost(one, 0, Usage(11, 1, service="fast")) == 11 * 2000 + 10_000
    assert tariff.cost(one, 0, Usage(100, 10, service="flex")) == tariff.cost(one, 0, Usage(100, 10))
    assert tariff.cost(one, 0, Usage(100, 10, service="default")) == tariff.cost(one, 0, Usage(100, 10))
    assert tariff.cost(one, 0, Usage(100, 10, service="scale")) is None


def test_reasoning_and_a_cache_for_an_hour() -> None:
    """Each at its own rate, never for more tokens than what they are part of."""
    one = msgspec.structs.replace(PLAIN, rates=msgspec.structs.replace(BASE, reasoning=40_000_000))
    used = Usage(30, 10, 0, 30, 4, cache_write_1h_tokens=10)
    assert tariff.cost(one, 0, used) == 20 * 2500 + 10 * 4000 + 6 * 10_000 + 4 * 40_000
    assert tariff.cost(one, 0, Usage(30, 0, 0, 30, cache_write_1h_tokens=99)) == 30 * 4000
    assert tariff.cost(one, 0, Usage(0, 3, reasoning_tokens=9)) == 3 * 40_000


def test_sound_and_pictures() -> None:
    """A list may give them rates of their own; what is more of them than there is room for is not believed."""
    one = msgspec.structs.replace(
        PLAIN, rates=msgspec.structs.replace(BASE, audio=40_000_000, image=5_000_000, speech=80_000_000)
    )
    used = Usage(100, 20, 10, audio_tokens=30, image_tokens=20, speech_tokens=15)
    assert tariff.cost(one, 0, used) == 10 * 100 + 40 * 2000 + 30 * 40_000 + 20 * 5000 + 5 * 10_000 + 15 * 80_000
    assert tariff.cost(one, 0, Usage(10, 0, image_tokens=99)) == 10 * 5000
    assert tariff.cost(one, 0, Usage(10, 0, audio_tokens=6, image_tokens=99)) == 6 * 40_000 + 4 * 5000
    assert tariff.cost(one, 0, Usage(0, 3, 0, 0, 2, speech_tokens=9)) == 2 * 10_000 + 80_000


def test_places() -> None:
    """Where the provider says that it worked there; elsewhere the plain price."""
    one = msgspec.structs.replace(PLAIN, regions={"us": 1_100_000}, services={"fast": Service(factor=2 * ONE)})
    assert tariff.cost(one, 0, Usage(100, 0, region="us")) == 220_000
    assert tariff.cost(one, 0, Usage(100, 0, region="global")) == 200_000
    assert tariff.cost(one, 0, Usage(100, 0, region="us", service="fast")) == 440_000
    assert tariff.most(one).input == 4_400_000


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
    """On every rate and fee, rounded up, and said in the source; without one nothing changes."""
    odd = msgspec.structs.replace(BASE, input=1, cache_read=100_001)
    one = Tariff(odd, (Step(9, LONG),), (), {"fast": Service(LONG, (Step(9, BASE),)), "batch": Service(factor=7)})
    one = msgspec.structs.replace(one, request_nanos=11, source="list", starts=1, ends=2, regions={"us": 3})
    less = tariff.times(one, 900_000)
    assert (less.rates.input, less.rates.cache_read, less.rates.output) == (1, 90_001, 9_000_000)
    assert less.steps == (Step(9, LONG.times(900_000)),)
    assert less.services["fast"] == Service(LONG.times(900_000), (Step(9, BASE.times(900_000)),))
    assert less.services["batch"] == Service(factor=7)
    assert (less.request_nanos, less.source, less.starts, less.ends) == (10, "list, x 0.9", 1, 2)
    assert less.regions == {"us": 3}
    assert tariff.times(one, 1_100_000).source == "list, x 1.1"
    assert tariff.times(one, 2 * ONE).source == "list, x 2"
    assert tariff.times(one, ONE) is one
    assert tariff.share(ONE) == ""


def test_all_of_a_model() -> None:
    """The most of what has not ended, whatever it is called; nothing where everything has."""
    dear = msgspec.structs.replace(PLAIN, rates=LONG, ends=100, request_nanos=9)
    now = msgspec.structs.replace(PLAIN, starts=100, ends=200, request_nanos=5, services={"flex": Service(factor=9)})
    both, later = tariff.pricing((dear, now), 99), tariff.pricing((dear, now), 100)
    assert both is not None
    assert (both.most_in, both.most_out, both.most_fee) == (8_000_000, 15_000_000, 9)
    assert later is not None
    assert (later.most_in, later.most_out, later.most_fee) == (4_000_000, 10_000_000, 5)
    assert later.tariffs == (dear, now)
    assert (later.offers("flex"), later.offers("batch")) == (True, False)
    assert tariff.pricing((dear, now), 200) is None
    kinds = [msgspec.structs.replace(BASE, **{kind: 99_000_000}) for kind in ("cache_read", "audio", "image")]
    assert [tariff.dearest_in(kind) for kind in kinds] == [99_000_000] * 3
    kinds = [msgspec.structs.replace(BASE, **{kind: 99_000_000}) for kind in ("reasoning", "speech")]
    assert [tariff.dearest_out(kind) for kind in kinds] == [99_000_000] * 2


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


# ------------------------------------------------------------------ when to ask


NIGHT = Window(16 * 60 + 30, 1440, frozenset(range(7)), ONE // 2)
EARLY = Window(0, 30, frozenset(range(7)), ONE // 2)
OFF_PEAK = Tariff(BASE, windows=(NIGHT, EARLY), source="list")


def listed(*tariffs: Tariff) -> Pricing:
    return Pricing(tariffs, 0, 0, 0)


@pytest.mark.parametrize(
    ("now", "until", "found"),
    [
        ("2026-11-27T08:00:00", "2026-11-28T08:00:00", "2026-11-27T16:30:00"),
        ("2026-11-27T08:00:00", "2026-11-27T16:30:00", "2026-11-27T16:30:00"),
        ("2026-11-27T08:00:00", "2026-11-27T16:29:59", "2026-11-27T08:00:00"),
        ("2026-11-27T08:00:00", "2026-11-27T07:00:00", "2026-11-27T08:00:00"),
        ("2026-11-27T16:30:00", "2026-11-28T08:00:00", "2026-11-27T16:30:00"),
        ("2026-11-28T00:29:59", "2026-11-28T23:00:00", "2026-11-28T00:29:59"),
        ("2026-11-28T00:30:00", "2026-11-28T23:00:00", "2026-11-28T16:30:00"),
    ],
)
def test_the_cheapest_moment(now: str, until: str, found: str) -> None:
    """The next cheaper window if it begins in time; at once within one, without one, and where it would be too late."""
    assert tariff.cheapest([listed(OFF_PEAK)], at(now), at(until)) == at(found)
    assert tariff.cheapest([listed(PLAIN)], at(now), at(until)) == at(now)
    assert tariff.cheapest([], at(now), at(until)) == at(now)


def test_the_cheapest_moment_of_several_models() -> None:
    """The dear one's hours weigh more, and a window that is dearer is waited out."""
    day, till = at("2026-11-27T08:00:00"), at("2026-11-28T08:00:00")
    dear = msgspec.structs.replace(PLAIN, rates=LONG, windows=(Window(600, 660, frozenset(range(7)), ONE // 2),))
    assert tariff.cheapest([listed(OFF_PEAK), listed(dear)], day, till) == at("2026-11-27T10:00:00")
    peak = msgspec.structs.replace(PLAIN, windows=(Window(0, 540, frozenset(range(7)), 2 * ONE),))
    assert tariff.cheapest([listed(peak)], day, till) == at("2026-11-27T09:00:00")


def test_a_list_that_ends_is_not_waited_out() -> None:
    """Nor one that holds no more, or not yet."""
    day, till = at("2026-11-27T08:00:00"), at("2026-11-28T08:00:00")
    soon = msgspec.structs.replace(OFF_PEAK, ends=at("2026-11-27T16:30:00"))
    assert tariff.cheapest([listed(soon)], day, till) == day
    later = msgspec.structs.replace(OFF_PEAK, starts=at("2026-11-27T16:00:00"))
    assert tariff.cheapest([listed(later)], day, till) == day


@given(tariffs(), moments, st.integers(0, 200_000), st.integers(0, 200_000))
def test_no_moment_is_cheaper_than_the_cheapest(one: Tariff, since: int, span: int, other: int) -> None:
    """Whichever it is compared with."""
    found = tariff.cheapest([listed(one)], since, since + span)
    assert since <= found <= since + span
    cost = (one.rates.input + one.rates.output) * tariff.by_hour(one, found)
    assert cost <= (one.rates.input + one.rates.output) * tariff.by_hour(one, since + min(other, span))


@given(tariffs(), moments, usages())
def test_the_bound_of_a_service(one: Tariff, moment: int, used: Usage) -> None:
    """No hour, length or place asks more of a request that is served by it; the standard one's where there is none."""
    found = tariff.cost(one, moment, used)
    assert found is not None
    assert found <= tariff.bound(one, used.service, used.input_tokens, used.output_tokens)


def test_the_bound_of_a_batch() -> None:
    """By hand: half of the dearest rate of each side, and the fee whole."""
    one = msgspec.structs.replace(PLAIN, services={"batch": Service(factor=ONE // 2)}, request_nanos=7)
    assert tariff.bound(one, "batch", 100, 10) == 100 * 2000 + 10 * 5000 + 7
    assert tariff.bound(one, "flex", 100, 10) == 100 * 4000 + 10 * 10_000 + 7
    assert tariff.bound(one, "batch", 1, 0) == 2007
