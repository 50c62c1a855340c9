"""A connection of the platform becomes an entry, and comes back leading to the gateway and naming nothing else."""

import json
from dataclasses import replace
from typing import Any

import pytest

from mcpgov.catalog.adopt import Adopted, Clients, adopt, rewritten
from mcpgov.catalog.entries import parse_entry
from mcpgov.catalog.ways import Choice
from mcpgov.catalog.yaml_text import yaml_text
from mcpgov.credential.references import EnvironmentAndFiles, Unfit
from mcpgov.models import AuthType, Json
from mcpgov.publish.foundry import connection_body
from mcpgov.publish.offer import KeyHeader
from mcpgov.settings_file import stood_in
from tests.catalog.offers import offer

GUID = "11111111-1111-2222-3333-444444444444"
TARGET = "https://upstream.contoso.com/mcp?code=in-the-query"
OAUTH: dict[str, Any] = {
    "TokenUrl": "https://id.contoso.com/t",
    "AuthorizationUrl": "https://id.contoso.com/a",
    "RefreshUrl": "",
    "Scopes": ["read", ""],
    "Credentials": {"ClientId": "id", "ClientSecret": "hunter2"},
}


def body(auth: str = "None", category: str = "RemoteTool", **more: object) -> str:
    said = {"authType": auth, "category": category, "target": TARGET, "group": "ServicesAndApps", "isSharedToAll": True}
    return json.dumps({"name": "My Tools", "id": "/subscriptions/x", "properties": {**said, **more}})


def adopted(text: str, choice: Choice | None = None, clients: Clients | None = None) -> Adopted:
    made = adopt(text, choice or Choice(variables={"agentIdentity": GUID}, tokens=True), clients or Clients())
    parse_entry(yaml_text(made.draft.document), "x.yaml", EnvironmentAndFiles(stood_in({})))
    return made


def signed_in(text: str) -> Json:
    connections = adopted(text).draft.document["connections"]
    assert isinstance(connections, dict)
    return connections["my-tools"]


@pytest.mark.parametrize("category", ["RemoteTool", "RemoteTool_Preview", "remoteTool", "remote-tool"])
def test_a_remote_tool_is_known_in_any_spelling(category: str) -> None:
    made = adopted(body(category=category)).draft.document
    assert (made["name"], made["title"], made["upstream"]) == ("foundry/my-tools", "My Tools", TARGET)


@pytest.mark.parametrize(
    ("written", "kind"),
    [
        ("AgenticIdentityToken", AuthType.AGENTIC_IDENTITY),
        ("AgenticIdentity", AuthType.AGENTIC_IDENTITY),
        ("AgenticIdentityToken_Preview", AuthType.AGENTIC_IDENTITY),
        ("agentic-identity", AuthType.AGENTIC_IDENTITY),
        ("project-managed-identity", AuthType.PROJECT_MANAGED_IDENTITY),
        ("UserEntraToken", AuthType.USER_ENTRA),
        ("user-entra-token", AuthType.USER_ENTRA),
    ],
)
def test_a_token_of_entra_is_known_in_any_spelling(written: str, kind: AuthType) -> None:
    more: dict[str, Json] = {"agentIdentity": GUID} if kind is AuthType.AGENTIC_IDENTITY else {}
    expected = {"authType": kind.value, "audience": "https://search.azure.com", **more}
    assert signed_in(body(written, Audience="https://search.azure.com/.default")) == expected


@pytest.mark.parametrize("spelling", [("credentials", "keys"), ("Credentials", "Keys")])
def test_keys_become_references_and_none_is_taken_over(spelling: tuple[str, str]) -> None:
    credentials = {spelling[1]: {"Authorization": "Bearer hunter2", "X-Key": "hunter2"}}
    text = body("custom-keys", "RemoteTool", **{spelling[0]: credentials})
    made = adopted(text)
    assert signed_in(text) == {
        "authType": "CustomKeys",
        "keys": {"Authorization": "Bearer ${env:MCP_MY_TOOLS_AUTHORIZATION}", "X-Key": "${env:MCP_MY_TOOLS_X_KEY}"},
    }
    assert "hunter2" not in repr(made.draft)
    hidden = adopted(body("CustomKeys", credentials={}))
    assert hidden.draft.notes == ("the platform shows no keys: correct the name of the header",)


