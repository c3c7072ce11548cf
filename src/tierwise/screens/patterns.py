"""Personal data that has a form: found by the form, and by a check digit or the words before it where it has one.

Each type is a pattern that is linear in the text, what has to be true of a match, and a rank: where two overlap the
lower rank stays, then the longer one. Knows nothing of names and addresses, which have no form.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from tierwise.screens.screen import Span

_DIGIT = re.compile(r"\d")
_NUMBERED = frozenset({"iban", "ip", "card", "national_id", "birth_date", "phone"})
_NEAR = 48  # characters before a match that may say what it is


class _Form(NamedTuple):
    type: str
    pattern: re.Pattern[str]
    holds: Callable[[str, str], bool]  # (the match, what stands before it)
    needs: str = ""  # that a text must hold for the pattern to be tried


def _always(found: str, before: str) -> bool:
    return True


def luhn(digits: str) -> bool:
    """Whether a card's last digit fits the others. `digits` may hold spaces and hyphens."""
    numbers = [int(digit) for digit in reversed(digits) if digit.isdigit()]
    doubled = [number * 2 - 9 * (number > 4) for number in numbers[1::2]]
    return (sum(numbers[::2]) + sum(doubled)) % 10 == 0


def mod97(iban: str) -> bool:
    """Whether an IBAN's two check digits fit (ISO 13616)."""
    plain = re.sub(r"\W", "", iban).upper()
    return int("".join(str(int(letter, 36)) for letter in plain[4:] + plain[:4])) % 97 == 1


def _card(found: str, before: str) -> bool:
    digits = re.sub(r"\D", "", found)
    if len(set(digits)) == 1 or not 12 <= len(digits) <= 19:
        return False
    return luhn(digits) and (len(digits) > 12 or _said(_CARD, before))


def _said(words: re.Pattern[str], before: str) -> bool:
    return words.search(before) is not None


_CARD = re.compile(r"(?i)card|\bcc\b|visa|amex|mastercard|maestro|payment")
_CALL = re.compile(
    r"(?i)(?:phone|mobile|cell|tel|fax|call|desk|contact|number|reach|ring|dial|text|sms|whatsapp|answering|office|"
    r"registered|messages?)\b[^\d]{0,30}$"
)
_ACCOUNT = re.compile(
    r"(?i)(?:account|order|invoice|ref(?:erence)?|id|isbn|ticket|case|sku|zip|card|pmid)\W*(?:no|number)?\W*$"
)
_BORN = re.compile(r"(?i)(?:birth|born|dob|b-day|birthday)\b[^\d]{0,30}$")
_LICENCE = re.compile(
    r"(?i)(?:licen[cs]e|licen[cs]e number|\bdl|passport|national id|identity card|id card)\b[^\d\n]{0,24}$"
)
_NO_PHONE = re.compile(r"\d{3}-\d\d-\d{4}$|(?:19|20)\d\d-\d\d-\d\d|\d{1,2}[./]\d{1,2}[./](?:19|20)\d\d")
_AFTER_PHONE = re.compile(r"(?i)[\s-]{0,3}(?:office|fax|mobile|cell|phone|desk|home|work|f\b|m\b|o\b)")


def _phone(found: str, before: str) -> bool:
    digits = re.sub(r"\D", "", found)
    if not 7 <= len(digits) <= 15 or _said(_ACCOUNT, before):
        return False
    formed = found.startswith(("+", "00", "(")) or len(re.findall(r"\d+", found)) >= 3
    return (formed and len(digits) >= 8 and not _NO_PHONE.match(found)) or _said(_CALL, before)


def _iban(found: str, before: str) -> bool:
    return mod97(found)


def _ssn(found: str, before: str) -> bool:
    area, group, serial = found[:3], found[4:6], found[-4:]
    return area not in ("000", "666") and group != "00" and serial != "0000"


def _v4(found: str, before: str) -> bool:
    return all(int(part) < 256 for part in found.split(".")) and not re.search(r"(?i)(?:version|v)\s*$", before)


def _v6(found: str, before: str) -> bool:
    return found.count(":") >= 3 and ("::" in found) != (found.count(":") == 7)


def _dni(found: str, before: str) -> bool:
    return "TRWAGMYFPDXBNJZSQVHLCKE"[int(re.sub(r"\D", "", found)) % 23] == found[-1].upper()


def _nino(found: str, before: str) -> bool:
    return found[:2].upper() not in {"BG", "GB", "KN", "NK", "NT", "TN", "ZZ"}


def _born(found: str, before: str) -> bool:
    return _said(_BORN, before)


def _licensed(found: str, before: str) -> bool:
    return _said(_LICENCE, before) and any(letter.isdigit() for letter in found)


_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}\.?"

