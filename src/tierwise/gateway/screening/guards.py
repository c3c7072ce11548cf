"""What a route's screens make of a request before any model is called, and of an answer before anybody sees it.

One reading of a text serves every screen of it, and a text that was read is known by its digest, so that a long
conversation does not pay for its earlier turns again. Of a text only its digest is kept. Knows no wire and no model.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Literal, NamedTuple

from tierwise.dialects.parts import words
from tierwise.errors import Blocked, ConfigError
from tierwise.gateway.tables.screen_table import INJECTION, ScreensTable, actions, classes, flag
from tierwise.scorers.encoder import load_encoder
from tierwise.screens.injection import Injection
from tierwise.screens.judged import doubtful, meanings, question, settled
from tierwise.screens.leaves import BROKEN, leaves, unquoted
from tierwise.screens.moderation import CATEGORIES, Moderation, limits_of
from tierwise.screens.own import Beside, Own
from tierwise.screens.passages import passages
from tierwise.screens.reader import Reader
from tierwise.screens.risk import Policy, Risk
from tierwise.screens.screen import Screen
from tierwise.screens.sentences import WHOLE
from tierwise.screens.taught import read
from tierwise.screens.weights import load_weights
from tierwise.screens.window import Window
from tierwise.types import Document, Message, Request

MOST = 400_000  # characters of a request that are read, the latest first
SURER = 1.5  # times its threshold a passage must score in a text that has several: one of many is more often wrong
KEPT = 20_000  # texts of a route whose reading is remembered
Kind = Literal["told", "answered"]
"""Who said it: a user or a tool; or a model, which is moderated and no more."""


class Reading(NamedTuple):
    """What was found in one text, such as "moderation:hate", and what a screen is in doubt about."""

    classes: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()


CLEAN = Reading()


class Looked(NamedTuple):
    """What was found in a request. `doubts` are of its last turn: earlier ones had theirs."""

    tags: frozenset[str] = frozenset()
    classes: tuple[str, ...] = ()
    blocked: tuple[str, ...] = ()  # of these, those that stop it
    doubts: tuple[str, ...] = ()


class Guard:
    """The screens of one route. May be asked from several threads."""

    def __init__(self, table: ScreensTable, reader: Reader) -> None:
        """Raises ConfigError for a policy with a head that there is not."""
        policies = classes(table)
        self._policies = policies
        self._own = _opened(table, policies, reader)
        self.table = table
        self._actions = actions(table)
        self._moderation = Moderation(reader)
        every: dict[str, Screen] = {
            "moderation": self._moderation,
            "injection": Injection(reader),
            "risk": Risk(reader, policies),
        }
        own = _limits(self._own)
        known = {**reader.thresholds, **limits_of(reader.thresholds)}
        shipped = {_class(name): known.get(name, 1.0) for name in self._actions}
        shipped |= {f"risk:{one.name}": one.threshold or reader.thresholds[one.head or ""] for one in policies}
        shipped = {one: own.get(one, limit) for one, limit in shipped.items()}
        self._limits = {one: table.thresholds.get(one.partition(":")[2], limit) for one, limit in shipped.items()}
        heads = {one: one.partition(":")[2] for one in shipped} | {
            f"risk:{one.name}": one.head or "" for one in policies
        }
        self._surer = {  # class: its trained head or category, and what that must say of one passage of several
            one: (heads[one], min(limit * SURER, (1 + limit) / 2))
            for one, limit in self._limits.items()
            if heads[one] in known and one not in own
        }
        self._taught = {one: min(limit * SURER, (1 + limit) / 2) for one, limit in self._limits.items() if one in own}
        if self._own is not None:
            every[self._own.screen] = Beside(every[self._own.screen], self._own)
        self._reader = reader
        asked = {one.partition(":")[0] for one in self._limits}
        self._screens = {name: screen for name, screen in every.items() if name in asked}
        self._people = frozenset([one.name for one in policies if one.floor == "human"])
        strict = [_class(name) for name, action in self._actions.items() if action in ("block", "human")]
        self._strict = frozenset([*strict, *(f"risk:{name}" for name in self._people)])
        self._known: OrderedDict[bytes, Reading] = OrderedDict()
        self._lock = Lock()

    def look(self, request: Request) -> Looked:
        """Everything that users and tools have said, and what models are said to have answered.

        Instructions are the application's own and are not read; nor is what is no text.
        """
        found: dict[str, None] = {}
        doubts: dict[str, None] = {}
        fresh, left = True, MOST
        for message in reversed(request.messages):
            fresh = fresh and message.role != "assistant"
            for kind, text in _texts(message):
                if not left:
                    break
                reading = self._read(kind, text[:left])
                left = max(left - len(text), 0)
                found.update(dict.fromkeys(reading.classes))
                if fresh:
                    doubts.update(dict.fromkeys(reading.doubts))
        return self._looked(tuple(found), tuple([one for one in doubts if one not in found]))

    def scored(self, text: str) -> tuple[dict[str, float], Reading]:
        """What a user's text scores in each class that was looked for, and what was found in it."""
        scores = {
            one: score
            for one, score in _scores(self._screens, text, "told").items()
            if one in self._limits or one.removeprefix("moderation:") in CATEGORIES
        }
        return scores, self._read("told", text)

    def question(self, request: Request) -> tuple[Request, dict[str, str]]:
        """What to ask a model about what is in doubt, and the classes that it is about. Raises CheckFailed."""
        told = meanings(request.doubts, self._policies)
        return question(fresh(request), told, request.id), told

    def judged(self, looked: Looked, said: Mapping[str, float] | None) -> Looked:
        """With what a model has `said` of its doubts; None: nothing, and what would stop a request does."""
        flagged, undecided = settled(looked.doubts, said, self._strict)
        return self._looked((*looked.classes, *flagged), undecided)

    def window(self, note: Callable[[str], None]) -> Window | None:
        """For an answer; None where answers are not moderated. `note` is told of what is flagged and may pass."""
        if "moderation" not in self._screens or not self.table.answers:
            return None

        def screen(parts: Sequence[str]) -> None:
            found = self._parts(parts, "answered").classes
            stopping = tuple([one for one in found if self._action(one) != "flag"])
            if stopping:
                raise blocked("answer", stopping)
            for one in found:
                note(one)

        return Window(screen, self.table.window)

    def _looked(self, found: tuple[str, ...], doubts: tuple[str, ...]) -> Looked:
        """A person decides better than a rule: what one is to answer is not blocked."""
        if not found:
            return Looked(doubts=doubts) if doubts else NOTHING
        risks = {one.removeprefix("risk:") for one in found if one.startswith("risk:")}
        led = {one: self._action(one) for one in found if not one.startswith("risk:")}
        tags = frozenset([*risks, *(flag(one.partition(":")[2]) for one in led)])
        people = "human" in led.values() or bool(risks & self._people)
        stopping = () if people else tuple([one for one, action in led.items() if action == "block"])
        return Looked(tags, found, stopping, doubts)

    def _action(self, found: str) -> str:
        return self._actions[found.partition(":")[2]]

    def _read(self, kind: Kind, text: str) -> Reading:
        """Each text once, as long as it is remembered."""
        digest = hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=16, person=kind.encode()).digest()
        with self._lock:
            known = self._known.get(digest)
            if known is not None:
                self._known.move_to_end(digest)
                return known
        reading = self._heard(kind, text)
        with self._lock:
            self._known[digest] = reading
            if len(self._known) > KEPT:
                self._known.popitem(last=False)
        return reading

    def _heard(self, kind: Kind, text: str) -> Reading:
        """A sentence is drowned by what stands around it: long texts are read by sentence anyway, short ones here.

        Nobody is in need because a model has said so.
        """
        found, doubts = self._whole(text, kind)
        parts = list(passages(text)) if len(text) <= WHOLE else ()
        if len(parts) > 1:
            found = tuple(dict.fromkeys([*found, *self._parts(parts, kind).classes]))
        if kind == "answered":
            found, doubts = tuple([one for one in found if self._action(one) != "human"]), ()
        return Reading(found, tuple([one for one in doubts if one not in found])) if found or doubts else CLEAN

    def _whole(self, text: str, kind: Kind) -> Reading:
        scores = _scores(self._screens, text, kind)
        found = [one for one, limit in self._limits.items() if scores.get(one, 0.0) >= limit]
        return Reading(tuple(found), doubtful(scores, self._limits))

    def _parts(self, parts: Sequence[str], kind: Kind) -> Reading:
        """By what is shipped alone, and by stricter limits. Of an answer only what moderation says."""
        read = self._reader.each(parts)
        scores = dict(zip(self._reader.heads, read.max(0).tolist(), strict=True))
        if "moderation" in self._screens:
            scores |= self._moderation.highest(parts, read)
        found = [
            one
            for one, (head, limit) in self._surer.items()
            if scores[head] >= limit and (kind == "told" or one.startswith("moderation:"))
        ]
        if self._own is not None and (kind == "told" or self._own.screen == "moderation"):
            found += _taught_in(self._own, self._taught, parts)
        return Reading(tuple(found)) if found else CLEAN


