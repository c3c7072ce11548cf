"""What bytes of strangers meet, one entry each: `feed` gives an input to the one that its first byte names.

Clients send requests, packed or not, forms and lines of batches; providers send answers, streams and errors. Whatever
comes, the only errors are the documented ones, and what goes out at the other side is JSON, and events, that another
reader can read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import msgspec

from tierwise.core.join import join
from tierwise.dialects import (
    amended,
    anthropic_answers,
    anthropic_messages,
    anthropic_requests,
    openai_embeddings,
    openai_moderations,
    openai_responses_answers,
    openai_responses_upstream,
    openai_upstream,
)
from tierwise.dialects.openai_chat import Label
from tierwise.dialects.sse import Events
from tierwise.errors import BadRequest, NotFound, ProviderError, TooLarge, Torn, Unsupported, WireError
from tierwise.gateway.batches import lines
from tierwise.gateway.conversations import Conversations
from tierwise.gateway.doors import CHAT, COMPLETIONS, EMBEDDINGS, MESSAGES, MODERATIONS, RESPONSES, Door
from tierwise.gateway.web import multipart
from tierwise.gateway.web.compression import decompress
from tierwise.providers import anthropic, openai, responses
from tierwise.providers.wired import Reader
from tierwise.types import Chunk, Message, Model, Request, Tool

LABEL = Label("id-1", 1_790_000_000, "claude")
MODEL = Model("claude", "anthropic", "claude-1")
AGAIN = (Message("assistant", "no"), Message("user", "again"))
TALKING = (CHAT, RESPONSES, COMPLETIONS, MESSAGES)
VERBATIM = (EMBEDDINGS, MODERATIONS)  # no other wire says what these say
ENDS = {RESPONSES: ("response.completed", "response.incomplete"), MESSAGES: ("message_stop",)}  # beside `[DONE]`
ENCODERS = (
    openai_upstream.encode_request,
    openai_responses_upstream.encode_request,
    anthropic_requests.encode_request,
)
LIMIT = 1 << 16  # bytes that a packed body may unpack to, and of a line
MARK = b"x"  # the boundary of a form


def asked(door: Door, data: bytes) -> None:
    """A client's body, and what the providers of every wire would be asked."""
    try:
        request = door.decode(data, "req_1", frozenset())
    except BadRequest:
        return
    if door in VERBATIM:
        _read(openai_embeddings.encode_request(request, MODEL))
        return
    plain = amended.continued(amended.instructed(amended.formless(request), "Be brief."), AGAIN)
    for sent in (request, plain, amended.offered(plain, Tool("answer"))):
        for encode in ENCODERS:
            try:
                _read(encode(sent, MODEL))
            except BadRequest:
                continue


def counted(data: bytes) -> None:
    try:
        anthropic_messages.decode_countable(data, "req_1")
    except BadRequest:
        return


def unpacked(packing: str, data: bytes) -> None:
    try:
        assert len(decompress(data, packing, LIMIT)) <= LIMIT
    except (BadRequest, TooLarge, Unsupported):
        return


def answered(decode: Callable[[bytes], tuple[Chunk, ...]], data: bytes) -> None:
    """A provider's whole answer, and what the clients of every wire would read."""
    try:
        answer = join("claude", decode(data))
    except WireError:
        return
    for door in TALKING:
        try:
            _read(door.answer(answer, _plain(door), LABEL))
        except Torn:
            continue


def passed(decode: Callable[[bytes], tuple[Chunk, ...]], data: bytes) -> None:
    """A provider's whole answer that goes to the client as it is."""
    try:
        decode(data)
    except WireError:
        return
    _read(data)


def resumed(data: bytes) -> None:
    """A provider's whole response, kept, and a conversation that goes on from it."""
    try:
        answer = join("claude", openai_responses_answers.decode_answer(data))
    except WireError:
        return
    asked, kept = _plain(RESPONSES), Conversations()
    kept.keep("k", asked, RESPONSES.answer(answer, asked, LABEL))
    try:
        request = kept.resume("k", msgspec.structs.replace(asked, continues=LABEL.id))
        _read(openai_responses_upstream.encode_request(request, MODEL))
    except (BadRequest, NotFound):
        return


