"""Which targets are measured, and what is said of those that could not be."""

import os
import signal
from pathlib import Path

import pytest

from benchmarks.compare import BRIEF, EVERY, chosen, interruptible, text
from benchmarks.gateway import ELEMENTS, Shape, each_of, furnished
from benchmarks.placement import here
from benchmarks.processes import DidNotStartError
from benchmarks.run import Run, Size
from benchmarks.targets import Ground, Plan, Recipe
from benchmarks.upstream import upstream
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


def test_a_target_that_cannot_be_had_is_told_with_its_reason_and_the_run_goes_on(tmp_path: Path) -> None:
    def broken(_: Ground) -> Plan:
        raise DidNotStartError("no wheel for it")

    size = Size(rounds=1, seconds=1, concurrencies=(), passes=0, starts=1, calls=0, streams=0, patience=1)
    with upstream(here().load, tmp_path) as served:
        works = Recipe("direct", lambda: "1", lambda ground: Plan((), ground.upstream.port))
        run = Run(Ground(tmp_path, served, here()), size, [Recipe("peer", lambda: "1", broken), works])
        run.measure()
    assert run.left_out == {"peer": "DidNotStartError: no wheel for it"}
    assert run.figures.keys() == run.versions.keys() == {"direct"}


def test_sigterm_ends_as_control_c_does() -> None:
    before = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(SystemExit) as ended:
            interruptible(lambda: os.kill(os.getpid(), signal.SIGTERM))
    finally:
        signal.signal(signal.SIGTERM, before)
    assert ended.value.code == 130
