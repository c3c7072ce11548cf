"""The vendored price list, against the package it was made from."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from genai_prices.data import providers
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import prices
from tierwise.gateway.catalogue import Catalogue, catalogue, ceiling, find, lookup, pico
from tierwise.types import Price


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
    assert price.source == f"{catalogue().source}, {catalogue().prices_checked}"


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
    assert top == Price(top.input, top.output, top.cache_read, top.cache_write, top.source)


@given(st.decimals(min_value=0, max_value=1000, places=9))
def test_pico_dollars_round_up(usd: Decimal) -> None:
    """By less than one, and never down."""
    exact = usd * 1_000_000
    assert exact <= pico(usd) < exact + 1
