"""What a request and an answer look like, as numbers for a model that learns: lengths, marks, forms.

Every function gives one number for each of its NAMES, NaN where there is nothing to measure (the model has an
indicator for that). Task-neutral: counts of things that any text may have. Linear time; of a long text the head and
the tail are read. Knows no benchmark, no label, and not what any number is worth.
"""

from __future__ import annotations

import re
from math import log1p, nan

from tierwise.types import Answer, Choice, Image, Message, Request, Text

HEAD, TAIL = 12_000, 4_000  # characters that are read, of a longer text

TEXT_NAMES = (
    "chars", "words", "lines", "sentences", "word_length", "sentence_length", "distinct_words", "digits", "numbers",
    "upper", "operators", "equals", "questions", "exclaims", "commas", "brackets", "quotes", "latex", "code", "tables",
    "bullets", "bold", "negations", "foreign",
)  # fmt: skip
REQUEST_NAMES = (
    *(f"prompt_{name}" for name in TEXT_NAMES),
    "turns", "system_chars", "tools", "schema", "images", "options", "option_length", "options_numeric", "task_first",
)  # fmt: skip
ANSWER_NAMES = (
    *(f"answer_{name}" for name in TEXT_NAMES),
    "answer_to_prompt", "answer_last_line", "answer_first_line", "answer_json", "answer_empty", "answer_finish",
    "answer_overlap", "calls", "call_arguments", "call_argument_chars", "reasoning_chars",
)  # fmt: skip

_WORD = re.compile(r"[^\W\d_]+")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_SENTENCE = re.compile(r"[.!?][\s\"')\]]|[。！？\n]\s*")  # noqa: RUF001 - full-width marks are meant
_BULLET = re.compile(r"^[ \t]{0,8}(?:[-*•]|\d{1,2}[.)])[ \t]", re.MULTILINE)
_OPTION = re.compile(r"^[ \t]{0,4}\(?[A-Z][.):][ \t]*(\S[^\n]*)$", re.MULTILINE)
_NEGATION = re.compile(r"\b(?:not|no|never|none|nor|except|without|false|incorrect|least|n't)\b", re.IGNORECASE)
_OPERATOR = str.maketrans("", "", "+-*/^<>=×÷±√∑∫≤≥≠%")  # noqa: RUF001 - the signs are meant
_UPPER = re.compile(r"[A-Z]")
_DIGIT = re.compile(r"\d")
_VERB = re.compile(r"^\W{0,4}(?:what|which|who|when|where|why|how|is|are|do|does|can|if)\b", re.IGNORECASE)


def request_features(request: Request) -> list[float]:
    """One number for each of REQUEST_NAMES. Lengths and counts are logarithms of 1 + n, shares lie in [0, 1]."""
    prompt = prompt_of(request)
    options = _OPTION.findall(prompt)
    system = sum(len(text_of(message)) for message in request.messages if message.role in {"system", "developer"})
    images = sum(
        isinstance(part, Image)
        for message in request.messages
        if not isinstance(message.content, str)
        for part in message.content
    )
    return [
        *text_features(prompt),
        log1p(sum(message.role in {"user", "assistant"} for message in request.messages)),
        log1p(system),
        log1p(len(request.tools)),
        float(request.json_answer or request.schema is not None),
        log1p(images),
        log1p(len(options)),
        log1p(sum(map(len, options)) / len(options)) if options else nan,
        sum(option[-1:].isdigit() or option[:1].isdigit() for option in options) / len(options) if options else nan,
        float(_VERB.match(prompt) is not None),
    ]


def answer_features(request: Request, answer: Answer) -> list[float]:
    """One number for each of ANSWER_NAMES, of the answer's first choice."""
    choice = answer.choices[0] if answer.choices else Choice()
    text, prompt = clipped(said_by(answer)), prompt_of(request)
    lines = text.strip().split("\n")
    start = text[:64].lstrip()
    arguments = [call.arguments for call in choice.tool_calls]
    return [
        *text_features(text),
        log1p(len(text)) - log1p(len(prompt)),
        log1p(len(lines[-1])),
        log1p(len(lines[0])),
        float(start[:1] in {"{", "["} or start.startswith("```json")),
        float(not text.strip()),
        nan if choice.finish is None else float(choice.finish == "length"),
        _overlap(prompt, text),
        log1p(len(choice.tool_calls)),
        log1p(sum(text.count('":') for text in arguments)) if arguments else nan,
        log1p(sum(map(len, arguments))) if arguments else nan,
        log1p(len(choice.reasoning)),
    ]


def text_features(text: str) -> list[float]:
    """One number for each of TEXT_NAMES; counts of marks are a hundred characters' worth, in logarithms."""
    text = clipped(text)
    chars = len(text)
    words = _WORD.findall(text)
    count = len(words)
    sentences = len(_SENTENCE.findall(text)) + 1
    digits = len(_DIGIT.findall(text))

    def often(marks: int) -> float:
        return log1p(100 * marks / (chars + 20))

    return [
        log1p(chars),
        log1p(count),
        log1p(text.count("\n")),
        log1p(sentences),
        sum(map(len, words)) / count if count else nan,
        log1p(count / sentences),
        len(set(words)) / count if count else nan,
        often(digits),
        log1p(len(_NUMBER.findall(text)) if digits else 0),
        often(len(_UPPER.findall(text))),
        often(chars - len(text.translate(_OPERATOR))),
        log1p(text.count("=")),
        log1p(text.count("?")),
        log1p(text.count("!")),
        often(text.count(",")),
        often(text.count("(") + text.count("[") + text.count("{")),
        often(text.count('"') + text.count("“")),
        log1p(text.count("\\") + text.count("$")),
        log1p(text.count("`")),
        log1p(text.count("|")),
        log1p(len(_BULLET.findall(text))),
        log1p(text.count("**")),
        log1p(len(_NEGATION.findall(text))),
        0.0 if text.isascii() else often(chars - len(text.encode("ascii", "ignore"))),
    ]


def prompt_of(request: Request) -> str:
    """What the client asks: the words of its user, the newest last; head and tail of a longer text."""
    users = [text_of(message) for message in request.messages if message.role == "user"]
    return clipped(users[0] if len(users) == 1 else "\n".join(users))


def said_by(answer: Answer) -> str:
    """The text of an answer's first choice, its calls written out."""
    if not answer.choices:
        return ""
    calls = [f"{call.name}({call.arguments})" for call in answer.choices[0].tool_calls]
    return "\n".join([answer.text, *calls]) if calls else answer.text


def text_of(message: Message) -> str:
    if isinstance(message.content, str):
        return message.content
    return "\n".join(part.text for part in message.content if isinstance(part, Text))


def clipped(text: str) -> str:
    """The head and the tail of a text longer than HEAD + TAIL characters."""
    return text if len(text) <= HEAD + TAIL else f"{text[:HEAD]}\n{text[-TAIL:]}"


def _overlap(prompt: str, text: str) -> float:
    """Share of the answer's distinct longer words that the prompt has too."""
    said = {word for word in _WORD.findall(text.lower()) if len(word) > 3}
    if not said:
        return nan
    return len(said & set(_WORD.findall(prompt.lower()))) / len(said)
