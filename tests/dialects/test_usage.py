"""What providers say they have counted: a table of payloads as documented or recorded, and what they mean.

Streams go through the providers' own readers, event by event, and through `join`: what counts in the end is looked at.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierwise.core.join import join
from tierwise.dialects import anthropic_answers as anthropic
from tierwise.dialects import openai_upstream as openai
from tierwise.dialects import openai_usage
from tierwise.types import Chunk, Usage

Json = dict[str, Any]

# ------------------------------------------------------------------ OpenAI, and who speaks its language


def test_which_service_openai_says() -> None:
    """Beside the usage, whole and streamed; kinds of tokens that a list may price apart are counted."""
    usage = {
        "prompt_tokens": 50,
        "completion_tokens": 9,
        "prompt_tokens_details": {"audio_tokens": 20, "image_tokens": 10},
        "completion_tokens_details": {"audio_tokens": 4},
    }
    meant = Usage(50, 9, audio_tokens=20, image_tokens=10, speech_tokens=4, service="flex")
    assert whole(usage, service_tier="flex") == meant
    head, tail = {"choices": [DELTA], "service_tier": "flex"}, {"choices": [END], "service_tier": "flex"}
    assert streamed(head, tail, {"choices": [], "usage": usage, "service_tier": "flex"}) == meant
    for odd in (None, 7, "", "Fl ex", "x" * 33):
        found = whole({"prompt_tokens": 5, "completion_tokens": 1}, service_tier=odd)
        assert found == Usage(5, 1)


DELTA = {"index": 0, "delta": {"content": "Hi"}, "finish_reason": None}
END = {"index": 0, "delta": {}, "finish_reason": "stop"}


def whole(usage: Any, **extra: Any) -> Usage | None:
    choices = [{"index": 0, "message": {"content": "Hi"}, "finish_reason": "stop"}]
    return join("m", openai.decode_answer(json.dumps({"choices": choices, "usage": usage} | extra).encode())).usage


def streamed(*events: Json) -> Usage | None:
    chunks: list[Chunk] = []
    for event in events:
        chunks += openai.decode_event(json.dumps(event).encode())
    return join("m", chunks).usage


OPENAI: dict[str, tuple[Json, Usage]] = {
    "openai": (
        {
            "prompt_tokens": 2006,
            "completion_tokens": 300,
            "total_tokens": 2306,
            "prompt_tokens_details": {"cached_tokens": 1920, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": 128,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        },
        Usage(2006, 300, 1920, 0, 128),
    ),
    "openai-cache-writes": (
        {
            "prompt_tokens": 2006,
            "completion_tokens": 300,
            "total_tokens": 2306,
            "prompt_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 1920},
        },
        Usage(2006, 300, 0, 1920),
    ),
    "without-details": ({"prompt_tokens": 9, "completion_tokens": 12, "total_tokens": 21}, Usage(9, 12)),
    "without-a-total": ({"prompt_tokens": 9, "completion_tokens": 12}, Usage(9, 12)),
    "vllm": (
        {"prompt_tokens": 16, "total_tokens": 33, "completion_tokens": 17, "prompt_tokens_details": None},
        Usage(16, 17),
    ),
    "deepseek": (
        {
            "prompt_tokens": 1400,
            "completion_tokens": 500,
            "total_tokens": 1900,
            "prompt_tokens_details": {"cached_tokens": 1344},
            "completion_tokens_details": {"reasoning_tokens": 420},
            "prompt_cache_hit_tokens": 1344,
            "prompt_cache_miss_tokens": 56,
        },
        Usage(1400, 500, 1344, 0, 420),
    ),
    "deepseek-without-details": (
        {
            "prompt_tokens": 1400,
            "completion_tokens": 500,
            "total_tokens": 1900,
            "prompt_cache_hit_tokens": 1344,
            "prompt_cache_miss_tokens": 56,
        },
        Usage(1400, 500, 1344),
    ),
    "moonshot": (
        {"prompt_tokens": 19, "completion_tokens": 21, "total_tokens": 40, "cached_tokens": 10},
        Usage(19, 21, 10),
    ),
    "openrouter": (
        {
            "prompt_tokens": 194,
            "completion_tokens": 2,
            "total_tokens": 196,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0},
            "cost": 0.00095,
            "cost_details": {"upstream_inference_cost": None},
            "is_byok": False,
        },
        Usage(194, 2, cost_nanos=950_000),
    ),
    "openrouter-itemised": (
        {
            "prompt_tokens": 194,
            "completion_tokens": 2,
            "cost": 0.00095,
            "cost_details": {"upstream_inference_cost": 0.00095},
            "is_byok": False,
        },
        Usage(194, 2, cost_nanos=950_000),
    ),
    "openrouter-own-key": (  # the cost is 5 % of what the model costs, which another account is billed
        {
            "prompt_tokens": 194,
            "completion_tokens": 2,
            "cost": 0.00095,
            "cost_details": {"upstream_inference_cost": 0.019},
            "is_byok": True,
        },
        Usage(194, 2, cost_nanos=19_950_000),
    ),
    "openrouter-own-key-before-the-flag": (
        {
            "prompt_tokens": 194,
            "completion_tokens": 2,
            "cost": 0.00095,
            "cost_details": {"upstream_inference_cost": 0.019},
        },
        Usage(194, 2, cost_nanos=19_950_000),
    ),
    "openrouter-own-key-untold": (  # the fee alone would be a bill twenty times too low
        {"prompt_tokens": 194, "completion_tokens": 2, "cost": 0.00095, "is_byok": True, "cost_details": {}},
        Usage(194, 2),
    ),
    "openrouter-own-key-first-million": (
        {"prompt_tokens": 194, "completion_tokens": 2, "cost": 0, "is_byok": True},
        Usage(194, 2),
    ),
    "xai": (  # reasoning is counted beside completion_tokens, and billed
        {
            "prompt_tokens": 10120,
            "completion_tokens": 1499,
            "total_tokens": 14428,
            "prompt_tokens_details": {"cached_tokens": 128, "text_tokens": 10120, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 2809, "audio_tokens": 0},
            "num_sources_used": 0,
            "cost_in_usd_ticks": 232_856_000,
        },
        Usage(10120, 4308, 128, 0, 2809, 23_285_600),
    ),
    "gemini": (  # thoughts are in the total alone
        {"prompt_tokens": 20, "completion_tokens": 198, "total_tokens": 623},
        Usage(20, 603),
    ),
    "gemini-that-only-thought": (
        {
            "prompt_tokens": 21,
            "completion_tokens": 0,
            "total_tokens": 81,
            "completion_tokens_details": {"reasoning_tokens": 60},
        },
        Usage(21, 60, reasoning_tokens=60),
    ),
    "reasoning-beside-without-a-total": (
        {"prompt_tokens": 12, "completion_tokens": 2, "completion_tokens_details": {"reasoning_tokens": 317}},
        Usage(12, 319, reasoning_tokens=317),
    ),
    "perplexity": (
        {
            "prompt_tokens": 14,
            "completion_tokens": 300,
            "total_tokens": 314,
            "search_context_size": "low",
            "cost": {"input_tokens_cost": 0.00001, "output_tokens_cost": 0.0003, "total_cost": 0.00531},
        },
        Usage(14, 300, cost_nanos=5_310_000),
    ),
    "deepinfra": (
        {"prompt_tokens": 15, "completion_tokens": 16, "total_tokens": 31, "estimated_cost": 0.0000268},
        Usage(15, 16, cost_nanos=26_800),
    ),
    "litellm-for-anthropic": (
        {
            "prompt_tokens": 2100,
            "completion_tokens": 50,
            "total_tokens": 2150,
            "prompt_tokens_details": {"cached_tokens": 1500, "cache_creation_tokens": 500},
            "cache_creation_input_tokens": 500,
            "cache_read_input_tokens": 1500,
        },
        Usage(2100, 50, 1500, 500),
    ),
    "a-cache-beside-the-prompt": (
        {
            "prompt_tokens": 100,
            "completion_tokens": 50,
            "total_tokens": 2150,
            "cache_creation_input_tokens": 500,
            "cache_read_input_tokens": 1500,
        },
        Usage(2100, 50, 1500, 500),
    ),
    "a-read-beside-the-prompt": (
        {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 1650, "cache_read_input_tokens": 1500},
        Usage(1600, 50, 1500),
    ),
    "a-read-beside-the-prompt-and-its-writes": (
        {
            "prompt_tokens": 600,
            "completion_tokens": 50,
            "total_tokens": 2150,
            "cache_creation_input_tokens": 500,
            "cache_read_input_tokens": 1500,
        },
        Usage(2100, 50, 1500, 500),
    ),
    "writes-beside-the-prompt-and-its-read": (
        {
            "prompt_tokens": 1600,
            "completion_tokens": 50,
            "total_tokens": 2150,
            "cache_creation_input_tokens": 500,
            "cache_read_input_tokens": 1500,
        },
        Usage(2100, 50, 1500, 500),
    ),
    "as-much-thought-as-cached": (
        {
            "prompt_tokens": 100,
            "completion_tokens": 50,
            "total_tokens": 230,
            "prompt_tokens_details": {"cached_tokens": 80},
            "completion_tokens_details": {"reasoning_tokens": 80},
        },
        Usage(100, 130, 80, 0, 80),
    ),
    "groq": (
        {"queue_time": 0.0754, "prompt_tokens": 23, "prompt_time": 0.006, "completion_tokens": 19, "total_tokens": 42},
        Usage(23, 19),
    ),
    "a-total-that-is-too-low": ({"prompt_tokens": 9, "completion_tokens": 12, "total_tokens": 3}, Usage(9, 12)),
    "details-that-make-no-sense": (
        {
            "prompt_tokens": 9,
            "completion_tokens": 12,
            "total_tokens": "21",
            "prompt_tokens_details": {"cached_tokens": -4, "cache_write_tokens": 1.5},
            "completion_tokens_details": [7],
        },
        Usage(9, 12),
    ),
}


@pytest.mark.parametrize(("usage", "meant"), OPENAI.values(), ids=OPENAI)
def test_openai_shapes(usage: Json, meant: Usage) -> None:
    """Each means the same in a whole answer, in a stream's last event without choices, and in its last choice's."""
    assert whole(usage) == meant
    null = {"choices": [DELTA], "usage": None}
    assert streamed(null, {"choices": [END], "usage": None}, {"choices": [], "usage": usage}) == meant
    assert streamed(null, {"choices": [END], "usage": usage}) == meant


def test_usage_in_other_places() -> None:
    """Moonshot's stands in the choice that ends, Groq's in an extension."""
    usage = {"prompt_tokens": 19, "completion_tokens": 13, "total_tokens": 32}
    assert streamed({"choices": [DELTA]}, {"choices": [END | {"usage": usage}]}) == Usage(19, 13)
    assert streamed({"choices": [DELTA]}, {"choices": [END], "x_groq": {"id": "r", "usage": usage}}) == Usage(19, 13)
    assert streamed({"choices": [DELTA], "x_groq": {"id": "r"}}, {"choices": [END], "x_groq": "r"}) is None


def test_running_totals() -> None:
    """Where every event counts, the last counts: nothing is added up."""
    counts = [{"prompt_tokens": 16, "completion_tokens": n, "total_tokens": 16 + n} for n in range(4)]
    events = [{"choices": [DELTA], "usage": usage} for usage in counts]
    assert streamed(*events, {"choices": [END], "usage": counts[-1]}, {"choices": [], "usage": counts[-1]}) == Usage(
        16, 3
    )


def test_several_choices() -> None:
    """Usage counts what all of them say, and so comes after all of them."""
    choices = [{"index": at, "message": {"content": "Hi"}, "finish_reason": "stop"} for at in range(3)]
    body = {"choices": choices, "usage": {"prompt_tokens": 9, "completion_tokens": 6}}
    chunks = openai.decode_answer(json.dumps(body).encode())
    assert [chunk.usage for chunk in chunks] == [None, None, Usage(9, 6)]
    assert [chunk.index for chunk in chunks] == [0, 1, 2]


ABSURD: dict[str, Any] = {
    "zeros": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
    "no-output": {"prompt_tokens": 9},
    "no-input": {"completion_tokens": 9},
    "nulls": {"prompt_tokens": None, "completion_tokens": None},
    "negative": {"prompt_tokens": 9, "completion_tokens": -1},
    "fraction": {"prompt_tokens": 9.5, "completion_tokens": 9},
    "whole-fraction": {"prompt_tokens": 9.0, "completion_tokens": 9},
    "text": {"prompt_tokens": "9", "completion_tokens": 9},
    "truth": {"prompt_tokens": True, "completion_tokens": 9},
    "huge": {"prompt_tokens": 10**9 + 1, "completion_tokens": 9},
    "beyond-any-integer": {"prompt_tokens": 10**30, "completion_tokens": 9},
    "cached-beyond-input": {"prompt_tokens": 9, "completion_tokens": 9, "prompt_tokens_details": {"cached_tokens": 10}},
    "cached-and-written-beyond-input": {
        "prompt_tokens": 9,
        "completion_tokens": 9,
        "prompt_tokens_details": {"cached_tokens": 5, "cache_write_tokens": 5},
    },
    "empty": {},
    "list": [9, 9],
    "string": "9",
    "number": 9,
    "false": False,
}


@pytest.mark.parametrize("usage", ABSURD.values(), ids=ABSURD)
def test_what_is_not_believed(usage: Any) -> None:
    """Is as good as not told, and never costs the answer that it stands beside."""
    assert whole(usage) is None
    assert streamed({"choices": [DELTA]}, {"choices": [END]}, {"choices": [], "usage": usage}) is None


@pytest.mark.parametrize(
    "cost",
    [0, 0.0, -0.01, "0.01", None, True, [0.01], {"total_cost": -1}, {"prompt": 1}, 10_001, 1e300],
    ids=repr,
)
def test_costs_that_are_not_believed(cost: Any) -> None:
    """Leave the tokens to be priced. Nothing is such a cost: a ledger must not say $0 on a server's word."""
    assert whole({"prompt_tokens": 9, "completion_tokens": 2, "cost": cost}) == Usage(9, 2)


