"""Providers' exports in every shape that is known: what is read of them, and what refuses a file."""

from __future__ import annotations

import json
import zipfile
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tierwise.errors import ConfigError
from tierwise.offline.bills.billed import Billed, Invoice, group
from tierwise.offline.bills.invoice_openai import model_of
from tierwise.offline.bills.invoices import read

DAY = (date(2026, 10, 1) - date(1970, 1, 1)).days
START = DAY * 86_400
CENT = 10_000_000


def saved(folder: Path, text: str | bytes | Any, name: str = "export") -> Path:
    path = folder / name
    if not isinstance(text, str | bytes):
        text = json.dumps(text)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def taken(folder: Path, text: str | bytes | Any) -> Invoice:
    return read(saved(folder, text))


def refused(path: Path, provider: Any = None) -> str:
    with pytest.raises(ConfigError) as error:
        read(path, provider)
    return "; ".join(error.value.problems)


def bucket(day: int, *results: dict[str, Any]) -> dict[str, Any]:
    start = START + 86_400 * day
    return {"object": "bucket", "start_time": start, "end_time": start + 86_400, "results": list(results)}


def used(model: str | None, tokens: int, output: int, **more: Any) -> dict[str, Any]:
    return {"object": "organization.usage.completions.result", "input_tokens": tokens, "output_tokens": output,
            "input_cached_tokens": 1, "num_model_requests": 5, "project_id": None, "model": model, **more}  # fmt: skip


def cost(value: Any, item: str | None = None, currency: str = "usd") -> dict[str, Any]:
    return {"object": "organization.costs.result", "amount": {"value": value, "currency": currency}, "line_item": item}


def test_openai_usage(tmp_path: Path) -> None:
    """Of the API: results of a day and model are summed, whatever they were grouped by; a bucket may be empty."""
    page: dict[str, Any] = {"object": "page", "has_more": False, "next_page": None, "data": [
        bucket(0, used("gpt-4o-2024-08-06", 100, 20), used("gpt-4o-2024-08-06", 50, 5), used("gpt-5", 1, 2)),
        bucket(1),
        bucket(2, used("gpt-5", 7, 8)),
    ]}  # fmt: skip
    found = taken(tmp_path, page)
    assert (found.provider, found.shape) == ("openai", "OpenAI usage of completions")
    assert (found.first, found.last) == (DAY, DAY + 2)
    lines = (Billed(DAY, "gpt-4o-2024-08-06", 150, 25), Billed(DAY, "gpt-5", 1, 2), Billed(DAY + 2, "gpt-5", 7, 8))
    assert found.lines == lines
    assert taken(tmp_path, [page]).lines == lines
    flat = [{"start_time": START, **used("gpt-5", 1, 2)}]
    assert taken(tmp_path, flat).lines == (Billed(DAY, "gpt-5", 1, 2),)
    lined = "\n".join(json.dumps({"data": [each]}) for each in page["data"])
    assert taken(tmp_path, lined).lines == lines


def test_openai_usage_that_names_no_model(tmp_path: Path) -> None:
    """It was not grouped by model: the line has none."""
    assert taken(tmp_path, {"data": [bucket(0, used(None, 100, 20))]}).lines == (Billed(DAY, "", 100, 20),)


def test_openai_usage_as_csv(tmp_path: Path) -> None:
    """The dashboard's: a day without use has nothing but its times."""
    text = (
        "start_time,end_time,start_time_iso,end_time_iso,project_id,num_model_requests,user_id,api_key_id,model,batch,"
        "service_tier,input_tokens,output_tokens,input_cached_tokens,input_uncached_tokens\n"
        f"{START},{START + 86400},2026-10-01T00:00:00+00:00,2026-10-02T00:00:00+00:00,p,3,,k,gpt-5,False,"
        "default,7162,90.0,1280,5882\n"
        f"{START + 86400},{START + 172800},2026-10-02T00:00:00+00:00,2026-10-03T00:00:00+00:00,,,,,,,,,,,\n"
    )
    found = taken(tmp_path, text)
    assert found.lines == (Billed(DAY, "gpt-5", 7162, 90),)
    assert (found.first, found.last, found.notes) == (DAY, DAY + 1, ())


def test_openai_export_without_any_use(tmp_path: Path) -> None:
    """It has four columns, and tells of no use; another export that has them too is not taken for one."""
    head = "start_time,end_time,start_time_iso,end_time_iso"
    row = f"{START},{START + 86400},2026-10-01T00:00:00+00:00,2026-10-02T00:00:00+00:00"
    found = taken(tmp_path, f"{head}\n{row}\n")
    assert (found.shape, found.lines, found.first) == ("OpenAI export without any use", (), DAY)
    assert "num_images" in refused(saved(tmp_path, f"{head},num_images\n{row},4\n"))


