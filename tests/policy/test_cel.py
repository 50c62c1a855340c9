"""CEL is checked at load, sees only what it may, and never turns a failure into a yes."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpgov.errors import ExpressionError, InvalidExpression
from mcpgov.policy.cel import MAX_DEPTH, VARIABLES, compile_cel
from mcpgov.policy.context import LastError, Response
from mcpgov.policy.draft import CREDENTIAL_HEADERS, Draft
from tests.policy.calls import context

if TYPE_CHECKING:
    from mcpgov.models import Json
    from mcpgov.policy.cel import Wanted

AGENT = {"agent_id": "a1", "blueprint_id": "b1", "object_id": "o1", "roles": ("reader", "writer"), "scopes": ("mcp",)}
WANTED: tuple[Wanted, ...] = ("bool", "string", "int", "scalar", "any")
VALUES: list[tuple[str, object]] = [
    ("request.id", "c1"),
    ('request.headers["x-region"]', "eu"),
    ("mcp.method", "tools/call"),
    ("mcp.tool.name", "get_issue"),
    ("mcp.tool.arguments.owner", "contoso"),
    ("mcp.tool.annotations", {"readOnlyHint": True, "title": "Get"}),
    ("principal.id", "key:k1"),
    ("principal.name", "first"),
    ("principal.project", "agents"),
    ("principal.kind", "key"),
    ("principal.agent_id", "a1"),
    ("principal.blueprint_id", "b1"),
    ("principal.object_id", "o1"),
    ("principal.roles", ["reader", "writer"]),
    ("principal.scopes", ["mcp"]),
    ("source.address", "10.0.0.7"),
    ("connection.name", "github"),
    ("connection.server", "com.contoso/github"),
    ("variables.plan", [1, None, {"a": 1.5}]),
    ("response.status", 429),
    ("response.headers", {"retry-after": "7"}),
    ("error.reason", "rate-limited"),
    ("error.message", "Too many."),
    ("error.source", "rate-limit"),
]


def asking(
    *, headers: Mapping[str, str] | tuple[tuple[str, str], ...] = (), arguments: Mapping[str, Json] | None = None
) -> Draft:
    return Draft(context(headers=headers, arguments=arguments))


def answered() -> Draft:
    """A call of an agent, which a limit has refused."""
    asked = context(headers={"x-region": "eu"}, arguments={"owner": "contoso"})
    return Draft(
        replace(asked, principal=replace(asked.principal, **AGENT)),
        variables={"plan": [1, None, {"a": 1.5}]},
        annotations={"readOnlyHint": True, "title": "Get"},
        response=Response(429, {"retry-after": "7"}),
        last_error=LastError("rate-limit", "RateLimitExceeded", "Too many.", decision="rate-limited"),
    )


@pytest.mark.parametrize(("expression", "value"), VALUES)
def test_variable_shows_the_request(expression: str, value: object) -> None:
    assert compile_cel(expression, "any").value(answered()) == value


def test_every_variable_is_read_in_a_test() -> None:
    assert all(any(written.startswith(name) for written, _ in VALUES) for name in VARIABLES)


def test_program_shows_its_source_and_names_what_it_reads() -> None:
    program = compile_cel(".principal . id == 'mcp.method' // mcp.tool", "bool")
    assert program.source == ".principal . id == 'mcp.method' // mcp.tool"
    assert program.variables == ("principal.id",)


def test_only_the_variables_that_are_used_are_put_together() -> None:
    with_lone_surrogate = asking(arguments={"text": "\ud800"})
    assert compile_cel("principal . id + ' response.status' // mcp.tool", "string").text(with_lone_surrogate) == (
        "key:k1 response.status"
    )


@pytest.mark.parametrize("expression", ["response.status < 400", '"x" in response.headers'])
def test_response_before_there_is_one_is_an_error(expression: str) -> None:
    with pytest.raises(ExpressionError, match="there is none yet"):
        compile_cel(expression, "bool").truth(asking())


def test_error_before_there_is_one_is_empty_text() -> None:
    program = compile_cel("error.reason + error.message + error.source == ''", "bool")
    assert program.truth(asking())
    assert not program.truth(answered())


def test_repeated_header_is_one_list() -> None:
    asked = asking(headers=(("x-a", "1"), ("x-b", "2"), ("x-a", "3")))
    assert compile_cel('request.headers["x-a"]', "string").text(asked) == "1, 3"


@pytest.mark.parametrize("name", sorted(CREDENTIAL_HEADERS))
def test_header_with_the_callers_credential_is_not_visible(name: str) -> None:
    assert not compile_cel(f'("" + "{name}") in request.headers', "bool").truth(asking(headers={name: "s3cr3t"}))


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
    ("'admin' in principal.roles", False),
    ("mcp.tool.annotations.destructiveHint", False),
    # a missing key is false, also under a negation; an alternative that is true still counts
    ('request.headers["x-region"] == "eu"', False),
    ('!(request.headers["x-region"] == "eu")', False),
    ('request.headers["x-region"] == "eu" || true', True),
    ("mcp.tool.arguments.nothing", False),
    ('cidr(request.headers["x-address"], "10.0.0.0/8")', False),
]


@pytest.mark.parametrize(("expression", "expected"), CONDITIONS)
def test_condition_holds(expression: str, *, expected: bool) -> None:
    asked = asking(arguments={"force": True, "count": 3, "labels": ["bug", 1]})
    assert compile_cel(expression, "bool").truth(asked) is expected


@pytest.mark.parametrize(
    ("address", "network", "inside"),
    [
        ("10.0.0.7", "10.0.0.0/24", True),
        ("10.0.1.7", "10.0.0.0/24", False),
        ("10.0.0.7", "10.0.0.7", True),
        ("::ffff:10.0.0.7", "10.0.0.0/24", True),
        ("fe80::1%eth0", "fe80::/10", True),
        ("2001:db8::1", "10.0.0.0/8", False),
        ("10.0.0.7", "::ffff:10.0.0.0/120", True),
    ],
)
def test_cidr_says_whether_an_address_lies_in_a_network(address: str, network: str, *, inside: bool) -> None:
    asked = asking(arguments={"address": address, "network": network})
    assert compile_cel("cidr(mcp.tool.arguments.address, mcp.tool.arguments.network)", "bool").truth(asked) is inside
    assert compile_cel(f'cidr("{address}", "{network}")', "bool").truth(asked) is inside


NEITHER: list[tuple[str, dict[str, Json], str]] = [
    ("mcp.tool.arguments.a", {"a": "s3cr3t"}, "neither true nor false"),
    ("mcp.tool.arguments.a", {"a": 1}, "neither true nor false"),
    ("mcp.tool.arguments.a", {"a": None}, "neither true nor false"),
    ("mcp.tool.arguments.a.deeper", {"a": "s3cr3t"}, "failed"),
    ("mcp.tool.arguments.a < 1", {"a": "s3cr3t"}, "types that do not go together"),
    ("int(mcp.tool.arguments.a) < 1", {"a": "NOT_FOUND: Key not found in map s3cr3t"}, "failed"),
    ("mcp.tool.arguments.a[7] == 1", {"a": ["s3cr3t"]}, "failed"),
    ("1 / (mcp.tool.arguments.a - 1) == 1", {"a": 1}, "failed"),
    ("'a'.matches(mcp.tool.arguments.a)", {"a": "s3cr3t["}, "regular expression"),
    ("'a'.matches('(' + 's3cr3t')", {}, "regular expression"),
    ("cidr(mcp.tool.arguments.a, '10.0.0.0/8')", {"a": "s3cr3t"}, r"cidr\(\)"),
    ("cidr(source.address, mcp.tool.arguments.a)", {"a": "NOT_FOUND: Key not found in map s3cr3t"}, r"cidr\(\)"),
    ("cidr(mcp.tool.arguments.a, '10.0.0.0/8')", {"a": 1}, "types that do not go together"),
    (
        "mcp.tool.arguments.a.all(x, mcp.tool.arguments.a.all(y, x + y >= 0))",
        {"a": [*range(3000)]},
        "too many steps",
    ),
    # what the engine cannot hold is an error wherever it stands, not only where it is read
    ("mcp.tool.arguments.a == 1", {"a": 2**64}, "integer beyond 64 bits"),
    ("mcp.tool.arguments.a == 1", {"a": -(2**63) - 1}, "integer beyond 64 bits"),
    ("mcp.tool.arguments.a == 1", {"a": 1, "s3cr3t": [[2**64]]}, "integer beyond 64 bits"),
    ("mcp.tool.arguments.a == 1", {"a": "s3cr3t\ud800"}, "lone surrogate"),
    ("mcp.tool.arguments.a == 1", {"a": 1, "s3cr3t\ud800": 1}, "lone surrogate"),
    ("mcp.tool.arguments.a == 's3cr3t'", {"a": "s3cr3t\0x"}, "NUL"),
    ("mcp.tool.arguments.a == 1", {"a": 1, "a\0": 2}, "NUL"),
    ("mcp.tool.arguments.a == 1", {"a": 1, "b": [{"c": "\0"}]}, "NUL"),
]


@pytest.mark.parametrize(("expression", "arguments", "kind"), NEITHER, ids=range(len(NEITHER)))
def test_condition_that_is_neither_true_nor_false_is_an_error_that_quotes_nothing(
    expression: str, arguments: dict[str, Json], kind: str
) -> None:
    program = compile_cel(expression, "bool")
    with pytest.raises(ExpressionError, match=kind) as raised:
        program.truth(asking(arguments=arguments))
    assert "s3cr3t" not in str(raised.value)
    assert "184467" not in str(raised.value)


@pytest.mark.parametrize("number", [2**64 - 1, 2**63, -(2**63), 0, 1.5, -0.0])
def test_number_of_64_bits_is_held(number: float) -> None:
    assert compile_cel("mcp.tool.arguments.a", "any").value(asking(arguments={"a": number})) == number


def test_value_that_is_nested_too_deeply_is_an_error_and_not_the_end_of_the_process() -> None:
    program = compile_cel("size(variables) > 0", "bool")
    deep: list[object] = []
    for _ in range(MAX_DEPTH - 2):
        deep = [deep]
    assert program.truth(Draft(context(), variables={"a": deep}))
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(ExpressionError, match="nested deeper than"):
        program.truth(Draft(context(), variables={"a": deep}))


@pytest.mark.parametrize("value", [datetime(2026, 11, 21, tzinfo=UTC), b"a", (1,), object(), {"a": {1}}])
def test_variable_that_cel_cannot_hold_is_an_error(value: object) -> None:
    with pytest.raises(ExpressionError, match="of a type that CEL does not have"):
        compile_cel("variables.plain == 1", "bool").truth(Draft(context(), variables={"plain": 1, "other": value}))


def test_map_with_keys_that_cel_cannot_hold_is_an_error() -> None:
    with pytest.raises(ExpressionError):
        compile_cel("variables.a == {}", "bool").truth(Draft(context(), variables={"a": {None: 1}}))


TEXTS = [
    ("'a'", "a"),
    (r"'a\x00b'", "a\0b"),
    ("true", "true"),
    ("false", "false"),
    ("3", "3"),
    ("-3", "-3"),
    ("3u", "3"),
    ("1.5", "1.5"),
    ("3.0", "3"),
    ("dyn(3)", "3"),
    ("string(timestamp('2026-11-21T00:00:00Z'))", "2026-11-21T00:00:00Z"),
]


@pytest.mark.parametrize(("expression", "text"), TEXTS)
def test_scalar_becomes_text_as_the_language_writes_it(expression: str, text: str) -> None:
    assert compile_cel(expression, "scalar").text(asking()) == text
    assert compile_cel(expression, "any").text(asking()) == text


@pytest.mark.parametrize(
    ("expression", "wanted"),
    [
        ('request.headers["x"]', "string"),
        ('request.headers["x"]', "scalar"),
        ("mcp.tool.arguments.one", "string"),
        ("mcp.tool.arguments.nothing", "scalar"),
        ("mcp.tool.arguments.list", "scalar"),
        ("mcp.tool.arguments.list", "any"),
        ("timestamp('2026-11-21T00:00:00Z')", "any"),
    ],
)
def test_text_that_is_no_text_is_an_error(expression: str, wanted: Wanted) -> None:
    with pytest.raises(ExpressionError):
        compile_cel(expression, wanted).text(asking(arguments={"one": 1, "nothing": None, "list": ["a"]}))


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("null", None),
        ("true", True),
        ("3", 3),
        ("1.5", 1.5),
        ("[1, 'a', {'b': true}]", [1, "a", {"b": True}]),
        ("mcp.tool.arguments", {"a": [1, {"b": None}]}),
        ("principal.roles.map(role, role + '!')", []),
    ],
)
def test_value_keeps_its_type(expression: str, value: object) -> None:
    found = compile_cel(expression, "any").value(asking(arguments={"a": [1, {"b": None}]}))
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize("expression", ['request.headers["x"]', "1 / (size(mcp.method) - 10)"])
def test_value_that_is_not_there_is_an_error(expression: str) -> None:
    with pytest.raises(ExpressionError):
        compile_cel(expression, "any").value(asking())


json_values = cast(
    "st.SearchStrategy[Json]",
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    ),
)
PARTS = ("a == 1", "exists(k, mcp.tool.arguments[k] == 1)")
OF_ARGUMENTS = [compile_cel(f"mcp.tool.arguments.{part}", "bool") for part in PARTS]


@given(st.dictionaries(st.text(), json_values))
def test_no_arguments_make_a_condition_raise_anything_else(arguments: dict[str, Json]) -> None:
    asked = asking(arguments=arguments)
    for condition in OF_ARGUMENTS:
        with suppress(ExpressionError):
            assert condition.truth(asked) in {True, False}


@given(st.text())
def test_text_is_equal_only_to_itself(text: str) -> None:
    """Also where it holds what ends a string in another language."""
    program = compile_cel("mcp.tool.arguments.a == mcp.tool.arguments.b", "bool")
    unheld: set[str] = set()
    for other, same in ((text, True), (text + "x", False), (text + "\0", False), (text + "\0x", False)):
        try:
            assert program.truth(asking(arguments={"a": text, "b": other})) is same
        except ExpressionError as error:
            unheld.add(str(error).removeprefix("an expression met text with a "))
    assert unheld <= {"NUL in it", "lone surrogate in it"}


REFUSED: list[tuple[str, Wanted, str, str]] = [
    ("1 +", "bool", "not CEL at character 4: Syntax error", ""),
    (
        "principal.idd == ''",
        "bool",
        "not CEL at character 10: undeclared reference to 'principal.idd'",
        "did you mean principal.id?",
    ),
    ("true &&\n wat", "bool", "not CEL at character 2 of line 2: undeclared reference to 'wat'", "known here: cidr("),
    ("'a' + 1 == 'a'", "bool", "not CEL at character 5: found no matching overload", ""),
    ("principal.id", "bool", "the expression is STRING, and must be true or false", ""),
    ("1", "bool", "the expression is INT, and must be true or false", ""),
    ("true", "string", "the expression is BOOL, and must be text", ""),
    ("3", "string", "the expression is INT, and must be text", ""),
    ("1.0", "int", "the expression is DOUBLE, and must be a whole number", ""),
    ("[1]", "scalar", "the expression is LIST<INT>, and must be text, a number, true or false", ""),
    ("null", "scalar", "the expression is NULL, and must be text, a number, true or false", ""),
    ("principal.roles.contains('a')", "bool", "not CEL at character 25: found no matching overload", ""),
    ("source.address.cidr('10.0.0.0/8')", "bool", "not CEL at character 20: undeclared reference to 'cidr'", "known"),
    ("cidr(source.address, 8)", "bool", "not CEL at character 5: found no matching overload", ""),
    ("(" * 300 + "true" + ")" * 300, "bool", "not CEL: nested too deeply, or too long", "split it"),
    ("true" + " && true" * 20_000 + " && 1 == " + "1 + " * 2000 + "1", "bool", "not CEL: nested too deeply", ""),
    ("'\\ud800' == ''", "bool", "not CEL at character 1: Invalid string literal", ""),
    ("'\ud800' == ''", "bool", "not CEL: text with a lone surrogate in it", "write it as an escape"),
    ("true\0 && false", "bool", "not CEL: text with a NUL in it", "write it as an escape"),
    # literals that would fail at every call
    ("mcp.method.matches('(')", "bool", "matches: not a regular expression: missing ): (", ""),
    ("matches(mcp.method, '(?=a)')", "bool", "matches: not a regular expression", "RE2 has no look-around"),
    (r'principal.id.matches(r"(a)\1")', "bool", "matches: not a regular expression", "RE2 has no back-references"),
    ('principal.id.matches("""[""")', "bool", "matches: not a regular expression", ""),
    (r"principal.id.matches('\x28')", "bool", "matches: not a regular expression", ""),
    ("[1.5, 2.5].exists(x, x > 0.5 && {'a': mcp.method.matches('[')}.a)", "bool", "matches: not a regular", ""),
    ('cidr(source.address, "10.0.0.0/33")', "bool", 'cidr: "10.0.0.0/33" is neither an address nor', "write cidr("),
    ('cidr(source.address, "10.0.0.1/8")', "bool", 'cidr: "10.0.0.1/8" has bits beyond its prefix', "write cidr("),
    ('"X-A" in response.headers', "bool", "response.headers never has X-A", 'write "x-a": header names are lower'),
    ("request.headers.x-Region == ''", "bool", "not CEL at character 19", 'write request.headers["x-region"]'),
    ("!has(request.headers.Cookie)", "bool", "Cookie is never visible to a policy", "check-header can ask if"),
]


@pytest.mark.parametrize(("expression", "wanted", "message", "mend"), REFUSED, ids=range(len(REFUSED)))
def test_expression_that_cannot_be_compiled_says_where_and_how_to_mend_it(
    expression: str, wanted: Wanted, message: str, mend: str
) -> None:
    with pytest.raises(InvalidExpression) as raised:
        compile_cel(expression, wanted)
    assert raised.value.message.startswith(message)
    assert raised.value.mend.startswith(mend)


@pytest.mark.parametrize(
    "expression", ["'('", "mcp.method.contains('(')", "{'(': true}['(']", "mcp.method.matches('[(]')"]
)
def test_text_that_is_no_pattern_need_not_be_one(expression: str) -> None:
    assert compile_cel(expression, "any").source == expression


@pytest.mark.parametrize("wanted", WANTED)
def test_what_only_the_request_can_tell_is_taken_for_anything(wanted: Wanted) -> None:
    assert compile_cel("mcp.tool.arguments.a", wanted).value(asking(arguments={"a": 1})) == 1


@pytest.mark.parametrize("text", ["mcp.tool.name = 'x'", "mcp.tool.name === 'x'", "true && mcp.tool.name='x'"])
def test_an_assignment_is_told_how_to_compare(text: str) -> None:
    with pytest.raises(InvalidExpression) as raised:
        compile_cel(text, "bool")
    assert raised.value.mend == "compare with =="


@pytest.mark.parametrize("text", ["@(context.Request.Method)", " @{ return true; }"])
def test_an_expression_of_api_management_is_told_to_be_none(text: str) -> None:
    for compile_ in (lambda: compile_cel(text, "any"), lambda: compile_cel(text, "bool")):
        with pytest.raises(InvalidExpression) as raised:
            compile_()
        assert raised.value.mend == "expressions are CEL, not C#: see docs/policies.md"
