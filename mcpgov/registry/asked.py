"""What a registry client asks for, from its query string, and the cursor by which it asks for more. Pure.

Rules: a value that cannot be meant is refused, and a parameter that is not known is passed over. A cursor is made of
A-Z a-z 0-9 - _ alone, because a client puts it into a URL as it is, and it holds the whole question, because the same
client leaves the search out from the second page on. It is no secret and proves nothing: whoever makes one up asks what
could have been asked without it. What a request says itself counts before what its cursor says.
Source: the registry's OpenAPI of 2025-12-01.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from datetime import UTC, datetime
from typing import Any, Final, cast
from urllib.parse import parse_qsl

from mcpgov.frozen import frozen

LATEST: Final = "latest"
PAGE: Final = 30
LARGEST_PAGE: Final = 100
LONGEST: Final = 256  # characters of a search, and of a version
PARAMETERS: Final = 32
_CURSOR: Final = re.compile(r"[A-Za-z0-9_-]{1,4096}")
_ERA: Final = 1  # of the cursor's form
_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:]{8}(?:\.[0-9]{1,9})?(?:Z|[+-][0-9:]{5})")  # RFC 3339
_BARE_OFFSET: Final = re.compile(r" ([0-9:]{5})$")  # a + that was not encoded is read as a space
_FLAGS: Final = {"true": True, "1": True, "false": False, "0": False, "": False}
_LIMIT: Final = re.compile(r"[0-9]{1,4}")


class Unanswerable(ValueError):
    """A question that cannot be meant; what is wrong with it, for the one who asked."""


@frozen
class Asked:
    """What is asked for. `search` is in lower case; `after` is the name and version of the last one that was shown."""

    search: str = ""
    since: datetime | None = None
    version: str = ""
    deleted: bool = False
    limit: int = PAGE
    after: tuple[str, str] | None = None


def parse_asked(query: bytes) -> Asked:
    """The question in a query string. Raises Unanswerable."""
    said = _parameters(query)
    if "cursor" in said:
        cursor = _read(said.pop("cursor"))
        after, said = (cursor["name"], cursor["after"]), {**cursor, **said}
    else:
        after = None
    since = _time(said.get("updated_since", ""))
    deleted = _FLAGS.get(said.get("include_deleted", "").lower())
    if deleted is None:
        raise Unanswerable("include_deleted is neither true nor false")
    search, version = (_short(name, said.get(name, "")) for name in ("search", "version"))
    return Asked(search.lower(), since, version, deleted or since is not None, _limit(said.get("limit", "")), after)


def cursor_of(asked: Asked, name: str, version: str) -> str:
    """The cursor that goes on behind this version of this server, with the same question."""
    since = asked.since.isoformat() if asked.since else ""
    said = [_ERA, name, version, asked.search, since, asked.version, "true" if asked.deleted else ""]
    text = json.dumps(said, ensure_ascii=False, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def _parameters(query: bytes) -> dict[str, str]:
    """What a query string says, each once."""
    try:
        pairs = parse_qsl(query.decode("ascii"), keep_blank_values=True, max_num_fields=PARAMETERS, errors="strict")
    except ValueError:  # not ASCII, not UTF-8, or too many
        raise Unanswerable("the query cannot be read") from None
    said = {name: value for name, value in pairs if value}
    if len(said) < len([name for name, value in pairs if value]):
        raise Unanswerable("a parameter is there twice")
    return said


def _read(cursor: str) -> dict[str, str]:
    """What a cursor holds."""
    names = ("name", "after", "search", "updated_since", "version", "include_deleted")
    if not _CURSOR.fullmatch(cursor):
        raise Unanswerable("the cursor is none of this registry's")
    try:
        said: Any = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True))
    except (ValueError, RecursionError, binascii.Error):
        raise Unanswerable("the cursor is none of this registry's") from None
    if not isinstance(said, list) or cast("list[object]", said)[:1] != [_ERA]:
        raise Unanswerable("the cursor is none of this registry's")
    held = [one for one in cast("list[object]", said)[1:] if isinstance(one, str) and one.isprintable()]
    if len(held) != len(names):
        raise Unanswerable("the cursor is none of this registry's")
    return dict(zip(names, held, strict=True))


def _time(text: str) -> datetime | None:
    if not text:
        return None
    written = _BARE_OFFSET.sub(r"+\1", text.upper())
    try:
        time = datetime.fromisoformat(written).astimezone(UTC) if _TIME.fullmatch(written) else None
    except (ValueError, OverflowError):
        time = None
    if time is None:
        raise Unanswerable("updated_since is no time like 2026-11-01T00:00:00Z")
    return time


def _limit(text: str) -> int:
    if not text:
        return PAGE
    if not _LIMIT.fullmatch(text) or not 1 <= int(text) <= LARGEST_PAGE:
        raise Unanswerable(f"limit is no number from 1 to {LARGEST_PAGE}")
    return int(text)


def _short(name: str, text: str) -> str:
    if len(text) > LONGEST:
        raise Unanswerable(f"{name} is longer than {LONGEST} characters")
    return text