NOTHING = Looked()


def _opened(table: ScreensTable, policies: Sequence[Policy], reader: Reader) -> Own | None:
    """Heads that the operator has taught, if any. Raises ConfigError where the table asks for what they don't know."""
    if not table.trained:
        return None
    own = Own(read(Path(table.trained)), reader.encode)
    taught = own.limits if own.screen == "moderation" else ()
    known = {*CATEGORIES, *taught, *(own.limits if own.screen == "risk" else ()), INJECTION}
    mine = {*CATEGORIES, *taught}
    wrong = [name for name, action in table.categories.items() if action != "allow" and name not in mine]
    wrong += [name for name in table.thresholds if name not in known and not any(name == one.name for one in policies)]
    if wrong:
        raise ConfigError(f"{table.trained}: knows {', '.join(own.limits)}, and not {', '.join(wrong)}")
    lost = [name for name in own.limits if all(name != one.name for one in policies)] if own.screen == "risk" else []
    if lost:
        raise ConfigError(f"{table.trained}: knows {', '.join(lost)}, and risk names no policy that is called so")
    return own


def _scores(screens: Mapping[str, Screen], text: str, kind: Kind) -> dict[str, float]:
    """By class, in the order of the screens. Injection comes first: it has a text read together with its parts."""
    names = [name for name in screens if kind == "told" or name == "moderation"]
    found = {name: screens[name].screen(text).scores for name in sorted(names, key="injection".__ne__)}
    return {f"{name}:{one}": score for name in names for one, score in found[name].items()}


