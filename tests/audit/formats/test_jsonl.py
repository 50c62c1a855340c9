"""JSON Lines hold each record whole, one to a line, whatever stands in it."""

import json

import pytest

from mcpgov.audit.exported import Exported
from mcpgov.audit.formats.jsonl import JsonLines
from tests.audit.exports import exported, hostile, raw_hostile, rows


@pytest.mark.parametrize("found", [exported(rows()), hostile(), raw_hostile()])
def test_every_line_is_a_record_with_its_name(found: list[Exported]) -> None:
    (payload,) = JsonLines(2_000_000).payloads(found)
    assert (payload.count, payload.media_type) == (len(found), "application/x-ndjson")
    assert payload.name.endswith(".jsonl")
    lines = payload.body.removesuffix(b"\n").split(b"\n")
    assert [json.loads(line) for line in lines] == [one.fields for one in found]
    assert [one.uid for one in found] == [
        "/".join(str(json.loads(line)[f"mcpgov.{name}"]) for name in ("log_id", "writer", "seq")) for line in lines
    ]


def test_a_large_batch_is_divided() -> None:
    found = exported(rows())
    payloads = list(JsonLines(1500).payloads(found))
    assert len(payloads) > 1
    assert sum(payload.count for payload in payloads) == len(found)
    assert b"".join(payload.body for payload in payloads) == next(iter(JsonLines().payloads(found))).body
