"""The catalog's page."""

from dataclasses import replace

from mcpgov.catalog.approval import Standing
from mcpgov.catalog.pinning import PinState
from mcpgov.console.catalog import catalog_page, health_of
from tests.admin.house import CITY, SOME_SERVERS


def test_each_connection_says_what_it_is_and_leads_on() -> None:
    page = str(catalog_page(SOME_SERVERS, "a" * 64, {}))
    for shown in (
        "1 server, 2 connections",
        "/mcp/town",
        "30 s",
        "Tool delete",
        "/console/policies/owners-only",
    ):
        assert shown in page
    assert "The catalog is empty" in str(catalog_page((), "a" * 64, {}))


def test_a_server_that_cannot_be_used_says_why_and_since_when() -> None:
    (server,) = SOME_SERVERS
    sick = replace(server.connections[0], health="unavailable", why="<Nothing> answers.", since="2026-11-20T08:30:00Z")
    shown = str(catalog_page([replace(server, connections=(sick,))], "a" * 64, {}))
    assert "<strong>unavailable</strong>, since 2026-11-20 08:30 UTC: &lt;Nothing&gt; answers." in shown
    assert str(health_of(replace(sick, health="available", why="", since=""))) == "available"


def test_a_server_shows_its_mode_and_where_its_tools_stand_and_leads_to_them() -> None:
    (server,) = SOME_SERVERS
    standing = Standing(listed=True, counts={PinState.APPROVED: 1_200, PinState.PENDING: 1, PinState.CHANGED: 1})
    page = str(catalog_page([server], "a" * 64, {CITY: standing}))
    for shown in ("pin: require", "1,200 approved", "1 pending", "1 changed", "2 tools waiting"):
        assert shown in page
    assert 'href="/console/catalog/dev.mcpgov%2Fcity"' in page
    assert "nobody has listed any" in str(catalog_page([server], "a" * 64, {}))
    assert "nobody looks at them" in str(catalog_page([replace(server, pin="off")], "a" * 64, {}))
