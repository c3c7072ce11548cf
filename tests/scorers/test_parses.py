"""The check `parses`: code blocks that parse, that don't, and that may be meant so."""

from __future__ import annotations

import logging
import time
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.scorers.build import CHECKS, answer, request, shown
from tierwise.scorers.parses import load, parses
from tierwise.scorers.reading import MARKS
from tierwise.types import Evidence, Message, Request, Text

CODE = Request(id="r", asked="support", messages=(Message("user", "Write a function that doubles a number."),))


def block(language: str, code: str) -> str:
    return f"Here it is:\n\n```{language}\n{code}\n```\n\nThat is all."


def found(text: str, asked: Request = CODE, *, complete: bool = True) -> Evidence:
    return parses(asked, answer(text, complete=complete), CHECKS)


SOUND = [
    ("python", "def f(x):\n    return 2 * x"),
    ("py", "    x = 1\n    y = ...\n"),
    ("json", '{"a": [1, 2], "b": "two\nlines"}'),
    ("sql", "SELECT a, COUNT(*) FROM t WHERE b = 'x' GROUP BY a;"),
    ("javascript", "const f = async (x) => { return x * 2; };"),
    ("js", "document.querySelector('a').onclick = () => alert(`hi ${name}`);"),
    ("typescript", "let n: number = (<string>value).length;"),
    ("tsx", "const a = <b>{x as string}</b>;"),
    ("java", "public class A { int f(int x) { return 2 * x; } }"),
    ("c", "#include <stdio.h>\nint main(void) { return 0; }"),
    ("c++", "std::vector<int> v{1, 2};\nauto f = [](int x) { return x; };"),
    ("go", "package main\n\nfunc f(x int) int { return 2 * x }"),
    ("rust", "fn f(x: i32) -> i32 { 2 * x }"),
    ("bash", 'for f in *.txt; do echo "$f"; done'),
]


@pytest.mark.parametrize(("language", "code"), SOUND)
def test_sound_code_passes(language: str, code: str) -> None:
    """Code of every language passes, fragments too."""
    result = found(block(language, code))
    assert (result.passed, result.value) == (True, 1.0)


@pytest.mark.parametrize(
    "code",
    [
        "def f(x):\n    return (2 * x\n\nprint(f(1))",
        "x = [1, 2)\nprint(x)",
        "print('hello)\n",
        "# doubles\n\ndef f(x):\n    return x]",
    ],
)
def test_python_with_an_open_bracket_or_string_fails(code: str) -> None:
    """A bracket or string that never closes is broken code; the language is told."""
    assert shown(found(block("python", code))) == (False, "1 of 1 blocks don't parse: python")


SOFT = [
    ("python", "def f(x):\n    # your code here\n"),
    ("python", "else:\n    x = 1"),
    ("python", "function f(x): return x"),
    ("python", "print 'hello'"),
    ("python", "x = foo(a,\n    ...\n"),
    ("python", "!pip install x"),
    ("python", ">>> f(2\n4"),
    ("json", "{'a': 1}"),
    ("json", '{"a": 1, // the first\n}'),
    ("sql", "git commit -m 'Initial commit'"),
    ("javascript", "function* f(): Generator<Effect> { }"),
    ("java", "int x = 0}"),
    ("bash", "git show <branch>"),
]


@pytest.mark.parametrize(("language", "code"), SOFT)
def test_what_may_be_meant_so_is_only_told(language: str, code: str) -> None:
    """Placeholders, pseudo-code and other dialects are measured, not judged."""
    result = found(block(language, code))
    assert (result.passed, result.value) == (None, 0.0)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "No code here.",
        block("", "x = (1"),
        block("haskell", "main = print 1"),
        block("json", '"scripts": {"a": 1}'),
        block("python", "  \n"),
        block("sql", "SELECT " + "a, " * 200 + "b FROM t"),
        "```python\nx = (1\n",
        "```python\nx = (1\n```python\n",
    ],
)
def test_other_text_is_not_looked_at(text: str) -> None:
    """No language, one that isn't known, a fragment of JSON, long SQL, and a block that is still open."""
    assert found(text) == Evidence("parses", None)


def test_an_answer_that_is_all_code_is_looked_at() -> None:
    """Where code was asked for, an answer without fences that begins like Python must parse."""
    body = "result = []\n    for x in numbers:\n        result.append(x)\n    return result"
    assert found("def f(x):\n    return 2 * x").passed is True
    assert found(body).passed is True
    assert found("return x * 2").passed is True
    assert found("# doubles\ndef f(x)\n    return 2 * x").passed is False
    assert found("return sorted(x, key=lambda s: len(s) \\% 2)").passed is False


