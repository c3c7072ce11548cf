"""Dates in results, as ISO 8601 days. Only what can be read in one way: 05/01/2021 says nothing without a day order."""

from __future__ import annotations

import datetime as dt
import re

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = r"(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}\.?"
_DAY = r"(\d{1,2})(?:st|nd|rd|th)?"
_ISO = re.compile(r"(\d{4})[-/](\d{1,2})[-/](\d{1,2})(?:T00:00(?::00(?:\.0+)?)?Z?)?", re.IGNORECASE)
_NUMERIC = re.compile(r"(\d{1,2})[/.-](\d{1,2})[/.-](\d{4})")
_WEEKDAY = r"(?:(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?\.?,?\s+)?"
_NAMED = re.compile(rf"{_WEEKDAY}{_MONTH}\s+{_DAY},?\s+(\d{{4}})", re.IGNORECASE)
_BRITISH = re.compile(rf"{_WEEKDAY}{_DAY}\s+(?:of\s+)?{_MONTH},?\s+(\d{{4}})", re.IGNORECASE)


def iso_date(text: str, day_first: bool | None) -> str | None:
    """The day as YYYY-MM-DD where `text` is a date and nothing else. None where it is none, or could be two."""
    bare = text.strip(" \t\n\"'.*")
    if not 8 <= len(bare) <= 40:
        return None
    if found := _ISO.fullmatch(bare):
        return _day(int(found[1]), int(found[2]), int(found[3]))
    if found := _NAMED.fullmatch(bare):
        return _day(int(found[3]), _MONTHS.index(found[1].lower()) + 1, int(found[2]))
    if found := _BRITISH.fullmatch(bare):
        return _day(int(found[3]), _MONTHS.index(found[2].lower()) + 1, int(found[1]))
    if found := _NUMERIC.fullmatch(bare):
        return _ordered(int(found[1]), int(found[2]), int(found[3]), day_first)
    return None


def _ordered(first: int, second: int, year: int, day_first: bool | None) -> str | None:
    """Numbers in an unknown order are told as they are, so that they are equal to themselves only."""
    if first == second:
        return _day(year, first, second)
    if day_first is None:
        if first > 12:
            return _day(year, second, first)
        return _day(year, first, second) if second > 12 else f"{first:02}/{second:02}/{year}"
    return _day(year, second, first) if day_first else _day(year, first, second)


def _day(year: int, month: int, day: int) -> str | None:
    try:
        return dt.date(year, month, day).isoformat()
    except ValueError:
        return None
