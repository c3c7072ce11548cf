"""The free check `arithmetic`: the sums that an answer writes out are right.

Every equation between numbers is worked out again, exactly (integers and fractions; nothing is executed). A result
may be rounded as it is displayed, and an equation is wrong only if no usual reading of it holds: percents as parts
or as points, operators by precedence or from left to right, `3 + 4 = 7 * 2 = 14` as two steps, a dash as a dash.

It knows sums, not whether they were the ones to do: an answer without a wrong sum may well be wrong.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from fractions import Fraction
from math import gcd
from typing import NamedTuple

from tierwise.scorers.equations import Equation, Side, Token, found, packed
from tierwise.types import Answer, Checks, Evidence, Request

TERMS = 32  # numbers of one side, at most
BITS = 400  # no result that takes more is worked out
MISSES = 5  # equations that don't hold as they stand, after which no more are looked at ...
FEW_MISSES = 2  # ... in a packed text
FINE = 10**8  # results displayed in smaller parts than these come from floating point ...
FLOAT = 16  # ... and may be off by this many of their last places
ABOUT = 20  # a result after "about equal" may be off by one part in so many

Ratio = tuple[int, int]
"""Numerator and positive denominator, not reduced: ten times as fast as Fractions, which reduce every result."""

_PRECEDENCE: dict[str, float] = {"+": 1, "-": 1, "*": 2, "/": 2, "negate": 3, "^": 4}
_FLAT = {**_PRECEDENCE, "*": 1, "/": 1, "^": 1}  # from left to right, like a pocket calculator
_FRACTIONS = {**_PRECEDENCE, "/": 2.5}  # "4 / 1/6" divides by a sixth
_PRODUCTS = {**_PRECEDENCE, "*": 2.5}  # "1/2(3)(4)" divides by the product
_COINS = frozenset(["cent", "cents", "penny", "pennies", "nickel", "nickels", "dime", "dimes", "quarter", "quarters"])
_DOT_FOR_THOUSANDS = re.compile(r"[1-9]\d{0,2}(?:\.\d{3})+")  # how much of the world writes 1,250
_MODULAR = re.compile(r"\(mod|\\p?mod|≡|\\equiv|\bmodulo\b")
_DENIED = re.compile(
    r"\s*(?:\?|≠|\.\.|…)|[^.]{0,40}?(?:\b(?:not|false|incorrect|wrong|contradict\w*|impossible)\b|n't\b)"
)


class _Odd(Exception):
    """The sum can't be worked out; never leaves this file."""


class Count(NamedTuple):
    """Equations of a text. `plain`: how many of the wrong ones are sums of whole numbers with one number as result."""

    checked: int
    wrong: int
    plain: int


def arithmetic(request: Request, answer: Answer, checks: Checks) -> Evidence:
    """No sum of whole numbers, in any choice, has a wrong result.

    `value` is the share of wrong equations among those checked, in [0, 1], of the worst choice; None where none
    could be checked. Wrong ones with decimals, powers, percents or two sums in them leave `passed` at None: rounding
    and shorthand explain too many of them. What is told as False is a wrong sum, which an answer may survive (a
    multiple choice that it reaches all the same): benchmarks/checks.py says how often. Of a packed text too little is
    read to say that all is right.
    """
    counts = [count for count in [counted(choice.text) for choice in answer.choices] if count.checked]
    if not counts:
        return Evidence("arithmetic", None)
    share = max([count.wrong / count.checked for count in counts])
    worst = max(counts, key=lambda count: (count.plain > 0, count.wrong / count.checked)) if share else counts[0]
    unread = any(packed(choice.text) for choice in answer.choices)  # and what is not read may be wrong
    passed = False if worst.plain else (None if worst.wrong or unread else True)
    return Evidence("arithmetic", passed, f"{worst.wrong} of {worst.checked} equations wrong", share)


def counted(text: str) -> Count:
    """The count of a text, up to the MISSES-th equation that doesn't hold as it stands."""
    right = wrong = plain = misses = 0
    most = FEW_MISSES if packed(text) else MISSES
    for equation in found(text):
        verdict = judged(equation)
        right += verdict is True
        misses += verdict is not True
        if verdict is False:
            wrong += 1
            plain += _plain(equation)
        if misses == most:
            break
    if wrong and ("mod" in text or "equiv" in text or "≡" in text) and _MODULAR.search(text):
        return Count(right, 0, 0)
    return Count(right + wrong, wrong, plain)


