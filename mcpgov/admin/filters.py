"""What is asked of the ledger, from the query of a URL: the same names for the API, the console and its links."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from mcpgov.admin.access import AdminRefusal, Fault
from mcpgov.admin.routes import Parameter
from mcpgov.audit.reader import OPEN, CallFilter
from mcpgov.audit.redact import encodable
from mcpgov.audit.review import DECISIONS
from mcpgov.decision import Reason
from mcpgov.models import OutcomeStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST: Final = 256  # characters of a value
MOST: Final = 500  # calls of one page
STATUSES: Final = (*(status.value for status in OutcomeStatus), OPEN)
REASONS: Final = tuple(reason.value for reason in Reason)
UNITS: Final = {"m": "minutes", "h": "hours", "d": "days"}
_AGO: Final = re.compile(r"([1-9][0-9]{0,4})([mhd])")
TIMES: Final = (
    Parameter("since", "15m, 24h, 7d, or a date and time (UTC unless it says); included."),
    Parameter("until", "As since; not included."),
)
FILTERS: Final = (
    *TIMES,
    Parameter("principal", "The caller's id, or the name it goes by."),
    Parameter("agent", "The agent identity's id."),
    Parameter("blueprint", "The id of the blueprint that the agent was made from."),
    Parameter("project", "The caller's project."),
    Parameter("connection", "The connection's name."),
    Parameter("tool", "The tool's name."),
    Parameter("method", "The MCP method."),
    Parameter("decision", "What was decided.", DECISIONS),
    Parameter("reason", "Why the call ended as it did.", REASONS),
    Parameter("status", "How the call ended.", STATUSES),
    Parameter("source", "The caller's address."),
    Parameter("correlation", "The correlation id."),
    Parameter("text", "Words that stand in the records of a call."),
)
PAGING: Final = (
    Parameter("limit", f"How many at most, 1 to {MOST}; 100 unless given."),
    Parameter("cursor", "The cursor of the page before."),
)
NAMES: Final = tuple(one.name for one in FILTERS if one not in TIMES)


def filter_of(query: Mapping[str, str], now: datetime, limit: int = 100) -> CallFilter:
    """The filter that a query asks for; what is not one of FILTERS is passed over. Raises AdminRefusal."""
    named = {name: encodable(value.strip()) for name in NAMES if (value := query.get(name, ""))}
    for name, value in named.items():
        if len(value) > LONGEST:
            raise AdminRefusal(Fault.INVALID_REQUEST, f"{name} has more than {LONGEST} characters.")
    since, until = (moment_of(name, query.get(name, ""), now) for name in ("since", "until"))
    if since and until and until <= since:
        raise AdminRefusal(Fault.INVALID_REQUEST, "until must be later than since.")
    return replace(CallFilter(since, until, limit=limit_of(query.get("limit", ""), limit)), **named)


def moment_of(name: str, text: str, now: datetime) -> datetime | None:
    """A time: how long ago, or a date and time. Raises AdminRefusal."""
    if not text:
        return None
    ago = _AGO.fullmatch(text.strip())
    try:
        at = now - timedelta(**{UNITS[ago[2]]: int(ago[1])}) if ago else datetime.fromisoformat(text.strip())
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        message = f"{name} is not a time; write 15m, 24h, 7d or 2026-11-20T08:00."
        raise AdminRefusal(Fault.INVALID_REQUEST, message) from None


def limit_of(text: str, otherwise: int) -> int:
    """How many are wanted. Raises AdminRefusal."""
    if not text:
        return otherwise
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text[:9]) <= MOST:
        raise AdminRefusal(Fault.INVALID_REQUEST, f"limit must be a whole number from 1 to {MOST}.")
    return int(text)
