"""What the registry keeps of a server becomes a server.json when it is shown, with the ways of the one who asks."""

import pytest

from mcpgov.catalog.listed import Way, offered
from tests.registry.shelves import shelf, text

WAYS = (Way("git", "CustomKeys"), Way("git-two", "CustomKeys"))


@pytest.mark.parametrize("gateway", ["https://mcp.contoso.com", "https://mcp.contoso.com/"])
def test_each_way_is_a_remote_at_the_gateway(gateway: str) -> None:
    made = offered({"name": "a/b", "_meta": {"dev.mcpgov/catalog": {"publisher": "p"}}}, WAYS, gateway, "stamp")
    assert made == {
        "name": "a/b",
        "remotes": [
            {"type": "streamable-http", "url": "https://mcp.contoso.com/mcp/git"},
            {"type": "streamable-http", "url": "https://mcp.contoso.com/mcp/git-two"},
        ],
        "_meta": {"dev.mcpgov/catalog": {"publisher": "p", "authentication": ["CustomKeys"], "stamp": "stamp"}},
    }


def test_without_a_way_there_is_no_remote() -> None:
    made = offered({"name": "a/b", "_meta": {"dev.mcpgov/catalog": {}}}, (), "https://mcp.contoso.com", "stamp")
    assert made == {"name": "a/b", "_meta": {"dev.mcpgov/catalog": {"stamp": "stamp"}}}


def test_of_a_deleted_one_it_is_still_known_who_could_reach_it() -> None:
    (gone,) = shelf(text("com.contoso/gone", more="status: deleted\n"))
    assert gone.deleted
    assert [way.connection for way in gone.ways] == ["gone"]
    assert b"hosts.example" not in gone.document
