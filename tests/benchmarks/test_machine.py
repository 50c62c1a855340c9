"""Whether a machine is quiet is looked at, and waited for, but not for ever."""

from benchmarks.machine import LOOK, LOOKS, QUIET, until_quiet


def test_a_run_waits_until_what_ran_before_is_forgotten() -> None:
    loads, pauses = iter((3 * QUIET, 2 * QUIET, QUIET, 0.0)), list[float]()
    until_quiet(lambda: next(loads), pauses.append)
    assert (pauses, next(loads)) == ([LOOK] * 2, 0.0)


def test_a_machine_that_stays_busy_is_measured_all_the_same() -> None:
    pauses = list[float]()
    until_quiet(lambda: 2 * QUIET, pauses.append)
    assert len(pauses) == LOOKS
