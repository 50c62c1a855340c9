"""benchmarks/policies.py measures every element there is, and each of them on the way that it is measured for."""

from __future__ import annotations

import pytest

from benchmarks.policies import ELEMENTS as MEASURED
from benchmarks.policies import asked, compiled, evaluate
from mcpgov.policy.registry import ELEMENTS


def test_every_element_is_measured_under_its_name() -> None:
    for name, measured in MEASURED.items():
        assert name.partition(" ")[0] in {step.element.name for step in compiled(measured).all_steps()}
    assert {name.partition(" ")[0] for name in MEASURED} == ELEMENTS.keys()


@pytest.mark.parametrize("name", MEASURED)
async def test_every_element_is_run_as_it_is_measured(name: str) -> None:
    await evaluate(compiled(MEASURED[name]), asked(), MEASURED[name])
