"""A run goes on without what fails."""

from pathlib import Path

from benchmarks.placement import here
from benchmarks.processes import DidNotStartError
from benchmarks.run import Run, Size
from benchmarks.targets import Ground, Plan, Recipe
from benchmarks.upstream import upstream


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
