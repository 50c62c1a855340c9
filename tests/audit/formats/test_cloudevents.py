"""Events keep the rules of CloudEvents 1.0: the attributes that must be there, and their alphabet."""

import json
import re
from datetime import datetime

import pytest

from mcpgov.audit.exported import Exported
from mcpgov.audit.formats.cloudevents import CloudEvents
from tests.audit.exports import TRACE, exported, hostile, raw_hostile, rows


@pytest.mark.parametrize("found", [exported(rows()), hostile(), raw_hostile()])
def test_every_event_keeps_the_rules_and_holds_its_record(found: list[Exported]) -> None:
    (payload,) = CloudEvents(5_000_000).payloads(found)
    assert payload.media_type == "application/cloudevents-batch+json"
    events = json.loads(payload.body)
    for event, one in zip(events, found, strict=True):
        assert all(re.fullmatch(r"[a-z0-9]{1,20}", name) for name in event)
        context = {name: value for name, value in event.items() if name != "data"}
        assert all(isinstance(value, str) and value.isprintable() and value for value in context.values())
        assert (event["specversion"], event["id"], event["data"]) == ("1.0", one.uid, one.fields)
        assert datetime.fromisoformat(event["time"]).utcoffset() is not None
    assert len({(event["source"], event["id"]) for event in events}) == len(events)


def test_the_type_says_what_it_is_and_a_trace_goes_on() -> None:
    (payload,) = CloudEvents().payloads(exported(rows()))
    start, intent, outcome, *_ = json.loads(payload.body)
    assert (intent["type"], intent["traceparent"]) == ("dev.mcpgov.audit.intent", TRACE)
    assert (outcome["type"], start["type"]) == ("dev.mcpgov.audit.outcome", "dev.mcpgov.audit.control")
    assert "traceparent" not in start
