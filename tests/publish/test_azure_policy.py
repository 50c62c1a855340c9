"""The policy lets connections to the gateway through and no other, whatever is tried; the public sample does not."""

import json
import re
from typing import Any

import pytest

from mcpgov.models import AuthType
from mcpgov.publish.azure_policy import HUBS, NO_TOOLS, TYPES, policy_definition
from mcpgov.publish.foundry import connection_body
from mcpgov.publish.offer import NotOffered
from tests.catalog.offers import URL, offer
from tests.catalog.policy_rules import UnknownRule, applies, effect, holds

ACCOUNT, PROJECT = TYPES
DEFINITION: dict[str, Any] = {**policy_definition(["https://mcp.contoso.com", "https://eu.mcp.contoso.com"])}
EVIL = "https://evil.example/mcp"


def resource(type_: str = PROJECT, **properties: Any) -> dict[str, Any]:
    return {"type": type_, "properties": {"authType": "None", **properties}}


# Each is a connection that leads, or may lead, past the gateway.
DENIED: dict[str, dict[str, Any]] = {
    "a server of its own": resource(category="RemoteTool", target=EVIL),
    "of the account": resource(ACCOUNT, category="RemoteTool", target=EVIL),
    "of a hub": resource(HUBS, category="RemoteTool", target=EVIL),
    "a type in another case": resource(PROJECT.upper(), category="RemoteTool", target=EVIL),
    "a preview category": resource(category="RemoteTool_Preview", target=EVIL),
    "a category in lower case": resource(category="remotetool", target=EVIL),
    "a category in camel case": resource(category="remoteTool", target=EVIL),
    "a category with a dash": resource(category="remote-tool", target=EVIL),
    "an agent": resource(category="RemoteA2A", target="https://evil.example/a2a"),
    "a category of tomorrow": resource(category="McpServer", target=EVIL),
    "a category with a space": resource(category="AzureBlob ", target=EVIL),
    "no category": resource(target=EVIL),
    "a category that is null": resource(category=None, target=EVIL),
    "custom keys": resource(category="CustomKeys", target=EVIL),
    "an API key": resource(category="ApiKey", target="https://evil.example/"),
    "generic": resource(category="GenericHttp", target="https://evil.example/"),
    "a server under the category of storage": resource(category="AzureBlob", target=EVIL),
    "the same with a query": resource(category="CognitiveSearch", target=f"{EVIL}?api-version=2025-11-01-preview"),
    "the same with a path": resource(category="CognitiveSearch", target=f"{EVIL}/x"),
    "the same over SSE": resource(category="AIServices", target="https://evil.example/sse"),
    "a longer host": resource(category="RemoteTool", target="https://mcp.contoso.com.evil.example/mcp/github"),
    "a user name": resource(category="RemoteTool", target="https://mcp.contoso.com@evil.example/mcp/github"),
    "a password": resource(category="RemoteTool", target="https://mcp.contoso.com:mcp@evil.example/mcp/github"),
    "a user name with a path": resource(
        category="RemoteTool", target="https://evil.example/@mcp.contoso.com/mcp/github"
    ),
    "plain http": resource(category="RemoteTool", target="http://mcp.contoso.com/mcp/github"),
    "another port": resource(category="RemoteTool", target="https://mcp.contoso.com:8443/mcp/github"),
    "a dot at the end of the host": resource(category="RemoteTool", target="https://mcp.contoso.com./mcp/github"),
    "a sub-domain": resource(category="RemoteTool", target="https://x.mcp.contoso.com/mcp/github"),
    "a backslash": resource(category="RemoteTool", target="https://mcp.contoso.com\\@evil.example/mcp/"),
    "a percent": resource(category="RemoteTool", target="https://mcp.contoso.com%2f@evil.example/mcp/"),
    "a space before it": resource(category="RemoteTool", target=" https://mcp.contoso.com/mcp/github"),
    "a line before it": resource(category="RemoteTool", target="https://evil.example/\nhttps://mcp.contoso.com/mcp/x"),
    "the gateway in the query": resource(category="RemoteTool", target=f"https://evil.example/?{URL}"),
    "the gateway in the fragment": resource(category="RemoteTool", target=f"https://evil.example/#{URL}"),
    "a look-alike": resource(
        category="RemoteTool", target="https://mcp.c\N{CYRILLIC SMALL LETTER O}ntoso.com/mcp/github"
    ),
    "no scheme": resource(category="RemoteTool", target="mcp.contoso.com/mcp/github"),
    "the console": resource(category="RemoteTool", target="https://mcp.contoso.com/console"),
    "no target": resource(category="RemoteTool"),
    "a target that is null": resource(category="RemoteTool", target=None),
    "an empty target": resource(category="RemoteTool", target=""),
    "a list of targets": resource(category="RemoteTool", target=["https://mcp.contoso.com/mcp/github"]),
    "a managed connector": resource(category="RemoteTool", useCustomConnector=False, connectorName="github"),
    "the target elsewhere": resource(category="RemoteTool", metadata={"target": URL}),
    "the key in another case": {"type": PROJECT, "properties": {"Category": "RemoteTool", "Target": EVIL}},
    "no properties": {"type": PROJECT},
    "an agent at the gateway's own name": resource(category="RemoteA2A", target="https://mcp.contoso.com.evil.example"),
    "a path that goes up": resource(category="RemoteTool", target=f"{URL}/../../other"),
    "a path that goes up in escapes": resource(category="RemoteTool", target=f"{URL}/%2e%2e/%2E./other"),
    "a path that goes up in part in escapes": resource(category="RemoteTool", target=f"{URL}/.%2e/other"),
    "a path that goes up with a parameter": resource(category="RemoteTool", target=f"{URL}/..;/other"),
    "a path that goes up by backslashes": resource(category="RemoteTool", target=f"{URL}\\..\\..\\other"),
    "a path that goes up around a tab": resource(category="RemoteTool", target=f"{URL}/.\t./other"),
    "a path that goes up from all": resource(category="RemoteTool", target="https://mcp.contoso.com/mcp/../other"),
    "a path that goes up at the account": resource(ACCOUNT, category="RemoteTool", target=f"{URL}/../other"),
    "a path that goes up at a hub": resource(HUBS, category="RemoteTool", target=f"{URL}/../other"),
    "two targets in two lines": resource(category="RemoteTool", target=f"{URL}\n{EVIL}"),
    "two targets in one line": resource(category="RemoteTool", target=f"{URL} {EVIL}"),
    "a full stop of another script": resource(
        category="RemoteTool", target="https://mcp.contoso.com\N{FULLWIDTH FULL STOP}evil.example/mcp/github"
    ),
    "an ideographic full stop": resource(
        category="RemoteTool", target="https://mcp.contoso.com\N{IDEOGRAPHIC FULL STOP}evil.example/mcp/github"
    ),
    "a slash of another script": resource(
        category="RemoteTool", target="https://mcp.contoso.com\N{FRACTION SLASH}mcp\N{FRACTION SLASH}@evil.example"
    ),
    "one slash": resource(category="RemoteTool", target="https:/mcp.contoso.com/mcp/github"),
    "no slash before a user name": resource(category="RemoteTool", target="https://mcp.contoso.com?@evil.example/mcp/"),
    "backslashes": resource(category="RemoteTool", target="https:\\\\mcp.contoso.com\\mcp\\github"),
    "another scheme": resource(category="RemoteTool", target="wss://mcp.contoso.com/mcp/github"),
    "the default port and a user name": resource(
        category="RemoteTool", target="https://mcp.contoso.com:443@evil.example/mcp/"
    ),
    "a list of categories": resource(category=["AzureBlob"], target=EVIL),
    "an object for a category": resource(category={"AzureBlob": "RemoteTool"}, target=EVIL),
    "a category of another script": resource(category="AzureBl\N{CYRILLIC SMALL LETTER O}b", target=EVIL),
    "a category with a zero-width space": resource(category="AzureBlob\N{ZERO WIDTH SPACE}", target=EVIL),
    "an object for a target": resource(category="RemoteTool", target={"url": URL}),
    "the group of tools": resource(category="RemoteTool", group="MCP", target=EVIL),
    "a category that is only in the group": resource(group="RemoteTool", target=EVIL),
    "a category that is only in the metadata": resource(metadata={"category": "AzureBlob"}, target=EVIL),
    "a preview category at a hub": resource(HUBS, category="RemoteTool_Preview", target=EVIL),
    "a hub in another case": resource(HUBS.lower(), category="remote-tool", target=EVIL),
    "no category at a hub": resource(HUBS, target=EVIL),
    "storage at the account": resource(ACCOUNT, category="AzureBlob", target=EVIL),
    "storage in capitals": resource(category="AZUREBLOB", target="HTTPS://EVIL.EXAMPLE/MCP"),
    "storage with a slash": resource(category="AzureBlob", target=f"{EVIL}/"),
    "storage with a space": resource(category="AzureBlob", target=f"{EVIL} "),
    "storage with a line break": resource(category="AzureBlob", target=f"{EVIL}\n"),
    "storage with a parameter": resource(category="AzureBlob", target=f"{EVIL};v=1"),
    "storage with an escape": resource(category="AzureBlob", target=f"{EVIL}%20"),
    "storage over SSE with a slash": resource(category="AzureBlob", target="https://evil.example/sse/"),
    "a host for MCP alone": resource(category="CognitiveSearch", target="https://mcp.evil.example"),
    "a host for MCP alone with a user name": resource(category="CognitiveSearch", target="https://x@mcp.evil.example/"),
}
ALLOWED: dict[str, dict[str, Any]] = {
    **{f"what we print for {auth}": {"type": PROJECT, **connection_body(offer(auth))} for auth in AuthType},
    "of the account": resource(ACCOUNT, category="RemoteTool", target=URL),
    "of a hub": resource(HUBS, category="RemoteTool", target=URL),
    "a preview category": resource(category="RemoteTool_Preview", target=URL),
    "the second gateway": resource(category="RemoteTool", target="https://eu.mcp.contoso.com/mcp/github"),
    "all connections as one server": resource(category="RemoteTool", target="https://mcp.contoso.com/mcp"),
    "the host in capitals": resource(category="RemoteTool", target="https://MCP.Contoso.com/mcp/github"),
    "a query": resource(category="RemoteTool", target=f"{URL}?tenant=1"),
    "everything in capitals": resource(category="REMOTETOOL", target=URL.upper()),
    "a name with a dot in it": resource(category="RemoteTool", target=f"{URL}.v2"),
    "custom keys at the gateway": resource(category="CustomKeys", target=URL),
    "a search service": resource(category="CognitiveSearch", target="https://contoso.search.windows.net"),
    "a model": resource(category="AzureOpenAI", target="https://mcp-models.openai.azure.com/"),
    "a database in another case": resource(category="CosmosDb", target="https://contoso.documents.azure.com:443/"),
    "another resource": {"type": "Microsoft.Storage/storageAccounts", "properties": {"target": EVIL}},
}


