"""How much of a text is read: its head and its tail, and less of one that takes long.

What takes long are digits, marks and other scripts: of plain words there are few different ones, and they are found at
once. So of a text that is dense with them a smaller part is read, which holds as many words, numbers or marks. Of the
306,899 recorded answers that all limits here and in the checks were chosen by, five in a thousand are longer than what
is read, three are dense, and none is noise; a model learns nearly as much from what is read of those
(docs/frontier.md). Knows nothing of what is looked for.
"""

from __future__ import annotations

from functools import lru_cache

HEAD, TAIL = 4_500, 1_500  # characters that are read, of a longer text
DENSE = 2_000  # characters of a dense text that are read: three quarters are its head, as of others
MARKS = 1_500  # characters that are neither ASCII letters nor spaces, beyond which a text is dense ...
FOREIGN = 300  # ... and those that are not ASCII
DIFFERENT, NOISE = 800, 100  # characters of a dense text: with more different ones it is no text, and less is read
_PLAIN = bytes(code for code in range(128) if chr(code).isalpha() or chr(code) == " ")


def clipped(text: str) -> str:
    """The head and the tail of a text that is longer than what is read of it, on lines of their own.

    What was clipped once stays as it is.
    """
    return text if len(text) <= DENSE + 1 else _clipped(text)


@lru_cache(maxsize=4)
def _clipped(text: str) -> str:
    """Remembered for as long as several look at one text."""
    if len(text) > HEAD + TAIL + 1:
        text = f"{text[:HEAD]}\n{text[-TAIL:]}"
    if not dense(text):
        return text
    tail = DENSE // 4
    text = f"{text[: DENSE - tail]}\n{text[-tail:]}"
    return text if text.isascii() or len(characters(text)) <= DIFFERENT else text[:NOISE]


@lru_cache(maxsize=4)
def dense(text: str) -> bool:
    """Whether it is longer than DENSE, and crowded as far as HEAD + TAIL characters reach."""
    return len(text) > DENSE + 1 and crowded(text[: HEAD + TAIL], MARKS)


@lru_cache(maxsize=4)
def characters(text: str) -> frozenset[str]:
    """The different ones; remembered, because in other scripts than Latin they take as long to find as all words."""
    return frozenset(text)


@lru_cache(maxsize=4)
def crowded(text: str, marks: int) -> bool:
    """Whether it holds more than so many marks, or FOREIGN; remembered for as long as several look at one text."""
    if not text.isascii() and len(text) - len(text.encode("ascii", "ignore")) > FOREIGN:
        return True
    return len(text.encode("ascii", "replace").translate(None, _PLAIN)) > marks
