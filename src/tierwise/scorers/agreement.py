"""Second opinions: whether other answers to the same question come to what the draft comes to.

Two answers with a final result agree (1.0) or not (0.0), by its canonical form; calls of tools are compared by name
and arguments. Only where both answers are open text is the score in between: how alike they are, by the similarity
that the caller brings, the numbers in them, and their names and content words. An answer that is not whole, empty,
or refuses agrees with nothing. Agreement of different models as a label-free verifier: ABC (arXiv 2407.02348),
MoT (arXiv 2310.03094). Knows no model, price or threshold of a route.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import combinations
from math import nan
from typing import Literal, NamedTuple

import msgspec

from tierwise.scorers.canonical import Asked, Conclusion, question
from tierwise.scorers.conclusion import LIMIT, conclude
from tierwise.scorers.features import words_of
from tierwise.scorers.literal import value_key
from tierwise.scorers.refusal import refusal
from tierwise.types import Answer, Checks, Choice, Evidence, Message, Request, Text, ToolCall

Similarity = Callable[[str, str], float]
Form = Literal["same", "code", "reason"]

AGREE = 0.8  # from this score on two answers say the same
APART = 0.5  # most that two texts with code can score: alike is not equal there
LEAST, MOST = 0.01, 0.99  # of open text, which is never surely equal or different

INSTRUCTIONS = {
    "code": (
        "\n\nWrite a short Python program that works out the answer and assigns it to the variable `ans`. "
        "Reply with the program only, in one code block."
    ),
    "reason": (
        '\n\nReason step by step in words. End with one line: "The answer is", followed by the answer in the form '
        "that was asked for."
    ),
}
_CHECKS = Checks()
_NUMBER = re.compile(r"\d(?<![\w.]\d)\d*(?:,\d{3})*(?:\.\d+)?")  # begins with a digit: several times as fast
_WORD = re.compile(r"[^\W\d_]+")
_COMMON = frozenset(
    re.findall(
        r"\w+",
        "the and for are was were has have had that this with from but not you your its their they them which will "
        "would can could may there then than also all any been into more most other some such only when where who what",
    )
)
_CODES = ("```", "def", "class", "import", "function", "const", "SELECT", "#include")
_CODE = re.compile(rf"```|^\s{{0,8}}(?:{'|'.join(_CODES[1:])})\b", re.MULTILINE)


class _View(msgspec.Struct, frozen=True):
    """One answer as it is compared."""

    usable: bool
    text: str = ""
    conclusion: Conclusion | None = None


def agree(request: Request, draft: Answer, other: Answer, similarity: Similarity | None = None) -> tuple[float, str]:
    """(score in [0, 1], kind of what was compared): 1.0 equal conclusions, 0.0 different, between them open text.

    `kind` is the conclusions' kind, "open" for open text, "none" where nothing could be compared. `similarity` gives
    the cosine of two texts, in [-1, 1]. Every choice of the draft must agree with the first of the other. Never
    raises, whatever the texts are.
    """
    asked = question(_prompt(request))
    return _compared(_views(request, draft, asked), _views(request, other, asked)[:1], similarity)


def opinions(
    request: Request, draft: Answer, others: Sequence[Answer], similarity: Similarity | None = None
) -> tuple[Evidence, ...]:
    """Two findings about the draft.

    `agreement`: passed where there are opinions and all agree (a score of at least AGREE); its value is the mean
    score, in [0, 1]. `opinions_agree`: its value is 1.0 where two opinions or more share one conclusion that is not
    the draft's, 0.5 where opinions differ from the draft without that, 0.0 where none does.
    """
    asked = question(_prompt(request))
    mine = _views(request, draft, asked)
    theirs = [_views(request, other, asked)[:1] for other in others]
    scores = [_compared(mine, views, similarity)[0] for views in theirs]
    agreeing = sum(score >= AGREE for score in scores)
    against = [views for views, score in zip(theirs, scores, strict=True) if score < AGREE]
    shared = any(
        _compared(first, second, similarity)[0] >= AGREE
        for number, first in enumerate(against)
        for second in against[number + 1 :]
    )
    return (
        Evidence(
            "agreement",
            bool(scores) and agreeing == len(scores),
            f"{agreeing} of {len(scores)} opinions agree",
            sum(scores) / len(scores) if scores else 0.0,
        ),
        Evidence("opinions_agree", None, "", 1.0 if shared else 0.5 if against else 0.0),
    )


class Compared(NamedTuple):
    """How several answers to one request stand to one another."""

    scores: list[list[float]]  # [i][j], i < j: as of `agree`; NaN elsewhere, and where one of the two is missing
    concluded: list[float]  # whether each has a conclusion; NaN where it is missing
    key_chars: list[int]  # how long its conclusion is


def compare(request: Request, answers: Sequence[Answer | None], similarity: Similarity | None = None) -> Compared:
    """Every pair of `answers`, each read once. None stands for one that is missing."""
    asked = question(_prompt(request))
    views = [None if answer is None else _views(request, answer, asked) for answer in answers]
    scores = [[nan] * len(views) for _ in views]
    for (place, one), (after, other) in combinations(enumerate(views), 2):
        if one is not None and other is not None:
            scores[place][after] = _compared(one, other[:1], similarity)[0]
    firsts = [None if view is None else view[0].conclusion for view in views]
    return Compared(
        scores,
        [nan if view is None else float(first is not None) for view, first in zip(views, firsts, strict=True)],
        [0 if first is None else len(first.key) for first in firsts],
    )


def same_prompt_form(request: Request, form: Form) -> Request:
    """The question in another form, for an opinion: as a program that works it out, or reasoned in words.

    The instruction is added to the last message of the user. A request that fixes the form of its answer (JSON, a
    schema, tools) or has no such message comes back as it is. The new request is written anew for its provider, so
    fields of the client's body that nobody here reads do not travel with it.
    """
    words = INSTRUCTIONS.get(form)
    place = max((n for n, message in enumerate(request.messages) if message.role == "user"), default=None)
    if words is None or place is None or request.json_answer or request.schema is not None or request.tools:
        return request
    asked = request.messages[place]
    content = asked.content + words if isinstance(asked.content, str) else (*asked.content, Text(words))
    message = msgspec.structs.replace(asked, content=content)
    messages = (*request.messages[:place], message, *request.messages[place + 1 :])
    return msgspec.structs.replace(request, messages=messages, body={}, dialect="")


# ------------------------------------------------------------------ what is compared


def _prompt(request: Request) -> str:
    """The system's words and the last question: what says which form the answer should have."""
    system = [_words(message) for message in request.messages if message.role in {"system", "developer"}]
    users = [_words(message) for message in request.messages if message.role == "user"]
    return "\n".join([*[text[-2000:] for text in system[:1]], *users[-1:]])


