"""What every Proof does. An implementation subclasses `ProofConformance` and supplies the fixtures `store`, empty, and
`other`, opened on the same database."""

import asyncio
import math
from collections.abc import Awaitable
from typing import Any

import pytest
from msgspec.structs import replace

from tests.conformance.store import NOW, entry, record, reservation
from tierwise.errors import RowRefused, StoreError
from tierwise.money import Entry, Record
from tierwise.ports import Store
from tierwise.proof import Case, Day, Event, Label, Offered, Said, Sample, Texts, Turn
from tierwise.types import Usage

Kept = Sample | Texts | Label

DAY = 86_400 * 10**9
STRANGE = "naïve 日本 🙂 \x00 \x1f \u2028 \"quoted\" 'too' \\ \ufeff"
NO_TEXT = "half of a pair: \ud800"

SAMPLE = Sample(
    request_id="r1",
    route="support",
    at_ns=NOW,
    kind="audit",
    served="cheap",
    uniform=0.1 + 0.2,
    propensity=0.5,
    certificate="0123456789abcdef",
    rung=2,
    score=1 / 3,
    passed=41,
    escalated=7,
)
LABEL = Label(
    request_id="r1",
    route="support",
    model="cheap",
    source="judge",
    by="large",
    draft=0.25,
    premium=1.0,
    propensity=0.7,
    at_ns=NOW + 5,
    comment=STRANGE,
)
TEXTS = Texts(
    request_id="r1",
    route="support",
    at_ns=NOW,
    messages=(Turn("system", "Be brief."), Turn("user", STRANGE)),
    said=(
        Said(model="cheap", response="", finish="length", input_tokens=9, output_tokens=1, nanos=5, seconds=0.125),
        Said(model="large", response=STRANGE),
    ),
    tools=(Offered("search", "Finds.", '{"type":"object"}'), Offered("stop")),
    tags=("legal", "eu"),
    json_answer=True,
)
EVENT = Event(at_ns=NOW, route="support", what="alarm", body='{"rung":1,"why":"naïve 日本"}', key="alarm:1")


def sample(name: str, **changes: Any) -> Sample:
    return replace(SAMPLE, request_id=name, **changes)


def label(name: str, **changes: Any) -> Label:
    return replace(LABEL, request_id=name, **changes)


def texts(name: str, **changes: Any) -> Texts:
    return replace(TEXTS, request_id=name, **changes)


def request(name: str, *entries: Entry, **changes: Any) -> Record:
    return replace(record(name, *entries), **changes)


def attempt(role: Any, outcome: Any, nanos: int) -> Entry:
    return Entry("m", "m-1", role, Usage(1, 1), nanos, "computed", outcome, "why", None, 1.0)


BAD: dict[str, Kept] = {
    "a propensity of 0": sample("b", uniform=0.0, propensity=0.0),
    "a propensity over 1": sample("b", propensity=1.01),
    "not drawn": sample("b", uniform=0.5, propensity=0.5),
    "a negative draw": sample("b", uniform=-0.1),
    "no draw": sample("b", uniform=math.nan),
    "no propensity": sample("b", propensity=math.nan),
    "no score": sample("b", score=math.nan),
    "an endless score": sample("b", score=math.inf),
    "a score over 1": sample("b", score=1.01),
    "a negative score": sample("b", score=-0.01),
    "a negative rung": sample("b", rung=-1),
    "negative passes": sample("b", passed=-1),
    "negative escalations": sample("b", escalated=-1),
    "a kind of no meaning": sample("b", kind="guess"),
    "a route that is no text": sample("b", route=NO_TEXT),
    "a moment beyond all": sample("b", at_ns=2**63),
    "no quality": label("b", draft=math.nan),
    "no quality of premium": label("b", premium=math.nan),
    "an endless quality": label("b", premium=-math.inf),
    "a quality over 1": label("b", draft=1.01),
    "a negative quality": label("b", draft=-0.01),
    "a quality of premium over 1": label("b", premium=1.01),
    "a negative quality of premium": label("b", premium=-0.01),
    "a label chosen with no chance": label("b", propensity=0.0),
    "a label chosen too often": label("b", propensity=1.01),
    "a label chosen with a chance that is none": label("b", propensity=math.nan),
    "a source that nobody knows": label("b", source="rumour"),
    "a comment that is no text": label("b", comment=NO_TEXT),
    "an answer that is no text": texts("b", said=(Said(model="m", response=NO_TEXT),)),
    "a duration that is none": texts("b", said=(Said(model="m", response="", seconds=math.nan),)),
}


