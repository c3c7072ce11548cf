"""The window over an answer: what goes out of it, when, and that nothing of what is stopped ever does."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierwise.errors import Blocked
from tierwise.ports import Batch
from tierwise.screens.flow import apart
from tierwise.screens.passages import LONGEST, PAIR, REACH, passages
from tierwise.screens.window import Window
from tierwise.types import Chunk, ToolDelta

SIZE = 200
BAD = "the moon is made of green cheese and every mouse knows it well"  # shorter than SIZE / 2 - REACH
PLAIN = "It rained all day in the small town, and the cat slept on the sofa by the window. "
TEXT = PLAIN * 4 + BAD + ". " + PLAIN * 3


def screen(passages: Sequence[str]) -> None:
    if any(BAD in passage for passage in passages):
        raise Blocked("no", ("moderation:cheese",))


def flow(window: Window, pieces: list[str], kind: str = "text") -> tuple[list[Chunk], bool]:
    """What goes out of a stream of these pieces, and whether it was stopped."""
    out: list[Chunk] = []
    try:
        for piece in pieces:
            out += window.feed((made(kind, piece),))
        out += window.feed((Chunk(finish="stop"),)) + window.end()
    except Blocked:
        return out, True
    return out, False


def made(kind: str, text: str) -> Chunk:
    match kind:
        case "text":
            return Chunk(text, wire=b"{}", dialect="d")
        case "reasoning":
            return Chunk(reasoning=text)
        case "refusal":
            return Chunk(refusal=text)
    return Chunk(tool_calls=(ToolDelta(0, "c", "post", text),))


def said(chunks: list[Chunk] | Batch) -> str:
    calls = "".join(piece.arguments for chunk in chunks for piece in chunk.tool_calls)
    return "".join(chunk.text + chunk.reasoning + chunk.refusal for chunk in chunks) + calls


@pytest.mark.parametrize("kind", ["text", "reasoning", "refusal", "call"])
@pytest.mark.parametrize("size", [SIZE, 180, 400])
def test_split_at_every_place(kind: str, size: int) -> None:
    """Wherever two pieces meet, a blocked phrase stops the answer, and not one of its words has gone out."""
    for at in range(len(TEXT) + 1):
        out, stopped = flow(Window(screen, size), [TEXT[:at], TEXT[at:]], kind)
        assert stopped
        assert TEXT.startswith(said(out))
        assert len(said(out)) <= TEXT.index(BAD)


@given(st.lists(st.integers(1, 90), max_size=60), st.integers(0, 300))
def test_any_pieces_any_place(sizes: list[int], before: int) -> None:
    """However it is cut and wherever the phrase stands: it is stopped, and what went out is what stood before it."""
    text = (PLAIN * 5)[:before] + " " + BAD + " " + PLAIN
    pieces, at = [], 0
    for size in sizes:
        pieces.append(text[at : at + size])
        at += size
    out, stopped = flow(Window(screen, SIZE), [*pieces, text[at:]])
    assert stopped
    assert text[: before + 1].startswith(said(out))


@given(st.lists(st.text(" \nab,", max_size=120), max_size=30))
def test_what_is_fine_goes_out_as_it_came(pieces: list[str]) -> None:
    """Every character, in order, once; no more than a window is held back; nothing waits behind the finish."""
    window, out, come = Window(lambda passages: None, 80), "", 0
    for piece in pieces:
        out += said(window.feed((made("text", piece),)))
        come += len(piece)
        assert come - len(out) <= 80
        assert "".join(pieces).startswith(out)
    last = window.feed((Chunk(finish="stop"),))
    assert out + said(last) == "".join(pieces)
    assert [chunk.finish for chunk in last if chunk.finish] == ["stop"]
    assert last[-1].finish == "stop"
    assert window.end() == ()


@given(st.lists(st.integers(1, 60), max_size=60))
def test_what_is_read_depends_on_the_text_alone(sizes: list[int]) -> None:
    """Not on the pieces in which it comes; each window is small, and each character is in two of them at the most."""
    text, read, whole = PLAIN * 6, list[str](), list[str]()
    pieces = [text[sum(sizes[:at]) : sum(sizes[: at + 1])] for at in range(len(sizes))] + [text[sum(sizes) :]]
    flow(Window(read.extend, SIZE), pieces)
    flow(Window(whole.extend, SIZE), [text])
    assert read == whole
    assert all(len(part) <= SIZE for part in read)
    assert sum(map(len, read)) <= 2 * len(text) + SIZE


def test_passages_are_sentences() -> None:
    """Each alone where it says enough; a short one with the one before; parts of a long one with each other."""
    assert list(passages(PLAIN * 3)) == [PLAIN] * 3
    assert list(passages("He left. I want to go. \n\n" + PLAIN)) == ["He left. ", "He left. I want to go. ", PLAIN]
    assert list(passages("I want\n\n\nto go")) == ["I want\n", "I want\n\n\nto go"]
    assert "".join(passages("\n" * 300 + "So")).strip() == "So"
    assert list(passages('He said "go!" And she went.\nSo'))[1:] == [
        'He said "go!" And she went.\n',
        "And she went.\nSo",
    ]
    assert list(passages("Version 3.14 of it")) == ["Version 3.14 of it"]
    assert list(passages("\u4f60\u597d\u3002" * 2)) == ["\u4f60\u597d\u3002", "\u4f60\u597d\u3002" * 2]
    assert list(passages(" \n ")) == []
    long = list(passages("word " * 60))
    assert [len(part) for part in long] == [LONGEST, 2 * LONGEST, 2 * LONGEST]
    assert PAIR < LONGEST


def test_cuts_are_at_the_ends_of_words() -> None:
    """Where there are any; a long word is cut all the same."""
    assert all(part.startswith("rain") and part.endswith(" ") for part in passages("raining " * 100))
    read: list[str] = []
    out, stopped = flow(Window(read.extend, SIZE), ["x" * 1000])
    assert (said(out), stopped, len(read)) == ("x" * 1000, False, 10)


def test_an_own_event_stays_its_providers() -> None:
    """Chunks go out as they came, but for one that is longer than what may be held back."""
    window = Window(screen, SIZE)
    sent = [made("text", word + " ") for word in (PLAIN * 5).split()]
    out = [chunk for piece in sent for chunk in window.feed((piece,))]
    assert out == sent[: len(out)]
    assert len(out) > len(sent) / 2
    (first,) = Window(screen, SIZE).feed((made("text", PLAIN * 5),))
    assert (first.wire, first.dialect) == (None, "")
    assert (PLAIN * 5).startswith(first.text)


@pytest.mark.parametrize("kind", ["text", "reasoning", "call"])
def test_a_long_chunk_is_divided(kind: str) -> None:
    """And its rest has what came with it: a call's name only once, usage at the end."""
    window = Window(screen, SIZE)
    first = window.feed((made(kind, PLAIN * 5),))
    rest = window.feed((Chunk(finish="stop"),))
    assert said([*first, *rest]) == PLAIN * 5
    names = [piece.name for chunk in (*first, *rest) for piece in chunk.tool_calls if piece.name]
    assert names == (["post"] if kind == "call" else [])


