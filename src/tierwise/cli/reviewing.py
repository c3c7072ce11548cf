"""A session of people comparing answers in the terminal: pair after pair, each answer kept at once.

Shows two answers and not which model gave which, nor what anybody thinks of them. What models and clients wrote is
shown as text that can do nothing to a terminal.
"""
# ruff: noqa: PLC0415  rich loads where something is shown

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from tierwise.offline.review import Task, Word
    from tierwise.proof import Said

TURNS = 6  # of a conversation that are shown at first
CHARS, LINES = 1_500, 30  # of one text that are shown at first
WORDS: dict[str, Word] = {"a": "a", "b": "b", "ab": "both", "both": "both", "n": "neither", "neither": "neither"}
KEYS = (
    "Which are good enough?  [bold]a[/] only A  [bold]b[/] only B  [bold]ab[/] both  [bold]n[/] neither\n"
    "                        [bold]s[/] skip  [bold]u[/] back  [bold]f[/] in full  [bold]q[/] quit"
)
_KEPT = frozenset("\n\t")
_ODD = frozenset({"Cc", "Cs", "Zl", "Zp"})  # controls, halves of characters, line ends that few terminals know
_TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")  # text around

Keep = Callable[["Task", "Word"], None]


def review(tasks: Sequence[Task], screen: Console, keep: Keep, before: int) -> int:
    """Goes through the tasks until they end or the reviewer does; how many answers were kept.

    `before`: pairs that this reviewer has labelled in earlier sessions.
    """
    at = done = 0
    while at < len(tasks):
        task = tasks[at]
        _show(task, screen, f"{before + at + 1:,} of {before + len(tasks):,}")
        word = _asked(task, screen)
        if word is None or word == "q":
            break
        if word in WORDS:
            keep(task, WORDS[word])
            done += 1
        at = max(at - 1, 0) if word == "u" else at + 1
    return done


def _asked(task: Task, screen: Console) -> str | None:
    """A word of WORDS, "s", "u" or "q"; None where nobody is there any more."""
    screen.print(KEYS)
    while True:
        word = _line()
        if word is None or word in WORDS or word in ("s", "u", "q"):
            return word
        if word == "f":
            _show(task, screen, "in full", full=True)
        screen.print(KEYS)


def _line() -> str | None:
    sys.stdout.write("> ")
    sys.stdout.flush()
    try:
        line = sys.stdin.readline()
    except UnicodeDecodeError:
        return ""
    return line.strip().lower() if line else None


# ------------------------------------------------------------------ what is shown


def _show(task: Task, screen: Console, title: str, *, full: bool = False) -> None:
    from rich.rule import Rule

    turns = task.pair.texts.messages
    screen.print(Rule(f"[bold]{title}[/]", characters="="))
    hidden = 0 if full else max(len(turns) - TURNS, 0)
    if hidden:
        screen.print(f"[dim]{hidden:,} earlier messages; f shows them[/]")
    for turn in turns[hidden:]:
        screen.print(f"[bold cyan]{turn.role}[/]" if turn.role.isalpha() else "[bold cyan]?[/]")
        screen.print(_cut(turn.text, full))
    for name, said in (("A", task.a), ("B", task.b)):
        screen.print(Rule(f"[bold]{name}[/]"))
        screen.print(_answer(said, full))
    screen.print(Rule())


def _answer(said: Said, full: bool) -> Text:
    text = _cut(said.response, full)
    if not said.response.strip():
        text.append("(nothing)", "dim")
    if said.finish not in ("stop", "tool_calls"):
        text.append(f"\n(it ended early: {harmless(said.finish)})", "dim")
    return text


def _cut(text: str, full: bool) -> Text:
    from rich.text import Text

    end = len(text)
    if not full:
        end = min(len("\n".join(text.split("\n")[:LINES])), CHARS)
    found = Text(harmless(text[:end]))
    if end < len(text):
        found.append(f" [... {len(text) - end:,} characters more; f shows them]", "dim")
    return found


def harmless(text: str) -> str:
    """The text with everything written out that a terminal would obey, or that would show it in another order."""
    return "".join(
        one if one in _KEPT or not (unicodedata.category(one) in _ODD or one in _TURNING) else _written(one)
        for one in text.replace("\r\n", "\n")
    )


def _written(one: str) -> str:
    code = ord(one)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
