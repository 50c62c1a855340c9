"""CEL, the language of expressions in YAML: checked when a document is loaded, evaluated without side effects.

The rules it keeps: only a BOOL that is true is true; a missing map key makes a condition false and is an error
elsewhere; whatever else goes wrong is an ExpressionError, which denies. The engine's own error text quotes values of
the request, so it is never passed on. What the engine cannot hold never reaches it: it would read text up to a NUL and
call two different values equal, and nesting too deep would end the process. Regular expressions are RE2 (linear time).
Language: https://github.com/google/cel-spec/blob/master/doc/langdef.md
"""

from __future__ import annotations

import re
from dataclasses import field
from typing import TYPE_CHECKING, Any, Final, Literal, cast

from cel_expr_python.cel import Expression, FunctionDecl, NewEnv, Overload, Type, Value

from mcpgov.errors import ExpressionError, InvalidExpression
from mcpgov.frozen import frozen
from mcpgov.policy.addresses import parse_address, parse_range
from mcpgov.policy.cel_tree import read_tree
from mcpgov.policy.context import LastError, Response
from mcpgov.policy.draft import CREDENTIAL_HEADERS
from mcpgov.policy.patterns import compile_pattern
from mcpgov.policy.token_values import Authorization, Jwt
from mcpgov.yaml_source import nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from mcpgov.policy.draft import Draft

Wanted = Literal["bool", "string", "int", "scalar", "any"]

MAX_DEPTH: Final = 100  # of lists and maps; a request has less (strict_json)
_STRING: Final = Type.STRING
_DYN_MAP: Final = Type.Map(_STRING, Type.DYN)
_TEXT_MAP: Final = Type.Map(_STRING, _STRING)
_SCALARS: Final = (_STRING, Type.BOOL, Type.INT, Type.UINT, Type.DOUBLE)
_KINDS: Final[Mapping[Wanted, tuple[tuple[Type, ...], str]]] = {
    "bool": ((Type.BOOL,), "true or false"),
    "string": ((_STRING,), "text"),
    "int": ((Type.INT, Type.UINT), "a whole number"),
    "scalar": (_SCALARS, "text, a number, true or false"),
    "any": ((), ""),
}
_LONE_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_UNREADABLE: Final = "what cidr() was given cannot be read as an address and a network"
_MISSING_KEY: Final = "NOT_FOUND: Key not found in map"
_FAILURES: Final = (  # how the engine's messages begin: what follows quotes values
    (_MISSING_KEY, "a key that an expression reads is not there"),
    ("UNKNOWN: No matching overloads found", "an expression met values of types that do not go together"),
    ("INVALID_ARGUMENT: invalid regular expression", "an expression met a wrong regular expression"),
    (f"OUT_OF_RANGE: {_UNREADABLE}", _UNREADABLE),
    ("", "an expression failed for this request"),
)
_COMPLAINT: Final = re.compile(r"ERROR: <input>:(?P<line>-?\d+):(?P<column>-?\d+): (?P<what>.*)")
_ASSIGNMENT: Final = "token recognition error at: '="
_CSHARP: Final = ("@(", "@{")  # how an expression of Azure API Management begins
_UNDECLARED: Final = re.compile(r"undeclared reference to '([^']*)'")
_REQUEST_HEADERS: Final = "request.headers"
_RESPONSE_HEADERS: Final = "response.headers"
_SUBTRACTED: Final = re.compile(r"\b((?:request|response)\.headers)\.(\w+(?:-\w+)+)")  # what was meant as one name


def _response(draft: Draft) -> Response:
    if draft.response is None:
        raise ExpressionError("an expression reads the response, and there is none yet")
    return draft.response


def _error(draft: Draft) -> LastError:
    return draft.last_error or LastError("", "", "")


def _variables(draft: Draft) -> dict[str, object]:
    """The variables, a token as what it says."""
    return {
        name: value.mapping if isinstance(value, Jwt | Authorization) else value
        for name, value in draft.variables.items()
    }


