"""parse_yaml reads what JSON could say too, and names the line and column of everything it refuses."""

from __future__ import annotations

import json
from typing import Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from mcpgov.errors import InvalidConfiguration, Problem
from mcpgov.yaml_source import MAX_BYTES, MAX_DEPTH, nearest, parse_yaml, problems_of

PLAIN_SCALARS = [
    ("true", True),
    ("false", False),
    ("null", None),
    ("~", None),
    ("", None),
    ("0", 0),
    ("-12", -12),
    ("9223372036854775807", 2**63 - 1),
    ("-9223372036854775807", -(2**63) + 1),
    ("1.5", 1.5),
    ("-2e3", -2000.0),
    # YAML 1.1 reads all of these as something else
    ("yes", "yes"),
    ("no", "no"),
    ("on", "on"),
    ("off", "off"),
    ("y", "y"),
    ("True", "True"),
    ("NULL", "NULL"),
    ("0755", "0755"),
    ("0o17", "0o17"),
    ("0x1F", "0x1F"),
    ("1_000", "1_000"),
    ("+1", "+1"),
    ("12:30:45", "12:30:45"),
    ("2026-07-28", "2026-07-28"),
    (".inf", ".inf"),
    (".nan", ".nan"),
    ("=", "="),
    ("'true'", "true"),
    ('"7"', "7"),
    ("|\n  7\n", "7\n"),
]


@pytest.mark.parametrize(("written", "expected"), PLAIN_SCALARS)
def test_scalar_reads_as_yaml_1_2_says_and_no_further(written: str, expected: object) -> None:
    value = parse_yaml(f"key: {written}", "f.yaml").value
    assert value == {"key": expected}
    assert type(json.loads(json.dumps(value))["key"]) is type(expected)


def refused(text: str) -> tuple[str, ...]:
    with pytest.raises(InvalidConfiguration) as raised:
        parse_yaml(text, "f.yaml")
    return tuple(str(problem) for problem in raised.value.problems)


STAR = '(a text that begins with * needs quotes, like "*_delete")'
REFUSED = [
    ("", "f.yaml: the file is empty (write what it should say, or remove it)"),
    ("# only a comment\n", "f.yaml: the file is empty (write what it should say, or remove it)"),
    ("---\n", "f.yaml: the file is empty (write what it should say, or remove it)"),
    ("null\n", "f.yaml: the file is empty (write what it should say, or remove it)"),
    ("a: 1\nb: 2\na: 3\n", "f.yaml:3:1: the key a is written twice (it stands at 1:1 already)"),
    ("a: &x 1\n", "f.yaml:1:4: an anchor is not allowed (remove the &name)"),
    ("a: *x\n", f"f.yaml:1:4: an alias is not allowed {STAR}"),
    ("deny: [*]\n", f"f.yaml:1:9: not YAML: expected alphabetic or numeric character, but found ']' {STAR}"),
    ("deny: [*.x]\n", f"f.yaml:1:9: not YAML: expected alphabetic or numeric character, but found '.' {STAR}"),
    ("<<: {a: 1}\n", "f.yaml:1:1: a merge key is not allowed (write the keys out)"),
    ("a: !!str 1\n", "f.yaml:1:4: a tag is not allowed (remove the !tag)"),
    ("a: !<tag:x> {}\n", "f.yaml:1:4: a tag is not allowed (remove the !tag)"),
    ("1: a\n", "f.yaml:1:1: a key must be text (put it in quotes)"),
    ("true: a\n", "f.yaml:1:1: a key must be text (put it in quotes)"),
    ("? [a, b]\n: c\n", "f.yaml:1:3: a key must be text (put it in quotes)"),
    ("? {a: b}\n: c\n", "f.yaml:1:3: a key must be text (put it in quotes)"),
    ("? *x\n: c\n", f"f.yaml:1:3: an alias is not allowed {STAR}"),
    ("a: 1\n---\nb: 2\n", "f.yaml:2:1: a second document begins here (one file holds one document: remove the ---)"),
    ("a: 9223372036854775808\n", "f.yaml:1:4: the number is too large (put it in quotes if it is text)"),
    (f"a: {'9' * 5000}\n", "f.yaml:1:4: the number is too large (put it in quotes if it is text)"),
    ("a: 1e999\n", "f.yaml:1:4: the number is too large (put it in quotes if it is text)"),
    ("a: [1,\n", "f.yaml:2:1: not YAML: expected the node content, but found '<stream end>'"),
    ("a:\n\tb: 1\n", "f.yaml:2:1: not YAML: found character '\\t' that cannot start any token"),
    ("a: { k: ${env:X} }", "f.yaml:1:10: not YAML: expected ',' or '}', but got '{' (put the value in quotes)"),
    ("a: [${env:X}]", "f.yaml:1:6: not YAML: expected ',' or ']', but got '{' (put the value in quotes)"),
    ("a: b == 'c: d'", "f.yaml:1:11: not YAML: mapping values are not allowed here (put the value in quotes)"),
    (
        "a: { b: c == 'd: e' }",
        "f.yaml:1:16: not YAML: expected ',' or '}', but got ':' (put the value in quotes, or close the { before it)",
    ),
    ("a: [b, c\nd: e", "f.yaml:2:2: not YAML: expected ',' or ']', but got ':' (close the [ before it)"),
    ("a: @b", "f.yaml:1:4: not YAML: found character '@' that cannot start any token (put the value in quotes)"),
    ("a: 1\nb: \x00\n", "f.yaml:2:4: a control character stands here (save the file as UTF-8 text)"),
    ("\x1b[2J", "f.yaml:1:1: a control character stands here (save the file as UTF-8 text)"),
    ("a: \ud800", "f.yaml:1:4: a control character stands here (save the file as UTF-8 text)"),
    ('a: "\\uD800"', "f.yaml:1:4: the text holds a NUL or half a character (remove the escape that makes it)"),
    ('"\\0": 1', "f.yaml:1:1: the text holds a NUL or half a character (remove the escape that makes it)"),
    ("x" * (MAX_BYTES + 1), "f.yaml: the file is larger than 1048576 bytes (split it)"),
]


