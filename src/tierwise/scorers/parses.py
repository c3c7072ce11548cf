"""The free check `parses`: code that an answer holds is code.

Looks at closed ``` blocks that name their language, and at an answer that is nothing but Python where code was asked
for. Python is parsed by Python's own parser, JSON by the standard library's, SQL by sqlglot, the rest by tree-sitter
(the extra `code`; without it those languages are not looked at). Nothing is run.

What would take too long is not looked at either: a parser that finds no way through a text tries many, so the limits
are on what it is given and, in tree-sitter, on how often it goes back.

Good answers hold fragments, placeholders, pseudo-code and blocks that name the wrong language, so most failures only
go into `value`. What counts against an answer is Python with a bracket or string left open, and an answer wholly in
Python that does not parse. (JSON that was asked for as such is the check `json`'s business.)
"""

from __future__ import annotations

import ast
import functools
import importlib
import json
import logging
import re
import textwrap
import warnings
import zlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from tierwise.scorers.reading import dense
from tierwise.types import Answer, Checks, Choice, Evidence, Request, Text

if TYPE_CHECKING:
    import tree_sitter

LIMIT = 16_000  # characters of one choice in which blocks are looked for
LONG = 6_000  # characters of a choice, beyond which less code is parsed
BLOCKS = 12  # of one choice
CHARS, PIECES = 8_000, 1_200  # characters and tokens of code, in one choice
WHOLE_CHARS, WHOLE_PIECES = 2_000, 420  # of an answer that is all code, which may be parsed three times
# Characters that a parser gets, in one choice: what it reads in 1 to 2 ms at worst. Of the blocks in real answers these
# leave out the largest hundredth in Python, and the largest tenth in what tree-sitter reads.
TREE = "tree-sitter"
SHARES = {"json": CHARS, "python": 3_000, "sql": 300, TREE: 2_000}
LESS = 6  # one part in so many of all that, of a text that is dense or LONG, and takes long enough elsewhere
TREE_NESTED = 16  # levels of brackets; recorded blocks have up to 11, and errors far inside take the longest
BROKEN = 5  # times its length, that a block counts which tree-sitter finds errors in, as they take most of the time
# Where sqlglot doesn't know what a bracket or a word opens, it tries one reading after the other: each level of
# brackets, and each JOIN, IF or FROM FROM, can double the time. Three of them take up to 2 ms, a dozen take minutes.
SQL_PIECES, SQL_NESTED, SQL_OPEN = 80, 3, 3
# Steps of tree-sitter (a hundred operations each) in one block: sound code takes up to one in 80 characters. Code with
# errors takes many more, so it is given up early.
STEPS, STEP_CHARS, MORE_STEPS = 24, 80, 4
# A step in broken code takes 20 times as long as one in sound code, because every way on is tried at each place. What
# gives it away is that the parser goes back to read again: in sound code once in 5 to 10 characters, if it gets them in
# parts of PART, and in broken code nearly at every one.
PART, AGAIN = 4, 0.22
DENSE = 12  # code that packs smaller than one byte in so many is no code, and slow to recover from

Verdict = bool | None
"""True: parses. False: doesn't, which counts. None: doesn't, but it may be meant so."""

# Begins with the line's end before it, which a search finds fast; a text gets one in front.
_FENCE = re.compile(r"\n[ \t]{0,12}(`{3,16})[ \t]*([\w+#-]{0,20})([^`\n]*)$", re.MULTILINE)
_PIECE = re.compile(r"\w+|[^\w\s]")
_BRACKET = re.compile(r"[()\[\]{}]")
_SQL_OPEN = re.compile(r"\b(?:join|if|from\s+from)\b", re.IGNORECASE)
_JSON = json.JSONDecoder(strict=False)
_SESSION = re.compile(r"^\s*(?:>>>|In \[\d*\]|[!%$])", re.MULTILINE)  # a shell or a notebook, not a file
# How Python begins, after a few comments. A heading in Markdown is no comment, and "for example" is no loop.
_PYTHON = re.compile(
    r"(?:[ \t]*#(?!#)[^\n]{0,200}\n|[ \t]*\n){0,8}[ \t]*"
    r"(?:\"\"\"|'''|@\w|(?:async )?def \w|class \w|import \w|from [\w.]+ import|return\b|print\(|try:"
    r"|(?:for|while|if|with)\b[^\n]{1,200}:[ \t]*$|[\w.]+(?:\[[^\]\n]{1,40}\])? [+*-]?= )",
    re.MULTILINE,
)
_OUTER = re.compile(r"\n\S")  # a line after the first that is not indented
_OPEN = re.compile(r"never closed|unmatched|does not match|unterminated")
_WANTED = re.compile(r"\b(?:code|function|program|script|implement\w*|python|def)\b", re.IGNORECASE)


class _Grammar(NamedTuple):
    """Where a tree-sitter grammar is: a module, and its function that gives the language."""

    module: str
    function: str = "language"


