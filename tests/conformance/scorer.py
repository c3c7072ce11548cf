"""What every Scorer keeps, whatever it looks at; a scorer's own tests call it with arbitrary requests and answers."""

from __future__ import annotations

from time import thread_time
from typing import Any

import msgspec
from hypothesis import strategies as st

from tierwise.ports import Scorer
from tierwise.types import Answer, Choice, Message, Request, Tool, ToolCall, Usage, Verdict

MAX_SECONDS = 0.1  # of CPU, for an answer of any length; 50 times what the free checks need at worst
MAX_DETAIL = 200  # characters

TOOLS = (
    Tool("weather", parameters={"type": "object", "properties": {"city": {"type": "string"}}}),
    Tool("now"),
)
SCHEMAS: list[dict[str, Any] | None] = [None, {}, {"type": "object", "required": ["a"]}, {"$ref": "#/nowhere"}]

TEXTS = st.text(max_size=300) | st.sampled_from(
    [
        "",
        "{}",
        '{"a": 1}',
        "I can't help with that.",
        "```py\n",
        "ha " * 99,
        "\u200b",
        "\ud800",
        "[" * 3000,
        "a" * 20_000,
    ]
)
CALLS = st.builds(ToolCall, id=st.text(max_size=5), name=st.sampled_from(["weather", "now", "other"]), arguments=TEXTS)
CHOICES = st.builds(
    Choice,
    text=TEXTS,
    reasoning=TEXTS,
    refusal=st.sampled_from(["", "No."]),
    tool_calls=st.lists(CALLS, max_size=3).map(tuple),
    finish=st.sampled_from(["stop", "length", "tool_calls", "content_filter", None]),
    logprobs=st.lists(st.floats(), max_size=5).map(tuple),
)
ANSWERS = st.builds(
    Answer,
    model=st.just("cheap"),
    choices=st.lists(CHOICES, max_size=3).map(tuple),
    usage=st.none() | st.builds(Usage, output_tokens=st.integers(0, 100)),
    complete=st.booleans(),
)
LONG_ANSWERS = st.builds(
    lambda unit, times: Answer("cheap", (Choice(unit * times, finish="stop"),)),
    st.text(alphabet=" \nab.,`{\"'[i", min_size=1, max_size=30),
    st.integers(1, 20_000),
)
REQUESTS = st.builds(
    Request,
    id=st.just("r"),
    asked=st.just("support"),
    messages=TEXTS.map(lambda text: (Message("user", text),)),
    max_output=st.none() | st.integers(1, 100),
    stop=st.sampled_from([(), ("\n",)]),
    tools=st.sampled_from([(), TOOLS]),
    tool_choice=st.sampled_from(["auto", "none", "required", "weather"]),
    parallel_tools=st.booleans(),
    json_answer=st.booleans(),
    schema=st.sampled_from(SCHEMAS),
)


def keeps_the_contract(scorer: Scorer, request: Request, draft: Answer | None) -> Verdict:
    """Never raises; a score in [0, 1]; the same for the same; what was given stays as it was; details are short."""
    before = repr((request, draft))
    verdict = scorer.score(request, draft)
    assert 0.0 <= verdict.score <= 1.0
    assert repr(scorer.score(request, draft)) == repr(verdict)
    assert repr((request, draft)) == before
    assert all(found.check and len(found.detail) <= MAX_DETAIL for found in verdict.evidence)
    assert msgspec.json.encode(verdict)  # it goes to the ledger
    return verdict


def takes_bounded_time(scorer: Scorer, request: Request, draft: Answer | None) -> None:
    """An answer of any length takes at most MAX_SECONDS of CPU."""
    began = thread_time()
    scorer.score(request, draft)
    assert thread_time() - began <= MAX_SECONDS
