"""Other people's price files as a price list: LiteLLM's JSON, CSV with named columns, and our own forms.

Takes the rows of providers whose APIs the gateway calls and whose price is by the token; counts why it left out the
rest. Numbers are read as decimals, never as floats. Knows no config.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import ROUND_UP, Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import msgspec

from tierwise.errors import ConfigError
from tierwise.gateway.prices.price_lists import FIELDS, LARGEST, Entry, Long, Period, PriceList, Service, Window, check

MILLION = Decimal(1_000_000)
PROVIDERS = {"openai": "openai", "text-completion-openai": "openai", "anthropic": "anthropic", "deepseek": "deepseek"}
LITELLM = {
    "input": "input_cost_per_token",
    "output": "output_cost_per_token",
    "cache_read": "cache_read_input_token_cost",
    "cache_write_5m": "cache_creation_input_token_cost",
    "cache_write_1h": "cache_creation_input_token_cost_above_1hr",
    "reasoning": "output_cost_per_reasoning_token",
    "audio": "input_cost_per_audio_token",
    "image": "input_cost_per_image_token",
    "speech": "output_cost_per_audio_token",
}
SERVICES = {"batches": "batch", "flex": "flex", "priority": "priority"}
COLUMNS = (
    "provider", "model", *FIELDS, "cache_write", "per_request", "host", "valid_from", "valid_to", "source", "checked"
)  # fmt: skip
_ABOVE = re.compile(r"^input_cost_per_token_above_(\d{1,6})k_tokens$")
_HOURS = re.compile(r"^((?:[01]\d|2[0-3]):[0-5]\d)-((?:[01]\d|2[0-3]):[0-5]\d)$")
_PICO, _FINEST, _MOST = Decimal("0.000001"), Decimal("0.000000000001"), Decimal(10_000_000)
Row = Mapping[str, Any]


class Imported(msgspec.Struct, frozen=True):
    prices: PriceList
    left_out: Mapping[str, int]  # a reason -> how many rows


def read_prices(path: Path, checked: date | None = None) -> Imported:
    """A file in whichever of the forms it is. Raises ConfigError where it is none, or has no price for us."""
    text = _text(path)
    if path.suffix.lower() == ".csv":
        return _done(path, _from_csv(path, text, checked))
    try:
        raw = json.loads(text, parse_float=Decimal)
    except (json.JSONDecodeError, RecursionError) as error:
        raise ConfigError(f"{path}: not JSON; expected a price list, LiteLLM's JSON, or a CSV file (.csv)") from error
    if not isinstance(raw, dict):
        raise ConfigError(f"{path}: expected an object, as a price list and LiteLLM's JSON are")
    if "prices_checked" in raw:
        return _done(path, _from_snapshot(raw))
    if isinstance(raw.get("models"), list):
        plain = msgspec.json.decode(text)
        problems = list(check(plain))
        if problems:
            raise ConfigError(*(f"{path}: {problem}" for problem in problems))
        return Imported(msgspec.convert(plain, PriceList), {})
    return _done(path, _from_litellm(path, raw, checked))


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > LARGEST:
            raise ConfigError(f"{path}: larger than {LARGEST // 1_000_000} MB; a file of prices is smaller")
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{path}: can't be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not a text file in UTF-8") from error


def _done(path: Path, found: Iterator[Entry | str]) -> Imported:
    """The same model twice at one address is the same entry with two periods."""
    entries: dict[tuple[str, str, str], Entry] = {}
    left_out: Counter[str] = Counter()
    for entry in found:
        if isinstance(entry, str):
            left_out[entry] += 1
            continue
        key = (entry.provider, entry.name, entry.host)
        before = entries.get(key)
        periods = (*before.periods, *entry.periods) if before else entry.periods
        entries[key] = msgspec.structs.replace(entry, periods=periods)
    if not entries:
        why = "; ".join(f"{reason}: {count}" for reason, count in left_out.items()) or "it is empty"
        raise ConfigError(f"{path}: no price in it for a model of OpenAI, Anthropic or DeepSeek ({why})")
    prices = PriceList(note=f"imported from {path.name}", models=tuple(entries.values()))
    problems = list(check(msgspec.to_builtins(prices)))
    if problems:
        raise ConfigError(*(f"{path}: {problem}" for problem in problems))
    return Imported(prices, dict(left_out))


# ------------------------------------------------------------------ LiteLLM


def _from_litellm(path: Path, raw: Row, checked: date | None) -> Iterator[Entry | str]:
    for key, row in raw.items():
        if key == "sample_spec" or not isinstance(row, dict):
            continue
        provider = PROVIDERS.get(str(row.get("litellm_provider")))
        if provider is None:
            yield "another provider"
        elif not {"input", "output"} <= (said := _litellm_rates(row, "")).keys():
            yield "no price for tokens in and out"
        else:
            source = row.get("source")
            yield Entry(
                provider=provider,
                name=key.removeprefix(f"{provider}/"),
                periods=(
                    Period(
                        source=source if isinstance(source, str) and source else path.name,
                        checked=checked,
                        per_request=_fee(row),
                        long=_litellm_long(row, ""),
                        windows=_litellm_windows(row, said),
                        services=_litellm_services(row),
                        **said,
                    ),
                ),
            )


def _litellm_rates(row: Row, suffix: str) -> dict[str, Any]:
    found = {field: _number(row.get(name + suffix)) for field, name in LITELLM.items()}
    return {field: _tidy(value * MILLION) for field, value in found.items() if value is not None}


def _fee(row: Row) -> Decimal | None:
    fee = _number(row.get("input_cost_per_request"))
    return _tidy(fee) if fee else None


def _litellm_long(row: Row, service: str) -> tuple[Long, ...]:
    steps = []
    for thousands in sorted({int(found[1]) for key in row if (found := _ABOVE.match(key))}):
        said = _litellm_rates(row, f"_above_{thousands}k_tokens{service}")
        if thousands and {"input", "output"} <= said.keys():
            steps.append(Long(over=thousands * 1000, **said))
    return tuple(steps)


def _litellm_services(row: Row) -> dict[str, Service]:
    found = {}
    for suffix, name in SERVICES.items():
        said = _litellm_rates(row, f"_{suffix}")
        if {"input", "output"} <= said.keys():
            found[name] = Service(long=_litellm_long(row, f"_{suffix}"), **said)
    return found


def _litellm_windows(row: Row, said: Mapping[str, Decimal]) -> tuple[Window, ...]:
    """Daily hours only; of what can't be read the standard price holds, which is the dear one."""
    block = row.get("off_peak_pricing")
    if not isinstance(block, dict):
        return ()
    shares = [
        rate / said[field] for field, rate in _litellm_rates(block, "").items() if field in said and said[field] > 0
    ]
    parts = block.get("windows")
    parts = parts if isinstance(parts, list) else [block]
    hours = [
        found
        for part in parts
        if isinstance(part, dict) and not part.get("weekdays") and (found := _HOURS.match(str(part.get("hours_utc"))))
    ]
    if len(shares) < len(said) or not hours:
        return ()
    multiplier = max(shares).quantize(_PICO, ROUND_UP).normalize() + 0
    return tuple(Window(start=found[1], end=found[2], multiplier=multiplier) for found in hours)