# In order of rank.
_FORMS = (
    _Form(
        "secret",
        re.compile(
            r"(?<![\w-])(?:sk-(?:ant-|proj-)?[\w-]{16,200}|gh[pousr]_\w{30,100}|github_pat_\w{30,100}|AKIA[0-9A-Z]{16}|"
            r"AIza[\w-]{35}|xox[abprs]-[\w-]{10,100}|glpat-[\w-]{20}|hf_[A-Za-z]{30,40}|[rs]k_live_\w{16,100}|"
            r"eyJ[\w-]{8,2000}\.[\w-]{8,4000}\.[\w-]{8,1000})(?![\w-])"
        ),
        _always,
    ),
    _Form(
        "secret",
        re.compile(r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----[^-]{0,8000}(?:-----END [A-Z ]{0,30}-----)?"),
        _always,
        "-----BEGIN",
    ),
    _Form(
        "secret",
        re.compile(
            r"(?i)(?<=[\s\"'_:=])(?:(?<=password[=:])|(?<=passwd[=:])|(?<=secret[=:])|(?<=api_key[=:])|(?<=apikey[=:])|"
            r"(?<=token[=:])|(?<=password: )|(?<=secret: )|(?<=api key: )|(?<=api_key: )|(?<=token: )|(?<=bearer ))"
            r"[^\s\"',;]{8,200}"
        ),
        _always,
    ),
    _Form(
        "email",
        re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){0,5}\.[^\W\d_]{2,24}(?![\w-])"),
        _always,
        "@",
    ),
    _Form("url", re.compile(r"(?i)(?<!\w)(?:https?://|www\.)[^\s<>\"'{}|\\^`]{3,2000}(?<![.,;:!?)\]])"), _always),
    _Form("iban", re.compile(r"(?<!\w)[A-Z]{2}\d\d(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?!\w)"), _iban),
    _Form("ip", re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w]|\.\d)"), _v4),
    _Form("ip", re.compile(r"(?<![\w:])(?:[0-9a-fA-F]{0,4}:){3,7}[0-9a-fA-F]{0,4}(?![\w:])"), _v6, ":"),
    _Form("card", re.compile(r"(?<![\w.-])\d(?:[ -]?\d){11,18}(?![\w-])"), _card),
    _Form("national_id", re.compile(r"(?<![\w-])\d{3}([- ])\d\d\1\d{4}(?![\w-])"), _ssn),
    _Form("national_id", re.compile(r"(?i)(?<!\w)[XYZ]?\d{7,8}-?[A-HJ-NP-TV-Z](?!\w)"), _dni),
    _Form("national_id", re.compile(r"(?i)(?<!\w)[A-CEGHJ-PR-TW-Z]{2} ?\d\d ?\d\d ?\d\d ?[A-D](?!\w)"), _nino),
    _Form("national_id", re.compile(r"(?<![\w-])[A-Z]{0,2}\d[\dA-Z-]{5,18}(?![\w-])"), _licensed),
    _Form(
        "birth_date",
        re.compile(
            rf"(?i)(?<![\w/-])(?:\d{{1,2}}[/.-]\d{{1,2}}[/.-]\d{{2,4}}|\d{{4}}-\d\d-\d\d|"
            rf"{_MONTH} \d{{1,2}}(?:st|nd|rd|th)?,? \d{{4}}|\d{{1,2}}(?:st|nd|rd|th)? (?:of )?{_MONTH},? \d{{4}}|"
            rf"(?:19|20)\d\d)(?![\w/-])"
        ),
        _born,
    ),
    _Form(
        "phone",
        re.compile(
            r"(?<![\w.@/:-])(?:\+|00)?(?:\(\d{1,4}\)|\d)(?:[ .\-/]{0,2}(?:\(\d{1,4}\)|\d)){5,15}"
            r"(?:(?: ?x| ext\.? ?)\d{1,6})?(?![\w@/]|[.-]\d)"
        ),
        _phone,
    ),
)  # fmt: skip
TYPES = tuple(dict.fromkeys(form.type for form in _FORMS))


def formed(text: str) -> list[Span]:
    """What has a form, in the order of the text, without overlaps."""
    return apart(_matches(text))


def _matches(text: str) -> Iterator[Span]:
    digits = _DIGIT.search(text) is not None
    for form in _FORMS:
        if form.needs not in text or (form.type in _NUMBERED and not digits):
            continue  # most texts hold nothing: that is found out in a fraction of the time
        for found in form.pattern.finditer(text):
            before = text[max(0, found.start() - _NEAR) : found.start()]
            said = form.holds(found[0], before)
            if said or (form.type == "phone" and _labelled(text, found)):
                yield Span(form.type, found.start(), found.end())


def _labelled(text: str, found: re.Match[str]) -> bool:
    """Whether the words after a number say that it is a phone's."""
    return _AFTER_PHONE.match(text, found.end()) is not None and 7 <= sum(map(str.isdigit, found[0])) <= 15


def apart(spans: Iterator[Span] | list[Span]) -> list[Span]:
    """Of spans in order of rank those that overlap none before them, in the order of the text."""
    kept: list[Span] = []
    taken = bytearray()
    for span in spans:
        if len(taken) < span.end:
            taken.extend(bytes(span.end - len(taken)))
        if not any(taken[span.start : span.end]):
            taken[span.start : span.end] = b"\x01" * (span.end - span.start)
            kept.append(span)
    return sorted(kept, key=lambda span: span.start)