def _words(message: Message) -> str:
    if isinstance(message.content, str):
        return message.content[-LIMIT:]
    return "\n".join(part.text[-LIMIT:] for part in message.content if isinstance(part, Text))


def _views(request: Request, answer: Answer, asked: Asked) -> list[_View]:
    """One view a choice; a single unusable one where the answer is not whole, empty, or refuses."""
    whole = answer.complete and all(choice.finish in {"stop", "tool_calls"} for choice in answer.choices)
    if not answer.choices or not whole or refusal(request, answer, _CHECKS).passed is False:
        return [_View(False)]
    return [_view(choice, asked) for choice in answer.choices]


def _view(choice: Choice, asked: Asked) -> _View:
    if choice.tool_calls:
        return _View(True, "", _calls(choice.tool_calls))
    text = choice.text[-LIMIT:].strip()
    return _View(True, text, conclude(text, asked)) if text else _View(False)


def _calls(calls: Sequence[ToolCall]) -> Conclusion | None:
    """The calls in any order; None where one's arguments are no JSON."""
    keys = []
    for call in calls:
        try:
            arguments = msgspec.json.decode(call.arguments or "{}")
        except (ValueError, RecursionError):
            return None
        keys.append(f"{call.name}({value_key(arguments)})")
    return Conclusion("calls", "\n".join(sorted(keys)))


def _compared(mine: Sequence[_View], theirs: Sequence[_View], similarity: Similarity | None) -> tuple[float, str]:
    """The worst of the draft's choices against the other's first."""
    return min((_pair(view, theirs[0], similarity) for view in mine), key=lambda found: found[0])


def _pair(mine: _View, theirs: _View, similarity: Similarity | None) -> tuple[float, str]:
    if not mine.usable or not theirs.usable:
        return 0.0, "none"
    left, right = mine.conclusion, theirs.conclusion
    if left is not None and right is not None:
        return float(left.key == right.key), left.kind
    if left is not None or right is not None or not mine.text or not theirs.text:
        return 0.0, "none"
    return _alike(mine.text, theirs.text, similarity), "open"


# ------------------------------------------------------------------ open text


def _alike(mine: str, theirs: str, similarity: Similarity | None) -> float:
    """In (0, 1): the cosine counts half where there is one, numbers and content words share the rest.

    Texts that name different numbers, or both hold code, stay below AGREE: alike is not the same there.
    """
    one, other = _open(mine), _open(theirs)
    words = _overlap(one.words, other.words)
    numbers = _overlap(one.numbers, other.numbers)
    score = words if numbers is None else numbers if words is None else (words + numbers) / 2
    if score is None:
        score = float(mine == theirs)
    if similarity is not None:
        cosine = similarity(mine, theirs)
        score = (min(cosine, 1.0) + score) / 2 if cosine > 0 else score / 2  # NaN is not above 0
    if one.code or other.code or (numbers is not None and numbers < 0.5):
        score = min(score, APART)
    return min(max(score, LEAST), MOST)


def _overlap(mine: frozenset[str], theirs: frozenset[str]) -> float | None:
    """Shared over all (Jaccard); None where neither has any."""
    union = len(mine | theirs)
    return len(mine & theirs) / union if union else None


class _Open(NamedTuple):
    """What an open text is compared by. `words`, those that say something, and names, by their first letters only, so
    that endings do not count."""

    words: frozenset[str]
    numbers: frozenset[str]
    code: bool


@lru_cache(maxsize=4)
def _open(text: str) -> _Open:
    """Remembered, because a text is compared with several."""
    words = words_of(text).lower if text.isascii() else _WORD.findall(text.casefold())
    return _Open(
        frozenset([word[:6] for word in words if len(word) > 2 and word not in _COMMON]),
        frozenset([found.replace(",", "") for found in _NUMBER.findall(text)]),
        any(cue in text for cue in _CODES) and _CODE.search(text) is not None,
    )