def test_the_largest_that_is_believed() -> None:
    """A thousand million tokens, and ten thousand dollars."""
    usage = {"prompt_tokens": 10**9, "completion_tokens": 10**9, "cost": 10_000}
    assert whole(usage) == Usage(10**9, 10**9, cost_nanos=10**13)


numbers = st.none() | st.integers() | st.floats() | st.text(max_size=3) | st.booleans() | st.lists(st.none())
NAMES = st.sampled_from(
    ["prompt_tokens", "completion_tokens", "total_tokens", "cached_tokens", "reasoning_tokens", "cost", "is_byok"]
)
wires = st.dictionaries(
    NAMES | st.sampled_from(["prompt_tokens_details", "completion_tokens_details", "cost_details"]),
    numbers | st.integers(0, 50) | st.dictionaries(NAMES, numbers | st.integers(0, 50)),
)


@given(wires)
def test_whatever_is_believed_makes_sense(wire: Json) -> None:
    """No payload of any shape gives negative, absurd or contradicting counts, or raises."""
    usage = openai_usage.read_usage(wire)
    if usage is not None:
        assert 0 < usage.input_tokens <= 3 * openai_usage.COUNT_MAX
        assert 0 <= usage.reasoning_tokens <= usage.output_tokens <= 3 * openai_usage.COUNT_MAX
        assert 0 <= usage.cache_read_tokens + usage.cache_write_tokens <= usage.input_tokens
        assert usage.cost_nanos is None or 0 < usage.cost_nanos <= 2 * 10**13


