"""Medians over rounds, ratios within one run, tables."""

import pytest

from benchmarks.figures import at_concurrency, cells, latency, markdown, percentile, ratios, table
from benchmarks.load import Load
from benchmarks.processes import Used
from benchmarks.rounds import Sample, in_turn, long_enough
from benchmarks.targets import Plan, Target


def sample(cpu: float, calls: int = 1000) -> Sample:
    return Sample(Load(calls, 2.0, 0.5, 1.5, 1), Used(cpu / 2, cpu / 2), Used(0.001, 0.005))


def test_the_median_of_the_rounds_counts_and_not_their_mean() -> None:
    found = at_concurrency([sample(0.02), sample(0.03), sample(9.0)], 16)
    assert found["c16_cpu_us"] == pytest.approx(30)
    assert found["c16_user_us"] == pytest.approx(15)
    assert found["c16_calls_per_s"] == 500
    assert found["c16_errors"] == 3
    assert found["c16_upstream_us"] == pytest.approx(6)


def test_a_ratio_is_told_of_every_figure_that_both_have() -> None:
    targets = {"nginx": {"c1_cpu_us": 20.0, "c16_cpu_us": 10.0}, "mcpgov": {"c16_cpu_us": 45.0, "start_s": 1.0}}
    assert ratios(targets, "nginx") == {"nginx": {"c1_cpu_us": 1.0, "c16_cpu_us": 1.0}, "mcpgov": {"c16_cpu_us": 4.5}}
    assert ratios(targets, "absent") == {"nginx": {}, "mcpgov": {}}


def test_added_latency_is_the_difference_of_the_same_percentile() -> None:
    direct = [0.001] * 98 + [0.002, 0.003]
    found = latency([one + 0.004 for one in direct], direct)
    assert found["added_p50_ms"] == pytest.approx(4)
    assert found["added_p99_ms"] == pytest.approx(4)
    assert found["probe_p99_ms"] == pytest.approx(7)


def test_nothing_is_added_where_there_was_no_direct_call() -> None:
    assert latency([0.001, 0.002], []) == {"probe_p50_ms": 2.0, "probe_p99_ms": 2.0}


@pytest.mark.parametrize(("part", "expected"), [(0.5, 51), (0.99, 100), (1.0, 100), (0.0, 1)])
def test_a_percentile_is_a_value_that_was_measured(part: float, expected: int) -> None:
    assert percentile(list(range(100, 0, -1)), part) == expected


def test_a_column_without_a_figure_is_left_out() -> None:
    rows = cells({"targets": {"nginx": {"c16_cpu_us": 14.2}, "direct": {}}, "ratios": {"nginx": {}}})
    assert rows == [["target", "c16"], ["nginx", "14"], ["direct", ""]]
    assert table(rows) == "target  c16\nnginx    14\ndirect     "
    assert markdown(rows) == "| target | c16 |\n| --- | ---: |\n| nginx | 14 |\n| direct |  |\n"


def test_every_second_round_goes_backwards() -> None:
    targets = [Target(name, Plan((), 1), 1, 0.0) for name in "abc"]
    assert "".join(target.name for _, target in in_turn(targets, 3)) == "abccbaabc"


def test_a_slow_target_is_loaded_until_it_can_have_answered_and_no_longer_than_that() -> None:
    assert long_enough(2, 0.0001, 16) == 2
    assert long_enough(2, 0.05, 16) == pytest.approx(6.4)
    assert long_enough(2, 5, 16) == 20
