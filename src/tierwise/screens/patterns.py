"""Personal data that has a form: found by the form, and by a check digit or the words before it where it has one.

Each type is a pattern that is linear in the text, what has to be true of a match, and a rank: where two overlap the
lower rank stays, then the longer one. Knows nothing of names and addresses, which have no form.

Most texts hold nothing, which has to be found out soon. So a pattern begins with a set of characters, what stands
before it comes behind that, and case is ignored by reading the text in small letters: `re` is several times as fast
with such patterns. And a form is only looked for in a text that has the words, or digits enough, for it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from tierwise.screens import national_ids as ids
from tierwise.screens.screen import Span

_NEAR = 48  # characters before a match that may say what it is
_MAILBOX = 64  # characters of a mail address before its @
_ODD = str.maketrans("\u0130\u0131\u017f\u212a", "iisk")  # what is small i, s or k for `re` where it ignores case
_ODD_ONE = re.compile("[\u0130\u0131\u017f\u212a]")
_ONLY_DIGITS = bytes(code if chr(code).isdigit() else 32 for code in range(128)) + bytes(128)
_NUMBER = re.compile(r"\d[\d .\-/()+]*")


class _Form(NamedTuple):
    type: str
    pattern: re.Pattern[str]  # of all of it, or with a group "value"
    holds: Callable[[str, str], bool]  # (the match, what stands before it, in small letters)
    needs: tuple[str, ...] = ()  # a text must hold one of them, if any, for the pattern to be tried, ...
    digits: int = 0  # ... and so many digits with no more between them than stands in numbers
    small: bool = False  # text and needs are read in small letters


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
    """By the numbers and lengths that card networks use; the rare ones only where a word says so."""
    digits = re.sub(r"\D", "", found)
    if len(set(digits)) == 1 or not luhn(digits):
        return False
    return _NETWORKS.fullmatch(digits) is not None or _said(_CARD, before)


def _said(words: re.Pattern[str], before: str) -> bool:
    return words.search(before) is not None


_NETWORKS = re.compile(  # Visa, Mastercard, American Express, Discover and UnionPay, Diners Club, JCB
    r"4\d{15}|(?:5[1-5]|2[2-7])\d{14}|3[47]\d{13}|6(?:011|22|4[4-9]|5)\d{12,13}|3(?:0[0-5]|[689])\d{11}|35\d{14}"
)
_CARD = re.compile(r"card|\bcc\b|visa|amex|mastercard|maestro|payment")
_CALL = re.compile(
    r"(?:phone|mobile|cell|tel|fax|call|desk|contact|number|reach|ring|dial|text|sms|whatsapp|answering|office|"
    r"registered|messages?)\b[^\d]{0,30}$"
)
_ACCOUNT = re.compile(
    r"(?:account|order|invoice|ref(?:erence)?|id|isbn|ticket|case|sku|zip|card|pmid)\W*(?:no|number)?\W*$"
)
_BORN = re.compile(r"(?:birth|born|dob|b-day|birthday)\b[^\d]{0,30}$")
_LICENCE = re.compile(
    r"(?:licen[cs]e|licen[cs]e number|\bdl|passport|national id|identity card|id card)\b[^\d\n]{0,24}$"
)
_NO_PHONE = re.compile(r"\d{3}-\d\d-\d{4}$|(?:19|20)\d\d-\d\d-\d\d|\d{1,2}[./]\d{1,2}[./](?:19|20)\d\d")
_AFTER_PHONE = re.compile(r"[\s-]{0,3}(?:office|fax|mobile|cell|phone|desk|home|work|f\b|m\b|o\b)")


_QUANTITY = re.compile(r"\d+\.\d+|(?:19|20)\d\d[-/](?:19|20)\d\d")  # a decimal, or years
_AMERICAN = re.compile(r"(?:1[ .-]?)?[2-9]\d\d([ .-]?)[2-9]\d\d\1\d{4}(?:(?: ?x| ext\.? ?)\d{1,6})?")
_TRUNK = re.compile(r"0[1-9]\d{0,4}(?:[ .\-/]{1,3}\d{2,8}){1,5}")


def _phone(found: str, before: str) -> bool:
    """One that is written as phones are, or that a word before it calls one."""
    digits = re.sub(r"\D", "", found)
    if not 7 <= len(digits) <= 15 or len(set(digits)) < 3 or _said(_ACCOUNT, before) or _QUANTITY.fullmatch(found):
        return False
    return _said(_CALL, before) or (len(digits) >= 8 and not _NO_PHONE.match(found) and _dialled(found, digits))


def _dialled(found: str, digits: str) -> bool:
    """With a country's code, a code in brackets, as in North America, or from the zero that elsewhere comes first."""
    if found.startswith("("):
        return True
    if found.startswith(("+", "00")):
        return 8 <= len(digits.lstrip("0")) <= 15 and (found[0] == "+" or found[2:3] not in "0 ")
    if _AMERICAN.fullmatch(found):
        return not found.isdigit()
    return 9 <= len(digits) <= 12 and _TRUNK.fullmatch(found) is not None


