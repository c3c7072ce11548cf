# ruff: noqa: RUF001 - full-width colons are meant
"""What an answer comes to: the final result that a reader would take from it, in canonical form.

In order: the `answer` of a JSON answer, or all of it but its reasoning; the result of a small program; what is
boxed; what stands after words like "the answer is"; a whole answer that is short; and, only where the prompt asks
for it, a letter, yes or no, or the last number. An answer of many words without any of these has no conclusion.
The text is read from its end, LIMIT characters. Knows forms of answers, and no task.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import msgspec

from tierwise.scorers.arithmetic_program import run_arithmetic
from tierwise.scorers.canonical import SHORT, Asked, Conclusion, canonical, question
from tierwise.scorers.formula import number
from tierwise.scorers.literal import value_key

__all__ = ["Conclusion", "conclude", "conclusion"]

LIMIT = 16_000  # characters
REASONED = 80  # characters; what is shorter is no reasoning
SENTENCE = 300  # characters at the end, in which the number that was asked for may stand
WORDS = 8  # of an answer that is nothing but its result
MARKS = 4  # of "the answer is", that are tried

_ANSWER_KEYS = ("answer", "final_answer", "finalanswer", "final answer")
_REASON_KEYS = re.compile(
    r"reason|explan|explain|thought|think|rationale|analysis|justif|chain|steps?$|working|comment|confidence",
    re.IGNORECASE,
)
_FIELD = re.compile(r"[\"'](?:final[_ ]?)?answer[\"']\s*:\s*", re.IGNORECASE)
_FENCED = re.compile(r"```(?:json|JSON)[ \t]*\n?(.*?)(?:```|\Z)", re.DOTALL)
_ENDS = re.compile(r'(?<!\\)"[.;"\s]{0,4}(?:,\s{0,40}(?:"[\w ]{1,40}"\s{0,4}:|\})|\}|```|\Z)')
_STRAY = re.compile(r"\\(?![\"\\/bfnrtu])|\\(?=[bfnrtu][A-Za-z])")

_PROGRAM = re.compile(r"\n(?:[ \t]*(?:ans|answer|result)[ \t]*[+*-]?=[^=]|def solution\(|print\()")
_PYTHON = re.compile(r"```(?:python|py)\b")
# A number for people, a tuple in code.
_SEPARATED = re.compile(r"=[ \t]*-?\$?\d{1,3}(?:,\d{3}){1,9}[ \t]*$", re.MULTILINE)
_CODE_LINE = re.compile(
    r"\s*(?:#|[\w.\[\]'\"]+(?:, ?\w+){0,4} ?[+*/-]?= ?\S|(?:import|from|def|return|for|if|else|while|print)\b|```)"
)
_BOXED = "\\boxed"
_MARK = re.compile(
    r"(?:\b(?:final|correct|best|right) (?:answer|option|choice|result)\b(?: is| would be| should be)?|"
    r"\b(?:the|my|our) (?:answer|result|solution)(?: to [^.:\n]{1,80})? (?:is|would be|should be)\b|"
    r"\banswer(?= ?[*_]{0,2} ?[:=])|\bans(?= ?=)|^[ \t]*A(?=:)|^[ \t]*#{4}|"
    r"\b(?:antwort|réponse|respuesta|risposta|resposta|odpowiedź|ответ)\b(?: ist| est| es| è| é)?|"
    r"答案(?:是|为)?|答え(?:は)?|정답(?:은)?)"
    r"[*_`\s]*[:：=]?[*_`]*[^\S\n]*(?:(?:\n[ \t]*){1,3}(?=\S))?([^\n]+)",
    re.IGNORECASE | re.MULTILINE,
)
_CUES = (  # every mark has one of these
    *("ans", "antwort", "answer", "option", "choice", "result", "solution", "a:", "##", "réponse", "respuesta"),
    *("risposta", "resposta", "odpowiedź", "ответ", "答", "정답"),
)
_SENTENCE_END = re.compile(r"\.(?=\s+[A-Z(])|\.(?=\*\*|$)|\s+(?:because|since|as the)\s|(?<=\))\s*[.,;:]")
_BLANK = re.compile(r"\n[ \t]*\n\s*")
_CORRECTS = re.compile(r"\b(?:wait|however|actually|but|instead|correction|mistake|hmm|sorry|let me)\b", re.IGNORECASE)
_RUN_ON = re.compile(r"\n[ \t]{0,8}(?:Question|Q|Problem|User|Human)\s?\d*:")
_LETTER = re.compile(
    r"(?:\b[Oo]ption\s+|\b[Cc]hoice\s+)\(?([A-Z])\)?(?![\w'])|\(([A-Z])\)|^\W{0,4}([A-Z])\W{0,4}$", re.MULTILINE
)
_DAY = re.compile(r"(?<![\d/])\d{1,2}/\d{1,2}/\d{4}(?![\d/])|\b\d{4}-\d\d-\d\d\b")
_YES_NO = re.compile(r"\W{0,4}(yes|no|true|false)\b", re.IGNORECASE)


def conclusion(text: str, hint: str = "") -> Conclusion | None:
    """The answer's final result, canonical; None where it has none. `hint` is the prompt. Never raises."""
    return conclude(text, question(hint))


