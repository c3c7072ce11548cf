"""The picture of a replay: a PNG, whole or not at all."""

from __future__ import annotations

import struct
from pathlib import Path

import msgspec
import pytest

from tierwise.errors import ConfigError
from tierwise.offline.figures import (
    Accuracy,
    CostRanking,
    Curve,
    DecisionTime,
    Metric,
    Policy,
    Ranking,
    Report,
    Single,
)
from tierwise.offline.plot import plot

SOME = Metric(0.7, 0.6, 0.8)
X = [0.0, 0.5, 1.0]
REPORT = Report(
    cheap="small",
    premium="big",
    opinions=("other",),
    n=1_000,
    labels=0,
    dropped=0,
    accuracy=Accuracy(Metric(0.5, 0.4, 0.6), Metric(0.9, 0.8, 1.0), Metric(0.95, 0.9, 1.0)),
    router=Ranking(SOME, SOME, SOME, SOME),
    verifier=Ranking(SOME, SOME, SOME, SOME),
    cascade=CostRanking(SOME, SOME, SOME, SOME, SOME),
    policy=Policy("agreement", 0.5, 0.85, 0.94, 0.6, 0.4, 1.0, 0.02),
    certificate=None,
    zero_router=(
        Single("small", 0.001, 0.5, True),
        Single("big", 0.1, 0.9, True),
        Single("a-name-that-is-longer-than-any-picture-has-a-place-for", 0.02, 0.6, False),
    ),
    decision_us=DecisionTime(10.0, 20.0),
    notes=(),
    curves=(
        Curve("router", X, [0.5, 0.75, 0.9]),
        Curve("verifier", X, [0.5, 0.85, 0.9]),
        Curve("cascade", X, [0.5, 0.85, 0.9]),
        Curve("cost", [0.1, 0.6, 1.1], [0.5, 0.85, 0.9]),
    ),
)
NOTHING = Metric(None, None, None)


def drawn(report: Report, path: Path) -> tuple[int, int]:
    """Width and height of the PNG, in pixels."""
    plot(report, path)
    data = path.read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    assert data.rstrip().endswith(b"IEND\xaeB`\x82")
    width, height = struct.unpack(">II", data[16:24])
    return int(width), int(height)


def test_a_png(tmp_path: Path) -> None:
    """Two panels where dollars are known, one where they are not; the same size whatever the names."""
    assert drawn(REPORT, tmp_path / "a.png") == (1430, 598)
    unknown = msgspec.structs.replace(
        REPORT,
        curves=REPORT.curves[:3],
        zero_router=(),
        policy=msgspec.structs.replace(REPORT.policy, kept_cheap=0.0, cost_ratio=None),
    )
    assert drawn(unknown, tmp_path / "b.png") == (780, 598)
    assert {path.name for path in tmp_path.iterdir()} == {"a.png", "b.png"}


def test_figures_that_are_not_defined(tmp_path: Path) -> None:
    """Are left out of the picture, and draw no error."""
    single = (Single("small", None, 0.5, False), Single("big", None, 0.9, False))
    report = msgspec.structs.replace(REPORT, accuracy=Accuracy(NOTHING, NOTHING, NOTHING), zero_router=single)
    assert drawn(report, tmp_path / "a.png") == (1430, 598)


def test_a_place_that_can_t_be_written(tmp_path: Path) -> None:
    """Is an error of ours, and leaves what was there."""
    (tmp_path / "folder").mkdir()
    with pytest.raises(ConfigError, match="folder: can't be written: Is a directory"):
        plot(REPORT, tmp_path / "folder")
    with pytest.raises(ConfigError, match="no is no folder"):
        plot(REPORT, tmp_path / "no" / "a.png")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
