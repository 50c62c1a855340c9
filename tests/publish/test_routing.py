"""The checklist of routing: a line is ok only where something was seen, and says what mends it where it is not."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from mcpgov.diagnosis import Diagnosis
from mcpgov.models import AuthType, Connection, LocalUpstream, RemoteUpstream
from mcpgov.publish.offer import Offer
from mcpgov.publish.routing import Facts, Ledger, Line, Passed, Proof, State, Stranger, checklist, confirmed

NOW = datetime(2026, 11, 20, 8, 30, tzinfo=UTC)
BEHIND = RemoteUpstream("https://api.contoso.com/mcp?key=in-the-query")
CONNECTION = Connection("github", "com.contoso/github", BEHIND)
OFFER = Offer("github", "https://mcp.contoso.com/mcp/github")
CALL = Passed("2026-11-20 08:00:00", "alice", "", "get_me", "ok", "3fa9c1d27b60")
FACTS = Facts(
    CONNECTION,
    OFFER,
    Stranger("https://mcp.contoso.com/mcp/github", 401, recorded=True),
    Ledger(10, NOW, 2, "ok", NOW),
    Proof(3),
    public_url="https://mcp.contoso.com",
    passed=(CALL,),
    enforced=("company",),
)


def line(facts: Facts, name: str) -> Line:
    [found] = [line for line in checklist(facts) if line.name == name]
    return found


def test_a_connection_that_runs_through_the_gateway_is_confirmed() -> None:
    lines = checklist(FACTS)
    assert {line.state for line in lines} == {State.OK}
    assert not any(line.mend for line in lines)
    assert confirmed(lines)
    assert "in-the-query" not in str(lines)


@pytest.mark.parametrize(
    "changed", [{"public_url": ""}, {"offer": None}, {"offer": replace(OFFER, url="http://a/mcp/b")}]
)
def test_the_endpoint_is_a_public_https_url(changed: dict[str, str]) -> None:
    found = line(replace(FACTS, **changed), "endpoint")
    assert found.state is State.NOT_OK
    assert "public_url" in found.mend


def test_a_target_that_is_the_host_of_the_server_is_no_gateway() -> None:
    around = replace(FACTS, offer=replace(OFFER, url="https://API.contoso.com/mcp/github"))
    assert line(around, "target").state is State.NOT_OK
    assert line(replace(FACTS, offer=None), "target").state is State.UNKNOWN
    local = replace(CONNECTION, upstream=LocalUpstream(("mcp-server-time",)))
    assert line(replace(FACTS, connection=local), "target").state is State.OK


def test_where_people_are_sent_back_only_the_registration_knows() -> None:
    facts = replace(FACTS, redirects={"github": "https://mcp.contoso.com/oauth/callback/github"})
    found = line(facts, "redirect-url")
    assert (found.state, confirmed(checklist(facts))) == (State.UNKNOWN, True)
    assert "/oauth/callback/github" in found.why


def test_how_the_platform_signs_in_is_said() -> None:
    assert line(FACTS, "authentication").why == "CustomKeys, with a gateway key in Authorization"
    agents = replace(CONNECTION, client_auth_type=AuthType.AGENTIC_IDENTITY, client_audience="api://gateway")
    assert line(replace(FACTS, connection=agents), "authentication").why.endswith("for the audience api://gateway")
    nobody = replace(FACTS, connection=replace(CONNECTION, client_auth_type=AuthType.NONE), offer=None)
    assert line(nobody, "authentication").why == "None"


def test_no_call_may_mean_that_the_agent_walks_around() -> None:
    assert line(replace(FACTS, passed=()), "agents").state is State.NOT_OK


def test_the_agents_that_called_are_named_and_too_many_are_counted() -> None:
    calls = (CALL, replace(CALL, agent="agent-1"), *(replace(CALL, caller=f"caller-{n}") for n in range(6)))
    said = line(replace(FACTS, passed=calls), "agents").why
    assert said.startswith("last get_me at 2026-11-20 08:00:00 (ok, 3fa9c1d27b60); of the newest 8: alice, agent-1,")
    assert said.endswith("and 3 more")


@pytest.mark.parametrize(
    ("status", "recorded", "state"),
    [
        (None, False, State.UNKNOWN),
        (502, False, State.UNKNOWN),
        (200, True, State.NOT_OK),
        (404, False, State.NOT_OK),
        (401, False, State.NOT_OK),
        (401, True, State.OK),
    ],
)
def test_a_stranger_is_turned_away_by_this_gateway(status: int | None, state: State, *, recorded: bool) -> None:
    found = line(replace(FACTS, stranger=Stranger("https://x", status, recorded, "timed out")), "strangers")
    assert found.state is state
    assert bool(found.mend) is (state is not State.OK)


def test_a_policy_that_only_reports_decides_nothing() -> None:
    assert line(replace(FACTS, enforced=(), reported=("trial",)), "policies").why == "trial only report"
    assert line(replace(FACTS, enforced=()), "policies").why == "no policy is in force"


@pytest.mark.parametrize(
    ("ledger", "state"),
    [
        (Ledger(10, NOW, 2, "tampered", NOW), State.NOT_OK),
        (Ledger(10), State.UNKNOWN),
        (Ledger(10, NOW, 2), State.UNKNOWN),
    ],
)
def test_a_ledger_that_nobody_verified_is_not_called_whole(ledger: Ledger, state: State) -> None:
    found = line(replace(FACTS, ledger=ledger), "ledger")
    assert (found.state, found.mend) == (state, "run: mcpgov audit verify")


def test_an_upstream_is_proved_or_it_is_said_why_not() -> None:
    wrong = Diagnosis("unreachable", "Nothing answers.", "check the host")
    assert line(replace(FACTS, proof=Proof(0, wrong)), "upstream") == Line(
        *("upstream", State.NOT_OK, "Nothing answers.", "check the host")
    )
    for_users = replace(wrong, name="user-required")
    assert line(replace(FACTS, proof=Proof(0, for_users)), "upstream").state is State.UNKNOWN
    assert line(replace(FACTS, proof=Proof(3, None, "on behalf of a user")), "upstream").state is State.UNKNOWN
