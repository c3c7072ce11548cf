"""LiteLLM spend logs, as `/spend/logs` gives them and as the database's table is exported."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from tests.offline.imports.harness import columns, extra, imported, put, refused

TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}


def log(model: str = "gpt-4o-mini", **changes: Any) -> dict[str, Any]:
    """A row of a proxy that stores prompts: the prompt is in `proxy_server_request`, `messages` is empty."""
    return {
        "request_id": "chatcmpl-B2aXv7",
        "call_type": "acompletion",
        "api_key": "88dc28d0f030c55ed4ab77ed8faf098196cb1c05df778539800c9f1243fe6b4b",
        "spend": 0.00042,
        "total_tokens": 60,
        "prompt_tokens": 42,
        "completion_tokens": 18,
        "startTime": "2026-10-01T12:00:00.250000Z",
        "endTime": "2026-10-01T12:00:01.500000Z",
        "completionStartTime": "2026-10-01T12:00:00.900000Z",
        "model": model,
        "model_group": "fast",
        "custom_llm_provider": "openai",
        "metadata": {"status": "success", "user_api_key_alias": "support"},
        "cache_hit": "False",
        "cache_key": "Cache OFF",
        "request_tags": ["User-Agent: python-requests", "billing"],
        "messages": {},
        "response": {
            "id": "chatcmpl-B2aXv7",
            "object": "chat.completion",
            "model": "gpt-4o-mini-2024-07-18",
            "choices": [
                {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "It is on page 2."}}
            ],
            "usage": {"prompt_tokens": 42, "completion_tokens": 18, "total_tokens": 60},
        },
        "proxy_server_request": {
            "model": "fast",
            "messages": [
                {"role": "system", "content": "You help with invoices."},
                {"role": "user", "content": "Where is the due date?"},
            ],
        },
        "status": "success",
        **changes,
    }


def test_a_spend_log(tmp_path: Path) -> None:
    """Prompt, answer, tokens, money and time of a call; the same prompt to two models is one query."""
    file = put(tmp_path / "spend.json", [log(), log("gpt-4o", spend=0.0071)])
    (first, second), report = imported(tmp_path / "o.parquet", file)
    assert first["prompt"] == "You help with invoices.\n\nWhere is the due date?"
    assert columns([first], "model", "response", "prompt_tokens", "completion_tokens", "cost_usd", "latency_s") == [
        ("gpt-4o-mini", "It is on page 2.", 42, 18, 0.00042, 1.25)
    ]
    assert (first["category"], first["token_source"], first["bench"], first["score"]) == ("billing", "api", "o", None)
    assert extra(first)["messages"][0] == {"role": "system", "content": "You help with invoices."}
    assert extra(first)["finish"] == "stop"
    assert first["query_id"] == second["query_id"]
    assert (report["rows"], report["queries"], report["paired"], report["skipped"]) == (2, 1, 1, {})
    assert report["files"][0]["source"] == "litellm"


def test_the_table_as_csv(tmp_path: Path) -> None:
    """JSON columns come as text, times without a zone."""
    rows = [log(startTime="2026-10-01 12:00:00", endTime="2026-10-01 12:00:02.5", metadata={"score": 0.5})]
    with (tmp_path / "t.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        for row in rows:
            table.writerow(
                {key: json.dumps(value) if isinstance(value, dict | list) else value for key, value in row.items()}
            )
    ((found,), _) = imported(tmp_path / "o.parquet", tmp_path / "t.csv")
    assert columns([found], "response", "prompt_tokens", "cost_usd", "latency_s", "score") == [
        ("It is on page 2.", 42, 0.00042, 2.5, 0.5)
    ]
    assert found["prompt"].endswith("due date?")


def test_the_pages_of_the_ui(tmp_path: Path) -> None:
    """`{"data": [...]}`; older proxies kept the prompt in `messages`."""
    row = log(messages=[{"role": "user", "content": "Hi?"}], proxy_server_request={})
    ((found,), _) = imported(tmp_path / "o.parquet", put(tmp_path / "p.json", {"data": [row], "total": 1, "page": 1}))
    assert (found["prompt"], found["extra"]) == ("Hi?", '{"finish":"stop"}')


def test_tool_calls(tmp_path: Path) -> None:
    """Calls are a JSON list; the tools on offer are kept, and are part of what makes a query."""
    call = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city":"Oslo"}'}}
    body = {"messages": [{"role": "user", "content": "Weather in Oslo?"}], "tools": [TOOL]}
    answer = {"choices": [{"finish_reason": "tool_calls", "message": {"content": None, "tool_calls": [call]}}]}
    rows = [log(proxy_server_request=body, response=answer), log("gpt-4o", proxy_server_request={"body": body})]
    rows.append(log("o3", proxy_server_request={**body, "tools": []}))
    (first, second, third), report = imported(tmp_path / "o.parquet", put(tmp_path / "s.json", rows))
    assert first["response"] == '[{"get_weather":"{\\"city\\":\\"Oslo\\"}"}]'
    assert extra(first)["tools"] == [TOOL]
    assert first["query_id"] == second["query_id"] != third["query_id"]
    assert report["queries"] == 2


def test_other_apis_of_the_proxy(tmp_path: Path) -> None:
    """Responses and Anthropic calls are read too."""
    responses = log(
        call_type="aresponses",
        proxy_server_request={"input": "Add 2 and 2.", "instructions": "Be brief."},
        response={
            "object": "response",
            "output": [
                {"type": "reasoning", "summary": []},
                {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "4"}]},
            ],
        },
    )
    anthropic = log(
        call_type="anthropic_messages",
        model="claude-haiku",
        proxy_server_request={
            "system": [{"type": "text", "text": "Be brief."}],
            "messages": [{"role": "user", "content": [{"type": "text", "text": "Add 2 and 2."}]}],
        },
        response={
            "role": "assistant",
            "type": "message",
            "stop_reason": "end_turn",
            "content": [{"type": "text", "text": "Four"}],
        },
    )
    rows, report = imported(tmp_path / "o.parquet", put(tmp_path / "s.json", [responses, anthropic]))
    assert columns(rows, "prompt", "response") == [
        ("Be brief.\n\nAdd 2 and 2.", "4"),
        ("Be brief.\n\nAdd 2 and 2.", "Four"),
    ]
    assert report["paired"] == 1


def test_what_is_not_used_is_counted(tmp_path: Path) -> None:
    """Failed calls, cache hits, other kinds of calls, and texts that the proxy left out, cut or redacted."""
    cut = "An answer that begins... (litellm_truncated skipped 8015 chars) ...and ends"
    choice = {"choices": [{"message": {"content": "redacted-by-litellm"}}]}
    rows = [
        log(),
        log(status="failure"),
        log(call_type="aembedding"),
        log(cache_hit="True"),
        log(messages={}, proxy_server_request={}),
        log(response={}),
        log(response={"choices": [{"message": {"content": cut}}]}),
        log(response=choice),
        log(model=""),
        log(),
    ]
    found, report = imported(tmp_path / "o.parquet", put(tmp_path / "s.json", rows))
    assert len(found) == 1
    assert report["skipped"] == {
        "the call failed": 1,
        "not a chat call": 1,
        "answered from the proxy's cache": 1,
        "no prompt in the log (the proxy's store_prompts_in_spend_logs is off)": 1,
        "no answer in the log": 1,
        "cut short by the proxy (its MAX_STRING_LENGTH_PROMPT_IN_DB is too small)": 1,
        "redacted by the proxy": 1,
        "no model named": 1,
        "asked again of the same model": 1,
    }
    assert sum(report["skipped"].values()) + report["rows"] == report["files"][0]["records"]


def test_a_log_without_prompts_says_what_to_switch_on(tmp_path: Path) -> None:
    """The proxy's default."""
    file = put(tmp_path / "s.json", [log(proxy_server_request="{}", messages="{}", response="{}")] * 3)
    assert refused(file, "--out", tmp_path / "o.parquet") == (
        "no row can be used: 3 times: no prompt in the log (the proxy's store_prompts_in_spend_logs is off)"
    )
    assert list(tmp_path.iterdir()) == [file]


def test_costs(tmp_path: Path) -> None:
    """Spend of 0 is unknown: the list price of the provider's own model stands in, or nothing."""
    rows = [log(spend=0), log("azure/gpt-4o", spend=0, custom_llm_provider="azure"), log("my-llama", spend=0)]
    found, report = imported(tmp_path / "o.parquet", put(tmp_path / "s.json", rows))
    mini, azure, own = (row["cost_usd"] for row in found)
    assert 0 < mini < 0.001
    assert (azure, own) == (None, None)
    assert [counted["priced"] for counted in report["models"].values()].count(1) == 1
