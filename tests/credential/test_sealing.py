"""What is sealed opens for just those it is bound to, under just that label, in just that spelling."""

import pytest

from mcpgov.credential.sealing import Seal
from mcpgov.models import Json
from tests.credential.consenting import KEY

VALUE: dict[str, Json] = {"text": "ä\u2028", "none": None, "number": 7, "inside": {"a": ["b"]}}


def test_what_is_sealed_opens_again() -> None:
    seal = Seal(KEY, "label")
    assert seal.open(seal.close(VALUE, "a", "b"), "a", "b") == VALUE
    assert seal.open_text(seal.close_text(VALUE)) == VALUE


@pytest.mark.parametrize("bound", [(), ("a",), ("ab", ""), ("", "ab"), ("a", "b", ""), ("b", "a")])
def test_it_opens_for_no_other_binding(bound: tuple[str, ...]) -> None:
    seal = Seal(KEY, "label")
    assert seal.open(seal.close(VALUE, "a", "b"), *bound) is None


def test_it_opens_under_no_other_label_or_key() -> None:
    sealed = Seal(KEY, "label").close(VALUE)
    assert Seal(KEY, "labels").open(sealed) is None
    assert Seal(KEY[::-1], "label").open(sealed) is None


def test_another_text_opens_nothing() -> None:
    seal = Seal(KEY, "label")
    text = seal.close_text(VALUE)
    for other in (text[:-1], text + "=", text + "A", "!" + text, "ä" + text, text.swapcase(), ""):
        assert seal.open_text(other) is None


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Seal(KEY[:31], "label")


def test_nothing_readable_is_in_what_is_sealed() -> None:
    assert b"inside" not in Seal(KEY, "label").close(VALUE)


@pytest.mark.parametrize("length", range(4))
def test_a_sealed_text_can_stand_in_a_url(length: int) -> None:
    seal = Seal(KEY, "label")
    text = seal.close_text({"a": "x" * length})
    assert set(text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    assert seal.open_text(text) == {"a": "x" * length}


def test_what_is_shorter_than_a_seal_opens_nothing() -> None:
    for length in range(17):
        assert Seal(KEY, "label").open(bytes(length)) is None
