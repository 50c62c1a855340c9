"""Nothing that a stranger wrote is resolved here, and what stands in its place says what for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpgov.catalog.foreign_values import all_taken_over, put_together, taken_over
from mcpgov.credential.references import EnvironmentAndFiles, Unfit, resolve

LOOKUP = EnvironmentAndFiles({"X": "secret of ours", "MCP_C_A": "told"})
HALVES = st.sampled_from(
    ["$", "$$", "{", "}", "${", "$${", "env:X", "{env:X}", "${env:X}", "os.", "environ/", "X", " "]
)


@given(st.lists(st.one_of(st.tuples(HALVES, st.just("")), st.just(("${env:MCP_C_A}", "a"))), max_size=8))
def test_what_is_put_together_of_any_halves_is_sent_as_it_is_written(pieces: list[tuple[str, str]]) -> None:
    try:
        made = put_together("A", pieces)
    except Unfit:
        return
    assert resolve(made, LOOKUP).reveal() == "".join("told" if asked else text for text, asked in pieces)


@given(st.lists(HALVES, max_size=8).map("".join), st.sampled_from(["A", "X-MCP-Toolsets"]))
def test_no_value_of_a_stranger_names_anything_but_a_variable_of_its_connection(value: str, name: str) -> None:
    told: list[str] = []
    made = taken_over("c", name, value, told)
    assert "X}" not in made
    assert "os.environ" not in made
    assert made == value or told


@pytest.mark.parametrize(
    ("value", "made", "note"),
    [
        ("Bearer ${input:tok}", "Bearer ${env:MCP_C_A}", "MCP_C_A stands for ${input:tok} of A"),
        ("${env:AWS_SECRET}", "${env:MCP_C_A}", "MCP_C_A stands for ${env:AWS_SECRET} of A"),
        ("os.environ/MCPGOV_KEY", "${env:MCP_C_A}", "MCP_C_A stands for os.environ/MCPGOV_KEY of A"),
        ("${file:/etc/x}", "${env:MCP_C_A}", "MCP_C_A stands for ${file:/etc/x} of A"),
        ("${T:-hunter2}", "${env:MCP_C_A}", "MCP_C_A stands for ${T} of A, whose default was left out"),
        ("hunter2${T}", "${env:MCP_C_A}", "MCP_C_A stands for the whole value of A, in which ${T} stood"),
        ("hunter2${", "${env:MCP_C_A}", "MCP_C_A stands for the whole value of A, in which what cannot be read stood"),
    ],
)
def test_what_stands_in_the_place_of_what_is_said_without_a_secret(value: str, made: str, note: str) -> None:
    told: list[str] = []
    assert taken_over("c", "A", value, told) == made
    assert told == [note]


def test_what_is_called_as_we_call_it_stays_and_needs_no_word() -> None:
    told: list[str] = []
    assert taken_over("c", "A", "Bearer ${env:MCP_C_A}", told) == "Bearer ${env:MCP_C_A}"
    assert taken_over("c", "A", "true", told) == "true"
    assert told == []


def test_what_is_no_text_is_left_to_who_reads_the_file() -> None:
    document, told = all_taken_over({"connections": {"c": {"keys": {"A": 1}, "oauth": 1}}, "env": 1})
    assert (document, told) == ({"connections": {"c": {"keys": {"A": 1}, "oauth": 1}}, "env": 1}, ())