def _iban(found: str, before: str) -> bool:
    return mod97(found)


_NUMBERED_TEXT = re.compile(r"(?:version|release|build|firmware|section|chapter|clause|\bec|\bv|\u00a7)\s*$|[a-z]/$")


def _v4(found: str, before: str) -> bool:
    return all(int(part) < 256 for part in found.split(".")) and not _said(_NUMBERED_TEXT, before)


def _v6(found: str, before: str) -> bool:
    """Of short ones only what code would hardly write: `a::b` may be a name."""
    colons = found.count(":")
    if "::" not in found:
        return colons == 7
    return colons >= 3 or (len(found) > 6 and any(map(str.isdigit, found)))


_ID_WORDS = re.compile(
    r"(?:ssn|social security|bsn|burgerservice(?:nummer)?|sofi(?:nummer)?|pesel|aadha{1,2}r|uidai?|cpf|"
    r"steuer-?id|steuernummer|tax|tin|idnr|identifikationsnummer|national|identity|citizen|insurance|nir|"
    r"s\u00e9curit\u00e9 sociale)\b[^\d\n]{0,24}$"
)
_USUAL = re.compile(r"\d{3}[ -]\d\d[ -]\d{4}"), re.compile(r"[\d.]{11}-\d\d"), re.compile(r".*"), re.compile(r"(?!)")
_NUMBERS = (  # a check, and the spelling in which it is proof: in others, or of others, a word has to say so
    (ids.ssn, _USUAL[0]),
    (ids.cpf, _USUAL[1]),
    (ids.steuer_id, _USUAL[2]),
    (ids.nir, _USUAL[2]),
    (ids.bsn, _USUAL[3]),
    (ids.pesel, _USUAL[3]),
    (ids.aadhaar, _USUAL[3]),
)


def _numbered(found: str, before: str) -> bool:
    said = _said(_ID_WORDS, before)
    return any((said or usual.fullmatch(found)) and check(found) for check, usual in _NUMBERS)


def _lettered(found: str, before: str) -> bool:
    if len(found) == 16:
        return ids.codice_fiscale(found)
    return ids.nino(found) if found[:2].isalpha() else ids.dni(found)


_FILES = (".png", ".jpg", ".jpeg", ".gif", ".svg", ".webp", ".css", ".js")  # logo@2x.png


def _email(found: str, before: str) -> bool:
    return not found.lower().endswith(_FILES)


