"""What review is in every database: the index follows the ledger once and whole, and every question has one answer.

A store's tests derive from ReviewContract and define the fixture `kept`.
"""

import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

import pytest

from mcpgov.audit.field_modes import FieldModes
from mcpgov.audit.reader import CallFilter
from mcpgov.audit.record import ControlEvent, ControlRecord, DeniedRecord, IntentRecord, OutcomeRecord, Row
from mcpgov.audit.redact import Digester
from mcpgov.audit.review import InvalidCursor, ReviewReader, Verified
from mcpgov.audit.values import redacted
from mcpgov.decision import Reason
from mcpgov.errors import StoreUnavailable
from mcpgov.models import OutcomeStatus, PrincipalKind
from mcpgov.store import audit_index
from mcpgov.store.audit_index import AuditIndexer, IndexPlace, catch_up, indexing
from tests.admin.house import LATER, TRACE, some_rows
from tests.audit.calls import ALICE, NOW, facts

PATIENCE: Final = 20  # seconds
TABLES: Final = ("calls", "rollups", "hourly_rollups", "latencies", "hourly_latencies", "callers")
Rows = Sequence[Row]
SECOND: Final = timedelta(seconds=1)


class Reviewed(ABC):
    """A ledger and its index, in a database of a test's own."""

    @abstractmethod
    def append(self, rows: Rows) -> None:
        """Write records, as a gateway does that starts and stops."""

    @abstractmethod
    def place(self) -> IndexPlace:
        """Where the index is made."""

    @abstractmethod
    def review(self) -> AbstractContextManager[ReviewReader]:
        """What is asked."""

    @abstractmethod
    def ask(self, statement: str) -> list[tuple[Any, ...]]:
        """What the database answers to one statement."""

    def index(self) -> None:
        """Read everything that there is."""
        while AuditIndexer(self.place()).index():
            pass

    def everything(self) -> dict[str, list[tuple[Any, ...]]]:
        """All that the index holds."""
        found = {table: sorted(self.ask(f"SELECT * FROM {table}"), key=str) for table in TABLES}
        with self.review() as review:
            for word in ("search", "delete", "alice", "timeout"):
                found[word] = [(one.position,) for one in review.page(CallFilter(text=word)).calls]
        return found


def ids(review: ReviewReader, wanted: CallFilter) -> list[object]:
    """Which calls a filter finds."""
    return [call.get("call_id") for call in review.page(wanted).calls]


