"""Labelled texts: which classes people say a row is of, and how well flags agree with that, with exact bounds.

Labels stand in one column that names classes, or in a column a class that says yes or no. Knows no classifier.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from tierwise.errors import ConfigError
from tierwise.offline.imports.records import Record
from tierwise.screens.own import Shown
from tierwise.stats.bounds import upper

CONFIDENCE = 0.95
LANGUAGES = ("language", "lang", "locale")  # columns that say which one a text is in
MOST_CLASSES = 100
_SPLIT = re.compile(r"[,;|]")
_YES, _NO = frozenset(["1", "true", "yes", "y", "1.0"]), frozenset(["0", "false", "no", "n", "0.0"])
_NONE = frozenset(["", "none", "[]"])


class Columns(NamedTuple):
    """`named`: one column that names classes. Else `each`: class -> the column that says whether a text is of it."""

    named: str | None
    each: Mapping[str, str]

    def labels(self, record: Record) -> dict[str, bool] | None:
        """What is known of a row; of one that names classes only what it is of. None where nothing is."""
        if self.named is not None:
            names = _names(record.get(self.named))
            return None if names is None else dict.fromkeys(names, True)
        known = {name: _said(record.get(column)) for name, column in self.each.items()}
        return {name: said for name, said in known.items() if said is not None} or None


def columns(labels: str | None, first: Record, classes: Sequence[str], file: Path) -> Columns:
    """`labels`: one or several columns, with commas; None: those that are called like one of `classes`.

    Raises ConfigError where there is none. A column alone that says yes or no is of the class of its name, or of the
    only one that there is.
    """
    known = ", ".join(sorted(first)[:12])
    if labels is None:
        each = {name: name for name in classes if name in first}
        if not each:
            raise ConfigError(f"{file}: which columns are labels? Its first row has {known}: --labels names them")
        return Columns(None, each)
    names = [name.strip() for name in labels.split(",") if name.strip()]
    missing = [name for name in names if name not in first]
    if missing or not names:
        raise ConfigError(f"{file}: has no column {', '.join(missing) or 'without a name'}; its first row has {known}")
    if len(names) > 1:
        return Columns(None, {name: name for name in names})
    if _said(first[names[0]]) is None:
        return Columns(names[0], {})
    return Columns(None, {classes[0] if len(classes) == 1 else names[0]: names[0]})


def language_of(record: Record) -> str:
    """ "": nobody says."""
    return next((str(record[name]) for name in LANGUAGES if record.get(name)), "")


def _said(value: Any) -> bool | None:
    """None: neither yes nor no."""
    text = str(value).strip().lower() if isinstance(value, (bool, int, float, str)) else ""
    return True if text in _YES else False if text in _NO else None


def _names(value: Any) -> list[str] | None:
    """None: not a list of names; what is empty, or "none", is of no class."""
    if isinstance(value, str):
        text = value.strip()
        if text.startswith("["):
            try:
                return _names(msgspec.json.decode(text))
            except msgspec.DecodeError:
                return None
        return [] if text.lower() in _NONE else [part.strip() for part in _SPLIT.split(text) if part.strip()]
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return [item.strip() for item in value if item.strip()]
    return None


class Measured(msgspec.Struct, frozen=True):
    """Of one class, in one language or in all (""): its recall and its false blocks, with 95 % bounds of each."""

    name: str
    language: str
    recall: Shown
    false_blocks: Shown


def recall_of(caught: int, positives: int) -> Shown:
    """With its lower bound."""
    return Shown(caught, positives, 1 - upper(positives - caught, positives, 1 - CONFIDENCE))


def false_blocks_of(blocked: int, negatives: int) -> Shown:
    """With its upper bound."""
    return Shown(blocked, negatives, upper(blocked, negatives, 1 - CONFIDENCE))


class Tally:
    """Counts flags beside labels."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], list[int]] = {}  # (class, language): flagged of it, of it, flagged, not

    def add(self, name: str, language: str, *, truth: bool, flagged: bool) -> None:
        for key in {(name, ""), (name, language)}:
            counts = self._counts.setdefault(key, [0, 0, 0, 0])
            counts[(0 if truth else 2) + (not flagged)] += 1

    def measured(self) -> Iterator[Measured]:
        """By class, all languages first."""
        for (name, language), (caught, missed, blocked, passed) in sorted(self._counts.items()):
            yield Measured(
                name, language, recall_of(caught, caught + missed), false_blocks_of(blocked, blocked + passed)
            )
