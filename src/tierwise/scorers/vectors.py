"""The free check `vectors`: the operator's own tests, `checks.vectors` of a route.

A vector applies where its `when` is found in what the user last said ("" is found everywhere). Then `expect` must be
found in every choice's text, or with `absent` in none. Of long texts the head and the tail are searched.

A search can't be interrupted, so `validate_vector` turns down patterns that may take exponential time, or the cube of
the text's length, on a text made for it. It errs on the safe side, and says how to write the same thing otherwise.
"""

from __future__ import annotations

import functools
import importlib
import re
from collections.abc import Iterator
from typing import Any

from tierwise.scorers.features import last_asked
from tierwise.types import Answer, Checks, Evidence, Request, Vector

HEAD, TAIL = 12_000, 4_000  # characters that are searched, of a longer text
LENGTH = 1_000  # characters of a pattern
MANY = 256  # a repeat that may come so often counts as unbounded
FEW = 8  # a group that comes so often at most, exactly, may hold bounded repeats: (?:\d{1,3}\.){3}
REPEATS = 6  # unbounded ones in one pattern ...
WIDE = 1  # ... and of those, such that match nearly any character

# The standard library's own parser of patterns: public in all but name, and the only one that agrees with `re`.
_parser: Any = importlib.import_module("re._parser")


def vectors(request: Request, answer: Answer, checks: Checks) -> Evidence:
    """Every vector that applies holds in every choice.

    `value` is the share of applying vectors that hold, in [0, 1]; None, as `passed`, where none applies, where the
    answer is not complete yet, or where it holds tool calls only.
    """
    texts = [_ends(choice.text) for choice in answer.choices if choice.text or not choice.tool_calls]
    if not checks.vectors or not answer.complete or not texts:
        return Evidence("vectors", None)
    asked = _ends(last_asked(request))
    applying = [at for at, vector in enumerate(checks.vectors, 1) if _found(vector.when, asked)]
    if not applying:
        return Evidence("vectors", None)
    failed = [at for at in applying if not _holds(checks.vectors[at - 1], texts)]
    detail = f"vector {', '.join(map(str, failed))} of {len(checks.vectors)}" if failed else ""
    return Evidence("vectors", not failed, detail, 1 - len(failed) / len(applying))


def validate_vector(vector: Vector) -> str | None:
    """What is wrong with a vector, in words for the person who wrote it; None where nothing is."""
    if not vector.expect:
        return "expect is empty: it would be found in every answer"
    for name, pattern in (("expect", vector.expect), ("when", vector.when)):
        problem = _problem(pattern)
        if problem is not None:
            return f"{name} {problem}"
    return None


def _ends(text: str) -> str:
    return text if len(text) <= HEAD + TAIL else f"{text[:HEAD]}\n{text[-TAIL:]}"


def _holds(vector: Vector, texts: list[str]) -> bool:
    return all(_found(vector.expect, text) is not vector.absent for text in texts)


def _found(pattern: str, text: str) -> bool:
    return not pattern or _compiled(pattern).search(text) is not None


@functools.lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def _problem(pattern: str) -> str | None:
    if len(pattern) > LENGTH:
        return f"is longer than {LENGTH} characters"
    try:
        re.compile(pattern)
        repeats = list(_repeats(_parser.parse(pattern), around=0))
    except (re.error, OverflowError, RecursionError) as error:
        return f"is no regular expression: {error}"
    if "nested" in repeats:
        return "has a repeat or alternatives inside a repeated group, which may take for ever: repeat a single [class]"
    if repeats.count("wide") > WIDE:
        return f"repeats . or a negated class without a bound more than {WIDE} times: bound it, as in .{{0,200}}"
    if len(repeats) > REPEATS:
        return f"has more than {REPEATS} repeats without a bound: bound them, as in {{0,50}}"
    return None


def _repeats(parsed: Any, *, around: int) -> Iterator[str]:
    """One word for each repeat that matters: "nested", "wide" or "narrow".

    `around`: what goes around it: 0 no repeat, 1 one of a small fixed number, 2 any other.
    """
    for kind, value in parsed:
        name = str(kind)
        if name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            least, most, what = value
            loose = name != "POSSESSIVE_REPEAT" and least != most
            if loose and (around == 2 or (around == 1 and most >= MANY)):
                yield "nested"
            if loose and most >= MANY:
                yield "wide" if _wide(what) else "narrow"
            yield from _repeats(what, around=max(around, 0 if most <= 1 else 1 if least == most <= FEW else 2))
            continue
        if name == "BRANCH" and around == 2:
            yield "nested"
        for part in _parts(name, value):
            yield from _repeats(part, around=0 if name == "ATOMIC_GROUP" else around)


def _parts(name: str, value: Any) -> list[Any]:
    """The patterns that one element of a parsed pattern holds."""
    if name == "BRANCH":
        return list(value[1])
    if name == "SUBPATTERN":
        return [value[3]]
    if name in ("ASSERT", "ASSERT_NOT"):
        return [value[1]]
    if name == "ATOMIC_GROUP":
        return [value]
    if name == "GROUPREF_EXISTS":
        return [part for part in value[1:] if part is not None]
    return []


def _wide(what: Any) -> bool:
    """Whether a repeated element is `.`, a negated class, or more than one element."""
    if len(what) != 1:
        return True
    kind, value = what[0]
    if str(kind) == "IN":
        return any(str(item) == "NEGATE" or str(argument).startswith("CATEGORY_NOT") for item, argument in value)
    return str(kind) != "LITERAL"
