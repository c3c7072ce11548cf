"""Routes with a trained router and verifier, through the door: the band, the judge, plans. Artefacts are made up."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest

from tests.gateway.harness import door
from tests.gateway.test_run import PEPPER, Crashing
from tierwise.errors import ConfigError
from tierwise.gateway.access.keys import digest, mint
from tierwise.gateway.engine import Engine
from tierwise.gateway.evidence.certified import VALID, Standing
from tierwise.gateway.scoring import scoring
from tierwise.gateway.settings import load, read_environment
from tierwise.gateway.snapshot import build
from tierwise.gateway.wiring import open_engine
from tierwise.money import Key, Record
from tierwise.ports import Scorer
from tierwise.scorers.clusters import Centroids
from tierwise.scorers.router import LengthRouter
from tierwise.scorers.verifier import FreeChecks
from tierwise.types import Answer, Checks, Estimate, Evidence, Request, Thresholds, Verdict

Rules = list[dict[str, Any]]
DRAFT, OPINION, TOP = "The answer is 42.", "The answer is 41.", "It is 42."
BETTER = '{"verdict": "%s"}'


@dataclass(frozen=True)
class Stages:
    """A verifier whose score depends on what it was given: the draft, opinions too, a judge's finding too."""

    draft: float = 0.5
    heard: float = 0.5

    def score(
        self,
        request: Request,
        draft: Answer | None,
        opinions: Sequence[Answer] | None = None,
        judged: Evidence | None = None,
    ) -> Verdict:
        if judged is not None:
            assert judged.value is not None
            return Verdict(judged.value, (judged,))
        return Verdict(self.draft if opinions is None else self.heard)


@dataclass(frozen=True)
class Hopes:
    """A router."""

    score_: float = 0.5
    accept: tuple[float, ...] = ()

    def score(
        self,
        request: Request,
        draft: Answer | None,
        opinions: Sequence[Answer] | None = None,
        judged: Evidence | None = None,
    ) -> Verdict:
        return Verdict(self.score_, (), tuple(Estimate(share, share, output_tokens=50) for share in self.accept))


BAND = Thresholds(0.7, 0.3, 0.7)


@dataclass(frozen=True)
class Artefact:
    """What a trained artefact gives."""

    stages: Stages = Stages()
    thresholds: Thresholds | None = BAND
    router: Scorer = field(default_factory=Hopes)
    tiers: tuple[str, ...] = ("cheap", "premium")
    opinions: tuple[str, ...] = ("other",)
    centroids: Centroids = field(default_factory=lambda: np.zeros((0, 256), np.float16))

    def verifier(self, checks: Checks) -> Scorer:
        return self.stages


ROUTE = 'mode = "enforce"\ntrained = "r.npz"\nopinions = ["other"]\njudge = "third"\n'
RULES: dict[str, Rules] = {
    "cheap": [{"text": DRAFT}],
    "other": [{"text": OPINION}],
    "premium": [{"text": TOP}],
    "third": [{"text": BETTER % "a", "times": 1}, {"text": BETTER % "b"}],
}


@dataclass
class Open:
    url: str
    engine: Engine
    key: str

    async def chat(self, stream: bool = False) -> tuple[int, str, Any]:
        body = {"model": "r", "messages": [{"role": "user", "content": "Six times seven?"}], "stream": stream}
        headers = {"authorization": f"Bearer {self.key}"}
        url = f"{self.url}/chat/completions"
        async with aiohttp.ClientSession() as http, http.post(url, json=body, headers=headers) as reply:
            return reply.status, await reply.text(), reply.headers

    async def asked(self, stream: bool = False) -> tuple[str, Record]:
        """(rule, record) of a request that was answered and booked."""
        status, _, headers = await self.chat(stream)
        assert status == 200
        async with asyncio.timeout(10):
            while (record := await self.engine.store.record(headers["x-request-id"])) is None:
                await asyncio.sleep(0.01)
        assert (await self.engine.store.spent("key_1")) == (record.nanos, 0)
        assert record.nanos == sum(entry.nanos for entry in record.entries)
        return headers["x-tierwise-decision"], record


