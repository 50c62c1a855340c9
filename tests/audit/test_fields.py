"""What a record says of each thing that takes part in a call; test_record.py has whole records."""

from mcpgov.audit.fields import (
    MOST,
    WITHHELD,
    Fields,
    of_credential,
    of_decision,
    of_principal,
    of_tools,
    of_value,
    skeleton,
)
from mcpgov.audit.tool_sets import ToolSet
from mcpgov.audit.values import Redacted
from mcpgov.decision import Decision, Granted, Reason, Reported
from mcpgov.models import Credential, Principal, PrincipalKind, Secret
from tests.audit.exports import documented


def test_a_credential_is_named_and_not_shown() -> None:
    credential = Credential("CustomKeys", "dev.mcpgov/city#city", (("X-Key", Secret("s3cret-value")),))
    said = of_credential(credential)
    assert (said["mcpgov.credential.kind"], said["mcpgov.credential.reference"]) == ("CustomKeys", credential.reference)
    assert "s3cret-value" not in str(said)


def test_what_policies_were_granted_is_said_beside_the_connections_own_credential() -> None:
    granted = (
        Granted("company#2 authentication-managed-identity", "system-assigned", "https://search.azure.com"),
        Granted("company#3 get-authorization-context", "calendar for key:k1"),
    )
    said = of_decision(Decision(Reason.ALLOWED, granted=granted), "allow", Reason.ALLOWED)
    assert said["mcpgov.credential.policy"] == [
        "company#2 authentication-managed-identity system-assigned https://search.azure.com",
        "company#3 get-authorization-context calendar for key:k1",
    ]
    assert of_decision(Decision(Reason.ALLOWED), "allow", None)["mcpgov.credential.policy"] is None


def test_a_list_is_written_down_to_a_bound() -> None:
    said = of_principal(Principal("key:k1", PrincipalKind.KEY, roles=tuple(map(str, range(MOST + 9)))))
    assert said["mcpgov.principal.roles"] == list(map(str, range(MOST)))


def test_what_a_policy_only_reports_is_said_with_its_rule() -> None:
    reported = (Reported(Reason.TOOL_DENIED, "trial#1 tool-rules"),)
    said = of_decision(Decision(Reason.ALLOWED, reported=reported), "allow", None)
    assert said["mcpgov.decision.reported"] == ["tool-denied trial#1 tool-rules"]


def test_what_is_withheld_is_text_that_others_chose_and_what_was_digested() -> None:
    assert documented() >= WITHHELD
    kept: Fields = {"ts": "T", "mcpgov.status": "ok"}
    assert skeleton({**kept, **dict.fromkeys(WITHHELD, "x")}) == kept
    assert {"mcpgov.agent.claimed", "mcp.resource.uri", "mcpgov.detail", "user_agent.original"} <= WITHHELD


def test_a_value_says_how_much_of_it_is_not_there() -> None:
    assert of_value("arguments", None) == {}
    assert of_value("arguments", Redacted("{}", 2, 0)) == {
        "mcpgov.arguments.value": "{}",
        "mcpgov.arguments.dropped": 2,
        "mcpgov.arguments.left_out": None,
    }


def test_what_tools_a_server_listed_is_said_and_nothing_where_it_listed_none() -> None:
    assert of_tools(None) == {}
    assert of_tools(ToolSet("sha256:a", 3)) == {
        "mcpgov.tools.digest": "sha256:a",
        "mcpgov.tools.count": 3,
        "mcpgov.tools.page": None,
    }
