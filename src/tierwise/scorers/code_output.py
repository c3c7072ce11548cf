"""The free check `code_output`: where a request shows a small Python program and asks what comes of it, that is said.

The program is worked out as far as `program` knows the language, nothing is run, and the answer's conclusion is
compared with what came. What is asked for is a hole in an assertion (`assert f(3) == ??`), a call in the question
("what does `f(3)` return?"), or what the program prints. A request that asks for anything else, or shows a program
that can't be worked out, leaves `passed` at None. Only the last turn is read: what was asked before has its answer.
"""

from __future__ import annotations

import ast
import re
from functools import lru_cache
from itertools import islice
from typing import Any

from tierwise.scorers.canonical import Asked, Conclusion, canonical, question
from tierwise.scorers.conclusion import LIMIT, conclude
from tierwise.scorers.features import last_asked
from tierwise.scorers.program.methods import shown
from tierwise.scorers.program.run import Run, parsed
from tierwise.scorers.program.values import WRONG, CannotRun
from tierwise.types import Answer, Checks, Evidence, Request

PROMPT = 6_000  # characters of a longer turn, in which nothing is looked for
PROGRAM = 1_500  # characters of a program
STEPS = 500  # nodes that are worked out; one in a hundred of CRUXEval's programs takes more
WORDS = 600  # characters of a longer question, at each end
CALLS = 8  # of the program's functions, that are looked at in the question ...
LONGEST = 200  # ... and their characters
END = 400  # characters of an answer in which its result is shown
_CUES = ("def ", "print(", "assert ")
_FENCES = frozenset({"", "python", "py", "python3"})
_LINE = re.compile(r"(?:def |import |from |for |while |if |print\(|assert |[A-Za-z_]\w* = |[ \t]|$)")
_HOLE = re.compile(
    r"^assert (.{1,600}?) == (?:\?{1,4}|_{2,12}|\.\.\.|<\w{1,12}>|\[\w{1,12}\])[ \t]*(?:#.*)?$", re.MULTILINE
)
_SHOWN = re.compile(r"```\w*\n(.{1,300}?)\n```|`([^`\n]{1,200})`", re.DOTALL)
_ANSWERED = re.compile(r"answer\W{0,6}(?:is|:)", re.IGNORECASE)
_ASKS = re.compile(
    r"\b(?:what(?:'s)?|predict|determine|give|state|tell me|find|say)\b"
    r"[^.?!\n]{0,80}?\b(?:outputs?|print(?:s|ed)?|returns?|returned|gives?|evaluates? to|results?|values?)\b",
    re.IGNORECASE,
)


def code_output(request: Request, answer: Answer, checks: Checks) -> Evidence:
    """Every choice concludes with what the request's program gives. `value` is the share that does, in [0, 1]."""
    turn = last_asked(request)
    given = output(turn) if answer.complete and answer.choices else None
    if given is None:
        return Evidence("code_output", None)
    asked = question(turn)
    meant = canonical(given, asked)
    said = [None if meant is None else _says(choice.text, meant, asked) for choice in answer.choices]
    if None in said:
        return Evidence("code_output", None)
    right = said.count(True)
    return Evidence("code_output", right == len(said), f"{right} of {len(said)} as worked out", right / len(said))


def _says(text: str, meant: Conclusion, asked: Asked) -> bool | None:
    """Whether an answer concludes so, or shows it as code near its end. None where all that it says is a sentence."""
    found = conclude(text[-LIMIT:].strip(), asked)
    if found is not None and found.key == meant.key:
        return True
    if found is not None and (found.kind != "code" or _told(text, found.key, meant.key)):
        return False
    spans = [span for match in _SHOWN.finditer(text[-END:]) for span in match.groups() if span is not None]
    shows = [one.key == meant.key for span in spans if (one := canonical(span, asked)) is not None]
    return True if any(shows) else None


def _told(text: str, said: str, meant: str) -> bool:
    """Whether what it concludes with is a value, and no sentence about one."""
    if len(said.split()) <= len(meant.split()) + 1:
        return True
    return meant not in said and _ANSWERED.search(text) is not None


