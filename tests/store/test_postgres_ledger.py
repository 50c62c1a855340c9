"""The ledger in PostgreSQL keeps the contract, also when a connection is lost in the middle of a commit."""

import signal
import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

import psycopg
import pytest

from mcpgov.audit.chain import Chain
from mcpgov.audit.ledger_store import LedgerStore
from mcpgov.audit.note import Signer
from mcpgov.audit.purge import Removed, cut_of
from mcpgov.audit.record import ControlEvent, ControlRecord, Durability, IntentRecord, OutcomeRecord, Row
from mcpgov.audit.retention import PurgingLedger, Retention, Wanted
from mcpgov.audit.verify import verify
from mcpgov.errors import InvalidConfiguration, StoreUnavailable
from mcpgov.models import OutcomeStatus, Secret
from mcpgov.store.postgres_ledger import IN_ORDER, INSERT, ORDER, PostgresLedgerStore
from mcpgov.store.postgres_reader import open_postgres_evidence, open_postgres_oldest
from tests.audit.calls import facts
from tests.contract.ledger_contract import NOW, LedgerContract, control, intent, outcome, unknown
from tests.store.postgres import PostgresServer
from tests.store.postgres_asked import ask, backend, until_released


def rows_of(url: Secret) -> list[tuple[str, int, Row]]:
    """Every row in a database, in the order of its ids."""
    found = ask(url, f"SELECT writer, seq, {', '.join(Row._fields)} FROM records ORDER BY id")
    return [(writer, seq, Row(*rest)) for writer, seq, *rest in found]


def also(url: Secret, writer: str, seq: int, row: Row, digest: bytes) -> None:
    """Add a row over a connection of its own, as one that was lost would have."""
    names = ", ".join(("writer", "seq", *row._fields, "hash"))
    values = (writer, seq, *row, digest)
    ask(url, f"INSERT INTO records ({names}) VALUES ({', '.join(['%s'] * len(values))})", *values)


