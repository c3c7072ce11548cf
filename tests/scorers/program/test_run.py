"""Programs that are worked out node by node come to what Python makes of them, or to nothing."""

from __future__ import annotations

import time
import warnings
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tierwise.scorers.program.methods import shown
from tierwise.scorers.program.run import STEPS, Run, parsed
from tierwise.scorers.program.values import LENGTH, WRONG, CannotRun


def worked_out(source: str, steps: int = STEPS) -> str:
    """What `x` is in the end. Raises what the walk raises."""
    run = Run(steps)
    run.work(lambda: run.block(parsed(source)))
    return shown(run.names["x"])


def python(source: str) -> str:
    names: dict[str, Any] = {}
    exec(source, names)  # noqa: S102  the programs below
    return repr(names["x"])


PROGRAMS = [
    # what changes in place is seen by every name for it
    "a = [1]\nb = a\na += [2]\nx = b",
    "a = [1]\nb = a\na = a + [2]\nx = b",
    "a = [1, 2, 3, 4]\nx = a\nfor i in a:\n    if i % 2 == 0:\n        a.remove(i)",
    "x = []\nfor i in [3, 1, 2]:\n    x.insert(0, i)\nx.sort(reverse=True)\nx.reverse()",
    "x = [1, 2, 3]\ndel x[0]\ndel x[-1:]\nx[0:1] = [7, 8]",
    "d = {}\nfor c in 'abca':\n    d[c] = d.get(c, 0) + 1\nx = sorted(d.items(), key=lambda p: (-p[1], p[0]))",
    "d = {'a': 1}\nd.update({'b': 2})\nd.setdefault('c', []).append(3)\nd.pop('a')\nx = d",
    "x = dict.fromkeys('ab', 0)\nx['a'] += 5",
    "x = {k: v for k, v in zip('ab', range(2)) if v}",
    "x = sorted({c for c in 'hello'})",
    "x = [max({3, 1}), min({3, 1}), sorted({2, 1}, reverse=True), str({1}), sorted('ba', key=str)]",
    "x = [isinstance('a', str), isinstance(1, (int, str)), list(map(str, [1]))]",
    "x = {1, 2} & {2, 3} == {2}",
    "x = len({1, 2} | {2, 3}) + len({1, 2} ^ {2, 3}) + len({1, 2} - {2})",
    # texts
    "x = ' Ab c '.strip().swapcase().title().replace('b', 'xx').split('x')",
    "x = 'a-b-c'.rsplit('-', 1) + list('a-b'.partition('-'))",
    "x = ['7'.zfill(3), 'a'.center(5, '*'), 'a'.ljust(3), 'a'.rjust(3), 'a\\tb'.expandtabs(4)]",
    "x = '-'.join(map(str, [1, 2])) + '{} {b}'.format(1, b='c') + f'{3:02d}'",
    "x = ['ab'.isalpha(), '1'.isdigit(), 'A'.isupper(), 'ab'.startswith('a'), 'ab'.find('b'), 'aXb'.index('X')]",
    "x = 'abc'[::-1] + 'abc'[1:] + 'abc'[-1]",
    "x = ''.join(chr(ord(c) + 1) for c in 'HAL')",
    "x = 'aab'.removeprefix('a').rstrip('b').casefold().capitalize()",
    # functions and control
    "def f(a, b=2):\n    return a * b\nx = [f(3), f(3, 4), f(a=1, b=5)]",
    "def f(n):\n    return n if n < 2 else f(n - 1) + f(n - 2)\nx = f(6)",
    "x = (lambda a: a + 1)(2)",
    # names are seen where they were written
    "x = 5\ny = [x for x in range(3)]\nz = {x: x for x in 'ab'}",
    "a = 1\ndef g():\n    return a\ndef f():\n    a = 2\n    return [a, g()]\nx = f()",
    "def f():\n    a = 2\n    def g():\n        return a\n    a = 3\n    return g()\nx = f()",
    "a = 1\ndef f():\n    return a\na = 2\nx = f()",
    "fs = [lambda: i for i in range(3)]\nx = [f() for f in fs]",
    "x = list(filter(lambda a: a > 1, [1, 2, 3])) + list(map(lambda a: -a, [1]))",
    "x = [any([0, 1]), all([0, 1]), isinstance(1, int), isinstance('a', (list, str)), bin(5), hex(255), repr('a')]",
    "try:\n    x = [1][5]\nexcept IndexError:\n    x = 'none'",
    "try:\n    x = int('a')\nexcept (KeyError, ValueError):\n    x = 1\nelse:\n    x = 2",
    "try:\n    x = 1 / 0\nexcept:\n    x = 0",
    "x = 0\nwhile True:\n    x += 1\n    if x > 5:\n        break\nelse:\n    x = 99",
    "x: int = 5\nx = x if x else None",
    "a, (b, c) = 1, [2, 3]\n[d, e] = 'de'\nx = [a, b, c, d, e]",
    "x = [[0] * 2] * 2\nx[0][1] = 5",
    "x = 5 and 0 or 'y'",
    "y = 5\nx = 3 < 4 <= 4 != y is not None",
    "x = max('abc', key=lambda c: -ord(c)) + min(['bb', 'a'], key=len)",
    "x = [i for i in range(4) for j in range(i) if j % 2]",
    "x = list(enumerate('ab', 1)) + list(reversed([1, 2]))",
    "x = int('ff', 16) + int(3.7) + round(2.5)",
    "from collections import Counter\nx = Counter('aab').most_common(1)",
]  # fmt: skip