def _secret(found: str, before: str) -> bool:
    """Words are none, nor is code that looks one up."""
    mixed = any(map(str.isdigit, found)) or re.search(r"[!#%&*+/?@^~]", found) is not None
    return mixed and any(map(str.isalpha, found)) and not re.search(r"[(\[]|^[<${*]", found)


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
            r"(?<![\w-])(?:sk-(?:ant-|proj-)?[\w-]{16,200}|gh[pousr]_\w{30,100}|github_pat_\w{30,100}|A[KS]IA[0-9A-Z]{16}|"
            r"AIza[\w-]{35}|xox[abeoprs]-[\w-]{10,100}|glpat-[\w-]{20,50}|hf_[A-Za-z0-9]{30,40}|gsk_\w{40,60}|"
            r"(?:sk|rk|whsec)_(?:live_|test_)?\w{16,100}|SG\.[\w-]{16,32}\.[\w-]{30,60}|npm_\w{36}|pypi-\w{30,200}|"
            r"dop_v1_\w{64}|xai-\w{60,100}|r8_\w{36,40}|\d{8,10}:AA[\w-]{33}|"
            r"eyJ[\w-]{8,2000}\.[\w-]{8,4000}\.[\w-]{8,1000})(?![\w-])"
        ),
        _always,
        ("_", "sk-", "AKIA", "ASIA", "AIza", "xox", "glpat-", "SG.", "pypi-", "xai-", ":AA", "eyJ"),
    ),
    _Form(
        "secret",
        re.compile(
            r"-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----(?:[^-]|-(?!----)){0,8000}+"
            r"(?:-----END [A-Z0-9 ]{0,40}-----)?"
        ),
        _always,
        ("-----BEGIN",),
    ),
    _Form(
        "secret",
        re.compile(
            r"(?:passw(?:or)?d|passphrase|pwd(?<!\wpwd)|secret|(?:api|access|account|auth|private)[_ -]?key|token|"
            r"credentials?)[\"']?(?:\s{0,2}[=:]|\s{1,2}is:?)\s{0,2}[\"']?(?P<value>[^\s\"',;]{8,200})"
        ),
        _secret,
        ("pass", "pwd", "secret", "key", "token", "credential"),
        small=True,
    ),
    _Form("secret", re.compile(r"bearer(?<!\w.{6})\s(?P<value>[\w.~+/=-]{8,2000})"), _secret, ("bearer",), small=True),
    _Form("secret", re.compile(r"(?<=://)[^\s/:@]{1,100}:(?P<value>[^\s/@]{1,200})(?=@)"), _always, ("://",)),
    _Form(
        "email",
        re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){0,5}\.[^\W\d_]{2,24}(?![\w-])"),
        _email,
        ("@",),
    ),
    _Form(
        "url",
        re.compile(r"[hw](?<!\w.)(?:(?<=h)ttps?://|(?<=w)ww\.)[^\s<>\"'{}|\\^`]{3,2000}(?<![.,;:!?)\]])"),
        _always,
        ("://", "www."),
        small=True,
    ),
    _Form(
        "iban",
        re.compile(r"[A-Z](?<!\w.)[A-Z]\d\d(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?!\w)"),
        _iban,
        digits=2,
    ),
    _Form("ip", re.compile(r"\d(?<![\w.]\d)\d{0,2}(?:\.\d{1,3}){3}(?![\w]|\.\d)"), _v4, (".",), digits=4),
    _Form(
        "ip",
        re.compile(
            r"[0-9a-fA-F:](?<![\w:].)(?:(?<!:)[0-9a-fA-F]{0,3}:|(?<=:))"
            r"(?:[0-9a-fA-F]{0,4}:){1,6}[0-9a-fA-F]{0,4}(?![\w:])"
        ),
        _v6,
        (":",),
        digits=1,
    ),
    _Form(
        "card",
        re.compile(
            r"\d(?<![\w.-]\d)(?:\d{11,18}|\d{3}(?:([ -])\d{4}){2,3}(?:\1\d{1,3})?|\d{3}([ -])\d{6}\2\d{4,5})(?![\w-])"
        ),
        _card,
        digits=12,
    ),
    _Form(
        "national_id",
        re.compile(
            r"\d(?<![\w.+-]\d)(?:\d{8}|\d{10,11}|\d{14}|\d\d([ -])\d\d\1\d{4}|\d\d([ .])\d{3}\2\d{3}(?:-\d\d)?|"
            r"\d(?: \d{3}){3}|\d{3}([ -])\d{4}\3\d{4}|( ?)\d\d\4\d\d\4(?:\d\d|2[AB])\4\d{3}\4\d{3} ?\d\d)"
            r"(?![\w-]|[.,]\d| \d)"
        ),
        _numbered,
        digits=8,
    ),
    _Form(
        "national_id",
        re.compile(
            r"(?a)\b(?:(?:\d{8}|[XYZxyz]-?\d{7})-?[A-HJ-NP-TV-Za-hj-np-tv-z]|"
            r"[A-CEGHJ-PR-TW-Za-ceghj-pr-tw-z]{2}(?: ?\d\d){3} ?[A-Da-d])\b"
        ),
        _lettered,
        digits=6,
    ),
    _Form(
        "national_id",
        re.compile(
            r"(?a)[A-Za-z](?<!\w.)[A-Za-z]{5}[\dL-NP-Vl-np-v]{2}[A-EHLMPR-Ta-ehlmpr-t][\dL-NP-Vl-np-v]{2}[A-Za-z]"
            r"[\dL-NP-Vl-np-v]{3}[A-Za-z](?!\w)"
        ),
        _lettered,
        digits=1,
    ),
    _Form(
        "national_id",
        re.compile(r"[A-Z\d](?<![\w-].)(?:(?<=[A-Z])[A-Z]?\d|(?<=\d))[\dA-Z-]{5,18}(?![\w-])"),
        _licensed,
        digits=1,
    ),
    _Form(
        "birth_date",
        re.compile(
            rf"(?<![\w/-])(?:\d{{1,2}}[/.-]\d{{1,2}}[/.-]\d{{2,4}}|\d{{4}}-\d\d-\d\d|"
            rf"{_MONTH} \d{{1,2}}(?:st|nd|rd|th)?,? \d{{4}}|\d{{1,2}}(?:st|nd|rd|th)? (?:of )?{_MONTH},? \d{{4}}|"
            rf"(?:19|20)\d\d)(?![\w/-])"
        ),
        _born,
        ("birth", "born", "dob", "b-day"),
        digits=4,
        small=True,
    ),
    _Form(
        "phone",
        re.compile(
            r"[+(\d](?<![\w.@/:-].)(?:(?<=\+)(?:\(\d{1,4}\)|\d)|(?<=\()\d{1,4}\)|(?<=\d)(?:(?<=0)0(?:\(\d{1,4}\)|\d))?)"
            r"(?:[ .\-/]{0,2}(?:\(\d{1,4}\)|\d)){5,15}(?:(?: ?x| ext\.? ?)\d{1,6})?(?![\w@/]|[.-]\d)"
        ),
        _phone,
        digits=6,
    ),
)  # fmt: skip
TYPES = tuple(dict.fromkeys(form.type for form in _FORMS))


