"""The tree of an expression is read as the engine wrote it, whatever the expression looks like."""

from __future__ import annotations

import pytest
from cel_expr_python.cel import NewEnv, Type
from hypothesis import given
from hypothesis import strategies as st

from mcpgov.policy.cel_tree import Tree, read_tree

ENVIRONMENT = NewEnv(variables={"a.b": Type.STRING, "a": Type.DYN, "m": Type.Map(Type.STRING, Type.DYN)})


def tree(expression: str) -> Tree:
    return read_tree(ENVIRONMENT.compile(expression).serialize())


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ("1.5", set[str]()),
        ("'a.b m'", set[str]()),
        ("a.b", {"a.b"}),
        (". a . b // m", {"a.b"}),
        ("a['b'] == m.a", {"a", "m"}),
        ("has(m.x)", {"m"}),
        ("[1].map(m, m + 1)", {"m"}),
        ("{'k': a.b, a.b: [m]}", {"a.b", "m"}),
    ],
)
def test_names_are_those_that_the_expression_refers_to(expression: str, names: set[str]) -> None:
    assert {name for name in tree(expression).names if name in {"a.b", "a", "m"}} == names


@pytest.mark.parametrize(
    "expression",
    [
        "a.b.matches('x(')",
        "matches(a.b, 'x(')",
        r"a.b.matches(r'x(')",
        "a.b.matches('''x(''')",
        r"a.b.matches('\x78\050')",
        "!a.b.matches('x(')",
        "[[a.b.matches('x(')]]",
        "{'k': a.b.matches('x(')}",
        "{a.b.matches('x('): 1}",
        "m.exists(k, k.matches('x('))",
        "[a.b.matches('x(')].all(k, k)",
        "(a.b.matches('x(') ? m : {}).x",
        "1.5 < 2.5 && 3u > 1u && (a.b.matches('x(') || b'x' == b'y')",
    ],
)
def test_literal_argument_is_found_wherever_it_stands(expression: str) -> None:
    assert ("matches", "x(") in tree(expression).literals


@pytest.mark.parametrize(
    "expression", ["'x('.matches(a.b)", "a.b.matches('x' + '(')", "'x('", "m['x(']", "// matches('x(')\n 1", "b'x('"]
)
def test_what_is_no_last_argument_of_a_function_is_not_taken_for_one(expression: str) -> None:
    assert "matches" not in {function for function, literal in tree(expression).literals if literal == "x("}


@pytest.mark.parametrize(
    ("expression", "keys"),
    [
        ("m['K'] == 1", {("m", "K")}),
        ("m.K == 1 || has(m.L)", {("m", "K"), ("m", "L")}),
        ("'K' in m && !(('L') in (m))", {("m", "K"), ("m", "L")}),
        ("[[m].map(n, m.K + n.L)]", {("m", "K")}),
        ("{'k': m['\\x4b']}", {("m", "K")}),
        ("m[a.b] == 'K' || 'K' in [a.b] || a.b.contains('K') || {'K': 1}['K'] == 1", set[tuple[str, str]]()),
        ("[1].exists(m, m == 1)", set[tuple[str, str]]()),
    ],
)
def test_keys_are_those_that_a_variable_is_asked_for(expression: str, keys: set[tuple[str, str]]) -> None:
    assert {(name, key) for name, key in tree(expression).keys if name == "m"} == keys


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_literal_is_read_as_it_is_meant(text: str) -> None:
    escaped = "".join(f"\\U{ord(character):08x}" for character in text)
    assert tree(f"a.b.matches('{escaped}')").literals == (("matches", text),)