class ProofConformance:
    async def test_a_sample_comes_back_as_it_was_kept(self, store: Store) -> None:
        """Every field; the id is the store's, whatever was given."""
        bare = Sample(
            request_id="r2", route="support", at_ns=0, kind="observe", served="large", uniform=0.0, propensity=1.0
        )
        await store.proof.keep(replace(SAMPLE, id=77))
        await store.proof.keep(bare)
        assert list(await store.proof.samples("support")) == [replace(SAMPLE, id=1), replace(bare, id=2)]

    async def test_a_label_comes_back_as_it_was_kept(self, store: Store) -> None:
        """Every field, every source; where nobody looked at premium's answer, still nobody has."""
        bare = Label(request_id="r1", route="support", model="cheap", source="feedback", draft=0.0, premium=None)
        await store.proof.keep(replace(LABEL, id=77))
        await store.proof.keep(bare)
        assert list(await store.proof.labels("support")) == [replace(LABEL, id=1), replace(bare, id=2)]
        for source in ("equality", "checks", "human", "recheck", "missing", "void"):
            await store.proof.keep(label("r1", source=source))
        assert len(await store.proof.labels("support")) == 8

    async def test_texts_come_back_as_they_were_kept(self, store: Store) -> None:
        """Every field, oldest first whenever they were written, of one route."""
        bare = Texts(request_id="r4", route="support", at_ns=NOW, messages=(), said=())
        kept = [texts("r2", at_ns=NOW + 1), TEXTS, texts("r3", at_ns=-5), bare, texts("r5", route="other")]
        await asyncio.gather(*map(store.proof.keep, kept))
        assert list(await store.proof.texts("support")) == [kept[2], kept[1], kept[3], kept[0]]
        assert [await store.proof.text(name) for name in ("r2", "r5", "r9")] == [kept[0], kept[4], None]

    async def test_a_reader_goes_on_after_the_last_id_it_saw(self, store: Store) -> None:
        """Ids are in the order of writing over all routes, a route's rows in that of their ids."""
        for number in range(6):
            route = ("support", "other")[number % 2]
            store.proof.keep(sample(f"r{number}", route=route))
            store.proof.keep(label(f"r{number}", route=route))
        assert [row.id for row in await store.proof.samples("support")] == [1, 3, 5]
        assert [row.request_id for row in await store.proof.samples("other", 2)] == ["r3", "r5"]
        assert [row.request_id for row in await store.proof.labels("support", 1)] == ["r2", "r4"]
        assert [row.id for row in await store.proof.labels("other", 5)] == [6]
        assert list(await store.proof.samples("other", 6)) == []
        assert list(await store.proof.labels("nobody's")) == []

    async def test_what_is_long_comes_whole(self, store: Store) -> None:
        """More rows than anybody would read at once: none is missing, none comes twice."""
        names = [f"r{number:04d}" for number in range(4_100)]
        for name in names:
            store.proof.keep(sample(name))
            store.proof.keep(label(name))
            store.post(request(name, attempt("draft", "served", 3)))
            if name < "r0250":
                store.proof.keep(texts(name, at_ns=NOW + int(name[1:]) // 40))
            if name.endswith("00"):
                await store.spent("k1")  # no more waits than may
        assert [row.request_id for row in await store.proof.samples("support")] == names
        assert [row.request_id for row in await store.proof.labels("support", 50)] == names[50:]
        assert [row.request_id for row in await store.proof.texts("support")] == names[:250]
        (day,) = await store.proof.days("support")
        assert (day.requests, day.drafts, day.nanos) == (4_100, 4_100, 12_300)
        assert await store.proof.forget("support", NOW + 6) == 240

    async def test_a_request_is_drawn_once(self, store: Store) -> None:
        """The first sample of it stands, and the first texts; labels it may have many."""
        await store.post(record("r1"))  # that it ended makes no second sample of it an end that came twice
        twice: list[tuple[Kept, Kept]] = [(SAMPLE, sample("r1", kind="observe")), (TEXTS, texts("r1", tags=()))]
        for first, second in twice:
            await store.proof.keep(first)
            with pytest.raises(StoreError, match="refused"):
                await store.proof.keep(second)
        await asyncio.gather(*(store.proof.keep(LABEL) for _ in range(3)))
        assert [row.kind for row in await store.proof.samples("support")] == ["audit"]
        assert list(await store.proof.texts("support")) == [TEXTS]
        assert len(await store.proof.labels("support")) == 3

    async def test_a_bad_item_fails_alone(self, store: Store) -> None:
        """Numbers that are none or out of range, words that nobody knows, text that is no text: all else is written."""
        asked: list[Awaitable[None]] = [store.reserve(reservation("r1", 5))]
        for number, item in enumerate(BAD.values()):
            asked += [store.proof.keep(sample(f"r{number}")), store.proof.keep(item)]
            asked += [store.proof.keep(label(f"r{number}")), store.proof.keep(texts(f"r{number}"))]
        asked.append(store.post(record("r1", entry(4))))
        outcomes = await asyncio.gather(*asked, return_exceptions=True)
        bad = outcomes[2:-1:4]
        assert [name for name, outcome in zip(BAD, bad, strict=True) if type(outcome) is not RowRefused] == []
        assert [outcome for outcome in outcomes if outcome] == bad
        assert not any("half of a pair" in str(outcome) for outcome in bad)
        for rows in (await store.proof.samples("support"), await store.proof.labels("support")):
            ids = [row.id for row in rows]
            assert len(ids) == len(BAD)
            assert ids == sorted(set(ids))  # without gaps on SQLite only
        assert len(await store.proof.texts("support")) == len(BAD)
        assert await store.spent("k1") == (4, 0)

    async def test_two_instances_write_and_a_reader_sees_each_row_once(self, store: Store, other: Store) -> None:
        """While both write, whoever goes on after the last id misses nothing and sees nothing twice."""

        async def write(proof: Store, name: str) -> None:
            for number in range(150):
                proof.proof.keep(sample(f"{name}{number}"))
                await proof.proof.keep(label(f"{name}{number}"))

        async def read(reader: Store) -> list[str]:
            seen: list[str] = []
            last = 0
            while len(seen) < 300:
                for row in await reader.proof.samples("support", last):
                    assert row.id > last
                    last = row.id
                    seen.append(row.request_id)
            return seen

        _, _, *seen = await asyncio.gather(write(store, "a"), write(other, "b"), read(store), read(other))
        assert seen[0] == seen[1]
        assert sorted(seen[0]) == sorted(f"{name}{number}" for name in "ab" for number in range(150))
        assert [row.id for row in await store.proof.labels("support")] == list(range(1, 301))

    async def test_forgetting_takes_the_texts_of_one_route_of_before_a_moment(self, store: Store) -> None:
        """And nothing else: the samples and labels that they were about stay."""
        kept = [texts("r1", at_ns=NOW - 1), texts("r2"), texts("r3", route="other", at_ns=0), texts("r4", at_ns=0)]
        await asyncio.gather(*map(store.proof.keep, kept), store.proof.keep(SAMPLE), store.proof.keep(LABEL))
        assert await store.proof.forget("support", NOW) == 2
        assert await store.proof.forget("support", NOW) == 0
        assert list(await store.proof.texts("support")) == [kept[1]]
        assert list(await store.proof.texts("other")) == [kept[2]]
        assert len(await store.proof.samples("support")) == len(await store.proof.labels("support")) == 1

    async def test_an_event_comes_back_as_it_was_noted(self, store: Store) -> None:
        """In order, of one route or of all; id and digest are the store's, whatever was given."""
        other = replace(EVENT, route="other", what="drift", body="[]", key="", id=9, digest="f" * 64)
        assert await store.proof.note(EVENT)
        assert await store.proof.note(other)
        first, second = await store.proof.trail()
        assert first == replace(EVENT, id=1, digest=first.digest)
        assert second == replace(other, id=2, digest=second.digest)
        assert len({first.digest, second.digest, "f" * 64}) == 3
        assert list(await store.proof.trail("other")) == [second]
        assert list(await store.proof.trail("nobody's")) == []

    async def test_an_event_with_a_key_is_noted_once(self, store: Store, other: Store) -> None:
        """Whichever instance is first; one without a key every time."""
        each = [replace(EVENT, key=f"alarm:{number}", at_ns=number) for number in range(20)]
        told = await asyncio.gather(*(proof.proof.note(event) for event in each for proof in (store, other)))
        assert [told[number] + told[number + 1] for number in range(0, 40, 2)] == [1] * 20
        assert not await other.proof.note(replace(each[3], route="other", what="drift", body="{}"))
        assert [await store.proof.note(replace(EVENT, key="")) for _ in range(2)] == [True, True]
        trail = await other.proof.trail()
        assert [event.id for event in trail] == list(range(1, 23))
        assert len({event.digest for event in trail}) == 22

    @pytest.mark.parametrize(
        "wrong", [{"body": "secret words"}, {"body": ""}, {"body": f'"{NO_TEXT}"'}, {"at_ns": 2**63}]
    )
    async def test_an_event_that_is_none_is_refused(self, store: Store, wrong: dict[str, Any]) -> None:
        """A body that is no JSON, text that is no text, a moment beyond all; what was in it is not repeated."""
        with pytest.raises(StoreError) as caught:
            await store.proof.note(replace(EVENT, **wrong))
        assert "secret" not in caught.value.message
        assert await store.proof.note(EVENT)
        assert [event.id for event in await store.proof.trail()] == [1]

    async def test_days_count_what_clients_asked_and_what_it_cost(self, store: Store) -> None:
        """Requests of clients that were answered; all their money; what was spent aside apart from it."""
        draft, premium = attempt("draft", "served", 10), attempt("premium", "served", 100)
        rejected, judge = attempt("draft", "rejected", 20), attempt("judge", "served", 3)
        ends = [
            request("a", rejected, draft, judge),  # a middle tier's draft, judged
            request("b", rejected, premium),
            request("c", attempt("direct", "served", 7)),
            request("d", attempt("draft", "failed", 5), status=502),
            request("e", draft, status=499),
            request("f", status=429),
            request("g"),
            request("h", attempt("audit", "served", 1_000), draft, key_id="aside:support:2026-09-21"),
            request("i", attempt("observe", "failed", 2_000), key_id="aside:", status=502),
            request("j", draft, key_id="Aside:x"),
            request("l", premium, route="other"),
        ]
        for each in ends:
            await store.post(replace(each, baseline_nanos=1_000_000))
        store.reserve(reservation("m", 9))
        assert list(await store.proof.days("support")) == [
            Day(day=NOW // DAY, requests=5, drafts=2, nanos=185, aside_nanos=3_010, baseline_nanos=8_000_000)
        ]
        assert [day.nanos for day in await store.proof.days("other")] == [100]
        assert list(await store.proof.days("nobody's")) == []

    async def test_a_day_is_one_of_utc(self, store: Store) -> None:
        """Oldest first, from midnight to the last nanosecond; one without requests is none, one only aside is one."""
        moments = [3 * DAY - 1, DAY, 2 * DAY - 1, 5 * DAY]
        for number, moment in enumerate(moments):
            await store.post(request(f"r{number}", entry(1 << number), started_ns=moment))
        await store.post(request("r9", entry(64), started_ns=7 * DAY, key_id="aside:support:1970-01-08"))
        found = [(day.day, day.requests, day.nanos, day.aside_nanos) for day in await store.proof.days("support")]
        assert found == [(1, 2, 6, 0), (2, 1, 1, 0), (5, 1, 8, 0), (7, 0, 0, 64)]

    async def test_entries_of_audits_and_observation_come_back(self, store: Store) -> None:
        """The ledger knows their roles."""
        aside = record("r1", attempt("audit", "served", 5), attempt("observe", "failed", 0), key_id="aside:x")
        await store.post(aside)
        assert await store.record("r1") == aside

    async def test_a_closed_store_says_so(self, store: Store) -> None:
        """What is queued is written first; then every verb of the proof raises."""
        queued = [store.proof.keep(sample(f"r{number}")) for number in range(50)]
        await store.close()
        assert await asyncio.gather(*queued) == [None] * 50
        proof = store.proof
        asked = (
            proof.keep(SAMPLE), proof.samples("support"), proof.labels("support"), proof.texts("support"),
            proof.forget("support", NOW), proof.note(EVENT), proof.trail(), proof.days("support"),
        )  # fmt: skip
        for call in asked:
            with pytest.raises(StoreError, match="closed"):
                await call


# ------------------------------------------------------------------ cases


CASE = Case(
    id="r1",
    route="support",
    key_id="k1",
    at_ns=NOW,
    why="human:self-harm",
    turns=(Turn("system", "Be kind."), Turn("user", STRANGE)),
)


class DeskConformance:
    """What every Desk does. An implementation subclasses it and supplies the fixtures of `ProofConformance`."""

    async def test_a_case_waits_until_it_is_answered(self, store: Store, other: Store) -> None:
        """Whole, for every instance; then it is among the answered ones, with who said what and when."""
        desk = store.proof.desk
        await desk.hand(CASE)
        assert await other.proof.desk.cases() == [CASE]
        assert await other.proof.desk.case("r1") == CASE
        assert await desk.answer("r1", STRANGE, "ada", NOW + 7)
        done = replace(CASE, answer=STRANGE, by="ada", answered_ns=NOW + 7)
        assert (await desk.cases(), await desk.cases(answered=True)) == ([], [done])
        assert await other.proof.desk.case("r1") == done

    async def test_a_case_is_answered_once(self, store: Store, other: Store) -> None:
        """Whoever comes second is told so, and changes nothing; nor does handing it over again."""
        await store.proof.desk.hand(CASE)
        assert await store.proof.desk.answer("r1", "first", "ada", NOW)
        assert not await other.proof.desk.answer("r1", "second", "bob", NOW + 1)
        assert not await other.proof.desk.answer("r2", "to nobody", "bob", NOW + 1)
        await other.proof.desk.hand(replace(CASE, why="human:minors"))
        case = await store.proof.desk.case("r1")
        assert case is not None
        assert (case.answer, case.by, case.why) == ("first", "ada", "human:self-harm")

    async def test_cases_come_oldest_first(self, store: Store) -> None:
        """All of them, over pages; those of one route where one is named."""
        for number in range(250):
            route = "support" if number % 2 else "claims"
            await store.proof.desk.hand(replace(CASE, id=f"r{number:03}", at_ns=NOW - number, route=route))
        assert [case.id for case in await store.proof.desk.cases()] == [
            f"r{number:03}" for number in range(249, -1, -1)
        ]
        assert {case.route for case in await store.proof.desk.cases(route="claims")} == {"claims"}
        assert len(await store.proof.desk.cases(route="claims")) == 125

    async def test_only_answered_cases_are_forgotten(self, store: Store) -> None:
        """Of the route, from before the moment; one that waits is never lost, however old it is."""
        for number in range(150):
            await store.proof.desk.hand(replace(CASE, id=f"r{number}", at_ns=NOW - 10))
            if number:
                await store.proof.desk.answer(f"r{number}", "yes", "ada", NOW + number)
        await store.proof.desk.hand(replace(CASE, id="else", route="claims"))
        await store.proof.desk.answer("else", "yes", "ada", NOW + 1)
        assert await store.proof.desk.forget("support", NOW + 149) == 148
        assert [case.id for case in await store.proof.desk.cases()] == ["r0"]
        assert {case.id for case in await store.proof.desk.cases(answered=True)} == {"r149", "else"}
        assert await store.proof.desk.case("r1") is None

    async def test_what_no_database_can_hold_is_refused(self, store: Store) -> None:
        """Nothing of it is kept."""
        with pytest.raises(StoreError):
            await store.proof.desk.hand(replace(CASE, why=NO_TEXT))
        assert await store.proof.desk.cases() == []