def written(folder: Path, route: str, rules: dict[str, Rules]) -> Path:
    tables = ""
    for place, (name, said) in enumerate((RULES | rules).items(), 1):
        (folder / f"{name}.json").write_text(json.dumps(said))
        price = 100 if name == "premium" else place
        tables += f'[models.{name}]\nprovider = "scripted"\nscript = "{name}.json"\nmax_output = 200\n'
        tables += f"price = {{ input = {price}, output = {2 * price} }}\n"
        if any("first" in rule for rule in said):
            tables += "limits = { connect = 0.1, first_token = 0.2 }\n"
    path = folder / "c.toml"
    path.write_text(f'{tables}[routes.r]\ntiers = ["cheap", "premium"]\n{route}')
    return path


def valid(artefact: Artefact) -> Standing:
    """As a certificate of its thresholds would have it."""
    return Standing() if artefact.thresholds is None else Standing(VALID, artefact.thresholds, 1 << 40)


@asynccontextmanager
async def opened(
    folder: Path,
    artefact: Artefact = Artefact(),
    route: str = ROUTE,
    budget: int | None = None,
    rules: dict[str, Rules] | None = None,
    **changes: Any,
) -> AsyncIterator[Open]:
    """A gateway on whose route `artefact` was trained."""
    config = load(written(folder, route, rules or {}), {})
    engine = await open_engine(
        config, read_environment({"HOME": str(folder)}), lambda path: artefact, lambda route, table: valid(artefact)
    )
    engine = dataclasses.replace(engine, **{name: change(engine) for name, change in changes.items()})
    text = mint()
    async with door(engine, Key("key_1", "test", digest(text, PEPPER), text[:9], 0, budget), PEPPER) as url:
        yield Open(url, engine, text)


# ------------------------------------------------------------------ the band


@pytest.mark.parametrize(
    ("stages", "roles", "rule"),
    [
        (Stages(0.7), ["draft"], "verifier"),
        (Stages(0.29), ["draft", "premium"], "escalated:check:score"),
        (Stages(0.5, 0.7), ["draft", "opinion"], "verifier"),
        (Stages(0.5, 0.29), ["draft", "opinion", "premium"], "escalated:check:score"),
        (Stages(0.5, 0.5), ["draft", "opinion", "judge", "judge"], "verifier"),
    ],
    ids=["good", "bad", "heard good", "heard bad", "judged"],
)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_the_band(tmp_path: Path, stages: Stages, roles: list[str], rule: str, stream: bool) -> None:
    """Others are asked only as long as the draft is uncertain, and every call is paid for."""
    async with opened(tmp_path, Artefact(stages)) as on:
        found, record = await on.asked(stream)
        assert (found, [entry.role for entry in record.entries]) == (rule, roles)
        assert all(entry.outcome == "consulted" for entry in record.entries if entry.role in ("opinion", "judge"))
        assert record.baseline_state == ("computed" if roles[-1] == "premium" else "estimated")


@pytest.mark.parametrize(
    ("verdicts", "rule", "value"),
    [
        (("a", "b"), "verifier", 1.0),
        (("b", "a"), "escalated:check:judge", 0.0),
        (("a", "a"), "escalated:check:score", 0.5),
    ],
    ids=["better", "worse", "by place"],
)
async def test_the_judge_breaks_a_tie(tmp_path: Path, verdicts: tuple[str, str], rule: str, value: float) -> None:
    """Either way; one that always prefers the same place says nothing, which is not enough."""
    said = [{"text": BETTER % word, "times": 1} for word in verdicts]
    async with opened(tmp_path, rules={"third": said}) as on:
        found, record = await on.asked()
        assert found == rule
        judged = [entry for entry in record.entries if entry.role == "judge"]
        assert [(entry.model, entry.outcome, entry.rule) for entry in judged] == [
            ("third", "consulted", "about:cheap")
        ] * 2
        assert all(entry.nanos > 0 for entry in judged)
        if rule == "verifier":
            (evidence,) = record.decision.evidence
            assert (evidence.check, evidence.value) == ("judge", value)