def test_an_application_of_ones_own_is_adopted_with_a_reference_for_its_secret() -> None:
    assert signed_in(body("OAuth2", **OAUTH)) == {
        "authType": "OAuth2",
        "oauth": {
            "clientId": "id",
            "clientSecret": "${env:MCP_MY_TOOLS_CLIENTSECRET}",
            "tokenUrl": "https://id.contoso.com/t",
            "authorizationUrl": "https://id.contoso.com/a",
            "scopes": ["read"],
        },
    }
    without = signed_in(body("oauth2", **{**OAUTH, "Scopes": ""}))
    assert "scopes" not in str(without)


def test_the_connection_comes_back_leading_to_the_gateway() -> None:
    made = adopted(body("CustomKeys", Credentials={"Keys": {"X-Key": "hunter2"}}, isSharedToAll=False))
    back = rewritten(made, offer())["properties"]
    assert isinstance(back, dict)
    assert back.pop("isSharedToAll") is False
    expected = connection_body(offer())["properties"]
    assert isinstance(expected, dict)
    assert back == {key: expected[key] for key in expected.keys() - {"isSharedToAll"}}


@pytest.mark.parametrize("auth", AuthType)
def test_agents_sign_in_as_foundry_connection_says(auth: AuthType) -> None:
    assert rewritten(adopted(body(isSharedToAll=True)), offer(auth)) == connection_body(offer(auth))


def test_the_key_stands_in_the_header_that_the_gateway_reads() -> None:
    assert '"Authorization": "Bearer <' in json.dumps(rewritten(adopted(body()), offer()))
    other = replace(offer(), key_header=KeyHeader("X-Api-Key"))
    assert '"X-Api-Key": "<' in json.dumps(rewritten(adopted(body()), other))


@pytest.mark.parametrize("auth", ["OAuth2", "UserEntraToken"])
def test_nothing_of_the_upstream_is_left_in_it(auth: str) -> None:
    clients = Clients(AuthType.AGENTIC_IDENTITY, "api://gateway")
    more: dict[str, Any] = {"metadata": {"ApiType": "Azure", "docs": "https://Upstream.contoso.com/docs"}}
    made = adopted(body(auth, **OAUTH, **more, audience="https://upstream.contoso.com"), clients=clients)
    back = rewritten(made, replace(offer(AuthType.AGENTIC_IDENTITY), audience="api://gateway"))
    assert "upstream" not in json.dumps(back).lower()
    assert "id.contoso.com" not in json.dumps(back)
    properties = back["properties"]
    assert isinstance(properties, dict)
    assert (properties["authType"], properties["audience"]) == ("AgenticIdentityToken", "api://gateway")
    assert properties["credentials"] == {}
    said = made.draft.document["connections"]
    assert "clientAudience" in str(said)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[]", "is no connection"),
        ("{", "cannot be read"),
        (body(category="RemoteA2A"), "is a connection of category RemoteA2A"),
        ("{}", "is a connection of category none"),
        (body("SAS"), "has the authType SAS"),
        (body("UserEntraToken"), "has the authType UserEntraToken and no audience"),
        (body("OAuth2", connectorName="github"), "signs in with an application that the platform manages"),
        (body(target="http://169.254.169.254/"), "is plain http"),
        (body(target="https://10.0.0.1/"), "leads to 10.0.0.1"),
        (body(target=7), "is not a URL"),
    ],
)
def test_what_cannot_be_adopted_is_refused(text: str, why: str) -> None:
    with pytest.raises(Unfit) as caught:
        adopted(text)
    assert str(caught.value).startswith(why)
    assert caught.value.mend