@pytest.mark.parametrize(
    "text",
    [
        "For example, you can double a number.",
        "# Doubling\n\nUse the operator.",
        "## Step 1\n\nWe double",
        "import x\n>>> f(2\n",
        "import a\n" + "f(x)\n" * 1_200,
    ],
)
def test_prose_is_no_code(text: str) -> None:
    """Prose, Markdown, sessions and what is too long to parse are left alone."""
    assert found(text).passed is None


def test_code_that_nobody_asked_for_is_left_alone() -> None:
    """Without fences only an answer to a question about code is looked at, and only when it is complete."""
    broken = "def f(x)\n    return x"
    parts = Request(id="r", asked="x", messages=(Message("user", (Text("Please"), Text("implement it"))),))
    assert found(broken, request()).passed is None
    assert found(broken, Request(id="r", asked="x", messages=())).passed is None
    assert found(broken, complete=False).passed is None
    assert found(broken, parts).passed is False


def test_the_share_of_blocks_is_told() -> None:
    """`value` is the share that parses, `detail` names the languages that don't."""
    text = block("python", "x = 1") + block("python", "x = (1") + block("json", "{1}") + block("json", "[1]")
    assert found(text) == Evidence("parses", False, "2 of 4 blocks don't parse: json, python", 0.5)


def test_the_worst_choice_counts() -> None:
    """Of several choices the worst is told; a broken one before a merely odd one."""
    good, odd, broken = block("python", "x = 1"), block("json", "{1}"), block("python", "x = (1") + block("c", "int x;")
    result = parses(CODE, answer(good, odd, broken, "no code"), CHECKS)
    assert (result.passed, result.value) == (False, 0.5)
    assert parses(CODE, answer(good, odd), CHECKS).passed is None
    assert parses(CODE, answer(good, "no code"), CHECKS).passed is True


def test_fences_inside_fences() -> None:
    """A longer fence holds shorter ones, and only a bare fence closes a block."""
    assert found("````md\n```python\nx = (1\n```\n````").passed is None
    assert found("```python\nx = '''\n```js\n'''\n```").passed is True


def test_nothing_of_the_code_is_shown(caplog: pytest.LogCaptureFixture) -> None:
    """Neither the compiler's warnings nor sqlglot's log show the code."""
    with warnings.catch_warnings(record=True) as seen, caplog.at_level(logging.DEBUG):
        assert found(block("python", "x = '\\d' is 1")).passed is True
        assert found(block("sql", "CREATE FROBNICATION secret WITH x")).value is not None
    assert not seen
    assert "secret" not in caplog.text


def test_loading_twice_is_harmless() -> None:
    """The parsers can be loaded beforehand, any number of times."""
    load()
    load()
    assert found(block("go", "func f( {")).passed is None


def test_a_parser_that_was_stopped_serves_the_next_block() -> None:
    """Code that tree-sitter gives up on leaves nothing behind."""
    mess = "".join(f"a{number}=>b?{number}:({{" for number in range(120))
    assert found(block("java", mess)).passed is None
    assert found(block("java", "class A { int x; }")).passed is True


GREETING = "const hello{0} = (name) => {{ console.log('Hello, ' + name + {0}); }};\n"  # sound, and packs badly
PROSE = "the quick brown fox jumps over a lazy dog while seven wizards quietly box with many jugs of liquor "


@pytest.mark.parametrize(
    ("language", "code"),
    [
        ("sql", "SELECT a FROM " + "(SELECT a FROM " * 4 + "t" + ")" * 4),
        ("sql", "SELECT a FROM t" + " JOIN u" * 4),
        ("sql", "SELECT " + "if - " * 4 + "a"),
        ("js", "".join(GREETING.format(number) for number in range(40))),
        ("js", "f(" * 17 + ")" * 17),
        ("js", PROSE * 2),
        ("python", "x = 1\n" * 1_001),
    ],
)
def test_what_would_take_too_long_is_not_looked_at(language: str, code: str) -> None:
    """Nested or long code, and prose that calls itself code, are neither right nor wrong."""
    assert found(block(language, code)) == Evidence("parses", None)