@pytest.mark.parametrize("case", DENIED)
def test_what_leads_past_the_gateway_is_denied(case: str) -> None:
    assert effect(DEFINITION, DENIED[case]) == "Deny"


@pytest.mark.parametrize("case", ALLOWED)
def test_what_leads_to_the_gateway_or_is_no_tool_is_let_through(case: str) -> None:
    assert effect(DEFINITION, ALLOWED[case]) == ""


def test_the_public_sample_lets_most_of_them_through() -> None:
    def branch(type_: str, category: str) -> dict[str, Any]:
        return {
            "allOf": [
                {"field": "type", "equals": type_},
                {"field": f"{category}/category", "equals": "RemoteTool"},
                {"field": f"{type_}/target", "notIn": [URL]},
            ]
        }

    sample = {"anyOf": [branch(ACCOUNT, ACCOUNT), branch(PROJECT, ACCOUNT)]}  # its second branch asks the wrong alias
    stopped = [case for case, one in DENIED.items() if applies(sample, one, {})]
    assert stopped == ["of the account", "a path that goes up at the account"]


def test_each_type_is_asked_for_its_own_aliases() -> None:
    for branch in DEFINITION["properties"]["policyRule"]["if"]["anyOf"]:
        named = fields(branch) - {"type"}
        type_ = branch["allOf"][0]["equals"]
        assert named == {f"{type_}/target", f"{type_}/category"}


