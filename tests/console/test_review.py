"""The question in the URL of the review."""

from mcpgov.admin.access import Role
from mcpgov.console.review import Query, mood_of
from tests.admin.house import AdminHouse


def test_a_question_without_a_time_is_about_the_last_day() -> None:
    assert Query({}).since == "24h"
    assert Query({"until": "2026-11-20"}).since == ""
    assert Query({"since": "7d", "tool": " x "}).to(tool="y") == "/console?since=7d&tool=y"
    assert Query({"cursor": "c", "nonsense": "n"}).to() == "/console?since=24h"


def test_how_a_call_ended_has_one_of_four_colours() -> None:
    assert [mood_of(status) for status in ("ok", "denied", "open", "failed")] == ["ok", "denied", "given-up", "trouble"]


def test_a_live_page_goes_on_until_one_looks_back() -> None:
    live = Query({"live": "on", "tool": "x"})
    assert live.is_live
    assert live.to(tool="y") == "/console?since=24h&tool=y&live=on"
    assert live.to(cursor="c") == "/console?since=24h&tool=x&live=on&cursor=c"
    assert not any(Query({"live": "on", name: "2026-11-20"}).is_live for name in ("cursor", "until"))
    assert "live" not in live.to("/console/calls.csv") + Query({"live": "x"}).to()


async def test_the_browser_is_told_when_to_ask_again(house: AdminHouse) -> None:
    await house.sign_in(Role.VIEWER)
    live = await house.open(live="on", decision="deny")
    assert live.headers["refresh"] == "5"
    assert "every few seconds" in live.text
    assert 'name="live" value="on"' in live.text
    still = await house.open(decision="deny")
    assert "refresh" not in still.headers
    assert "live=on" in still.text