@lru_cache(maxsize=8)  # every tier's answer is held against it
def output(prompt: str) -> str | None:
    """What the prompt's program gives, as Python writes it; None where nothing is asked, or it can't be said."""
    if len(prompt) > PROMPT or not any(cue in prompt for cue in _CUES):
        return None
    found = _program(prompt.split("\n"))
    if found is None or len(found[0]) > PROGRAM:
        return None
    try:
        return _worked_out(*found)
    except (CannotRun, *WRONG):
        return None


def _program(lines: list[str]) -> tuple[str, str] | None:
    """The one program among the lines, and the words around it."""
    found, words = _marked(lines) if any(_opens(line) for line in lines) else _bare(lines)
    programs = [one for one in found if any(cue in one for cue in _CUES)]
    return (programs[0], words) if len(programs) == 1 else None


def _opens(line: str) -> bool:
    return line.strip().startswith(("```", "[PYTHON]", "[CODE]"))


def _marked(lines: list[str]) -> tuple[list[str], str]:
    """What stands between fences that say no other language, or between [PYTHON] and [/PYTHON]; and what is outside."""
    programs: list[str] = []
    words: list[str] = []
    inside: list[str] | None = None
    end, known = "", False
    for line in lines:
        bare = line.strip()
        if inside is None and _opens(line):
            inside, end = [], "```" if bare[0] == "`" else f"[/{bare[1:]}"
            known = bare[0] == "[" or bare[3:].lower() in _FENCES
        elif inside is not None and bare.startswith(end):
            programs += ["\n".join(inside)] if known else []
            inside = None
        else:
            (words if inside is None else inside).append(line)
    return programs, "\n".join(words)


def _bare(lines: list[str]) -> tuple[list[str], str]:
    """Lines that follow each other and look like code, from one with a cue or an assignment on; and the rest."""
    programs: list[list[str]] = []
    words: list[str] = []
    before = False
    for line in lines:
        code = _LINE.match(line) is not None and (before or not (line[:1].isspace() or not line))
        if code and not before:
            programs.append([])
        (programs[-1] if code else words).append(line)
        before = code
    return ["\n".join(one) for one in programs], "\n".join(words)


def _worked_out(source: str, words: str) -> str | None:
    run, holes = Run(STEPS), [*_HOLE.finditer(source)]
    if len(holes) == 1:
        body, asked = parsed(source[: holes[0].start()]), _expression(holes[0][1])
        return shown(run.work(lambda: _value(run, body, asked)))
    if holes or _ASKS.search(f"{words[:WORDS]} {words[WORDS:][-WORDS:]}") is None:
        return None
    body = parsed(source)
    calls = _calls(words, [node.name for node in body if isinstance(node, ast.FunctionDef)])
    if len(calls) == 1:
        asked = _expression(calls.pop())
        return shown(run.work(lambda: _value(run, body, asked)))
    run.work(lambda: run.block(body))
    return run.printed[0] if len(run.printed) == 1 and not calls else None


def _calls(words: str, functions: list[str]) -> set[str]:
    """Different calls of the program's functions, in the words around it."""
    if not functions:
        return set()
    found: set[str] = set()
    last = 0
    for match in islice(re.finditer(rf"\b(?:{'|'.join(map(re.escape, functions))})\(", words), CALLS):
        depth = 0
        for end in range(match.end() - 1, min(len(words), match.end() + LONGEST)):
            depth += {"(": 1, ")": -1}.get(words[end], 0)
            if not depth:
                if match.start() >= last:  # and not inside another one
                    found.add(words[match.start() : end + 1])
                    last = end
                break
    return found


def _expression(text: str) -> ast.expr:
    body = parsed(text.strip())
    if len(body) != 1 or not isinstance(body[0], ast.Expr):
        raise CannotRun
    return body[0].value


def _value(run: Run, body: list[ast.stmt], asked: ast.expr) -> Any:
    run.block(body)
    return run.value(asked)