# ------------------------------------------------------------------ CSV


def _from_csv(path: Path, text: str, checked: date | None) -> Iterator[Entry | str]:
    rows = csv.DictReader(io.StringIO(text))
    named = {name.strip().lower() for name in rows.fieldnames or ()}
    missing = {"provider", "model", "input", "output"} - named
    if missing:
        raise ConfigError(f"{path}: needs columns {', '.join(sorted(missing))}; known are {', '.join(COLUMNS)}")
    unknown = named - set(COLUMNS)
    if unknown:
        raise ConfigError(f"{path}: unknown columns {', '.join(sorted(unknown))}; known are {', '.join(COLUMNS)}")
    for row in rows:
        plain = {
            str(key).strip().lower(): (value or "").strip() for key, value in row.items() if isinstance(value, str)
        }
        if PROVIDERS.get(plain["provider"].lower()) is None:
            yield "another provider"
            continue
        where = f"{path}:{rows.line_num}"
        rates = {field: _usd(where, field, plain) for field in FIELDS}
        if rates["cache_write_5m"] is None:
            rates["cache_write_5m"] = _usd(where, "cache_write", plain)
        if rates["input"] is None or rates["output"] is None or not plain["model"]:
            yield "no price for tokens in and out"
            continue
        day = plain.get("checked") or (checked.isoformat() if checked else None)
        yield Entry(
            provider=PROVIDERS[plain["provider"].lower()],
            name=plain["model"],
            host=plain.get("host", ""),
            periods=(
                Period(
                    source=plain.get("source") or path.name,
                    checked=_moment(where, "checked", day).date() if day else None,
                    valid_from=_maybe(where, "valid_from", plain),
                    valid_to=_maybe(where, "valid_to", plain),
                    per_request=_usd(where, "per_request", plain),
                    **{field: value for field, value in rates.items() if value is not None},  # type: ignore[arg-type]
                ),
            ),
        )


def _usd(where: str, column: str, row: Mapping[str, str]) -> Decimal | None:
    text = row.get(column, "").removeprefix("$")
    if not text:
        return None
    number = _number(text)
    if number is None:
        raise ConfigError(f"{where}: {column}: expected USD per million tokens, such as 2.50")
    return _tidy(number)


def _maybe(where: str, column: str, row: Mapping[str, str]) -> datetime | None:
    return _moment(where, column, row[column]) if row.get(column) else None


def _moment(where: str, column: str, text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(f"{where}: {column}: expected a day like 2026-11-28, or a time in UTC") from error
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC).replace(microsecond=0)


# ------------------------------------------------------------------ our own snapshot


def _from_snapshot(raw: Row) -> Iterator[Entry | str]:
    """The vendored catalogue, so that it can be compared with other files; its off-peak prices are left out."""
    for row in raw["models"]:
        bands = [_snapshot_band(band) for band in (row, *row.get("tiers", ()))]
        yield Entry(
            provider=row["provider"],
            name=row["id"],
            periods=(
                Period(
                    source=f"{raw['source']}, {raw['prices_checked']}",
                    long=tuple(
                        Long(over=tier["over"], **band)
                        for tier, band in zip(row.get("tiers", ()), bands[1:], strict=True)
                    ),
                    **bands[0],
                ),
            ),
        )


def _snapshot_band(band: Row) -> dict[str, Any]:
    names = {"cache_write_5m": "cache_write"} | {field: field for field in ("input", "output", "cache_read")}
    return {field: Decimal(band[name]) for field, name in names.items() if band.get(name) is not None}


def _number(value: object) -> Decimal | None:
    """None for what is no number from 0 on."""
    if isinstance(value, bool) or not isinstance(value, (str, int, Decimal)):
        return None
    try:
        number = Decimal(value)
    except InvalidOperation:
        return None
    return number if number.is_finite() and number >= 0 else None


def _tidy(usd: Decimal) -> Decimal:
    """Of a float's last digits nothing stays, and what is finer than a pico-dollar a token is one."""
    rounded = usd.quantize(_FINEST).normalize() + 0 if usd < _MOST else usd
    return max(rounded, _PICO) if usd else Decimal(0)
