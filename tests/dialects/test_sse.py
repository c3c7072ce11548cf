"""Server-sent events, cut and framed in every way that servers do."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierwise.dialects import sse
from tierwise.dialects.sse import Event, Events
from tierwise.errors import WireError

STREAM = 'data: {"a":"é"}\n\n: a comment\n\nevent: ping\ndata: x\ndata:y\nid: 7\n\ndata: [DONE]\n\n'.encode()
EVENTS: list[Event] = [("", '{"a":"é"}'.encode()), ("ping", b"x\ny"), ("", b"[DONE]")]


def feed(parts: list[bytes]) -> list[Event]:
    events = Events()
    out = [event for part in parts for event in events.feed(part)]
    return out + events.end()


def test_known_stream() -> None:
    """Comments and ids are passed over, several data lines join, the space after the colon is optional."""
    assert feed([STREAM]) == EVENTS


@pytest.mark.parametrize("ending", [b"\r\n", b"\r"])
def test_other_line_ends(ending: bytes) -> None:
    """CRLF and CR end lines too, also when a packet ends between CR and LF."""
    data = STREAM.replace(b"\n", ending)
    assert feed([data]) == EVENTS
    assert feed([data[i : i + 1] for i in range(len(data))]) == EVENTS


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_cut_anywhere(cuts: list[int]) -> None:
    """Packets may end anywhere, inside a character too."""
    edges = [0, *sorted(cuts), len(STREAM)]
    assert feed([STREAM[a:b] for a, b in pairwise(edges)]) == EVENTS


@given(
    st.lists(
        st.tuples(st.sampled_from(["", "error", "x"]), st.binary(min_size=1).filter(lambda b: not set(b) & {10, 13}))
    )
)
def test_encode_decodes(events: list[Event]) -> None:
    """What is written is read back."""
    assert feed([sse.encode(data, name) for name, data in events]) == events


@given(st.lists(st.binary(max_size=20).map(lambda data: data.replace(b"\r", b"")), max_size=8))
def test_many_are_written_as_each_of_them(data: list[bytes]) -> None:
    """Events that go out together are the bytes that they are one by one, with line breaks in some of them too."""
    assert sse.encode_many(data) == b"".join([sse.encode(each) for each in data])


def test_many_with_a_line_break() -> None:
    assert sse.encode_many([b"a", b"{\n}"]) == b"data: a\n\ndata: {\ndata: }\n\n"
    assert sse.encode_many([b"a", b"b"]) == b"data: a\n\ndata: b\n\n"


def test_several_lines_stay_one_event() -> None:
    """Data that came in several lines goes out in several: a bare one would not be read as data."""
    assert sse.encode(b'{\n"a":1}', "x") == b'event: x\ndata: {\ndata: "a":1}\n\n'
    assert feed([sse.encode(b'\n{"a":1}')]) == [("", b'\n{"a":1}')]


def test_done_without_its_blank_line() -> None:
    """A missing last line end is forgiven for the end mark alone."""
    assert feed([b"data: [DONE]"]) == [("", b"[DONE]")]
    assert feed([b"data: [DONE]\r\n"]) == [("", b"[DONE]")]
    assert feed([b": bye"]) == []
    with pytest.raises(WireError):
        feed([b'data: {"half":'])


@pytest.mark.parametrize("start", [b"data: ", b"\rdata: "])
def test_endless_event(start: bytes) -> None:
    """An event that never ends is refused before it fills the memory."""
    events = Events()
    events.feed(start)
    for _ in range(8):
        assert events.feed(b"x" * ((1 << 20) - 2)) == []
    with pytest.raises(WireError, match="8 MiB"):
        events.feed(b"x" * 64)