def formed(text: str) -> list[Span]:
    """What has a form, in the order of the text, without overlaps."""
    return apart(_matches(text))


def _matches(text: str) -> Iterator[Span]:
    small, digits = _small(text), _digits(text)
    for form in _FORMS:
        read = small if form.small else text
        if digits < form.digits or (form.needs and not any(word in read for word in form.needs)):
            continue
        group = "value" if form.pattern.groupindex else 0
        for found in _found(form, read):
            start, end = found.span(group)
            said = form.holds(text[start:end], small[max(0, start - _NEAR) : start])
            if said or (form.type == "phone" and _labelled(small, found)):
                yield Span(form.type, start, end)


def _found(form: _Form, text: str) -> Iterator[re.Match[str]]:
    """All matches. What stands too far before the next @ is no address, and is not looked at."""
    if form.type != "email":
        yield from form.pattern.finditer(text)
        return
    end = 0
    while (at := text.find("@", end)) >= 0 and (found := form.pattern.search(text, max(end, at - _MAILBOX))):
        yield found
        end = found.end()


def _small(text: str) -> str:
    """In small letters, as many as before: as `re` ignores case, so the long s is an s, and an i has no other dots."""
    return (text.translate(_ODD) if _ODD_ONE.search(text) else text).lower()


def _digits(text: str) -> int:
    """How many digits there are at most with nothing between them but what stands in numbers."""
    if text.isascii():
        return max(map(len, text.encode().translate(_ONLY_DIGITS, b" .-/()+").split()), default=0)
    return max([sum(map(str.isdecimal, found[0])) for found in _NUMBER.finditer(text)], default=0)


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
