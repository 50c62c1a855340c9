"""CEL, the one language of conditions: checked when a document is loaded, evaluated without side effects.

The rules it keeps: only a BOOL that is true is true; a missing map key makes a condition false and is an error
elsewhere; whatever else goes wrong is an ExpressionError, which denies. The engine's own error text quotes values of
the request, so it is never passed on. Regular expressions are RE2 (linear time); nesting is bounded by the engine.

A header that carries the caller's credential is not visible here: a template could send it on.
Language: https://github.com/google/cel-spec/blob/master/doc/langdef.md
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from cel_expr_python.cel import Expression, NewEnv, Type, Value

from mcpgov.yaml_source import nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mcpgov.policy.context import Context

CREDENTIAL_HEADERS: Final = frozenset({"authorization", "proxy-authorization", "x-api-key", "cookie"})
_KEY: Final = "mcpgov_"  # a gateway key begins so, whichever header carries it
_STRING: Final = Type.STRING
_MISSING_KEY: Final = "NOT_FOUND: Key not found in map"  # how the engine's message begins; what follows quotes the key
_COMPLAINT: Final = re.compile(r"ERROR: <input>:(?P<line>-?\d+):(?P<column>-?\d+): (?P<what>.*)")
_ASSIGNMENT: Final = "token recognition error at: '="
_CSHARP: Final = ("@(", "@{")  # how an expression of Azure API Management begins
_UNDECLARED: Final = re.compile(r"undeclared reference to '([^']*)'")


class InvalidExpression(ValueError):
    """An expression that cannot be compiled. `message` says what and where in it, `mend` how to mend it."""

    def __init__(self, message: str, mend: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.mend = mend


class ExpressionError(Exception):
    """An expression has no usable value for this request. The text never quotes a value."""


def _headers(context: Context) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in context.request.head.headers.fields:
        if name not in CREDENTIAL_HEADERS and _KEY not in value:
            headers[name] = f"{headers[name]}, {value}" if name in headers else value  # RFC 9110 section 5.3
    return headers


VARIABLES: Final[Mapping[str, tuple[Type, Callable[[Context], object]]]] = {
    "request.headers": (Type.Map(_STRING, _STRING), _headers),
    "mcp.method": (_STRING, lambda context: context.request.method),
    "mcp.tool.name": (_STRING, lambda context: context.request.tool),
    "mcp.tool.arguments": (Type.Map(_STRING, Type.DYN), lambda context: context.request.arguments),
    "principal.id": (_STRING, lambda context: context.principal.id),
    "principal.name": (_STRING, lambda context: context.principal.name),
    "principal.project": (_STRING, lambda context: context.principal.project),
    "principal.kind": (_STRING, lambda context: context.principal.kind.value),
    "source.address": (_STRING, lambda context: context.request.head.source_address),
    "connection.name": (_STRING, lambda context: context.connection.name),
    "connection.server": (_STRING, lambda context: context.connection.server),
}
_ENVIRONMENT: Final = NewEnv(variables={name: kind for name, (kind, _) in VARIABLES.items()})


@dataclass(frozen=True, slots=True)
class _Program:
    """A compiled expression and the variables it reads: no others are put together for it."""

    compiled: Expression
    variables: tuple[str, ...]

    def value(self, context: Context) -> Value:
        data: dict[str, Any] = {name: VARIABLES[name][1](context) for name in self.variables}
        try:
            return self.compiled.eval(data=data)
        except (RuntimeError, ValueError, TypeError, OverflowError):  # what the engine raises for text it cannot hold
            raise ExpressionError("an expression met a value that it cannot hold") from None


@dataclass(frozen=True, slots=True)
class Condition:
    """An expression that is true or false."""

    _program: _Program

    def holds(self, context: Context) -> bool:
        """Whether it is true of the request; a missing map key makes it false. Raises ExpressionError."""
        value = self._program.value(context)
        if value.type() == Type.BOOL:
            return value.plain_value() is True
        if value.type() == Type.ERROR and str(value.plain_value()).startswith(_MISSING_KEY):
            return False
        raise ExpressionError("a condition is neither true nor false for this request")


@dataclass(frozen=True, slots=True)
class Text:
    """An expression whose value is text."""

    _program: _Program

    def value(self, context: Context) -> str:
        """The text. Raises ExpressionError: also for a missing map key."""
        value = self._program.value(context)
        if value.type() != _STRING:
            raise ExpressionError("an expression that should be text is not text for this request")
        return str(value.plain_value())


@dataclass(frozen=True, slots=True)
class Template:
    """Literal text with expressions in it."""

    parts: tuple[str | Text, ...]

    def value(self, context: Context) -> str:
        """The text with every expression replaced by its value. Raises ExpressionError."""
        return "".join(part if isinstance(part, str) else part.value(context) for part in self.parts)


def compile_condition(text: str) -> Condition:
    """A condition from CEL. Raises InvalidExpression."""
    return Condition(_compile(text, Type.BOOL, "true or false"))


def compile_text(text: str) -> Text:
    """An expression for text from CEL. Raises InvalidExpression."""
    return Text(_compile(text, _STRING, "text"))


def compile_template(text: str) -> Template:
    """Text in which `${{ CEL }}` stands for a value; an expression ends at the first `}}`. Raises InvalidExpression."""
    _refuse_csharp(text)
    literal, *rest = text.split("${{")
    parts: list[str | Text] = [literal]
    for piece in rest:
        expression, closed, literal = piece.partition("}}")
        if not closed:
            raise InvalidExpression("${{ is not closed", "end the expression with }}")
        parts += [compile_text(expression.strip()), literal]
    for reference in ("${env:", "${file:", "${secret:"):
        if any(isinstance(part, str) and reference in part for part in parts):
            raise InvalidExpression(f"{reference}…}} is not supported yet in a policy", "put secrets into a connection")
    return Template(tuple(part for part in parts if part != ""))


def _compile(text: str, wanted: Type, word: str) -> _Program:
    _refuse_csharp(text)
    try:
        compiled = _ENVIRONMENT.compile(text)
    except (RuntimeError, ValueError) as error:
        raise _explained(str(error)) from None
    if compiled.return_type() not in (wanted, Type.DYN):
        raise InvalidExpression(f"the expression is {compiled.return_type().name()}, and must be {word}")
    checked = compiled.serialize()  # names each variable in full, however it was written
    return _Program(compiled, tuple(name for name in VARIABLES if name.encode() in checked))


def _refuse_csharp(text: str) -> None:
    if text.lstrip().startswith(_CSHARP):
        raise InvalidExpression("not CEL: it begins with @", "expressions are CEL, not C#: see docs/policies.md")


def _explained(error: str) -> InvalidExpression:
    complaint = _COMPLAINT.search(error)
    if complaint is None or int(complaint["column"]) < 1:
        return InvalidExpression("not CEL: nested too deeply, or too long", "split it into several conditions")
    what = complaint["what"].removesuffix(" [INVALID_ARGUMENT]").removesuffix(" (in container '')")
    undeclared = _UNDECLARED.search(what)
    mend = nearest(undeclared[1], VARIABLES) if undeclared else "compare with ==" if _ASSIGNMENT in what else ""
    at = f"character {complaint['column']}" + (f" of line {complaint['line']}" if complaint["line"] != "1" else "")
    return InvalidExpression(f"not CEL at {at}: {what}", mend)