VARIABLES: Final[Mapping[str, tuple[Type, Callable[[Draft], object]]]] = {
    "request.id": (_STRING, lambda draft: draft.context.request.head.correlation_id),
    _REQUEST_HEADERS: (_TEXT_MAP, lambda draft: dict(draft.request_headers)),
    "mcp.method": (_STRING, lambda draft: draft.context.request.method),
    "mcp.tool.name": (_STRING, lambda draft: draft.context.request.tool),
    "mcp.tool.arguments": (_DYN_MAP, lambda draft: draft.context.request.arguments),
    "mcp.tool.annotations": (_DYN_MAP, lambda draft: dict(draft.annotations)),
    "principal.id": (_STRING, lambda draft: draft.context.principal.id),
    "principal.name": (_STRING, lambda draft: draft.context.principal.name),
    "principal.project": (_STRING, lambda draft: draft.context.principal.project),
    "principal.kind": (_STRING, lambda draft: draft.context.principal.kind.value),
    "principal.agent_id": (_STRING, lambda draft: draft.context.principal.agent_id),
    "principal.blueprint_id": (_STRING, lambda draft: draft.context.principal.blueprint_id),
    "principal.object_id": (_STRING, lambda draft: draft.context.principal.object_id),
    "principal.roles": (Type.List(_STRING), lambda draft: list(draft.context.principal.roles)),
    "principal.scopes": (Type.List(_STRING), lambda draft: list(draft.context.principal.scopes)),
    "source.address": (_STRING, lambda draft: draft.context.request.head.source_address),
    "connection.name": (_STRING, lambda draft: draft.context.connection.name),
    "connection.server": (_STRING, lambda draft: draft.context.connection.server),
    "variables": (_DYN_MAP, _variables),
    "response.status": (Type.INT, lambda draft: _response(draft).status),
    _RESPONSE_HEADERS: (_TEXT_MAP, lambda draft: dict(_response(draft).headers)),
    "error.reason": (_STRING, lambda draft: _error(draft).decision),
    "error.message": (_STRING, lambda draft: _error(draft).message),
    "error.source": (_STRING, lambda draft: _error(draft).source),
}


def _cidr(address: str, network: str) -> bool:
    try:
        return parse_address(address) in parse_range(network)
    except ValueError:
        raise ValueError(_UNREADABLE) from None


_ENVIRONMENT: Final = NewEnv(
    variables={name: kind for name, (kind, _) in VARIABLES.items()},
    functions=[FunctionDecl("cidr", [Overload("cidr_string_string", Type.BOOL, [_STRING, _STRING], impl=_cidr)])],
)
_AS_TEXT: Final = NewEnv(variables={"value": Type.DYN}).compile("string(value)")


@frozen
class CelProgram:
    """A compiled expression. `variables` are those it reads: no others are put together for it."""

    source: str
    variables: tuple[str, ...]
    _kinds: tuple[Type, ...] = field(repr=False)
    _compiled: Expression = field(repr=False)
    _named: Callable[[Draft], object] | None = field(default=None, repr=False)  # it is the name of a text, no more

    def truth(self, draft: Draft, /) -> bool:
        """Whether it is true of the request; a missing map key makes it false. Raises ExpressionError."""
        value = self._evaluated(draft)
        if value.type() == Type.BOOL:
            return value.plain_value() is True
        if value.type() == Type.ERROR and str(value.plain_value()).startswith(_MISSING_KEY):
            return False
        raise _failure(value, "a condition is neither true nor false for this request")

    def text(self, draft: Draft, /) -> str:
        """Its value as text; a number or a boolean as CEL's own string() writes it. Raises ExpressionError."""
        if self._named is not None:  # the engine would give back what it is given, fifty times as slowly
            text = self._named(draft)
            _check_held(text)
            return str(text)
        value = self._evaluated(draft)
        if value.type() not in (self._kinds or _SCALARS):
            raise _failure(value, "an expression that should be text is not text for this request")
        if value.type() != _STRING:
            value = _AS_TEXT.eval(data={"value": value.plain_value()})
        return str(value.plain_value())

    def value(self, draft: Draft, /) -> object:
        """Its value as Python has it. Raises ExpressionError."""
        value = self._evaluated(draft)
        if value.type() == Type.ERROR:
            raise _failure(value)
        return value.plain_value()

    def _evaluated(self, draft: Draft) -> Value:
        data: dict[str, Any] = {name: VARIABLES[name][1](draft) for name in self.variables}
        for value in data.values():
            _check_held(value)
        try:
            return self._compiled.eval(data=data)
        except RuntimeError:  # the engine counts the rounds of all() and the like, and gives up
            raise ExpressionError("an expression takes too many steps for this request") from None


