"""What is not stored in clear is a digest, a bounded text, or a URL without its secrets."""

import hashlib
import hmac
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpgov.audit.redact import (
    LONG_TEXT,
    Digester,
    Fingerprint,
    canonical_arguments,
    clip,
    encodable,
    origin,
    without_query,
)

KEY = b"k" * 32


def test_a_fingerprint_is_hmac_sha256_of_exactly_the_bytes() -> None:
    expected = hmac.new(KEY, b"value", hashlib.sha256).hexdigest()
    assert Digester(KEY).fingerprint(b"value") == Fingerprint(f"hmac-sha256:{expected}", 5)


def test_the_same_value_gives_the_same_digest_and_another_key_another() -> None:
    digester = Digester(KEY)
    assert digester.text("a") == digester.text("a") != digester.text("b")
    assert digester.text("a") != Digester(b"x" * 32).text("a")
    assert digester.text("") == ""


def test_a_key_that_is_too_short_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 16 bytes"):
        Digester(b"k" * 15)


def test_the_digest_of_arguments_does_not_depend_on_order_or_white_space() -> None:
    one, other = json.loads('{"b": [1, 2.5, null], "a": "\\u00e4"}'), json.loads('{"a":"ä","b":[1,2.5,null]}')
    assert canonical_arguments(one) == canonical_arguments(other) == '{"a":"ä","b":[1,2.5,null]}'.encode()
    assert Digester(KEY).arguments(one) == Digester(KEY).fingerprint(canonical_arguments(other))


def test_integers_are_exact_in_the_digest_of_arguments() -> None:
    assert canonical_arguments({"n": 12345678901234567890123}) == b'{"n":12345678901234567890123}'


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists))
def test_any_arguments_have_a_digest(value: object) -> None:
    json_value = json.loads(json.dumps(value))
    assert Digester(KEY).arguments({"value": json_value, "\ud800": "\udfff"}).size > 0


@given(st.text(st.characters(), max_size=40), st.integers(1, 30))
def test_clipped_text_is_bounded_and_can_be_encoded(text: str, limit: int) -> None:
    clipped = clip(text, limit)
    clipped.encode("utf-8")
    if len(text) <= limit:
        assert clipped == encodable(text)
    else:
        assert clipped == f"{encodable(text[:limit])}…[+{len(text) - limit}]"


def test_a_cut_text_says_how_much_was_cut() -> None:
    assert clip("x" * 1000) == "x" * 256 + "…[+744]"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://city.example/mcp?token=x", "https://city.example"),
        ("https://user:secret@city.example:8443/a/b#c", "https://city.example:8443"),
        ("http://[::1]:9000/", "http://[::1]:9000"),
    ],
)
def test_an_origin_has_no_credentials_path_or_query(url: str, expected: str) -> None:
    assert origin(url) == expected


def test_a_resource_keeps_its_path_and_loses_what_may_hold_a_token() -> None:
    assert without_query("file:///a/b.txt?token=x#y") == "file:///a/b.txt"
    assert without_query("db://rows/7#token?x") == "db://rows/7"
    assert len(without_query("x" * 5000)) == LONG_TEXT + len("…[+3976]")