_GRAMMARS = {
    "javascript": _Grammar("tree_sitter_javascript"),
    "typescript": _Grammar("tree_sitter_typescript", "language_typescript"),
    "tsx": _Grammar("tree_sitter_typescript", "language_tsx"),
    "java": _Grammar("tree_sitter_java"),
    "c": _Grammar("tree_sitter_c"),
    "cpp": _Grammar("tree_sitter_cpp"),
    "go": _Grammar("tree_sitter_go"),
    "rust": _Grammar("tree_sitter_rust"),
    "bash": _Grammar("tree_sitter_bash"),
}
_NAMES = {
    "py": "python", "python3": "python", "js": "javascript", "jsx": "javascript", "ts": "typescript", "c++": "cpp",
    "golang": "go", "rs": "rust", "sh": "bash", "shell": "bash", "mysql": "sql", "postgresql": "sql", "sqlite": "sql",
}  # fmt: skip


def parses(request: Request, answer: Answer, checks: Checks) -> Evidence:
    """No choice holds code that is broken.

    `value` is the share of blocks that parse among those looked at, in [0, 1], of the worst choice; None where there
    were none. `passed` is None where a block doesn't parse that may be meant so, and where less code than else is read.
    """
    worst: tuple[float, Evidence] | None = None
    for choice in answer.choices:
        looked = list(_looked_at(request, choice, complete=answer.complete))
        if not looked:
            continue
        failed = [name for name, verdict in looked if verdict is not True]
        open_ended = failed or _crowded(choice)
        passed = False if any(verdict is False for _, verdict in looked) else (None if open_ended else True)
        share = 1 - len(failed) / len(looked)
        detail = (
            f"{len(failed)} of {len(looked)} blocks don't parse: {', '.join(sorted(set(failed)))}" if failed else ""
        )
        rank = share - 2 * (passed is False)
        if worst is None or rank < worst[0]:
            worst = rank, Evidence("parses", passed, detail, share)
    return worst[1] if worst else Evidence("parses", None)


