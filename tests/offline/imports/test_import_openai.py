"""OpenAI's files: stored completions, evals, batches, fine-tuning, and lines of requests and responses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.offline.imports.harness import columns, extra, imported, put, refused

QUESTION = [{"role": "user", "content": "Write a haiku about AI."}]


def completion(ident: str = "chatcmpl-AyPN", model: str = "gpt-4o-2024-08-06", **changes: Any) -> dict[str, Any]:
    """An item of `GET /v1/chat/completions`: it has everything but the prompt."""
    return {
        "object": "chat.completion",
        "id": ident,
        "model": model,
        "created": 1738960610,
        "request_id": "req_ded8ab98",
        "tool_choice": None,
        "usage": {"total_tokens": 31, "completion_tokens": 18, "prompt_tokens": 13},
        "tools": None,
        "metadata": {"category": "poems"},
        "choices": [
            {
                "index": 0,
                "message": {"content": "Mind of circuits.", "role": "assistant", "tool_calls": None},
                "finish_reason": "stop",
            }
        ],
        "response_format": None,
        **changes,
    }


def messages(ident: str, *turns: tuple[str, str]) -> dict[str, Any]:
    """`GET /v1/chat/completions/ID/messages`."""
    data = [
        {"id": f"{ident}-{at}", "role": role, "content": text, "name": None, "content_parts": None}
        for at, (role, text) in enumerate(turns)
    ]
    return {"object": "list", "data": data, "first_id": data[0]["id"], "last_id": data[-1]["id"], "has_more": False}


def test_stored_completions(tmp_path: Path) -> None:
    """The list and the messages of each completion are two kinds of files; together they are rows."""
    items = [completion("chatcmpl-a"), completion("chatcmpl-b", "gpt-4o-mini"), completion("chatcmpl-c", "o3")]
    stored = put(tmp_path / "stored.json", {"object": "list", "data": items, "has_more": False})
    said = [messages(f"chatcmpl-{name}", ("user", "A haiku?"), ("assistant", "Mind of circuits.")) for name in "ab"]
    found, report = imported(tmp_path / "o.parquet", stored, put(tmp_path / "messages.jsonl", said))
    assert columns(found, "model", "prompt", "response", "prompt_tokens", "completion_tokens", "category") == [
        ("gpt-4o-2024-08-06", "A haiku?", "Mind of circuits.", 13, 18, "poems"),
        ("gpt-4o-mini", "A haiku?", "Mind of circuits.", 13, 18, "poems"),
    ]
    assert all(row["cost_usd"] > 0 for row in found)
    assert report["paired"] == 1
    assert list(report["skipped"]) == [
        "no prompt (a stored completion's messages, or a batch's input file, must be given too)"
    ]


def test_stored_completions_that_hold_their_messages(tmp_path: Path) -> None:
    """As exports made by scripts do: one completion a line."""
    lines = [
        completion(messages=QUESTION, metadata={"score": "0.5", "query_id": "q7"}),
        completion(input="Hi", model="m"),
    ]
    found, _ = imported(tmp_path / "o.parquet", put(tmp_path / "s.jsonl", lines))
    assert columns(found, "query_id", "prompt", "score")[0] == ("q7", "Write a haiku about AI.", 0.5)
    assert found[1]["prompt"] == "Hi"


def batch_line(ident: str, text: str) -> dict[str, Any]:
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": text}]}
    return {"custom_id": ident, "method": "POST", "url": "/v1/chat/completions", "body": body}


def batch_output(ident: str, model: str, **changes: Any) -> dict[str, Any]:
    response = {"status_code": 200, "request_id": "r", "body": completion(model=model)}
    return {"id": f"batch_req_{ident}", "custom_id": ident, "response": response, "error": None, **changes}


def test_a_batch(tmp_path: Path) -> None:
    """The input file has the prompts; one input serves the outputs of several models."""
    asked = put(tmp_path / "in.jsonl", [batch_line("1", "One?"), batch_line("2", "Two?")])
    cheap = put(tmp_path / "cheap.jsonl", [batch_output("2", "gpt-4o-mini"), batch_output("1", "gpt-4o-mini")])
    dear = put(
        tmp_path / "dear.jsonl",
        [
            batch_output("1", "gpt-4o"),
            batch_output("2", "gpt-4o", response={"status_code": 429, "body": {"error": {}}}),
            batch_output("3", "gpt-4o", response=None, error={"code": "batch_expired", "message": "x"}),
        ],
    )
    found, report = imported(tmp_path / "o.parquet", cheap, dear, asked)
    assert columns(found, "prompt", "model") == [("Two?", "gpt-4o-mini"), ("One?", "gpt-4o-mini"), ("One?", "gpt-4o")]
    assert (report["queries"], report["paired"], report["skipped"]) == (2, 1, {"the call failed": 2})


def test_a_custom_id_of_two_prompts_is_not_guessed(tmp_path: Path) -> None:
    """Two batches may number their lines alike."""
    for name, text in (("a", "One?"), ("b", "Other?")):
        put(tmp_path / f"{name}.jsonl", [batch_line("1", text)])
    output = put(tmp_path / "out.jsonl", [batch_output("1", "m")])
    said = refused(tmp_path / "a.jsonl", tmp_path / "b.jsonl", output, "--out", tmp_path / "o.parquet")
    assert said == "no row can be used: 1 times: a custom_id of two different prompts"


def test_the_output_of_an_eval(tmp_path: Path) -> None:
    """The grade is the score, the mean of several graders' or the one that --score names."""
    item = {
        "object": "eval.run.output_item",
        "id": "outputitem_67e",
        "status": "pass",
        "datasource_item": {"input": "Stock markets rally", "ground_truth": "Markets", "category": "news"},
        "results": [{"name": "exact", "passed": True, "score": 1.0}, {"name": "close", "passed": False, "score": 0.5}],
        "sample": {
            "input": [
                {"role": "developer", "content": "Categorize."},
                {"role": "user", "content": "Stock markets rally"},
            ],
            "output": [{"role": "assistant", "content": "Markets"}],
            "finish_reason": "stop",
            "model": "gpt-4o-mini-2024-07-18",
            "usage": {"total_tokens": 27, "completion_tokens": 2, "prompt_tokens": 25, "cached_tokens": 0},
            "error": None,
        },
    }
    file = put(tmp_path / "e.json", {"object": "list", "data": [item, {**item, "sample": {"error": {"code": "x"}}}]})
    ((row,), report) = imported(tmp_path / "o.parquet", file)
    assert columns([row], "response", "score", "reference", "category", "completion_tokens") == [
        ("Markets", 0.75, "Markets", "news", 2)
    ]
    assert row["prompt"] == "Categorize.\n\nStock markets rally"
    assert report["skipped"] == {"the call failed": 1}
    ((row,), _) = imported(tmp_path / "o.parquet", file, "--score", "exact")
    assert row["score"] == 1.0


