"""Requests and answers as values, for the tests of scorers."""

from __future__ import annotations

from typing import Any

from tierwise.types import Answer, Checks, Choice, Evidence, Finish, Message, Request, Usage

CHECKS = Checks()


def request(**fields: Any) -> Request:
    return Request(id="r", asked="support", messages=(Message("user", "Where is my card?"),), **fields)


def answer(*texts: str, finish: Finish | None = "stop", complete: bool = True, **fields: Any) -> Answer:
    choices = tuple(Choice(text=text, finish=finish, **fields) for text in texts)
    return Answer("cheap", choices, Usage(10, 20), complete)


def shown(found: Evidence) -> tuple[bool | None, str]:
    return found.passed, found.detail