def _plain(equation: Equation) -> bool:
    left, right, _, _ = equation
    odd = any(text == "^" or kind == "p" or "." in text for kind, text in (*left.tokens, *right.tokens))
    return right.plain and not odd


def judged(equation: Equation) -> bool | None:
    """Whether the equation holds; None where that can't be said."""
    left, right, about, _ = equation
    try:
        meant, said = _ratio(left.tokens), _ratio(right.tokens)
        if _equal(meant, said):
            return True
        lefts, rights = list(_readings(left, meant, before=True)), list(_readings(right, said, before=False))
        if any(_equal(a, b) for a, _ in lefts for b, _ in rights):
            return True
        doubt = _doubt(equation)
        # What the likeliest two mean (with percents in parts, and in points) may also be rounded.
        if any(_close(a, b, doubt, about=about) for a in lefts[:2] for b in rights[:2]):
            return True
        return None if _excused(equation, meant, said) else False
    except (_Odd, ZeroDivisionError):
        return None


def _equal(left: Ratio, right: Ratio) -> bool:
    return left[0] * right[1] == right[0] * left[1]


def _excused(equation: Equation, meant: Ratio, said: Ratio) -> bool:
    """Whether there is a reason to leave an equation alone that does not hold as it stands."""
    left, right, about, after = equation
    if about or _converts(left.measures, right.measures) or _DENIED.match(after):
        return True
    numbers = [text for kind, text in (*left.tokens, *right.tokens) if kind == "n"]
    if any(_DOT_FOR_THOUSANDS.fullmatch(text) for text in numbers):
        return True
    above, below = meant
    if _equal((100 * above, below), said) or _equal((above, 100 * below), said):  # cents and percents that nobody names
        return True
    minus = {text for kind, text in left.tokens if kind == "o"} == {"-"}
    if minus and above < 0 and _equal((-above, below), said):  # a difference
        return True
    return not after and f"{above / below:.6f}".startswith(numbers[-1].replace(",", ""))  # cut off in the number


def _converts(left: frozenset[str], right: frozenset[str]) -> bool:
    """Whether the sides are told in different units, so that their numbers may differ."""
    if left and right and left != right:
        return True
    return len(left) > 1 or (left != right and not _COINS.isdisjoint(left | right))


Reading = tuple[Ratio, int]
"""A value, and the parts of one to which it is displayed where it is one number (100 for "3.14"), else 0."""


def _readings(side: Side, value: Ratio, *, before: bool) -> Iterator[Reading]:
    """What a side may mean, the likeliest first: its `value`. `before`: it stands left of the equals sign."""
    tokens = side.tokens
    percents = any(kind == "p" for kind, _ in tokens)
    parts = _parts(tokens) if side.plain else 0
    yield value, 100 * parts if percents else parts
    if percents:
        tokens = [token for token in tokens if token[0] != "p"]
        yield _ratio(tokens), parts
    operators = [text for kind, text in tokens if kind == "o"]
    yield from [(_ratio(tokens, precedence), 0) for precedence in _otherwise(operators)]
    if not before and operators:  # "3 + 4 = 7 * 2": the next step begins with this one's result
        first = tokens[: 1 + next(at for at, (kind, _) in enumerate(tokens) if kind == "n")]
        if first[0][0] in "ng":
            yield _ratio(first), _parts(first)
    if before and "-" in operators[:1] and len(operators) > 1:  # "Day 1 - 3 + 4 = 7"
        dash = tokens.index(("o", "-"))
        if tokens[0][0] == "n" and dash == 1:
            yield _ratio(tokens[2:]), 0


def _otherwise(operators: list[str]) -> Iterator[dict[str, float]]:
    """The precedences by which these operators may have been meant to bind."""
    if not {"+", "-"}.isdisjoint(operators) and not {"*", "/", "^"}.isdisjoint(operators):
        yield _FLAT
    if operators.count("/") > 1:
        yield _FRACTIONS
    if "/" in operators and "*" in operators[operators.index("/") :]:
        yield _PRODUCTS


def _parts(tokens: list[Token]) -> int:
    return _number(next(text for kind, text in tokens if kind == "n"))[1]


Doubt = tuple[Ratio, Ratio]
"""How far rounded numbers may have moved a result: at least, and in proportion to its size."""