@pytest.mark.parametrize(
    ("said", "outcomes"),
    [
        ([{"text": "I prefer the first."}], ["consulted", "consulted"]),
        ([{"text": BETTER % "a", "times": 1}, {"text": BETTER % "c"}], ["consulted", "consulted"]),
        ([{"text": BETTER % "a", "times": 1}, {"fault": "overloaded"}], ["consulted", "failed"]),
        ([{"fault": "refused"}], ["failed", "failed"]),
        ([{"first": 30}], ["cancelled", "cancelled"]),
    ],
    ids=["prose", "another word", "half", "refused", "late"],
)
async def test_a_judge_that_gives_no_verdict(tmp_path: Path, said: Rules, outcomes: list[str]) -> None:
    """The draft escalates, whatever the one verdict was that came; within the judge's own time."""
    async with opened(tmp_path, rules={"third": said}) as on:
        found, record = await asyncio.wait_for(on.asked(), 10)
        assert found == "escalated:check:erred"
        assert [entry.outcome for entry in record.entries if entry.role == "judge"] == outcomes


async def test_a_judge_alone(tmp_path: Path) -> None:
    """Where no opinion came it grades the draft by itself, once."""
    rules: dict[str, Rules] = {
        "other": [{"fault": "unreachable"}],
        "third": [{"text": '{"good": true, "confidence": 90}'}],
    }
    async with opened(tmp_path, rules=rules) as on:
        found, record = await on.asked()
        assert found == "verifier"
        assert [(entry.role, entry.outcome) for entry in record.entries] == [
            ("draft", "served"),
            ("opinion", "failed"),
            ("judge", "consulted"),
        ]


async def test_the_premium_as_a_judge(tmp_path: Path) -> None:
    """Its verdicts are not taken for its answer: not in the books, nor in what always-premium would have cost."""
    said = RULES["third"]
    route = ROUTE.replace('"third"', '"premium"')
    async with opened(tmp_path, route=route, rules={"premium": said}) as on:
        found, record = await on.asked()
        assert found == "verifier"
        assert [entry.role for entry in record.entries] == ["draft", "opinion", "judge", "judge"]
        draft = record.entries[0].usage
        assert record.baseline_nanos == (draft.input_tokens * 100 + draft.output_tokens * 200) * 1000


# ------------------------------------------------------------------ limits


async def test_an_opinion_that_comes_too_late(tmp_path: Path) -> None:
    """Whatever its provider allows itself: it is stopped, and what was asked of it is paid for."""
    async with opened(tmp_path, Artefact(Stages(0.5, 0.9)), rules={"other": [{"first": 30}]}) as on:
        found, record = await asyncio.wait_for(on.asked(), 10)
        assert found == "verifier"
        late = record.entries[1]
        assert (late.role, late.outcome, late.rule, late.cost_state) == (
            "opinion",
            "cancelled",
            "provider_timeout",
            "estimated",
        )
        assert late.nanos > 0


async def test_a_bug_in_an_opinion(tmp_path: Path) -> None:
    """Is a crash like any other: told without a word of what was asked, and booked."""

    def broken(engine: Engine) -> dict[str, Any]:
        return {**engine.providers, "other": Crashing(1, "sk-secret")}

    async with opened(tmp_path, providers=broken) as on:
        status, body, _ = await on.chat()
        assert status == 500
        assert "sk-secret" not in body
        async with asyncio.timeout(10):
            while (money := await on.engine.store.spent("key_1"))[1]:
                await asyncio.sleep(0.01)
        assert money[0] > 0


async def test_a_budget_covers_the_judge(tmp_path: Path) -> None:
    """What is set aside for its two questions is at its price, not at the request's size."""
    drafts = 200 * (2 + 200 + 4) * 1000 + 100 * (1 + 100 + 2) * 1000
    async with opened(tmp_path, budget=drafts) as on:
        assert (await on.chat())[0] == 429
    (tmp_path / "more").mkdir()
    async with opened(tmp_path / "more", budget=drafts + 2 * 20_000 * 4 * 1000) as on:
        assert (await on.asked())[0] == "verifier"


