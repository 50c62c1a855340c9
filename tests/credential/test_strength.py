"""What a person would type or leave in place is refused; what a generator made is taken."""

import base64
import re
import secrets
import string
from contextlib import suppress
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpgov.credential.references import Unfit, unfetched
from mcpgov.credential.strength import check_filled, check_issued, check_material


@pytest.mark.parametrize(
    ("secret", "says"),
    [
        ("", "shorter than 16"),
        ("fifteen-letters", "shorter than 16"),
        ("sixteen letters\n", "one line of plain ASCII"),
        ("schlüssel-bund-1", "one line of plain ASCII"),
        ("changeme-changeme", "placeholder"),
        ("CHANGE_ME_CHANGE_ME", "placeholder"),
        ("your-client-secret-here", "placeholder"),
        ("YOUR_API_KEY_GOES_IN", "placeholder"),
        ("<client secret value>", "placeholder"),
        ("my-example-Value-97", "placeholder"),
        ("password-of-the-day", "placeholder"),
        ("xxxxxxxxxxxxxxxx", "placeholder"),
        ("Abc8Q~****************", "placeholder"),
        ("aaaaaaaaaaaaaaaa", "pattern"),
        ("0123456789abcdef", "pattern"),
        ("1234567890123456", "pattern"),
        ("abcdefghijklmnop", "pattern"),
        ("qwertzuiqwertzui", "pattern"),
        ("hunter2!hunter2!hunt", "pattern"),
    ],
)
def test_an_issued_secret_that_is_none_is_refused_and_not_repeated(secret: str, says: str) -> None:
    with pytest.raises(Unfit, match=says) as caught:
        check_issued(secret)
    assert not secret or secret not in str(caught.value) + caught.value.mend


@pytest.mark.parametrize(
    "secret",
    [
        "Q4m8Q~zN2.vWcY_71kLxRtB9aTfHs-pDgUeJwM3o",  # the form of an app registration's
        "7f9c2ba4e88f827d616045507605853ed73b8093",
        "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",
        "3c4f1f0e-8a55-4f4e-9f0f-2a6a1f0f7b11",
    ],
)
def test_a_secret_of_a_known_issuers_form_is_taken(secret: str) -> None:
    check_issued(secret)


def test_no_random_secret_is_taken_for_a_placeholder() -> None:
    for _ in range(2_000):
        for secret in (secrets.token_hex(8), secrets.token_urlsafe(24), unfetched("")):
            check_issued(secret)
        material = secrets.token_bytes(32)
        check_material(base64.b64encode(material).decode(), material)
        check_material(material.hex(), bytes.fromhex(material.hex()))


@given(st.text(st.sampled_from(string.ascii_letters + string.digits + string.punctuation), max_size=40))
def test_any_text_is_taken_or_refused(text: str) -> None:
    for check in (check_issued, check_filled):
        with suppress(Unfit):
            check(text)


@pytest.mark.parametrize(
    "value", ["Bearer <token>", "changeme", "Bearer YOUR_TOKEN", "your-api-key", "<your key here>"]
)
def test_a_header_that_still_waits_for_its_key_is_refused(value: str) -> None:
    with pytest.raises(Unfit, match="is a placeholder"):
        check_filled(value)


@pytest.mark.parametrize("value", ["platform", "default", "Bearer s3cret", "application/json", "a<b", "x", "<@U024>"])
def test_other_headers_are_taken(value: str) -> None:
    check_filled(value)


@pytest.mark.parametrize("material", [bytes(31), bytes(32), b"my default key, of enough letters and signs!"])
def test_a_key_of_our_own_that_is_weak_is_refused(material: bytes) -> None:
    with pytest.raises(Unfit, match=r"shorter|pattern") as caught:
        check_material(material.hex(), material)
    assert re.search("openssl rand", caught.value.mend)


def test_the_limits_of_a_key_of_our_own_are_exact() -> None:
    varied = bytes(range(7, 7 + 32 * 7, 7))
    check_material("text", varied)
    with pytest.raises(Unfit, match="shorter than 32 bytes"):
        check_material("text", varied[:31])
    check_material("text", varied[:20] + varied[:12])
    with pytest.raises(Unfit, match="pattern"):
        check_material("text", varied[:19] + varied[:13])


def test_a_text_of_few_steps_or_that_begins_again_is_a_pattern() -> None:
    for text in ("abdgabdgabdgabdg", "aceacfacgachacia"[:4] * 4, "hunter2hunter2hu"):
        with pytest.raises(Unfit, match="pattern"):
            check_issued(text)


def walked(*steps: int) -> str:
    """A text whose neighbours differ by these steps."""
    return "".join(map(chr, accumulate(steps, initial=ord("A"))))


def test_a_text_of_four_steps_is_one_that_a_generator_may_make() -> None:
    with pytest.raises(Unfit, match="pattern"):
        check_issued(walked(1, 2, 3, 1, 1, 2, 2, 3, 3, 1, 3, 2, 1, 2, 1))
    check_issued(walked(1, 2, 3, 1, 1, 2, 2, 4, 3, 1, 3, 2, 1, 2, 1))


def test_a_text_that_begins_again_after_two_thirds_is_a_pattern() -> None:
    with pytest.raises(Unfit, match="pattern"):
        check_issued("k9Qz2mX7pLbRk9Qz2m")
    check_issued("k9Qz2mX7pLbRsk9Qz2m")
