"""Every text in a message is found, files are left alone, and what is cut says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpgov.policy.message_text import MARK, TRUNCATED, size_of, truncated, with_texts

if TYPE_CHECKING:
    from mcpgov.models import Json


def text(value: str) -> Json:
    return {"type": "text", "text": value}


def changed(value: Json) -> Json:
    return with_texts(value, lambda one: f"<{one}>")


def test_every_string_is_changed_and_no_key() -> None:
    value: Json = {"content": [text("a")], "structuredContent": {"a": ["b", 1, None, True, {"c": "d"}]}}
    assert changed(value) == {
        "content": [{"type": "<text>", "text": "<a>"}],
        "structuredContent": {"a": ["<b>", 1, None, True, {"c": "<d>"}]},
    }


def test_numbers_are_changed_for_who_asks_and_stay_numbers_otherwise() -> None:
    value: Json = {"card": 4111111111111111, "more": [1.5, -7, True, None, "7"]}
    seen = with_texts(value, lambda one: one.replace("7", "*").replace("4111", "*"), numbers=True)
    assert seen == {"card": "*111111111111", "more": [1.5, "-*", True, None, "*"]}
    assert with_texts({"card": 4111}, lambda _: "x") == {"card": 4111}


@pytest.mark.parametrize(
    "value",
    [
        {"content": [{"data": "aGk="}]},
        {"content": {"data": "aGk="}},
        {"content": [{"resource": {"blob": "aGk_-\r\n"}}]},
        {"contents": [{"blob": "aGk="}]},
        {"messages": [{"content": {"data": "aGk="}}]},
        {"messages": [{"content": [{"resource": {"blob": "aGk="}}]}]},
    ],
)
def test_base64_in_a_content_block_is_left_alone(value: Json) -> None:
    assert changed(value) == value


@pytest.mark.parametrize(
    "value",
    [
        {"content": [{"data": "no base64"}]},
        {"content": [{"data": ["aGk="]}]},
        {"content": [{"text": "aGk="}]},
        {"structuredContent": {"data": "aGk=", "mimeType": "image/png"}},
        {"structuredContent": {"content": [{"data": "aGk="}]}},
        {"data": "aGk="},
        {"data": {"blob": "aGk="}},
        {"resource": {"blob": "aGk="}},
    ],
)
def test_what_only_bears_the_name_of_a_file_is_text(value: Json) -> None:
    assert changed(value) != value


def test_size_is_that_of_compact_utf8() -> None:
    assert size_of({"a": ["\u00e9\n", 1]}) == len('{"a":["\u00e9\\n",1]}'.encode())


def test_last_texts_are_cut_first_and_the_result_says_so() -> None:
    result: Json = {"content": [text("a" * 100), text("b" * 100)], "_meta": {"kept": 1}}
    assert truncated(result, 300) == {
        "content": [text("a" * 100), text("b" * 70 + MARK)],
        "_meta": {"kept": 1, TRUNCATED: True},
    }
    assert result == {"content": [text("a" * 100), text("b" * 100)], "_meta": {"kept": 1}}


def test_structured_twin_of_a_text_is_cut_before_it() -> None:
    cut = truncated({"content": [text("a" * 100)], "structuredContent": {"id": "k", "in": [{"text": "a" * 100}]}}, 260)
    assert isinstance(cut, dict)
    assert cut["content"] == [text("a" * 100)]
    assert str(cut["structuredContent"]).endswith(f"aa{MARK}'}}]}}")


@pytest.mark.parametrize(
    "result",
    [
        {"contents": [{"uri": "x", "text": "a" * 500}]},
        {"content": [{"type": "resource", "resource": {"text": "a" * 500}}]},
        {"messages": [{"role": "user", "content": text("a" * 500)}]},
        {"messages": [5, {"role": "user", "content": [text("a" * 500), 5]}], "_meta": 5},
    ],
)
def test_text_is_cut_wherever_a_result_has_it(result: Json) -> None:
    cut = truncated(result, 220)
    assert cut is not None
    assert size_of(cut) <= 220
    assert MARK in str(cut)


@pytest.mark.parametrize(
    "result",
    [
        {"content": [{"type": "image", "data": "a" * 500}]},
        {"content": [text("a" * 10)], "tools": ["a" * 500]},
        ["a" * 500],
        {"messages": "a" * 500},
        {"content": [{"type": "text", "text": ["a" * 500]}], "messages": {"content": []}},
    ],
)
def test_what_cannot_be_cut_is_not(result: Json) -> None:
    assert truncated(result, 200) is None


@given(st.lists(st.text(max_size=60), max_size=4), st.integers(60, 400))
def test_cut_result_is_never_too_large(texts: list[str], limit: int) -> None:
    cut = truncated({"content": [text(one) for one in texts], "structuredContent": [*texts]}, limit)
    assert cut is None or size_of(cut) <= limit
