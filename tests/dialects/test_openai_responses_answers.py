"""Answers and streams of providers that speak OpenAI Responses, as the API reference shows them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierwise.core.join import join
from tierwise.dialects.openai_chat import Label
from tierwise.dialects.openai_responses import decode_request
from tierwise.dialects.openai_responses_answers import StreamDecoder, decode_answer
from tierwise.dialects.openai_responses_out import StreamEncoder, encode_answer
from tierwise.dialects.sse import Events
from tierwise.errors import WireError
from tierwise.types import Answer, Choice, Chunk, Finish, ToolDelta, Usage
from tierwise.types import ToolCall as Call

Json = dict[str, Any]
PLAIN = decode_request(b'{"model":"r","input":"Hello"}', "req_9")
LABEL = Label("resp_1", 7, "gpt")
USAGE: Json = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}


def text(words: str, **more: Any) -> Json:
    return {"type": "message", "id": "msg_1", "content": [{"type": "output_text", "text": words, **more}]}


def call(number: int, arguments: Any = "{}", **more: Any) -> Json:
    return {"type": "function_call", "call_id": f"c{number}", "name": "look", "arguments": arguments, **more}


def response(*output: Json, **fields: Any) -> Json:
    return {"id": "resp_x", "object": "response", "status": "completed", "output": list(output)} | fields


def whole(*output: Json, **fields: Any) -> Choice:
    (chunk,) = decode_answer(msgspec.json.encode(response(*output, **fields)))
    return join("m", (chunk,)).choices[0]


def event(kind: str, **fields: Any) -> bytes:
    return msgspec.json.encode({"type": kind, **fields})


def end(**fields: Any) -> bytes:
    return event("response.completed", response=response(**fields))


def streamed(*events: bytes) -> Answer:
    """What the events come to; the response has ended, and nothing after it counts."""
    decoder = StreamDecoder()
    chunks = [decoder.feed("", data) for data in events]
    assert decoder.finished
    assert decoder.feed("", events[0]) is None
    assert all(chunk is not None and chunk.wire == data for chunk, data in zip(chunks, events, strict=True))
    return join("m", [chunk for chunk in chunks if chunk is not None])


def broken(data: bytes) -> WireError:
    decoder = StreamDecoder()
    with pytest.raises(WireError) as caught:
        decoder.feed("", data)
    assert not decoder.finished
    return caught.value


# ------------------------------------------------------------------ whole answers


def test_everything_of_a_response() -> None:
    """Words, refusals, thoughts, calls, log-probabilities; the bytes themselves; other items go by."""
    rows = [{"token": "Hi", "logprob": -0.5}, {"token": "."}]
    data = msgspec.json.encode(
        response(
            {"type": "reasoning", "id": "rs", "summary": [{"text": "One"}, {"text": "Two"}], "encrypted_content": "z"},
            {
                "type": "reasoning",
                "summary": [],
                "content": [{"type": "reasoning_text", "text": "Three"}, {"text": ""}],
            },
            {"type": "web_search_call", "id": "ws", "status": "completed", "action": {"type": "search"}},
            {"type": "tool_search_call", "arguments": {"q": 1}, "content": 5},
            text("Hi", logprobs=rows, annotations=[]),
            {
                "type": "message",
                "content": [{"type": "refusal", "refusal": "No."}, {"type": "output_text", "text": "!"}],
            },
            call(1, '{"a":12345678901234567890}'),
            call(2),
            usage=USAGE
            | {"input_tokens_details": {"cached_tokens": 4}, "output_tokens_details": {"reasoning_tokens": 2}},
            service_tier="flex",
        )
    )
    (chunk,) = decode_answer(data)
    said = join("m", (chunk,)).choices[0]
    assert (said.text, said.refusal, said.reasoning) == ("Hi!", "No.", "One\n\nTwo\n\nThree")
    assert said.tool_calls == (Call("c1", "look", '{"a":12345678901234567890}'), Call("c2", "look", "{}"))
    assert (said.finish, said.logprobs) == ("tool_calls", (-0.5,))
    assert chunk.usage == Usage(10, 5, 4, reasoning_tokens=2, service="flex")
    assert (chunk.wire, chunk.dialect) == (data, "openai_responses")


@pytest.mark.parametrize(
    ("reason", "finish"),
    [("max_output_tokens", "length"), ("content_filter", "content_filter"), ("steered", "length"), (None, "length")],
)
def test_an_incomplete_answer_says_why(reason: str | None, finish: Finish) -> None:
    """A reason that nobody knows yet is no proof that it is whole; nor does a call make it so."""
    details = {"status": "incomplete", "incomplete_details": None if reason is None else {"reason": reason}}
    assert whole(text("Hi"), call(1), **details).finish == finish
    last = event("response.incomplete", response=response(**details))
    assert streamed(event("response.output_item.added", item=call(1)), last).choices[0].finish == finish


def test_an_answer_of_little() -> None:
    """Nothing said, nothing counted."""
    (chunk,) = decode_answer(msgspec.json.encode(response(usage="many")))
    assert (chunk.text, chunk.finish, chunk.usage) == ("", "stop", None)
    assert decode_answer(msgspec.json.encode(response()))[0].usage is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"{}",
        b"\xff",
        b"[" * 5000,
        b'{"status":"completed","output":[],"unread":"\xff"}',
        msgspec.json.encode(response(status="in_progress")),
        msgspec.json.encode(response(status=None)),
        msgspec.json.encode(response({"type": "message", "content": 5})),
        msgspec.json.encode(response({"type": "message", "content": [{"type": "output_text", "text": 5}]})),
        msgspec.json.encode(response(text("Hi", logprobs=5))),
        msgspec.json.encode(response(call(1, {"a": 1}))),
        msgspec.json.encode(response(call(1, call_id=None))),
        msgspec.json.encode(response(call(1, name=""))),
    ],
)
def test_what_is_no_answer(data: bytes) -> None:
    """It has not ended, or it is something else."""
    with pytest.raises(WireError) as caught:
        decode_answer(data)
    assert not caught.value.overloaded


@pytest.mark.parametrize(
    ("error", "overloaded"),
    [
        ({"code": "server_error", "message": "canary"}, True),
        ({"code": "rate_limit_exceeded", "message": "canary"}, True),
        ({"type": "overloaded_error"}, True),
        ({"code": 503}, True),
        ({"code": "invalid_prompt", "message": "canary"}, False),
        ("canary", False),
        (None, False),
    ],
)
def test_errors_inside(error: Any, overloaded: bool) -> None:
    """Whole and in a stream; the provider's words are not repeated."""
    for status in ("failed", "completed") if error else ("failed",):
        with pytest.raises(WireError, match="reported an error") as caught:
            decode_answer(msgspec.json.encode(response(text("Hi"), status=status, error=error)))
        assert caught.value.overloaded is overloaded
        assert "canary" not in caught.value.message
    told = (
        event("response.failed", response=response(status="failed", error=error)),
        event("response.completed", response=response(error=error)) if error else event("response.cancelled"),
        event("error", error=error),
    )
    assert {broken(one).overloaded for one in told} == {overloaded}