def _taught_in(own: Own, limits: Mapping[str, float], parts: Sequence[str]) -> list[str]:
    """The classes of `limits` that a passage of several reaches."""
    scores = [own.scores(part) for part in parts]
    highest = {f"{own.screen}:{name}": max(one[name] for one in scores) for name in own.limits}
    return [one for one, limit in limits.items() if highest[one] >= limit]


def _limits(own: Own | None) -> dict[str, float]:
    """By class."""
    return {} if own is None else {f"{own.screen}:{name}": limit for name, limit in own.limits.items()}


def _class(name: str) -> str:
    """A category's, or injection's, as it is told: with its screen."""
    return f"injection:{name}" if name == INJECTION else f"moderation:{name}"


def blocked(what: str, found: tuple[str, ...]) -> Blocked:
    """Of a request or an answer, in words without any of its own."""
    return Blocked(f"A screen stops this {what}: {', '.join(found)}.", found)


def told(request: Request) -> list[str]:
    """The texts of users and tools, the latest first, as far as they are read."""
    texts, left = [], MOST
    for message in reversed(request.messages):
        for kind, text in _texts(message):
            if kind == "told" and left:
                texts.append(text[:left])
                left = max(left - len(text), 0)
    return texts


def fresh(request: Request) -> list[str]:
    """The texts of the last turn, the latest first: what users and tools have said since a model spoke."""
    texts: list[str] = []
    for message in reversed(request.messages):
        if message.role == "assistant":
            break
        texts += [text for _, text in _texts(message)]
    return texts


def guard(table: ScreensTable) -> Guard | None:
    """None where a route screens nothing. The first one in a process loads the weights."""
    if not actions(table) and not table.risk:
        return None
    return Guard(table, shared_reader())


@cache
def shared_reader() -> Reader:
    """Of all routes of a process. Raises ConfigError where the weights can't be read."""
    return Reader(load_weights(), load_encoder())


@cache
def shared_moderation() -> Moderation:
    """For whoever only wants to know what moderation says; so too."""
    return Moderation(shared_reader())


def _texts(message: Message) -> Iterator[tuple[Kind, str]]:
    if message.role in ("user", "tool"):
        if text := message.text:
            yield "told", text
        if not isinstance(message.content, str):
            written = [words(part, "file") for part in message.content if isinstance(part, Document)]
            yield from [("told", text) for text in written if text]
    elif message.role == "assistant":
        if text := message.text:
            yield "answered", text
        for call in message.tool_calls:
            yield "answered", _words(call.arguments)


def _words(arguments: str) -> str:
    """What a tool is told, line by line: JSON around it would drown it."""
    body = arguments.encode()
    try:
        return "\n".join(
            [unquoted(body[leaf.start : leaf.end]) for leaf in leaves(body, "value") if leaf.kind == "value"]
        )
    except BROKEN:
        return arguments
