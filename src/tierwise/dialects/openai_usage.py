"""What OpenAI-compatible servers say that they have counted, each in its own places; and the names of service tiers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tierwise.types import Usage

COUNT_MAX = 10**9  # tokens of one answer: more is a broken provider
_COST_MAX = 10_000.0  # USD of one answer, likewise
_OPENAI = frozenset(
    {"prompt_tokens", "completion_tokens", "total_tokens", "prompt_tokens_details", "completion_tokens_details"}
)
_READ = ("cached_tokens",)  # of a prompt's details; the names below stand beside the prompt's count
_READ_BESIDE = (
    "prompt_cache_hit_tokens",  # DeepSeek
    "cached_tokens",  # Moonshot, Together
    "cache_read_input_tokens",  # LiteLLM, for Anthropic's models
)
_WRITTEN = ("cache_write_tokens", "cache_creation_tokens")  # the second is LiteLLM's
_WRITTEN_BESIDE = ("cache_creation_input_tokens",)
_AUDIO, _IMAGES, _THOUGHT = ("audio_tokens",), ("image_tokens",), ("reasoning_tokens",)
_WORD = re.compile(r"[a-z0-9][a-z0-9_.-]{0,31}")


def count(value: object) -> int | None:
    """A count of tokens, or None for what can't be one: nothing there, fractions, text, below 0, above COUNT_MAX."""
    return value if type(value) is int and 0 <= value <= COUNT_MAX else None


def word(value: object) -> str:
    """A service tier or a place by its name; "" for what can't be one."""
    return value if isinstance(value, str) and _WORD.fullmatch(value) else ""


def read_usage(wire: Mapping[str, Any], service: str = "") -> Usage | None:
    """A `usage` object; None where it counts nothing, or contradicts itself: what is not believed is estimated.

    An empty prompt is no prompt: servers that send zeros until they know the counts have not told them.
    """
    asked, said = count(wire.get("prompt_tokens")), count(wire.get("completion_tokens"))
    if not asked or said is None:
        return None
    prompt, answer = _details(wire, "prompt_tokens_details"), _details(wire, "completion_tokens_details")
    read = written = thought = heard = seen = spoken = 0
    if prompt is not None:
        read, written = _first(prompt, _READ), _first(prompt, _WRITTEN)
        heard, seen = _first(prompt, _AUDIO), _first(prompt, _IMAGES)
    if answer is not None:
        thought, spoken = _first(answer, _THOUGHT), _first(answer, _AUDIO)
    cost = None
    if not wire.keys() <= _OPENAI:  # most say no more than OpenAI does
        read = read or _first(wire, _READ_BESIDE)
        written = written or _first(wire, _WRITTEN_BESIDE)
        thought = thought or _first(wire, _THOUGHT)
        cost = _cost(wire)
    beside = max((count(wire.get("total_tokens")) or 0) - asked - said, 0)
    if beside != thought and beside in (read, written, read + written):
        asked += beside  # a cache that stands beside the prompt
    else:  # xAI and Gemini leave reasoning out of completion_tokens, and bill it
        said += beside
    if thought > said:
        said += thought  # it can't be a part of less: it was counted beside the rest, without a total
    if read + written > asked:
        return None
    return Usage(asked, said, read, written, thought, cost, 0, heard, seen, spoken, service)


def _details(wire: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    """What a count is made of, where any of it is more than nothing."""
    found = wire.get(name)
    return found if isinstance(found, dict) and any(found.values()) else None


def _first(held: Mapping[str, Any], names: tuple[str, ...]) -> int:
    """The first count above zero under these names; else 0."""
    for name in names:
        found = held.get(name)
        if found and count(found):
            return int(found)
    return 0


def _cost(wire: Mapping[str, Any]) -> int | None:
    """Nano-dollars, where the server says what it charges. Nothing is no charge that is believed: prices decide then.

    With a key of one's own OpenRouter's `cost` is its fee alone; what the model costs stands beside it.
    """
    cost = wire.get("cost")
    if isinstance(cost, dict):  # Perplexity
        cost = cost.get("total_cost")
    dollars = _dollars(cost) or _dollars(wire.get("estimated_cost"))  # the second is DeepInfra's
    details = wire.get("cost_details")
    model = _dollars(details.get("upstream_inference_cost")) if isinstance(details, dict) else 0.0
    own = wire.get("is_byok")
    if own is True and not model:
        return None
    if own is True or (own is None and model > dollars):
        dollars += model
    dollars = dollars or _dollars(wire.get("cost_in_usd_ticks"), 1e10)  # xAI's
    return round(dollars * 1e9) or None


def _dollars(value: object, unit: float = 1.0) -> float:
    """USD, of which `unit` make one; 0.0 for what can't be any."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= _COST_MAX * unit:
        return 0.0
    return value / unit
