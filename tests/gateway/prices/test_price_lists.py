"""Price lists as files: those that ship against their schema and another list, an operator's with every mistake."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import jsonschema_rs
import msgspec
import pytest
from genai_prices import types as source
from genai_prices.data import providers
from hypothesis import given
from hypothesis import strategies as st

from tierwise.core import tariff
from tierwise.errors import ConfigError
from tierwise.gateway.prices.price_lists import SCHEMA, Entry, Period, PriceList, check, find, read, render, shipped
from tierwise.tariffs import ONE
from tierwise.types import Price, Usage

FOLDER = SCHEMA.parent / "overlays"
PATHS = sorted(FOLDER.glob("*.json"))
OWN = {"openai": "openai.com", "anthropic": "claude.com", "deepseek": "deepseek.com"}
# Ours, and not in genai-prices 0.2.3; the days of its check of service tiers are older than these moments.
NOT_THERE = {"gpt-6.2-sol"}
OLDER_THERE = {"deepseek-chat", "deepseek-reasoner"}  # with what they cost in July 2025
MOMENTS = ("2026-11-27T00:30", "2026-11-27T02:00", "2026-11-27T05:00", "2026-11-27T06:00", "2026-11-27T23:59")
FIELDS = ("input", "output", "cache_read", "cache_write")
SHORT, LONG = Usage(1, 1), Usage(1_000_000, 1)


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def entry(provider: str, name: str) -> Entry:
    found = find(shipped(), provider, name)
    assert found is not None
    return found


def asked(provider: str, name: str, when: str, usage: Usage = SHORT, service: str = "") -> Price | None:
    period = entry(provider, name).at(at(when))
    assert period is not None
    found = tariff.rates(period.tariff(), at(when), msgspec.structs.replace(usage, service=service))
    if found is None:
        return None
    rates = found[0].times(found[1] // ONE**2)
    return Price(rates.input, rates.output, rates.cache_read, rates.cache_write, period.source)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name)
def test_shipped_lists_keep_their_form(path: Path) -> None:
    """By the schema, which is one itself; written as `render` writes; every price cites the provider's own page."""
    schema = json.loads(SCHEMA.read_text())
    jsonschema_rs.meta.validate(schema)
    raw = json.loads(path.read_text())
    jsonschema_rs.Draft202012Validator(schema, validate_formats=True).validate(raw)
    prices = read(path)
    assert render(prices) == path.read_bytes()
    for one in prices.models:
        assert one.provider == path.stem
        for period in one.periods:
            host = period.source.split("/")[2]
            assert period.source.startswith("https://")
            assert host.endswith(OWN[one.provider])
            assert period.checked is None or period.checked.isoformat() <= "2026-11-28"


def test_three_providers_ship() -> None:
    """GPT-4 and Claude 3.5 on, and DeepSeek's models; no name stands twice."""
    assert {path.stem for path in PATHS} == set(OWN)
    names = [(one.provider, name) for prices in shipped() for one in prices.models for name in (one.name, *one.aliases)]
    assert len(names) == len(set(names)) > 80
    for provider, name in (("openai", "gpt-4"), ("anthropic", "claude-3-5-sonnet"), ("deepseek", "deepseek-flash")):
        assert (provider, name) in names


def theirs(model: source.ModelInfo, when: str, context: dict[str, str], size: int) -> dict[str, Decimal]:
    """What genai-prices asks, by field; what it does not list is as in the standard."""
    price = model.get_prices(datetime.fromisoformat(when).replace(tzinfo=UTC), context)
    found = {}
    for field in FIELDS:
        value = getattr(price, f"{field}_mtok")
        if isinstance(value, source.TieredPrices):
            value = next((tier.price for tier in reversed(value.tiers) if size > tier.start), value.base)
        if value is not None:
            found[field] = value
    return found


# No price of these for long inputs is published: genai-prices takes the short one, we the dearer of what is known.
DEARER = {
    "openai": {("gpt-5.5-pro", "batch"), ("gpt-5.5-pro", "flex")},
    "anthropic": set(),
    "deepseek": set(),
}