def test_openai_costs(tmp_path: Path) -> None:
    """Of the API: exact to the nano-dollar, by the line item's model."""
    page = {"data": [bucket(0, cost(0.1, "gpt-4o-2024-08-06, input"), cost("0.200000001", "gpt-4o-2024-08-06, output"),
                            cost(3, "web search tool calls"), cost(0.0038359800, None))]}  # fmt: skip
    assert taken(tmp_path, page).lines == (
        Billed(DAY, "", nanos=3_835_980, grain=1),
        Billed(DAY, "gpt-4o-2024-08-06", nanos=300_000_001, grain=2),
        Billed(DAY, "web search tool calls", nanos=3_000_000_000, grain=1),
    )
    large = json.dumps({"data": [bucket(0, cost("AMOUNT", "x"))]}).replace('"AMOUNT"', "123456789.123456789")
    assert taken(tmp_path, large).lines[0].nanos == 123_456_789_123_456_789
    euros = {"data": [bucket(0, cost(1, "x", "eur"))]}
    assert "costs are in eur; the ledger is in USD" in refused(saved(tmp_path, euros))


@pytest.mark.parametrize(
    ("item", "model"),
    [
        ("gpt-5.5-2026-04-23, cached input", "gpt-5.5-2026-04-23"),
        ("priority | gpt-5.6-sol, output, long context", "gpt-5.6-sol"),
        ("gpt-audio-mini-2025-12-15 audio, input", "gpt-audio-mini-2025-12-15"),
        ("gpt-4o", "gpt-4o"),
        ("web search tool calls", "web search tool calls"),
        (", input", ""),
    ],
)
def test_line_items(item: str, model: str) -> None:
    """As they were seen in exports."""
    assert model_of(item) == model


def test_openai_costs_as_csv(tmp_path: Path) -> None:
    """The dashboard's: a long decimal, a quoted line item, a day without cost."""
    text = (
        "start_time,end_time,start_time_iso,end_time_iso,amount_value,amount_currency,quantity,line_item,organization_id\n"
        f"{START},{START + 86400},2026-10-01T00:00:00,2026-10-02T00:00:00,,,,,\n"
        f"{START},{START + 86400},2026-10-01T00:00:00,2026-10-02T00:00:00,0.003835980000000000000000000000,usd,1000,"
        '"gpt-5-nano, input_tokens",o\n'
    )
    assert taken(tmp_path, "\ufeff" + text).lines == (Billed(DAY, "gpt-5-nano", nanos=3_835_980, grain=1),)


def test_anthropic_usage(tmp_path: Path) -> None:
    """Of the API: fresh, read and written input add up."""
    result = {"uncached_input_tokens": 1500, "cache_read_input_tokens": 200, "output_tokens": 500,
              "cache_creation": {"ephemeral_1h_input_tokens": 1000, "ephemeral_5m_input_tokens": 30},
              "model": "claude-sonnet-4-20250514", "service_tier": "standard",
              "server_tool_use": {"web_search_requests": 10}}  # fmt: skip
    page = {"data": [{"starting_at": "2026-10-01T00:00:00Z", "ending_at": "2026-10-02T00:00:00Z", "results": [result]}],
            "has_more": False, "next_page": None}  # fmt: skip
    found = taken(tmp_path, page)
    assert found.provider == "anthropic"
    assert found.lines == (Billed(DAY, "claude-sonnet-4-20250514", 2730, 500),)


def test_anthropic_costs(tmp_path: Path) -> None:
    """Of the API: cents as decimal strings, what is no model's by its type."""
    results: list[dict[str, Any]] = [
        {"amount": "123.45678901", "currency": "USD", "model": "claude-opus-4-5", "cost_type": "tokens"},
        {"amount": "100", "currency": "USD", "model": None, "cost_type": "web_search"},
    ]
    page = {"data": [{"starting_at": "2026-10-01T00:00:00Z", "ending_at": "2026-10-02T00:00:00Z", "results": results}]}
    assert taken(tmp_path, page).lines == (
        Billed(DAY, "claude-opus-4-5", nanos=1_234_567_890, grain=1),
        Billed(DAY, "web_search", nanos=1_000_000_000, grain=1),
    )
    results[0]["currency"] = "EUR"
    assert "costs are in EUR" in refused(saved(tmp_path, page))