def fields(rule: Any) -> set[str]:
    """Every field that a rule asks for."""
    return set(re.findall(r'"field": "([^"]+)"', json.dumps(rule)))


def test_the_effect_and_the_categories_are_chosen_with_the_assignment() -> None:
    blob = resource(category="AzureBlob", target="https://contoso.blob.core.windows.net")
    assert effect(DEFINITION, DENIED["no target"], {"effect": "Audit"}) == "Audit"
    assert effect(DEFINITION, blob, {"otherCategories": ["CognitiveSearch"]}) == "Deny"
    assert effect(DEFINITION, resource(category="ApiKey", target="x"), {"otherCategories": [*NO_TOOLS, "ApiKey"]}) == ""


def test_child_resources_are_looked_at_too() -> None:
    properties = DEFINITION["properties"]
    assert properties["mode"] == "All"
    indexed = {"properties": {**properties, "mode": "Indexed"}}
    assert effect(indexed, DENIED["a server of its own"]) == ""


def test_hubs_can_be_left_out_where_their_aliases_are_not_known() -> None:
    assert HUBS in json.dumps(DEFINITION)
    assert HUBS not in json.dumps(policy_definition(["https://mcp.contoso.com"], hubs=False))


@pytest.mark.parametrize(
    "gateway",
    [
        *("http://127.0.0.1:8080", "https://mcp.contoso.com/", "https://*.contoso.com", "https://", "https://a b"),
        *("https://mcp.contoso.com@evil.example", "https://evil.example?", "https://evil.example#", "https://a\n"),
        *("https://mcp.cont\N{LATIN SMALL LETTER O WITH DIAERESIS}so.com", "[concat('https://')]", "https://a:b"),
    ],
)
def test_a_gateway_that_is_no_host_over_https_is_refused(gateway: str) -> None:
    with pytest.raises(NotOffered):
        policy_definition([gateway])