@pytest.mark.parametrize("when", MOMENTS)
@pytest.mark.parametrize("provider", sorted(OWN))
def test_another_list_says_the_same(provider: str, when: str) -> None:
    """Every rate of every model, service tier and length at hours of a weekday is that of genai-prices."""
    others = next(one for one in providers if one.id == provider)
    dearer, seen = set(), 0
    for one in (one for prices in shipped() for one in prices.models if one.provider == provider):
        model = others.find_model(one.name)
        if one.name in NOT_THERE | OLDER_THERE:
            continue
        assert model is not None
        contexts: dict[str, dict[str, str]] = {"": {}} | {
            name: v.when for v in model.price_variants or () for name in v.when.values()
        }
        for service, context in contexts.items():
            for usage in (SHORT, LONG):
                ours = asked(provider, one.name, when, usage, service)
                assert ours is not None
                for field, usd in theirs(model, when, context, usage.input_tokens).items():
                    listed, other = getattr(ours, field), usd * 1_000_000
                    if listed > other and usage is LONG:
                        dearer.add((one.name, service))
                    else:
                        assert listed == other, (one.name, service, field)
                    seen += 1
    assert dearer <= DEARER[provider]
    assert seen > {"openai": 500, "anthropic": 100, "deepseek": 15}[provider]


@pytest.mark.parametrize(
    ("when", "chat", "reasoner"),
    [
        ("2025-07-12T12:00", ("0.27", "1.1", "0.07"), ("0.55", "2.19", "0.14")),
        ("2025-07-12T17:00", ("0.135", "0.55", "0.035"), ("0.138128", "0.550001", "0.03516")),
        ("2025-09-05T15:59", ("0.27", "1.1", "0.07"), ("0.55", "2.19", "0.14")),
        ("2025-09-05T17:00", ("0.56", "1.68", "0.07"), ("0.56", "1.68", "0.07")),
        ("2026-01-01T17:00", ("0.28", "0.42", "0.028"), ("0.28", "0.42", "0.028")),
        ("2026-07-24T15:00", ("0.14", "0.28", "0.0028"), ("0.14", "0.28", "0.0028")),
    ],
)
def test_what_old_names_cost(when: str, chat: tuple[str, ...], reasoner: tuple[str, ...]) -> None:
    """DeepSeek's, at hours before and after each change of its page; off-peak the reasoner's is never too low."""
    for name, rates in (("deepseek-chat", chat), ("deepseek-reasoner", reasoner)):
        found = asked("deepseek", name, when)
        assert found is not None
        for field, usd in zip(("input", "output", "cache_read"), rates, strict=True):
            assert 0 <= getattr(found, field) - Decimal(usd) * 1_000_000 < 10, (name, field)


@pytest.mark.parametrize("provider", sorted(OWN))
def test_names_are_found_as_in_another_list(provider: str) -> None:
    """A name that both know costs the same by both, whatever the alias."""
    others = next(one for one in providers if one.id == provider)
    for one in (one for prices in shipped() for one in prices.models if one.provider == provider):
        for name in (one.name, *one.aliases, *(f"{prefix}-x" for prefix in one.prefixes)):
            model = others.find_model(name)
            found = find(shipped(), provider, name.upper())
            assert found is one
            if model is not None and name not in NOT_THERE | OLDER_THERE:
                assert find(shipped(), provider, model.id) is not None


def test_deepseek_by_the_hour() -> None:
    """By hand, from DeepSeek's page: peak on weekday mornings, half else, and what it was before."""

    def output(name: str, when: str) -> int:
        price = asked("deepseek", name, when)
        assert price is not None
        return price.output

    assert output("deepseek-flash", "2026-11-27T01:00") == 1_200_000
    assert output("deepseek-flash", "2026-11-27T04:00") == 600_000
    assert output("deepseek-flash", "2026-11-28T02:00") == 600_000  # a Saturday
    assert output("deepseek-v4-pro", "2026-11-27T09:59") == 3_960_000
    assert output("deepseek-v4-pro", "2026-11-27T10:00") == 1_980_000
    assert output("deepseek-v4-pro", "2026-08-16T15:59") == 870_000
    assert output("deepseek-v4-pro", "2026-08-22T02:00") == 3_960_000  # a Saturday before weekends were off-peak
    assert output("deepseek-v4-flash", "2026-09-10T03:59") == 1_320_000
    assert output("deepseek-v4-flash", "2026-09-10T04:00") == 600_000
    assert entry("deepseek", "deepseek-flash").at(at("2026-09-01")) is None