def _looked_at(request: Request, choice: Choice, *, complete: bool) -> Iterator[tuple[str, Verdict]]:
    """(language, verdict) of each block that can be judged, as far as the bounds reach."""
    text = choice.text[:LIMIT]
    if "```" not in text:
        if complete and len(text) <= WHOLE_CHARS and _PYTHON.match(text) and _wanted(request) and _is_file(text):
            yield "python", _whole(text)
        return
    part = LESS if _crowded(choice) else 1
    left = {parser: share // part for parser, share in SHARES.items()}
    for name, code in _bounded(text, part):
        parser = name if name in left else TREE
        judge = _judge(name, code) if len(code) <= left[parser] and code.strip() else None
        if judge is None:
            continue
        left[parser] -= len(code)
        try:
            verdict = judge(code)
        except _Unread:
            left[parser] = 0
            continue
        if parser == TREE and verdict is not True:
            left[parser] -= (BROKEN - 1) * len(code)
        yield name, verdict


def _crowded(choice: Choice) -> bool:
    """Whether there is so much else to look at that less code is parsed."""
    return "```" in choice.text and (len(choice.text) > LONG or dense(choice.text))


def _is_file(text: str) -> bool:
    return not _exceeds(text, WHOLE_PIECES) and not _SESSION.search(text)


def _bounded(text: str, part: int) -> Iterator[tuple[str, str]]:
    """The blocks before the first that goes beyond what is looked at, which is one `part` in so many."""
    chars, pieces, uncounted = CHARS // part, PIECES // part, ""
    for name, code in _blocks(text):
        chars -= len(code)
        if chars < 0:
            return
        uncounted += code
        if len(uncounted) > pieces:  # a text has no more tokens than characters
            pieces -= len(_PIECE.findall(uncounted))
            uncounted = ""
            if pieces < 0:
                return
        yield name, code


def _exceeds(text: str, pieces: int) -> bool:
    return len(text) > pieces and len(_PIECE.findall(text)) > pieces


def _blocks(text: str) -> Iterator[tuple[str, str]]:
    """(language, code) of the closed blocks; as in CommonMark, only a bare and long enough fence closes one."""
    text = f"\n{text}"
    opened: re.Match[str] | None = None
    found = 0
    for fence in _FENCE.finditer(text):
        if opened is None:
            opened = fence
        elif len(fence[1]) >= len(opened[1]) and not (fence[2] or fence[3].strip()):
            name = opened[2].lower()
            yield _NAMES.get(name, name), text[opened.end() + 1 : fence.start() + 1]
            opened, found = None, found + 1
            if found == BLOCKS:
                return


def _judge(name: str, code: str) -> Callable[[str], Verdict] | None:
    if name == "python":
        return _python
    if name == "json":
        return _json if code.lstrip()[:1] in ("{", "[") else None
    if name == "sql":
        return _sql if _sql_fits(code) and _sqlglot() is not None else None
    if name in _GRAMMARS and _nested(code) <= TREE_NESTED and _parser(name) is not None:
        return functools.partial(_tree, name)
    return None


def _sql_fits(code: str) -> bool:
    small = len(code) <= SHARES["sql"] and not _exceeds(code, SQL_PIECES)
    return small and _nested(code) <= SQL_NESTED and len(_SQL_OPEN.findall(code)) <= SQL_OPEN


def _nested(code: str) -> int:
    """How many brackets are open at once, at most; each kind closes each."""
    level = deepest = 0
    for bracket in _BRACKET.findall(code):
        if bracket in "([{":
            level += 1
            deepest = max(deepest, level)
        elif level:
            level -= 1
    return deepest


def _wanted(request: Request) -> bool:
    """Whether the last thing that a user said asks for code."""
    for message in reversed(request.messages):
        if message.role == "user":
            content = message.content
            texts = [content] if isinstance(content, str) else [part.text for part in content if isinstance(part, Text)]
            return any(_WANTED.search(text[-LIMIT:]) for text in texts)
    return False


def _syntax(code: str) -> SyntaxError | None:
    """What is wrong with Python code, if it can be said; too deep or too odd is nothing wrong."""
    with warnings.catch_warnings():  # the compiler's warnings would show the code
        warnings.simplefilter("ignore")
        try:
            ast.parse(code)
        except SyntaxError as error:
            return error
        except (ValueError, RecursionError, MemoryError):
            return None
    return None


def _python(code: str) -> Verdict:
    code = textwrap.dedent(code)
    error = _syntax(code)
    if error is None:
        return True
    if "..." in code or _SESSION.search(code) or not _PYTHON.match(code):
        return None
    return False if _OPEN.search(error.msg) else None


def _whole(text: str) -> Verdict:
    """An answer that is all code; the first line of a function's body may have lost its indentation."""
    codes = [text, f"def f():\n    {text}"]
    if not _OUTER.search(text):
        codes.append(f"    {text}")
    return any(_syntax(textwrap.dedent(code)) is None for code in codes)


def _json(code: str) -> Verdict:
    try:
        _JSON.decode(code)
    except (ValueError, RecursionError):
        return None
    return True


def _sql(code: str) -> Verdict:
    """Never False: what fails is mostly a dialect of its own, or no SQL."""
    sqlglot = _sqlglot()
    try:
        sqlglot.parse(code)
    except (sqlglot.errors.SqlglotError, ValueError, RecursionError):
        return None
    return True


def load() -> None:
    """Load the parsers that are installed, which takes up to 0.5 s; else the first answer with such code waits."""
    _sqlglot()
    for name in _GRAMMARS:
        _parser(name)


@functools.cache
def _sqlglot() -> Any:
    """The library, or None where it isn't installed. Its log would hold the statements that it doesn't know."""
    logging.getLogger("sqlglot").setLevel(logging.CRITICAL)
    try:
        return importlib.import_module("sqlglot")
    except ImportError:
        return None


@functools.cache
def _parser(name: str) -> tree_sitter.Parser | None:
    """None where tree-sitter or the grammar isn't installed."""
    grammar = _GRAMMARS[name]
    try:
        tree = importlib.import_module("tree_sitter")
        language = getattr(importlib.import_module(grammar.module), grammar.function)()
    except ImportError:
        return None
    parser: tree_sitter.Parser = tree.Parser(tree.Language(language))
    return parser


def _tree(name: str, code: str) -> Verdict:
    """Never False: what fails is mostly another language than the block says, or a placeholder."""
    data = code.encode("utf-8", "replace")
    parser = _parser(name)
    if parser is None or len(zlib.compress(data, 1)) * DENSE < len(data):
        return None
    reader = _Reader(data, min(MORE_STEPS + len(code) // STEP_CHARS, STEPS))
    try:
        tree = parser.parse(reader.part, progress_callback=reader.enough)
    except ValueError:  # stopped; the parser would go on where it was
        parser.reset()
        if reader.lost:
            raise _Unread from None
        return None
    return None if tree.root_node.has_error else True


class _Unread(Exception):
    """Reading a block would take too long; never leaves this file."""


class _Reader:
    """Hands code to tree-sitter in small parts, and says when it is enough. `lost`: the parser goes back too often."""

    def __init__(self, code: bytes, steps: int) -> None:
        self.lost = False
        self._code = code
        self._steps = steps
        self._furthest = 0
        self._again = 0

    def part(self, at: int, _: object) -> bytes:
        if at < self._furthest:
            self._again += 1
        else:
            self._furthest = at
        return self._code[at : at + PART]

    def enough(self, _: int, failed: bool) -> bool:
        self._steps -= 1
        if failed or self._steps < 0:
            return True
        self.lost = self._again > AGAIN * self._furthest
        return self.lost
