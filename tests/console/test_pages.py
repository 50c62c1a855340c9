"""What the pages show and their forms do."""

import json
from html.parser import HTMLParser

from mcpgov.admin.access import Role
from tests.admin.house import HOSTILE, SEARCH, TRACE, AdminHouse, listed


async def test_the_review_shows_the_calls_and_what_stands_out(house: AdminHouse) -> None:
    await house.sign_in(Role.VIEWER)
    page = (await house.open()).text
    assert page.count("<tr><td data-label=") == 6
    for shown in (
        "tool-denied",
        "upstream-timeout",
        "client-gone",
        "No checkpoint yet",
        "p95",
        'href="/console/calls/2"',
    ):
        assert shown in page


async def test_what_a_caller_chose_is_text_on_every_page(house: AdminHouse) -> None:
    await house.sign_in(Role.ADMIN)
    for path in ("", "/calls/5", "/usage"):
        page = (await house.open(path)).text
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
        assert HOSTILE not in page
        assert "<script" not in page
        assert "\u202e" not in page
        assert "\x1b" not in page
    page = (await house.open(text=HOSTILE, principal='"><script>')).text
    assert "<script" not in page


class Seen(HTMLParser):
    """The elements of a page, and the names of their attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.sources: list[str | None] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names |= {tag, *(name for name, _ in attrs)}
        self.sources += [value for name, value in attrs if name in {"src", "action", "href"}]


async def test_no_page_has_a_script_a_style_in_place_or_anything_from_elsewhere(house: AdminHouse) -> None:
    await listed(house, SEARCH)
    await house.sign_in(Role.ADMIN)
    for path in (
        "",
        "/calls/5",
        "/usage",
        "/events",
        "/catalog",
        "/catalog/dev.mcpgov%2Fcity",
        "/policies",
        "/policies/company",
        "/policies/explain",
        "/keys",
    ):
        seen = Seen()
        seen.feed((await house.open(path)).text)
        assert not {name for name in seen.names if name.startswith("on") or name == "script"}
        assert {source for source in seen.sources if source and not source.startswith(("/", "#", "data:,"))} == set()
        assert seen.names & {"style", "src"} == {"style"}  # the element at the top, and no attribute


async def test_a_filter_stands_in_every_link_that_goes_on(house: AdminHouse) -> None:
    await house.sign_in(Role.VIEWER)
    page = (await house.open(principal="alice", since="7d")).text
    assert 'href="/console?since=7d&amp;principal=alice&amp;tool=search"' in page
    assert 'href="/console/calls.csv?since=7d&amp;principal=alice"' in page
    assert 'aria-label="Remove the filter Principal alice"' in page


async def test_a_question_that_cannot_be_asked_is_said_above_the_usual_page(house: AdminHouse) -> None:
    await house.sign_in(Role.VIEWER)
    for query in ({"since": "yesterday"}, {"cursor": "x"}, {"until": "x" * 300}):
        answered = await house.open(**query)
        assert (answered.status, 'class="note bad"' in answered.text) == (400, True)
    assert "No call matches" in (await house.open(tool="none")).text


async def test_a_call_shows_its_time_its_decision_and_both_records(house: AdminHouse) -> None:
    await house.sign_in(Role.VIEWER)
    page = (await house.open("/calls/1")).text
    for shown in ("Written down", "replayed search", "correlation-1", "Leaf hash", "<b>intent</b>", "<b>outcome</b>"):
        assert shown in page
    assert "2 calls of one trace" in (await house.open(f"/calls/{TRACE}")).text
    assert "replayed" in (await house.open("/calls/6")).text


async def test_a_call_is_shown_at_the_time_that_it_was_asked_for(house: AdminHouse) -> None:
    await house.sign_in(Role.VIEWER)
    asked, ended = "12:00:01.123", "12:00:09.123"
    review = (await house.open()).text
    row = next(part for part in review.split("<tr>") if "/console/calls/2" in part)
    assert (asked in row, ended in row) == (True, False)
    lead = next(part for part in (await house.open("/calls/2")).text.split("<p") if "Asked for by" in part)
    assert (asked in lead, ended in lead) == (True, False)


async def test_what_is_filtered_can_be_taken_away(house: AdminHouse) -> None:
    await house.sign_in(Role.VIEWER)
    exported = await house.open("/calls.jsonl", decision="deny", reason="")
    assert [json.loads(line)["call_id"] for line in exported.text.splitlines()] == ["5", "3"]
    assert (await house.open("/calls.csv", decision="deny")).text.count("\r\n") == 3


async def test_usage_leads_to_the_calls(house: AdminHouse) -> None:
    await house.sign_in(Role.VIEWER)
    assert 'principal=key%3Abob&amp;connection=city&amp;tool=delete"' in (await house.open("/usage", since="7d")).text
    house.now = house.now.replace(year=2030)
    await house.sign_in(Role.VIEWER)
    assert "Nobody called a tool" in (await house.open("/usage", since="24h")).text


async def test_policies_and_the_catalog_are_shown(house: AdminHouse) -> None:
    await house.sign_in(Role.VIEWER)
    assert "Weather and transit" in (await house.open("/catalog/dev.mcpgov%2Fcity")).text
    assert "/mcp/town" in (await house.open("/catalog", search="weather")).text
    assert "No server matches" in (await house.open("/catalog", search="nothing of the kind")).text
    assert "nowhere, left out on connection city" in (await house.open("/policies")).text
    assert "inbound: []" in (await house.open("/policies/company")).text


async def test_a_request_is_explained(house: AdminHouse) -> None:
    await house.sign_in(Role.VIEWER)
    assert "selected>town" in (await house.open("/policies/explain", connection="town")).text
    asked = {"connection": "city", "tool": "delete", "form": await house.token()}
    assert "Decision: allowed" in (await house.send("/policies/explain", None, **asked)).text
    assert house.answers.asked == [{"connection": "city", "tool": "delete"}]
    refused = await house.send("/policies/explain", connection="none", form=asked["form"])
    assert (refused.status, "there is no connection none" in refused.text) == (400, True)


async def test_a_key_is_made_shown_once_and_revoked(house: AdminHouse) -> None:
    await house.sign_in(Role.ADMIN)
    form = await house.token()
    made = await house.send("/keys", form=form, name="ci", connections="city, town", tools="")
    (record,) = await house.parts.keys.list()
    assert record.scope.connections == ("city", "town")
    assert "This is the only time it is shown" in made.text
    assert "mcpgov_" + record.id in made.text
    listed = (await house.open("/keys")).text
    assert "mcpgov_" + record.id not in listed
    assert "connections city, town" in listed
    assert (await house.send(f"/keys/{record.id}/revoke", form=form)).status == 303
    assert "revoked" in (await house.open("/keys")).text
    for name, tools, says in (("", "", "printable characters"), ("a", " , ", "leave it out")):
        refused = await house.send("/keys", form=form, name=name, tools=tools)
        assert (refused.status, says in refused.text) == (400, True)


async def test_an_admin_key_is_made_and_revoked(house: AdminHouse) -> None:
    await house.sign_in(Role.ADMIN)
    form = await house.token()
    assert "mcpgov_admin_" in (await house.send("/admin-keys", form=form, name="erin", role="viewer")).text
    erin = (await house.parts.admin_keys.list())[-1]
    assert (await house.send(f"/admin-keys/{erin.id}/revoke", form=form)).status == 303
    wrong = await house.send("/admin-keys", form=form, name="", role="viewer")
    assert wrong.status == 400


async def test_forms_stand_only_where_they_may_be_sent(house: AdminHouse) -> None:
    await house.sign_in(Role.VIEWER)
    page = (await house.open("/keys")).text
    assert "Make a gateway key" not in page
    assert "Admin keys</h2>" not in page
