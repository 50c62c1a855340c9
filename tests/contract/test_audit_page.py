"""docs/audit.md names every field that a record can have, every status and every filter."""

import json
import re
from dataclasses import replace
from pathlib import Path

from mcpgov.audit.field_modes import Mode
from mcpgov.audit.levels import Level
from mcpgov.audit.record import (
    AnswerSeen,
    ControlEvent,
    ControlRecord,
    DeniedRecord,
    IntentRecord,
    Latency,
    OutcomeRecord,
)
from mcpgov.audit.redact import Fingerprint
from mcpgov.audit.tool_sets import ToolSet
from mcpgov.audit.values import Redacted
from mcpgov.cli.audit import FILTERS
from mcpgov.decision import Granted, Reason
from mcpgov.models import Credential, Headers, OutcomeStatus
from tests.audit.calls import AGENT, ALLOWED, NOW, facts, request

PAGE = (Path(__file__).parents[2] / "docs" / "audit.md").read_text("utf-8")
TRACE = f"00-{'a' * 32}-{'b' * 16}-01"
NAMED = set(re.findall(r"`([a-z_.-]+)`", PAGE))


def test_every_field_is_named() -> None:
    full = facts("1")._replace(arguments=Fingerprint("d", 1), session="d")
    headers = Headers((*full.head.headers.fields, ("x-ms-agentid", "claimed")))
    full = full._replace(
        level=Level.REQUEST_RESPONSE,
        value=Redacted("{}", 1, 1),
        head=replace(full.head, claimed_correlation_id="claimed", headers=headers),
        principal=AGENT,
        decision=replace(ALLOWED, granted=(Granted("company#2 authentication-managed-identity", "own"),)),
        credential=Credential("AgenticIdentityToken", "reference", identity="agent", audience="api://city"),
    )
    full = full._replace(request=replace(request(about=full.head), traceparent=TRACE, traces_ignored=("header",)))
    reading = [
        full._replace(request=request("x", method, about=full.head)) for method in ("prompts/get", "resources/read")
    ]
    seen = AnswerSeen(200, complete=True, is_error=False, code=0, attempts=2, value=Redacted("{}", 1, 1))
    tools = ToolSet("d", 1, page=True)
    records = [
        *(IntentRecord(known) for known in (full, *reading)),
        DeniedRecord(full, Reason.TOOL_DENIED, detail="why", total=1),
        OutcomeRecord(
            "1", NOW, OutcomeStatus.OK, Reason.CLIENT_GONE, "why", "c", "t", seen, Latency(1, 2, 3, 4), tools=tools
        ),
        ControlRecord(ControlEvent.START, NOW),
        ControlRecord(ControlEvent.DIGEST_KEY_ROTATED, NOW, {"key": "k", "former_key": "k"}),
    ]
    fields = {name for record in records for name in json.loads(record.row().record)}
    assert fields - NAMED == set()


def test_every_status_and_filter_is_named() -> None:
    assert {*OutcomeStatus, *FILTERS} - NAMED == set()
    assert "status=open" in PAGE


def test_every_level_and_mode_is_named() -> None:
    assert {*Level, *Mode} - NAMED == set()


def test_every_control_event_is_named() -> None:
    assert [event for event in ControlEvent if event not in NAMED] == []