@lru_cache(maxsize=4)
def conclude(text: str, asked: Asked) -> Conclusion | None:
    """`conclusion`, for a prompt that was read before. Remembered for as long as several look at one answer."""
    tail = text[-LIMIT:].strip()
    if not tail:
        return None
    found = _in_json(tail, asked)
    if found is not None:
        return found[0]
    if not asked.code and _programmed(tail) and not _SEPARATED.search(tail):
        worked_out = run_arithmetic(tail)
        if worked_out is not None or _is_program(tail):
            return None if worked_out is None else canonical(worked_out, asked)
    return _boxed(tail, asked) or _marked(tail, asked) or _otherwise(tail, asked)


def _programmed(text: str) -> bool:
    return _PROGRAM.search(f"\n{text}") is not None or _PYTHON.search(text) is not None


def _is_program(text: str) -> bool:
    """Most lines are code: what a program assigns is not what it comes to."""
    lines = [line for line in text.split("\n") if line.strip()]
    return 2 * sum(_CODE_LINE.match(line) is not None for line in lines) > len(lines)


# ------------------------------------------------------------------ JSON


def _in_json(text: str, asked: Asked) -> tuple[Conclusion | None] | None:
    """The conclusion of a JSON answer, in a tuple because it may have none. None where it is no JSON."""
    fenced = _FENCED.findall(text) if "```" in text else []
    body = (fenced[-1] if fenced else text).strip()
    if body[:1] in ("{", "[") or fenced:
        document = _decoded(body)
        if isinstance(document, (dict, list)):
            return (_of_document(document, asked),)
    fields = list(_FIELD.finditer(text)) if ":" in text and "answer" in text.lower() else []
    if fields:
        return (_of_field(text, fields[-1].end(), asked),)
    return None


def _decoded(body: str) -> Any:
    try:
        return msgspec.json.decode(body)
    except (ValueError, RecursionError):
        pass
    end = body.rfind("}") + 1
    try:  # text after it, and backslashes that are LaTeX's
        return msgspec.json.decode(_STRAY.sub(r"\\\\", body[:end])) if end else None
    except (ValueError, RecursionError):
        return None


def _of_document(document: Any, asked: Asked) -> Conclusion | None:
    if isinstance(document, dict):
        named = {key.lower(): value for key, value in document.items()}
        for key in _ANSWER_KEYS:
            if key in named:
                return _of_value(named[key], asked)
        told = {key: value for key, value in document.items() if not _REASON_KEYS.search(key)}
        if document and not told:
            return None
        document = told
        if len(document) == 1:
            return _of_value(next(iter(document.values())), asked)
    return Conclusion("json", value_key(document))


def _of_value(value: Any, asked: Asked) -> Conclusion | None:
    if isinstance(value, str):
        return _of_text(value, asked)
    if value is None:
        return None
    return canonical(msgspec.json.encode(value).decode(), asked)


