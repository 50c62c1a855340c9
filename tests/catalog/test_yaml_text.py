"""What is written reads back as what it was, here and by another reader of YAML, and nothing in it acts."""

import string

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from mcpgov.catalog.yaml_text import scalar, yaml_text
from mcpgov.models import Json
from mcpgov.yaml_source import parse_yaml
from tests.catalog.server_shapes import shapes

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
WORDS = st.sampled_from(
    ["no", "Yes", "~", "null", "1.0", "0755", "1e3", "a: b", "a #b", "- a", "*a", "&a", "!a", "12:30"]
)
LEAVES = st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    LEAVES | TEXT | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT | WORDS, inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(TEXT | WORDS, VALUES, min_size=1, max_size=5))
def test_any_value_reads_back_as_it_was(value: dict[str, Json]) -> None:
    assert parse_yaml(yaml_text(value, ["a\nb"]), "x.yaml").value == value


def test_another_reader_reads_the_same_texts() -> None:
    for _, shape in shapes():
        assert yaml.safe_load(yaml_text(shape)) == shape


def test_what_a_person_would_write_plainly_is_plain() -> None:
    text = yaml_text(
        {
            "name": "com.contoso/github",
            "version": "1.0.0",
            "description": "Issues, and more (for people)",
            "upstream": "https://x.contoso.com/mcp?api-version=2025-11-01",
            "categories": ["a", "b c"],
            "keys": {"X-Key": "${env:A}"},
            "list": [{"a": 1, "b": [{}]}, [], "x", [["z"]]],
            "none": {},
        },
        ["Written by a person"],
    )
    assert text == (
        "# Written by a person\n"
        "name: com.contoso/github\n"
        "version: 1.0.0\n"
        "description: Issues, and more (for people)\n"
        "upstream: https://x.contoso.com/mcp?api-version=2025-11-01\n"
        "categories: [a, b c]\n"
        "keys:\n"
        '  X-Key: "${env:A}"\n'
        "list:\n"
        "  - a: 1\n"
        "    b:\n"
        "      - {}\n"
        "  - []\n"
        "  - x\n"
        "  -\n"
        "    -\n"
        "      - z\n"
        "none: {}\n"
    )


def test_a_list_that_is_too_wide_has_a_line_for_each_item() -> None:
    assert yaml_text({"words": ["a" * 40, "b" * 40, "c" * 40]}).count("\n") == 4


def test_nothing_that_is_written_can_act_on_a_terminal() -> None:
    text = yaml_text({"a\x1b[2J": "b\u202e\u200b\x85\U000e0041", "c": "\ufeff"}, ["x\x1b]0;y\x07 \u202e"])
    assert set(text) <= set(string.printable)
    assert "\\u202e" in text


def test_words_that_are_true_or_nothing_to_others_are_quoted() -> None:
    assert [scalar(word) for word in ("yes", "Off", "null", "1.0", "y", "Yes, please")] == [
        '"yes"',
        '"Off"',
        '"null"',
        '"1.0"',
        '"y"',
        "Yes, please",
    ]