def test_anthropic_usage_as_csv(tmp_path: Path) -> None:
    """The console's."""
    text = (
        "usage_date_utc,model_version,api_key,workspace,usage_type,context_window,usage_input_tokens_no_cache,"
        "usage_input_tokens_cache_write_5m,usage_input_tokens_cache_write_1h,usage_input_tokens_cache_read,"
        "usage_output_tokens,web_search_count,inference_geo,speed\n"
        "2026-10-01,claude-haiku-4-5-20251001,key,Default,standard,≤ 200k,100000,1,2,3,5000,10,not_available,\n"
    )
    assert taken(tmp_path, text).lines == (Billed(DAY, "claude-haiku-4-5-20251001", 100_006, 5000),)


def test_anthropic_costs_as_csv(tmp_path: Path) -> None:
    """The console's: models as people write them, each line rounded to a cent unless it says more."""
    text = (
        "usage_date_utc,model,workspace,api_key,usage_type,context_window,token_type,cost_usd,list_price_usd,cost_type\n"
        "2026-10-01,Claude Haiku 4.5,Default,key,message,≤ 200k,input_no_cache,0.19,0.19,token\n"
        "2026-10-01,Claude Haiku 4.5,Default,key,message,≤ 200k,output,0.03,0.03,token\n"
        "2026-10-01,,Default,key,message,,,0.0123,0.0123,web_search\n"
    )
    assert taken(tmp_path, text).lines == (
        Billed(DAY, "Claude Haiku 4.5", nanos=22 * CENT, grain=CENT),
        Billed(DAY, "web_search", nanos=12_300_000, grain=1),
    )


AMOUNT = (
    "user_id,utc_date,model,api_key_name,api_key,type,price,amount\r\n"
    'u,20261001,deepseek-v4-pro,"Team, One",sk-x,input_cache_hit_tokens,0.000000025,1000\r\n'
    'u,20261001,deepseek-v4-pro,"Team, One",sk-x,input_cache_miss_tokens,0.000003,500\r\n'
    "u,2026-10-01,deepseek-v4-pro,two,sk-y,output_tokens,0.000006,200\r\n"
    "u,20261001,deepseek-v4-pro,two,sk-y,request_count,,3\r\n"
    "u,20261001,deepseek-v4-pro,two,sk-y,something_new,,0\r\n"
)
COST = "user_id,utc_date,model,wallet_type,cost,currency\nu,20261001,deepseek-v4-pro,Paid,0.0100000000000000,USD\n"


def test_deepseek_amounts_and_costs(tmp_path: Path) -> None:
    """Tokens are in one file, money in the other."""
    tokens, money = Billed(DAY, "deepseek-v4-pro", 1500, 200), Billed(DAY, "deepseek-v4-pro", nanos=CENT, grain=1)
    assert taken(tmp_path, "\ufeff" + AMOUNT).lines == (tokens,)
    assert taken(tmp_path, COST).lines == (money,)
    other = saved(tmp_path, AMOUNT.replace("something_new,,0", "thought_tokens,,4"))
    assert "'thought_tokens' is none of" in refused(other)


