"""What Foundry is told: connections in the platform's own shapes, and tools with the approvals that they need."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import yaml

from mcpgov.models import AuthType, Json
from mcpgov.publish.foundry import (
    Project,
    Tool,
    agent_yaml,
    bicep,
    connection_body,
    connection_call,
    require_approval,
    tool_definition,
)
from mcpgov.publish.offer import Issuer, KeyHeader, NotOffered
from tests.catalog.offers import AUDIENCE, ENTRA, URL, WITH_AUDIENCE, offer

COMMON: Mapping[str, Any] = {
    "group": "ServicesAndApps",
    "category": "RemoteTool",
    "target": URL,
    "isSharedToAll": True,
    "sharedUserList": [],
    "metadata": {"ApiType": "Azure"},
}
# What the platform's REST API takes, by authType, apart from what all of them have.
SHAPES: Mapping[AuthType, Mapping[str, Any]] = {
    AuthType.NONE: {},
    AuthType.CUSTOM_KEYS: {"credentials": {"keys": {"Authorization": str}}},
    AuthType.AGENTIC_IDENTITY: {"audience": AUDIENCE, "credentials": {}},
    AuthType.PROJECT_MANAGED_IDENTITY: {"audience": AUDIENCE, "credentials": {}},
    AuthType.USER_ENTRA: {"audience": AUDIENCE, "credentials": {}},
    AuthType.OAUTH2: {
        "TokenUrl": ENTRA.token_url,
        "AuthorizationUrl": ENTRA.authorization_url,
        "RefreshUrl": ENTRA.token_url,
        "Scopes": [f"{URL}/Mcp.Use"],
        "Credentials": {"ClientId": str, "ClientSecret": str},
    },
}
READ, WRITE, SILENT = Tool("get_me", read_only=True), Tool("merge", read_only=False), Tool("ping")


def fits(value: Any, shape: Any) -> bool:
    """Whether a value has exactly this shape: its keys, its values, and a text where there is `str`."""
    if isinstance(shape, dict):
        inner: dict[str, Any] = {**shape}
        return isinstance(value, dict) and value.keys() == inner.keys() and all(fits(value[k], inner[k]) for k in inner)
    return isinstance(value, str) if shape is str else value == shape


@pytest.mark.parametrize("auth", AuthType)
def test_the_connection_has_the_shape_of_its_auth_type(auth: AuthType) -> None:
    body = connection_body(offer(auth))
    assert fits(body, {"properties": {"authType": auth.value, **COMMON, **SHAPES[auth]}}), json.dumps(body, indent=1)


def test_an_issuer_whose_endpoints_are_not_known_leaves_places_to_fill_in() -> None:
    properties = connection_body(offer(AuthType.OAUTH2, Issuer("https://id.contoso.com")))["properties"]
    assert isinstance(properties, dict)
    assert properties["TokenUrl"] == properties["RefreshUrl"] == "<token endpoint of https://id.contoso.com>"
    assert connection_body(offer(AuthType.OAUTH2, None)) != {}


@pytest.mark.parametrize("auth", AuthType)
def test_no_secret_is_written_but_a_place_for_one(auth: AuthType) -> None:
    text = json.dumps(connection_body(offer(auth)))
    for value in re.findall(r'"(?:Authorization|ClientSecret)": "(.*?)"', text):
        assert re.fullmatch(r"(?:Bearer )?<.*>", value)


def test_the_call_names_the_project_and_the_version_of_the_api() -> None:
    project = Project("0000-1", "rg", "contoso", "agents")
    call = connection_call(offer(), project)
    path = (
        "/subscriptions/0000-1/resourceGroups/rg/providers/Microsoft.CognitiveServices/accounts/contoso"
        "/projects/agents/connections/github"
    )
    assert call.url == f"https://management.azure.com{path}?api-version=2025-04-01-preview"
    assert call.method == "PUT"
    assert call.typed("github.json") == f"az rest --method put --url '{call.url}' --body @github.json"
    assert "/accounts/{account}/projects/{project}/" in connection_call(offer(), Project()).url


@pytest.mark.parametrize("wrong", ["a/../b", "a'; rm -rf ~", "", "a?b"])
def test_a_name_that_would_change_the_path_is_refused(wrong: str) -> None:
    with pytest.raises(NotOffered):
        connection_call(offer(), Project(account=wrong))


@pytest.mark.parametrize(
    ("tools", "approval"),
    [
        ([], "always"),
        ([SILENT], "always"),
        ([WRITE, SILENT], "always"),
        ([READ], "never"),
        ([READ, WRITE, SILENT], {"always": {"tool_names": ["merge", "ping"]}, "never": {"tool_names": ["get_me"]}}),
    ],
)
def test_only_tools_that_are_said_to_read_need_no_approval(tools: list[Tool], approval: Json) -> None:
    assert require_approval(tools) == approval


def test_the_tool_names_the_gateway_the_connection_and_what_may_be_used() -> None:
    made = tool_definition(replace(offer(), name="git-hub"), "/subscriptions/s/connections/github", [READ, WRITE])
    assert made == {
        "type": "mcp",
        "server_label": "git_hub",
        "server_url": URL,
        "project_connection_id": "/subscriptions/s/connections/github",
        "allowed_tools": ["get_me", "merge"],
        "require_approval": {"always": {"tool_names": ["merge"]}, "never": {"tool_names": ["get_me"]}},
    }
    assert re.fullmatch(r"[a-zA-Z0-9_]+", str(made["server_label"]))


def test_without_a_list_the_agent_sees_what_the_gateway_shows_and_asks_for_everything() -> None:
    made = tool_definition(offer(), "github", None)
    assert "allowed_tools" not in made
    assert made["require_approval"] == "always"
    assert tool_definition(offer(), "github", [WRITE], "never")["require_approval"] == "never"


@pytest.mark.parametrize("auth", AuthType)
def test_agent_yaml_makes_the_connection_and_a_toolbox(auth: AuthType) -> None:
    made = yaml.safe_load(agent_yaml(offer(auth), [READ]))
    connection, toolbox = made["resources"]
    assert (connection["kind"], connection["category"], connection["target"]) == ("connection", "RemoteTool", URL)
    assert connection["authType"] == auth.value
    assert connection.get("audience") == (AUDIENCE if auth in WITH_AUDIENCE else None)
    assert toolbox["tools"][0]["project_connection_id"] == connection["name"]
    secret = auth in {AuthType.CUSTOM_KEYS, AuthType.OAUTH2}
    assert ("parameters" in made) is secret
    assert ("{{ github_secret }}" in json.dumps(connection)) is secret
    if auth is AuthType.OAUTH2:
        assert connection["tokenUrl"] == ENTRA.token_url


@pytest.mark.parametrize("auth", AuthType)
def test_bicep_makes_the_same_connection_with_its_secrets_as_parameters(auth: AuthType) -> None:
    text = bicep(offer(auth))
    written = read_bicep(text)
    body = connection_body(offer(auth))["properties"]
    assert isinstance(body, dict)
    assert written.keys() == body.keys()
    for key in body.keys() - {"credentials", "Credentials"}:
        assert written[key] == body[key], key
    secure = re.findall(r"@secure\(\)\nparam (\w+) string", text)
    assert secure == {AuthType.CUSTOM_KEYS: ["gatewayKey"], AuthType.OAUTH2: ["clientSecret"]}.get(auth, [])
    assert "<" not in text or auth is AuthType.NONE


def test_bicep_writes_a_header_that_is_no_identifier_in_quotes_and_no_value_as_an_expression() -> None:
    text = bicep(replace(offer(), key_header=KeyHeader("X-Api-Key")))
    assert "'X-Api-Key': gatewayKey" in text
    odd = bicep(replace(offer(AuthType.USER_ENTRA), audience="api://it's${here}\\"))
    assert r"audience: 'api://it\'s\${here}\\'" in odd
    assert "Scopes: []" in bicep(offer(AuthType.OAUTH2, None))


def read_bicep(text: str) -> dict[str, Any]:
    """The properties of the connection in a module: objects and lists, one thing a line, and texts."""
    lines = text.split("\n  properties: {\n")[1].split("\n  }\n", maxsplit=1)[0].splitlines()
    return yaml.safe_load("{" + "".join(map(as_json, lines)) + "}")


def as_json(line: str) -> str:
    """One line of Bicep as a piece of JSON."""
    key, colon, value = line.strip().partition(": ")
    value = value if colon else key
    name = json.dumps(key.strip("'")) + ": " if colon else ""
    if value in {"{", "["}:
        return name + value
    if text := re.fullmatch(r"'(.*)'", value):
        value = json.dumps(text[1])
    return f"{name}{value}, "
