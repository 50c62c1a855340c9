"""The checker is proved on real components, each with one fault: it finds each, and nothing where there is none."""

from pathlib import Path

import pytest

from mcpgov.store.sqlite_ledger import SqliteLedgerStore
from tests.faults.planted import PLANTED, DropsAnOutcome, NeverRecovers, RefusesSome, RefusesTheLast
from tests.faults.rig import Rig, Store

TRUE_RUNS = 5


@pytest.mark.parametrize("fault", PLANTED)
async def test_a_component_with_a_fault_is_found(fault: str, tmp_path: Path) -> None:
    store, call, kind = PLANTED[fault]
    rig = Rig(tmp_path / "mcpgov.db", call=call)
    await rig.run(store, crash=store is not DropsAnOutcome)  # after a crash it would be ended as unknown
    await rig.recover(store if store is NeverRecovers else SqliteLedgerStore)
    assert kind in {finding.kind for finding in rig.findings()}


@pytest.mark.parametrize("store", [SqliteLedgerStore, RefusesSome, RefusesTheLast])
async def test_nothing_is_found_in_true_runs_crashes_and_failures_of_the_store_among_them(
    store: Store, tmp_path: Path
) -> None:
    rig = Rig(tmp_path / "mcpgov.db")
    for number in range(TRUE_RUNS):
        await rig.run(store, crash=number % 2 == 0)
        await rig.recover()
        assert rig.findings() == []
    assert len(rig.seen.upstream) > TRUE_RUNS
    assert {entry.got for entry in rig.seen.client} == {"result", "refused"}