class TestPostgresLedgerStore(LedgerContract):
    @pytest.fixture(autouse=True)
    def ledger(self, postgres: PostgresServer) -> Iterator[None]:
        self.server = postgres
        self.url = postgres.database()
        self.stores: list[PostgresLedgerStore] = []
        yield
        for store in self.stores:
            store.close(finished=False)

    def writer(self) -> LedgerStore:
        self.stores.append(PostgresLedgerStore(self.url))
        return self.stores[-1]

    def crash(self, store: LedgerStore) -> None:
        pid = backend(self.url, store.writer)
        store.close(finished=False)
        until_released(self.url, pid)

    def kept(self) -> list[tuple[str, int, Row]]:
        return rows_of(self.url)

    def hashes(self) -> list[bytes]:
        return [row[0] for row in ask(self.url, "SELECT hash FROM records ORDER BY id")]

    def notes(self) -> list[tuple[str, int, str]]:
        return [(*row,) for row in ask(self.url, "SELECT writer, size, note FROM checkpoints ORDER BY writer, size")]

    def hang_up(self, store: LedgerStore) -> None:
        """Have the server end the connection of a writer."""
        pid = backend(self.url, store.writer)
        ask(self.url, "SELECT pg_terminate_backend(%s)", pid)
        until_released(self.url, pid)

    def lose(self, store: LedgerStore, tried: Sequence[Row], kept: Sequence[Row] | None = None) -> None:
        """Have a writer of one control record told that a batch is not kept, and its connection ended; `kept`, or what
        was tried, is there all the same.
        """
        with psycopg.connect(self.url.reveal()) as other:
            other.execute("LOCK TABLE records IN ACCESS EXCLUSIVE MODE")
            with pytest.raises(StoreUnavailable, match="lock timeout"):
                store.append(tried)
        self.hang_up(store)
        rows = [control(), *(tried if kept is None else kept)]
        _, hashes = Chain(store.writer).extended(row.record for row in rows)
        for seq, row in enumerate(rows[1:], 2):
            also(self.url, store.writer, seq, row, hashes[seq - 1])

    def test_a_row_with_what_postgresql_cannot_hold_is_kept_all_the_same(self, store: LedgerStore) -> None:
        hostile = intent("1", r'{"tool":"a\u0000b"}')._replace(
            tool="a\0b", principal="\U0001f600' OR 1=1 --", reason="ä"
        )
        store.append([hostile])
        assert [row for _, _, row in self.kept()] == [hostile._replace(tool="a␀b")]

    def test_a_text_that_is_no_unicode_is_unavailable_and_harms_nobody_else(self, store: LedgerStore) -> None:
        with pytest.raises(StoreUnavailable, match="UTF-8"):
            store.append([intent("1")._replace(tool="\ud800")])
        store.append([intent("2")])
        assert [row.call_id for _, _, row in self.kept()] == ["2"]

    def test_a_connection_that_was_ended_is_made_anew_before_anything_is_sent(self, store: LedgerStore) -> None:
        store.append([intent("1")])
        self.hang_up(store)
        store.append([outcome("1")])
        self.hang_up(store)
        assert store.recover(unknown) == 0
        assert [(seq, row.call_id) for _, seq, row in self.kept()] == [(1, "1"), (2, "1")]

    def test_the_calls_of_a_commit_whose_answer_was_lost_get_their_end_at_once(self, store: LedgerStore) -> None:
        store.recover(unknown)
        store.append([control()])
        self.lose(store, [intent("lost"), intent("ended"), outcome("ended")])
        store.append([intent("next")])
        assert [(seq, row.call_id, row.status) for _, seq, row in self.kept()] == [
            (1, None, None),
            (2, "lost", None),
            (3, "ended", None),
            (4, "ended", "ok"),
            (5, "lost", "unknown"),
            (6, "next", None),
        ]

    def test_a_writer_that_recovers_nobody_leaves_such_calls_to_those_that_do(self, store: LedgerStore) -> None:
        store.append([control()])
        self.lose(store, [intent("lost")])
        store.append([control()])
        assert [row.status for _, _, row in self.kept()] == [None, None, None]

    @pytest.mark.parametrize("forged", [["forged"], ["lost", "forged"]], ids=" ".join)
    def test_what_somebody_else_chained_behind_a_writer_is_not_taken_for_its_own(
        self, store: LedgerStore, forged: list[str]
    ) -> None:
        store.append([control()])
        self.lose(store, [intent("lost", '"lost"')], [intent(name, f'"{name}"') for name in forged])
        for _ in range(2):
            with pytest.raises(StoreUnavailable, match="somebody changed it"):
                store.append([control()])
        with pytest.raises(StoreUnavailable, match="somebody changed it"):
            store.checkpoint(str, NOW)
        assert [row.call_id for _, _, row in self.kept()] == [None, *forged]

    @pytest.mark.parametrize(
        "change",
        [
            "UPDATE records SET record = '[]' WHERE seq = 2",
            "UPDATE records SET hash = '' WHERE seq = 1",
            "DELETE FROM records",
        ],
    )
    def test_a_store_that_was_changed_while_the_connection_was_lost_is_written_to_no_more(
        self, store: LedgerStore, change: str
    ) -> None:
        store.append([control()])
        self.lose(store, [intent("2")])
        ask(self.url, change)
        for _ in range(2):
            with pytest.raises(StoreUnavailable, match="somebody changed it"):
                store.append([intent("3")])

    def test_what_an_old_connection_still_does_is_ended_before_the_chain_is_read_on(self, store: LedgerStore) -> None:
        store.append([intent("1")])
        pid = backend(self.url, store.writer)
        self.server.signal(pid, signal.SIGSTOP)
        with pytest.raises(StoreUnavailable):
            store.append([intent("2")])
        with pytest.raises(StoreUnavailable):  # nobody knows yet what becomes of it
            store.append([intent("3")])
        self.server.signal(pid, signal.SIGCONT)
        until_released(self.url, pid)
        store.append([intent("4")])
        assert [row.call_id for _, _, row in self.kept()] in (["1", "4"], ["1", "2", "4"])

    def test_a_writer_that_vanished_is_noticed_later_and_by_the_way(self, store: LedgerStore) -> None:
        store.append([intent("1")])
        other = PostgresLedgerStore(self.url, sweep=0)
        self.stores.append(other)
        other.open()
        assert other.recover(unknown) == 0
        assert other.checkpoint(str, NOW) == 0
        self.crash(store)
        assert other.checkpoint(str, NOW) == 2  # the end of the call, after whose end it is
        assert [row.status for _, _, row in self.kept() if row.final] == ["unknown"]

    def test_a_writer_that_was_taken_for_dead_goes_on_and_the_first_end_stands(self, store: LedgerStore) -> None:
        store.append([intent("1"), intent("2")])
        self.hang_up(store)
        other = self.writer()
        other.open()
        assert other.recover(unknown) == 2
        store.append([outcome("1"), intent("3")])
        last = self.writer()
        last.open()
        assert last.recover(unknown) == 0
        assert [row.status for _, _, row in self.kept() if row.call_id == "1"] == [None, "unknown"]

    def test_records_become_visible_in_the_order_of_their_ids(self, store: LedgerStore) -> None:
        store.append([control()])
        with psycopg.connect(self.url.reveal()) as first:
            first.execute(IN_ORDER, (ORDER,))
            waiting = threading.Thread(target=store.append, args=([intent("later")],))
            waiting.start()
            while not ask(self.url, "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"):
                pass
            row = intent("first")
            names, values = ", ".join(("writer", "seq", *row._fields)), ("another", 1, *row)
            first.execute(f"INSERT INTO records ({names}) VALUES ({', '.join(['%s'] * len(values))})".encode(), values)
            first.commit()
        waiting.join()
        assert [row.call_id for _, _, row in self.kept()] == [None, "first", "later"]

    def test_a_lock_of_another_fails_the_batch_and_the_connection_stays(self, store: LedgerStore) -> None:
        store.append([intent("1")])
        pid = backend(self.url, store.writer)
        with psycopg.connect(self.url.reveal()) as other:
            other.execute("LOCK TABLE records IN ACCESS EXCLUSIVE MODE")
            with pytest.raises(StoreUnavailable, match="lock timeout"):
                store.append([outcome("1")])
        store.append([outcome("1")])
        assert backend(self.url, store.writer) == pid
        assert [(seq, row.status) for _, seq, row in self.kept()] == [(1, None), (2, "ok")]

    def test_a_first_batch_that_is_refused_leaves_nothing_behind(self, store: LedgerStore) -> None:
        with pytest.raises(StoreUnavailable, match="duplicate key"):
            store.append([intent("1"), intent("1")])
        store.append([intent("1")])
        assert [(seq, row.call_id) for _, seq, row in self.kept()] == [(1, "1")]

    def test_a_checkpoint_that_cannot_be_signed_leaves_nothing_behind(self, store: LedgerStore) -> None:
        def broken(_: Chain) -> str:
            raise ValueError("no key")

        store.append([control()])
        with pytest.raises(ValueError, match="no key"):
            store.checkpoint(broken, NOW)
        assert store.checkpoint(str, NOW) == 1

    def test_a_server_that_lost_what_it_had_not_flushed_is_written_to_no_more_and_says_what_may_have_been(self) -> None:
        store = PostgresLedgerStore(self.url, Durability.OS_CACHE)
        self.stores.append(store)
        store.open()
        store.append([control()])
        ask(self.url, "DELETE FROM records")
        self.hang_up(store)
        with pytest.raises(StoreUnavailable, match=r"or it crashed before it had flushed \(os-cache\)"):
            store.append([control()])

    def test_a_store_from_a_newer_version_is_refused(self, store: LedgerStore) -> None:
        ask(self.url, "UPDATE mcpgov_schema SET version = 99")
        with pytest.raises(InvalidConfiguration, match="newer"):
            self.writer().open()

    def test_a_store_may_be_closed_twice_and_without_being_opened(self) -> None:
        store = PostgresLedgerStore(self.url)
        store.close(finished=True)
        store.open()
        store.close(finished=True)
        store.close(finished=True)
        assert ask(self.url, "SELECT * FROM writers") == []


