"""Where the proxy and the load run."""

import os

from benchmarks.placement import here, on, placement


def test_the_proxy_has_a_core_of_its_own_where_there_are_two() -> None:
    placed = placement({4, 2, 7})
    assert (placed.proxy, placed.load, placed.both) == ({2}, {4}, {2, 4})


def test_one_core_has_to_do_and_that_is_said() -> None:
    placed = placement({3})
    assert placed.proxy == placed.load == {3}
    assert "one core for everything" in placed.told


def test_the_cores_are_as_before_once_something_was_started() -> None:
    before = os.sched_getaffinity(0)
    with on(here().proxy):
        assert os.sched_getaffinity(0) == here().proxy
    assert os.sched_getaffinity(0) == before
