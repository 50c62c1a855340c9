"""A ledger in PostgreSQL is purged as one in a file is, and still proves what remains."""

from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta

import pytest

from mcpgov.audit.note import Signer
from mcpgov.audit.purge import Removed, cut_of
from mcpgov.audit.record import ControlEvent, ControlRecord, IntentRecord, OutcomeRecord
from mcpgov.audit.retention import PurgingLedger, Retention, Wanted
from mcpgov.audit.verify import verify
from mcpgov.errors import StoreUnavailable
from mcpgov.models import OutcomeStatus, Secret
from mcpgov.store.postgres_ledger import PostgresLedgerStore
from mcpgov.store.postgres_reader import open_postgres_evidence, open_postgres_oldest
from tests.audit.calls import NOW, facts
from tests.store.postgres import PostgresServer

SIGNER = Signer(bytes(32))
DAY = timedelta(days=1)


@contextmanager
def opened(url: Secret) -> Generator[PurgingLedger]:
    store = PostgresLedgerStore(url)
    store.open()
    yield store
    store.close(finished=True)


def test_what_is_too_old_is_gone_and_the_rest_is_proved(postgres: PostgresServer) -> None:
    url = postgres.database()
    store = PostgresLedgerStore(url)
    store.open()
    for day in range(3):
        at, call = NOW + day * DAY, str(day)
        store.append([IntentRecord(facts(call, at)).row(), OutcomeRecord(call, at, OutcomeStatus.OK).row()])
        store.checkpoint(SIGNER.checkpoint, at)
    with open_postgres_oldest(url) as oldest:
        stale = cut_of(Removed(), oldest.oldest(0, 2))
        purging = Retention(oldest, lambda: opened(url), SIGNER.checkpoint, lambda: None)
        assert purging.purge(Wanted(1, "dana"), NOW + 3 * DAY).records == 4
    with opened(url) as second, pytest.raises(StoreUnavailable, match="faster"):
        second.purge(stale, stale.records(NOW, {}), SIGNER.checkpoint, NOW)
    store.append([ControlRecord(ControlEvent.RELOAD, NOW + 3 * DAY).row()])
    store.close(finished=True)
    with open_postgres_evidence(url) as evidence:
        found = verify(evidence, SIGNER.key, {})
        assert (found.code, found.purged, found.findings) == (0, 4, ())
        assert len(evidence.proofs("2")) == 2
