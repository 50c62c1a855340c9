"""A path finds its places in time that grows with the value, and what could be made slow is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mcpgov.errors import InvalidExpression
from mcpgov.policy.json_paths import MAX_PLACES, TooManyPlaces, compile_path, json_path

if TYPE_CHECKING:
    from mcpgov.models import Json

PEOPLE: Any = {"users": [{"name": "ada", "mail": "a@x"}, {"name": "bob", "mail": {"mail": "b@x"}}], "n": 1}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("$.n", {**PEOPLE, "n": "*"}),
        ("$['n']", {**PEOPLE, "n": "*"}),
        ("$.users", {**PEOPLE, "users": "*"}),
        (
            "$.users[0].mail",
            {"users": [{"name": "ada", "mail": "*"}, {"name": "bob", "mail": {"mail": "b@x"}}], "n": 1},
        ),
        ("$..mail", {"users": [{"name": "ada", "mail": "*"}, {"name": "bob", "mail": "*"}], "n": 1}),
        (
            "$.users[?@.name == 'bob'].name",
            {"users": [PEOPLE["users"][0], {"name": "*", "mail": {"mail": "b@x"}}], "n": 1},
        ),
        ("$.nobody", PEOPLE),
        ("$.n.m", PEOPLE),
    ],
)
def test_what_stands_at_the_places_is_replaced(path: str, expected: Json) -> None:
    assert compile_path(path).replaced(PEOPLE, "*") == expected


def test_value_itself_is_never_changed() -> None:
    value: Json = {"a": [1, 2]}
    assert compile_path("$.a[*]").replaced(value, 0) == {"a": [0, 0]}
    assert value == {"a": [1, 2]}


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("$", "the path names the whole value"),
        ("a.b", "no JSONPath: expected '\\$'"),
        ("$.a[", "no JSONPath: unbalanced brackets"),
        ("$[?nothing(@)]", "no JSONPath: "),
        ("$[99999999999999999999]", "no JSONPath: "),
        ("$.a" + ".b" * 200, "at most 256 characters"),
        ("$..a..b", "a path may descend once"),
        ("$.a[?@..b]", "a filter may not descend"),
        ("$.a[?$.b == @]", "a filter may not descend, nor look from the root"),
        ("$.a[?match(@, 'x')]", "no regular expression"),
        ("$.a[?search(@.b, '(a+)+$')]", "no regular expression"),
        ("$[*,*][*,*][*,*][*,*][*,*]", "few members at a time"),
        ("$" + "[*,\n*]\n" * 24, "few members at a time"),
        ("$..a\n..b\n..c\n..d", "a path may descend once"),
        ("$.a[?\n@..b]", "a filter may not descend"),
        ("$.a[?match\n(@, 'x')]", "no regular expression|no JSONPath"),
    ],
)
def test_path_that_could_be_made_slow_or_says_nothing_is_refused(path: str, message: str) -> None:
    with pytest.raises(InvalidExpression, match=message):
        compile_path(path)


def test_what_stands_in_quotes_is_a_name_and_nothing_else() -> None:
    assert compile_path("$['a..b..c']").replaced({"a..b..c": 1}, 2) == {"a..b..c": 2}


def test_path_that_finds_too_many_places_says_so() -> None:
    with pytest.raises(TooManyPlaces):
        compile_path("$[*]").replaced([*range(MAX_PLACES + 1)], 0)


def test_deep_value_is_searched_to_its_end() -> None:
    value: Json = {"x": 1}
    for _ in range(127):
        value = {"y": value}
    assert '"x": "*"' in str(compile_path("$..x").replaced(value, "*")).replace("'", '"')


def test_place_is_written_as_a_path() -> None:
    assert json_path(()) == "$"
    assert json_path(("a", 0, "b c", "d_1")) == "$.a[0]['b c'].d_1"


def test_a_path_has_256_characters_at_most() -> None:
    assert compile_path("$." + "a" * 254).replaced({}, 1) == {}
    with pytest.raises(InvalidExpression, match="at most 256"):
        compile_path("$." + "a" * 255)
