"""Points in time and GUIDs. `now` is when the request came; a new GUID is derived from the request: neither is asked of
the machine, so that a decision can be made again.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from mcpgov.policy.csharp.kinds import Guid, Word, guid_text, same, text_of
from mcpgov.policy.csharp.signatures import Table, method, table
from mcpgov.policy.csharp.typed_code import Run

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_STANDARD: Final[Mapping[str, str]] = {
    **dict.fromkeys("oO", "yyyy-MM-ddTHH:mm:ss.fffffffK"),
    **dict.fromkeys("rR", "ddd, dd MMM yyyy HH:mm:ss 'GMT'"),
    "s": "yyyy-MM-ddTHH:mm:ss",
    "u": "yyyy-MM-dd HH:mm:ssZ",
    "d": "MM/dd/yyyy",
    "G": "MM/dd/yyyy HH:mm:ss",
}
_PART: Final = re.compile(r"'([^']*)'|\\(.)|([yMdHhmsftzK])\3*|([TZ:/,. _-]+)", re.DOTALL)
_FORMATS: Final[Mapping[str, Callable[[datetime], str]]] = {
    "yyyy": lambda moment: f"{moment.year:04}",
    "yy": lambda moment: f"{moment.year % 100:02}",
    "MMMM": lambda moment: _MONTHS[moment.month - 1],
    "MMM": lambda moment: _MONTHS[moment.month - 1][:3],
    "MM": lambda moment: f"{moment.month:02}",
    "M": lambda moment: str(moment.month),
    "dddd": lambda moment: DAYS[moment.weekday()],
    "ddd": lambda moment: DAYS[moment.weekday()][:3],
    "dd": lambda moment: f"{moment.day:02}",
    "d": lambda moment: str(moment.day),
    "HH": lambda moment: f"{moment.hour:02}",
    "H": lambda moment: str(moment.hour),
    "hh": lambda moment: f"{moment.hour % 12 or 12:02}",
    "h": lambda moment: str(moment.hour % 12 or 12),
    "mm": lambda moment: f"{moment.minute:02}",
    "m": lambda moment: str(moment.minute),
    "ss": lambda moment: f"{moment.second:02}",
    "s": lambda moment: str(moment.second),
    "f": lambda moment: f"{moment.microsecond:06}"[:1],
    "ff": lambda moment: f"{moment.microsecond:06}"[:2],
    "fff": lambda moment: f"{moment.microsecond:06}"[:3],
    "ffffff": lambda moment: f"{moment.microsecond:06}",
    "fffffff": lambda moment: f"{moment.microsecond:06}0",
    "tt": lambda moment: "AM" if moment.hour < 12 else "PM",
    "zzz": lambda _moment: "+00:00",
    "K": lambda _moment: "Z",
}
DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)


def _formatted(moment: datetime, form: str) -> str:
    return "".join([_FORMATS[part](moment) if known else part for part, known in _format_parts(form)])


def _format_parts(form: str) -> list[tuple[str, bool]]:
    """Literal text, and the names in _FORMATS. Raises ValueError for a format that is not known here."""
    form = _STANDARD.get(form, "%" if len(form) == 1 else form)  # one letter alone is the name of a format
    parts: list[tuple[str, bool]] = []
    at = 0
    while at < len(form):
        found = _PART.match(form, at)
        if found is None or (found[3] and found[0] not in _FORMATS):
            raise ValueError("such a date format is not supported in expressions here")
        quoted = found[1] if found[1] is not None else found[2]
        parts.append((found[0] if quoted is None else quoted, bool(found[3])))
        at = found.end()
    return parts


def _check_format(literals: Sequence[str | None]) -> str:
    if literals[0] is not None:
        _format_parts(literals[0])
    return ""


def _check_guid_form(literals: Sequence[str | None]) -> str:
    if literals[0] is not None:
        guid_text(Guid("0" * 32), literals[0])
    return ""


def new_guid(run: Run) -> Guid:
    """A version 4 GUID that this call of this expression has on this request, and no other (RFC 9562 section 5.4)."""
    run.guids += 1
    origin = (run.draft.context.request.head.correlation_id, run.draft.at, run.source, str(run.guids))
    digits = hashlib.sha256("\0".join(origin).encode("utf-8", "surrogatepass")).hexdigest()
    return Guid(f"{digits[:12]}4{digits[13:16]}{'89ab'[int(digits[16], 16) % 4]}{digits[17:32]}")


def received_at(run: Run) -> datetime:
    """When the request came, in UTC."""
    return run.draft.context.request.head.received_at.astimezone(UTC)


def midnight(run: Run) -> datetime:
    """When the day began on which the request came, in UTC."""
    return _day(received_at(run))


def from_seconds(count: int) -> datetime:
    """The moment that so many seconds after 1970 began. Raises OverflowError."""
    return _EPOCH + timedelta(seconds=count)


def from_milliseconds(count: int) -> datetime:
    """The moment that so many milliseconds after 1970 began. Raises OverflowError."""
    return _EPOCH + timedelta(milliseconds=count)


def _add(unit: str) -> Callable[[datetime, float], datetime]:
    def added(moment: datetime, count: float) -> datetime:
        return moment + timedelta(**{unit: count})

    return added


def _day_of_week(moment: datetime) -> Word:
    return Word("DayOfWeek", DAYS[moment.weekday()])


def _part(name: str) -> Callable[[datetime], int]:
    def part(moment: datetime) -> int:
        return int(getattr(moment, name))

    return part


def _seconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(seconds=1)


def _milliseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def _ticks(moment: datetime) -> int:
    return (moment - datetime(1, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 10


def _day(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def _utc(moment: datetime) -> datetime:
    return moment


def _moment_methods(name: str) -> Table:
    return table(
        method("string ToString()", text_of),
        method("string ToString(string)", _formatted, _check_format),
        method("bool Equals(object)", same),
        *(method(f"{name} Add{unit}(double)", _add(unit.lower())) for unit in ("Milliseconds", "Seconds", "Minutes")),
        *(method(f"{name} Add{unit}(double)", _add(unit.lower())) for unit in ("Hours", "Days")),
        *(method(f"int {part}", _part(part.lower())) for part in ("Year", "Month", "Day", "Hour", "Minute", "Second")),
        method("DayOfWeek DayOfWeek", _day_of_week),
        method("long Ticks", _ticks),
        method("DateTime Date", _day),
        method(f"{name} ToUniversalTime()", _utc),
        method("long ToUnixTimeSeconds()", _seconds),
        method("long ToUnixTimeMilliseconds()", _milliseconds),
    )


DATE_METHODS: Final[Table] = {
    name: methods for name, methods in _moment_methods("DateTime").items() if not name.startswith("ToUnixTime")
}
OFFSET_METHODS: Final[Table] = _moment_methods("DateTimeOffset")
GUID_METHODS: Final[Table] = table(
    method("string ToString()", text_of),
    method("string ToString(string)", guid_text, _check_guid_form),
    method("bool Equals(object)", same),
)
WORD_METHODS: Final[Table] = table(method("string ToString()", text_of), method("bool Equals(object)", same))