def _close(left: Reading, right: Reading, doubt: Doubt, *, about: bool) -> bool:
    """Equal but for what rounding can explain: to the displayed place, or of the numbers that went in."""
    (a, b), (c, d) = left[0], right[0]
    parts = right[1] or left[1]
    exact, shown = (left[0], right[0]) if right[1] else (right[0], left[0])
    places = 0
    if parts and exact[0] * parts % exact[1] and not shown[0] * parts % shown[1]:
        places = FLOAT if parts > FINE else 1
    parts = parts or 1
    # Everything times the product of the denominators, and times the parts: whole numbers.
    gap = abs(a * d - c * b) * parts - places * b * d
    size = max(abs(a) * d, abs(c) * b) * parts
    least, share = doubt
    if gap * least[1] < least[0] * b * d * parts or gap * share[1] < share[0] * size:
        return True
    return about and gap * ABOUT < size


def _doubt(equation: Equation) -> Doubt:
    """Of the numbers that look rounded: 0.33 and 66.7 do, 0.25 and 1.5 don't."""
    least = (0, 1)
    above, below = 0, 1
    for kind, text in (*equation.left.tokens, *equation.right.tokens):
        if kind != "n" or "." not in text:
            continue
        digits = text.lstrip("0.").replace(".", "")
        if len(digits) >= 2 and digits[-1] not in "05":
            number, parts = _number(text)
            if not least[0] or 2 * parts < least[1]:
                least = 1, 2 * parts
            above, below = above * number + below, below * number  # one in the number without its point
    if not below:
        raise ZeroDivisionError
    return least, (above, below)


@functools.lru_cache(maxsize=4096)
def _number(text: str) -> Ratio:
    whole, _, decimals = text.replace(",", "").partition(".")
    return int(whole + decimals), 10 ** len(decimals)


def _ratio(tokens: list[Token], precedence: dict[str, float] = _PRECEDENCE) -> Ratio:
    """The value of a sum, by two stacks."""
    if len(tokens) == 1:
        return _number(tokens[0][1])
    if len(tokens) == 3 and tokens[1][0] == "o":  # one number, an operator, another number: most sums
        return _applied(tokens[1][1], _number(tokens[0][1]), _number(tokens[2][1]))
    if len(tokens) > TERMS and sum([kind == "n" for kind, _ in tokens]) > TERMS:
        raise _Odd
    values: list[Ratio] = []
    operators: list[str] = []
    for kind, text in tokens:
        if kind == "n":
            values.append(_number(text))
        elif kind == "p":
            above, below = values.pop()
            values.append((above, below * 100))
        elif kind == "r":
            _unwind(values, operators, precedence, 0)
            operators.pop()
        else:
            if kind == "o" and operators:
                # Division that binds more strongly than its neighbours also begins from the right.
                _unwind(values, operators, precedence, precedence[text] + (precedence[text] == 2.5 and text == "/"))
            operators.append(text)
    _unwind(values, operators, precedence, 0)
    if len(values) != 1:
        raise _Odd
    return values[0]


def _unwind(values: list[Ratio], operators: list[str], precedence: dict[str, float], least: float) -> None:
    """Apply what stands on the stack and binds at least that strongly, down to a bracket."""
    while operators and operators[-1] != "(" and precedence[operators[-1]] >= least:
        operator, right = operators.pop(), values.pop()
        if operator == "negate":
            values.append((-right[0], right[1]))
            continue
        if not values:
            raise _Odd
        values.append(_applied(operator, values.pop(), right))


def _applied(operator: str, left: Ratio, right: Ratio) -> Ratio:
    (a, b), (c, d) = left, right
    if operator == "+":
        above, below = a * d + c * b, b * d
    elif operator == "-":
        above, below = a * d - c * b, b * d
    elif operator == "*":
        above, below = a * c, b * d
    elif operator == "/":
        above, below = (a * d, b * c) if c > 0 else (-a * d, -b * c)
    else:
        above, below = _power(left, right)
    if not below:
        raise ZeroDivisionError
    if above.bit_length() + below.bit_length() > BITS:
        common = gcd(above, below)
        above, below = above // common, below // common
        if above.bit_length() + below.bit_length() > BITS:
            raise _Odd
    return above, below


def _power(base: Ratio, exponent: Ratio) -> Ratio:
    left, right = Fraction(*base), Fraction(*exponent)
    bits = left.numerator.bit_length() + left.denominator.bit_length()
    if right.denominator != 1 or bits * abs(right.numerator) > BITS:
        raise _Odd
    return (left**right.numerator).as_integer_ratio()
