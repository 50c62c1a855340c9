"""The checker finds what it is there to find: a true history passes, and every planted fault is named."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from tests.faults.checker import ClientEntry, Finding, Kept, UpstreamEntry, check, table


@dataclass
class History:
    """What three sides kept of some calls."""

    client: list[ClientEntry]
    upstream: list[UpstreamEntry]
    kept: list[Kept]

    def find(self) -> list[Finding]:
        """What the checker says."""
        return check(self.client, self.upstream, self.kept)


def record(event: str, call: str, ts: str, **more: str) -> str:
    fields = {"event": event, "call_id": f"w-{call}", "ts": ts, **{name.replace("_", "."): more[name] for name in more}}
    fields["correlation_id"] = f"c-{call}"
    if event != "outcome":
        fields |= {"jsonrpc.request.id": call, "mcpgov.connection": "city"}
    return json.dumps(fields)


def true_history() -> History:
    """An answered call, one whose outcome a crash took, a denied one, one that was given up, and a start."""
    records = [
        (None, '{"event":"control"}'),
        ("w-1", record("intent", "1", "t1")),
        ("w-2", record("intent", "2", "t2")),
        ("w-1", record("outcome", "1", "t3", mcpgov_status="ok")),
        ("w-3", record("denied", "3", "t4", mcpgov_status="denied", mcpgov_decision_reason="tool-denied")),
        ("w-4", record("intent", "4", "t5")),
        ("w-4", record("outcome", "4", "t6", mcpgov_status="not-sent")),
        ("w-2", record("outcome", "2", "t9", mcpgov_status="unknown")),
    ]
    kept = [Kept("w", seq, call_id, text) for seq, (call_id, text) in enumerate(records, 1)]
    client = [
        ClientEntry("1", "result", correlation_id="c-1"),
        ClientEntry("2", "nothing"),
        ClientEntry("3", "refused", "tool-denied"),
        ClientEntry("4", "refused", "audit-unavailable"),
        ClientEntry("5", "refused", "audit-unavailable"),
    ]
    return History(client, [UpstreamEntry("1", "t2", "c-1", "city", "key-of-city"), UpstreamEntry("2", "t3")], kept)


def without(history: History, number: int) -> None:
    """Drop a row, and number the others as if it had never been there."""
    del history.kept[number]
    history.kept = [replace(row, seq=seq) for seq, row in enumerate(history.kept, 1)]


def instead(history: History, number: int, text: str) -> None:
    history.kept[number] = replace(history.kept[number], record=text)


def also(history: History, call: str, text: str) -> None:
    history.kept.append(Kept("w", len(history.kept) + 1, call, text))


def seen(history: History, **other: str) -> None:
    history.upstream[0] = replace(history.upstream[0], **other)


def told(history: History, number: int, **other: str) -> None:
    history.client[number] = replace(history.client[number], **other)


PLANTED: dict[str, Callable[[History], object]] = {
    "lost-intent": lambda history: history.upstream.append(UpstreamEntry("9", "t9")),
    "orphan-outcome": lambda history: without(history, 1),
    "unaudited-answer": lambda history: history.client.append(ClientEntry("9", "result")),
    "lost-outcome": lambda history: without(history, 7),
    "duplicate-intent": lambda history: also(history, "w-1", record("intent", "1", "t1")),
    "duplicate-outcome": lambda history: also(history, "w-2", record("outcome", "2", "t9", mcpgov_status="ok")),
    "denied-and-more": lambda history: also(history, "w-3", record("intent", "3", "t9")),
    "no-such-outcome": lambda history: instead(history, 3, record("outcome", "1", "t3", mcpgov_status="fine")),
    "executed-twice": lambda history: history.upstream.append(UpstreamEntry("1", "t2")),
    "late-intent": lambda history: instead(history, 1, record("intent", "1", "t8")),
    "sent-all-the-same": lambda history: history.upstream.append(UpstreamEntry("4", "t9")),
    "denied-and-executed": lambda history: history.upstream.append(UpstreamEntry("3", "t9")),
    "refused-and-executed": lambda history: history.upstream.append(UpstreamEntry("5", "t9")),
    "unrecorded-refusal": lambda history: history.client.append(ClientEntry("9", "refused", "tool-denied")),
    "wrong-outcome": lambda history: instead(history, 3, record("outcome", "1", "t3", mcpgov_status="failed")),
    "gap": lambda history: history.kept.pop(0),
    "doubled-call": lambda history: also(history, "w-9", record("intent", "1", "t1").replace("w-1", "w-9")),
    "foreign-call": lambda history: seen(history, correlation_id="c-2"),
    "foreign-connection": lambda history: seen(history, connection="town", credential="key-of-town"),
    "foreign-credential": lambda history: seen(history, credential="key-of-town"),
    "foreign-answer": lambda history: told(history, 0, correlation_id="c-2"),
    "invented-answer": lambda history: history.upstream.pop(0),
    "wrong-reason": lambda history: told(history, 2, reason="rate-limited"),
    "broken-record": lambda history: instead(history, 0, '{"event":"cont'),
    "foreign-record": lambda history: instead(history, 3, record("outcome", "2", "t3", mcpgov_status="ok")),
}


def test_a_true_history_has_no_findings() -> None:
    assert true_history().find() == []


def test_a_failure_whose_outcome_was_never_taken_is_true_and_one_with_another_reason_is_not() -> None:
    """What a client was told before the store gave out does not stand in the record that the next start writes."""
    history = true_history()
    told(history, 1, got="refused", reason="upstream-timeout")
    assert history.find() == []
    instead(history, 7, record("outcome", "2", "t9", mcpgov_status="failed", mcpgov_reason="upstream-failed"))
    assert [finding.kind for finding in history.find()] == ["wrong-reason"]


@pytest.mark.parametrize("kind", PLANTED)
def test_a_planted_fault_is_found(kind: str) -> None:
    history = true_history()
    PLANTED[kind](history)
    assert kind in {finding.kind for finding in history.find()}


def test_the_table_counts_how_calls_ended_and_what_was_found() -> None:
    history = true_history()
    ends = {"answered": 1, "line went dead": 1, "refused": 1, "not made": 2}
    assert table(history.client, history.upstream, history.kept) == ends
    PLANTED["late-intent"](history)
    assert table(history.client, history.upstream, history.kept) == {**ends, "late-intent": 1}
