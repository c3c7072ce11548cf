"""How many tokens a text probably has, where a provider does not count: from its bytes, and from what its model taught.

`guess` knows kinds of text (words, numbers, code, scripts) and no model; a model's `Ratio` corrects it by every answer
whose provider did count. Knows no prices, and no tokenizer: a guess is worth an entry marked "estimated", no more.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from tierwise.types import Answer, Audio, Choice, Document, Foreign, Image, Message, Model, Request, Text, Usage, Value

PICTURE = 765.0  # tokens: what OpenAI's models take for one of 1024 x 1024; many take less, some twice as much
SMALL_PICTURE = 85.0  # ... with detail = "low"
PAGE = 3000.0  # tokens of a page of a PDF, its text and its picture: Anthropic says 1,500 to 3,000
PAGE_BYTES = 4096  # of base64: a page of words with little else is seldom shorter
PAGES = 100  # of a file at an address, or the most of one: what models of 200,000 tokens take
SOUND = 100.0  # bytes of base64 a token; OpenAI's models take ten a second, and a second of the plainest MP3 has 1,300
READ = 1_000_000  # tokens that a model reads at the most, where its `context` is not known
MESSAGE = 4.0  # tokens of the frame around a message
FRAME = 3.0  # ... and around all of them
_TEXT = "data:text/"
DECAY = 0.995  # of what was learnt, an answer: about the last two hundred count
PIECE, PIECES = 1024, 8  # characters; a longer text is judged by so many pieces of it, evenly spaced

# ------------------------------------------------------------------ any text

# Tokens a thing, fitted to 41,675 prompts and answers in English, code and mathematics that were counted with
# cl100k_base (benchmarks/usage.py); what that data hardly holds is set by hand: long words, long numbers.
_SPACED = 1.05  # a word after a space
_WORD = 0.98  # any other: after a bracket, a line's start, the next hump of a camelCase
_CAPITAL = 0.22
_SPACED_NUMBER = 2.26  # of up to three digits; here the space is a token of its own
_NUMBER = 1.45
_LINE = 0.42
_SIGN = 0.62  # punctuation; in code they often come as one token together
_TWO, _THREE, _FOUR = 0.92, 1.4, 3.08  # a character of so many bytes: accents and Cyrillic, Chinese, emoji
_LETTER = 0.25  # beyond six a word: German, hashes, base64
_DIGIT = 0.35  # beyond three a number


def _classes(upper: str, line: str) -> bytes:
    """A table for bytes.translate: "a" for lower case, "0" for digits, spaces stay, signs become "."."""
    table = ""
    for byte in range(256):
        char = chr(byte)
        if byte >= 0x80:
            table += "-" if byte < 0xC0 else "2" if byte < 0xE0 else "3" if byte < 0xF0 else "4"
        elif char.isalnum():
            table += "0" if char.isdigit() else upper if char.isupper() else "a"
        else:
            table += " " if char == " " else line if char.isspace() else "."
    return table.encode()


_KINDS = _classes("A", "\n")
_WORDS = _classes("a", ".")


def guess(text: str) -> float:
    """Tokens of a text, for a model that nothing is known of."""
    if len(text) <= PIECE * PIECES:
        return _guess(text)
    step = len(text) // PIECES
    seen = "".join([text[start * step : start * step + PIECE] for start in range(PIECES)])
    return _guess(seen) * len(text) / len(seen)


def _guess(text: str) -> float:
    data = b" " + text.encode("utf-8", "replace")  # a first word is like any other
    kinds, words = data.translate(_KINDS).count, data.translate(_WORDS).count
    capitals, digits, humps = kinds(b"A"), kinds(b"0"), kinds(b"aA")
    spaced, others = words(b" a"), words(b".a") + words(b"0a") + humps
    spaced_numbers, numbers = words(b" 0"), words(b".0") + words(b"a0")
    return (
        _SPACED * spaced
        + _WORD * others
        + _LETTER * max(kinds(b"a") + capitals - 6 * (spaced + others), 0)
        + _CAPITAL * capitals
        + _SPACED_NUMBER * spaced_numbers
        + _NUMBER * numbers
        + _DIGIT * max(digits - 3 * (spaced_numbers + numbers), 0)
        + _LINE * kinds(b"\n")
        + _SIGN * kinds(b".")
        + _TWO * kinds(b"2")
        + _THREE * kinds(b"3")
        + _FOUR * kinds(b"4")
    )


# ------------------------------------------------------------------ requests and answers


def asked(request: Request) -> float:
    """Tokens of the text that a request sends: messages, tools, the schema of its answer."""
    total = FRAME + sum([MESSAGE + _message(message) for message in request.messages])
    for tool in request.tools:
        total += MESSAGE + guess(tool.name) + guess(tool.description) + _json(tool.parameters)
    return total + _json(request.schema)


def _message(message: Message) -> float:
    content = message.content
    pieces = [content] if isinstance(content, str) else [part.text for part in content if isinstance(part, Text)]
    for call in message.tool_calls:
        pieces += (call.name, call.arguments)
    return sum([guess(piece) for piece in pieces])


def _json(value: object) -> float:
    return 0.0 if value is None else guess(msgspec.json.encode(value).decode())


def pictures(request: Request) -> float:
    """Tokens of what is no text: pictures, files, sound, and the parts that nobody here can read."""
    total = 0.0
    for message in request.messages:
        for part in () if isinstance(message.content, str) else message.content:
            match part:
                case Image():
                    total += SMALL_PICTURE if part.detail == "low" else PICTURE
                case Document():
                    total += _document(part.url)
                case Audio():
                    total += len(part.data) / SOUND
                case Foreign():
                    total += PICTURE
    return total


def _document(url: str) -> float:
    if not url.startswith("data:"):
        return PAGE * PAGES
    if url.startswith(_TEXT):
        return len(url) * 0.75  # a token is at least a byte
    return PAGE * min(1 + len(url) // PAGE_BYTES, PAGES)


def unread(request: Request, model: Model) -> int:
    """Tokens that a request's files may take beyond the bytes that they have here, at the most.

    A page is a picture too, and packed, so the bytes of a PDF bound nothing; and of one at an address, or at its
    provider, we have none. What bounds them all is what the model can read.
    """
    for message in request.messages:
        for part in () if isinstance(message.content, str) else message.content:
            match part:
                case Document(url=url) if not url.startswith(_TEXT):
                    return model.context or READ
                case Foreign(what=what) if "file" in what or "document" in what:
                    return model.context or READ
    return 0


def said(choices: Iterable[Choice]) -> float:
    """Tokens of what can be read of an answer, without its reasoning."""
    total = 0.0
    for choice in choices:
        total += guess(choice.text) + guess(choice.refusal)
        total += sum([guess(call.name) + guess(call.arguments) for call in choice.tool_calls])
    return total


def reasoned(choices: Iterable[Choice]) -> float:
    """Tokens of its reasoning, as far as it was shown."""
    return sum([guess(choice.reasoning) for choice in choices])


# ------------------------------------------------------------------ what a model teaches

_SLOPE = 50.0  # how firmly a line holds on to 1: about as one answer of 60 tokens
_OFFSET = 0.001  # ... and to 0: loosely, as a constant is soon seen
_STEEPEST = 4.0
_HIDDEN = 1000  # tokens that a provider may add without showing them: instructions for tools, for example


class Line(Value, frozen=True):
    """tokens = slope * guess + offset, by least squares whose errors are relative; sums decay with every answer."""

    weight: float = 0.0
    x: float = 0.0
    xx: float = 0.0
    y: float = 0.0
    xy: float = 0.0

    def taught(self, x: float, y: float) -> Line:
        """With one more answer: `x` was guessed, `y` counted. What is out of all proportion teaches nothing."""
        if not 0 < x / _STEEPEST <= y <= x * _STEEPEST + _HIDDEN:
            return self
        weight = 1 / (x + 10)
        return Line(
            DECAY * self.weight + weight,
            DECAY * self.x + weight * x,
            DECAY * self.xx + weight * x * x,
            DECAY * self.y + weight * y,
            DECAY * self.xy + weight * x * y,
        )

    def at(self, x: float) -> float:
        """Tokens, >= 0; 0 where there is nothing."""
        if x <= 0:
            return 0.0
        xx, weight = self.xx + _SLOPE, self.weight + _OFFSET
        slope = ((self.xy + _SLOPE) * weight - self.x * self.y) / (xx * weight - self.x * self.x)
        slope = min(max(slope, 1 / _STEEPEST), _STEEPEST)
        return max(slope * x + (self.y - self.x * slope) / weight, 0.0)


class Ratio(Value, frozen=True):
    """What one model's counted answers have taught. Without any, `guess` stands as it is.

    Requests with tools, and answers that call them, are on lines of their own: providers write tools in ways of
    theirs, and add instructions. Reasoning that a model does not show is known by its mean alone.
    """

    plain: Line = Line()
    tooled: Line = Line()
    worded: Line = Line()
    calling: Line = Line()
    answers: float = 0.0  # this and the next two decay too
    thought: float = 0.0  # tokens of reasoning that were counted
    shown: float = 0.0  # ... and guessed of what was shown of it

    def taught(self, request: Request, answer: Answer, usage: Usage) -> Ratio:
        """With one more answer, whole and counted. Prompts with pictures teach nothing about text."""
        plain, tooled, worded, calling = self.plain, self.tooled, self.worded, self.calling
        if not pictures(request):
            if request.tools:
                tooled = tooled.taught(asked(request), usage.input_tokens)
            else:
                plain = plain.taught(asked(request), usage.input_tokens)
        visible, shown = said(answer.choices), reasoned(answer.choices)
        if not usage.reasoning_tokens:  # not told apart
            visible, shown = visible + shown, 0.0
        if any(choice.tool_calls for choice in answer.choices):
            calling = calling.taught(visible, usage.output_tokens - usage.reasoning_tokens)
        else:
            worded = worded.taught(visible, usage.output_tokens - usage.reasoning_tokens)
        return Ratio(
            plain,
            tooled,
            worded,
            calling,
            DECAY * self.answers + 1,
            DECAY * self.thought + usage.reasoning_tokens,
            DECAY * self.shown + shown,
        )

    def input(self, request: Request) -> float:
        """Tokens of a request."""
        line = self.tooled if request.tools else self.plain
        return line.at(asked(request)) + pictures(request)

    def output(self, choices: tuple[Choice, ...]) -> float:
        """Tokens of what has been said; with what a model of this kind usually thinks without showing it."""
        line = self.calling if any(choice.tool_calls for choice in choices) else self.worded
        visible, shown = said(choices), reasoned(choices)
        if not self.thought:
            return line.at(visible + shown)
        if self.shown:
            return line.at(visible) + shown * self.thought / self.shown
        return line.at(visible) + self.thought / self.answers


UNTAUGHT = Ratio()
