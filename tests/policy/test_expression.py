"""CEL is checked at load, sees only what it may, and never turns a failure into a yes."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpgov.policy.expression import (
    CREDENTIAL_HEADERS,
    VARIABLES,
    ExpressionError,
    InvalidExpression,
    compile_condition,
    compile_template,
    compile_text,
)
from tests.policy.calls import context

if TYPE_CHECKING:
    from mcpgov.models import Json

VALUES = [
    ("mcp.method", "tools/call"),
    ("mcp.tool.name", "get_issue"),
    ("principal.id", "key:k1"),
    ("principal.name", "first"),
    ("principal.project", "agents"),
    ("principal.kind", "key"),
    ("source.address", "10.0.0.7"),
    ("connection.name", "github"),
    ("connection.server", "com.contoso/github"),
    ('request.headers["x-region"]', "eu"),
    ("mcp.tool.arguments.owner", "contoso"),
]


@pytest.mark.parametrize(("expression", "value"), VALUES)
def test_variable_shows_the_request(expression: str, value: str) -> None:
    asked = context(headers={"x-region": "eu"}, arguments={"owner": "contoso"})
    assert compile_text(expression).value(asked) == value


def test_every_variable_is_read_in_a_test() -> None:
    assert all(any(written.startswith(name) for written, _ in VALUES) for name in VARIABLES)


def test_only_the_variables_that_are_used_are_put_together() -> None:
    with_lone_surrogate = context(arguments={"text": "\ud800"})
    assert compile_text("principal . id // mcp.tool").value(with_lone_surrogate) == "key:k1"


def test_repeated_header_is_one_list() -> None:
    asked = context(headers=(("x-a", "1"), ("x-b", "2"), ("x-a", "3")))
    assert compile_text('request.headers["x-a"]').value(asked) == "1, 3"


@pytest.mark.parametrize("name", sorted(CREDENTIAL_HEADERS))
def test_header_with_the_callers_credential_is_not_visible(name: str) -> None:
    asked = context(headers={name: "s3cr3t"})
    assert not compile_condition(f'"{name}" in request.headers').holds(asked)


def test_header_that_holds_a_gateway_key_is_not_visible_whatever_its_name() -> None:
    asked = context(headers=(("x-team-key", "mcpgov_abc"), ("x-team-key", "blue")))
    assert compile_text('request.headers["x-team-key"]').value(asked) == "blue"


CONDITIONS = [
    ("true", True),
    ("false", False),
    ("dyn(true)", True),
    ('mcp.tool.name == "get_issue" && size(mcp.tool.arguments) == 3', True),
    ("mcp.tool.arguments.force", True),
    ("mcp.tool.arguments.count > 2", True),
    ("mcp.tool.arguments.count == 3.0", True),
    ("mcp.tool.arguments.labels.exists(label, label == 'bug')", True),
    ("has(mcp.tool.arguments.nothing)", False),
    ("principal.id.matches('^key:[a-z0-9]+$')", True),
    # a missing key is false, also under a negation; an alternative that is true still counts
    ('request.headers["x-region"] == "eu"', False),
    ('!(request.headers["x-region"] == "eu")', False),
    ('request.headers["x-region"] == "eu" || true', True),
    ("mcp.tool.arguments.nothing", False),
]


@pytest.mark.parametrize(("expression", "expected"), CONDITIONS)
def test_condition_holds(expression: str, *, expected: bool) -> None:
    asked = context(arguments={"force": True, "count": 3, "labels": ["bug", 1]})
    assert compile_condition(expression).holds(asked) is expected


NEITHER: list[tuple[str, dict[str, Json]]] = [
    ("mcp.tool.arguments.a", {"a": "s3cr3t"}),
    ("mcp.tool.arguments.a", {"a": 1}),
    ("mcp.tool.arguments.a", {"a": None}),
    ("mcp.tool.arguments.a.deeper", {"a": "s3cr3t"}),
    ("mcp.tool.arguments.a < 1", {"a": "s3cr3t"}),
    ("int(mcp.tool.arguments.a) < 1", {"a": "NOT_FOUND: Key not found in map s3cr3t"}),
    ("mcp.tool.arguments.a[7] == 1", {"a": ["s3cr3t"]}),
    ("1 / (mcp.tool.arguments.a - 1) == 1", {"a": 1}),
    ("'a'.matches(mcp.tool.arguments.a)", {"a": "s3cr3t["}),
    # what the engine cannot hold is an error wherever it stands, not only where it is read
    ("mcp.tool.arguments.a == 1", {"a": 2**64}),
    ("mcp.tool.arguments.a == 1", {"a": 1, "s3cr3t": [[2**64]]}),
    ("mcp.tool.arguments.a == 1", {"a": "s3cr3t\ud800"}),
    ("mcp.tool.arguments.a == 1", {"a": 1, "s3cr3t\ud800": 1}),
]


@pytest.mark.parametrize(("expression", "arguments"), NEITHER, ids=range(len(NEITHER)))
def test_condition_that_is_neither_true_nor_false_is_an_error_that_quotes_nothing(
    expression: str, arguments: dict[str, Json]
) -> None:
    with pytest.raises(ExpressionError) as raised:
        compile_condition(expression).holds(context(arguments=arguments))
    assert "s3cr3t" not in str(raised.value)
    assert "184467" not in str(raised.value)


@pytest.mark.parametrize("expression", ['request.headers["x"]', "mcp.tool.arguments.one", "mcp.tool.arguments.nothing"])
def test_text_that_is_no_text_is_an_error(expression: str) -> None:
    with pytest.raises(ExpressionError):
        compile_text(expression).value(context(arguments={"one": 1}))


json_values = cast(
    "st.SearchStrategy[Json]", st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists)
)


@given(st.dictionaries(st.text(), json_values))
def test_no_arguments_make_a_condition_raise_anything_else(arguments: dict[str, Json]) -> None:
    asked = context(arguments=arguments)
    for expression in ("mcp.tool.arguments.a == 1", "mcp.tool.arguments.exists(k, mcp.tool.arguments[k] == 1)"):
        try:
            assert compile_condition(expression).holds(asked) in {True, False}
        except ExpressionError:
            continue


REFUSED = [
    ("1 +", "not CEL at character 4: Syntax error", ""),
    (
        "principal.idd == ''",
        "not CEL at character 10: undeclared reference to 'principal.idd'",
        "did you mean principal.id?",
    ),
    ("true &&\n wat", "not CEL at character 2 of line 2: undeclared reference to 'wat'", "known here: connection.name"),
    ("'a' + 1 == 'a'", "not CEL at character 5: found no matching overload", ""),
    ("principal.id", "the expression is STRING, and must be true or false", ""),
    ("1", "the expression is INT, and must be true or false", ""),
    ("(" * 300 + "true" + ")" * 300, "not CEL: nested too deeply, or too long", "split it"),
    ("true" + " && true" * 20_000 + " && 1 == " + "1 + " * 2000 + "1", "not CEL: nested too deeply, or too long", ""),
    ("'\\ud800' == ''", "not CEL at character 1: Invalid string literal", ""),
]


@pytest.mark.parametrize(("expression", "message", "mend"), REFUSED)
def test_expression_that_cannot_be_compiled_says_where_and_how_to_mend_it(
    expression: str, message: str, mend: str
) -> None:
    with pytest.raises(InvalidExpression) as raised:
        compile_condition(expression)
    assert raised.value.message.startswith(message)
    assert raised.value.mend.startswith(mend)


def test_text_must_be_text_already_at_load() -> None:
    with pytest.raises(InvalidExpression, match="the expression is BOOL, and must be text"):
        compile_text("true")


def test_template_joins_literals_and_expressions() -> None:
    assert compile_template("").value(context()) == ""
    assert compile_template("plain }} ${x} $5").value(context()) == "plain }} ${x} $5"
    assert compile_template("a-${{ principal.id }}-${{mcp.tool.name}}").value(context()) == "a-key:k1-get_issue"
    with pytest.raises(ExpressionError):
        compile_template("${{ request.headers['x'] }}").value(context())


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("a ${{ principal.id", "is not closed"),
        ("a ${{ principal.nobody }}", "undeclared reference"),
        ("${{ }}", "not CEL"),
        ("Bearer ${env:TOKEN}", "not supported yet"),
        ("Bearer ${file:/run/token}", "not supported yet"),
        ("Bearer ${secret:token}", "not supported yet"),
    ],
)
def test_template_that_cannot_be_compiled_is_refused(template: str, message: str) -> None:
    with pytest.raises(InvalidExpression, match=message):
        compile_template(template)


@pytest.mark.parametrize("text", ["mcp.tool.name = 'x'", "mcp.tool.name === 'x'", "true && mcp.tool.name='x'"])
def test_an_assignment_is_told_how_to_compare(text: str) -> None:
    with pytest.raises(InvalidExpression) as raised:
        compile_condition(text)
    assert raised.value.mend == "compare with =="


@pytest.mark.parametrize("text", ["@(context.Request.Method)", " @{ return true; }"])
def test_an_expression_of_api_management_is_told_to_be_none(text: str) -> None:
    for compile_ in (compile_condition, compile_text, compile_template):
        with pytest.raises(InvalidExpression) as raised:
            compile_(text)
        assert raised.value.mend == "expressions are CEL, not C#: see docs/policies.md"