# ------------------------------------------------------------------ streams


def test_a_stream() -> None:
    """Words, refusals, thoughts, calls that grow side by side; events that nobody here knows go by."""
    answer = streamed(
        event("response.created", response=response(status="in_progress")),
        event("response.reasoning_summary_text.delta", delta="On", output_index=0, summary_index=0),
        event("response.reasoning_summary_text.delta", delta="e", output_index=0, summary_index=0),
        event("response.reasoning_summary_text.delta", delta="", output_index=0, summary_index=1),
        event("response.reasoning_summary_text.delta", delta="Two", output_index=0, summary_index=1),
        event("response.reasoning_text.delta", delta="Three", output_index=0, content_index=1),
        event("response.web_search_call.searching", item_id="ws"),
        event("response.of_tomorrow", item={"type": "x", "arguments": 5}, text=[1], delta={}, code=7),
        event("response.output_item.added", output_index=1, item={"type": "message", "content": []}),
        event("response.output_text.delta", delta="Hi", output_index=1, logprobs=[{"logprob": -0.5}]),
        event("response.output_text.delta", delta="!", output_index=1),
        event("response.output_text.done", text="Hi!", output_index=1, logprobs=[{"logprob": -0.5}]),
        event("response.refusal.delta", refusal="x", delta="No", output_index=1, content_index=1),
        event("response.refusal.done", refusal="No.", output_index=1, content_index=1),
        event("response.output_item.added", output_index=2, item=call(1, "")),
        event("response.output_item.added", output_index=3, item=call(2, "{")),
        event("response.function_call_arguments.delta", output_index=2, delta='{"a"'),
        event("response.function_call_arguments.delta", output_index=3, delta="}"),
        event("response.function_call_arguments.delta", output_index=2, delta=":1}"),
        event("response.function_call_arguments.done", output_index=2, arguments='{"a":1}'),
        event("response.output_item.done", output_index=2, item=call(1, '{"a":1}')),
        end(usage=USAGE, service_tier="default"),
    )
    said = answer.choices[0]
    assert (said.text, said.refusal, said.reasoning) == ("Hi!", "No.", "One\n\nTwo\n\nThree")
    assert said.tool_calls == (Call("c1", "look", '{"a":1}'), Call("c2", "look", "{}"))
    assert (said.finish, said.logprobs, answer.usage) == ("tool_calls", (-0.5,), Usage(10, 5, service="default"))


