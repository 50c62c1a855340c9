"""A card says of a connection what the registry says of its server, to who may see it."""

from typing import Any, cast

from mcpgov.registry.cards import ai_catalog, card
from tests.registry.shelves import EVERYBODY, TOLD, only, shelf, text

SERVERS = shelf(
    text("com.contoso.tools/git", more="title: Repositories\n") + "  git-two: { authType: None }\n",
    text("org.other/gone", more="status: deleted\n"),
)


def test_a_card_has_one_remote() -> None:
    made = cast("Any", card(SERVERS, EVERYBODY, "git-two", TOLD))
    (remote,) = made["remotes"]
    assert (remote["type"], remote["url"]) == ("streamable-http", "https://mcp.contoso.com/mcp/git-two")
    assert [one["name"] for one in remote["headers"]] == ["Authorization"]
    assert (made["name"], made["version"], made["title"]) == ("com.contoso.tools/git", "1.0.0", "Repositories")
    assert made["$schema"].endswith("/server-card.schema.json")


def test_there_is_no_card_of_what_the_caller_does_not_see() -> None:
    assert card(SERVERS, only("git"), "git-two", TOLD) is None
    assert card(SERVERS, EVERYBODY, "gone", TOLD) is None
    assert card(SERVERS, EVERYBODY, "none", TOLD) is None


def test_the_catalog_leads_to_the_card_of_each_connection() -> None:
    made = cast("Any", ai_catalog(SERVERS, EVERYBODY, TOLD))
    assert made == {
        "specVersion": "1.0",
        "entries": [
            {
                "identifier": f"urn:air:tools.contoso.com:git:{name}",
                "displayName": "Repositories",
                "type": "application/mcp-server-card+json",
                "url": f"https://mcp.contoso.com/mcp/{name}/server-card",
            }
            for name in ("git", "git-two")
        ],
    }
    assert ai_catalog(SERVERS, only("none"), TOLD)["entries"] == []
