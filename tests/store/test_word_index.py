"""Words are cut, written and asked for in one way, and nothing that is typed is more than words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpgov.store.word_index import LONGEST, MOST, query_of, vector_of, words_in, words_of


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("delete_repository", ["delete", "repository"]),
        ("ci-agent@Contoso.COM", ["ci", "agent", "contoso", "com"]),
        ("Zoë  ÅNGSTRÖM", ["zoe", "angstrom"]),
        ("10.0.0.7", ["10", "0", "0", "7"]),
        ("東京", ["東京"]),
        ("\0'\\:*&|!()<->", []),
        ("a" * 3000, ["a" * LONGEST]),
    ],
)
def test_a_word_is_a_run_of_letters_and_digits(text: str, words: list[str]) -> None:
    assert words_of(text) == words


def test_what_is_typed_stands_there_as_a_whole_and_its_last_word_is_a_beginning() -> None:
    assert query_of("ci-agent denied") == "ci <-> agent & denied:*"
    assert words_in("a b") == '"a" "b"*'
    assert (query_of(" - "), words_in(" ")) == ("", '""')


@given(st.text())
def test_a_vector_and_a_query_hold_nothing_that_has_to_be_quoted(text: str) -> None:
    assert all(word.isalnum() for word in words_of(text))
    assert not set("'\\|!()\0") & set(vector_of(text) + query_of(text))


def test_a_text_without_an_end_is_cut() -> None:
    assert vector_of("a " * MOST).endswith(f"a:{MOST // 2}")