def compile_cel(text: str, wanted: Wanted) -> CelProgram:
    """An expression whose value is `wanted`: known to be so now, or looked at for each request.

    Raises InvalidExpression, also for a literal regular expression or network that is wrong.
    """
    refuse_csharp(text)
    if fault := _not_held(text):
        raise InvalidExpression(f"not CEL: {fault}", "write it as an escape, such as \\u00e9")
    try:
        compiled = _ENVIRONMENT.compile(text)
    except (RuntimeError, ValueError) as error:
        raise _explained(str(error), text) from None
    kinds, word = _KINDS[wanted]
    if kinds and compiled.return_type() not in (*kinds, Type.DYN):
        raise InvalidExpression(f"the expression is {compiled.return_type().name()}, and must be {word}")
    tree = read_tree(compiled.serialize())
    for function, literal in tree.literals:
        _check_literal(function, literal)
    for variable, key in tree.keys:
        _check_key(variable, key)
    variables = tuple(name for name in VARIABLES if name in tree.names)
    named = VARIABLES[text] if variables == (text,) else None
    return CelProgram(text, variables, kinds, compiled, named[1] if named and named[0] == _STRING else None)


def _check_held(value: object, depth: int = 0) -> None:
    """Raises ExpressionError for what the engine would misread, and for what would end the process."""
    if isinstance(value, dict | list):
        if depth == MAX_DEPTH:
            raise ExpressionError(f"an expression met a value that is nested deeper than {MAX_DEPTH} levels")
        for item in cast("Iterable[object]", value):
            _check_held(item, depth + 1)
        for item in cast("dict[object, object]", value).values() if isinstance(value, dict) else ():
            _check_held(item, depth + 1)
    elif fault := _not_held(value):
        raise ExpressionError(f"an expression met {fault}")


def _not_held(value: object) -> str:
    if isinstance(value, str):
        if "\0" in value:
            return "text with a NUL in it"
        return "text with a lone surrogate in it" if _LONE_SURROGATE.search(value) else ""
    if isinstance(value, int):
        return "" if -(2**63) <= value < 2**64 else "an integer beyond 64 bits"
    return "" if value is None or isinstance(value, float) else "a variable of a type that CEL does not have"


def _failure(value: Value, otherwise: str = "") -> ExpressionError:
    if value.type() != Type.ERROR:
        return ExpressionError(otherwise)
    message = str(value.plain_value())
    return ExpressionError(next(words for beginning, words in _FAILURES if message.startswith(beginning)))


def _check_literal(function: str, literal: str) -> None:
    if function == "matches":
        try:
            compile_pattern(literal)
        except InvalidExpression as error:
            raise InvalidExpression(f"matches: {error.message}", error.mend) from None
    elif function == "cidr":
        try:
            parse_range(literal)
        except ValueError as error:
            raise InvalidExpression(f'cidr: "{literal}" {error}', "write cidr(source.address, network)") from None


def _check_key(variable: str, key: str) -> None:
    """Raises InvalidExpression for a header that is never there: it would be a condition that never holds."""
    if variable not in (_REQUEST_HEADERS, _RESPONSE_HEADERS):
        return
    if variable == _REQUEST_HEADERS and key.lower() in CREDENTIAL_HEADERS:
        raise InvalidExpression(f"{key} is never visible to a policy", "check-header can ask if it is there")
    if key != key.lower():
        raise InvalidExpression(
            f"{variable} never has {key}", f'write "{key.lower()}": header names are lower case here'
        )


def refuse_csharp(text: str) -> None:
    """Raise InvalidExpression for an expression of the other syntax, which would only fail later and less clearly."""
    if text.lstrip().startswith(_CSHARP):
        raise InvalidExpression("not CEL: it begins with @", "expressions are CEL, not C#: see docs/policies.md")


def _explained(error: str, text: str) -> InvalidExpression:
    complaint = _COMPLAINT.search(error)
    if complaint is None or int(complaint["column"]) < 1:
        return InvalidExpression("not CEL: nested too deeply, or too long", "split it into several conditions")
    what = complaint["what"].removesuffix(" [INVALID_ARGUMENT]").removesuffix(" (in container '')")
    undeclared = _UNDECLARED.search(what)
    known = (*VARIABLES, "cidr(address, network)")
    mend = nearest(undeclared[1], known) if undeclared else "compare with ==" if _ASSIGNMENT in what else ""
    if subtracted := _SUBTRACTED.search(text):
        mend = f'write {subtracted[1]}["{subtracted[2].lower()}"]'
    at = f"character {complaint['column']}" + (f" of line {complaint['line']}" if complaint["line"] != "1" else "")
    return InvalidExpression(f"not CEL at {at}: {what}", mend)
