"""What can be wrong with a route beyond its types: who is asked about a draft, who judges it, what it is tested by."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.gateway.test_settings import GOOD, config, problems

TWIN = '[models.twin]\nprovider = "deepseek"\nmodel = "deepseek-flash"\nbase_url = "https://api.deepseek.com/v1/"\n'
MORE = "".join(f'[models.o{number}]\nprovider = "scripted"\nscript = "o.json"\n' for number in range(5))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('opinions = ["premum"]', 'opinions: no model "premum"; did you mean "premium"?'),
        ('opinions = ["o1", "o1"]', 'opinions: "o1" stands twice'),
        (
            'opinions = ["premium"]',
            'opinions: "premium" is a tier of this route; a second opinion comes from another model',
        ),
        (
            'opinions = ["o0", "o1", "o2", "o3", "o4"]',
            "opinions: at most 4 models can be asked about a draft",
        ),
        (
            'opinion_form = "codes"',
            'opinion_form: "codes" is not one of same, reason, code; did you mean "code"?',
        ),
        (
            'uncertified = "agreement"',
            'uncertified: "agreement" needs `opinions`: at least one other model to agree with',
        ),
        ('judge = "premum"', 'judge: no model "premum"; did you mean "premium"?'),
        (
            'judge = "cheap"',
            'judge: "cheap" is the model of the tier "cheap", and would judge what it wrote; name another one',
        ),
        (
            'judge = "twin"',
            'judge: "twin" is the model of the tier "cheap", and would judge what it wrote; name another one',
        ),
        (
            'opinions = ["o1"]\njudge = "o1"',
            'judge: "o1" is the model of the opinion "o1", and would judge what it wrote; name another one',
        ),
        ("escalate_above = 1.5", "escalate_above: must be at least 0 and at most 1, got 1.5"),
        ("usd_per_second = -1", "usd_per_second: must be at least 0 and at most 1000, got -1"),
        ("checks = { vectors = 1 }", "checks.vectors: expected a list, got a whole number"),
        ('checks = { vectors = ["a"] }', "checks.vectors.1: expected a table, got a string"),
        (
            'checks = { vectors = [{ expect = "a" }, { expects = "a", expect = "a" }] }',
            'checks.vectors.2.expects: unknown key; did you mean "expect"?',
        ),
        ('checks = { vectors = [{ when = "a" }] }', "checks.vectors.1: `expect` is missing"),
    ],
)
def test_mistakes_with_opinions_judges_and_vectors(tmp_path: Path, line: str, said: str) -> None:
    """What nobody could answer, or would answer about itself, is refused before a request comes."""
    text = TWIN + MORE + GOOD + line + "\n"
    at = text[: text.index(line)].count("\n") + line.count("\n") + 1
    assert problems(tmp_path, text) == [f"tierwise.toml:{at}: routes.support.{said}"]


def test_a_pattern_that_is_none(tmp_path: Path) -> None:
    """It is told by its place, in a table of its own too."""
    (inline,) = problems(tmp_path, GOOD + 'checks = { vectors = [{ expect = "[" }] }\n')
    assert inline.startswith("tierwise.toml:11: routes.support.checks.vectors.1: ")
    blocks = '[[routes.support.checks.vectors]]\nexpect = "a"\n[[routes.support.checks.vectors]]\nexpect = "["\n'
    (block,) = problems(tmp_path, GOOD + blocks)
    assert "routes.support.checks.vectors.2: " in block


def test_the_premium_may_judge(tmp_path: Path) -> None:
    """It wrote no draft."""
    assert config(tmp_path, GOOD + 'judge = "premium"\n').routes["support"].judge == "premium"
