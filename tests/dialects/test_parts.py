"""Files and sound that clients send, by what their bytes are."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierwise.dialects import parts
from tierwise.errors import BadRequest
from tierwise.types import Audio, Document, Foreign, Image, Message, Part, Request, Text


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("data:application/pdf;base64,AA==", ("application/pdf", "AA==")),
        ("data:Text/Plain;charset=utf-8;x=y;base64,eA==", ("text/plain", "eA==")),
        ("DATA:application/vnd.ms-excel;BASE64,AA==", ("application/vnd.ms-excel", "AA==")),
        ("https://example.org/a", None),
    ],
)
def test_what_a_url_holds(url: str, found: tuple[str, str] | None) -> None:
    """Its type and its data; an address holds none."""
    assert parts.data(url) == found
    assert parts.document(url, "n", "f") == Document(url, "n")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://example.org/a.pdf", "an https address"),
        ("JVBERi0=", "a data: URL"),
        ("data:;base64,AA==", "a data: URL"),
        ("data:application/pdf,AA", "a data: URL"),
        ("data:application;base64,AA==", "a data: URL"),
        ("data:application/pdf;base64,", "no data"),
        ("data:application/pdf;base64,A", "base64"),
        ("data:application/pdf;base64,AA", "base64"),
        ("data:application/pdf;base64,A A=", "base64"),
        ("data:application/pdf;base64,__8=", "base64"),
        ("data:application/pdf;base64,A?A==", "base64"),
        ("data:application/pdf;base64,A===", "base64"),
        ("data:application/pdf;base64,éA==", "base64"),
        ("data:application/pdf;base64,AA==AA==", "base64"),
        ("", "an https address"),
    ],
)
def test_what_is_none(url: str, words: str) -> None:
    """The error names the field and says what is wrong with it; it never repeats what was sent."""
    with pytest.raises(BadRequest, match=words) as caught:
        parts.document(url, "", "the.field")
    assert caught.value.param == "the.field"
    assert not url or url not in caught.value.message


def test_sound() -> None:
    """Base64 with a format; either is missed by its name."""
    assert parts.audio(parts.Sound("AA==", "wav"), "f") == Audio("AA==", "wav")
    for sound, param in ((parts.Sound("A", "wav"), "f.data"), (parts.Sound("AA==", ""), "f.format")):
        with pytest.raises(BadRequest) as caught:
            parts.audio(sound, "f")
        assert caught.value.param == param


@given(st.text(st.characters(codec="utf-8"), min_size=1), st.text(max_size=5))
def test_texts_come_back(text: str, name: str) -> None:
    """A text as a file is the same text again."""
    document = parts.plain(text, name)
    assert (parts.words(document, "f"), document.name) == (text, name)


@given(st.binary(min_size=1))
def test_data_comes_back(raw: bytes) -> None:
    """Whatever bytes a file has, they are sound data, and no text unless they say so."""
    document = parts.document(f"data:application/pdf;base64,{base64.b64encode(raw).decode()}", "", "f")
    found = parts.data(document.url)
    assert found is not None
    assert base64.b64decode(found.base64) == raw
    assert parts.words(document, "f") is None


def test_half_a_character() -> None:
    """What no file can hold becomes a question mark, as everywhere."""
    assert parts.words(parts.plain("a\ud800", ""), "f") == "a?"


PDF = Document("data:application/pdf;base64,AA==")


@pytest.mark.parametrize(
    ("part", "dialect", "refused"),
    [
        (Text("x"), "anthropic", ""),
        (Foreign("refusal", "openai_chat"), "openai_chat", ""),
        (parts.plain("x", ""), "anthropic", ""),
        (parts.plain("x", ""), "openai_chat", "files"),
        (PDF, "anthropic", "files"),
        (Image("https://example.org/a.png"), "anthropic", "images"),
        (Audio("AA==", "wav"), "openai_responses", "sound"),
    ],
)
def test_models_of_words_alone(part: Part, dialect: str, refused: str) -> None:
    """See no pictures, hear nothing, and read what their wire can write out."""
    said = (Message("user", "Hi"), Message("user", (Text("See"), part)))
    request = Request(id="q", asked="r", messages=said, dialect=dialect)
    if not refused:
        parts.only_words(request, "it", "openai_chat")
        return
    with pytest.raises(BadRequest, match=f"it takes no {refused}") as caught:
        parts.only_words(request, "it", "openai_chat")
    assert caught.value.param == "messages[1].content[1]"