def parted(data: bytes) -> None:
    """A form: its parts follow each other, and none of them holds its boundary."""
    try:
        parts = multipart.parse(data, MARK)
    except BadRequest:
        return
    before = 0
    for part in parts.values():
        assert before <= part.start <= part.end
        assert b"\r\n--" + MARK not in data[part.start : part.end]
        before = part.end


def lined(data: bytes) -> None:
    """A line of a batch, and the line that it becomes where its answer is its own body."""
    found = lines._decode(data, "/v1/chat/completions", LIMIT)
    if isinstance(found, lines.RequestLine):
        (line,) = lines.result_line(found, "req_1", 200, bytes(found.body)).splitlines()
        _read(line)


def streamed(reader: Callable[[], Reader], data: bytes) -> None:
    """A provider's stream in pieces, and the events that the clients of every wire would read."""
    reading = reader()
    encoders = [door.events(_plain(door), LABEL) for door in TALKING]
    sent = [b"" for _ in TALKING]
    torn: WireError | None = None
    for piece in _pieces(data):
        batch = reading.feed(piece)
        sent = [before + encoder.encode(batch) for before, encoder in zip(sent, encoders, strict=True)]
        if reading.done:
            break
    try:
        reading.end()
    except WireError as error:
        torn = error
    for door, before, encoder in zip(TALKING, sent, encoders, strict=True):
        end = encoder.done() if torn is None else encoder.error(Torn("claude", torn.message))
        for name, event in Events().feed(before + end):
            assert torn is None or (name not in ENDS.get(door, ()) and event != b"[DONE]"), "a torn answer looks whole"
            assert event == b"[DONE]" or isinstance(_read(event), dict)


def refused(decode: Callable[..., ProviderError], data: bytes) -> None:
    """A provider's error, of a status that the input chooses."""
    error = decode("claude", 400 + data[0] % 200 if data else 500, {"retry-after": "1"}, data[1:])
    msgspec.json.encode(error.message)


def _plain(door: Door) -> Request:
    bodies = {
        CHAT: b'{"model":"m","messages":[{"role":"user","content":"x"}]',
        COMPLETIONS: b'{"model":"m","prompt":"x"',
    }
    bodies |= {
        RESPONSES: b'{"model":"m","input":"x"',
        MESSAGES: bodies[CHAT] + b',"max_tokens":9,"thinking":{"type":"x"}',
    }
    return door.decode(bodies[door] + b',"stream":true}', "req_1", frozenset())


def _read(data: bytes) -> object:
    """Numbers that do not fit travel on as they are."""
    return json.loads(data, parse_int=str, parse_float=str)


def _pieces(data: bytes) -> Iterator[bytes]:
    """Cut at places that the input itself chooses."""
    while data:
        size = 1 + data[0] * 7
        yield data[:size]
        data = data[size:]


TARGETS: tuple[Callable[[bytes], None], ...] = (
    lambda data: asked(CHAT, data),
    lambda data: asked(RESPONSES, data),
    lambda data: asked(COMPLETIONS, data),
    lambda data: asked(EMBEDDINGS, data),
    lambda data: asked(MESSAGES, data),
    counted,
    lambda data: answered(openai_upstream.decode_answer, data),
    lambda data: answered(anthropic_answers.decode_answer, data),
    lambda data: passed(openai_embeddings.decode_answer, data),
    lambda data: streamed(openai._Reader, data),
    lambda data: streamed(anthropic.read_stream, data),
    lambda data: refused(openai_upstream.decode_error, data),
    lambda data: refused(anthropic_answers.decode_error, data),
    lambda data: unpacked("gzip", data),
    lambda data: unpacked("deflate", data),
    lambda data: unpacked("zstd", data),
    lambda data: answered(openai_responses_answers.decode_answer, data),
    lambda data: streamed(responses.read_stream, data),
    resumed,
    lambda data: asked(MODERATIONS, data),
    lambda data: passed(openai_moderations.decode_answer, data),
    parted,
    lined,
)


def feed(data: bytes) -> None:
    """One input. Raises where something of ours broke."""
    if data:
        TARGETS[data[0] % len(TARGETS)](data[1:])
