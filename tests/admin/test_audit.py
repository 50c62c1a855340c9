"""The ledger through the API: pages, one call, counts, usage, and everything that is filtered as a file."""

import csv
import io
import json

import pytest

from mcpgov.admin.access import Role
from tests.admin.house import HOSTILE, TRACE, AdminHouse


async def test_pages_follow_one_another_without_a_gap(house: AdminHouse) -> None:
    found: list[str] = []
    cursor = ""
    for _ in range(4):
        page = (await house.api("/audit/calls", limit="2", **({"cursor": cursor} if cursor else {}))).json
        found += [call["call_id"] for call in page["calls"]]
        cursor = page["next"] or ""
        if not cursor:
            break
    assert found == ["6", "5", "4", "3", "2", "1"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"decision": "deny"}, ["5", "3"]),
        ({"status": "open"}, ["6"]),
        ({"reason": "upstream-timeout"}, ["2"]),
        ({"principal": "bob"}, ["2"]),
        ({"agent": "agent-1"}, ["4"]),
        ({"text": "delete alice"}, ["3"]),
        ({"correlation": "correlation-2"}, ["2"]),
        ({"since": "2026-11-20T12:00:04"}, ["6", "5"]),
        ({"until": "2026-11-20T12:00:01"}, ["1"]),
    ],
)
async def test_a_query_finds_what_matches(house: AdminHouse, query: dict[str, str], found: list[str]) -> None:
    page = (await house.api("/audit/calls", **query)).json
    assert [call["call_id"] for call in page["calls"]] == found


@pytest.mark.parametrize(
    "query",
    [
        {"cursor": "x"},
        {"cursor": "W10"},
        {"limit": "0"},
        {"limit": "1000"},
        {"since": "yesterday"},
        {"decision": "maybe"},
        {"nonsense": "1"},
        {"since": "2026-11-20", "until": "2026-11-19"},
    ],
)
async def test_a_query_that_cannot_be_answered_is_refused(house: AdminHouse, query: dict[str, str]) -> None:
    answered = await house.api("/audit/calls", **query)
    assert (answered.status, answered.json["error"]["reason"]) == (400, "invalid-request")


async def test_a_call_is_its_records_and_where_they_stand(house: AdminHouse) -> None:
    records = (await house.api("/audit/calls/2")).json["records"]
    assert [(one["seq"], one["record"]["event"]) for one in records] == [(4, "intent"), (5, "outcome")]
    assert all(len(one["hash"]) == 64 for one in records)
    assert [one["record"]["call_id"] for one in (await house.api(f"/audit/calls/{TRACE}")).json["records"]] == [
        "1",
        "1",
        "2",
    ]
    assert (await house.api("/audit/calls/none")).status == 404


async def test_calls_are_counted(house: AdminHouse) -> None:
    counted = (await house.api("/audit/stats")).json
    assert counted["totals"] == {"ok": 1, "trouble": 1, "denied": 2, "given-up": 1}
    assert counted["decisions"] == {"allow": 3, "deny": 2}
    assert counted["statuses"] == {"ok": 1, "failed": 1, "denied": 2, "client-gone": 1}
    assert counted["tools"][0] == {"value": "delete", "shown": "delete", "calls": 2, "denied": 1}
    assert counted["latency_ms"]["calls"] == 3
    assert 45 < counted["latency_ms"]["p50"] < 56
    one = (await house.api("/audit/stats", text="delete")).json
    assert one["totals"] == {"ok": 0, "trouble": 1, "denied": 1, "given-up": 0}


async def test_usage_says_who_uses_what(house: AdminHouse) -> None:
    used = (await house.api("/audit/usage", principal="bob")).json["usage"]
    assert [(one["name"], one["tool"], one["calls"], one["trouble"]) for one in used] == [("bob", "delete", 1, 1)]


async def test_the_state_says_how_far_the_index_is(house: AdminHouse) -> None:
    state = (await house.api("/audit/state")).json
    assert (state["records"], state["behind"], state["checkpointed_at"]) == (10, 0, None)


async def test_an_export_holds_everything_that_is_filtered(house: AdminHouse) -> None:
    answered = await house.api("/audit/calls.jsonl", decision="deny")
    assert answered.headers["content-disposition"] == 'attachment; filename="calls.jsonl"'
    lines = [json.loads(line) for line in answered.text.splitlines()]
    assert [(line["call_id"], line["mcpgov.reason"]) for line in lines] == [("5", "rate-limited"), ("3", "tool-denied")]


async def test_a_spreadsheet_runs_nothing_of_what_a_caller_chose(house: AdminHouse) -> None:
    rows = list(csv.DictReader(io.StringIO((await house.api("/audit/calls.csv")).text)))
    assert [row["reason"] for row in rows][:2] == ["allowed", "rate-limited"]
    assert rows[1]["principal_name"] == HOSTILE


async def test_exports_tell_how_far_they_are(house: AdminHouse) -> None:
    assert (await house.api("/audit/exports")).json == {"exports": []}


@pytest.mark.parametrize("file", ["calls.jsonl", "calls.csv"])
async def test_whoever_takes_the_calls_away_is_written_down_with_what_was_filtered(
    house: AdminHouse, file: str
) -> None:
    await house.api("/audit/calls")
    assert house.noted == []
    await house.api(f"/audit/{file}", decision="deny", text="a b")
    await house.sign_in(Role.VIEWER)
    await house.open(f"/{file}", decision="deny", tool="")
    await house.open()
    noted = [details["what"] for event, details in house.noted if event == "admin-acted"]
    assert noted == [f"export {file}?decision=deny&text=a+b", f"export {file}?since=24h&decision=deny"]
    assert {details["name"] for _, details in house.noted} == {"the viewer"}


async def test_what_cannot_be_filtered_is_not_taken_away_and_not_written_down(house: AdminHouse) -> None:
    assert (await house.api("/audit/calls.csv", since="yesterday")).status == 400
    assert house.noted == []


async def test_what_happened_to_the_gateway_is_told_with_its_place_in_the_chain(house: AdminHouse) -> None:
    told = (await house.api("/audit/events", limit="1")).json
    (start,) = told["records"]
    assert (start["record"]["mcpgov.control.event"], start["seq"], told["next"]) == ("start", 1, None)
    refused = await house.api("/audit/events", cursor="x")
    assert (refused.status, refused.json["error"]["reason"]) == (400, "invalid-request")
