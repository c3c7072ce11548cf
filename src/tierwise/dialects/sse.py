"""Server-sent events: bytes to events and back.

WHATWG HTML, section 9.2 (server-sent events): lines end in LF, CRLF or CR, a blank line ends an event, several
`data` lines join with LF, a line that begins with a colon is a comment. Knows no dialect: data stays bytes.
"""

from __future__ import annotations

from collections.abc import Sequence

from tierwise.errors import WireError

EVENT_LIMIT = 8 << 20  # bytes; a provider that never ends its event must not fill the memory
Event = tuple[str, bytes]


class Events:
    """Splits a stream into (event name or "", data). Bytes may be cut anywhere, inside a character too."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[Event]:
        """The events that `data` completes. Raises WireError for an event over 8 MiB."""
        if self._rest:
            data = self._rest + data
        if b"\r" in data:
            return self._feed_slow(data)
        *blocks, self._rest = data.split(b"\n\n")
        if len(self._rest) > EVENT_LIMIT:
            raise WireError("an event of the stream is over 8 MiB")
        events = []
        for block in blocks:
            # nearly every event of every provider is one line of data
            if block.startswith(b"data: ") and b"\n" not in block:
                events.append(("", block[6:]))
            elif (event := _event(block)) is not None:
                events.append(event)
        return events

    def _feed_slow(self, data: bytes) -> list[Event]:
        # a CR at the very end may be half of a CRLF: it waits for what comes next
        held = b""
        if data.endswith(b"\r"):
            data, held = data[:-1], b"\r"
        self._rest = b""
        events = self.feed(data.replace(b"\r\n", b"\n").replace(b"\r", b"\n"))
        self._rest += held
        return events

    def end(self) -> list[Event]:
        """The last event, where the stream ended without its blank line. Raises WireError for a torn one."""
        rest, self._rest = self._rest.strip(b"\r\n"), b""
        event = _event(rest)
        if event is None:
            return []
        if event[1] != b"[DONE]":
            raise WireError("the stream ended inside an event")
        return [event]


def _event(block: bytes) -> Event | None:
    name = ""
    data: list[bytes] = []
    for line in block.split(b"\n"):
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value.decode("utf-8", "replace")
    return (name, b"\n".join(data)) if data else None


def encode_many(data: Sequence[bytes]) -> bytes:
    """Events without names, as `encode` writes each; none of none."""
    joined = b"\n\ndata: ".join(data)
    if joined.count(b"\n") > 2 * (len(data) - 1):
        return b"".join([encode(each) for each in data])
    return b"data: %b\n\n" % joined


def encode(data: bytes, event: str = "") -> bytes:
    """One event. `data` holds LF as its only line break, and hardly ever: JSON with indentation is sent by few."""
    if b"\n" in data:
        data = data.replace(b"\n", b"\ndata: ")
    if event:
        return b"event: %b\ndata: %b\n\n" % (event.encode(), data)
    return b"data: %b\n\n" % data
