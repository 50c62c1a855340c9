"""Which targets are measured, and what is said of those that could not be."""

import os
import signal
from pathlib import Path

import pytest

from benchmarks.compare import BRIEF, EVERY, chosen, interruptible, text
from benchmarks.gateway import ELEMENTS, Shape, each_of, furnished
from mcpgov.reload import load_generation
from tests.benchmarks.test_report import RESULT


def test_the_short_form_has_what_readers_compare_with_and_the_full_one_everything() -> None:
    assert [recipe.name for recipe in chosen("", full=False)] == list(BRIEF)
    assert [recipe.name for recipe in chosen("", full=True)] == [recipe.name for recipe in EVERY]
    assert [recipe.name for recipe in chosen("nginx, mcpgov", full=True)] == ["nginx", "mcpgov"]
    with pytest.raises(SystemExit, match="no such target: apache; there are direct, nginx"):
        chosen("nginx,apache", full=True)


def test_a_reader_is_told_on_what_and_what_was_left_out() -> None:
    shown = text(RESULT)
    assert shown.startswith("2 cores of X, kernel 6.1, proxy on core 0\n")
    assert "left out: litellm: DidNotStartError: no wheel" in shown


@pytest.mark.parametrize("count", [1, 10, 100])
def test_a_gateway_of_so_many_policies_loads(tmp_path: Path, count: int) -> None:
    generation = load_generation(furnished(tmp_path, Shape(policies=each_of(count)), 8080, 8081))
    assert len(generation.settings.global_policies) == count


def test_five_elements_are_in_force() -> None:
    kinds = {element.partition(":")[0] for element in ELEMENTS}
    assert kinds == {"ip-filter", "check-header", "tool-rules", "rate-limit-by-key", "set-header"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_run_and_says_so(number: signal.Signals, capsys: pytest.CaptureFixture[str]) -> None:
    before = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        with pytest.raises(SystemExit) as ended:
            interruptible(lambda: os.kill(os.getpid(), number))
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
    assert ended.value.code == 130
    assert "ended before its time" in capsys.readouterr().err
