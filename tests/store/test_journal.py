"""The journal: what is promised is there after whatever end, in its order, and nothing else is."""

import fcntl
import resource
import signal
import subprocess
import sys
from pathlib import Path
from zlib import crc32

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conformance.store import NOW, entry, record, reservation
from tierwise.errors import StoreError
from tierwise.money import Amount, Budget, Correction, Reservation
from tierwise.store.journal import MAGIC, OLD_MAGIC, START, Journal, Line, _Segment, lines, recover

BUDGETS = (Budget("key", "k1", "month", 5, 7, 800_000), Budget("team", "red", tokens=9))
FULL = Reservation("r1", "k1", "support", 3, NOW, BUDGETS, 4, "red", soft=True)
END = msgspec.structs.replace(record("r1", entry(3), entry(4)), team="red", arm="holdout")
LATE = Correction("r1", "k1", "support", NOW, -5, "late", "red", "cheap", -2)


class Found:
    """What a recovery replays, by instance."""

    def __init__(self) -> None:
        self.lines: dict[str, list[Line]] = {}
        self.groups = 0
        self.settled: list[str] = []
        self.error: StoreError | None = None

    def replay(self, instance: str, found: list[Line]) -> None:
        if self.error is not None:
            raise self.error
        self.groups += 1
        self.lines.setdefault(instance, []).extend(found)

    def of(self, folder: Path) -> frozenset[str]:
        return recover(folder, self.replay, self.settled.append)


def died(journal: Journal) -> None:
    """As when its process is gone: its files are closed, and nothing else."""
    for segment in (*journal._segments, *journal._spare):
        segment.close()


def test_every_line_comes_back_as_it_was(tmp_path: Path) -> None:
    """Of all three kinds, with everything in it; then the folder is empty."""
    journal = Journal(tmp_path, "i1")
    for line in (FULL, END, LATE):
        journal.append(line)
    died(journal)
    found = Found()
    assert found.of(tmp_path) == frozenset()
    assert found.lines == {"i1": [FULL, END, LATE]}
    assert (found.settled, list(tmp_path.iterdir())) == (["i1"], [])
    assert FULL.amount == Amount(3, 4)


def test_a_living_one_is_left_alone(tmp_path: Path) -> None:
    """Its lock is held; nothing is read, and it is named."""
    journal = Journal(tmp_path, "i1")
    journal.append(FULL)
    found = Found()
    assert found.of(tmp_path) == {"i1"}
    assert (found.lines, found.settled, len(list(tmp_path.iterdir()))) == ({}, [], 1)


def test_one_that_somebody_replays_just_now_is_left_to_them(tmp_path: Path) -> None:
    """Whoever has the lock of its first file gets all of it."""
    journal = Journal(tmp_path, "i1", segment=1)
    for _ in range(3):
        journal.append(FULL)
    died(journal)
    files = sorted(tmp_path.iterdir())
    assert len(files) == 3
    with files[0].open("rb") as first:
        fcntl.flock(first, fcntl.LOCK_EX)
        found = Found()
        assert found.of(tmp_path) == {"i1"}
        assert found.lines == {}
    assert found.of(tmp_path) == frozenset()
    assert found.lines == {"i1": [FULL] * 3}


def test_what_the_database_has_is_not_replayed(tmp_path: Path) -> None:
    """Up to where it was settled; whole files are gone by then."""
    journal = Journal(tmp_path, "i1", segment=1_000)
    ends = [journal.append(reservation(f"r{number}")) for number in range(100)]
    assert journal.waiting == ends[-1]
    journal.settle(ends[69])
    assert journal.waiting == ends[-1] - ends[69]
    died(journal)
    found = Found()
    found.of(tmp_path)
    names = [line.request_id for line in found.lines["i1"]]
    assert names == [f"r{number}" for number in range(70, 100)]


def test_many_lines_come_in_groups(tmp_path: Path) -> None:
    """None is long, and order is kept."""
    journal = Journal(tmp_path, "i1")
    for number in range(2_500):
        journal.append(reservation(f"r{number}"))
    died(journal)
    found = Found()
    found.of(tmp_path)
    assert found.groups == 3
    assert [line.request_id for line in found.lines["i1"]] == [f"r{number}" for number in range(2_500)]


def test_a_database_that_is_down_keeps_the_files(tmp_path: Path) -> None:
    """The next look finds them as they were."""
    journal = Journal(tmp_path, "i1")
    journal.append(FULL)
    died(journal)
    found = Found()
    found.error = StoreError("down")
    with pytest.raises(StoreError):
        found.of(tmp_path)
    found.error = None
    found.of(tmp_path)
    assert found.lines == {"i1": [FULL]}


