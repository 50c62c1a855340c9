"""What `audit show --explain` says of a record, also of one that there is nothing to say about."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from mcpgov.cli.replayed import principal_of, recorded_of, replayed, show_replayed
from mcpgov.models import Json, Principal, PrincipalKind
from mcpgov.policy.replay import Recorded
from mcpgov.reload import load_generation
from mcpgov.snapshot import Snapshot
from tests.cli.folder import furnish


@pytest.fixture
def snapshot(tmp_path: Path) -> Snapshot:
    return load_generation(furnish(tmp_path))


def record(snapshot: Snapshot, **fields: Json) -> Mapping[str, Json]:
    """A call of `merge`, denied."""
    said: dict[str, Json] = {
        "ts": "2026-11-21T08:00:00.000000Z",
        "correlation_id": "c1",
        "http.request.method": "POST",
        "client.address": "10.0.0.7",
        "network.peer.address": "10.0.0.7",
        "user_agent.original": "agent\x1b[2J/1",
        "mcpgov.connection": "github",
        "mcpgov.era": "handshake",
        "mcpgov.kind": "request",
        "mcp.method.name": "tools/call",
        "gen_ai.tool.name": "merge",
        "mcpgov.principal.id": "key:k1",
        "mcpgov.principal.kind": "key",
        "mcpgov.decision.reason": "tool-denied",
        "mcpgov.decision.rule": "company#4 tool-rules",
        "mcpgov.decision.policy_hash": snapshot.policy("github").digest,
        "mcpgov.decision.answers": "vtff",
    }
    return {**said, **{name.replace("__", "."): value for name, value in fields.items()}}


def test_a_decision_is_made_again(snapshot: Snapshot) -> None:
    lines = list(replayed(record(snapshot), snapshot))
    assert lines[0] == "tools/call merge on github, by key:k1 from 10.0.0.7"
    assert '      request.headers["x-region"] == "eu" -> false' in lines
    assert lines[-4:] == [
        "Decision: tool-denied, by company#4 tool-rules",
        "  the caller is told: Ask a person.",
        "",
        "This is the recorded decision, by the same policies.",
    ]


def test_a_call_that_was_let_through_is_one_too(snapshot: Snapshot) -> None:
    given = record(
        snapshot,
        gen_ai__tool__name="get_issue",
        mcpgov__decision__reason="credential-unavailable",
        mcpgov__decision__rule=None,
        user_agent__original=None,
    )
    assert list(replayed(given, snapshot))[-1] == "This is the recorded decision, by the same policies."


def test_a_record_that_does_not_hold_together_is_told(snapshot: Snapshot) -> None:
    given = record(snapshot, mcpgov__decision__rule="company#1 ip-filter")
    assert list(replayed(given, snapshot))[-1] == (
        "This is NOT the recorded decision, which was tool-denied, by company#1 ip-filter."
    )


def test_policies_that_have_changed_are_told(snapshot: Snapshot) -> None:
    given = record(snapshot, mcpgov__decision__policy_hash="other", mcpgov__decision__rule=None)
    lines = list(replayed(given, snapshot))
    assert lines[-3].startswith("The policies have changed since")
    assert lines[-1] == "Recorded was: allowed"


def test_other_policies_get_no_answers_of_then_and_no_count(snapshot: Snapshot) -> None:
    given = record(snapshot, mcpgov__decision__policy_hash="other", mcpgov__decision__answers="vtt")
    lines = list(replayed(given, snapshot))
    assert '      request.headers["x-region"] == "eu" -> false' in lines
    assert "      counts: ? of 60 left" in lines
    assert "Decision: tool-denied, by company#4 tool-rules" in lines
    assert "It holds no headers, no arguments and no annotations: conditions on them count as missing." in lines


def test_the_counts_are_those_of_the_record(snapshot: Snapshot) -> None:
    fields: dict[str, Json] = {"mcpgov__decision__limits": [60], "mcpgov__decision__remaining": [17]}
    assert "      counts: 17 of 60 left" in list(replayed(record(snapshot, **fields), snapshot))
    assert "      counts: ? of 60 left" in list(replayed(record(snapshot), snapshot))


def test_a_call_that_no_policy_was_asked_about_is_told(snapshot: Snapshot) -> None:
    early = {"ts": "2026-11-21T08:00:00.000000Z", "mcpgov.connection": "github"}
    assert list(replayed(early, snapshot)) == ["No policy decided this call: it was refused before one was asked."]


def test_what_the_aggregate_answered_itself_is_told(snapshot: Snapshot) -> None:
    (line,) = replayed(record(snapshot, mcpgov__connection="", mcpgov__aggregate="c"), snapshot)
    assert line.startswith("No policy decided this request at /mcp")


def test_a_connection_that_is_gone_is_told(snapshot: Snapshot) -> None:
    (line,) = replayed(record(snapshot, mcpgov__connection="gone"), snapshot)
    assert line == "This decision cannot be made again: its connection is not in the catalog any more."


def test_the_answers_of_a_limit_are_those_of_then(snapshot: Snapshot) -> None:
    limited = "company#2 rate-limit-by-key"
    given = record(snapshot, mcpgov__decision__reason="rate-limited", mcpgov__decision__rule=limited)
    given = {**given, "mcpgov.decision.answers": "vff"}
    assert list(replayed(given, snapshot))[-1] == "This is the recorded decision, by the same policies."


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"mcpgov.decision.answers": "-"}, "asked more of this call than a record keeps"),
        ({"mcpgov.decision.reason": "counters-unavailable", "mcpgov.decision.rule": "company#2"}, "it was broken off"),
        ({"mcpgov.decision.reason": "sign-in-unavailable", "mcpgov.decision.rule": "company#2"}, "it was broken off"),
    ],
)
def test_decision_that_cannot_be_made_again_says_why(snapshot: Snapshot, fields: dict[str, str], says: str) -> None:
    assert says in list(replayed({**record(snapshot), **fields}, snapshot))[-1]


def test_what_is_printed_cannot_act_on_a_terminal(snapshot: Snapshot, capsys: pytest.CaptureFixture[str]) -> None:
    show_replayed(record(snapshot, gen_ai__tool__name="a\x1b[2J"), snapshot)
    shown = capsys.readouterr().out
    assert "a\\x1b[2J" in shown
    assert "\x1b" not in shown


def test_a_record_without_a_rule_is_of_a_call_that_was_allowed() -> None:
    fields = {"mcpgov.decision.policy_hash": "h", "mcpgov.decision.reason": "overloaded"}
    assert recorded_of(fields) == Recorded("allowed", "", "h", "")


def test_the_caller_is_the_one_of_the_record() -> None:
    fields: dict[str, Json] = {
        "mcpgov.principal.id": "key:k1",
        "mcpgov.principal.kind": "key",
        "mcpgov.principal.project": "payments",
        "mcpgov.principal.roles": ["admin"],
    }
    assert principal_of(fields) == Principal("key:k1", PrincipalKind.KEY, project="payments", roles=("admin",))