@pytest.mark.parametrize(("text", "problem"), REFUSED)
def test_refused_file_names_the_place_and_the_mend(text: str, problem: str) -> None:
    (only,) = refused(text)
    assert only.startswith(problem)


def test_no_mend_repeats_what_may_be_a_secret() -> None:
    assert "s3cret" not in "".join(refused("keys: { X-Key: *s3cret }") + refused("keys: { X-Key: *s3cret* }"))


def test_quoted_merge_key_is_an_ordinary_key() -> None:
    assert parse_yaml("'<<': 1", "f.yaml").value == {"<<": 1}


def test_all_problems_are_told_at_once() -> None:
    problems = refused("a: &x 1\nb: *x\nc: !t 2\na: 3\n4: 5\n? 6\n: 7\n")
    assert [problem.split(": ")[0] for problem in problems] == [
        "f.yaml:1:4",
        "f.yaml:2:4",
        "f.yaml:3:4",
        "f.yaml:4:1",
        "f.yaml:5:1",
        "f.yaml:6:3",
    ]


def test_problem_before_a_syntax_error_is_told_with_it() -> None:
    assert len(refused("a: 1\na: 2\nb: [\n")) == 2


def test_alias_bomb_is_refused_without_being_followed() -> None:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    lines += [f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]" for a, b in zip("abcdefghi", "bcdefghij", strict=True)]
    assert len(refused("\n".join(lines))) == 1 + 9 * 10


def test_depth_is_bounded_and_the_last_allowed_depth_is_read() -> None:
    assert parse_yaml("[" * MAX_DEPTH + "x" + "]" * MAX_DEPTH, "f.yaml").value
    assert refused("[" * (MAX_DEPTH + 1) + "x" + "]" * (MAX_DEPTH + 1)) == (
        "f.yaml:1:34: nested deeper than 32 levels (flatten it)",
    )
    assert refused("[" * 500_000)[0].startswith("f.yaml:1:34: nested deeper")


def test_a_file_of_exactly_the_largest_size_is_read() -> None:
    assert parse_yaml("# " + "x" * (MAX_BYTES - 7) + "\na: 1", "f.yaml").value == {"a": 1}


def test_problem_finds_the_value_the_key_and_what_would_hold_them() -> None:
    source = parse_yaml("top:\n  - name: [1, 2]\n", "f.yaml")
    assert source.problem(("top", 0, "name", 1), "m", "mend") == Problem("f.yaml", 2, 15, "m", "mend")
    assert source.problem(("top", 0, "name"), "m", at_key=True) == Problem("f.yaml", 2, 5, "m")
    assert source.problem(("top", 0, "missing"), "m") == Problem("f.yaml", 2, 5, "m")
    assert source.problem(("top", 9, "x", "y"), "m", at_key=True) == Problem("f.yaml", 2, 3, "m")
    assert source.problem((), "m") == Problem("f.yaml", 1, 1, "m")


def test_nearest_names_the_close_word_or_all_of_them() -> None:
    assert nearest("addreses", ["addresses", "action"]) == "did you mean addresses?"
    assert nearest("zzz", ["b", "a"]) == "known here: a, b"
    assert nearest("zzz", []) == "there is none here"
    assert nearest("zzz", [f"n{number}" for number in range(10_000)]).endswith(" and 9900 more")


def test_a_word_is_near_whatever_its_case() -> None:
    assert nearest("oauth", ["OAuth2", "None"]) == "did you mean OAuth2?"


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63) + 1, 2**63 - 1)
    | st.text(st.characters(codec="ascii", min_codepoint=1)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("ab<-0 1.", max_size=4), inner, max_size=4),
    max_leaves=12,
)


