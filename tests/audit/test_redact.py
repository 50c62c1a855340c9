"""What is not stored in clear is a digest, a bounded text, or a URL without its secrets."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpgov.audit.redact import (
    LONG_TEXT,
    Digester,
    Fingerprint,
    clip,
    encodable,
    key_id,
    number_text,
    origin,
    typed,
    without_query,
)

KEY = b"k" * 32


def test_a_fingerprint_is_hmac_sha256_of_exactly_the_bytes() -> None:
    expected = hmac.new(KEY, b"value", hashlib.sha256).hexdigest()
    assert Digester(KEY).fingerprint(b"value") == Fingerprint(f"hmac-sha256:{key_id(KEY)}:{expected}", 5)


def test_the_same_value_gives_the_same_digest_and_another_key_another() -> None:
    digester = Digester(KEY)
    assert digester.text("a") == digester.text("a") != digester.text("b")
    assert digester.text("a") != Digester(b"x" * 32).text("a")
    assert digester.text("") == ""


def test_a_key_that_is_too_short_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 16 bytes"):
        Digester(b"k" * 15)
    assert Digester(b"k" * 16).text("a")


def test_a_key_has_an_id_that_tells_it_from_others_and_nothing_else() -> None:
    assert key_id(KEY) == Digester(KEY).key_id == hashlib.sha256(b"mcpgov digest key\0" + KEY).hexdigest()[:8]
    assert key_id(KEY) != key_id(b"x" * 32)


def test_what_a_value_is_stands_in_its_digest() -> None:
    digester = Digester(KEY)
    values = (1, "1", True, "true", False, None, "null", "", 0, 1.5, "1.5", "number\x001")
    assert len({digester.scalar(value) for value in values}) == len(values)
    assert digester.scalar("x") == digester.text("x") == digester.fingerprint(b"text\0x").digest


def test_a_number_has_one_digest_however_it_was_written() -> None:
    digester = Digester(KEY)
    assert digester.scalar(1) == digester.scalar(1.0)
    assert digester.scalar(0) == digester.scalar(-0.0)
    assert [number_text(one) for one in (10**30, 1e30, 2.5, float("inf"), float("nan"), -7)] == [
        *("1" + "0" * 30, str(int(1e30)), "2.5", "inf", "nan", "-7")
    ]


@given(st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("\ud800"))
def test_any_scalar_has_a_digest(value: str | float | None) -> None:
    assert Digester(KEY).scalar(value).startswith(f"hmac-sha256:{key_id(KEY)}:")


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


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, b"boolean\0true"),
        (False, b"boolean\0false"),
        (None, b"null\0"),
        ("\ud800", b"text\0\xed\xa0\x80"),
        (1.0, b"number\x001"),
    ],
)
def test_what_is_digested_of_a_scalar_is_what_docs_say(value: str | float | None, expected: bytes) -> None:
    assert typed(value) == expected
