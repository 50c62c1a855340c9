"""What the registry keeps of a server becomes a server.json when it is shown, with the ways of the one who asks."""

from typing import cast

import pytest

from mcpgov.catalog.listed import Way, offered
from mcpgov.catalog.server_json import read_server_json
from mcpgov.catalog.ways import Choice, reached
from mcpgov.models import Json
from mcpgov.publish.offer import KeyHeader
from tests.registry.shelves import shelf, text

Document = dict[str, Json]
WAYS = (Way("git", "CustomKeys"), Way("git-two", "CustomKeys"))


def asked(connection: str, variable: str, name: str = "Authorization", before: str = "Bearer ") -> Document:
    """The header that a client asks its person for."""
    key: Document = {"description": f"Gateway key for {connection} (mcpgov_…)", "isRequired": True, "isSecret": True}
    said: Document = {"name": name, "value": f"{before}{{{variable}}}", "isRequired": True, "isSecret": True}
    return {**said, "variables": {variable: {**key, "placeholder": "mcpgov_…"}}}


@pytest.mark.parametrize("gateway", ["https://mcp.contoso.com", "https://mcp.contoso.com/"])
def test_each_way_is_a_remote_at_the_gateway(gateway: str) -> None:
    made = offered({"name": "a/b", "_meta": {"dev.mcpgov/catalog": {"publisher": "p"}}}, WAYS, gateway, "stamp")
    assert made == {
        "name": "a/b",
        "remotes": [
            {"type": "streamable-http", "url": "https://mcp.contoso.com/mcp/git", "headers": [asked("git", "git_key")]},
            {
                "type": "streamable-http",
                "url": "https://mcp.contoso.com/mcp/git-two",
                "headers": [asked("git-two", "git_two_key")],
            },
        ],
        "_meta": {"dev.mcpgov/catalog": {"publisher": "p", "authentication": ["CustomKeys"], "stamp": "stamp"}},
    }


def test_only_a_way_that_takes_gateway_keys_has_one_asked_for_in_the_header_where_keys_are_read() -> None:
    ways = (Way("git", "CustomKeys"), Way("mail", "OAuth2"), Way("agents", "AgenticIdentityToken"), Way("open", "None"))
    document: Document = {"name": "a/b", "_meta": {"dev.mcpgov/catalog": {}}}
    made = offered(document, ways, "https://mcp.contoso.com", "stamp", KeyHeader("X-Gateway-Key"))
    git, *others = cast("list[Document]", made["remotes"])
    assert git["headers"] == [asked("git", "git_key", "X-Gateway-Key", "")]
    assert all("headers" not in one for one in others)


@pytest.mark.parametrize("header", [KeyHeader("Authorization", "Bearer "), KeyHeader("X-Api-Key")])
def test_another_gateway_that_imports_it_asks_for_the_key_by_itself(header: KeyHeader) -> None:
    document: Document = {"name": "a/git", "version": "1.0.0", "description": "x", "_meta": {"dev.mcpgov/catalog": {}}}
    made = offered(document, WAYS[:1], "https://mcp.contoso.com", "stamp", header)
    entry = reached(read_server_json(made, "s.json"), Choice("there")).document
    assert entry["connections"] == {
        "there": {
            "authType": "CustomKeys",
            "keys": {header.name: header.value("${env:MCP_THERE_GIT_KEY}")},
        }
    }


def test_without_a_way_there_is_no_remote() -> None:
    made = offered({"name": "a/b", "_meta": {"dev.mcpgov/catalog": {}}}, (), "https://mcp.contoso.com", "stamp")
    assert made == {"name": "a/b", "_meta": {"dev.mcpgov/catalog": {"stamp": "stamp"}}}


def test_of_a_deleted_one_it_is_still_known_who_could_reach_it() -> None:
    (gone,) = shelf(text("com.contoso/gone", more="status: deleted\n"))
    assert gone.deleted
    assert [way.connection for way in gone.ways] == ["gone"]
    assert b"hosts.example" not in gone.document