@given(cut=st.integers(0, 600), junk=st.binary(max_size=40))
@settings(max_examples=60, deadline=None)
def test_a_torn_end_is_no_line(tmp_path_factory: pytest.TempPathFactory, cut: int, junk: bytes) -> None:
    """Wherever it is cut, and whatever stands after that: whole lines before it are read, no other is made up."""
    folder = tmp_path_factory.mktemp("torn")
    journal = Journal(folder, "i1")
    ends = [journal.append(line) for line in (FULL, END, LATE)]
    died(journal)
    (file,) = folder.iterdir()
    content = file.read_bytes()
    torn = content[: max(len(content) - cut, START)]
    whole = sum(START + end <= len(torn) for end in ends)
    assert list(lines(torn + junk))[:whole] == [FULL, END, LATE][:whole]
    if not content.startswith(torn + junk):
        assert len(list(lines(torn + junk))) == whole


@pytest.mark.parametrize("tail", [bytes(64), b"\x01\x00\x00\x00", b"\xff" * 64])
def test_what_is_no_line_ends_the_file(tmp_path: Path, tail: bytes) -> None:
    """Zeros of a file system that lost the power, half a head, noise."""
    journal = Journal(tmp_path, "i1")
    journal.append(FULL)
    (file,) = tmp_path.iterdir()
    assert list(lines(file.read_bytes() + tail)) == [FULL]


@pytest.mark.parametrize("size", [0, 3, len(MAGIC), len(MAGIC) + 7, START - 1])
def test_a_file_that_was_only_begun_has_no_lines(tmp_path: Path, size: int) -> None:
    """Its head was cut."""
    journal = Journal(tmp_path, "i1")
    journal.append(FULL)
    (file,) = tmp_path.iterdir()
    assert list(lines(file.read_bytes()[:size])) == []