# ------------------------------------------------------------------ Anthropic, and who speaks its language

Pair = tuple[Json, Json, Usage]


def message(usage: Any) -> Usage | None:
    body = {"type": "message", "content": [{"type": "text", "text": "Hi"}], "stop_reason": "end_turn", "usage": usage}
    return join("m", anthropic.decode_answer(json.dumps(body).encode())).usage


def told(start: Any, *ends: Any) -> list[Chunk]:
    """The chunks of a stream whose message_start and message_deltas count so."""
    events: list[Json] = [
        {"type": "message_start", "message": {"type": "message", "content": [], "usage": start}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}},
        {"type": "content_block_stop", "index": 0},
        *({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": end} for end in ends),
        {"type": "message_stop"},
    ]
    decoder = anthropic.StreamDecoder()
    chunks = [decoder.feed(event["type"], json.dumps(event).encode()) for event in events]
    return [chunk for chunk in chunks if chunk is not None]


ANTHROPIC: dict[str, Pair] = {
    "anthropic": (
        {
            "input_tokens": 21,
            "cache_creation_input_tokens": 188_086,
            "cache_read_input_tokens": 0,
            "cache_creation": {"ephemeral_5m_input_tokens": 188_086, "ephemeral_1h_input_tokens": 0},
            "output_tokens": 1,
            "service_tier": "standard",
        },
        {"output_tokens": 393},
        Usage(188_107, 393, 0, 188_086, service="standard"),
    ),
    "a-cache-that-is-read": (
        {"input_tokens": 21, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 188_086, "output_tokens": 1},
        {"output_tokens": 393},
        Usage(188_107, 393, 188_086),
    ),
    "a-prompt-all-in-the-cache": (
        {"input_tokens": 0, "cache_read_input_tokens": 500, "output_tokens": 1},
        {"output_tokens": 2},
        Usage(500, 2, 500),
    ),
    "two-ages-without-their-sum": (
        {
            "input_tokens": 2048,
            "cache_read_input_tokens": 1800,
            "cache_creation": {"ephemeral_5m_input_tokens": 456, "ephemeral_1h_input_tokens": 100},
            "output_tokens": 3,
        },
        {"output_tokens": 503},
        Usage(4404, 503, 1800, 556, cache_write_1h_tokens=100),
    ),
    "cumulative-with-everything": (
        {"input_tokens": 25, "output_tokens": 1},
        {
            "input_tokens": 10_682,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": 510,
            "server_tool_use": {"web_search_requests": 1},
        },
        Usage(10_682, 510),
    ),
    "thinking": (
        {"input_tokens": 40, "output_tokens": 2},
        {"output_tokens": 900, "output_tokens_details": {"thinking_tokens": 700}},
        Usage(40, 900, reasoning_tokens=700),
    ),
    "thinking-beyond-the-output": (
        {"input_tokens": 40, "output_tokens": 2},
        {"output_tokens": 90, "output_tokens_details": {"thinking_tokens": 700}},
        Usage(40, 90),
    ),
    "counted-at-the-end-only": (  # as some gateways do it
        {"input_tokens": 0, "output_tokens": 0},
        {"input_tokens": 30, "output_tokens": 8, "cache_read_input_tokens": 10},
        Usage(40, 8, 10),
    ),
    "nulls": (
        {"input_tokens": 30, "cache_read_input_tokens": None, "cache_creation": None, "output_tokens": 1},
        {"output_tokens": 8, "input_tokens": None, "output_tokens_details": None},
        Usage(30, 8),
    ),
    "details-that-make-no-sense": (
        {"input_tokens": 30, "cache_read_input_tokens": -5, "cache_creation": 7, "output_tokens": 1},
        {"output_tokens": 8, "output_tokens_details": {"thinking_tokens": "3"}},
        Usage(30, 8),
    ),
}


def test_which_service_anthropic_says() -> None:
    """The tier, the speed before it, and the place; a word that can't be one is none."""
    plain = {"input_tokens": 30, "output_tokens": 8}
    told_so = {"service_tier": "priority", "inference_geo": "us"}
    for said, service, region in (
        (told_so, "priority", "us"),
        (told_so | {"speed": "fast"}, "fast", "us"),
        ({"service_tier": "Prio rity", "inference_geo": 7, "speed": "standard"}, "", ""),
    ):
        assert message(plain | said) == Usage(30, 8, service=service, region=region)
        assert join("m", told(plain | said, {"output_tokens": 8})).usage == Usage(30, 8, service=service, region=region)
    hours = {"cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 9}}
    few = message(plain | hours | {"cache_creation_input_tokens": 20})
    assert few == Usage(50, 8, 0, 20, cache_write_1h_tokens=9)


@pytest.mark.parametrize(("start", "end", "meant"), ANTHROPIC.values(), ids=ANTHROPIC)
def test_anthropic_shapes(start: Json, end: Json, meant: Usage) -> None:
    """Cached input is input too; a later count replaces an earlier one; whole and streamed mean the same."""
    known = {name: value for name, value in end.items() if value is not None}
    assert message(start | known) == meant
    assert join("m", told(start, end)).usage == meant
    assert join("m", told(start, {"output_tokens": 1}, end)).usage == meant


@pytest.mark.parametrize(
    "usage",
    [
        None,
        {},
        [],
        "9",
        {"input_tokens": 0, "output_tokens": 0},
        {"input_tokens": 9},
        {"output_tokens": 9},
        {"cache_read_input_tokens": 9, "output_tokens": 9},
        {"input_tokens": -9, "output_tokens": 9},
        {"input_tokens": 9, "output_tokens": 9.0},
        {"input_tokens": 9, "output_tokens": "9"},
        {"input_tokens": 10**9 + 1, "output_tokens": 9},
        {"input_tokens": 1 << 70, "output_tokens": 9},
    ],
    ids=repr,
)
def test_what_is_not_believed_of_anthropic(usage: Any) -> None:
    """Is as good as not told, and never costs the answer; a stream's beginning alone is no count of it."""
    assert message(usage) is None
    assert join("m", told(None, usage)).usage is None
    assert join("m", told({"input_tokens": 9, "output_tokens": 1}, {"output_tokens": -1})).usage is None


def test_what_a_beginning_tells() -> None:
    """The input, whatever becomes of the stream; nothing where it counts nothing or begins no stream."""
    first, second, *_ = told({"input_tokens": 9, "cache_read_input_tokens": 20, "output_tokens": 2}, {})
    assert anthropic.begun(first) == Usage(29, 2, 20)
    assert anthropic.begun(second) is None
    assert anthropic.begun(told({"input_tokens": 9}, {})[0]) == Usage(9, 0)
    assert anthropic.begun(told(None, {})[0]) is None
    assert anthropic.begun(Chunk("Hi")) is None
    assert anthropic.begun(Chunk(wire=first.wire, dialect="openai_chat")) is None
    assert anthropic.begun(Chunk(wire=b'{"type":"message_start"}', dialect="anthropic")) is None
    assert anthropic.begun(Chunk(wire=b'{"message_start', dialect="anthropic")) is None
