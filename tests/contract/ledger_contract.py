"""What every LedgerStore keeps. A store's tests derive from LedgerContract and say how a writer is made and dies."""

import json
import threading
from abc import ABC, abstractmethod
from datetime import UTC, datetime

import pytest

from mcpgov.audit.chain import Chain, Head, named_in
from mcpgov.audit.ledger_store import LedgerStore, OpenCall
from mcpgov.audit.record import ControlEvent, ControlRecord, OutcomeRecord, Row
from mcpgov.errors import StoreUnavailable
from mcpgov.models import OutcomeStatus

NOW = datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC)


def intent(call_id: str, record: str = "{}") -> Row:
    return Row(call_id, 0, "intent", 1, correlation_id=f"correlation of {call_id}", trace_id="trace", record=record)


def outcome(call_id: str, status: OutcomeStatus = OutcomeStatus.OK) -> Row:
    return OutcomeRecord(call_id, NOW, status).row()


def unknown(call: OpenCall) -> Row:
    status = OutcomeStatus.UNKNOWN
    return OutcomeRecord(call.call_id, NOW, status, correlation_id=call.correlation_id, trace_id=call.trace_id).row()


def control() -> Row:
    return ControlRecord(ControlEvent.START, NOW).row()


class LedgerContract(ABC):
    """The contract. `kept` gives every row as (writer, seq, row) in the order of commit."""

    @abstractmethod
    def writer(self) -> LedgerStore:
        """A new writer to the same ledger."""

    @abstractmethod
    def crash(self, store: LedgerStore) -> None:
        """End a writer as kill -9 does."""

    @abstractmethod
    def kept(self) -> list[tuple[str, int, Row]]:
        """What the ledger holds."""

    @abstractmethod
    def hashes(self) -> list[bytes]:
        """The hash that each row is kept with, in the same order."""

    @abstractmethod
    def notes(self) -> list[tuple[str, int, str]]:
        """Every checkpoint as (writer, size, note), sorted."""

    @pytest.fixture
    def store(self) -> LedgerStore:
        store = self.writer()
        store.open()
        return store

    def test_rows_are_kept_whole_and_in_order(self, store: LedgerStore) -> None:
        denied = Row("3", 1, "denied", 7, *"abcdefghijk", record='{"text":"ä\\n\U0001f600"}')
        rows = [intent("1"), outcome("1"), denied, control(), control()]
        store.append(rows[:2])
        store.append(rows[2:])
        assert self.kept() == [(store.writer, seq, row) for seq, row in enumerate(rows, 1)]

    def test_a_large_batch_is_kept_whole_and_numbered_without_a_gap(self, store: LedgerStore) -> None:
        rows = [intent(str(number)) for number in range(130)]
        store.append(rows)
        assert self.kept() == [(store.writer, seq, row) for seq, row in enumerate(rows, 1)]

    def test_an_empty_batch_is_nothing(self, store: LedgerStore) -> None:
        store.append([])
        assert self.kept() == []

    def test_a_second_end_of_a_call_is_not_kept_and_leaves_no_gap(self, store: LedgerStore) -> None:
        store.append([intent("1"), outcome("1")])
        store.append(
            [intent("2"), outcome("1", OutcomeStatus.FAILED), outcome("2"), outcome("2", OutcomeStatus.FAILED)]
        )
        assert [(seq, row.call_id, row.status) for _, seq, row in self.kept()] == [
            (1, "1", None),
            (2, "1", "ok"),
            (3, "2", None),
            (4, "2", "ok"),
        ]

    def test_a_second_end_in_a_large_batch_is_not_kept(self, store: LedgerStore) -> None:
        store.append([intent("1"), outcome("1")])
        store.append([*(intent(f"more {number}") for number in range(90)), outcome("1", OutcomeStatus.FAILED)])
        assert [row.status for _, _, row in self.kept() if row.final] == ["ok"]
        assert [seq for _, seq, _ in self.kept()] == list(range(1, 93))

    def test_a_call_that_begins_twice_is_refused_with_its_whole_batch(self, store: LedgerStore) -> None:
        store.append([intent("1")])
        with pytest.raises(StoreUnavailable):
            store.append([intent("2"), intent("1")])
        store.append([intent("3")])
        assert [(seq, row.call_id) for _, seq, row in self.kept()] == [(1, "1"), (2, "3")]

    def test_the_calls_that_a_dead_writer_left_open_are_ended_once(self, store: LedgerStore) -> None:
        store.append([intent("1"), intent("2"), outcome("1"), intent("3"), control()])
        self.crash(store)
        first, second = self.writer(), self.writer()
        first.open()
        assert first.recover(unknown) == 2
        second.open()
        assert (first.recover(unknown), second.recover(unknown)) == (0, 0)
        ended = [row for writer, _, row in self.kept() if writer == first.writer and row.final]
        assert [(row.call_id, row.status, row.correlation_id, row.trace_id) for row in ended] == [
            ("2", "unknown", "correlation of 2", "trace"),
            ("3", "unknown", "correlation of 3", "trace"),
        ]
        first.append([control()])
        assert self.kept()[-1][1] == 4  # the first names the writer that is gone

    def test_the_calls_of_a_writer_that_lives_are_not_touched(self, store: LedgerStore) -> None:
        store.append([intent("1")])
        other = self.writer()
        other.open()
        assert other.recover(unknown) == 0
        assert store.recover(unknown) == 0
        store.append([outcome("1")])
        assert [row.status for _, _, row in self.kept() if row.final] == ["ok"]

    def test_a_writer_that_finished_leaves_nothing_to_recover(self, store: LedgerStore) -> None:
        store.append([intent("1"), outcome("1")])
        store.close(finished=True)
        other = self.writer()
        other.open()
        assert other.recover(unknown) == 0

    def test_a_writer_that_closed_unfinished_is_recovered(self, store: LedgerStore) -> None:
        store.append([intent("1")])
        store.close(finished=False)
        other = self.writer()
        other.open()
        assert other.recover(unknown) == 1

    def test_writers_side_by_side_keep_their_own_numbers(self, store: LedgerStore) -> None:
        other = self.writer()
        other.open()

        def write(writer: LedgerStore) -> None:
            for number in range(40):
                writer.append([intent(f"{writer.writer} {number}"), outcome(f"{writer.writer} {number}")])

        threads = [threading.Thread(target=write, args=(writer,)) for writer in (store, other)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for writer in (store, other):
            assert [seq for name, seq, _ in self.kept() if name == writer.writer] == list(range(1, 81))

    def test_every_row_is_kept_with_its_hash_in_its_writers_chain(self, store: LedgerStore) -> None:
        other = self.writer()
        other.open()
        store.append([intent("1", '{"a":1}'), outcome("1")])
        other.append([control()])
        store.append([intent(f"more {number}") for number in range(70)])
        store.append([outcome("1"), intent("last")])
        for writer in (store, other):
            rows = [
                (row, digest)
                for (name, _, row), digest in zip(self.kept(), self.hashes(), strict=True)
                if name == writer.writer
            ]
            _, hashes = Chain(writer.writer).extended(row.record for row, _ in rows)
            assert hashes == [digest for _, digest in rows]

    def named(self) -> list[list[str]]:
        """For each row that names writers, whom."""
        return [
            [head.writer for head in named_in(json.loads(row.record))]
            for _, _, row in self.kept()
            if row.reason == ControlEvent.WRITERS
        ]

    def test_a_writer_that_ended_is_named_once_with_its_last_row_by_the_first_rows_of_the_next(
        self, store: LedgerStore
    ) -> None:
        store.append([intent("1"), outcome("1")])
        store.close(finished=True)
        for number in "23":
            other = self.writer()
            other.open()
            other.append([intent(number)])
        (first, *_), digest = self.kept()[2:], self.hashes()[1]
        assert (first[1], self.named()) == (1, [[store.writer]])
        assert named_in(json.loads(first[2].record)) == [Head(store.writer, 2, digest)]

    def test_a_writer_that_wrote_nothing_is_not_named(self, store: LedgerStore) -> None:
        store.close(finished=True)
        other = self.writer()
        other.open()
        other.append([control()])
        assert self.named() == []

    def test_many_writers_that_ended_are_named_in_several_rows(self) -> None:
        ended: list[str] = []
        writers = [self.writer() for _ in range(66)]
        for writer in writers:
            writer.open()
            writer.append([control()])
            ended.append(writer.writer)
        for writer in writers:
            writer.close(finished=True)
        last = self.writer()
        last.open()
        last.append([control()])
        assert [len(names) for names in self.named()] == [64, 2]
        assert sorted(name for names in self.named() for name in names) == sorted(ended)

    def test_a_checkpoint_signs_all_that_was_written_and_is_made_only_of_news(self, store: LedgerStore) -> None:
        assert store.checkpoint(str, NOW) == 0
        store.append([intent("1"), outcome("1")])
        assert [store.checkpoint(str, NOW) for _ in range(2)] == [2, 2]
        store.append([control()])
        assert store.checkpoint(str, NOW) == 3
        chain, _ = Chain(store.writer).extended(row.record for _, _, row in self.kept())
        assert self.notes()[1:] == [(store.writer, 3, str(chain))]
        assert [size for _, size, _ in self.notes()] == [2, 3]

    def test_a_checkpoint_names_who_ended_since(self, store: LedgerStore) -> None:
        store.append([control()])
        store.checkpoint(str, NOW)
        other = self.writer()
        other.open()
        other.append([control()])
        other.close(finished=True)
        assert store.checkpoint(str, NOW) == 2
        assert self.named() == [[other.writer]]