def test_the_statement_has_a_place_for_every_column() -> None:
    names = INSERT.partition("(")[2].partition(")")[0].replace("\n", " ").split(", ")
    assert names == ["writer", "seq", *Row._fields, "hash"]
    assert INSERT.count("[]") == len(names)


PURGE_SIGNER = Signer(bytes(32))
PURGE_DAY = timedelta(days=1)


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
        at, call = NOW + day * PURGE_DAY, str(day)
        store.append([IntentRecord(facts(call, at)).row(), OutcomeRecord(call, at, OutcomeStatus.OK).row()])
        store.checkpoint(PURGE_SIGNER.checkpoint, at)
    with open_postgres_oldest(url) as oldest:
        stale = cut_of(Removed(), oldest.oldest(0, 2))
        purging = Retention(oldest, lambda: opened(url), PURGE_SIGNER.checkpoint, lambda: None)
        assert purging.purge(Wanted(1, "dana"), NOW + 3 * PURGE_DAY).records == 4
    with opened(url) as second, pytest.raises(StoreUnavailable, match="faster"):
        second.purge(stale, stale.records(NOW, {}), PURGE_SIGNER.checkpoint, NOW)
    store.append([ControlRecord(ControlEvent.RELOAD, NOW + 3 * PURGE_DAY).row()])
    store.close(finished=True)
    with open_postgres_evidence(url) as evidence:
        found = verify(evidence, PURGE_SIGNER.key, {})
        assert (found.code, found.purged, found.findings) == (0, 4, ())
        assert len(evidence.proofs("2")) == 2
