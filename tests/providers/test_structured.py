"""Models that are asked for a form of the answer as a tool, or in words: as providers like any other."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conformance.provider import EVERYTHING, Ability, Bench, Check, answer, batches, cases, run
from tests.providers.test_conformance import ANTHROPIC, OPENAI, WireLab
from tests.support.shapes import Script
from tests.support.upstream import Scripted, serve
from tierwise.errors import Torn
from tierwise.ports import Provider
from tierwise.providers import structured
from tierwise.providers.http import Upstream
from tierwise.providers.structured import _Unfenced
from tierwise.types import Structured

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
FORM = {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
DOCUMENT = '{"a": 12}'
BY_TOOL = Script(text="Here you are.", tool_calls=(("answer", DOCUMENT),), reasoning="Hm")


class Formed(Bench):
    """Every request asks for a form."""

    def stream(self, words: str = "Hello", *, stream: bool = True, **fields: Any) -> Any:
        return super().stream(words, stream=stream, response_format=FORM, **fields)


@dataclass(frozen=True)
class FormedLab:
    """A provider that is asked in another way than its own. By tool, what scripts say is said by the tool."""

    lab: WireLab
    how: Structured
    can: frozenset[Ability]

    def provider(self, upstream: Upstream) -> Provider:
        return structured.structured(self.lab.make(upstream), self.how)

    @asynccontextmanager
    async def open(
        self, *scripts: Script, first: float = 5.0, idle: float = 5.0, down: bool = False
    ) -> AsyncIterator[Bench]:
        model = msgspec.structs.replace(self.lab.model, structured=self.how)
        lab = WireLab(model, self.provider, self.lab.headers, self.lab.decode_error)
        said = [_called(script) if self.how == "tool" else script for script in scripts]
        async with lab.open(*said, first=first, idle=idle, down=down) as bench:
            yield Formed(bench.provider, bench.model, bench.asked, bench.left)


def _called(script: Script) -> Script:
    return msgspec.structs.replace(script, tool_calls=(("answer", "".join(script.pieces)),), text=script.text)


WORDS = FormedLab(OPENAI, "retry", EVERYTHING)
CLAUDE = FormedLab(ANTHROPIC, "retry", ANTHROPIC.can)
CALLED = FormedLab(OPENAI, "tool", EVERYTHING - {"tools", "logprobs"})
FIRST_WORDS = {"a_cut_is_never_an_end", "silence_inside_the_answer"}  # which are none before the call


@pytest.mark.parametrize("check", cases(WORDS.can))
async def test_in_words(check: Check) -> None:
    """Over OpenAI's wire."""
    await run(check, WORDS)


@pytest.mark.parametrize("check", cases(CLAUDE.can))
async def test_in_words_over_anthropic(check: Check) -> None:
    """Over Anthropic's."""
    await run(check, CLAUDE)


@pytest.mark.parametrize("check", [case for case in cases(CALLED.can) if case.id not in FIRST_WORDS])
async def test_by_tool(check: Check) -> None:
    """What is said by the tool's arguments is said."""
    await run(check, CALLED)


# ------------------------------------------------------------------ what is asked, and what comes back


@asynccontextmanager
async def bench(lab: WireLab, how: Structured, *scripts: Script) -> AsyncIterator[tuple[Bench, Scripted]]:
    async with serve(scripts) as served:
        upstream = Upstream(lab.model.name, f"{served.url}/v1", lab.headers, lab.decode_error)
        provider = structured.structured(lab.make(upstream), how)
        model = msgspec.structs.replace(lab.model, structured=how)

        async def never() -> None:
            raise AssertionError

        yield Bench(provider, model, never, never), served
        await provider.close()


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("lab", [OPENAI, ANTHROPIC])
async def test_a_call_becomes_the_answer(lab: WireLab, stream: bool) -> None:
    """The schema is the one tool that must be called; its arguments are the text, and nothing else is."""
    async with bench(lab, "tool", BY_TOOL) as (asked, served):
        said = await answer(asked, stream=stream, response_format=FORM, seed=7 if lab is OPENAI else None)
    (choice,) = said.choices
    assert (json.loads(choice.text), choice.finish, choice.tool_calls) == ({"a": 12}, "stop", ())
    assert choice.reasoning == "Hm"
    assert said.usage is not None
    assert all(chunk.wire is None for chunk in said.chunks)  # what was on the wire is no answer to this client
    body = served.requests[0].body
    tool = body["tools"][0].get("function", body["tools"][0])
    assert (tool["name"], len(body["tools"])) == ("answer", 1)
    assert tool.get("parameters", tool.get("input_schema")) == SCHEMA
    assert "response_format" not in body
    if lab is OPENAI:
        assert (body["tool_choice"]["function"]["name"], body["parallel_tool_calls"], body["seed"]) == (
            "answer",
            False,
            7,
        )
    else:
        assert body["tool_choice"] == {"type": "tool", "name": "answer", "disable_parallel_tool_use": True}


