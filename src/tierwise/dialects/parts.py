"""Files and sound inside messages: what they look like on the wires, and whether they are what they say.

What all wires share, so that each of them refuses the same things by the same words. Which wire takes what is its own
file's to say. Sources: OpenAI's guide "File inputs", Anthropic's "PDF support" and "Citations" (2026-11), RFC 2397.
"""

from __future__ import annotations

import base64
import re
import string
from typing import NamedTuple

import msgspec

from tierwise.errors import BadRequest
from tierwise.types import Audio, Document, Foreign, Image, Request, Text

PDF = "application/pdf"
_DATA = re.compile(r"data:([\w.+-]+/[\w.+-]+)(?:;[\w.+-]+=[^;,]*)*;base64,", re.ASCII | re.IGNORECASE)
_ALPHABET = f"{string.ascii_letters}{string.digits}+/".encode()
_FORM = "an https address, or a data: URL with a media type and base64 (`data:application/pdf;base64,...`)"


class File(msgspec.Struct):
    """As OpenAI's wires describe one. `file_url` is of Responses alone."""

    filename: str | None = None
    file_data: str | None = None
    file_url: str | None = None
    file_id: str | None = None


class Sound(msgspec.Struct):
    data: str
    format: str


class Data(NamedTuple):
    """What a `data:` URL holds: its media type in lower case, without parameters, and its base64."""

    media: str
    base64: str


def file(wire: File, kind: str, where: str, dialect: str) -> Document | Foreign:
    """`kind` is the wire's word for it, `where` the field's path. A file that is kept at a provider is `Foreign`.

    Raises BadRequest.
    """
    for name in ("file_data", "file_url"):
        url = getattr(wire, name)
        if url is not None:
            return document(url, wire.filename or "", f"{where}.{name}")
    if wire.file_id is None:
        raise BadRequest(f"{where} is a file without its data.", param=where)
    return Foreign(f"{kind} by file_id", dialect)


def document(url: str, name: str, where: str) -> Document:
    """Raises BadRequest that names the field where it is neither an https address nor sound data."""
    if not url.startswith("https://"):
        found = _DATA.match(url)
        if found is None:
            raise BadRequest(f"{where} must be {_FORM}.", param=where)
        _check(url[found.end() :], where)
    return Document(url, name)


def audio(wire: Sound, where: str) -> Audio:
    """Raises BadRequest that names the field."""
    if not wire.format:
        raise BadRequest(f'{where}.format must say what the data is, e.g. "wav".', param=f"{where}.format")
    _check(wire.data, f"{where}.data")
    return Audio(wire.data, wire.format)


def _check(data: str, where: str) -> None:
    """By its alphabet and its padding, which is quicker than to decode it."""
    if not data:
        raise BadRequest(f"{where} holds no data.", param=where)
    letters = data.rstrip("=")
    whole = len(data) % 4 == 0 and len(data) - len(letters) <= 2 and data.isascii()
    if not whole or letters.encode().translate(None, _ALPHABET):
        raise BadRequest(f"{where} does not hold base64.", param=where)


def data(url: str) -> Data | None:
    """None for an address."""
    found = _DATA.match(url)
    return None if found is None else Data(found[1].lower(), url[found.end() :])


def plain(text: str, name: str) -> Document:
    """A document of text alone."""
    return Document(f"data:text/plain;base64,{base64.b64encode(text.encode('utf-8', 'replace')).decode()}", name)


def words(part: Document, where: str) -> str | None:
    """What a document says that is a text of whatever kind; None for others. Raises BadRequest where it is no UTF-8."""
    found = data(part.url)
    if found is None or not found.media.startswith("text/"):
        return None
    try:
        return base64.b64decode(found.base64).decode()
    except UnicodeDecodeError:
        raise BadRequest(f"{where} is a text that is not UTF-8.", param=where) from None


def only_words(request: Request, who: str, dialect: str) -> None:
    """For a model that can't see or hear. Raises BadRequest for pictures, sound, and files other than of text, which
    `dialect` writes out as text where the request is not of its own."""
    for at, message in enumerate(request.messages):
        for place, part in enumerate(() if isinstance(message.content, str) else message.content):
            where = f"messages[{at}].content[{place}]"
            match part:
                case Text() | Foreign():  # the second is for the server of the same wire to say
                    continue
                case Image():
                    what = "images"
                case Document():
                    if request.dialect != dialect and words(part, where) is not None:
                        continue
                    what = "files"
                case _:
                    what = "sound"
            raise BadRequest(f"{who} takes no {what}", param=where)