def test_plain_http_may_be_looked_at() -> None:
    assert "http://[::1]:80/mcp/*" in json.dumps(policy_definition(["http://[::1]:80"], allow_http=True))
    assert "http://127.0.0.1:8080/mcp/*" in json.dumps(policy_definition(["http://127.0.0.1:8080"], allow_http=True))


@pytest.mark.parametrize(
    ("condition", "value", "wanted", "said"),
    [
        *(("equals", "A", "a", True), ("notEquals", None, "a", True), ("equals", None, "a", False)),
        *(("like", "abc", "A*", True), ("notLike", None, "a*", True), ("contains", "xAy", "a", True)),
        *(("in", "A", ["a"], True), ("notIn", None, ["a"], True), ("exists", None, "false", True)),
        *(("match", "a1", "?#", True), ("match", "Ab", "ab", False), ("matchInsensitively", "Ab", "ab", True)),
    ],
)
def test_conditions_are_read_as_azure_policy_reads_them(condition: str, value: Any, wanted: Any, said: object) -> None:
    assert holds(condition, value, wanted) is said


@pytest.mark.parametrize(("condition", "wanted"), [("less", "1"), ("like", "*a*")])
def test_a_condition_that_is_not_known_is_an_error(condition: str, wanted: str) -> None:
    with pytest.raises(UnknownRule):
        holds(condition, "a", wanted)
