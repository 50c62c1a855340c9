"""A batch is divided by size and by day, nothing is lost in between, and names are unique and stay."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest

from mcpgov.audit.exported import Exported
from mcpgov.audit.formats.batches import divided, encoded, is_trouble, moment, name_of, text_of, trace_of, traceparent
from mcpgov.audit.record import microseconds
from mcpgov.models import Json
from tests.audit.calls import NOW
from tests.audit.exports import TRACE, records

DAY = timedelta(days=1)


def sizes(found: list[Exported], limit: int) -> list[int]:
    return [len(part) for part, _ in divided(found, lambda _: b"x" * 10, limit)]


def test_a_part_has_at_most_so_many_bytes_and_a_record_that_is_larger_goes_alone() -> None:
    assert sizes(records(5), 100) == [5]
    assert sizes(records(5), 24) == [2, 2, 1]
    assert sizes(records(3), 5) == [1, 1, 1]
    assert sizes([], 5) == []


def test_a_part_is_of_one_day() -> None:
    found = [replace(one, at=microseconds(NOW + day * DAY)) for one, day in zip(records(4), (0, 0, 1, 0), strict=True)]
    assert sizes(found, 1000) == [2, 1, 1]
    assert [name_of(part, "").partition("/")[0] for part, _ in divided(found, lambda _: b"", 1000)] == [
        "2026-11-20",
        "2026-11-21",
        "2026-11-20",
    ]


def test_the_same_records_have_the_same_name_and_no_others_have_it() -> None:
    assert name_of(records(3), ".x") == name_of(records(3), ".x")
    assert name_of(records(3), ".x").startswith("2026-11-20/000000000001-000000000003-")
    elsewhere = [replace(one, log="another") for one in records(3)]
    assert len({name_of(found, "") for found in (records(3), records(2), records(3, 2), elsewhere)}) == 4


def test_a_field_is_told_as_text() -> None:
    record: dict[str, Json] = {"text": "a", "number": 1, "flag": True, "list": ["a", 1], "none": None}
    assert [text_of(record, name) for name in (*record, "absent")] == ["a", "1", "true", '["a",1]', "", ""]
    assert encoded({"b": "\ud800", "a": "ü"}) == '{"a":"ü","b":"?"}'.encode()
    assert moment(records(1)[0]) == NOW


@pytest.mark.parametrize(
    ("record", "found"),
    [
        ({"mcpgov.traceparent": TRACE, "trace_id": "a" * 32}, ("a" * 32, "b" * 16)),
        ({"trace_id": "c" * 32}, ("c" * 32, "")),
        ({"mcpgov.traceparent": f"00-{'0' * 32}-{'b' * 16}-01", "trace_id": "0" * 32}, ("", "")),
        ({"mcpgov.traceparent": "00-x", "trace_id": "not hexadecimal"}, ("", "")),
        ({}, ("", "")),
    ],
)
def test_a_trace_is_told_only_if_it_is_one(record: dict[str, str], found: tuple[str, str]) -> None:
    assert trace_of({**record}) == found
    assert bool(traceparent({**record})) == bool(found[1])


def test_what_was_refused_or_went_wrong_is_trouble() -> None:
    assert [is_trouble({"mcpgov.status": status}) for status in ("denied", "failed", "ok", "cancelled")] == [
        True,
        True,
        False,
        False,
    ]
    assert not is_trouble({})


def test_a_file_is_named_by_its_day_its_records_and_twelve_digits() -> None:
    assert re.fullmatch(r"2026-11-20/\d{12}-\d{12}-[0-9a-f]{12}\.jsonl", name_of(records(3), ".jsonl"))