def test_a_chunk_of_several_kinds_is_held_whole() -> None:
    """It can't be cut in two; what was said in one kind does not run on into the other."""
    read: list[str] = []
    window = Window(read.extend, SIZE)
    assert window.feed((Chunk(PLAIN * 2, reasoning=PLAIN * 2 + "Yes"),)) == ()
    (out, _) = window.feed((Chunk(finish="stop"),))
    assert (out.text, out.reasoning) == (PLAIN * 2, PLAIN * 2 + "Yes")
    assert "Yes\n" in read


def test_choices_are_read_apart() -> None:
    """What one says is no part of what another does, and neither waits for the other."""
    window, half = Window(screen, SIZE), len(BAD) // 2
    pieces = Chunk(BAD[:half], 0), Chunk(PLAIN * 3, 1), Chunk(BAD[half:], 1), Chunk(finish="stop", index=1)
    assert said(window.feed(pieces)) == PLAIN * 3 + BAD[half:]
    with pytest.raises(Blocked):
        window.feed((Chunk(BAD[half:], 0, finish="stop"),))


def test_an_answer_without_a_finish_is_read_to_its_end() -> None:
    """A stream that only ends."""
    window = Window(screen, SIZE)
    assert window.feed((Chunk("Hello."),)) == ()
    assert said(window.end()) == "Hello."
    window.feed((Chunk(" " + BAD),))
    with pytest.raises(Blocked):
        window.end()


def test_events_of_several_choices_are_written_anew() -> None:
    """Their one wire says what all of them say."""
    alone, usage = Chunk("a", wire=b"1", dialect="d"), Chunk(wire=b"3", dialect="d")
    both = Chunk("b", 0, wire=b"2", dialect="d"), Chunk("c", 1, dialect="d")
    out = apart((alone, *both, usage))
    assert out == (alone, Chunk("b", 0), Chunk("c", 1), usage)
    assert apart((alone, usage)) == (alone, usage)
    assert apart((Chunk("a"), Chunk("b"))) == (Chunk("a"), Chunk("b"))


def test_the_smallest_window_moves_on() -> None:
    """A cut never stays where it was."""
    read: list[str] = []
    out, _ = flow(Window(read.extend, 40), ["a " * 500])
    assert said(out) == "a " * 500
    assert REACH > 40 // 8
    assert len(read) < 100


def test_what_comes_at_once_is_read_at_once() -> None:
    """All passages of a batch, of all its choices, and what is left at their ends: to read them apart takes longer."""
    read: list[list[str]] = []
    window = Window(lambda said: read.append(list(said)), 2 * LONGEST)
    window.feed((Chunk(PLAIN), Chunk(PLAIN + "No", 1), Chunk(PLAIN + "end", finish="stop")))
    *other, rest = passages(PLAIN + "No")
    assert [sorted(said) for said in read] == [sorted([*passages(PLAIN * 2 + "end"), *other])]
    window.end()
    assert read[1:] == [[rest]]