def test_services_and_lengths_by_hand() -> None:
    """From OpenAI's and Anthropic's pages, and what neither says."""
    assert asked("openai", "gpt-5.5", "2026-11-27", Usage(1, 1), "priority") == Price(
        12_500_000, 75_000_000, 1_250_000, 12_500_000, "https://developers.openai.com/api/docs/pricing"
    )
    long = asked("openai", "gpt-5.5-pro", "2026-11-27", Usage(272_001, 1), "batch")
    assert long is not None
    assert (long.input, long.output) == (60_000_000, 270_000_000)  # no price is published; the dearer one counts
    batch = asked("anthropic", "claude-opus-5-5-20260922", "2026-11-27", Usage(1, 1, 0, 1), "batch")
    assert batch is not None
    assert (batch.input, batch.output, batch.cache_read, batch.cache_write) == (
        2_000_000,
        10_000_000,
        100_000,
        2_500_000,
    )
    hour = entry("anthropic", "claude-opus-5-5").periods[0].tariff()
    assert tariff.cost(hour, 0, Usage(1000, 0, 0, 1000, cache_write_1h_tokens=1000)) == 8_000_000
    fast = [asked("anthropic", "claude-opus-4-8", day, Usage(1, 1), "fast") for day in ("2026-11-29", "2026-11-30")]
    assert fast[0] is not None
    assert fast[0].output == 50_000_000
    assert fast[1] is None
    haiku = [asked("anthropic", "claude-haiku-5-5", "2026-11-27", Usage(size, 1)) for size in (100_000, 100_001)]
    assert [price.input if price else None for price in haiku] == [100_000, 500_000]


def test_where_it_was_done() -> None:
    """Anthropic asks a tenth more where its answer says "us", of Opus 4.6 and later; nothing of earlier models."""
    for name, factor in {"claude-opus-4-5": 10, "claude-opus-4-6": 11, "claude-haiku-5-5": 11}.items():
        one = entry("anthropic", name).periods[0].tariff()
        here, there = tariff.cost(one, 0, Usage(1000, 10, region="us")), tariff.cost(one, 0, Usage(1000, 10))
        assert here is not None
        assert there is not None
        assert here * 10 == there * factor


def test_sound_has_its_own_price() -> None:
    """From OpenAI's pages of the models."""
    one = entry("openai", "gpt-4o-audio-preview-2025-06-03").periods[0].tariff()
    assert tariff.cost(one, 0, Usage(100, 10, audio_tokens=60, speech_tokens=4)) == (
        40 * 2500 + 60 * 40_000 + 6 * 10_000 + 4 * 80_000
    )


def test_what_a_list_does_not_say() -> None:
    """Costs what the nearest kind of token does, in a step and a service too."""
    period = msgspec.convert(
        {
            "source": "s",
            "input": "1",
            "output": "4",
            "per_request": "0.0025",
            "long": [{"over": 10, "input": "2", "output": "8"}],
            "services": {
                "fast": {"input": "3", "output": "9"},
                "own": {"input": "3", "output": "9", "long": [{"over": 20, "input": "5", "output": "6"}]},
            },
        },
        Period,
    )
    one = period.tariff()
    usd = (1, 4, 1, 1, 1, 4, 1, 1, 4)
    assert msgspec.structs.astuple(one.rates) == tuple(rate * 1_000_000 for rate in usd)
    said = {"audio": "40", "image": "5", "speech": "80", "reasoning": "6"}
    told = msgspec.convert(msgspec.to_builtins(period) | said, Period).tariff().rates
    assert (told.audio, told.image, told.speech) == (40_000_000, 5_000_000, 80_000_000)
    assert told.reasoning == 6_000_000
    assert one.steps[0].rates.cache_write_1h == 2_000_000
    assert one.request_nanos == 2_500_000
    assert one.services["fast"].steps[0].rates.input == 3_000_000
    own = one.services["own"].steps
    assert [(step.over, step.rates.input, step.rates.output) for step in own] == [
        (10, 3_000_000, 9_000_000),
        (20, 5_000_000, 6_000_000),
    ]


def test_windows_over_midnight() -> None:
    """Go on the next day, Sunday's on Monday."""
    window = {"start": "23:00", "end": "01:00", "days": ["sun"], "multiplier": "0.5"}
    period = msgspec.convert({"source": "s", "input": "1", "output": "1", "windows": [window]}, Period)
    one = period.tariff()
    hours = {"2026-11-29T22:59": 1, "2026-11-29T23:00": 2, "2026-11-30T00:59": 2, "2026-11-30T01:00": 1}
    hours |= {"2026-11-29T00:30": 1, "2026-11-30T23:30": 1}
    for when, share in hours.items():
        assert tariff.cost(one, at(when), Usage(1000, 0)) == 1_000_000 // share, when