@pytest.mark.parametrize("content", [b"SOMETHING ELSE ALTOGETHER", b"X"])
def test_evidence_is_never_deleted_unread(tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """A file of a version that is not known stays under another name, and is told of once."""
    (tmp_path / "i1.000000.journal").write_bytes(content)
    found = Found()
    found.of(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["i1.000000.journal.unread"]
    assert (tmp_path / "i1.000000.journal.unread").read_bytes() == content
    assert "unread" in caplog.text
    assert found.settled == ["i1"]


def test_an_orderly_end_leaves_what_is_missing_and_nothing_else(tmp_path: Path) -> None:
    """With all settled there is not even a folder."""
    for number, whole in enumerate((True, False)):
        folder = tmp_path / str(number)
        journal = Journal(folder, "i1")
        end = journal.append(FULL)
        if whole:
            journal.settle(end)
        journal.close()
        assert folder.exists() is not whole
        found = Found()
        found.of(folder)
        assert found.lines == ({} if whole else {"i1": [FULL]})


def filled(folder: Path, rounds: int, segment: int = 1_000) -> tuple[Journal, list[str]]:
    """A journal whose files have had several lives, and of what it promised the ids that were not settled."""
    journal = Journal(folder, "i1", segment)
    kept: list[str] = []
    for number in range(rounds):
        end = journal.append(reservation(f"r{number}", number))
        kept.append(f"r{number}")
        if number % 5 == 4:
            journal.settle(end)
            kept.clear()
    return journal, kept


def names(folder: Path) -> list[str]:
    """The ids that a recovery replays, in their order."""
    found = Found()
    found.of(folder)
    return [line.request_id for line in found.lines.get("i1", [])]


@given(rounds=st.integers(1, 60), segment=st.integers(300, 1_200))
@settings(max_examples=60, deadline=None)
def test_a_file_s_earlier_life_is_never_replayed(
    tmp_path_factory: pytest.TempPathFactory, rounds: int, segment: int
) -> None:
    """Killed after any line, with old lines behind the last one: what was not settled comes back, and nothing else."""
    folder = tmp_path_factory.mktemp("lives")
    journal, kept = filled(folder, rounds, segment)
    assert len(list(folder.iterdir())) == len(journal._segments) + len(journal._spare)
    assert len(journal._spare) <= 1
    died(journal)
    assert names(folder) == kept
    assert list(folder.iterdir()) == []


def test_settled_files_are_used_again(tmp_path: Path) -> None:
    """However long it runs there are no more than it needs at once and a spare one, which goes with its end."""
    journal, _ = filled(tmp_path, 1_000)
    assert journal._count > 50
    inodes = {file.stat().st_ino for file in tmp_path.iterdir()}
    assert len(inodes) <= 3
    for number in range(20):
        journal.settle(journal.append(reservation(f"s{number}")))
    assert {file.stat().st_ino for file in tmp_path.iterdir()} <= inodes
    journal.close()
    assert not tmp_path.exists()


def test_an_old_line_exactly_at_the_end_is_none(tmp_path: Path) -> None:
    """A power loss may bring back pages of before: the line of an earlier life stands where the next one would."""
    journal = Journal(tmp_path, "i1", 400)
    first = journal.append(reservation("a"))
    line = (tmp_path / "i1.000000.journal").read_bytes()[START : START + first]
    while journal._count < 2:
        journal.append(reservation("b"))
    journal.settle(journal._end)
    while journal._count < 3:
        journal.append(reservation("c"))
    (file,) = tmp_path.glob("*.000002.journal")
    died(journal)
    content = file.read_bytes()
    end = START + first
    assert [found.request_id for found in lines(content)] == ["c"]
    assert [found.request_id for found in lines(content[:end] + line + content[end + len(line) :])] == ["c"]
    young = MAGIC + START.to_bytes(8, "little") + bytes(8)  # the number of the life that it was written in
    assert [found.request_id for found in lines(young + line)] == ["a"]


@pytest.mark.parametrize("step", ["rest", "_begin", "rename", "append"])
def test_a_kill_between_two_lives_replays_nothing_twice(
    tmp_path: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the file rests, before it is begun, before it has its name, before its first line."""

    class Killed(BaseException):
        pass

    def kill(*_: object) -> None:
        raise Killed

    journal = Journal(tmp_path, "i1", 400)
    while journal._count < 2:
        end = journal.append(reservation("old"))
    ends = [journal.append(reservation("new"))]
    old = journal._segments[0]
    if step == "rest":
        monkeypatch.setattr(_Segment, "rest", kill)
        with pytest.raises(Killed):
            journal.settle(end)
        old.close()
        died(journal)
        assert names(tmp_path)[-2:] == ["old", "new"]  # the others again, in vain
        return
    journal.settle(end)
    monkeypatch.setattr(Path if step == "rename" else _Segment, step, kill)
    if step == "append":
        journal._new(10)

    def work() -> None:
        while True:
            ends.append(journal.append(reservation("new")))

    with pytest.raises(Killed):
        work()
    monkeypatch.undo()
    died(journal)
    if old not in journal._segments:
        old.close()
    assert names(tmp_path) == ["new"] * len(ends)


DIES_BEFORE_ITS_FILE_HAS_A_NAME = """
import os, signal, sys
from pathlib import Path, PosixPath
from tests.conformance.store import reservation
from tierwise.store.journal import Journal

class Deadly(PosixPath):
    def rename(self, target):
        os.kill(os.getpid(), signal.SIGKILL)

Journal(Deadly(sys.argv[1]), "i1").append(reservation("r1"))
"""


def test_a_file_that_was_killed_before_it_had_a_name_is_deleted(tmp_path: Path) -> None:
    """By the next that looks; it has no lines, so nothing is replayed."""
    ended = subprocess.run([sys.executable, "-c", DIES_BEFORE_ITS_FILE_HAS_A_NAME, str(tmp_path)], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert [path.name for path in tmp_path.iterdir()] == [".i1.000000.journal"]
    found = Found()
    assert found.of(tmp_path) == frozenset()
    assert (found.lines, found.settled, list(tmp_path.iterdir())) == ({}, [], [])


def test_a_file_that_is_being_made_is_left_to_its_maker(tmp_path: Path) -> None:
    """Whether it is locked already or still empty: its lock is not even tried then."""
    locked, empty = tmp_path / ".i1.000000.journal", tmp_path / ".i2.000000.journal"
    locked.write_bytes(bytes(100))
    empty.touch()
    with locked.open("rb") as making:
        fcntl.flock(making, fcntl.LOCK_EX)
        Found().of(tmp_path)
        assert locked.exists()
    Found().of(tmp_path)
    assert (locked.exists(), empty.exists()) == (False, True)


def test_a_spare_file_that_somebody_deleted_is_made_anew(tmp_path: Path) -> None:
    """It is only a file to save work."""
    journal, _ = filled(tmp_path, 30)
    spare = journal._spare[0]
    spare.path.unlink()
    kept = []
    while spare in journal._spare:
        kept.append(journal.append(reservation("x")))
    died(journal)
    assert names(tmp_path)[-len(kept) :] == ["x"] * len(kept)


def test_files_of_the_version_before_are_replayed(tmp_path: Path) -> None:
    """They have no number, and their checks begin with nothing."""
    content = OLD_MAGIC + (16).to_bytes(8, "little")
    for kind, line in enumerate((FULL, END, LATE)):
        payload = bytes([kind]) + msgspec.msgpack.encode(line)
        content += len(payload).to_bytes(4, "little") + crc32(payload).to_bytes(4, "little") + payload
    (tmp_path / "i1.000000.journal").write_bytes(content + bytes(100))
    found = Found()
    found.of(tmp_path)
    assert found.lines == {"i1": [FULL, END, LATE]}
    assert list(lines(content[:15])) == []


def test_a_full_disk_promises_nothing_and_breaks_nothing(tmp_path: Path) -> None:
    """There is room for whole files or for none; what stands in those before it stays."""
    journal = Journal(tmp_path, "i1", 200)
    journal.append(FULL)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    for room in (20, 0):
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
        try:
            for _ in range(2):
                with pytest.raises(StoreError, match="journal"):
                    journal.append(END)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert len(list(tmp_path.iterdir())) == 1
    journal.append(LATE)
    died(journal)
    found = Found()
    found.of(tmp_path)
    assert found.lines == {"i1": [FULL, LATE]}


def test_what_no_file_can_hold_is_refused(tmp_path: Path) -> None:
    """Text that is no text, and numbers beyond all columns."""
    journal = Journal(tmp_path, "i1")
    for bad in (reservation("r\ud800"), reservation("r1", 2**70)):
        with pytest.raises(StoreError, match="can't hold"):
            journal.append(bad)
    assert journal.waiting == 0