# ------------------------------------------------------------------ plans


@pytest.mark.parametrize(
    ("accept", "rule", "roles"),
    [((0.9, 1.0), "verifier", ["draft"]), ((0.001, 1.0), "plan:premium", ["premium"]), ((), "verifier", ["draft"])],
    ids=["hopeful", "hopeless", "unknown"],
)
async def test_a_plan(tmp_path: Path, accept: tuple[float, ...], rule: str, roles: list[str]) -> None:
    """A draft that will hardly be served is not asked for."""
    async with opened(tmp_path, Artefact(Stages(0.9), router=Hopes(accept=accept))) as on:
        found, record = await on.asked()
        assert (found, [entry.role for entry in record.entries]) == (rule, roles)


@pytest.mark.parametrize(("score", "rule"), [(0.2, "router:cheap"), (0.9, "router:premium")])
async def test_a_stream_that_is_not_held(tmp_path: Path, score: float, rule: str) -> None:
    """The trained router decides it alone, by the route's own limit."""
    route = ROUTE + 'hold = "none"\nescalate_above = 0.6\n'
    async with opened(tmp_path, Artefact(router=Hopes(score)), route) as on:
        found, record = await on.asked(stream=True)
        assert (found, len(record.entries)) == (rule, 1)


async def test_nothing_could_be_certified(tmp_path: Path) -> None:
    """An artefact without thresholds serves no draft by itself: the route does what it does without a certificate."""
    async with opened(tmp_path, Artefact(Stages(1.0), thresholds=None)) as on:
        assert (await on.asked())[0] == "uncertified"
    (tmp_path / "a").mkdir()
    route = ROUTE + 'uncertified = "agreement"\n'
    async with opened(tmp_path / "a", Artefact(Stages(1.0), thresholds=None), route) as on:
        found, record = await on.asked()
        assert found == "escalated:check:agreement"
        assert [entry.role for entry in record.entries] == ["draft", "opinion", "premium"]


# ------------------------------------------------------------------ artefacts


def test_a_route_s_scorers(tmp_path: Path) -> None:
    """From its artefact where it has one; the path is the config's."""
    config = load(written(tmp_path, ROUTE, {}), {})
    plain = build(config, read_environment({})).routes["r"]
    paths: list[Path] = []
    artefact = Artefact()

    def opens(path: Path) -> Artefact:
        paths.append(path)
        return artefact

    found = scoring(plain, config.routes["r"], opens, lambda route, table: valid(artefact))
    assert paths == [tmp_path / "r.npz"]
    assert (found.route.thresholds, found.route.planned) == (artefact.thresholds, True)
    assert (found.router, found.verifier) == (artefact.router, artefact.stages)
    table = load(written(tmp_path, 'judge = "third"', {}), {}).routes["r"]
    untrained = scoring(plain, table, opens, lambda route, table: valid(artefact))
    assert (len(paths), untrained.route) == (1, plain)
    assert isinstance(untrained.router, LengthRouter)
    assert isinstance(untrained.verifier, FreeChecks)


@pytest.mark.parametrize(
    ("artefact", "said"),
    [
        (
            Artefact(tiers=("cheap", "top")),
            "was trained for the tiers cheap, top, the route has cheap, premium; train it anew",
        ),
        (Artefact(opinions=()), "was trained with the opinions none, the route has other; train it anew"),
    ],
)
async def test_an_artefact_of_another_route(tmp_path: Path, artefact: Artefact, said: str) -> None:
    """It is refused before anything is opened."""
    config = load(written(tmp_path, ROUTE, {}), {})
    with pytest.raises(ConfigError) as caught:
        await open_engine(config, read_environment({}), lambda path: artefact)
    assert caught.value.problems == (f"routes.r.trained: {tmp_path / 'r.npz'}: {said}",)
    assert not (tmp_path / "tierwise.db").exists()
