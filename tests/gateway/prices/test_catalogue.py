"""The vendored price list, against the package it was made from."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from genai_prices.data import providers
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import prices
from tierwise.core.tariff import dearest, dearest_in, dearest_out, most
from tierwise.gateway.prices import price_lists
from tierwise.gateway.prices.catalogue import Catalogue, catalogue, ceiling, entry_of, find, lookup, tariffs_of
from tierwise.gateway.prices.price_lists import Entry, Period, PriceList, pico, shipped
from tierwise.types import Price

NOVEMBER = 1_795_824_000  # 2026-11-28


def test_the_file_is_what_the_generator_makes() -> None:
    """Nobody has edited it by hand, and it stays small."""
    made = prices.render(prices.build(date.fromisoformat(catalogue().prices_checked)))
    assert made == prices.TARGET.read_bytes()
    assert len(made) < 150_000


def test_the_file_ships_with_the_package() -> None:
    """The generator's target is the file that is read."""
    assert prices.TARGET.resolve() == (Path(prices.__file__).parent.parent / "src/tierwise/data/prices").resolve() / (
        "genai-prices.json"
    )
    assert isinstance(catalogue(), Catalogue)
    assert all(catalogue().urls[model.provider] for model in catalogue().models)


@pytest.mark.parametrize(
    ("provider", "model", "expected"),
    [
        ("openai", "gpt-4o-2024-08-06", (2_500_000, 10_000_000, 1_250_000, 2_500_000)),
        ("openai", "GPT-4o-mini", (150_000, 600_000, 75_000, 150_000)),
        ("openai", "gpt-5.2-20251211", (1_750_000, 14_000_000, 175_000, 1_750_000)),
        ("anthropic", "claude-3-5-sonnet-20241022", (3_000_000, 15_000_000, 300_000, 3_750_000)),
        ("anthropic", "claude-haiku-5-5-20260901", (100_000, 500_000, 10_000, 125_000)),
        ("deepseek", "deepseek-flash", (300_000, 1_200_000, 6_000, 300_000)),
    ],
)
def test_dated_names_and_families(provider: str, model: str, expected: tuple[int, int, int, int]) -> None:
    """Pico-dollars a token; a cache price that is not listed is that of fresh input, and peak hours count."""
    price = lookup(provider, model)
    assert price is not None
    assert (price.input, price.output, price.cache_read, price.cache_write) == expected
    assert price.source.startswith("https://")


@pytest.mark.parametrize(
    ("provider", "model", "base_url"),
    [
        ("openai", "no-such-model", ""),
        ("openai", "claude-3-5-sonnet", ""),
        ("local", "gpt-4o", ""),
        ("scripted", "gpt-4o", ""),
        ("openai", "gpt-4o", "http://127.0.0.1:8000/v1"),
        ("openai", "gpt-4o", "https://api.openai.com.evil.example/v1"),
    ],
)
def test_no_price_is_guessed(provider: str, model: str, base_url: str) -> None:
    """Another host's price, and an unknown model's, are unknown."""
    assert lookup(provider, model, base_url) is None


def test_the_provider_s_own_address_is_home() -> None:
    """Written out or not."""
    assert lookup("openai", "gpt-4o", "https://api.openai.com/v1") == lookup("openai", "gpt-4o")


def test_names_match_as_the_source_matches_them() -> None:
    """Every alias that the source lists finds the model that the source finds."""
    for provider in providers:
        if provider.id in prices.PROVIDERS:
            for listing in (model for model in catalogue().models if model.provider == provider.id):
                for name in (listing.id, *listing.match.equals, *(f"{n}-x" for n in listing.match.starts_with)):
                    theirs, ours = provider.find_model(name), find(provider.id, name)
                    assert ours is None or (theirs is not None and theirs.id == ours.id)


def test_the_ceiling_is_above_every_listed_price() -> None:
    """An unknown price is never counted below a known one, long inputs included."""
    top = ceiling()
    for model in catalogue().models:
        for rates in (model, *model.tiers):
            price = rates.price("")
            assert price.input <= top.input
            assert price.output <= top.output
            assert price.cache_read <= top.cache_read
            assert price.cache_write <= top.cache_write
    for prices_of in shipped():
        for entry in prices_of.models:
            for period in entry.periods:
                dear = most(period.tariff())
                assert dearest_in(dear) <= min(top.input, top.cache_write)
                assert dearest_out(dear) <= top.output
                assert dear.cache_read <= top.cache_read
    assert top == Price(top.input, top.output, top.cache_read, top.cache_write, top.source)


