"""A route's rule for personal data: masked before anybody reads it, stopped, or only sent where it may go.

Joins what finds it (`screens/privacy.py`), what masks it (`masking.py`), what turns it back (`screens/restoring.py`)
and where it may go (`residence.py`). What is found of a request is told by its type alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial

import msgspec

from tierwise.gateway.screening.gate import Clean, Flows
from tierwise.gateway.screening.masking import Way, mask
from tierwise.gateway.screening.residence import Residence, allowed
from tierwise.gateway.tables.screen_table import ScreensTable
from tierwise.screens.privacy import Privacy
from tierwise.screens.recogniser import Recogniser
from tierwise.screens.restoring import Restore
from tierwise.screens.screen import Span
from tierwise.screens.weights import load_weights
from tierwise.types import Request, Route

LONG = 20_000  # bytes of a body from which it is read aside: others go on meanwhile

Decode = Callable[[bytes], Request]


class Private:
    """One route's. May be asked from several threads."""

    def __init__(self, table: ScreensTable, screen: Privacy) -> None:
        self._way = table.privacy
        self._types = frozenset(table.privacy_types)
        self._rule = Residence(table.personal_regions, table.personal_open_weights, table.personal_retention_days)
        self._screen = screen

    async def clean(self, request: Request, route: Route, body: bytes, decode: Decode) -> Clean:
        """`body` is what `decode` made the request of. Raises BadRequest; Forbidden where no model may have it."""
        if request.continues:  # what went before came back with its values in it
            body = msgspec.json.encode(dict(request.body))
        if len(body) < LONG:
            return self._clean(request, route, body, decode)
        return await asyncio.to_thread(self._clean, request, route, body, decode)

    def _clean(self, request: Request, route: Route, body: bytes, decode: Decode) -> Clean:
        others: set[str] = set()
        way: Way = "replace" if self._way == "replace" else "redact"
        masked, marks, types = mask(body, partial(self._spans, others), way)
        found = tuple([f"privacy:{kind}" for kind in types])
        if self._way == "block" and types:
            return Clean(request, route, found=found, stopped=True)
        masks = self._way in ("redact", "replace")
        route = allowed(route, self._rule, personal=bool(others or (types and not masks)))
        if not masks:
            return Clean(request, route, found=found if self._way == "flag" else ())
        if masked is body:
            return Clean(request, route)
        new = _again(request, decode(masked))
        return Clean(new, route, _restoring(marks, new) if marks else None, before=request)

    def _spans(self, others: set[str], text: str) -> Sequence[Span]:
        """Those that the rule is about; the types of all others are told to `others`."""
        spans = self._screen.spans(text)
        if not self._types:
            return spans
        others.update(span.type for span in spans if span.type not in self._types)
        return [span for span in spans if span.type in self._types]


def private(table: ScreensTable) -> Private | None:
    """None where a route does nothing about it. The first one in a process loads the weights."""
    bare = table.personal_open_weights and not table.personal_regions and table.personal_retention_days is None
    return None if table.privacy == "off" and bare else Private(table, _shared())


@cache
def _shared() -> Privacy:
    """Of all routes of a process. Raises ConfigError where the weights can't be read."""
    return Privacy(Recogniser(load_weights().recogniser))


def _restoring(marks: Mapping[str, str], request: Request) -> Flows:
    return lambda: (Restore(marks, json_answer=request.json_answer),)


def _again(before: Request, request: Request) -> Request:
    """The request that was decoded anew, with what others than its body had said of it."""
    return msgspec.structs.replace(
        request, deadline_s=before.deadline_s, extras=before.extras, continues=before.continues, tags=before.tags
    )