def packed(path: Path, files: dict[str, str]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return path


def test_deepseek_zip(tmp_path: Path) -> None:
    """Both files of the platform's ZIP are one invoice."""
    found = read(
        packed(tmp_path / "x.zip", {"amount-2026-10.csv": AMOUNT, "cost-2026-10.csv": COST, "readme.txt": "?"})
    )
    assert found.lines == (Billed(DAY, "deepseek-v4-pro", 1500, 200, CENT, 1),)
    assert found.shape == "DeepSeek amounts (CSV) and DeepSeek costs (CSV)"


def test_deepseek_in_yuan(tmp_path: Path) -> None:
    """Tokens can be compared all the same; the costs are told to be left out."""
    yuan = COST.replace("USD", "CNY")
    found = read(packed(tmp_path / "x.zip", {"amount.csv": AMOUNT, "cost.csv": yuan}))
    assert found.lines == (Billed(DAY, "deepseek-v4-pro", 1500, 200),)
    assert found.notes == ("1 times a cost in CNY, which the ledger does not keep",)


def test_deepseek_with_a_time_zone(tmp_path: Path) -> None:
    """The newer columns: a day is the platform's, and its offset is told."""
    head = "user_id,start_time_iso,end_time_iso,model,api_key_name,api_key,type,price,amount\n"
    rows = "".join(
        f"u,2026-10-01T{hour}:00:00+08:00,2026-10-01T{hour}:59:59+08:00,deepseek-flash,k,sk-x,output_tokens,0.1,10\n"
        for hour in ("00", "07", "23")
    )
    found = taken(tmp_path, head + rows)
    assert (found.offset, found.first, found.last) == (28_800, DAY, DAY)
    assert found.lines == (Billed(DAY, "deepseek-flash", 0, 30),)
    other = (
        "user_id,start_time_iso,end_time_iso,model,wallet_type,cost,currency\nu,2026-10-01T00:00:00Z,,m,Paid,1,USD\n"
    )
    assert "in several time zones" in refused(packed(tmp_path / "x.zip", {"a.csv": head + rows, "c.csv": other}))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gpt-4o-2024-08-06", "gpt-4o"),
        ("gpt-4-0613", "gpt-4"),
        ("claude-sonnet-4-20250514", "claude-sonnet-4"),
        ("claude-sonnet-4-0", "claude-sonnet-4"),
        ("Claude 3.5 Sonnet 2024-10-22", "claude-3-5-sonnet"),
        ("claude-3-5-sonnet-latest", "claude-3-5-sonnet"),
        ("claude-3-5-sonnet@20240620", "claude-3-5-sonnet"),
        ("Claude Haiku 4.5", "claude-haiku-4-5"),
        ("gpt-5.1", "gpt-5-1"),
        ("gpt-4o-mini", "gpt-4o-mini"),
        ("", ""),
    ],
)
def test_names_of_one_model(name: str, expected: str) -> None:
    """Dates, "latest" and how it is spelt make no other model; a version does."""
    assert group(name) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        ("a,b\n", "holds no records"),
        ("a,b\n1,2\n", "no export that is known: it has the fields a, b; expected one of OpenAI usage of completions"),
        ("{", "neither JSON nor JSON lines"),
        ("[1, 2]", "holds no records"),
        ('{"data": [3, {"results": [4]}]}', "holds no records"),
        (b"\xff\xfe\x00", "neither JSON nor CSV in UTF-8"),
        (b"PK\x03\x04broken", "a ZIP file that can't be read"),
        (COST.replace("0.0100000000000000", "much"), "record 1: cost: 'much' is no number"),
        (COST.replace("0.0100000000000000", "NaN"), "record 1: cost: 'NaN' is no number"),
        (COST.replace("20261001", "soon"), "record 1: utc_date: 'soon' is no day or time"),
        (COST.replace("20261001", "99999999999"), "record 1: utc_date"),
        (COST.replace("20261001", ""), "record 1: utc_date: '' is no day or time"),
        (AMOUNT.replace(",500", ",-5"), "record 2: amount: -5 is no number of tokens"),
        (AMOUNT.replace(",500", ",5.5"), "record 2: amount: 5.5 is no number of tokens"),
        (json.dumps({"data": [bucket(0, used("m", 1, 2), cost(1))]}), "record 2: has no input_tokens, output_tokens"),
        (json.dumps({"data": [bucket(0, used("m", True, 2))]}), "record 1: input_tokens: 'True' is no number"),
        (f'a,"{"x" * 200_000}"\n1,2\n', "a CSV file that can't be read"),
    ],
    ids=range(18),
)  # fmt: skip
def test_what_refuses_a_file(tmp_path: Path, text: str | bytes, said: str) -> None:
    """A bill that can be read in part alone is not read: what is wrong is told with its place."""
    assert said in refused(saved(tmp_path, text))


def test_a_file_that_can_not_be_had(tmp_path: Path) -> None:
    """None there, a folder, a ZIP without tables, files of two providers, and one of another provider."""
    assert "can't be read: No such file" in refused(tmp_path / "none")
    assert "can't be read: Is a directory" in refused(tmp_path)
    assert "without CSV files" in refused(packed(tmp_path / "x.zip", {"a.txt": "x"}))
    costs = f"start_time,amount_value\n{START},1\n"
    assert "of several providers" in refused(packed(tmp_path / "y.zip", {"a.csv": COST, "b.csv": costs}))
    said = refused(saved(tmp_path, COST), "openai")
    assert "no export that is known: it has the fields cost, currency" in said
    assert "OpenAI costs (API): amount, start_time" in said
    assert "DeepSeek" not in said


def test_a_file_that_is_too_large(tmp_path: Path) -> None:
    """A bound on what is read into memory, packed or not; a sparse file costs the disk nothing."""
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(200_000_001)
    assert "larger than 200 MB" in refused(path)
    assert "more than 200 MB" in refused(packed(tmp_path / "x.zip", {"a.csv": "0" * 200_000_001}))