@pytest.mark.parametrize("source", PROGRAMS)
def test_it_is_what_python_makes_of_it(source: str) -> None:
    """To the letter."""
    assert worked_out(source) == python(source)


@pytest.mark.parametrize(
    "source",
    [
        "x = open('f')",
        "import os\nx = os.getcwd()",
        "x = ().__class__",
        "x = 'a'.__len__()",
        "x = getattr('a', 'upper')()",
        "x = eval('1')",
        "x = '{0.__class__}'.format(1)",
        "x = '{:>9999}'.format(1)",
        "x = '%9999d' % 1",
        "x = f'{1!r}'",
        "class A: pass\nx = 1",
        "a = 1\ndef f():\n    b = a\n    a = 2\n    return b\nx = f()",
        "a = 1\ndef f():\n    a += 1\n    return a\nx = f()",
        "def f():\n    a = 1\n    return 0\nf()\nx = a",
        "def f(*a):\n    return a\nx = f(1)",
        "@staticmethod\ndef f():\n    return 1\nx = f()",
        "global x\nx = 1",
        "def f():\n    yield 1\nx = list(f())",
        "x = [*[1], 2]",
        "a, *b = 1, 2\nx = b",
        "try:\n    x = 1\nfinally:\n    x = 2",
        "try:\n    x = 1 / 0\nexcept ZeroDivisionError as e:\n    x = str(e)",
        "try:\n    x = open('f')\nexcept Exception:\n    x = 1",
        "s = {1}\ns |= {2}\nx = s",
        # left to chance, or not written as here
        "x = list({'a', 'b'})",
        "x = ''.join({'a', 'b'})",
        "x = []\nfor c in {'a', 'b'}:\n    x.append(c)",
        "x = [c for c in {'a', 'b'}]",
        "x = sorted({'a', 'b'}, key=len)",
        "x = max({'a', 'b'}, key=len)",
        "x = str({'a', 'b'})",
        "x = repr({'a', 'b'})",
        "x = f'{ {1, 2} }'",
        "x = str({1: 2}.keys())",
        "x = f'{ {1: 2}.items() }'",
        "from collections import Counter\nx = str(Counter('ab'))",
        "x = {'a': 1}.keys()",
        "from collections import Counter\nx = Counter('a')",
        "x = len",
        "d = {1: 1}\nfor k in d:\n    d[2] = 2\nx = d",
        # too large
        "x = 'a' * 10 ** 9",
        "x = [0] * 10 ** 9",
        "x = 2 ** 10 ** 9",
        "x = 'aa'.replace('a', 'b' * 999)",
        "x = ('ab' * 400).join('ab' * 400)",
        "x = 'a'.zfill(10 ** 9)",
        "x = '\\t'.expandtabs(10 ** 9)",
        "x = [1]\nwhile True:\n    x.extend(x)",
        "x = [1]\nx.append(x)\nx = x == x",
        "x = range(10 ** 9)",
        "x = int('9' * 900)",
        "while True:\n    x = 1",
        "def f():\n    return f()\nx = f()",
        "x = " + "(" * 300 + "1" + ")" * 300,
        "x = " + "-" * 900 + "1",
        "x = 1 +",
        "break",
        "return 1",
    ],
)
def test_whatever_else_is_in_it_comes_to_nothing(source: str) -> None:
    """Unknown, left to chance, or too large; without a warning, and at once."""
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(CannotRun):
            worked_out(source)
    assert time.process_time() - start < 0.5


@pytest.mark.parametrize(
    "source", ["x = [][0]", "x = {}['a']", "x = 1 / 0", "x = 'a' + 1", "x = int('a')", "a, b = [1]"]
)
def test_its_own_errors_are_pythons(source: str) -> None:
    """They are what a program did wrong."""
    with pytest.raises(WRONG):
        worked_out(source)


def test_steps_are_counted() -> None:
    """A loop that takes more than there are is given up."""
    loop = "x = 0\nfor i in range({}):\n    x += i"
    assert worked_out(loop.format(20), 200) == "190"
    with pytest.raises(CannotRun):
        worked_out(loop.format(100), 200)


def test_large_values_cost_more_steps() -> None:
    """As they take longer."""
    run = Run()
    run.work(lambda: run.block(parsed(f"x = list(range({LENGTH}))")))
    assert STEPS - run.left > LENGTH // 8


@given(st.lists(st.integers(-99, 99), max_size=8), st.text("ab cXY1-", max_size=12))
@settings(max_examples=100)
def test_of_any_list_and_text(numbers: list[int], text: str) -> None:
    """The same as Python."""
    source = (
        f"a = {numbers!r}\nt = {text!r}\n"
        "x = [sorted(a), sum(a), a[::2], t.split(), t.upper().count('X'), t[1:-1], len(set(t)), str(a) + t,\n"
        "     [i * 2 for i in a if i > 0], dict(zip(t, a)), t.strip().title(), max(a + [0]), -7 // (len(a) + 1)]"
    )
    assert worked_out(source) == python(source)