@given(json_values.filter(lambda value: value is not None))
def test_every_json_text_reads_as_json_does(value: object) -> None:
    assert parse_yaml(json.dumps(value), "f.yaml").value == value


@given(st.text(max_size=60) | st.text("a:-[]{}&*!|>'\"#%@,? \n\t<~0", max_size=60))
def test_no_text_escapes_as_another_error(text: str) -> None:
    try:
        source = parse_yaml(text, "f.yaml")
    except InvalidConfiguration:
        return
    assert () in source.values


PIECES = st.sampled_from([
    *("a", "b: ", "k:", "- ", "\n", "\n  ", "{", "}", "[", "]", ", ", ",", ": ", "#", " # c", "'", '"', "''", "\\"),
    *("null", "true", "0", "1.5", "-", "---\n", "...\n", "&x ", "*x", "!t ", "<<: ", "? ", "?a", "|\n ", ">-\n ", "%a"),
    *("\t", "\r\n", "\x85", "\u2028", "\ufeff", "\xa0", "é", "\U0001f600", "\x07", "\x00", "\ud800", "\\x24"),
    *("@", "~", "x: }", ":,"),
])  # fmt: skip


@given(st.lists(PIECES, max_size=24).map("".join))
def test_both_parsers_read_the_same_wherever_the_quick_one_is_asked(text: str) -> None:
    assert outcome(f"# \n{text}") == outcome(f"# |\n{text}")  # a comment with what only the strict one is asked


def outcome(text: str) -> object:
    try:
        source = parse_yaml(text, "f.yaml")
    except InvalidConfiguration:
        return None
    return repr(source.value), source.values, source.keys


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    calls: int
    label: str = ""

    @field_validator("label")
    @classmethod
    def short(cls, value: str) -> str:
        if len(value) > 3:
            raise ValueError("is longer than 3 characters")
        return value


class Open(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)
    width: int


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    action: Literal["allow", "forbid"] = "allow"
    limit: Annotated[int, Field(ge=1)] = 1
    inner: Inner | None = None
    many: dict[str, list[Inner]] = Field(default_factory=dict[str, list[Inner]])
    union: Inner | list[str] | None = None
    open: Open | Inner | None = None


def problems(text: str, model: type[BaseModel] | None = Outer) -> list[str]:
    source = parse_yaml(text, "f.yaml")
    with pytest.raises(ValidationError) as raised:
        Outer.model_validate(source.value)
    return [str(problem) for problem in problems_of(raised.value, source, model)]


def test_pydantic_errors_become_problems_for_people() -> None:
    text = """\
acton: allow
limit: 0
inner: {calls: '3', label: quite long}
many:
  one:
    - {label: ok, cals: 1}
    - x
    -
  two:
"""
    assert problems(text) == [
        "f.yaml:2:8: limit must be greater than or equal to 1",
        "f.yaml:3:16: calls must be a whole number",
        "f.yaml:3:28: label is longer than 3 characters",
        "f.yaml:6:7: calls is missing (add calls:)",
        "f.yaml:6:19: there is no key cals here (did you mean calls?)",
        "f.yaml:7:7: one[1] must be a mapping (write key: value)",
        "f.yaml:8:6: one[2] must be a mapping (write key: value)",
        "f.yaml:9:7: two must be a list (write [a, b], or one - a line)",
        "f.yaml:1:1: there is no key acton here (did you mean action?)",
    ]


def test_branches_of_a_union_do_not_hide_the_place() -> None:
    for key, place in (("union", "f.yaml:1:8"), ("open", "f.yaml:1:7")):
        found = problems(f"{key}: {{cals: 1}}")
        assert f"{place}: calls is missing (add calls:)" in found
        assert f"{place[:-1]}{int(place[-1]) + 1}: there is no key cals here (did you mean calls?)" in found


def test_unknown_key_is_told_also_where_the_model_is_not_given() -> None:
    assert problems("acton: 1", None) == ["f.yaml:1:1: there is no key acton here (remove it)"]


def test_wrong_whole_document_is_told_at_its_start() -> None:
    assert problems("- 1") == ["f.yaml:1:1: must be a mapping (write key: value)"]


def test_validation_of_a_part_is_told_where_the_part_stands() -> None:
    source = parse_yaml("a:\n  b: {calls: x}\n", "f.yaml")
    with pytest.raises(ValidationError) as raised:
        Inner.model_validate({"calls": "x"})
    assert [str(problem) for problem in problems_of(raised.value, source, Inner, ("a", "b"))] == [
        "f.yaml:2:14: calls must be a whole number"
    ]


def test_no_message_holds_a_value() -> None:
    assert "s3cr3t" not in "".join(problems("action: s3cr3t\nlimit: s3cr3t\ninner: s3cr3t\nunion: s3cr3t"))
