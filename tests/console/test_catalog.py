"""The catalog's page, and what stands on a server's own."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from mcpgov.admin.parts import Server
from mcpgov.catalog.listing import Contact
from mcpgov.console.catalog import ROWS, about, catalog_page, health_of
from mcpgov.console.html import tag
from mcpgov.pinning.approval import Standing
from mcpgov.pinning.judgement import PinState
from tests.admin.house import CITY, SOME_SERVERS

(SERVER,) = SOME_SERVERS
LISTED = replace(
    SERVER,
    publisher="Contoso",
    categories=("Geography", "Travel"),
    registry="private",
    environments=("production",),
    owner="platform",
    contacts=(Contact("Dana", "dana@contoso.com", "https://contoso.com/dana"), Contact("Lee")),
    file="catalog/city.yaml",
)


def page(servers: Sequence[Server], standings: Mapping[str, Standing] | None = None, **query: str) -> str:
    return str(catalog_page(servers, "a" * 64, standings or {}, query))


def hundred() -> list[Server]:
    return [
        replace(SERVER, name=f"dev.mcpgov/s{number:03}", title="", connections=SERVER.connections[:1])
        for number in range(100)
    ]


def test_each_version_of_a_server_is_a_row_that_says_what_it_is_and_leads_on() -> None:
    shown = page([LISTED, replace(LISTED, version="0.9.0", status="deprecated")])
    for said in ("2 servers, 4 connections", "/mcp/town", "Contoso", "Geography, Travel", "dev.mcpgov/city 0.9.0"):
        assert said in shown
    assert shown.count("<tr") == 3
    assert 'href="/console/catalog/dev.mcpgov%2Fcity"' in shown
    assert "The catalog is empty" in page(())


def test_a_deprecated_version_looks_it() -> None:
    assert 'class="old"' in page([replace(LISTED, status="deprecated")])
    assert 'class="old"' not in page([LISTED])


def test_what_is_searched_for_is_found_in_every_word_that_describes_a_server() -> None:
    for words in ("CITY", "weather transit", "contoso", "travel", "platform", "production", "town"):
        assert "<tbody>" in page([LISTED], search=words), words
    assert "No server matches." in page([LISTED], search="weather berlin")
    assert 'value="&lt;b&gt;"' in page([LISTED], search="<b>")


def test_only_what_waits_or_is_sick_or_deprecated_can_be_shown() -> None:
    standing = {CITY: Standing(listed=True, counts={PinState.PENDING: 2})}
    other = replace(LISTED, name="dev.mcpgov/other", title="Other")
    assert "Other" not in page([LISTED, other], standing, show="tools waiting")
    sick = replace(other, connections=(replace(SERVER.connections[0], health="unavailable", why="Nothing answers."),))
    shown = page([LISTED, sick], show="unavailable")
    assert "Other" in shown
    assert 'title="Nothing answers."' in shown
    assert "City" not in shown
    assert "Other" in page([LISTED, replace(other, status="deprecated")], show="deprecated")
    assert "City" in page([LISTED], show="nonsense")


def test_a_hundred_servers_come_in_pages_that_keep_what_was_asked() -> None:
    shown = page(hundred(), search="s0")
    assert shown.count("<tr") == ROWS + 1
    assert "100 servers, page 1 of 2" in shown
    assert "page=2" in shown
    assert "search=s0" in shown
    last = page(hundred(), page="2")
    assert "s099" in last
    assert 'rel="prev"' in last
    assert 'rel="next"' not in last
    for wrong in ("", "0", "-1", "x", "9" * 30):
        assert "page 1 of 2" in page(hundred(), page=wrong)
    assert "page 2 of 2" in page(hundred(), page="77")


def test_a_row_shows_the_mode_and_where_tools_stand_and_leads_to_them() -> None:
    standing = Standing(listed=True, counts={PinState.APPROVED: 1_200, PinState.PENDING: 1, PinState.CHANGED: 1})
    shown = page([SERVER], {CITY: standing})
    for said in ("pin: require", "1,200 approved", "1 pending", "1 changed", "2 tools waiting", "Decide about 2 tools"):
        assert said in shown
    assert "nobody has listed any" in page([SERVER])
    assert "nobody looks at them" in page([replace(SERVER, pin="off")])


def test_a_server_s_own_page_says_what_its_file_says() -> None:
    shown = str(about([LISTED], is_open=True))
    for said in (
        "Version 1.0.0",
        "Weather and transit",
        "private",
        "production",
        "platform",
        'href="mailto:dana@contoso.com"',
        "https://contoso.com/dana",
        "Lee",
        "require",
        "catalog/city.yaml",
        "30 s",
        "Tool delete",
        "/console/policies/owners-only",
    ):
        assert said in shown
    assert "Owner" not in str(about([SERVER], is_open=True))
    assert '<details class="every about">' in str(about([SERVER], is_open=False))


def test_a_server_that_cannot_be_used_says_why_and_since_when() -> None:
    sick = replace(SERVER.connections[0], health="unavailable", why="<Nothing> answers.", since="2026-11-20T08:30:00Z")
    shown = str(about([replace(SERVER, connections=(sick,))], is_open=True))
    assert "<strong>unavailable</strong>, since 2026-11-20 08:30 UTC: &lt;Nothing&gt; answers." in shown
    well = replace(sick, health="available", why="", since="")
    assert str(tag("p", health_of(well))) == "<p>available</p>"