def own(host: str = "", **period: str) -> PriceList:
    """A list of an operator's with one model, "gpt-4o", at 1 and 2 USD."""
    said = Period(source="contract", input=Decimal(1), output=Decimal(2))
    dated = msgspec.convert(msgspec.to_builtins(said) | period, Period)
    return PriceList(models=(Entry(provider="openai", name="gpt-4o", host=host, periods=(dated,)),))


def test_an_operator_s_list_counts_first() -> None:
    """Where it knows the model at that moment and address; else the provider's price, or none."""
    price = lookup("openai", "gpt-4o-2024-11-20", "https://api.openai.com/v1", [own()])
    assert price == Price(1_000_000, 2_000_000, 1_000_000, 1_000_000, "contract")
    assert lookup("openai", "gpt-4o-mini", "", [own()]) == lookup("openai", "gpt-4o-mini")
    assert lookup("openai", "gpt-4o", "http://127.0.0.1:9/v1", [own()]) is None
    ended = own(valid_to="2026-11-28T00:00:00Z")
    assert lookup("openai", "gpt-4o", "", [ended], 1_795_823_999) == price
    assert lookup("openai", "gpt-4o", "", [ended], 1_795_824_000) == lookup("openai", "gpt-4o")
    assert lookup("local", "gpt-4o", "", [own()]) is None


def test_a_list_may_name_another_host() -> None:
    """Its price holds there, and nowhere else."""
    there = own(host="models.example")
    price = lookup("openai", "gpt-4o", "https://models.example:8443/v1", [there])
    assert price is not None
    assert price.source == "contract"
    assert lookup("openai", "gpt-4o", "https://other.example/v1", [there]) is None
    assert lookup("openai", "gpt-4o", "", [there]) == lookup("openai", "gpt-4o")
    assert entry_of("openai", "gpt-4o", "https://models.example:8443/v1", [there]) is there.models[0]
    assert entry_of("openai", "gpt-4o", "https://other.example/v1", [there]) is None
    assert entry_of("openai", "gpt-4o") is price_lists.find(shipped(), "openai", "gpt-4o")
    assert entry_of("scripted", "gpt-4o", "", [own()]) is None


def test_our_lists_over_the_snapshot() -> None:
    """Where one of ours holds it counts; where none does, what the snapshot says."""
    newer = lookup("openai", "gpt-6.2-sol", moment=NOVEMBER)
    assert newer is not None
    assert (newer.input, newer.source) == (2_000_000, "https://developers.openai.com/api/docs/models/gpt-6.2-sol")
    before = lookup("deepseek", "deepseek-v4-pro", moment=NOVEMBER - 120 * 86_400)
    assert before is not None
    assert (before.input, before.source) == (435_000, "https://api-docs.deepseek.com/quick_start/pricing")
    old = lookup("openai", "gpt-3.5-turbo")
    assert old is not None
    assert old.source == f"{catalogue().source}, {catalogue().prices_checked}"


def test_all_that_is_listed_of_a_model() -> None:
    """In the order in which it counts: the operator's, ours, the snapshot's, which has no dates."""
    found = tariffs_of("openai", "gpt-4o", "", [own(valid_to="2026-11-28T00:00:00Z")])
    assert [item.source for item in found] == [
        "contract",
        "https://developers.openai.com/api/docs/pricing",
        f"{catalogue().source}, {catalogue().prices_checked}",
    ]
    assert found[1].services["priority"].rates is not None
    there = tariffs_of("openai", "gpt-4o", "https://models.example/v1", [own(host="models.example")])
    assert [item.source for item in there] == ["contract"]
    (cyber,) = tariffs_of("openai", "gpt-6-cyber")
    tiered = find("openai", "gpt-5.4")
    assert tiered is not None
    assert [(step.over, step.rates.input) for step in tiered.tariff().steps] == [(272_000, 5_000_000)]
    assert cyber.rates.cache_write_1h == cyber.rates.cache_write == 25_000_000


def test_the_snapshot_and_our_lists_agree_now() -> None:
    """A new snapshot that differs from a list of ours is looked at by a person, who mends the one that is wrong."""
    for listing in catalogue().models:
        entry = price_lists.find(shipped(), listing.provider, listing.id)
        period = entry.at(NOVEMBER) if entry else None
        if period is not None and listing.id not in ("deepseek-chat", "deepseek-reasoner"):  # there as of July 2025
            ours, theirs = dearest(period.tariff()), listing.price(period.source)
            assert ours == theirs, listing.id


@given(st.decimals(min_value=0, max_value=1000, places=9))
def test_pico_dollars_round_up(usd: Decimal) -> None:
    """By less than one, and never down."""
    exact = usd * 1_000_000
    assert exact <= pico(usd) < exact + 1
