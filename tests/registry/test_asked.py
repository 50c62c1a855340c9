"""A question is understood or refused, and a cursor holds the whole of it in letters that a URL can bear."""

import base64
import json
import re
from datetime import UTC, datetime

import pytest

from mcpgov.registry.asked import Asked, Unanswerable, cursor_of, parse_asked

DAY = datetime(2026, 11, 1, tzinfo=UTC)


def cursor(value: object) -> bytes:
    return b"cursor=" + base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")


@pytest.mark.parametrize(
    ("query", "asked"),
    [
        (b"", Asked()),
        (b"limit=1", Asked(limit=1)),
        (b"limit=50&version=latest&search=", Asked(limit=50, version="latest")),
        (b"search=Git%20Hub&unknown=x", Asked(search="git hub")),
        (b"version=1.0.0%2Bb&include_deleted=true", Asked(version="1.0.0+b", deleted=True)),
        (b"include_deleted=FALSE", Asked()),
        (b"updated_since=2026-11-01T00:00:00Z", Asked(since=DAY, deleted=True)),
        (b"updated_since=2026-11-01t01:00:00.000%2B01:00&include_deleted=false", Asked(since=DAY, deleted=True)),
        (b"updated_since=2026-11-01T01:00:00+01:00", Asked(since=DAY, deleted=True)),
    ],
)
def test_what_clients_ask_is_understood(query: bytes, asked: Asked) -> None:
    assert parse_asked(query) == asked


@pytest.mark.parametrize(
    ("query", "says"),
    [
        (b"limit=0", "limit"),
        (b"limit=101", "limit"),
        (b"limit=-1", "limit"),
        (b"limit=%D9%A1", "limit"),
        (b"limit=" + b"9" * 5000, "limit"),
        (b"include_deleted=maybe", "include_deleted"),
        (b"updated_since=yesterday", "updated_since"),
        (b"updated_since=2026-11-01", "updated_since"),
        (b"updated_since=2026-11-01T00:00:00", "updated_since"),
        (b"updated_since=2026-13-01T00:00:00Z", "updated_since"),
        (b"updated_since=0001-01-01T00:00:00%2B23:59", "updated_since"),
        (b"search=" + b"x" * 257, "search"),
        (b"version=" + b"1" * 257, "version"),
        (b"search=a&search=b", "twice"),
        (b"search=%FF", "cannot be read"),
        (b"search=\xff", "cannot be read"),
        (b"a=1&" * 40, "cannot be read"),
        (b"cursor=%2B%2F", "cursor"),
        (b"cursor=A", "cursor"),
        (b"cursor=" + b"A" * 5000, "cursor"),
        (b"cursor=AAAA", "cursor"),
        (cursor({}), "cursor"),
        (cursor([]), "cursor"),
        (cursor([2, "a", "1", "", "", "", ""]), "cursor"),
        (cursor([1, "a", "1", "", "", ""]), "cursor"),
        (cursor([1, "a", "1", "", "", "", 7]), "cursor"),
        (cursor([1, "a\n", "1", "", "", "", ""]), "cursor"),
        (cursor([1, "a", "1", "x" * 300, "", "", ""]), "search"),
        (cursor([1, "a", "1", "", "yesterday", "", ""]), "updated_since"),
        (b"cursor=" + base64.urlsafe_b64encode(b"[" * 3000), "cursor"),
    ],
)
def test_what_cannot_be_meant_is_refused(query: bytes, says: str) -> None:
    with pytest.raises(Unanswerable, match=says):
        parse_asked(query)


def test_a_cursor_carries_the_whole_question_in_letters_that_need_no_encoding() -> None:
    asked = Asked("büro ??>>", DAY, "latest", deleted=True, limit=7)
    made = cursor_of(asked, "com.contoso/a~b", "1.0.0+x")
    assert re.fullmatch("[A-Za-z0-9_-]+", made)
    went_on = parse_asked(f"limit=7&cursor={made}".encode())
    assert went_on == Asked("büro ??>>", DAY, "latest", deleted=True, limit=7, after=("com.contoso/a~b", "1.0.0+x"))


def test_what_a_request_says_counts_before_its_cursor() -> None:
    made = cursor_of(Asked("one", version="latest"), "a/b", "1")
    assert parse_asked(f"search=two&cursor={made}".encode()) == Asked("two", version="latest", after=("a/b", "1"))
