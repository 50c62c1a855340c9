"""Every record is an event of API Activity with all that OCSF 1.3 requires of that class, and loses nothing."""

import json
from typing import Any

import pytest

from mcpgov.audit.exported import Exported
from mcpgov.audit.formats.ocsf import MAPPED, READING, Ocsf
from mcpgov.audit.record import IntentRecord
from tests.audit.calls import facts
from tests.audit.exports import documented, exported, hostile, raw_hostile, rows

# What the class and its objects require (events/application/api_activity.json, base_event, metadata, product, api,
# actor and network_endpoint of ocsf-schema), written down here because the schema server is not asked in tests.
REQUIRED = {
    "activity_id": int,
    "category_uid": int,
    "class_uid": int,
    "type_uid": int,
    "severity_id": int,
    "time": int,
    "metadata": dict,
    "actor": dict,
    "api": dict,
    "src_endpoint": dict,
}
ACTORS = {"process", "user", "invoked_by", "session", "app_name", "app_uid"}
ENDPOINTS = {"ip", "uid", "name", "hostname", "svc_name", "instance_uid", "interface_uid", "interface_name"}
ACTIVITIES = {0, 1, 2, 3, 4, 99}


def events(found: list[Exported]) -> list[dict[str, Any]]:
    (payload,) = Ocsf(5_000_000).payloads(found)
    return [json.loads(line) for line in payload.body.splitlines()]


@pytest.mark.parametrize("found", [exported(rows()), hostile(), raw_hostile()])
def test_every_event_has_what_the_class_requires(found: list[Exported]) -> None:
    for event, one in zip(events(found), found, strict=True):
        assert all(type(event[name]) is kind for name, kind in REQUIRED.items())
        assert (event["category_uid"], event["class_uid"]) == (6, 6003)
        assert event["activity_id"] in ACTIVITIES
        assert event["type_uid"] == 600300 + event["activity_id"]
        assert event["severity_id"] in range(7)
        assert event["status_id"] in {0, 1, 2, 99}
        assert event["metadata"]["version"] == "1.3.0"
        assert event["metadata"]["product"].keys() >= {"name", "vendor_name"}
        assert event["metadata"]["uid"] == one.uid
        assert event["api"]["operation"]
        assert ACTORS & event["actor"].keys()
        assert ENDPOINTS & event["src_endpoint"].keys()
        assert set(event["unmapped"]) == set(one.record) - MAPPED
        assert "" not in event["actor"].values()


def test_a_call_is_two_events_with_one_correlation() -> None:
    start, intent, outcome, denied, failed = events(exported(rows()))
    assert intent["metadata"]["correlation_uid"] == outcome["metadata"]["correlation_uid"] == "1"
    assert (intent["api"]["operation"], intent["activity_name"], intent["status"]) == ("tools/call",) * 2 + ("Unknown",)
    assert intent["resources"] == [{"type": "tool", "name": "search"}]
    assert intent["src_endpoint"] == {"ip": "10.0.0.7"}
    assert intent["actor"]["user"] == {"uid": "key:3fGh81Kx", "name": "alice"}
    assert (outcome["status_id"], outcome["activity_name"]) == (1, "unknown")
    assert outcome["src_endpoint"] == {"name": "unknown"}
    assert (denied["status_id"], denied["severity"], denied["http_response"]) == (2, "Low", {"code": 403})
    assert denied["actor"]["app_uid"] == "agent-1"
    assert denied["actor"]["idp"]["uid"] == "https://login.example/tenant/v2.0"
    assert (failed["status"], failed["status_detail"]) == ("Failure", "failed")
    assert (start["api"]["operation"], start["actor"], start["src_endpoint"]) == (
        "mcpgov/start",
        {"app_name": "mcpgov"},
        {"name": "mcpgov"},
    )


def test_reading_is_reading_and_what_was_given_up_is_neither_success_nor_failure() -> None:
    (one,) = exported([IntentRecord(facts("1", method="tools/list")).row()])
    (event,) = events([one])
    assert (event["activity_id"], event["activity_name"]) == (2, "Read")
    record = {name: value for name, value in one.record.items() if name != "user_agent.original"}
    gone = Exported(1, "l", "w", 1, one.at, {**record, "mcpgov.status": "cancelled"})
    (event,) = events([gone])
    assert (event["status_id"], event["status"]) == (99, "cancelled")
    assert event["http_request"] == {"http_method": "POST"}


def test_prompts_and_resources_are_named_as_what_they_are() -> None:
    prompt, resource = exported(
        [
            IntentRecord(facts("1", method="prompts/get", tool="greeting")).row(),
            IntentRecord(facts("2", method="resources/read", tool="file:///a.txt")).row(),
        ]
    )
    assert [event["resources"] for event in events([prompt, resource])] == [
        [{"type": "prompt", "name": "greeting"}],
        [{"type": "resource", "name": "file:///a.txt"}],
    ]


def test_an_event_is_timed_in_milliseconds_and_filed_in_its_category() -> None:
    (one,) = exported([IntentRecord(facts("1")).row()])
    (event,) = events([one])
    assert event["time"] == one.at // 1000 == 1795176000123
    assert (event["category_name"], event["class_name"]) == ("Application Activity", "API Activity")
    assert event["api"]["service"] == {"name": one.record["mcpgov.upstream.server"]}


def test_what_is_mapped_is_a_field_of_records_and_what_reads_is_a_method() -> None:
    assert documented() >= MAPPED
    assert {"resources/read", "prompts/get", "ping", "initialize", "server/discover"} == READING


def test_before_a_call_has_ended_its_status_is_unknown() -> None:
    (event,) = events(exported([IntentRecord(facts("1")).row()]))
    assert (event["status_id"], event["status"]) == (0, "Unknown")