LEFT: dict[str, Any] = {
    "customKeys": {"x-functions-key": "hunter2"},
    "connectionString": "Endpoint=sb://a;SharedAccessKey=hunter2",
    "metadata": {"ApiType": "Azure", "note": "hunter2", "deep": {"deeper": ["hunter2"]}},
    "credentialsBackup": {"keys": [{"Authorization": "Bearer hunter2"}]},
    "peRequirement": "hunter2",
    "group": "hunter2",
    "value": ["hunter2", {"key": "hunter2"}],
    "sharedUserList": ["ada@contoso.com", GUID, "hunter2", {"key": "hunter2"}, ["hunter2"]],
    "Secret": "hunter2",
    "target2": "https://hunter2.example/mcp",
    "isSharedToAll": "hunter2",
    "expiryTime": "hunter2",
}


@pytest.mark.parametrize("left", LEFT)
def test_nothing_that_was_left_in_a_connection_is_printed(left: str) -> None:
    back = rewritten(adopted(body("CustomKeys", **{left: LEFT[left]})), offer())
    assert "hunter2" not in json.dumps(back)
    properties, ours = back["properties"], connection_body(offer())["properties"]
    assert isinstance(properties, dict)
    assert isinstance(ours, dict)
    shared: dict[str, Json] = {"sharedUserList": ["ada@contoso.com", GUID]} if left == "sharedUserList" else {}
    assert properties == ours | shared | ({"isSharedToAll": False} if left == "isSharedToAll" else {})


SHARED: list[tuple[dict[str, Json], list[Json]]] = [
    ({}, [True, []]),
    ({"IsSharedToAll": False}, [False, []]),
    ({"isSharedToAll": None}, [False, []]),
    ({"sharedUserList": [GUID]}, [False, [GUID]]),
    ({"isSharedToAll": True, "SharedUserList": [GUID]}, [True, [GUID]]),
]


@pytest.mark.parametrize(("said", "expected"), SHARED)
def test_a_connection_is_never_shared_with_more_people_than_it_was(said: dict[str, Json], expected: list[Json]) -> None:
    text = json.dumps({"properties": {"authType": "None", "category": "RemoteTool", "target": TARGET, **said}})
    properties = rewritten(adopted(text), offer())["properties"]
    assert isinstance(properties, dict)
    assert [properties["isSharedToAll"], properties["sharedUserList"]] == expected


SENDS = "sends what it gets to https://upstream.contoso.com/mcp"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            body(kind, audience="https://management.azure.com"),
            "sends a token for https://management.azure.com to https://upstream.contoso.com/mcp",
        )
        for kind in ("ProjectManagedIdentity", "AgenticIdentityToken", "UserEntraToken")
    ]
    + [
        (
            body("OAuth2", **OAUTH),
            f"signs in as id at https://id.contoso.com/t and https://id.contoso.com/a, and {SENDS}",
        )
    ],
)
def test_a_strangers_connection_gets_no_token_of_ours_unless_somebody_said_so(text: str, said: str) -> None:
    with pytest.raises(Unfit) as caught:
        adopted(text, Choice(variables={"agentIdentity": GUID}))
    assert (str(caught.value), caught.value.mend) == (said, "say --tokens if it may have that")
    assert adopted(text).draft.notes == (said,)


def test_an_agent_identity_has_to_be_named() -> None:
    with pytest.raises(Unfit, match="nothing says as which"):
        adopted(body("AgenticIdentityToken", audience="api://a"), Choice())


def test_a_connection_may_be_called_otherwise_and_lead_to_a_server_of_ones_own() -> None:
    text = json.dumps({"category": "RemoteTool", "authType": "None", "target": "http://10.0.0.1/mcp"})
    made = adopt(text, Choice("own", private=True), Clients(), "com.contoso/own").draft.document
    assert (made["name"], made["private"], made["connections"]) == (
        "com.contoso/own",
        True,
        {"own": {"authType": "None"}},
    )