@pytest.mark.parametrize("stream", [True, False])
async def test_several_answers(stream: bool) -> None:
    """Each choice has a call of its own; a second call in one is not wanted."""
    script = Script(text="", tool_calls=(("answer", DOCUMENT), ("answer", "{}")))
    async with bench(OPENAI, "tool", script) as (asked, _):
        said = await answer(asked, stream=stream, response_format=FORM, n=2)
    assert [(choice.text, choice.finish) for choice in said.choices] == [(DOCUMENT, "stop")] * 2


@pytest.mark.parametrize("stream", [True, False])
async def test_no_call_is_no_answer(stream: bool) -> None:
    """Words in its place are none, and no end comes; what was cut says so itself."""
    async with bench(OPENAI, "tool", Script(match="cut", text="I", finish="length"), Script(text="I can't.")) as (
        asked,
        _,
    ):
        got: list[Any] = []
        with pytest.raises(Torn, match="did not call"):
            await batches(asked, got=got, stream=stream, response_format=FORM)
        assert not any(chunk.text or chunk.finish for batch in got for chunk in batch)
        assert (await answer(asked, "cut", stream=stream, response_format=FORM)).choices[0].finish == "length"


async def test_a_refusal_is_one() -> None:
    """A model that refuses calls nothing, and need not."""
    said = {"role": "assistant", "content": None, "refusal": "No."}
    body = {"choices": [{"index": 0, "message": said, "finish_reason": "stop"}]}
    data = json.dumps(body).encode()
    raw = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(data), data)
    async with bench(OPENAI, "tool", Script(raw=raw)) as (asked, _):
        choice = (await answer(asked, stream=False, response_format=FORM)).choices[0]
    assert (choice.refusal, choice.text, choice.finish) == ("No.", "", "stop")


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(("lab", "said"), [(OPENAI, "messages"), (ANTHROPIC, "system")])
async def test_in_words_without_its_fence(lab: WireLab, said: str, stream: bool) -> None:
    """The schema stands in the instructions; a code fence around the answer goes."""
    fenced = Script(text=f"```json\n{DOCUMENT}\n```")
    async with bench(lab, "retry", fenced) as (asked, served):
        assert (await answer(asked, stream=stream, response_format=FORM)).text.strip() == DOCUMENT
        body = served.requests[0].body
        assert json.dumps(SCHEMA, separators=(",", ":")) in str(body[said])
        assert not body.keys() & {"response_format", "output_config", "tools"}


async def test_in_words_beside_tools() -> None:
    """A client's own tools stay, and their calls are what they were."""
    async with bench(OPENAI, "tool", Script(text="", tool_calls=(("look", "{}"),))) as (asked, served):
        choice = (await answer(asked, response_format={"type": "json_object"}, tools=[TOOL])).choices[0]
        assert (choice.tool_calls[0].name, choice.finish) == ("look", "tool_calls")
        assert served.requests[0].body["tools"] == [TOOL]
        assert "Unless you call a tool" in served.requests[0].body["messages"][0]["content"]


async def test_nothing_asked_nothing_changed() -> None:
    """Without a form requests and answers are the provider's own, byte for byte."""
    async with bench(OPENAI, "retry", Script(text="```\nx\n```")) as (asked, served):
        said = await answer(asked, response_format={"type": "text"})
    assert said.text == "```\nx\n```"
    assert all(chunk.wire is not None for chunk in said.chunks)
    assert served.requests[0].body["response_format"] == {"type": "text"}


# ------------------------------------------------------------------ fences


def unfenced(pieces: list[str]) -> str:
    choice = _Unfenced()
    return "".join([choice.feed(piece, ended=False) for piece in pieces]) + choice.feed("", ended=True)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ('{"a": 1}', '{"a": 1}'),
        ('  {"a": 1}\n', '  {"a": 1}\n'),
        ('```json\n{"a": 1}\n```', '\n{"a": 1}'),
        ('\n```\n{"a": "``"}\n```\n\n', '\n{"a": "``"}'),
        ('```{"a": 1}```', '{"a": 1}'),
        ('```json\n{"a": 1', '\n{"a": 1'),
        ('```json\n{"a": 1}\n``', '\n{"a": 1}\n``'),
        ("```json\nx\n```\nHope it helps", "\nx\n```\nHope it helps"),
        ("````\nx\n````", "````\nx\n````"),
        ("`x`", "`x`"),
        ("```", "```"),
        ("  ", "  "),
        ("", ""),
        ("Here:\n```json\n{}\n```", "Here:\n```json\n{}\n```"),
    ],
)
def test_fences(text: str, left: str) -> None:
    """One around everything goes; whatever else looks like one is part of the answer. In pieces as in one."""
    assert _Unfenced().feed(text, ended=True) == left
    assert unfenced(list(text)) == left
    assert unfenced([text]) == left


@given(st.lists(st.sampled_from(["```", "`", "json", "\n", " ", "{", "}", "x"])), st.data())
def test_pieces_make_no_difference(words: list[str], data: st.DataObject) -> None:
    """However an answer is cut into pieces, the same comes out."""
    text = "".join(words)
    cut = data.draw(st.lists(st.integers(0, len(text))).map(sorted))
    pieces = [text[start:end] for start, end in zip([0, *cut], [*cut, len(text)], strict=True)]
    assert unfenced(pieces) == _Unfenced().feed(text, ended=True)