def made(**over: object) -> dict[str, object]:
    period: dict[str, object] = {"source": "s", "input": "1", "output": "2"}
    return {"models": [{"provider": "openai", "name": "m", "periods": [period | over]}]}


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ({}, '"models" is a required property'),
        (made(input=1), "models.1.periods.1.input: 1 is not of type"),
        (made(input="-1"), "models.1.periods.1.input"),
        (made(input="1e3"), "models.1.periods.1.input"),
        (made(inputs="1"), "models.1.periods.1"),
        (made(checked="2026-13-01"), "models.1.periods.1.checked"),
        (made(valid_from="2026-11-28"), "models.1.periods.1.valid_from"),
        (made(windows=[{"start": "25:00", "end": "01:00", "multiplier": "1"}]), "windows.1.start"),
        (made(services={"batch": {"multiplier": "0.5", "input": "1"}}), "services.batch"),
        (
            made(valid_from="2026-11-28T00:00:00Z", valid_to="2026-11-28T00:00:00Z"),
            "m: period 1: ends before it starts",
        ),
        (made(valid_from="2026-02-30T00:00:00Z"), "models.1.periods.1.valid_from"),
        (made(valid_from="2026-06-30T23:59:60Z"), "periods"),  # a leap second is a time, and not one for us
    ],
)
def test_mistakes_are_named(tmp_path: Path, raw: object, said: str) -> None:
    """Each with its place, none with a traceback."""
    path = tmp_path / "list.json"
    path.write_text(json.dumps(raw))
    with pytest.raises(ConfigError) as caught:
        read(path)
    assert any(said in problem for problem in caught.value.problems), caught.value.problems
    assert all(problem.startswith(f"{path}: ") for problem in caught.value.problems)


def test_two_prices_at_one_moment_are_a_mistake() -> None:
    """Periods may touch, and may not overlap."""
    first = {"source": "s", "input": "1", "output": "2", "valid_to": "2026-11-28T00:00:00Z"}
    later = {"source": "s", "input": "1", "output": "2", "valid_from": "2026-11-28T00:00:00Z"}
    raw = {"models": [{"provider": "openai", "name": "m", "periods": [later, first]}]}
    assert list(check(raw)) == []
    later["valid_from"] = "2026-11-27T23:59:59Z"
    assert list(check(raw)) == ["m: period 2: overlaps an earlier one"]


def test_files_that_are_none(tmp_path: Path) -> None:
    """Missing, not JSON, too large."""
    with pytest.raises(ConfigError, match="can't be read"):
        read(tmp_path / "none.json")
    path = tmp_path / "list.json"
    path.write_bytes(b"\xff{")
    with pytest.raises(ConfigError, match="not JSON"):
        read(path)
    with path.open("wb") as file:
        file.truncate(20_000_001)
    with pytest.raises(ConfigError, match="larger than 20 MB"):
        read(path)


def test_the_closest_name_counts() -> None:
    """The name itself before a day behind it, that before a prefix, the longer prefix before the shorter."""

    def one(name: str, **over: object) -> Entry:
        return msgspec.convert(
            {"provider": "openai", "name": name, "periods": [{"source": "s", "input": "1", "output": "1"}], **over},
            Entry,
        )

    entries = (
        one("wide", prefixes=["m-"]),
        one("wider", prefixes=["m-1-"]),
        one("m-1", aliases=["M-One"]),
        one("m-1-2026-01-01"),
        one("else", host="else.example", aliases=["m-1"]),
    )
    lists = (PriceList(models=entries),)
    names = {
        "m-1": "m-1",
        "m-one": "m-1",
        "M-1-2026-01-01": "m-1-2026-01-01",
        "m-1-20260202": "m-1",
        "m-1@20260202": "m-1",
        "m-1-x": "wider",
        "m-2": "wide",
    }
    for name, expected in names.items():
        found = find(lists, "openai", name)
        assert found is not None
        assert found.name == expected
    elsewhere = find(lists, "openai", "m-1", "else.example")
    assert elsewhere is not None
    assert elsewhere.name == "else"
    assert find(lists, "openai", "n") is None
    assert find(lists, "anthropic", "m-1") is None


@given(st.decimals(0, 9_999_999, places=6), st.decimals(0, 9_999_999, places=6))
def test_a_list_that_is_written_is_read_the_same(usd: Decimal, other: Decimal) -> None:
    """Through its own file form."""
    period = Period(source="s", input=Decimal(f"{usd:f}"), output=other, note="é\n")
    prices = PriceList(note="n", models=(Entry(provider="openai", name="m", periods=(period,)),))
    assert msgspec.json.decode(render(prices), type=PriceList) == prices
