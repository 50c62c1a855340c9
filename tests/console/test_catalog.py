"""The catalog's page."""

from mcpgov.console.catalog import catalog_page
from tests.admin.house import SOME_SERVERS


def test_each_connection_says_what_it_is_and_leads_on() -> None:
    page = str(catalog_page(SOME_SERVERS, "a" * 64))
    for shown in (
        "1 server, 2 connections",
        "/mcp/town",
        "30 s",
        "Tool delete",
        "/console/policies/owners-only",
    ):
        assert shown in page
    assert "The catalog is empty" in str(catalog_page((), "a" * 64))
