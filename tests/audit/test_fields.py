"""What a record says of each thing that takes part in a call; test_record.py has whole records."""

import json
from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from mcpgov.audit.fields import (
    MOST,
    WITHHELD,
    canonical,
    joined,
    member,
    of_arguments,
    of_credential,
    of_decision,
    of_principal,
    of_tools,
    of_value,
    skeleton,
)
from mcpgov.audit.redact import Fingerprint, clip
from mcpgov.audit.tool_sets import ToolSet
from mcpgov.audit.values import Redacted
from mcpgov.decision import Decision, Granted, Reason, Reported
from mcpgov.models import Credential, Principal, PrincipalKind, Secret
from tests.audit.exports import documented


def read(members: Iterable[str]) -> dict[str, object]:
    return json.loads(joined(members))


def test_a_credential_is_named_and_not_shown() -> None:
    credential = Credential("CustomKeys", "dev.mcpgov/city#city", (("X-Key", Secret("s3cret-value")),))
    said = read(of_credential(credential, None))
    assert said == {"mcpgov.credential.kind": "CustomKeys", "mcpgov.credential.reference": credential.reference}


def test_what_policies_were_granted_is_said_beside_the_connections_own_credential() -> None:
    granted = (
        Granted("company#2 authentication-managed-identity", "system-assigned", "https://search.azure.com"),
        Granted("company#3 get-authorization-context", "calendar for key:k1"),
    )
    assert read(of_credential(None, Decision(Reason.ALLOWED, granted=granted))) == {
        "mcpgov.credential.policy": [
            "company#2 authentication-managed-identity system-assigned https://search.azure.com",
            "company#3 get-authorization-context calendar for key:k1",
        ]
    }
    assert read(of_credential(None, Decision(Reason.ALLOWED))) == {}


def test_a_list_is_written_down_to_a_bound() -> None:
    said = read([of_principal(Principal("key:k1", PrincipalKind.KEY, roles=tuple(map(str, range(MOST + 9)))))])
    assert said["mcpgov.principal.roles"] == list(map(str, range(MOST)))


def test_what_a_policy_only_reports_is_said_with_its_rule() -> None:
    reported = (Reported(Reason.TOOL_DENIED, "trial#1 tool-rules"),)
    said = read(of_decision(Decision(Reason.ALLOWED, reported=reported), "allow", None))
    assert said["mcpgov.decision.reported"] == ["tool-denied trial#1 tool-rules"]


def test_what_is_withheld_is_text_that_others_chose_and_what_was_digested() -> None:
    assert documented() >= WITHHELD
    kept = [member("mcpgov.status", "ok"), member("mcpgov.traceparent.ignored", "kept"), member("ts", "T")]
    assert skeleton([*kept, *(member(name, "x") for name in WITHHELD)]) == kept
    assert {"mcpgov.agent.claimed", "mcp.resource.uri", "mcpgov.detail", "user_agent.original"} <= WITHHELD


def test_a_value_says_how_much_of_it_is_not_there() -> None:
    assert read(of_value("arguments", None)) == {}
    value = Redacted("{}", 2, 0)
    assert read(of_arguments(None, value)) == {"mcpgov.arguments.value": "{}", "mcpgov.arguments.dropped": 2}
    assert read(of_arguments(Fingerprint("d", 7), value)) == {
        "mcpgov.arguments.digest": "d",
        "mcpgov.arguments.dropped": 2,
        "mcpgov.arguments.size": 7,
        "mcpgov.arguments.value": "{}",
    }


def test_what_tools_a_server_listed_is_said_and_nothing_where_it_listed_none() -> None:
    assert of_tools(None) == ""
    assert read([of_tools(ToolSet("sha256:a", 3))]) == {"mcpgov.tools.digest": "sha256:a", "mcpgov.tools.count": 3}
    assert read([of_tools(ToolSet("sha256:a", 0, page=True))])["mcpgov.tools.page"] is True


def test_members_are_put_in_the_order_of_their_names() -> None:
    texts = [member(name, "x") for name in ("b", "a.b", "a", "a.b.c", "a_b")]
    assert joined(["", *texts]) == '{"a":"x","a.b":"x","a.b.c":"x","a_b":"x","b":"x"}'


@given(st.text(st.characters(), max_size=40), st.integers(0, 40))
def test_a_text_is_written_as_it_would_be_in_an_object(text: str, limit: int) -> None:
    assert joined([member("name", text, limit)]) == canonical({"name": clip(text, limit) if text else ""})
