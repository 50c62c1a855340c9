"""The short forms of `scripts/soak`: nothing grows, nothing is lost, everything is told and written down."""

from pathlib import Path

import pytest

from tests.faults.tools import note
from tests.soak import calls, drain, overload, streams
from tests.soak.graph import graph
from tests.soak.run import wanted_of
from tests.soak.site import Sample, SoakSite

COSTS_AT_MOST = 60 * streams.KIB  # of a thousand; what every gateway has counts for more than beside ten thousand


async def test_ten_thousand_calls_leave_nothing_behind(tmp_path: Path) -> None:
    points, faults = await calls.soak(SoakSite(tmp_path), calls.SHORT)
    assert faults == []
    assert points[-1].calls >= calls.SHORT.calls


async def test_a_thousand_idle_streams_cost_little_and_none_is_lost(tmp_path: Path) -> None:
    full, empty = tmp_path / "full", tmp_path / "empty"
    full.mkdir()
    empty.mkdir()
    beside = SoakSite(full, connections=streams.connections(streams.SHORT))
    found = await streams.idle(beside, SoakSite(empty), streams.SHORT, lambda _: None)
    note(f"measured: {found.each / streams.KIB:.1f} KiB a stream, calls beside them {found.ratio:.2f} times as long")
    assert found.faults == []
    assert found.each < COSTS_AT_MOST


@pytest.mark.parametrize("workers", [1, 2])
async def test_told_to_end_it_finishes_calls_tells_streams_and_is_gone(tmp_path: Path, workers: int) -> None:
    came = await drain.drained(SoakSite(tmp_path, workers=workers, connections=drain.CONNECTIONS), drain.Load())
    assert came.faults == []


async def test_beyond_capacity_calls_are_refused_and_every_one_is_recorded(tmp_path: Path) -> None:
    found = await overload.overload(SoakSite(tmp_path), overload.by_policy(20, 2))
    assert found.faults == []
    assert found.ends["200"] == 20 * overload.TIMES * 2


def test_growth_counts_from_where_it_has_settled() -> None:
    plan = calls.Plan(400, 100, 10, 100)
    points = [calls.Point(number * 100, Sample(rss, 9, 9), 1.0) for number, rss in enumerate((5, 90, 95, 99, 97))]
    assert calls.growth(points, plan) == 9
    assert calls.row(points[1]).split() == ["100", "0.0", "9", "9", "1"]


def test_the_picture_shows_every_point() -> None:
    points = [calls.Point(number, Sample(number * calls.MIB, 9, 9), 1.0) for number in range(1, 101)]
    drawn = graph(points, calls.Plan(100, 10, 1, 1))
    assert drawn.count(",", drawn.index("points="), drawn.index("</svg>")) == 100
    assert "prefers-color-scheme: dark" in drawn


def test_the_long_forms_are_what_is_said_of_them() -> None:
    assert (wanted_of(["calls"]).calls, wanted_of(["streams"]).streams, wanted_of(["streams"]).minutes) == (
        1_000_000,
        10_000,
        10,
    )
    assert (wanted_of(["drain"]).rounds, wanted_of(["overload"]).capacity) == (20, 100)