@pytest.mark.parametrize(
    ("language", "code"),
    [
        ("sql", "SELECT a FROM " + "(SELECT a FROM " * 3 + "t" + ")" * 3),
        ("sql", "SELECT a FROM t JOIN u ON t.a = u.a JOIN v ON t.a = v.a JOIN w ON t.a = w.a"),
        ("js", "".join(GREETING.format(number) for number in range(25))),
        ("js", "f(" * 16 + ")" * 16),
        ("python", "total = 0\nfor x in numbers:\n    total += x * (x - 1)\n" * 40),
    ],
)
def test_ordinary_code_stays_within_the_limits(language: str, code: str) -> None:
    """Code of the size and the depth that answers hold is parsed."""
    assert found(block(language, code)).passed is True


def test_the_limits_hold_for_a_whole_answer() -> None:
    """Many blocks of a kind share what their parser may read, and broken ones take more of it."""
    sound = block("js", "".join(GREETING.format(number) for number in range(12)))
    assert found(sound * 3).value == 1.0
    assert found(block("js", PROSE * 2) + sound) == Evidence("parses", None)
    assert found(block("java", "int x = 0}" + " " * 500) + sound).value == 0.0
    assert found(block("js", PROSE * 2) + block("json", "[1]")).value == 1.0


def test_a_long_answer_that_is_all_code_is_left_alone() -> None:
    """An answer without fences may be parsed three times, so less of it is."""
    assert found("x = 1\n" * 100).passed is True
    assert found("x = 1\n" * 200).passed is None
    assert found("x = 1" + " " * 2_000).passed is None


@pytest.mark.unmeasured
def test_sql_that_could_take_for_ever_takes_no_time() -> None:
    """Brackets and words that sqlglot reads in several ways don't add up to minutes."""
    load()
    for text in (
        "union (" * 14,
        "SELECT * FROM a" + " join a, a" * 20,
        "select " + "if - " * 30,
        "array[" * 30,
        "from " * 60,
    ):
        start = time.thread_time()
        found(block("sql", text))
        assert time.thread_time() - start < 0.05


@given(
    st.sampled_from(["python", "json", "sql", "js", "ts", "java", "c", "cpp", "go", "rust", "sh"]), st.text(max_size=80)
)
@settings(max_examples=150, deadline=None)
def test_no_code_breaks_it(language: str, code: str) -> None:
    """Any text in a block gives a share, or nothing to look at."""
    value = found(block(language, code)).value
    assert value is None or 0.0 <= value <= 1.0


HOSTILE = {
    "1+": "1+" * 8_000,
    "((((": "(" * 16_000,
    "[[]]": "[" * 90 + "1" + "]" * 90,
    "{1:": "{1:" * 99,
    "f'{": "f'{" * 99,
    "lambda": "lambda:" * 500 + "1",
    "minus": "-" * 8_000 + "1",
    "a;": "a;" * 8_000,
    "a?": "a?" * 4_000,
    "a=>": "a=>" * 2_600,
    "<a>": "<a>" * 2_600,
    "quotes": '"' * 8_000,
    "a": "a" * 16_000,
    "9": "9" * 16_000,
    "f(": "f(" * 90 + ")" * 90,
}


@pytest.mark.unmeasured
@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("language", ["python", "json", "sql", "javascript", "java", "c", "bash", ""])
def test_hostile_code_takes_bounded_time(language: str, name: str) -> None:
    """Code made to be slow takes a few milliseconds at most, whole or cut to what the parsers accept."""
    load()
    for code in (HOSTILE[name], HOSTILE[name][:1_000], HOSTILE[name][:290]):
        best = 1e9
        for _ in range(2):
            start = time.thread_time()
            found(block(language, code))
            best = min(best, time.thread_time() - start)
        assert best < 0.05


@pytest.mark.unmeasured
def test_many_fences_take_bounded_time() -> None:
    """A text that is nothing but fences is read once."""
    start = time.thread_time()
    found("```python\nx\n```\n" * 1_000)
    found("```" * 5_333)
    assert time.thread_time() - start < 0.05


def test_of_a_long_or_dense_text_less_of_the_code_is_parsed() -> None:
    """What comes beside the code takes its time too; and the rest may be broken, so that nothing passes."""
    code = block("python", "x = [1, 2, 3]\n" * 130)
    assert found(code).value == 1.0
    assert found(code + "some words " * 300).value == 1.0
    assert found(code + "." * (MARKS + 500)).value is None
    assert found(code + "some words " * 800).value is None
    small = block("python", "x = [1, 2, 3]\n" * 15)
    assert found(small).passed is True
    long = small + "some words " * 800
    assert (found(long).value, found(long).passed) == (1.0, None)
    assert found(block("python", "x = [1, 2, 3") + "some words " * 800).passed is False
