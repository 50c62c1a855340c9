"""wrk's own words, read."""

import pytest

from benchmarks.load import Load, NoLoadError, parse_load

WRK = """\
Running 2s test @ http://127.0.0.1:1/mcp
  1 threads and 16 connections
Requests/sec:  43270.47

{"calls": 86575, "seconds": 2.001, "p50_ms": 0.25, "p99_ms": 0.71, "errors": 3}
"""


def test_the_line_that_the_script_writes_is_what_counts() -> None:
    load = parse_load(WRK)
    assert load == Load(86575, 2.001, 0.25, 0.71, 3)
    assert round(load.rate) == 43266


def test_a_run_that_failed_is_told_in_its_own_words() -> None:
    with pytest.raises(NoLoadError, match="unable to connect"):
        parse_load("unable to connect to 127.0.0.1:1 Connection refused\n")


def test_a_run_without_an_answer_is_no_measurement() -> None:
    with pytest.raises(NoLoadError, match="no call was answered"):
        parse_load('{"calls": 0, "seconds": 2.0, "p50_ms": 0, "p99_ms": 0, "errors": 16}')
