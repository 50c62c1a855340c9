"""Of two purges at once one removes, and the other says so."""

from pathlib import Path

import pytest

from mcpgov.audit.note import Signer
from mcpgov.audit.purge import Removed, cut_of
from mcpgov.errors import StoreUnavailable
from mcpgov.store.oldest_records import open_sqlite_oldest
from mcpgov.store.sqlite_ledger import SqliteLedgerStore
from tests.audit.calls import NOW
from tests.contract.ledger_contract import control

SIGNER = Signer(bytes(32))


def test_the_second_of_two_purges_removes_nothing(tmp_path: Path) -> None:
    store = SqliteLedgerStore(tmp_path / "mcpgov.db")
    store.open()
    store.append([control(), control()])
    with open_sqlite_oldest(tmp_path / "mcpgov.db") as oldest:
        cut = cut_of(Removed(), oldest.oldest(0, 1))
        store.purge(cut, cut.records(NOW, {}), SIGNER.checkpoint, NOW)
        with pytest.raises(StoreUnavailable, match="faster"):
            store.purge(cut, cut.records(NOW, {}), SIGNER.checkpoint, NOW)
        assert [old.seq for old in oldest.oldest(0, 9)] == [2, 3]
