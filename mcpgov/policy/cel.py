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

from mcpgov.errors import ExpressionError, InvalidExpression
from mcpgov.policy.expression import Template
from mcpgov.yaml_source import nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mcpgov.models import Secret
    from mcpgov.policy.draft import Draft
    from mcpgov.policy.expression import Program, References

_STRING: Final = Type.STRING
_MISSING_KEY: Final = "NOT_FOUND: Key not found in map"  # how the engine's message begins; what follows quotes the key
_COMPLAINT: Final = re.compile(r"ERROR: <input>:(?P<line>-?\d+):(?P<column>-?\d+): (?P<what>.*)")
_ASSIGNMENT: Final = "token recognition error at: '="
_CSHARP: Final = ("@(", "@{")  # how an expression of Azure API Management begins
_UNDECLARED: Final = re.compile(r"undeclared reference to '([^']*)'")


VARIABLES: Final[Mapping[str, tuple[Type, Callable[[Draft], object]]]] = {
    "request.headers": (Type.Map(_STRING, _STRING), lambda draft: dict(draft.request_headers)),
    "request.id": (_STRING, lambda draft: draft.context.request.head.correlation_id),
    "mcp.method": (_STRING, lambda draft: draft.context.request.method),
    "mcp.tool.name": (_STRING, lambda draft: draft.context.request.tool),
    "mcp.tool.arguments": (Type.Map(_STRING, Type.DYN), lambda draft: draft.context.request.arguments),
    "mcp.tool.annotations": (Type.Map(_STRING, Type.DYN), lambda draft: dict(draft.annotations)),
    "principal.id": (_STRING, lambda draft: draft.context.principal.id),
    "principal.name": (_STRING, lambda draft: draft.context.principal.name),
    "principal.project": (_STRING, lambda draft: draft.context.principal.project),
    "principal.kind": (_STRING, lambda draft: draft.context.principal.kind.value),
    "source.address": (_STRING, lambda draft: draft.context.request.head.source_address),
    "connection.name": (_STRING, lambda draft: draft.context.connection.name),
    "connection.server": (_STRING, lambda draft: draft.context.connection.server),
    "variables": (Type.Map(_STRING, Type.DYN), lambda draft: dict(draft.variables)),
    "error.reason": (_STRING, lambda draft: draft.last_error.decision if draft.last_error else ""),
}
_ENVIRONMENT: Final = NewEnv(variables={name: kind for name, (kind, _) in VARIABLES.items()})


@dataclass(frozen=True, slots=True)
class CelProgram:
    """A compiled expression and the variables it reads: no others are put together for it."""

    source: str
    compiled: Expression
    variables: tuple[str, ...]

    def _value(self, draft: Draft) -> Value:
        data: dict[str, Any] = {name: VARIABLES[name][1](draft) for name in self.variables}
        try:
            return self.compiled.eval(data=data)
        except (RuntimeError, ValueError, TypeError, OverflowError):
            raise ExpressionError("an expression met a value that it cannot hold") from None

    def truth(self, draft: Draft, /) -> bool:
        value = self._value(draft)
        if value.type() == Type.BOOL:
            return value.plain_value() is True
        if value.type() == Type.ERROR and str(value.plain_value()).startswith(_MISSING_KEY):
            return False
        raise ExpressionError("a condition is neither true nor false for this request")

    def text(self, draft: Draft, /) -> str:
        value = self._value(draft)
        if value.type() != _STRING:
            raise ExpressionError("an expression that should be text is not text for this request")
        return str(value.plain_value())

    def value(self, draft: Draft, /) -> object:
        value = self._value(draft)
        if value.type() == Type.ERROR:
            raise ExpressionError("an expression has no value for this request")
        return value.plain_value()


def compile_cel(text: str, wanted: str) -> Program:
    kinds = {"bool": (Type.BOOL, "true or false"), "string": (_STRING, "text"), "int": (Type.INT, "a number"), "any": (None, "")}
    return _compile(text, *kinds[wanted])


def compile_template(text: str, references: References) -> Template:
    _refuse_csharp(text)
    literal, *rest = text.split("${{")
    parts: list[str | Secret | Program] = [literal]
    for piece in rest:
        expression, closed, literal = piece.partition("}}")
        if not closed:
            raise InvalidExpression("${{ is not closed", "end the expression with }}")
        parts += [compile_cel(expression.strip(), "string"), literal]
    return Template(tuple(part for part in parts if part != ""))


def _compile(text: str, wanted: Type | None, word: str) -> CelProgram:
    _refuse_csharp(text)
    try:
        compiled = _ENVIRONMENT.compile(text)
    except (RuntimeError, ValueError) as error:
        raise _explained(str(error)) from None
    if wanted is not None and compiled.return_type() not in (wanted, Type.DYN):
        raise InvalidExpression(f"the expression is {compiled.return_type().name()}, and must be {word}")
    checked = compiled.serialize()  # names each variable in full, however it was written
    return CelProgram(text, compiled, tuple(name for name in VARIABLES if name.encode() in checked))


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