class IndexContract(ABC):
    """The index follows the ledger."""

    def test_a_call_is_found_by_the_digest_of_its_arguments_and_of_a_value_in_them(self, kept: Reviewed) -> None:
        digester = Digester(b"k" * 32)
        given = digester.fingerprint(b'{"name":"Kyoto"}')
        known = facts("9")._replace(arguments=given, value=redacted({"name": "Kyoto"}, FieldModes(), digester))
        other = facts("8")._replace(arguments=digester.fingerprint(b"{}"))
        kept.append([DeniedRecord(one, Reason.TOOL_DENIED).row() for one in (other, known)])
        kept.index()
        with kept.review() as review:
            for digest in (given.digest, digester.scalar("Kyoto"), given.digest.rpartition(":")[2]):
                assert ids(review, CallFilter(text=digest)) == ["9"]
            assert ids(review, CallFilter(text="hmac-sha256")) == []

    def test_every_call_stands_once_with_how_it_ended(self, kept: Reviewed) -> None:
        kept.append(some_rows())
        kept.index()
        calls = [tuple(row) for row in kept.ask("SELECT id, ended, status FROM calls ORDER BY id")]
        assert calls == [
            (2, 3, "ok"),
            (4, 5, "failed"),
            (6, 6, "denied"),
            (7, 8, "client-gone"),
            (9, 9, "denied"),
            (10, None, "open"),
        ]
        found = kept.everything()
        assert (found["delete"], found["timeout"]) == ([(6,), (4,)], [(4,)])

    @pytest.mark.parametrize("batch", [1, 3, 1000])
    def test_it_does_not_matter_in_which_steps_it_is_read(
        self, kept: Reviewed, monkeypatch: pytest.MonkeyPatch, batch: int
    ) -> None:
        kept.append(some_rows())
        kept.index()
        whole = kept.everything()
        for table in (*TABLES, "cursors"):
            kept.ask(f"DELETE FROM {table}")
        self.forget_words(kept)
        monkeypatch.setattr(audit_index, "BATCH", batch)
        kept.index()
        assert kept.everything() == whole
        assert AuditIndexer(kept.place()).index() == 0
        assert kept.everything() == whole

    @abstractmethod
    def forget_words(self, kept: Reviewed) -> None:
        """Empty the index of words."""

    def test_a_call_that_ends_later_is_counted_when_it_does(self, kept: Reviewed) -> None:
        kept.append(some_rows())
        kept.index()
        before = kept.everything()
        kept.append([ControlRecord(ControlEvent.START, NOW).row(), OutcomeRecord("6", NOW, OutcomeStatus.OK).row()])
        kept.index()
        after = kept.everything()
        assert len(after["rollups"]) == len(before["rollups"]) + 1
        assert len(after["calls"]) == len(before["calls"])

    def test_what_fails_in_between_is_neither_repeated_nor_skipped(self, kept: Reviewed) -> None:
        kept.append(some_rows())
        kept.ask("ALTER TABLE hourly_latencies RENAME TO gone")
        with pytest.raises(StoreUnavailable, match="hourly_latencies"):
            AuditIndexer(kept.place()).index()
        assert kept.ask("SELECT count(*) FROM calls") == [(0,)]
        kept.ask("ALTER TABLE gone RENAME TO hourly_latencies")
        kept.index()
        assert kept.ask("SELECT count(*) FROM calls") == [(6,)]

    def test_of_many_that_read_at_once_each_record_is_counted_once(self, kept: Reviewed) -> None:
        kept.append([DeniedRecord(facts(str(n)), Reason.TOOL_DENIED).row() for n in range(600)])

        def index() -> None:
            with suppress(StoreUnavailable):  # who waits too long for the others
                kept.index()

        threads = [threading.Thread(target=index) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        kept.index()  # whoever was not let in went away
        assert kept.ask("SELECT sum(calls) FROM rollups") == [(600,)]

    def test_whoever_counts_first_brings_it_up_to_date_and_says_how_many_are_left(self, kept: Reviewed) -> None:
        kept.append([DeniedRecord(facts(str(n)), Reason.TOOL_DENIED).row() for n in range(600)])
        waited: list[float] = []
        assert list(catch_up(kept.place(), 600, waited.append)) == [350, 100, 0]
        assert len(waited) == 2
        assert kept.ask("SELECT sum(calls) FROM rollups") == [(600,)]
        assert list(catch_up(kept.place(), 600, waited.append)) == [0]
        assert list(catch_up(kept.place(), 0, waited.append)) == [0]

    def test_who_cannot_get_on_gives_up(self, kept: Reviewed, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(audit_index, "TURNS", 20)
        kept.append(some_rows())
        somebody_else = replace(kept.place(), turn="SELECT 1 WHERE 1 = 2")
        waited: list[float] = []
        with pytest.raises(StoreUnavailable, match="somebody else"):
            list(catch_up(somebody_else, 1, waited.append))
        assert waited == [audit_index.TURN] * 21  # the first look gets on: from nothing to the beginning

    def test_an_end_whose_beginning_is_gone_is_passed_over(self, kept: Reviewed) -> None:
        kept.append([OutcomeRecord("9", NOW, OutcomeStatus.OK).row()])
        kept.index()
        assert kept.ask("SELECT count(*) FROM calls") == [(0,)]

    def test_it_goes_on_by_itself_and_stops_when_it_is_told(
        self, kept: Reviewed, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(audit_index, "IDLE", 0.01)
        monkeypatch.setattr(audit_index, "BROKEN", 0.01)
        done = threading.Event()
        with indexing(kept.place()):  # there are no tables yet: they are waited for
            kept.append(some_rows())
            watcher = threading.Thread(target=watch, args=(kept, done), daemon=True)
            watcher.start()
            assert done.wait(PATIENCE)
        watcher.join(PATIENCE)
        assert [thread.name for thread in threading.enumerate() if thread.name == "audit-index"] == []


def watch(kept: Reviewed, done: threading.Event) -> None:
    """Set `done` once every call is indexed."""
    while not done.is_set():
        if kept.ask("SELECT count(*) FROM calls") == [(6,)]:
            done.set()


class ReviewContract(IndexContract):
    """And every question has one answer."""

    @pytest.mark.parametrize(
        ("wanted", "found"),
        [
            (CallFilter(), "654321"),
            (CallFilter(oldest_first=True, limit=2), "12"),
            (CallFilter(tool="delete"), "32"),
            (CallFilter(principal="bob"), "2"),
            (CallFilter(principal="key:bob", decision="allow"), "2"),
            (CallFilter(decision="deny", reason="tool-denied", status="denied"), "3"),
            (CallFilter(reason="upstream-timeout"), "2"),
            (CallFilter(status="open"), "6"),
            (CallFilter(connection="town"), "4"),
            (CallFilter(method="tools/list", project="payments"), "6"),
            (CallFilter(since=NOW + SECOND, until=NOW + 4 * SECOND), "432"),
            (CallFilter(text="delete", since=NOW, until=LATER), "32"),
            (CallFilter(text="DELETE tool-denied"), "3"),
            (CallFilter(text="denied tool-d"), "3"),
            (CallFilter(text="upstream-time"), "2"),
            (CallFilter(text="time-upstream"), ""),
            (CallFilter(text="script alert"), "5"),
            (CallFilter(tool="delete' OR 1=1 -- %s %(a)s :x"), ""),
            (CallFilter(tool="\0"), ""),
        ],
        ids=str,
    )
    def test_a_filter_finds_its_calls(self, kept: Reviewed, wanted: CallFilter, found: str) -> None:
        kept.append(some_rows())
        kept.index()
        with kept.review() as review:
            assert "".join(map(str, ids(review, wanted))) == found
            all_calls = review.page(replace(wanted, limit=100)).calls
            ended = [call for call in all_calls if call.status != "open"]
            if wanted.since is None:  # what is counted is widened to whole minutes
                assert sum(review.summary(wanted, LATER).totals.values()) in {len(ended), len(all_calls)}

    def test_pages_follow_one_another(self, kept: Reviewed) -> None:
        kept.append(some_rows())
        kept.index()
        for wanted in (CallFilter(limit=2), CallFilter(limit=2, text="city"), CallFilter(limit=4, oldest_first=True)):
            found: list[object] = []
            cursor = "the first"
            with kept.review() as review:
                while cursor:
                    page = review.page(wanted, "" if cursor == "the first" else cursor)
                    found += [call.get("call_id") for call in page.calls]
                    cursor = page.next
                assert found == ids(review, replace(wanted, limit=100))

    @pytest.mark.parametrize("text", ['"', "***", " ", "a OR b", "NEAR(", "x:y", "-", "\0", "'; DROP TABLE calls"])
    def test_words_are_never_a_query_of_their_own(self, kept: Reviewed, text: str) -> None:
        kept.append(some_rows())
        kept.index()
        with kept.review() as review:
            assert review.page(CallFilter(text=text)).calls == ()
            assert review.summary(CallFilter(text=text), LATER).totals["ok"] == 0

    def test_a_word_is_found_whatever_its_case_and_its_accents(self, kept: Reviewed) -> None:
        names = {"1": "Zoë Ångström", "2": "führe_aus", "3": "東京 天気", "4": "a" * 3000, "5": "x\0y \ud7ff🌧"}
        kept.append([DeniedRecord(facts(one, tool=tool), Reason.TOOL_DENIED).row() for one, tool in names.items()])
        kept.index()
        asked = {
            "zoe angstrom": "1",
            "FÜHRE": "2",
            "führe_aus": "2",
            "aus_führe": "",
            "東": "3",
            "天気": "3",
            "aaa": "4",
        }
        with kept.review() as review:
            assert {text: "".join(map(str, ids(review, CallFilter(text=text)))) for text in asked} == asked

    def test_what_is_counted_is_what_there_is(self, kept: Reviewed) -> None:
        kept.append(some_rows())
        kept.index()
        with kept.review() as review:
            summary = review.summary(CallFilter(since=NOW - timedelta(hours=1)), LATER)
            assert dict(summary.totals) == {"ok": 1, "trouble": 1, "denied": 2, "given-up": 1}
            assert sum(bar.total for bar in summary.bars) == 5
            assert dict(summary.decisions) == {"allow": 3, "deny": 2}
            assert dict(summary.statuses) == {"ok": 1, "failed": 1, "denied": 2, "client-gone": 1}
            assert [(top.value, top.calls, top.denied) for top in summary.tools][:1] == [("delete", 2, 1)]
            assert summary.latency is not None
            assert summary.latency.calls == 3
            longer = review.summary(CallFilter(since=NOW - timedelta(days=30)), LATER)
            assert (longer.step, dict(longer.totals)) == (timedelta(hours=12), dict(summary.totals))
            sampled = review.summary(CallFilter(source="198.51.100.7", text="city"), LATER)
            assert sampled.counted is None
            assert sum(sampled.statuses.values()) == sum(sampled.decisions.values()) == sum(sampled.totals.values())
            assert review.summary(CallFilter(tool="delete"), LATER).latency is not None

    def test_usage_says_who_uses_what(self, kept: Reviewed) -> None:
        kept.append(some_rows())
        kept.index()
        with kept.review() as review:
            used = {(one.principal, one.tool): one for one in review.usage(CallFilter(connection="city"), LATER)}
            mine = used["key:bob", "delete"]
            assert (mine.name, mine.calls, mine.denied, mine.trouble) == ("bob", 1, 0, 1)
            assert mine.last <= NOW + SECOND
            assert len(review.usage(CallFilter(limit=1), LATER)) == 1

    def test_records_are_found_where_they_stand(self, kept: Reviewed) -> None:
        kept.append(some_rows())
        with kept.review() as review:
            assert [(one.id, one.seq) for one in review.kept("2")] == [(4, 4), (5, 5)]
            assert [one.record["call_id"] for one in review.kept(TRACE)] == ["1", "1", "2"]
            assert len({one.hash for one in review.kept("correlation-")} - {""}) >= 5
            assert review.kept("none") == []
            state = review.state()
            assert (state.behind, state.checkpointed_at) == (state.records, None)
        kept.index()
        kept.ask(f"INSERT INTO checkpoints (writer, size, at, note) VALUES ('w', 2, {at(4)}, 'note')")
        with kept.review() as review:
            state = review.state()
            assert (state.behind, state.uncovered, state.checkpointed_at) == (0, 2, NOW + 4 * SECOND)

    def test_the_last_verification_is_told_and_what_it_found(self, kept: Reviewed) -> None:
        kept.append(some_rows())
        kept.index()
        with kept.review() as review:
            assert review.state().verified is None
        for seconds, result in enumerate(("ok", "tampered")):
            seen = Verified(NOW + seconds * SECOND, result, "local:dana")
            details = {"result": seen.result, "principal": seen.by}
            kept.append([ControlRecord(ControlEvent.VERIFIED, seen.at, details).row()])
            kept.index()
            with kept.review() as review:
                assert review.state().verified == seen

    def test_a_name_that_is_the_id_of_another_hides_nobody(self, kept: Reviewed) -> None:
        anonymous = replace(ALICE, id="anonymous", kind=PrincipalKind.ANONYMOUS, name="")
        called = replace(ALICE, id="key:x", name="anonymous")
        who = (anonymous, called)
        kept.append([DeniedRecord(facts(one.id, principal=one), Reason.TOOL_DENIED).row() for one in who])
        kept.index()
        with kept.review() as review:
            wanted = CallFilter(principal="anonymous")
            assert sorted(map(str, ids(review, wanted))) == ["anonymous", "key:x"]
            assert review.summary(wanted, LATER).totals["denied"] == 2

    def test_an_agents_hostile_words_are_kept(self, kept: Reviewed) -> None:
        agent = replace(ALICE, agent_id="a\0b", blueprint_id="'\u202e", name="\0")
        kept.append([IntentRecord(facts("1", principal=agent)).row()])
        kept.index()
        with kept.review() as review:
            assert ids(review, CallFilter(agent="a\0b", blueprint="'\u202e", principal="\0")) == ["1"]

    def test_events_are_read_the_newest_first_and_each_once(self, kept: Reviewed) -> None:
        rows = [ControlRecord(ControlEvent.RELOAD, NOW, {"number": number}).row() for number in range(5)]
        kept.append([*rows[:3], IntentRecord(facts("1")).row(), OutcomeRecord("1", NOW, OutcomeStatus.OK).row()])
        kept.append(rows[3:])
        found: list[object] = []
        with kept.review() as review:
            cursor, more = "", True
            while more:
                page = review.events(2, cursor)
                found += [one.record.get("mcpgov.control.number") for one in page.records]
                assert all(len(one.hash) == 64 for one in page.records)
                cursor, more = page.next, bool(page.next)
            with pytest.raises(InvalidCursor):
                review.events(2, "x")
        assert [one for one in found if one is not None] == [4, 3, 2, 1, 0]

    def test_an_empty_ledger_is_no_error(self, kept: Reviewed) -> None:
        kept.append([])
        with kept.review() as review:
            assert review.page(CallFilter(text="x", since=NOW, until=LATER)).calls == ()
            assert review.summary(CallFilter(), LATER).latency is None
            assert (review.usage(CallFilter(), LATER), review.kept("none")) == ([], [])
            assert (review.state().records, review.state().uncovered) == (0, 0)

    def test_an_index_that_is_gone_is_unavailable(self, kept: Reviewed) -> None:
        kept.append([])
        kept.ask("ALTER TABLE calls RENAME TO gone")
        with kept.review() as review, pytest.raises(StoreUnavailable, match="calls"):
            review.page(CallFilter())


def at(seconds: int) -> int:
    """Microseconds since 1970 of a time shortly after NOW."""
    return int((NOW + timedelta(seconds=seconds)).timestamp() * 1_000_000)