def test_fine_tuning_lines(tmp_path: Path) -> None:
    """They name no model: the file's name does. The last turn is the answer."""
    turns = [
        {"role": "system", "content": "Be terse."},
        {"role": "user", "content": "2+2?"},
        {"role": "assistant", "content": "4"},
    ]
    more = [*turns, {"role": "user", "content": "And 3+3?"}, {"role": "assistant", "content": "6", "weight": 1}]
    ((one, two), _) = imported(
        tmp_path / "o.parquet", put(tmp_path / "gpt-4o.train.jsonl", [{"messages": turns}, {"messages": more}])
    )
    assert columns([one, two], "model", "response") == [("gpt-4o", "4"), ("gpt-4o", "6")]
    assert one["prompt"] == "Be terse.\n\n2+2?"
    assert two["prompt"] == "system: Be terse.\n\nuser: 2+2?\n\nassistant: 4\n\nuser: And 3+3?"
    assert [turn["role"] for turn in extra(two)["messages"]] == ["system", "user", "assistant", "user"]


def test_requests_with_their_responses(tmp_path: Path) -> None:
    """Lines of both, with the columns of the outcomes beside them; Chat Completions and Responses."""
    request = {"model": "gpt-4o", "messages": QUESTION, "tools": [{"type": "function", "function": {"name": "f"}}]}
    output = [{"type": "function_call", "call_id": "c", "name": "f", "arguments": '{"a":1}'}]
    lines = [
        {"request": request, "response": completion(), "score": 1, "latency_ms": 1500, "cost_usd": 0.5},
        {
            "request": {"input": "Hi", "model": "gpt-4o"},
            "response": {"object": "response", "output": output, "status": "completed"},
        },
        {"request": request, "response": {"error": {"message": "no"}}},
        {"messages": QUESTION, "response": '{"a": 1}', "model": "m", "score": 7},
        {"messages": QUESTION, "response": '{"a": 1}', "model": "m", "score": "correct"},
    ]
    found, report = imported(tmp_path / "o.parquet", put(tmp_path / "l.jsonl", lines), "--bench", "mine")
    assert columns(found, "bench", "model", "response", "score", "latency_s", "cost_usd") == [
        ("mine", "gpt-4o-2024-08-06", "Mind of circuits.", 1.0, 1.5, 0.5),
        ("mine", "gpt-4o", '[{"f":"{\\"a\\":1}"}]', None, None, None),
        ("mine", "m", '{"a": 1}', 1.0, None, None),
    ]
    assert extra(found[0])["tools"] == request["tools"]
    assert report["skipped"] == {"the call failed": 1, "a score that is not from 0 to 1": 1}


def test_a_picture_is_part_of_the_question(tmp_path: Path) -> None:
    """Two pictures with the same words are two queries; the picture itself is not kept in the prompt."""
    lines = []
    for picture in ("aaaa", "bbbb"):
        part = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{picture}"}}
        lines.append(
            {
                "messages": [{"role": "user", "content": [{"type": "text", "text": "What is it?"}, part]}],
                "response": "A cat",
                "model": "m",
            }
        )
    found, _ = imported(tmp_path / "o.parquet", put(tmp_path / "l.jsonl", lines))
    assert found[0]["query_id"] != found[1]["query_id"]
    assert found[0]["prompt"].startswith("What is it?\n[image_url ")
    assert "aaaa" not in found[0]["prompt"]
