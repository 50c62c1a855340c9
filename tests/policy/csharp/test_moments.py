"""Points in time and GUIDs: made of the request, never of the machine."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from mcpgov.policy.csharp.kinds import Guid
from tests.policy.csharp.drafts import MOMENT, compiled, draft, failure, refusal, value


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("o", "2026-11-21T09:05:07.1234560Z"),
        ("O", "2026-11-21T09:05:07.1234560Z"),
        ("s", "2026-11-21T09:05:07"),
        ("u", "2026-11-21 09:05:07Z"),
        ("r", "Sat, 21 Nov 2026 09:05:07 GMT"),
        ("R", "Sat, 21 Nov 2026 09:05:07 GMT"),
        ("d", "11/21/2026"),
        ("G", "11/21/2026 09:05:07"),
        ("yyyy-MM-dd", "2026-11-21"),
        ("yyyy-MM-ddTHH:mm:ssZ", "2026-11-21T09:05:07Z"),
        ("yyyy-MM-dd'T'HH:mm:ss.fffK", "2026-11-21T09:05:07.123Z"),
        ("yy/M/d H:m:s", "26/11/21 9:5:7"),
        ("dddd, dd MMMM", "Saturday, 21 November"),
        ("ddd MMM", "Sat Nov"),
        ("hh:mm tt", "09:05 AM"),
        ("h f ff ffffff zzz", "9 1 12 123456 +00:00"),
        (r"HH\h", "09h"),
        ("''yyyy", "2026"),
    ],
)
def test_a_moment_is_written_as_its_format_says(form: str, expected: str) -> None:
    assert value(f'context.Timestamp.ToString(@"{form}")') == expected


def test_an_afternoon_is_pm() -> None:
    assert value('DateTime.UtcNow.AddHours(12).ToString("hh tt")') == "09 PM"


@pytest.mark.parametrize("form", ["", "q", "M", "yyyyy", "yyyy年", "fffff", "t", "'open"])
def test_a_format_that_is_not_known_is_refused(form: str) -> None:
    if form:
        assert refusal(f'DateTime.UtcNow.ToString("{form}")').endswith(
            "<- such a date format is not supported in expressions here"
        )
    else:
        assert value('DateTime.UtcNow.ToString("")') == ""


def test_a_format_that_is_computed_is_checked_when_it_is_used() -> None:
    assert value('DateTime.UtcNow.ToString("yy" + "yy")') == "2026"
    assert failure('DateTime.UtcNow.ToString("q" + "q")') == "ToString has no value for what it was given"
    assert value('Guid.Empty.ToString("n" + "")') == "0" * 32


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("DateTime.UtcNow", MOMENT),
        ("DateTime.Now", MOMENT),
        ("DateTimeOffset.UtcNow", MOMENT),
        ("DateTimeOffset.Now", MOMENT),
        ("DateTime.Today", datetime(2026, 11, 21, tzinfo=UTC)),
        ("DateTime.UtcNow.Date", datetime(2026, 11, 21, tzinfo=UTC)),
        ("DateTime.UtcNow.ToUniversalTime()", MOMENT),
        ("DateTime.UtcNow.AddMilliseconds(1)", MOMENT + timedelta(milliseconds=1)),
        ("DateTime.UtcNow.AddSeconds(1.5)", MOMENT + timedelta(seconds=1.5)),
        ("DateTime.UtcNow.AddMinutes(-1)", MOMENT - timedelta(minutes=1)),
        ("DateTime.UtcNow.AddHours(1)", MOMENT + timedelta(hours=1)),
        ("DateTime.UtcNow.AddDays(1)", MOMENT + timedelta(days=1)),
        ("DateTime.UtcNow.Year", 2026),
        ("DateTime.UtcNow.Month", 11),
        ("DateTime.UtcNow.Day", 21),
        ("DateTime.UtcNow.Hour", 9),
        ("DateTime.UtcNow.Minute", 5),
        ("DateTime.UtcNow.Second", 7),
        ("DateTime.UtcNow.DayOfWeek == DayOfWeek.Saturday", True),
        ("DateTime.UtcNow.DayOfWeek.ToString()", "Saturday"),
        ("DateTime.UtcNow.DayOfWeek.Equals(DayOfWeek.Sunday)", False),
        ("DateTime.UtcNow.ToString()", "11/21/2026 09:05:07"),
        ("DateTime.UtcNow.Equals(context.Timestamp)", True),
        ("DateTime.UtcNow.Ticks", 639_308_487_071_234_560),
        ("DateTimeOffset.UtcNow.ToUnixTimeSeconds()", 1_795_251_907),
        ("DateTimeOffset.UtcNow.ToUnixTimeMilliseconds()", 1_795_251_907_123),
        ("DateTimeOffset.FromUnixTimeSeconds(1)", datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)),
        ("DateTimeOffset.FromUnixTimeMilliseconds(1000)", datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)),
    ],
)
def test_a_moment_is_when_the_request_came(text: str, expected: object) -> None:
    assert value(text) == expected


@pytest.mark.parametrize(
    "text", ["DateTime.UtcNow.AddDays(1e9)", "DateTimeOffset.FromUnixTimeSeconds(9000000000000000)"]
)
def test_a_moment_that_no_calendar_has_is_an_error(text: str) -> None:
    assert failure(text).endswith("has no value for what it was given")


def test_a_moment_is_in_utc_wherever_the_machine_stands() -> None:
    given = draft()
    head = replace(given.context.request.head, received_at=MOMENT.astimezone(timezone(timedelta(hours=2))))
    given.context = replace(given.context, request=replace(given.context.request, head=head))
    assert value("DateTime.UtcNow.Hour", given) == 9


def test_only_an_offset_knows_the_unix_time() -> None:
    assert "there is no DateTime.ToUnixTimeSeconds" in refusal("DateTime.UtcNow.ToUnixTimeSeconds()")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Guid.Empty", Guid("0" * 32)),
        ("Guid.Empty.ToString()", "00000000-0000-0000-0000-000000000000"),
        ('Guid.Empty.ToString("D")', "00000000-0000-0000-0000-000000000000"),
        ('Guid.Empty.ToString("N")', "0" * 32),
        ('Guid.Empty.ToString("B")', "{00000000-0000-0000-0000-000000000000}"),
        ('Guid.Empty.ToString("P")', "(00000000-0000-0000-0000-000000000000)"),
        ('Guid.Parse("{00000000-0000-0000-0000-000000000000}").Equals(Guid.Empty)', True),
    ],
)
def test_a_guid_is_written_as_it_is_asked_for(text: str, expected: object) -> None:
    assert value(text) == expected


def test_a_guid_has_four_ways_to_be_written() -> None:
    assert "a GUID is written as N, D, B or P" in refusal('Guid.Empty.ToString("Q")')


def test_a_new_guid_differs_by_request_by_element_and_by_expression() -> None:
    other, elsewhere = draft(), draft()
    elsewhere.at = "policies/x.yaml#inbound/1"
    head = replace(other.context.request.head, correlation_id="c2")
    other.context = replace(other.context, request=replace(other.context.request, head=head))
    made = [compiled("Guid.NewGuid()").value(given) for given in (draft(), other, elsewhere)]
    assert len({*made, value("Guid.NewGuid() ")}) == 4