def test_what_is_told_only_when_it_is_done() -> None:
    """Servers that leave pieces out tell the whole; what came before is not told twice."""
    said = streamed(
        event("response.output_text.done", text="Hi"),
        event("response.output_item.added", output_index=1, item=call(1, None)),
        event("response.function_call_arguments.delta", output_index=1, delta="{"),
        event("response.function_call_arguments.done", output_index=1, arguments='{"a":1'),
        event("response.output_item.done", output_index=1, item=call(1, '{"a":1}')),
        event("response.output_item.done", output_index=2, item=call(2, '{"b":2}')),
        event("response.output_item.done", output_index=3, item=text("Hi")),
        event("response.output_item.done", output_index=4),
        event("response.completed", response={"output": []}),
    ).choices[0]
    assert (said.text, said.finish) == ("Hi", "tool_calls")
    assert said.tool_calls == (Call("c1", "look", '{"a":1}'), Call("c2", "look", '{"b":2}'))


@pytest.mark.parametrize(
    "data",
    [
        b"[DONE]",
        b"\xff",
        b"{}",
        b"[" * 5000,
        b'{"type":"response.of_tomorrow","unread":"\xff"}',
        event("two\nlines"),
        event("response.output_text.delta", delta=5),
        event("response.output_text.delta", delta="x", logprobs=5),
        event("response.function_call_arguments.delta", delta="x"),
        event("response.output_item.added", item=call(1, 5)),
        event("response.output_item.added", item=call(1, call_id="")),
        event("response.completed"),
        event("response.completed", response=response(status="in_progress")),
        event("response.incomplete", response=response(status="completed")),
    ],
)
def test_broken_streams(data: bytes) -> None:
    """What can't be read, out of order, or an end that contradicts itself, is no end."""
    assert not broken(data).overloaded


# ------------------------------------------------------------------ both sides of the wire

SAID = st.builds(
    Choice,
    text=st.text(),
    reasoning=st.text(),
    refusal=st.text(),
    tool_calls=st.lists(st.builds(Call, st.text(min_size=1), st.text(min_size=1), st.text()), max_size=3).map(tuple),
    finish=st.sampled_from(("stop", "length", "content_filter")),
)


def ended(choice: Choice) -> Choice:
    """As this wire says it: one that called tools stopped for them."""
    return (
        msgspec.structs.replace(choice, finish="tool_calls")
        if choice.tool_calls and choice.finish == "stop"
        else choice
    )


@given(SAID)
def test_what_we_write_we_read(choice: Choice) -> None:
    """Whole and in a stream: an answer that goes out to a client says the same to a gateway that is one."""
    usage = Usage(9, 3, 2, 1, 1)
    body = encode_answer(Answer("m", (choice,), usage), PLAIN, LABEL)
    (chunk,) = decode_answer(body)
    assert (join("m", (chunk,)).choices[0], chunk.usage) == (ended(choice), usage)
    encoder = StreamEncoder(PLAIN, LABEL)
    deltas = tuple([ToolDelta(at, one.id, one.name, one.arguments) for at, one in enumerate(choice.tool_calls)])
    sent = encoder.encode([Chunk(choice.text, 0, choice.reasoning, choice.refusal, deltas, choice.finish, (), usage)])
    found = [data for _, data in Events().feed(sent + encoder.done())]
    answer = streamed(*found)
    assert (answer.choices[0], answer.usage) == (ended(choice), usage)