def _of_text(value: str, asked: Asked) -> Conclusion | None:
    """A result that stands alone, or a small answer of its own inside the field."""
    if asked.code:
        return canonical(value, asked)
    return _boxed(value, asked) or canonical(value, asked) or _marked(value, asked) or _otherwise(value, asked)


def _of_field(text: str, start: int, asked: Asked) -> Conclusion | None:
    """The value of a field of broken JSON: to the quote that ends it, else to the end of its line."""
    if text[start : start + 1] == '"':
        end = _ENDS.search(text, start + 1)
        raw = text[start + 1 : end.start() if end else len(text)]
        try:
            value = msgspec.json.decode('"' + _STRAY.sub(r"\\\\", raw).replace("\n", "\\n") + '"')
        except ValueError:
            value = raw
        return _of_text(value if isinstance(value, str) else raw, asked)
    raw = text[start:].split("\n", 1)[0].strip().rstrip(",}` ")
    if raw.startswith("{"):
        raw += "}"
    return None if raw in ("", "null", "None") else canonical(raw, asked)


# ------------------------------------------------------------------ text


def _boxed(text: str, asked: Asked) -> Conclusion | None:
    start = text.rfind(_BOXED)
    if start < 0:
        return None
    opened, depth = text.find("{", start), 0
    if opened < 0:
        return None
    for place in range(opened, min(len(text), opened + 2000)):
        depth += {"{": 1, "}": -1}.get(text[place], 0)
        if depth == 0:
            return canonical(text[opened + 1 : place], asked)
    return None


def _marked(text: str, asked: Asked) -> Conclusion | None:
    """What stands after the last words that announce a result, and can be one."""
    over = _RUN_ON.search(text)
    announced = (_announced(text[: over.start() + 1]) if over else []) or _announced(text)
    fallback = None
    for rest in reversed(announced[-MARKS:]):
        cut = _SENTENCE_END.search(rest)
        for result in (rest, rest[: cut.start()]) if cut else (rest,):
            found = canonical(result, asked) if len(result) <= SHORT or asked.code else None
            if found is not None and found.kind != "text":
                return found
            fallback = fallback or found
    return fallback


def _announced(text: str) -> list[str]:
    """What stands after words that announce a result, to the end of their line or of the next.

    A paragraph that reasons and ends with its result is the last of them, unless more reasoning or a correction
    follows: models run on after they have answered. Most paragraphs have no such words, and are not searched.
    """
    found: list[str] = []
    place, closed = 0, -1
    for end in [*_BLANK.finditer(text), None]:
        paragraph = text[place : end.start() if end else len(text)]
        small = paragraph.lower()
        if any(cue in small for cue in _CUES):
            following = text[place : place + len(paragraph) + 200]
            for mark in _MARK.finditer(following):
                if mark.start() >= len(paragraph):
                    break
                gap = text[closed : place + mark.start()]
                if closed >= 0 and len(gap) < REASONED and not _CORRECTS.search(gap):
                    return found
                found.append(mark[1].strip())
                reasoned = mark.start() >= REASONED and len(paragraph) - mark.end() <= 2
                closed = place + mark.end() if reasoned else -1
        place = end.end() if end else len(text)
    return found


def _otherwise(text: str, asked: Asked) -> Conclusion | None:
    """A whole answer that is short, or what the prompt asks for where it stands last."""
    short = canonical(text, asked) if "\n" not in text and len(text) <= SHORT else None
    if short is not None and short.kind != "text":
        return short
    found = _asked_for(text, asked)
    if found is None and short is not None and len(text.split()) <= WORDS:
        return short
    return found


def _asked_for(text: str, asked: Asked) -> Conclusion | None:
    if asked.options:
        letters = [match[1] or match[2] or match[3] for match in _LETTER.finditer(text)]
        return canonical(f"({letters[-1]})", asked) if letters else None
    if asked.boolean:
        said = _YES_NO.match(text)
        return canonical(said[1], asked) if said else None
    if asked.dated:
        days = _DAY.findall(text[-2000:])
        return canonical(days[-1], asked) if days else None
    if asked.numeric:
        exact = number(text[-SENTENCE:], sentence=True)
        return Conclusion("number", exact) if exact is not None else None
    return None
